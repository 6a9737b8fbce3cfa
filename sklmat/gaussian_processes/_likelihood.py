"""Marginal likelihood and leave-one-out residuals of a Gaussian process of one target.

The target is the sum of a function, whose covariance is the signal variance times a
`ProductKernel`, and of noise, whose variance in a row is the noise variance divided by the
precision of the row. Parameters are one array: the logarithms of the length scales, of the signal variance
and of the noise variance.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtri
from scipy.optimize import minimize

#: Added to the diagonal of the kernel, so that equal rows do not stop the Cholesky factorisation.
_JITTER = 1e-9
#: Bounds of the logarithms: inside them the factorisation succeeds in double precision.
_LENGTH_BOUNDS = (-3.0, 9.0)
_SIGNAL_BOUNDS = (-9.0, 9.0)
_NOISE_BOUNDS = (-18.0, 5.0)
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
    bounds = [_LENGTH_BOUNDS] * kernel.n_parameters + [_SIGNAL_BOUNDS, _NOISE_BOUNDS]
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
    signal = np.exp(parameters[-2])
    values, parts = kernel.value_and_slopes(Z, parameters[:-2])
    factor, noise_variances = _factor(values, precision, parameters)
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
    gradient[:-2] = kernel.gradient(parts, weights) * (signal / 2)
    return value, gradient + 2 * _PRIOR * difference


def noisy_covariance_factor(kernel, Z, precision, parameters):
    """Return the Cholesky factor of the covariance of the labels, and their noise variances.

    Parameters
    ----------
    kernel : ProductKernel
    Z : ndarray of shape (n, F)
    precision : ndarray of shape (n,)
    parameters : ndarray

    Returns
    -------
    factor : ndarray of shape (n, n)
        Lower triangle; the other one is zero.
    noise_variances : ndarray of shape (n,)
    """
    values = kernel.covariance(Z, Z, parameters[:-2])
    return _factor(values, precision, parameters)


def _factor(values, precision, parameters):
    """Add the noise to a kernel matrix, which is overwritten, and factorise it."""
    signal, noise = np.exp(parameters[-2:])
    noise_variances = noise / precision
    values *= signal
    values.flat[:: len(values) + 1] = signal * (1 + _JITTER) + noise_variances
    # LAPACK counts columns first, and the transpose of a symmetric matrix is the matrix.
    factor, info = dpotrf(values.T, lower=1, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError(f"the leading minor {info} of the covariance is not positive")
    return factor, noise_variances


def _inverse(factor):
    """Return the inverse of the matrix with this Cholesky factor."""
    inverse = dpotri(factor, lower=1)[0]
    return inverse + np.tril(inverse, -1).T


def leave_one_out(factor, y):
    """Return the residual of each row for a process of all other rows, and its variance.

    The variance is that of the label, noise included (Rasmussen and Williams, equations 5.10 to
    5.12); the parameters stay the same.
    """
    inverse_factor = dtrtri(factor, lower=1)[0]
    variances = 1 / np.einsum("ij,ij->j", inverse_factor, inverse_factor)
    return dpotrs(factor, y, lower=1)[0] * variances, variances
