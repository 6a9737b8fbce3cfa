"""Adversarial examples are right when clean and wrong when perturbed."""

import numpy as np
import pandas as pd
import pytest
from attacked import TINY
from pymatgen.core import Structure

from sklmat import CGCNNRegressor, StructureToGraph, find_adversarial_examples
from sklmat.adversarial._attack_methods import METHODS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["classifier", "ecnet"])
def test_examples_are_right_when_clean_and_wrong_when_perturbed(
    method, name, request, cells, labels
):
    model, scale = request.getfixturevalue(name), 0.15 if name == "classifier" else 0.4
    table = find_adversarial_examples(
        model, cells, labels, method=method, budget=scale, n_draws=10, random_state=0
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
        classifier, cells, labels, method=method, budget=0.15, n_draws=10, random_state=0
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
            classifier, cells, labels, method=method, budget=0.15, n_draws=10, random_state=0
        ).set_index("index")["smallest budget (Å)"]
        for method in METHODS
    }
    assert set(found["random"].index) <= set(found["pgd"].index)
    assert set(found["fgsm"].index) <= set(found["pgd"].index)
    both = found["random"].index
    assert (found["pgd"][both] < found["random"][both]).mean() > 0.9


def test_for_regressors_the_error_grows_past_the_threshold(regressor, cells, a):
    table = find_adversarial_examples(regressor, cells, a, budget=0.1, threshold=0.1)
    assert len(table) > 1
    assert table.attrs["threshold"] == [0.1]
    rows = table["index"].to_numpy()
    assert (np.abs(regressor.predict([cells[i] for i in rows]) - a[rows]) <= 0.1).all()
    after = regressor.predict(table["structure"])
    assert (np.abs(after - a[rows]) > 0.1 - 1e-6).all()
    np.testing.assert_allclose(table["perturbed prediction"], after, rtol=1e-5)
    default = find_adversarial_examples(regressor, cells, a, budget=0.1)
    error = np.abs(regressor.predict(cells) - a)
    # Predictions of about 3 are rounded to 2e-7.
    assert default.attrs["threshold"] == pytest.approx([2 * np.median(error)], abs=2e-6)
    with pytest.raises(ValueError, match="threshold must be above 0"):
        find_adversarial_examples(regressor, cells, a, threshold=0.0)


def test_one_of_several_targets_past_its_threshold_is_wrong(cells, a):
    y = np.column_stack([a, -100 * a])
    model = CGCNNRegressor(**TINY, max_epochs=15).fit(cells, y)
    threshold = 2 * np.median(np.abs(model.predict(cells) - y), axis=0)
    table = find_adversarial_examples(model, cells, y, budget=0.2, threshold=threshold)
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
    table = find_adversarial_examples(classifier, cells, labels, budget=0.0, strain=0.1)
    assert len(table) > 1
    assert (table["smallest budget (Å)"] == 0).all()
    assert table["smallest strain"].between(0, 0.1 + 1e-12, inclusive="right").all()
    assert (classifier.predict(table["structure"]) != table["target"]).all()
    for row, norm, moved in zip(table["index"], table["smallest strain"], table["structure"]):
        strain = np.linalg.solve(cells[row].lattice.matrix, moved.lattice.matrix) - np.eye(3)
        assert np.linalg.norm(strain) == pytest.approx(norm)


def test_examples_of_graphs_are_structures(classifier, cells, labels):
    graphs = StructureToGraph().transform(cells)
    of_graphs = find_adversarial_examples(classifier, graphs, labels, budget=0.15)
    of_cells = find_adversarial_examples(classifier, cells, labels, budget=0.15)
    np.testing.assert_array_equal(of_graphs["index"], of_cells["index"])
    assert (classifier.predict(of_graphs["structure"]) != of_graphs["target"]).all()


def test_no_example_is_an_empty_table(classifier, cells, labels):
    table = find_adversarial_examples(classifier, cells, labels, budget=0.0)
    assert len(table) == 0
    assert "structure" in table
    wrong = np.where(classifier.predict(cells) == "loose", "dense", "loose")
    table = find_adversarial_examples(classifier, cells, wrong)
    assert len(table) == table.attrs["n_right"] == 0
