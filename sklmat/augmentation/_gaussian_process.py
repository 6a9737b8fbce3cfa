"""Means of fitted Gaussian processes for very many rows."""

import numpy as np
import torch
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    Matern,
    Product,
    Sum,
    WhiteKernel,
)

#: Rows at a time: their kernel matrix with a few hundred training rows stays in the cache.
_CHUNK = 2048
#: Error of a mean, in standard deviations of the target, that single precision may have.
_TOLERANCE = 5e-5
_SHAPES = {
    (ConstantKernel, RBF, WhiteKernel): "rbf",
    (ConstantKernel, Matern, WhiteKernel): "matern",
}


def process_mean(process, X):
    """What ``process.predict(X)`` gives, to 1e-4 of the targets' spread and several times as fast.

    Parameters
    ----------
    process : GaussianProcessRegressor
        Fitted, with a kernel that is a constant times an isotropic RBF, or a Matérn kernel with
        nu = 3/2, plus white noise. Other kernels are left to scikit-learn.
    X : ndarray of shape (n, F)

    Returns
    -------
    ndarray of shape (n,) or (n, T)
    """
    form = _form(process)
    if form is None:
        return process.predict(X)
    shape, scale, length = form
    # Distances cancel badly unless the points are centred.
    centre = process.X_train_.mean(axis=0)
    known = (process.X_train_ - centre) / length
    weights = process.alpha_.reshape(len(known), -1) * scale
    precision = _precision(known, weights)
    weights *= process._y_train_std
    # Weights are large and nearly cancel, and kernels with a long scale hardly differ from one: the
    # differences need fewer digits.
    offset = process._y_train_mean + weights.sum(axis=0)
    known, weights = (torch.as_tensor(part, dtype=precision) for part in (known, weights))
    half = known.square().sum(1) / 2
    means = np.empty((len(X), weights.shape[1]))
    with torch.inference_mode():
        for start in range(0, len(X), _CHUNK):
            rows = (X[start : start + _CHUNK] - centre) / length
            rows = torch.as_tensor(rows, dtype=precision)
            # Minus half the squared distances.
            near = torch.addmm(-half, rows, known.T).sub_(rows.square().sum(1, keepdim=True) / 2)
            if shape == "matern":
                near = near.mul_(-6).clamp_(min=0).sqrt_()
                fall = torch.expm1(-near)
                # (1 + d) exp(-d) - 1
                near = fall.addcmul(fall, near).add_(near)
            else:
                near.clamp_(max=0).expm1_()
            means[start : start + _CHUNK] = (near @ weights).numpy()
    means += offset
    return means[:, 0] if process.alpha_.ndim == 1 else means


def _precision(known, weights):
    """Single, unless labels without noise have led to weights that magnify its errors."""
    error = np.linalg.norm(weights, axis=0).max() * np.square(known).sum(axis=1).max() * 6e-8
    return torch.float32 if error < _TOLERANCE else torch.float64


def _form(process):
    """Shape, variance and length scale of the kernel, or None where it is another one."""
    kernel = process.kernel_
    if type(kernel) is not Sum or type(kernel.k1) is not Product:
        return None
    parts = kernel.k1.k1, kernel.k1.k2, kernel.k2
    shape = _SHAPES.get(tuple(type(part) for part in parts))
    variance, base, _ = parts
    if shape is None or base.anisotropic or (shape == "matern" and base.nu != 1.5):
        return None
    return shape, variance.constant_value, base.length_scale
