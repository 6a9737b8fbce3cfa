"""`ProductKernel`: Matérn kernels of groups of columns, multiplied, and their derivatives."""

from __future__ import annotations

import numpy as np


class ProductKernel:
    """Product of Matérn kernels with smoothness 5/2, one for each group of columns.

    The kernel of a group is (1 + a + a²/3) exp(-a) with a = √5 r, where r² is the sum over the
    columns of the group of the squared differences, each divided by the squared length scale of the
    column. The product is one for equal rows.

    Parameters
    ----------
    groups : list of ndarray of int
        Positions of the columns of each group.
    shared : list of bool
        Whether all columns of a group have one length scale; otherwise each has its own.

    Attributes
    ----------
    n_parameters : int
        Number of length scales that are not shared with another column.
    """

    def __init__(self, groups, shared):
        self.groups = groups
        self.shared = shared
        sizes = [1 if one else len(group) for group, one in zip(groups, shared)]
        ends = np.cumsum(sizes)
        self.n_parameters = int(ends[-1])
        self.slices = [slice(end - size, end) for end, size in zip(ends, sizes)]

    def by_column(self, parameters):
        """Return the value for each column, shape (F,), of parameters of shape (n_parameters,)."""
        values = np.empty(sum(map(len, self.groups)))
        for group, part in zip(self.groups, self.slices):
            values[group] = parameters[part]
        return values

    def covariance(self, A, B, log_lengths):
        """Return the kernel between rows `A` (n, F) and `B` (m, F), shape (n, m)."""
        product = None
        for group, part in zip(self.groups, self.slices):
            lengths = np.exp(log_lengths[part])
            value, _ = _matern(_squared_distances(A[:, group] / lengths, B[:, group] / lengths))
            product = value if product is None else np.multiply(product, value, out=product)
        return product

    def value_and_slopes(self, Z, log_lengths):
        """Return the kernel between rows `Z` (n, F), and what `gradient` needs, as a list."""
        product, parts = None, []
        for group, part in zip(self.groups, self.slices):
            scaled = Z[:, group] / np.exp(log_lengths[part])
            squared = _squared_distances(scaled, scaled)
            np.fill_diagonal(squared, 0.0)
            value, slope = _matern(squared, with_slope=True)
            parts.append((scaled, squared, value, slope))
            product = value if product is None else product * value
        return product, parts

    def gradient(self, parts, weights):
        """Return the derivatives of Σ weights · kernel by the logarithms of the length scales.

        No array of shape (n, n, F) is needed: with B the product of weights and slopes, the sum
        over pairs of B (z - z')² is twice the difference of Σ z² (B 1) and Σ z (B z).

        Parameters
        ----------
        parts : list
            From `value_and_slopes`.
        weights : ndarray of shape (n, n)
            Symmetric.
        """
        gradient = np.empty(self.n_parameters)
        for number, (scaled, squared, _, slope) in enumerate(parts):
            product = weights * slope
            for other, (_, _, value, _) in enumerate(parts):
                if other != number:
                    product *= value
            if self.shared[number]:
                gradient[self.slices[number]] = np.vdot(product, squared)
            else:
                of_rows = product.sum(axis=1)
                gradient[self.slices[number]] = 2 * (
                    of_rows @ scaled**2 - np.einsum("if,if->f", scaled, product @ scaled)
                )
        return gradient


def _squared_distances(A, B):
    """Return the squared distances between scaled rows, shape (n, m)."""
    squared = A @ (-2.0 * B.T)
    squared += np.einsum("if,if->i", A, A)[:, None]
    squared += np.einsum("if,if->i", B, B)
    return np.maximum(squared, 0.0, out=squared)


def _matern(squared, with_slope=False):
    """Return the kernel, and minus twice its derivative by the squared distance times itself.

    The derivative by the logarithm of a length scale is this slope times (z - z')² of its column.
    """
    distance = np.sqrt(5.0 * squared)
    decay = np.exp(-distance)
    distance += 1.0
    distance *= decay
    decay *= squared
    decay *= 5 / 3
    decay += distance
    if not with_slope:
        return decay, None
    distance *= 5 / 3
    return decay, distance
