"""Fast means and leave-one-out errors of fitted Gaussian processes of scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import cho_solve
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    Matern,
    Product,
    Sum,
    WhiteKernel,
)

#: Rows per chunk: their kernel matrix with a few hundred training rows fits into the cache.
_CHUNK = 2048
#: Largest accepted error of a mean in single precision, in standard deviations of the target.
_TOLERANCE = 5e-5
_KERNEL_NAMES = {
    (ConstantKernel, RBF, WhiteKernel): "rbf",
    (ConstantKernel, Matern, WhiteKernel): "matern",
}


def process_mean(process: GaussianProcessRegressor, X: np.ndarray) -> np.ndarray:
    """Compute the result of ``process.predict(X)``, several times faster than scikit-learn.

    Parameters
    ----------
    process : GaussianProcessRegressor
        Fitted, with a kernel that is a constant times an isotropic RBF, or a Matérn kernel with
        nu = 3/2, plus white noise. For other kernels ``process.predict`` is called.
    X : ndarray of shape (n, F)

    Returns
    -------
    ndarray of shape (n,) or (n, T)
        The means, with an error below 1e-4 of the standard deviation of the targets.
    """
    kernel = _kernel_parameters(process)
    if kernel is None:
        return process.predict(X)
    kernel_name, variance, length_scale = kernel
    # Points are centred to reduce the cancellation error of the distances.
    centre = process.X_train_.mean(axis=0)
    training = (process.X_train_ - centre) / length_scale
    weights = process.alpha_.reshape(len(training), -1) * variance
    precision = _precision(training, weights)
    target_mean, target_deviation = target_moments(process)
    weights *= target_deviation
    # Weights are large and nearly cancel, and kernels of a large length scale are close to one: the
    # sum over kernel minus one has a smaller rounding error.
    offset = target_mean + weights.sum(axis=0)
    training, weights = (torch.as_tensor(part, dtype=precision) for part in (training, weights))
    half_square = training.square().sum(1) / 2
    means = np.empty((len(X), weights.shape[1]))
    with torch.inference_mode():
        for start in range(0, len(X), _CHUNK):
            rows = (X[start : start + _CHUNK] - centre) / length_scale
            rows = torch.as_tensor(rows, dtype=precision)
            # Minus half the squared distances.
            exponent = torch.addmm(-half_square, rows, training.T)
            exponent.sub_(rows.square().sum(1, keepdim=True) / 2)
            kernel_minus_one = _kernel_minus_one(kernel_name, exponent)
            means[start : start + _CHUNK] = (kernel_minus_one @ weights).numpy()
    means += offset
    return means[:, 0] if process.alpha_.ndim == 1 else means


def leave_one_out_residuals(process):
    """Compute the residual of each training row for a process fitted on all other rows.

    Parameters
    ----------
    process : GaussianProcessRegressor
        Fitted on one target. The parameters of its kernel stay those of the fit on all rows.

    Returns
    -------
    ndarray of shape (n,)
        Targets minus predictions, in the unit of the targets.
    """
    inverse = cho_solve((process.L_, True), np.eye(len(process.L_)))
    return target_moments(process)[1] * process.alpha_ / np.diag(inverse)


def target_moments(process):
    """Mean and standard deviation by which ``normalize_y=True`` has scaled the targets.

    scikit-learn has them in private attributes only, which no other function here reads.
    """
    return process._y_train_mean, process._y_train_std


def restore_process(kernel, rows, targets, moments):
    """Make the fitted process with a given kernel from its scaled training rows and targets.

    Parameters
    ----------
    kernel : kernel of scikit-learn
        With fitted parameters.
    rows : ndarray of shape (n, F)
        ``X_train_`` of the process.
    targets : ndarray of shape (n,) or (n, T)
        ``y_train_`` of the process.
    moments : pair of ndarray
        Result of `target_moments`.
    """
    process = GaussianProcessRegressor(kernel, optimizer=None, random_state=0).fit(rows, targets)
    process.normalize_y = True
    process._y_train_mean, process._y_train_std = moments
    return process


def _kernel_minus_one(kernel_name, exponent):
    """The kernel of unit variance, minus one, from minus half the squared distances."""
    if kernel_name == "rbf":
        return exponent.clamp_(max=0).expm1_()
    distance = exponent.mul_(-6).clamp_(min=0).sqrt_()
    decay = torch.expm1(-distance)
    # (1 + d) exp(-d) - 1
    return decay.addcmul(decay, distance).add_(distance)


def _precision(training, weights):
    """Single, unless weights are so large (labels without noise) that its error is too large."""
    error = np.linalg.norm(weights, axis=0).max() * np.square(training).sum(axis=1).max() * 6e-8
    return torch.float32 if error < _TOLERANCE else torch.float64


def _kernel_parameters(process):
    """Name, variance and length scale of the kernel; None where it is not a supported one."""
    kernel = process.kernel_
    if type(kernel) is not Sum or type(kernel.k1) is not Product:
        return None
    parts = kernel.k1.k1, kernel.k1.k2, kernel.k2
    kernel_name = _KERNEL_NAMES.get(tuple(type(part) for part in parts))
    constant, base, _ = parts
    if kernel_name is None or base.anisotropic or (kernel_name == "matern" and base.nu != 1.5):
        return None
    return kernel_name, constant.constant_value, base.length_scale
