"""Splits by composition, chemical system, prototype, element and number of elements."""

from itertools import pairwise, permutations, product

import numpy as np
import pandas as pd
import pytest
from crystals import diamond_si, rocksalt_nacl
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from sklmat.exceptions import InvalidStructureError
from sklmat.graphs import StructureToGraph
from sklmat.model_selection import (
    ChemicalSystemGroupKFold,
    ComponentSplit,
    CompositionGroupKFold,
    LeaveOneElementOut,
    PrototypeGroupKFold,
    chemical_systems,
    composition_groups,
    prototype_labels,
)


def cell(species, a=3.0):
    """A cubic cell with `species` spread along its diagonal."""
    coords = [[k / len(species)] * 3 for k in range(len(species))]
    return Structure(Lattice.cubic(a * len(species) ** (1 / 3)), species, coords)


class MeanRegressor(RegressorMixin, BaseEstimator):
    """Predicts the mean; takes anything as X, and can be told to fail."""

    def __init__(self, fail_on=None, where="fit"):
        self.fail_on = fail_on
        self.where = where

    def fit(self, X, y):
        self._maybe_fail(X, "fit")
        self.mean_ = np.mean(y, axis=0)
        return self

    def predict(self, X):
        self._maybe_fail(X, "predict")
        return np.full((len(X), *np.shape(self.mean_)), self.mean_)

    def _maybe_fail(self, X, where):
        if self.fail_on is not None and where == self.where:
            for index, item in enumerate(X):
                if item == self.fail_on:
                    raise InvalidStructureError(index, str(item), "is broken")


# ------------------------------------------------------------------ composition


def test_groups_join_phases_supercells_orderings_and_oxidation_states():
    rocksalt = Structure(Lattice.cubic(4.2), ["Mg"] * 4 + ["O"] * 4, rocksalt_nacl().frac_coords)
    charged = rocksalt.copy().add_oxidation_state_by_element({"Mg": 2, "O": -2})
    X = [cell(["Fe", "Ni"]), rocksalt, cell(["Ni", "Fe", "Ni", "Fe"], a=2.8), charged]
    X += [cell(["Fe", "Fe", "Ni"]), cell(["O", "Mg"])]
    np.testing.assert_array_equal(composition_groups(X), [0, 1, 0, 1, 2, 1])


def test_groups_are_the_same_from_every_kind_of_input():
    formulas = ["Fe2Ni2", "NiFe", "FeNi3", "Fe"]
    structures = [cell(["Fe", "Ni"] * 2), cell(["Ni", "Fe"]), cell(["Fe", "Ni", "Ni", "Ni"])]
    structures.append(cell(["Fe"]))
    array = np.empty(4, dtype=object)
    array[:] = structures
    table = pd.DataFrame(
        {"x_Fe": [0.5, 0.5, 0.25, 1], "x_Ni": [0.5, 0.5, 0.75, 0], "lattice_fcc": [1, 0, 1, 0]}
    )
    inputs = [
        formulas,
        tuple(formulas),
        structures,
        array,
        pd.Series(structures, index=[5, 6, 7, 9]),
    ]
    inputs += [[Composition(f) for f in formulas], [s.as_dict() for s in structures], table]
    inputs += [[{"Fe": 1, "Ni": 1}, "FeNi", structures[2], Composition("Fe3")]]
    inputs += [StructureToGraph(cutoff=4.0).fit_transform(structures)]
    for X in inputs:
        np.testing.assert_array_equal(composition_groups(X), [0, 0, 1, 2])


def test_groups_read_paths(tmp_path):
    path = tmp_path / "NiFe.cif"
    cell(["Fe", "Ni"]).to(filename=str(path))
    np.testing.assert_array_equal(composition_groups([path, str(path), "NiFe"]), [0, 0, 0])


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (["Fe", "Qq2"], InvalidStructureError, r"structure 1 \(Qq2\).*not an element"),
        (["Fe", 3.0], InvalidStructureError, r"structure 1 \(float\): not a structure"),
        (["Fe", "absent.cif"], InvalidStructureError, "structure 1.*no such file"),
        (["Fe", {}], InvalidStructureError, "structure 1.*empty composition"),
        ("FeNi", TypeError, "one str; use a list"),
        (Composition("FeNi"), TypeError, "one Composition; use a list"),
        (cell(["Fe"]), TypeError, "one Structure; use a list"),
        (np.ones((3, 2)), ValueError, r"shape \(3, 2\)"),
        (pd.DataFrame({"volume": [1.0]}), ValueError, "no element fractions"),
        (pd.DataFrame({"x_Fe": [1.0, np.nan]}), ValueError, "row 1 has missing"),
        (pd.DataFrame({"x_Fe": [0.0, 1.0]}), ValueError, "row 0 has missing"),
    ],
)
def test_groups_refuse_what_has_no_composition(X, error, message):
    with pytest.raises(error, match=message):
        composition_groups(X)


# -------------------------------------------------------------------- splitters


def alloys():
    """40 rows of 13 compositions, most of them several times."""
    rng = np.random.default_rng(0)
    names = ["Fe", "Ni", "Co", "FeNi", "FeCo", "NiCo", "FeNi3", "Fe3Ni", "FeNiCo", "Fe2NiCo"]
    names += ["FeNiCoCr", "FeNiCoCrMn", "FeNiCoCrPd"]
    return [names[k] for k in rng.integers(len(names), size=40)]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_no_composition_is_on_both_sides(shuffle, seed):
    X = alloys()
    splitter = CompositionGroupKFold(4, shuffle=shuffle, random_state=seed)
    keys = np.array([Composition(name).reduced_formula for name in X])
    tested = []
    for train, test in splitter.split(X):
        assert not set(keys[train]) & set(keys[test])
        assert len(train) + len(test) == len(X)
        tested.extend(test)
    assert sorted(tested) == list(range(len(X)))
    assert splitter.get_n_splits(X) == 4


def test_a_plain_kfold_does_leak_on_these_rows():
    keys = composition_groups(alloys())
    shared = [
        set(keys[train]) & set(keys[test]) for train, test in KFold(4, shuffle=True).split(keys)
    ]
    assert all(shared)


def test_group_folds_follow_their_seed():
    def folds(seed):
        return [t.tolist() for _, t in CompositionGroupKFold(4, random_state=seed).split(alloys())]

    assert folds(0) == folds(0)
    assert folds(0) != folds(1)


def test_unshuffled_group_folds_are_balanced():
    X = ["Fe"] * 6 + ["Ni"] * 3 + ["Co"] * 3 + ["Cr"] * 6
    sizes = [len(test) for _, test in CompositionGroupKFold(3, shuffle=False).split(X)]
    assert sorted(sizes) == [6, 6, 6]


def test_component_split_counts_elements_not_atoms():
    X = ["Fe8", "FeNi", "Fe3Ni", "FeNiCo", "FeNiCoCr", "FeNiCoCrMn", "Ni"]
    (train, test), *rest = ComponentSplit(max_train=2).split(X)
    assert not rest
    np.testing.assert_array_equal(train, [0, 1, 2, 6])
    np.testing.assert_array_equal(test, [3, 4, 5])
    ((train, test),) = ComponentSplit(max_train=2, max_test=4).split(X)
    np.testing.assert_array_equal(train, [0, 1, 2, 6])
    np.testing.assert_array_equal(test, [3, 4])


def test_component_split_with_several_limits_grows_the_training_side():
    splitter = ComponentSplit(max_train=(1, 2, 3, 4))
    splits = list(splitter.split(alloys()))
    assert len(splits) == splitter.get_n_splits() == 4
    for (smaller, _), (larger, _) in pairwise(splits):
        assert set(smaller) < set(larger)


def test_component_split_says_which_side_is_empty():
    with pytest.raises(ValueError, match=r"no crystal to test on.*1 with 1, 2 with 2"):
        next(ComponentSplit(max_train=4).split(["Fe", "FeNi", "FeCo"]))
    with pytest.raises(ValueError, match=r"no crystal to train on.*2 with 2"):
        next(ComponentSplit(max_train=1).split(["FeNi", "FeCo"]))


@pytest.mark.parametrize(
    "splitter",
    [
        CompositionGroupKFold(),
        ComponentSplit(1),
        ChemicalSystemGroupKFold(),
        LeaveOneElementOut(),
        PrototypeGroupKFold(),
    ],
)
def test_splitters_refuse_groups(splitter):
    with pytest.raises(ValueError, match="leave out groups"):
        next(splitter.split(["Fe", "FeNi"] * 5, groups=[0, 1] * 5))


def test_too_many_folds_for_the_compositions():
    with pytest.raises(ValueError, match="greater than the number of groups: 2"):
        next(CompositionGroupKFold(3).split(["Fe", "Ni", "Fe"]))


def test_splitters_show_their_settings():
    assert "n_splits=3" in repr(CompositionGroupKFold(3))
    assert "max_train=2" in repr(ComponentSplit(2))


@pytest.mark.parametrize(
    "splitter",
    [
        CompositionGroupKFold(3, random_state=0),
        ChemicalSystemGroupKFold(3, random_state=0),
        ComponentSplit((1, 2, 3)),
    ],
)
def test_splitters_work_inside_scikit_learn(splitter):
    X = [cell(list(Composition(name).as_dict())) for name in alloys()]
    y = np.arange(len(X), dtype=float)
    out = cross_validate(MeanRegressor(), X, y, cv=splitter, return_indices=True)
    assert len(out["test_score"]) == 3
    groups = composition_groups(X)
    for train, test in zip(out["indices"]["train"], out["indices"]["test"]):
        assert not set(groups[train]) & set(groups[test])
    search = GridSearchCV(MeanRegressor(), {"where": ["fit", "predict"]}, cv=splitter).fit(X, y)
    assert search.n_splits_ == 3


def test_real_alloys_have_193_compositions(data_home):
    labels = data_home / "eftgan" / "HAE_Data" / "Out_labels" / "Database.csv"
    names = pd.read_csv(labels)["structures"].str.split("_").str[0]
    groups = composition_groups(names)
    assert len(groups) == 364
    assert groups.max() + 1 == 193


def test_compositions_are_compared_to_a_millionth():
    def iron(fraction):
        return Composition({"Fe": fraction, "Ni": 1 - fraction})

    X = [iron(0.5), iron(0.5 + 2e-7), iron(0.5 + 2e-6), iron(0.5 - 2e-7)]
    np.testing.assert_array_equal(composition_groups(X), [0, 0, 1, 0])


# -- chemical systems, elements and prototypes


def test_chemical_systems_ignore_amounts_and_order():
    names = ["Fe2O3", Composition("OFe"), cell(["O", "Fe", "Fe"]), "NiO", "Fe"]
    assert chemical_systems(names).tolist() == ["Fe-O", "Fe-O", "Fe-O", "Ni-O", "Fe"]
    graphs = StructureToGraph(cutoff=4.0).fit_transform([cell(["O", "Fe"]), cell(["Ni"])])
    assert chemical_systems(graphs).tolist() == ["Fe-O", "Ni"]
    frame = pd.DataFrame({"formula": ["FeO", "NiO"], "phase": ["a", "b"]})
    assert chemical_systems(frame).tolist() == ["Fe-O", "Ni-O"]


def test_no_chemical_system_is_on_both_sides():
    X = [f"{a}{k}O{n}" for a in ("Fe", "Ni", "Co", "Cr", "Mn") for k in (1, 2) for n in (1, 3)]
    systems = chemical_systems(X)
    tested = []
    for train, test in ChemicalSystemGroupKFold(3, random_state=1).split(X):
        assert not set(systems[train]) & set(systems[test])
        tested += test.tolist()
    assert sorted(tested) == list(range(len(X)))


def test_partial_occupancy_and_spaces_in_formulas(tmp_path):
    """The composition of a site with several elements is known, also if its file is read."""
    lattice, sites = Lattice.cubic(3.6), [[0, 0, 0], [0.5, 0.5, 0.5]]
    partial = Structure(lattice, [{"Cu": 0.25, "Au": 0.75}] * 2, sites)
    partial.to(str(tmp_path / "partial.cif"))
    X = [partial, "Cu1 Au3", cell(["Cu", "Au"]), tmp_path / "partial.cif", partial.as_dict()]
    assert composition_groups(X).tolist() == [0, 0, 1, 0, 0]
    assert chemical_systems(X).tolist() == ["Au-Cu"] * 5
    with pytest.raises(InvalidStructureError, match=r"structure 1 .*no such file"):
        composition_groups([partial, tmp_path / "Cu Au.cif"])
    with pytest.raises(InvalidStructureError, match=r"structure 1 .*not a formula"):
        composition_groups([partial, "Na)Cl("])


def test_every_element_is_left_out_once():
    X = ["NaCl", "KCl", "NaBr", "KBr", "KCl2"]
    splits = list(LeaveOneElementOut().split(X))
    assert LeaveOneElementOut().get_n_splits(X) == len(splits) == 4
    for symbol, (train, test) in zip(["Na", "Cl", "K", "Br"], splits):
        assert test.tolist() == [row for row, name in enumerate(X) if symbol in name]
        assert sorted([*train, *test]) == list(range(5))
    [(train, test)] = LeaveOneElementOut(["Br"]).split(X)
    assert (train.tolist(), test.tolist()) == ([0, 1, 4], [2, 3])
    assert LeaveOneElementOut(min_test=3).get_n_splits(X) == 2  # Cl and K
    with pytest.raises(ValueError, match="pass X"):
        LeaveOneElementOut().get_n_splits()


@pytest.mark.parametrize(
    ("splitter", "X", "message"),
    [
        (LeaveOneElementOut(["Li"]), ["NaCl", "KCl"], "no row holds Li.*test on"),
        (LeaveOneElementOut(["Cl"]), ["NaCl", "KCl"], "every row holds Cl.*train on"),
        (LeaveOneElementOut(["Xx"]), ["NaCl"], "not chemical symbols: Xx"),
        (LeaveOneElementOut("CO"), ["CO", "NaCl"], "list of symbols, got 'CO'"),
        (LeaveOneElementOut(), ["NaCl", "NaCl2"], "no element"),
        (LeaveOneElementOut([]), ["NaCl", "KCl"], "elements is empty"),
        (LeaveOneElementOut(min_test=0), ["NaCl", "KCl"], r"int in the range \[1, inf\). Got 0"),
        (LeaveOneElementOut(min_test=1.5), ["NaCl", "KCl"], "'min_test' .* Got 1.5 instead"),
        (LeaveOneElementOut(["Na"], min_test=-1), ["NaCl", "KCl"], "Got -1 instead"),
    ],
)
def test_elements_that_cannot_be_left_out(splitter, X, message):
    with pytest.raises(ValueError, match=message):
        next(splitter.split(X))


def prototypes():
    """NaCl, CsCl, zincblende and wurtzite: four arrangements of two elements."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    hexagonal = [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]]
    return {
        "AB_cF8_225_a_b": rocksalt_nacl(),
        "AB_cP2_221_a_b": Structure(Lattice.cubic(4.1), ["Cs", "Cl"], sites),
        "AB_cF8_216_a_c": Structure(
            Lattice.cubic(5.4), ["Zn"] * 4 + ["S"] * 4, diamond_si().frac_coords
        ),
        "AB_hP4_186_b_b": Structure.from_spacegroup(
            "P6_3mc", Lattice.hexagonal(3.8, 6.2), ["Zn", "S"], hexagonal
        ),
    }


def test_prototypes_of_textbook_crystals():
    assert prototype_labels(list(prototypes().values())).tolist() == list(prototypes())


def test_prototype_does_not_depend_on_elements_cell_origin_order_and_noise():
    for label, crystal in prototypes().items():
        swapped = crystal.copy()
        first, second = (element.symbol for element in crystal.elements)
        swapped.replace_species({first: "Au", second: "Cu"})
        moved = crystal.copy().translate_sites(range(len(crystal)), [0.13, 0.27, 0.4])
        noisy = crystal.copy().perturb(0.01)
        backwards = Structure.from_sites(crystal.sites[::-1])
        cells = [swapped, moved, noisy, backwards, crystal * [1, 2, 1]]
        cells.append(crystal.get_primitive_structure())
        assert set(prototype_labels(cells)) == {label}
        graphs = StructureToGraph(cutoff=4.0).fit_transform([crystal])
        assert prototype_labels(graphs).tolist() == [label]


def test_prototype_does_not_depend_on_which_element_comes_first():
    corner, center, faces = [0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]
    perovskites = [
        Structure.from_spacegroup("Pm-3m", Lattice.cubic(3.9), species, [corner, center, faces])
        for species in permutations(["Sr", "Ti", "O"])
    ]
    assert set(prototype_labels(perovskites)) == {"ABC3_cP5_221_a_b_c"}
    quarters = list(product([0.25, 0.75], repeat=3))
    fluorites = [
        Structure(
            Lattice.cubic(5.0), [a] * 4 + [b] * 8, [*rocksalt_nacl().frac_coords[:4], *quarters]
        )
        for a, b in (["Ca", "F"], ["O", "Li"])
    ]
    assert set(prototype_labels(fluorites)) == {"AB2_cF12_225_a_c"}


def test_mirror_images_have_one_prototype():
    quartz = Structure.from_spacegroup(
        "P3_121",
        Lattice.hexagonal(4.91, 5.40),
        ["Si", "O"],
        [[0.470, 0, 1 / 3], [0.413, 0.267, 0.119 + 1 / 3]],
    )
    mirrored = Structure(
        Lattice(quartz.lattice.matrix * [1, 1, -1]), quartz.species, quartz.frac_coords
    )
    assert [item.get_space_group_info()[1] for item in (quartz, mirrored)] == [152, 154]
    assert prototype_labels([quartz, mirrored]).tolist() == ["AB2_hP9_152_a_c"] * 2


def test_no_prototype_is_on_both_sides():
    X = [crystal for crystal in prototypes().values() for _ in range(2)]
    labels = prototype_labels(X)
    for train, test in PrototypeGroupKFold(4, random_state=0).split(X):
        assert not set(labels[train]) & set(labels[test])
        assert len(test) == 2


def test_charges_do_not_change_a_prototype():
    magnetite = Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.39),
        ["Fe3+", "Fe2+", "O2-"],
        [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.255, 0.255, 0.255]],
    )
    plain = magnetite.copy().remove_oxidation_states()
    assert prototype_labels([magnetite, plain]).tolist() == ["A3B4_cF56_227_ad_e"] * 2


def test_crystal_without_prototype_names_its_row(monkeypatch):
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    def without_symmetry(analyzer):
        raise ValueError("no symmetry")

    X = [cell(["Na"]), cell(["Na", "Cl"])]
    with pytest.raises(ValueError, match="positive number"):
        prototype_labels(X, symprec=-1.0)
    monkeypatch.setattr(SpacegroupAnalyzer, "get_pearson_symbol", without_symmetry)
    with pytest.raises(InvalidStructureError, match=r"structure 0 .*no symmetry.*another symprec"):
        prototype_labels(X)
