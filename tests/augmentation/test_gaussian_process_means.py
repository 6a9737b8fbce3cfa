"""The fast mean of a Gaussian process equals that of scikit-learn."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

from sklmat.augmentation import _gaussian_process_means, process_mean
from sklmat.augmentation._gaussian_process_means import (
    _kernel_parameters,
    leave_one_out_residuals,
    target_moments,
)


@pytest.mark.parametrize("n_targets", [None, 2])
@pytest.mark.parametrize("kernel", [RBF(0.7), Matern(0.7, nu=1.5)], ids=["RBF", "Matern"])
def test_quick_means_are_those_of_scikit_learn(kernel, n_targets):
    rng = np.random.default_rng(0)
    X, new = rng.uniform(size=(60, 4)), rng.uniform(size=(3000, 4))
    y = 1000 + 50 * np.sin(3 * X @ rng.normal(size=(4, n_targets or 1)))
    y = y if n_targets else y[:, 0]
    process = GaussianProcessRegressor(
        ConstantKernel(2.0) * kernel + WhiteKernel(1e-3), normalize_y=True, optimizer=None
    ).fit(X, y)
    assert _kernel_parameters(process) is not None
    told = process_mean(process, new)
    assert told.shape == (3000, *y.shape[1:])
    assert_allclose(told, process.predict(new), rtol=0, atol=1e-4 * y.std())
    assert_allclose(process_mean(process, X), process.predict(X), rtol=0, atol=1e-4 * y.std())


def test_quick_means_take_more_digits_where_weights_magnify_errors(monkeypatch):
    rng = np.random.default_rng(0)
    X, new = rng.uniform(size=(80, 2)), rng.uniform(size=(500, 2))
    process = GaussianProcessRegressor(
        ConstantKernel(9.0) * RBF(0.8) + WhiteKernel(1e-6), normalize_y=True, optimizer=None
    ).fit(X, np.sin(5 * X[:, 0]) * X[:, 1])

    def error():
        told = process_mean(process, new) - process.predict(new)
        return np.abs(told).max() / target_moments(process)[1]

    assert error() < 1e-6
    monkeypatch.setattr(
        _gaussian_process_means, "_precision", lambda training, weights: torch.float32
    )
    assert error() > 1e-4


@pytest.mark.parametrize(
    "kernel",
    [
        ConstantKernel() * Matern(nu=0.5) + WhiteKernel(),
        ConstantKernel() * Matern(nu=2.5) + WhiteKernel(),
        ConstantKernel() * RBF([1.0, 2.0]) + WhiteKernel(),
        ConstantKernel() + RBF() + WhiteKernel(),
        ConstantKernel() * RBF() * WhiteKernel(),
        ConstantKernel() * RBF() + ConstantKernel(),
        RBF(),
    ],
    ids=str,
)
def test_other_kernels_are_left_to_scikit_learn(kernel):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(20, 2))
    process = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.1).fit(X, X[:, 0])
    new = rng.uniform(size=(7, 2))
    assert_array_equal(process_mean(process, new), process.predict(new))


def test_leave_one_out_residuals_are_those_of_refitted_processes():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(12, 2))
    y = 5 + 3 * np.sin(4 * X[:, 0]) + X[:, 1]
    kernel = ConstantKernel(2.0) * RBF(0.7) + WhiteKernel(0.1)
    settings = {"optimizer": None, "alpha": 0.0}
    process = GaussianProcessRegressor(kernel, normalize_y=True, **settings).fit(X, y)
    mean, deviation = target_moments(process)
    assert_allclose([mean, deviation], [y.mean(), y.std()])
    expected = []
    for k in range(12):
        rest = np.arange(12) != k
        # Scaled as in the fit on all rows.
        scaled = (y[rest] - mean) / deviation
        refitted = GaussianProcessRegressor(kernel, **settings).fit(X[rest], scaled)
        expected.append(y[k] - mean - deviation * refitted.predict(X[[k]])[0])
    assert_allclose(leave_one_out_residuals(process), expected, rtol=1e-6)
