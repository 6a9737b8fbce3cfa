"""Validation of `y` and other columns: `as_numbers`, `number_array`, `label_column` and others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike

#: Squares of numbers beyond these overflow or vanish.
_LARGEST, _SMALLEST = 1e150, 1e-150
#: End of a message about such numbers.
OUT_OF_RANGE = "whose variance cannot be computed; choose another unit"
#: Kind of a dtype -> types of its values, what they are, and what to pass instead.
_NOT_REAL: dict[str, tuple[Any, str, str]] = {
    "c": (
        (complex, np.complexfloating),
        "Complex data not supported: y holds complex numbers",
        "their real part, imaginary part or modulus",
    ),
    "M": (np.datetime64, "y holds dates", "numbers, such as days since a date"),
    "m": (
        np.timedelta64,
        "y holds durations",
        "numbers of a unit, such as y / np.timedelta64(1, 's')",
    ),
}


def plain_array(values: Any, name: str = "y") -> np.ndarray:
    """Return `values` as an array; a masked value becomes NaN or None.

    Parameters
    ----------
    values : array-like
    name : str, default="y"
        For the message.

    Raises
    ------
    ValueError
        When rows have different numbers of values.

    Examples
    --------
    >>> from sklmat.targets import plain_array
    >>> plain_array([[1, 2], [3]])
    Traceback (most recent call last):
        ...
    ValueError: the rows of y must have the same number of values; row 1 has 1, and row 0 has 2
    """
    try:
        array = np.asarray(unmasked(values))
        # Among text, numpy makes text of numbers and of NaN, too.
        if array.dtype.kind in "US" and isinstance(values, list | tuple):
            given = np.asarray(values, dtype=object)
            if not all(isinstance(value, str | bytes) for value in given.flat):
                return given
        return array
    except ValueError as error:
        sizes = [len(row) if isinstance(row, list | tuple | np.ndarray) else 1 for row in values]
        odd = next((row for row, size in enumerate(sizes) if size != sizes[0]), None)
        where = "" if odd is None else f"; row {odd} has {sizes[odd]}, and row 0 has {sizes[0]}"
        message = f"the rows of {name} must have the same number of values{where}"
        raise ValueError(message) from error


def refuse_not_real(y: ArrayLike) -> None:
    """Raise a ValueError for complex numbers, dates and durations, which a cast would change.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, n_targets)
    """
    values = plain_array(y)
    for kind, (types, what, instead) in _NOT_REAL.items():
        wrong = np.full(values.shape, values.dtype.kind == kind)
        if values.dtype.kind == "O":
            wrong = np.reshape([isinstance(value, types) for value in values.flat], values.shape)
        if wrong.any():
            if values.dtype.kind == "c" and values.imag.any():
                wrong = values.imag != 0
            row = np.argwhere(np.atleast_1d(wrong))[0, 0]
            raise ValueError(f"{what}, first in row {row}; pass {instead}")


def as_numbers(y: ArrayLike) -> np.ndarray:
    """Return numeric targets as float64.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, n_targets)

    Returns
    -------
    ndarray like `y`, float64

    Raises
    ------
    ValueError
        When `y` holds complex numbers, dates or durations.
    TypeError, ValueError
        When `y` holds something else that is not a number.

    Examples
    --------
    >>> from sklmat.targets import as_numbers
    >>> as_numbers([1, 2])
    array([1., 2.])
    """
    refuse_not_real(y)
    values = plain_array(y)
    if values.dtype.kind == "O":
        import pandas as pd

        # The missing value of pandas, unlike None, is no number of numpy.
        values = np.where(pd.isna(values), np.nan, values)
    return _converted(values, "y")


def number_array(values: Any, name: str) -> np.ndarray:
    """Return numbers of any shape as float64.

    Parameters
    ----------
    values : array-like
        None and missing values of pandas become NaN.
    name : str
        Name of the argument, for messages.

    Returns
    -------
    ndarray, float64

    Raises
    ------
    ValueError
        When a value is complex, a date, text or something else that is no number; it names the row.

    Examples
    --------
    >>> from sklmat.targets import number_array
    >>> number_array([1, 2.5], "gap")
    array([1. , 2.5])
    >>> number_array([1, "x"], "gap")
    Traceback (most recent call last):
        ...
    ValueError: gap holds 'x' in row 1, which is no number
    """
    plain = plain_array(values, name)
    if plain.dtype.kind == "c" and plain.imag.any():
        # Beside one complex number, numpy makes all others complex.
        plain = np.where(plain.imag == 0, plain.real.astype(object), plain)
    if plain.dtype.kind not in "fiubO":
        plain = plain.astype(object)
    if plain.dtype.kind == "O":
        import pandas as pd

        wrong = (str, bytes, complex, np.complexfloating, np.datetime64, np.timedelta64)
        for row, value in enumerate(plain.ravel()):
            if isinstance(value, wrong):
                where = np.unravel_index(row, plain.shape)[0] if plain.ndim else 0
                raise ValueError(
                    f"{name} holds {shortened(value)} in row {where}, which is no number"
                )
        if plain.ndim:
            plain = np.where(pd.isna(plain), np.nan, plain)
    return _converted(plain, name)


def _converted(values, name):
    """Convert values to float64; a ValueError names the first row that is no number."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        for row, value in enumerate(values if values.ndim else [values.item()]):
            try:
                np.asarray(value, dtype=np.float64)
            except OverflowError as overflow:
                raise ValueError(
                    f"{name} holds an integer beyond all floats in row {row} ({overflow})"
                ) from error
            except (TypeError, ValueError):
                raise ValueError(
                    f"{name} holds {shortened(value)} in row {row}, which is no number"
                ) from error
        raise ValueError(f"the rows of {name} must have the same number of values") from error


def shortened(value: Any) -> str:
    """Return the text of a value for a message, with at most 60 letters.

    Parameters
    ----------
    value : object

    Examples
    --------
    >>> from sklmat.targets import shortened
    >>> shortened("x")
    "'x'"
    """
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) < 60 else f"{text[:57]}..."


def weight_column(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Return the weights of rows as float64.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), number or None
        One number stands for all rows, and None for one.
    n_rows : int

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        When a weight is no number, NaN, infinite or negative (it names the row), when all are zero,
        or when there is not one for each row.

    Examples
    --------
    >>> from sklmat.targets import weight_column
    >>> weight_column([1, 0], 2)
    array([1., 0.])
    >>> weight_column([1, -1], 2)
    Traceback (most recent call last):
        ...
    ValueError: sample_weight is negative in row 1
    """
    from sklearn.utils.validation import _check_sample_weight

    if sample_weight is None:
        return np.ones(n_rows)
    try:
        weights = number_array(sample_weight, "sample_weight")
    except ValueError as error:
        raise ValueError(f"sample_weight must hold one number per row: {error}") from error
    if weights.shape != (n_rows,):
        # A number for all rows, or the error of scikit-learn.
        value = float(weights) if weights.ndim == 0 else weights
        weights = _check_sample_weight(value, np.empty((n_rows, 1)), dtype=np.float64)
    for wrong, what in ((~np.isfinite(weights), "NaN or infinite"), (weights < 0, "negative")):
        if wrong.any():
            raise ValueError(f"sample_weight is {what} in row {int(np.argmax(wrong))}")
    if not weights.any():
        raise ValueError("sample_weight is zero in all rows; there is nothing to fit")
    return weights


def unmasked(y: Any) -> Any:
    """Return `y` with NaN, or None among labels, where a masked array of numpy is masked.

    Other functions of numpy take the hidden values of a masked array.

    Parameters
    ----------
    y : array-like

    Returns
    -------
    array-like
        Anything but a masked array is returned as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.targets import unmasked
    >>> unmasked(np.ma.masked_array([1.0, 2.0], mask=[False, True]))
    array([ 1., nan])
    """
    if not isinstance(y, np.ma.MaskedArray):
        return y
    if not np.ma.is_masked(y):
        return y.data
    is_number = y.dtype.kind in "fiu"
    values = y.data.astype(float if is_number else object)
    values[np.ma.getmaskarray(y)] = np.nan if is_number else None
    return values


def are_out_of_range(values: np.ndarray) -> np.ndarray:
    """Whether the variance of each column overflows or vanishes in double precision.

    Parameters
    ----------
    values : ndarray of shape (n,) or (n, T), n > 0
        NaN where a label is missing.

    Returns
    -------
    ndarray of shape () or (T,), bool
    """
    low, high = np.fmin.reduce(values), np.fmax.reduce(values)
    return (np.maximum(-low, high) > _LARGEST) | (high / 2 - low / 2 < _SMALLEST) & (low < high)


def refuse_out_of_range(y: np.ndarray) -> None:
    """Raise a ValueError for targets whose variance cannot be computed in double precision.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, T), float64
        NaN and infinity are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.targets import refuse_out_of_range
    >>> refuse_out_of_range(np.array([1e200, 2e200]))
    Traceback (most recent call last):
        ...
    ValueError: y has values from 1e+200 to 2e+200, whose variance cannot be computed; choose...
    """
    y = np.where(np.isfinite(y), y, np.nan)
    unusable = np.flatnonzero(are_out_of_range(y)) if y.size else np.empty(0, dtype=int)
    if len(unusable):
        of_target = f" of target {unusable[0]}" if y.ndim == 2 else ""
        column = y.reshape(len(y), -1)[:, unusable[0]]
        raise ValueError(
            f"y{of_target} has values from {np.nanmin(column):g} to {np.nanmax(column):g}, "
            f"{OUT_OF_RANGE}"
        )


def refuse_missing_rows(y: ArrayLike, rows: np.ndarray | None = None) -> None:
    """Raise a ValueError for rows without a usable label; the error names their numbers in `y`.

    Where rows are selected before an estimator is fitted (by folds, weights or early stopping), the
    estimator can only name their numbers in the selection.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, n_targets)
        Numbers or classes. With several targets, some of them may be missing in a row.
    rows : ndarray of int, default=None
        The rows that are used; all by default.

    Raises
    ------
    ValueError
        When a label is infinite, or all labels of a row are missing.

    Examples
    --------
    >>> from sklmat.targets import refuse_missing_rows
    >>> refuse_missing_rows([[1.0, float("nan")], [2.0, 3.0]])
    >>> refuse_missing_rows([1.0, 2.0, float("nan")])
    Traceback (most recent call last):
        ...
    ValueError: Input y contains NaN or infinity in 1 rows: [2]; drop these rows of X and y
    """
    import pandas as pd

    values = plain_array(y)
    if values.ndim not in (1, 2) or not values.size:
        return
    table = values.reshape(len(values), -1)
    unusable = np.asarray(pd.isna(table).all(axis=1))
    if table.dtype.kind == "f":
        unusable |= np.isinf(table).any(axis=1)
    bad = np.flatnonzero(unusable) if rows is None else rows[unusable[rows]]
    if len(bad):
        what = "NaN or infinity" if table.shape[1] == 1 else "infinity, or only NaN,"
        raise ValueError(
            f"Input y contains {what} in {len(bad)} rows: {bad[:10].tolist()}"
            f"{'...' if len(bad) > 10 else ''}; drop these rows of X and y"
        )


def refuse_mixed_labels(y: np.ndarray) -> None:
    """Raise a ValueError for text beside numbers; it names a row of each.

    Parameters
    ----------
    y : ndarray of objects, not empty

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.targets import refuse_mixed_labels
    >>> refuse_mixed_labels(np.array([1.5, "x"], dtype=object))
    Traceback (most recent call last):
        ...
    ValueError: y mixes strings and numbers, with 1.5 in row 0 and 'x' in row 1: pass one kind...
    """
    is_text = np.reshape([isinstance(value, str) for value in y.flat], y.shape)
    odd = np.argwhere(is_text != is_text.flat[0])
    if len(odd):
        first, other = shortened(y.flat[0]), shortened(y[tuple(odd[0])])
        raise ValueError(
            f"y mixes strings and numbers, with {first} in row 0 and {other} in row {odd[0][0]}: "
            "pass one kind of label"
        )


def refuse_missing_labels(y: ArrayLike, rows: np.ndarray | None = None) -> None:
    """Raise a ValueError where some of several targets are missing; it names the rows of `y`.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, n_targets)
    rows : ndarray of int, default=None
        The rows that are used; all by default.

    Examples
    --------
    >>> from sklmat.targets import refuse_missing_labels
    >>> refuse_missing_labels([[1.0, float("nan")], [2.0, 3.0]])
    Traceback (most recent call last):
        ...
    ValueError: the estimator needs every label, and y contains NaN in 1 rows: [0]; fit one model...
    """
    values = plain_array(y)
    if values.ndim != 2 or values.dtype.kind != "f":
        return
    missing = np.isnan(values).any(axis=1)
    bad = np.flatnonzero(missing) if rows is None else rows[missing[rows]]
    if len(bad):
        raise ValueError(
            f"the estimator needs every label, and y contains NaN in {len(bad)} rows: "
            f"{bad[:10].tolist()}{'...' if len(bad) > 10 else ''}; fit one model for each target, "
            "on the rows that have it, or use a graph network, which allows missing labels"
        )


def refuse_missing_groups(groups: ArrayLike | None) -> None:
    """Raise a ValueError for rows without a group, which cannot be sorted or compared.

    Parameters
    ----------
    groups : array-like of shape (C,) or None
    """
    import pandas as pd

    if groups is None:
        return
    if isinstance(groups, str):
        raise ValueError(f"groups must have one label for each row, got the string {groups!r}")
    missing = np.flatnonzero(pd.isna(np.asarray(groups, dtype=object)))
    if len(missing):
        raise ValueError(
            f"groups has no label in {len(missing)} rows: {missing[:10].tolist()}"
            f"{'...' if len(missing) > 10 else ''}; give each of these rows a group of its own"
        )


@contextmanager
def explain_missing_labels(y: ArrayLike, rows: np.ndarray | None = None) -> Iterator[None]:
    """Name the rows with missing labels when an estimator that needs all labels refuses NaN.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, n_targets)
        The targets that the code in the ``with`` block works on.
    rows : ndarray of int, default=None
        The rows that are used; all by default.
    """
    try:
        yield
    except Exception as error:
        if "NaN" in str(error):
            try:
                refuse_missing_labels(y, rows)
            except ValueError as explained:
                raise explained from error
        raise


def plain_labels(y: Any) -> Any:
    """Return class labels that scikit-learn can read.

    Parameters
    ----------
    y : array-like

    Returns
    -------
    array-like
        Strings of numpy's ``StringDType``, which scikit-learn does not know, become objects, as
        those of pandas do; anything else is returned as it is.
    """
    return y.astype(object) if getattr(getattr(y, "dtype", None), "kind", "O") == "T" else y


def label_column(y: ArrayLike) -> np.ndarray:
    """Return class labels as an array of shape (C,).

    Parameters
    ----------
    y : array-like of shape (C,) or (C, 1)

    Returns
    -------
    ndarray
        See `plain_labels`. Another number of columns is left as it is.

    Warns
    -----
    DataConversionWarning
        When `y` is a column.

    Examples
    --------
    >>> from sklmat.targets import label_column
    >>> label_column(["metal", "insulator"])
    array(['metal', 'insulator'], dtype='<U9')
    """
    from sklearn.utils import column_or_1d

    labels = plain_array(plain_labels(unmasked(y)))
    return column_or_1d(labels, warn=True) if labels.shape[1:] == (1,) else labels
