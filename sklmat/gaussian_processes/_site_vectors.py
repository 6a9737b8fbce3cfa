"""`SiteVectors`: the mean over images of a Gaussian of the vectors of the elements on all sites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

#: Numbers that are kept for the gradient; if there are more, they are computed again (0.4 GB).
_MAX_KEPT = 50_000_000
#: Numbers that are computed at once: small enough for the cache, and few calls for few rows.
_BLOCK = 500_000


class Orbit(NamedTuple):
    """Sites that the symmetry makes equivalent, and that hold different elements in some rows.

    Attributes
    ----------
    sites : ndarray of int
    n_elements : int
    width : int
        Number of components of the vector of an element.
    """

    sites: np.ndarray
    n_elements: int
    width: int


class SiteVectors:
    """The mean over images of exp(-|z - g z'|²), where z lists the vectors on all sites.

    Parameters
    ----------
    orbits : list of Orbit
    permutations : ndarray of int, shape (G, S)
    """

    def __init__(self, orbits: list[Orbit], permutations: np.ndarray):
        self.orbits = orbits
        # z is sorted by orbit, then by site, then by component.
        first = np.zeros(permutations.shape[1], dtype=int)
        self.width = 0
        for sites, _, width in orbits:
            first[sites] = self.width + width * np.arange(len(sites))
            self.width += width * len(sites)
        moved = [
            (first[permutations[:, sites]][..., None] + np.arange(width)).reshape(
                len(permutations), -1
            )
            for sites, _, width in orbits
        ]
        self.columns = np.concatenate([np.empty((len(permutations), 0), dtype=int), *moved], axis=1)

    def cost(self, n_images: int) -> int:
        """Numbers that a search computes for each pair of rows, in each iteration."""
        return n_images

    def covariance(
        self, A: np.ndarray, B: np.ndarray, images: np.ndarray, terms: Sequence[tuple]
    ) -> np.ndarray:
        """Return the sum of some terms, shape (n, m).

        Parameters
        ----------
        A, B : ndarray of uint8, shape (n, S) and (m, S)
        images : ndarray of int
            Numbers of the permutations of `B`.
        terms : sequence of (variance, list of ndarray of shape (n_elements, width))
            The vectors of the elements on each orbit.
        """
        total = np.zeros((len(A), len(B)))
        for variance, tables in terms:
            a, b = vectors(A, self.orbits, tables), vectors(B, self.orbits, tables)
            for stacked in _blocks_of_images(len(a), b, self.columns[images]):
                of_images = gaussian(a, stacked).reshape(len(a), -1, len(b))
                total += variance / len(images) * of_images.sum(axis=1)
        return total

    def variances(self, A: np.ndarray, terms: Sequence[tuple]) -> np.ndarray:
        """Return the sum of some terms of each ordering with itself, shape (n,)."""
        total = np.zeros(len(A))
        for variance, tables in terms:
            z = vectors(A, self.orbits, tables)
            for columns in self.columns:
                squared = ((z - z[:, columns]) ** 2).sum(axis=1)
                total += variance / len(self.columns) * np.exp(-squared)
        return total

    def training(self, A: np.ndarray, images: np.ndarray) -> TrainingVectors:
        """Prepare the kernel between training rows `A`."""
        return TrainingVectors(self, A, images)


class TrainingVectors:
    """The kernel of `SiteVectors` between training rows, and its derivatives."""

    def __init__(self, of: SiteVectors, A: np.ndarray, images: np.ndarray):
        self.A = A
        self.orbits = of.orbits
        self.images = of.columns[images]
        # There are two terms.
        n_kept = 2 * len(images) * len(A) * (len(A) + of.width)
        self.keep = n_kept <= _MAX_KEPT

    def value(self, tables: list[np.ndarray]) -> tuple[np.ndarray, tuple]:
        """Return the kernel for some vectors, shape (n, n), and what `derivatives` needs."""
        z, n = vectors(self.A, self.orbits, tables), len(self.A)
        blocks = _ImageKernels(z, self.images, self.keep)
        total = sum(block.reshape(n, -1, n).sum(axis=1) for block, _ in blocks)
        return total / len(self.images), (z, blocks)

    def derivatives(self, part: tuple, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives of Σ weights · kernel by the components of the vectors.

        The permutations are a group. The kernel with the inverse of a permutation is the transposed
        one, so that the derivative by z in the rows and in the columns is the same.
        """
        z, blocks = part
        slopes = np.zeros_like(z)
        for block, stacked in blocks:
            repeated = block.reshape(len(z), -1, len(z)) * weights[:, None]
            slopes += pulls(repeated.reshape(len(z), -1), z, stacked)
        slopes *= 4 / len(self.images)
        parts, start = [slopes[0, :0]], 0
        for sites, n, width in self.orbits:
            stop = start + width * len(sites)
            one_hot = (self.A[:, sites, None] == np.arange(n)).reshape(-1, n).astype(float)
            parts.append((one_hot.T @ slopes[:, start:stop].reshape(-1, width)).ravel())
            start = stop
        return np.concatenate(parts)


class _ImageKernels:
    """The kernels between orderings and their images, kept or computed again in each pass.

    Iterating gives pairs: the kernels with a block of images, shape (n, k n), and these images.
    """

    def __init__(self, z, images, keep):
        self.z = z
        self.images = images
        self.kept = list(self._compute()) if keep else None

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return iter(self._compute() if self.kept is None else self.kept)

    def _compute(self):
        for stacked in _blocks_of_images(len(self.z), self.z, self.images):
            yield gaussian(self.z, stacked), stacked


def vectors(occupations: np.ndarray, orbits: list[Orbit], tables: list[np.ndarray]) -> np.ndarray:
    """Return z of each ordering, shape (n, width)."""
    parts = [
        table[occupations[:, sites]].reshape(len(occupations), -1)
        for table, (sites, _, _) in zip(tables, orbits)
    ]
    return np.concatenate([np.empty((len(occupations), 0)), *parts], axis=1)


def gaussian(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return exp(-|a - b|²) for rows `a` (n, D) and `b` (m, D), shape (n, m)."""
    values = a @ (2.0 * b.T)
    values -= np.einsum("if,if->i", a, a)[:, None]
    values -= np.einsum("if,if->i", b, b)
    return np.exp(np.minimum(values, 0.0, out=values), out=values)


def pulls(weights: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Σ_j weights (b_j - a_i), shape (n, D)."""
    return weights @ b - weights.sum(axis=1)[:, None] * a


def _blocks_of_images(n, z, images):
    """Yield images of orderings `z` (m, D), stacked: shape (k m, D), one image after another."""
    size = max(_BLOCK // max(n * len(z), 1), 1)
    for start in range(0, len(images), size):
        of_block = images[start : start + size]
        stacked = np.swapaxes(z[:, of_block], 0, 1)
        yield stacked.reshape(len(of_block) * len(z), z.shape[1])
