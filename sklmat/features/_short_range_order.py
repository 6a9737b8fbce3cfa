"""`PairOrder`, `LigandOrder`: short-range order of species in neighbour shells and polyhedra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklmat.features._neighbors import NeighborList, list_neighbors
from sklmat.features._polyhedra import angle
from sklmat.graphs import rank_within_group
from sklmat.structures import CrystalArrays

#: Angles (°) at the centre between ligands of octahedra, tetrahedra and cages.
LIGAND_ANGLES = (60, 90, 109, 120, 180)
#: Half the width (°) of the range around each of these angles.
LIGAND_ANGLE_WINDOW = 5
# Radius of the neighbour list of a sublattice, in units of the cube root of its volume per atom; it
# contains four shells of each lattice.
_SHELL_RADIUS = 2.5
# Distances that differ by less than this fraction belong to one shell.
_SHELL_STEP = 0.03


class PairOrder(NamedTuple):
    """Order of S species in one neighbour shell of C crystals, from its pairs of atoms.

    Attributes
    ----------
    fraction : ndarray of shape (C, S, S)
        Fraction of the ordered pairs of atoms in the shell that have these two species.
    random : ndarray of shape (C, S, S)
        This fraction in a random crystal.
    alpha : ndarray of shape (C, S, S)
        Warren-Cowley parameter, 0 if a species is absent.
    mean_magnitude : ndarray of shape (C,)
        Mean magnitude of the Warren-Cowley parameters, weighted by `random`.
    excess_of_like_pairs : ndarray of shape (C,)
        Fraction of pairs of the same species, minus this fraction in a random crystal.
    """

    fraction: np.ndarray
    random: np.ndarray
    alpha: np.ndarray
    mean_magnitude: np.ndarray
    excess_of_like_pairs: np.ndarray


def species_of_crystals(
    crystal: np.ndarray, atomic_numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Number the elements within each of C crystals, which all have atoms.

    Parameters
    ----------
    crystal : ndarray of int, shape (N,)
        Crystal of each atom.
    atomic_numbers : ndarray of int, shape (N,)

    Returns
    -------
    numbers : ndarray of shape (C, S)
        Atomic numbers of the elements of each crystal, ascending, then zeros.
    species : ndarray of shape (N,)
        Column of `numbers` for each atom.
    n_species : int
        The largest number of elements, S.
    """
    codes, inverse = np.unique(crystal * 119 + atomic_numbers, return_inverse=True)
    crystal_of_code = codes // 119
    counts = np.bincount(crystal_of_code)
    place = rank_within_group(counts)
    numbers = np.zeros((len(counts), counts.max(initial=0)), dtype=np.intp)
    numbers[crystal_of_code, place] = codes % 119
    return numbers, place[inverse], numbers.shape[1]


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


def sublattice_pair_orders(
    crystals: Sequence[CrystalArrays], species: np.ndarray, n_species: int, n_shells: int
) -> list[tuple[np.ndarray, PairOrder]]:
    """Pairs of species in the first shells of one sublattice.

    Parameters
    ----------
    crystals : sequence of C CrystalArrays
        Atoms of the sublattice on their ideal sites; each crystal has at least one.
    species : ndarray of int, shape (N,)
        Species of each of these atoms, numbered from 0.
    n_species : int
    n_shells : int
        Largest number of shells.

    Returns
    -------
    shells : list of (exists, order)
        For each shell, nearest first: whether the crystals have it, shape (C,), and its order.
    """
    if not crystals:
        nothing = np.zeros(0, dtype=np.intp)
        return [(nothing > 0, pair_orders(nothing, nothing, nothing, 0, n_species))] * n_shells
    neighbors = list_neighbors(crystals, _SHELL_RADIUS)
    shell, shells_of_crystal = _shells_of_ranks(neighbors)
    crystal = neighbors.crystal[neighbors.center]
    first, second = species[neighbors.center], species[neighbors.other]
    orders = []
    for k in range(n_shells):
        own = shell == k
        order = pair_orders(crystal[own], first[own], second[own], len(crystals), n_species)
        orders.append((shells_of_crystal > k, order))
    return orders


def _shells_of_ranks(neighbors):
    """Shell of each pair, 0 for the nearest, and the number of complete shells of each crystal.

    A shell ends where the mean distance of a rank increases. The list of neighbours contains all up
    to the distance `_SHELL_RADIUS`.
    """
    n_atoms = np.bincount(neighbors.crystal)
    counts = np.bincount(neighbors.center, minlength=len(neighbors.crystal))
    # Ranks that all atoms of a crystal have.
    n_ranks = np.full(len(n_atoms), np.iinfo(np.intp).max)
    np.minimum.at(n_ranks, neighbors.crystal, counts)
    all_ranks = np.zeros(len(n_atoms), dtype=np.intp)
    np.maximum.at(all_ranks, neighbors.crystal, counts)
    width = int(n_ranks.max()) + 1
    crystal = neighbors.crystal[neighbors.center]
    complete = neighbors.rank < n_ranks[crystal]
    place = crystal[complete] * width + neighbors.rank[complete]
    total = np.bincount(place, neighbors.distance[complete], minlength=len(n_atoms) * width)
    mean = total.reshape(-1, width) / n_atoms[:, None]
    end_of_list = np.where(n_ranks == all_ranks, _SHELL_RADIUS * neighbors.scale, 0)
    following = np.append(mean[:, 1:], np.zeros((len(mean), 1)), axis=1)
    rows = np.flatnonzero(n_ranks)
    following[rows, n_ranks[rows] - 1] = end_of_list[rows]
    is_end = following > mean * (1 + _SHELL_STEP)
    is_end &= np.arange(width) < n_ranks[:, None]
    # A pair is in the shell whose number is that of the ends before its rank.
    ends_before = np.cumsum(is_end, axis=1) - is_end
    rank = np.minimum(neighbors.rank, width - 1)
    shell = np.where(complete, ends_before[crystal, rank], -1)
    return shell, is_end.sum(axis=1)


class Multipoles(NamedTuple):
    """Multipoles of the ligands of N polyhedra, each of shape (N,); see `DisorderFeaturizer`."""

    count_variance: np.ndarray
    squared_dipole: np.ndarray
    squared_quadrupole: np.ndarray


class LigandOrder(NamedTuple):
    """Order of the species of one sublattice on the ligands of polyhedra around N atoms.

    Attributes
    ----------
    multipoles : Multipoles
        Zero for atoms without ligands.
    n_ligands : ndarray of int, shape (N,)
    pair_centre : ndarray of int, shape (L,)
        Atom at the centre of each pair of ligands of one polyhedron.
    pair_angle : ndarray of shape (L,)
        Angle of the two ligands at the centre (°).
    pair_excess : ndarray of shape (L,)
        1 if the ligands are of the same species, otherwise 0, minus the probability of this in a
        random crystal.
    """

    multipoles: Multipoles
    n_ligands: np.ndarray
    pair_centre: np.ndarray
    pair_angle: np.ndarray
    pair_excess: np.ndarray


def ligand_order(
    neighbors: NeighborList,
    bonded: np.ndarray,
    atomic_numbers: np.ndarray,
    on_sublattice: np.ndarray,
) -> LigandOrder:
    """Compute the order of the species of one sublattice on the ligands of all atoms.

    Parameters
    ----------
    neighbors : NeighborList
    bonded : ndarray of bool, shape (P,)
        Mask of the neighbours on the sublattice that are ligands.
    atomic_numbers : ndarray of int, shape (N,)
    on_sublattice : ndarray of bool, shape (N,)
    """
    n_atoms, n_crystals = len(neighbors.crystal), len(neighbors.scale)
    center, other = neighbors.center[bonded], neighbors.other[bonded]
    direction = neighbors.vector[bonded] / neighbors.distance[bonded, None]
    present, of_present = np.unique(neighbors.crystal[on_sublattice], return_inverse=True)
    numbers = atomic_numbers[on_sublattice]
    _, own_species, n_species = species_of_crystals(of_present, numbers)
    species = np.full(n_atoms, -1)
    species[on_sublattice] = own_species
    counts = np.bincount(
        present[of_present] * n_species + own_species, minlength=n_crystals * n_species
    ).reshape(n_crystals, n_species)
    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    excess = species[other] == np.arange(n_species)[:, None]
    excess = excess - fraction[neighbors.crystal[center]].T
    pair_centre, first, second = _ligand_pairs(center, n_atoms)
    random = np.zeros(n_crystals)
    for of_species in fraction.T:
        random += of_species**2
    like = species[other[first]] == species[other[second]]
    return LigandOrder(
        multipoles=multipoles(excess, direction, center, n_atoms),
        n_ligands=np.bincount(center, minlength=n_atoms),
        pair_centre=pair_centre,
        pair_angle=angle(direction[first], direction[second]),
        pair_excess=like - random[neighbors.crystal[pair_centre]],
    )


def multipoles(
    excess: np.ndarray, direction: np.ndarray, center: np.ndarray, n_atoms: int
) -> Multipoles:
    """Compute the multipoles of S species on the ligands of polyhedra.

    Parameters
    ----------
    excess : ndarray of shape (S, L)
        1 - c if a ligand is of the species, otherwise -c, with the fraction c of the species on
        the sublattice.
    direction : ndarray of shape (L, 3)
        Unit vectors to the ligands.
    center : ndarray of int, shape (L,)
        Atom at the centre.
    n_atoms : int
    """
    x, y, z = direction.T
    # Components of the moments, each with its weight in the sum of squares.
    vector = [(x, 1), (y, 1), (z, 1)]
    tensor = [(u * u - 1 / 3, 1) for u in (x, y, z)] + [(x * y, 2), (y * z, 2), (z * x, 2)]
    count, dipole, quadrupole = np.zeros((3, n_atoms))
    for of_species in excess:
        count += np.bincount(center, of_species, n_atoms) ** 2
        for squares, components in ((dipole, vector), (quadrupole, tensor)):
            for component, weight in components:
                squares += weight * np.bincount(center, of_species * component, n_atoms) ** 2
    n_ligands = np.maximum(np.bincount(center, minlength=n_atoms), 1)
    return Multipoles(
        count / 2 / n_ligands, dipole / 2 / n_ligands, quadrupole / 2 / (2 / 3 * n_ligands)
    )


def _ligand_pairs(center, n_atoms):
    """All pairs of ligands of one polyhedron: the centre, and the places of the two ligands."""
    counts = np.bincount(center, minlength=n_atoms)
    start = np.cumsum(counts) - counts
    centres, firsts, seconds = [], [], []
    for n_ligands in np.unique(counts):
        first, second = np.triu_indices(n_ligands, 1)
        atoms = np.flatnonzero(counts == n_ligands)
        centres.append(np.repeat(atoms, len(first)))
        firsts.append((start[atoms, None] + first).ravel())
        seconds.append((start[atoms, None] + second).ravel())
    return np.concatenate(centres), np.concatenate(firsts), np.concatenate(seconds)
