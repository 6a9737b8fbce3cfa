"""Noise on structures, without an estimator."""

import numpy as np
from sklearn.utils import check_random_state

from sklmat.adversarial._perturbation import Room, furthest_change
from sklmat.adversarial._random_directions import free_noise
from sklmat.graphs import CrystalGraphs, StructureToGraph, move_atoms, nearby_pairs
from sklmat.structures import check_structures


def perturb_structures(
    X, scale=0.05, *, distribution="gaussian", strain=0.0, min_distance=None, random_state=None
):
    """Displace atoms at random.

    Parameters
    ----------
    X : sequence of C structures, or CrystalGraphs
    scale : float, default=0.05
        Å. Of "gaussian" the standard deviation of each Cartesian component, of "uniform" the radius
        of the ball in which an atom is displaced.
    distribution : {"gaussian", "uniform"}, default="gaussian"
        "gaussian" looks like thermal motion and has no largest displacement; "uniform" draws from
        a ball and keeps to a budget, as attacks do.
    strain : float, default=0.0
        Frobenius norm of a random symmetric strain of each lattice, after the displacements.
    min_distance : float, default=None
        No two atoms come closer than this (Å): displacements of those that would are halved until
        they do not. ``None`` takes 0.7 times the sum of their covalent radii. Pairs that are closer
        to begin with come no closer.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    list of pymatgen Structure, or CrystalGraphs
        The perturbed crystals in the form and order of `X`, which is left as it is. The crystals
        do not drift: the displacements of each sum to zero. Graphs choose their neighbours anew,
        but those of a pymatgen strategy, which keep them.

    Raises
    ------
    InvalidStructureError
        When a crystal cannot be used.
    ValueError
        When a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import perturb_structures
    >>> cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
    >>> (noisy,) = perturb_structures([cell], 0.02, random_state=0)
    >>> moved = noisy.cart_coords - cell.cart_coords
    >>> bool(0.005 < moved.std() < 0.04)
    True
    >>> bool(np.allclose(moved.sum(axis=0), 0))
    True
    """
    if distribution not in ("gaussian", "uniform"):
        raise ValueError(f"distribution must be 'gaussian' or 'uniform', got {distribution!r}")
    for name, value, highest in (("scale", scale, np.inf), ("strain", strain, 0.5)):
        if not 0 <= value < highest:
            raise ValueError(f"{name} must be at least 0 and below {highest}, got {value!r}")
    structures = None if isinstance(X, CrystalGraphs) else check_structures(X)
    # Neighbours do not matter for structures: only which atoms come too close.
    graphs = X if structures is None else StructureToGraph(max_neighbors=1).transform(structures)
    if len(graphs) == 0:
        return X[:0] if structures is None else []
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    moves = _draw(graphs, scale, distribution, strain, min_distance, rng)
    return perturbed(structures, graphs, *moves)


def _draw(graphs, scale, distribution, strain, min_distance, rng):
    n_atoms = len(graphs.atomic_numbers)
    ahead, stretch = free_noise(rng)(graphs)
    if distribution == "gaussian":
        displacement = rng.normal(scale=scale, size=(n_atoms, 3))
    else:
        displacement = ahead * (scale * rng.random((n_atoms, 1)) ** (1 / 3))
    # Gaussian tails go as far as they go: the budget is only there for the balls.
    longest = np.linalg.norm(displacement, axis=1).max(initial=0.0)
    budget = scale if distribution == "uniform" else 2 * longest
    room = Room(graphs, max(longest, budget), strain, min_distance, "fixed")
    each = np.ones(len(graphs))
    return room.bound(displacement, stretch * strain, budget * each, strain * each)


def perturbed(structures, graphs, displacement, strain):
    """Moved crystals: structures like the given ones, or graphs where they are None."""
    if structures is None:
        budget = np.linalg.norm(displacement, axis=1).max(initial=0.0)
        stretch = np.linalg.norm(strain, axis=(1, 2)).max(initial=0.0)
        reach = furthest_change(graphs, budget, stretch)
        pairs = nearby_pairs(graphs, reach) if graphs.neighbors is None else None
        return move_atoms(graphs, displacement, strain, pairs)
    ends = graphs.atom_ptr[1:-1]
    return [
        _moved(structure, u, e)
        for structure, u, e in zip(structures, np.split(displacement, ends), strain)
    ]


def _moved(structure, displacement, strain):
    from pymatgen.core import Lattice, Structure

    deform = np.eye(3) + strain
    return Structure(
        Lattice(structure.lattice.matrix @ deform, pbc=structure.lattice.pbc),
        [site.species for site in structure],
        (structure.cart_coords + displacement) @ deform,
        charge=structure._charge,
        coords_are_cartesian=True,
        site_properties=structure.site_properties,
        labels=structure.labels,
        properties=dict(structure.properties),
    )


def to_structures(graphs):
    """Crystal graphs as pymatgen structures."""
    from pymatgen.core import Lattice, Structure

    atoms = zip(
        np.split(graphs.atomic_numbers, graphs.atom_ptr[1:-1]),
        np.split(graphs.positions, graphs.atom_ptr[1:-1]),
    )
    return [
        Structure(Lattice(matrix, pbc=pbc), numbers, positions, coords_are_cartesian=True)
        for (numbers, positions), matrix, pbc in zip(atoms, graphs.lattices, graphs.pbc)
    ]
