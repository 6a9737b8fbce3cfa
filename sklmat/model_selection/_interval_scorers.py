"""`coverage_scorer` and `width_scorer`: scores of prediction intervals and of sets of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils import check_consistent_length

from sklmat.targets import as_numbers, label_column, refuse_missing_rows

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table


def coverage_scorer(
    estimator: BaseEstimator, X: Structures | CrystalGraphs | Table, y: ArrayLike
) -> float:
    """Fraction of labels that are in their prediction interval, or their set of classes.

    It can be passed as `scoring` to scikit-learn and to `compare_estimators`, which uses it by
    itself where all estimators have intervals.

    Parameters
    ----------
    estimator : fitted ConformalRegressor, ConformalClassifier or other
        It must have ``predict_interval``, or ``predict_set`` and `classes_`.
    X : sequence of n crystals, CrystalGraphs or table
        Test rows.
    y : array-like of shape (n,)
        True labels.

    Returns
    -------
    float
        Near the `confidence_level` if the intervals are right; a larger value is not better.

    See Also
    --------
    width_scorer : The mean width, without which the coverage says little.

    Examples
    --------
    >>> from sklmat.model_selection import coverage_scorer
    >>> class Model:
    ...     def predict_interval(self, X):
    ...         return [[0.0, 1.0]] * len(X)
    >>> coverage_scorer(Model(), [10, 20], [0.5, 1.5])
    0.5
    """
    return interval_scores(estimator, X, y)["coverage"]


def width_scorer(
    estimator: BaseEstimator, X: Structures | CrystalGraphs | Table, y: ArrayLike
) -> float:
    """Mean width of prediction intervals, or mean number of classes in sets of classes.

    It can be passed as `scoring` to scikit-learn and to `compare_estimators`, which uses it by
    itself where all estimators have intervals.

    Parameters
    ----------
    estimator : fitted ConformalRegressor, ConformalClassifier or other
        It must have ``predict_interval``, or ``predict_set`` and `classes_`.
    X : sequence of n crystals, CrystalGraphs or table
        Test rows.
    y : array-like of shape (n,)
        True labels.

    Returns
    -------
    float
        In the unit of the target, or a number of classes. Smaller is better at equal coverage: it
        is to be read, and must not choose a model in `GridSearchCV`, which takes the largest score.

    See Also
    --------
    coverage_scorer : The fraction of labels inside.

    Examples
    --------
    >>> from sklmat.model_selection import width_scorer
    >>> class Model:
    ...     def predict_interval(self, X):
    ...         return [[0.0, 1.0]] * len(X)
    >>> width_scorer(Model(), [10, 20], [0.5, 1.5])
    1.0
    """
    return interval_scores(estimator, X, y)["mean width"]


#: Scorer -> its name in tables.
INTERVAL_SCORERS = {coverage_scorer: "coverage", width_scorer: "mean width"}


def interval_scores(
    estimator: BaseEstimator, X: Structures | CrystalGraphs | Table, y: ArrayLike
) -> dict[str, float]:
    """Compute coverage and mean width from one prediction.

    Parameters
    ----------
    estimator, X, y
        As for `coverage_scorer`.

    Returns
    -------
    dict of str to float
    """
    if hasattr(estimator, "predict_set"):
        refuse_missing_rows(y)
        sets = np.asarray(estimator.predict_set(X))
        labels = label_column(y)
        check_consistent_length(sets, labels)
        is_inside = (sets & (labels[:, None] == estimator.classes_)).any(axis=1)
        widths = sets.sum(axis=1)
    elif hasattr(estimator, "predict_interval"):
        values = as_numbers(y)
        refuse_missing_rows(values)
        low, high = np.asarray(estimator.predict_interval(X)).T
        if values.shape == (len(low), 1):
            values = values[:, 0]
        if values.shape != low.shape:
            raise ValueError(f"y has the shape {values.shape}, and X has {len(low)} rows")
        is_inside, widths = (low <= values) & (values <= high), high - low
    else:
        raise TypeError(
            f"coverage and width need an estimator with predict_interval or predict_set, and "
            f"{type(estimator).__name__} has neither; use ConformalRegressor or ConformalClassifier"
        )
    return {"coverage": float(is_inside.mean()), "mean width": float(widths.mean())}
