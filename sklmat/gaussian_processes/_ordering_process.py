"""`fit_regression`, `fit_classification`: Gaussian processes of one target on orderings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtrs
from scipy.optimize import minimize
from scipy.special import expit

from sklmat.gaussian_processes._ordering_kernel import OrderingKernel

#: Rows of the first searches, and iterations of each. Searches from different starts find different
#: maxima, and few rows tell which are good.
_N_FIRST_ROWS = 400
_N_STARTS = 8
_N_FIRST_ITERATIONS = 60
#: Best searches that are continued, each on rows of its own. The kernel is the mean of theirs: on
#: the halide perovskites, its errors are 2 to 7 % smaller than those of the best search alone.
_N_CONTINUED = 3
#: Numbers that are computed in each iteration of the first searches and of the others, at most, and
#: pairs of a row and an image of a row in the posterior.
_MAX_FIRST_NUMBERS = 5_000_000
_MAX_NUMBERS = 20_000_000
_MAX_POSTERIOR_PAIRS = 20_000_000_000
#: Rows up to which the posterior is exact, and inducing rows beyond.
MAX_EXACT = 5_000
N_INDUCING = 2_000
#: Added to the diagonal of the kernel, as a part of its mean.
_JITTER = 1e-9
_START_NOISE = np.exp(-5.0)
#: Bounds of the logarithms of variances and noise, and of the components of the vectors.
_VARIANCE_BOUNDS = (-12.0, 12.0)
_NOISE_BOUNDS = (-14.0, 3.0)
_VECTOR_BOUNDS = (-20.0, 20.0)
#: Half the inverse variance of the normal priors (standard deviation 2.2).
_PRIOR = 0.1
#: Rounds of local variables and parameters of a classification, and iterations in each round.
_ROUNDS = 4
_MAX_LOCAL_STEPS = 50
#: Rows of the rarer class of a search, at least.
_N_RARE = 20
_LOCAL_TOLERANCE = 1e-3


class OrderingProcess(NamedTuple):
    """Posterior of a process.

    Attributes
    ----------
    parameters : ndarray of shape (n_kernels, n_parameters)
        Parameters of the kernels whose mean is the kernel of the process.
    noise : float
        Variance of the noise of the standardised labels (regression only).
    rows : ndarray of uint8, shape (m, S)
        Training rows, or the inducing rows among them.
    factor : ndarray of shape (m, m)
        Cholesky factor of the covariance of their labels, or of their values.
    solution : ndarray of shape (m,)
        The mean of a new row is its covariance with `rows` times this.
    inner : ndarray of shape (m, m) or None
        For inducing rows, the Cholesky factor of what the labels tell about their values.
    n_iter : int
    """

    parameters: np.ndarray
    noise: float
    rows: np.ndarray
    factor: np.ndarray
    solution: np.ndarray
    inner: np.ndarray | None
    n_iter: int

    def predict(
        self, kernel: OrderingKernel, rows: np.ndarray, return_std: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return means and standard deviations (or None) of the function, standardised."""
        covariance = kernel.covariance(rows, self.rows, self.parameters)
        mean = covariance @ self.solution
        if not return_std:
            return mean, None
        known = dtrtrs(self.factor, covariance.T, lower=1)[0]
        variance = kernel.variances(rows, self.parameters) - np.einsum("ij,ij->j", known, known)
        if self.inner is not None:
            unknown = dtrtrs(self.inner, known, lower=1)[0]
            variance += np.einsum("ij,ij->j", unknown, unknown)
        return mean, np.sqrt(np.maximum(variance, 0.0))


def fit_regression(
    kernel: OrderingKernel,
    rows: np.ndarray,
    y: np.ndarray,
    n_rows: int,
    max_iter: int,
    rng: np.random.RandomState,
    tick: Callable[..., None],
) -> OrderingProcess:
    """Fit a process with normal noise.

    Parameters
    ----------
    kernel : OrderingKernel
    rows : ndarray of uint8, shape (n, S)
    y : ndarray of shape (n,)
        Standardised.
    n_rows : int
        Rows on which the parameters are fitted, at most.
    max_iter : int
        Iterations of each search on these rows; those before take `_N_FIRST_ITERATIONS` each.
    rng : RandomState
    tick : callable
        Called after each iteration.
    """
    thetas, n_iter = _search(kernel, rows, _Regression(y), n_rows, max_iter, rng, tick)
    noise = float(np.exp(thetas[:, -1]).mean())
    inference = _inference(kernel, rows, thetas[:, :-1], rng)
    return inference.posterior(y, np.full(len(y), noise), noise, n_iter)


def fit_classification(
    kernel: OrderingKernel,
    rows: np.ndarray,
    is_class: np.ndarray,
    n_rows: int,
    max_iter: int,
    rng: np.random.RandomState,
    tick: Callable[..., None],
) -> OrderingProcess:
    """Fit a process to the log-odds of one class, given as booleans; see `fit_regression`."""
    labels = _Classification(is_class)
    thetas, n_iter = _search(kernel, rows, labels, n_rows, max_iter, rng, tick)
    inference = _inference(kernel, rows, thetas, rng)
    labels.iterate(inference.moments, _MAX_LOCAL_STEPS)
    return inference.posterior(labels.targets, labels.noise, 0.0, n_iter)


def probability_of_class(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return the expected probability for normal log-odds, by MacKay's approximation."""
    return expit(mean / np.sqrt(1 + np.pi / 8 * deviation**2))


class _Regression:
    """Labels with normal noise, whose variance is the last parameter of the search."""

    n_rounds = 1

    def __init__(self, y):
        self.y = y

    def some(self, chosen):
        return _Regression(self.y[chosen])

    def choose(self, n, rng):
        return _choose(len(self.y), n, rng)

    start = np.array([np.log(_START_NOISE)])

    def targets_and_noise(self, theta, n_kernel):
        return self.y, np.full(len(self.y), np.exp(theta[n_kernel]))

    def update(self, training, theta):
        """Nothing but parameters is fitted."""

    def bound(self):
        return 0.0


class _Classification:
    """Labels of two classes, with a logistic likelihood and its variational lower bound.

    The bound of Jaakkola and Jordan has a local variable c for each label. With fixed c, it is the
    likelihood of a label κ/ω with normal noise of variance 1/ω, where κ is 1/2 or -1/2 and
    ω = tanh(c/2) / (2 c). The best c² is the expected square of the function.
    """

    n_rounds = _ROUNDS
    start = np.empty(0)

    def __init__(self, is_class):
        self.signs = np.where(is_class, 0.5, -0.5)
        self.local = np.zeros(len(is_class))

    def some(self, chosen):
        part = _Classification(self.signs[chosen] > 0)
        part.local = self.local[chosen]
        return part

    def choose(self, n, rng):
        """Draw rows in the proportions of the classes, and some rows of a rare class."""
        rows = [np.flatnonzero(self.signs < 0), np.flatnonzero(self.signs > 0)]
        rare = int(len(rows[1]) < len(rows[0]))
        n_rare = round(n * len(rows[rare]) / len(self.signs))
        n_rare = min(max(n_rare, min(_N_RARE, n // 2)), len(rows[rare]))
        chosen = [rows[rare][_choose(len(rows[rare]), n_rare, rng)]]
        others = rows[1 - rare]
        chosen.append(others[_choose(len(others), n - n_rare, rng)])
        return np.sort(np.concatenate(chosen))

    @property
    def omega(self):
        c = np.maximum(self.local, 1e-4)
        return np.tanh(c / 2) / (2 * c)

    @property
    def noise(self):
        return 1 / self.omega

    @property
    def targets(self):
        return self.signs / self.omega

    def targets_and_noise(self, theta, n_kernel):
        return self.targets, self.noise

    def update(self, training, theta):
        values, _ = training.value_and_parts(theta)
        self.iterate(_Exact(training.A, values, theta[None]).moments, 5)

    def iterate(self, moments, max_steps):
        """Find the local variables, with `moments` of the function at all labels."""
        for _ in range(max_steps):
            mean, variance = moments(self.targets, self.noise)
            before, self.local = self.local, np.sqrt(mean**2 + variance)
            if np.abs(self.local - before).max() < _LOCAL_TOLERANCE * (1 + self.local.max()):
                break

    def bound(self):
        """What the local variables add to the logarithm of the normal likelihood."""
        c, omega = self.local, self.omega
        return (
            -np.logaddexp(0, -c)
            - c / 2
            + omega * c**2 / 2
            + self.signs**2 / omega / 2
            + np.log(2 * np.pi / omega) / 2
        ).sum()


def _search(kernel, rows, labels, n_rows, max_iter, rng, tick):
    """Find large maxima of the marginal likelihood times prior.

    Returns
    -------
    thetas : ndarray of shape (n_searches, n_parameters)
    n_iter : int
        Iterations of all searches.
    """
    cost = kernel.cost(rows)
    n_rows = min(n_rows, _most_rows(_MAX_NUMBERS, cost), len(rows))
    n_first = min(n_rows, _most_rows(_MAX_FIRST_NUMBERS, cost), _N_FIRST_ROWS)
    first = labels.choose(n_first, rng)
    training = kernel.training(rows[first])
    found = []
    for _ in range(_N_STARTS):
        start = np.concatenate([kernel.start_parameters(rng), labels.start])
        found.append(_climb(training, labels.some(first), start, _N_FIRST_ITERATIONS, tick))
    n_iter = sum(one[2] for one in found)
    found.sort(key=lambda one: one[0])
    thetas, before = [], first
    for _, start, _ in found[:_N_CONTINUED]:
        chosen = labels.choose(n_rows, rng)
        if not np.array_equal(chosen, before):
            training, before = kernel.training(rows[chosen]), chosen
        _, theta, more = _climb(training, labels.some(chosen), start, max_iter, tick)
        thetas.append(theta)
        n_iter += more
    return np.array(thetas), n_iter


def _most_rows(n_numbers, n_for_a_pair):
    """Return the number of rows whose pairs have so many numbers."""
    return max(int(np.sqrt(n_numbers / n_for_a_pair)), 1)


def _climb(training, labels, start, max_iter, tick):
    """Return minus the logarithm of the posterior, the parameters and the iterations."""
    kernel = training.kernel
    n_kernel = kernel.n_parameters
    bounds = [_VARIANCE_BOUNDS] * kernel.n_terms
    bounds += [_VECTOR_BOUNDS] * (n_kernel - kernel.n_terms)
    bounds += [_NOISE_BOUNDS] * len(labels.start)
    theta, n_iter = start, 0
    for _ in range(labels.n_rounds):
        found = minimize(
            _negative_log_posterior,
            theta,
            (training, labels),
            "L-BFGS-B",
            jac=True,
            bounds=bounds,
            callback=tick,
            options={
                "maxiter": max(max_iter // labels.n_rounds, 1),
                "maxfun": 3 * max_iter // labels.n_rounds + 3,
            },
        )
        theta = found.x
        n_iter += found.nit
        value = found.fun - labels.bound()  # of the local variables that the search had
        labels.update(training, theta)
    return value, theta, n_iter


def _negative_log_posterior(theta, training, labels):
    """Return minus the logarithm of marginal likelihood times prior, and its gradient.

    See Rasmussen and Williams, "Gaussian processes for machine learning", equation 5.9.
    """
    kernel = training.kernel
    n, n_kernel = len(training.A), kernel.n_parameters
    parameters = theta[:n_kernel]
    y, noise = labels.targets_and_noise(theta, n_kernel)
    values, parts = training.value_and_parts(parameters)
    factor = _factor(values, noise)
    solution = dpotrs(factor, y, lower=1)[0]
    value = y @ solution / 2 + np.log(factor.diagonal()).sum() + n / 2 * np.log(2 * np.pi)
    weights = dpotri(factor, lower=1)[0]
    weights += np.tril(weights, -1).T
    weights -= np.outer(solution, solution)
    gradient = np.empty(len(theta))
    gradient[:n_kernel] = training.gradient(parts, weights, parameters) / 2
    if len(theta) > n_kernel:
        gradient[-1] = weights.diagonal() @ noise / 2
    difference = theta.copy()
    difference[: kernel.n_terms] -= kernel.prior_means
    difference[n_kernel:] -= labels.start
    return value + _PRIOR * difference @ difference, gradient + 2 * _PRIOR * difference


def _factor(values, noise):
    """Return the lower Cholesky factor of kernel values plus noise variances."""
    covariance = values.copy()
    jitter = _JITTER * values.diagonal().mean()
    for size in (jitter, 1e3 * jitter):
        covariance.flat[:: len(covariance) + 1] = values.diagonal() + noise + size
        # LAPACK counts columns first, and the transpose of a symmetric matrix is the matrix.
        factor, info = dpotrf(covariance.T, lower=1, clean=1)
        if info == 0:
            return factor
    raise np.linalg.LinAlgError(f"the leading minor {info} of the covariance is not positive")


def _choose(n, n_chosen, rng):
    return np.arange(n) if n_chosen >= n else np.sort(rng.choice(n, n_chosen, replace=False))


def _inference(kernel, rows, parameters, rng):
    """Return the exact posterior of some rows, or an approximate one of many."""
    n_images = kernel.n_images(rows)
    if len(rows) <= min(MAX_EXACT, _most_rows(_MAX_POSTERIOR_PAIRS, n_images)):
        return _Exact(rows, kernel.covariance(rows, rows, parameters), parameters)
    n_inducing = max(min(N_INDUCING, _MAX_POSTERIOR_PAIRS // (n_images * len(rows))), 1)
    inducing = rows[_choose(len(rows), n_inducing, rng)]
    return _Projection(kernel, rows, inducing, parameters)


class _Exact:
    """The exact posterior, for several labels and noises of the same rows."""

    def __init__(self, rows, values, parameters):
        self.rows = rows
        self.values = values
        self.parameters = parameters

    def moments(self, y, noise):
        """Return means and variances of the function at the rows."""
        factor = _factor(self.values, noise)
        inverse = dtrtrs(factor, np.eye(len(y)), lower=1)[0]
        mean = y - noise * dpotrs(factor, y, lower=1)[0]
        variance = noise - noise**2 * np.einsum("ij,ij->j", inverse, inverse)
        return mean, np.maximum(variance, 0.0)

    def posterior(self, y, noise, noise_variance, n_iter):
        factor = _factor(self.values, noise)
        solution = dpotrs(factor, y, lower=1)[0]
        return OrderingProcess(
            self.parameters, noise_variance, self.rows, factor, solution, None, n_iter
        )


class _Projection:
    """The posterior of a function given by its values at inducing rows (projected process).

    See Rasmussen and Williams, section 8.3.4.
    """

    def __init__(self, kernel, rows, inducing, parameters):
        self.inducing = inducing
        self.parameters = parameters
        self.variances = kernel.variances(rows, parameters)
        self.factor = _factor(kernel.covariance(inducing, inducing, parameters), 0.0)
        self.known = dtrtrs(self.factor, kernel.covariance(inducing, rows, parameters), lower=1)[0]

    def _inner(self, y, noise):
        weighted = self.known / noise
        inner = _factor(weighted @ self.known.T, 1.0)
        return inner, dpotrs(inner, weighted @ y, lower=1)[0]

    def moments(self, y, noise):
        """Return means and variances of the function at all rows."""
        inner, values = self._inner(y, noise)
        unknown = dtrtrs(inner, self.known, lower=1)[0]
        variance = self.variances - np.einsum("ij,ij->j", self.known, self.known)
        variance += np.einsum("ij,ij->j", unknown, unknown)
        return self.known.T @ values, np.maximum(variance, 0.0)

    def posterior(self, y, noise, noise_variance, n_iter):
        inner, values = self._inner(y, noise)
        solution = dtrtrs(self.factor, values, lower=1, trans=1)[0]
        return OrderingProcess(
            self.parameters, noise_variance, self.inducing, self.factor, solution, inner, n_iter
        )
