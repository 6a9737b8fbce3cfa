"""Rows of crystals in lists, arrays, pandas objects and graphs: read them, copy them, append."""

from __future__ import annotations

import numpy as np

from sklmat.augmentation._dataframes import extend_index, is_pandas
from sklmat.graphs import CrystalGraphs
from sklmat.readers import find_structures
from sklmat.structures import check_structures


def read_crystals(X):
    """Return the crystals of `X`, validated: an object array of structures, or CrystalGraphs.

    Parameters
    ----------
    X : sequence of C crystals, CrystalGraphs, or DataFrame with a column of structures
    """
    return check_structures(find_structures(X) if _is_table(X) else X)


def holds_crystals(X):
    """Whether `X` is CrystalGraphs, or a sequence of structures and not a table of numbers."""
    if isinstance(X, CrystalGraphs):
        return True
    is_sequence = isinstance(X, list | tuple) or getattr(X, "ndim", 2) == 1
    first = next(iter(X), None) if is_sequence else None
    return hasattr(first, "lattice") or hasattr(first, "get_chemical_symbols")


def join_rows(X, kept, copied, crystals=None):
    """Return rows of `X` and copies below them, in the container of `X`.

    Parameters
    ----------
    X : sequence of C crystals, CrystalGraphs, or DataFrame with a column of structures
    kept : ndarray of int
        Rows that come first. These are all rows, in their order, if there are copies.
    copied : ndarray of int
        The row from which each copy is made.
    crystals : sequence of Structure, or CrystalGraphs, default=None
        The crystals of the copies; None repeats those of `X`.

    Returns
    -------
    list, ndarray, Series, DataFrame or CrystalGraphs
        A new object. Further columns of a DataFrame, and numbers of graphs, are those of the row.
    """
    rows = np.concatenate([kept, copied])
    if isinstance(X, CrystalGraphs):
        if crystals is None or not len(copied):
            return X[rows]
        return CrystalGraphs.concatenate([X[kept], crystals])
    if is_pandas(X):
        return _join_pandas(X, kept, copied, crystals)
    items = list(X)
    joined = [items[row] for row in rows]
    if crystals is not None:
        joined[len(kept) :] = crystals
    return _object_array(joined) if isinstance(X, np.ndarray) else joined


def _join_pandas(X, kept, copied, crystals):
    joined = X.iloc[np.concatenate([kept, copied])]
    if len(copied):
        joined.index = extend_index(X.index, len(copied))
    if crystals is None or not len(copied):
        return joined
    column = find_structures(X) if _is_table(X) else X
    values = _object_array([*column.iloc[kept], *crystals])
    if _is_table(X):
        joined[column.name] = values
        return joined
    return type(X)(values, index=joined.index, name=X.name)


def _is_table(X):
    return is_pandas(X) and X.ndim == 2


def _object_array(items):
    # np.array would read crystals, which are sequences, as rows of sites.
    array = np.empty(len(items), dtype=object)
    for row, item in enumerate(items):
        array[row] = item
    return array
