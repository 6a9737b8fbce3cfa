"""`perturb_structures`: random displacements; `apply_perturbation`: any given perturbation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import REMOVED_IN
from sklmat.graphs import CrystalGraphs, StructureToGraph, move_atoms, nearby_pairs
from sklmat.perturbations._perturbation_bounds import PerturbationBounds, largest_distance_change
from sklmat.perturbations._random_directions import IndependentDirections
from sklmat.random_state import make_generator
from sklmat.recorded_warnings import frames_inside
from sklmat.structures import check_structures

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sklmat.typing import RandomState, Structures

#: Å.
_DEFAULT_SIZE = 0.05
#: Atoms that move further do not vibrate but form another crystal (Å).
_LARGEST_SIZE = {"scale": 1.0, "budget": 4.0}


@overload
def perturb_structures(
    X: Structures,
    scale: float | None = None,
    *,
    distribution: Literal["gaussian", "uniform"] = "gaussian",
    budget: float | None = None,
    strain: float = 0.0,
    min_distance: float | None = None,
    random_state: RandomState = None,
) -> list[Structure]: ...
@overload
def perturb_structures(
    X: CrystalGraphs,
    scale: float | None = None,
    *,
    distribution: Literal["gaussian", "uniform"] = "gaussian",
    budget: float | None = None,
    strain: float = 0.0,
    min_distance: float | None = None,
    random_state: RandomState = None,
) -> CrystalGraphs: ...
@checked_arguments(min_distance=None)
def perturb_structures(
    X: Structures | CrystalGraphs,
    scale: float | None = None,
    *,
    distribution: Literal["gaussian", "uniform"] = "gaussian",
    budget: float | None = None,
    strain: float = 0.0,
    min_distance: float | None = None,
    random_state: RandomState = None,
) -> list[Structure] | CrystalGraphs:
    """Displace the atoms of crystals at random, and optionally strain the lattices.

    Parameters
    ----------
    X : sequence of C structures, or CrystalGraphs
        The crystals.
    scale : float, default=None
        Standard deviation of each Cartesian component of a "gaussian" displacement (Å); ``None``
        takes 0.05.
    distribution : {"gaussian", "uniform"}, default="gaussian"
        "gaussian" resembles thermal motion and has no largest displacement. "uniform" draws each
        displacement uniformly from a ball, so it has a largest displacement, as attacks do.
    budget : float, default=None
        Largest displacement of an atom with "uniform", the radius of the ball (Å); ``None`` takes
        0.05.
    strain : float, default=0.0
        Frobenius norm of the random symmetric strain of each lattice, which is applied after the
        displacements.
    min_distance : float, default=None
        No two atoms come closer than this (Å): the displacements of atoms that would come too close
        are halved until they do not. ``None`` takes 0.7 times the sum of their covalent radii. Two
        atoms that are closer than this in the unperturbed crystal come no closer.
    random_state : int, RandomState or None, default=None
        Seed of the displacements and strains.

    Returns
    -------
    list of pymatgen Structure, or CrystalGraphs
        The perturbed crystals in the form and order of `X`, which is not changed. The displacements
        of each crystal sum to zero. The neighbour lists of graphs are computed again, except for
        graphs made by a pymatgen neighbour strategy, which keep their neighbours.

    Raises
    ------
    InvalidStructureError
        When a crystal cannot be used.
    ValueError
        When a parameter is out of range. A `scale` of 1 Å or more and a `budget` of 4 Å or more are
        refused, because the result would be another crystal.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import perturb_structures
    >>> cell = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
    >>> (noisy,) = perturb_structures([cell], 0.02, random_state=0)
    >>> moved = noisy.cart_coords - cell.cart_coords
    >>> np.linalg.norm(moved, axis=1).round(3)
    array([0.019, 0.047, 0.059, 0.033])
    >>> float(abs(moved.sum(axis=0)).max().round(6))
    0.0
    """
    size_name, size = _size(distribution, scale, budget)
    for name, value, highest in (
        (size_name, size, _LARGEST_SIZE[size_name]),
        ("strain", strain, 0.5),
    ):
        if not 0 <= value < highest:
            raise ValueError(f"{name} must be at least 0 and below {highest}, got {value!r}")
    if isinstance(X, CrystalGraphs):
        structures, graphs = None, X
    else:
        structures = check_structures(X)
        # The edges of these graphs are not used: close pairs are searched separately.
        graphs = StructureToGraph(max_neighbors=1).transform(structures)
    if len(graphs) == 0:
        return graphs[:0] if structures is None else []
    directions = IndependentDirections(make_generator(random_state))
    perturbation = _draw(graphs, size, distribution, strain, min_distance, directions)
    return apply_perturbation(structures, graphs, *perturbation)


def _size(distribution, scale, budget):
    """Name and value of the parameter that sets the size of the displacements."""
    if distribution == "gaussian":
        if budget is not None:
            raise ValueError(
                "budget is a largest displacement, which distribution='gaussian' does not have: "
                "give scale, or distribution='uniform'"
            )
        return "scale", _DEFAULT_SIZE if scale is None else scale
    if distribution != "uniform":
        raise ValueError(f"distribution must be 'gaussian' or 'uniform', got {distribution!r}")
    if scale is None:
        return "budget", _DEFAULT_SIZE if budget is None else budget
    if budget is not None:
        raise ValueError("distribution='uniform' has a budget and no scale: leave scale out")
    warnings.warn(
        "the largest displacement of distribution='uniform' is now called 'budget'; 'scale' will "
        f"be only for distribution='gaussian' in sklmat {REMOVED_IN}",
        FutureWarning,
        stacklevel=frames_inside(),
    )
    return "budget", scale


def _draw(graphs, size, distribution, strain, min_distance, directions):
    """Displacements of shape (N, 3), and strains of shape (C, 3, 3)."""
    n_atoms, random = len(graphs.atomic_numbers), directions.generator
    vectors, matrices = directions(graphs)
    if distribution == "gaussian":
        displacement = random.normal(scale=size, size=(n_atoms, 3))
    else:
        displacement = vectors * (size * random.random((n_atoms, 1)) ** (1 / 3))
    # Gaussian noise has no largest displacement, so the budget must not limit it.
    longest = np.linalg.norm(displacement, axis=1).max(initial=0.0)
    budget = size if distribution == "uniform" else 2 * longest
    bounds = PerturbationBounds.around(
        graphs, max(longest, budget), strain, min_distance, neighbors="fixed"
    )
    return bounds.with_budget(budget).project(displacement, matrices * strain)


def apply_perturbation(
    structures: Sequence[Structure] | np.ndarray | None,
    graphs: CrystalGraphs,
    displacement: np.ndarray,
    strain: np.ndarray,
) -> list[Structure] | CrystalGraphs:
    """Apply displacements and strains to crystals.

    Parameters
    ----------
    structures : sequence of C pymatgen structures, or None
    graphs : CrystalGraphs of C crystals
    displacement : ndarray of shape (N, 3)
        Å.
    strain : ndarray of shape (C, 3, 3)

    Returns
    -------
    list of C pymatgen structures, or CrystalGraphs
        CrystalGraphs if `structures` is None.
    """
    if structures is None:
        budget = np.linalg.norm(displacement, axis=1).max(initial=0.0)
        largest_strain = np.linalg.norm(strain, axis=(1, 2)).max(initial=0.0)
        change = largest_distance_change(graphs, budget, largest_strain)
        pairs = nearby_pairs(graphs, change) if graphs.neighbors is None else None
        return move_atoms(graphs, displacement, strain, pairs)
    of_crystals = np.split(displacement, graphs.atom_ptr[1:-1])
    return list(map(_perturbed_structure, structures, of_crystals, strain))


def _perturbed_structure(structure, displacement, strain):
    from pymatgen.core import Lattice, Structure

    deformation = np.eye(3) + strain
    return Structure(
        Lattice(structure.lattice.matrix @ deformation, pbc=structure.lattice.pbc),
        [site.species for site in structure],
        (structure.cart_coords + displacement) @ deformation,
        charge=structure._charge,
        coords_are_cartesian=True,
        site_properties=structure.site_properties,
        labels=structure.labels,
        properties=dict(structure.properties),
    )
