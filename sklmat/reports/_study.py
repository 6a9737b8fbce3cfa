"""`Study`: an estimator, its rows and its validation, which the sections of a report describe."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.utils import Bunch, _safe_indexing

from sklmat.data_checks import check_dataset
from sklmat.model_selection import ApplicabilityDomain, label_noise
from sklmat.reports._page import shown

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.data_checks import DatasetReport
    from sklmat.model_selection import Comparison, LabelNoise
    from sklmat.reports._rows import Rows


#: A model is nearly as accurate if its error is at most this multiple.
_NEARLY = 1.5


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
    comparison : Comparison
        Of the estimator and the other models, with the fitted estimators.
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
    comparison: Comparison

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
        fitted_by_fold = (self.comparison.estimators or {})[self.name]
        return [
            (fitted, train, fold_of_row.index[fold_of_row == fold].to_numpy())
            for fold, (fitted, (train, _)) in enumerate(zip(fitted_by_fold, self.splits))
        ]

    def select(self, rows: np.ndarray) -> Any:
        """Some rows of the input."""
        return _safe_indexing(self.rows.X, rows)

    def with_unit(self, value: float) -> str:
        """A number of the target as a text."""
        return shown(float(value)) + (f" {self.unit}" if self.unit else "")

    def is_comparable(self, other: str) -> bool:
        """Whether another model is nearly as accurate, so that its errors tell something."""
        table = self.predictions
        if self.is_classifier:
            return bool((table[other] != table["y_true"]).mean() <= _NEARLY * self.errors.mean())
        # Medians, which one wrong label does not change.
        errors = (table[other] - table["y_true"]).abs()
        return bool(errors.median() <= _NEARLY * self.errors.abs().median())

    def best_other(self) -> str | None:
        """The model with the smallest error, or the best accuracy, among the others."""
        comparison, names = self.comparison, self.others
        if not names:
            return None
        metric = comparison.metrics[0]
        scores = comparison.loc[names, f"{metric} mean"]
        return str(scores.idxmin() if metric in comparison.lower_is_better else scores.idxmax())

    @cached_property
    def checked(self) -> DatasetReport | None:
        """What is doubtful in the crystals and labels; ids are the numbers of the rows."""
        if self.rows.structures is None:
            return None
        n_rows = len(self.rows)
        return check_dataset(
            Bunch(
                data=self.rows.structures,
                ids=[str(row) for row in range(n_rows)],
                target=self.y,
                target_names=[self.quantity or "target"],
                frame=pd.DataFrame(index=range(n_rows)),
                rejected=pd.DataFrame(),
            )
        )

    @cached_property
    def twins(self) -> LabelNoise | None:
        """How far the labels of a regressor differ among rows of one composition and lattice."""
        if self.is_classifier or self.rows.structures is None:
            return None
        return label_noise(self.rows.structures, self.y)

    @cached_property
    def std(self) -> pd.Series | None:
        """Standard deviation of each prediction of a regressor that has them."""
        if self.is_classifier:
            return None
        return self._by_fold(_standard_deviations)

    @cached_property
    def intervals(self) -> tuple[float, np.ndarray] | None:
        """Level and intervals, shape (C, 2), of a regressor such as `ConformalRegressor`."""
        if not all(hasattr(fitted, "predict_interval") for fitted, *_ in self.folds()):
            return None
        found = pd.DataFrame(np.nan, index=self.predictions.index, columns=["low", "high"])
        for fitted, _, test in self.folds():
            if len(test):
                found.loc[test] = fitted.predict_interval(self.select(test))
        return float(self.folds()[0][0].confidence_level), found.to_numpy()

    @cached_property
    def probability(self) -> pd.Series | None:
        """Probability of the predicted class of a classifier that has them."""
        if not self.is_classifier:
            return None
        return self._by_fold(_probabilities)

    def _by_fold(self, compute):
        """A number for each tested row by the model that had not seen it, or None."""
        found = pd.Series(np.nan, index=self.predictions.index)
        for fitted, _, test in self.folds():
            if len(test):
                values = compute(fitted, self.select(test))
                if values is None:
                    return None
                found.loc[test] = values
        return found

    @cached_property
    def distances(self) -> pd.Series | None:
        """Distance of each tested row to the training rows, as a multiple of the usual one.

        None if the rows are no crystals.
        """
        table = self.rows.descriptors
        if table is None:
            return None
        found = pd.Series(np.nan, index=self.predictions.index)
        groups = np.array(self.rows.formulas)
        for _, train, test in self.folds():
            n_groups = len(np.unique(groups[train]))
            if len(test) and n_groups > 1:
                domain = ApplicabilityDomain(n_neighbors=min(5, n_groups - 1))
                domain.fit(table[train], groups=groups[train])
                found.loc[test] = np.asarray(domain.transform(table[test]))[:, 0]
        return found


def _standard_deviations(fitted, X):
    last = getattr(fitted, "steps", [(None, fitted)])[-1][1]
    if "return_std" not in inspect.signature(last.predict).parameters:
        return None
    try:
        return np.asarray(fitted.predict(X, return_std=True)[1], dtype=float).ravel()
    except ValueError:
        # A network that is no ensemble has none.
        return None


def _probabilities(fitted, X):
    if not hasattr(fitted, "predict_proba"):
        return None
    return np.asarray(fitted.predict_proba(X)).max(axis=1)
