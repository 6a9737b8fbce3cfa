"""`number_columns`: columns of a table as finite numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np


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
                f"the column {name!r} has the shape {column.shape}, but there are {n_rows} crystals"
            )
        if column.dtype.kind not in "biuf":
            column = np.array([_number(name, row, value) for row, value in enumerate(column)])
        table[:, number] = column
        _refuse_infinite(name, table[:, number])
    return table


def _number(name, row, value):
    """A cell of a column of any type as a float; what pandas writes for a missing number is NaN."""
    if value is None or type(value).__name__ == "NAType":
        return np.nan
    if not isinstance(value, Real | np.bool_):
        raise ValueError(
            f"the column {name!r} holds {value!r} in row {row}, which is no number; make numbers "
            "of the values first, for example with OneHotEncoder or OrdinalEncoder of scikit-learn"
        )
    return float(value)


def _refuse_infinite(name, column):
    rows = np.flatnonzero(~np.isfinite(column))
    if len(rows):
        what = "has no value (NaN)" if np.isnan(column[rows[0]]) else "is infinite"
        others = f" and {len(rows) - 1} other rows" if len(rows) > 1 else ""
        raise ValueError(
            f"the column {name!r} {what} in row {rows[0]}{others}; fill it, or leave these rows out"
        )
