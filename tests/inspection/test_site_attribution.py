"""Attributions to sites and elements sum to the prediction."""

import warnings

import matplotlib
import numpy as np
import pytest
import torch
from crystals import random_alloys, rocksalt_nacl
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetClassifier,
    ECNetRegressor,
    StructureToGraph,
)
from sklmat.estimators import GraphModel
from sklmat.inspection import element_attribution, site_attribution
from sklmat.inspection._attribution_methods import AtomModel

matplotlib.use("Agg")


COMPLETE = ["integrated_gradients", "shapley"]


def pure(element="Cu"):
    """A crystal of one element, whose average atom is that."""
    cell = random_alloys(1, n_cells=1)[0]
    return replaced(cell, range(len(cell)), element)


def replaced(structure, sites, element="Cu"):
    """A copy with other species on some sites."""
    copy = structure.copy()
    for site in sites:
        copy.replace(site, element)
    return copy


def totals(table):
    return table.groupby("row")["attribution"].sum().to_numpy() + table.attrs["baseline"]


def log_odds(model, X, k=1):
    """Of class k against each other one, the mean over these."""
    p = np.log(model.predict_proba(X))
    return p[:, k] - np.delete(p, k, axis=1).mean(axis=1)


# -- CGCNN


def test_network_of_a_search(alloys):
    X, y = alloys
    network = CGCNNRegressor(hidden_dim=4, max_epochs=2, random_state=0)
    search = GridSearchCV(network, {"lr": [0.01]}, cv=2).fit(X, y)
    table = site_attribution(search, X[:2])
    assert_frame_equal(table, site_attribution(search.best_estimator_, X[:2]))


@pytest.mark.parametrize("method", COMPLETE)
def test_attributions_and_baseline_sum_to_the_prediction(model, alloys, method):
    X, _ = alloys
    table = site_attribution(model, X[:8], method=method, n_permutations=3, random_state=0)
    assert_allclose(totals(table), model.predict(X[:8]), atol=1e-4)
    assert list(table) == ["row", "site", "element", "attribution"]
    assert table["element"].tolist() == [site.specie.symbol for s in X[:8] for site in s]
    assert table["row"].tolist() == [k for k in range(8) for _ in range(4)]
    assert table["site"].tolist() == list(range(4)) * 8


@pytest.mark.parametrize("method", [*COMPLETE, "occlusion"])
def test_baseline_is_the_crystal_of_average_atoms(model, alloys, method):
    X = alloys[0][:3]
    table = site_attribution(model, X, method=method, background=[pure()], n_permutations=1)
    all_copper = [replaced(s, range(4)) for s in X]
    assert_allclose(table.attrs["baseline"], model.predict(all_copper), atol=1e-5)
    # What the average atom replaces by its like adds nothing.
    copper = table["element"] == "Cu"
    assert copper.any()
    assert not copper.all()
    assert_allclose(table.loc[copper, "attribution"], 0, atol=1e-5)


def test_residual_is_what_the_sum_lacks(model, alloys):
    X = alloys[0][:5]
    for method in (*COMPLETE, "occlusion"):
        table = site_attribution(model, X, method=method)
        assert_allclose(table.attrs["prediction"], model.predict(X), atol=1e-5)
        expected = table.attrs["prediction"] - totals(table)
        assert_allclose(table.attrs["residual"], expected, atol=1e-9)
        # The effects of single atoms do not add up; no warning is given.
        assert (np.abs(table.attrs["residual"]).max() > 0.05) == (method == "occlusion")
    elements = element_attribution(model, X, method="occlusion")
    assert elements.attrs == table.attrs
    assert set(elements.attrs) == {"baseline", "prediction", "residual"}


def test_warning_names_the_worst_row(alloys):
    """One point of the quadrature is not enough for a network that is far from linear."""
    model = CGCNNRegressor(hidden_dim=8, max_epochs=5, random_state=0).fit(*alloys)
    X = alloys[0][5::-1]
    with torch.no_grad():
        model.net_.module_.embedding.weight *= 5
    with pytest.warns(UserWarning, match="attributions do not sum") as caught:
        table = site_attribution(model, X, n_steps=1)
    residual = np.array(table.attrs["residual"])
    row = int(np.argmax(np.abs(residual)))
    assert row != 0
    message = str(caught[0].message)
    assert f"in row {row} the baseline" in message
    assert f"(residual {residual[row]:.2g}); raise n_steps, which is 1" in message
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="raise n_steps, which is 1"):
        element_attribution(model, X, n_steps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        site_attribution(model, X, n_steps=200)
        site_attribution(model, X, method="occlusion")
        # Here the prediction is the baseline, and only rounding remains.
        site_attribution(model, [pure()], n_steps=1)


def test_average_atom_of_a_mixed_background(model, alloys):
    X = alloys[0]
    average = AtomModel(
        GraphModel.of(model), GraphModel.of(model).read_graphs(X), None, np.ones(1), 0.0
    ).average
    vectors = model.net_.module_.element_vectors
    numbers = [z for s in X for z in s.atomic_numbers]
    assert_allclose(average, vectors[numbers].mean(dim=0), atol=1e-6)
    explicit = site_attribution(model, X[:2], background=X)
    assert_array_equal(
        explicit, site_attribution(model, X[:2], background=GraphModel.of(model).read_graphs(X))
    )
    assert_allclose(
        explicit["attribution"], site_attribution(model, X)["attribution"][:8], atol=1e-5
    )


def test_occlusion_is_the_fall_when_an_atom_is_replaced(model, alloys):
    X = alloys[0][:5]
    table = site_attribution(model, X, method="occlusion", background=[pure()])
    expected = [
        model.predict([s])[0] - model.predict([replaced(s, [k])])[0] for s in X for k in range(4)
    ]
    assert_allclose(table["attribution"], expected, atol=1e-5)


def test_shapley_values_of_two_sites_by_hand(model, alloys):
    cell = rocksalt_nacl().get_primitive_structure()
    cell.replace(0, "Ni")
    cell.replace(1, "Pd")
    cell.scale_lattice(22.0)
    of = {
        kept: model.predict([replaced(cell, {0, 1} - set(kept))])[0]
        for kept in [(), (0,), (1,), (0, 1)]
    }
    first = (of[0, 1] - of[1,] + of[0,] - of[()]) / 2
    second = (of[0, 1] - of[0,] + of[1,] - of[()]) / 2
    # A permutation and its reverse are all there are of two.
    table = site_attribution(
        model, [cell], method="shapley", background=[pure()], n_permutations=2, random_state=0
    )
    assert_allclose(table["attribution"], [first, second], atol=1e-5)


def test_integrated_gradients_by_finite_differences(model, alloys):
    X = alloys[0][:1]
    graphs = GraphModel.of(model).read_graphs(X)
    atoms = AtomModel(
        GraphModel.of(model), graphs, alloys[0], model.y_scale_, float(model.y_mean_[0])
    )
    own = atoms.vectors(graphs.atomic_numbers)
    way, step = own - atoms.average, 0.02
    expected = np.zeros(4)
    points = np.linspace(0, 1, 11)
    simpson = np.array([1, 4, 2, 4, 2, 4, 2, 4, 2, 4, 1]) / 30
    for point, weight in zip(points, simpson):
        for k in range(4):
            ahead = torch.zeros_like(way)
            ahead[k] = step * way[k]
            middle = atoms.average + float(point) * way
            with torch.no_grad():
                rise = atoms(graphs, middle + ahead) - atoms(graphs, middle - ahead)
            expected[k] += weight * float(rise) / (2 * step)
    table = site_attribution(model, X, background=alloys[0])
    assert np.ptp(expected) > 0.1
    assert_allclose(table["attribution"], expected, atol=2e-3)


@pytest.mark.parametrize("method", [*COMPLETE, "occlusion"])
def test_sites_follow_permutation_rotation_and_translation(model, alloys, method):
    from pymatgen.core import Lattice, Structure

    cell, background = alloys[0][0], alloys[0]
    options = {"method": method, "background": background, "n_permutations": 400, "random_state": 0}
    values = site_attribution(model, [cell], **options)["attribution"].to_numpy()
    order = [2, 0, 3, 1]
    angle = 0.7
    turn = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    moved = Structure(
        Lattice(cell.lattice.matrix @ turn),
        [cell[k].specie for k in order],
        cell.frac_coords[order] + [0.3, 0.2, 0.7],
    )
    found = site_attribution(model, [moved], **options)["attribution"]
    # Permutations are drawn otherwise; of four atoms 400 of 24 leave little to chance.
    assert_allclose(found, values[order], atol=2e-2 if method == "shapley" else 1e-4)


def test_equivalent_sites_share_and_larger_cells_dilute(model, alloys):
    cell = rocksalt_nacl()
    cell.replace_species({"Na": "Ni", "Cl": "Pd"})
    cell.scale_lattice(90.0)
    small = site_attribution(model, [cell], background=alloys[0])
    for _, rows in small.groupby("element"):
        assert_allclose(rows["attribution"], rows["attribution"].iloc[0], atol=1e-6)
    large = site_attribution(model, [cell * (2, 1, 1)], background=alloys[0])
    assert_allclose(
        large.groupby("element")["attribution"].max(),
        small.groupby("element")["attribution"].max() / 2,
        atol=1e-6,
    )
    assert_allclose(large.attrs["baseline"], small.attrs["baseline"], atol=1e-5)


def test_what_the_target_is_made_of_is_found(alloys):
    X = alloys[0]
    y = np.array([s.composition.get_atomic_fraction("Ni") for s in X])
    model = CGCNNRegressor(hidden_dim=16, max_epochs=60, random_state=0).fit(X, y)
    for method in (*COMPLETE, "occlusion"):
        table = site_attribution(model, X, method=method, random_state=0)
        nickel = table["element"] == "Ni"
        # A quarter for a nickel atom among four, less the average: 0.25 (1 - mean of y).
        assert table.loc[nickel, "attribution"].min() > 0.05
        assert table.loc[~nickel, "attribution"].max() < 0


def test_ensembles_and_several_targets(alloys):
    X, y = alloys
    both = np.column_stack([y, -100 * y])
    model = CGCNNRegressor(hidden_dim=8, max_epochs=5, n_ensemble=2, random_state=0).fit(X, both)
    tables = [site_attribution(model, X[:4], target=k) for k in (0, 1)]
    assert_allclose(
        np.column_stack([totals(table) for table in tables]), model.predict(X[:4]), rtol=1e-4
    )
    with pytest.raises(ValueError, match="a number from 0 to 1, got None"):
        site_attribution(model, X)


@pytest.mark.parametrize("kind", [CGCNNClassifier, ECNetClassifier])
def test_classifiers_are_explained_in_log_odds(alloys, kind):
    X, y = alloys
    options = {"hidden_dim": 8, "max_epochs": 10, "n_ensemble": 1, "random_state": 0}
    two = kind(**options).fit(X, np.where(y > np.median(y), "up", "down"))
    assert_allclose(totals(site_attribution(two, X)), log_odds(two, X), atol=1e-4)
    down = site_attribution(two, X, target="down")
    assert_allclose(totals(down), -log_odds(two, X), atol=1e-4)
    three = kind(**options).fit(X, np.digitize(y, np.quantile(y, [0.3, 0.6])))
    assert_allclose(totals(site_attribution(three, X, target=2)), log_odds(three, X, 2), atol=1e-4)
    with pytest.raises(ValueError, match=r"one of the classes \[0, 1, 2\], got None"):
        site_attribution(three, X)
    with pytest.raises(ValueError, match="got 'sideways'"):
        site_attribution(two, X, target="sideways")


def test_permutations_are_drawn_from_random_state(model, alloys):
    X = alloys[0][:3]
    options = {"method": "shapley", "n_permutations": 1}
    one = site_attribution(model, X, random_state=0, **options)
    assert_frame_equal(one, site_attribution(model, X, random_state=0, **options))
    other = site_attribution(model, X, random_state=1, **options)
    assert not np.allclose(one["attribution"], other["attribution"])
    assert_allclose(totals(other), model.predict(X), atol=1e-4)


def test_pipelines_and_frozen_estimators(model, alloys):
    X = alloys[0]
    expected = site_attribution(model, X[:2], background=X)
    piped = make_pipeline(StructureToGraph(), FrozenEstimator(model)).fit(X[:2], [0.0, 1.0])
    assert_frame_equal(site_attribution(piped, X[:2], background=X), expected)
    assert_frame_equal(site_attribution(FrozenEstimator(model), X[:2], background=X), expected)


def test_nothing_is_changed(model, alloys):
    X = alloys[0][:2]
    copies, before = [s.copy() for s in X], model.predict(X)
    weights = {k: v.clone() for k, v in model.net_.module_.state_dict().items()}
    for method in (*COMPLETE, "occlusion"):
        site_attribution(model, X, method=method, n_permutations=2, random_state=0)
    assert copies == X
    assert_array_equal(model.predict(X), before)
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert all(p.requires_grad for p in model.net_.module_.parameters())


# -- elements and ECNet


def test_elements_sum_their_sites(model, alloys):
    X = alloys[0]
    sites, table = site_attribution(model, X), element_attribution(model, X)
    assert list(table) == ["Ni", "Cu", "Pd"]
    assert len(table) == len(X)
    assert_allclose(table.sum(axis=1) + table.attrs["baseline"], model.predict(X), atol=1e-4)
    row = sites[(sites["row"] == 5) & (sites["element"] == "Ni")]
    assert table.loc[5, "Ni"] == pytest.approx(row["attribution"].sum())
    absent = [k for k, s in enumerate(X) if "Ni" not in s.composition]
    assert absent
    assert (table.loc[absent, "Ni"] == 0).all()


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_ecnet_shares_out_its_contributions(alloys, pool):
    X, y = alloys
    model = ECNetRegressor(
        hidden_dim=8, n_filters=8, max_epochs=5, n_ensemble=2, pool=pool, random_state=0
    ).fit(X, y)
    table = site_attribution(model, X)
    assert_allclose(totals(table), model.predict(X), atol=1e-4)
    assert_array_equal(table.attrs["baseline"], 0)
    assert (table.groupby(["row", "element"])["attribution"].std().dropna() < 1e-9).all()
    assert_frame_equal(
        element_attribution(model, X)[["Ni", "Cu", "Pd"]],
        model.element_contributions(X),
        check_names=False,
        atol=1e-6,
    )
    with pytest.raises(ValueError, match="'occlusion' does not suit ECNetRegressor"):
        site_attribution(model, X, method="occlusion")
    with pytest.raises(ValueError, match="background has no part"):
        site_attribution(model, X, background=X)


# -- errors


def test_bad_options(model, alloys):
    X, y = alloys
    with pytest.raises(ValueError, match=r"method must be one of auto, .* got 'saliency'"):
        site_attribution(model, X, method="saliency")
    with pytest.raises(ValueError, match="'contributions' does not suit CGCNNRegressor"):
        site_attribution(model, X, method="contributions")
    with pytest.raises(ValueError, match="n_steps must be a whole number above 0, got 0"):
        site_attribution(model, X, n_steps=0)
    with pytest.raises(ValueError, match="n_permutations must be a whole number"):
        site_attribution(model, X, n_permutations=1.5)
    with pytest.raises(ValueError, match=r"X is empty \(0 structures\)"):
        site_attribution(model, [])
    with pytest.raises(ValueError, match="background is empty"):
        site_attribution(model, X, background=[])
    with pytest.raises(ValueError, match="a number from 0 to 0, got 1"):
        site_attribution(model, X, target=1)
    with pytest.raises(TypeError, match=r"graph estimators .* got Ridge"):
        site_attribution(Ridge().fit(y[:, None], y), X)
    with pytest.raises(NotFittedError):
        site_attribution(CGCNNRegressor(), X)


def test_background_with_an_element_without_a_vector(alloys):
    X, y = alloys
    vectors = {"Ni": [1.0, 0.0], "Cu": [0.0, 1.0], "Pd": [1.0, 1.0]}
    model = CGCNNRegressor(atom_init=vectors, hidden_dim=8, max_epochs=1, random_state=0).fit(X, y)
    foreign = [rocksalt_nacl()]
    with pytest.raises(ValueError, match="background holds Na, which has no vector"):
        site_attribution(model, X, background=foreign)
    with pytest.raises(ValueError, match="without a vector"):
        site_attribution(model, X, background=StructureToGraph().transform(foreign))
