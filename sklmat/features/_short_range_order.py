"""`PairOrder`, `LigandOrder`: how species are spread over neighbour shells and over polyhedra."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklmat.features._neighbors import Neighbors, find_neighbors
from sklmat.features._polyhedra import angle

#: Degrees, at which ligands of octahedra, tetrahedra and cages are seen from the centre.
LIGAND_ANGLES = (60, 90, 109, 120, 180)
_ANGLE_WINDOW = 5
# Neighbour list of a sublattice, in units of the cube root of its volume per atom: it holds four
# shells of each lattice.
_SHELL_RADIUS = 2.5
# Distances that differ by less than this fraction are of one shell.
_SHELL_STEP = 0.03


class PairOrder(NamedTuple):
    """Pairs of species in one neighbour shell, of S species.

    Attributes
    ----------
    fraction : ndarray of shape (S, S)
        Fraction of the shell's ordered pairs.
    random : ndarray of shape (S, S)
        The same in a random crystal.
    alpha : ndarray of shape (S, S)
        Warren-Cowley parameter, 0 where a species is absent.
    mean_magnitude : float
        Mean of the magnitude of the Warren-Cowley parameter, weighted with the random fractions.
    excess_of_like_pairs : float
        Fraction of pairs of the same species, less that in a random crystal.
    """

    fraction: np.ndarray
    random: np.ndarray
    alpha: np.ndarray
    mean_magnitude: float
    excess_of_like_pairs: float


def pair_order(
    neighbors: Neighbors, shell: np.ndarray, species: np.ndarray, n_species: int
) -> PairOrder:
    """Count the pairs of species in one shell.

    Parameters
    ----------
    neighbors : Neighbors
    shell : ndarray of bool, shape (N, M)
        Which neighbours belong to the shell.
    species : ndarray of int, shape (N,)
        Species of each atom, numbered from 0.
    n_species : int
    """
    atom, rank = np.nonzero(shell)
    pair = species[atom] * n_species + species[neighbors.index[atom, rank]]
    counts = np.bincount(pair, minlength=n_species * n_species).reshape(n_species, n_species)
    fraction = (counts + counts.T) / max(2 * counts.sum(), 1)
    ends = fraction.sum(axis=0)
    random = np.outer(ends, ends)
    alpha = np.where(random > 0, 1 - fraction / np.where(random > 0, random, 1), 0)
    mean_magnitude = (random * np.abs(alpha)).sum()
    return PairOrder(fraction, random, alpha, mean_magnitude, np.trace(fraction - random))


def sublattice_pair_orders(positions, lattice, pbc, species, n_species, n_shells):
    """`PairOrder` of the first shells of one sublattice, nearest first; empty without atoms.

    Parameters
    ----------
    positions, lattice, pbc
        Ideal sites of the atoms on the sublattice, as in `CrystalArrays`.
    species, n_species
        As in `pair_order`.
    n_shells : int
        How many shells at most.
    """
    if not len(positions):
        return []
    neighbors = find_neighbors(positions, lattice, pbc, _SHELL_RADIUS)
    shells = _shells_of_ranks(neighbors.distance, _SHELL_RADIUS * neighbors.scale)
    return [pair_order(neighbors, shell, species, n_species) for shell in shells[:n_shells]]


def _shells_of_ranks(distance, list_end):
    """Masks of the shells, nearest first: ranks between steps of the mean distance at that rank.

    All neighbours up to the distance `list_end` are listed in `distance`.
    """
    complete = np.isfinite(distance).all(axis=0)
    mean = distance[:, complete].mean(axis=0)
    following = np.append(mean[1:], list_end if complete.all() else 0)
    ends = np.flatnonzero(following > mean * (1 + _SHELL_STEP)) + 1
    starts = np.concatenate([[0], ends])
    rank = np.broadcast_to(np.arange(distance.shape[1]), distance.shape)
    return [(rank >= start) & (rank < end) for start, end in zip(starts, ends)]


class Multipoles(NamedTuple):
    """Means over polyhedra, see `DisorderFeaturizer`."""

    count_variance: float
    mean_dipole: float
    squared_dipole: float
    squared_quadrupole: float


class LigandOrder(NamedTuple):
    """How unevenly species are spread over the ligands of polyhedra; NaN without polyhedra.

    Attributes
    ----------
    multipoles : Multipoles
    like_excess : dict of float
        For each of `LIGAND_ANGLES`, the fraction of like pairs among ligands at that angle, less
        that in a random crystal; NaN where no ligands have this angle.
    """

    multipoles: Multipoles
    like_excess: dict[int, float]


def ligand_order(
    neighbors: Neighbors,
    bonded: np.ndarray,
    atomic_numbers: np.ndarray,
    centres: np.ndarray,
    on_sublattice: np.ndarray,
) -> LigandOrder:
    """Order of the species of one sublattice as ligands of some atoms.

    Parameters
    ----------
    neighbors : Neighbors
    bonded : ndarray of bool, shape (N, M)
        Which neighbours on the sublattice are ligands.
    atomic_numbers : ndarray of shape (N,)
    centres : ndarray of int, shape (P,)
        Atoms around which the ligands are.
    on_sublattice : ndarray of bool, shape (N,)

    Returns
    -------
    LigandOrder
    """
    bonded = bonded[centres]
    width = np.flatnonzero(bonded.any(axis=0)).max(initial=-1) + 1
    if not width:
        return LigandOrder(Multipoles(*[np.nan] * 4), dict.fromkeys(LIGAND_ANGLES, np.nan))
    bonded, index = bonded[:, :width], neighbors.index[centres, :width]
    direction = neighbors.vector[centres, :width] / neighbors.distance[centres, :width, None]
    own_numbers, ligands = atomic_numbers[on_sublattice], atomic_numbers[index]
    species = np.unique(own_numbers)
    fraction = np.mean(own_numbers == species[:, None], axis=1)
    excess = ((ligands == species[:, None, None]) - fraction[:, None, None]) * bonded
    like = (ligands[:, :, None] == ligands[:, None]) - (fraction**2).sum()
    return LigandOrder(
        multipoles(excess, direction, bonded), _mean_at_angles(like, direction, bonded)
    )


def multipoles(excess: np.ndarray, direction: np.ndarray, bonded: np.ndarray) -> Multipoles:
    """How unevenly species are spread over the ligands of the polyhedra.

    Parameters
    ----------
    excess : ndarray of shape (S, P, M)
        For species, polyhedra and ligands: 1 - c where the species is, else -c, with its fraction c
        on the sublattice; 0 where there is no ligand.
    direction : ndarray of shape (P, M, 3)
        Unit vectors to the ligands.
    bonded : ndarray of bool, shape (P, M)

    Returns
    -------
    Multipoles
    """
    n_ligands = np.maximum(bonded.sum(axis=1), 1)
    count = excess.sum(axis=2) ** 2 / n_ligands
    dipole = (np.einsum("spm,pmx->spx", excess, direction) ** 2).sum(axis=2) / n_ligands
    tensor = direction[..., :, None] * direction[..., None, :] - np.eye(3) / 3
    quadrupole = np.einsum("spm,pmxy->spxy", excess, tensor)
    quadrupole = (quadrupole**2).sum(axis=(2, 3)) / (2 / 3 * n_ligands)
    squares = (moment.sum(axis=0) / 2 for moment in (count, dipole, quadrupole))
    count, dipole, quadrupole = squares
    return Multipoles(count.mean(), np.sqrt(dipole).mean(), dipole.mean(), quadrupole.mean())


def _mean_at_angles(values, direction, bonded):
    """Mean over pairs of ligands of one polyhedron, of shape (P, M, M), for each angle."""
    first, second = np.triu_indices(bonded.shape[1], 1)
    pair = bonded[:, first] & bonded[:, second]
    angles = angle(direction[:, first], direction[:, second])[pair]
    values = values[:, first, second][pair]
    means = {}
    for ligand_angle in LIGAND_ANGLES:
        at_angle = values[np.abs(angles - ligand_angle) < _ANGLE_WINDOW]
        means[ligand_angle] = at_angle.mean() if len(at_angle) else np.nan
    return means
