"""Warnings of columns without a meaning for slabs, wires and molecules, and of vacuum."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from sklmat.exceptions import InvalidStructureWarning
from sklmat.recorded_warnings import frames_inside
from sklmat.structures import CrystalArrays

# Largest distance (Å) between neighbouring planes of atoms in a crystal without vacuum; the lattice
# parameters of the alkali metals, the largest of all elements, are below 6.2 Å.
_MAX_GAP = 8.0
# Rows that a warning names; of further ones it gives the number.
_MAX_ROWS = 10


def warn_of_undefined_values(
    structures: np.ndarray, rows: Sequence[int], values: np.ndarray, names: Sequence[str]
) -> None:
    """Give one warning that names the valid rows with NaN, and the columns in which they have it.

    Parameters
    ----------
    structures : ndarray of shape (C,)
    rows : sequence of int
        The valid rows.
    values : ndarray of shape (C, F)
    names : sequence of str
        Names of the columns of `values`.
    """
    missing = np.isnan(values[rows])
    if missing.any():
        columns = [name for name, is_missing in zip(names, missing.any(axis=0)) if is_missing]
        named = [
            f"row {row} ({_formula(structures[row])}, periodic in "
            f"{sum(structures[row].lattice.pbc)} directions)"
            for row in np.asarray(rows)[missing.any(axis=1)].tolist()
        ]
        _warn(
            f"{', '.join(columns)}: NaN, because not defined, for {_listed(named)}. A volume needs "
            "three periodic directions, an area two, a length one, and a space group two or three; "
            "a small molecule may have no second shell, or fewer than 18 neighbours"
        )


def warn_of_vacuum(structures: np.ndarray, crystals: Mapping[int, CrystalArrays]) -> None:
    """Give one warning that names the rows with a layer of vacuum in a periodic direction.

    `crystals` has the arrays of the valid rows of `structures`.
    """
    gaps = dict(zip(crystals, largest_gaps(list(crystals.values()))))
    named = [
        f"row {row} ({_formula(structures[row])}, {gap.max():.1f} Å along {'abc'[gap.argmax()]})"
        for row, gap in gaps.items()
        if gap.max() > _MAX_GAP
    ]
    if named:
        _warn(
            f"more than {_MAX_GAP:g} Å without atoms in a direction declared as periodic: "
            f"{_listed(named)}. If this is vacuum, declare the direction as not periodic, such as "
            "Lattice(matrix, pbc=(True, True, False)) in pymatgen or atoms.pbc = (True, True, "
            "False) in ASE; otherwise volume and density measure the vacuum"
        )


def largest_gaps(crystals: Sequence[CrystalArrays]) -> np.ndarray:
    """Largest distance (Å) between neighbouring planes of atoms that are parallel to two vectors.

    Returns
    -------
    gaps : ndarray of shape (C, 3)
        For the planes along which each lattice vector leads; 0 if this direction is not periodic.
    """
    gaps = np.zeros((len(crystals), 3))
    if not crystals:
        return gaps
    sizes = np.array([len(crystal.atomic_numbers) for crystal in crystals])
    crystal = np.repeat(np.arange(len(crystals)), sizes)
    inverse = np.linalg.inv(np.stack([crystal.lattice for crystal in crystals]))
    positions = np.concatenate([crystal.positions for crystal in crystals])
    place = np.einsum("nx,nxk->nk", positions, inverse[crystal]) % 1
    first, last = np.cumsum(sizes) - sizes, np.cumsum(sizes) - 1
    for axis in range(3):
        ranked = place[np.lexsort((place[:, axis], crystal)), axis]
        step = np.append(np.diff(ranked), 0)
        step[last] = 1 + ranked[first] - ranked[last]
        gaps[:, axis] = np.maximum.reduceat(step, first)
    heights = 1 / np.linalg.norm(inverse, axis=1)
    return gaps * heights * np.stack([crystal.pbc for crystal in crystals])


def _listed(named):
    more = f" and {len(named) - _MAX_ROWS} more" if len(named) > _MAX_ROWS else ""
    return ", ".join(named[:_MAX_ROWS]) + more


def _formula(structure):
    return structure.formula.replace(" ", "")


def _warn(message):
    warnings.warn(message, InvalidStructureWarning, stacklevel=frames_inside())
