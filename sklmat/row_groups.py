"""Rows that belong together, such as cells of one composition, in splits inside estimators."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from sklearn.model_selection import train_test_split

from sklmat.unseen_elements import frames_inside

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
    seed: int,
    classes: np.ndarray | None = None,
    purpose: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw validation rows such that no group has rows on both sides.

    If no two rows are of one group, or all rows are, this is scikit-learn's `train_test_split`. It
    is also used, with a warning, if the groups are too large: if no selection of groups has between
    one row and twice the wanted number of rows (of each class).

    Parameters
    ----------
    rows : ndarray of int
        Rows to divide.
    fraction : float
        Fraction of the rows that are validation rows.
    groups : ndarray of shape (C,)
        Label of the group of every row, not only of those in `rows`.
    seed : int
    classes : ndarray of shape (C,), default=None
        Classes that shall be on both sides in about the same proportions.
    purpose : str
        Beginning of the warning: what the validation rows are for.

    Returns
    -------
    train, valid : ndarray of int

    Raises
    ------
    ValueError
        When a class has too few rows for both sides.
    """
    train, valid = train_test_split(
        rows,
        test_size=fraction,
        random_state=seed,
        stratify=None if classes is None else classes[rows],
    )
    present, first, group = np.unique(groups[rows], return_index=True, return_inverse=True)
    if 1 < len(present) < len(rows):
        code = np.zeros(len(rows), dtype=int)
        if classes is not None:
            code = np.unique(classes[rows], return_inverse=True)[1]
        counts = np.zeros((len(present), code.max() + 1), dtype=int)
        np.add.at(counts, (group, code), 1)
        # Labels count rows that are not in `rows`, too. These rows must not change the selection.
        order = np.argsort(first)
        selected = _select_groups(counts[order], fraction, np.random.default_rng(seed))
        if selected is not None:
            is_valid = np.isin(group, order[selected])
            return rows[~is_valid], rows[is_valid]
    if len(present) > 1:
        warn_divided_groups(
            [(train, valid)],
            groups,
            f"{purpose}: the groups of rows with the same composition are too large to hold out "
            "whole groups",
            "the validation error is too low for new compositions; increase validation_fraction",
        )
    return train, valid


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


def _select_groups(counts, fraction, rng):
    """Choose held-out groups at random, from their numbers of rows of each class (G, K).

    Returns
    -------
    ndarray of int or None
        None if there is no selection with rows of each class on both sides.
    """
    order = rng.permutation(len(counts))
    total = counts.sum(axis=0)
    for limit in (np.ceil(fraction * total), np.ceil(2 * fraction * total)):
        n_held_out, selected = np.zeros_like(total), []
        for group in order:
            if (n_held_out + counts[group] <= limit).all():
                n_held_out = n_held_out + counts[group]
                selected.append(group)
        if (n_held_out > 0).all() and (n_held_out < total).all():
            return np.array(selected)
    return None
