"""`MatbenchSplit`: the five outer folds of the benchmark matbench v0.1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from sklearn.model_selection import BaseCrossValidator, KFold, StratifiedKFold
from sklearn.utils.multiclass import type_of_target

from sklmat.targets import (
    number_array,
    plain_array,
    plain_labels,
    refuse_missing_rows,
    refuse_mixed_labels,
    refuse_not_real,
)

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Compositions, Structures

FOLDS = {"n_splits": 5, "shuffle": True, "random_state": 18012019}


class MatbenchSplit(BaseCrossValidator):
    """The five folds in which every published score of matbench v0.1 was measured.

    The folds are ``KFold(n_splits=5, shuffle=True, random_state=18012019)`` for regression, and
    ``StratifiedKFold`` with the same arguments for classification. They depend only on the number
    and order of the rows and, for classification, on the classes. Pass all rows of a data set of
    `fetch_matbench` in their order to get the folds of matbench. The splitter can be passed as
    ``cv`` everywhere in scikit-learn.

    Parameters
    ----------
    task : {"regression", "classification"} or None, default=None
        Type of the target. None determines it from `y`: regression if numbers are not whole, or if
        there are more than two different floating-point numbers; classification for labels,
        integers and two different values. If `y` holds integers and one of them occurs less than
        five times, the type is unclear, and there is an error.

    References
    ----------
    .. [1] Dunn, Wang, Ganose, Dopp, Jain, npj Comput. Mater. 6, 138 (2020),
       https://doi.org/10.1038/s41524-020-00406-3

    Examples
    --------
    The first test rows of the first fold of the 312 steels of matbench, whose ids count from 1:

    >>> from sklmat.model_selection import MatbenchSplit
    >>> train, test = next(MatbenchSplit("regression").split(range(312)))
    >>> [f"mb-steels-{row + 1:03}" for row in test[:3]]
    ['mb-steels-003', 'mb-steels-005', 'mb-steels-020']
    """

    def __init__(self, task: Literal["regression", "classification"] | None = None) -> None:
        self.task = task

    def split(
        self,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: object = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of each split.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs, array or DataFrame
            Only the number of rows is used.
        y : array-like of shape (C,) or (C, n_targets), default=None
            The target. It is needed only for a classification task and for ``task=None``.
        groups : None
            Must be None, because the folds are fixed.

        Yields
        ------
        train, test : ndarray of int
            Numbers of the training and of the test rows, ascending.

        Raises
        ------
        ValueError
            When `task` is unknown, when `y` is needed and missing, or when the type of the target
            cannot be determined from `y`.
        """
        if groups is not None:
            raise ValueError(
                "MatbenchSplit has the fixed folds of matbench; leave out groups, or use "
                "scikit-learn's GroupKFold"
            )
        if self.task not in ("regression", "classification", None):
            raise ValueError(
                f"task must be 'regression', 'classification' or None, got {self.task!r}"
            )
        if y is None and self.task != "regression":
            raise ValueError(
                "the folds of MatbenchSplit depend on the classes in y; pass y, or "
                "MatbenchSplit('regression') if y is a quantity"
            )
        if y is not None:
            y = np.asarray(y) if self.task == "regression" else _checked_labels(y)
            if self.task == "classification":
                refuse_missing_rows(y)
        task = self.task or _kind_of_target(y)
        folds = KFold(**FOLDS) if task == "regression" else StratifiedKFold(**FOLDS)
        yield from folds.split(X, y)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds, 5.

        Parameters
        ----------
        X, y, groups : object
            Not used; scikit-learn passes them.

        Returns
        -------
        int
            The number of folds.
        """
        return FOLDS["n_splits"]


def _checked_labels(y):
    """Return numbers or classes as an array; an error names the row of a value that is neither."""
    refuse_not_real(y)
    labels = plain_array(plain_labels(y))
    if labels.dtype.kind != "O":
        return labels
    # Among floats, a missing value is NaN.
    if any(isinstance(value, float) and value == value for value in labels.flat):
        return number_array(labels, "y")
    refuse_missing_rows(labels)
    refuse_mixed_labels(labels)
    return labels


def _kind_of_target(y):
    """Return "regression" or "classification"; raise a ValueError if `y` can be both."""
    # Missing labels of a target among several are NaN, which `type_of_target` refuses.
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        return "regression"
    kind = type_of_target(y)
    if kind.startswith("continuous") or (kind.startswith("multiclass") and y.dtype.kind == "f"):
        return "regression"
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"scikit-learn calls this y {kind!r}; say what it is: MatbenchSplit('regression') or "
            "MatbenchSplit('classification')"
        )
    if kind == "multiclass" and y.dtype.kind in "iu":
        values, counts = np.unique(y, return_counts=True)
        rarest = counts.argmin()
        if counts[rarest] < FOLDS["n_splits"]:
            raise ValueError(
                f"y holds integers, of which {values[rarest]} occurs {counts[rarest]} times, too "
                "few for a class in each of five folds; say what y is: MatbenchSplit('regression') "
                "or MatbenchSplit('classification')"
            )
    return "classification"
