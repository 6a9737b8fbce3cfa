"""Tables of compositions that span the periodic table, and all forms of compositions."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, rocksalt_nacl
from pymatgen.core import Composition, Lattice, Structure

from sklmat import CompositionFeaturizer, element_table
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError

SALTS = ["NaCl", "MgO", "KCl"]
#: One compound of each element from H to Pu with another element.
COMPOUNDS = [f"{symbol}2O3" for symbol in element_table().index[:94] if symbol != "O"]


def of_any_chemistry(**settings):
    return CompositionFeaturizer(fractions=False, **settings)


def test_magpie_like_columns_by_hand():
    # Electronegativities: Fe 1.83, O 3.44.
    table = of_any_chemistry().fit_transform(["Fe2O3"]).iloc[0]
    name = "electronegativity (Pauling)"
    mean = 0.4 * 1.83 + 0.6 * 3.44
    assert table[f"mean {name}"] == pytest.approx(mean)
    assert table[f"average deviation {name}"] == pytest.approx(
        0.4 * (mean - 1.83) + 0.6 * (3.44 - mean)
    )
    assert table[f"range {name}"] == pytest.approx(1.61)
    assert table[f"min {name}"] == 1.83
    assert table[f"max {name}"] == table[f"mode {name}"] == 3.44
    assert table["number of elements"] == 2
    assert table["norm of order 2"] == pytest.approx((0.4**2 + 0.6**2) ** 0.5)
    assert table["norm of order 10"] == pytest.approx((0.4**10 + 0.6**10) ** 0.1)
    # Outside the noble-gas core Fe has s2 d6, and O has s2 p4.
    assert table["fraction of s electrons"] == pytest.approx(10 / 34)
    assert table["fraction of p electrons"] == pytest.approx(12 / 34)
    assert table["fraction of d electrons"] == pytest.approx(12 / 34)
    assert table["fraction of f electrons"] == 0
    assert table["mean unfilled valence states"] == pytest.approx(0.4 * 4 + 0.6 * 2)


def test_mode_of_equal_fractions_is_the_smallest_value():
    table = of_any_chemistry(properties=["group"]).fit_transform(["NaCl", "NaCl2"])
    assert table["mode group"].tolist() == [1, 17]


def test_all_compounds_of_h_to_pu_are_finite():
    table = CompositionFeaturizer().fit_transform(COMPOUNDS)
    assert not any(name.startswith("x_") for name in table.columns)
    assert sum(name.startswith("mean ") for name in table.columns) >= 20
    assert np.isfinite(table.to_numpy()).all()
    assert not any(set("[]<") & set(name) for name in table.columns)


def test_fractions_are_for_at_most_twelve_elements():
    twelve = [f"{symbol}O" for symbol in element_table().index[20:31]]
    assert CompositionFeaturizer().fit(twelve).fractions_
    more = CompositionFeaturizer().fit([*twelve, "NaO"])
    assert not more.fractions_
    assert len(more.elements_) == 13
    assert CompositionFeaturizer(fractions=True).fit([*twelve, "NaO"]).fractions_


def test_columns_without_elements_take_any_element():
    table = of_any_chemistry().fit(SALTS).transform(["LiCl", "UO2"])
    assert np.isfinite(table.to_numpy()).all()


@pytest.mark.parametrize("handle_unknown", ["warn", "ignore"])
def test_unseen_elements_can_be_kept(handle_unknown):
    featurizer = CompositionFeaturizer(handle_unknown=handle_unknown).fit(SALTS)
    rows = ["NaCl", "LiCl", "CsLi"]
    if handle_unknown == "warn":
        with pytest.warns(ExtrapolationWarning, match=r"Li \(rows 1, 2\), Cs \(row 2\)") as caught:
            table = featurizer.transform(rows)
        assert [warning.filename for warning in caught] == [__file__]
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = featurizer.transform(rows)
    x = table[[f"x_{symbol}" for symbol in ("Na", "Cl", "Mg", "O", "K")]]
    assert x.to_numpy().tolist() == [[0.5, 0.5, 0, 0, 0], [0, 0.5, 0, 0, 0], [0] * 5]
    assert table["mean group"].tolist() == [9, 9, 1]
    assert np.isfinite(table.to_numpy()).all()


def test_elements_with_columns_can_be_chosen():
    featurizer = CompositionFeaturizer(elements=["Cl", "Na", "Li"], properties=[])
    table = featurizer.fit(["NaCl"]).transform(["LiCl"])
    assert table.columns.tolist()[:3] == ["x_Li", "x_Na", "x_Cl"]
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* K, which is not in"):
        featurizer.fit_transform(["NaCl", "KCl"])
    metals = CompositionFeaturizer(elements=["Fe", "Ni", "O"]).fit(["FeNi"])
    assert np.isfinite(metals.transform(["FeO"]).to_numpy()).all()
    everything = CompositionFeaturizer(elements="all", properties=[]).fit(["NaCl"])
    assert everything.transform(["UO2"])["x_U"].tolist() == [pytest.approx(1 / 3)]
    with pytest.raises(ValueError, match="symbols, each once"):
        CompositionFeaturizer(elements=["Na", "Xx"]).fit(["NaCl"])
    with pytest.raises(ValueError, match="leave it None with fractions=False"):
        of_any_chemistry(elements=["Na"]).fit(["NaCl"])


def test_element_without_properties_names_row_and_property():
    featurizer = of_any_chemistry().fit(SALTS)
    with pytest.raises(InvalidStructureError, match=r"structure 1 \(Am1O2\).* not known for Am"):
        featurizer.transform(["NaCl", "AmO2"])
    assert of_any_chemistry(properties=[]).fit(SALTS).transform(["AmO2"]).shape == (1, 11)


def test_all_forms_of_compositions_agree():
    oxide = Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(5.04, 13.75), ["Fe", "O"], [[0, 0, 0.355], [0.306, 0, 0.25]]
    )
    forms = ["Fe2O3", "Fe4 O6", Composition("Fe4O6"), {"Fe": 0.4, "O": 0.6}, oxide, oxide.as_dict()]
    table = CompositionFeaturizer().fit_transform(forms)
    for row in range(1, len(forms)):
        np.testing.assert_allclose(table.iloc[row], table.iloc[0], rtol=1e-12)
    series = pd.Series(forms, index=list("abcdef"))
    assert CompositionFeaturizer().fit_transform(series).index.tolist() == list("abcdef")
    frame = pd.DataFrame({"formula": forms}, index=list("abcdef"))
    assert CompositionFeaturizer().fit_transform(frame).index.tolist() == list("abcdef")
    assert (CompositionFeaturizer().fit_transform(np.array(["Fe2O3", "FeO"])).x_Fe > 0).all()


def test_partial_occupancy_has_a_composition(tmp_path):
    alloy = Structure(Lattice.cubic(3.6), [{"Fe": 0.25, "Ni": 0.75}], [[0, 0, 0]])
    path = tmp_path / "alloy.cif"
    alloy.to(filename=str(path))
    table = CompositionFeaturizer(properties=[]).fit_transform(
        [alloy, alloy.as_dict(), path, str(path), path.read_text(), "FeNi3"]
    )
    np.testing.assert_allclose(table["x_Fe"], 0.25)
    with pytest.raises(InvalidStructureError, match="partial occupancy"):
        CompositionFeaturizer(lattice=True).fit([alloy])


def test_phase_beside_compositions():
    frame = pd.DataFrame(
        {"composition": ["Fe", "NiAl", "Cu"], "phase": ["bcc", "bcc", "fcc"]}, index=[5, 6, 7]
    )
    featurizer = CompositionFeaturizer(lattice=True)
    table = featurizer.fit_transform(frame)
    from_structures = CompositionFeaturizer(lattice=True).fit_transform(
        [bcc_fe(), b2_nial(), fcc_cu()]
    )
    np.testing.assert_allclose(table.to_numpy(), from_structures.to_numpy(), rtol=1e-12)
    assert table.index.tolist() == [5, 6, 7]
    of_polars = featurizer.transform(pl.DataFrame(frame.to_dict("list")))
    np.testing.assert_array_equal(of_polars.to_numpy(), table.to_numpy())
    with pytest.raises(InvalidStructureError, match=r"structure 0 .* lattice hcp"):
        featurizer.transform(frame.assign(phase="hcp"))
    with pytest.raises(ValueError, match="row 1 has no phase"):
        featurizer.transform(frame.assign(phase=["bcc", None, "fcc"]))
    with pytest.raises(ValueError, match="only with lattice=True"):
        CompositionFeaturizer().fit(frame)
    with pytest.raises(ValueError, match="one column of compositions"):
        featurizer.fit(frame.assign(energy=1.0))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("Xx2O3", "dummy species|no composition"),
        ("Fe2O3x", "neither a formula"),
        ("", "neither a formula"),
        ("CuSO4.5H2O", "hydrate"),
        ("Fe0", "no atoms"),
        ({"Fe": float("nan")}, "NaN"),
        ({"Fe": -1, "O": 2}, "negative"),
        (3.0, "not a structure"),
        (None, "not a structure"),
    ],
)
def test_nonsense_names_its_row(bad, reason):
    with pytest.raises(InvalidStructureError, match=reason) as caught:
        CompositionFeaturizer().fit(["NaCl", bad])
    assert caught.value.index == 1
    with pytest.warns(match="1 of the rows"):
        table = CompositionFeaturizer(on_invalid="warn").fit_transform(["NaCl", bad])
    assert table.isna().all(axis=1).tolist() == [False, True]


def test_structures_and_compositions_may_be_mixed():
    table = CompositionFeaturizer(properties=[]).fit_transform([rocksalt_nacl(), "NaCl3"])
    assert table["x_Na"].tolist() == [0.5, 0.25]


def test_input_is_not_changed():
    frame = pd.DataFrame({"composition": ["Fe", "Cu"], "phase": ["bcc", "fcc"]})
    before = frame.copy()
    CompositionFeaturizer(lattice=True).fit_transform(frame)
    pd.testing.assert_frame_equal(frame, before)
