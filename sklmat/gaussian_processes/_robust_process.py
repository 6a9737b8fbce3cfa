"""`fit_process`, `RobustProcess`: a Gaussian process of one target with Student-t noise."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrs, dtrtrs

from sklmat.gaussian_processes._likelihood import (
    NOISE_BOUNDS,
    covariance_factor,
    inverse_diagonal,
    maximise_likelihood,
    start_parameters,
)

#: Rounds of new label weights and new parameters, and iterations of the weights in each round.
_ROUNDS = 5
_WEIGHT_STEPS = 5
#: The logarithms of the length scales of the second start are smaller by this.
_SHORT_START = 1.5
#: Iterations of the weights at the end, which stop when none changes by more than the tolerance.
_MAX_WEIGHT_STEPS = 20
_WEIGHT_TOLERANCE = 1e-2
#: The scale of labels that are nearly all equal is at least this part of their standard deviation.
_MIN_SCALE = 1e-3
#: Part of the labels among which none is taken for very far off, and the standard deviation below
#: which they are taken for equal, as a part of that of all labels.
_NEAR = 0.9
_ROUNDING = 1e-12


class RobustProcess(NamedTuple):
    """Posterior of a process.

    Attributes
    ----------
    parameters : ndarray
        Logarithms of length scales, signal variance and noise variance, of standardised data.
    label_weights : ndarray of shape (n,)
    factor : ndarray of shape (n, n)
        Cholesky factor of the covariance of the labels.
    solution : ndarray of shape (n,)
        Inverse of this covariance times the standardised labels.
    centre, scale : float
        The labels are standardised by these.
    noise_std : float
        Standard deviation of the noise of a label of precision one, in the unit of the labels.
    n_iter : int
    converged : bool
    """

    parameters: np.ndarray
    label_weights: np.ndarray
    factor: np.ndarray
    solution: np.ndarray
    centre: float
    scale: float
    noise_std: float
    n_iter: int
    converged: bool

    @property
    def signal_std(self):
        """Standard deviation of the function before any label is known."""
        return float(np.exp(self.parameters[-2] / 2) * self.scale)

    def predict(self, kernel, training, rows, return_std, include_noise):
        """Return the means and standard deviations (or None) of `rows` (m, F)."""
        signal = np.exp(self.parameters[-2])
        covariance = kernel.covariance(rows, training, self.parameters[:-2])
        covariance *= signal
        mean = covariance @ self.solution * self.scale + self.centre
        if not return_std:
            return mean, None
        known = dtrtrs(self.factor, covariance.T, lower=1)[0]
        variance = signal - np.einsum("ij,ij->j", known, known)
        variance = np.maximum(variance, 0.0) * self.scale**2
        if include_noise:
            variance += self.noise_std**2
        return mean, np.sqrt(variance)


def fit_process(kernel, Z, y, precision, subset, degrees_of_freedom, max_iter):
    """Fit parameters to some rows, and compute the posterior of all.

    Parameters
    ----------
    kernel : ProductKernel
    Z : ndarray of shape (n, F)
        Standardised rows.
    y, precision : ndarray of shape (n,)
        Labels, and their relative precisions.
    subset : ndarray of int
        Rows to which the parameters are fitted.
    degrees_of_freedom : float
    max_iter : int
        Iterations of each search.

    Returns
    -------
    RobustProcess
    """
    is_robust = np.isfinite(degrees_of_freedom)
    centre, scale = _centre_and_scale(y, is_robust)
    y = (y - centre) / scale if scale else np.zeros(len(y))
    is_robust = is_robust and scale > 0
    search = _Search(kernel, Z[subset], y[subset], precision[subset], degrees_of_freedom, max_iter)
    if is_robust:
        search = search.robust()
    elif scale:
        search.fit_parameters()
    weights = np.ones(len(y))
    weights[subset] = search.weights
    values = kernel.covariance(Z, Z, search.parameters[:-2])
    parameters = search.parameters
    if is_robust:
        weights, parameters = _weigh_labels(
            values, y, precision, weights, parameters, degrees_of_freedom, _MAX_WEIGHT_STEPS
        )
    factor, noise = covariance_factor(values, precision * weights, parameters)
    solution = dpotrs(factor, y, lower=1)[0]
    noise_variance = np.exp(parameters[-1])
    if is_robust:
        observed = _leave_one_out_noise(factor, solution, noise)
        noise_variance = max(noise_variance, (precision * observed).mean())
    return RobustProcess(
        parameters,
        weights,
        factor,
        solution,
        centre,
        scale,
        float(np.sqrt(noise_variance) * scale),
        max(search.n_iter, 1),
        search.converged,
    )


class _Search:
    """Parameters and label weights, which are improved in turn.

    Attributes
    ----------
    parameters : ndarray
    weights : ndarray of shape (n,)
    bound : float
        Logarithm of the variational lower bound of the marginal likelihood of Student-t noise,
        times prior, without constants.
    n_iter : int
    converged : bool
        Whether the last search for parameters has converged.
    """

    def __init__(self, kernel, Z, y, precision, degrees_of_freedom, max_iter):
        self.kernel = kernel
        self.data = Z, y, precision
        self.degrees_of_freedom = degrees_of_freedom
        self.max_iter = max_iter
        self.parameters = self.start = start_parameters(kernel)
        self.weights = np.ones(len(y))
        self.n_iter = 0
        self.converged = True

    def robust(self):
        """Find parameters and weights from two starts, and return the search with the larger bound.

        From long length scales, a function that changes fast may be taken for noise; from short
        ones, outliers may be taken for the function.
        """
        long, short = self, copy(self)
        short.parameters = short.start.copy()
        short.parameters[:-2] -= _SHORT_START
        for search in (long, short):
            search.improve()
        best = max(long, short, key=lambda search: search.bound)
        for _ in range(_ROUNDS - 1):
            best.improve()
        best.n_iter = long.n_iter + short.n_iter
        return best

    def improve(self):
        """Iterate the weights, then fit the parameters."""
        Z, y, precision = self.data
        values = self.kernel.covariance(Z, Z, self.parameters[:-2])
        self.weights, self.parameters = _weigh_labels(
            values,
            y,
            precision,
            self.weights,
            self.parameters,
            self.degrees_of_freedom,
            _WEIGHT_STEPS,
        )
        self.fit_parameters()

    def fit_parameters(self):
        """Maximise the marginal likelihood with the present weights."""
        Z, y, precision = self.data
        found = maximise_likelihood(
            self.kernel, Z, y, precision * self.weights, self.parameters, self.start, self.max_iter
        )
        self.parameters = found.x
        self.converged = found.status != 1
        self.n_iter += found.nit
        if np.isfinite(self.degrees_of_freedom):
            # What the gamma distributions of the precisions add: their entropy and prior.
            shape, weights = self.degrees_of_freedom, self.weights
            gamma = (shape * np.log(weights) - (shape + 1) * weights).sum() / 2
            self.bound = gamma - found.fun


def _weigh_labels(kernel_values, y, precision, weights, parameters, degrees_of_freedom, max_steps):
    """Iterate the weights of the labels and the noise variance; the kernel stays the same.

    Noise with a Student-t distribution is normal noise whose precision is drawn from a gamma
    distribution for each row. The steps are those of variational inference (Tipping and Lawrence):
    the expected precision of each row follows from the expected square of its noise, and this from
    the posterior of the function with the expected precisions.

    Returns
    -------
    weights : ndarray of shape (n,)
        Expected precisions, divided by the largest possible one.
    parameters : ndarray
        With a new noise variance, that of weight one.
    """
    parameters = parameters.copy()
    for _ in range(max_steps):
        before = weights
        factor, noise = covariance_factor(kernel_values, precision * weights, parameters)
        residuals = noise * dpotrs(factor, y, lower=1)[0]
        # Rounding can make them negative if a label is very far off.
        variances = np.maximum(noise - noise**2 * inverse_diagonal(factor), 0.0)
        squares = precision * (residuals**2 + variances)
        weights = 1 / (1 + squares / np.exp(parameters[-1]) / (degrees_of_freedom + 1))
        parameters[-1] = np.log(np.clip((weights * squares).mean(), *np.exp(NOISE_BOUNDS)))
        if np.abs(weights - before).max() < _WEIGHT_TOLERANCE:
            break
    return weights, parameters


def _leave_one_out_noise(factor, solution, noise):
    """Estimate the noise variance of each row from its residual for a process of all other rows.

    It is the squared residual minus the variance of the function there (Rasmussen and Williams,
    equations 5.10 to 5.12), and can be negative for a single row.
    """
    label_variances = 1 / inverse_diagonal(factor)
    return (solution * label_variances) ** 2 - (label_variances - noise)


def _centre_and_scale(y, is_robust):
    """Return median and standard deviation, the latter from the quartiles of a normal distribution.

    If all labels are equal, the standard deviation is zero.
    """
    low, median, high = np.quantile(y, [0.25, 0.5, 0.75])
    if np.ptp(y) == 0:
        return float(median), 0.0
    deviation = y.std()
    if is_robust:
        distance = np.abs(y - median)
        of_most = y[distance <= np.quantile(distance, _NEAR)].std()
        # A few labels very far off tell nothing about the others.
        if _ROUNDING * deviation < of_most < _MIN_SCALE * deviation:
            deviation = of_most
    scale = (high - low) / 1.349
    # If more than half of the labels are equal, the quartiles tell nothing.
    return float(median), float(scale if scale > _MIN_SCALE * deviation else deviation)
