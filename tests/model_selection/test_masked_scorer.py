"""Scores over the known labels of several targets."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat.model_selection import compare_estimators, masked_scorer
from sklmat.model_selection._masked_scorer import METRICS
from sklmat.plotting import ParityDisplay

NAN = np.nan
X = np.arange(8.0).reshape(-1, 1)


class Constant(RegressorMixin, BaseEstimator):
    """Predicts the mean of the known labels plus a shift, which asks for a shift of each row."""

    __metadata_request__predict = {"row_shift": True}

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        self.mean_ = np.nanmean(np.asarray(y), axis=0)
        return self

    def predict(self, X, row_shift=None):
        predictions = np.tile(self.mean_ + self.shift, (len(X), 1))
        return predictions if row_shift is None else predictions + np.c_[row_shift]


class Identity(RegressorMixin, BaseEstimator):
    """Predicts its input."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.asarray(X)


def test_each_target_is_scored_over_its_known_labels():
    predicted = [[1.0, 0.0], [2.0, 5.0], [3.0, 7.0], [4.0, 9.0]]
    y = [[1.0, NAN], [4.0, 5.0], [NAN, 6.0], [1.0, 13.0]]
    # Errors 0, 2, 3 of the first target and 0, 1, 4 of the second.
    expected = {
        "neg_mean_absolute_error": -(5 / 3 + 5 / 3) / 2,
        "neg_mean_squared_error": -(13 / 3 + 17 / 3) / 2,
        "neg_root_mean_squared_error": -((13 / 3) ** 0.5 + (17 / 3) ** 0.5) / 2,
        "neg_median_absolute_error": -(2 + 1) / 2,
        # Around the means 2 and 8: squares 1 + 4 + 1 and 9 + 4 + 25.
        "r2": ((1 - 13 / 6) + (1 - 17 / 38)) / 2,
    }
    for name, score in expected.items():
        for labels in (y, np.array(y), pd.DataFrame(y)):
            assert masked_scorer(name)(Identity(), predicted, labels) == pytest.approx(score), name
    # The weights of the rows with a known label: (1·0 + 1·2 + 2·3) / 4 and (1·0 + 5·1 + 2·4) / 8.
    score = masked_scorer("neg_mean_absolute_error")(Identity(), predicted, y, [1, 1, 5, 2])
    assert score == pytest.approx(-(8 / 4 + 13 / 8) / 2)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("n_targets", [None, 1, 3])
def test_without_missing_labels_scores_are_those_of_scikit_learn(name, n_targets):
    shape = (9,) if n_targets is None else (9, n_targets)
    y, predictions = np.random.default_rng(0).normal(size=(2, *shape))
    assert masked_scorer(name)(Identity(), predictions, y) == get_scorer(name)(
        Identity(), predictions, y
    )


def test_too_few_known_labels_are_named():
    y = pd.DataFrame({"gap": [1.0, 2.0, 3.0], "moment": [NAN, NAN, 1.0]})
    assert masked_scorer("neg_mean_absolute_error")(Identity(), y.fillna(0), y) == 0
    with pytest.raises(ValueError, match="target 'moment' has 1 known labels in these 3 rows"):
        masked_scorer("r2")(Identity(), y.fillna(0), y)
    with pytest.raises(ValueError, match="target 1 has 0 known labels in these 2 rows"):
        masked_scorer("neg_mean_squared_error")(Identity(), np.ones((2, 2)), y.to_numpy()[:2])
    with pytest.raises(ValueError, match=r"scoring='max_error' cannot .*\['explained_variance', "):
        masked_scorer("max_error")


def holes():
    """Labels of two targets; 0, 1, 2, ... where they are known."""
    y = np.arange(16.0).reshape(8, 2)
    y[[0, 5], 0] = y[[3], 1] = NAN
    return y


def test_cross_validate_and_searches_score_known_labels():
    y = holes()
    scoring = {"mae": masked_scorer("neg_mean_absolute_error"), "r2": masked_scorer("r2")}
    found = cross_validate(Constant(), X, y, cv=KFold(2), scoring=scoring, error_score="raise")
    # First fold: means 11.333 (8, 12, 14) and 12 (9, 11, 13, 15); labels 2, 4, 6 and 1, 3, 5.
    assert_allclose(found["test_mae"][0], -((34 / 3 - 4) + (12 - 3)) / 2)
    search = GridSearchCV(
        Constant(), {"shift": [-5.0, 0.0]}, cv=KFold(2), refit="mae", scoring=scoring
    )
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_mae"]).all()
    assert pickle.loads(pickle.dumps(scoring["r2"])).scoring == "r2"
    assert repr(scoring["r2"]) == "masked_scorer('r2')"


def test_compare_estimators_scores_known_labels():
    y = holes()
    models = {"mean": Constant(), "shifted": Constant(1.0)}
    table = compare_estimators(models, X, y, cv=KFold(2), reference="mean")
    by_scorer = cross_validate(
        Constant(1.0), X, y, cv=KFold(2), scoring=masked_scorer("neg_mean_absolute_error")
    )["test_score"]
    assert_allclose(table.scores.query("estimator == 'shifted'")["MAE"], -by_scorer)
    assert table.columns[:6:2].tolist() == ["MAE mean", "RMSE mean", "R2 mean"]
    assert table.predictions["y_true"].isna().sum() == 3
    assert table.predictions["mean"].notna().all()
    display = ParityDisplay.from_comparison(table, target=0)
    assert len(display.y_true) == 6
    # Scorers may also be given.
    given = compare_estimators(
        models, X, y, cv=KFold(2), scoring=[masked_scorer("neg_mean_absolute_error")]
    )
    assert_array_equal(given["MAE mean"], table["MAE mean"])
    with pytest.raises(ValueError, match="scoring='max_error' cannot leave missing labels out"):
        compare_estimators(models, X, y, cv=KFold(2), scoring="max_error")


def test_full_labels_change_nothing():
    full = np.arange(16.0).reshape(8, 2)
    models = {"line": make_pipeline(StandardScaler(), Ridge())}
    table = compare_estimators(models, X, full, cv=KFold(2))
    scoring = ["neg_mean_absolute_error", "neg_root_mean_squared_error", "r2"]
    plain = cross_validate(models["line"], X, full, cv=KFold(2), scoring=scoring)
    for metric, name in zip(("MAE", "RMSE", "R2"), scoring):
        sign = -1 if name.startswith("neg_") else 1
        assert_array_equal(table.scores[metric], sign * plain[f"test_{name}"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (slice(4, 8), "fold 1 of 0-1 has no known label of target 'gap' among its 4 test rows"),
        (slice(0, 4), "fold 0 of 0-1 has no known label of target 'gap' among its 4 test rows"),
    ],
)
def test_folds_without_a_known_label_are_refused(rows, message):
    y = pd.DataFrame(np.arange(16.0).reshape(8, 2), columns=["gap", "moment"])
    y.iloc[rows, 0] = NAN
    splits = list(KFold(2).split(X))
    if rows == slice(4, 8):
        splits[0] = (np.r_[splits[0][0], 0], splits[0][1][1:])  # It has a label to train on.
    with pytest.raises(ValueError, match=message):
        compare_estimators({"mean": Constant()}, X, y, cv=splits)


def test_metadata_reaches_predict():
    y = np.arange(16.0).reshape(8, 2)
    shift = np.arange(8.0)
    models = {"mean": Constant(), "shift": Constant(1.0), "line": Ridge()}
    with pytest.raises(TypeError, match=r"no estimator asks for .*row_shift"):
        compare_estimators({"line": Ridge()}, X, y, params={"row_shift": shift})
    with config_context(enable_metadata_routing=True):
        scorer = masked_scorer("neg_mean_absolute_error").set_score_request(row_shift=True)
        found = cross_validate(
            models["mean"],
            X,
            y,
            cv=KFold(2),
            scoring=scorer,
            params={"row_shift": shift},
            error_score="raise",
        )["test_score"]
        line = cross_validate(Ridge(), X, y, cv=KFold(2), scoring=scorer, error_score="raise")
    # Means 11 and 12 of rows 4-7, shifted by 0, 1, 2, 3; labels 0, 2, 4, 6 and 1, 3, 5, 7.
    assert found[0] == pytest.approx(-(np.mean([11, 10, 9, 8])))
    assert np.isfinite(line["test_score"]).all()
    table = compare_estimators(models, X, y, cv=KFold(2), params={"row_shift": shift})
    assert_allclose(table.scores.query("estimator == 'mean'")["MAE"], -found)
