"""`GraphRegressor`: base class of regressors with graph networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, overload

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from sklmat.argument_checks import checked_arguments
from sklmat.estimators._graph_estimator import GraphEstimator
from sklmat.estimators._graph_model import GraphModel
from sklmat.estimators._targets import RegressionTargets
from sklmat.fitted_state import unchanged_by_failure
from sklmat.known_labels import score_known_labels

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures


class GraphRegressor(RegressorMixin, GraphEstimator):
    """Base of graph estimators for regression, with one or several targets."""

    targets_class = RegressionTargets

    @unchanged_by_failure
    def partial_fit(
        self,
        X: Structures | CrystalGraphs | pd.DataFrame,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one more epoch at the constant learning rate `lr`.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            Training crystals.
        y : array-like of shape (C,) or (C, n_targets)
            Targets. The scaling is determined in the first call.
        sample_weight : array-like of shape (C,), default=None
            Weight of each crystal.

        Returns
        -------
        self
            The trained estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    @overload
    def predict(
        self, X: Structures | CrystalGraphs | pd.DataFrame, return_std: Literal[False] = False
    ) -> np.ndarray: ...
    @overload
    def predict(
        self, X: Structures | CrystalGraphs | pd.DataFrame, *, return_std: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @checked_arguments()
    def predict(
        self, X: Structures | CrystalGraphs | pd.DataFrame, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the targets.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            Crystals to predict.
        return_std : bool, default=False
            Also return the standard deviation over the members of the ensemble.

        Returns
        -------
        y : ndarray of shape (C,) or (C, n_targets)
            Mean prediction of the members, in the shape and unit of the `y` given to `fit`.
        std : ndarray like `y`
            Only with `return_std`: standard deviation over the members. It does not include the
            noise in the labels.

        Raises
        ------
        ValueError
            When `return_std` is True and the ensemble has one member only; when given graphs have
            other settings than the graphs of `fit` (see `graph_settings_`), after edges beyond the
            parameters `cutoff` and `max_neighbors` are removed from them; or when a crystal has an
            element that no training row had and whose vector is therefore not trained (ECNet with
            ``atom_init="onehot"``).
        """
        model = GraphModel.of(self)
        outputs = model.predict_outputs(X)
        if return_std and len(outputs) < 2:
            raise ValueError("return_std needs an ensemble: set n_ensemble to 2 or more, and refit")
        y = model.targets.decode(outputs)
        return (y.mean(axis=0), y.std(axis=0)) if return_std else y.mean(axis=0)

    def score(
        self,
        X: Structures | CrystalGraphs | pd.DataFrame,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            Test crystals.
        y : array-like of shape (C,) or (C, n_targets)
            True values; NaN where a label is missing.
        sample_weight : array-like of shape (C,), default=None
            Weight of each crystal.

        Returns
        -------
        float
            R² of the known labels of each target, averaged over the targets.

        Raises
        ------
        ValueError
            When labels are missing and a target has fewer than two known labels.
        """
        return score_known_labels(r2_score, y, self.predict(X), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
