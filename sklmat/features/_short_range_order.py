"""pair_order, multipoles: how species are spread over neighbour shells and over polyhedra."""

from typing import NamedTuple

import numpy as np

from sklmat.features._neighbors import Neighbors
from sklmat.features._polyhedra import angle

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


def pair_order(neighbors: Neighbors, shell, species, n_species) -> PairOrder:
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


def sublattice_shells(distance, list_end):
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


def multipoles(excess, direction, bonded):
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
    values : list of 4 floats
        Count variance, mean dipole, squared dipole and squared quadrupole.
    """
    n_ligands = np.maximum(bonded.sum(axis=1), 1)
    count = excess.sum(axis=2) ** 2 / n_ligands
    dipole = (np.einsum("spm,pmx->spx", excess, direction) ** 2).sum(axis=2) / n_ligands
    tensor = direction[..., :, None] * direction[..., None, :] - np.eye(3) / 3
    quadrupole = np.einsum("spm,pmxy->spxy", excess, tensor)
    quadrupole = (quadrupole**2).sum(axis=(2, 3)) / (2 / 3 * n_ligands)
    squares = (moment.sum(axis=0) / 2 for moment in (count, dipole, quadrupole))
    count, dipole, quadrupole = squares
    return [count.mean(), np.sqrt(dipole).mean(), dipole.mean(), quadrupole.mean()]


def pairs_by_angle(values, direction, bonded):
    """Angles (°) of all pairs of ligands of one polyhedron, and the values of shape (P, M, M)."""
    first, second = np.triu_indices(bonded.shape[1], 1)
    pair = bonded[:, first] & bonded[:, second]
    angles = angle(direction[:, first], direction[:, second])
    return angles[pair], values[:, first, second][pair]
