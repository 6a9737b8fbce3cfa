"""Values of a table that a model cannot use: they are refused or explained with their row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np

from sklmat.exceptions import ERRORS_OF_ROWS, InvalidValueError
from sklmat.targets import number_array, shortened

#: In errors about the target, and in those that name a row already.
_OTHER_CAUSES = re.compile(r"\bInput y\b|\blabels?\b|\brows?\W{0,3}\d", re.IGNORECASE)


def refuse_unusable_columns(X: Any) -> None:
    """Raise a ValueError for column names that occur twice, and for values that are no numbers.

    scikit-learn would convert the table with an error that names neither column nor row.

    Parameters
    ----------
    X : DataFrame of pandas, or anything else, which is left to scikit-learn

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmat.tables import refuse_unusable_columns
    >>> refuse_unusable_columns(pd.DataFrame({"a": [1, 2], "b": [1, "x"]}))
    Traceback (most recent call last):
        ...
    ValueError: the column 'b' of X holds 'x' in row 1, which is no number
    """
    if not _is_pandas(X):
        return
    _refuse_repeated_columns(X)
    for place, name in enumerate(X.columns.tolist()):
        if getattr(X.dtypes.iloc[place], "kind", "O") in "Oc":
            number_array(X.iloc[:, place], f"the column {name!r} of X")


def refuse_not_finite(X: np.ndarray, names: Sequence[Any] | np.ndarray, estimator: str) -> None:
    """Raise an InvalidValueError for NaN and infinity.

    Parameters
    ----------
    X : ndarray of shape (n, F), float64
    names : sequence of F names or numbers of columns
    estimator : str
        Name of the estimator, for the message.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.tables import refuse_not_finite
    >>> refuse_not_finite(np.array([[0.0, 1.0], [2.0, np.inf]]), ["a", "b"], "Ridge")
    Traceback (most recent call last):
        ...
    sklmat.exceptions.InvalidValueError: Input X contains NaN or infinity, first in row 1, column...
    """
    not_finite = np.argwhere(~np.isfinite(X))
    if len(not_finite):
        row, column = not_finite[0]
        raise InvalidValueError(
            int(row),
            repr(names[column]),
            "NaN or infinity",
            f"leave the row out, or impute it before {estimator}",
        )


@contextmanager
def explain_refused_values(X: Any, rows: np.ndarray | None = None) -> Iterator[None]:
    """Name the row of a value that a model of another library refuses.

    A model may take NaN or text, so only its error tells whether it does.

    Parameters
    ----------
    X : anything that the model takes
        Tables of pandas or polars and arrays of two dimensions are searched for the value.
    rows : ndarray of int, default=None
        The rows that are used; all by default.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from sklmat.tables import explain_refused_values
    >>> X = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, float("nan")]})
    >>> with explain_refused_values(X):
    ...     Ridge().fit(X, [0.0, 1.0])
    Traceback (most recent call last):
        ...
    sklmat.exceptions.InvalidValueError: Input X contains NaN, first in row 1, column 'b': Input...
    """
    try:
        yield
    except ERRORS_OF_ROWS:
        raise
    except Exception as error:
        reason = str(error)
        if _OTHER_CAUSES.search(reason):
            raise
        if "unique column names" in reason and _is_pandas(X):
            _refuse_repeated_columns(X)
        found = []
        for name, column in _columns(X):
            used = column if rows is None else column[rows]
            found += [(row, repr(name), what) for row, what in _refused_values(used, reason)]
        if not found:
            raise
        row, name, what = min(found, key=lambda each: each[0])
        row = row if rows is None else int(rows[row])
        raise InvalidValueError(row, name, what, reason) from error


def _columns(X):
    """Yield names, or numbers, and values of the columns of a table."""
    if _is_pandas(X):
        for place, name in enumerate(X.columns.tolist()):
            yield name, X.iloc[:, place].to_numpy()
    elif type(X).__module__.startswith("polars.") and hasattr(X, "get_columns"):
        for column in X.get_columns():
            yield column.name, column.to_numpy()
    elif isinstance(X, np.ndarray) and X.ndim == 2:
        yield from enumerate(X.T)


def _refused_values(values, reason):
    """Yield the first row, and what it holds, for each kind of value that `reason` may mean."""
    import pandas as pd

    values = values.astype(object) if values.dtype.kind in "UST" else values
    if values.dtype.kind not in "fO":
        return
    if re.search(r"\bnans?\b", reason, re.IGNORECASE):
        yield from ((row, "NaN") for row in np.flatnonzero(pd.isna(values))[:1])
    if re.search(r"\binf(inity|inite)?\b", reason, re.IGNORECASE):
        largest = np.finfo(np.float32 if "float32" in reason else np.float64).max
        for row, value in enumerate(values):
            if isinstance(value, Real) and abs(value) > largest:
                yield row, "infinity" if np.isinf(value) else f"{value:g}"
                break
    for row, value in enumerate(values if values.dtype.kind == "O" else ()):
        try:
            float(value)
        except (TypeError, ValueError) as error:
            # Other text may be in a column that the model encodes.
            if str(error) in reason:
                yield row, shortened(value)
                break


def _is_pandas(X):
    return hasattr(X, "columns") and hasattr(X, "iloc")


def _refuse_repeated_columns(X):
    repeated = X.columns[X.columns.duplicated()].tolist()
    if repeated:
        raise ValueError(f"X has the column {repeated[0]!r} twice; give each column its own name")
