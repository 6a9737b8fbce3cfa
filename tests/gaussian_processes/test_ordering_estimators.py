"""OrderingRegressor and OrderingClassifier as a user calls them."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict

from sklmat import (
    OrderingClassifier,
    OrderingRegressor,
    StructureToGraph,
    check_structures,
    enumerate_orderings,
)
from sklmat.datasets import fetch_halide_perovskites
from sklmat.estimator_checks import structure_estimator_checks
from sklmat.exceptions import InvalidStructureError
from sklmat.gaussian_processes import _ordering_process

SITES = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


@pytest.fixture(scope="module")
def crystals():
    """51 inequivalent orderings of three elements on eight sites, and labels of their order."""
    fcc = Structure(Lattice.cubic(3.8), ["Cu"] * 4, SITES) * (2, 1, 1)
    counts = [{"Cu": 8 - 2 * k, "Au": k, "Ag": k} for k in range(4)] + [{"Cu": 5, "Au": 3}]
    found = [s for count in counts for s in enumerate_orderings(fcc, {"Cu": count})]
    order = np.random.default_rng(0).permutation(len(found))
    return [found[k] for k in order]


def energy(structure):
    """Pairs of unlike nearest neighbours, each with a value: Au-Cu -2, others -1."""
    total = 0.0
    for site, around in zip(structure, structure.get_all_neighbors(2.8)):
        for neighbor in around:
            pair = {site.specie.symbol, neighbor.specie.symbol}
            total -= {1: 0, 2: 1}[len(pair)] * (2 if pair == {"Au", "Cu"} else 1)
    return total / 24


@pytest.fixture(scope="module")
def labels(crystals):
    return np.array([energy(structure) for structure in crystals])


@pytest.fixture(scope="module")
def fast():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ordering_process, "_N_STARTS", 1)  # one search is continued then
        patch.setattr(_ordering_process, "_N_FIRST_ITERATIONS", 25)
        yield {"max_iter": 20, "random_state": 0}


@pytest.fixture(scope="module")
def model(crystals, labels, fast):
    return OrderingRegressor(**fast).fit(crystals[:40], labels[:40])


def test_learns_pair_energies(model, crystals, labels):
    error = np.abs(model.predict(crystals[40:]) - labels[40:]).mean()
    assert error < 0.25 * np.abs(labels[40:] - labels[:40].mean()).mean()
    assert np.abs(model.predict(crystals[:40]) - labels[:40]).max() < 0.05


def test_equivalent_cells_have_equal_predictions(model, crystals, described_otherwise):
    rng = np.random.default_rng(0)
    others = [described_otherwise(crystal, rng) for crystal in crystals]
    expected = model.predict(crystals, return_std=True)
    np.testing.assert_allclose(model.predict(others, return_std=True), expected, atol=1e-7)


def test_supercell_of_a_given_parent(crystals, labels, fast, model):
    primitive = Structure(Lattice.cubic(3.8), ["Pt"] * 4, SITES)
    given = OrderingRegressor(parent=primitive, **fast).fit(crystals[:40], labels[:40])
    assert len(given.permutations_) == len(model.permutations_) == 32
    assert set(given.orbits_) == {0}
    assert len(given.parent_) == 8
    error = np.abs(given.predict(crystals[40:]) - labels[40:]).mean()
    assert error < 0.25 * np.abs(labels[40:] - labels[:40].mean()).mean()


def test_disordered_parent(crystals, labels, fast, tmp_path):
    """Only its positions are used; a CIF is what users have."""
    alloy = Structure(Lattice.cubic(3.8), [{"Cu": 0.5, "Au": 0.25, "Ag": 0.25}] * 4, SITES)
    alloy.to(tmp_path / "alloy.cif")
    for parent in (alloy, alloy.as_dict(), tmp_path / "alloy.cif"):
        model = OrderingRegressor(parent, **fast).fit(crystals[:10], labels[:10])
        assert len(model.permutations_) == 32
    split = Structure(Lattice.cubic(3.8), [{"Cu": 0.5}] * 2, [[0, 0, 0], [0.1, 0, 0]])
    with pytest.raises(InvalidStructureError, match=r"sites 0 and 1 are 0\.380 Å apart"):
        OrderingRegressor(split).fit(crystals[:10], labels[:10])


def test_order_of_rows_and_atoms(fast, described_otherwise):
    """Pairs of elements that no other row has: K is put onto the sites of Na in any order."""
    sites = [*SITES, *(np.array(SITES) + 0.5)]

    def salt(cation, anion):
        return Structure(Lattice.cubic(5), [cation] * 4 + [anion] * 4, sites)

    rows = [salt("Na", "Cl"), salt("K", "Br"), salt("Mg", "O")] * 2
    y = np.array([1.0, 2.0, 5.0] * 2)
    others = [salt("Na", "Br"), salt("K", "Cl"), salt("Mg", "Cl"), salt("K", "O")]
    expected = OrderingRegressor(**fast).fit(rows, y).predict(others)
    rng = np.random.default_rng(0)
    for _ in range(4):
        order = rng.permutation(len(rows))
        model = OrderingRegressor(**fast)
        model.fit([described_otherwise(rows[i], rng) for i in order], y[order])
        np.testing.assert_allclose(model.predict(others), expected, atol=1e-3)
        assert len(model.permutations_) == 24


def test_parent_attribute(model, crystals):
    assert isinstance(model.parent_, Structure)
    assert model.parent_.composition == crystals[0].composition
    assert model.predict([model.parent_]) == pytest.approx(model.predict(crystals[:1]), abs=1e-7)


def test_rows_do_not_depend_on_each_other(model, crystals):
    together = model.predict(crystals, return_std=True)
    for k in (3, 45):
        alone = model.predict([crystals[k]], return_std=True)
        assert (alone[0][0], alone[1][0]) == (together[0][k], together[1][k])


def test_standard_deviations(model, crystals, labels):
    mean, deviation = model.predict(crystals, return_std=True)
    noisy = model.predict(crystals, return_std=True, include_noise=True)[1]
    np.testing.assert_allclose(noisy**2 - deviation**2, model.noise_std_**2)
    assert deviation[40:].mean() > 1.2 * deviation[:40].mean()
    assert (np.abs(mean - labels)[40:] < 4 * noisy[40:]).all()


def test_several_targets_and_units(crystals, labels, fast):
    both = np.column_stack([labels, 3.0 + np.zeros(len(labels))])
    model = OrderingRegressor(**fast).fit(crystals[:40], both[:40])
    mean, deviation = model.predict(crystals[40:], return_std=True, include_noise=True)
    assert mean.shape == deviation.shape == (len(crystals) - 40, 2)
    assert model.noise_std_.shape == (2,)
    np.testing.assert_array_equal(mean[:, 1], 3.0)
    np.testing.assert_array_equal(deviation[:, 1], 0.0)
    large = OrderingRegressor(**fast).fit(crystals[:40], 1e6 * labels[:40] + 5)
    single = OrderingRegressor(**fast).fit(crystals[:40], labels[:40])
    np.testing.assert_allclose(
        large.predict(crystals[40:]), 1e6 * single.predict(crystals[40:]) + 5, rtol=0.02
    )


def test_units_far_from_one(crystals, labels, fast):
    expected = OrderingRegressor(**fast).fit(crystals[:40], labels[:40]).predict(crystals)
    for unit in (2.0**450, 2.0**-450):
        model = OrderingRegressor(**fast).fit(crystals[:40], unit * labels[:40])
        mean, deviation = model.predict(crystals, return_std=True, include_noise=True)
        assert (mean == unit * expected).all()
        assert np.isfinite(deviation).all()


def test_one_row_and_equal_rows(crystals, fast):
    model = OrderingRegressor(**fast).fit(crystals[:1], [2.0])
    assert model.predict(crystals[:1]) == [2.0]
    same = OrderingRegressor(**fast).fit([crystals[0]] * 4, [1.0, 2.0, 3.0, 2.0])
    assert same.predict(crystals[:1]) == pytest.approx([2.0], abs=0.1)
    assert same.noise_std_ == pytest.approx(0.7, abs=0.4)


def test_seed_and_pickle_and_clone(model, crystals, labels, fast):
    import pickle

    again = clone(model).fit(crystals[:40], labels[:40])
    expected = model.predict(crystals)
    assert (again.predict(crystals) == expected).all()
    assert (pickle.loads(pickle.dumps(model)).predict(crystals) == expected).all()
    assert again.n_iter_ == model.n_iter_ > 10


def test_containers_are_not_changed(model, crystals):
    copies = [crystal.copy() for crystal in crystals]
    expected = model.predict(crystals)
    assert all(a == b for a, b in zip(crystals, copies))
    for X in (pd.Series(crystals, index=range(5, 5 + len(crystals))), tuple(crystals)):
        assert (model.predict(X) == expected).all()
    assert (model.predict([crystal.as_dict() for crystal in crystals]) == expected).all()


def test_in_scikit_learn(crystals, labels, fast):
    predicted = cross_val_predict(OrderingRegressor(**fast), crystals, labels, cv=3)
    assert np.corrcoef(predicted, labels)[0, 1] > 0.8
    search = GridSearchCV(OrderingRegressor(**fast), {"max_iter": [1, 5]}, cv=2)
    search.fit(pd.Series(crystals), labels)
    assert search.best_params_["max_iter"] in (1, 5)


def test_errors(model, crystals, labels, fast):
    with pytest.raises(ValueError, match="NaN or infinity, first in row 2"):
        OrderingRegressor().fit(crystals[:3], [1.0, 2.0, np.nan])
    with pytest.raises(ValueError, match="target y is None"):
        OrderingRegressor().fit(crystals[:3], None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        OrderingRegressor().fit(crystals[:3], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"y has values from 1e\+200 to 3e\+200, whose variance"):
        OrderingRegressor().fit(crystals[:3], [1e200, 2e200, 3e200])
    with pytest.raises(ValueError, match="y of target 1 has values from 1e-200 to 2e-200, whose"):
        OrderingRegressor().fit(crystals[:2], [[1.0, 1e-200], [2.0, 2e-200]])
    with pytest.raises(ValueError, match="symprec"):
        OrderingRegressor(symprec=-1).fit(crystals[:3], labels[:3])
    with pytest.raises(TypeError, match="needs the structures themselves"):
        model.predict(StructureToGraph(cutoff=4.0).transform(crystals[:2]))
    platinum = crystals[3].copy()
    platinum[5] = "Pt"
    with pytest.raises(InvalidStructureError, match="has Pt on a site") as error:
        model.predict([*crystals[:3], platinum])
    assert error.value.index == 3
    with pytest.raises(InvalidStructureError, match="atoms, and the parent has 8 sites"):
        model.predict([crystals[0], Structure(Lattice.cubic(3), ["Cu"], [[0, 0, 0]])])
    assert OrderingRegressor(**fast).__sklearn_tags__().input_tags.two_d_array is False


def test_a_fit_that_is_interrupted_changes_nothing(crystals, labels, fast, monkeypatch):
    model = OrderingRegressor(**fast).fit(crystals[:10], labels[:10])
    expected = model.predict(crystals[:3])
    new = OrderingRegressor(**fast)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_ordering_process, "_climb", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(crystals[20:30], labels[20:30])
    assert (model.predict(crystals[:3]) == expected).all()
    with pytest.raises(KeyboardInterrupt):
        new.fit(crystals, labels)
    with pytest.raises(NotFittedError):
        new.predict(crystals)


def test_more_iterations_on_few_rows(crystals, labels, fast):
    short, long = (
        OrderingRegressor(**{**fast, "max_iter": n}).fit(crystals[:20], labels[:20]).n_iter_
        for n in (1, 20)
    )
    assert short < long


def test_classifier(crystals, labels, fast, described_otherwise):
    y = np.where(labels > np.median(labels), "weak", "strong").astype(object)
    model = OrderingClassifier(**fast).fit(crystals[:40], y[:40])
    assert model.classes_.tolist() == ["strong", "weak"]
    probabilities = model.predict_proba(crystals)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert model.score(crystals[40:], y[40:]) > 0.8
    assert (model.predict(crystals) == model.classes_[probabilities.argmax(axis=1)]).all()
    rng = np.random.default_rng(0)
    others = [described_otherwise(crystal, rng) for crystal in crystals]
    np.testing.assert_allclose(model.predict_proba(others), probabilities, atol=1e-6)


def test_three_classes(crystals, labels, fast):
    y = np.digitize(labels, np.quantile(labels, [0.33, 0.67]))
    model = OrderingClassifier(**fast).fit(crystals[:40], y[:40])
    probabilities = model.predict_proba(crystals[40:])
    assert probabilities.shape == (len(crystals) - 40, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert model.score(crystals[40:], y[40:]) > 0.6


def test_classifier_refuses(crystals):
    with pytest.raises(ValueError, match="one class only"):
        OrderingClassifier().fit(crystals[:3], ["a"] * 3)
    with pytest.raises(ValueError, match="Unknown label type"):
        OrderingClassifier().fit(crystals[:3], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="target y is None"):
        OrderingClassifier().fit(crystals[:3], None)


def test_progress_bar(crystals, labels, capsys):
    OrderingRegressor(verbose=True, max_iter=2, random_state=0).fit(crystals[:5], labels[:5])
    assert "orderings" in capsys.readouterr().err


def toy_ordering(index, equal_size, rng):
    """A crystal for the checks of estimators: Ni, Cu and Pd on eight sites."""
    cell = Structure(Lattice.cubic(3.8), ["Cu"] * 4, SITES) * (2, 1, 1)
    for site in range(8):
        cell[site] = ["Ni", "Cu", "Pd"][rng.randint(3)]
    for site, element in enumerate(["Ni", "Cu", "Pd"]):
        cell[site] = element
    return cell


#: Crystals of these checks have no common parent with the toy crystals.
OTHER_CRYSTALS = {"check_isolated_atom"}


@pytest.mark.parametrize(
    "estimator",
    [
        OrderingRegressor(max_iter=3),
        pytest.param(OrderingClassifier(max_iter=3), marks=pytest.mark.slow),
    ],
    ids=lambda e: type(e).__name__,
)
def test_structure_estimator_checks(estimator, fast, monkeypatch):
    monkeypatch.setattr("sklmat.estimator_checks._toy_data._toy_crystal", toy_ordering)
    for one, check in structure_estimator_checks(estimator):
        if check.__name__ not in OTHER_CRYSTALS:
            check(one)


@pytest.mark.slow
def test_halide_perovskites(data_home, fast):
    """From 400 of 3,159 rows; a constant has 25 meV/atom, boosted trees on 2,211 rows 0.9."""
    perovskites = fetch_halide_perovskites(data_home=data_home, verbose=False)
    X = check_structures(perovskites.data)
    energies = perovskites.target
    order = np.random.default_rng(3).permutation(len(X))
    train, test = order[:400], order[-400:]
    model = OrderingRegressor(**fast).fit(X[train], energies[train])
    assert len(model.permutations_) == 8
    assert np.abs(model.predict(X[test]) - energies[test]).mean() < 0.9
