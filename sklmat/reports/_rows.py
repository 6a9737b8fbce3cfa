"""What is known of the rows of `X`: their crystals, names and descriptors."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklmat.compositions import holds_compositions
from sklmat.exceptions import InvalidStructureError
from sklmat.model_selection import composition_groups
from sklmat.readers import find_structures
from sklmat.structures import check_structures, is_graphs

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure
    from sklearn.base import BaseEstimator


class Rows:
    """The rows of a report.

    Parameters
    ----------
    X : sequence of C structures, DataFrame with a column of structures, compositions or table

    Attributes
    ----------
    structures : ndarray of C structures, or None
    ids : list of str
        The index of a Series or DataFrame, or the number of each row.
    """

    def __init__(self, X: Any):
        if is_graphs(X):
            raise TypeError(
                "report compares with models that need the structures, not CrystalGraphs; pass "
                "the structures from which the graphs were built, which networks take too"
            )
        self.X = X
        self.structures = _structures(X)
        index = X.index if isinstance(X, pd.Series | pd.DataFrame) else range(len(X))
        self.ids = [str(name) for name in index]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def formulas(self) -> list[str] | None:
        """Formula of each crystal."""
        if self.structures is None:
            return None
        return [structure.composition.formula for structure in self.structures]

    @cached_property
    def are_compositions(self) -> bool:
        """Whether the rows are compositions or formulas."""
        return self.structures is None and holds_compositions(self.X)

    @cached_property
    def n_compositions(self) -> int:
        """Number of different compositions; zero for tables."""
        if self.structures is None and not self.are_compositions:
            return 0
        return len(np.unique(composition_groups(self.X)))

    @property
    def for_baselines(self) -> Any:
        """The crystals or compositions, by which `baselines` chooses its models."""
        return self.X if self.structures is None else self.structures

    def reading(self, model: BaseEstimator) -> BaseEstimator:
        """A model of crystals as a model of the rows of `X`."""
        if not isinstance(self.X, pd.DataFrame) or self.structures is None:
            return model
        # A DataFrame has the crystals in one of its columns.
        return make_pipeline(FunctionTransformer(_crystals_of_table), model)

    def table_models(self, task: str, random_state: int) -> dict[str, BaseEstimator]:
        """Simple models of a table of numbers."""
        from sklearn.dummy import DummyClassifier, DummyRegressor
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        seed = {"random_state": random_state}
        if task == "regression":
            return {"mean": DummyRegressor(), "random forest": RandomForestRegressor(300, **seed)}
        return {
            "most frequent": DummyClassifier(),
            "random forest": RandomForestClassifier(300, **seed),
        }

    @cached_property
    def element_counts(self) -> Counter | None:
        """Number of rows with each element."""
        if self.structures is None:
            return None
        return Counter(symbol for row in range(len(self)) for symbol in self.elements(row))

    def elements(self, row: int) -> list[str]:
        """Elements of the crystal of a row."""
        return [element.symbol for element in self.structures[row].composition.element_composition]

    @cached_property
    def descriptors(self) -> np.ndarray | None:
        """Composition and volume of each crystal, ndarray of shape (C, F), for distances."""
        if self.structures is None:
            return None
        from sklmat.features import CompositionFeaturizer, StructureFeaturizer

        composition = CompositionFeaturizer().set_output(transform="default")
        volume = StructureFeaturizer(groups=["volume"]).set_output(transform="default")
        parts = [each.fit_transform(self.structures) for each in (composition, volume)]
        return np.nan_to_num(np.hstack(parts).astype(float))

    def named(self, row: int) -> str:
        """The name of a row in sentences."""
        return f"row {row}" if self.ids[row] == str(row) else f"{self.ids[row]} (row {row})"

    def structure(self, row: int) -> IStructure:
        """The crystal of a row."""
        return self.structures[row]


def _crystals_of_table(X):
    return find_structures(X)


def _structures(X):
    """The crystals of the rows; None if they are compositions or numbers."""
    if isinstance(X, pd.DataFrame):
        try:
            return check_structures(find_structures(X))
        except (ValueError, TypeError) as error:
            if isinstance(error, InvalidStructureError):
                raise
            return None
    if isinstance(X, np.ndarray) and X.ndim == 2:
        return None
    return None if holds_compositions(X) else check_structures(X)
