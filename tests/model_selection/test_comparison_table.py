"""The table of a comparison: how it is printed, and what it keeps under operations of pandas."""

import html
import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, accuracy_score
from sklearn.metrics import mean_absolute_error as mae

from sklmat.model_selection import Comparison, compare_estimators


def linear_data(n=24):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=n)


MODELS = {"linear": LinearRegression(), "ridge": Ridge(5.0), "mean": DummyRegressor()}


@pytest.fixture(scope="module")
def table():
    return compare_estimators(MODELS, *linear_data(), reference="mean")


def test_tables_that_are_computed_from_it_are_ordinary(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(table["MAE mean"]) is pd.Series
        for other in (
            table.round(2),
            table[["MAE mean", "MAE sd"]],
            2 * table,
            table.rank(),
            table.T,
            table.describe(),
            table.isna(),
            table.reindex(["linear", "other"]),
            table.iloc[[0, 0]],
            pd.concat([table, table]),
            table.drop(columns="MAE p"),
            table.join(pd.Series(1.0, table.index, name="new")),
        ):
            assert type(other) is pd.DataFrame
    assert "MAE mean" in str(table.round(2))


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (lambda t: t.sort_values("MAE mean", ascending=False), ["mean", "ridge", "linear"]),
        (lambda t: t.query("`MAE mean` < 1"), ["linear", "ridge"]),
        (lambda t: t[t["MAE p"] < 0.05], ["linear", "ridge"]),
        (lambda t: t.head(2), ["linear", "ridge"]),
        (lambda t: t.loc[["mean", "linear"]], ["mean", "linear"]),
        (lambda t: t.iloc[1:], ["ridge", "mean"]),
        (lambda t: t.drop(index="mean"), ["linear", "ridge"]),
        (lambda t: t.dropna(), ["linear", "ridge"]),
        (lambda t: t.sort_index(), ["linear", "mean", "ridge"]),
        (lambda t: t.copy(), list(MODELS)),
        (lambda t: t.nsmallest(1, "MAE mean"), ["linear"]),
    ],
)
def test_selected_rows_keep_what_belongs_to_them(table, select, names):
    part = select(table)
    assert type(part) is Comparison
    assert list(part.index) == names
    assert set(part.scores["estimator"]) == set(names)
    assert len(part.scores) == 5 * len(names)
    for name in names:
        of_name = table.scores[table.scores["estimator"] == name]
        found = part.scores[part.scores["estimator"] == name]
        np.testing.assert_array_equal(found["MAE"], of_name["MAE"])
    assert set(part.predictions) == {"row", "fold", "repeat", "y_true", *names}
    assert part.reference == "mean"
    again = select(part) if len(names) == len(MODELS) else part.head(1)
    assert set(again.scores["estimator"]) == set(again.index)
    assert len(table.scores) == 15


def test_whole_tables_give_their_own_parts(table):
    """Nothing is copied, so that a column added to the scores is there the next time."""
    assert table.scores is table.scores
    assert table.copy().predictions is table.predictions


def test_files_keep_the_parts(table, tmp_path):
    joblib.dump(table, tmp_path / "table.joblib")
    for again in (
        pickle.loads(pickle.dumps(table)),
        joblib.load(tmp_path / "table.joblib"),
    ):
        pd.testing.assert_frame_equal(again, table)
        pd.testing.assert_frame_equal(again.predictions, table.predictions)
        pd.testing.assert_frame_equal(again.scores, table.scores)
        assert repr(again) == repr(table)
        assert again.sort_values("MAE mean").scores.equals(table.scores)


def test_comparisons_are_made_by_compare_estimators():
    with pytest.raises(AttributeError, match="was not made by compare_estimators"):
        Comparison({"a": [1]}).scores  # noqa: B018
    assert str(Comparison({"a": [1]})) == str(pd.DataFrame({"a": [1]}))


def test_summary_reads_mean_and_sd():
    X, y = linear_data()
    table = compare_estimators(MODELS, X, y, reference="mean")
    table.loc["ridge", ["MAE mean", "MAE sd", "MAE p"]] = [0.012345, 0.00099, 0.00321]
    table.loc["ridge", ["fit seconds mean", "fit seconds sd"]] = [123.4, 5.6]
    row = table.summary().loc["ridge"]
    assert row["MAE"] == "0.0123 ± 0.0010"
    assert row["MAE p"] == "0.0032"
    assert row["fit seconds"] == "123 ± 6"
    assert table.summary(digits=5).loc["ridge", "MAE"] == "0.012345 ± 0.000990"
    assert table.summary().loc["mean", "MAE p"] == ""
    columns = ["MAE", "MAE p", "RMSE", "RMSE p", "R2", "R2 p", "fit seconds", "predict seconds"]
    assert list(table.summary().columns) == columns


# -- print


def constant(value):
    return DummyRegressor(strategy="constant", constant=value)


#: Errors of 1 in the first fold and 3 in the second for a prediction of 0; of 2 and 1 for 4.
FOLDS = [([2, 3], [0, 1]), ([0, 1], [2, 3])]
Y = [1.0, -1.0, 3.0, 3.0]


def test_print_without_reference():
    table = compare_estimators(
        {"zero": constant(0.0), "three": constant(3.0)},
        np.zeros((4, 1)),
        Y,
        cv=FOLDS,
        scoring="neg_mean_absolute_error",
    )
    # Errors of "zero": 1 and 3; of "three": (2 + 4) / 2 = 3 and 0. n - 1 = 1: sd √2 and 3 / √2.
    table[["fit seconds mean", "predict seconds mean"]] = [[0.012, 0.0034], [1234.5, 0.5]]
    assert str(table) == (
        "2 estimators, 2 folds of 2 training rows and 2 test rows\n"
        "\n"
        "               MAE  fit (s)  predict (s)\n"
        "zero   2.00 ± 1.41    0.012        <0.01\n"
        "three  1.50 ± 2.12     1234         0.50\n"
        "\n"
        "MAE: lower is better, in the unit of y. Scores are mean ± standard deviation\n"
        "(sd) over the folds, times are means for a fold."
    )


def test_print_with_reference():
    table = compare_estimators(
        {"zero": constant(0.0), "three": constant(3.0)},
        np.zeros((4, 1)),
        Y,
        cv=FOLDS,
        scoring="neg_mean_absolute_error",
        reference="zero",
        confidence_level=0.8,
    )
    # Differences 2 and -3: mean -0.5, variance 12.5 (1/2 + 1); t of 80 % and one degree 3.078.
    low, high = -0.5 - 3.078 * np.sqrt(18.75), -0.5 + 3.078 * np.sqrt(18.75)
    lines = str(table).splitlines()
    assert lines[2].split() == ["MAE", "mean", "±", "sd", "difference", "80", "%", "interval", "p"]
    assert lines[3].split() == ["zero", "2.00", "±", "1.41", "reference"]
    assert lines[4].split()[:5] == ["three", "1.50", "±", "2.12", "-0"]
    assert lines[4].split()[5:8] == [f"{low:+.0f}", "to", f"{high:+.0f}"]
    assert "minus that of the reference, 'zero'" in str(table)
    assert "reference, 'zero'" in str(table.drop(index="zero"))


def test_one_fold_has_no_interval():
    X, y = linear_data()
    cv = [(np.arange(16), np.arange(16, 24))]
    table = compare_estimators(MODELS, X, y, cv=cv, reference="mean", scoring="r2")
    text = str(table)
    assert "3 estimators, 1 fold of 16 training rows and 8 test rows" in text
    assert "interval " not in text.split("R2: higher")[0]
    assert text.endswith("one fold gives no\ninterval.")
    difference = table.loc["ridge", "R2 difference"]
    assert f"{difference:+.2f}" in text


FIVE = [
    "neg_mean_absolute_error",
    "neg_root_mean_squared_error",
    "r2",
    "neg_max_error",
    "neg_mean_absolute_percentage_error",
]
LONG = {
    "ridge regression on composition, lattice and volume with a strong penalty": Ridge(5.0),
    "x" * 90: LinearRegression(),
    "<mean> & others": DummyRegressor(),
}


@pytest.mark.parametrize("reference", [None, "<mean> & others"])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_print_is_never_wider_than_80(reference, scale):
    X, y = linear_data()
    table = compare_estimators(LONG, X, scale * y, scoring=FIVE, reference=reference, cv=4)
    text = str(table)
    assert max(map(len, text.splitlines())) <= 80
    for word in ("MAE", "RMSE", "R2", "max error", "penalty", "<mean> & others", "fit (s)"):
        assert word in text
    assert "..." not in text
    assert text.count("x" * 16) >= 5
    shown = table._repr_html_()
    for name in LONG:
        assert f"<th>{html.escape(name)}</th>" in shown
    assert "<mean>" not in shown
    with pd.option_context("display.notebook_repr_html", False):
        assert table._repr_html_() is None


def test_nothing_is_claimed_of_own_functions():
    X, y = linear_data()
    scoring = {"own": lambda model, X, y: 1.0, "R2 (test)": "r2", "error (eV)": "neg_max_error"}
    table = compare_estimators({"m": Ridge()}, X, y, scoring=scoring)
    assert table.lower_is_better == table.in_unit_of_y == ("error (eV)",)
    assert table.higher_is_better == ("R2 (test)",)
    text = " ".join(str(table).split())
    assert "R2 (test): higher is better. error (eV): lower is better, in the unit of y." in text
    assert "own:" not in text
    only = compare_estimators({"m": Ridge()}, X, y, scoring=scoring["own"])
    assert "better" not in str(only)


def test_every_metric_with_its_numbers_is_printed(table):
    text = str(table)
    for metric in ("MAE", "RMSE", "R2"):
        block = text.split(f"\n{metric} ")[1].split("\n\n")[0]
        for name in MODELS:
            line = next(line for line in block.splitlines() if line.startswith(name))
            numbers = [float(x) for x in re.findall(r"-?\d+\.?\d*", line.replace("<", ""))]
            expected = table.loc[name, [f"{metric} mean", f"{metric} sd"]]
            np.testing.assert_allclose(numbers[:2], expected, rtol=0.2, atol=0.01)
            if name != "mean":
                columns = [f"{metric} {each}" for each in ("difference", "low", "high")]
                np.testing.assert_allclose(numbers[2:5], table.loc[name, columns], rtol=0.1)


def test_renamed_rows_have_no_scores(table):
    for other in (
        table.rename(index={"mean": "constant"}),
        table.set_axis(list("abc")),
        table.reset_index(),
    ):
        assert str(other) == str(pd.DataFrame(other))
        with pytest.raises(ValueError, match="no longer estimators of the comparison"):
            other.scores  # noqa: B018


def test_added_columns_are_shown():
    X, y = linear_data()
    table = compare_estimators(MODELS, X, y)
    assert "rank" in str(table.assign(rank=[1, 2, 3]))
    table["rank"] = [1, 2, 3]
    assert "rank" in table.to_string()
    assert "rank" in str(table)
    assert "rank" in table._repr_html_()
    assert len(table.scores) == 15


def test_no_rows(table):
    empty = table[table["MAE mean"] < 0]
    assert "Index: []" in str(empty)
    assert len(empty.scores) == 0


def test_print_shows_failed_fits_and_notes():
    X, y = linear_data()
    models = {"fine": Ridge(), "broken": Ridge(solver="no such")}
    with pytest.warns(FitFailedWarning):
        table = compare_estimators(models, X, y, error_score=np.nan)
    assert "nan: a fit failed." in str(table)
    assert re.search(r"broken +nan", str(table))


# -- several targets, classes, fitted estimators


def test_scores_of_each_target():
    X, y = linear_data()
    both = pd.DataFrame({"energy": y, "moment": 10 * y + X[:, 0] ** 2})
    table = compare_estimators(MODELS, X, both, cv=3)
    for number, target in enumerate(both):
        errors = []
        for fold in range(3):
            test = np.arange(8 * fold, 8 * fold + 8)
            train = np.setdiff1d(np.arange(24), test)
            predicted = Ridge(5.0).fit(X[train], both.iloc[train]).predict(X[test])
            errors.append(mae(both.iloc[test, number], predicted[:, number]))
        row = table.target_scores.loc["ridge", target]
        assert row["MAE mean"] == pytest.approx(np.mean(errors))
        assert row["MAE sd"] == pytest.approx(np.std(errors, ddof=1))
        assert f"target {target}" in str(table)
    mean = table.target_scores.groupby("estimator", sort=False)["RMSE mean"].mean()
    np.testing.assert_allclose(mean, table["RMSE mean"])
    assert "means over the targets" in str(table)
    part = table.loc[["mean"]].target_scores
    assert part.index.tolist() == [("mean", "energy"), ("mean", "moment")]
    assert compare_estimators({"mean": DummyRegressor()}, X, y).target_scores is None


class Zero(RegressorMixin, BaseEstimator):
    """Predicts zeros."""

    def fit(self, X, y):
        self.shape_ = np.shape(y)[1:]
        return self

    def predict(self, X):
        return np.zeros((len(X), *self.shape_))


def test_targets_with_missing_labels():
    X, y = linear_data()
    both = np.column_stack([y, y])
    both[::2, 1] = np.nan
    table = compare_estimators({"zero": Zero()}, X, both, cv=[(np.arange(12), np.arange(12, 24))])
    expected = [np.abs(y[12:]).mean(), np.abs(y[13::2]).mean()]
    np.testing.assert_allclose(table.target_scores["MAE mean"], expected)


def test_own_scorers_have_no_target_scores():
    X, y = linear_data()
    both = np.column_stack([y, y])
    table = compare_estimators({"m": Ridge()}, X, both, scoring=lambda model, X, y: 1.0)
    assert table.target_scores is None


def test_probabilities_are_out_of_fold():
    X, y = linear_data(30)
    labels = np.where(y > 0, "metal", "insulator")
    models = {"logistic": LogisticRegression(), "prior": DummyClassifier()}
    table = compare_estimators(models, X, labels, cv=3)
    found = table.probabilities
    assert list(found["logistic"]) == ["insulator", "metal"]
    assert found.index.equals(table.predictions.index)
    rows = table.predictions.query("fold == 1")
    train = np.setdiff1d(np.arange(30), rows["row"])
    expected = LogisticRegression().fit(X[train], labels[train]).predict_proba(X[rows["row"]])
    np.testing.assert_allclose(found.loc[rows.index, "logistic"], expected)
    assert list(table.loc[["prior"]].probabilities.columns.unique(0)) == ["prior"]
    predictions = table.predictions
    matrix = ConfusionMatrixDisplay.from_predictions(predictions["y_true"], predictions["logistic"])
    accuracy = accuracy_score(predictions["y_true"], predictions["logistic"])
    assert np.trace(matrix.confusion_matrix) == round(30 * accuracy)
    curve = RocCurveDisplay.from_predictions(
        predictions["y_true"], found["logistic"]["metal"], pos_label="metal"
    )
    assert np.max(curve.roc_auc) > 0.9
    assert compare_estimators(MODELS, X, y).probabilities is None


def test_classes_that_no_training_row_has():
    X, labels = np.arange(6.0)[:, None], np.array([2, 2, 5, 5, 7, 7])
    cv = [([0, 1, 2, 3], [4, 5]), ([2, 3, 4, 5], [0, 1])]
    table = compare_estimators({"prior": DummyClassifier()}, X, labels, cv=cv, scoring="accuracy")
    expected = [[0.5, 0.5, 0]] * 2 + [[0, 0.5, 0.5]] * 2
    np.testing.assert_array_equal(table.probabilities["prior"][[2, 5, 7]], expected)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_fitted_estimators_are_kept_when_asked(n_jobs):
    X, y = linear_data()
    table = compare_estimators(MODELS, X, y, cv=3, return_estimator=True, n_jobs=n_jobs)
    for fold in range(3):
        rows = table.predictions.query(f"fold == {fold}")
        for name in MODELS:
            predicted = table.estimators[name][fold].predict(X[rows["row"]])
            np.testing.assert_allclose(predicted, rows[name])
    assert list(table.head(1).estimators) == ["linear"]
    assert compare_estimators(MODELS, X, y, cv=3).estimators is None
