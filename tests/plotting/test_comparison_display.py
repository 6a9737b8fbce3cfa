"""Pictures of comparisons."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge

from sklmat.model_selection import compare_estimators, corrected_resampled_ttest
from sklmat.plotting import ComparisonDisplay

LONG = "ridge regression on composition, lattice and volume with a strong penalty"
MODELS = {"linear": LinearRegression(), LONG: Ridge(5.0), "mean": DummyRegressor()}
FIVE = [
    "neg_mean_absolute_error",
    "neg_root_mean_squared_error",
    "r2",
    "neg_max_error",
    "explained_variance",
]


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=40)
    return {
        name: compare_estimators(MODELS, X, y, scoring=FIVE, reference=name, confidence_level=0.9)
        for name in (None, "linear")
    }


def drawn(panel):
    """Abscissas of the points, and ends of the bars, by ordinate."""
    points, bars = {}, {}
    for container in panel.containers:
        (line, _, (segments,)) = container.lines
        points |= dict(zip(line.get_ydata(), line.get_xdata()))
        bars |= {path[0, 1]: path[:, 0] for path in segments.get_segments()}
    return points, bars


def test_intervals_of_differences_about_the_score_of_the_reference(tables):
    table = tables["linear"]
    display = ComparisonDisplay.from_comparison(table, unit="eV")
    assert [p.get_xlabel().split("\n")[0] for p in display.axes_] == [
        "MAE (eV)", "RMSE (eV)", "R2", "max error (eV)", "explained variance",
    ]  # fmt: skip
    assert "← lower is better" in display.axes_[0].get_xlabel()
    assert "higher is better →" in display.axes_[2].get_xlabel()
    for panel, metric in zip(display.axes_, table.metrics):
        points, bars = drawn(panel)
        assert_allclose([points[row] for row in sorted(points)], table[f"{metric} mean"])
        reference = table.loc["linear", f"{metric} mean"]
        assert_allclose(panel.lines[0].get_xdata(), [reference] * 2)
        expected = reference + table[[f"{metric} low", f"{metric} high"]].to_numpy()
        expected[0] = reference
        assert_allclose([bars[row] for row in sorted(bars)], expected)
    texts = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert texts == ["mean, 90 % interval of the difference", "reference: linear"]


def test_intervals_of_means_without_reference(tables):
    table = tables[None]
    display = ComparisonDisplay.from_comparison(table, metrics=["R2"])
    points, bars = drawn(display.ax_)
    scores = table.scores[table.scores["estimator"] == "mean"]
    expected = corrected_resampled_ttest(
        scores["R2"], scores["n_train"], scores["n_test"], confidence_level=0.9
    )
    assert_allclose(points[max(points)], expected[0])
    assert_allclose(bars[max(bars)], expected[1:3])
    assert_allclose(display.intervals_["R2"][2], expected[:3])
    assert [text.get_text() for text in display.figure_.legends[0].get_texts()] == [
        "mean, 90 % interval"
    ]


def test_selected_rows_are_drawn_in_their_order(tables):
    part = tables["linear"].loc[["mean", LONG]]
    display = ComparisonDisplay.from_comparison(part, metrics=["MAE"])
    labels = [label.get_text().replace("\n", " ") for label in display.ax_.get_yticklabels()]
    assert labels == ["mean", LONG]
    assert display.ax_.get_ylim()[0] > display.ax_.get_ylim()[1]
    reference = tables["linear"].loc["linear", "MAE mean"]
    assert_allclose(display.ax_.lines[0].get_xdata(), [reference] * 2)


@pytest.mark.parametrize(("width", "n_columns"), [(3.3, 1), (7.0, 1), (7.0, 2)])
@pytest.mark.parametrize("n_metrics", [1, 2, 5])
def test_nothing_is_cut(tables, width, n_columns, n_metrics):
    n_rows = -(-n_metrics // n_columns)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=(width, 1.1 + 2.2 * n_rows), layout="constrained", squeeze=False
    )
    for unused in axes.flat[n_metrics:]:
        figure.delaxes(unused)
    axes = axes.ravel()[:n_metrics]
    metrics = tables["linear"].metrics[:n_metrics]
    display = ComparisonDisplay.from_comparison(tables["linear"], metrics=metrics, ax=axes)
    assert display.figure_ is figure
    figure.draw_without_rendering()
    edges = figure.get_tightbbox().extents
    assert edges[0] >= -0.01
    assert edges[1] >= -0.01
    assert edges[2] <= width + 0.01
    assert edges[3] <= figure.get_figheight() + 0.01
    for panel in axes:
        boxes = [label.get_window_extent() for label in panel.get_yticklabels()]
        for upper, lower in pairwise(boxes):
            assert lower.y1 <= upper.y0


def test_one_fold_has_points_without_bars():
    X, y = np.arange(12.0)[:, None], np.arange(12.0) ** 2
    cv = [(np.arange(8), np.arange(8, 12))]
    models = {"linear": LinearRegression(), "mean": DummyRegressor()}
    table = compare_estimators(models, X, y, cv=cv, reference="mean")
    points, bars = drawn(ComparisonDisplay.from_comparison(table).ax_)
    assert len(points) == 2
    assert all(np.ptp(bar) == 0 for bar in bars.values())


def test_refusals(tables):
    with pytest.raises(ValueError, match="'loss' is not among"):
        ComparisonDisplay.from_comparison(tables[None], metrics=["loss"])
    with pytest.raises(ValueError, match="5 metrics do not fit on 2 axes"):
        ComparisonDisplay.from_comparison(tables[None], ax=plt.subplots(2)[1])


def test_limits_of_a_metric(tables):
    display = ComparisonDisplay.from_comparison(
        tables["linear"], metrics=["MAE", "R2"], limits={"MAE": (0, 9)}
    )
    assert display.axes_[0].get_xlim() == (0, 9)
    assert display.axes_[1].get_xlim() != (0, 9)
    with pytest.raises(ValueError, match="limits has 'RMSE', which is not among"):
        ComparisonDisplay.from_comparison(
            tables["linear"], metrics=["MAE"], limits={"RMSE": (0, 1)}
        )
    with pytest.raises(ValueError, match="two increasing numbers"):
        ComparisonDisplay.from_comparison(tables["linear"], limits={"MAE": (1, 0)})
