"""`RandomScores`: scores of any estimator for randomly displaced crystals, without gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor

from sklmat.graphs import CrystalGraphs, StructureToGraph
from sklmat.perturbations import PerturbationBounds, RandomDirections, apply_perturbation
from sklmat.readers import find_structures
from sklmat.structures import check_structures
from sklmat.targets import as_numbers, label_column

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


class RandomScores:
    """Scores of the predictions of an estimator for crystals, and for randomly displaced ones.

    Parameters
    ----------
    estimator : fitted classifier or regressor
        It predicts from structures, CrystalGraphs, or a DataFrame with a column of structures.
    X : sequence of C structures, CrystalGraphs or DataFrame
    y : array-like of shape (C,) or (C, n_targets)
    min_distance : float or None
        See `StructureAttack`.

    Attributes
    ----------
    has_classes : bool
        Whether the score is 1 (right) or 0 (wrong), and not an absolute error.
    """

    def __init__(self, estimator: BaseEstimator, X: Any, y: Any, min_distance: float | None):
        self.estimator = estimator
        self.min_distance = min_distance
        self.has_classes = is_classifier(estimator)
        if not (self.has_classes or is_regressor(estimator)):
            raise TypeError(f"{type(estimator).__name__} is neither a classifier nor a regressor")
        self.table = X if isinstance(X, pd.DataFrame) else None
        self.structures, self.graphs = None, X
        if not isinstance(X, CrystalGraphs):
            self.column = None if self.table is None else find_structures(X).name
            self.structures = check_structures(X if self.table is None else X[self.column])
            # The edges of these graphs are not used: close pairs are searched separately.
            self.graphs = StructureToGraph(max_neighbors=1).transform(self.structures)
        self.y = self._checked(y)

    def __len__(self) -> int:
        return len(self.graphs)

    def _checked(self, y):
        y = label_column(y) if self.has_classes else np.asarray(as_numbers(y), dtype=float)
        if len(y) != len(self):
            raise ValueError(f"X has {len(self)} structures and y has {len(y)} rows")
        missing = np.flatnonzero(pd.isna(y).reshape(len(y), -1).any(axis=1))
        if len(missing):
            raise ValueError(f"y is missing in rows {missing[:10].tolist()}; leave these rows out")
        if self.has_classes:
            known = np.asarray(self.estimator.classes_)
            unknown = np.flatnonzero(~np.isin(y, known))
            if len(unknown):
                row = int(unknown[0])
                raise ValueError(f"row {row} has the class {str(y[row])!r}, not one of {known}")
        return y

    def scores(
        self,
        rows: np.ndarray,
        budgets: np.ndarray,
        n_draws: int,
        directions: RandomDirections,
    ) -> np.ndarray:
        """Mean score over `n_draws` displacements of some rows at each budget: (n_budgets, C)."""
        graphs = self.graphs[rows]
        bounds = PerturbationBounds.around(graphs, budgets[-1], 0.0, self.min_distance, "fixed")
        unmoved, strain = np.zeros((len(graphs.atomic_numbers), 3)), np.zeros((len(rows), 3, 3))
        scores = []
        for budget in budgets:
            if budget == 0:
                scores.append(self._score(rows, unmoved, strain))
                continue
            bounded = bounds.with_budget(budget)
            found = [self._score(rows, *bounded.draw(directions)) for _ in range(n_draws)]
            scores.append(np.mean(found, axis=0))
        return np.array(scores)

    def _score(self, rows, displacement, strain):
        """1 (right) or 0 (wrong) for each crystal, or its mean absolute error: shape (C,)."""
        structures = None if self.structures is None else self.structures[rows]
        moved = apply_perturbation(structures, self.graphs[rows], displacement, strain)
        if self.table is not None:
            table = self.table.iloc[rows].copy()
            table[self.column] = pd.Series(moved, index=table.index, dtype=object)
            moved = table
        predictions, truth = np.asarray(self.estimator.predict(moved)), self.y[rows]
        if self.has_classes:
            return (predictions.reshape(truth.shape) == truth).astype(float)
        if predictions.shape != truth.shape:
            predictions = predictions.reshape(len(truth), -1)
            truth = truth.reshape(len(truth), -1)
            if predictions.shape != truth.shape:
                raise ValueError(
                    f"y has {truth.shape[1]} targets, the estimator {predictions.shape[1]}"
                )
        return np.abs(predictions - truth).reshape(len(truth), -1).mean(axis=1)
