"""Samplers in cross-validation and searches see no held-out row."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline as SamplingPipeline
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline

from sklmat.augmentation import AugmentedRegressor, NoiseAugmenter


class SpyAugmenter(NoiseAugmenter):
    """Notes which rows it learns from, by their identity in the column ``id``."""

    log = []

    def _learn(self, X, y):
        super()._learn(X, y)
        self.log.append(("learn", set(X[:, -1])))


class SpyRegressor(KNeighborsRegressor):
    """Notes which rows it is fitted on, and which it predicts."""

    def fit(self, X, y):
        SpyAugmenter.log.append(("fit", set(np.asarray(X)[:, -1])))
        return super().fit(X, y)

    def predict(self, X):
        SpyAugmenter.log.append(("predict", set(np.asarray(X)[:, -1])))
        return super().predict(X)


@pytest.fixture
def log():
    SpyAugmenter.log.clear()
    return SpyAugmenter.log


def table_with_ids(n=40):
    """Descriptors, a target that nothing can predict from them, and an identity."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return X.assign(id=np.arange(n) + 0.5), pd.Series(rng.normal(size=n))


def both_pipelines(noise, regressor):
    return {
        "imblearn": SamplingPipeline([("augmenter", noise), ("regressor", regressor)]),
        "scikit-learn": Pipeline([("regressor", AugmentedRegressor(regressor, noise))]),
    }


def held_out_rows_seen(log):
    """Rows that a model predicts in a validation although it, or its sampler, has learned them."""
    learned, known, leaked = set(), set(), set()
    for event, rows in log:
        if event == "learn":
            learned = rows
        elif event == "fit":
            known, learned = rows | learned, set()
        else:
            leaked |= rows & known
    return leaked


@pytest.mark.parametrize("kind", ["imblearn", "scikit-learn"])
def test_cross_validation_sees_no_held_out_row(kind, log):
    X, y = table_with_ids()
    noise = SpyAugmenter(code_features=["id"], random_state=0)
    folds = KFold(5, shuffle=True, random_state=0)
    cross_validate(
        both_pipelines(noise, SpyRegressor(1))[kind], X, y, cv=folds, error_score="raise"
    )
    assert [event for event, _ in log] == ["learn", "fit", "predict"] * 5
    for (train, test), events in zip(folds.split(X), np.reshape(log, (5, 3, 2)), strict=True):
        learned, fitted, predicted = events[:, 1]
        assert learned == fitted == set(X["id"].iloc[train])
        assert predicted == set(X["id"].iloc[test])
    assert held_out_rows_seen(log) == set()


@pytest.mark.parametrize("kind", ["imblearn", "scikit-learn"])
def test_searches_see_no_held_out_row(kind, log):
    X, y = table_with_ids()
    noise = SpyAugmenter(code_features=["id"], random_state=0)
    pipeline = both_pipelines(noise, SpyRegressor(1))[kind]
    step = "augmenter" if kind == "imblearn" else "regressor__augmenter"
    none = "passthrough" if kind == "imblearn" else None
    grid = [{f"{step}__n_samples": [0.5, 2.0]}, {step: [none]}]
    search = GridSearchCV(pipeline, grid, cv=3, refit=False, error_score="raise").fit(
        X[:30], y[:30]
    )
    assert len(search.cv_results_["params"]) == 3
    assert held_out_rows_seen(log) == set()
    log.clear()
    search.set_params(refit=True).fit(X[:30], y[:30]).predict(X[30:])
    learned = set().union(*(rows for event, rows in log if event != "predict"))
    assert learned == set(X["id"][:30])


@pytest.mark.parametrize("kind", ["imblearn", "scikit-learn"])
def test_a_planted_leak_is_caught(kind, log):
    X, y = table_with_ids(60)
    noise = SpyAugmenter(scale=0.01, code_features=["id"], random_state=0)
    nearest = SpyRegressor(n_neighbors=1)
    folds = KFold(5, shuffle=True, random_state=0)
    descriptors = ["a", "b", "c"]

    honest = cross_val_score(both_pipelines(noise, nearest)[kind], X, y, cv=folds)
    assert held_out_rows_seen(log) == set()
    log.clear()

    X_all, y_all = noise.fit_resample(X, y)
    leaky = cross_val_score(nearest, X_all, y_all, cv=folds)
    assert held_out_rows_seen(log)

    # The same without the identity, which 1-NN could use: labels are noise, so R² above 0 is a lie.
    honest = cross_val_score(
        both_pipelines(NoiseAugmenter(scale=0.01, random_state=0), nearest)[kind],
        X[descriptors],
        y,
        cv=folds,
    )
    leaky = cross_val_score(nearest, X_all[descriptors], y_all, cv=folds)
    assert honest.mean() < 0
    assert leaky.mean() > 0.3
