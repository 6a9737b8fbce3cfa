"""Conformal intervals and sets: against their definitions, on tables and on crystals."""

import pickle
from math import ceil

import numpy as np
import pytest
from crystals import random_alloys
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    CompositionGroupKFold,
    ConformalClassifier,
    ConformalRegressor,
    StructureFeaturizer,
    StructureToGraph,
    compare_estimators,
    composition_groups,
)
from sklmat.datasets import fetch_cgcnn_sample, make_prototypes
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.model_selection import coverage_scorer, width_scorer

pytest.importorskip("mapie", reason="mapie is not installed (extra uq)")


def make_table(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    noise = 1 + np.abs(X[:, 0])
    return X, X @ [1.0, 2.0, 3.0] + noise * rng.normal(size=n)


def classes_of(y):
    return np.array(["low", "middle", "high"])[np.digitize(y, [-2, 2])]


X, Y = make_table(83)
GROUPS = np.arange(83) % 60  # 23 pairs
NEW = make_table(40, seed=1)[0]


# -- the same as by hand


@pytest.mark.parametrize("method", ["cv+", "split"])
@pytest.mark.parametrize("score", ["absolute", "normalized"])
def test_intervals_are_those_of_the_definition(method, score):
    model = ConformalRegressor(
        BayesianRidge(), method=method, conformity_score=score, random_state=0
    ).fit(X, Y, GROUPS)
    table = model.calibration_
    n, n_groups = len(table), table["group"].nunique()
    rank = ceil(0.9 * (n + n / n_groups))
    fold = table["fold"].to_numpy()
    outputs = np.array([each.predict(NEW, return_std=True) for each in model.estimators_])
    mean, std = outputs.swapaxes(0, 1)
    size = np.abs(table["y"] - table["prediction"]).to_numpy()
    if score == "absolute":
        std = np.ones_like(std)
    else:
        size = size / table["std"].to_numpy()
    half = size[:, None] * std[fold]
    upper = np.sort(mean[fold] + half, axis=0)[rank - 1]
    lower = -np.sort(half - mean[fold], axis=0)[rank - 1]
    intervals = model.predict_interval(NEW)
    np.testing.assert_allclose(intervals, np.column_stack([lower, upper]), rtol=1e-12)
    np.testing.assert_allclose(model.predict(NEW), mean.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("method", ["cv+", "split"])
def test_sets_are_those_of_the_definition(method):
    """A class is in the set if its probability is not among the lowest of the true classes."""
    y = classes_of(Y)
    model = ConformalClassifier(
        LogisticRegression(), method=method, confidence_level=0.8, random_state=0
    ).fit(X, y, GROUPS)
    table = model.calibration_
    n, n_groups = len(table), table["group"].nunique()
    rank = ceil(0.8 * (n + n / n_groups))
    places = np.searchsorted(model.classes_, table["y"].to_numpy(dtype=str))
    true = table.iloc[:, 4:].to_numpy()[np.arange(n), places]
    proba = np.array([each.predict_proba(NEW) for each in model.estimators_])
    n_below = (true[:, None, None] <= proba[table["fold"]] + 1e-12).sum(axis=0)
    np.testing.assert_array_equal(model.predict_set(NEW), n_below >= n - rank + 1)
    np.testing.assert_allclose(model.predict_proba(NEW), proba.mean(axis=0))
    assert 0 < model.predict_set(NEW).mean() < 1


def test_calibration_rows_are_predicted_by_models_that_have_not_seen_them():
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, Y, GROUPS)
    table = model.calibration_
    assert table["row"].tolist() == list(range(83))
    for fold in range(5):
        own = table[table["fold"] == fold]
        others = np.setdiff1d(np.arange(83), own["row"])
        assert not set(GROUPS[own["row"]]) & set(GROUPS[others])
        refitted = Ridge().fit(X[others], Y[others]).predict(X[own["row"]])
        np.testing.assert_allclose(own["prediction"], refitted)


def test_split_holds_out_whole_groups():
    model = ConformalRegressor(Ridge(), method="split", random_state=0).fit(X, Y, GROUPS)
    held_out = model.calibration_["row"].to_numpy()
    others = np.delete(np.arange(83), held_out)
    assert 15 <= len(held_out) <= 21  # a quarter
    assert not set(GROUPS[held_out]) & set(GROUPS[others])
    coefficients = Ridge().fit(X[others], Y[others]).coef_
    np.testing.assert_allclose(model.estimators_[0].coef_, coefficients)


def test_chunks_change_nothing(monkeypatch):
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, Y)
    expected = model.predict_interval(NEW)
    limit = "sklmat.model_selection._conformal_statistics._MAX_NUMBERS"
    monkeypatch.setattr(limit, 83 * 7)
    np.testing.assert_array_equal(model.predict_interval(NEW), expected)


def test_intervals_grow_with_the_level():
    model = ConformalRegressor(Ridge(), random_state=0).fit(X, Y)
    widths = [np.diff(model.predict_interval(NEW, level)).mean() for level in (0.5, 0.8, 0.95)]
    assert widths == sorted(widths)
    np.testing.assert_array_equal(model.predict_interval(NEW), model.predict_interval(NEW, 0.9))


# -- coverage


@pytest.mark.parametrize("method", ["cv+", "split"])
def test_coverage_of_new_groups(method):
    """Rows of a group share most of their error, so that only the groups are independent."""

    class Zero(RegressorMixin, BaseEstimator):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.zeros(len(X))

    rng = np.random.default_rng(0)
    covered = []
    for _ in range(60):
        groups = np.repeat(np.arange(30), 3)
        y = rng.normal(size=30)[groups] + 0.1 * rng.normal(size=90)
        rows = np.arange(90)[:, None]
        model = ConformalRegressor(
            Zero(), method=method, confidence_level=0.8, calibration_fraction=0.5, random_state=0
        )
        low, high = model.fit(rows, y, groups).predict_interval(rows[:60]).T
        new = np.repeat(rng.normal(size=20), 3) + 0.1 * rng.normal(size=60)
        covered.append(np.mean((low <= new) & (new <= high)))
    # 1200 new groups: the standard error is about 0.02.
    assert 0.78 < np.mean(covered) < 0.88


def test_coverage_of_sets():
    X, y = make_table(2000, seed=2)
    y = classes_of(y)
    for method in ("cv+", "split"):
        model = ConformalClassifier(LogisticRegression(), method=method, random_state=0)
        model.fit(X[:300], y[:300])
        assert 0.86 < coverage_scorer(model, X[300:], y[300:]) < 0.94


# -- too few rows


def test_too_few_groups_say_how_many_are_needed():
    model = ConformalRegressor(Ridge(), cv=4, random_state=0)
    with pytest.raises(ValueError, match=r"90 % need calibration rows of at least 9 groups .* 8"):
        model.fit(X[:24], Y[:24], np.arange(24) % 8)
    assert model.fit(X[:27], Y[:27], np.arange(27) % 9).predict_interval(NEW).shape == (40, 2)
    with pytest.raises(ValueError, match="95 % need calibration rows of at least 19 groups"):
        model.predict_interval(NEW, 0.95)
    with pytest.raises(ValueError, match='use method="cv\\+"'):
        clone(model).set_params(method="split").fit(X[:27], Y[:27])


def test_the_smallest_calibration_takes_its_largest_error():
    model = ConformalRegressor(LinearRegression(), cv=3, random_state=0).fit(X[:9], Y[:9])
    table, fold = model.calibration_, model.calibration_["fold"].to_numpy()
    mean = np.array([each.predict(NEW) for each in model.estimators_])[fold]
    size = np.abs(table["y"] - table["prediction"]).to_numpy()[:, None]
    np.testing.assert_allclose(model.predict_interval(NEW)[:, 1], (mean + size).max(axis=0))


def test_models_are_not_fitted_if_the_rows_are_too_few():
    class Refuses(Ridge):
        def fit(self, X, y):
            raise AssertionError

    with pytest.raises(ValueError, match="at least 9 groups"):
        ConformalRegressor(Refuses()).fit(X[:8], Y[:8])


# -- wrong input


def test_wrong_input():
    model = ConformalRegressor(Ridge())
    with pytest.raises(ValueError, match=r"takes one target, and y has the shape \(83, 2\)"):
        model.fit(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 rows: \[4\]"):
        model.fit(X, np.where(np.arange(83) == 4, np.nan, Y))
    with pytest.raises(TypeError, match="given a classifier"):
        ConformalRegressor(LogisticRegression()).fit(X, Y)
    with pytest.raises(TypeError, match="given a regressor"):
        ConformalClassifier(Ridge().fit(X, Y)).set_params(estimator=Regressor()).fit(X, Y)
    with pytest.raises(ValueError, match="only one class, 'a'"):
        ConformalClassifier(LogisticRegression()).fit(X, ["a"] * 83)
    with pytest.raises(ValueError, match=r"groups must have the shape \(n,\), got \(83, 2\)"):
        model.fit(X, Y, np.ones((83, 2)))
    with pytest.raises(ValueError, match="row 0 is in 2"):
        ConformalRegressor(Ridge(), cv=[([2, 3], [0, 1]), ([2, 3], [0])]).fit(X, Y)
    with pytest.raises(TypeError, match="return_std"):
        ConformalRegressor(Ridge(), conformity_score="normalized").fit(X, Y)
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.fit(X, Y).predict_interval(X, 1.0)


class Regressor(RegressorMixin, BaseEstimator):
    """It has probabilities, and still is a regressor."""

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.ones((len(X), 1))


class Certain(RegressorMixin, BaseEstimator):
    """A regressor without uncertainty in the rows whose first number is negative."""

    def fit(self, X, y):
        return self

    def predict(self, X, return_std=False):
        mean = np.zeros(len(X))
        return (mean, (X[:, 0] >= 0).astype(float)) if return_std else mean


class WithoutSpread(Certain):
    """It forgets the standard deviations."""

    def predict(self, X, return_std=False):
        return np.zeros(len(X))


class Twice(Certain):
    """Two columns for one target."""

    def predict(self, X, return_std=False):
        return np.zeros((len(X), 2))


def test_predictions_of_the_wrong_form():
    model = ConformalRegressor(WithoutSpread(), conformity_score="normalized")
    with pytest.raises(TypeError, match="WithoutSpread must return predictions and standard dev"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match=r"Twice predicted the shape \(\d+, 2\) for \d+ rows"):
        ConformalRegressor(Twice()).fit(X, Y)


def test_classes_that_only_the_frozen_model_knows():
    labels = classes_of(Y)
    model = FrozenEstimator(LogisticRegression().fit(X, labels))
    few = labels != "middle"
    with pytest.raises(ValueError, match=r"predicts the classes \['middle'\], which no row given"):
        ConformalClassifier(model, method="split").fit(X[few], labels[few])


def test_zero_standard_deviations_are_refused():
    first = int(np.argmax(X[:, 0] < 0))
    model = ConformalRegressor(Certain(), conformity_score="normalized", random_state=0)
    with pytest.raises(ValueError, match=f"standard deviation of row {first} is not positive"):
        model.fit(X, Y)


# -- with scikit-learn


def test_frozen_models_are_calibrated_with_all_rows():
    fitted = Ridge().fit(X[:40], Y[:40])
    model = ConformalRegressor(FrozenEstimator(fitted), method="split").fit(X[40:], Y[40:])
    assert model.calibration_["row"].tolist() == list(range(43))
    np.testing.assert_array_equal(model.predict(NEW), fitted.predict(NEW))
    size = np.sort(np.abs(Y[40:] - fitted.predict(X[40:])))[ceil(0.9 * 44) - 1]
    np.testing.assert_allclose(np.diff(model.predict_interval(NEW))[:, 0], 2 * size)
    with pytest.raises(ValueError, match='use method="split"'):
        ConformalRegressor(FrozenEstimator(fitted)).fit(X, Y)


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_classes_that_a_fold_lacks():
    y = np.where(np.arange(83) < 2, "rare", classes_of(Y))
    groups = np.where(np.arange(83) < 2, 83, np.arange(83))  # both rare rows are in one fold
    for method in ("cv+", "split"):
        model = ConformalClassifier(LogisticRegression(), method=method, random_state=0)
        sets = model.fit(X, y, groups).predict_set(NEW)
        assert sets.shape == (40, 4)
        assert model.predict_proba(NEW).shape == (40, 4)


def test_search_pickle_and_global_generator():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    search = GridSearchCV(
        ConformalRegressor(Ridge(), random_state=0),
        {"estimator__alpha": [0.1, 10.0]},
        scoring=coverage_scorer,
        cv=2,
    ).fit(X, Y)
    model = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(
        model.predict_interval(NEW), search.best_estimator_.predict_interval(NEW)
    )
    assert model.n_features_in_ == 3
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@parametrize_with_checks(
    [
        ConformalRegressor(Ridge(), confidence_level=0.5, cv=2, random_state=0),
        ConformalClassifier(LogisticRegression(), confidence_level=0.5, cv=2, random_state=0),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# -- scores


class Unit:
    def predict_interval(self, X):
        return [[0.0, 1.0], [0.0, 2.0], [3.0, 4.0]]


class Classes:
    classes_ = np.array(["a", "b"])

    def predict_set(self, X):
        return np.array([[True, True], [True, False], [False, False]])


def test_scorers():
    assert coverage_scorer(Unit(), [0, 1, 2], [0.0, 3.0, 3.5]) == pytest.approx(2 / 3)
    assert coverage_scorer(Unit(), [0, 1, 2], [[0.0], [3.0], [3.5]]) == pytest.approx(2 / 3)
    assert width_scorer(Unit(), [0, 1, 2], [0.0, 3.0, 3.5]) == pytest.approx(4 / 3)
    assert coverage_scorer(Classes(), [0, 1, 2], ["b", "a", "a"]) == pytest.approx(2 / 3)
    assert width_scorer(Classes(), [0, 1, 2], ["b", "a", "a"]) == 1
    with pytest.raises(TypeError, match="Ridge has neither"):
        coverage_scorer(Ridge(), X, Y)


def test_comparison_shows_coverage_and_width():
    models = {f"{alpha}": ConformalRegressor(Ridge(alpha), random_state=0) for alpha in (0.1, 10)}
    cv = KFold(3, shuffle=True, random_state=0)
    table = compare_estimators(models, X, Y, cv=cv)
    scoring = {"coverage": coverage_scorer, "width": width_scorer}
    expected = cross_validate(models["10"], X, Y, cv=cv, scoring=scoring)
    scores = table.scores[table.scores["estimator"] == "10"]
    np.testing.assert_allclose(scores["coverage"], expected["test_coverage"])
    np.testing.assert_allclose(scores["mean width"], expected["test_width"])
    assert table.loc["10", "coverage mean"] == pytest.approx(expected["test_coverage"].mean())
    mixed = compare_estimators({**models, "plain": Ridge()}, X, Y, cv=cv)
    assert not any("coverage" in column for column in mixed)
    chosen = compare_estimators(models, X, Y, cv=cv, scoring=["r2", coverage_scorer])
    assert {"R2 mean", "coverage mean"} <= set(chosen.columns)


def test_comparison_of_classifiers_shows_the_size_of_sets():
    model = ConformalClassifier(LogisticRegression(), random_state=0)
    table = compare_estimators({"model": model}, X, classes_of(Y), cv=KFold(3))
    assert 0.7 < table.loc["model", "coverage mean"] <= 1
    assert 0.5 < table.loc["model", "mean width mean"] < 3


# -- crystals

CELLS = random_alloys(24, n_cells=1)
VOLUMES = np.array([cell.volume / len(cell) for cell in CELLS])
CHAIN = make_pipeline(StructureFeaturizer(groups=["volume"]), Ridge())


def test_crystals_are_split_by_composition():
    groups = composition_groups(CELLS)
    assert len(np.unique(groups)) < 24
    model = ConformalRegressor(CHAIN, confidence_level=0.5, cv=3, random_state=0)
    table = model.fit(CELLS, VOLUMES).calibration_
    assert table["group"].tolist() == groups.tolist()
    assert all(len(set(fold)) == 1 for _, fold in table.groupby("group")["fold"])
    same = clone(model).fit(CELLS, VOLUMES, groups)
    np.testing.assert_array_equal(same.predict_interval(CELLS), model.predict_interval(CELLS))
    with pytest.warns(UserWarning, match="cv of ConformalRegressor: .* same composition"):
        clone(model).set_params(cv=KFold(3)).fit(CELLS, VOLUMES)
    clone(model).set_params(cv=CompositionGroupKFold(3)).fit(CELLS, VOLUMES)


def test_network_on_graphs_and_structures():
    network = CGCNNRegressor(
        cutoff=4.0, hidden_dim=4, n_conv=1, readout_dim=4, max_epochs=1, random_state=0
    )
    model = ConformalRegressor(network, confidence_level=0.5, cv=2, random_state=0)
    graphs = StructureToGraph(cutoff=4.0).transform(CELLS)
    from_graphs = model.fit(graphs, VOLUMES).predict_interval(graphs[:3])
    from_structures = clone(model).fit(CELLS, VOLUMES).predict_interval(CELLS[:3])
    np.testing.assert_allclose(from_graphs, from_structures, rtol=1e-5)


def test_elements_that_some_models_have_not_seen_are_warned_of_once():
    cells = [cell.copy() for cell in CELLS]
    cells[3].replace(0, "Au")
    network = CGCNNRegressor(
        cutoff=4.0, hidden_dim=4, n_conv=1, readout_dim=4, max_epochs=1, random_state=0
    )
    model = ConformalRegressor(network, confidence_level=0.5, cv=3, random_state=0)
    with pytest.warns(ExtrapolationWarning) as fitting:
        model.fit(cells, VOLUMES)
    cells[5].replace(0, "Pt")
    with pytest.warns(ExtrapolationWarning) as predicting:
        model.predict_interval(cells)
    assert [len(fitting), len(predicting)] == [1, 1]
    assert "no training row of their fold had: Au (row 3)" in str(fitting[0].message)
    assert "no training row of a fold had: Au (row 3), Pt (row 5)" in str(predicting[0].message)


def test_invalid_crystals_are_named_by_their_row():
    cells = list(CELLS)
    model = ConformalRegressor(CHAIN, confidence_level=0.5, random_state=0)
    cells[7] = None
    with pytest.raises(InvalidStructureError) as found:
        model.fit(cells, VOLUMES, np.arange(24))
    assert found.value.index == 7


def test_ten_crystals_are_just_enough(data_home):
    sample = fetch_cgcnn_sample(data_home=data_home)
    model = ConformalRegressor(CHAIN, random_state=0)
    intervals = model.fit(sample.data, sample.target).predict_interval(sample.data)
    assert np.isfinite(intervals).all()
    with pytest.raises(ValueError, match="at least 9 groups"):
        clone(model).set_params(method="split").fit(sample.data, sample.target)


def test_mixed_chemistry():
    data = make_prototypes(60, random_state=0)
    chain = make_pipeline(CompositionFeaturizer(fractions=False), Ridge())
    model = ConformalRegressor(chain, random_state=0).fit(data.data[:40], data.target[:40])
    coverage = coverage_scorer(model, data.data[40:], data.target[40:])
    assert coverage > 0.7
