"""Directions in which atoms and lattices are perturbed, random or fixed."""

import itertools
import zlib
from typing import Protocol

import numpy as np

from sklmat.graphs import CrystalGraphs, rank_within_group


class RandomDirections(Protocol):
    """A source of random directions for the atoms and the lattices of crystals."""

    def __call__(self, graphs: CrystalGraphs) -> tuple[np.ndarray, np.ndarray]:
        """Draw unit vectors of shape (N, 3) and symmetric matrices (C, 3, 3) of norm one."""


class IndependentDirections:
    """Random directions from one generator, new ones for every call and every crystal.

    Parameters
    ----------
    generator : numpy.random.Generator
    """

    def __init__(self, generator: np.random.Generator):
        self.generator = generator

    def __call__(self, graphs):
        vectors = self.generator.normal(size=(len(graphs.atomic_numbers), 3))
        return _normalized(vectors, self.generator.normal(size=(len(graphs), 3, 3)))


class CrystalDirections:
    """Random directions that depend on the crystal and on the number of the call, not on its row.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.calls = itertools.count()

    def __call__(self, graphs):
        call, vectors, matrices = next(self.calls), [], []
        for first, stop in itertools.pairwise(graphs.atom_ptr):
            # Single precision, because a crystal read from two files may differ by rounding errors.
            content = graphs.positions[first:stop].astype(np.float32).tobytes()
            numbers = graphs.atomic_numbers[first:stop].tobytes()
            generator = np.random.default_rng([self.seed, call, zlib.crc32(content + numbers)])
            matrices.append(generator.normal(size=(3, 3)))
            vectors.append(generator.normal(size=(stop - first, 3)))
        return _normalized(np.concatenate(vectors), np.array(matrices))


def _normalized(vectors, matrices):
    """Vectors of length one, and symmetric matrices of norm one."""
    matrices = matrices + matrices.swapaxes(1, 2)
    return (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        matrices / np.linalg.norm(matrices, axis=(1, 2), keepdims=True),
    )


def fixed_directions(graphs: CrystalGraphs) -> np.ndarray:
    """Unit vector for every atom, the same in every call: ndarray of shape (N, 3).

    The vectors are points of a Fibonacci lattice on the sphere, different for all atoms of a
    crystal.
    """
    n_atoms = graphs.n_atoms
    rank, n_atoms = rank_within_group(n_atoms), np.repeat(n_atoms, n_atoms)
    z = 1 - (2 * rank + 1) / n_atoms
    angle = np.pi * (3 - 5**0.5) * rank
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
