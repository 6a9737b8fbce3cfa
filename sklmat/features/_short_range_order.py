"""`PairOrder`, `LigandOrder`: short-range order of species in neighbour shells and polyhedra."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sklmat.features._neighbors import Neighbors, find_neighbors
from sklmat.features._polyhedra import angle

#: Angles (°) at the centre between ligands of octahedra, tetrahedra and cages.
LIGAND_ANGLES = (60, 90, 109, 120, 180)
_ANGLE_WINDOW = 5
# Radius of the neighbour list of a sublattice, in units of the cube root of its volume per atom; it
# contains four shells of each lattice.
_SHELL_RADIUS = 2.5
# Distances that differ by less than this fraction belong to one shell.
_SHELL_STEP = 0.03


class PairOrder(NamedTuple):
    """Order of S species in one neighbour shell, from its pairs of atoms.

    Attributes
    ----------
    fraction : ndarray of shape (S, S)
        Fraction of the ordered pairs of atoms in the shell that have these two species.
    random : ndarray of shape (S, S)
        This fraction in a random crystal.
    alpha : ndarray of shape (S, S)
        Warren-Cowley parameter, 0 if a species is absent.
    mean_magnitude : float
        Mean magnitude of the Warren-Cowley parameters, weighted by `random`.
    excess_of_like_pairs : float
        Fraction of pairs of the same species, minus this fraction in a random crystal.

    The arrays of several crystals have one more axis of length C at the front.
    """

    fraction: np.ndarray
    random: np.ndarray
    alpha: np.ndarray
    mean_magnitude: Any
    excess_of_like_pairs: Any


def pair_order(
    neighbors: Neighbors, shell: np.ndarray, species: np.ndarray, n_species: int
) -> PairOrder:
    """Count the pairs of species in one shell of one crystal.

    Parameters
    ----------
    neighbors : Neighbors
    shell : ndarray of bool, shape (N, M)
        Mask of the neighbours in the shell.
    species : ndarray of int, shape (N,)
        Species of each atom, numbered from 0.
    n_species : int
    """
    atom, rank = np.nonzero(shell)
    crystal = np.zeros(len(atom), dtype=np.intp)
    ends = species[atom], species[neighbors.index[atom, rank]]
    return PairOrder(*(found[0] for found in pair_orders(crystal, *ends, 1, n_species)))


def pair_orders(
    crystal: np.ndarray, first: np.ndarray, second: np.ndarray, n_crystals: int, n_species: int
) -> PairOrder:
    """Count the pairs of species in one shell of several crystals.

    Parameters
    ----------
    crystal : ndarray of int, shape (P,)
        Crystal of each pair of atoms.
    first, second : ndarray of int, shape (P,)
        Species of the two atoms, numbered from 0.
    n_crystals, n_species : int
    """
    pair = (crystal * n_species + first) * n_species + second
    counts = np.bincount(pair, minlength=n_crystals * n_species**2)
    counts = counts.reshape(n_crystals, n_species, n_species)
    counts = counts + counts.swapaxes(1, 2)
    total = np.maximum(counts.sum(axis=(1, 2)), 1)[:, None, None]
    fraction = counts / total
    ends = counts.sum(axis=1) / total[:, 0]
    random = ends[:, :, None] * ends[:, None, :]
    alpha = np.where(random > 0, 1 - fraction / np.where(random > 0, random, 1), 0)
    # Sums in the order of the species, so that absent ones do not change the rounding.
    crystals = np.repeat(np.arange(n_crystals), n_species**2)
    magnitude = np.bincount(crystals, (random * np.abs(alpha)).ravel())
    like = np.bincount(crystals, ((fraction - random) * np.eye(n_species)).ravel())
    return PairOrder(fraction, random, alpha, magnitude, like)


def sublattice_pair_orders(positions, lattice, pbc, species, n_species, n_shells):
    """Return the `PairOrder` of the first shells of one sublattice; an empty list without atoms.

    Parameters
    ----------
    positions, lattice, pbc
        Ideal sites of the atoms on the sublattice, as in `CrystalArrays`.
    species, n_species
        As in `pair_order`.
    n_shells : int
        Largest number of shells.
    """
    if not len(positions):
        return []
    neighbors = find_neighbors(positions, lattice, pbc, _SHELL_RADIUS)
    shells = _shells_of_ranks(neighbors.distance, _SHELL_RADIUS * neighbors.scale)
    return [pair_order(neighbors, shell, species, n_species) for shell in shells[:n_shells]]


def _shells_of_ranks(distance, list_end):
    """Masks of the shells, nearest first. A shell ends where the mean distance of a rank increases.

    `distance` contains all neighbours up to the distance `list_end`.
    """
    complete = np.isfinite(distance).all(axis=0)
    mean = distance[:, complete].mean(axis=0)
    following = np.append(mean[1:], list_end if complete.all() else 0)
    ends = np.flatnonzero(following > mean * (1 + _SHELL_STEP)) + 1
    starts = np.concatenate([[0], ends])
    rank = np.broadcast_to(np.arange(distance.shape[1]), distance.shape)
    return [(rank >= start) & (rank < end) for start, end in zip(starts, ends)]


class Multipoles(NamedTuple):
    """Means over polyhedra of the multipoles of their ligands; see `DisorderFeaturizer`."""

    count_variance: float
    mean_dipole: float
    squared_dipole: float
    squared_quadrupole: float


class LigandOrder(NamedTuple):
    """Order of species on the ligands of polyhedra; NaN if there are no polyhedra.

    Attributes
    ----------
    multipoles : Multipoles
    like_excess : dict of float
        For each of `LIGAND_ANGLES`, the fraction of like pairs among ligands at this angle, minus
        this fraction in a random crystal; NaN if no ligands have this angle.
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
    """Compute the order of the species of one sublattice on the ligands of given atoms.

    Parameters
    ----------
    neighbors : Neighbors
    bonded : ndarray of bool, shape (N, M)
        Mask of the neighbours on the sublattice that are ligands.
    atomic_numbers : ndarray of shape (N,)
    centres : ndarray of int, shape (P,)
        Atoms at the centres of the P polyhedra.
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
    """Compute the multipoles of S species on M ligands of P polyhedra.

    Parameters
    ----------
    excess : ndarray of shape (S, P, M)
        1 - c if the ligand is of the species, otherwise -c, with the fraction c of the species on
        the sublattice; 0 if there is no ligand.
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
    """Mean of values of pairs of ligands, shape (P, M, M), over the pairs at each angle."""
    first, second = np.triu_indices(bonded.shape[1], 1)
    pair = bonded[:, first] & bonded[:, second]
    angles = angle(direction[:, first][pair], direction[:, second][pair])
    values = values[:, first, second][pair]
    means = {}
    for ligand_angle in LIGAND_ANGLES:
        at_angle = values[np.abs(angles - ligand_angle) < _ANGLE_WINDOW]
        means[ligand_angle] = at_angle.mean() if len(at_angle) else np.nan
    return means
