"""Gradients by positions and strain are finite differences."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from attacked import ECNET, TINY, lengths
from crystals import random_alloys, sparse_cell

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetClassifier,
    ECNetRegressor,
    StructureAttack,
    load_cgcnn_checkpoint,
)
from sklmat.adversarial._attack_run import AttackRun
from sklmat.graphs import move_atoms
from sklmat.perturbations import perturbation_gradient


def error_at(model, graphs, reference, displacement, strain):
    """How wrong the model is, by distances in double precision."""
    moved = move_atoms(graphs, displacement, strain)
    distance = np.linalg.norm(moved.edge_vectors, axis=1)
    moved = replace(moved, edge_distance=distance)
    return model.error(model.outputs(moved), reference), distance


def doubled(estimator):
    """The same networks, computing in double precision."""
    estimator = copy.deepcopy(estimator)
    for net in estimator.nets_:
        net.module_.double()
    return estimator


def check_gradients(estimator, X, y, rel):
    """Compare the derivatives by positions and strain with central differences."""
    estimator = doubled(estimator)
    run = AttackRun(StructureAttack(), estimator, X)
    model, graphs, reference = run.network, run.graphs, run.reference(y)
    rng = np.random.default_rng(0)
    u = rng.normal(scale=0.02, size=graphs.positions.shape)
    e = rng.normal(scale=0.01, size=(len(graphs), 3, 3))
    e = (e + e.swapaxes(1, 2)) / 2
    moved = move_atoms(graphs, u, e)
    _, error, distance_gradient = model.gradient(moved, reference)
    by_displacement, by_strain = perturbation_gradient(moved, e, distance_gradient)
    np.testing.assert_allclose(error, error_at(model, graphs, reference, u, e)[0], rtol=1e-4)
    assert np.abs(by_displacement).max() > 1e-3
    h, compared = 2e-4, 0
    is_ecnet = isinstance(estimator, ECNetRegressor | ECNetClassifier)
    for what, n in (("position", 10), ("strain", 6)):
        for _ in range(n):
            du, de = np.zeros_like(u), np.zeros_like(e)
            if what == "position":
                atom = rng.integers(len(u))
                du[atom] = rng.normal(size=3)
                expected = (by_displacement * du).sum()
            else:
                crystal = rng.integers(len(graphs))
                de[crystal] = rng.normal(size=(3, 3))
                de = (de + de.swapaxes(1, 2)) / 2
                expected = (by_strain * de).sum()
            up, far = error_at(model, graphs, reference, u + h * du, e + h * de)
            down, near = error_at(model, graphs, reference, u - h * du, e - h * de)
            # The interpolation of ECNet has a kink at each grid point.
            if (
                is_ecnet
                and (
                    np.floor(far / estimator.radial_step) != np.floor(near / estimator.radial_step)
                ).any()
            ):
                continue
            found = (up - down).sum() / (2 * h)
            scale = np.abs(by_displacement if what == "position" else by_strain).max()
            assert found == pytest.approx(expected, rel=rel, abs=rel * scale)
            compared += 1
    assert compared >= 6


def test_gradients_of_a_regressor_are_finite_differences(regressor, cells, a):
    check_gradients(regressor, cells[:3], a[:3] + 0.3, 1e-4)


def test_gradients_of_several_targets_are_finite_differences(cells, a):
    y = np.column_stack([a, -100 * a**2])
    model = CGCNNRegressor(**TINY, max_epochs=3, n_ensemble=2).fit(cells, y)
    check_gradients(model, cells[:3], y[3:6], 1e-4)


def test_gradients_of_an_ensemble_of_classifiers_are_finite_differences(cells, a):
    y = np.digitize(a, [2.8, 3.0])
    model = CGCNNClassifier(**TINY, max_epochs=3, n_ensemble=2).fit(cells, y)
    check_gradients(model, cells[:4], y[:4], 1e-4)
    check_gradients(model, cells[-4:], None, 1e-4)


@pytest.mark.parametrize("interpolation", [{"radial_spread": False}, {"radial_spread": True}])
def test_gradients_of_ecnet_are_finite_differences(interpolation, cells, a, labels):
    model = ECNetRegressor(**ECNET, max_epochs=3, **interpolation).fit(cells, a)
    check_gradients(model, cells[:3], a[:3] + 0.3, 1e-2)
    model = ECNetClassifier(**ECNET, max_epochs=3, **interpolation).fit(cells, labels)
    check_gradients(model, cells[:3], labels[:3], 1e-2)


@pytest.mark.parametrize("name", ["band-gap", "semi-metal-classification"])
def test_gradients_of_networks_with_padded_neighbours_are_finite_differences(name, data_home):
    home = data_home / "cgcnn"
    atom_init = home / "data" / "sample-regression" / "atom_init.json"
    path = home / "pre-trained" / f"{name}.pth.tar"
    model = load_cgcnn_checkpoint(path, atom_init=atom_init)
    cells = [sparse_cell(), *random_alloys(1)]
    check_gradients(model, cells, None, 1e-3)
    for neighbors in ("rebuilt", "fixed"):
        attack = StructureAttack(model, budget=0.3, neighbor_list=neighbors, n_steps=2)
        moved = attack.generate(cells)
        np.testing.assert_allclose(np.max(lengths(moved, cells)), 0.3, rtol=1e-6)
