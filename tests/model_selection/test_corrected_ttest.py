"""The test of differences between estimators, with overlapping training sets."""

import numpy as np
import pytest
from scipy import stats
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge

from sklmat.model_selection import compare_estimators, corrected_resampled_ttest


def linear_data(n=24):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=n)


MODELS = {"linear": LinearRegression(), "ridge": Ridge(5.0), "mean": DummyRegressor()}


def test_difference_and_p_against_the_formula_written_out():
    X, y = linear_data(20)
    table = compare_estimators(MODELS, X, y, cv=5, reference="linear", confidence_level=0.9)
    scores = table.scores.set_index(["estimator", "fold"])["MAE"]
    d = (scores["ridge"] - scores["linear"]).to_numpy()
    mean = sum(d) / 5
    variance = sum((d - mean) ** 2) / 4
    error = ((1 / 5 + 4 / 16) * variance) ** 0.5
    row = table.loc["ridge"]
    assert row["MAE difference"] == pytest.approx(mean)
    assert row["MAE p"] == pytest.approx(2 * stats.t(df=4).sf(abs(mean / error)))
    low, high = stats.t(df=4, loc=mean, scale=error).interval(0.9)
    assert (row["MAE low"], row["MAE high"]) == pytest.approx((low, high))
    assert table.loc["linear", "MAE difference"] == 0
    assert np.isnan(table.loc["linear", "MAE p"])
    assert "MAE p" not in compare_estimators(MODELS, X, y)


def test_corrected_test_holds_its_level_where_the_naive_one_does_not():
    # Two equally good predictors on overlapping resamples: the naive test cries wolf.
    rng = np.random.default_rng(0)
    naive, corrected = [], []
    for _ in range(300):
        values = rng.normal(size=40)
        folds = [rng.permutation(40)[:8] for _ in range(15)]
        d = np.array([values[test].mean() for test in folds])
        naive.append(stats.ttest_1samp(d, 0).pvalue)
        corrected.append(corrected_resampled_ttest(d, 32, 8)[3])
    assert np.mean(np.array(naive) < 0.05) > 0.2
    assert np.mean(np.array(corrected) < 0.05) < 0.12


def test_test_of_one_split_and_of_constant_differences():
    mean, *rest = corrected_resampled_ttest([0.3], 8, 2)
    assert mean == 0.3
    assert np.isnan(rest).all()
    assert corrected_resampled_ttest([0.0, 0.0], 8, 2) == (0, 0, 0, 1)
    assert corrected_resampled_ttest([1.0, 1.0], 8, 2) == (1, 1, 1, 0)


def test_differences_of_several_metrics_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n_splits,\), got \(2, 1\)"):
        corrected_resampled_ttest([[0.3], [0.4]], 8, 2)
