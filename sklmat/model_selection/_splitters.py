"""`CompositionGroupKFold`, `ComponentSplit`: splitters by composition; `composition_groups`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, GroupKFold

from sklmat.compositions import (
    element_amounts,
    element_of_column,
    is_element,
    is_formula,
    parse_composition,
)
from sklmat.elements import N_ROWS
from sklmat.exceptions import InvalidStructureError
from sklmat.structures import convert_structures, is_graphs

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Compositions, RandomState, Structures


def composition_groups(X: Structures | Compositions | CrystalGraphs | pd.DataFrame) -> np.ndarray:
    """Label every crystal by its reduced composition.

    Cells of the same composition get the same label: an alloy as fcc and as bcc, a supercell, or
    another ordering of the same atoms. A test score is valid for *new* compositions only if all
    rows of a composition are on the same side of a split.

    Parameters
    ----------
    X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
        Crystals that `check_structures` accepts, pymatgen ``Composition`` objects, or chemical
        formulas such as "Fe2O3"; or a table with the columns ``x_Fe``, ``x_Ni``, ... of element
        fractions. A string that consists only of element symbols, numbers and brackets is read as a
        formula, and any other string as for `check_structures`; a file with a name such as "POSCAR"
        must therefore be given as a ``pathlib.Path``. Oxidation states are ignored.

    Returns
    -------
    groups : ndarray of shape (C,), dtype int
        0 for the first composition, 1 for the next new composition, and so on.

    Raises
    ------
    InvalidStructureError
        When an item is neither a crystal nor a composition.

    Notes
    -----
    Fractions are compared after rounding to 1e-6, so "Fe0.333Ni0.667" and "FeNi2" are different
    compositions.

    Examples
    --------
    >>> from sklmat.model_selection import composition_groups
    >>> composition_groups(["NiCo", "Ni3Co", "Co8Ni8", "CoNi3"])
    array([0, 1, 0, 1])
    """
    amounts = _amounts(X)
    fractions = np.round(amounts / amounts.sum(axis=1, keepdims=True), 6)
    _, first, labels = np.unique(fractions, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=int)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[labels.reshape(-1)]


def _amounts(X):
    """Amount of each element, shape (C, 119); columns are atomic numbers."""
    if is_graphs(X):
        return _amounts_of_graphs(X)
    if isinstance(X, pd.DataFrame):
        return _amounts_of_table(X)
    if isinstance(X, str | Path | Mapping) or hasattr(X, "composition"):
        raise TypeError(f"expected a sequence of crystals, got one {type(X).__name__}; use a list")
    items = X if hasattr(X, "ndim") else list(X)
    if getattr(items, "ndim", 1) != 1:
        raise ValueError(
            f"compositions cannot be read from an array of shape {X.shape}; pass the crystals, "
            "their compositions, or a DataFrame with columns x_Fe, x_Ni, ... of element fractions"
        )
    return element_amounts([_composition(index, item) for index, item in enumerate(items)])


def _amounts_of_graphs(graphs):
    numbers = np.asarray(graphs.atomic_numbers, dtype=np.int64)
    n_crystals = len(graphs)
    counts = np.bincount(graphs.crystal_of_atom * N_ROWS + numbers, minlength=n_crystals * N_ROWS)
    return counts.reshape(n_crystals, N_ROWS).astype(float)


def _amounts_of_table(table):
    from pymatgen.core import Element

    symbols = {name: element_of_column(name) for name in table.columns}
    columns = {name: Element(symbol).Z for name, symbol in symbols.items() if is_element(symbol)}
    if not columns:
        raise ValueError(
            "the table has no element fractions: expected columns x_Fe, x_Ni, ... as "
            "CompositionFeaturizer makes them; pass groups=composition_groups(structures) to a "
            "GroupKFold instead"
        )
    amounts = np.zeros((len(table), N_ROWS))
    amounts[:, list(columns.values())] = table[list(columns)].to_numpy(dtype=float)
    wrong = ~(np.isfinite(amounts).all(axis=1) & (amounts >= 0).all(axis=1) & amounts.any(axis=1))
    if wrong.any():
        raise ValueError(f"row {np.argmax(wrong)} has missing, negative or only zero fractions")
    return amounts


def _composition(index, item):
    """The composition of one crystal, composition or formula, without oxidation states."""
    from pymatgen.core import Composition, Element

    if is_formula(item) or _holds_amounts(item):
        try:
            item = parse_composition(item)
        except ValueError as error:
            raise InvalidStructureError(index, str(item), f"not a formula ({error})") from error
    if not isinstance(item, Composition):
        try:
            item = convert_structures([item])[0].composition
        except InvalidStructureError as error:
            raise InvalidStructureError(index, error.formula, error.reason) from error
    composition = item.element_composition
    if not composition:
        raise InvalidStructureError(index, "no elements", "is an empty composition")
    for element in composition:
        if not isinstance(element, Element):
            raise InvalidStructureError(index, item.formula, f"{element} is not an element")
    return composition


def _holds_amounts(item):
    """Whether `item` is a composition or a dict of amounts, not the dict of a structure."""
    from pymatgen.core import Composition

    if isinstance(item, Composition):
        return True
    return isinstance(item, Mapping) and "sites" not in item


class CompositionGroupKFold(BaseCrossValidator):
    """K-fold cross-validation in which no reduced composition is on both sides of a split.

    This is scikit-learn's `GroupKFold`, with the groups that `composition_groups` finds in `X`. It
    can be passed as ``cv`` everywhere in scikit-learn.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of distinct compositions.
    shuffle : bool, default=True
        Whether to distribute the compositions over the folds at random. False assigns them in the
        order of their frequency, the most frequent first. The folds are then as equal in size as
        possible, and no seed is needed.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle. With None every call to `split` draws new folds.

    Examples
    --------
    >>> from sklmat.model_selection import CompositionGroupKFold
    >>> X = ["NiCo", "Ni3Co", "Co2Ni2", "NiCo3"]
    >>> for train, test in CompositionGroupKFold(n_splits=3, shuffle=False).split(X):
    ...     print(train, test)
    [1 3] [0 2]
    [0 1 2] [3]
    [0 2 3] [1]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = True, random_state: RandomState = None
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def split(
        self,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: object = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of each split.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            As for `composition_groups`.
        y : array-like of shape (C,), default=None
            Not used.
        groups : None
            Must be None, because the compositions are the groups.

        Yields
        ------
        train, test : ndarray of int
            Numbers of the training and of the test rows.
        """
        _refuse_groups(self, groups)
        folds = GroupKFold(
            self.n_splits,
            shuffle=self.shuffle,
            random_state=self.random_state if self.shuffle else None,
        )
        labels = composition_groups(X)
        yield from folds.split(labels, groups=labels)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds; the arguments exist for compatibility."""
        return self.n_splits


class ComponentSplit(BaseCrossValidator):
    """Train on alloys of few components, test on alloys with more components.

    Use it to test whether a model fitted on binaries and ternaries, which are cheap to calculate,
    is accurate for high-entropy alloys.

    Parameters
    ----------
    max_train : int or sequence of int, default=4
        Largest number of elements of a training crystal. A sequence gives one split for each
        number.
    max_test : int or None, default=None
        Largest number of elements of a test crystal; None for no limit. Crystals with more elements
        are neither training nor test rows.

    Examples
    --------
    >>> from sklmat.model_selection import ComponentSplit
    >>> X = ["Ni", "NiCo", "NiCoCr", "NiCoCrFe", "FeCo"]
    >>> for train, test in ComponentSplit(max_train=(1, 2)).split(X):
    ...     print(train, test)
    [0] [1 2 3 4]
    [0 1 4] [2 3]
    """

    def __init__(self, max_train: int | Sequence[int] = 4, *, max_test: int | None = None) -> None:
        self.max_train = max_train
        self.max_test = max_test

    def split(
        self,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: object = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of each split.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            As for `composition_groups`.
        y : array-like of shape (C,), default=None
            Not used.
        groups : None
            Must be None, because the numbers of components define the split.

        Yields
        ------
        train, test : ndarray of int
            Numbers of the training and of the test rows.

        Raises
        ------
        ValueError
            When there would be no training or no test rows; the message says how many
            crystals have each number of elements.
        """
        _refuse_groups(self, groups)
        n_components = np.count_nonzero(_amounts(X), axis=1)
        max_test = np.inf if self.max_test is None else self.max_test
        splits = []
        for max_train in np.atleast_1d(self.max_train):
            train = np.flatnonzero(n_components <= max_train)
            test = np.flatnonzero((n_components > max_train) & (n_components <= max_test))
            if not (len(train) and len(test)):
                numbers = zip(*np.unique(n_components, return_counts=True))
                found = ", ".join(f"{count} with {number}" for number, count in numbers)
                raise ValueError(
                    f"max_train={max_train}, max_test={self.max_test} leaves no crystal to "
                    f"{'test on' if len(train) else 'train on'}; crystals by number of elements: "
                    f"{found}"
                )
            splits.append((train, test))
        yield from splits

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits; the arguments exist for compatibility."""
        return np.size(self.max_train)


def _refuse_groups(splitter, groups):
    """Raise a ValueError if groups are given to a splitter that computes its own."""
    if groups is not None:
        raise ValueError(
            f"{type(splitter).__name__} takes its groups from the compositions in X; leave out "
            "groups, or use scikit-learn's GroupKFold"
        )
