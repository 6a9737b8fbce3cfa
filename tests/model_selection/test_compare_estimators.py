"""Estimators compared on the same folds."""

import pickle

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, make_scorer, mean_absolute_error, median_absolute_error
from sklearn.model_selection import KFold, RepeatedKFold, cross_validate

from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.graphs import StructureToGraph
from sklmat.model_selection import ComponentSplit, baselines, compare_estimators


def cell(species, a=3.0):
    """A cubic cell with `species` spread along its diagonal."""
    coords = [[k / len(species)] * 3 for k in range(len(species))]
    return Structure(Lattice.cubic(a * len(species) ** (1 / 3)), species, coords)


class MeanRegressor(RegressorMixin, BaseEstimator):
    """Predicts the mean; takes anything as X, and can be told to fail."""

    def __init__(self, fail_on=None, where="fit"):
        self.fail_on = fail_on
        self.where = where

    def fit(self, X, y):
        self._maybe_fail(X, "fit")
        self.mean_ = np.mean(y, axis=0)
        return self

    def predict(self, X):
        self._maybe_fail(X, "predict")
        return np.full((len(X), *np.shape(self.mean_)), self.mean_)

    def _maybe_fail(self, X, where):
        if self.fail_on is not None and where == self.where:
            for index, item in enumerate(X):
                if item == self.fail_on:
                    raise InvalidStructureError(index, str(item), "is broken")


# -------------------------------------------------------------------- splitters


def alloys():
    """40 rows of 13 compositions, most of them several times."""
    rng = np.random.default_rng(0)
    names = ["Fe", "Ni", "Co", "FeNi", "FeCo", "NiCo", "FeNi3", "Fe3Ni", "FeNiCo", "Fe2NiCo"]
    names += ["FeNiCoCr", "FeNiCoCrMn", "FeNiCoCrPd"]
    return [names[k] for k in rng.integers(len(names), size=40)]


# ------------------------------------------------------------- the comparison


def linear_data(n=24):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=n)


MODELS = {"linear": LinearRegression(), "ridge": Ridge(5.0), "mean": DummyRegressor()}


def test_scores_are_those_of_cross_validate():
    X, y = linear_data()
    cv = KFold(4, shuffle=True, random_state=0)
    table = compare_estimators(MODELS, X, y, cv=cv)
    metrics = {
        "MAE": "neg_mean_absolute_error",
        "RMSE": "neg_root_mean_squared_error",
        "R2": "r2",
    }
    assert list(table.index) == list(MODELS)
    for name, model in MODELS.items():
        expected = cross_validate(model, X, y, cv=cv, scoring=metrics)
        for metric, scorer in metrics.items():
            values = expected[f"test_{metric}"] * (-1 if scorer.startswith("neg") else 1)
            assert table.loc[name, f"{metric} mean"] == pytest.approx(values.mean())
            assert table.loc[name, f"{metric} sd"] == pytest.approx(values.std(ddof=1))
    assert (table["fit seconds mean"] > 0).all()
    assert (table["predict seconds mean"] > 0).all()


def test_scores_table_has_every_fold():
    X, y = linear_data(22)
    scores = compare_estimators(MODELS, X, y, cv=4).scores
    assert len(scores) == 12
    fold = scores.query("estimator == 'ridge' and fold == 0").iloc[0]
    assert (fold["n_train"], fold["n_test"]) == (16, 6)
    expected = mean_absolute_error(y[:6], Ridge(5.0).fit(X[6:], y[6:]).predict(X[:6]))
    assert fold["MAE"] == pytest.approx(expected)


def test_predictions_are_out_of_fold():
    X, y = linear_data(20)
    predictions = compare_estimators(MODELS, X, y, cv=5).predictions
    np.testing.assert_array_equal(predictions["row"], np.arange(20))
    np.testing.assert_array_equal(predictions["fold"], np.repeat(np.arange(5), 4))
    assert (predictions["repeat"] == 0).all()
    np.testing.assert_array_equal(predictions["y_true"], y)
    for row in range(20):
        kept = np.arange(20) // 4 != row // 4
        model = Ridge(5.0).fit(X[kept], y[kept])
        assert predictions.loc[row, "ridge"] == pytest.approx(model.predict(X[[row]])[0])


def test_repeats_are_numbered():
    X, y = linear_data(9)
    cv = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    predictions = compare_estimators({"m": DummyRegressor()}, X, y, cv=cv).predictions
    assert len(predictions) == 18
    np.testing.assert_array_equal(predictions["repeat"], np.repeat([0, 1], 9))
    assert sorted(predictions.query("repeat == 1")["row"]) == list(range(9))


def test_all_estimators_see_the_same_random_folds():
    X, y = linear_data()
    cv = KFold(3, shuffle=True, random_state=np.random.RandomState(0))
    table = compare_estimators({"a": Ridge(), "b": Ridge()}, X, y, cv=cv, reference="a")
    np.testing.assert_array_equal(table.predictions["a"], table.predictions["b"])
    assert table.loc["b", "MAE difference"] == 0
    assert table.loc["b", "MAE p"] == 1


def test_given_estimators_stay_unfitted():
    X, y = linear_data()
    model = Ridge()
    compare_estimators({"a": model}, X, y)
    assert not hasattr(model, "coef_")


def test_one_split_has_no_spread():
    X = alloys()
    y = np.arange(40.0)
    table = compare_estimators({"mean": MeanRegressor()}, X, y, cv=ComponentSplit(2))
    few = np.array([len(Composition(name)) <= 2 for name in X])
    expected = np.abs(y[~few] - y[few].mean()).mean()
    assert table.loc["mean", "MAE mean"] == pytest.approx(expected)
    assert np.isnan(table.loc["mean", "MAE sd"])
    assert sorted(table.predictions["row"]) == np.flatnonzero(~few).tolist()
    assert "±" not in table.summary().loc["mean", "MAE"]


def test_several_targets():
    X, y = linear_data(12)
    y = pd.DataFrame({"energy": y, "moment": 10 * y})
    table = compare_estimators({"ridge": Ridge()}, X, y, cv=3)
    predictions = table.predictions
    assert len(predictions) == 24
    assert list(predictions["target"][:4]) == ["energy", "moment"] * 2
    moment = predictions.query("target == 'moment'")
    np.testing.assert_array_equal(moment["y_true"], y["moment"])
    expected = Ridge().fit(X[4:], y[4:]).predict(X[:4])[:, 1]
    np.testing.assert_allclose(moment["ridge"][:4], expected)
    numbered = compare_estimators({"ridge": Ridge()}, X, y.to_numpy(), cv=3).predictions
    assert list(numbered["target"][:2]) == [0, 1]


@pytest.mark.parametrize("labels", [["bad", "good"], ["a", "b", "c"]])
def test_classifiers(labels):
    rng = np.random.default_rng(0)
    codes = np.resize(np.arange(len(labels)), 45)
    X = codes[:, None] + 0.8 * rng.normal(size=(45, 1))
    y = np.array(labels)[codes]
    models = {"logistic": LogisticRegression(), "prior": DummyClassifier()}
    table = compare_estimators(models, X, y, cv=3)
    predictions = table.predictions
    for fold, rows in predictions.groupby("fold"):
        row = table.scores.set_index(["estimator", "fold"]).loc["logistic", fold]
        assert row["accuracy"] == np.mean(rows["logistic"] == rows["y_true"])
        kept = np.setdiff1d(np.arange(45), rows["row"])
        probabilities = LogisticRegression().fit(X[kept], y[kept]).predict_proba(X[rows["row"]])
        assert row["log loss"] == pytest.approx(log_loss(y[rows["row"]], probabilities))
    area = "ROC AUC mean" if len(labels) == 2 else "ROC AUC OvR mean"
    assert table.loc["prior", area] == 0.5
    assert table.loc["logistic", area] > 0.7
    assert table.loc["prior", "balanced accuracy mean"] == pytest.approx(1 / len(labels))


def test_scoring_names_and_signs():
    X, y = linear_data()
    model = {"mean": DummyRegressor()}
    table = compare_estimators(model, X, y, scoring="neg_median_absolute_error")
    assert table.loc["mean", "median absolute error mean"] > 0
    scoring = {
        "MAE (eV/atom)": "neg_mean_absolute_error",
        "own": make_scorer(median_absolute_error, greater_is_better=False),
    }
    table = compare_estimators(model, X, y, scoring=scoring)
    assert table.loc["mean", "MAE (eV/atom) mean"] > 0
    assert table.loc["mean", "own mean"] < 0
    table = compare_estimators(model, X, y, scoring=lambda estimator, X, y: 7.0)
    assert table.loc["mean", "score mean"] == 7


def test_structures_graphs_and_two_jobs():
    X = [cell(list(Composition(name).as_dict())) for name in alloys()[:12]]
    y = np.arange(12.0)
    one = compare_estimators({"mean": MeanRegressor()}, X, y, cv=3)
    graphs = StructureToGraph(cutoff=4.0).fit_transform(X)
    other = compare_estimators({"mean": MeanRegressor()}, graphs, y, cv=3)
    pd.testing.assert_frame_equal(other.predictions, one.predictions)
    two = compare_estimators({"mean": MeanRegressor()}, tuple(X), list(y), cv=3, n_jobs=2)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)


def test_error_names_the_estimator_and_the_fold():
    X, y = linear_data()
    with pytest.raises(ValueError, match="happened in estimator 'broken', fold 0 of 0-4") as info:
        compare_estimators({"fine": Ridge(), "broken": Ridge(solver="no such")}, X, y)
    # The note has to survive the way back from a worker.
    assert pickle.loads(pickle.dumps(info.value)).__notes__ == info.value.__notes__


@pytest.mark.parametrize("where", ["fit", "predict"])
def test_structure_error_counts_rows_of_the_whole_input(where):
    names = ["a", "b", "c", "d", "e", "f", "g", "h"]
    models = {"mean": MeanRegressor(), "picky": MeanRegressor(fail_on="g", where=where)}
    with pytest.raises(InvalidStructureError, match=r"estimator 'picky', fold") as info:
        compare_estimators(models, names, np.arange(8.0), cv=KFold(4))
    assert info.value.index == 6


def test_error_score_keeps_the_other_folds():
    names, y = list("abcdef"), np.arange(6.0)
    models = {"mean": MeanRegressor(), "picky": MeanRegressor(fail_on="b", where="predict")}
    with pytest.warns(FitFailedWarning, match="estimator 'picky', fold 0"):
        table = compare_estimators(models, names, y, cv=3, error_score=np.nan, scoring="r2")
    assert np.isnan(table.loc["picky", "R2 mean"])
    assert np.isnan(table.loc["picky", "fit seconds mean"])
    assert np.isfinite(table.loc["mean", "R2 mean"])
    assert np.isfinite(table.scores.query("estimator == 'picky' and fold == 1")["R2"]).all()
    np.testing.assert_array_equal(table.predictions["picky"].isna(), [True] * 2 + [False] * 4)
    assert table.predictions["picky"].dtype == float


def test_error_score_is_in_the_natural_sign():
    picky = {"picky": MeanRegressor(fail_on="b")}
    with pytest.warns(FitFailedWarning):
        table = compare_estimators(picky, list("abcdef"), np.ones(6), cv=3, error_score=9)
    # The mean of a constant is right where "b" is not fitted on, which is fold 0.
    assert table.scores["MAE"].tolist() == [0, 9, 9]


def test_splits_given_as_masks():
    X, y = linear_data(6)
    mask = np.array([True, False, True, False, True, True])
    table = compare_estimators({"mean": DummyRegressor()}, X, y, cv=[(mask, ~mask)])
    np.testing.assert_array_equal(table.predictions["row"], [1, 3])
    np.testing.assert_allclose(table.predictions["mean"], y[mask].mean())
    assert table.scores["n_train"].tolist() == [4]


def test_progress_bar_counts_fits(capsys):
    X, y = linear_data()
    compare_estimators(MODELS, X, y, cv=4, verbose=True)
    assert "12/12" in capsys.readouterr().err
    compare_estimators(MODELS, X, y, cv=4)
    assert not capsys.readouterr().err


class Sideways(MeanRegressor):
    """Predicts a column for a flat y."""

    def predict(self, X):
        return super().predict(X)[:, None]


def test_expected_time_is_shown_after_the_first_fold(capsys):
    X, y = linear_data()
    compare_estimators(MODELS, X, y, cv=4, verbose=True)
    states = [state for state in capsys.readouterr().err.split("\r") if "/" in state]
    n_fits = [int(state.split("|")[2].split("/")[0]) for state in states]
    assert all("<" not in state for state, n in zip(states, n_fits) if n < len(MODELS))
    assert "<" in states[-1]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_unseen_elements_are_named_once_per_estimator_by_rows_of_the_input(n_jobs):
    formulas = ["NaCl", "NaF", "LiCl", "LiF", "KF", "KI"]
    targets = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    cv = [([0, 1, 2, 3], [5, 4]), ([0, 1, 4], [3, 2]), ([0, 1, 2, 3, 4, 5], [0])]
    models = baselines("regression", formulas)
    models = {name: models[name] for name in ("mean", "linear, composition")}
    with pytest.warns(ExtrapolationWarning) as caught:
        compare_estimators(
            models, formulas, targets, cv=cv, scoring="neg_mean_absolute_error", n_jobs=n_jobs
        )
    assert [str(warning.message) for warning in caught] == [
        "4 rows hold elements that no training row of their fold had: Li (rows 2, 3), K (rows 4, "
        "5), I (row 5); they have no column of fractions, so that x_* sum to less than one "
        "(estimator 'linear, composition')"
    ]
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("estimators", "settings", "error", "message"),
    [
        ({}, {}, TypeError, "non-empty dict"),
        ([Ridge()], {}, TypeError, "non-empty dict"),
        ({"a": Ridge}, {}, TypeError, r"pass an instance, Ridge\(...\)"),
        ({"a": 3}, {}, TypeError, "no fit and predict"),
        ({"a": Ridge()}, {"reference": "b"}, ValueError, "'b' is not among"),
        ({"row": Ridge()}, {}, ValueError, "cannot name"),
        ({3: Ridge()}, {}, ValueError, "cannot name"),
        ({"a": Ridge(), "b": DummyClassifier()}, {}, ValueError, r"\['b'\] are classifiers"),
        ({"a": Ridge()}, {"error_score": "nan"}, ValueError, "error_score must be"),
        ({"a": Sideways()}, {}, ValueError, r"predicted \(5, 1\)"),
    ],
)
def test_refusals(estimators, settings, error, message):
    X, y = linear_data()
    with pytest.raises(error, match=message):
        compare_estimators(estimators, X, y, **settings)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare_estimators(MODELS, np.ones((5, 1)), np.ones(4))
