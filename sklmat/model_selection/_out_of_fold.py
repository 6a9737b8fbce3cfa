"""Models fitted on folds, and what they predict for the rows that they were not fitted on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.utils import _safe_indexing, column_or_1d

from sklmat.cross_validation import list_folds, refuse_shared_rows
from sklmat.exceptions import rows_of_input
from sklmat.processes import run_parallel
from sklmat.row_groups import warn_divided_groups
from sklmat.tables import explain_refused_values
from sklmat.targets import as_numbers, refuse_missing_rows
from sklmat.unseen_elements import UnseenElements, gather_unseen_elements, warn_unseen_elements

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.typing import ArrayLike


@dataclass
class OutOfFold:
    """Fitted models, and their outputs for rows that they were not fitted on.

    Attributes
    ----------
    estimators : list of K fitted estimators
    rows : ndarray of int, shape (n,)
        Numbers of the rows in `X`, ascending.
    fold : ndarray of int, shape (n,)
        The model that predicted each of these rows.
    outputs : list of K outputs
        What each model returned for its rows, which are those of `rows` in the same order.
    """

    estimators: list[Any]
    rows: np.ndarray
    fold: np.ndarray
    outputs: list[Any]

    def joined(self, parts: list[np.ndarray]) -> np.ndarray:
        """Put one array of each model into the order of `rows`."""
        values = np.empty((len(self.rows), *np.shape(parts[0])[1:]))
        for fold, part in enumerate(parts):
            values[self.fold == fold] = part
        return values


def one_target(y: ArrayLike, name: str) -> np.ndarray:
    """Return `y` as numbers of shape (n,), or raise a ValueError.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
    name : str
        Name of the estimator, for the message.
    """
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    values = as_numbers(y)
    if values.ndim == 2 and values.shape[1] != 1:
        raise ValueError(
            f"{name} takes one target, and y has the shape {values.shape}; fit one estimator for "
            "each column"
        )
    values = column_or_1d(values, warn=True)
    if not len(values):
        raise ValueError("X is empty (0 rows); there is nothing to fit")
    refuse_missing_rows(values)
    return values


def make_folds(
    cv: int | BaseCrossValidator | Iterable,
    X: Any,
    y: np.ndarray,
    groups: ArrayLike | None,
    labels: np.ndarray,
    *,
    seed: int,
    is_classifier: bool,
    name: str,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide the rows into folds such that each row is in one test fold.

    Parameters
    ----------
    cv : int, cross-validation generator or iterable
        An int means shuffled folds that do not divide a group; those of classes have about the same
        proportions of the classes.
    X, y
    groups : array-like of shape (n,) or None
        As given by the user; passed to a generator.
    labels : ndarray of shape (n,)
        Result of `row_labels`.
    seed : int
        Seed of the shuffle, if `cv` is an int.
    is_classifier : bool
    name : str
        Name of the estimator, for messages.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    ValueError
        When a row is in no test fold, in several, or among the training rows of its fold.

    Warns
    -----
    UserWarning
        When a given `cv` divides groups.
    """
    cv = 5 if cv is None else cv  # as in scikit-learn
    if isinstance(cv, Integral):
        cls = StratifiedGroupKFold if is_classifier else GroupKFold
        folds = list(cls(cv, shuffle=True, random_state=seed).split(labels, y, labels))
    else:
        folds = list_folds(cv, X, y, groups, is_classifier=is_classifier)
        refuse_shared_rows(folds, f"cv of {name}")
        warn_divided_groups(
            folds,
            labels,
            f"cv of {name}",
            "their errors are smaller than those of new compositions; pass an int as cv, or "
            "groups=np.arange(len(X)) to fit if rows of one composition may be apart",
        )
    n_tests = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(y))
    if (n_tests != 1).any():
        row = int(np.argmax(n_tests != 1))
        raise ValueError(
            f"cv of {name} must put each row into one test fold; row {row} is in {n_tests[row]}"
        )
    return [(train, np.sort(test)) for train, test in folds]


def fit_folds(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    folds: list[tuple[np.ndarray, np.ndarray]],
    method: str = "predict",
    *,
    n_jobs: int | None = None,
    **params: Any,
) -> OutOfFold:
    """Fit a clone to the training rows of each fold, and predict its test rows.

    Parameters
    ----------
    estimator : estimator
        It is cloned; a FrozenEstimator so stays as it is.
    X, y
    folds : list of (train, test)
    method : str, default="predict"
        Method that predicts.
    n_jobs : int or None
    **params
        Keyword arguments of the method.

    Returns
    -------
    OutOfFold
    """
    common = estimator, X, y, method, params
    tasks = [(f"in fold {k} of 0-{len(folds) - 1}", *fold) for k, fold in enumerate(folds)]
    results = list(run_parallel(_fit_fold, tasks, common=common, n_jobs=n_jobs))
    unseen = UnseenElements()
    for _, _, gathered in results:
        unseen.add(gathered.symbols, gathered.consequences)
    warn_unseen_elements(
        dict(sorted(unseen.symbols.items())),
        "; ".join(unseen.consequences),
        "no training row of their fold",
    )
    rows = np.concatenate([test for _, test in folds])
    fold = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
    order = np.argsort(rows)
    return OutOfFold(
        [fitted for fitted, _, _ in results],
        rows[order],
        fold[order],
        [output for _, output, _ in results],
    )


def _fit_fold(estimator, X, y, method, params, context, train, test):
    X_train, X_test = (_safe_indexing(X, rows) for rows in (train, test))
    with rows_of_input(train, context), explain_refused_values(X_train):
        fitted = clone(estimator)
        fitted.fit(X_train, _safe_indexing(y, train))
    with (
        rows_of_input(test, context),
        explain_refused_values(X_test),
        gather_unseen_elements() as gathered,
    ):
        output = getattr(fitted, method)(X_test, **params)
    symbols = {int(test[row]): of_row for row, of_row in gathered.symbols.items()}
    return fitted, output, UnseenElements(symbols, gathered.consequences)


def predict_with_all(
    estimators: list[Any], X: Any, method: str = "predict", **params: Any
) -> list[Any]:
    """Call a method of each model for the same rows; elements new to some are warned of once.

    Parameters
    ----------
    estimators : list of fitted estimators
    X
    method : str, default="predict"
    **params
        Keyword arguments of the method.

    Returns
    -------
    list of outputs
    """
    with gather_unseen_elements() as gathered, explain_refused_values(X):
        outputs = [getattr(each, method)(X, **params) for each in estimators]
    warn_unseen_elements(
        dict(sorted(gathered.symbols.items())),
        "; ".join(gathered.consequences),
        "no row of fit" if len(estimators) == 1 else "no training row of a fold",
    )
    return outputs


def predicted_column(values: Any, n_rows: int, estimator: BaseEstimator) -> np.ndarray:
    """Return predictions as finite numbers of shape (n,), or raise a ValueError."""
    column = np.asarray(values, dtype=float)
    if column.shape == (n_rows, 1):
        column = column[:, 0]
    if column.shape != (n_rows,):
        raise ValueError(
            f"{type(estimator).__name__} predicted the shape {column.shape} for {n_rows} rows"
        )
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        raise ValueError(
            f"{type(estimator).__name__} predicted NaN or infinity in {len(bad)} rows, the first "
            f"of them row {bad[0]} of its input"
        )
    return column


def predictions_and_stds(
    output: Any, n_rows: int, estimator: BaseEstimator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what ``predict(X, return_std=True)`` gave as two arrays of shape (n,)."""
    if not (isinstance(output, tuple) and len(output) == 2):
        raise TypeError(
            f"predict(X, return_std=True) of {type(estimator).__name__} must return predictions "
            "and standard deviations"
        )
    mean, std = (predicted_column(part, n_rows, estimator) for part in output)
    return mean, std
