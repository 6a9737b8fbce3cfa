import json
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sklmat.elements import element_table, element_vectors, lookup

NOBLE = ["He", "Ne", "Ar"]


def test_table_has_all_elements_in_order():
    table = element_table()
    assert len(table) == 118
    assert table.index[0] == "H"
    assert table.index[-1] == "Og"
    assert (table["atomic number"] == np.arange(1, 119)).all()


@pytest.mark.parametrize(
    ("symbol", "group", "period", "block", "valence"),
    [
        ("H", 1, 1, "s", 1),
        ("He", 18, 1, "s", 2),
        ("C", 14, 2, "p", 4),
        ("Ne", 18, 2, "p", 8),
        ("Fe", 8, 4, "d", 8),
        ("Cu", 11, 4, "d", 11),
        ("Zn", 12, 4, "d", 12),
        ("Ga", 13, 4, "p", 3),
        ("Pd", 10, 5, "d", 10),
        ("Ce", 3, 6, "f", 4),
        ("Yb", 3, 6, "f", 2),
        ("Lu", 3, 6, "d", 3),
        ("Hf", 4, 6, "d", 4),
        ("Pb", 14, 6, "p", 4),
        ("U", 3, 7, "f", 6),
    ],
)
def test_periodic_table_facts(symbol, group, period, block, valence):
    row = element_table([symbol]).iloc[0]
    assert (row["group"], row["period"], row["block"]) == (group, period, block)
    assert row["valence electrons"] == valence


@pytest.mark.parametrize(
    ("column", "symbol", "value", "tolerance"),
    [
        ("electronegativity (Pauling)", "F", 3.98, 1e-9),
        ("electronegativity (Pauling)", "Fe", 1.83, 1e-9),
        ("atomic mass (u)", "Fe", 55.845, 1e-3),
        ("atomic radius (Å)", "Fe", 1.40, 1e-9),
        ("covalent radius (Å)", "C", 0.73, 1e-9),
        ("metallic radius (Å)", "Ni", 1.24, 0.01),
        ("first ionisation energy (eV)", "H", 13.598, 1e-3),
        ("first ionisation energy (eV)", "Fe", 7.902, 1e-3),
        ("electron affinity (eV)", "Cl", 3.6127, 1e-3),
        ("molar volume (cm³/mol)", "Al", 10.0, 1e-9),
        ("melting point (K)", "W", 3695.0, 1e-9),
        ("boiling point (K)", "Fe", 3134.0, 1e-9),
    ],
)
def test_units_by_reference_values(column, symbol, value, tolerance):
    assert element_table([symbol])[column].iloc[0] == pytest.approx(value, abs=tolerance)


def test_missing_numbers_are_nan_and_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = element_table(NOBLE)
    assert table["electronegativity (Pauling)"].isna().all()
    assert table["first ionisation energy (eV)"].notna().all()


def test_table_is_a_copy_and_refuses_unknown_symbols():
    table = element_table()
    table.loc["Fe", "group"] = 99
    assert element_table(["Fe"])["group"].iloc[0] == 8
    with pytest.raises(ValueError, match="not chemical symbols: Xx"):
        element_table(["Fe", "Xx"])


def test_physical_vectors_are_standardised_over_the_known_elements():
    vectors, names = element_vectors()
    assert vectors.shape == (119, len(names))
    assert vectors.dtype == np.float32
    assert np.isnan(vectors[0]).all()
    assert np.isnan(vectors[104:]).all()
    assert np.isfinite(vectors[1:104]).all()
    en = vectors[1:104, names.index("electronegativity (Pauling)")]
    missing = vectors[1:104, names.index("missing electronegativity (Pauling)")]
    assert np.flatnonzero(missing).tolist() == [1, 9, 17]
    assert (en[missing == 1] == 0).all()
    known = element_table()["electronegativity (Pauling)"][:103].dropna()
    expected = (1.83 - known.mean()) / known.std(ddof=0)
    assert vectors[26, names.index("electronegativity (Pauling)")] == pytest.approx(
        expected, abs=1e-6
    )
    assert en[missing == 0].mean() == pytest.approx(0, abs=1e-5)
    assert en[missing == 0].std() == pytest.approx(1, abs=1e-5)


def test_physical_vectors_tell_all_elements_apart():
    vectors, _ = element_vectors()
    assert len(np.unique(vectors[1:104], axis=0)) == 103


def test_onehot_is_the_identity():
    vectors, names = element_vectors("onehot")
    np.testing.assert_array_equal(vectors[1:], np.eye(118, dtype=np.float32))
    assert names[25] == "Fe"


def test_cgcnn_bins_by_hand():
    vectors, names = element_vectors("cgcnn")
    assert vectors.shape == (119, 92)
    on = {names[i] for i in np.flatnonzero(vectors[26])}
    # (1.83 - 0.5) / 0.35 = 3.8; (142 - 25) / 22.5 = 5.2; (ln 7.902 - 1.3) / 0.2 = 3.8;
    # (0.153 + 3) / 0.67 = 4.7; (ln 7.09 - 1.5) / 0.28 = 1.6
    assert on == {
        "group 8",
        "period 4",
        "electronegativity (Pauling) bin 3",
        "covalent radius (Å) bin 5",
        "valence electrons bin 7",
        "log first ionisation energy (eV) bin 3",
        "electron affinity (eV) bin 4",
        "block d",
        "log molar volume (cm³/mol) bin 1",
    }
    assert vectors[10].sum() == 8  # neon has no electronegativity, so that its bins are empty


def test_cgcnn_bins_follow_the_layout_of_the_original_file(data_home):
    path = data_home / "cgcnn/data/sample-regression/atom_init.json"
    original, _ = element_vectors(path)
    ours, _ = element_vectors("cgcnn")
    assert original.shape == ours.shape
    start = np.cumsum([0, 19, 7, 10, 10, 12, 10, 10, 4, 10])
    same = [
        int((original[1:101, a:b] == ours[1:101, a:b]).all(axis=1).sum())
        for a, b in pairwise(start)
    ]
    group, period, _, _, _, ionisation, _, block, _ = same
    assert (group, period, ionisation, block) == (100, 100, 100, 100)
    assert min(same) > 40


def test_original_file_is_read_exactly(data_home):
    path = data_home / "cgcnn/data/sample-regression/atom_init.json"
    content = json.loads(path.read_text())
    for source in (path, str(path), content):
        vectors, names = element_vectors(source)
        assert vectors.shape == (119, 92)
        assert len(names) == 92
        np.testing.assert_array_equal(vectors[1:101], [content[str(z)] for z in range(1, 101)])
        assert np.isnan(vectors[101:]).all()


def test_dict_and_frame_agree_whatever_the_key():
    by_symbol, _ = element_vectors({"Fe": [1, 2], "Ni": [3, 4]})
    by_number, _ = element_vectors({28: [3, 4], np.int64(26): [1, 2]})
    frame = pd.DataFrame({"a": [1, 3], "b": [2, 4]}, index=["Fe", "Ni"])
    by_frame, names = element_vectors(frame)
    np.testing.assert_array_equal(by_symbol, by_number)
    np.testing.assert_array_equal(by_symbol, by_frame)
    assert names == ["a", "b"]
    assert by_symbol[26].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "it is empty"),
        ({"Fe": [1], "Ni": [1, 2]}, r"found lengths \[1, 2\]"),
        ({"Fe": []}, r"found lengths \[0\]"),
        ({"Fe": [np.nan]}, "row of Fe .* finite numbers"),
        ({"Fe": [[1.0]]}, "row of Fe .* 1-D"),
        ({"Fe": ["a"]}, "row of Fe .* not numeric"),
        ({"Xx": [1]}, "key 'Xx'"),
        ({119: [1]}, "key 119"),
        ({26: [1], "Fe": [2]}, "two rows for Fe"),
        ("no_such_table", "neither a file nor one of"),
        (26, "must be one of"),
    ],
)
def test_bad_tables_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        element_vectors(table)


@pytest.mark.parametrize(("text", "message"), [("no json", "not a JSON"), ("[1]", "one object")])
def test_bad_files_are_refused(tmp_path, text, message):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        element_vectors(path)


def test_lookup_gathers_and_names_what_is_missing():
    vectors, _ = element_vectors({"Fe": [1.0], "Ni": [2.0]})
    assert lookup(vectors, [28, 26, 28]).ravel().tolist() == [2, 1, 2]
    assert lookup(vectors, np.array([], dtype=int)).shape == (0, 1)
    with pytest.raises(ValueError, match="no row for Cu, Pd"):
        lookup(vectors, [26, 46, 29, 46])
    with pytest.raises(ValueError, match="1 to 118"):
        lookup(vectors, [0, 26])


def test_vectors_are_cached_and_not_shared():
    first, names = element_vectors()
    first[:] = 0
    names.clear()
    again, names = element_vectors()
    assert np.isfinite(again[26]).all()
    assert again[26].any()
    assert names


def test_properties_are_complete_with_estimates():
    table = element_table(estimates=True).iloc[:94]
    numbers = table.drop(columns=["block", "metallic radius (Å)"])
    assert np.isfinite(numbers.to_numpy(dtype=float)).all()
    assert (numbers.drop(columns="electron affinity (eV)").to_numpy(dtype=float) >= 0).all()
    estimates = table.attrs["estimates"]
    assert estimates["electronegativity (Pauling)"] == ["He", "Ne", "Ar"]
    assert estimates["boiling point (K)"] == ["At", "Fr", "Pa"]
    measured = element_table().iloc[:94]
    assert "estimates" not in measured.attrs
    for name in numbers:
        missing = measured.index[measured[name].isna()].tolist()
        assert sorted(estimates.get(name, [])) == sorted(missing)
        known = measured[name].notna()
        assert (measured[name][known] == table[name][known]).all()


def test_further_properties_by_hand():
    table = element_table(["H", "Fe", "Cs", "Pu", "As"])
    # Polarizability of hydrogen: 4.5 atomic units of 0.14818 Å³.
    assert table["polarizability (Å³)"]["H"] == pytest.approx(4.5 * 0.14818, rel=2e-3)
    # Enthalpy of formation of H atoms: 218.0 kJ/mol; of Fe atoms: 415.5 kJ/mol.
    assert table["atomisation enthalpy (eV)"]["H"] == pytest.approx(218.0 / 96.485, rel=1e-3)
    assert table["atomisation enthalpy (eV)"]["Fe"] == pytest.approx(415.5 / 96.485, rel=1e-3)
    assert table["single-bond radius (Å)"].loc[["H", "Fe", "Cs"]].tolist() == [0.32, 1.16, 2.32]
    assert table["isodensity radius (Å)"]["H"] == 1.54
    electrons = table[[f"{kind} valence electrons" for kind in "spdf"]]
    # Fe [Ar] 3d6 4s2, Pu [Rn] 5f6 7s2, As [Ar] 3d10 4s2 4p3.
    assert electrons.loc["Fe"].tolist() == [2, 0, 6, 0]
    assert electrons.loc["Pu"].tolist() == [2, 0, 0, 6]
    assert electrons.loc["As"].tolist() == [2, 3, 10, 0]
    assert table["unfilled valence states"].loc[["H", "Fe", "As"]].tolist() == [1, 4, 3]
    assert sorted(element_table()["Glawe number"].dropna()) == sorted(
        set(element_table()["Glawe number"].dropna())
    )
