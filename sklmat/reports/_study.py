"""`Study`: an estimator, its rows and its validation, which the sections of a report describe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.model_selection import Comparison, LabelNoise
    from sklmat.reports._rows import Rows


@dataclass
class Study:
    """What a report is about.

    Parameters
    ----------
    estimator : regressor or classifier
    rows : Rows
    y : ndarray of shape (C,)
    name : str
        Name of the estimator in the comparison.
    splits : list of (train, test)
        Rows of each fold.
    how : str
        A sentence that says how the rows are split.
    quantity, unit : str or None
    true_name : str
    n_largest : int
    """

    estimator: BaseEstimator
    rows: Rows
    y: np.ndarray
    name: str
    splits: list[tuple[np.ndarray, np.ndarray]]
    how: str
    quantity: str | None
    unit: str | None
    true_name: str
    n_largest: int
    comparison: Comparison | None = None
    #: Noise of the labels of a regressor, and standard deviation of each prediction.
    twins: LabelNoise | None = None
    std: pd.Series | None = None

    @property
    def is_classifier(self) -> bool:
        """Whether the target has classes."""
        return is_classifier(self.estimator)

    @property
    def target(self) -> str:
        """The target with its unit."""
        return (self.quantity or "target") + (f" ({self.unit})" if self.unit else "")

    @property
    def in_unit(self) -> str:
        """The unit behind the name of a column."""
        return f" ({self.unit})" if self.unit else ""

    @property
    def others(self) -> list[str]:
        """Names of the other models."""
        return [name for name in self.comparison.index if name != self.name]

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Out-of-fold predictions by row: the first one, if a row is tested several times."""
        table = self.comparison.predictions.drop_duplicates("row")
        return table.set_index("row").sort_index()

    @cached_property
    def errors(self) -> pd.Series:
        """Prediction minus label of each tested row; for classes, whether it is wrong."""
        table = self.predictions
        if self.is_classifier:
            return (table[self.name] != table["y_true"]).astype(float)
        return table[self.name] - table["y_true"]

    def folds(self) -> list[tuple[Any, np.ndarray, np.ndarray]]:
        """For each fold: the fitted estimator, its training rows and the rows it predicts first."""
        fold_of_row = self.predictions["fold"]
        return [
            (fitted, train, fold_of_row.index[fold_of_row == fold].to_numpy())
            for fold, (fitted, (train, _)) in enumerate(
                zip(self.comparison.estimators[self.name], self.splits)
            )
        ]

    def select(self, rows: np.ndarray) -> Any:
        """Some rows of the input."""
        return _safe_indexing(self.rows.X, rows)

    def with_unit(self, value: float) -> str:
        """A number of the target as a text."""
        from sklmat.reports._page import shown

        return shown(float(value)) + (f" {self.unit}" if self.unit else "")

    def best_other(self) -> str | None:
        """The model with the smallest error, or the best accuracy, among the others."""
        comparison, names = self.comparison, self.others
        if not names:
            return None
        metric = comparison.metrics[0]
        scores = comparison.loc[names, f"{metric} mean"]
        return str(scores.idxmin() if metric in comparison.lower_is_better else scores.idxmax())
