"""`move_atoms`: graphs of displaced and strained crystals, without a new neighbour search."""

from dataclasses import replace

import numpy as np

from sklmat.graphs._crystal_graphs import CrystalGraphs, pointer_from_counts
from sklmat.graphs._neighbor_search import (
    TOLERANCE,
    Edges,
    add_reverse_edges,
    find_edges,
    keep_nearest,
)

#: Largest rounding error (Å) of the distances of edges, which are stored in single precision.
_SINGLE_PRECISION = 1e-6


def nearby_pairs(
    graphs: CrystalGraphs, distance_change: float | None, at_least: float = 0.0
) -> CrystalGraphs:
    """All pairs of atoms that can become neighbours if distances change by at most a given value.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals
    distance_change : float or None
        Largest change of a distance (Å). With None, only `at_least` decides which pairs are found.
    at_least : float, default=0.0
        All pairs up to this distance (Å) are included.

    Returns
    -------
    CrystalGraphs
        The same crystals with these pairs as edges, for `move_atoms`.

    Raises
    ------
    ValueError
        When the edges were chosen by a pymatgen strategy, whose choice cannot be repeated here.
    """
    if graphs.neighbors is not None and distance_change is not None:
        raise ValueError(
            f"these graphs were made by {graphs.neighbors}, whose choice cannot be repeated at "
            "every step; use neighbor_list='fixed'"
        )
    radii = np.full(len(graphs.atomic_numbers), at_least)
    if distance_change is not None:
        # The distance of the last neighbour may increase, and that of another atom decrease.
        largest = np.minimum(
            _last_distance(graphs) + 2 * distance_change, graphs.cutoff + distance_change
        )
        radii = np.maximum(largest, at_least) + graphs.tie_tolerance + _SINGLE_PRECISION
    pairs = []
    for crystal, radius in zip(graphs.to_arrays(), np.split(radii, graphs.atom_ptr[1:-1])):
        (found,) = find_edges(
            [crystal],
            cutoff=float(radius.max()),
            max_neighbors=None,
            ties="complete",
            tie_tolerance=0.0,
            symmetrize=False,
        )
        pairs.append(found.select(found.distance <= radius[found.target]))
    target, source, image, distance = (np.concatenate(parts) for parts in zip(*pairs))
    return replace(
        graphs,
        edge_target=target,
        edge_source=source,
        edge_image=image,
        edge_distance=distance.astype(np.float32),
        edge_ptr=pointer_from_counts([len(found.target) for found in pairs]),
    )


def _last_distance(graphs):
    """Distance of each atom's last neighbour; infinite if it has less than `max_neighbors`."""
    last = np.full(len(graphs.atomic_numbers), np.inf)
    if graphs.max_neighbors is not None:
        target = graphs.flat_target
        full = np.bincount(target, minlength=len(last)) >= graphs.max_neighbors
        largest = np.zeros_like(last)
        np.maximum.at(largest, target, graphs.edge_distance)
        last[full] = largest[full]
    return last


def move_atoms(
    graphs: CrystalGraphs,
    displacement: np.ndarray,
    strain: np.ndarray | None = None,
    pairs: CrystalGraphs | None = None,
) -> CrystalGraphs:
    """Graphs of crystals after displacing their atoms and then straining atoms and lattice.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms
    displacement : ndarray of shape (N, 3)
        Displacements u (Å).
    strain : ndarray of shape (C, 3, 3), default=None
        Small symmetric matrices ε: ``x -> (x + u)(1 + ε)``, ``lattice -> lattice (1 + ε)``.
    pairs : CrystalGraphs, default=None
        Result of `nearby_pairs`. The neighbours are then chosen among these pairs, with the same
        result as building the graphs of the new crystals. By default the edges stay the same and
        only their lengths change.

    Returns
    -------
    CrystalGraphs
    """
    positions, lattices = _moved_positions(graphs, displacement, strain)
    moved = replace(graphs if pairs is None else pairs, positions=positions, lattices=lattices)
    distance = np.linalg.norm(moved.edge_vectors, axis=1)
    if pairs is None:
        return replace(moved, edge_distance=distance.astype(np.float32))
    # Choose the edges by the settings of the graphs, sorted by target and distance.
    n_atoms, target, source = len(moved.atomic_numbers), moved.flat_target, moved.flat_source
    inside = np.flatnonzero(distance <= moved.cutoff + TOLERANCE)
    # The pairs were sorted before the move, so this stable sort is fast.
    inside = inside[np.lexsort((distance[inside], target[inside]))]
    edges = Edges(target, source, moved.edge_image, distance).select(inside)
    if moved.max_neighbors is not None:
        keep = keep_nearest(
            edges.target,
            edges.distance,
            n_atoms,
            moved.max_neighbors,
            moved.ties,
            moved.tie_tolerance,
        )
        edges = edges.select(keep)
    if moved.symmetrize:
        edges = add_reverse_edges(edges)
        edges = edges.select(np.lexsort((edges.distance, edges.target)))
    crystal = moved.crystal_of_atom[edges.target]
    first_atom = moved.atom_ptr[crystal]
    return replace(
        moved,
        edge_source=(edges.source - first_atom).astype(np.int32),
        edge_target=(edges.target - first_atom).astype(np.int32),
        edge_image=edges.image.astype(np.int16),
        edge_distance=edges.distance.astype(np.float32),
        edge_ptr=pointer_from_counts(np.bincount(crystal, minlength=len(moved))),
    )


def _moved_positions(graphs, displacement, strain):
    """Positions (N, 3) and lattices (C, 3, 3) after displacement and strain."""
    if strain is None:
        return graphs.positions + displacement, graphs.lattices
    deformation = np.eye(3) + strain
    of_atoms = np.repeat(deformation, graphs.n_atoms, axis=0)
    positions = np.einsum("ni,nij->nj", graphs.positions + displacement, of_atoms)
    return positions, graphs.lattices @ deformation
