"""Marginal likelihood of a Gaussian process of one target, and its maximum.

The target is the sum of a function, whose covariance is the signal variance times a
`ProductKernel`, and of noise, whose variance in a row is the noise variance divided by the
precision of the row. Parameters are one array: the logarithms of the length scales, of the signal
variance and of the noise variance.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri
from scipy.optimize import minimize

#: Added to the diagonal of the kernel, so that equal rows do not stop the Cholesky factorisation;
#: the second one if the first one is too small.
_JITTER = (1e-9, 1e-6)
#: Bounds of the logarithms: inside them the factorisation succeeds in double precision.
_LENGTH_BOUNDS = (-3.0, 9.0)
_SIGNAL_BOUNDS = (-9.0, 14.0)
NOISE_BOUNDS = (-18.0, 5.0)
_START_NOISE = 0.05
#: Half the inverse variance of the normal prior of each parameter (standard deviation 2.2).
_PRIOR = 0.1


def start_parameters(kernel):
    """Return the parameters at which the search begins, and around which the prior is centred."""
    lengths = np.empty(kernel.n_parameters)
    for group, part, one in zip(kernel.groups, kernel.slices, kernel.shared):
        # The distance of two standardised rows grows with the root of the number of columns.
        lengths[part] = np.log(2 * np.sqrt(len(group) if one else 3.0))
    return np.concatenate([lengths, [0.0, np.log(_START_NOISE)]])


def maximise_likelihood(kernel, Z, y, precision, start, centre, max_iter):
    """Find the parameters with the largest marginal likelihood times prior.

    Parameters
    ----------
    kernel : ProductKernel
    Z : ndarray of shape (n, F)
    y : ndarray of shape (n,)
    precision : ndarray of shape (n,)
    start, centre : ndarray
        Parameters where the search begins, and where the prior has its maximum.
    max_iter : int

    Returns
    -------
    scipy.optimize.OptimizeResult
    """
    bounds = [_LENGTH_BOUNDS] * kernel.n_parameters + [_SIGNAL_BOUNDS, NOISE_BOUNDS]
    return minimize(
        negative_log_posterior,
        start,
        (kernel, Z, y, precision, centre),
        "L-BFGS-B",
        jac=True,
        bounds=bounds,
        options={"maxiter": max_iter, "maxfun": 10 * max_iter},
    )


def negative_log_posterior(parameters, kernel, Z, y, precision, centre):
    """Return the negative logarithm of marginal likelihood times prior, and its gradient.

    The gradient by a parameter is half the trace of (K⁻¹ - K⁻¹y (K⁻¹y)ᵀ) ∂K, see Rasmussen and
    Williams, "Gaussian processes for machine learning", equation 5.9.
    """
    n = len(y)
    values, parts = kernel.value_and_slopes(Z, parameters[:-2])
    factor, noise_variances = covariance_factor(values, precision, parameters)
    solution = dpotrs(factor, y, lower=1)[0]
    fit = y @ solution
    difference = parameters - centre
    value = fit / 2 + np.log(factor.diagonal()).sum() + n / 2 * np.log(2 * np.pi)
    value += _PRIOR * difference @ difference

    weights = _inverse(factor)
    weights -= np.outer(solution, solution)
    of_noise = weights.diagonal() @ noise_variances
    gradient = np.empty(len(parameters))
    # Σ weights · K is n minus the fit, and K has only the two terms.
    gradient[-2:] = (n - fit - of_noise) / 2, of_noise / 2
    gradient[:-2] = kernel.gradient(parts, weights) * np.exp(parameters[-2]) / 2
    return value, gradient + 2 * _PRIOR * difference


def covariance_factor(kernel_values, precision, parameters):
    """Return the Cholesky factor of the covariance of the labels, and their noise variances.

    Parameters
    ----------
    kernel_values : ndarray of shape (n, n)
    precision : ndarray of shape (n,)
    parameters : ndarray

    Returns
    -------
    factor : ndarray of shape (n, n)
        Lower triangle; the other one is zero.
    noise_variances : ndarray of shape (n,)
    """
    signal, noise = np.exp(parameters[-2:])
    noise_variances = noise / precision
    for jitter in _JITTER:
        covariance = signal * kernel_values
        covariance.flat[:: len(covariance) + 1] = signal * (1 + jitter) + noise_variances
        # LAPACK counts columns first, and the transpose of a symmetric matrix is the matrix.
        factor, info = dpotrf(covariance.T, lower=1, overwrite_a=1)
        if info == 0:
            return factor, noise_variances
    raise np.linalg.LinAlgError(f"the leading minor {info} of the covariance is not positive")


def inverse_diagonal(factor):
    """Return the diagonal of the inverse of the matrix with this Cholesky factor."""
    inverse_factor = dtrtri(factor, lower=1)[0]
    return np.einsum("ij,ij->j", inverse_factor, inverse_factor)


def _inverse(factor):
    """Return the inverse of the matrix with this Cholesky factor."""
    inverse = dpotri(factor, lower=1)[0]
    return inverse + np.tril(inverse, -1).T
