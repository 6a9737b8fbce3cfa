"""Attacks: right gradients, budgets obeyed, and examples that fool the estimator itself."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from crystals import b2_cscl, bcc_fe, isolated_ne, random_alloys, rattled_cells, rocksalt_nacl
from pymatgen.analysis.local_env import MinimumDistanceNN
from pymatgen.core import Lattice, Structure
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetClassifier,
    ECNetRegressor,
    StructureAttack,
    StructureToGraph,
    find_adversarial_examples,
    load_cgcnn_checkpoint,
    perturb_structures,
    robustness_curve,
)
from sklmat.adversarial._attack_methods import METHODS, AttackMethod
from sklmat.adversarial._attack_run import AttackRun
from sklmat.adversarial._attack_state import AttackState, evaluate, keep_worse
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.adversarial._perturbation_bounds import PerturbationBounds, perturbation_gradient
from sklmat.adversarial._prediction_error import Reference
from sklmat.exceptions import InvalidStructureError
from sklmat.graphs import CrystalGraphs, move_atoms

TINY = {"hidden_dim": 8, "n_conv": 2, "batch_size": 8, "random_state": 0}
ECNET = {"hidden_dim": 8, "n_conv": 1, "batch_size": 8, "random_state": 0, "n_ensemble": 2}


@pytest.fixture(scope="module")
def cells():
    return rattled_cells(40)[0]


@pytest.fixture(scope="module")
def a():
    return rattled_cells(40)[1]


@pytest.fixture(scope="module")
def labels(a):
    return np.where(a > 2.9, "loose", "dense")


@pytest.fixture(scope="module")
def classifier(cells, labels):
    return CGCNNClassifier(**TINY, max_epochs=25).fit(cells, labels)


@pytest.fixture(scope="module")
def regressor(cells, a):
    return CGCNNRegressor(**TINY, max_epochs=25).fit(cells, a)


@pytest.fixture(scope="module")
def ecnet(cells, labels):
    return ECNetClassifier(**ECNET, max_epochs=8).fit(cells, labels)


def displacements(moved, cells):
    """Atom by atom (Å); where atoms are free to leave the cell, they are not wrapped."""
    return [m.cart_coords - c.cart_coords for m, c in zip(moved, cells)]


def lengths(moved, cells):
    return np.concatenate([np.linalg.norm(u, axis=1) for u in displacements(moved, cells)])


# Gradients ----------------------------------------------------------------------------------------


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
    from test_checkpoints import sparse_cell

    home = data_home / "cgcnn"
    atom_init = home / "data" / "sample-regression" / "atom_init.json"
    path = home / "pre-trained" / f"{name}.pth.tar"
    model = load_cgcnn_checkpoint(path, atom_init=atom_init)
    cells = [sparse_cell(), *random_alloys(1)]
    check_gradients(model, cells, None, 1e-3)
    for neighbors in ("rebuilt", "fixed"):
        attack = StructureAttack(model, budget=0.3, neighbors=neighbors, n_steps=2)
        moved = attack.generate(cells)
        np.testing.assert_allclose(np.max(lengths(moved, cells)), 0.3, rtol=1e-6)


# Budgets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("neighbors", ["rebuilt", "fixed"])
def test_the_budget_is_each_atoms_displacement_without_drift(
    method, neighbors, classifier, cells, labels
):
    attack = StructureAttack(
        classifier, method=method, budget=0.07, neighbors=neighbors, random_state=0
    )
    moved = attack.generate(cells[:10], labels[:10])
    assert lengths(moved, cells).max() <= 0.07 + 1e-12
    for u, m, c in zip(displacements(moved, cells), moved, cells):
        np.testing.assert_allclose(u.mean(axis=0), 0, atol=1e-3 * 0.07)
        np.testing.assert_array_equal(m.lattice.matrix, c.lattice.matrix)
        # Someone goes as far as allowed, or nearly: what all do alike does not count.
        assert np.linalg.norm(u, axis=1).max() > (0.5 if method == "random" else 0.95) * 0.07


@pytest.mark.parametrize("method", METHODS)
def test_strain_is_symmetric_and_bounded_in_its_frobenius_norm(method, regressor, cells, a):
    attack = StructureAttack(regressor, method=method, budget=0.0, strain=0.03, random_state=0)
    moved = attack.generate(cells[:6], a[:6])
    norms = []
    for m, c in zip(moved, cells):
        strain = np.linalg.solve(c.lattice.matrix, m.lattice.matrix) - np.eye(3)
        np.testing.assert_allclose(strain, strain.T, atol=1e-12)
        norms.append(np.linalg.norm(strain))
        # The atoms only go along.
        np.testing.assert_allclose(m.frac_coords, c.frac_coords, atol=1e-12)
    np.testing.assert_allclose(norms, 0.03, rtol=1e-9)


def test_both_budgets_are_used_together(regressor, cells, a):
    moved = StructureAttack(regressor, budget=0.05, strain=0.02).generate(cells[:4], a[:4])
    for m, c in zip(moved, cells):
        deform = np.linalg.solve(c.lattice.matrix, m.lattice.matrix)
        # x -> (x + u)(1 + strain)
        u = m.cart_coords @ np.linalg.inv(deform) - c.cart_coords
        assert 0.04 < np.linalg.norm(u, axis=1).max() <= 0.05 + 1e-9
        assert 0.015 < np.linalg.norm(deform - np.eye(3)) <= 0.02 + 1e-9


def naive_fgsm(graphs, gradient, budget):
    """Per-atom normalised gradient, then balls and zero mean in turn, crystal by crystal."""
    steps = []
    for c in range(len(graphs)):
        g = gradient[graphs.atom_ptr[c] : graphs.atom_ptr[c + 1]]
        u = np.array([budget * row / np.sqrt(row @ row) for row in g])
        for _ in range(3):
            u = np.array([row * min(1, budget / np.sqrt(row @ row)) for row in u])
            u = u - u.mean(axis=0)
        steps.append(u * min(1, budget / np.sqrt((u**2).sum(axis=1)).max()))
    return np.concatenate(steps)


def test_fgsm_is_the_normalised_gradient_of_each_atom(regressor, cells, a):
    cells, a = cells[:3], a[:3] - 0.5  # all predictions are too large: the error grows with them
    graphs = StructureToGraph().transform(cells)
    module = regressor.net_.module_
    gradient, h = np.zeros_like(graphs.positions), 5e-3
    with torch.no_grad():
        for k in np.ndindex(*gradient.shape):
            u = np.zeros_like(gradient)
            u[k] = h
            up, down = (regressor.predict(move_atoms(graphs, s * u)).sum() for s in (1, -1))
            gradient[k] = up - down
    assert not module.training
    moved = StructureAttack(regressor, method="fgsm", budget=0.1).generate(cells, a)
    u = np.concatenate(displacements(moved, cells))
    np.testing.assert_allclose(u, naive_fgsm(graphs, gradient, 0.1), atol=0.004)


def rotated(cell, matrix):
    return Structure(
        Lattice(cell.lattice.matrix @ matrix.T),
        cell.species,
        cell.cart_coords @ matrix.T,
        coords_are_cartesian=True,
    )


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_the_attack_turns_with_the_crystal(method, regressor, cells, a):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    turned = [rotated(c, turn) for c in cells[:4]]
    attack = StructureAttack(regressor, method=method, budget=0.05, strain=0.01, n_steps=2)
    here = displacements(attack.generate(cells[:4], a[:4]), cells)
    there = displacements(attack.generate(turned, a[:4]), turned)
    for u, v in zip(here, there):
        np.testing.assert_allclose(u @ turn.T, v, atol=1e-3)


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_the_attack_does_not_depend_on_origin_or_order_of_the_atoms(method, regressor, cells, a):
    order = np.array([2, 0, 3, 1])
    shifted = [
        Structure(
            c.lattice,
            [c.species[i] for i in order],
            c.cart_coords[order] + [0.3, -0.2, 1.1],
            coords_are_cartesian=True,
        )
        for c in cells[:4]
    ]
    attack = StructureAttack(regressor, method=method, budget=0.05, n_steps=2)
    here = displacements(attack.generate(cells[:4], a[:4]), cells)
    there = displacements(attack.generate(shifted, a[:4]), shifted)
    for u, v in zip(here, there):
        np.testing.assert_allclose(u[order], v, atol=1e-3)


def wrongness(estimator, X, y):
    """By the estimator's own predictions: log-odds against the right class, or absolute error."""
    if hasattr(estimator, "classes_"):
        p = estimator.predict_proba(X).astype(float)
        right = p[np.arange(len(p)), np.searchsorted(estimator.classes_, y)]
        return np.log((1 - right) / right)
    return np.abs(estimator.predict(X) - y)


@pytest.mark.parametrize("name", ["classifier", "regressor", "ecnet"])
def test_pgd_is_never_less_wrong_than_fgsm(name, request, cells, a, labels):
    model, y = request.getfixturevalue(name), a if name == "regressor" else labels
    clean = wrongness(model, cells, y)
    after = {}
    for method in METHODS:
        attack = StructureAttack(model, method=method, budget=0.02, n_draws=5, random_state=0)
        after[method] = wrongness(model, attack.generate(cells, y), y)
    slack = 1e-4 * np.abs(clean).max()
    assert (after["pgd"] >= after["fgsm"] - slack).all()
    assert (after["pgd"] >= clean - slack).all()
    assert after["pgd"].mean() > after["fgsm"].mean() > clean.mean()
    assert after["pgd"].mean() > after["random"].mean()
    assert (after["pgd"] > clean).mean() > 0.9


def test_more_draws_are_never_less_wrong(regressor, cells, a):
    one, many = (
        StructureAttack(regressor, method="random", n_draws=n, random_state=0).generate(cells, a)
        for n in (1, 8)
    )
    slack = 1e-6
    assert (wrongness(regressor, many, a) >= wrongness(regressor, one, a) - slack).all()
    assert wrongness(regressor, many, a).mean() > wrongness(regressor, one, a).mean()


def test_without_y_predictions_move_away_from_what_they_were(classifier, regressor, cells):
    was = classifier.predict_proba(cells).max(axis=1)
    predicted = classifier.predict(cells)
    moved = StructureAttack(classifier, budget=0.05).generate(cells)
    np.testing.assert_array_equal(
        lengths(moved, cells),
        lengths(StructureAttack(classifier, budget=0.05).generate(cells, predicted), cells),
    )
    now = classifier.predict_proba(moved)[
        np.arange(len(cells)), np.searchsorted(classifier.classes_, predicted)
    ]
    assert (now <= was + 1e-6).all()
    moved = StructureAttack(regressor, method="fgsm", budget=0.005).generate(cells)
    assert (regressor.predict(moved) > regressor.predict(cells)).mean() > 0.9


def test_of_several_targets_the_worst_in_standard_deviations_is_moved(cells, a):
    """In their own units the second target would be all that counts."""
    y = np.column_stack([a, 1e6 * np.sin(40 * a)])
    model = CGCNNRegressor(**TINY, max_epochs=5).fit(cells, y)
    off = y + np.array([0.5, 0])  # the first one is far off, the second one never is by as much
    clean = np.abs(model.predict(cells) - off) / model.y_scale_
    first = clean[:, 0] > clean[:, 1] + 0.5
    assert first.sum() > 10
    moved = StructureAttack(model, budget=0.01, method="fgsm").generate(cells, off)
    after = np.abs(model.predict(moved) - off) / model.y_scale_
    assert (after[first, 0] > clean[first, 0]).mean() > 0.9


# Physical distances -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_no_two_atoms_come_closer_than_min_distance(method, regressor, cells, a):
    def closest(structures):
        return np.array([s.distance_matrix[~np.eye(len(s), dtype=bool)].min() for s in structures])

    free = StructureAttack(
        regressor, method=method, budget=0.15, random_state=0, min_distance=0.0
    ).generate(cells, a)
    limit = 2.25
    assert (closest(free) < limit).sum() > 3  # or it would not bind
    held = StructureAttack(
        regressor, method=method, budget=0.15, random_state=0, min_distance=limit
    ).generate(cells, a)
    already = closest(cells)
    assert (already < limit).any()
    # Pairs that are closer come no closer.
    assert (closest(held) >= np.minimum(limit, already) - 1e-5).all()
    far = closest(cells) > limit + 0.3
    assert far.sum() > 5
    for k in np.flatnonzero(far):  # where it does not bind, it changes nothing
        np.testing.assert_allclose(held[k].cart_coords, free[k].cart_coords, atol=1e-6)


def test_default_distance_is_a_multiple_of_the_covalent_radii():
    # Cs 2.44 + Cl 1.02 Å: 0.7 of it is 2.42.
    cell = Structure(Lattice.cubic(10), ["Cs", "Cl"], [[0, 0, 0], [0.26, 0, 0]])
    graphs = StructureToGraph().transform([cell])
    bounds = PerturbationBounds.around(graphs, 0.4)
    together = np.array([[0.4, 0, 0], [-0.4, 0, 0]])
    moved, _ = bounds.project(together, np.zeros((1, 3, 3)))
    # 2.6 - 0.8 and 2.6 - 0.4 are too close; 2.6 - 0.2 is, 2.6 - 0.1 is not.
    np.testing.assert_allclose(moved, together / 8)
    apart, _ = bounds.project(-together, np.zeros((1, 3, 3)))
    np.testing.assert_allclose(apart, -together)


def test_no_distance_at_all_still_leaves_readable_crystals():
    cell = Structure(Lattice.cubic(10), ["H", "H"], [[0, 0, 0], [0.06, 0, 0]])
    graphs = StructureToGraph().transform([cell])
    bounds = PerturbationBounds.around(graphs, 0.1, min_distance=0.0)
    together = np.array([[0.1, 0, 0], [-0.1, 0, 0]])
    moved, _ = bounds.project(together, np.zeros((1, 3, 3)))
    np.testing.assert_allclose(moved, together / 2)  # 0.6 - 0.2 is under 0.5, 0.6 - 0.1 is not


def test_strain_brings_in_neighbours_from_beyond_the_cutoff():
    cell = Structure(Lattice.cubic(5.53), ["Cu"], [[0, 0, 0]])
    graphs = StructureToGraph(cutoff=5.0).transform([cell])
    assert graphs.n_edges.tolist() == [0]
    squeeze = np.zeros((1, 3, 3))
    squeeze[0, 0, 0] = -0.1  # 4.98 Å along x
    bounds = PerturbationBounds.around(graphs, 0.0, strain=0.1)
    moved = bounds.perturb(np.zeros((1, 3)), squeeze)
    assert moved.n_edges.tolist() == [2]


# What goes in and comes out -----------------------------------------------------------------------


def test_rebuilt_and_fixed_differ_in_the_neighbours_they_see(cells):
    """An atom at the edge of the cutoff: only rebuilt neighbours notice that it may leave."""
    graphs = StructureToGraph(max_neighbors=4).transform(cells[:2])
    u = np.random.default_rng(0).normal(scale=0.1, size=graphs.positions.shape)
    none = np.zeros((2, 3, 3))
    rebuilt = PerturbationBounds.around(graphs, 0.5).perturb(u, none)
    fixed = PerturbationBounds.around(graphs, 0.5, neighbors="fixed").perturb(u, none)
    np.testing.assert_array_equal(fixed.edge_source, graphs.edge_source)
    np.testing.assert_array_equal(fixed.edge_image, graphs.edge_image)
    moved = [
        Structure(
            c.lattice,
            c.species,
            c.cart_coords + v,
            coords_are_cartesian=True,
        )
        for c, v in zip(cells, np.split(u, 2))
    ]
    anew = StructureToGraph(max_neighbors=4).transform(moved)
    np.testing.assert_array_equal(rebuilt.edge_distance, anew.edge_distance)
    assert not np.array_equal(np.sort(fixed.edge_distance), np.sort(anew.edge_distance))


def test_inputs_are_left_alone(classifier, cells, labels):
    given = [c.copy() for c in cells[:5]]
    graphs = StructureToGraph().transform(given)
    before = {k: v.copy() for k, v in vars(graphs).items() if isinstance(v, np.ndarray)}
    y = labels[:5].copy()
    weights = {k: v.clone() for k, v in classifier.net_.module_.state_dict().items()}
    for X in (given, graphs):
        StructureAttack(classifier, strain=0.02).generate(X, y)
        find_adversarial_examples(classifier, X, y, scale=0.2)
        perturb_structures(X, 0.05, strain=0.02)
    assert given == cells[:5]
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(graphs, name), array)
    for name, value in classifier.net_.module_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert all(p.requires_grad for p in classifier.net_.module_.parameters())
    assert not classifier.net_.module_.training


def test_what_a_structure_carries_is_kept(classifier):
    lattice = Lattice(np.diag([2.9, 2.9, 12.0]), pbc=(True, True, False))
    cell = Structure(
        lattice,
        ["Fe2+", "Al3+"],
        [[0, 0, 0.4], [0.5, 0.5, 0.52]],
        charge=5,
        site_properties={"magmom": [2.2, 0.1]},
        labels=["Fe1", "Al1"],
        properties={"id": "slab-7"},
    )
    attack = StructureAttack(classifier, strain=0.01)
    for moved in (*attack.generate([cell]), *perturb_structures([cell], 0.05, strain=0.01)):
        assert moved.lattice.pbc == (True, True, False)
        assert [s.species_string for s in moved] == ["Fe2+", "Al3+"]
        assert moved.site_properties["magmom"] == [2.2, 0.1]
        assert moved.labels == ["Fe1", "Al1"]
        assert moved.properties == {"id": "slab-7"}
        assert moved._charge == 5
        assert not np.allclose(moved.cart_coords, cell.cart_coords)


@pytest.mark.parametrize("method", METHODS)
def test_graphs_come_back_as_graphs_and_say_the_same(method, classifier, cells, labels):
    graphs = StructureToGraph().transform(cells[:6])
    attack = StructureAttack(classifier, method=method, budget=0.06, strain=0.02, random_state=3)
    of_graphs = attack.generate(graphs, labels[:6])
    of_structures = attack.generate(cells[:6], labels[:6])
    assert isinstance(of_graphs, CrystalGraphs)
    again = StructureToGraph().transform(of_structures)
    np.testing.assert_allclose(of_graphs.positions, again.positions, atol=1e-9)
    np.testing.assert_array_equal(of_graphs.n_edges, again.n_edges)
    np.testing.assert_allclose(
        classifier.predict_proba(of_graphs), classifier.predict_proba(again), rtol=1e-5
    )


def test_graphs_of_a_strategy_are_attacked_with_fixed_neighbours_only(cells, a):
    make = StructureToGraph(neighbors=MinimumDistanceNN(tol=0.3))
    graphs = make.transform(cells[:10])
    model = CGCNNRegressor(**TINY, max_epochs=2).fit(graphs, a[:10])
    with pytest.raises(ValueError, match="neighbors='fixed'"):
        StructureAttack(model).generate(graphs)
    moved = StructureAttack(model, neighbors="fixed").generate(graphs, a[:10])
    np.testing.assert_array_equal(moved.edge_source, graphs.edge_source)
    assert (wrongness(model, moved, a[:10]) > wrongness(model, graphs, a[:10])).mean() > 0.8
    with pytest.raises(ValueError, match="pass CrystalGraphs"):
        StructureAttack(model, neighbors="fixed").generate(cells[:2])


def test_symmetry_leaves_no_gradient_and_pgd_breaks_it(classifier):
    cell = Structure(Lattice.cubic(2.85), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3])
    (still,) = StructureAttack(classifier, method="fgsm", budget=0.2).generate([cell])
    np.testing.assert_array_equal(still.cart_coords, cell.cart_coords)
    (moved,) = StructureAttack(classifier, budget=0.2).generate([cell])
    assert lengths([moved], [cell]).max() > 0.01
    y = classifier.predict([cell])
    assert wrongness(classifier, [moved], y) > wrongness(classifier, [cell], y)


def test_atoms_that_cannot_move_stay(regressor):
    lone, pair = Structure(Lattice.cubic(30.0), ["Fe"], [[0, 0, 0]]), bcc_fe()
    for method in METHODS:
        moved = StructureAttack(regressor, method=method, random_state=0).generate([lone, pair])
        np.testing.assert_array_equal(moved[0].cart_coords, lone.cart_coords)
        (alone,) = StructureAttack(regressor, method=method, random_state=0).generate([lone])
        np.testing.assert_array_equal(alone.cart_coords, lone.cart_coords)


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_other_rows_do_not_matter(method, classifier, cells, labels):
    attack = StructureAttack(classifier, method=method, budget=0.05, n_steps=2)
    rows = np.array([7, 3, 21])
    all_of_them = attack.generate(cells, labels)
    some = attack.generate([cells[i] for i in rows], labels[rows])
    for k, row in enumerate(rows):
        np.testing.assert_allclose(some[k].cart_coords, all_of_them[row].cart_coords, atol=1e-4)


def test_same_seed_same_draws(classifier, cells):
    attack = StructureAttack(classifier, method="random", random_state=5)
    first, second = attack.generate(cells[:3]), attack.generate(cells[:3])
    other = StructureAttack(classifier, method="random", random_state=6).generate(cells[:3])
    assert first == second
    assert first != other


# Errors -------------------------------------------------------------------------------------------


def test_what_an_attack_cannot_do_it_says(classifier, regressor, cells, a, labels):
    attack = StructureAttack(classifier)
    with pytest.raises(ValueError, match="no estimator to attack"):
        StructureAttack().generate(cells)
    with pytest.raises(NotFittedError):
        StructureAttack(CGCNNClassifier()).generate(cells)
    with pytest.raises(TypeError, match=r"graph estimator.*got LogisticRegression"):
        StructureAttack(LogisticRegression()).generate(cells)
    with pytest.raises(ValueError, match="40 structures and y has 39 rows"):
        attack.generate(cells, labels[:-1])
    with pytest.raises(ValueError, match="row 2 has the class 'solid'"):
        attack.generate(cells[:3], ["loose", "dense", "solid"])
    with pytest.raises(ValueError, match=r"missing|NaN"):
        StructureAttack(regressor).generate(cells[:2], [1.0, np.nan])
    with pytest.raises(ValueError, match="2 targets, the estimator 1"):
        StructureAttack(regressor).generate(cells[:2], np.ones((2, 2)))
    with pytest.raises(ValueError, match="0 structures"):
        attack.generate([])
    with pytest.raises(ValueError, match="method"):
        StructureAttack(classifier, method="PGD").generate(cells)
    with pytest.raises(ValueError, match="budget"):
        StructureAttack(classifier, budget=-0.1).generate(cells)
    with pytest.raises(InvalidStructureError, match="structure 1"):
        attack.generate([cells[0], "not a file"])


def test_elements_without_a_vector_are_refused(cells, a):
    table = {26: [1.0, 0.0], 13: [0.0, 1.0]}
    model = CGCNNRegressor(**TINY, atom_init=table, max_epochs=1).fit(cells, a)
    with pytest.raises(ValueError, match=r"structure 1 .*without a vector"):
        StructureAttack(model).generate([cells[0], b2_cscl()])
    model = ECNetRegressor(**ECNET, atom_init="onehot", max_epochs=1).fit(cells, a)
    for attack in (StructureAttack(model).generate, lambda X: model.predict(X)):
        with pytest.raises(ValueError, match="structure 1 contains Cs"):
            attack([cells[0], b2_cscl()])


def test_frozen_estimators_are_attacked_like_their_own(classifier, cells, labels):
    frozen = FrozenEstimator(classifier)
    ours = StructureAttack(frozen).generate(cells[:3], labels[:3])
    assert ours == StructureAttack(classifier).generate(cells[:3], labels[:3])
    assert AttackedNetwork.fitted(frozen).model.estimator is classifier


# Random noise -------------------------------------------------------------------------------------


def test_gaussian_noise_has_its_standard_deviation():
    cell = rocksalt_nacl() * (2, 2, 2)  # 64 atoms
    moved = perturb_structures([cell] * 40, 0.03, random_state=0)
    u = np.array(displacements(moved, [cell] * 40))
    # Without the drift of 64 atoms, a 64th of the variance is missing.
    assert u.std() == pytest.approx(0.03 * np.sqrt(63 / 64), rel=0.02)
    assert np.abs(u).max() > 0.08  # tails
    np.testing.assert_allclose(u.mean(axis=1), 0, atol=1e-12)
    # Directions are alike.
    assert u.reshape(-1, 3).std(axis=0) == pytest.approx(0.03, rel=0.05)


def test_uniform_noise_fills_a_ball():
    cell = rocksalt_nacl() * (2, 2, 2)
    moved = perturb_structures([cell] * 40, 0.1, distribution="uniform", random_state=0)
    r = lengths(moved, [cell] * 40)
    assert r.max() <= 0.1 + 1e-12
    # P(r < x) = (x / R)^3: median 0.794 R.
    assert np.median(r) == pytest.approx(0.1 * 0.5 ** (1 / 3), rel=0.02)


def test_noise_strains_by_the_norm_asked_for(cells):
    moved = perturb_structures(cells, 0.0, strain=0.02, random_state=0)
    for m, c in zip(moved, cells):
        strain = np.linalg.solve(c.lattice.matrix, m.lattice.matrix) - np.eye(3)
        assert np.linalg.norm(strain) == pytest.approx(0.02, rel=1e-6)
        np.testing.assert_allclose(m.frac_coords, c.frac_coords, atol=1e-12)


def test_noise_is_seeded_and_says_what_it_cannot_do(cells):
    a, b, c = (perturb_structures(cells[:3], 0.05, random_state=s) for s in (0, 0, 1))
    assert a == b
    assert a != c
    graphs = perturb_structures(StructureToGraph().transform(cells[:3]), 0.05, random_state=0)
    np.testing.assert_allclose(
        graphs.positions, np.concatenate([s.cart_coords for s in a]), atol=1e-12
    )
    assert perturb_structures([], 0.05) == []
    for wrong in ({"scale": -1}, {"scale": np.nan}, {"strain": 0.6}, {"distribution": "normal"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            perturb_structures(cells, **wrong)


def test_noise_keeps_atoms_apart():
    cell = Structure(Lattice.cubic(4.0), ["H", "H"], [[0, 0, 0], [0.2, 0, 0]])
    moved = perturb_structures([cell] * 50, 0.3, min_distance=0.7, random_state=0)
    closest = np.array([m.distance_matrix[0, 1] for m in moved])
    assert closest.min() >= 0.7 - 1e-5
    wild = perturb_structures([cell] * 50, 0.3, min_distance=0.0, random_state=0)
    assert min(m.distance_matrix[0, 1] for m in wild) < 0.7


# Adversarial examples -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["classifier", "ecnet"])
def test_examples_are_right_when_clean_and_wrong_when_perturbed(
    method, name, request, cells, labels
):
    model, scale = request.getfixturevalue(name), 0.15 if name == "classifier" else 0.4
    table = find_adversarial_examples(
        model, cells, labels, method=method, scale=scale, n_draws=10, random_state=0
    )
    assert len(table) > 1
    rows = table["index"].to_numpy()
    assert (np.diff(rows) > 0).all()
    clean = model.predict(cells)
    assert table.attrs["n_right"] == (clean == labels).sum()
    np.testing.assert_array_equal(table["target"], labels[rows])
    np.testing.assert_array_equal(table["prediction"], clean[rows])
    np.testing.assert_array_equal(table["prediction"], table["target"])
    perturbed = model.predict(table["structure"])
    np.testing.assert_array_equal(perturbed, table["perturbed prediction"])
    assert (perturbed != labels[rows]).all()
    for row, budget, u, structure in zip(
        rows, table["smallest budget (Å)"], table["displacement (Å)"], table["structure"]
    ):
        assert 0 < budget <= scale + 1e-12
        assert np.linalg.norm(u, axis=1).max() == pytest.approx(budget)
        np.testing.assert_allclose(structure.cart_coords, cells[row].cart_coords + u, atol=1e-12)
        np.testing.assert_allclose(u.sum(axis=0), 0, atol=1e-3 * scale)


@pytest.mark.parametrize("method", METHODS)
def test_smallest_budget_is_the_edge_of_the_flip(method, classifier, cells, labels):
    table = find_adversarial_examples(
        classifier, cells, labels, method=method, scale=0.15, n_draws=10, random_state=0
    )
    halfway = [
        Structure(
            cells[row].lattice,
            cells[row].species,
            cells[row].cart_coords + (budget - 0.15 / 64) / budget / 2 * u,
            coords_are_cartesian=True,
        )
        for row, budget, u in zip(
            table["index"], table["smallest budget (Å)"], table["displacement (Å)"]
        )
    ]
    np.testing.assert_array_equal(classifier.predict(halfway), table["target"])


def test_smallest_budgets_of_pgd_are_smaller_than_of_draws(classifier, cells, labels):
    found = {
        method: find_adversarial_examples(
            classifier, cells, labels, method=method, scale=0.15, n_draws=10, random_state=0
        ).set_index("index")["smallest budget (Å)"]
        for method in METHODS
    }
    assert set(found["random"].index) <= set(found["pgd"].index)
    assert set(found["fgsm"].index) <= set(found["pgd"].index)
    both = found["random"].index
    assert (found["pgd"][both] < found["random"][both]).mean() > 0.9


def test_for_regressors_the_error_grows_past_the_threshold(regressor, cells, a):
    table = find_adversarial_examples(regressor, cells, a, scale=0.1, threshold=0.1)
    assert len(table) > 1
    assert table.attrs["threshold"] == [0.1]
    rows = table["index"].to_numpy()
    assert (np.abs(regressor.predict([cells[i] for i in rows]) - a[rows]) <= 0.1).all()
    after = regressor.predict(table["structure"])
    assert (np.abs(after - a[rows]) > 0.1 - 1e-6).all()
    np.testing.assert_allclose(table["perturbed prediction"], after, rtol=1e-5)
    default = find_adversarial_examples(regressor, cells, a, scale=0.1)
    error = np.abs(regressor.predict(cells) - a)
    assert default.attrs["threshold"] == pytest.approx([2 * np.median(error)], rel=1e-5)
    with pytest.raises(ValueError, match="threshold must be above 0"):
        find_adversarial_examples(regressor, cells, a, threshold=0.0)


def test_one_of_several_targets_past_its_threshold_is_wrong(cells, a):
    y = np.column_stack([a, -100 * a])
    model = CGCNNRegressor(**TINY, max_epochs=15).fit(cells, y)
    threshold = 2 * np.median(np.abs(model.predict(cells) - y), axis=0)
    table = find_adversarial_examples(model, cells, y, scale=0.2, threshold=threshold)
    rows = table["index"].to_numpy()
    off = np.abs(model.predict(table["structure"]) - y[rows]) / threshold
    assert (off.max(axis=1) > 1 - 1e-5).all()
    clean = np.abs(model.predict(cells) - y) / threshold
    assert (clean[rows].max(axis=1) <= 1 + 1e-5).all()
    assert len(table) > 0
    assert table["prediction"].iloc[0].shape == (2,)
    assert len(pd.concat([table, table.copy()])) == 2 * len(table)
    with pytest.raises(ValueError, match="one for each of the 2 targets"):
        find_adversarial_examples(model, cells, y, threshold=[1.0, 2.0, 3.0])


def test_strain_alone_flips_too(classifier, cells, labels):
    table = find_adversarial_examples(classifier, cells, labels, scale=0.0, strain=0.1)
    assert len(table) > 1
    assert (table["smallest budget (Å)"] == 0).all()
    assert table["smallest strain"].between(0, 0.1 + 1e-12, inclusive="right").all()
    assert (classifier.predict(table["structure"]) != table["target"]).all()
    for row, norm, moved in zip(table["index"], table["smallest strain"], table["structure"]):
        strain = np.linalg.solve(cells[row].lattice.matrix, moved.lattice.matrix) - np.eye(3)
        assert np.linalg.norm(strain) == pytest.approx(norm)


def test_examples_of_graphs_are_structures(classifier, cells, labels):
    graphs = StructureToGraph().transform(cells)
    of_graphs = find_adversarial_examples(classifier, graphs, labels, scale=0.15)
    of_cells = find_adversarial_examples(classifier, cells, labels, scale=0.15)
    np.testing.assert_array_equal(of_graphs["index"], of_cells["index"])
    assert (classifier.predict(of_graphs["structure"]) != of_graphs["target"]).all()


def test_no_example_is_an_empty_table(classifier, cells, labels):
    table = find_adversarial_examples(classifier, cells, labels, scale=0.0)
    assert len(table) == 0
    assert "structure" in table
    wrong = np.where(classifier.predict(cells) == "loose", "dense", "loose")
    table = find_adversarial_examples(classifier, cells, wrong)
    assert len(table) == table.attrs["n_right"] == 0


# Robustness curves --------------------------------------------------------------------------------


def wilson(k, n, z=1.959964):
    """Newcombe, Stat. Med. 17, 857 (1998), method 3."""
    p = k / n
    root = z * np.sqrt(z**2 + 4 * n * p * (1 - p))
    return (2 * n * p + z**2 - root) / (2 * (n + z**2)), (2 * n * p + z**2 + root) / (
        2 * (n + z**2)
    )


@pytest.mark.parametrize("name", ["classifier", "ecnet"])
def test_curve_of_a_classifier_counts_rows_that_stay_right(name, request, cells, labels):
    model = request.getfixturevalue(name)
    small, large = (0.05, 0.1) if name == "classifier" else (0.15, 0.4)
    budgets = (large, 0.0, small)
    curve = robustness_curve(model, cells, labels, budgets=budgets, n_draws=3, random_state=0)
    assert list(curve.columns) == ["method", "budget", "score", "lower", "upper", "n"]
    assert curve.attrs["score"] == "accuracy"
    assert (curve["n"] == 40).all()
    for method in METHODS:
        part = curve[curve["method"] == method].set_index("budget")
        assert part.index.tolist() == [0.0, small, large]
        assert part.loc[0.0, "score"] == pytest.approx(model.score(cells, labels))
        for _, row in part.iterrows():
            low, high = wilson(row["score"] * 40, 40)
            assert row["lower"] == pytest.approx(low, abs=1e-6)
            assert row["upper"] == pytest.approx(high, abs=1e-6)
    scores = curve.pivot(index="budget", columns="method", values="score")
    assert scores["pgd"].is_monotonic_decreasing
    assert (scores["pgd"] <= scores["fgsm"] + 1e-12).all()
    assert (scores["pgd"] <= scores["random"] + 1e-12).all()
    assert scores.loc[large, "pgd"] < scores.loc[0.0, "pgd"]
    moved = StructureAttack(model, method="fgsm", budget=large).generate(cells, labels)
    assert scores.loc[large, "fgsm"] == pytest.approx(model.score(moved, labels))


def test_curve_of_a_regressor_is_its_error(regressor, cells, a):
    curve = robustness_curve(regressor, cells, a, budgets=(0, 0.05, 0.1), random_state=0)
    assert curve.attrs["score"] == "mean absolute error"
    errors = np.abs(regressor.predict(cells) - a)
    for method in METHODS:
        row = curve[(curve["method"] == method) & (curve["budget"] == 0)].iloc[0]
        assert row["score"] == pytest.approx(errors.mean(), rel=1e-5)
        half = 1.96 * errors.std(ddof=1) / np.sqrt(40)
        assert row["upper"] - row["score"] == pytest.approx(half, rel=1e-3)
        assert row["score"] - row["lower"] == pytest.approx(half, rel=1e-3)
    pgd = curve[curve["method"] == "pgd"]["score"]
    assert pgd.is_monotonic_increasing
    fgsm = curve[curve["method"] == "fgsm"]["score"]
    assert (pgd.to_numpy() >= fgsm.to_numpy() - 1e-9).all()
    assert pgd.iloc[-1] > 1.5 * pgd.iloc[0]


def test_curve_says_what_it_cannot_do(classifier, cells, labels):
    with pytest.raises(ValueError, match="methods must be"):
        robustness_curve(classifier, cells, labels, methods=("pgd", "cw"))
    with pytest.raises(ValueError, match="methods must be"):
        robustness_curve(classifier, cells, labels, methods=())
    with pytest.raises(ValueError, match="budget"):
        robustness_curve(classifier, cells, labels, budgets=(-0.1, 0.1))
    with pytest.raises(ValueError, match="budget"):
        robustness_curve(classifier, cells, labels, budgets=())
    with pytest.raises(TypeError, match="graph estimator"):
        robustness_curve(LogisticRegression(), cells, labels)


def test_isolated_atoms_have_curves(regressor):
    cells = [isolated_ne(), Structure(Lattice.cubic(30.0), ["Fe"], [[0, 0, 0]])]
    curve = robustness_curve(regressor, cells, [1.0, 2.0], budgets=(0, 0.1), random_state=0)
    assert curve["score"].nunique() == 1


# The table of methods, and the state that they work on --------------------------------------------


def test_methods_are_offered_as_they_stand_in_their_table():
    (options,) = StructureAttack._parameter_constraints["method"]
    assert options.options == set(METHODS) == {"random", "fgsm", "pgd"}


def test_a_method_is_added_by_one_entry(monkeypatch, classifier, cells, labels):
    """Every atom goes along x."""

    def along_x(network, state, options):
        vectors = np.zeros_like(state.displacement)
        vectors[::2, 0], vectors[1::2, 0] = 0.1, -0.1
        return state.perturb(*state.bounds.project(vectors, state.strain))

    monkeypatch.setitem(METHODS, "along x", AttackMethod(along_x, along_x, along_x))
    curve = robustness_curve(
        classifier, cells, labels, methods=("along x", "pgd"), budgets=(0, 0.1), n_steps=2
    )
    assert curve["method"].tolist() == ["along x"] * 2 + ["pgd"] * 2
    moved = [cell.copy() for cell in cells]
    for cell in moved:
        for atom in range(4):
            cell.translate_sites([atom], [0.1 * (-1) ** atom, 0, 0], frac_coords=False)
    expected = [classifier.score(X, labels) for X in (cells, moved)]
    np.testing.assert_allclose(curve["score"][:2], expected)


@pytest.fixture
def state(classifier, cells, labels):
    """Three crystals of four atoms with known perturbations and errors."""
    graphs = StructureToGraph().transform(cells[:3])
    bounds = PerturbationBounds.around(graphs, 0.1, strain=0.02)
    state = AttackState.unperturbed(bounds, Reference(np.array([0, 1, 1])))
    return replace(
        state.perturb(np.arange(36.0).reshape(12, 3), np.arange(27.0).reshape(3, 3, 3)),
        outputs=np.arange(6.0).reshape(3, 2),
        error=np.array([-1.0, 0.5, 2.0]),
    )


def test_a_selection_of_a_state_is_that_of_all_its_parts(state):
    part = state.select(np.array([True, False, True]))
    assert len(part) == len(part.bounds) == len(part.bounds.graphs) == 2
    np.testing.assert_array_equal(part.displacement, state.displacement[[0, 1, 2, 3, 8, 9, 10, 11]])
    np.testing.assert_array_equal(part.strain, state.strain[[0, 2]])
    np.testing.assert_array_equal(part.outputs, state.outputs[[0, 2]])
    np.testing.assert_array_equal(part.error, [-1, 2])
    np.testing.assert_array_equal(part.reference.values, [0, 1])
    np.testing.assert_array_equal(
        part.bounds.candidates.edge_distance,
        state.bounds.candidates[[0, 2]].edge_distance,
    )


def test_of_two_perturbations_the_worse_is_kept(state):
    crystals = np.array([False, True, True])
    other = replace(state.select(crystals), error=np.array([0.6, 1.9]))
    other = replace(other, displacement=other.displacement + 100, outputs=other.outputs + 100)
    kept = keep_worse(state, crystals, other)
    np.testing.assert_array_equal(kept.error, [-1, 0.6, 2])
    np.testing.assert_array_equal(kept.outputs, [[0, 1], [102, 103], [4, 5]])
    changed = np.repeat([0, 100, 0], 4)[:, None]
    np.testing.assert_array_equal(kept.displacement, state.displacement + changed)
    # The states themselves do not change.
    np.testing.assert_array_equal(state.error, [-1, 0.5, 2])


def test_a_state_is_evaluated_once(state, classifier):
    class Forbidden:
        outputs = None

    assert evaluate(Forbidden(), state) is state
    network = AttackedNetwork.fitted(classifier)
    new = evaluate(network, state.without_perturbation())
    probabilities = classifier.predict_proba(state.bounds.graphs)
    np.testing.assert_allclose(np.exp(new.outputs), probabilities, rtol=1e-5)
    assert state.without_perturbation().error is None
    assert not new.is_perturbed
    assert state.is_perturbed
