"""The kernel against that of scikit-learn, and gradients against finite differences."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern

from sklmat.gaussian_processes._likelihood import negative_log_posterior, start_parameters
from sklmat.gaussian_processes._product_kernel import ProductKernel

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(7, 4)), RNG.normal(size=(5, 4))
FIRST, SECOND = np.array([0, 2]), np.array([1, 3])


def test_product_of_matern_kernels():
    kernel = ProductKernel([FIRST, SECOND], [False, True])
    assert kernel.n_parameters == 3
    found = kernel.covariance(A, B, np.log([0.5, 2.0, 1.5]))
    one = Matern([0.5, 2.0], nu=2.5)(A[:, FIRST], B[:, FIRST])
    other = Matern(1.5, nu=2.5)(A[:, SECOND], B[:, SECOND])
    np.testing.assert_allclose(found, one * other, rtol=1e-12)
    assert kernel.by_column(np.array([1.0, 2.0, 3.0])).tolist() == [1, 3, 2, 3]


@pytest.mark.parametrize(
    ("groups", "shared"),
    [
        ([np.arange(4)], [False]),
        ([np.arange(4)], [True]),
        ([FIRST, np.array([1]), np.array([3])], [False, True, False]),
    ],
    ids=["lengths of columns", "one length", "three groups"],
)
def test_gradient_is_that_of_finite_differences(groups, shared):
    kernel = ProductKernel(groups, shared)
    y, precision = RNG.normal(size=7), RNG.uniform(0.5, 2, size=7)
    centre = start_parameters(kernel)
    parameters = centre + RNG.normal(size=len(centre))

    def value(parameters):
        return negative_log_posterior(parameters, kernel, A, y, precision, centre)[0]

    gradient = negative_log_posterior(parameters, kernel, A, y, precision, centre)[1]
    steps = 1e-5 * np.eye(len(centre))
    expected = [(value(parameters + h) - value(parameters - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
