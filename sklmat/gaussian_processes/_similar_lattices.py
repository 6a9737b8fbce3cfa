"""Lattices that are alike: short vectors, and the choices of vectors that are like others."""

from functools import lru_cache
from itertools import product

import numpy as np

from sklmat.features import lattice_of_symmetry
from sklmat.structures import CrystalArrays

#: Largest relative difference of the lengths of lattice vectors, and difference of the cosines of
#: their angles, of lattices of the same volume.
MAX_STRAIN = 0.1
#: Rounding of lengths and fractional coordinates.
_ROUNDING = 1e-6


def reduced_lattice(crystal: CrystalArrays) -> np.ndarray:
    """Return the lattice with short vectors, in which the nearest image is found by rounding."""
    lattice = lattice_of_symmetry(crystal.positions, crystal.lattice, crystal.pbc)
    return np.array(_shortest_vectors(lattice.tobytes()))


@lru_cache(maxsize=64)
def _shortest_vectors(lattice):
    from pymatgen.core import Lattice

    return Lattice(np.frombuffer(lattice).reshape(3, 3)).get_lll_reduced_lattice().matrix


def smallest_distance(sites: np.ndarray, lattice: np.ndarray) -> float:
    """Return the smallest distance between two sites or a site and its image (Å)."""
    difference = sites[:, None] - sites
    difference -= np.round(difference)
    images = np.array(list(product((-1, 0, 1), repeat=3))) @ lattice
    squared = np.full((len(sites),) * 2, np.inf)
    for image in images:
        vectors = difference @ lattice + image
        of_image = (vectors**2).sum(axis=-1)
        squared = np.minimum(squared, np.where(of_image > _ROUNDING, of_image, np.inf))
    return float(np.sqrt(squared.min()))


def equal_bases(reference: np.ndarray, lattice: np.ndarray, n_cells: int = 1) -> np.ndarray:
    """Return the bases of a lattice, or of its superlattices, that are like a reference lattice.

    Lengths and angles are similar; the most similar ones come first.

    Parameters
    ----------
    reference, lattice : ndarray of shape (3, 3)
    n_cells : int, default=1
        Volume of `reference`, divided by that of `lattice`.

    Returns
    -------
    bases : ndarray of int, shape (n, 3, 3)
        Integer coefficients: the vectors are ``basis @ lattice``. The determinants are `n_cells` or
        its negative.
    """
    return _equal_bases_of(reference.tobytes(), lattice.tobytes(), n_cells)


@lru_cache(maxsize=64)
def _equal_bases_of(reference, lattice, n_cells):
    """Compute `equal_bases` of two lattices given as bytes: many crystals have the same one."""
    reference = np.frombuffer(reference).reshape(3, 3)
    lattice = np.frombuffer(lattice).reshape(3, 3)
    lengths = np.linalg.norm(reference, axis=1)
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    largest = np.floor(lengths.max() * (1 + MAX_STRAIN) / heights).astype(int)
    steps = np.array(list(product(*(range(-n, n + 1) for n in largest))))
    vectors = steps @ lattice
    sizes = np.linalg.norm(vectors, axis=1)
    choices = [np.flatnonzero(np.abs(sizes / length - 1) < MAX_STRAIN) for length in lengths]
    directions = vectors / np.maximum(sizes, _ROUNDING)[:, None]
    cosines = (reference / lengths[:, None]) @ (reference / lengths[:, None]).T
    a, b = np.meshgrid(*choices[:2], indexing="ij")
    a, b = a.ravel(), b.ravel()
    fits = np.abs(np.einsum("if,if->i", directions[a], directions[b]) - cosines[0, 1]) < MAX_STRAIN
    a, b = a[fits], b[fits]
    c = choices[2]
    fits = np.abs(directions[a] @ directions[c].T - cosines[0, 2]) < MAX_STRAIN
    fits &= np.abs(directions[b] @ directions[c].T - cosines[1, 2]) < MAX_STRAIN
    pair, third = np.nonzero(fits)
    bases = steps[np.column_stack([a[pair], b[pair], c[third]])]
    bases = bases[np.abs(np.rint(np.linalg.det(bases)).astype(int)) == n_cells]
    metrics = np.einsum("kij,jl->kil", bases, lattice)
    metrics = metrics @ np.swapaxes(metrics, 1, 2)
    difference = ((metrics - reference @ reference.T) ** 2).sum(axis=(1, 2))
    is_unchanged = (bases == np.eye(3, dtype=int)).all(axis=(1, 2))
    return bases[np.lexsort([~is_unchanged, difference.round(6)])]


def stretches(lattice: np.ndarray, metrics: np.ndarray) -> np.ndarray:
    """Return the largest relative change of a length between a lattice and others.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
    metrics : ndarray of shape (n, 3, 3)
        Products of the vectors of the other lattices (Å²).

    Returns
    -------
    ndarray of shape (n,)
    """
    inverse = np.linalg.inv(lattice)
    return np.abs(np.sqrt(np.linalg.eigvalsh(inverse @ metrics @ inverse.T)) - 1).max(axis=-1)
