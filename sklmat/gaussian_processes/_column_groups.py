"""`find_column_groups`: positions of columns from names, patterns or integers."""

from __future__ import annotations

from fnmatch import fnmatchcase
from numbers import Integral

import numpy as np


def find_column_groups(column_groups, names, n_columns):
    """Find the columns of each group; every column belongs to exactly one.

    Parameters
    ----------
    column_groups : None, or dict or sequence of groups
        See `RobustGaussianProcessRegressor`.
    names : sequence of str or None
        Names of the columns, None for a plain array.
    n_columns : int

    Returns
    -------
    dict of str to ndarray of int
        Name of each group -> sorted positions of its columns.

    Raises
    ------
    ValueError
        When a column belongs to no group, or an entry matches no column that earlier groups left.
    """
    if column_groups is None:
        return {"all columns": np.arange(n_columns)}
    if isinstance(column_groups, type | str) or not np.iterable(column_groups):
        raise ValueError(f"column_groups must be a dict or a sequence, got {column_groups!r}")
    if not hasattr(column_groups, "items"):
        column_groups = {f"group {k}": entries for k, entries in enumerate(column_groups)}
    unnamed = [group for group in column_groups if not isinstance(group, str)]
    if unnamed:
        raise ValueError(f"column_groups: the name of a group must be a string, not {unnamed[0]!r}")
    owner: dict[int, str] = {}
    groups = {}
    for group, entries in column_groups.items():
        # A single entry may stand for a sequence of one.
        entries = entries if np.iterable(entries) and not isinstance(entries, str) else [entries]
        found = set()
        for entry in entries:
            matches = _matching_columns(entry, group, names, n_columns)
            free = [column for column in matches if owner.get(column, group) == group]
            if not free:
                raise ValueError(
                    f"column_groups: every column that {entry!r} of {group!r} matches is in an "
                    f"earlier group ({owner[matches[0]]!r} has {_label(names, matches[0])})"
                )
            found.update(free)
            owner |= dict.fromkeys(free, group)
        if not found:
            raise ValueError(f"column_groups: {group!r} is empty; leave it out")
        groups[group] = np.array(sorted(found))
    missing = [_label(names, column) for column in range(n_columns) if column not in owner]
    if missing:
        raise ValueError(
            f"column_groups: no group has the columns {', '.join(missing)}; add them to a group, "
            "or '*' to the last one for all columns that are left"
        )
    return groups


def _matching_columns(entry, group, names, n_columns):
    """Return the positions of the columns that a name, a pattern or a position stands for."""
    if isinstance(entry, Integral) and not isinstance(entry, bool):
        if not -n_columns <= entry < n_columns:
            raise ValueError(
                f"column_groups: {group!r} has column {entry}, but X has {n_columns} columns"
            )
        return [int(entry) % n_columns]
    if not isinstance(entry, str):
        raise ValueError(
            f"column_groups: {group!r} holds {entry!r}, which is no name, pattern or integer"
        )
    if entry == "*":
        return list(range(n_columns))
    if names is None:
        raise ValueError(
            f"column_groups: {group!r} has {entry!r}, but the columns of X have no names; pass a "
            "DataFrame, or the positions of the columns (in a pipeline, "
            "set_output(transform='pandas') of the transformers gives names)"
        )
    matches = [k for k, name in enumerate(names) if entry in _with_and_without_prefix(name)]
    # Of the special characters of fnmatch, only * and ? are special here.
    pattern = entry.replace("[", "[[]")
    matches = matches or [
        k
        for k, name in enumerate(names)
        if any(fnmatchcase(form, pattern) for form in _with_and_without_prefix(name))
    ]
    if not matches:
        raise ValueError(
            f"column_groups: {entry!r} of {group!r} matches no column; X has {', '.join(names)}"
        )
    return matches


def _with_and_without_prefix(name):
    """Return the name, and what follows each prefix of a FeatureUnion or ColumnTransformer."""
    parts = name.split("__")
    return ["__".join(parts[k:]) for k in range(len(parts))]


def _label(names, column):
    return str(column) if names is None else repr(names[column])
