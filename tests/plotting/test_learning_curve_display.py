"""Pictures of learning curves."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge

from sklmat.model_selection import learning_curves
from sklmat.plotting import LearningCurveDisplay

LONG = "ridge regression on composition, lattice and volume with a strong penalty"
MODELS = {"linear": LinearRegression(), LONG: Ridge(5.0), "mean": DummyRegressor()}


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=40)
    return learning_curves(MODELS, X, y, train_sizes=[8, 16, 32], n_repeats=2, random_state=0)


@pytest.mark.parametrize("log_scale", [True, False])
def test_a_line_with_intervals_for_each_estimator(curves, log_scale):
    display = LearningCurveDisplay.from_learning_curves(curves, unit="eV", log_scale=log_scale)
    panel = display.ax_
    assert list(display.lines_) == list(MODELS)
    bars = panel.collections
    for (name, line), of_name in zip(display.lines_.items(), bars):
        rows = curves.table[curves.table["estimator"] == name]
        assert_allclose(line.get_ydata(), rows["MAE mean"])
        # Bars are side by side.
        assert_allclose(line.get_xdata(), [8, 16, 32], rtol=0.05)
        ends = np.array([path[:, 1] for path in of_name.get_segments()])
        assert_allclose(ends, rows[["MAE low", "MAE high"]])
    assert_allclose(display.lines_[LONG].get_xdata(), [8, 16, 32])
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("training rows", "MAE (eV)")
    expected = "log" if log_scale else "linear"
    assert (panel.get_xscale(), panel.get_yscale()) == (expected, expected)
    texts = [text.get_text().replace("\n", " ") for text in panel.get_legend().get_texts()]
    assert texts == [*MODELS, "95 % interval"]


def test_sizes_are_ticks(curves):
    display = LearningCurveDisplay.from_learning_curves(curves)
    display.figure_.draw_without_rendering()
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["8", "16", "32"]
    low, high = display.ax_.get_ylim()
    table = curves.table
    assert 0 < low < table["MAE mean"].min()
    assert high > table["MAE high"].max()


def test_scores_that_are_no_errors_have_a_linear_axis(curves):
    display = LearningCurveDisplay.from_learning_curves(curves, metric="R2")
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "linear")


@pytest.mark.parametrize("width", [3.3, 7.0])
def test_nothing_is_cut_and_the_legend_covers_no_data(curves, width):
    figure, ax = plt.subplots(figsize=(width, 3.5), layout="constrained")
    LearningCurveDisplay.from_learning_curves(curves, ax=ax, linewidth=1)
    figure.draw_without_rendering()
    edges = figure.get_tightbbox().extents
    assert edges.min() >= -0.01
    assert edges[2] <= width + 0.01
    assert edges[3] <= 3.5 + 0.01
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1 - 1


def test_one_size_of_one_estimator():
    X, y = np.arange(24.0)[:, None], np.arange(24.0)
    curves = learning_curves({"mean": DummyRegressor()}, X, y, train_sizes=[5], n_repeats=1)
    display = LearningCurveDisplay.from_learning_curves(curves)
    assert_allclose(display.lines_["mean"].get_xdata(), [5])
    display.figure_.draw_without_rendering()


def test_unknown_metric(curves):
    with pytest.raises(ValueError, match="'loss' is not among"):
        LearningCurveDisplay.from_learning_curves(curves, metric="loss")
