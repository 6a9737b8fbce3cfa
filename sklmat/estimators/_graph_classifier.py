"""`GraphClassifier`: base class of classifiers with graph networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, overload

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.estimators._graph_estimator import GraphEstimator
from sklmat.estimators._graph_model import GraphModel
from sklmat.estimators._targets import ClassTargets
from sklmat.fitted_state import unchanged_by_failure
from sklmat.scores import ClassifierScoreMixin

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures


class GraphClassifier(ClassifierScoreMixin, GraphEstimator):
    """Base of graph estimators for classification, with two or more classes."""

    targets_class = ClassTargets

    @unchanged_by_failure
    def partial_fit(
        self,
        X: Structures | CrystalGraphs | pd.DataFrame,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one more epoch at the constant learning rate `lr`.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            Training crystals.
        y : array-like of shape (C,)
            Classes.
        classes : array-like, default=None
            All classes of all calls; needed only if the `y` of the first call lacks some of them.
        sample_weight : array-like of shape (C,), default=None
            Weight of each crystal.

        Returns
        -------
        self
            The trained estimator.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    @overload
    def predict_proba(
        self, X: Structures | CrystalGraphs | pd.DataFrame, return_std: Literal[False] = False
    ) -> np.ndarray: ...
    @overload
    def predict_proba(
        self, X: Structures | CrystalGraphs | pd.DataFrame, *, return_std: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...
    @checked_arguments()
    def predict_proba(
        self, X: Structures | CrystalGraphs | pd.DataFrame, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the probabilities of the classes: softmax outputs, averaged over the ensemble.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            Crystals to predict.
        return_std : bool, default=False
            Also return the standard deviation over the members of the ensemble.

        Returns
        -------
        probabilities : ndarray of shape (C, n_classes)
            Columns in the order of ``classes_``.
        std : ndarray of shape (C, n_classes)
            Only with `return_std`: standard deviation of each probability over the members, at most
            0.5.

        Raises
        ------
        ValueError
            When `return_std` is True and the ensemble has one member only.
        """
        logits = GraphModel.of(self).predict_outputs(X).astype(np.float64)
        if return_std and len(logits) < 2:
            raise ValueError("return_std needs an ensemble: set n_ensemble to 2 or more, and refit")
        logits -= logits.max(axis=-1, keepdims=True)
        odds = np.exp(logits)
        probabilities = odds / odds.sum(axis=-1, keepdims=True)
        mean = probabilities.mean(axis=0)
        return (mean, probabilities.std(axis=0)) if return_std else mean

    def predict(self, X: Structures | CrystalGraphs | pd.DataFrame) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            Crystals to predict.

        Returns
        -------
        ndarray of shape (C,)
            Predicted classes.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]
