"""`infer_lattice`: the lattice (bcc, fcc, hcp, sc, diamond) on which atoms of a crystal sit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.deprecation import renamed_parameters
from sklmat.features._invalid_rows import load_structures
from sklmat.features._neighbors import MIN_NEIGHBORS, Neighbors, find_neighbors
from sklmat.structures import crystal_arrays

if TYPE_CHECKING:
    from sklmat.typing import Structures

#: How many atoms the first two shells of each lattice hold.
SHELL_SIZES = {"bcc": (8, 6), "fcc": (12, 6), "hcp": (12, 6), "sc": (6, 12), "diamond": (4, 12)}
# Distances to the 18 nearest atoms in units of the nearest. Those of fcc and hcp are the same.
_IDEAL_DISTANCES = {
    "bcc": np.repeat([1, np.sqrt(4 / 3), np.sqrt(8 / 3)], [8, 6, 4]),
    "close-packed": np.repeat([1, np.sqrt(2)], [12, 6]),
    "sc": np.repeat([1, np.sqrt(2)], [6, 12]),
    "diamond": np.repeat([1, np.sqrt(8 / 3), np.sqrt(11 / 3)], [4, 12, 2]),
}
# Largest relative root-mean-square deviation from ideal distances that still counts as that
# lattice: the worst of 364 relaxed high-entropy alloy cells has 0.0747, and the A15 structure is
# 0.077 from bcc.
_MAX_DEVIATION = 0.075
# Every neighbour of fcc has another one opposite (cosine -1), of hcp only half of them (the others:
# -5/6), so that the mean over the neighbours is -1 or -11/12.
_FCC_HCP_BOUNDARY = -23 / 24


@renamed_parameters(structures="X")
def infer_lattice(X: Structures) -> np.ndarray:
    """Name the lattice on which all atoms of each crystal sit, whatever their species.

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
    The distances from each atom to its 18 nearest neighbours, sorted, are compared with those of
    the ideal lattices (bcc 8 + 6 + 4, close-packed 12 + 6, sc 6 + 12, diamond 4 + 12 + 2), with the
    lattice parameter that fits best. The lattice with the smallest root-mean-square deviation wins
    if that is at most 7.5 % of the mean distance, and "other" is the answer if not. fcc is
    distinguished from hcp, and diamond from its hexagonal form (which is "other"), by the angles
    between neighbours: all twelve neighbours of fcc have one opposite, six of those of hcp.
    Random displacements of 7 % of the nearest-neighbour distance change no answer.

    Species are ignored: CsCl (B2) is "bcc", L1₂ "fcc", NaCl "sc" and zincblende "diamond".
    A mixture of stackings is called by its majority.

    The answer describes the given cell, not the one its relaxation began with. Of the 364 relaxed
    high-entropy alloys of `sklmat.datasets.fetch_hea`, 120 have left the lattice in their label,
    all with a displacement (rmsd) of 0.29 Å or more: ``NiFe3_sqsfcc`` is bcc to within 0.7 % and
    ``Ni3Co_sqsbcc`` fcc to within 0.4 %. Of the 244 others each is recognised.

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
    return lattice_labels(load_structures(X, "raise"))


def lattice_labels(structures):
    """Do what `infer_lattice` does, for pymatgen structures that were checked before."""
    labels = [
        recognize_lattice(find_neighbors(positions, lattice, pbc)).name
        for _, positions, lattice, pbc in crystal_arrays(structures)
    ]
    return np.array(labels, dtype="U7")


class LatticeMatch(NamedTuple):
    """The lattice of a crystal.

    Attributes
    ----------
    name : str
        As `infer_lattice` gives it.
    deviations : dict of float
        Relative deviation of the 18 nearest distances from those of each ideal lattice:
        root-mean-square over all atoms, at the lattice parameter that fits best, in units of the
        mean distance; NaN when an atom has fewer than 18 neighbours.
    """

    name: str
    deviations: dict[str, float]


def recognize_lattice(neighbors: Neighbors) -> LatticeMatch:
    """Find the lattice on which atoms with these neighbours sit."""
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
