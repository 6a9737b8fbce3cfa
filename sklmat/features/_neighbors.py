"""`list_neighbors`: the neighbours of atoms, their bonds, and Hoppe's coordination number."""

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
class NeighborList:
    """The neighbours of the N atoms of C crystals as P pairs, sorted by atom and distance.

    Attributes
    ----------
    crystal : ndarray of int, shape (N,)
        Crystal of each atom.
    scale : ndarray of shape (C,)
        Length in Å: cube root of the volume per atom in a crystal that is periodic in three
        directions; otherwise, where a volume is not defined, the mean distance to the nearest
        neighbour.
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

    def of_crystals(self, chosen: np.ndarray) -> NeighborList:
        """Neighbours in some of the crystals, whose positions in the list are ascending."""
        place = np.full(len(self.scale), -1)
        place[chosen] = np.arange(len(chosen))
        is_atom = place[self.crystal] >= 0
        number = np.cumsum(is_atom) - 1
        is_pair = is_atom[self.center]
        return NeighborList(
            crystal=place[self.crystal[is_atom]],
            scale=self.scale[chosen],
            center=number[self.center[is_pair]],
            other=number[self.other[is_pair]],
            rank=self.rank[is_pair],
            distance=self.distance[is_pair],
            vector=self.vector[is_pair],
        )


def list_neighbors(crystals: Sequence[CrystalArrays], radius: float = 2.0) -> NeighborList:
    """List the neighbours of the atoms of several crystals.

    Parameters
    ----------
    crystals : sequence of C CrystalArrays
    radius : float, default=2.0
        Radius of the search, in units of the length `NeighborList.scale`. The default is at least
        12 % larger than the distance of the 18th neighbour in each ideal lattice. If an atom has
        fewer neighbours, the radius is increased.
    """
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
    """`NeighborList.scale`; 1 Å for an atom without neighbours."""
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


def first_coordination(neighbors: NeighborList, ligand: np.ndarray) -> np.ndarray:
    """Mask of the bonded neighbours, shape (P,), among the neighbours in the mask `ligand`.

    The bonded neighbours of an atom are its ligands before the largest relative step from one
    distance to the next. The step after the last ligand in the list is computed with the largest
    distance in the list of the crystal.
    """
    center, distance = neighbors.center[ligand], neighbors.distance[ligand]
    n_atoms = len(neighbors.crystal)
    largest = np.ones(len(neighbors.scale))
    np.maximum.at(largest, neighbors.crystal[neighbors.center], neighbors.distance)
    counts = np.bincount(center, minlength=n_atoms)
    rank = rank_within_group(counts)
    following = np.append(distance[1:], 0.0)
    is_last = rank == counts[center] - 1
    following[is_last] = largest[neighbors.crystal[center[is_last]]]
    # Steps are rounded, so that of equal ones the first is found for any order of the atoms.
    step = np.where(rank < _MAX_COORDINATION, np.round(following / distance, 6), 0)
    largest_step = np.zeros(n_atoms)
    np.maximum.at(largest_step, center, step)
    # Beyond the first of the largest steps, a neighbour is not bonded.
    is_largest = step == largest_step[center]
    bond = np.full(n_atoms, np.inf)
    np.minimum.at(bond, center[is_largest], distance[is_largest] * (1 + 1e-9))
    bonded = ligand.copy()
    bonded[ligand] = distance <= bond[center]
    return bonded
