"""`find_neighbors`, `list_neighbors`: neighbours of atoms, and Hoppe's coordination number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sklmat.graphs import rank_within_group
from sklmat.structures import CrystalArrays, find_pairs

#: Smallest number of neighbours that the neighbour list has for each atom.
MIN_NEIGHBORS = 18
# First radius (Å) of the search for nearest neighbours.
_FIRST_RADIUS = 3.0
# Neighbours up to this multiple of Hoppe's mean distance form a shell: in ideal bcc this limit lies
# halfway between the first and the second shell.
_SHELL_MARGIN = 1.05
# Neighbours beyond this multiple of the nearest distance do not contribute to Hoppe's mean.
_NEGLIGIBLE = 2.4
# Largest number of bonded neighbours of an atom; the largest known one is 16 (Frank-Kasper).
_MAX_COORDINATION = 16


@dataclass(frozen=True)
class Neighbors:
    """The neighbours of each atom of one crystal, sorted by distance.

    Attributes
    ----------
    distance : ndarray of shape (N, M)
        Distances in Å, ascending in each row, infinite beyond the atom's last neighbour.
    index : ndarray of shape (N, M)
        Index of the atom of which the neighbour is a periodic image.
    vector : ndarray of shape (N, M, 3)
        Vector from the atom to its neighbour, in Å; zero beyond the last neighbour.
    scale : float
        Length in Å: cube root of the volume per atom in a crystal that is periodic in three
        directions; otherwise, where a volume is not defined, the mean distance to the nearest
        neighbour.
    """

    distance: np.ndarray
    index: np.ndarray
    vector: np.ndarray
    scale: float


def find_neighbors(
    positions: np.ndarray, lattice: np.ndarray, pbc: np.ndarray, radius: float = 2.0
) -> Neighbors:
    """List the neighbours of each atom.

    Parameters
    ----------
    positions, lattice, pbc
        As in `CrystalArrays`.
    radius : float, default=2.0
        Radius of the search, in units of the length `Neighbors.scale`. The default is at least
        12 % larger than the distance of the 18th neighbour in each ideal lattice. If an atom has
        fewer neighbours, the radius is increased.
    """
    scale, center, other, distances, vectors = _search(positions, lattice, pbc, radius)
    n_atoms = len(positions)
    order = np.lexsort((distances, center))
    center = center[order]
    counts = np.bincount(center, minlength=n_atoms)
    rank = rank_within_group(counts)
    shape = (n_atoms, max(int(counts.max()), 1))
    distance = np.full(shape, np.inf)
    distance[center, rank] = distances[order]
    index = np.zeros(shape, dtype=np.intp)
    index[center, rank] = other[order]
    vector = np.zeros((*shape, 3))
    vector[center, rank] = vectors[order]
    return Neighbors(distance, index, vector, scale)


@dataclass(frozen=True)
class NeighborList:
    """The neighbours of the N atoms of C crystals as P pairs, sorted by atom and distance.

    Attributes
    ----------
    crystal : ndarray of int, shape (N,)
        Crystal of each atom.
    scale : ndarray of shape (C,)
        As in `Neighbors`.
    center, other : ndarray of int, shape (P,)
        The atom, and the atom of which its neighbour is a periodic image.
    rank : ndarray of int, shape (P,)
        Position of the neighbour among those of its atom, from 0.
    distance : ndarray of shape (P,)
        Å.
    vector : ndarray of shape (P, 3)
        From the atom to its neighbour (Å).
    """

    crystal: np.ndarray
    scale: np.ndarray
    center: np.ndarray
    other: np.ndarray
    rank: np.ndarray
    distance: np.ndarray
    vector: np.ndarray

    def nearest(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Distances (N, n) and vectors (N, n, 3) of the first n neighbours of each atom.

        Beyond the last neighbour they are infinite and zero.
        """
        first = self.rank < n
        at = self.center[first], self.rank[first]
        distance = np.full((len(self.crystal), n), np.inf)
        distance[at] = self.distance[first]
        vector = np.zeros((*distance.shape, 3))
        vector[at] = self.vector[first]
        return distance, vector


def list_neighbors(crystals: Sequence[CrystalArrays], radius: float = 2.0) -> NeighborList:
    """List the neighbours of the atoms of several crystals; the same pairs as `find_neighbors`."""
    sizes = [len(crystal.atomic_numbers) for crystal in crystals]
    starts = np.cumsum([0, *sizes[:-1]])
    found = [_search(*crystal[1:], radius) for crystal in crystals]
    scale, centers, others, distances, vectors = zip(*found)
    center = np.concatenate([one + start for one, start in zip(centers, starts)])
    other = np.concatenate([one + start for one, start in zip(others, starts)])
    distance = np.concatenate(distances)
    order = np.lexsort((distance, center))
    return NeighborList(
        crystal=np.repeat(np.arange(len(crystals)), sizes),
        scale=np.array(scale),
        center=center[order],
        other=other[order],
        rank=rank_within_group(np.bincount(center, minlength=sum(sizes))),
        distance=distance[order],
        vector=np.concatenate(vectors)[order],
    )


def neighbor_shells(
    neighbors: NeighborList, mean: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mask the neighbours in the first and in the second shell, two arrays of shape (P,).

    Parameters
    ----------
    neighbors : NeighborList
    mean : ndarray of shape (N,)
        Hoppe's mean distance.
    sizes : ndarray of int, shape (C, 2)
        Number of atoms in the two shells of crystals of a known lattice, 0 for other crystals. In
        these, a shell ends 5 % beyond Hoppe's mean distance.
    """
    center, rank, distance = neighbors.center, neighbors.rank, neighbors.distance
    n_first, n_second = sizes[neighbors.crystal].T
    is_known = n_first[center] > 0
    first = np.where(is_known, rank < n_first[center], distance <= _SHELL_MARGIN * mean[center])
    ends = np.bincount(center[first], minlength=len(mean))
    beyond = ~first & (rank >= ends[center])
    further = beyond & ~is_known
    mean, _ = hoppe_averages(center[further], distance[further], neighbors.crystal)
    is_second = rank < (n_first + n_second)[center]
    within = distance <= _SHELL_MARGIN * mean[center]
    return first, beyond & np.where(is_known, is_second, within)


def _search(positions, lattice, pbc, radius):
    """Scale, and all pairs within `radius`: their atoms, distances and vectors."""
    scale = _length_scale(positions, lattice, np.asarray(pbc))
    center, other, image, distance = _pairs(positions, lattice, pbc, radius * scale)
    return scale, center, other, distance, positions[other] + image @ lattice - positions[center]


def _length_scale(positions, lattice, pbc):
    """`Neighbors.scale`; 1 Å for an atom without neighbours."""
    if pbc.all():
        return (abs(np.linalg.det(lattice)) / len(positions)) ** (1 / 3)
    center, _, _, distance = _pairs(positions, lattice, pbc, _FIRST_RADIUS, min_neighbors=1)
    nearest = np.full(len(positions), np.inf)
    np.minimum.at(nearest, center, distance)
    return nearest.mean() if len(center) else 1.0


def _pairs(positions, lattice, pbc, radius, min_neighbors=MIN_NEIGHBORS):
    """All pairs within `radius`, or within a larger radius in which each atom has neighbours.

    In a structure without periodicity, this radius is at most twice its extent.
    """
    extent = np.ptp(positions, axis=0).sum()
    while True:
        center, other, image, distance = find_pairs(positions, lattice, pbc, radius)
        counts = np.bincount(center, minlength=len(positions))
        if counts.min() >= min_neighbors or (radius > extent and not np.any(pbc)):
            return center, other, image, distance
        radius *= 2


def effective_coordination(distance):
    """Hoppe's mean distance (Å) and effective coordination number of each atom of one crystal.

    `distance` is that of `Neighbors`. An atom without neighbours has an infinite distance and the
    number 0.
    """
    listed = np.isfinite(distance)
    atom, _ = np.nonzero(listed)
    return hoppe_averages(atom, distance[listed], np.zeros(len(distance), dtype=np.intp))


def hoppe_averages(
    center: np.ndarray, distance: np.ndarray, crystal: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hoppe's mean distance (Å) and effective coordination number, for atoms of several crystals.

    Parameters
    ----------
    center : ndarray of int, shape (P,)
        Atom to which each neighbour belongs.
    distance : ndarray of shape (P,)
    crystal : ndarray of int, shape (N,)
        Crystal of each atom.

    Returns
    -------
    mean, number : ndarray of shape (N,)
        An atom without neighbours has an infinite distance and the number 0.
    """
    mean, number = np.full(len(crystal), np.inf), np.zeros(len(crystal))
    np.minimum.at(mean, center, distance)
    # Beyond this ratio a weight is below 1e-8 for mean distances up to 1.4 times the nearest.
    near = distance < _NEGLIGIBLE * mean[center]
    center, distance = center[near], distance[near]
    atoms = np.flatnonzero(np.isfinite(mean))
    moving = np.zeros(crystal.max(initial=0) + 1, dtype=bool)
    for _ in range(50):
        square = (distance / mean[center]) ** 2
        weight = np.exp(1 - square * square * square)
        total = np.bincount(center, weight, minlength=len(crystal))[atoms]
        previous = mean[atoms]
        mean[atoms] = np.bincount(center, weight * distance, minlength=len(crystal))[atoms] / total
        number[atoms] = total
        # A crystal is finished when all of its atoms are, whatever the other crystals are.
        moving[:] = False
        moving[crystal[atoms[np.abs(mean[atoms] - previous) >= 1e-7 * mean[atoms]]]] = True
        kept = moving[crystal[atoms]]
        if not kept.any():
            break
        if not kept.all():
            atoms, kept = atoms[kept], moving[crystal[center]]
            center, distance = center[kept], distance[kept]
    return mean, number


def first_coordination(distance, ligand):
    """Mask of the bonded neighbours, of shape (N, M), for neighbours sorted by distance.

    The bonded neighbours are those in the mask `ligand` before the largest relative step from one
    distance to the next. The step after the last neighbour of the list is computed with the largest
    distance in the list.
    """
    ranked = np.sort(np.where(ligand, distance, np.inf), axis=1)[:, : _MAX_COORDINATION + 1]
    known = np.isfinite(ranked)
    largest = distance[np.isfinite(distance)].max(initial=1.0)
    ranked = np.where(known, ranked, np.maximum(largest, 1.0))
    following = np.column_stack([ranked[:, 1:], np.full(len(ranked), largest)])
    step = np.where(known, following / ranked, 0)[:, :_MAX_COORDINATION]
    # Steps are rounded, so that of equal ones the first is found for any order of the atoms.
    last = np.argmax(np.round(step, 6), axis=1)
    bond = ranked[np.arange(len(ranked)), last] * (1 + 1e-9)
    return ligand & np.isfinite(distance) & (distance <= bond[:, None])
