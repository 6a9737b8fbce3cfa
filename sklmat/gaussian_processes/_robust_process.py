"""`fit_process`, `RobustProcess`: a Gaussian process of one target with Student-t noise."""

from __future__ import annotations

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
_ROUNDS = 3
_WEIGHT_STEPS = 5
#: Iterations of the weights at the end, which stop when none changes by more than the tolerance.
_MAX_WEIGHT_STEPS = 20
_WEIGHT_TOLERANCE = 1e-2


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
    subset : slice or ndarray of int
        Rows to which the parameters are fitted.
    degrees_of_freedom : float
    max_iter : int
        Iterations of each search.

    Returns
    -------
    RobustProcess
    """
    centre, scale = _centre_and_scale(y)
    y = (y - centre) / scale if scale else np.zeros(len(y))
    parameters = start = start_parameters(kernel)
    weights = np.ones(len(y))
    n_iter, converged = 1, True
    is_robust = np.isfinite(degrees_of_freedom) and scale > 0
    if scale:
        data = Z[subset], y[subset], precision[subset]
        part = weights[subset]
        n_iter = 0
        for number in range(1 + _ROUNDS * is_robust):
            if number:
                part, parameters = _weigh_labels(
                    kernel, *data, part, parameters, degrees_of_freedom, _WEIGHT_STEPS
                )
            found = maximise_likelihood(
                kernel, *data[:2], data[2] * part, parameters, start, max_iter
            )
            parameters, converged = found.x, found.status != 1
            n_iter += found.nit
        if is_robust:
            weights[subset] = part
            weights, parameters = _weigh_labels(
                kernel, Z, y, precision, weights, parameters, degrees_of_freedom, _MAX_WEIGHT_STEPS
            )
    values = kernel.covariance(Z, Z, parameters[:-2])
    factor, noise = covariance_factor(values, precision * weights, parameters)
    solution = dpotrs(factor, y, lower=1)[0]
    noise_variance = np.exp(parameters[-1])
    if is_robust:
        observed = _leave_one_out_noise(factor, solution, noise)
        noise_variance = max(noise_variance, (precision * observed).mean())
    noise_std = float(np.sqrt(noise_variance) * scale)
    return RobustProcess(
        parameters, weights, factor, solution, centre, scale, noise_std, n_iter, converged
    )


def _weigh_labels(kernel, Z, y, precision, weights, parameters, degrees_of_freedom, max_steps):
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
    values = kernel.covariance(Z, Z, parameters[:-2])
    parameters = parameters.copy()
    for _ in range(max_steps):
        before = weights
        factor, noise = covariance_factor(values, precision * weights, parameters)
        residuals = noise * dpotrs(factor, y, lower=1)[0]
        variances = noise - noise**2 * inverse_diagonal(factor)
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


def _centre_and_scale(y):
    """Return median and standard deviation, the latter from the quartiles of a normal distribution.

    If half of the labels are equal, it is that of all labels.
    """
    low, median, high = np.quantile(y, [0.25, 0.5, 0.75])
    # Rounding leaves a spread in equal labels.
    scale = (high - low) / 1.349 or y.std()
    return float(median), float(scale) if np.ptp(y) > 0 else 0.0
