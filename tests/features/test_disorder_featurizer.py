"""Columns of disordered crystals: ideal ones by hand, invariance, and refusals."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from crystals import (
    b2_cscl,
    bcc_fe,
    displaced,
    fcc_cu,
    halide,
    moved,
    perovskite,
    random_halides,
    rocksalt_nacl,
    tilted,
    turned,
)
from pymatgen.core import Lattice, Structure
from sklearn.base import clone

from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.features import DisorderFeaturizer
from sklmat.features._disorder_descriptors import GROUPS as DISORDER_GROUPS
from sklmat.features._disorder_descriptors import describe_disorder
from sklmat.features._disorder_schema import DisorderSchema
from sklmat.structures import crystal_arrays

GROUPS = [
    "symmetry",
    "bonds",
    "angles",
    "polyhedra",
    "tilts",
    "volume",
    "order",
    "entropy",
    "prototype",
]
PARENT = "on the parent lattice"


def random_alloy(seed=0, elements=("Ni", "Pd", "Pt"), repeat=(2, 2, 2), displacement=0.08):
    rng = np.random.default_rng(seed)
    alloy = fcc_cu() * repeat
    coords = alloy.cart_coords + rng.normal(scale=displacement, size=(len(alloy), 3))
    species = rng.choice(elements, size=len(alloy))
    return Structure(alloy.lattice, species, coords, coords_are_cartesian=True)


def row(structure, **parameters):
    return (
        DisorderFeaturizer(**{"symprec": (0.01, 0.1), **parameters})
        .fit_transform([structure])
        .iloc[0]
    )


# ------------------------------------------------------------------ ideal crystals


@pytest.mark.parametrize("repeat", [(1, 1, 1), (2, 1, 3)])
def test_cubic_perovskite_by_hand(repeat):
    values = row(perovskite() * repeat)
    for place in ("at 0.01 Å", "at 0.1 Å", PARENT):
        assert values[f"inequivalent sites {place}"] == 3
        assert values[f"fraction of inequivalent sites {place}"] == 3 / 5
        assert values[f"atoms in the primitive cell {place}"] == 5
        assert values[f"symmetry operations {place}"] == 48
        assert values[f"space group number {place}"] == 221
        assert [values[f"inequivalent {x} sites {place}"] for x in ("Sr", "Ti", "O")] == [1, 1, 1]
    assert values["log of the index in the parent's space group"] == 0
    assert values["mean O-Ti bond (Å)"] == pytest.approx(3.905 / 2)
    assert values["mean O-Sr bond (Å)"] == pytest.approx(3.905 / np.sqrt(2))
    assert values["mean angle at O (°)"] == pytest.approx(180)
    assert values["mean angle at Ti (°)"] == pytest.approx(90)
    assert values["mean quadratic elongation"] == pytest.approx(1)
    zero = values.filter(regex="variance|skew|deviation|tilt|off-c|distortion|displ|strain|entropy")
    assert len(zero) == 22
    np.testing.assert_allclose(zero, 0, atol=1e-5)
    assert not values.index.str.contains("Warren|dipole").any()


@pytest.mark.parametrize(
    ("build", "number", "coordination"),
    [(fcc_cu, 225, 12), (bcc_fe, 229, 14), (rocksalt_nacl, 225, 6), (b2_cscl, 221, 8)],
)
def test_other_ideal_crystals(build, number, coordination):
    structure = build()
    values = row(structure, voronoi=True)
    assert values["space group number of the parent"] == number
    assert values[f"space group number {PARENT}"] == number
    bonds = values.filter(regex="^mean .* bond")
    assert len(bonds) == 1
    bonded = sorted(n.nn_distance for n in structure.get_neighbors(structure[0], 6.0))
    unlike = [
        n.nn_distance
        for n in structure.get_neighbors(structure[0], 6.0)
        if n.specie != structure[0].specie
    ]
    expected = np.sort(unlike or bonded)[:coordination].mean()
    assert bonds.iloc[0] == pytest.approx(expected)
    np.testing.assert_allclose(values.filter(regex="displacement|strain|volume"), 0, atol=1e-6)


# ------------------------------------------------------------------ sublattices


def test_sublattices_are_found_by_chemistry_and_coordination():
    crystals = [halide((2, 1, 1), [0]), perovskite(6.0, ("K", "Pb", "Cl"))]
    found = DisorderFeaturizer().fit(crystals)
    assert found.sublattices_ == [["Br", "Cl", "I"], ["Cs", "K"], ["Pb", "Sn"]]
    assert found.mixed_ == ["Br/Cl/I"]
    alloy = DisorderFeaturizer().fit([random_alloy()])
    assert alloy.sublattices_ == [["Ni", "Pd", "Pt"]]
    both = DisorderFeaturizer().fit([random_alloy(), rocksalt_nacl()])
    assert both.sublattices_ == [["Cl"], ["Na"], ["Ni", "Pd", "Pt"]]


def test_sublattices_can_be_named():
    b2 = Structure(Lattice.cubic(2.9), ["Fe", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]]) * (2, 2, 2)
    b2[0] = "Ni"
    together = DisorderFeaturizer().fit([b2])
    assert together.sublattices_ == [["Al", "Fe", "Ni"]]
    assert row(b2)["space group number of the parent"] == 229
    apart = DisorderFeaturizer(sublattices=(("Fe", "Ni"),))
    values = apart.fit_transform([b2]).iloc[0]
    assert apart.sublattices_ == [["Al"], ["Fe", "Ni"]]
    assert apart.mixed_ == ["Fe/Ni"]
    assert values["space group number of the parent"] == 221
    entropy = -(1 / 8 * np.log(1 / 8) + 7 / 8 * np.log(7 / 8))
    assert values["configurational entropy of Fe/Ni (kB per site)"] == pytest.approx(entropy)


def test_columns_of_what_a_crystal_lacks_are_neutral():
    crystals = [halide((2, 1, 1), [0, 3]), halide((2, 1, 1), [1]), halide((2, 1, 1))]
    crystals = [displaced(c, 0.1, seed) for seed, c in enumerate(crystals)]
    featurizer = DisorderFeaturizer()
    table = featurizer.fit_transform(crystals)
    assert not table.isna().any().any()
    for name in ("mean I-Sn bond (Å)", "variance I-Sn bond (Å²)", "mean angle at I (°)"):
        assert table.loc[2, name] == pytest.approx(table.loc[:1, name].mean())
    order = [name for name in table if ("Br/I" in name and "shell" in name) or "around" in name]
    excess = [name for name in order if "fraction" not in name]
    np.testing.assert_allclose(table.loc[2, excess], 0, atol=1e-12)
    salt = DisorderFeaturizer(groups=["tilts"]).fit([tilted(6.0)])
    lone = Structure(Lattice.cubic(6.2), ["Cs", "Br"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    fitted = DisorderFeaturizer(groups=["tilts"]).fit([tilted(6.0), tilted(9.0)])
    np.testing.assert_allclose(fitted.transform([lone]), [[5, np.sqrt(2) * 2.5]])
    assert salt.transform([lone]).iloc[0, 0] == pytest.approx(4)


# ------------------------------------------------------------------ invariance


@pytest.mark.parametrize(
    "structure",
    [
        displaced(halide((2, 1, 1), [0, 3, 4]), 0.06),
        tilted(7.0),
        random_alloy(repeat=(2, 2, 1)),
    ],
    ids=["mixed", "tilted", "alloy"],
)
def test_invariance(structure):
    order = np.random.default_rng(5).permutation(len(structure))
    permuted = Structure.from_sites([structure[i] for i in order])
    others = [permuted, moved(structure), turned(structure), structure * (2, 1, 1)]
    featurizer = DisorderFeaturizer(voronoi=True)
    table = featurizer.fit_transform([structure, *others])
    assert table.shape[1] > 40
    for i in range(1, 5):
        np.testing.assert_allclose(table.iloc[i], table.iloc[0], rtol=1e-5, atol=2e-6)


# ------------------------------------------------------------------ as an estimator


def test_fit_transform_is_fit_then_transform():
    crystals = [displaced(c, 0.05, seed) for seed, c in enumerate(random_halides(5))]
    together = DisorderFeaturizer().fit_transform(crystals)
    pd.testing.assert_frame_equal(together, DisorderFeaturizer().fit(crystals).transform(crystals))
    backwards = DisorderFeaturizer().fit_transform(crystals[::-1]).iloc[::-1]
    pd.testing.assert_frame_equal(together, backwards.reset_index(drop=True))
    assert together.columns.is_unique
    assert not together.columns.str.contains(r"[\[\]<]").any()


def test_groups_choose_and_order_columns():
    crystals = random_halides(3)
    everything = DisorderFeaturizer().fit_transform(crystals)
    parts = [DisorderFeaturizer(groups=[g]).fit_transform(crystals) for g in GROUPS]
    pd.testing.assert_frame_equal(everything, pd.concat(parts, axis=1))
    two = DisorderFeaturizer(groups=["entropy", "tilts"]).fit_transform(crystals)
    assert two.columns.tolist() == [*parts[7].columns, *parts[4].columns]


def test_every_group_names_the_same_columns_for_every_crystal():
    schema = DisorderSchema(
        elements=["Br", "Cs", "I", "Sn"],
        sublattices=[["Br", "I"], ["Cs"], ["Sn"]],
        names=["Br/I", "Cs", "Sn"],
        mixed=["Br/I"],
        pairs=True,
        symprec=[0.1],
        parent_symprec=1.0,
        n_shells=4,
        voronoi=False,
    )
    box = Lattice(np.eye(3) * 12, pbc=(False, False, False))
    structures = [
        halide((2, 1, 1), [0, 3]),
        Structure(Lattice.cubic(6.2), ["Cs", "I"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure(box, ["Sn"], [[0.5, 0.5, 0.5]]),
    ]
    assert list(DISORDER_GROUPS) == GROUPS
    for group in GROUPS:
        table = describe_disorder(crystal_arrays(structures), [group], schema)
        assert len(table) > 0
        assert {values.shape for values in table.values()} == {(3,)}
        for structure in structures:
            alone = describe_disorder(crystal_arrays([structure]), [group], schema)
            assert list(alone) == list(table)
    # Both names of a pair are in alphabetical order, and an absent pair has no value.
    bonds = describe_disorder(crystal_arrays(structures), ["bonds"], schema)
    assert bonds["mean Br-Sn bond (Å)"][0] == pytest.approx(2.9)
    assert bonds["mean Cs-I bond (Å)"][1] == pytest.approx(6.2 * np.sqrt(3) / 2)
    assert np.isnan(bonds["mean Br-Sn bond (Å)"][1])


def test_symprec_and_shells_choose_columns():
    crystals = random_halides(2)
    one = DisorderFeaturizer(groups=["symmetry"], symprec=0.03, parent_symprec=None)
    names = one.fit(crystals).get_feature_names_out()
    assert len(names) == 8
    assert all(name.endswith("at 0.03 Å") for name in names)
    shells = DisorderFeaturizer(groups=["order"], n_shells=2).fit(crystals).get_feature_names_out()
    assert max(int(name[-1]) for name in shells if "shell" in name) == 2


def test_parameters_set_after_fit_do_not_change_columns():
    crystals = [displaced(c, 0.05, seed) for seed, c in enumerate(random_halides(2))]
    featurizer = DisorderFeaturizer(groups=["symmetry", "order", "volume"]).fit(crystals)
    before = featurizer.transform(crystals)
    featurizer.set_params(symprec=0.01, parent_symprec=None, n_shells=2, voronoi=True)
    pd.testing.assert_frame_equal(featurizer.transform(crystals), before)


def test_n_jobs_gives_the_same_bits():
    crystals = [displaced(c, 0.05, seed) for seed, c in enumerate(random_halides(9))]
    serial = DisorderFeaturizer(n_jobs=1).fit_transform(crystals)
    parallel = DisorderFeaturizer(n_jobs=2).fit_transform(crystals)
    assert serial.to_numpy().tobytes() == parallel.to_numpy().tobytes()


def test_unseen_elements_are_refused():
    featurizer = DisorderFeaturizer(groups=["bonds"]).fit([halide(), tilted(5.0)])
    rows = [halide(), halide(iodine=[0])]
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element I"):
        featurizer.transform(rows)
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match=r"structure 1 .*I"):
        table = featurizer.transform(rows)
    assert table.isna().all(axis=1).tolist() == [False, True]


def test_invalid_rows():
    clash = Structure(Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.1]])
    rows = [bcc_fe(), clash, bcc_fe()]
    with pytest.raises(InvalidStructureError, match="structure 1 "):
        DisorderFeaturizer().fit(rows)
    with pytest.warns(InvalidStructureWarning, match="structure 1 "):
        table = DisorderFeaturizer(on_invalid="warn").fit_transform(rows)
    assert table.isna().all(axis=1).tolist() == [False, True, False]
    assert not table.loc[[0, 2]].isna().any().any()
    nothing = DisorderFeaturizer(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning), pytest.raises(ValueError, match="no row of X"):
        nothing.fit([clash])


def test_failing_symmetry_names_the_row(monkeypatch):
    import spglib

    featurizer = DisorderFeaturizer().fit([bcc_fe()])
    monkeypatch.setattr(spglib, "get_symmetry_dataset", lambda *args, **kwargs: None)
    with pytest.raises(InvalidStructureError, match=r"structure 0 .*at 0.1 Å"):
        featurizer.transform([bcc_fe()])
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match="structure 0 "):
        assert featurizer.transform([bcc_fe()]).isna().all().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"groups": ["colour"]}, "groups must be"),
        ({"groups": []}, "groups must be"),
        ({"groups": ["tilts", "order"]}, "no crystal of X has anything"),
        ({"symprec": 0}, "symprec"),
        ({"symprec": (0.1, 0.1)}, "symprec"),
        ({"symprec": (0.1, -1)}, "symprec"),
        ({"symprec": ()}, "symprec"),
        ({"parent_symprec": 0}, "parent_symprec"),
        ({"sublattices": (("Br", "I"), ("I", "Cl"))}, "sublattices must be"),
        ({"sublattices": (("Br", "Xx"),)}, "sublattices must be"),
        ({"n_shells": 5}, "n_shells"),
        ({"voronoi": "yes"}, "voronoi"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"on_invalid": "ignore"}, "on_invalid"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        DisorderFeaturizer(**parameters).fit([bcc_fe()])


def test_inputs_are_not_changed_and_no_warnings_escape():
    crystals = [displaced(halide((2, 1, 1), [0]), 0.05), random_alloy(repeat=(1, 1, 1))]
    before = [c.as_dict() for c in crystals]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DisorderFeaturizer(voronoi=True).fit_transform(crystals)
    assert [c.as_dict() for c in crystals] == before


def test_molecules_and_lone_atoms_have_a_row():
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    molecule = Structure(box, ["C", "O"], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.62]])
    lone = Structure(box, ["Ne"], [[0.5, 0.5, 0.5]])
    table = DisorderFeaturizer(groups=GROUPS[1:]).fit_transform([molecule, lone, fcc_cu()])
    assert table.loc[0, "mean C-O bond (Å)"] == pytest.approx(1.2)
    assert not table.isna().any().any()


def test_pickle_and_clone():
    fitted = pickle.loads(pickle.dumps(DisorderFeaturizer().fit([halide(iodine=[0])])))
    plain = clone(fitted).set_output(transform="default").fit_transform([halide(iodine=[0])])
    np.testing.assert_array_equal(plain, fitted.transform([halide(iodine=[0])]))
