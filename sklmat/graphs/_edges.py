"""Which atoms are neighbours: plain arrays in, plain arrays out."""

import numpy as np

from sklmat.graphs._consecutive_groups import rank_within_group
from sklmat.structures import MIN_DISTANCE

#: How many neighbours, in multiples of those wanted, the first guess of the radius should hold:
#: 1.6 closes the second shell of the close-packed lattices without a second search.
_FIRST_GUESS = 1.6
_GROWTH = 1.4
_TOLERANCE = 1e-8  # Å; pymatgen's own, for d <= cutoff


def build_edges(crystal, *, cutoff, max_neighbors, ties, tie_tolerance, symmetrize):
    """Edges of one crystal.

    Parameters
    ----------
    crystal : CrystalArrays
    cutoff, max_neighbors, ties, tie_tolerance, symmetrize
        See `StructureToGraph`.

    Returns
    -------
    target, source : ndarray of shape (E,), int32
    image : ndarray of shape (E, 3), int16
    distance : ndarray of shape (E,), float64
        Sorted by target, then by distance.
    """
    _, positions, lattice, pbc = crystal
    n_atoms = len(positions)
    radius = cutoff
    # The original cuts ties in the order in which the search at the full cutoff lists them.
    if max_neighbors is not None and ties == "complete" and pbc.all():
        density = n_atoms / abs(np.linalg.det(lattice))
        wanted = _FIRST_GUESS * (max_neighbors + 1)
        radius = (3 * wanted / (4 * np.pi * density)) ** (1 / 3)
    while True:
        radius = min(max(radius, 2 * MIN_DISTANCE), cutoff)
        edges = _search(positions, lattice, pbc, radius)
        if radius == cutoff or _is_enough(edges, n_atoms, max_neighbors, radius - tie_tolerance):
            break
        radius *= _GROWTH
    target, _, _, distance = edges
    if max_neighbors is not None:
        keep = keep_nearest(target, distance, n_atoms, max_neighbors, ties, tie_tolerance)
        edges = tuple(array[keep] for array in edges)
    return sort_edges(*symmetrized(*edges)) if symmetrize else edges


def _search(positions, lattice, pbc, radius):
    """All pairs within the radius, sorted by centre and distance."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    target, source, image, distance = find_points_in_spheres(
        positions,
        positions,
        r=radius,
        pbc=pbc.astype(np.int64),
        lattice=lattice,
        tol=_TOLERANCE,
    )
    pair = (target != source) | image.any(axis=1)
    return sort_edges(target[pair], source[pair], image[pair], distance[pair])


def sort_edges(target, source, image, distance):
    """Sort edges by centre, then distance, equal ones in the order given; compact the integers."""
    order = np.lexsort((distance, target))
    return (
        target[order].astype(np.int32),
        source[order].astype(np.int32),
        image[order].astype(np.int16),
        distance[order],
    )


def _is_enough(edges, n_atoms, max_neighbors, radius):
    """Whether every atom has its neighbours, the shell of the last one included, within radius."""
    target, _, _, distance = edges
    counts = np.bincount(target, minlength=n_atoms)
    return _last_distance(counts, distance, max_neighbors).max() <= radius


def keep_nearest(target, distance, n_atoms, max_neighbors, ties, tie_tolerance):
    """Mask of the `max_neighbors` nearest of each centre; edges sorted by centre and distance."""
    counts = np.bincount(target, minlength=n_atoms)
    if ties == "truncate":
        return rank_within_group(counts) < max_neighbors
    last = _last_distance(counts, distance, max_neighbors)
    return distance <= np.repeat(last + tie_tolerance, counts)


def _last_distance(counts, distance, max_neighbors):
    """Distance of the last neighbour that each atom may have; infinite where it has fewer."""
    last = np.full(len(counts), np.inf)
    full = counts >= max_neighbors
    starts = np.cumsum(counts) - counts
    last[full] = distance[starts[full] + max_neighbors - 1]
    return last


def symmetrized(target, source, image, distance):
    """Add the reverse of every edge that lacks it."""
    forward = np.column_stack([target, source, image])
    backward = np.column_stack([source, target, -image])
    both = np.concatenate([forward, backward])
    unique, first = np.unique(both, axis=0, return_index=True)
    lengths = np.concatenate([distance, distance])[first]
    return unique[:, 0], unique[:, 1], unique[:, 2:], lengths


def strategy_edges(crystal, strategy, *, cutoff, max_neighbors, ties, tie_tolerance, symmetrize):
    """Edges that a pymatgen ``NearNeighbors`` finds, under the same limits as ours."""
    _, positions, lattice, _ = crystal
    found = [
        (i, info["site_index"], *info["image"])
        for i, neighbors in enumerate(strategy.get_all_nn_info(crystal.to_structure()))
        for info in neighbors
    ]
    table = np.array(found, dtype=np.int64).reshape(-1, 5)
    target, source, image = table[:, 0], table[:, 1], table[:, 2:]
    distance = np.linalg.norm(positions[source] + image @ lattice - positions[target], axis=1)
    inside = distance <= cutoff + _TOLERANCE
    edges = sort_edges(target[inside], source[inside], image[inside], distance[inside])
    if max_neighbors is not None:
        keep = keep_nearest(edges[0], edges[3], len(positions), max_neighbors, ties, tie_tolerance)
        edges = tuple(array[keep] for array in edges)
    return sort_edges(*symmetrized(*edges)) if symmetrize else edges
