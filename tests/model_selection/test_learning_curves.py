"""Learning curves of several estimators."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import KFold

from sklmat.model_selection import CompositionGroupKFold, learning_curves
from sklmat.model_selection import LearningCurves as Curves

MODELS = {"linear": LinearRegression(), "mean": DummyRegressor()}
CV = KFold(4, shuffle=True, random_state=0)


def linear_data(n=40):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=n)


class Recorder(RegressorMixin, BaseEstimator):
    """Remembers the rows of each fit, which are the entries of X."""

    fits = []

    def fit(self, X, y):
        self.fits.append(np.ravel(X).astype(int))
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.fixture
def recorded():
    """Rows of each fit, for one estimator after the other."""

    def run(**settings):
        Recorder.fits = []
        n = 24
        X, y = np.arange(n)[:, None], np.arange(float(n))
        curves = learning_curves({"a": Recorder(), "b": Recorder()}, X, y, **settings)
        scores = curves.scores.assign(rows=Recorder.fits)
        keys = ["estimator", "fold", "draw", "train_size"]
        return scores.set_index(keys)["rows"], curves

    return run


def test_subsets_are_nested_in_each_draw_and_the_same_for_all_estimators(recorded):
    rows, _ = recorded(cv=CV, train_sizes=[2, 0.5, 1.0], n_repeats=3, random_state=0)
    folds = [set(train) for train, _ in CV.split(np.zeros(24))]
    for fold in range(4):
        for draw in range(3):
            small, half = (set(rows["a", fold, draw, size]) for size in (2, 0.5))
            assert len(small) == 2
            assert len(half) == 9
            assert small < half < folds[fold]
            for size in (2, 0.5):
                np.testing.assert_array_equal(
                    rows["a", fold, draw, size], rows["b", fold, draw, size]
                )
        assert set(rows["a", fold, 0, 1.0]) == folds[fold]
    drawn = {tuple(rows["a", 0, draw, 0.5]) for draw in range(3)}
    assert len(drawn) == 3
    # All training rows are fitted once.
    assert len(rows) == 2 * 4 * (3 + 3 + 1)


def test_seed(recorded):
    settings = {"cv": CV, "train_sizes": [5], "n_repeats": 2}
    first, second, other = (recorded(random_state=seed, **settings)[0] for seed in (3, 3, 4))
    assert all(map(np.array_equal, first, second))
    assert not all(map(np.array_equal, first, other))


def test_groups_are_drawn_whole(recorded):
    groups = np.repeat(list("abcdefgh"), 3)
    rows, curves = recorded(
        cv=CV, train_sizes=[4, 10], subset_groups=groups, n_repeats=3, random_state=0
    )
    for (_, fold, _, _), subset in rows.items():
        train = list(CV.split(np.zeros(24)))[fold][0]
        present = set(groups[subset])
        assert set(subset) == {row for row in train if groups[row] in present}
    scores = curves.scores
    # A group has at most three rows, so that at most two are more than was asked for.
    excess = scores["n_train"] - scores["train_size"].astype(int)
    assert excess.min() >= 0
    assert excess.max() <= 2
    assert list(scores["n_train"]) == [len(subset) for subset in rows]


def test_groups_of_the_splitter_are_drawn_whole_too(recorded):
    from sklearn.model_selection import GroupKFold

    groups = np.repeat(np.arange(8), 3)
    rows, _ = recorded(cv=GroupKFold(4), groups=groups, train_sizes=[6], random_state=0)
    assert all(len(set(groups[subset])) == 2 for subset in rows)


def test_compositions():
    formulas = ["NaCl", "KCl", "NaF", "KF", "LiF", "LiCl"] * 3
    curves = learning_curves(
        {"mean": DummyRegressor()},
        formulas,
        np.arange(18.0),
        cv=CompositionGroupKFold(3, random_state=0),
        subset_groups=formulas,
        train_sizes=[3, 1.0],
    )
    assert set(curves.scores["n_train"]) == {3, 12}


def test_scores_are_those_of_the_fits(recorded):
    rows, curves = recorded(cv=CV, train_sizes=[6], n_repeats=2, random_state=0)
    for number, row in curves.scores.iterrows():
        test = list(CV.split(np.zeros(24)))[row["fold"]][1]
        subset = rows.iloc[number]
        expected = mean_absolute_error(test, np.full(6, subset.mean()))
        assert row["MAE"] == pytest.approx(expected)
        assert (row["n_available"], row["n_test"]) == (18, 6)


def make_curves(values, n_available=16, n_test=4):
    """Curves of two estimators with given scores (estimator, fold, draw)."""
    rows = [
        {"estimator": name, "train_size": 8, "fold": fold, "draw": draw, "n_train": 8}
        | {"n_available": n_available, "n_test": n_test, "MAE": values[number][fold][draw]}
        | {"fit seconds": 1.0, "predict seconds": 2.0}
        for number, name in enumerate("ab")
        for fold in range(len(values[0]))
        for draw in range(len(values[0][0]))
    ]
    return Curves(pd.DataFrame(rows), ("MAE",), ("MAE",), (), ("MAE",), 0.9)


def test_intervals_by_hand():
    """Means of the folds 2, 4 and 9: mean 5, variance 13, factor 1/3 + 4/16."""
    curves = make_curves([[[1, 3], [4, 4], [10, 8]], [[2, 4], [4, 4], [8, 10]]])
    a, b = (row for _, row in curves.table.iterrows())
    half_width = stats.t.ppf(0.95, 2) * np.sqrt(13 * (1 / 3 + 4 / 16))
    assert a["MAE mean"] == 5
    assert a["MAE sd"] == pytest.approx(np.std([1, 3, 4, 4, 10, 8], ddof=1))
    assert a["MAE high"] - a["MAE mean"] == pytest.approx(half_width)
    assert a["MAE mean"] - a["MAE low"] == pytest.approx(half_width)
    assert (a["fit seconds"], b["MAE mean"]) == (1.0, pytest.approx(16 / 3))
    # Differences of the folds: 1, 0 and 0.
    (row,) = curves.differences("a").to_dict("records")
    half_width = stats.t.ppf(0.95, 2) * np.sqrt((1 / 3) * (1 / 3 + 4 / 16))
    assert row["estimator"] == "b"
    assert row["MAE difference"] == pytest.approx(1 / 3)
    assert row["MAE high"] == pytest.approx(1 / 3 + half_width)
    with pytest.raises(ValueError, match="'c' is not among"):
        curves.differences("c")


def test_one_fold_has_means_only():
    curves = make_curves([[[1, 3]], [[2, 4]]])
    assert curves.table["MAE mean"].tolist() == [2, 3]
    assert curves.table["MAE low"].isna().all()
    assert "one fold gives no interval" in str(curves)


def test_intervals_hold_their_level():
    """Ridge regression on data whose expected error is known from other data."""
    rng = np.random.default_rng(0)
    n_rows, n_folds, n_draws, size, weights = 60, 5, 3, 12, np.ones(4)

    def draw(n):
        X = rng.normal(size=(n, 4))
        return X, X @ weights + rng.normal(size=n)

    def error(train, test):
        X, y = train
        fitted = np.linalg.solve(X.T @ X + np.eye(4), X.T @ y)
        return np.abs(test[0] @ fitted - test[1]).mean()

    many = draw(20_000)
    expected = np.mean([error(draw(size), many) for _ in range(1500)])
    n_held, n_data = 0, 150
    for _ in range(n_data):
        X, y = draw(n_rows)
        values = np.empty((n_folds, n_draws))
        for fold, test in enumerate(np.arange(n_rows).reshape(n_folds, -1)):
            others = np.setdiff1d(np.arange(n_rows), test)
            for number in range(n_draws):
                subset = rng.choice(others, size, replace=False)
                values[fold, number] = error((X[subset], y[subset]), (X[test], y[test]))
        table = make_curves([values, values], n_available=48, n_test=12).table
        n_held += table.loc[0, "MAE low"] <= expected <= table.loc[0, "MAE high"]
    # Intervals of level 0.9; three standard deviations of the fraction are 0.07.
    assert 0.83 <= n_held / n_data <= 0.98


def test_print_in_80_columns():
    X, y = linear_data()
    models = {"a name that goes on for more than " + 40 * "z": Ridge(), **MODELS}
    curves = learning_curves(models, X, y, cv=CV, train_sizes=[8, 1.0], random_state=0)
    text = str(curves)
    assert max(map(len, text.splitlines())) <= 80
    row = curves.table.query("estimator == 'mean'").iloc[1]
    assert f"{row['MAE mean']:.2f} ({row['MAE low']:.2f} to {row['MAE high']:.2f})" in text
    assert "30 training rows" in text
    assert "MAE, RMSE: lower is better, in the unit of y." in text
    shown = curves._repr_html_()
    assert "<th>8 training rows</th>" in shown
    assert curves.table["train_size"].tolist() == [8, 1.0] * 3
    assert repr(pickle.loads(pickle.dumps(curves))) == text


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_classifiers_and_parallel_fits(n_jobs, capsys):
    X, y = linear_data()
    models = {"logistic": LogisticRegression(), "prior": DummyClassifier()}
    curves = learning_curves(
        models, X, y > 0, cv=3, train_sizes=[12, 24], random_state=0, n_jobs=n_jobs, verbose=True
    )
    assert curves.metrics == ("accuracy", "balanced accuracy", "ROC AUC", "log loss")
    assert curves.lower_is_better == ("log loss",)
    assert curves.table.loc[1, "accuracy mean"] > 0.8
    assert "learning curves: 100%" in capsys.readouterr().err


class Picky(DummyRegressor):
    """Cannot be fitted to five rows."""

    def fit(self, X, y):
        if len(X) == 5:
            raise ValueError("five")
        return super().fit(X, y)


def test_errors_name_estimator_size_fold_and_draw():
    X, y = linear_data()
    settings = {"cv": CV, "train_sizes": [3, 5], "random_state": 0}
    where = "estimator 'picky', train_size 5, fold 0 of 0-3, draw 0 of 0-2"
    with pytest.raises(ValueError, match="five") as error:
        learning_curves({"picky": Picky()}, X, y, **settings)
    assert error.value.__notes__ == [f"This happened in {where}."]
    with pytest.warns(FitFailedWarning, match=where):
        curves = learning_curves({"picky": Picky()}, X, y, error_score=np.nan, **settings)
    assert curves.table["MAE mean"].isna().tolist() == [False, True]
    assert "nan: a fit failed." in str(curves)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_sizes": [31]}, "31 of the 30 training rows of fold 0"),
        ({"train_sizes": [0.01]}, "0 of the 30 training rows"),
        ({"train_sizes": [15, 0.5]}, r"are \[15, 15\] rows in fold 0; each may occur once"),
        ({"train_sizes": [1.5]}, "has 1.5; use an int"),
        ({"train_sizes": [0]}, "has 0; use an int"),
        ({"train_sizes": [True]}, "has True; use an int"),
        ({"train_sizes": []}, "must be a sequence of sizes"),
        ({"train_sizes": 5}, "must be a sequence of sizes"),
        ({"n_repeats": 0}, "n_repeats must be a positive int"),
        ({"subset_groups": [1, 2]}, "inconsistent numbers of samples"),
        ({"error_score": "nan"}, "error_score must be"),
    ],
)
def test_refusals(settings, message):
    X, y = linear_data()
    with pytest.raises(ValueError, match=message):
        learning_curves(MODELS, X, y, cv=CV, **settings)
