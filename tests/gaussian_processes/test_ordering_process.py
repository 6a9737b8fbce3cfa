"""Inference of processes on orderings, against direct formulas and numerical integrals."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from sklmat.gaussian_processes import _ordering_process as process
from sklmat.gaussian_processes._ordering_kernel import OrderingKernel

GROUP = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])


@pytest.fixture
def kernel():
    return OrderingKernel(np.zeros(4, dtype=int), [3], GROUP)


@pytest.fixture
def rows():
    return np.random.default_rng(0).integers(3, size=(30, 4)).astype(np.uint8)


@pytest.fixture
def parameters(kernel):
    return kernel.start_parameters(np.random.RandomState(0))


@pytest.fixture
def two_kernels(kernel):
    rng = np.random.RandomState(0)
    return np.array([kernel.start_parameters(rng) for _ in range(2)])


def mean_kernel(kernel, A, B, parameters):
    first, second = (kernel.covariance(A, B, one[None]) for one in parameters)
    return (first + second) / 2


def exact(kernel, rows, parameters):
    return process._Exact(rows, mean_kernel(kernel, rows, rows, parameters), parameters)


def no_tick(_):
    pass


def test_exact_posterior(kernel, rows, two_kernels):
    y, noise = np.sin(np.arange(20.0)), np.linspace(0.1, 0.3, 20)
    training, new = rows[:20], rows[20:]
    found = exact(kernel, training, two_kernels).posterior(y, noise, 0.2, 1)
    K = mean_kernel(kernel, training, training, two_kernels) + np.diag(noise)
    k = mean_kernel(kernel, new, training, two_kernels)
    mean, deviation = found.predict(kernel, new)
    np.testing.assert_allclose(mean, k @ np.linalg.solve(K, y), rtol=1e-6)
    prior = mean_kernel(kernel, new, new, two_kernels)
    variance = np.diag(prior - k @ np.linalg.solve(K, k.T))
    np.testing.assert_allclose(deviation**2, variance, rtol=1e-6)
    mean, variance = exact(kernel, training, two_kernels).moments(y, noise)
    of_training = found.predict(kernel, training)
    np.testing.assert_allclose(mean, of_training[0], rtol=1e-6)
    np.testing.assert_allclose(variance, of_training[1] ** 2, rtol=1e-6)


def test_inducing_rows(kernel, rows, two_kernels):
    """With all rows as inducing rows, the approximation is exact; fewer: a direct formula."""
    rows = np.unique(rows, axis=0)
    y, noise = np.sin(np.arange(len(rows))), np.full(len(rows), 0.1)
    expected = exact(kernel, rows, two_kernels).posterior(y, noise, 0.1, 1).predict(kernel, rows)
    all_rows = process._Projection(kernel, rows, rows, two_kernels)
    found = all_rows.posterior(y, noise, 0.1, 1).predict(kernel, rows)
    np.testing.assert_allclose(found, expected, atol=1e-4)

    some = process._Projection(kernel, rows, rows[:10], two_kernels)
    found = some.posterior(y, noise, 0.1, 1).predict(kernel, rows)
    K = mean_kernel(kernel, rows, rows, two_kernels)
    gain = np.linalg.pinv(K[:10, :10], rcond=1e-9) @ K[:10]
    low_rank = K[:10].T @ gain
    solved = np.linalg.solve(low_rank + np.diag(noise), np.column_stack([y, low_rank]))
    variance = np.diag(K - low_rank) + np.diag(low_rank - low_rank @ solved[:, 1:])
    np.testing.assert_allclose(found[0], low_rank @ solved[:, 0], atol=1e-5)
    np.testing.assert_allclose(found[1] ** 2, variance, atol=1e-5)
    mean, variance = some.moments(y, noise)
    np.testing.assert_allclose((mean, np.sqrt(variance)), found, atol=1e-6)


def test_many_rows_have_inducing_rows(kernel, rows, monkeypatch):
    monkeypatch.setattr(process, "MAX_EXACT", 25)
    monkeypatch.setattr(process, "N_INDUCING", 10)
    y = (rows == 0).sum(axis=1) - 1.3
    rng = np.random.RandomState(0)
    found = process.fit_regression(kernel, rows, y, 30, 20, rng, no_tick)
    assert found.rows.shape == (10, 4)
    mean, _ = found.predict(kernel, rows)
    assert np.abs(mean - y).mean() < 0.1
    found = process.fit_classification(kernel, rows, y > 0, 30, 8, rng, no_tick)
    assert found.rows.shape == (10, 4)
    assert ((found.predict(kernel, rows)[0] > 0) == (y > 0)).mean() > 0.9


@pytest.mark.parametrize("labels", ["regression", "classification"])
def test_gradient_of_the_posterior(kernel, rows, parameters, labels):
    rng = np.random.default_rng(1)
    if labels == "regression":
        labels = process._Regression(rng.normal(size=30))
    else:
        labels = process._Classification(rng.random(30) < 0.5)
        labels.local = rng.random(30)
    theta = np.concatenate([parameters, labels.start + 1])
    training = kernel.training(rows)
    _, gradient = process._negative_log_posterior(theta, training, labels)
    for number in range(len(theta)):
        step = np.zeros(len(theta))
        step[number] = 1e-5
        up, down = (
            process._negative_log_posterior(theta + sign * step, training, labels)[0]
            for sign in (1, -1)
        )
        assert gradient[number] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-4)


def test_marginal_likelihood(kernel, rows, parameters):
    labels = process._Regression(np.sin(np.arange(30.0)))
    theta = np.append(parameters, np.log(0.1))
    value, _ = process._negative_log_posterior(theta, kernel.training(rows), labels)
    K = kernel.covariance(rows, rows, parameters[None]) + 0.1 * np.eye(30)
    y = labels.y
    expected = (y @ np.linalg.solve(K, y) + np.linalg.slogdet(2 * np.pi * K)[1]) / 2
    vectors = parameters[3:]
    expected += 0.1 * (vectors @ vectors + (np.log(0.1) + 5) ** 2)
    assert value == pytest.approx(expected, rel=1e-6)


def test_logistic_bound_of_one_label():
    """The bound is below the integral of the logistic likelihood, and close to it."""
    variance = 2.0
    labels = process._Classification(np.array([True]))

    def moments(y, noise):
        gain = variance / (variance + noise)
        return gain * y, variance - gain * variance

    labels.iterate(moments, 50)
    [y], [noise] = labels.targets, labels.noise
    bound = labels.bound() + norm.logpdf(y, scale=np.sqrt(variance + noise))
    exact = np.log(quad(lambda f: expit(f) * norm.pdf(f, scale=np.sqrt(variance)), -20, 20)[0])
    assert exact == pytest.approx(np.log(0.5))
    assert exact - 0.05 < bound < exact


def test_probability_of_class():
    mean, deviation = np.array([0.0, 1.0, -3.0]), np.array([1.0, 2.0, 0.5])
    expected = [
        quad(lambda f, m, s: expit(f) * norm.pdf(f, m, s), m - 10 * s, m + 10 * s, (m, s))[0]
        for m, s in zip(mean, deviation)
    ]
    np.testing.assert_allclose(process.probability_of_class(mean, deviation), expected, atol=0.02)


def test_large_groups_are_fitted_on_fewer_rows(kernel, rows, monkeypatch):
    monkeypatch.setattr(process, "_MAX_FIRST_NUMBERS", 100)
    monkeypatch.setattr(process, "_MAX_NUMBERS", 400)
    monkeypatch.setattr(process, "_MAX_POSTERIOR_PAIRS", 1200)
    sizes, starts = [], []
    climb = process._climb

    def counting(training, labels, start, *rest):
        sizes.append(len(training.A))
        found = climb(training, labels, start, *rest)
        starts.append((start, found))
        return found

    monkeypatch.setattr(process, "_climb", counting)
    y = (rows == 0).sum(axis=1) - 1.3
    found = process.fit_regression(kernel, rows, y, 1500, 5, np.random.RandomState(0), no_tick)
    # Four images: 4 · 5², 4 · 10² and 4 · 30 · 10 pairs.
    assert sizes == [5] * 8 + [10] * 3
    assert found.rows.shape == (10, 4)
    # The best three searches are continued, and the kernel is the mean of what they find.
    first = sorted((one for _, one in starts[:8]), key=lambda one: one[0])
    for (_, expected, _), (start, (_, theta, _)), parameters in zip(
        first, starts[8:], found.parameters, strict=False
    ):
        np.testing.assert_array_equal(start, expected)
        np.testing.assert_array_equal(theta[:-1], parameters)
    assert len(found.parameters) == 3
    noise = np.mean([np.exp(theta[-1]) for _, (_, theta, _) in starts[8:]])
    assert found.noise == pytest.approx(noise)


def test_searches_have_rows_of_a_rare_class():
    labels = process._Classification(np.arange(2000) % 500 == 3)
    chosen = labels.choose(400, np.random.RandomState(0))
    assert len(set(chosen)) == 400
    assert set(np.arange(3, 2000, 500)) <= set(chosen)
    common = process._Classification(np.arange(2000) % 4 == 0)
    chosen = common.choose(400, np.random.RandomState(0))
    assert (common.signs[chosen] > 0).sum() == 100
    assert len(labels.choose(2000, np.random.RandomState(0))) == 2000


def test_value_of_a_search_is_that_of_its_last_local_variables(kernel, rows, monkeypatch):
    """Starts are compared by a lower bound of the likelihood, not by a mixture of two bounds."""
    labels = process._Classification(rows[:, 0] == 0)
    start = kernel.start_parameters(np.random.RandomState(0))
    monkeypatch.setattr(process._Classification, "n_rounds", 1)
    before = process._Classification(rows[:, 0] == 0)
    training = kernel.training(rows)
    value, theta, _ = process._climb(training, labels, start, 3, no_tick)
    expected, _ = process._negative_log_posterior(theta, training, before)
    assert value == pytest.approx(expected - before.bound())
    assert labels.local.max() > 0
