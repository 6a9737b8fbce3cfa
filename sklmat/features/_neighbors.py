"""`find_neighbors`: the neighbours of each atom, their shells, and Hoppe's coordination number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklmat.graphs import rank_within_group
from sklmat.structures import find_pairs

#: Smallest number of neighbours that the neighbour list has for each atom.
MIN_NEIGHBORS = 18
# First radius (Å) of the search for nearest neighbours.
_FIRST_RADIUS = 3.0
# Neighbours up to this multiple of Hoppe's mean distance form a shell: in ideal bcc this limit lies
# halfway between the first and the second shell.
_SHELL_MARGIN = 1.05
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
    n_atoms = len(positions)
    scale = _length_scale(positions, lattice, np.asarray(pbc))
    center, other, image, pair_distance = _pairs(positions, lattice, pbc, radius * scale)
    order = np.lexsort((pair_distance, center))
    center, other = center[order], other[order]
    counts = np.bincount(center, minlength=n_atoms)
    rank = rank_within_group(counts)
    shape = (n_atoms, max(int(counts.max()), 1))
    distance = np.full(shape, np.inf)
    distance[center, rank] = pair_distance[order]
    index = np.zeros(shape, dtype=np.intp)
    index[center, rank] = other
    vector = np.zeros((*shape, 3))
    vector[center, rank] = positions[other] + image[order] @ lattice - positions[center]
    return Neighbors(distance, index, vector, scale)


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


def neighbor_shells(
    neighbors: Neighbors, sizes: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mask the first and the second shell, two arrays of shape (N, M).

    Parameters
    ----------
    neighbors : Neighbors
    sizes : pair of int, default=None
        Number of atoms in the two shells, for a known lattice. By default, a shell ends 5 % beyond
        Hoppe's mean distance.
    """
    distance = neighbors.distance
    rank = np.broadcast_to(np.arange(distance.shape[1]), distance.shape)
    if sizes is not None:
        n_first, n_second = sizes
        return rank < n_first, (rank >= n_first) & (rank < n_first + n_second)
    listed = np.isfinite(distance)
    mean, _ = effective_coordination(distance)
    first = listed & (distance <= _SHELL_MARGIN * mean[:, None])
    n_first = first.sum(axis=1)
    mean, _ = effective_coordination(distance, first_rank=n_first)
    beyond = listed & (rank >= n_first[:, None])
    return first, beyond & (distance <= _SHELL_MARGIN * mean[:, None])


def effective_coordination(distance, first_rank=None):
    """Hoppe's mean distance (Å) and effective coordination number of each atom.

    Neighbours before `first_rank` (shape (N,)) are not counted. An atom without neighbours has an
    infinite distance and the number 0.
    """
    if first_rank is not None:
        distance = np.where(np.arange(distance.shape[1]) < first_rank[:, None], np.inf, distance)
    mean, number = np.full(len(distance), np.inf), np.zeros(len(distance))
    bonded = np.isfinite(distance).any(axis=1)
    if bonded.any():
        mean[bonded], number[bonded] = _hoppe_average(distance[bonded])
    return mean, number


def _hoppe_average(distance):
    """Weighted mean distance, iterated to self-consistency, and the sum of its weights."""
    mean = distance.min(axis=1, keepdims=True)
    # Beyond this ratio a weight is below 1e-8 for any mean distance up to 1.2 times the nearest.
    distance = distance[:, (distance < 2 * mean).any(axis=0)]
    listed = np.isfinite(distance)
    distance = np.where(listed, distance, 1)
    for _ in range(50):
        weight = np.where(listed, np.exp(1 - (distance / mean) ** 6), 0)
        previous, mean = mean, np.average(distance, axis=1, weights=weight, keepdims=True)
        if np.all(np.abs(mean - previous) < 1e-7 * mean):
            break
    return mean[:, 0], weight.sum(axis=1)


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
