"""Neighbour search: the edges between the atoms of a crystal, in numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sklmat.structures import CrystalArrays, find_pairs, largest_smallest_distance

if TYPE_CHECKING:
    from pymatgen.analysis.local_env import NearNeighbors

#: The first search radius should contain this many times the wanted number of neighbours. With 1.6
#: it contains the second shell of the close-packed lattices, so that one search is enough.
_FIRST_GUESS = 1.6
_GROWTH = 1.4
#: Tolerance (Å) of ``d <= cutoff``, the same as in pymatgen.
TOLERANCE = 1e-8


class Edges(NamedTuple):
    """Edges of one crystal, sorted by target, then by distance.

    Parameters
    ----------
    target, source : ndarray of shape (E,), int32
        Central atom and neighbour.
    image : ndarray of shape (E, 3), int16
        Lattice translation of the neighbour.
    distance : ndarray of shape (E,), float64
        Distance (Å).
    """

    target: np.ndarray
    source: np.ndarray
    image: np.ndarray
    distance: np.ndarray

    def select(self, index: np.ndarray) -> Edges:
        """Select edges by a mask or by their positions."""
        if index.dtype == bool:
            index = np.flatnonzero(index)
        return Edges(*(array.take(index, axis=0) for array in self))


def find_edges(
    crystals: Sequence[CrystalArrays], strategy: NearNeighbors | None = None, **settings: Any
) -> list[Edges]:
    """Find the edges of each crystal.

    Parameters
    ----------
    crystals : sequence of CrystalArrays
    strategy : pymatgen NearNeighbors or None
        Chooses the neighbours. With None, all atoms within the cutoff are neighbours, or the
        nearest of them.
    **settings
        ``cutoff, max_neighbors, ties, tie_tolerance, symmetrize`` as in `StructureToGraph`.
    """
    if strategy is None:
        return [build_edges(crystal, **settings) for crystal in crystals]
    return [strategy_edges(crystal, strategy, **settings) for crystal in crystals]


def build_edges(
    crystal: CrystalArrays,
    *,
    cutoff: float,
    max_neighbors: int | None,
    ties: str,
    tie_tolerance: float,
    symmetrize: bool,
) -> Edges:
    """Find the edges of one crystal to the nearest atoms; settings as in `StructureToGraph`."""
    n_atoms = len(crystal.positions)
    radius = cutoff
    # The original CGCNN cuts ties in the order in which a search at the full cutoff lists them, so
    # "truncate" always searches at the full cutoff.
    if max_neighbors is not None and ties == "complete" and crystal.pbc.all():
        density = n_atoms / abs(np.linalg.det(crystal.lattice))
        wanted = _FIRST_GUESS * (max_neighbors + 1)
        radius = (3 * wanted / (4 * np.pi * density)) ** (1 / 3)
    # Atoms that are too close are found among the edges.
    smallest_radius = max(1.0, largest_smallest_distance(crystal.atomic_numbers))
    while True:
        radius = min(max(radius, smallest_radius), cutoff)
        edges = _all_pairs(crystal, radius)
        if radius == cutoff or _is_enough(edges, n_atoms, max_neighbors, radius - tie_tolerance):
            break
        radius *= _GROWTH
    return _limit(edges, n_atoms, max_neighbors, ties, tie_tolerance, symmetrize)


def strategy_edges(
    crystal: CrystalArrays,
    strategy: NearNeighbors,
    *,
    cutoff: float,
    max_neighbors: int | None,
    ties: str,
    tie_tolerance: float,
    symmetrize: bool,
) -> Edges:
    """Find edges with a pymatgen ``NearNeighbors``, within the same limits as `build_edges`."""
    found = [
        (atom, neighbor["site_index"], *neighbor["image"])
        for atom, neighbors in enumerate(strategy.get_all_nn_info(crystal.to_structure()))
        for neighbor in neighbors
    ]
    table = np.array(found, dtype=np.int64).reshape(-1, 5)
    target, source, image = table[:, 0], table[:, 1], table[:, 2:]
    positions = crystal.positions
    vectors = positions[source] + image @ crystal.lattice - positions[target]
    distance = np.linalg.norm(vectors, axis=1)
    inside = distance <= cutoff + TOLERANCE
    edges = _sorted_edges(Edges(target, source, image, distance).select(inside))
    return _limit(edges, len(positions), max_neighbors, ties, tie_tolerance, symmetrize)


def _all_pairs(crystal, radius):
    """Find all pairs of atoms within the radius."""
    pairs = find_pairs(crystal.positions, crystal.lattice, crystal.pbc, radius)
    return _sorted_edges(Edges(*pairs))


def _sorted_edges(edges):
    """Sort edges by target, then distance (a stable sort), and convert to smaller integers."""
    target, source, image, distance = edges.select(np.lexsort((edges.distance, edges.target)))
    return Edges(target.astype(np.int32), source.astype(np.int32), image.astype(np.int16), distance)


def _is_enough(edges, n_atoms, max_neighbors, radius):
    """Whether every atom has `max_neighbors` and the whole shell of the last one within radius."""
    counts = np.bincount(edges.target, minlength=n_atoms)
    return _last_distance(counts, edges.distance, max_neighbors).max() <= radius


def _limit(edges, n_atoms, max_neighbors, ties, tie_tolerance, symmetrize):
    """Keep the nearest neighbours of each atom; with `symmetrize`, add the reverse edges."""
    if max_neighbors is not None:
        target, _, _, distance = edges
        keep = keep_nearest(target, distance, n_atoms, max_neighbors, ties, tie_tolerance)
        edges = edges.select(keep)
    return _sorted_edges(add_reverse_edges(edges)) if symmetrize else edges


def keep_nearest(
    target: np.ndarray,
    distance: np.ndarray,
    n_atoms: int,
    max_neighbors: int,
    ties: str,
    tie_tolerance: float,
) -> np.ndarray:
    """Mask of the edges from the nearest neighbours of their target.

    Parameters
    ----------
    target, distance : ndarray of shape (E,)
        Sorted by target, then by distance.
    n_atoms : int
    max_neighbors, ties, tie_tolerance
        See `StructureToGraph`.

    Returns
    -------
    ndarray of shape (E,), bool
    """
    counts = np.bincount(target, minlength=n_atoms)
    if ties == "truncate":
        return rank_within_group(counts) < max_neighbors
    last = _last_distance(counts, distance, max_neighbors)
    return distance <= np.repeat(last + tie_tolerance, counts)


def rank_within_group(counts: np.ndarray) -> np.ndarray:
    """Position of each item within its group, counted from zero: shape (sum of counts,)."""
    first = np.cumsum(counts) - counts
    return np.arange(np.sum(counts)) - np.repeat(first, counts)


def _last_distance(counts, distance, max_neighbors):
    """Distance of each atom's neighbour number `max_neighbors`; infinite if it has fewer."""
    last = np.full(len(counts), np.inf)
    full = counts >= max_neighbors
    starts = np.cumsum(counts) - counts
    last[full] = distance[starts[full] + max_neighbors - 1]
    return last


def add_reverse_edges(edges: Edges) -> Edges:
    """Add the reverse of each edge if it is missing; the result is not sorted by distance."""
    target, source, image, distance = edges
    forward = np.column_stack([target, source, image])
    backward = np.column_stack([source, target, -image])
    both = np.concatenate([forward, backward])
    unique, first = np.unique(both, axis=0, return_index=True)
    distances = np.concatenate([distance, distance])[first]
    return Edges(unique[:, 0], unique[:, 1], unique[:, 2:], distances)
