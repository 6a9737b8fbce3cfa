"""The plot of labels within multiples of the standard deviation."""

import matplotlib
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import BayesianRidge

from sklmat.plotting import StdCalibrationDisplay

matplotlib.use("Agg")


def test_fractions_and_area_of_a_normal_sample():
    """Quantiles of a normal distribution lie on the diagonal, up to the steps of the sample."""
    errors = norm.ppf((np.arange(2000) + 0.5) / 2000)
    stds = {"right": np.ones(2000), "half": np.full(2000, 0.5)}
    display = StdCalibrationDisplay.from_predictions(
        errors, {"right": np.zeros(2000), "half": np.zeros(2000)}, stds
    )
    found = display.fractions_
    expected = [0.683, 0.954, 0.997, 0]
    np.testing.assert_allclose(found.loc["right"], expected, atol=0.001)
    np.testing.assert_allclose(found.loc["normal distribution"], expected, atol=0.001)
    half = [2 * norm.cdf(k / 2) - 1 for k in (1, 2, 3)]
    np.testing.assert_allclose(found.loc["half"].iloc[:3], half, atol=0.001)
    # Area below the diagonal of P(|z| < k/2) over P(|z| < k), integrated numerically.
    k = np.linspace(0, 12, 20_001)
    x, y = 2 * norm.cdf(k) - 1, 2 * norm.cdf(k / 2) - 1
    assert found.loc["half", "area"] == pytest.approx(np.trapezoid(x - y, x), abs=0.001)


def test_from_estimator_draws_one_curve_for_each():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    y = X[:, 0] + rng.normal(size=50)
    model = BayesianRidge().fit(X, y)
    display = StdCalibrationDisplay.from_estimator({"a": model, "b": model}, X, y)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["a", "b"]
    mean, std = model.predict(X, return_std=True)
    within = np.mean(np.abs(y - mean) <= std)
    assert display.fractions_.loc["a", "within 1 std"] == within
    again = display.plot(ax=display.ax_, color="black")
    assert again is display


def test_wrong_input():
    draw = StdCalibrationDisplay.from_predictions
    with pytest.raises(ValueError, match="not positive in row 1"):
        draw([0, 1], [0, 1], [1, 0])
    with pytest.raises(ValueError, match="3 values for 2 labels"):
        draw([0, 1], [0, 1], [1, 1, 1])
    with pytest.raises(ValueError, match="same keys"):
        draw([0, 1], {"a": [0, 1]}, {"b": [1, 1]})
    with pytest.raises(ValueError, match="not finite in row 1"):
        draw([0, np.nan], [0, 1], [1, 1])
