"""Estimators compared on the same folds."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, make_scorer, mean_absolute_error, median_absolute_error
from sklearn.model_selection import KFold, RepeatedKFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.graphs import StructureToGraph
from sklmat.model_selection import (
    ComponentSplit,
    DeltaRegressor,
    baselines,
    compare_estimators,
    corrected_resampled_ttest,
    label_noise,
)


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


# -- noise of the labels, and models that were pre-trained


def noisy_twins():
    """Ten pairs whose labels differ by 0.2, one of them by 2, and ten rows without a twin."""
    groups = np.r_[np.repeat(np.arange(10), 2), np.arange(10, 20)]
    y = groups + np.where(np.arange(30) < 20, np.resize([0.1, -0.1], 30), 0)
    y[:2] = 1, -1
    return groups.reshape(-1, 1).astype(float), y, groups


class Knows(RegressorMixin, BaseEstimator):
    """Predicts X, which is the label without noise."""

    def fit(self, X, y):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        return X.ravel()


def test_floor_beside_the_errors():
    X, y, groups = noisy_twins()
    noise = label_noise(X, y, groups=groups, disagreement=1)
    models = {"knows": Knows(), "mean": DummyRegressor()}
    plain = compare_estimators(models, X, y, cv=3)
    table = compare_estimators(models, X, y, cv=3, label_noise=noise)
    times = [name for name in plain if "seconds" in name]
    pd.testing.assert_frame_equal(
        table[plain.columns].drop(columns=times), plain.drop(columns=times)
    )
    assert table.label_noise is noise
    # Squares of the labels about the mean of their pair: 2 · 1 and 18 · 0.01.
    assert table.floor.loc["label noise, least", "RMSE mean"] == pytest.approx(np.sqrt(2.18 / 30))
    agree = "RMSE without disagreeing twins mean"
    assert table.floor.loc["label noise, least", agree] == pytest.approx(np.sqrt(0.18 / 28))
    assert table.floor.loc["label noise, expected", agree] == pytest.approx(np.sqrt(2 * 0.18 / 28))
    # Rows 0 and 1 are left out of the first fold of ten: eight errors of 0.1.
    scores = table.scores[table.scores["estimator"] == "knows"]
    assert scores["RMSE without disagreeing twins"].tolist() == pytest.approx([0.1, 0.1, 0])
    assert scores["RMSE"][0] == pytest.approx(np.sqrt(2.08 / 10))
    summary = table.summary()
    assert summary.loc["label noise, least", "RMSE"] == "0.270"
    assert summary.loc["label noise, least", "MAE"] == ""
    assert "RMSE without disagreeing twins" in summary
    assert list(plain.summary().columns) == ["MAE", "RMSE", "R2", "fit seconds", "predict seconds"]
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(again.floor, table.floor)


def test_floor_of_several_targets_is_their_mean():
    X, y, groups = noisy_twins()
    both = np.column_stack([y, 3 * y])
    noise = label_noise(X, both, groups=groups, disagreement=[1, 9])
    table = compare_estimators({"mean": DummyRegressor()}, X, both, cv=3, label_noise=noise)
    expected = 2 * np.sqrt(2.18 / 30)
    assert table.floor.loc["label noise, least", "RMSE mean"] == pytest.approx(expected)


def test_label_noise_is_estimated_when_asked():
    cells = [cell(["Ni", "Cu"]), cell(["Ni", "Cu"]), cell(["Ni"]), cell(["Cu"])]
    table = compare_estimators(
        {"mean": DummyRegressor()}, cells, [1.0, 2.0, 4.0, 4.0], cv=2, label_noise=True
    )
    assert table.label_noise.groups.tolist() == [0, 0, -1, -1]
    # No difference is three times the median difference of the only pair.
    assert table["RMSE mean"].tolist() == table["RMSE without disagreeing twins mean"].tolist()
    assert "disagreeing" not in str(table)


def test_fold_of_disagreeing_rows_only():
    X, y, groups = noisy_twins()
    noise = label_noise(X, y, groups=groups, disagreement=1)
    cv = [(np.arange(2, 30), np.arange(2)), (np.arange(10), np.arange(10, 30))]
    table = compare_estimators(
        {"knows": Knows()}, X, y, cv=cv, label_noise=noise, scoring="neg_mean_absolute_error"
    )
    scores = table.scores["MAE without disagreeing twins"]
    assert np.isnan(scores[0])
    assert scores[1] == pytest.approx(0.05)
    assert table.scores["n_test without disagreeing twins"].tolist() == [0, 20]
    assert table.loc["knows", "MAE mean"] == pytest.approx((1 + 0.05) / 2)
    assert table.loc["knows", "MAE without disagreeing twins mean"] == pytest.approx(0.05)


def test_test_against_the_reference_without_disagreeing_rows():
    """It counts the rows and folds that are left."""
    X, y, groups = noisy_twins()
    noise = label_noise(X, y, groups=groups, disagreement=1)
    tests = [np.arange(2), np.r_[2:12], np.r_[12:22], np.r_[22:30]]
    cv = [(np.setdiff1d(np.arange(30), test), test) for test in tests]
    models = {"knows": Knows(), "mean": DummyRegressor()}
    table = compare_estimators(
        models,
        X,
        y,
        cv=cv,
        label_noise=noise,
        reference="mean",
        scoring="neg_mean_absolute_error",
    )
    name = "MAE without disagreeing twins"
    folds = table.scores.pivot(index="fold", columns="estimator", values=name)[1:]
    expected = corrected_resampled_ttest(
        folds["knows"] - folds["mean"], [20, 20, 22], [10, 10, 8], confidence_level=0.95
    )
    columns = [f"{name} {each}" for each in ("difference", "low", "high", "p")]
    assert table.loc["knows", columns].tolist() == pytest.approx(expected)


def test_summary_with_noise_prints_all_columns():
    X, y, groups = noisy_twins()
    noise = label_noise(X, y, groups=groups, disagreement=1)
    table = compare_estimators({"knows": Knows()}, X, y, cv=3, label_noise=noise)
    with pd.option_context("display.width", 80, "display.max_columns", 0):
        lines = str(table.summary()).splitlines()
        html = table.summary()._repr_html_()
    assert max(map(len, lines)) <= 80
    for metric in ("MAE", "RMSE", "R2"):
        assert any(f"{metric} without disagreeing twins" in line for line in lines)
        assert f"<th>{metric} without disagreeing twins</th>" in html
    assert any(line.startswith("label noise, least") and "0.270" in line for line in lines)
    table = compare_estimators(
        {"knows": Knows(), "mean": DummyRegressor()},
        X,
        y,
        cv=3,
        label_noise=noise,
        reference="mean",
    )
    blocks = [block for block in str(table).split("\n\n") if "label noise, least" in block]
    metrics = [block.split("  ")[0] for block in blocks]
    assert metrics == ["RMSE", "RMSE without disagreeing twins"]
    assert "contradicted by that of another row" in str(table).replace("\n", " ")


def test_noise_that_is_refused():
    X, y, groups = noisy_twins()
    noise = label_noise(X, y, groups=groups)
    with pytest.raises(ValueError, match="for 30 rows; y has 29"):
        compare_estimators({"knows": Knows()}, X[1:], y[1:], label_noise=noise)
    for labels in (10 * y, y[::-1]):
        with pytest.raises(ValueError, match="estimated from other labels"):
            compare_estimators({"knows": Knows()}, X, labels, label_noise=noise)
    both = label_noise(X, np.column_stack([y, y]), groups=groups)
    with pytest.raises(ValueError, match="for 2 targets; y has 1"):
        compare_estimators({"knows": Knows()}, X, y, label_noise=both)
    with pytest.raises(TypeError, match=r"pass label_noise=label_noise\(structures, y\)"):
        compare_estimators({"knows": Knows()}, X, y, label_noise=True)
    with pytest.raises(ValueError, match="'label noise, least' cannot name an estimator"):
        compare_estimators({"label noise, least": Knows()}, X, y, label_noise=noise)
    names = {"MAE": "neg_mean_absolute_error", "MAE without disagreeing twins": "r2"}
    with pytest.raises(ValueError, match="cannot name a metric"):
        compare_estimators({"knows": Knows()}, X, y, label_noise=noise, scoring=names)
    with pytest.raises(TypeError, match="bool or a LabelNoise"):
        compare_estimators({"knows": Knows()}, X, y, label_noise=0.01)
    with pytest.raises(ValueError, match="these are classifiers"):
        compare_estimators({"most": DummyClassifier()}, X, (y > 5).astype(int), label_noise=True)


class Pretrained(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.training_data_ = "MPtrj (Materials Project)"
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_note_on_pretrained_models(n_jobs, tmp_path):
    X, y, _ = noisy_twins()
    models = {
        "pipeline": make_pipeline(Pretrained(), Ridge()),
        "vote": VotingRegressor([("a", make_pipeline(Pretrained(), Ridge())), ("b", Ridge())]),
        "delta": DeltaRegressor(Ridge(), Pretrained(), None),
        "ridge": Ridge(),
    }
    table = compare_estimators(models, X, y, cv=2, n_jobs=n_jobs)
    assert table.notes == (
        "Pre-trained on MPtrj (Materials Project): a model in 'pipeline', 'vote', 'delta'. Its "
        "training set may hold these crystals, which no split repairs.",
    )
    summary = table.summary()
    assert str(summary).endswith(table.notes[0])
    assert summary[["MAE"]].to_string().endswith(table.notes[0])
    assert "<p>Pre-trained on MPtrj" in summary._repr_html_()
    with pd.option_context("display.notebook_repr_html", False):
        assert summary._repr_html_() is None
    buffer = io.StringIO()
    summary.to_string(buffer)
    summary.to_string(tmp_path / "table.txt")
    written = (tmp_path / "table.txt").read_text(encoding="utf-8")
    assert buffer.getvalue() == written == summary.to_string()
    plain = compare_estimators({"ridge": Ridge()}, X, y, cv=2)
    assert plain.notes == ()
    assert type(plain.summary()) is pd.DataFrame
