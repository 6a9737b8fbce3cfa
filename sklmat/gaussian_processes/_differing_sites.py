"""`DifferingSites`: orderings of two elements are compared by how many of their sites differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sklmat.gaussian_processes._site_vectors import Orbit

#: Numbers that are computed at once.
_BLOCK = 500_000
#: One comparison of a row with an image costs as much as this part of a number in the histogram
#: costs in all iterations of a search.
_COMPARISON = 1 / 20


class DifferingSites:
    """The same as `SiteVectors`, for orbits with two elements each.

    The distance of two orderings then depends only on how many sites of each orbit differ. The mean
    over all images is a sum over these few numbers, with a histogram that does not depend on the
    vectors.

    Parameters
    ----------
    orbits : list of Orbit
    permutations : ndarray of int, shape (G, S)
    """

    def __init__(self, orbits: list[Orbit], permutations: np.ndarray):
        sizes = [len(orbit.sites) + 1 for orbit in orbits]
        #: How many sites of each orbit differ in each bin of the histogram: (n_bins, n_orbits).
        self.differing = np.indices(sizes).reshape(len(sizes), -1).T
        # A bin is the sum of the strides of the sites that differ.
        strides = [int(np.prod(sizes[number + 1 :])) for number in range(len(sizes))]
        self.sites = np.concatenate([orbit.sites for orbit in orbits])
        self.strides = np.repeat(strides, [len(orbit.sites) for orbit in orbits])
        self.moved = permutations[:, self.sites]

    def cost(self, n_images: int) -> int:
        """Numbers that a search handles for each pair of rows, in each iteration."""
        return len(self.differing) + round(_COMPARISON * n_images)

    def covariance(
        self, A: np.ndarray, B: np.ndarray, images: np.ndarray, terms: Sequence[tuple]
    ) -> np.ndarray:
        """Return the sum of some terms, shape (n, m); see `SiteVectors`."""
        values = self._of_bins(terms) / len(images)
        total = np.zeros((len(A), len(B)))
        for bins in self._bins(A, B, images):
            total += values[bins].sum(axis=0)
        return total

    def variances(self, A: np.ndarray, terms: Sequence[tuple]) -> np.ndarray:
        """Return the sum of some terms of each ordering with itself, shape (n,)."""
        values = self._of_bins(terms) / len(self.moved)
        total = np.zeros(len(A))
        for moved in self.moved:
            total += values[(A[:, self.sites] != A[:, moved]) @ self.strides]
        return total

    def training(self, A: np.ndarray, images: np.ndarray) -> TrainingHistogram:
        """Prepare the kernel between training rows `A`."""
        n, n_bins = len(A), len(self.differing)
        counts = np.zeros((n, n * n_bins))
        n_images = max(_BLOCK // n, 1)
        for start in range(0, len(images), n_images):
            some = images[start : start + n_images]
            n_rows = max(_BLOCK // (n * len(some)), 1)
            for row in range(0, n, n_rows):
                part = A[row : row + n_rows]
                pair = np.arange(len(part) * n).reshape(len(part), n)
                for bins in self._bins(part, A, some):
                    of_pair = (n_bins * pair + bins).ravel()
                    found = np.bincount(of_pair, minlength=pair.size * n_bins)
                    counts[row : row + n_rows] += found.reshape(len(part), -1)
        return TrainingHistogram(counts.reshape(-1, n_bins) / len(images), self.differing)

    def _of_bins(self, terms):
        """Return the sum of some terms in each bin, shape (n_bins,)."""
        return sum(variance * gaussian_of(tables, self.differing)[0] for variance, tables in terms)

    def _bins(self, A: np.ndarray, B: np.ndarray, images: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the bins of all pairs for some images, shape (k, n, m)."""
        a, b = A[:, self.sites].astype(np.float32), B[:, self.sites].astype(np.float32)
        strides = self.strides.astype(np.float32)
        # For 0 and 1, |a - b| is a + b - 2 a b. The sums are the same for all images. Whole numbers
        # are exact in float32.
        sums = (a @ strides)[:, None] + b @ strides
        a *= -2 * strides
        size = max(_BLOCK // max(sums.size, 1), 1)
        for start in range(0, len(images), size):
            moved = self.moved[images[start : start + size]]
            of_images = B[:, moved].astype(np.float32).transpose(1, 2, 0)
            yield (a @ of_images + sums).astype(np.int32)


class TrainingHistogram:
    """The kernel of `DifferingSites` between training rows, and its derivatives.

    Parameters
    ----------
    parts : ndarray of shape (n², n_bins)
        Part of the images that is in each bin, for each pair of rows.
    differing : ndarray of int, shape (n_bins, n_orbits)
    """

    def __init__(self, parts: np.ndarray, differing: np.ndarray):
        self.parts = parts
        self.differing = differing

    def value(self, tables: list[np.ndarray]) -> tuple[np.ndarray, tuple]:
        """Return the kernel for some vectors, shape (n, n), and what `derivatives` needs."""
        of_bins, apart = gaussian_of(tables, self.differing)
        n = round(len(self.parts) ** 0.5)
        return (self.parts @ of_bins).reshape(n, n), (of_bins, apart)

    def derivatives(self, part: tuple, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives of Σ weights · kernel by the components of the vectors."""
        of_bins, apart = part
        by_squared = -(weights.ravel() @ self.parts * of_bins) @ self.differing
        by_first = 2 * apart * by_squared
        return np.column_stack([by_first, -by_first]).ravel()


def gaussian_of(tables: list[np.ndarray], differing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return exp(-Σ differing · apart²) of each bin, and `apart` of the two elements of each orbit.

    Parameters
    ----------
    tables : list of ndarray of shape (2, 1)
        The vectors of both elements on each orbit.
    differing : ndarray of int, shape (n_bins, n_orbits)
    """
    apart = np.array([table[0, 0] - table[1, 0] for table in tables])
    return np.exp(-differing @ apart**2), apart
