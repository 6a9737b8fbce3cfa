"""`Symmetry`: space group and equivalent sites from spglib; orders of point groups."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from sklmat.recorded_warnings import ignore_warnings

# Height (Å) of the empty space that is added to a slab for spglib.
_SLAB_VACUUM = 10.0
#: Order of each crystallographic point group: its number of symmetry operations.
POINT_GROUP_ORDER = {
    **dict.fromkeys(["1"], 1),
    **dict.fromkeys(["-1", "2", "m"], 2),
    **dict.fromkeys(["3"], 3),
    **dict.fromkeys(["2/m", "222", "mm2", "4", "-4"], 4),
    **dict.fromkeys(["-3", "32", "3m", "6", "-6"], 6),
    **dict.fromkeys(["mmm", "4/m", "422", "4mm", "-42m", "-4m2"], 8),
    **dict.fromkeys(["-3m", "6/m", "622", "6mm", "-62m", "-6m2"], 12),
    "23": 12,
    "4/mmm": 16,
    **dict.fromkeys(["6/mmm", "m-3", "432", "-43m"], 24),
    "m-3m": 48,
}


class Symmetry(NamedTuple):
    """Symmetry of a crystal.

    Attributes
    ----------
    number : int
        Number of the space group, 1 to 230.
    order : int
        Order of the point group.
    n_primitive : int
        Atoms in the primitive cell.
    orbits : ndarray of int, shape (N,)
        The same number for atoms that are equivalent.
    """

    number: int
    order: int
    n_primitive: int
    orbits: np.ndarray

    @classmethod
    def from_dataset(cls, dataset):
        """Make it from a spglib dataset."""
        return cls(
            number=dataset.number,
            order=POINT_GROUP_ORDER[dataset.pointgroup],
            n_primitive=int(dataset.mapping_to_primitive.max()) + 1,
            orbits=np.asarray(dataset.crystallographic_orbits),
        )

    @property
    def operations_per_atom(self):
        """Symmetry operations of the space group per atom, which do not depend on the cell."""
        return self.order / self.n_primitive


def lattice_of_symmetry(positions: np.ndarray, lattice: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Lattice in which spglib finds the symmetry: a slab gets a layer of vacuum of its own.

    The third vector is perpendicular to the slab and longer than the two others, so that none of
    its symmetry depends on it.
    """
    if pbc.all():
        return lattice
    lattice = lattice.copy()
    [across] = np.flatnonzero(~pbc)
    a, b = lattice[pbc]
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    normal *= np.sign(normal @ lattice[across])
    thickness = np.ptp(positions @ normal)
    lattice[across] = normal * (thickness + np.linalg.norm(a) + np.linalg.norm(b) + _SLAB_VACUUM)
    return lattice


def symmetry_dataset(
    lattice: np.ndarray, frac_coords: np.ndarray, types: Sequence[int] | np.ndarray, symprec: float
) -> Any:
    """Symmetry of a crystal within `symprec` (Å) as a spglib dataset; None if spglib fails."""
    import spglib

    cell: Any = (lattice, frac_coords, types)  # spglib's own hints allow only sequences
    # spglib 2.7 and 2.8 return None on failure and warn that later versions will raise an
    # error; both cases are handled here.
    with ignore_warnings(DeprecationWarning):
        try:
            return spglib.get_symmetry_dataset(cell, symprec=symprec)
        except getattr(spglib, "SpglibError", RuntimeError):
            return None


@contextmanager
def quiet_spglib() -> Iterator[None]:
    """Suppress the line that spglib prints for each tolerance that it rejects."""
    before = os.environ.get("SPGLIB_WARNING")
    os.environ["SPGLIB_WARNING"] = "OFF"
    try:
        yield
    finally:
        if before is None:
            del os.environ["SPGLIB_WARNING"]
        else:
            os.environ["SPGLIB_WARNING"] = before
