"""Displacements and strains of many crystals: drawn, bounded, and applied."""

from dataclasses import replace

import numpy as np

from sklmat.elements import element_table
from sklmat.graphs import move_atoms, nearby_pairs
from sklmat.structures import MIN_DISTANCE

#: Atoms may come as close as this multiple of the sum of their covalent radii.
_CLOSEST = 0.7
_HALVINGS = 8
#: Of the sum of forces on an atom, relative to them.
_ROUNDING = 1e-5


class Room:
    """Some crystals and how far their atoms may go.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms
        As they are before anything moves.
    budget : float
        Largest displacement of an atom (Å).
    strain : float
        Largest Frobenius norm of the strain.
    min_distance : float or None
        No pair comes closer (Å); None takes 0.7 times the sum of the covalent radii. A pair that
        is closer already comes no closer than it is.
    neighbors : {"rebuilt", "fixed"}
        Whether neighbours are chosen anew after each move.
    """

    def __init__(self, graphs, budget, strain, min_distance, neighbors):
        limit = max(min_distance, MIN_DISTANCE) if min_distance is not None else _closest(graphs)
        reach = furthest_change(graphs, budget, strain)
        at_least = limit + reach
        self.graphs = graphs
        self.strained = strain > 0
        self.pairs = None
        if neighbors == "rebuilt":
            self.pairs = nearby_pairs(graphs, reach, at_least)
            self.close = edges_within(self.pairs, at_least)
        else:
            self.close = nearby_pairs(graphs, None, at_least)
        self.min_distance = min_distance

    def __getitem__(self, rows):
        part = object.__new__(Room)
        part.graphs, part.close = self.graphs[rows], self.close[rows]
        part.pairs = None if self.pairs is None else self.pairs[rows]
        part.strained, part.min_distance = self.strained, self.min_distance
        return part

    def __len__(self):
        return len(self.graphs)

    def still(self):
        """No move: arrays of shape (N, 3) and (C, 3, 3)."""
        n_crystals, n_atoms = len(self.graphs), len(self.graphs.atomic_numbers)
        return np.zeros((n_atoms, 3)), np.zeros((n_crystals, 3, 3))

    def move(self, displacement, strain):
        """Graphs of the moved crystals."""
        strain = strain if self.strained else None
        return move_atoms(self.graphs, displacement, strain, self.pairs)

    def draw(self, budget, strain, noise):
        """Random moves, every atom as far as it may go: arrays (N, 3) and (C, 3, 3).

        `noise` is called with the graphs, see `free_noise` and `crystal_noise`.
        """
        length = np.repeat(budget, self.graphs.n_atoms)[:, None]
        ahead, stretch = noise(self.graphs)
        return self.bound(ahead * length, stretch * strain[:, None, None], budget, strain)

    def bound(self, displacement, strain, budget, strain_budget):
        """The nearest allowed move, roughly: within the budgets, centred, no pair too close.

        Parameters
        ----------
        displacement : ndarray of shape (N, 3)
        strain : ndarray of shape (C, 3, 3)
        budget, strain_budget : ndarray of shape (C,)

        Returns
        -------
        displacement, strain : new arrays
        """
        strain = (strain + strain.swapaxes(1, 2)) / 2
        norm = np.linalg.norm(strain, axis=(1, 2))
        strain = strain * _shrink(norm, strain_budget)[:, None, None]
        displacement = self._within_budget(displacement, budget)
        for k in range(_HALVINGS + 1):
            crystal, target, source = self._too_close(displacement, strain)
            if len(crystal) == 0:
                break
            if k == _HALVINGS:
                displacement[np.isin(self._crystal_of_atom, crystal)] = 0.0
                strain[crystal] = 0.0
                break
            displacement[np.union1d(target, source)] /= 2
            strain[np.unique(crystal)] /= 2
            displacement = self._within_budget(displacement, budget)
        return displacement, strain

    @property
    def _crystal_of_atom(self):
        return np.repeat(np.arange(len(self.graphs)), self.graphs.n_atoms)

    def _within_budget(self, displacement, budget):
        """Project on the balls of the atoms and on zero net translation in turn, then shrink."""
        crystal, ptr = self._crystal_of_atom, self.graphs.atom_ptr[:-1]
        n_atoms = self.graphs.n_atoms[:, None]
        for _ in range(3):
            length = np.linalg.norm(displacement, axis=1)
            displacement = displacement * _shrink(length, budget[crystal])[:, None]
            mean = np.add.reduceat(displacement, ptr, axis=0) / n_atoms
            displacement = displacement - mean[crystal]
        longest = np.maximum.reduceat(np.linalg.norm(displacement, axis=1), ptr)
        return displacement * _shrink(longest, budget)[crystal, None]

    def _too_close(self, displacement, strain):
        """Crystal, and both atoms, of each pair that has come too close."""
        moved = move_atoms(self.close, displacement, strain if self.strained else None)
        near = np.flatnonzero(moved.edge_distance < self._limits() - 1e-6)
        crystal = np.searchsorted(self.close.edge_ptr, near, side="right") - 1
        first = self.close.atom_ptr[crystal]
        return crystal, self.close.edge_target[near] + first, self.close.edge_source[near] + first

    def _limits(self):
        """Smallest allowed distance of each close pair."""
        close = self.close
        limit = self.min_distance
        if limit is None:
            offset = np.repeat(close.atom_ptr[:-1], close.n_edges)
            radii = _covalent_radii()[close.atomic_numbers]
            limit = _CLOSEST * (
                radii[close.edge_source + offset] + radii[close.edge_target + offset]
            )
        return np.minimum(np.maximum(limit, MIN_DISTANCE), close.edge_distance)


def furthest_change(graphs, budget, strain):
    """By how much the distance of a pair may change that is within the cutoff before or after."""
    return 2 * budget + graphs.cutoff * strain / (1 - strain)


def _shrink(length, limit):
    """Factor that brings a length down to its limit."""
    return np.minimum(1.0, limit / np.maximum(length, 1e-300))


def edges_within(graphs, distance):
    """Only the edges up to a distance."""
    keep = graphs.edge_distance <= distance
    before = np.concatenate([[0], np.cumsum(keep)])
    edges = ("edge_source", "edge_target", "edge_image", "edge_distance")
    arrays = {name: getattr(graphs, name)[keep] for name in edges}
    return replace(graphs, **arrays, edge_ptr=before[graphs.edge_ptr])


def _covalent_radii():
    """Covalent radius by atomic number (Å); zero where there is none."""
    return np.concatenate([[0.0], np.nan_to_num(element_table()["covalent radius (Å)"])])


def _closest(graphs):
    present = np.unique(graphs.atomic_numbers)
    return max(MIN_DISTANCE, 2 * _CLOSEST * _covalent_radii()[present].max(initial=0.0))


def gradients(moved, strain, slope):
    """Carry slopes along distances on to displacements and strains.

    Parameters
    ----------
    moved : CrystalGraphs of C crystals, N atoms, E edges
        After displacement and strain.
    strain : ndarray of shape (C, 3, 3)
    slope : ndarray of shape (E,)
        Derivative with respect to each distance (1/Å).

    Returns
    -------
    by_displacement : ndarray of shape (N, 3)
        1/Å. Exactly zero where symmetry makes it so, but for rounding.
    by_strain : ndarray of shape (C, 3, 3)
        Symmetric.
    """
    vectors = moved.edge_vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    force = unit * slope[:, None]
    offset = np.repeat(moved.atom_ptr[:-1], moved.n_edges)
    n_atoms = len(moved.atomic_numbers)
    on_atoms = _sum(force, moved.edge_source + offset, n_atoms)
    on_atoms -= _sum(force, moved.edge_target + offset, n_atoms)
    pull = sum(
        np.bincount(end + offset, np.abs(slope), n_atoms)
        for end in (moved.edge_source, moved.edge_target)
    )
    on_atoms[np.linalg.norm(on_atoms, axis=1) <= _ROUNDING * pull] = 0.0
    deform = np.eye(3) + strain
    by_displacement = np.einsum("ni,nji->nj", on_atoms, np.repeat(deform, moved.n_atoms, axis=0))
    # d depends on the strain through v = v0 (1 + strain).
    crystal = np.repeat(np.arange(len(moved)), moved.n_edges)
    outer = _sum((vectors[:, :, None] * force[:, None]).reshape(-1, 9), crystal, len(moved))
    by_strain = np.linalg.solve(deform.swapaxes(1, 2), outer.reshape(-1, 3, 3))
    return by_displacement, (by_strain + by_strain.swapaxes(1, 2)) / 2


def _sum(values, index, n):
    return np.stack([np.bincount(index, column, n) for column in values.T], axis=1)
