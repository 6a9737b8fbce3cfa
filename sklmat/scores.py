"""`RegressorScoreMixin` and `ClassifierScoreMixin`: `score` names rows without a usable label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.base import ClassifierMixin, RegressorMixin

from sklmat.targets import check_scored, plain_labels

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table


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
        y : array-like of shape (n,) or (n, T)
            True values.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
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
        y : array-like of shape (n,)
            True classes.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        check_scored(y, sample_weight)
        return super().score(X, plain_labels(y), sample_weight)
