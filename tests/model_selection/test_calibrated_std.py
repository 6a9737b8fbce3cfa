"""Standard deviations that are calibrated with errors on held-out rows."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklmat import CalibratedStdRegressor
from sklmat.model_selection._calibrated_std import _fit_scale_and_offset


class Guess(RegressorMixin, BaseEstimator):
    """Predicts zero, and half of the absolute first column as standard deviation."""

    def fit(self, X, y):
        self.n_rows_ = len(X)
        return self

    def predict(self, X, return_std=False):
        mean = np.zeros(len(X))
        return (mean, 0.5 * np.abs(X[:, 0])) if return_std else mean


RNG = np.random.default_rng(0)
X = RNG.uniform(1, 3, size=(400, 2))
#: The true standard deviation is three times what `Guess` says.
Y = 1.5 * X[:, 0] * RNG.normal(size=400)


def test_factor_is_the_root_mean_square_of_errors_in_units_of_the_spread():
    model = CalibratedStdRegressor(Guess(), random_state=0).fit(X, Y)
    assert model.scale_ == pytest.approx(np.sqrt(np.mean((Y / (0.5 * X[:, 0])) ** 2)))
    assert model.scale_ == pytest.approx(3, rel=0.1)
    assert model.offset_ == 0
    assert model.estimator_.n_rows_ == 400
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(std, model.scale_ * 0.5 * X[:, 0])
    np.testing.assert_array_equal(mean, model.predict(X))
    assert np.mean(np.abs(Y) <= std) == pytest.approx(0.683, abs=0.05)


def test_errors_are_those_of_models_that_have_not_seen_the_row():
    groups = np.arange(60) % 40
    model = CalibratedStdRegressor(BayesianRidge(), random_state=0).fit(X[:60], Y[:60], groups)
    table = model.calibration_
    assert table["row"].tolist() == list(range(60))
    for fold, own in table.groupby("fold"):
        others = np.setdiff1d(np.arange(60), own["row"])
        assert not set(groups[own["row"]]) & set(groups[others]), fold
        mean, std = BayesianRidge().fit(X[others], Y[others]).predict(X[own["row"]], True)
        np.testing.assert_allclose(own["prediction"], mean)
        np.testing.assert_allclose(own["std"], std)
    z = (table["y"] - table["prediction"]) / table["std"]
    assert model.scale_ == pytest.approx(np.sqrt(np.mean(z**2)))


def test_offset_for_errors_that_the_spread_does_not_show():
    rng = np.random.default_rng(0)
    std = rng.uniform(0, 2, size=20_000)
    scale, offset = _fit_scale_and_offset((0.5 * std + 0.3) * rng.normal(size=20_000), std)
    assert (scale, offset) == pytest.approx((0.5, 0.3), abs=0.02)
    scale, offset = _fit_scale_and_offset(2 * std * rng.normal(size=20_000), std)
    assert (scale, offset) == pytest.approx((2, 0), abs=0.05)
    found = _fit_scale_and_offset(np.array([3.0, -4.0]), np.zeros(2))
    assert found == pytest.approx((0, np.sqrt(12.5)), abs=1e-3)


def test_spread_of_zero():
    table = X.copy()
    table[5, 0] = 0
    with pytest.raises(ValueError, match=r"row 5 is 0, .* use offset=True"):
        CalibratedStdRegressor(Guess(), random_state=0).fit(table, Y)
    model = CalibratedStdRegressor(Guess(), offset=True, random_state=0).fit(table, Y)
    assert model.predict(table, return_std=True)[1].min() == model.offset_ > 0


def test_wrong_estimators_and_targets():
    with pytest.raises(TypeError, match="return_std"):
        CalibratedStdRegressor(Ridge()).fit(X, Y)
    with pytest.raises(TypeError, match="given a classifier"):
        CalibratedStdRegressor(LogisticRegression()).fit(X, Y)
    with pytest.raises(ValueError, match="takes one target"):
        CalibratedStdRegressor(Guess()).fit(X, np.column_stack([Y, Y]))


# BayesianRidge by itself cannot give standard deviations for numbers of dtype object.
CHAIN = make_pipeline(StandardScaler(), BayesianRidge())


@parametrize_with_checks([CalibratedStdRegressor(CHAIN, cv=2, random_state=0)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
