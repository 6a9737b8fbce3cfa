"""`CrystalArrays`, the atoms and the lattice of one crystal as plain arrays."""

from typing import NamedTuple

import numpy as np


class CrystalArrays(NamedTuple):
    """One crystal: what its graph depends on, quick to send between processes and to hash.

    Parameters
    ----------
    atomic_numbers : ndarray of shape (N,), uint8
    positions : ndarray of shape (N, 3), float64
        Cartesian (Å).
    lattice : ndarray of shape (3, 3), float64
        Lattice vectors as rows (Å).
    pbc : ndarray of shape (3,), bool
        Periodic directions.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    lattice: np.ndarray
    pbc: np.ndarray

    def to_structure(self):
        """Make the pymatgen ``Structure`` of these arrays."""
        from pymatgen.core import Lattice, Structure

        return Structure(
            Lattice(self.lattice, pbc=tuple(self.pbc.tolist())),
            self.atomic_numbers.tolist(),
            self.positions,
            coords_are_cartesian=True,
        )


def crystal_arrays(structures) -> list[CrystalArrays]:
    """Read the arrays of pymatgen structures."""
    return [
        CrystalArrays(
            np.array(structure.atomic_numbers, dtype=np.uint8),
            np.ascontiguousarray(structure.cart_coords, dtype=np.float64),
            np.ascontiguousarray(structure.lattice.matrix, dtype=np.float64),
            np.array(structure.lattice.pbc, dtype=bool),
        )
        for structure in structures
    ]
