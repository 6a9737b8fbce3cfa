"""`PerturbationBounds`: allowed displacements and strains; `perturbation_gradient` for both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from numbers import Real

import numpy as np

from sklmat.elements import element_table
from sklmat.graphs import CrystalGraphs, move_atoms, nearby_pairs
from sklmat.perturbations._random_directions import RandomDirections
from sklmat.structures import largest_smallest_distance, smallest_distances

#: Atoms may come as close as this multiple of the sum of their covalent radii.
_SMALLEST_FRACTION = 0.7
#: Atoms of a crystal are closer, so that a larger `min_distance` would change nothing (Å).
LARGEST_MIN_DISTANCE = 10.0
#: How often a perturbation that brings atoms too close is halved before it is set to zero.
_N_HALVINGS = 8
#: Alternating projections onto the largest displacements and onto zero net translation.
_N_PROJECTIONS = 3
#: The gradient of an atom counts as a rounding error if its norm is below this fraction of the sum
#: of the magnitudes that were added.
_ROUNDING = 1e-5


@dataclass(eq=False)
class PerturbationBounds:
    """Crystals and the perturbations that are allowed for them.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms
        The unperturbed crystals.
    budget : ndarray of shape (C,)
        Largest displacement of an atom (Å).
    strain_budget : ndarray of shape (C,)
        Largest Frobenius norm of the strain.
    candidates : CrystalGraphs or None
        All pairs that can become neighbours; None if the neighbour list is fixed.
    close_pairs : CrystalGraphs
        All pairs that can come too close.
    min_distance : float or None
        Smallest allowed distance of a pair (Å); None takes 0.7 times the sum of the covalent radii.
        A pair that is closer in the unperturbed crystal comes no closer than it is there.
    """

    graphs: CrystalGraphs
    budget: np.ndarray
    strain_budget: np.ndarray
    candidates: CrystalGraphs | None
    close_pairs: CrystalGraphs
    min_distance: float | None

    @classmethod
    def around(
        cls,
        graphs: CrystalGraphs,
        budget: float,
        strain: float = 0.0,
        min_distance: float | None = None,
        neighbors: str = "rebuilt",
    ) -> PerturbationBounds:
        """Make bounds with the same budgets for all crystals.

        Parameters
        ----------
        graphs : CrystalGraphs of C crystals
        budget : float
            Largest displacement of an atom (Å).
        strain : float
            Largest Frobenius norm of the strain.
        min_distance : float or None
        neighbors : {"rebuilt", "fixed"}
            Whether the neighbour list is computed again for perturbed crystals.

        Returns
        -------
        PerturbationBounds

        Raises
        ------
        ValueError
            When the neighbour list is rebuilt and atoms may move by more than half the cutoff: all
            pairs within three cutoffs would be needed.
        """
        if neighbors == "rebuilt" and budget > graphs.cutoff / 2:
            raise ValueError(
                f"budget={budget:g} Å is more than half the cutoff of the graphs "
                f"({graphs.cutoff:g} Å); atoms that move so far form another crystal: use a "
                "smaller budget"
            )
        if min_distance is not None and not (
            isinstance(min_distance, Real) and 0 <= min_distance <= LARGEST_MIN_DISTANCE
        ):
            raise ValueError(
                f"min_distance must be from 0 to {LARGEST_MIN_DISTANCE} Å, got {min_distance!r}"
            )
        change = largest_distance_change(graphs, budget, strain)
        closest = _largest_min_distance(graphs, min_distance) + change
        candidates = None
        if neighbors == "rebuilt":
            candidates = nearby_pairs(graphs, change, closest)
            close_pairs = candidates.select_edges(candidates.edge_distance <= closest)
        else:
            close_pairs = nearby_pairs(graphs, None, closest)
        each = np.ones(len(graphs))
        return cls(graphs, budget * each, strain * each, candidates, close_pairs, min_distance)

    def __len__(self) -> int:
        return len(self.budget)

    @cached_property
    def crystal_of_atom(self) -> np.ndarray:
        """The crystal to which each atom belongs, ndarray of shape (N,)."""
        return self.graphs.crystal_of_atom

    @cached_property
    def smallest_distances(self) -> np.ndarray:
        """Smallest allowed distance of each close pair (Å)."""
        pairs, limit = self.close_pairs, self.min_distance
        if limit is None:
            radii = _covalent_radii()[pairs.atomic_numbers]
            limit = _SMALLEST_FRACTION * (radii[pairs.flat_source] + radii[pairs.flat_target])
        numbers = pairs.atomic_numbers
        valid = smallest_distances(numbers[pairs.flat_source], numbers[pairs.flat_target])
        return np.minimum(np.maximum(limit, valid), pairs.edge_distance)

    def select(self, crystals: np.ndarray) -> PerturbationBounds:
        """Bounds of some crystals, by mask or index array."""
        return PerturbationBounds(
            self.graphs[crystals],
            self.budget[crystals],
            self.strain_budget[crystals],
            None if self.candidates is None else self.candidates[crystals],
            self.close_pairs[crystals],
            self.min_distance,
        )

    def scaled(self, fraction: np.ndarray) -> PerturbationBounds:
        """Bounds with the budgets multiplied by a fraction per crystal, ndarray of shape (C,)."""
        return replace(
            self, budget=self.budget * fraction, strain_budget=self.strain_budget * fraction
        )

    def with_budget(self, budget: float) -> PerturbationBounds:
        """Bounds with a smaller budget for displacements (Å), the same for all crystals."""
        return replace(self, budget=np.full(len(self), budget))

    def perturb(self, displacement: np.ndarray, strain: np.ndarray) -> CrystalGraphs:
        """Graphs of the crystals after displacement (N, 3) in Å, then strain (C, 3, 3)."""
        return move_atoms(self.graphs, displacement, self._strain(strain), self.candidates)

    def draw(self, directions: RandomDirections) -> tuple[np.ndarray, np.ndarray]:
        """A random displacement of each atom and strain of each lattice, by the full budgets."""
        vectors, matrices = directions(self.graphs)
        return self.project(
            vectors * self.budget[self.crystal_of_atom, None],
            matrices * self.strain_budget[:, None, None],
        )

    def project(
        self, displacement: np.ndarray, strain: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Project perturbations onto the bounds, approximately to the nearest allowed ones.

        Parameters
        ----------
        displacement : ndarray of shape (N, 3)
            Å.
        strain : ndarray of shape (C, 3, 3)

        Returns
        -------
        displacement, strain : new arrays
            Within the budgets, the strain symmetric, no net translation, no pair too close.
        """
        strain = (strain + strain.swapaxes(1, 2)) / 2
        norm = np.linalg.norm(strain, axis=(1, 2))
        strain = strain * _shrinkage(norm, self.strain_budget)[:, None, None]
        displacement = self._within_budget(displacement)
        for halving in range(_N_HALVINGS + 1):
            crystal, target, source = self._too_close(displacement, strain)
            if len(crystal) == 0:
                break
            if halving == _N_HALVINGS:
                displacement[np.isin(self.crystal_of_atom, crystal)] = 0.0
                strain[crystal] = 0.0
                break
            displacement[np.union1d(target, source)] /= 2
            strain[np.unique(crystal)] /= 2
            displacement = self._within_budget(displacement)
        return displacement, strain

    def _strain(self, strain):
        """The strain, or None if no strain is allowed: the lattice is then not changed."""
        return strain if self.strain_budget.any() else None

    def _within_budget(self, displacement):
        """Project onto the balls of the atoms and zero net translation alternately, then scale."""
        crystal, first_atom = self.crystal_of_atom, self.graphs.atom_ptr[:-1]
        n_atoms = np.bincount(crystal)[:, None]
        for _ in range(_N_PROJECTIONS):
            length = np.linalg.norm(displacement, axis=1)
            displacement = displacement * _shrinkage(length, self.budget[crystal])[:, None]
            mean = np.add.reduceat(displacement, first_atom, axis=0) / n_atoms
            displacement = displacement - mean[crystal]
        longest = np.maximum.reduceat(np.linalg.norm(displacement, axis=1), first_atom)
        return displacement * _shrinkage(longest, self.budget)[crystal, None]

    def _too_close(self, displacement, strain):
        """Crystal, and both atoms, of each pair that has come too close."""
        pairs = self.close_pairs
        perturbed = move_atoms(pairs, displacement, self._strain(strain))
        close = np.flatnonzero(perturbed.edge_distance < self.smallest_distances - 1e-6)
        crystal = np.searchsorted(pairs.edge_ptr, close, side="right") - 1
        first_atom = pairs.atom_ptr[crystal]
        return crystal, pairs.edge_target[close] + first_atom, pairs.edge_source[close] + first_atom


def largest_distance_change(graphs: CrystalGraphs, budget: float, strain: float) -> float:
    """Largest change of the distance of a pair that is within the cutoff before or after."""
    return 2 * budget + graphs.cutoff * strain / (1 - strain)


def _shrinkage(length, limit):
    """Factor that reduces a length to its limit; 1 for a shorter length."""
    return np.minimum(1.0, limit / np.maximum(length, 1e-300))


@cache
def _covalent_radii():
    """Covalent radius by atomic number (Å); zero where the radius is unknown."""
    return np.concatenate([[0.0], np.nan_to_num(element_table()["covalent radius (Å)"])])


def _largest_min_distance(graphs, min_distance):
    """Largest of the smallest allowed distances over all pairs of elements (Å)."""
    numbers = np.unique(graphs.atomic_numbers)
    if min_distance is None:
        min_distance = 2 * _SMALLEST_FRACTION * _covalent_radii()[numbers].max(initial=0.0)
    return max(min_distance, largest_smallest_distance(numbers))


def perturbation_gradient(
    graphs: CrystalGraphs, strain: np.ndarray, distance_gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient with respect to displacements and strains, from the distance gradient.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms, E edges
        Graphs after displacement and strain.
    strain : ndarray of shape (C, 3, 3)
    distance_gradient : ndarray of shape (E,)
        Derivative with respect to each distance (1/Å).

    Returns
    -------
    by_displacement : ndarray of shape (N, 3)
        1/Å. Exactly zero where it is zero by symmetry, up to rounding.
    by_strain : ndarray of shape (C, 3, 3)
        Symmetric.
    """
    vectors, source, target = graphs.edge_vectors, graphs.flat_source, graphs.flat_target
    crystal_of_atom, crystal_of_edge = graphs.crystal_of_atom, graphs.crystal_of_edge
    n_atoms, n_crystals = len(graphs.atomic_numbers), len(graphs)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    edge_gradient = unit * distance_gradient[:, None]
    on_atoms = _sum_by_index(edge_gradient, source, n_atoms)
    on_atoms -= _sum_by_index(edge_gradient, target, n_atoms)
    magnitude = sum(np.bincount(i, np.abs(distance_gradient), n_atoms) for i in (source, target))
    on_atoms[np.linalg.norm(on_atoms, axis=1) <= _ROUNDING * magnitude] = 0.0
    deformation = np.eye(3) + strain
    by_displacement = np.einsum("ni,nji->nj", on_atoms, deformation[crystal_of_atom])
    # A vector depends on the strain through v = v0 (1 + strain).
    outer = (vectors[:, :, None] * edge_gradient[:, None]).reshape(-1, 9)
    outer = _sum_by_index(outer, crystal_of_edge, n_crystals).reshape(-1, 3, 3)
    by_strain = np.linalg.solve(deformation.swapaxes(1, 2), outer)
    return by_displacement, (by_strain + by_strain.swapaxes(1, 2)) / 2


def _sum_by_index(values, index, n):
    """Sum rows that have the same index, ndarray of shape (n, columns)."""
    return np.stack([np.bincount(index, column, n) for column in values.T], axis=1)
