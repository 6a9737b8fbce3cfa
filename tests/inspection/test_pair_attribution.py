"""Contributions of pairs of elements by distance, and their changes in distorted crystals."""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from crystals import bcc_fe, random_alloys
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from pymatgen.core import Lattice, Structure
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetRegressor,
    StructureToGraph,
    find_adversarial_examples,
    perturb_structures,
)
from sklmat.inspection import attribution_change, pair_attribution
from sklmat.inspection._pair_attribution import _explain_change, _explain_pairs

KEYS = ["row", "pair", "shell"]


def nickel_palladium(z=0.5):
    """CsCl structure; with z other than 0.5, only distances between Ni and Pd change."""
    return Structure(Lattice.cubic(3.1), ["Ni", "Pd"], [[0, 0, 0], [0.5, 0.5, z]])


def totals(table, column="attribution"):
    sums = np.bincount(table["row"], table[column], minlength=len(table.attrs["baseline"]))
    return sums + table.attrs["baseline"]


class SumOverEdges:
    """A "network" that is linear in the edges: the sum of a function of each edge, per atom."""

    def __init__(self, cutoff=3.5):
        to_graph = StructureToGraph(cutoff=cutoff, max_neighbors=None)
        self.model = SimpleNamespace(read_graphs=to_graph.fit_transform)

    def __call__(self, graphs):
        numbers = graphs.atomic_numbers.astype(float)
        product = numbers[graphs.flat_source] * numbers[graphs.flat_target]
        terms = product * np.exp(-graphs.edge_distance.astype(float))
        sums = np.bincount(graphs.crystal_of_edge, terms, minlength=len(graphs))
        return 7.0 + sums / graphs.n_atoms

    def rounding(self, predictions):
        return 0.0


@pytest.fixture(scope="module")
def tiny(alloys):
    """A network in which few sets of groups are all sets."""
    return CGCNNRegressor(hidden_dim=4, n_conv=2, max_epochs=10, cutoff=4.0, random_state=0).fit(
        *alloys
    )


# -- values


@pytest.mark.parametrize("n_permutations", [1, 16])
def test_sum_over_edges_is_divided_into_its_terms(n_permutations):
    crystals = [nickel_palladium(0.45), nickel_palladium() * (2, 1, 1), bcc_fe()]
    options = {"shells": [2.6, 3.0], "n_permutations": n_permutations, "seed": 0, "verbose": False}
    table = _explain_pairs(SumOverEdges(), crystals, **options)
    # 4 neighbours at each of two distances around both atoms.
    near, far = (np.hypot(3.1 / np.sqrt(2), 3.1 * z) for z in (0.45, 0.55))
    first = table[table["row"] == 0].set_index(["pair", "shell"])
    assert_array_equal(first["n_edges"], [6, 8, 8, 6])
    assert list(first.index) == [("Ni-Ni", 2), ("Ni-Pd", 0), ("Ni-Pd", 1), ("Pd-Pd", 2)]
    expected = [
        6 * 28 * 28 * np.exp(-3.1) / 2,
        8 * 28 * 46 * np.exp(-near) / 2,
        8 * 28 * 46 * np.exp(-far) / 2,
        6 * 46 * 46 * np.exp(-3.1) / 2,
    ]
    assert_allclose(first["attribution"], expected, rtol=1e-6)
    assert_array_equal(table.attrs["baseline"], 7.0)
    iron = table[table["row"] == 2]
    assert iron["pair"].tolist() == ["Fe-Fe"] * 2
    assert_allclose(totals(table), table.attrs["prediction"])


def test_change_of_a_sum_over_edges():
    options = {"shells": [2.72], "n_permutations": 1, "seed": 0, "verbose": False}
    table = _explain_change(
        SumOverEdges(), [nickel_palladium()], [nickel_palladium(0.45)], **options
    )
    middle, near, far = (np.hypot(3.1 / np.sqrt(2), 3.1 * z) for z in (0.5, 0.45, 0.55))
    before, below, above = (28 * 46 / 2 * np.exp(-d) for d in (middle, near, far))
    assert table["pair"].tolist() == ["Ni-Ni", "Ni-Pd", "Ni-Pd", "Pd-Pd"]
    assert_array_equal(table["n_edges"], [6, 16, 0, 6])
    assert_array_equal(table["perturbed n_edges"], [6, 8, 8, 6])
    assert_allclose(table["change"], [0, 8 * below - 16 * before, 8 * above, 0], atol=1e-5)


@pytest.mark.parametrize("n_permutations", [3, 400])
def test_all_orders_of_three_groups(tiny, n_permutations):
    """Of three groups there are eight sets, so that few orders already give the mean of all six."""
    crystal = nickel_palladium()
    graphs = StructureToGraph(cutoff=4.0).fit_transform([crystal])
    numbers = graphs.atomic_numbers.astype(int)
    of_edge = numbers[graphs.edge_source] + numbers[graphs.edge_target]  # 56, 74 or 92

    def predict(kept):
        return tiny.predict(graphs.select_edges(np.isin(of_edge, kept)))[0]

    groups = [56, 74, 92]
    expected = dict.fromkeys(groups, 0.0)
    for order in permutations(groups):
        for k, group in enumerate(order):
            expected[group] += (predict(order[: k + 1]) - predict(order[:k])) / 6
    table = pair_attribution(tiny, [crystal], shells=1, n_permutations=n_permutations)
    assert table["pair"].tolist() == ["Ni-Ni", "Ni-Pd", "Pd-Pd"]
    assert np.ptp(table["attribution"]) > 0.01
    assert_allclose(table["attribution"], list(expected.values()), atol=1e-5)


def test_sums_and_baseline(tiny, alloys):
    X = alloys[0][:3]
    table = pair_attribution(tiny, X, n_permutations=1, random_state=0)
    assert list(table) == [*KEYS, "from (Å)", "to (Å)", "n_edges", "attribution"]
    assert_allclose(totals(table), tiny.predict(X), atol=1e-5)
    assert_allclose(table.attrs["prediction"], tiny.predict(X), atol=1e-5)
    assert_allclose(table.attrs["residual"], 0, atol=1e-5)
    apart = [s.copy() for s in X]
    for structure in apart:
        structure.scale_lattice(100.0 * structure.volume)
    assert_allclose(table.attrs["baseline"], tiny.predict(apart), atol=1e-5)
    graphs = StructureToGraph(cutoff=4.0).fit_transform(X)
    assert_array_equal(table.groupby("row")["n_edges"].sum(), graphs.n_edges)


def test_isolated_atoms_have_no_rows(tiny, alloys):
    alone = Structure(Lattice.cubic(20), ["Ni"], [[0, 0, 0]])
    table = pair_attribution(tiny, [alone, nickel_palladium()], shells=1)
    assert set(table["row"]) == {1}
    assert_allclose(table.attrs["baseline"][0], tiny.predict([alone])[0], atol=1e-5)
    assert_allclose(table.attrs["prediction"][0], table.attrs["baseline"][0], atol=1e-6)
    empty = pair_attribution(tiny, [alone])
    assert len(empty) == 0
    assert empty.attrs["boundaries"] == []
    assert empty.attrs["residual"] == pytest.approx([0], abs=1e-6)


def test_rotated_permuted_and_doubled_crystals(tiny, alloys):
    crystal = alloys[0][0]
    angle, order = 0.7, [2, 0, 3, 1]
    turn = [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    moved = Structure(
        Lattice(crystal.lattice.matrix @ turn),
        [crystal[k].specie for k in order],
        crystal.frac_coords[order] + [0.3, 0.2, 0.7],
    )
    options = {"shells": 3, "n_permutations": 2, "random_state": 0}
    table = pair_attribution(tiny, [crystal], **options)
    assert len(table) > 3  # so that not all sets of groups are used
    other = pair_attribution(tiny, [moved], **options)
    assert_frame_equal(other, table, atol=1e-5, check_exact=False)
    # The orders do not depend on the other rows.
    last = pair_attribution(tiny, [nickel_palladium(), crystal], **{**options, "shells": [2.7]})
    alone = pair_attribution(tiny, [crystal], **{**options, "shells": [2.7]})
    assert_allclose(last.loc[last["row"] == 1, "attribution"], alone["attribution"], atol=1e-6)
    large = pair_attribution(tiny, [crystal * (1, 2, 1)], **options)
    assert_allclose(large["attribution"], table["attribution"], atol=1e-5)
    assert_array_equal(large["n_edges"], 2 * table["n_edges"])


def test_orders_are_drawn_from_random_state(tiny, alloys):
    options = {"shells": 4, "n_permutations": 1}
    first, again, other = (
        pair_attribution(tiny, alloys[0][:2], random_state=seed, **options) for seed in (0, 0, 1)
    )
    assert_frame_equal(first, again)
    assert not np.allclose(first["attribution"], other["attribution"], rtol=1e-3)


# -- shells


def test_boundaries_are_in_the_gaps():
    tiny = SumOverEdges()
    options = {"n_permutations": 1, "seed": 0, "verbose": False}
    # bcc iron: 8 neighbours at 2.485 Å and 6 at 2.87 Å.
    boundary = 2.87 * (np.sqrt(3) / 2 + 1) / 2
    for shells in (2, 5):
        table = _explain_pairs(tiny, [bcc_fe()], shells=shells, **options)
        assert table.attrs["boundaries"] == pytest.approx([boundary], abs=1e-6)
        assert_array_equal(table["n_edges"] / len(bcc_fe()), [8, 6])
        assert table["to (Å)"].tolist() == pytest.approx([boundary, 3.5], abs=1e-6)
        assert table["from (Å)"].tolist() == pytest.approx([0, boundary], abs=1e-6)
    table = _explain_pairs(tiny, [bcc_fe()], shells=1, **options)
    assert table.attrs["boundaries"] == []
    # Displaced atoms: no clear gaps between single distances, but between two shells.
    crystals = perturb_structures([bcc_fe() * (2, 2, 2)] * 3, scale=0.02, random_state=0)
    table = _explain_pairs(tiny, crystals, shells=2, **options)
    assert table.attrs["boundaries"] == pytest.approx([boundary], abs=0.06)
    assert_array_equal(table.groupby("shell")["n_edges"].sum() / 48, [8, 6])


def test_given_boundaries(tiny, alloys):
    X = alloys[0][:2]
    table = pair_attribution(tiny, X, shells=np.array([2.5, 3.0]), n_permutations=1)
    assert table.attrs["boundaries"] == [2.5, 3.0]
    graphs = StructureToGraph(cutoff=4.0).fit_transform(X)
    shells = np.digitize(graphs.edge_distance, [2.5, 3.0])
    found = table.groupby("shell")["n_edges"].sum()
    assert found.to_dict() == dict(zip(*np.unique(shells, return_counts=True)))


# -- what a network has learned


@pytest.mark.parametrize("kind", [CGCNNRegressor, ECNetRegressor])
def test_the_pair_that_the_label_depends_on_changes(kind):
    """Only distances between nickel and palladium differ between the crystals."""
    z = np.linspace(0.38, 0.5, 24)
    X = [nickel_palladium(each) for each in z]
    few = {"n_ensemble": 1, "n_filters": 8} if kind is ECNetRegressor else {"n_conv": 1}
    model = kind(hidden_dim=8, max_epochs=100, cutoff=3.5, random_state=0, **few)
    model = model.fit(X, 100 * (0.5 - z))
    table = attribution_change(model, [X[-2]], [X[1]], shells=1)
    change = table.set_index("pair")["change"].abs()
    assert change["Ni-Pd"] > 5
    assert change.drop("Ni-Pd").max() < 0.3 * change["Ni-Pd"]
    predictions = model.predict([X[-2], X[1]])
    assert table["change"].sum() == pytest.approx(np.diff(predictions)[0], abs=1e-3)


# -- distorted crystals


def test_changes_sum_to_the_change_of_the_prediction(tiny, alloys):
    X = alloys[0][:3]
    perturbed = perturb_structures(X, scale=0.2, random_state=0)
    table = attribution_change(tiny, X, perturbed, n_permutations=1, random_state=0)
    before, after = tiny.predict(X), tiny.predict(perturbed)
    assert_allclose(table.attrs["prediction"], before, atol=1e-5)
    assert_allclose(table.attrs["perturbed prediction"], after, atol=1e-5)
    assert_allclose(table.groupby("row")["change"].sum(), after - before, atol=1e-5)
    assert_allclose(totals(table, "perturbed attribution"), after, atol=1e-5)
    assert_allclose(table.attrs["residual"] + table.attrs["perturbed residual"], 0, atol=1e-5)
    assert (table.loc[table["n_edges"] == 0, "attribution"] == 0).all()
    assert (table["perturbed n_edges"] == 0).any()
    assert ((table["n_edges"] > 0) | (table["perturbed n_edges"] > 0)).all()


def test_change_is_the_difference_of_two_tables(tiny, alloys):
    X = alloys[0][:2]
    perturbed = perturb_structures(X, scale=0.1, random_state=0)
    options = {"n_permutations": 4000, "shells": [2.8]}
    table = attribution_change(tiny, X, perturbed, **options).set_index(KEYS)
    for beginning, crystals in (("", X), ("perturbed ", perturbed)):
        single = pair_attribution(tiny, crystals, **options).set_index(KEYS)
        joined = table.loc[single.index]
        assert_allclose(joined[f"{beginning}attribution"], single["attribution"], atol=1e-5)
        assert_array_equal(joined[f"{beginning}n_edges"], single["n_edges"])
    same = attribution_change(tiny, X, X, n_permutations=1)
    assert_array_equal(same["change"], 0)


def test_adversarial_examples_are_accepted(tiny, alloys):
    X = alloys[0][:8]
    found = find_adversarial_examples(tiny, X, threshold=0.05, budget=0.2, n_steps=3)
    assert len(found)
    originals = [X[row] for row in found["index"]]
    table = attribution_change(tiny, originals, found["structure"], shells=1)
    # Indices of the table of examples have no part in this.
    shuffled = attribution_change(tiny, originals, found.sort_index()["structure"], shells=1)
    assert_frame_equal(table, shuffled)
    assert_allclose(table.attrs["perturbed prediction"], found["perturbed prediction"], atol=1e-4)


# -- estimators


def test_ensembles_and_several_targets(alloys):
    X, y = alloys
    model = CGCNNRegressor(hidden_dim=4, max_epochs=3, n_ensemble=2, random_state=0)
    model = model.fit(X, np.column_stack([y, -100 * y]))
    tables = [pair_attribution(model, X[:2], target=k, n_permutations=1) for k in (0, 1)]
    found = np.column_stack([totals(table) for table in tables])
    assert_allclose(found, model.predict(X[:2]), rtol=1e-4)
    with pytest.raises(ValueError, match="a number from 0 to 1, got None"):
        pair_attribution(model, X[:2])


def test_classifiers_are_explained_in_log_odds(alloys):
    X, y = alloys
    model = CGCNNClassifier(hidden_dim=4, max_epochs=3, cutoff=4.0, random_state=0)
    labels = np.where(y > np.median(y), "up", "down")
    calibrated = CalibratedClassifierCV(model, cv=2).fit(X, labels)
    model = model.fit(X, labels)
    table = pair_attribution(model, X[:2], shells=1)
    p = model.predict_proba(X[:2])
    assert_allclose(totals(table), np.log(p[:, 1] / p[:, 0]), atol=1e-4)
    networks = [each.estimator for each in calibrated.calibrated_classifiers_]
    expected = [pair_attribution(each, X[:2], shells=1) for each in networks]
    table = pair_attribution(calibrated, X[:2], shells=1)
    assert_allclose(table["attribution"], np.mean([t["attribution"] for t in expected], axis=0))
    assert_allclose(
        table.attrs["baseline"], np.mean([t.attrs["baseline"] for t in expected], axis=0)
    )
    other = CGCNNClassifier(hidden_dim=4, max_epochs=1, cutoff=3.5, max_neighbors=4).fit(X, labels)
    calibrated.calibrated_classifiers_[1].estimator = other
    with pytest.raises(ValueError, match="read graphs with different edges; explain one of them"):
        pair_attribution(calibrated, X[:2])


def test_pipelines(tiny, alloys):
    from sklearn.frozen import FrozenEstimator

    X = alloys[0][:2]
    piped = make_pipeline(StructureToGraph(cutoff=4.0), FrozenEstimator(tiny)).fit(X, [0.0, 1.0])
    assert_frame_equal(pair_attribution(piped, X, shells=1), pair_attribution(tiny, X, shells=1))


def test_nothing_is_changed(tiny, alloys):
    X = alloys[0][:2]
    copies, before = [s.copy() for s in X], tiny.predict(X)
    pair_attribution(tiny, X, n_permutations=1)
    attribution_change(tiny, X, X, n_permutations=1)
    assert copies == X
    assert_array_equal(tiny.predict(X), before)


# -- errors


@pytest.mark.parametrize("function", [pair_attribution, attribution_change])
def test_bad_arguments(tiny, alloys, function):
    X = alloys[0][:2]
    crystals = (X,) if function is pair_attribution else (X, X)
    for shells, message in [
        (0, "shells must be a whole number above 0, got 0"),
        ([3.0, 2.5], r"ascending order, each only once, got \[3.0, 2.5\]"),
        ([2.5, 2.5], "ascending order"),
        ([0.0, 2.5], "above 0 in ascending order"),
        ([2.5, 4.0], "shells ends with 4 Å, but .* cutoff of 4 Å; give boundaries below it"),
        (2.5, "shells must be an int or a sequence of float, got 2.5"),
        ("2.5", "shells must be an int or a sequence of float"),
        ([np.nan], "shells must be an int or a sequence of float"),
    ]:
        with pytest.raises(ValueError, match=message):
            function(tiny, *crystals, shells=shells)
    with pytest.raises(ValueError, match="n_permutations must be an int above 0, got 0"):
        function(tiny, *crystals, n_permutations=0)
    with pytest.raises(ValueError, match="a number from 0 to 0, got 1"):
        function(tiny, *crystals, target=1)
    with pytest.raises(TypeError, match=r"graph estimators .* got Ridge"):
        function(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]), *crystals)
    with pytest.raises(NotFittedError):
        function(CGCNNRegressor(), *crystals)
    with pytest.raises(ValueError, match=r"X is empty \(0 structures\)"):
        function(tiny, *([] for _ in crystals))


def test_rows_of_distorted_crystals_must_match(tiny):
    X = [nickel_palladium(), random_alloys(1, n_cells=1)[0]]
    with pytest.raises(ValueError, match="X has 2 crystals and X_perturbed 1; give each crystal"):
        attribution_change(tiny, X, X[:1])
    nickel = nickel_palladium()
    nickel.replace(1, "Ni")
    with pytest.raises(ValueError, match=r"row 0 is Ni1Pd1 in X and Ni2 in X_perturbed; give"):
        attribution_change(tiny, X, [nickel, X[1]])
