"""`OrderingKernel`: how similar two orderings of elements on the sites of one parent are."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklmat.gaussian_processes._differing_sites import DifferingSites
from sklmat.gaussian_processes._site_vectors import (
    Orbit,
    SiteVectors,
    gaussian,
    pulls,
    vectors,
)

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
        # Sites that hold the same element in all rows tell nothing.
        self.orbits = [
            Orbit(np.flatnonzero(orbits == number), n, min(n - 1, _MAX_COMPONENTS))
            for number, n in enumerate(n_elements)
            if n > 1
        ]
        self.n_components = sum(n * width for _, n, width in self.orbits)
        self.n_parameters = self.n_terms * (1 + self.n_components)
        self.sites = SiteVectors(self.orbits, permutations)
        if self.orbits and all(orbit.n_elements == 2 for orbit in self.orbits):
            differing = DifferingSites(self.orbits, permutations)
            if differing.cost(len(permutations)) < len(permutations):
                self.sites = differing

    def start_parameters(self, rng: np.random.RandomState) -> np.ndarray:
        """Draw parameters at which a search begins: elements at nearly the same distances."""
        parts = [np.log(_START_VARIANCE)]
        for term, distance in enumerate(_START_DISTANCE):
            for sites, n, width in self.orbits:
                table = _equidistant(n, width)
                table += _START_NOISE * np.abs(table).max() * rng.normal(size=table.shape)
                counted = len(sites) if term < _N_SITE_TERMS else 1
                of_two = ((table[:, None] - table) ** 2).sum(axis=-1).mean() * counted
                table *= np.sqrt(distance / len(self.orbits) / of_two)
                parts.append(table.ravel())
        return np.concatenate(parts)

    def covariance(self, A: np.ndarray, B: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Return the mean of the kernels with several parameters, shape (n, m).

        Parameters
        ----------
        A, B : ndarray of uint8, shape (n, S) and (m, S)
        parameters : ndarray of shape (n_kernels, n_parameters)
        """
        of_sites, of_compositions = self._terms(parameters)
        total = self.sites.covariance(A, B, self._images(B), of_sites)
        for variance, tables in of_compositions:
            total += variance * gaussian(self._means(A, tables), self._means(B, tables))
        return total

    def variances(self, A: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Return the mean of the kernels of each ordering with itself, shape (n,).

        All images are used: the result of an ordering must not depend on the others.
        """
        of_sites, of_compositions = self._terms(parameters)
        return self.sites.variances(A, of_sites) + sum(v for v, _ in of_compositions)

    def training(self, A: np.ndarray) -> TrainingKernel:
        """Prepare the kernel between training rows `A`."""
        return TrainingKernel(self, A, self.sites.training(A, self._images(A)))

    def cost(self, occupations: np.ndarray) -> int:
        """Numbers that a search computes for each pair of these orderings, in each iteration."""
        return self.sites.cost(self.n_images(occupations))

    def n_images(self, occupations: np.ndarray) -> int:
        """Number of different images of these orderings under the permutations."""
        return len(self._images(occupations))

    def tables(self, parameters: np.ndarray, term: int) -> list[np.ndarray]:
        """Return the vectors of one term, for each orbit an array of shape (n_elements, width)."""
        start = self.n_terms + term * self.n_components
        tables = []
        for _, n, width in self.orbits:
            tables.append(parameters[start : start + n * width].reshape(n, width))
            start += n * width
        return tables

    def _terms(self, parameters):
        """Return variances and vectors of the terms of sites, and those of compositions."""
        terms = [
            [(np.exp(one[term]) / len(parameters), self.tables(one, term)) for one in parameters]
            for term in range(self.n_terms)
        ]
        return [one for of_term in terms[:_N_SITE_TERMS] for one in of_term], terms[-1]

    def _images(self, occupations):
        """Return a permutation for each different image of the orderings.

        If some sites have the same element in each row, several permutations have one image, and
        all images belong to the same number of permutations.
        """
        code = np.unique(occupations, axis=1, return_inverse=True)[1].ravel()
        return np.unique(code[self.permutations], axis=0, return_index=True)[1]

    def _means(self, occupations, tables):
        return mean_vectors(occupations, self.orbits, tables)


class TrainingKernel:
    """The kernel between training rows, and its derivatives by the parameters.

    Parameters
    ----------
    kernel : OrderingKernel
    A : ndarray of uint8, shape (n, S)
    sites : TrainingVectors or TrainingHistogram
        The terms of sites.
    """

    def __init__(self, kernel: OrderingKernel, A: np.ndarray, sites: Any):
        self.kernel = kernel
        self.A = A
        self.sites = sites

    def value_and_parts(self, parameters: np.ndarray) -> tuple[np.ndarray, list]:
        """Return the kernel, shape (n, n), and what `gradient` needs."""
        kernel = self.kernel
        total, parts = np.zeros((len(self.A), len(self.A))), []
        for term, variance in enumerate(np.exp(parameters[: kernel.n_terms])):
            tables = kernel.tables(parameters, term)
            if term < _N_SITE_TERMS:
                value, part = self.sites.value(tables)
            else:
                part = mean_vectors(self.A, kernel.orbits, tables)
                value = gaussian(part, part)
            total += variance * value
            parts.append((value, part))
        return total, parts

    def gradient(self, parts: list, weights: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Return the derivatives of Σ weights · kernel by the parameters.

        Parameters
        ----------
        parts : list
            From `value_and_parts`.
        weights : ndarray of shape (n, n)
            Symmetric.
        parameters : ndarray
        """
        kernel = self.kernel
        gradient = np.empty(len(parameters))
        for term, (value, part) in enumerate(parts):
            variance = np.exp(parameters[term])
            gradient[term] = variance * np.vdot(weights, value)
            if term < _N_SITE_TERMS:
                derivatives = self.sites.derivatives(part, weights)
            else:
                derivatives = self._derivatives_of_means(4 * pulls(weights * value, part, part))
            start = kernel.n_terms + term * kernel.n_components
            gradient[start : start + kernel.n_components] = variance * derivatives
        return gradient

    def _derivatives_of_means(self, slopes):
        """Return the derivatives by the components of the vectors, from those by their means."""
        parts, start = [slopes[0, :0]], 0
        for sites, n, width in self.kernel.orbits:
            fractions = (self.A[:, sites, None] == np.arange(n)).mean(axis=1)
            parts.append((fractions.T @ slopes[:, start : start + width]).ravel())
            start += width
        return np.concatenate(parts)


def mean_vectors(
    occupations: np.ndarray, orbits: list[Orbit], tables: list[np.ndarray]
) -> np.ndarray:
    """Return the mean vectors of the orbits, shape (n, sum of widths)."""
    z = vectors(occupations, orbits, tables)
    parts, start = [z[:, :0]], 0
    for sites, _, width in orbits:
        stop = start + width * len(sites)
        parts.append(z[:, start:stop].reshape(len(z), len(sites), width).mean(axis=1))
        start = stop
    return np.concatenate(parts, axis=1)


def _equidistant(n, width):
    """Return `n` vectors with equal distances, or nearly so if there are few components."""
    centred = np.eye(n) - 1 / n
    directions, sizes, _ = np.linalg.svd(centred)
    return (directions * sizes)[:, :width]
