"""Which columns of a table are the code (composition, phase), and which belong to an element."""

import re
import warnings
from numbers import Integral
from typing import NamedTuple

import numpy as np

from sklmat.compositions import (
    SUM_TOLERANCE,
    check_fractions,
    element_of_column,
    is_fraction_column,
    refuse_rows,
    sum_to_one,
)

_CATEGORY_PREFIXES = ("lattice_", "phase_")


class Codes(NamedTuple):
    """Places of the code columns in a table.

    Attributes
    ----------
    columns : ndarray of int
        All code columns: in the order of the table where they were found, in the order given where
        they were named.
    fractions : ndarray of int
        Those of them that hold fractions and sum to one in every row. May be empty.
    groups : list of ndarray of int
        Those of them that are one-hot categories, a group for each category.
    """

    columns: np.ndarray
    fractions: np.ndarray
    groups: list


def find_codes(names, X, code_features=None, *, required=True):
    """Find the columns that say what a row is, as opposed to how it looks.

    Parameters
    ----------
    names : sequence of str or None
        Names of the columns, None for a plain array.
    X : ndarray of shape (n, F)
        The training rows, finite.
    code_features : sequence of str or int, callable or None, default=None
        Names or places of the code columns, or a function of the table (a DataFrame where there are
        names) that returns them. ``None`` takes the columns ``x_*`` that sum to one and the 0/1
        columns ``lattice_*`` and ``phase_*``; without names, the leading columns whose rows sum to
        one, and the runs of 0/1 columns that sum to one before or after them.
    required : bool, default=True
        Raise when there are none; otherwise return empty codes.

    Returns
    -------
    codes : Codes

    Raises
    ------
    ValueError
        When no column is found, or a named one does not exist; when columns are called ``x_Fe``,
        ... and are no fractions.

    Warns
    -----
    UserWarning
        In the latter case, where codes are not `required`.
    """
    if code_features is not None:
        columns = _named_columns(names, X, code_features)
    elif names is not None:
        _check_fractions(names, X, required)
        columns = _columns_by_name(names, X)
    else:
        columns = _leading_columns(X)
    if required and len(columns) == 0:
        raise ValueError(_nothing_found(names))
    fractions, groups = _sort_out(names, X, columns)
    return Codes(columns, fractions, groups)


def find_blocks(names, X, codes):
    """For each column, find the element without which it is exactly zero.

    Parameters
    ----------
    names : sequence of str or None
        Names of the columns: ``Fe_3`` belongs to ``x_Fe``. Without names, a column belongs to a
        code if it is zero wherever the code is, in one row at least, and non-zero in most others.
    X : ndarray of shape (n, F)
        The training rows.
    codes : Codes
        From `find_codes`.

    Returns
    -------
    blocks : ndarray of int, shape (F,)
        Index of the code column that the column belongs to, or -1.
    """
    blocks = np.full(X.shape[1], -1)
    others = np.setdiff1d(np.arange(X.shape[1]), codes.columns)
    grouped = np.concatenate([*codes.groups, np.empty(0, dtype=int)])
    owners = np.setdiff1d(codes.columns, grouped)
    for column in others:
        if names is None:
            blocks[column] = _owner_by_zeros(X, column, owners)
        else:
            blocks[column] = _owner_by_name(names, X, column, owners)
    return blocks


def sample_codes(codec, X, n, how, rng):
    """Draw codes.

    Parameters
    ----------
    codec : TableCodec
    X : ndarray of shape (n_real, F)
        Real rows to draw from.
    n : int
    how : {"permute", "interpolate", "uniform"}
        See `InfoGANAugmenter`; without fractions nothing can be permuted, and codes are
        interpolated.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n, F)
        Rows with codes, and zeros in the other columns.
    """
    rows = np.zeros((n, codec.n_columns))
    one = rng.integers(len(X), size=n)
    for group in codec.groups:
        rows[:, group] = X[one][:, group]
    elements = np.setdiff1d(codec.fractions, codec.unseen)
    if how == "permute" and len(elements):
        rows[:, codec.continuous] = X[one][:, codec.continuous]
        rows[:, elements] = rng.permuted(X[one][:, elements], axis=1)
        return rows
    if how != "uniform":
        other = _partners(codec, X, one, rng)
        share = rng.uniform(size=(n, 1))
        pair = X[one][:, codec.continuous], X[other][:, codec.continuous]
        rows[:, codec.continuous] = share * pair[0] + (1 - share) * pair[1]
        return rows
    free = [k for k in codec.continuous if k not in codec.fractions]
    low, high = X[:, free].min(axis=0), X[:, free].max(axis=0)
    rows[:, free] = rng.uniform(low, high, size=(n, len(free)))
    if len(elements):
        rows[:, elements] = rng.dirichlet(np.ones(len(elements)), size=n)
    return rows


def _partners(codec, X, one, rng):
    """For each row another one (or itself) with the same categories."""
    if not codec.groups:
        return rng.integers(len(X), size=len(one))
    kinds = np.unique(X[:, np.concatenate(codec.groups)], axis=0, return_inverse=True)[1].ravel()
    members = [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
    sizes = np.array([len(rows) for rows in members])[kinds[one]]
    picks = (rng.uniform(size=len(one)) * sizes).astype(int)
    return np.array([members[kind][pick] for kind, pick in zip(kinds[one], picks)], dtype=int)


def check_codes(codes, codec, names):
    """Turn codes of the user's into rows, or say what is wrong with them.

    Parameters
    ----------
    codes : DataFrame or array of shape (n, n_codes)
    codec : TableCodec
    names : ndarray of str or None
        Names of all columns.

    Returns
    -------
    ndarray of shape (n, F)
        Rows with codes, and zeros in the other columns.

    Raises
    ------
    ValueError
        When the codes cannot be used; names the first such row.
    """
    if names is not None and hasattr(codes, "columns"):
        wanted = [names[k] for k in codec.columns]
        missing = [name for name in wanted if name not in codes.columns]
        if missing:
            raise ValueError(f"codes lack the columns {missing}; the code is {wanted}")
        codes = codes[wanted]
    codes = np.asarray(codes, dtype=np.float64)
    if codes.ndim != 2 or codes.shape[1] != len(codec.columns):
        raise ValueError(
            f"codes must be a table with {len(codec.columns)} columns, got shape {codes.shape}"
        )
    rows = np.zeros((len(codes), codec.n_columns))
    rows[:, codec.columns] = codes
    refuse_rows(~np.isfinite(codes).all(axis=1), "holds NaN or infinity", codes, "codes: ")
    if len(codec.fractions):
        check_fractions(rows[:, codec.fractions], "codes: ")
    for group in codec.groups:
        values = rows[:, group]
        wrong = ((values != 0) & (values != 1)).any(axis=1) | (values.sum(axis=1) != 1)
        refuse_rows(
            wrong, "must have a single 1 among the columns of a category", values, "codes: "
        )
    for column in codec.unseen:
        name = f"column {column}" if names is None else names[column]
        reason = f"has {name}, which no training row has"
        refuse_rows(rows[:, column] != 0, reason, codes, "codes: ")
    return rows


def _check_fractions(names, X, required):
    """Object to columns that are called fractions and are none, as after a scaler."""
    called = [column for column, name in enumerate(names) if element_of_column(name)]
    if not called or _on_simplex(X[:, called]):
        return
    totals = X[:, called].sum(axis=1)
    row = int(np.abs(totals - 1).argmax())
    if (X[:, called] < 0).any():
        row = int(X[:, called].min(axis=1).argmin())
    message = (
        f"the columns {[str(names[k]) for k in called]} are no fractions, which are 0 or more and "
        f"sum to one (within {SUM_TOLERANCE}): row {row} has {X[row, called].tolist()}. Augment "
        "before scaling, keep the columns of all elements, and correct rounded or percent values; "
        "or name the code columns with code_features"
    )
    if required:
        raise ValueError(message)
    warnings.warn(f"{message}. They are taken for descriptors", UserWarning, stacklevel=6)


def _columns_by_name(names, X):
    """Return the fractions that sum to one, and the categories, in the order of the table."""
    fractions = [column for column, name in enumerate(names) if is_fraction_column(name)]
    if not _on_simplex(X[:, fractions]):
        fractions = []
    binary = _binary(X)
    categories = [k for k, name in enumerate(names) if name.startswith(_CATEGORY_PREFIXES)]
    return np.array(sorted([*fractions, *(k for k in categories if binary[k])]), dtype=int)


def _leading_columns(X):
    """Return the leading columns: one run of fractions, and runs of categories around it."""
    binary, start, found_fractions = _binary(X), 0, False
    while start < X.shape[1]:
        stop = _run_to_one(X, start)
        if stop is None:
            break
        if not binary[start:stop].all():
            if found_fractions:
                break
            found_fractions = True
        start = stop
    # A leading constant, such as the intercept of a design matrix, codes for nothing.
    return np.arange(start if (X[:, :start] != X[:1, :start]).any() else 0)


def _run_to_one(X, start):
    """Return the end of the shortest run of columns from `start` that sums to one, or None."""
    total = np.zeros(len(X))
    for stop in range(start, X.shape[1]):
        column = X[:, stop]
        if (column < 0).any() or (column > 1).any():
            return None
        total = total + column
        if (total > 1 + SUM_TOLERANCE).any():
            return None
        if (np.abs(total - 1) <= SUM_TOLERANCE).all():
            return stop + 1
    return None


def _named_columns(names, X, code_features):
    """Turn names, places, a mask or a function into places, in the order given."""
    if callable(code_features):
        code_features = code_features(_table(names, X))
    chosen = [code_features] if isinstance(code_features, str | Integral) else list(code_features)
    if chosen and all(isinstance(item, bool | np.bool_) for item in chosen):
        if len(chosen) != X.shape[1]:
            raise ValueError(f"code_features has {len(chosen)} booleans for {X.shape[1]} columns")
        return np.flatnonzero(chosen)
    places = [_place(item, names, X.shape[1]) for item in chosen]
    twice = sorted({place for place in places if places.count(place) > 1})
    if twice:
        raise ValueError(f"code_features names the columns {twice} more than once")
    return np.array(places, dtype=int)


def _place(item, names, n_columns):
    if isinstance(item, str):
        if names is None:
            raise ValueError(f"code_features names {str(item)!r}, but the columns have no names")
        if item not in list(names):
            raise ValueError(f"code_features: there is no column {str(item)!r} in {list(names)}")
        return list(names).index(item)
    if not isinstance(item, Integral) or not -n_columns <= item < n_columns:
        raise ValueError(f"code_features: {item!r} is not one of {n_columns} columns")
    return int(item) % n_columns


def _table(names, X):
    """Return the rows as a function of the user's expects them."""
    if names is None:
        return X
    import pandas as pd

    return pd.DataFrame(X, columns=list(names))


def _sort_out(names, X, columns):
    """Split code columns into fractions and groups of categories."""
    binary, groups, rest = _binary(X), [], [int(k) for k in columns]
    fractions = np.empty(0, dtype=int)
    if names is not None:
        for prefix in _CATEGORY_PREFIXES:
            group = [k for k in rest if names[k].startswith(prefix) and binary[k]]
            if group and _on_simplex(X[:, group]):
                groups.append(np.array(group))
                rest = [k for k in rest if k not in group]
        named = [k for k in rest if is_fraction_column(names[k])]
        if named and _on_simplex(X[:, named]):
            fractions = np.array(named)
            rest = [k for k in rest if k not in named]
    return _split_runs(X, rest, fractions, groups)


def _split_runs(X, columns, fractions, groups):
    """Find categories, and fractions unless they are known, by where `columns` sum to one."""
    binary, start = _binary(X), 0
    while start < len(columns):
        stop = _run_to_one(X[:, columns], start)
        if stop is None:
            start += 1
            continue
        run = np.array(columns[start:stop])
        if binary[run].all():
            groups = [*groups, run]
        elif not len(fractions):
            fractions = run
        start = stop
    return fractions, groups


def _binary(X):
    return ((X == 0) | (X == 1)).all(axis=0)


def _on_simplex(values):
    """Whether there are columns, and every row is non-negative and sums to one."""
    return bool(values.shape[1]) and bool(sum_to_one(values).all())


def _owner_by_name(names, X, column, owners):
    """Return the fraction of the element that the name begins with, unless the data disagree."""
    match = re.fullmatch(r"([A-Z][a-z]?)_\d+", names[column])
    for owner in owners:
        if match and names[owner] == f"x_{match[1]}" and not X[X[:, owner] == 0, column].any():
            return owner
    return -1


def _owner_by_zeros(X, column, owners):
    """Return the code whose zeros the column shares, and which it differs from least."""
    best, fewest = -1, len(X)
    for owner in owners:
        absent = X[:, owner] == 0
        if not absent.any() or absent.all() or X[absent, column].any():
            continue
        zeros = np.count_nonzero(X[~absent, column] == 0)
        if zeros < fewest and zeros < 0.5 * np.count_nonzero(~absent):
            best, fewest = owner, zeros
    return best


def _nothing_found(names):
    if names is None:
        return (
            "no code columns found: no leading columns sum to one in every row. Pass the places "
            "of the columns that generated rows are asked for as code_features, or a DataFrame "
            "whose fractions are named x_<element>"
        )
    return (
        "no code columns found: there are no columns x_<element> that sum to one in every row, and "
        "no 0/1 columns lattice_* or phase_*. Pass the names of the columns that generated rows "
        "are asked for as code_features"
    )
