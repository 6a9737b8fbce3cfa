"""Index arithmetic of groups that stand one after another in flat arrays.

The atoms of crystals, the edges of crystals and the edges of atoms are stored so: all items of the
first group, then all of the second, and so on. ``counts[g]`` is the number of items of group g, and
``pointer[g]:pointer[g + 1]`` are their positions.
"""

import numpy as np


def pointer_from_counts(counts: np.ndarray) -> np.ndarray:
    """Position at which each group begins, and the end of the last: shape (G + 1,), int64."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def group_of_item(counts: np.ndarray) -> np.ndarray:
    """Index of the group of each item, ndarray of shape (sum of counts,)."""
    return np.repeat(np.arange(len(counts)), counts)


def rank_within_group(counts: np.ndarray) -> np.ndarray:
    """Position of each item in its own group, counted from zero: shape (sum of counts,)."""
    return np.arange(np.sum(counts)) - np.repeat(np.cumsum(counts) - counts, counts)


def gather_ranges(pointer: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pointer and positions with which to take some groups out of a flat array.

    Parameters
    ----------
    pointer : ndarray of shape (G + 1,)
    groups : ndarray of integers, shape (H,)

    Returns
    -------
    new_pointer : ndarray of shape (H + 1,)
        Where each of these groups stands in the new array.
    positions : ndarray of shape (number of their items,)
        Where their items stand in the old one.
    """
    counts = pointer[groups + 1] - pointer[groups]
    new_pointer = pointer_from_counts(counts)
    shift = np.repeat(pointer[groups] - new_pointer[:-1], counts)
    return new_pointer, np.arange(new_pointer[-1]) + shift
