"""`infer_lattice`: the lattice type (bcc, fcc, hcp, sc, diamond) of the atoms of a crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.deprecation import renamed_parameters
from sklmat.features._invalid_rows import read_structures
from sklmat.features._neighbors import MIN_NEIGHBORS, Neighbors, find_neighbors
from sklmat.structures import crystal_arrays

if TYPE_CHECKING:
    from sklmat.typing import Structures

#: Number of atoms in the first two shells of each lattice.
SHELL_SIZES = {"bcc": (8, 6), "fcc": (12, 6), "hcp": (12, 6), "sc": (6, 12), "diamond": (4, 12)}
# Distances to the 18 nearest atoms, in units of the shortest one; fcc and hcp have the same.
_IDEAL_DISTANCES = {
    "bcc": np.repeat([1, np.sqrt(4 / 3), np.sqrt(8 / 3)], [8, 6, 4]),
    "close-packed": np.repeat([1, np.sqrt(2)], [12, 6]),
    "sc": np.repeat([1, np.sqrt(2)], [6, 12]),
    "diamond": np.repeat([1, np.sqrt(8 / 3), np.sqrt(11 / 3)], [4, 12, 2]),
}
# Largest relative root-mean-square deviation from the ideal distances of a lattice. The largest
# value of 364 relaxed high-entropy alloy cells is 0.0747, and the A15 structure is 0.077 from bcc.
_MAX_DEVIATION = 0.075
# In fcc every neighbour has another one opposite to it (cosine -1); in hcp this holds for half of
# the neighbours, and the smallest cosine of the others is -5/6. The mean is -1 or -11/12.
_FCC_HCP_BOUNDARY = -23 / 24


@renamed_parameters(structures="X")
def infer_lattice(X: Structures) -> np.ndarray:
    """Determine the lattice type formed by all atoms of each crystal; species are ignored.

    Parameters
    ----------
    X : sequence of C crystals
        In any form that `check_structures` takes.

    Returns
    -------
    lattices : ndarray of str, shape (C,)
        "bcc", "fcc", "hcp", "sc" (simple cubic), "diamond" or "other".

    Raises
    ------
    InvalidStructureError
        When a crystal cannot be used.

    Notes
    -----
    The sorted distances from each atom to its 18 nearest neighbours are compared with those of the
    ideal lattices (bcc 8 + 6 + 4, close-packed 12 + 6, sc 6 + 12, diamond 4 + 12 + 2) at the
    lattice parameter that fits best. The result is the lattice with the smallest root-mean-square
    deviation, or "other" if this deviation is larger than 7.5 % of the mean distance. The angles
    between neighbours distinguish fcc from hcp, and diamond from its hexagonal form (which is
    "other"): in fcc all twelve neighbours have another neighbour opposite to them, in hcp only six.
    Random displacements of 7 % of the nearest-neighbour distance do not change the result.

    Species are ignored: CsCl (B2) is "bcc", L1₂ "fcc", NaCl "sc" and zincblende "diamond".
    A mixture of fcc and hcp stacking is given the name of the more frequent one.

    The result describes the given cell. A cell can change its lattice when it is relaxed: for 120
    of the 364 relaxed high-entropy alloys of `sklmat.datasets.fetch_hea`, the result differs from
    the lattice in their label, which is their lattice before relaxation. In each of these 120
    alloys, the atoms have moved by 0.29 Å or more (root mean square). For example, ``NiFe3_sqsfcc``
    is bcc (the relative deviation from the ideal distances is 0.7 %) and ``Ni3Co_sqsbcc`` is fcc
    (0.4 %). For the other 244 alloys, the result and the label agree.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import infer_lattice
    >>> cubic = Lattice.cubic(2.91)
    >>> nial = Structure(cubic, ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> nickel = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.52), ["Ni"], [[0, 0, 0]])
    >>> infer_lattice([nial, nickel]).tolist()
    ['bcc', 'fcc']
    """
    return lattice_labels(read_structures(X, "raise"))


def lattice_labels(structures):
    """Lattice types as in `infer_lattice`, for pymatgen structures that are validated already."""
    labels = [
        recognize_lattice(find_neighbors(positions, lattice, pbc)).name
        for _, positions, lattice, pbc in crystal_arrays(structures)
    ]
    return np.array(labels, dtype="U7")


class LatticeMatch(NamedTuple):
    """Lattice type of a crystal, and its deviations from the ideal lattices.

    Attributes
    ----------
    name : str
        Result of `infer_lattice`.
    deviations : dict of float
        Relative deviation of the 18 nearest distances from those of each ideal lattice:
        root-mean-square over all atoms, at the lattice parameter that fits best, in units of the
        mean distance; NaN when an atom has fewer than 18 neighbours.
    """

    name: str
    deviations: dict[str, float]


def recognize_lattice(neighbors: Neighbors) -> LatticeMatch:
    """Determine the lattice type from the neighbours of all atoms."""
    deviations = _deviations(neighbors)
    return LatticeMatch(_lattice_name(neighbors, deviations), deviations)


def _lattice_name(neighbors, deviations):
    best = min(deviations, key=deviations.get)
    if not deviations[best] <= _MAX_DEVIATION:
        return "other"
    if best == "close-packed":
        return "fcc" if _is_cubic_stacking(neighbors, slice(12)) else "hcp"
    if best == "diamond" and not _is_cubic_stacking(neighbors, slice(4, 16)):
        return "other"
    return best


def _deviations(neighbors):
    nearest = neighbors.distance[:, :MIN_NEIGHBORS]
    if nearest.shape[1] < MIN_NEIGHBORS or not np.isfinite(nearest).all():
        return dict.fromkeys(_IDEAL_DISTANCES, np.nan)
    return {name: _deviation(nearest, ideal) for name, ideal in _IDEAL_DISTANCES.items()}


def _deviation(distances, ideal):
    scale = (distances * ideal).sum() / (len(distances) * (ideal**2).sum())
    return np.sqrt(np.mean((distances / scale - ideal) ** 2)) / ideal.mean()


def _is_cubic_stacking(neighbors, ranks):
    """Distinguish fcc from hcp by the angles between the twelve neighbours at `ranks`."""
    direction = neighbors.vector[:, ranks] / neighbors.distance[:, ranks, None]
    cosines = np.einsum("njx,nkx->njk", direction, direction)
    return cosines.min(axis=2).mean() < _FCC_HCP_BOUNDARY
