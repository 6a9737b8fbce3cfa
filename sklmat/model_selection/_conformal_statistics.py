"""Intervals and sets that MAPIE computes from the predictions of models that were fitted before.

MAPIE takes tables only. Its input here is the table of our predictions, one block of columns for
each model, and its "estimator" returns one of these blocks.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from mapie.classification import CrossConformalClassifier, SplitConformalClassifier
from mapie.conformity_scores import AbsoluteConformityScore, BaseRegressionScore
from mapie.regression import CrossConformalRegressor
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import PredefinedSplit

#: Numbers of an array that MAPIE makes, rows times calibration rows (times classes).
_MAX_NUMBERS = 2**23


class _Block(BaseEstimator):
    """An "estimator" of MAPIE: the columns of the table that hold predictions of one model.

    Parameters
    ----------
    n_models, width : int
        The table begins with `n_models` blocks of `width` columns. In calibration rows, only the
        block of the model that was not fitted on the row is filled, the others are NaN.
    """

    def __init__(self, n_models=1, width=1):
        self.n_models = n_models
        self.width = width

    def fit(self, X, y):
        # The model of a fold has predicted none of the rows that it was fitted on.
        first = X[:, : self.n_models * self.width : self.width]
        self.model_ = int(np.isnan(first).all(axis=0).argmax())
        self.classes_ = np.arange(self.width)
        return self

    def _read(self, X):
        return X[:, self.model_ * self.width : (self.model_ + 1) * self.width]


class _Prediction(RegressorMixin, _Block):
    def predict(self, X):
        return self._read(X)[:, 0]


class _Probabilities(ClassifierMixin, _Block):
    def predict_proba(self, X):
        return self._read(X)

    def predict(self, X):
        return self._read(X).argmax(axis=1)


class _NormalizedScore(BaseRegressionScore):
    """Residual over the standard deviation, which the second half of the table holds.

    Parameters
    ----------
    fold : ndarray of int, shape (n,)
        The model that predicted each calibration row.
    n_models : int
    """

    def __init__(self, fold, n_models):
        super().__init__(sym=True, consistency_check=False)
        self.columns = n_models + fold

    def get_signed_conformity_scores(self, y, y_pred, X, **kwargs):
        return (y - y_pred) / X[np.arange(len(X)), self.columns]

    def get_estimation_distribution(self, y_pred, conformity_scores, X, **kwargs):
        return y_pred + conformity_scores * X[:, self.columns]


def fold_table(values: np.ndarray, fold: np.ndarray, n_models: int) -> np.ndarray:
    """Put the outputs for calibration rows into the columns of the model that made them.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, width)
    fold : ndarray of int, shape (n,)
    n_models : int

    Returns
    -------
    ndarray of shape (n, n_models * width)
        NaN where the row is one that the model was fitted on.
    """
    values = values.reshape(len(values), -1)
    table = np.full((len(values), n_models, values.shape[1]), np.nan)
    table[np.arange(len(values)), fold] = values
    return table.reshape(len(values), -1)


def compute_intervals(
    y: np.ndarray,
    fold: np.ndarray,
    calibration: np.ndarray,
    predictions: np.ndarray,
    rank: int,
    *,
    n_models: int,
) -> np.ndarray:
    """Prediction intervals of CV+ or, with one model, of split conformal prediction.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Targets of the calibration rows.
    fold : ndarray of int, shape (n,)
        The model that was not fitted on each of these rows.
    calibration : ndarray of shape (n, n_models) or (n, 2 * n_models)
        Their predictions, see `fold_table`; then their standard deviations, for intervals that are
        proportional to them.
    predictions : ndarray of shape (m, n_models) or (m, 2 * n_models)
        Those of new rows, by all models.
    rank : int
        The upper bound is the `rank`-th smallest of the n values prediction + absolute residual.
    n_models : int

    Returns
    -------
    ndarray of shape (m, 2)
    """
    n_rows, width = calibration.shape
    score: Any = AbsoluteConformityScore()
    if width > n_models:
        score = _NormalizedScore(fold, n_models)
    mapie = CrossConformalRegressor(
        _Prediction(n_models),
        # MAPIE takes the value of rank ceil(level * (n + 1)).
        confidence_level=(rank - 0.5) / (n_rows + 1),
        conformity_score=score,
        method="plus",
        cv=PredefinedSplit(fold),
        random_state=0,  # None would draw from numpy's generator.
    ).fit_conformalize(calibration, y)
    parts = [
        mapie.predict_interval(part, allow_infinite_bounds=True)[1][:, :, 0]
        for part in _chunks(predictions, n_rows)
    ]
    return np.concatenate(parts)


def compute_sets(
    y: np.ndarray,
    fold: np.ndarray,
    calibration: np.ndarray,
    predictions: np.ndarray,
    rank: int,
    *,
    n_models: int,
    n_classes: int,
) -> np.ndarray:
    """Sets of classes above a threshold of the probability (LAC), of CV+ or with one model.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Classes of the calibration rows, from 0.
    fold, rank, n_models
        As for `compute_intervals`.
    calibration : ndarray of shape (n, n_models * n_classes)
        See `fold_table`.
    predictions : ndarray of shape (m, n_models * n_classes)
    n_classes : int

    Returns
    -------
    ndarray of bool, shape (m, n_classes)
    """
    n_rows = len(y)
    block = _Probabilities(n_models, n_classes)
    if n_models == 1:
        # Calibration rows may lack a class, which only this interface of MAPIE permits.
        mapie = SplitConformalClassifier(
            block.fit(calibration[:0], y[:0]),
            confidence_level=(rank - 0.5) / (n_rows + 1),
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*conformalization dataset has less labels")
            mapie.conformalize(calibration, y)
        settings = {}
    else:
        # MAPIE includes a class if at least alpha * (n - 1) calibration rows conform less.
        alpha = (n_rows - rank + 1) / (n_rows - 1) * (1 - 1e-9)
        mapie = CrossConformalClassifier(
            block,
            confidence_level=1 - alpha,
            cv=PredefinedSplit(fold),
            random_state=0,
        ).fit_conformalize(calibration, y)
        settings = {"agg_scores": "crossval"}
    parts = [
        mapie.predict_set(part, **settings)[1][:, :, 0]
        for part in _chunks(predictions, n_rows * n_classes)
    ]
    return np.concatenate(parts)


def _chunks(table, n_each):
    """Parts of a table whose rows need `n_each` numbers each."""
    n_rows = max(1, _MAX_NUMBERS // n_each)
    return (table[first : first + n_rows] for first in range(0, len(table), n_rows))
