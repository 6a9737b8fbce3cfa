"""Alloys generated with the EMT potential."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklmat.datasets import _alloy_lattices, _emt, make_alloys


@pytest.fixture(scope="module")
def alloys(tmp_path_factory):
    return make_alloys(12, data_home=tmp_path_factory.mktemp("alloys"))


def test_alloys_shape(alloys):
    assert len(alloys.data) == len(alloys.ideal) == len(alloys.target) == 12
    frame = alloys.frame
    fractions = frame[["x_Ni", "x_Cu", "x_Pd", "x_Pt"]]
    assert np.allclose(fractions.sum(axis=1), 1)
    assert set(frame["n_components"]) == {2, 3, 4}
    assert ((fractions > 0).sum(axis=1) == frame["n_components"]).all()
    for relaxed, ideal, formula in zip(alloys.data, alloys.ideal, frame["formula"]):
        assert relaxed.species == ideal.species
        assert len(relaxed) == 32
        assert relaxed.composition.reduced_formula == formula
    assert (frame["largest force (eV/Å)"] < 0.05).all()
    assert (frame["relaxation energy (eV/atom)"] <= 0).all()


def test_alloy_label_is_the_energy_of_the_cell(alloys):
    """Against ASE itself: energy of the cell minus that of the pure metals' curves' minima."""
    from ase.build import bulk
    from ase.calculators.emt import EMT

    def metal(symbol):
        edges = np.linspace(0.98, 1.02, 9) * _emt.elemental_references([symbol])[symbol][1]
        energies = []
        for volume in edges:
            atoms = bulk(symbol, "fcc", a=(4 * volume) ** (1 / 3))
            atoms.calc = EMT()
            energies.append(atoms.get_potential_energy())
        return min(energies)

    cell = alloys.data[7].to_ase_atoms()
    cell.calc = EMT()
    expected = cell.get_potential_energy() / 32
    for symbol in ("Ni", "Cu", "Pd", "Pt"):
        expected -= alloys.frame[f"x_{symbol}"][7] * metal(symbol)
    assert alloys.target[7] == pytest.approx(expected, abs=1e-5)
    assert alloys.frame["volume (Å³/atom)"][7] == pytest.approx(cell.get_volume() / 32)


def pair_fractions(alloys, elements):
    """Fractions of first-neighbour bonds between each two elements."""
    rows = []
    for structure in alloys.ideal:
        edge = (structure.volume / 8) ** (1 / 3)
        first, second, *_ = structure.get_neighbor_list(0.8 * edge)
        kind = np.array([elements.index(site.specie.symbol) for site in structure])
        table = np.zeros((len(elements), len(elements)))
        np.add.at(table, (kind[first], kind[second]), 1 / len(first))
        rows.append(table[np.triu_indices(len(elements))])
    return np.array(rows)


@pytest.mark.slow
def test_composition_does_not_explain_the_target():
    alloys = make_alloys(100, cache=False)
    elements = ["Ni", "Cu", "Pd", "Pt"]
    fractions = alloys.frame[[f"x_{element}" for element in elements]].to_numpy()
    pairs = np.hstack([fractions, pair_fractions(alloys, elements)])
    quadratic = make_pipeline(
        StandardScaler(), PolynomialFeatures(2), StandardScaler(), RidgeCV(np.logspace(-6, 2, 9))
    )
    folds = KFold(5, shuffle=True, random_state=0)
    by_composition, by_pairs = (
        cross_val_score(quadratic, X, alloys.target, cv=folds, scoring="r2").mean()
        for X in (fractions, pairs)
    )
    assert by_composition < 0.9
    assert by_pairs > 0.95


def test_order_is_what_it_says():
    """Unlike neighbours: all but third of CuAu at order 1 (L1_0 has 8 of 12), few at -1."""
    bonds = _alloy_lattices.template("fcc", 32)[1]
    assert (bonds.sum(axis=1) == 12).all()
    counts = np.array([16, 16])
    sro = {
        order: np.mean(
            [
                _alloy_lattices.short_range_order(
                    _alloy_lattices.arrange(np.random.default_rng(seed), counts, bonds, order),
                    bonds,
                )
                for seed in range(30)
            ]
        )
        for order in (-1, 0, 1)
    }
    assert sro[0] == pytest.approx(0, abs=0.03)
    perfect = 1 - (8 / 12) / (16 / 31)  # 8 of 12 unlike; 16 of the 31 others are unlike
    assert sro[1] == pytest.approx(perfect, abs=0.05)
    assert sro[-1] > 0.25


def test_swaps_find_the_ground_state():
    """Half and half on bcc, ordered: CsCl's arrangement, in which no two neighbours are equal."""
    bonds = _alloy_lattices.template("bcc", 16)[1]
    assert (bonds.sum(axis=1) == 8).all()
    counts = np.array([8, 8, 0])
    found = [
        _alloy_lattices.arrange(np.random.default_rng(seed), counts, bonds, 1.0)
        for seed in range(10)
    ]
    assert all(np.bincount(species).tolist() == [8, 8] for species in found)
    equal = [bonds[species[:, None] == species].sum() for species in found]
    assert min(equal) == 0
    cscl = found[int(np.argmin(equal))]
    assert _alloy_lattices.short_range_order(cscl, bonds) == pytest.approx(1 - 1 / (8 / 15))


def test_alloys_are_deterministic(alloys, tmp_path):
    again = make_alloys(4, cache=False, n_jobs=2)
    assert again.data == alloys.data[:4]
    assert again.target.tolist() == alloys.target[:4].tolist()
    other = make_alloys(2, cache=False, random_state=1)
    assert other.target.tolist() != alloys.target[:2].tolist()


def test_alloys_are_kept(tmp_path, monkeypatch):
    options = {"n_atoms": 8, "data_home": tmp_path}
    first = make_alloys(3, **options)
    assert len(list((tmp_path / "alloys").iterdir())) == 1
    monkeypatch.setattr(_emt, "relax", None)  # nothing may be computed any more
    second = make_alloys(3, target=["volume", "formation_energy"], **options)
    assert second.data == first.data
    assert second.target[:, 1].tolist() == first.target.tolist()
    with pytest.raises(TypeError):
        make_alloys(3, random_state=5, **options)


def test_damaged_kept_alloys_are_made_anew(tmp_path):
    first = make_alloys(2, n_atoms=8, data_home=tmp_path)
    (file,) = (tmp_path / "alloys").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(UserWarning, match="cannot be read and is made anew"):
        again = make_alloys(2, n_atoms=8, data_home=tmp_path)
    assert again.target.tolist() == first.target.tolist()


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "alloys").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot be kept for the next time"):
        assert len(make_alloys(1, n_atoms=4, elements=("Cu", "Au"), data_home=tmp_path).data) == 1


def test_alloys_do_not_go_into_the_shared_folder(tmp_path, monkeypatch):
    import pooch

    monkeypatch.setenv("SKLMAT_DATA", str(tmp_path / "shared"))
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "own" / name)
    make_alloys(1, ("Cu", "Au"), n_atoms=4)
    assert not (tmp_path / "shared").exists()
    assert len(list((tmp_path / "own/sklmat/alloys").iterdir())) == 1


def test_noise_changes_labels_only():
    clean = make_alloys(6, ("Cu", "Au"), n_atoms=4, cache=False)
    noisy = make_alloys(6, ("Cu", "Au"), n_atoms=4, cache=False, noise=0.1)
    assert noisy.data == clean.data
    shift = noisy.target - clean.target
    assert 0.02 < np.std(shift) < 0.3
    twice = make_alloys(6, ("Cu", "Au"), n_atoms=4, cache=False, noise=0.2)
    assert np.allclose(twice.target - clean.target, 2 * shift)


def test_alloys_of_both_lattices():
    both = make_alloys(6, ("Cu", "Au"), lattice=("fcc", "bcc"), n_atoms=8, order=0.5, cache=False)
    assert set(both.frame["lattice"]) == {"fcc", "bcc"}
    assert (both.frame["order"] == 0.5).all()
    for ideal, kind in zip(both.ideal, both.frame["lattice"]):
        atoms, factor = {"fcc": (4, np.sqrt(1 / 2)), "bcc": (2, np.sqrt(3 / 4))}[kind]
        edge = (ideal.volume / len(ideal) * atoms) ** (1 / 3)
        nearest = ideal.get_neighbor_list(1.01 * factor * edge)[3]
        assert np.allclose(nearest, factor * edge)
        assert len(nearest) == 8 * {"fcc": 12, "bcc": 8}[kind]
    assert "Cu, Au, 8 atoms each, on\nfcc and bcc lattices" in both.DESCR


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a positive integer"),
        ({"elements": ("Cu",)}, "elements must be two or more of"),
        ({"elements": ("Cu", "Fe")}, "elements must be two or more of"),
        ({"elements": ("Cu", "Cu")}, "elements must be two or more of"),
        ({"lattice": "hcp"}, "lattice must be"),
        ({"n_atoms": 30}, "n_atoms=30 is not a multiple of the 4 atoms of a fcc cell"),
        ({"lattice": "bcc", "n_atoms": 2}, "cannot hold 4 elements"),
        ({"order": 2}, "order must be a number or a range between -1 and 1"),
        ({"order": (1, -1)}, "order must be a number or a range between -1 and 1"),
        ({"fmax": 0}, "fmax must be a positive number"),
        ({"noise": -1}, "noise must be a finite number"),
        ({"target": "gap"}, "unknown target 'gap'"),
    ],
)
def test_alloys_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        make_alloys(cache=False, **options)


def test_unfixed_seed_is_not_kept(tmp_path):
    options = {"elements": ("Cu", "Au"), "n_atoms": 4, "data_home": tmp_path}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = np.random.RandomState(3)
        a = make_alloys(2, random_state=state, **options)
        b = make_alloys(2, random_state=np.random.RandomState(3), **options)
        make_alloys(1, random_state=None, **options)
    assert a.target.tolist() == b.target.tolist()
    assert not (tmp_path / "alloys").exists()
