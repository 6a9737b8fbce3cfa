"""`infer_lattice`: the lattice type (bcc, fcc, hcp, sc, diamond) of the atoms of a crystal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.deprecation import renamed_parameters
from sklmat.features._chunks import split_into_chunks
from sklmat.features._invalid_rows import read_structures
from sklmat.features._neighbors import MIN_NEIGHBORS, NeighborList, list_neighbors
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
# value of 364 relaxed high-entropy alloy cells is 0.0747.
_MAX_DEVIATION = 0.075
# Distances, ranks of the neighbours whose angles distinguish two structures, names of the two. In
# the first, these neighbours are opposite to each other. A15 (Cr₃Si) has nearly the
# distances of bcc: it deviates by 0.077, and by 0.07 if the atoms are displaced.
_BY_ANGLES = (
    ("bcc", slice(14), "bcc", "other"),
    ("close-packed", slice(12), "fcc", "hcp"),
    ("diamond", slice(4, 16), "diamond", "other"),
)
# In fcc every neighbour has another one opposite to it (cosine -1); in hcp this holds for half of
# the neighbours, and the smallest cosine of the others is -5/6. The mean is -1 or -11/12. In A15 it
# is -0.94, and of 98 relaxed alloys that are bcc the largest is -0.978.
_LARGEST_COSINE = -23 / 24


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
    between neighbours distinguish fcc from hcp, diamond from its hexagonal form, and bcc from A15
    (Cr₃Si, Nb₃Sn), whose distances are nearly the same; hexagonal diamond and A15 are "other". In
    bcc and fcc all neighbours have another neighbour opposite to them, in hcp only six of twelve.

    Random displacements of the atoms (the same normal distribution along each axis) do not change
    the result if the root mean square of their lengths is up to 7 % of the distance of nearest
    neighbours, 0.17 Å in iron.

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
    crystals = crystal_arrays(structures)
    chunks = split_into_chunks([len(crystal.atomic_numbers) for crystal in crystals])
    names = [recognize_lattices(list_neighbors(crystals[rows])).name for rows in chunks]
    return np.concatenate([np.array([], dtype="U7"), *names])


class LatticeMatch(NamedTuple):
    """Lattice types of C crystals, and the deviations from the ideal lattices.

    Attributes
    ----------
    name : ndarray of str, shape (C,)
        Result of `infer_lattice`.
    deviations : dict of ndarray of shape (C,)
        Relative deviation of the 18 nearest distances from those of each ideal lattice:
        root-mean-square over all atoms, at the lattice parameter that fits best, in units of the
        mean distance; NaN when an atom has fewer than 18 neighbours.
    """

    name: np.ndarray
    deviations: dict[str, np.ndarray]


def recognize_lattices(neighbors: NeighborList) -> LatticeMatch:
    """Determine the lattice types of several crystals from the neighbours of their atoms."""
    distance, vector = neighbors.nearest(MIN_NEIGHBORS)
    crystal = neighbors.crystal
    n_atoms = np.bincount(crystal)
    is_complete = np.bincount(crystal, np.isinf(distance[:, -1])) == 0
    distance = np.where(is_complete[crystal, None], distance, np.nan)
    deviations = {
        name: _deviations(distance, ideal, crystal, n_atoms)
        for name, ideal in _IDEAL_DISTANCES.items()
    }
    of_lattice = np.where(is_complete, np.stack(list(deviations.values())), np.inf)
    best = np.array(list(deviations), dtype="U12")[of_lattice.argmin(axis=0)]
    best[~(of_lattice.min(axis=0) <= _MAX_DEVIATION)] = "other"
    names = best.astype("U7")
    for name, ranks, with_inversion, without in _BY_ANGLES:
        crystals = np.flatnonzero(best == name)
        atoms = np.isin(crystal, crystals)
        direction = vector[atoms, ranks] / distance[atoms, ranks, None]
        cosines = np.einsum("njx,nkx->njk", direction, direction).min(axis=2).mean(axis=1)
        mean = np.bincount(crystal[atoms], cosines, minlength=len(names))[crystals]
        is_inverted = mean < _LARGEST_COSINE * n_atoms[crystals]
        names[crystals] = np.where(is_inverted, with_inversion, without)
    return LatticeMatch(names, deviations)


def _deviations(distance, ideal, crystal, n_atoms):
    n_atoms = n_atoms * len(ideal)
    scale = np.bincount(crystal, (distance * ideal).sum(axis=1)) / (n_atoms * (ideal**2).mean())
    squares = ((distance / scale[crystal, None] - ideal) ** 2).sum(axis=1)
    return np.sqrt(np.bincount(crystal, squares) / n_atoms) / ideal.mean()
