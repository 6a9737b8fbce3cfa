"""`fit_process`, `RobustProcess`: a Gaussian process of one target with Student-t noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrs, dtrtrs

from sklmat.gaussian_processes._likelihood import (
    leave_one_out,
    maximise_likelihood,
    noisy_covariance_factor,
    start_parameters,
)

#: Rounds of new label weights and new parameters, and iterations of the weights in each round.
_ROUNDS = 3
_WEIGHT_STEPS = 3
#: Iterations of the weights at the end, which stop when none changes by more than the tolerance.
_MAX_WEIGHT_STEPS = 10
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

    def update(weights, parameters, n_steps, rows):
        return _label_weights(
            kernel, Z[rows], y[rows], precision[rows], parameters, degrees_of_freedom, weights,
            n_steps,
        )  # fmt: skip

    parameters = start = start_parameters(kernel)
    weights = np.ones(len(y))
    n_iter, converged = 1, True
    robust = np.isfinite(degrees_of_freedom) and scale > 0
    if scale:
        part = weights[subset]
        n_iter = 0
        for number in range(1 + _ROUNDS * robust):
            if number:
                part = update(part, parameters, _WEIGHT_STEPS, subset)
            found = maximise_likelihood(
                kernel, Z[subset], y[subset], precision[subset] * part, parameters, start, max_iter
            )
            parameters, converged = found.x, found.status != 1
            n_iter += found.nit
        if robust:
            weights[subset] = part
            weights = update(weights, parameters, _MAX_WEIGHT_STEPS, slice(None))
    factor, noise = noisy_covariance_factor(kernel, Z, precision * weights, parameters)
    noise_variance = np.exp(parameters[-1])
    if robust:
        residuals, variances = leave_one_out(factor, y)
        observed = (precision * (residuals**2 - variances + noise)).mean()
        noise_variance = max(noise_variance, observed)
    return RobustProcess(
        parameters,
        weights,
        factor,
        dpotrs(factor, y, lower=1)[0],
        centre,
        scale,
        float(np.sqrt(noise_variance) * scale),
        n_iter,
        converged,
    )


def _label_weights(kernel, Z, y, precision, parameters, degrees_of_freedom, weights, n_steps):
    """Weigh the labels by their leave-one-out residuals, which depend on the weights of others."""
    for _ in range(n_steps):
        before = weights
        factor, noise = noisy_covariance_factor(kernel, Z, precision * weights, parameters)
        residuals, variances = leave_one_out(factor, y)
        # The variance of the residual with the usual noise of the row, without its weight.
        variances += noise * (weights - 1)
        weights = 1 / (1 + residuals**2 / variances / degrees_of_freedom)
        if np.abs(weights - before).max() < _WEIGHT_TOLERANCE:
            break
    return weights


def _centre_and_scale(y):
    """Return median and standard deviation, the latter from the quartiles of a normal distribution.

    If half of the labels are equal, it is that of all labels.
    """
    low, median, high = np.quantile(y, [0.25, 0.5, 0.75])
    # Rounding leaves a spread in equal labels.
    scale = (high - low) / 1.349 or y.std()
    return float(median), float(scale) if np.ptp(y) > 0 else 0.0
