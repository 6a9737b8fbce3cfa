"""Short-range order: Warren-Cowley parameters of shells, and species around polyhedra."""

import numpy as np

from sklmat.features._polyhedra import angle

# Distances that differ by less than this fraction are of one shell.
_SHELL_STEP = 0.03


def pair_order(neighbors, shell, kinds, n_kinds):
    """Shares of a shell's ordered pairs, those of a random crystal, and Warren-Cowley α."""
    atom, rank = np.nonzero(shell)
    pair = kinds[atom] * n_kinds + kinds[neighbors.index[atom, rank]]
    counts = np.bincount(pair, minlength=n_kinds * n_kinds).reshape(n_kinds, n_kinds)
    share = (counts + counts.T) / max(2 * counts.sum(), 1)
    ends = share.sum(axis=0)
    random = np.outer(ends, ends)
    return share, random, np.where(random > 0, 1 - share / np.where(random > 0, random, 1), 0)


def sublattice_shells(distance, end):
    """Masks of the shells, nearest first: ranks between steps of the mean distance at that rank.

    All neighbours up to the distance `end` are listed.
    """
    complete = np.isfinite(distance).all(axis=0)
    mean = distance[:, complete].mean(axis=0)
    following = np.append(mean[1:], end if complete.all() else 0)
    ends = np.flatnonzero(following > mean * (1 + _SHELL_STEP)) + 1
    starts = np.concatenate([[0], ends])
    rank = np.broadcast_to(np.arange(distance.shape[1]), distance.shape)
    return [(rank >= a) & (rank < b) for a, b in zip(starts, ends)]


def multipoles(excess, unit, bonded):
    """How unevenly species are spread over the ligands of the polyhedra.

    Parameters
    ----------
    excess : ndarray of shape (S, P, M)
        For species, polyhedra and ligands: 1 - c where the species is, else -c, with its share c of
        the sublattice; 0 where there is no ligand.
    unit : ndarray of shape (P, M, 3)
        Directions to the ligands.
    bonded : ndarray of bool, shape (P, M)

    Returns
    -------
    values : list of 4 floats
        Count variance, mean dipole, squared dipole and squared quadrupole.
    """
    n_ligands = np.maximum(bonded.sum(axis=1), 1)
    count = excess.sum(axis=2) ** 2 / n_ligands
    dipole = (np.einsum("spm,pmx->spx", excess, unit) ** 2).sum(axis=2) / n_ligands
    tensor = unit[..., :, None] * unit[..., None, :] - np.eye(3) / 3
    quadrupole = np.einsum("spm,pmxy->spxy", excess, tensor)
    quadrupole = (quadrupole**2).sum(axis=(2, 3)) / (2 / 3 * n_ligands)
    squares = (moment.sum(axis=0) / 2 for moment in (count, dipole, quadrupole))
    count, dipole, quadrupole = squares
    return [count.mean(), np.sqrt(dipole).mean(), dipole.mean(), quadrupole.mean()]


def pairs_by_angle(values, unit, bonded):
    """Angles (°) of all pairs of ligands of one polyhedron, and the values of shape (P, M, M)."""
    first, second = np.triu_indices(bonded.shape[1], 1)
    pair = bonded[:, first] & bonded[:, second]
    return angle(unit[:, first], unit[:, second])[pair], values[:, first, second][pair]
