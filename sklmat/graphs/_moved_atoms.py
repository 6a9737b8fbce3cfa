"""Graphs of crystals whose atoms have moved a little, without a new neighbour search."""

from dataclasses import replace

import numpy as np

from sklmat.graphs._consecutive_groups import pointer_from_counts
from sklmat.graphs._edges import _TOLERANCE, build_edges, keep_nearest, symmetrized

#: Å; how far the distance that an edge keeps, in single precision, may be off.
_SINGLE = 1e-6


def nearby_pairs(graphs, reach, at_least=0.0):
    """All pairs that can be neighbours once distances have changed by `reach` at most.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals
    reach : float or None
        Å. With None, no neighbours are looked for.
    at_least : float, default=0.0
        Pairs up to this distance (Å) are among them in any case.

    Returns
    -------
    CrystalGraphs
        The same crystals with these pairs as edges, for `move_atoms`.

    Raises
    ------
    ValueError
        When the edges were chosen by a pymatgen strategy, which would have to be asked anew.
    """
    if graphs.neighbors is not None and reach is not None:
        raise ValueError(
            f"these graphs were made by {graphs.neighbors}, whose choice cannot be repeated at "
            "every step; use neighbors='fixed'"
        )
    edges = []
    # Both the last neighbour and a pair itself may have changed.
    radii = np.full(len(graphs.atomic_numbers), at_least)
    if reach is not None:
        furthest = np.minimum(_last_distance(graphs) + 2 * reach, graphs.cutoff + reach)
        radii = np.maximum(furthest, at_least) + graphs.tie_tolerance + _SINGLE
    for crystal, radius in zip(graphs.to_arrays(), np.split(radii, graphs.atom_ptr[1:-1])):
        target, source, image, distance = build_edges(
            crystal,
            cutoff=float(radius.max()),
            max_neighbors=None,
            ties="complete",
            tie_tolerance=0.0,
            symmetrize=False,
        )
        keep = distance <= radius[target]
        edges.append((target[keep], source[keep], image[keep], distance[keep]))
    target, source, image, distance = (np.concatenate(parts) for parts in zip(*edges))
    return replace(
        graphs,
        edge_target=target,
        edge_source=source,
        edge_image=image,
        edge_distance=distance.astype(np.float32),
        edge_ptr=pointer_from_counts([len(part[0]) for part in edges]),
    )


def _last_distance(graphs):
    """Distance of each atom's last neighbour; infinite where it has fewer than it may have."""
    last = np.full(len(graphs.atomic_numbers), np.inf)
    if graphs.max_neighbors is not None:
        full = graphs.neighbor_counts >= graphs.max_neighbors
        reached = np.zeros_like(last)
        np.maximum.at(reached, graphs.flat_target, graphs.edge_distance)
        last[full] = reached[full]
    return last


def move_atoms(graphs, displacement, strain=None, pairs=None):
    """Graphs of crystals whose atoms are displaced, then strained with their lattice.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms
    displacement : ndarray of shape (N, 3)
        Å.
    strain : ndarray of shape (C, 3, 3), default=None
        Small symmetric matrices ε: ``x -> (x + u)(1 + ε)``, ``lattice -> lattice (1 + ε)``.
    pairs : CrystalGraphs, default=None
        What `nearby_pairs` found: the neighbours are then chosen among them as building the graphs
        of the new crystals would choose them. By default the edges stay and only their lengths
        change.

    Returns
    -------
    CrystalGraphs
    """
    candidates = graphs if pairs is None else pairs
    positions, lattices = graphs.positions + displacement, graphs.lattices
    if strain is not None:
        deform = np.eye(3) + strain
        lattices = lattices @ deform
        positions = np.einsum("ni,nij->nj", positions, np.repeat(deform, graphs.n_atoms, axis=0))
    moved = replace(candidates, positions=positions, lattices=lattices)
    distance = np.linalg.norm(moved.edge_vectors, axis=1)
    if pairs is None:
        return replace(moved, edge_distance=distance.astype(np.float32))
    return _choose_edges(moved, distance)


def _choose_edges(graphs, distance):
    """Keep the edges that the settings of the graphs ask for, sorted by centre and distance."""
    target, source = graphs.flat_target, graphs.flat_source
    inside = np.flatnonzero(distance <= graphs.cutoff + _TOLERANCE)
    # They were sorted before the move, so a stable sort has little to do.
    inside = inside[np.lexsort((distance[inside], target[inside]))]
    edges = [array[inside] for array in (target, source, graphs.edge_image, distance)]
    n_atoms = len(graphs.atomic_numbers)
    if graphs.max_neighbors is not None:
        keep = keep_nearest(
            edges[0], edges[3], n_atoms, graphs.max_neighbors, graphs.ties, graphs.tie_tolerance
        )
        edges = [array[keep] for array in edges]
    if graphs.symmetrize:
        edges = symmetrized(*edges)
        order = np.lexsort((edges[3], edges[0]))
        edges = [array[order] for array in edges]
    target, source, image, distance = edges
    crystal = graphs.crystal_of_atom[target]
    first = graphs.atom_ptr[crystal]
    return replace(
        graphs,
        edge_source=(source - first).astype(np.int32),
        edge_target=(target - first).astype(np.int32),
        edge_image=image.astype(np.int16),
        edge_distance=distance.astype(np.float32),
        edge_ptr=pointer_from_counts(np.bincount(crystal, minlength=len(graphs))),
    )
