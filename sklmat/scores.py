"""`RegressorScoreMixin` and `ClassifierScoreMixin`: `score` names rows without a usable label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import ClassifierMixin, RegressorMixin

from sklmat.targets import (
    as_numbers,
    plain_array,
    plain_labels,
    refuse_missing_rows,
    weight_column,
)

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table


def check_scored(y: ArrayLike, sample_weight: Any = None, *, numeric: bool = False) -> None:
    """Raise a ValueError for labels or weights with which no score can be computed.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, T)
    sample_weight : array-like of shape (n,), default=None
    numeric : bool, default=False
        Whether the labels must be numbers.
    """
    refuse_missing_rows(as_numbers(y) if numeric else y)
    if sample_weight is not None:
        weight_column(sample_weight, len(plain_array(y)))


class RegressorScoreMixin(RegressorMixin):
    """Mixin for regressors, with a `score` that names rows without a usable label."""

    def score(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : as in `predict`
            Test rows.
        y : array-like of shape (n,) or (n, T)
            True values.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row.

        Returns
        -------
        float
            At most 1; 0 for the mean of `y`.
        """
        check_scored(y, sample_weight, numeric=True)
        return super().score(X, y, sample_weight)


class ClassifierScoreMixin(ClassifierMixin):
    """Mixin for classifiers, with a `score` that names rows without a usable label."""

    def score(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the accuracy: the fraction of rows whose class is predicted.

        Parameters
        ----------
        X : as in `predict`
            Test rows.
        y : array-like of shape (n,)
            True classes.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row.

        Returns
        -------
        float
            Fraction of right predictions.
        """
        check_scored(y, sample_weight)
        return super().score(X, plain_labels(y), sample_weight)
