import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils._param_validation import InvalidParameterError

from sklmat import CompositionFeaturizer, StructureFeaturizer, infer_lattice
from sklmat.elements import element_table
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.features._structure_descriptors import StructureSchema, describe_structures
from sklmat.graphs import crystal_arrays

GROUPS = ["volume", "distances", "coordination", "order", "symmetry", "lattice"]


def crystal(space_group, lattice, species, coords):
    return Structure.from_spacegroup(space_group, lattice, species, coords)


@cache
def fe_bcc():
    return crystal("Im-3m", Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]])


@cache
def cu_fcc():
    return crystal("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])


@cache
def mg_hcp():
    lattice = Lattice.hexagonal(3.2, 3.2 * np.sqrt(8 / 3))
    return crystal("P6_3/mmc", lattice, ["Mg"], [[1 / 3, 2 / 3, 0.25]])


@cache
def po_sc():
    return Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])


@cache
def si_diamond():
    return crystal("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]])


@cache
def nacl():
    return crystal("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@cache
def nial_b2():
    return Structure(Lattice.cubic(2.88), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@cache
def cu3au_l12():
    return crystal("Pm-3m", Lattice.cubic(3.75), ["Au", "Cu"], [[0, 0, 0], [0.5, 0.5, 0]])


@cache
def srtio3():
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    return crystal("Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], sites)


@cache
def wurtzite():
    sites = [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]]
    return crystal("P6_3mc", Lattice.hexagonal(3.25, 5.3), ["Zn", "O"], sites)


def random_alloy(seed=0, elements=("Ni", "Pd", "Pt"), repeat=3, displacement=0.08):
    rng = np.random.default_rng(seed)
    alloy = cu_fcc() * (repeat, repeat, repeat)
    species = rng.choice(elements, size=len(alloy))
    coords = alloy.cart_coords + rng.normal(scale=displacement, size=(len(alloy), 3))
    return Structure(alloy.lattice, species, coords, coords_are_cartesian=True)


def row(structure, groups=None):
    return StructureFeaturizer(groups=groups).fit_transform([structure]).iloc[0]


# infer_lattice


IDEAL = {
    "bcc": [fe_bcc, nial_b2],
    "fcc": [cu_fcc, cu3au_l12],
    "hcp": [mg_hcp],
    "sc": [po_sc, nacl],
    "diamond": [si_diamond],
    "other": [srtio3, wurtzite],
}


@pytest.mark.parametrize(("label", "build"), [(k, f) for k, v in IDEAL.items() for f in v])
def test_lattice_of_textbook_crystals(label, build):
    structure = build()
    assert infer_lattice([structure, structure * (2, 1, 3)]).tolist() == [label, label]


@pytest.mark.parametrize("label", ["bcc", "fcc", "hcp", "sc", "diamond"])
def test_lattice_survives_displacements_and_strain(label):
    structure = IDEAL[label][0]() * (3, 3, 3)
    nearest = structure.distance_matrix[0, 1:].min()
    rng = np.random.default_rng(0)
    shaken = []
    for strain in (0.97, 1.0, 1.03):
        matrix = structure.lattice.matrix @ np.diag([strain, 1, 1])
        moves = rng.normal(size=(len(structure), 3)) * 0.07 * nearest / np.sqrt(3)
        coords = structure.frac_coords @ matrix + moves
        shaken.append(Structure(matrix, structure.species, coords, coords_are_cartesian=True))
    assert infer_lattice(shaken).tolist() == [label] * 3


def test_zinc_is_hcp_in_spite_of_its_axes_and_a_gas_is_other():
    zinc = crystal("P6_3/mmc", Lattice.hexagonal(2.66, 4.95), ["Zn"], [[1 / 3, 2 / 3, 0.25]])
    rng = np.random.default_rng(1)
    points = (np.indices((4, 4, 4)).reshape(3, -1).T + 0.6 * rng.random((64, 3))) / 4
    gas = Structure(Lattice.cubic(12), ["Xe"] * 64, points)
    assert infer_lattice([zinc, gas]).tolist() == ["hcp", "other"]


def test_small_molecule_without_images_is_other():
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    molecule = Structure(box, ["O", "O"], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.62]])
    assert infer_lattice([molecule]).tolist() == ["other"]
    values = row(molecule)
    assert values["mean nearest-neighbour distance (Å)"] == pytest.approx(1.2)
    assert values["mean coordination number"] == 1
    assert np.isnan(values["mean shell 2 distance (Å)"])


# CompositionFeaturizer


def test_composition_by_hand():
    table = CompositionFeaturizer().fit_transform([Composition("Ni3Al"), Composition("Al")])
    assert table.columns[:2].tolist() == ["x_Al", "x_Ni"]
    assert table["x_Ni"].tolist() == [0.75, 0]
    name = "electronegativity (Pauling)"  # Al 1.61, Ni 1.91
    first = table.iloc[0]
    assert first[f"mean {name}"] == pytest.approx(0.25 * 1.61 + 0.75 * 1.91)
    assert first[f"deviation {name}"] == pytest.approx(0.30 * np.sqrt(0.25 * 0.75))
    assert first[f"min {name}"] == 1.61
    assert first[f"max {name}"] == 1.91
    assert first[f"range {name}"] == pytest.approx(0.30)
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert first["mixing entropy (kB per atom)"] == pytest.approx(entropy)
    second = table.iloc[1]
    assert second[f"mean {name}"] == second[f"min {name}"] == second[f"max {name}"] == 1.61
    assert second[f"range {name}"] == second["mixing entropy (kB per atom)"] == 0


def test_structures_and_their_compositions_give_the_same_table():
    structures = [nacl(), nial_b2(), cu3au_l12()]
    from_structures = CompositionFeaturizer().fit_transform(structures)
    compositions = [s.composition.reduced_composition for s in structures]
    from_compositions = CompositionFeaturizer().fit_transform(compositions)
    pd.testing.assert_frame_equal(from_structures, from_compositions)


def test_lattice_columns_follow_the_fractions():
    table = CompositionFeaturizer(lattice=True, properties=[]).fit_transform(
        [fe_bcc(), cu_fcc(), nial_b2()]
    )
    expected = ["x_Al", "x_Fe", "x_Ni", "x_Cu", "lattice_bcc", "lattice_fcc"]
    assert table.columns.tolist() == [*expected, "mixing entropy (kB per atom)"]
    assert table["lattice_bcc"].tolist() == [1, 0, 1]
    assert table["lattice_fcc"].tolist() == [0, 1, 0]


def test_parameters_choose_properties_and_statistics():
    table = CompositionFeaturizer(
        properties=["melting point (K)", "group"], statistics=["max", "mean"]
    ).fit_transform([Composition("FeNi")])
    assert table.columns.tolist()[2:-1] == [
        "max melting point (K)",
        "mean melting point (K)",
        "max group",
        "mean group",
    ]
    assert table.iloc[0, 2:-1].tolist() == [1811, (1811 + 1728) / 2, 10, 9]


def test_defaults_leave_out_what_an_element_lacks():
    with_metals = CompositionFeaturizer().fit([Composition("NiAl")])
    with_oxygen = CompositionFeaturizer().fit([Composition("NiO")])
    assert set(with_metals.properties_) - set(with_oxygen.properties_) == {"metallic radius (Å)"}
    explicit = CompositionFeaturizer(properties=["metallic radius (Å)"])
    with pytest.raises(ValueError, match=r"metallic radius .* not known for O"):
        explicit.fit([Composition("NiO")])


def test_unseen_element_names_row_and_element():
    featurizer = CompositionFeaturizer().fit([Composition("FeNi")])
    rows = [Composition("Fe"), Composition("FePd"), Composition("NiCu")]
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element Pd, .* Fe, Ni"):
        featurizer.transform(rows)
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match="Pd[^$]*Cu") as caught:
        table = featurizer.transform(rows)
    assert len(caught) == 1
    assert table.isna().all(axis=1).tolist() == [False, True, True]


def test_unseen_lattice_names_row_and_lattice():
    featurizer = CompositionFeaturizer(lattice=True).fit([fe_bcc(), cu_fcc()])
    odd = crystal("Fm-3m", Lattice.cubic(3.6), ["Fe"], [[0, 0, 0]])
    simple = Structure(Lattice.cubic(2.3), ["Fe"], [[0, 0, 0]])
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* lattice sc"):
        featurizer.transform([odd, simple])


def test_bad_compositions():
    with pytest.raises(TypeError, match="no lattice"):
        CompositionFeaturizer(lattice=True).fit([Composition("Fe")])
    with pytest.raises(TypeError, match="put it in a list"):
        CompositionFeaturizer().fit(Composition("Fe"))
    with pytest.raises(InvalidStructureError, match=r"structure 1 .*compositions only"):
        CompositionFeaturizer().fit([Composition("Fe"), fe_bcc()])
    with pytest.raises(InvalidStructureError, match=r"structure 0 .*no atoms"):
        CompositionFeaturizer().fit([Composition({}), Composition("Fe")])
    nothing = CompositionFeaturizer(on_invalid="warn")
    with (
        pytest.warns(InvalidStructureWarning, match="structure 0"),
        pytest.raises(ValueError, match="no row of X"),
    ):
        nothing.fit([Composition({})])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"statistics": ["median"]}, "unknown statistics"),
        ({"properties": ["colour"]}, "unknown properties"),
        ({"properties": ["block"]}, "unknown properties"),
        ({"on_invalid": "ignore"}, "on_invalid"),
        ({"lattice": "yes"}, "lattice"),
    ],
)
def test_composition_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        CompositionFeaturizer(**parameters).fit([Composition("Fe")])


# StructureFeaturizer


def test_bcc_iron_by_hand():
    values = row(fe_bcc(), GROUPS)
    a = 2.87
    assert values["volume per atom (Å³)"] == pytest.approx(a**3 / 2)
    assert values["density (g/cm³)"] == pytest.approx(55.845 * 1.66053907 / (a**3 / 2), rel=1e-6)
    assert values["packing fraction"] == pytest.approx(np.pi * np.sqrt(3) / 8)
    molar = element_table(["Fe"])["molar volume (cm³/mol)"].iloc[0]
    assert values["volume relative to the elements"] == pytest.approx(
        a**3 / 2 / (molar * 1e24 / 6.02214076e23)
    )
    for how in ("mean", "min", "max"):
        assert values[f"{how} nearest-neighbour distance (Å)"] == pytest.approx(a * np.sqrt(3) / 2)
        assert values[f"{how} coordination number"] == 8
    assert values["deviation nearest-neighbour distance (Å)"] == pytest.approx(0, abs=1e-9)
    assert values["relative nearest-neighbour distance"] == pytest.approx(
        np.sqrt(3) / 2 * 2 ** (1 / 3)
    )
    assert values["mean shell 2 distance (Å)"] == pytest.approx(a)
    assert values["ratio of shell 2 to shell 1 distance"] == pytest.approx(2 / np.sqrt(3))
    assert values["off-centre displacement (Å)"] == pytest.approx(0, abs=1e-9)
    assert values["deviation from bcc distances"] == pytest.approx(0, abs=1e-9)
    assert values["deviation from close-packed distances"] > 0.1
    assert values["fraction of Fe-Fe pairs shell 1"] == 1
    assert values["Warren-Cowley α(Fe-Fe) shell 1"] == 0
    assert values["space group number"] == 229
    assert values["crystal system"] == 7
    assert values["point group order"] == 48
    assert values["lattice_bcc"] == 1


@pytest.mark.parametrize(
    ("build", "packing", "first", "effective", "space_group"),
    [
        (cu_fcc, np.pi / (3 * np.sqrt(2)), 12, 12.0, 225),
        (mg_hcp, np.pi / (3 * np.sqrt(2)), 12, 12.0, 194),
        (po_sc, np.pi / 6, 6, 6.0, 221),
        (nacl, np.pi / 6, 6, 6.0, 225),
        (si_diamond, np.pi * np.sqrt(3) / 16, 4, 4.0, 227),
    ],
)
def test_packing_coordination_and_symmetry(build, packing, first, effective, space_group):
    values = row(build())
    assert values["packing fraction"] == pytest.approx(packing)
    assert values["mean coordination number"] == first
    assert values["mean effective coordination number"] == pytest.approx(effective, abs=0.05)
    assert values["space group number"] == space_group


def test_effective_coordination_of_bcc_solves_hoppes_equation():
    mean = 1.0
    d, n = np.array([1, 2 / np.sqrt(3)]), np.array([8, 6])
    for _ in range(100):
        weight = n * np.exp(1 - (d / mean) ** 6)
        mean = (weight * d).sum() / weight.sum()
    found = row(fe_bcc())["mean effective coordination number"]
    assert found == pytest.approx(weight.sum(), abs=1e-3)


def test_coordination_without_a_known_lattice():
    values = row(srtio3())
    # Sr has 12 O, Ti 6 O, and each of the three O its 2 Ti.
    assert values["mean coordination number"] == pytest.approx((12 + 6 + 3 * 2) / 5)
    assert values["min coordination number"] == 2
    assert values["max coordination number"] == 12


def test_order_of_rock_salt_and_b2_is_complete():
    for structure, pair in [(nacl(), "Cl-Na"), (nial_b2(), "Al-Ni")]:
        values = row(structure)
        a, b = pair.split("-")
        assert values[f"fraction of {pair} pairs shell 1"] == 1
        assert values[f"Warren-Cowley α({pair}) shell 1"] == pytest.approx(-1)
        assert values[f"Warren-Cowley α({a}-{a}) shell 1"] == pytest.approx(1)
        assert values[f"Warren-Cowley α({b}-{b}) shell 2"] == pytest.approx(-1)
        assert values["mean |Warren-Cowley α| shell 1"] == pytest.approx(1)
        assert values["excess of like pairs shell 1"] == pytest.approx(-0.5)
        assert values["excess of like pairs shell 2"] == pytest.approx(0.5)


def test_order_of_l12_by_hand():
    values = row(cu3au_l12())
    # Au has 12 Cu and no Au in its first shell, and 6 Au in its second.
    expected = {"Au-Cu": (-1 / 3, 1), "Au-Au": (1, -3), "Cu-Cu": (1 / 9, -1 / 3)}
    for pair, (first, second) in expected.items():
        assert values[f"Warren-Cowley α({pair}) shell 1"] == pytest.approx(first)
        assert values[f"Warren-Cowley α({pair}) shell 2"] == pytest.approx(second)
    assert values["fraction of Au-Cu pairs shell 1"] == pytest.approx(0.5)
    # 0.75² / 9 + 2 · 0.25 · 0.75 / 3 + 0.25²
    assert values["mean |Warren-Cowley α| shell 1"] == pytest.approx(0.25)
    electronegativity = values["mean shell 1 difference of electronegativity (Pauling)"]
    assert electronegativity == pytest.approx(0.5 * (2.54 - 1.90))


def test_large_random_alloy_has_little_order():
    values = row(random_alloy(repeat=8))
    alpha = values[[name for name in values.index if name.startswith("Warren-Cowley α(")]]
    assert len(alpha) == 12
    assert alpha.abs().max() < 0.06
    assert values["mean |Warren-Cowley α| shell 1"] > 0


def test_absent_pairs_are_zero():
    table = StructureFeaturizer(groups=["order"]).fit_transform([nial_b2(), fe_bcc()])
    pairs = [name for name in table if "Al" in name or "Ni" in name]
    assert len(pairs) == 20
    assert (table.loc[1, pairs] == 0).all()
    assert table.loc[0, pairs].any()


def test_order_against_a_naive_loop():
    alloy = random_alloy(seed=3)
    values = row(alloy)
    symbols = [site.specie.symbol for site in alloy]
    counts = {}
    for i, neighbors in enumerate(alloy.get_all_neighbors(6.0)):
        nearest = sorted(neighbors, key=lambda n: n.nn_distance)[:12]
        for n in nearest:
            pair = symbols[i], symbols[n.index]
            counts[pair] = counts.get(pair, 0) + 1
    total = sum(counts.values())
    a, b = "Ni", "Pt"
    share = (counts[a, b] + counts[b, a]) / (2 * total)
    ends = {
        x: sum((x == p) + (x == q) for (p, q), c in counts.items() for _ in range(c)) / (2 * total)
        for x in (a, b)
    }
    expected = 1 - share / (ends[a] * ends[b])
    assert values["Warren-Cowley α(Ni-Pt) shell 1"] == pytest.approx(expected, abs=1e-12)
    assert values["fraction of Ni-Pt pairs shell 1"] == pytest.approx(2 * share, abs=1e-12)


@pytest.mark.parametrize("build", [random_alloy, srtio3, mg_hcp])
def test_invariance(build):
    structure = build()
    rng = np.random.default_rng(5)
    permuted = Structure.from_sites([structure[i] for i in rng.permutation(len(structure))])
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.13, 0.27, 0.41])
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = Structure(
        structure.lattice.matrix @ rotation, structure.species, structure.frac_coords
    )
    larger = structure * (2, 1, 1)
    table = StructureFeaturizer(groups=GROUPS).fit_transform(
        [structure, permuted, moved, turned, larger]
    )
    for i in range(1, 5):
        np.testing.assert_allclose(table.iloc[i], table.iloc[0], rtol=1e-6, atol=1e-9)


def test_scaling_changes_lengths_only():
    alloy = random_alloy()
    larger = alloy.copy()
    larger.scale_lattice(alloy.volume * 1.1**3)
    table = StructureFeaturizer(groups=GROUPS[1:4]).fit_transform([alloy, larger])
    lengths = [name for name in table if name.endswith("distance (Å)") or "displacement" in name]
    assert len(lengths) == 9
    np.testing.assert_allclose(table.loc[1, lengths], 1.1 * table.loc[0, lengths])
    others = table.columns.difference(lengths)
    np.testing.assert_allclose(table.loc[1, others], table.loc[0, others], atol=1e-9)


def test_columns_come_from_fit_and_ignore_other_rows():
    featurizer = StructureFeaturizer().fit([nial_b2(), fe_bcc(), nacl()])
    together = featurizer.transform([fe_bcc(), nacl()])
    alone = featurizer.transform([nacl()])
    assert together.columns.equals(alone.columns)
    assert (together.iloc[1] == alone.iloc[0]).all()
    refit = featurizer.fit([fe_bcc()])
    assert refit.elements_ == ["Fe"]
    assert not [name for name in refit.get_feature_names_out() if "Na" in name]


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_names_the_same_columns_for_every_crystal(group):
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    lone = Structure(box, ["Ni"], [[0.5, 0.5, 0.5]])
    schema = StructureSchema(elements=["Al", "Ni"], lattices=["bcc", "other"], symprec=0.1)
    rows = describe_structures(crystal_arrays([nial_b2(), lone]), [group], schema)
    names = StructureFeaturizer(groups=[group]).fit([lone, nial_b2()]).get_feature_names_out()
    assert list(rows[0]) == list(rows[1]) == names.tolist()


def test_columns_of_a_lone_atom_are_missing():
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    lone = Structure(box, ["Ni"], [[0.5, 0.5, 0.5]])
    table = StructureFeaturizer(groups=GROUPS[1:3]).fit([nial_b2()]).transform([lone])
    lengths = table.filter(regex="distance|displacement")
    assert lengths.shape[1] == 15
    assert lengths.isna().all(axis=None)
    assert table["mean coordination number"].tolist() == [0]


def test_unseen_elements_and_lattices_are_refused():
    featurizer = StructureFeaturizer(groups=["volume", "lattice"]).fit([fe_bcc(), cu_fcc()])
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element Mg"):
        featurizer.transform([fe_bcc(), mg_hcp()])
    simple = Structure(Lattice.cubic(2.3), ["Fe"], [[0, 0, 0]])
    with pytest.raises(InvalidStructureError, match=r"structure 0 .* lattice sc"):
        featurizer.transform([simple])
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match=r"structure 0 .*sc[^$]*structure 2 .*Mg"):
        table = featurizer.transform([simple, fe_bcc(), mg_hcp()])
    assert table.isna().all(axis=1).tolist() == [True, False, True]


def test_invalid_rows():
    clash = Structure(Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.1]])
    rows = [fe_bcc(), clash, fe_bcc()]
    for featurizer in (StructureFeaturizer(), CompositionFeaturizer()):
        with pytest.raises(InvalidStructureError, match="structure 1 "):
            featurizer.fit(rows)
        featurizer.set_params(on_invalid="warn")
        with pytest.warns(InvalidStructureWarning, match="structure 1 "):
            featurizer.fit(rows)
        with pytest.warns(InvalidStructureWarning, match="structure 1 "):
            table = featurizer.transform(rows)
        assert table.isna().all(axis=1).tolist() == [False, True, False]
        assert not table.loc[[0, 2]].isna().any().any()


def test_failing_symmetry_names_the_row(monkeypatch):
    import spglib

    featurizer = StructureFeaturizer().fit([fe_bcc()])
    monkeypatch.setattr(spglib, "get_symmetry_dataset", lambda *args, **kwargs: None)
    with pytest.raises(InvalidStructureError, match=r"structure 0 .*symprec=0.1"):
        featurizer.transform([fe_bcc()])


def test_symprec_decides_what_is_symmetric():
    shaken = fe_bcc() * (2, 2, 2)
    shaken.perturb(0.02)
    values = [
        StructureFeaturizer(groups=["symmetry"], symprec=p).fit_transform([shaken]).iloc[0, 0]
        for p in (1e-4, 0.2)
    ]
    assert values[0] < values[1] == 229


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_point_group_orders_against_the_database():
    import spglib

    from sklmat.features._symmetry import POINT_GROUP_ORDER

    seen = set()
    for hall in range(1, 531):
        name = spglib.get_spacegroup_type(hall).pointgroup_international
        rotations = spglib.get_symmetry_from_database(hall)["rotations"]
        assert POINT_GROUP_ORDER[name] == len(np.unique(rotations, axis=0))
        seen.add(name)
    assert len(seen) == 32


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"groups": ["colour"]}, "groups must be"),
        ({"groups": []}, "groups must be"),
        ({"groups": ["volume", "volume"]}, "groups must be"),
        ({"symprec": 0}, "symprec"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"on_invalid": "ignore"}, "on_invalid"),
        ({"verbose": "loud"}, "verbose"),
    ],
)
def test_structure_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        StructureFeaturizer(**parameters).fit([fe_bcc()])


def test_n_jobs_gives_the_same_bits():
    structures = [random_alloy(seed, repeat=2 + seed % 2) for seed in range(9)]
    serial = StructureFeaturizer(groups=GROUPS, n_jobs=1).fit_transform(structures)
    parallel = StructureFeaturizer(groups=GROUPS, n_jobs=2).fit_transform(structures)
    assert serial.to_numpy().tobytes() == parallel.to_numpy().tobytes()


def test_progress_bar_only_when_verbose(capsys):
    featurizer = StructureFeaturizer(groups=["volume"]).fit([fe_bcc()])
    featurizer.transform([fe_bcc()])
    assert capsys.readouterr().err == ""
    featurizer.set_params(verbose=True).transform([fe_bcc()])
    assert "100%" in capsys.readouterr().err


def test_inputs_are_not_changed_and_no_warnings_escape():
    structure = random_alloy()
    before = structure.as_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StructureFeaturizer(groups=GROUPS).fit_transform([structure, nacl()])
        CompositionFeaturizer(lattice=True).fit_transform([structure, nacl()])
    assert structure.as_dict() == before


# both, as scikit-learn estimators


BOTH = [CompositionFeaturizer(lattice=True), StructureFeaturizer()]


@pytest.mark.parametrize("featurizer", BOTH, ids=lambda f: type(f).__name__)
def test_output_containers(featurizer):
    structures = pd.Series([fe_bcc(), cu_fcc()], index=["iron", "copper"])
    table = clone(featurizer).fit_transform(structures)
    assert isinstance(table, pd.DataFrame)
    assert table.index.tolist() == ["iron", "copper"]
    plain = clone(featurizer).set_output(transform="default").fit_transform(structures)
    assert isinstance(plain, np.ndarray)
    np.testing.assert_array_equal(plain, table)
    asked = clone(featurizer).set_output(transform="pandas").fit_transform(structures)
    pd.testing.assert_frame_equal(asked, table)
    from_list = clone(featurizer).fit_transform(structures.tolist())
    assert from_list.index.tolist() == [0, 1]


@pytest.mark.parametrize("featurizer", BOTH, ids=lambda f: type(f).__name__)
def test_estimator_protocol(featurizer):
    featurizer = clone(featurizer)
    with pytest.raises(NotFittedError):
        featurizer.transform([fe_bcc()])
    assert set(featurizer._parameter_constraints) == set(featurizer.get_params())
    table = featurizer.fit_transform([fe_bcc(), cu_fcc()])
    restored = pickle.loads(pickle.dumps(featurizer))
    pd.testing.assert_frame_equal(restored.transform([fe_bcc(), cu_fcc()]), table)
    names = featurizer.get_feature_names_out()
    assert len(set(names)) == len(names)
    assert not [name for name in names if set(name) & set("[]<")]
    assert featurizer.transform([]).shape == (0, len(names))
    assert not featurizer.__sklearn_tags__().input_tags.two_d_array


def test_graphs_are_refused():
    class CrystalGraphs:
        pass

    for featurizer in BOTH:
        with pytest.raises(TypeError, match="pass the structures"):
            clone(featurizer).fit(CrystalGraphs())
    with pytest.raises(TypeError, match="pass the structures"):
        infer_lattice(CrystalGraphs())


def test_union_in_a_grid_search_with_xgboost():
    xgboost = pytest.importorskip("xgboost")
    structures = [random_alloy(seed, repeat=2) for seed in range(8)]
    y = np.array([s.composition.get_atomic_fraction("Ni") for s in structures])
    union = FeatureUnion(
        [
            ("composition", CompositionFeaturizer()),
            ("structure", StructureFeaturizer(groups=["volume"])),
        ]
    ).set_output(transform="pandas")
    model = Pipeline(
        [("features", union), ("model", xgboost.XGBRegressor(n_estimators=5, n_jobs=1))]
    )
    search = GridSearchCV(model, {"model__max_depth": [1, 2]}, cv=2, error_score="raise")
    search.fit(structures, y)
    names = search.best_estimator_["model"].get_booster().feature_names
    assert names[0] == "composition__x_Ni"
    assert "structure__volume per atom (Å³)" in names
    assert search.predict(structures).shape == y.shape


def test_fractions_explain_a_linear_target_in_a_pipeline():
    compositions = [Composition({"Fe": 10 - k, "Ni": k}) for k in range(1, 10)]
    y = [0.2 * k for k in range(1, 10)]
    model = Pipeline([("x", CompositionFeaturizer(properties=[])), ("ridge", Ridge(alpha=1e-9))])
    model.fit(compositions[::2], y[::2])
    np.testing.assert_allclose(model.predict(compositions[1::2]), y[1::2], atol=0.05)


def test_public_error_type_for_parameters():
    with pytest.raises(InvalidParameterError):
        StructureFeaturizer(symprec="tight").fit([fe_bcc()])


# the real alloys


@pytest.fixture(scope="module")
def relaxed_alloys(data_home):
    folder = data_home / "eftgan" / "HAE_Data"
    labels = pd.read_csv(folder / "Out_labels" / "Database.csv")
    rmsd = {}
    for name, value in zip(labels["structures"], labels["rmsd (\\AA)"]):
        formula, phase = name.rsplit("_sqs", 1)
        rmsd[Composition(formula).reduced_formula, phase] = value
    rows = []
    for path in sorted(folder.glob("*_POSCAR_Files/POSCAR_*")):
        formula, phase = path.name.removeprefix("POSCAR_").rsplit("_sqs", 1)
        key = Composition(formula).reduced_formula, phase
        if key in rmsd:
            rows.append((formula, phase, rmsd[key], Structure.from_file(path)))
    return pd.DataFrame(rows, columns=["formula", "phase", "rmsd", "structure"])


def test_lattice_of_relaxed_alloys(relaxed_alloys):
    table = relaxed_alloys
    found = infer_lattice(table["structure"])
    stayed = found == table["phase"]
    assert (found != "other").all()
    assert stayed[table["rmsd"] < 0.29].all()
    # Large displacements are those of cells that left the lattice they started on.
    assert table["rmsd"][~stayed].min() > 0.29
    assert (~stayed).sum() == 120
    names = (table["formula"] + "_" + table["phase"]).to_numpy()
    assert found[names == "NiFe3_fcc"] == "bcc"
    assert found[names == "Ni3Co_bcc"] == "fcc"
    assert found[names == "NiCo_bcc"] == "hcp"


def test_structure_table_of_relaxed_alloys_is_complete(relaxed_alloys):
    sample = relaxed_alloys["structure"].iloc[::12]
    table = StructureFeaturizer().fit_transform(sample)
    assert np.isfinite(table.to_numpy()).all()
    assert table["volume per atom (Å³)"].between(10, 15).all()
    assert table["volume relative to the elements"].between(0.85, 1.1).all()
    assert table["packing fraction"].between(0.5, np.pi / (3 * np.sqrt(2))).all()


def test_relaxed_alloys_have_left_the_lattice_of_their_label(data_home):
    from sklmat.datasets import fetch_hea

    frame = (data := fetch_hea(data_home=data_home)).frame
    moved = infer_lattice(data.data) != frame["phase"].to_numpy()
    assert moved.sum() == 120
    assert (moved & (frame["phase"] == "bcc")).sum() == 98
    assert frame["rmsd (Å)"][moved].min() >= 0.29
    assert not moved[(frame["rmsd (Å)"] < 0.29).to_numpy()].any()
