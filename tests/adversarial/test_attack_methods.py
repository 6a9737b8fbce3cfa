"""Each attack method moves atoms as its formula says; stronger methods change predictions more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from attacked import TINY, displacements, lengths, wrongness
from pymatgen.core import Lattice, Structure

from sklmat import CGCNNRegressor, StructureAttack, StructureToGraph, robustness_curve
from sklmat.adversarial._attack_methods import METHODS, AttackMethod
from sklmat.adversarial._attack_state import AttackState, evaluate, keep_worse
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.adversarial._prediction_error import Reference
from sklmat.graphs import move_atoms
from sklmat.perturbations import PerturbationBounds


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
    assert (regressor.predict(moved) > regressor.predict(cells)).mean() > 0.8


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
