"""Columns of structures: ideal crystals by hand, invariance, and refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from crystals import (
    b2_nial,
    bcc_fe,
    diamond_si,
    displaced_alloy,
    fcc_cu,
    hcp_mg,
    l12_cu3au,
    perovskite,
    rocksalt_nacl,
    sc_po,
)
from pymatgen.core import Composition, Lattice, Structure

from sklmat import CompositionFeaturizer, StructureFeaturizer
from sklmat.elements import element_table
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.features._neighbors import list_neighbors
from sklmat.features._structure_descriptors import StructureSchema, describe_structures
from sklmat.structures import crystal_arrays

GROUPS = ["volume", "distances", "coordination", "order", "symmetry", "lattice"]


def row(structure, groups=None):
    return StructureFeaturizer(groups=groups).fit_transform([structure]).iloc[0]


def test_bcc_iron_by_hand():
    values = row(bcc_fe(), GROUPS)
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
        (fcc_cu, np.pi / (3 * np.sqrt(2)), 12, 12.0, 225),
        (hcp_mg, np.pi / (3 * np.sqrt(2)), 12, 12.0, 194),
        (sc_po, np.pi / 6, 6, 6.0, 221),
        (rocksalt_nacl, np.pi / 6, 6, 6.0, 225),
        (diamond_si, np.pi * np.sqrt(3) / 16, 4, 4.0, 227),
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
    found = row(bcc_fe())["mean effective coordination number"]
    assert found == pytest.approx(weight.sum(), abs=1e-3)


def test_coordination_without_a_known_lattice():
    values = row(perovskite())
    # Sr has 12 O, Ti 6 O, and each of the three O its 2 Ti.
    assert values["mean coordination number"] == pytest.approx((12 + 6 + 3 * 2) / 5)
    assert values["min coordination number"] == 2
    assert values["max coordination number"] == 12


def test_order_of_rock_salt_and_b2_is_complete():
    for structure, pair in [(rocksalt_nacl(), "Cl-Na"), (b2_nial(), "Al-Ni")]:
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
    values = row(l12_cu3au())
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
    values = row(displaced_alloy(repeat=8))
    alpha = values[[name for name in values.index if name.startswith("Warren-Cowley α(")]]
    assert len(alpha) == 12
    assert alpha.abs().max() < 0.06
    assert values["mean |Warren-Cowley α| shell 1"] > 0


def test_absent_pairs_are_zero():
    table = StructureFeaturizer(groups=["order"]).fit_transform([b2_nial(), bcc_fe()])
    pairs = [name for name in table if "Al" in name or "Ni" in name]
    assert len(pairs) == 20
    assert (table.loc[1, pairs] == 0).all()
    assert table.loc[0, pairs].any()


def test_order_against_a_naive_loop():
    alloy = displaced_alloy(seed=3)
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


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("build", [displaced_alloy, perovskite, hcp_mg])
def test_invariance(build, pairs):
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
    table = StructureFeaturizer(groups=GROUPS, pairs=pairs).fit_transform(
        [structure, permuted, moved, turned, larger]
    )
    for i in range(1, 5):
        np.testing.assert_allclose(table.iloc[i], table.iloc[0], rtol=1e-6, atol=1e-9)


def test_scaling_changes_lengths_only():
    alloy = displaced_alloy()
    larger = alloy.copy()
    larger.scale_lattice(alloy.volume * 1.1**3)
    table = StructureFeaturizer(groups=GROUPS[1:4]).fit_transform([alloy, larger])
    lengths = [name for name in table if name.endswith("distance (Å)") or "displacement" in name]
    assert len(lengths) == 9
    np.testing.assert_allclose(table.loc[1, lengths], 1.1 * table.loc[0, lengths])
    others = table.columns.difference(lengths)
    np.testing.assert_allclose(table.loc[1, others], table.loc[0, others], atol=1e-9)


def test_columns_come_from_fit_and_ignore_other_rows():
    featurizer = StructureFeaturizer().fit([b2_nial(), bcc_fe(), rocksalt_nacl()])
    together = featurizer.transform([bcc_fe(), rocksalt_nacl()])
    alone = featurizer.transform([rocksalt_nacl()])
    assert together.columns.equals(alone.columns)
    assert (together.iloc[1] == alone.iloc[0]).all()
    refit = featurizer.fit([bcc_fe()])
    assert refit.elements_ == ["Fe"]
    assert not [name for name in refit.get_feature_names_out() if "Na" in name]


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_names_the_same_columns_for_every_crystal(group):
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    lone = Structure(box, ["Ni"], [[0.5, 0.5, 0.5]])
    schema = StructureSchema(
        elements=["Al", "Ni"],
        lattices=["bcc", "other"],
        symprec=0.1,
        pairs=True,
        periodic_directions=(0, 3),
    )
    described = [
        describe_structures(crystal_arrays(crystals), [group], schema)
        for crystals in ([b2_nial()], [lone], [b2_nial(), lone])
    ]
    names = StructureFeaturizer(groups=[group]).fit([lone, b2_nial()]).get_feature_names_out()
    for columns in described:
        assert list(columns) == names.tolist()


def test_columns_of_a_lone_atom_are_missing():
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    lone = Structure(box, ["Ni"], [[0.5, 0.5, 0.5]])
    featurizer = StructureFeaturizer(groups=GROUPS[1:3]).fit([b2_nial()])
    with pytest.warns(InvalidStructureWarning, match=r"row 0 \(Ni1, periodic in 0 directions\)"):
        table = featurizer.transform([lone])
    lengths = table.filter(regex="distance|displacement")
    assert lengths.shape[1] == 15
    assert lengths.isna().all(axis=None)
    assert table["mean coordination number"].tolist() == [0]


def test_unseen_elements_and_lattices_are_refused():
    featurizer = StructureFeaturizer(groups=["order", "lattice"]).fit([bcc_fe(), fcc_cu()])
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element Mg"):
        featurizer.transform([bcc_fe(), hcp_mg()])
    simple = Structure(Lattice.cubic(2.3), ["Fe"], [[0, 0, 0]])
    with pytest.raises(InvalidStructureError, match=r"structure 0 .* lattice sc"):
        featurizer.transform([simple])
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match=r"structure 0 .*sc[^$]*structure 2 .*Mg"):
        table = featurizer.transform([simple, bcc_fe(), hcp_mg()])
    assert table.isna().all(axis=1).tolist() == [True, False, True]


def test_invalid_rows():
    clash = Structure(Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.1]])
    rows = [bcc_fe(), clash, bcc_fe()]
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

    featurizer = StructureFeaturizer().fit([bcc_fe()])
    monkeypatch.setattr(spglib, "get_symmetry_dataset", lambda *args, **kwargs: None)
    with pytest.raises(InvalidStructureError, match=r"structure 0 .*symprec=0.1"):
        featurizer.transform([bcc_fe()])


def test_symprec_decides_what_is_symmetric():
    shaken = bcc_fe() * (2, 2, 2)
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
        ({"pairs": "all"}, "pairs"),
        ({"handle_unknown": "drop"}, "handle_unknown"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"on_invalid": "ignore"}, "on_invalid"),
        ({"verbose": "loud"}, "verbose"),
    ],
)
def test_structure_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        StructureFeaturizer(**parameters).fit([bcc_fe()])


def test_neighbours_of_several_crystals_are_those_of_pymatgen():
    structures = [perovskite(), hcp_mg(), displaced_alloy()]
    together, start = list_neighbors(crystal_arrays(structures)), 0
    for number, structure in enumerate(structures):
        scale = (structure.volume / len(structure)) ** (1 / 3)
        assert together.scale[number] == pytest.approx(scale)
        center, other, _, distance = structure.get_neighbor_list(2 * scale)
        order = np.lexsort((distance, center))
        of_crystal = together.crystal[together.center] == number
        np.testing.assert_array_equal(together.center[of_crystal], center[order] + start)
        np.testing.assert_allclose(together.distance[of_crystal], distance[order], atol=1e-9)
        counts = np.bincount(center)
        rank = np.concatenate([np.arange(count) for count in counts])
        np.testing.assert_array_equal(together.rank[of_crystal], rank)
        assert set(together.other[of_crystal] - start) == set(other.tolist())
        start += len(structure)
    lengths = np.linalg.norm(together.vector, axis=1)
    np.testing.assert_allclose(lengths, together.distance, atol=1e-9)
    # Some of the crystals have the neighbours that they have alone.
    chosen, alone = together.of_crystals(np.array([0, 2])), crystal_arrays(structures[::2])
    for found, expected in zip(vars(chosen).values(), vars(list_neighbors(alone)).values()):
        np.testing.assert_array_equal(found, expected)


def test_n_jobs_gives_the_same_bits():
    structures = [displaced_alloy(seed, repeat=2 + seed % 2) for seed in range(9)]
    serial = StructureFeaturizer(groups=GROUPS, n_jobs=1).fit_transform(structures)
    parallel = StructureFeaturizer(groups=GROUPS, n_jobs=2).fit_transform(structures)
    assert serial.to_numpy().tobytes() == parallel.to_numpy().tobytes()


def test_progress_bar_only_when_verbose(capsys):
    featurizer = StructureFeaturizer(groups=["volume"]).fit([bcc_fe()])
    featurizer.transform([bcc_fe()])
    assert capsys.readouterr().err == ""
    featurizer.set_params(verbose=True).transform([bcc_fe()])
    assert "100%" in capsys.readouterr().err


def test_inputs_are_not_changed_and_no_warnings_escape():
    structure = displaced_alloy()
    before = structure.as_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StructureFeaturizer(groups=GROUPS).fit_transform([structure, rocksalt_nacl()])
        CompositionFeaturizer(lattice=True).fit_transform([structure, rocksalt_nacl()])
    assert structure.as_dict() == before


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


def test_structure_table_of_relaxed_alloys_is_complete(relaxed_alloys):
    sample = relaxed_alloys["structure"].iloc[::12]
    table = StructureFeaturizer().fit_transform(sample)
    assert np.isfinite(table.to_numpy()).all()
    assert table["volume per atom (Å³)"].between(10, 15).all()
    assert table["volume relative to the elements"].between(0.85, 1.1).all()
    assert table["packing fraction"].between(0.5, np.pi / (3 * np.sqrt(2))).all()
