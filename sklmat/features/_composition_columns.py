"""Columns that follow from a composition: compute them, and find them by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from sklmat.compositions import MIXING_ENTROPY, mixing_entropy
from sklmat.elements import element_table
from sklmat.features._composition_statistics import (
    NORMS,
    STATISTICS,
    fraction_norms,
    present_elements,
    property_statistics,
)

_ORBITALS = ("s", "p", "d", "f")
NORM_COLUMNS = ["number of elements", *(f"norm of order {order}" for order in NORMS[1:])]
ORBITAL_COLUMNS = [f"fraction of {kind} electrons" for kind in _ORBITALS]

# "average deviation" is tried before "deviation".
_BY_LENGTH = "|".join(sorted(STATISTICS, key=len, reverse=True))
#: Two underscores end the prefix that FeatureUnion and ColumnTransformer give to a column.
_PREFIX = re.compile(r".*__")
_STATISTIC = re.compile(rf"({_BY_LENGTH}) (.+)")


def property_values(properties: Sequence[str]) -> np.ndarray:
    """Return properties of the elements by atomic number, with estimates, shape (119, P)."""
    table = element_table(estimates=True)[list(properties)]
    return np.vstack([np.zeros(len(properties)), table.to_numpy(dtype=float)])


def orbital_fractions(fractions: np.ndarray) -> np.ndarray:
    """Return fractions of s, p, d and f electrons among the valence electrons, shape (C, 4)."""
    names = [f"{kind} valence electrons" for kind in _ORBITALS]
    electrons = np.vstack([np.zeros(4), element_table()[names].fillna(0).to_numpy()])
    counts = fractions @ electrons
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)


def is_composition_column(name: object) -> bool:
    """Whether a column follows from the composition, according to its name.

    Parameters
    ----------
    name : str or object
        Name of a column, with or without the prefix that a FeatureUnion or ColumnTransformer gives.

    Returns
    -------
    bool
        True for the columns of `CompositionFeaturizer` except fractions and lattices.

    Examples
    --------
    >>> from sklmat.features import is_composition_column
    >>> is_composition_column("max group"), is_composition_column("table__max group")
    (True, True)
    >>> is_composition_column("volume per atom (Å³)")
    False
    """
    return isinstance(name, str) and _function_of(name) is not None


def composition_columns(names: Sequence[str], fractions: np.ndarray) -> np.ndarray:
    """Compute columns of `CompositionFeaturizer` from fractions.

    Parameters
    ----------
    names : sequence of k str
        Names for which `is_composition_column` is true.
    fractions : ndarray of shape (C, 119)
        Column Z is the fraction of the element with atomic number Z.

    Returns
    -------
    ndarray of shape (C, k)

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.features import composition_columns
    >>> fractions = np.zeros((1, 119))
    >>> fractions[0, [26, 28]] = 0.25, 0.75
    >>> composition_columns(["mean atomic number", "max group"], fractions)
    array([[27.5, 10. ]])
    """
    columns = [_function_of(name)(fractions) for name in names]
    return np.column_stack([np.empty((len(fractions), 0)), *columns])


def _function_of(name):
    """Function of fractions that gives a column, None if it does not follow from them."""
    name = _PREFIX.sub("", name)
    if name == MIXING_ENTROPY:
        return lambda fractions: mixing_entropy(present_elements(fractions)[0])
    if name in NORM_COLUMNS:
        return lambda fractions: fraction_norms(fractions)[:, NORM_COLUMNS.index(name)]
    if name in ORBITAL_COLUMNS:
        return lambda fractions: orbital_fractions(fractions)[:, ORBITAL_COLUMNS.index(name)]
    match = _STATISTIC.fullmatch(name)
    if match is None or match[2] not in _properties():
        return None
    statistic, of = match.groups()
    return lambda fractions: property_statistics(fractions, property_values([of]), [statistic])


@cache
def _properties():
    return frozenset(element_table().columns.drop("block"))
