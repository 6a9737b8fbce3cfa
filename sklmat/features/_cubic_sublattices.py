"""`primitive_vectors`: sublattices that are cubic Bravais lattices, and their primitive vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from sklmat.features._infer_lattice import recognize_lattices
from sklmat.features._neighbors import list_neighbors
from sklmat.structures import CrystalArrays

# Cubic Bravais lattices: number of nearest atoms whose vectors are lattice vectors, number of the
# shortest of them from which a basis is chosen, and the unit of the cosines between basis vectors.
_BRAVAIS = {"fcc": (12, 12, 1 / 2), "bcc": (14, 8, 1 / 3), "sc": (6, 6, 1.0)}


class PrimitiveVectors(NamedTuple):
    """Primitive vectors of the cubic Bravais lattice that a sublattice of one crystal forms.

    Attributes
    ----------
    fitted : ndarray of shape (3, 3)
        Vectors as rows (Å), fitted to the atoms.
    ideal : ndarray of shape (3, 3)
        Vectors of the ideal lattice with the same volume, in any orientation.
    repeats : ndarray of shape (3, 3)
        Lattice vectors of the crystal in units of the primitive vectors.
    n_cells : int
        Number of primitive cells in the cell of the crystal.
    """

    fitted: np.ndarray
    ideal: np.ndarray
    repeats: np.ndarray
    n_cells: int


def primitive_vectors(
    crystals: Sequence[CrystalArrays], sublattices: Sequence[np.ndarray], rows: Sequence[int]
) -> dict[int, PrimitiveVectors]:
    """Primitive vectors of the smallest sublattice that is a cubic Bravais lattice.

    Parameters
    ----------
    crystals : sequence of C CrystalArrays
    sublattices : sequence of C ndarrays of int, shape (n,)
        Number of the sublattice of each atom.
    rows : sequence of int
        Crystals that are periodic in three directions.

    Returns
    -------
    primitive : dict
        Row -> vectors, for the rows with such a sublattice.
    """
    primitive = {}
    for lattice_name, neighbors, found_rows in _cubic_sublattices(crystals, sublattices, rows):
        lattices = np.stack([crystals[k].lattice for k in found_rows])
        found = _primitive_vectors(neighbors, lattices, lattice_name)
        primitive.update({found_rows[place]: vectors for place, vectors in found.items()})
    return primitive


def _cubic_sublattices(crystals, sublattices, rows):
    """Find the smallest cubic sublattice of each row.

    Yields
    ------
    lattice_name : str
    neighbors : NeighborList
        Neighbours in the sublattices of n rows.
    rows : list of n int
        The rows of this lattice.
    """
    candidates = {}
    for k in rows:
        numbers, counts = np.unique(sublattices[k], return_counts=True)
        candidates[k] = numbers[np.argsort(counts, kind="stable")].tolist()
    # Sublattices are tried in order of their size, up to the first cubic one of each crystal.
    while candidates:
        pieces = []
        for k, numbers in candidates.items():
            pieces.append(crystals[k].select(sublattices[k] == numbers.pop(0)))
        neighbors, tried = list_neighbors(pieces), list(candidates)
        names = recognize_lattices(neighbors).name
        for lattice_name in _BRAVAIS:
            found = np.flatnonzero(names == lattice_name)
            if len(found):
                yield lattice_name, neighbors.of_crystals(found), [tried[piece] for piece in found]
        others = [k for k, name in zip(tried, names.tolist()) if name not in _BRAVAIS]
        candidates = {k: candidates[k] for k in others if candidates[k]}


def _primitive_vectors(neighbors, lattices, lattice_name):
    """Primitive vectors of cubic Bravais lattices: index of the crystal -> `PrimitiveVectors`.

    The vectors from atoms to their neighbours are clustered around those of the first atom. Three
    mean vectors that span the volume of one atom are primitive vectors.
    """
    n_vectors, n_first, unit = _BRAVAIS[lattice_name]
    n_atoms = np.bincount(neighbors.crystal)
    rows = np.arange(len(n_atoms))
    used = neighbors.rank < n_vectors
    vectors, crystal = neighbors.vector[used], neighbors.crystal[neighbors.center[used]]
    first = np.cumsum(n_atoms) - n_atoms
    means = vectors.reshape(-1, n_vectors, 3)[first]
    is_clustered = np.ones(len(rows), dtype=bool)
    for _ in range(5):
        nearest = np.linalg.norm(vectors[:, None] - means[crystal], axis=2).argmin(axis=1)
        cluster = crystal * n_vectors + nearest
        counts = np.bincount(cluster, minlength=means[..., 0].size)
        is_clustered &= counts.reshape(-1, n_vectors).all(axis=1)
        sums = [np.bincount(cluster, component, len(counts)) for component in vectors.T]
        means = (np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]).reshape(means.shape)
    volume = np.abs(np.linalg.det(lattices)) / n_atoms
    shortest = np.argsort(np.linalg.norm(means, axis=2), axis=1)[:, :n_first]
    means = np.take_along_axis(means, shortest[..., None], axis=1)
    triples = means[:, list(combinations(range(n_first), 3))]
    best = np.abs(np.linalg.det(triples) - volume[:, None]).argmin(axis=1)
    basis = triples[rows, best]
    spans = np.abs(np.abs(np.linalg.det(basis)) - volume) <= volume / 2
    rows = rows[spans & is_clustered]
    repeats = np.round(lattices[rows] @ np.linalg.inv(basis[rows]))
    fills = np.abs(np.round(np.linalg.det(repeats))) == n_atoms[rows]
    rows, repeats = rows[fills], repeats[fills]
    fitted = np.linalg.inv(repeats) @ lattices[rows]
    gram = fitted @ np.swapaxes(fitted, 1, 2)
    trace = np.trace(gram, axis1=1, axis2=2)[:, None, None]
    gram = np.round(gram / trace * 3 / unit) * unit
    definite = np.linalg.eigvalsh(gram).min(axis=1) >= 0.01
    rows = rows[definite]
    ideal = np.linalg.cholesky(gram[definite])
    ideal *= np.cbrt(volume[rows] / np.linalg.det(ideal))[:, None, None]
    found = zip(fitted[definite], ideal, repeats[definite], n_atoms[rows].tolist())
    return {k: PrimitiveVectors(*vectors) for k, vectors in zip(rows.tolist(), found)}
