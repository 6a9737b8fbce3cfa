"""Pictures of the coverage of intervals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest, norm

from sklmat.plotting import CoverageDisplay


def test_coverage_of_normal_distributions():
    """Errors of 0.5, 1, 1.5 and 2.5 standard deviations."""
    true = np.array([0.5, -2.0, 4.5, -10.0])
    std = np.array([1.0, 2.0, 3.0, 4.0])
    levels = [2 * norm.cdf(k) - 1 for k in (0.4, 0.9, 1.2, 2, 3)]
    display = CoverageDisplay.from_predictions(true, np.zeros(4), std, levels=levels)
    assert_allclose(display.table["covered"], [0, 0.25, 0.5, 0.75, 1])
    points = display.lines_["prediction"].get_xydata()
    assert_allclose(points, np.column_stack([levels, [0, 0.25, 0.5, 0.75, 1]]))
    for number, row in enumerate(display.table.to_dict("records")):
        expected = binomtest(number, 4).proportion_ci(method="wilson")
        assert_allclose([row["low"], row["high"]], [expected.low, expected.high], atol=1e-12)
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["95 % interval"]
    assert display.ax_.get_xlabel() == "level of the intervals"


def test_given_intervals():
    true = [0.0, 1.0, 2.0, 3.0]
    of_half = [[0, 0], [1, 2], [2.1, 3], [0, 1]]
    display = CoverageDisplay.from_intervals(true, {0.9: [[-9, 9]] * 4, 0.5: of_half})
    assert display.table["level"].tolist() == [0.5, 0.9]
    assert display.table["covered"].tolist() == [0.5, 1]
    infinite = {0.9: [[-np.inf, np.inf]] * 4}
    both = CoverageDisplay.from_intervals(true, {"a": infinite, "b": {0.9: [[5, 6]] * 4}})
    assert both.table["covered"].tolist() == [1, 0]
    texts = [text.get_text() for text in both.ax_.get_legend().get_texts()]
    assert texts == ["a", "b", "95 % interval"]


def test_several_models_share_axes():
    true, zero = np.zeros(5), np.zeros(5)
    stds = {"one": np.ones(5), "two": np.zeros(5)}
    display = CoverageDisplay.from_predictions(true, {"one": zero + 9, "two": zero}, stds)
    assert (display.table.query("name == 'one'")["covered"] == 0).all()
    assert (display.table.query("name == 'two'")["covered"] == 1).all()
    again = display.plot(ax=display.ax_)
    assert again.figure_ is display.figure_


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0, 1], [1, -1]), "negative in row 1"),
        (([0, 1], [0, np.nan], [1, 1]), "y_pred is NaN in row 1"),
        (([0, 1], [0, 1], [1]), "has 1 rows, and y_pred has 2"),
        (([0, 1], [0], [1]), r"have shape \(1, 2\)"),
        (([[0, 1]], [0], [1]), "draw one target at a time"),
    ],
)
def test_predictions_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoverageDisplay.from_predictions(*arguments)


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ({90: [[0, 1]]}, "between 0 and 1, got 90"),
        ({0.9: [[0, np.nan]]}, "NaN in row 0"),
        ({0.9: [0, 1]}, r"shape \(2,\)"),
    ],
)
def test_intervals_that_are_refused(intervals, message):
    with pytest.raises(ValueError, match=message):
        CoverageDisplay.from_intervals([0.5], intervals)
