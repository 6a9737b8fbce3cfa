"""The checks of samplers catch what they are for."""

import numpy as np
import pandas as pd
import pytest

from sklmat.augmentation import NoiseAugmenter
from sklmat.estimator_checks import check_sampler, sampler_checks


class Broken(NoiseAugmenter):
    """A sampler of which the tests below break one thing each."""


class Reversed(Broken):
    def fit_resample(self, X, y):
        X_all, y_all = super().fit_resample(X, y)
        return X_all[::-1], y_all[::-1]


class Wordy(Broken):
    def _learn(self, X, y):
        super()._learn(X, y)
        self.rows = X


class Global(Broken):
    def _generate(self, n, rng):
        X, y = super()._generate(n, rng)
        return X + 0.01 * np.random.normal(), y  # noqa: NPY002


class Clipping(Broken):
    def fit_resample(self, X, y):
        limits, self.y_range = self.y_range, None
        X_all, y_all = super().fit_resample(X, y)
        self.y_range = limits
        if limits is not None:
            y_all.iloc[len(X) :] = y_all.iloc[len(X) :].clip(*limits)
        return X_all, y_all


class Inventive(Broken):
    def fit_resample(self, X, y):
        X_all, y_all = super().fit_resample(X, y)
        if isinstance(y_all, pd.Series) and self.classes_ is not None:
            y_all = y_all.astype(object)
            y_all.iloc[-1] = "hcp"
        return X_all, y_all


class Careless(Broken):
    def _learn(self, X, y):
        super()._learn(X, y)
        self.noise_scale_ = np.full(X.shape[1], 0.1)


class Transforming(Broken):
    def transform(self, X):
        return X


class Mutating(Broken):
    def fit_resample(self, X, y):
        result = super().fit_resample(X, y)
        if isinstance(X, np.ndarray):
            X += 1.0
        return result


class Plain(Broken):
    def fit_resample(self, X, y):
        X_all, y_all = super().fit_resample(X, y)
        return np.asarray(X_all), np.asarray(y_all)


class Doubling(Broken):
    def _n_new(self, n_real):
        return 2 * super()._n_new(n_real)


class Silent(Broken):
    def _check_rows(self, X, *, reset=False):
        return super()._check_rows(np.nan_to_num(X), reset=reset)


@pytest.mark.parametrize(
    ("broken", "name", "message"),
    [
        (Reversed, "check_real_rows_first", "real rows"),
        (Wordy, "check_sampler_protocol", r"fit sets \['rows'\]"),
        (Global, "check_sampler_seed", "global random numbers moved on"),
        (Clipping, "check_y_range", "labels are clipped"),
        (Inventive, "check_class_targets", "new classes among strings"),
        (Careless, "check_rows_are_possible", "fraction is negative"),
        (Transforming, "check_sampler_protocol", "must have no transform"),
        (Mutating, "check_sampler_inputs_not_mutated", "X was changed"),
        (Plain, "check_table_types", "a DataFrame became ndarray"),
        (Doubling, "check_n_samples", "adds 10 rows"),
        (Silent, "check_sampler_bad_input", "a row with NaN: accepted"),
    ],
)
def test_checks_catch_broken_samplers(broken, name, message):
    check = {check.__name__: check for _, check in sampler_checks(broken())}[name]
    with pytest.raises(AssertionError, match=message):
        check(broken())


def test_check_sampler_reports():
    known = {"check_real_rows_first": "they come last"}
    results = check_sampler(Reversed(), on_fail=None, expected_failed_checks=known)
    status = {result["check_name"]: result["status"] for result in results}
    assert status["check_real_rows_first"] == "xfail"
    assert status["check_table_types"] == "failed"
    assert status["check_sampler_clone"] == "passed"
    with pytest.raises(AssertionError, match="real rows"):
        check_sampler(Reversed())


def test_check_sampler_takes_instances():
    with pytest.raises(TypeError, match="pass an instance"):
        check_sampler(NoiseAugmenter)
