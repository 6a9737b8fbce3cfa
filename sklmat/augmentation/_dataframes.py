"""Append rows and targets to tables of pandas, polars or NumPy, and keep their types."""

import math
import warnings
from numbers import Real

import numpy as np

from sklmat.recorded_warnings import frames_inside
from sklmat.targets import plain_array, refuse_mixed_labels, refuse_not_real

#: Integers with more distinct values than this, most in one row only, are probably not classes.
_MANY_CLASSES = 20


def encode_target(y, *, may_be_missing=False):
    """Return the target as numbers, and its classes or None.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, T)
        Floats are a numeric target; strings, booleans and integers are classes.
    may_be_missing : bool, default=False
        Whether some of several numeric targets of a row may be missing (NaN).

    Returns
    -------
    values : ndarray
        float64, of the shape of `y`; or int64 (n,), positions in `classes`.
    classes : ndarray or None
        Sorted, or None for a numeric target.

    Raises
    ------
    ValueError
        When numbers are not finite, there is no column, or classes are missing, mixed or
        two-dimensional.

    Warns
    -----
    UserWarning
        When integers have so many values that they are probably not classes.
    """
    values = _as_array(y)
    if values.ndim == 2 and values.shape[1] == 0:
        raise ValueError(f"y has shape {values.shape}, and so no target: pass at least one column")
    if values.dtype.kind == "f":
        return _finite(values, may_be_missing), None
    if values.ndim != 1:
        raise ValueError(
            f"y has shape {values.shape} and holds classes (strings, booleans or integers): pass "
            "one column of classes, or floats where the targets are numeric"
        )
    classes, positions = np.unique(values, return_inverse=True)
    if values.dtype.kind in "iu" and len(classes) > max(_MANY_CLASSES, len(values) / 2):
        warnings.warn(
            f"y holds integers, which samplers take for classes, and has {len(classes)} different "
            f"ones in {len(values)} rows; if they are quantities, pass y.astype(float)",
            UserWarning,
            stacklevel=frames_inside(),
        )
    return positions.astype(np.int64), classes


def _as_array(y):
    """Return `y` as an array of floats, integers, booleans or strings."""
    if is_pandas(y) and any(getattr(dtype, "kind", "O") == "f" for dtype in _dtypes(y)):
        # Nullable floats and columns of several types would become objects.
        try:
            return y.to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"y has a column of numbers, and another that holds none ({error}): pass one kind "
                "of label"
            ) from error
    refuse_not_real(y)
    values = plain_array(y)
    if values.dtype.kind in "OT":
        values = _from_objects(values)
    if values.dtype.kind not in "fiubUS":
        raise ValueError(f"y of dtype {values.dtype} is neither numbers nor classes")
    return values


def _from_objects(values):
    """Return an array of objects as one of floats, integers, booleans or strings."""
    from pandas import isna

    missing = np.argwhere(isna(values))
    if len(missing):
        raise ValueError(f"Input y contains NaN, first in row {missing[0][0]}: leave the row out")
    if values.size:
        refuse_mixed_labels(values)
    return plain_array(values.tolist())


def _finite(values, may_be_missing):
    """Return a float64 copy of finite targets (n,) or (n, T)."""
    if values.ndim not in (1, 2):
        raise ValueError(f"y must have one or two dimensions, got shape {values.shape}")
    # A longer type of floats may hold larger numbers.
    values = values.astype(np.float64)
    table = values.reshape(len(values), -1)
    usable = np.isfinite(table).all(axis=1)
    if may_be_missing and values.ndim == 2:
        usable = ~np.isinf(table).any(axis=1) & ~np.isnan(table).all(axis=1)
    bad = np.flatnonzero(~usable)
    if len(bad):
        raise ValueError(
            f"Input y contains NaN or infinity, first in row {bad[0]}: samplers need every label, "
            "leave the row out"
        )
    return values


def append_rows(X, X_new):
    """Put generated rows below `X`, in the container of `X` and with its types.

    Parameters
    ----------
    X : DataFrame of pandas or polars, or array-like of shape (n, F)
    X_new : ndarray of shape (m, F), float64

    Returns
    -------
    table : DataFrame or ndarray of shape (n + m, F)
        A new object. An integer or boolean column keeps its type where this type can hold all new
        values, and becomes float64 otherwise.
    """
    if is_polars(X):
        return type(X)([_extend_polars(X[:, k], X_new[:, k]) for k in range(X.width)])
    if not is_pandas(X):
        X = np.asarray(X)
        dtype = _common_dtype(X.dtype, X_new)
        return np.concatenate([X.astype(dtype), X_new.astype(dtype)])
    import pandas as pd

    dtypes = {k: _common_dtype(dtype, X_new[:, k]) for k, dtype in enumerate(X.dtypes)}
    # Names need not be unique; positions are.
    real = X.set_axis(range(X.shape[1]), axis=1).astype(dtypes)
    new = pd.DataFrame(X_new).astype(dtypes)
    table = pd.concat([real, new])
    return table.set_axis(X.columns, axis=1).set_axis(extend_index(X.index, len(new)))


def append_target(y, y_new, classes, *, X, X_resampled):
    """Put the targets of generated rows below `y`, in the container of `y` and with its types.

    Parameters
    ----------
    y : Series or DataFrame of pandas or polars, or array-like of shape (n,) or (n, T)
    y_new : ndarray of shape (m,) or (m, T)
        Encoded as by `encode_target`.
    classes : ndarray or None
    X, X_resampled : DataFrame or array
        The rows before and after. If `X` and `y` have the same index, the results have too.

    Returns
    -------
    target : Series, DataFrame or ndarray of shape (n + m,) or (n + m, T)
    """
    if hasattr(y, "columns"):
        target = append_rows(y, y_new)
    elif is_polars(y):
        import polars as pl

        return pl.concat([y, pl.Series(y_new if classes is None else classes[y_new]).cast(y.dtype)])
    elif is_pandas(y):
        import pandas as pd

        new = pd.Series(y_new if classes is None else classes[y_new], dtype=y.dtype)
        target = pd.concat([y.rename(None), new]).rename(y.name)
        target.index = extend_index(y.index, len(new))
    else:
        real = np.asarray(y)
        new = y_new if classes is None else classes[y_new]
        return np.concatenate([real, new.astype(real.dtype)])
    if is_pandas(X) and is_pandas(y) and X.index.equals(y.index):
        target.index = X_resampled.index
    return target


def as_table(rows, names, index=None, *, polars=False):
    """Return the rows as a DataFrame where the columns have names, else as an array."""
    if names is None:
        return rows
    if polars:
        import polars as pl

        return pl.DataFrame(rows, schema=list(names))
    import pandas as pd

    return pd.DataFrame(rows, columns=names, index=index)


def with_values(y, values):
    """Return new values, shape (n,), in the container type of a target of shape (n,)."""
    if is_polars(y):
        import polars as pl

        return pl.Series(y.name, values)
    if is_pandas(y):
        import pandas as pd

        return pd.Series(values, index=y.index, name=y.name)
    return values


def is_pandas(table):
    """Whether `table` is a DataFrame or Series of pandas."""
    return hasattr(table, "iloc")


def is_polars(table):
    """Whether `table` is a DataFrame or Series of polars, which need not be installed."""
    return type(table).__module__.startswith("polars.")


def _extend_polars(column, values):
    """Put new values below a Series of polars, which becomes float64 where it cannot hold them."""
    import polars as pl

    dtype = column.to_numpy().dtype
    if _common_dtype(dtype, values) != dtype:
        column = column.cast(pl.Float64)
    elif dtype.kind == "b":
        values = values.astype(bool)
    return pl.concat([column, pl.Series(values).cast(column.dtype)])


def _dtypes(table):
    return list(table.dtypes) if table.ndim == 2 else [table.dtype]


def _common_dtype(dtype, values):
    """Return `dtype` if it can hold `values` (floats may be rounded), else float64."""
    numpy_dtype = getattr(dtype, "numpy_dtype", dtype)
    kind = getattr(numpy_dtype, "kind", "O")
    if kind == "f":
        return dtype
    if kind in "iub":
        with np.errstate(invalid="ignore"):
            if np.array_equal(values.astype(numpy_dtype), values):
                return dtype
    return np.dtype(np.float64)


def extend_index(index, n_new):
    """Extend an index of pandas: integers after the largest, anything else by row number."""
    import pandas as pd

    if n_new == 0:
        return index
    if isinstance(index, pd.RangeIndex) and index.step == 1:
        return pd.RangeIndex(index.start, index.stop + n_new, name=index.name)
    if pd.api.types.is_integer_dtype(index.dtype):
        start = int(index.max()) + 1
        return index.append(pd.RangeIndex(start, start + n_new)).rename(index.name)
    # A float label may equal a row number.
    numbers = [label for label in index if isinstance(label, Real) and math.isfinite(label)]
    start = max(len(index), math.floor(max(numbers, default=-1)) + 1)
    labels = [*index, *range(start, start + n_new)]
    return pd.Index(labels, dtype=object, tupleize_cols=False, name=index.name)
