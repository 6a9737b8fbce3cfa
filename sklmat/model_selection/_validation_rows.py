"""Choose validation rows by groups: `default_groups` and `choose_validation_rows`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import _num_samples

from sklmat.exceptions import InvalidStructureError
from sklmat.model_selection._group_labels import composition_groups


def default_groups(X: Any) -> np.ndarray:
    """Label rows by composition, or each row by its number if `X` tells no compositions.

    Parameters
    ----------
    X : sequence of n crystals or compositions, CrystalGraphs or table

    Returns
    -------
    ndarray of shape (n,), dtype int
    """
    if _is_plain_table(X):
        return np.arange(_num_samples(X))
    try:
        return composition_groups(X)
    except InvalidStructureError:
        raise
    except ValueError:
        if isinstance(X, pd.DataFrame):  # without fractions and structures
            return np.arange(len(X))
        raise


def _is_plain_table(X):
    """Whether `X` holds rows of numbers without names."""
    if isinstance(X, pd.DataFrame):
        return False
    if getattr(X, "ndim", 1) == 2 or hasattr(X, "width"):  # array, sparse matrix, polars
        return True
    first = X[0] if isinstance(X, list | tuple) and len(X) else None
    return isinstance(first, list | tuple | np.ndarray)


def choose_validation_rows(
    groups: np.ndarray, classes: np.ndarray, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Choose whole groups at random until about a fraction of the rows of each class is chosen.

    Parameters
    ----------
    groups : ndarray of shape (n,)
    classes : ndarray of shape (n,)
        Class of each row; all the same for a regressor. A row of each class is left for training.
    fraction : float
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ValueError
        When no group can be held out.
    """
    group = np.unique(groups, return_inverse=True)[1]
    kind = np.unique(classes, return_inverse=True)[1]
    # Rows of each group and class.
    counts = np.zeros((group.max() + 1, kind.max() + 1), dtype=int)
    np.add.at(counts, (group, kind), 1)
    total = counts.sum(axis=0)
    limit, chosen = np.ceil(fraction * total), np.zeros(len(counts), dtype=bool)
    held_out = np.zeros_like(total)
    for label in rng.permutation(len(counts)):
        more = held_out + counts[label]
        if (more <= limit).all() and (more < total).all():
            chosen[label], held_out = True, more
    if not chosen.any():
        # Every group is larger than the fraction: take the smallest.
        possible = np.flatnonzero((counts < total).all(axis=1))
        if not len(possible):
            raise ValueError(
                f"no validation rows can be held out of {len(groups)} rows in {len(counts)} "
                "groups (rows of one composition, unless fit is given groups): each group holds "
                "all rows, or all rows of a class; pass other groups, or use a fixed number of "
                "iterations"
            )
        chosen[possible[np.argmin(counts[possible].sum(axis=1))]] = True
    return chosen[group]
