"""`OrderingKernel`: how similar two orderings of elements on the sites of one parent are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Components of the vector of an element, at most. One less than the number of elements can put
#: all of them at any distances from each other.
_MAX_COMPONENTS = 5
#: Variance of each term, and mean squared distance of two random orderings in it, at the start of
#: the search. The first terms compare sites, the last one compositions.
_START_VARIANCE = (1.0, 0.14, 1.0)
_START_DISTANCE = (2.0, 1.0, 2.0)
_N_SITE_TERMS = 2
#: Size of random changes of the vectors at the start, as a part of their largest component.
_START_NOISE = 0.1
#: Numbers that are kept for the gradient; if there are more, they are computed again (0.4 GB).
_MAX_KEPT = 50_000_000
#: Numbers that are computed at once: small enough for the cache, and few calls for few rows.
_BLOCK = 500_000


class OrderingKernel:
    """Sum of two terms for which element is on which site, and one for the composition.

    Each element has a vector on each orbit of sites, and z is the list of the vectors on all sites.
    The first terms are the mean of exp(-|z - g z'|²) over all site permutations g. The last one is
    exp(-|c - c'|²), where c lists the mean vectors of the orbits. Each term has a variance and
    vectors of its own.

    Parameters
    ----------
    orbits : ndarray of int, shape (S,)
        Number of the orbit of each site.
    n_elements : list of int
        Number of elements of each orbit.
    permutations : ndarray of int, shape (G, S)
        A group, as `site_permutations` gives it.

    Attributes
    ----------
    n_parameters : int
        Logarithms of the variances of the terms, then the components of the vectors of each term.
    """

    n_terms = len(_START_VARIANCE)
    #: Centres of the priors of the logarithms of the variances.
    prior_means = np.log(_START_VARIANCE)

    def __init__(self, orbits, n_elements, permutations):
        self.permutations = permutations
        widths = [min(n - 1, _MAX_COMPONENTS) for n in n_elements]
        # The sites of each orbit, its number of elements, and the components of their vectors;
        # sites that hold the same element in all rows tell nothing.
        self.orbits = [
            (np.flatnonzero(orbits == number), n, width)
            for number, (n, width) in enumerate(zip(n_elements, widths))
            if width
        ]
        self.n_components = sum(n * width for _, n, width in self.orbits)
        self.n_parameters = self.n_terms * (1 + self.n_components)
        # z is sorted by orbit, then by site, then by component.
        first = np.zeros(len(orbits), dtype=int)
        self.width = 0
        for sites, _, width in self.orbits:
            first[sites] = self.width + width * np.arange(len(sites))
            self.width += width * len(sites)
        moved = [
            (first[permutations[:, sites]][..., None] + np.arange(width)).reshape(
                len(permutations), -1
            )
            for sites, _, width in self.orbits
        ]
        self.columns = np.concatenate([np.empty((len(permutations), 0), dtype=int), *moved], axis=1)

    def start_parameters(self, rng: np.random.RandomState) -> np.ndarray:
        """Draw parameters at which a search begins: elements at nearly the same distances."""
        parts = [np.log(_START_VARIANCE)]
        for term, distance in enumerate(_START_DISTANCE):
            for sites, n, width in self.orbits:
                vectors = _equidistant(n, width)
                vectors += _START_NOISE * np.abs(vectors).max() * rng.normal(size=vectors.shape)
                counted = len(sites) if term < _N_SITE_TERMS else 1
                of_two = ((vectors[:, None] - vectors) ** 2).sum(axis=-1).mean() * counted
                vectors *= np.sqrt(distance / len(self.orbits) / of_two)
                parts.append(vectors.ravel())
        return np.concatenate(parts)

    def covariance(self, A: np.ndarray, B: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Return the kernel between orderings `A` (n, S) and `B` (m, S), shape (n, m)."""
        images = self._images(B)
        total = np.zeros((len(A), len(B)))
        for term, variance in enumerate(np.exp(parameters[: self.n_terms])):
            tables = self._tables(parameters, term)
            a, b = self._vectors(A, tables), self._vectors(B, tables)
            if term < _N_SITE_TERMS:
                for stacked in _blocks_of_images(len(a), b, images):
                    of_images = _gaussian(a, stacked).reshape(len(a), -1, len(b))
                    total += variance / len(images) * of_images.sum(axis=1)
            else:
                total += variance * _gaussian(self._means(a), self._means(b))
        return total

    def variances(self, A: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Return the kernel of each ordering with itself, shape (n,).

        All images are used: the result of an ordering must not depend on the others.
        """
        total = np.full(len(A), np.exp(parameters[_N_SITE_TERMS : self.n_terms]).sum())
        for term, variance in enumerate(np.exp(parameters[:_N_SITE_TERMS])):
            z = self._vectors(A, self._tables(parameters, term))
            for columns in self.columns:
                squared = ((z - z[:, columns]) ** 2).sum(axis=1)
                total += variance / len(self.columns) * np.exp(-squared)
        return total

    def value_and_parts(self, A: np.ndarray, parameters: np.ndarray) -> tuple[np.ndarray, list]:
        """Return the kernel between orderings `A` (n, S), and what `gradient` needs."""
        images = self._images(A)
        n_kept = len(images) * _N_SITE_TERMS * len(A) * (len(A) + self.width)
        total, parts = np.zeros((len(A), len(A))), []
        for term, variance in enumerate(np.exp(parameters[: self.n_terms])):
            z = self._vectors(A, self._tables(parameters, term))
            of_images = None
            if term < _N_SITE_TERMS:
                of_images = _ImageKernels(z, images, n_kept <= _MAX_KEPT)
                value = sum(block.reshape(len(A), -1, len(A)).sum(axis=1) for block, _ in of_images)
                value /= len(images)
            else:
                z = self._means(z)
                value = _gaussian(z, z)
            total += variance * value
            parts.append((z, value, of_images))
        return total, parts

    def gradient(
        self, A: np.ndarray, parts: list, weights: np.ndarray, parameters: np.ndarray
    ) -> np.ndarray:
        """Return the derivatives of Σ weights · kernel by the parameters.

        The permutations are a group. The kernel with the inverse of a permutation is the transposed
        one, so that the derivative by z in the rows and in the columns is the same.

        Parameters
        ----------
        A : ndarray of int, shape (n, S)
        parts : list
            From `value_and_parts`.
        weights : ndarray of shape (n, n)
            Symmetric.
        parameters : ndarray
        """
        gradient = np.empty(len(parameters))
        for term, (z, value, of_images) in enumerate(parts):
            variance = np.exp(parameters[term])
            gradient[term] = variance * np.vdot(weights, value)
            if of_images is None:
                slopes = 4 * variance * _pulls(weights * value, z, z)
            else:
                slopes = np.zeros_like(z)
                for block, stacked in of_images:
                    repeated = block.reshape(len(A), -1, len(A)) * weights[:, None]
                    slopes += _pulls(repeated.reshape(len(A), -1), z, stacked)
                slopes *= 4 * variance / len(of_images.images)
            start = self.n_terms + term * self.n_components
            gradient[start : start + self.n_components] = self._slopes(A, slopes, term)
        return gradient

    def n_images(self, occupations: np.ndarray) -> int:
        """Number of different images of these orderings under the permutations."""
        return len(self._images(occupations))

    def _images(self, occupations):
        """Return, for each different image of the orderings, the components of z that it has.

        If some sites have the same element in each row, several permutations have one image, and
        all images belong to the same number of permutations.
        """
        code = np.unique(occupations, axis=1, return_inverse=True)[1].ravel()
        first = np.unique(code[self.permutations], axis=0, return_index=True)[1]
        return self.columns[first]

    def _tables(self, parameters, term):
        """Return the vectors of one term, for each orbit an array of shape (n_elements, width)."""
        start = self.n_terms + term * self.n_components
        tables = []
        for _, n, width in self.orbits:
            tables.append(parameters[start : start + n * width].reshape(n, width))
            start += n * width
        return tables

    def _vectors(self, occupations, tables):
        """Return z of each ordering, shape (n, width)."""
        parts = [
            table[occupations[:, sites]].reshape(len(occupations), -1)
            for table, (sites, _, _) in zip(tables, self.orbits)
        ]
        return np.concatenate([np.empty((len(occupations), 0)), *parts], axis=1)

    def _means(self, z):
        """Return the mean vectors of the orbits, from z."""
        parts, start = [z[:, :0]], 0
        for sites, _, width in self.orbits:
            stop = start + width * len(sites)
            parts.append(z[:, start:stop].reshape(len(z), len(sites), width).mean(axis=1))
            start = stop
        return np.concatenate(parts, axis=1)

    def _slopes(self, occupations, slopes, term):
        """Return the derivatives by the components of the vectors, from those by z or by c."""
        parts, start = [slopes[0, :0]], 0
        for sites, n, width in self.orbits:
            one_hot = (occupations[:, sites, None] == np.arange(n)).astype(float)
            if term < _N_SITE_TERMS:
                stop = start + width * len(sites)
                block = slopes[:, start:stop].reshape(-1, width)
                of_elements = one_hot.reshape(-1, n).T @ block
            else:
                stop = start + width
                of_elements = one_hot.mean(axis=1).T @ slopes[:, start:stop]
            parts.append(of_elements.ravel())
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
            yield _gaussian(self.z, stacked), stacked


def _blocks_of_images(n, z, images):
    """Yield images of orderings `z` (m, D), stacked: shape (k m, D), one image after another."""
    size = max(_BLOCK // max(n * len(z), 1), 1)
    for start in range(0, len(images), size):
        of_block = images[start : start + size]
        stacked = np.swapaxes(z[:, of_block], 0, 1)
        yield stacked.reshape(len(of_block) * len(z), z.shape[1])


def _gaussian(a, b):
    """Return exp(-|a - b|²) for rows `a` (n, D) and `b` (m, D), shape (n, m)."""
    values = a @ (2.0 * b.T)
    values -= np.einsum("if,if->i", a, a)[:, None]
    values -= np.einsum("if,if->i", b, b)
    return np.exp(np.minimum(values, 0.0, out=values), out=values)


def _pulls(weights, a, b):
    """Return Σ_j weights (b_j - a_i), shape (n, D)."""
    return weights @ b - weights.sum(axis=1)[:, None] * a


def _equidistant(n, width):
    """Return `n` vectors with equal distances, or nearly so if there are few components."""
    centred = np.eye(n) - 1 / n
    directions, sizes, _ = np.linalg.svd(centred)
    return (directions * sizes)[:, :width]
