"""In which order crystals are put onto their parent, and which of several ways is chosen.

Crystals of elements that are known come first. What is known of the sites then grows with each
crystal in the same way, whatever the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sklmat.elements import N_ROWS, element_symbols, element_table
from sklmat.structures import CrystalArrays

#: Square of a difference of electronegativities that is larger than all.
_LARGEST = 20.0
#: Electronegativity of elements without one, such as neon.
_MIDDLE = 2.0


def reading_order(
    crystals: Sequence[CrystalArrays], parent: CrystalArrays | None = None
) -> list[int]:
    """Return the order in which crystals are put onto their parent.

    Parameters
    ----------
    crystals : sequence of n CrystalArrays
    parent : CrystalArrays or None
        Its elements are known. Without a parent, crystals of the most frequent composition come
        first, among those with the most frequent number of atoms.

    Returns
    -------
    list of n int
        Then, compositions with the largest part of atoms of known elements come first.
    """
    counts = [np.bincount(crystal.atomic_numbers, minlength=N_ROWS) for crystal in crystals]
    compositions, of_row, n_rows = np.unique(
        counts, axis=0, return_inverse=True, return_counts=True
    )
    sizes = compositions.sum(axis=1)
    step = np.full(len(compositions), -1)
    if parent is None:
        n_of_size = np.bincount(sizes, weights=n_rows)[sizes]
        step[np.lexsort([-n_rows, -n_of_size])[0]] = 0
        known = (compositions[step == 0] > 0).any(axis=0)
    else:
        known = np.bincount(parent.atomic_numbers, minlength=N_ROWS) > 0
    while (step < 0).any():
        part = np.where(step < 0, compositions[:, known].sum(axis=1) / sizes, -1)
        # One composition at a time, until all elements are known.
        chosen = [part.argmax()] if part.max() < 1 else np.flatnonzero(part == 1)
        step[chosen] = step.max() + 1
        known |= (compositions[chosen] > 0).any(axis=0)
    return np.argsort(step[of_row.ravel()], kind="stable").tolist()


def connected_elements(known: np.ndarray) -> np.ndarray:
    """Return, for each site, the elements on all sites connected to it by common elements.

    Parameters
    ----------
    known : ndarray of bool, shape (S, Z)
        Whether an element has been seen on a site.

    Returns
    -------
    alike : ndarray of bool, shape (S, Z)
    """
    site, element = np.nonzero(known)
    n_sites = len(known)
    shape = (n_sites + known.shape[1],) * 2
    edges = coo_matrix((np.ones(len(site)), (site, n_sites + element)), shape)
    group = connected_components(edges, directed=False)[1]
    return group[:n_sites, None] == group[None, n_sites:]


def cost_of_elements(alike: np.ndarray) -> np.ndarray:
    """Return the cost of elements on sites, shape (S, Z).

    It is zero for an element that has been seen on a site, or on one connected to it. Otherwise it
    is one, and a little more the more its electronegativity differs from the mean of those seen
    there. These parts of all sites together are less than one.
    """
    values = _electronegativity()
    means = (alike * values).sum(axis=1) / alike.sum(axis=1)
    differences = (values - means[:, None]) ** 2 / (_LARGEST * len(alike))
    return np.where(alike, 0.0, 1.0 + differences)


@cache
def _electronegativity():
    """Return Pauling's values by atomic number; elements without one get a value in the middle."""
    numbers = np.arange(1, N_ROWS)
    values = element_table(element_symbols(numbers))["electronegativity (Pauling)"].to_numpy()
    return np.insert(np.where(np.isnan(values), _MIDDLE, values), 0, _MIDDLE)
