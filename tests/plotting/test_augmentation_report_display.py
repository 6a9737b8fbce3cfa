"""The picture of a report shows its numbers, and real rows decide how they are projected."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from sklmat.augmentation import InfoGANAugmenter
from sklmat.augmentation._quality_report import QualityReport
from sklmat.estimator_checks import make_toy_table
from sklmat.plotting import AugmentationReportDisplay

pytestmark = pytest.mark.usefixtures("few_trees")


def make_report(n=30, n_columns=6, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"Fe_{k}" for k in range(n_columns)]
    real = pd.DataFrame(
        rng.normal(size=(n, n_columns)) * np.arange(1, n_columns + 1), columns=names
    )
    real.iloc[:3, 0] = np.nan
    generated = real + 0.1 * rng.normal(size=real.shape)
    distances = {name: 0.01 * (k + 1) for k, name in enumerate(names)}
    return QualityReport(distances, 0.07, 0.83, 0.61, 0.92, real, generated)


def test_the_map_is_a_principal_component_analysis_of_real_rows():
    report = make_report()
    display = AugmentationReportDisplay.from_report(report)
    real, generated = report.real.fillna(0), report.generated.fillna(0)
    pca = PCA(2).fit(real)
    assert_allclose(display.explained_variance_ratio_, pca.explained_variance_ratio_)
    for kind, table in (("real", real), ("generated", generated)):
        found, expected = display.coordinates_[kind], pca.transform(table)
        signs = np.sign((found * expected).sum(axis=0))
        assert_allclose(found, expected * signs, atol=1e-9)
    # Generated rows have no say in the directions.
    report.generated = report.generated * 5
    again = AugmentationReportDisplay.from_report(report)
    assert_array_equal(again.coordinates_["real"], display.coordinates_["real"])


def test_what_is_drawn():
    report = make_report()
    display = AugmentationReportDisplay.from_report(report)
    panel, columns, distances = display.axes_
    real, generated = (points.get_offsets() for points in panel.collections)
    assert_allclose(real, display.coordinates_["real"])
    assert_allclose(generated, display.coordinates_["generated"])
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["real", "generated"]
    share = display.explained_variance_ratio_
    assert f"({share[0]:.0%} of variance)" in panel.get_xlabel()
    assert f"({share[1]:.0%} of variance)" in panel.get_ylabel()
    for figure in ("generated: 0.61", "code: 0.92", "0.83 of the usual"):
        assert figure in panel.get_title(loc="left")
    assert "6 features" in columns.get_title(loc="left")
    assert "correlations 0.07" in columns.get_title(loc="left")
    assert_allclose([bar.get_width() for bar in distances.patches], 0.01 * np.arange(1, 7))
    # The mean of 0.01 to 0.06.
    assert_allclose(distances.lines[0].get_xdata(), 0.035)


def test_distributions_are_quantiles_of_each_column():
    report = make_report()
    columns = AugmentationReportDisplay.from_report(report).axes_[1]
    names = [label.get_text() for label in columns.get_yticklabels()]
    assert names == list(report.real)
    thin, thick, medians = columns.collections[:3]
    for k, name in enumerate(names):
        values = report.real[name].dropna()
        for lines, (low, high) in ((thin, (0.05, 0.95)), (thick, (0.25, 0.75))):
            segment = lines.get_segments()[k]
            assert_allclose(segment[:, 0], values.quantile([low, high]))
            assert_allclose(segment[:, 1], k - 0.18)
        assert_allclose(medians.get_offsets()[k], [values.median(), k - 0.18])
    generated = columns.collections[5].get_offsets()
    assert_allclose(generated[:, 0], report.generated.median())


def test_only_the_worst_columns_are_drawn_when_there_are_many():
    report = make_report()
    display = AugmentationReportDisplay.from_report(report, max_features=2)
    assert display.columns_ == ["Fe_4", "Fe_5"]
    assert "the worst 2 of 6" in display.axes_[1].get_title(loc="left")
    # The mean is still that of all.
    assert display.axes_[2].get_title(loc="left") == "mean 0.04"


def test_forty_columns_are_legible():
    display = AugmentationReportDisplay.from_report(make_report(n_columns=60))
    assert len(display.columns_) == 40
    display.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in display.axes_[1].get_yticklabels()]
    assert len(boxes) == 40
    for upper, lower in pairwise(boxes):
        assert upper.y0 >= lower.y1 - 1


def test_a_single_feature_spans_one_direction():
    display = AugmentationReportDisplay.from_report(make_report(n_columns=1))
    assert_allclose(display.explained_variance_ratio_, [1, 0])
    assert_array_equal(display.coordinates_["real"][:, 1], np.zeros(30))


def test_from_estimator_draws_its_report():
    X, _ = make_toy_table(40)
    augmenter = InfoGANAugmenter(max_epochs=3, n_ensemble=1, random_state=0).fit(X)
    display = AugmentationReportDisplay.from_estimator(augmenter, X, s=5)
    report = augmenter.quality_report(X)
    pd.testing.assert_frame_equal(display.report.generated, report.generated)
    assert display.columns_ == list(X.columns[5:])
    assert display.axes_[0].collections[0].get_sizes() == [5]
    display.figure_.canvas.draw()


def test_given_axes_are_used_and_plot_can_be_repeated():
    report = make_report()
    figure, axes = plt.subplots(1, 3)
    display = AugmentationReportDisplay.from_report(report, ax=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    assert display.plot() is display
    assert display.figure_ is not figure


def test_what_cannot_be_drawn_is_refused():
    report = make_report()
    with pytest.raises(ValueError, match="ax must be a sequence of Axes"):
        AugmentationReportDisplay.from_report(report, ax=plt.subplots()[1])
    with pytest.raises(ValueError, match="max_features must be positive"):
        AugmentationReportDisplay.from_report(report, max_features=0)
    with pytest.raises(ValueError, match="at least two"):
        AugmentationReportDisplay.from_report(make_report(n=1))
