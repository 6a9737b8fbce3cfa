"""`number_columns`: columns of a table as finite numbers; `named_columns`: also their names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from textwrap import shorten
from typing import Any

import numpy as np


def named_columns(table: Any, n_rows: int) -> tuple[tuple[Any, ...], np.ndarray]:
    """Read a table with a row for each crystal.

    Parameters
    ----------
    table : DataFrame, dict of columns, or ndarray of shape (n_rows, K)
    n_rows : int

    Returns
    -------
    names : tuple of K names
        Those that a file of graphs can keep: text, numbers, None, or tuples of these. Of an array,
        the numbers 0, 1, ...
    values : ndarray of shape (n_rows, K), float64

    Raises
    ------
    ValueError
        When it is no such table, or has another number of rows; when a name cannot be kept, or two
        are the same; or when a column holds something else than finite numbers.
    """
    if isinstance(table, np.ndarray):
        if table.ndim != 2:
            raise ValueError(
                f"with_extra needs an array of shape (C, K), got {table.shape}; make one column of "
                "it with reshape(-1, 1), or name it: {'temperature (K)': array}"
            )
        table = _checked_rows(table, n_rows)
        table = dict(enumerate(table.T))
    if not (isinstance(table, Mapping) or hasattr(table, "columns")):
        raise ValueError(
            f"with_extra needs a DataFrame, a dict of columns or an array of shape (C, K), got a "
            f"{type(table).__name__}; of a Series, pass to_frame()"
        )
    if hasattr(table, "columns"):
        table = _checked_rows(table, n_rows)
    given = list(table.columns if hasattr(table, "columns") else table)
    names = tuple(map(_plain_name, given))
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise ValueError(f"two columns have the name {repeated[0]!r}; rename one of them")
    return names, number_columns([table[name] for name in given], names, n_rows)


def _checked_rows(table, n_rows):
    if len(table) != n_rows:
        raise ValueError(
            f"the table has {len(table)} rows, and there are {n_rows} crystals; give it a row for "
            "each crystal, in the same order"
        )
    return table


def _plain_name(name):
    """The name as plain Python, which JSON can keep, and which equals the given one."""
    if isinstance(name, tuple):
        return tuple(map(_plain_name, name))
    plain = name.item() if isinstance(name, np.generic) else name
    if isinstance(plain, float) and not math.isfinite(plain):
        plain = object()
    if not isinstance(plain, str | int | float | bool | None):
        raise ValueError(
            f"the name {name!r} of a column is a {type(name).__name__}, which a file of graphs "
            "cannot keep; rename the column, for example with table.rename(columns=str)"
        )
    return plain


def number_columns(values: Iterable[Any], names: Sequence[Any], n_rows: int) -> np.ndarray:
    """Read columns as finite numbers; truth values are 0 and 1.

    Parameters
    ----------
    values : iterable of K array-likes of shape (n_rows,)
    names : sequence of K column names
        For messages.
    n_rows : int

    Returns
    -------
    ndarray of shape (n_rows, K), float64

    Raises
    ------
    ValueError
        When a column has another length, or holds something else than finite numbers; the message
        names the column and the row.
    """
    table = np.empty((n_rows, len(names)))
    for number, (name, items) in enumerate(zip(names, values)):
        column = np.asarray(items)
        if column.shape != (n_rows,):
            raise ValueError(
                f"the column {name!r} has the shape {column.shape}, but there are {n_rows} "
                "crystals; give it one number for each crystal, in the same order"
            )
        if column.dtype.kind not in "biuf":
            column = np.array([_number(name, row, value) for row, value in enumerate(column)])
        with np.errstate(over="ignore"):
            table[:, number] = column
        _refuse_infinite(name, table[:, number])
    return table


def _number(name, row, value):
    """A cell of a column of any type as a float; what pandas writes for a missing number is NaN."""
    if value is None or type(value).__name__ == "NAType":
        return np.nan
    if isinstance(value, np.timedelta64) or not isinstance(value, Real | np.bool_):
        plain = value.item() if isinstance(value, np.str_) else value
        shown = shorten(repr(plain), 60, placeholder="...")
        raise ValueError(
            f"the column {name!r} holds {shown} in row {row}, which is no number; make numbers "
            "of the values first, for example with OneHotEncoder or OrdinalEncoder of scikit-learn"
        )
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return np.inf


def _refuse_infinite(name, column):
    rows = np.flatnonzero(~np.isfinite(column))
    if len(rows):
        what = "has no value (NaN)" if np.isnan(column[rows[0]]) else "is infinite"
        others = f" and {len(rows) - 1} other rows" if len(rows) > 1 else ""
        raise ValueError(
            f"the column {name!r} {what} in row {rows[0]}{others}; fill it, or leave these rows out"
        )
