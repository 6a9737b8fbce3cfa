"""Attacks stay within their budgets, keep atoms apart, and return the kind of input they got."""

import numpy as np
import pytest
import torch
from attacked import ECNET, TINY, displacements, lengths, wrongness
from crystals import b2_cscl, bcc_fe
from pymatgen.analysis.local_env import MinimumDistanceNN
from pymatgen.core import Lattice, Structure
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetRegressor,
    StructureAttack,
    StructureToGraph,
    find_adversarial_examples,
    perturb_structures,
)
from sklmat.adversarial._attack_methods import METHODS
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.exceptions import InvalidStructureError
from sklmat.graphs import CrystalGraphs
from sklmat.perturbations import PerturbationBounds

# Budgets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("neighbors", ["rebuilt", "fixed"])
def test_the_budget_is_each_atoms_displacement_without_drift(
    method, neighbors, classifier, cells, labels
):
    attack = StructureAttack(
        classifier, method=method, budget=0.07, neighbor_list=neighbors, random_state=0
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


def test_a_budget_beyond_half_the_cutoff_is_refused(regressor, cells, a):
    with pytest.raises(ValueError, match=r"budget=10 Å is more than half the cutoff .*smaller"):
        StructureAttack(regressor, budget=10.0).generate(cells[:2], a[:2])


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
    network = classifier.net_.module_
    weights = {k: v.clone() for k, v in network.state_dict().items()}
    training = network.training
    for X in (given, graphs):
        StructureAttack(classifier, strain=0.02).generate(X, y)
        find_adversarial_examples(classifier, X, y, budget=0.2)
        perturb_structures(X, 0.05, strain=0.02)
    assert given == cells[:5]
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(graphs, name), array)
    for name, value in network.state_dict().items():
        assert torch.equal(value, weights[name])
    assert all(p.requires_grad for p in network.parameters())
    assert network.training == training


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


def test_a_pipeline_that_begins_with_structures_gives_structures(classifier, cells, labels):
    pipeline = Pipeline([("graphs", StructureToGraph()), ("network", classifier)])
    found = StructureAttack(pipeline, budget=0.06).generate(cells[:4], labels[:4])
    expected = StructureAttack(classifier, budget=0.06).generate(cells[:4], labels[:4])
    assert all(isinstance(cell, Structure) for cell in found)
    for cell, other in zip(found, expected):
        np.testing.assert_allclose(cell.cart_coords, other.cart_coords, atol=1e-5)
    graphs = StructureToGraph().transform(cells[:4])
    assert isinstance(StructureAttack(pipeline[1:]).generate(graphs), CrystalGraphs)


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
    with pytest.raises(ValueError, match="neighbor_list='fixed'"):
        StructureAttack(model).generate(graphs)
    moved = StructureAttack(model, neighbor_list="fixed").generate(graphs, a[:10])
    np.testing.assert_array_equal(moved.edge_source, graphs.edge_source)
    assert (wrongness(model, moved, a[:10]) > wrongness(model, graphs, a[:10])).mean() > 0.8
    with pytest.raises(ValueError, match="pass CrystalGraphs"):
        StructureAttack(model, neighbor_list="fixed").generate(cells[:2])


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
        with pytest.raises(ValueError, match=r"structure 1 .* elements Cl, Cs"):
            attack([cells[0], b2_cscl()])


def test_frozen_estimators_are_attacked_like_their_own(classifier, cells, labels):
    frozen = FrozenEstimator(classifier)
    ours = StructureAttack(frozen).generate(cells[:3], labels[:3])
    assert ours == StructureAttack(classifier).generate(cells[:3], labels[:3])
    assert AttackedNetwork.fitted(frozen).model.estimator is classifier
