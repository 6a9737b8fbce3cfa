"""The kernel between orderings: its formula, its derivatives and its symmetry."""

from copy import copy
from itertools import permutations

import numpy as np
import pytest

from sklmat.gaussian_processes._ordering_kernel import OrderingKernel
from sklmat.gaussian_processes._site_vectors import SiteVectors

# Two orbits: three equivalent sites with three elements, and two with two elements.
GROUP = np.array([[*p, *q] for p in permutations(range(3)) for q in ((3, 4), (4, 3))])
ORBITS = np.array([0, 0, 0, 1, 1])


@pytest.fixture
def kernel():
    return OrderingKernel(ORBITS, [3, 2], GROUP)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return np.hstack([rng.integers(3, size=(12, 3)), rng.integers(2, size=(12, 2))]).astype(
        np.uint8
    )


@pytest.fixture
def parameters(kernel):
    return kernel.start_parameters(np.random.RandomState(1))[None]


def brute_force(a, b, parameters):
    """The kernel of two orderings, written out; two and one components of the vectors."""
    [parameters] = parameters
    variances, rest = np.exp(parameters[:3]), parameters[3:].reshape(3, 8)
    total = 0.0
    for term in range(3):
        tables = [rest[term, :6].reshape(3, 2), rest[term, 6:].reshape(2, 1)]
        if term < 2:
            values = []
            for g in GROUP:
                squared = sum(
                    ((tables[ORBITS[s]][a[s]] - tables[ORBITS[s]][b[g[s]]]) ** 2).sum()
                    for s in range(5)
                )
                values.append(np.exp(-squared))
            total += variances[term] * np.mean(values)
        else:
            squared = 0.0
            for orbit in range(2):
                sites = np.flatnonzero(orbit == ORBITS)
                c = [np.mean([tables[orbit][x[s]] for s in sites], axis=0) for x in (a, b)]
                squared += ((c[0] - c[1]) ** 2).sum()
            total += variances[term] * np.exp(-squared)
    return total


def test_formula(kernel, rows, parameters):
    expected = [[brute_force(a, b, parameters) for b in rows] for a in rows[:4]]
    np.testing.assert_allclose(kernel.covariance(rows[:4], rows, parameters), expected, rtol=1e-12)
    diagonal = [brute_force(a, a, parameters) for a in rows]
    np.testing.assert_allclose(kernel.variances(rows, parameters), diagonal, rtol=1e-12)
    values, _ = kernel.training(rows).value_and_parts(parameters[0])
    np.testing.assert_allclose(values, kernel.covariance(rows, rows, parameters), rtol=1e-12)


def test_mean_of_kernels(kernel, rows, parameters):
    other = kernel.start_parameters(np.random.RandomState(2))[None]
    both = np.concatenate([parameters, other])
    expected = (
        kernel.covariance(rows, rows, parameters) + kernel.covariance(rows, rows, other)
    ) / 2
    np.testing.assert_allclose(kernel.covariance(rows, rows, both), expected, rtol=1e-12)
    np.testing.assert_allclose(kernel.variances(rows, both), expected.diagonal(), rtol=1e-12)


def test_no_permutation_changes_it(kernel, rows, parameters):
    values = kernel.covariance(rows, rows, parameters)
    for g in GROUP:
        moved = kernel.covariance(rows[:, g], rows, parameters)
        np.testing.assert_allclose(moved, values, rtol=1e-12)
    # Another permutation does.
    other = kernel.covariance(rows, rows[:, [0, 1, 3, 2, 4]] % 2, parameters)
    assert np.abs(other - values).max() > 0.1


def test_sites_with_one_element_in_all_rows_save_images(kernel, rows):
    assert kernel.n_images(rows) == 12
    same = rows.copy()
    same[:, 4] = same[:, 3]
    assert kernel.n_images(same) == 6
    same[:, :3] = same[:, :1]
    assert kernel.n_images(same) == 1


def check_gradient(kernel, rows, parameters):
    weights = np.random.default_rng(2).normal(size=(len(rows), len(rows)))
    weights += weights.T
    training = kernel.training(rows)
    _, parts = training.value_and_parts(parameters[0])
    gradient = training.gradient(parts, weights, parameters[0])
    for number in range(kernel.n_parameters):
        step = np.zeros(kernel.n_parameters)
        step[number] = 1e-6
        up, down = (kernel.covariance(rows, rows, parameters + sign * step) for sign in (1, -1))
        assert gradient[number] == pytest.approx(np.vdot(weights, up - down) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("kept", [10**9, 0])
def test_gradient(kernel, rows, parameters, kept, monkeypatch):
    monkeypatch.setattr("sklmat.gaussian_processes._site_vectors._MAX_KEPT", kept)
    rows[:5, 4] = rows[:5, 3]
    check_gradient(kernel, rows, parameters)


@pytest.fixture
def two_elements():
    """Two orbits of two elements each, and 48 permutations; the last site is always the same."""
    group = [[*p, *(4 + np.array(q)), 6] for p in permutations(range(4)) for q in ((0, 1), (1, 0))]
    orbits, n_elements = np.array([0, 0, 0, 0, 2, 2, 1]), [2, 1, 2]
    kernel = OrderingKernel(orbits, n_elements, np.array(group))
    rows = np.random.default_rng(3).integers(2, size=(15, 7)).astype(np.uint8)
    rows[:, 6] = 0
    return kernel, rows, kernel.start_parameters(np.random.RandomState(4))[None]


@pytest.mark.parametrize("block", [500_000, 40])
def test_differing_sites_are_the_same_kernel(two_elements, block, monkeypatch):
    monkeypatch.setattr("sklmat.gaussian_processes._differing_sites._BLOCK", block)
    kernel, rows, parameters = two_elements
    assert kernel.cost(rows) == 5 * 3 + round(48 / 20)
    general = copy(kernel)
    general.sites = SiteVectors(kernel.orbits, kernel.permutations)
    assert general.cost(rows) == 48
    expected = general.covariance(rows[:4], rows, parameters)
    np.testing.assert_allclose(kernel.covariance(rows[:4], rows, parameters), expected, rtol=1e-12)
    np.testing.assert_allclose(
        kernel.variances(rows, parameters), general.variances(rows, parameters), rtol=1e-12
    )
    expected = general.training(rows).value_and_parts(parameters[0])[0]
    found = kernel.training(rows).value_and_parts(parameters[0])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gradient_of_differing_sites(two_elements):
    check_gradient(*two_elements)


def test_start_distances(kernel):
    """Two random orderings have the mean squared distances 2, 1 and, for the means, 2."""
    tables = kernel.tables(kernel.start_parameters(np.random.RandomState(0)), 0)
    squared = [((t[:, None] - t) ** 2).sum(-1).mean() for t in tables]
    assert 3 * squared[0] + 2 * squared[1] == pytest.approx(2.0)


def test_no_site_varies():
    kernel = OrderingKernel(np.zeros(2, dtype=int), [1], np.array([[0, 1], [1, 0]]))
    rows = np.zeros((3, 2), dtype=np.uint8)
    parameters = kernel.start_parameters(np.random.RandomState(0))
    assert len(parameters) == 3
    training = kernel.training(rows)
    values, parts = training.value_and_parts(parameters)
    np.testing.assert_allclose(values, np.exp(parameters).sum())
    gradient = training.gradient(parts, np.ones((3, 3)), parameters)
    np.testing.assert_allclose(gradient, 9 * np.exp(parameters))
