"""Labels of crystals that belong together by their elements: composition, chemical system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import _num_samples

from sklmat.compositions import (
    element_amounts,
    element_of_column,
    is_element,
    is_formula,
    parse_composition,
)
from sklmat.elements import N_ROWS, element_symbols
from sklmat.exceptions import InvalidStructureError
from sklmat.readers import holds_structures
from sklmat.row_groups import label_compositions
from sklmat.structures import composition_of_partial, convert_structures, is_graphs
from sklmat.targets import number_array, refuse_missing_groups

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Compositions, Structures


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
        fractions, or with a column of structures. A string that consists only of element symbols,
        numbers and brackets is read as a formula, and any other string as for `check_structures`; a
        file with a name such as "POSCAR" must therefore be given as a ``pathlib.Path``. Oxidation
        states are ignored. Sites may be partially occupied.

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
    return label_compositions([amounts_of_elements(X)])


def row_labels(X: Any, groups: ArrayLike | None, rows: np.ndarray | None = None) -> np.ndarray:
    """Label rows that must stay together: by given groups, or else by composition.

    Parameters
    ----------
    X : sequence of n crystals or compositions, CrystalGraphs or table
    groups : array-like of shape (n,) or None
    rows : ndarray of int, default=None
        The rows that are used; all by default.

    Returns
    -------
    ndarray of shape (n,), dtype int
        Each row has a label of its own if no groups are given and `X` tells no compositions, or
        all rows that are used are of one composition, which no split can keep together.
    """
    if groups is None:
        labels = _composition_labels(X)
        used = labels if rows is None else labels[rows]
        one = len(used) > 0 and (used == used[0]).all()
        return np.arange(len(labels)) if one else labels
    refuse_missing_groups(groups)
    labels = np.asarray(groups)
    if labels.ndim != 1:
        raise ValueError(f"groups must have the shape (n,), got {labels.shape}")
    return np.unique(labels, return_inverse=True)[1]


def _composition_labels(X):
    if _is_plain_table(X):
        return np.arange(_num_samples(X))
    try:
        return composition_groups(X)
    except InvalidStructureError:
        raise
    except ValueError:
        if isinstance(X, pd.DataFrame):  # without fractions and structures
            return np.arange(len(X))
        raise


def chemical_systems(X: Structures | Compositions | CrystalGraphs | pd.DataFrame) -> np.ndarray:
    """Name the chemical system of every crystal: its elements, whatever their amounts.

    Parameters
    ----------
    X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
        As for `composition_groups`.

    Returns
    -------
    systems : ndarray of shape (C,), dtype str
        Symbols in alphabetical order, such as "Fe-O".

    Raises
    ------
    InvalidStructureError
        When an item is neither a crystal nor a composition.

    Examples
    --------
    >>> from sklmat.model_selection import chemical_systems
    >>> chemical_systems(["Fe2O3", "FeO", "NiO"])
    array(['Fe-O', 'Fe-O', 'Ni-O'], dtype='<U4')
    """
    present = amounts_of_elements(X) > 0
    return np.array(["-".join(sorted(element_symbols(np.flatnonzero(row)))) for row in present])


def amounts_of_elements(X: Any) -> np.ndarray:
    """Amount of each element, shape (C, 119); columns are atomic numbers."""
    if is_graphs(X):
        return _amounts_of_graphs(X)
    if isinstance(X, pd.DataFrame):
        return _amounts_of_table(X)
    if isinstance(X, str | Path | Mapping) or hasattr(X, "composition"):
        raise TypeError(f"expected a sequence of crystals, got one {type(X).__name__}; use a list")
    if not isinstance(X, Iterable):
        raise TypeError(f"expected a sequence of crystals or compositions, got {X!r}")
    items: Any = X if hasattr(X, "ndim") else list(X)
    if getattr(items, "ndim", 1) != 1:
        raise ValueError(
            f"compositions cannot be read from an array of shape {items.shape}; pass the crystals, "
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
        others = [name for name in table.columns if name not in ("phase", "lattice")]
        if len(others) == 1 and not pd.api.types.is_numeric_dtype(table[others[0]]):
            return amounts_of_elements(table[others[0]])
        of_structures = [name for name in others if holds_structures(table[name])]
        if len(of_structures) == 1:
            return amounts_of_elements(table[of_structures[0]])
        raise ValueError(
            "the table has no element fractions: expected columns x_Fe, x_Ni, ... as "
            "CompositionFeaturizer makes them; pass groups=composition_groups(structures) to a "
            "GroupKFold instead"
        )
    amounts = np.zeros((len(table), N_ROWS))
    amounts[:, list(columns.values())] = number_array(table[list(columns)], "the table")
    wrong = ~(np.isfinite(amounts).all(axis=1) & (amounts >= 0).all(axis=1) & amounts.any(axis=1))
    if wrong.any():
        raise ValueError(f"row {np.argmax(wrong)} has missing, negative or only zero fractions")
    return amounts


def _composition(index, item):
    """The composition of one crystal, composition or formula, without oxidation states."""
    from pymatgen.core import Composition, Element

    # pymatgen writes formulas with spaces: "Fe2 O3".
    if _holds_amounts(item) or (isinstance(item, str) and is_formula(item.replace(" ", ""))):
        try:
            item = parse_composition(item)
        except ValueError as error:
            raise InvalidStructureError(index, str(item), f"not a formula ({error})") from error
    if not isinstance(item, Composition):
        try:
            item = convert_structures([item])[0].composition
        except InvalidStructureError as error:
            composition = composition_of_partial(item, error)
            if composition is None:
                raise InvalidStructureError(index, error.formula, error.reason) from error
            item = composition
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


def _is_plain_table(X):
    """Whether `X` holds rows of numbers without names."""
    if isinstance(X, pd.DataFrame):
        return False
    if getattr(X, "ndim", 1) == 2 or hasattr(X, "width"):  # array, sparse matrix, polars
        return True
    first = X[0] if isinstance(X, list | tuple) and len(X) else None
    return isinstance(first, list | tuple | np.ndarray)
