"""`CrystalArrays`: the arrays of one crystal on which its graph depends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.structures._distances import outside_shifts, site_numbers

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure import IStructure


class CrystalArrays(NamedTuple):
    """Arrays of one crystal on which its graph depends; fast to hash and to send to processes.

    Parameters
    ----------
    atomic_numbers : ndarray of shape (N,), uint8
    positions : ndarray of shape (N, 3), float64
        Cartesian coordinates (Å).
    lattice : ndarray of shape (3, 3), float64
        Lattice vectors as rows (Å).
    pbc : ndarray of shape (3,), bool
        Periodic directions.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    lattice: np.ndarray
    pbc: np.ndarray

    def select(self, atoms: np.ndarray) -> CrystalArrays:
        """Keep some atoms, given by a mask or by their positions."""
        return CrystalArrays(
            self.atomic_numbers[atoms], self.positions[atoms], self.lattice, self.pbc
        )

    def to_structure(self) -> Structure:
        """Make the pymatgen ``Structure`` of these arrays."""
        from pymatgen.core import Lattice, Structure

        return Structure(
            Lattice(self.lattice, pbc=tuple(self.pbc.tolist())),
            self.atomic_numbers.tolist(),
            self.positions,
            coords_are_cartesian=True,
        )


def crystal_arrays(structures: Iterable[IStructure]) -> list[CrystalArrays]:
    """Read the arrays of pymatgen structures."""
    return [_arrays(structure) for structure in structures]


def _arrays(structure):
    positions = np.ascontiguousarray(structure.cart_coords, dtype=np.float64)
    matrix = np.ascontiguousarray(structure.lattice.matrix, dtype=np.float64)
    pbc = np.array(structure.lattice.pbc, dtype=bool)
    # The images of edges are small integers.
    shift = outside_shifts(positions, matrix, pbc)
    if shift is not None:
        positions = positions - shift @ matrix
    return CrystalArrays(np.array(site_numbers(structure), dtype=np.uint8), positions, matrix, pbc)
