"""Prototypes with other elements on their sites."""

import warnings

import numpy as np
import pytest

from sklmat.datasets import _make_prototypes, make_prototypes
from sklmat.datasets._prototype_crystals import (
    REFUSED,
    anions,
    draw_elements,
    exchange_prototype,
    prototypes,
    usable_prototypes,
)
from sklmat.datasets._prototype_elements import COHESION, element_data
from sklmat.elements import element_table
from sklmat.structures import check_structures

ALLOWED = element_table(list(COHESION))["atomic number"].to_numpy()


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    return make_prototypes(60, data_home=tmp_path_factory.mktemp("prototypes"))


def by_strukturbericht(name):
    return next(each for each in prototypes() if each.strukturbericht == name)


# make_prototypes
def test_bunch(crystals):
    frame = crystals.frame
    assert len(crystals.data) == len(crystals.target) == len(frame) == 60
    assert crystals.target_names == ["formation_energy"]
    assert (crystals.target == frame["formation energy (eV/atom)"]).all()
    assert "60 crystals of up to 20 atoms" in crystals.DESCR
    known = {each.label: each for each in prototypes()}
    for structure, (_, row) in zip(crystals.data, frame.iterrows()):
        assert structure.composition.reduced_formula == row["formula"]
        assert len(structure.composition) == row["n_elements"]
        assert structure.volume / len(structure) == pytest.approx(row["volume (Å³/atom)"])
        prototype = known[row["prototype"]]
        assert len(structure) == len(prototype.species) <= 20
        assert row["Pearson symbol"] == prototype.pearson
        assert row["prototype"] not in REFUSED


def test_crystals_are_valid_and_labels_are_plausible(crystals):
    check_structures(crystals.data)
    labels = crystals.frame.iloc[:, -3:].to_numpy()
    assert np.isfinite(labels).all()
    energy, volume, modulus = labels.T
    assert -5 < energy.min() < -1.5
    assert energy.max() <= 1
    assert 2 < volume.min() < volume.max() < 120
    assert 1 < modulus.min() < modulus.max() < 1000
    # At most twice as large as the elements.
    elements = element_data().volume
    for structure, v in zip(crystals.data, volume):
        assert v <= 2 * elements[list(structure.atomic_numbers)].mean()


def test_chemistry_is_mixed(crystals):
    symbols = {element.symbol for each in crystals.data for element in each.composition}
    assert len(symbols) > 45
    assert crystals.frame["prototype"].nunique() > 35
    assert not symbols & {"He", "Ne", "Ar", "Kr", "Xe", "Rn", "Po", "At", "Fr", "Ra", "Ac", "Pa"}


def test_second_and_third_of_three_are_polymorphs(crystals):
    frame = crystals.frame
    second, third = frame.iloc[1::3], frame.iloc[2::3]
    same = second["formula"].to_numpy() == third["formula"].to_numpy()
    assert same.mean() > 0.7
    assert (second["prototype"].to_numpy() != third["prototype"].to_numpy())[same].all()
    energy = "formation energy (eV/atom)"
    gap = np.abs(second[energy].to_numpy() - third[energy].to_numpy())[same]
    assert np.median(gap) > 0.01


def test_crystal_depends_on_its_number_and_the_seed_only(crystals):
    fewer = make_prototypes(4, cache=False, n_jobs=2)
    assert fewer.data == crystals.data[:4]
    assert (fewer.target == crystals.target[:4]).all()
    other = make_prototypes(4, cache=False, random_state=1)
    assert (other.target != crystals.target[:4]).all()


def test_crystals_are_kept(tmp_path, monkeypatch):
    names = ["volume", "bulk_modulus"]
    first = make_prototypes(3, elements=["Cl", "Na"], target=names, data_home=tmp_path)
    monkeypatch.setattr(_make_prototypes, "relax", None)  # nothing may be computed any more
    again = make_prototypes(3, elements=["Na", "Cl"], target=names, data_home=tmp_path)
    assert again.data == first.data
    assert again.frame.equals(first.frame)
    assert first.target.shape == (3, 2)
    assert (first.target == again.target).all()
    (file,) = (tmp_path / "prototypes").iterdir()
    file.write_bytes(b"damaged")
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="cannot be read and is made anew"):
        made = make_prototypes(3, elements=["Na", "Cl"], target=names, data_home=tmp_path)
    assert made.data == first.data


def test_elements_and_max_atoms():
    alloys = make_prototypes(6, elements=["Ni", "Cu", "Au"], max_atoms=4, cache=False)
    for structure in alloys.data:
        assert {*structure.composition.as_dict()} <= {"Ni", "Cu", "Au"}
        assert len(structure) <= 4
    data, target = make_prototypes(2, elements=["O"], cache=False, return_X_y=True)
    assert [each.composition.reduced_formula for each in data] == ["O2", "O2"]
    assert target.shape == (2,)


def test_random_state_object_and_progress(capsys):
    seed = np.random.RandomState(0)
    first = make_prototypes(1, random_state=seed, verbose=True)
    assert "making crystals" in capsys.readouterr().err
    assert first.target != make_prototypes(1, random_state=seed).target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples must be a positive integer, got 0"),
        ({"n_samples": True}, "n_samples must be a positive integer, got True"),
        ({"max_atoms": 2.5}, r"max_atoms must be a positive integer, got 2\.5"),
        ({"elements": ["Na", "Xe"]}, "without the noble gases, got Xe"),
        ({"elements": "NaCl"}, "elements must be a sequence of str or None, got 'NaCl'"),
        ({"elements": []}, "one or more different symbols"),
        ({"elements": ["Na", "Na"]}, "one or more different symbols"),
        ({"target": "gap"}, "unknown target 'gap'"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        make_prototypes(cache=False, **options)


# usable_prototypes, anions, draw_elements, exchange_prototype
def test_usable_prototypes():
    assert len(usable_prototypes(ALLOWED, 10**6)) == 286
    small = usable_prototypes(ALLOWED, 1)
    assert {len(each.species) for each in small} == {1}
    # Metals are not put in the place of anions.
    metals = np.array([28, 29, 79])
    assert "B1" not in {each.strukturbericht for each in usable_prototypes(metals, 20)}
    assert "L1_0" in {each.strukturbericht for each in usable_prototypes(metals, 20)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("B1", {17}), ("C4", {8}), ("C1", {9}), ("L1_0", set()), ("E2_1", {8}), ("A4", {6})],
)
def test_anions(name, expected):
    prototype = by_strukturbericht(name)
    assert {*prototype.elements[anions(prototype)].tolist()} == expected


def test_drawn_elements_keep_their_role():
    data, rng, salt = element_data(), np.random.default_rng(0), by_strukturbericht("B1")
    drawn = np.array([draw_elements(rng, salt, ALLOWED) for _ in range(300)])
    chlorine = salt.elements.tolist().index(17)
    cations, halides = drawn[:, 1 - chlorine], drawn[:, chlorine]
    assert (data.electronegativity[cations] < data.electronegativity[halides]).all()
    # Similar elements are drawn more often: alkali metals and halogens in more than a third.
    assert np.isin(cations, [3, 11, 19, 37, 55, 87]).mean() > 1 / 3
    assert np.isin(halides, [9, 17, 35, 53, 85]).mean() > 1 / 3
    assert len({*cations.tolist()}) > 15
    # Gold is more electronegative than phosphorus, the only possible anion.
    assert draw_elements(rng, salt, np.array([15, 79])) is None


def test_exchanged_prototype_has_the_same_composition():
    rutile, fluorite = by_strukturbericht("C4"), by_strukturbericht("C1")
    elements = np.where(rutile.elements == 8, 16, 40)  # ZrS2
    new = exchange_prototype(elements, rutile, fluorite)
    assert sorted(new[fluorite.species]) == [16, 16, 40]
    # Of equal numbers, the more electronegative element takes the place of chlorine.
    salt, caesium = by_strukturbericht("B1"), by_strukturbericht("B2")
    new = exchange_prototype(np.where(salt.elements == 17, 8, 12), salt, caesium)
    assert dict(zip(caesium.elements.tolist(), new.tolist())) == {55: 12, 17: 8}


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_prototypes(3, cache=False, random_state=3)
