"""Columns from energies: relative to the elements, and the response to a change of volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklmat.element_references import fit_references
from sklmat.elements import N_ROWS
from sklmat.embeddings._evaluate_crystals import formula_of, rows_of_atoms
from sklmat.exceptions import InvalidStructureError
from sklmat.structures import CrystalArrays

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

#: Relative change of the volume in either direction. On 1,181 cells whose moduli were calculated,
#: CHGNet's moduli were closer to them with 6 % than with 2 or 3 %.
STRAIN = 0.06
#: GPa in 1 eV/Å³.
_GPA = 160.21766


def atomic_fractions(crystals: list[CrystalArrays]) -> np.ndarray:
    """Fractions of the elements, shape (C, 119): column Z belongs to atomic number Z."""
    rows, numbers = rows_of_atoms(crystals)
    counts = np.bincount(rows * N_ROWS + numbers, minlength=len(crystals) * N_ROWS)
    counts = counts.reshape(len(crystals), N_ROWS)
    return counts / counts.sum(axis=1, keepdims=True)


def energy_references(crystals: list[CrystalArrays], energies: np.ndarray) -> np.ndarray:
    """Energies of the elements, shape (119,), whose weighted sum is closest to the energies.

    NaN for elements that no crystal has.
    """
    return fit_references(atomic_fractions(crystals), energies[:, None])[:, 0]


def scaled_crystals(
    structures: Sequence[IStructure], crystals: list[CrystalArrays], factor: float
) -> list[CrystalArrays]:
    """Multiply the volumes by a factor; the atoms keep their fractional coordinates.

    Raises
    ------
    InvalidStructureError
        When a crystal is not periodic in all directions.
    """
    for row, crystal in enumerate(crystals):
        if not crystal.pbc.all():
            raise InvalidStructureError(
                row,
                formula_of(structures[row]),
                "is not periodic in three directions and has no volume; leave 'pressure' and "
                "'bulk modulus' out of columns",
            )
    length = factor ** (1 / 3)
    return [
        CrystalArrays(one.atomic_numbers, one.positions * length, one.lattice * length, one.pbc)
        for one in crystals
    ]


def pressures_and_moduli(
    crystals: list[CrystalArrays], given: np.ndarray, smaller: np.ndarray, larger: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute -dE/dV and V d²E/dV² by central differences.

    Parameters
    ----------
    crystals : list of C CrystalArrays
    given, smaller, larger : ndarray of shape (C,)
        Energies per atom (eV) at the volumes as given, and smaller and larger by `STRAIN`.

    Returns
    -------
    pressures, moduli : ndarray of shape (C,)
        In GPa.
    """
    volumes = np.array(
        [abs(np.linalg.det(one.lattice)) / len(one.atomic_numbers) for one in crystals]
    )
    pressures = (smaller - larger) / (2 * STRAIN * volumes)
    moduli = (smaller - 2 * given + larger) / (STRAIN**2 * volumes)
    return pressures * _GPA, moduli * _GPA
