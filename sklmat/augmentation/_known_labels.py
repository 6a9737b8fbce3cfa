"""`KnownLabelsRegressor`: a regressor for each target, fitted on the rows with a known label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation._labeler import label_rows
from sklmat.known_labels import target_names

if TYPE_CHECKING:
    from sklmat.typing import Table


class KnownLabelsRegressor(RegressorMixin, BaseEstimator):
    """A regressor for each target, fitted on the rows whose label of this target is known.

    Parameters
    ----------
    estimator : regressor
        It is cloned for each target.

    Attributes
    ----------
    regressors_ : list of regressor
        One for each target.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: np.ndarray) -> Self:
        """Fit a regressor for each target.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n, F)
        y : ndarray of shape (n, n_targets)
            Labels; NaN where a label is missing.
        """
        known = ~np.isnan(y)
        for name, n_known in zip(target_names(y, y.shape[1]), known.sum(axis=0)):
            if not n_known:
                raise ValueError(f"target {name} has no known label; leave it out of y")
        self.regressors_ = [
            clone(self.estimator).fit(X[rows], target[rows]) for target, rows in zip(y.T, known.T)
        ]
        return self

    def predict(self, X: Table, return_std: bool = False) -> Any:
        """Predict all targets; with `return_std` also their standard deviations."""
        check_is_fitted(self)
        columns = [label_rows(regressor, X, return_std) for regressor in self.regressors_]
        means, deviations = zip(*columns)
        means = np.column_stack(means)
        return (means, np.column_stack(deviations)) if return_std else means
