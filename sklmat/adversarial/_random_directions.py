"""Directions in which atoms and lattices are perturbed, random or fixed."""

import itertools
import zlib

import numpy as np


def free_noise(rng):
    """Random directions, of which every call and every crystal draws its own."""

    def noise(graphs):
        ahead = rng.normal(size=(len(graphs.atomic_numbers), 3))
        return _normalized(ahead, rng.normal(size=(len(graphs), 3, 3)))

    return noise


def crystal_noise(seed):
    """Random directions that depend on the crystal and the number of the call, not on the row."""
    calls = itertools.count()

    def noise(graphs):
        call, ahead, stretch = next(calls), [], []
        for c, n_atoms in enumerate(graphs.n_atoms):
            first = graphs.atom_ptr[c]
            # Of single precision: the same crystal read from two files may differ in rounding.
            content = graphs.positions[first : first + n_atoms].astype(np.float32).tobytes()
            numbers = graphs.atomic_numbers[first : first + n_atoms].tobytes()
            rng = np.random.default_rng([seed, call, zlib.crc32(content + numbers)])
            stretch.append(rng.normal(size=(3, 3)))
            ahead.append(rng.normal(size=(n_atoms, 3)))
        return _normalized(np.concatenate(ahead), np.array(stretch))

    return noise


def _normalized(ahead, stretch):
    """Directions of length one, symmetric matrices of norm one."""
    stretch = stretch + stretch.swapaxes(1, 2)
    return (
        ahead / np.linalg.norm(ahead, axis=1, keepdims=True),
        stretch / np.linalg.norm(stretch, axis=(1, 2), keepdims=True),
    )


def spiral(graphs):
    """A direction for every atom that is the same in every call, ndarray of shape (N, 3).

    Points of a Fibonacci lattice on the sphere: any two atoms of a crystal get different ones.
    """
    within = np.arange(len(graphs.atomic_numbers)) - np.repeat(graphs.atom_ptr[:-1], graphs.n_atoms)
    n_atoms = np.repeat(graphs.n_atoms, graphs.n_atoms)
    z = 1 - (2 * within + 1) / n_atoms
    angle = np.pi * (3 - 5**0.5) * within
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)
