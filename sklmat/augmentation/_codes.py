"""Find, draw and validate code columns (composition, lattice, phase)."""

import re
import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import NamedTuple

import numpy as np

from sklmat.augmentation._dataframes import as_table
from sklmat.compositions import (
    SUM_TOLERANCE,
    check_fractions,
    element_of_column,
    fraction_columns,
    refuse_rows,
    sum_to_one,
)
from sklmat.recorded_warnings import frames_inside
from sklmat.row_groups import label_compositions, label_equal_rows
from sklmat.targets import number_array

#: Names of one-hot columns start with these, after a FeatureUnion's or ColumnTransformer's prefix.
_CATEGORIES = ("lattice_", "phase_")


class Codes(NamedTuple):
    """Positions of the code columns in a table.

    Attributes
    ----------
    columns : ndarray of int
        All code columns: in the order of the table where they were found, in the order given where
        they were named.
    fractions : ndarray of int
        The code columns with fractions, which sum to one in every row. May be empty.
    groups : list of ndarray of int
        The one-hot code columns, one array for each category.
    """

    columns: np.ndarray
    fractions: np.ndarray
    groups: list


def find_codes(names, X, code_features=None, *, required=True):
    """Find the code columns, which are the input of the generator.

    Parameters
    ----------
    names : sequence of str or None
        Names of the columns, None for a plain array.
    X : ndarray of shape (n, F)
        The training rows, finite.
    code_features : sequence of str or int, callable or None, default=None
        Names or positions of the code columns, or a function of the table (a DataFrame where there
        are names) that returns them. ``None`` takes the columns ``x_*`` that sum to one and the 0/1
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
        When columns are called ``x_Fe``, ... and are no fractions, and `required` is False.
    """
    if code_features is not None:
        columns = _named_columns(names, X, code_features)
    elif names is not None:
        _check_named_fractions(names, X, required)
        columns = _columns_by_name(names, X)
    else:
        columns = _leading_columns(X)
    if required and len(columns) == 0:
        raise ValueError(_nothing_found(names))
    fractions, groups = _split_columns(names, X, columns)
    return Codes(columns, fractions, groups)


def find_blocks(names, X, codes):
    """For each column, find the element without which it is exactly zero.

    Parameters
    ----------
    names : sequence of str or None
        Names of the columns: ``Fe_3`` belongs to ``x_Fe``. Without names, a column belongs to a
        code if it is zero in all rows where the code is zero (at least one), and non-zero in most
        other rows.
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
    features = np.setdiff1d(np.arange(X.shape[1]), codes.columns)
    categories = np.concatenate([*codes.groups, np.empty(0, dtype=int)])
    fractions = np.setdiff1d(codes.columns, categories)
    for column in features:
        if names is None:
            blocks[column] = _fraction_by_zeros(X, column, fractions)
        else:
            blocks[column] = _fraction_by_name(names, X, column, fractions)
    return blocks


def code_groups(X, codes):
    """Label rows of the same composition; without fractions, those with the same numeric codes.

    Parameters
    ----------
    X : ndarray of shape (n, F)
        The training rows.
    codes : Codes
        From `find_codes`.

    Returns
    -------
    ndarray of int, shape (n,)
        All labels differ if the codes are categories only.
    """
    if len(codes.fractions):
        return label_compositions([X[:, codes.fractions]])
    categories = np.concatenate([*codes.groups, np.empty(0, dtype=int)])
    numeric = np.setdiff1d(codes.columns, categories)
    return label_equal_rows([X[:, numeric]]) if len(numeric) else np.arange(len(X))


def sample_codes(codec, X, n, code_sampling, rng):
    """Draw the codes of new rows.

    Parameters
    ----------
    codec : TableCodec
    X : ndarray of shape (n_real, F)
        Real rows to draw from.
    n : int
    code_sampling : {"permute", "interpolate", "uniform"}
        See `InfoGANAugmenter`; without fractions nothing can be permuted, and codes are
        interpolated.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n, F)
        Rows with codes, and zeros in the other columns.
    """
    rows = np.zeros((n, codec.n_columns))
    source = rng.integers(len(X), size=n)
    for group in codec.groups:
        rows[:, group] = X[source][:, group]
    elements = np.setdiff1d(codec.fractions, codec.unseen)
    if code_sampling == "permute" and len(elements):
        rows[:, codec.continuous] = X[source][:, codec.continuous]
        rows[:, elements] = rng.permuted(X[source][:, elements], axis=1)
    elif code_sampling == "uniform":
        free = [column for column in codec.continuous if column not in codec.fractions]
        low, high = X[:, free].min(axis=0), X[:, free].max(axis=0)
        rows[:, free] = rng.uniform(low, high, size=(n, len(free)))
        if len(elements):
            rows[:, elements] = rng.dirichlet(np.ones(len(elements)), size=n)
    else:
        partner = _draw_partners(codec, X, source, rng)
        weight = rng.uniform(size=(n, 1))
        first, second = X[source][:, codec.continuous], X[partner][:, codec.continuous]
        rows[:, codec.continuous] = weight * first + (1 - weight) * second
    return rows


def _draw_partners(codec, X, source, rng):
    """For each row of `source`, a row with the same categories, which may be the row itself."""
    if not codec.groups:
        return rng.integers(len(X), size=len(source))
    columns = np.concatenate(codec.groups)
    category = np.unique(X[:, columns], axis=0, return_inverse=True)[1].ravel()
    members = [np.flatnonzero(category == number) for number in range(category.max() + 1)]
    sizes = np.array([len(rows) for rows in members])[category[source]]
    picks = (rng.uniform(size=len(source)) * sizes).astype(int)
    return np.array(
        [members[number][pick] for number, pick in zip(category[source], picks)], dtype=int
    )


def check_codes(codes, codec, names):
    """Check codes that the user gives, and put them into rows.

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
        wanted = [names[column] for column in codec.columns]
        missing = [name for name in wanted if name not in codes.columns]
        if missing:
            raise ValueError(f"codes lack the columns {missing}; the code is {wanted}")
        codes = codes[wanted]
    codes = number_array(codes, "codes")
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


def _check_named_fractions(names, X, required):
    """Refuse, or warn of, columns named as fractions that are none, for example after scaling."""
    columns = [column for column, name in enumerate(names) if element_of_column(name)]
    values = X[:, columns]
    if not columns or _all_sum_to_one(values):
        return
    row = int(np.abs(values.sum(axis=1) - 1).argmax())
    if (values < 0).any():
        row = int(values.min(axis=1).argmin())
    message = (
        f"the columns {[str(names[column]) for column in columns]} are no fractions, which are 0 "
        f"or more and sum to one (within {SUM_TOLERANCE}): row {row} has {values[row].tolist()}. "
        "Augment before scaling, keep the columns of all elements, and correct rounded or percent "
        "values; or name the code columns with code_features"
    )
    if required:
        raise ValueError(message)
    warnings.warn(
        f"{message}. They are taken for descriptors", UserWarning, stacklevel=frames_inside()
    )


def _columns_by_name(names, X):
    """Return the fractions that sum to one, and the categories, in the order of the table."""
    found = set(fraction_columns(names))
    fractions = [column for column, name in enumerate(names) if name in found]
    if not _all_sum_to_one(X[:, fractions]):
        fractions = []
    binary = is_binary(X)
    categories = [
        column
        for column, name in enumerate(names)
        if binary[column] and any(_is_of_category(name, prefix) for prefix in _CATEGORIES)
    ]
    return np.array(sorted([*fractions, *categories]), dtype=int)


def _leading_columns(X):
    """Return the leading columns: one run of fractions, and runs of categories around it."""
    binary, start, found_fractions = is_binary(X), 0, False
    while start < X.shape[1]:
        stop = _run_to_one(X, start)
        if stop is None:
            break
        if not binary[start:stop].all():
            if found_fractions:
                break
            found_fractions = True
        start = stop
    # Leading columns that are constant, such as the intercept of a design matrix, are no code.
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
    """Turn names, positions, a mask or a function into positions, in the order given."""
    if isinstance(code_features, type | Mapping):
        raise TypeError(
            "code_features must be names or numbers of columns, or a function that returns them, "
            f"got {code_features!r}"
        )
    if callable(code_features):
        code_features = code_features(as_table(X, names))
    chosen = [code_features] if isinstance(code_features, str | Integral) else list(code_features)
    if chosen and all(isinstance(item, bool | np.bool_) for item in chosen):
        if len(chosen) != X.shape[1]:
            raise ValueError(f"code_features has {len(chosen)} booleans for {X.shape[1]} columns")
        return np.flatnonzero(chosen)
    columns = [_position(item, names, X.shape[1]) for item in chosen]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise ValueError(f"code_features names the columns {repeated} more than once")
    return np.array(columns, dtype=int)


def _position(item, names, n_columns):
    """Position of a column that is given by its name or position."""
    if isinstance(item, str):
        if names is None:
            raise ValueError(f"code_features names {str(item)!r}, but the columns have no names")
        if item not in list(names):
            raise ValueError(f"code_features: there is no column {str(item)!r} in {list(names)}")
        return list(names).index(item)
    if not isinstance(item, Integral) or not -n_columns <= item < n_columns:
        raise ValueError(f"code_features: {item!r} is not one of {n_columns} columns")
    return int(item) % n_columns


def _split_columns(names, X, columns):
    """Split code columns into fractions and groups of categories."""
    binary, groups, rest = is_binary(X), [], [int(column) for column in columns]
    fractions = np.empty(0, dtype=int)
    if names is not None:
        for prefix in _CATEGORIES:
            group = [k for k in rest if _is_of_category(names[k], prefix) and binary[k]]
            if group and _all_sum_to_one(X[:, group]):
                groups.append(np.array(group))
                rest = [column for column in rest if column not in group]
        found = set(fraction_columns(names))
        named = [column for column in rest if names[column] in found]
        if named and _all_sum_to_one(X[:, named]):
            fractions = np.array(named)
            rest = [column for column in rest if column not in named]
    return _split_runs(X, rest, fractions, groups)


def _split_runs(X, columns, fractions, groups):
    """Find categories, and fractions unless they are known: runs of `columns` that sum to one."""
    binary, start = is_binary(X), 0
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


def _is_of_category(name, prefix):
    """Whether a column is named ``lattice_fcc`` or, behind a prefix, ``union__lattice_fcc``."""
    return name.startswith(prefix) or re.match(rf".*__{prefix}", name) is not None


def is_binary(X):
    """Whether each column holds zeros and ones only."""
    return ((X == 0) | (X == 1)).all(axis=0)


def _all_sum_to_one(values):
    """Whether there are columns, and every row is non-negative and sums to one."""
    return bool(values.shape[1]) and bool(sum_to_one(values).all())


def _fraction_by_name(names, X, column, fractions):
    """The fraction of the element that a column is named for, if it is zero without the element."""
    match = re.fullmatch(r"(?:.*__)?([A-Z][a-z]?)_\d+", names[column])
    if match:
        for fraction in fractions:
            absent = X[:, fraction] == 0
            if element_of_column(names[fraction]) == match[1] and not X[absent, column].any():
                return fraction
    return -1


def _fraction_by_zeros(X, column, fractions):
    """The fraction without which a column is always zero; of several, with fewest other zeros."""
    found, fewest = -1, len(X)
    for fraction in fractions:
        absent = X[:, fraction] == 0
        if not absent.any() or absent.all() or X[absent, column].any():
            continue
        zeros = np.count_nonzero(X[~absent, column] == 0)
        if zeros < fewest and zeros < 0.5 * np.count_nonzero(~absent):
            found, fewest = fraction, zeros
    return found


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
