"""Rows that belong together, such as cells of one composition, in splits inside estimators."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from sklmat.recorded_warnings import frames_inside

#: Rows that a warning names.
_MAX_NAMED = 10


def label_compositions(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Label rows by their reduced composition; the labels count in the order of the rows.

    Parameters
    ----------
    parts : iterable of ndarray of shape (n, K)
        Amounts of K elements in consecutive rows.

    Returns
    -------
    ndarray of int, shape (total number of rows,)
        0 for the first composition, 1 for the next new composition, and so on. Fractions are
        compared after rounding to 1e-6.
    """
    return label_equal_rows(
        np.round(amounts / amounts.sum(axis=1, keepdims=True), 6) for amounts in parts
    )


def label_equal_rows(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Label rows of numbers, the same label for equal rows, counted in the order of the rows.

    Parameters
    ----------
    parts : iterable of ndarray of shape (n, K)
        Consecutive rows.

    Returns
    -------
    ndarray of int, shape (total number of rows,)
    """
    label_of: dict[bytes, int] = {}
    labels = [
        label_of.setdefault(row.tobytes(), len(label_of))
        for part in parts
        for row in np.asarray(part, dtype=float) + 0.0  # There is a zero of either sign.
    ]
    return np.array(labels, dtype=int)


def hold_out_rows(
    rows: np.ndarray,
    fraction: float,
    *,
    groups: np.ndarray,
    seed: int | np.random.Generator,
    classes: np.ndarray | None = None,
    divide: bool = True,
    purpose: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw validation rows such that no group has rows on both sides.

    Groups are drawn in random order, and each is held out if the held-out rows then do not exceed
    the fraction (of each class), or twice the fraction if none fits.

    Parameters
    ----------
    rows : ndarray of int
        Rows to divide.
    fraction : float
        Fraction of the rows that are validation rows.
    groups : ndarray of shape (C,)
        Label of the group of every row, not only of those in `rows`.
    seed : int or numpy.random.Generator
    classes : ndarray of shape (C,), default=None
        Classes that shall be on both sides in about the same proportions. A class with a single row
        is for training.
    divide : bool, default=True
        What to do if the groups are too large. True draws single rows, with a warning if there is
        more than one group. False holds out the smallest group that leaves rows of each class.
    purpose : str
        Beginning of warning and error: what the validation rows are for.

    Returns
    -------
    train, valid : ndarray of int
        In the order of `rows`.

    Raises
    ------
    ValueError
        When no rows can be held out.
    """
    rng = np.random.default_rng(seed)
    present, group = _in_order_of_first_row(groups[rows])
    code = np.zeros(len(rows), dtype=int)
    if classes is not None:
        code = np.unique(classes[rows], return_inverse=True)[1]
    selected = None
    if len(present) > 1 or not divide:
        selected = _select_groups(_counts(group, code), fraction, rng, smallest=not divide)
        if selected is None and not divide:
            raise ValueError(
                f"{purpose}: no validation rows can be held out of {len(rows)} rows in "
                f"{len(present)} groups, as each group holds all rows, or all rows of a class; "
                "pass other groups"
            )
    if selected is not None:
        is_valid = np.isin(group, selected)
        return rows[~is_valid], rows[is_valid]
    alone = np.arange(len(rows))
    selected = _select_groups(_counts(alone, code), fraction, rng)
    if selected is None:
        raise ValueError(
            f"{purpose}: no validation rows can be held out of {len(rows)} rows; at least two are "
            "needed, and of one class for a classifier"
        )
    is_valid = np.isin(alone, selected)
    train, valid = rows[~is_valid], rows[is_valid]
    if len(present) > 1:
        warn_divided_groups(
            [(train, valid)],
            groups,
            f"{purpose}: the groups of rows with the same composition are too large to hold out "
            "whole groups",
            "the validation error is too low for new compositions; increase validation_fraction",
        )
    return train, valid


def _in_order_of_first_row(labels):
    """Number labels by their first rows, so that labels of other rows change nothing."""
    present, first, group = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(present), dtype=int)
    rank[np.argsort(first)] = np.arange(len(present))
    return present, rank[group]


def _counts(group, code):
    """Number of rows of each group and class."""
    counts = np.zeros((group.max(initial=-1) + 1, code.max(initial=-1) + 1), dtype=int)
    np.add.at(counts, (group, code), 1)
    return counts


def _select_groups(counts, fraction, rng, smallest=False):
    """Choose held-out groups at random, from their numbers of rows of each class (G, K).

    Returns
    -------
    ndarray of int or None
        None if there is no selection that leaves training rows of each class and has validation
        rows of each class of several rows. With `smallest`, validation rows of some classes are
        enough, or else the smallest group that leaves training rows of each class.
    """
    order = rng.permutation(len(counts))
    total = counts.sum(axis=0)
    incomplete = []
    for factor in (1, 2):
        limit = np.minimum(np.ceil(factor * fraction * total), total - 1)
        n_held_out, selected = np.zeros_like(total), []
        for group in order:
            if (n_held_out + counts[group] <= limit).all():
                n_held_out = n_held_out + counts[group]
                selected.append(group)
        if selected and (n_held_out > 0)[total > 1].all():
            return np.array(selected)
        incomplete = incomplete or selected
    if smallest and incomplete:
        return np.array(incomplete)
    possible = np.flatnonzero((counts < total).all(axis=1))
    if not smallest or not len(possible):
        return None
    return possible[[np.argmin(counts[possible].sum(axis=1))]]


def warn_divided_groups(
    folds: Sequence[tuple[np.ndarray, np.ndarray]], groups: np.ndarray, what: str, advice: str
) -> None:
    """Warn if held-out rows are of the same group as training rows of their fold.

    Nothing happens if all rows are of one group, as no split can then keep its rows together.

    Parameters
    ----------
    folds : sequence of (train, held-out) row numbers
    groups : ndarray of shape (C,)
    what, advice : str
        Beginning and end of the message.
    """
    if (groups == groups[0]).all():
        return
    divided = [held_out[np.isin(groups[held_out], groups[train])] for train, held_out in folds]
    rows = np.unique(np.concatenate(divided))
    if not len(rows):
        return
    named = ", ".join(map(str, rows[:_MAX_NAMED]))
    more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
    n_held_out = sum(len(held_out) for _, held_out in folds)
    warnings.warn(
        f"{what}: {len(rows)} of {n_held_out} held-out rows have the same composition as training "
        f"rows of their fold (rows {named}{more}); {advice}",
        UserWarning,
        stacklevel=frames_inside(),
    )
