"""`StructureFeaturizer` on many elements, and on elements that no row of `fit` has."""

import warnings

import numpy as np
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au, rocksalt_nacl
from pymatgen.core import Lattice, Structure

from sklmat import StructureFeaturizer
from sklmat.elements import element_table
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError

ELEMENTS = ["Li", "Na", "K", "Rb", "Cs", "Be", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In"]
WITHOUT_PAIRS = ["volume", "distances", "coordination", "symmetry"]


def rocksalt(cation, anion, a=5.6):
    primitive = a / 2 * (1 - np.eye(3))
    return Structure(primitive, [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def fluorides(n):
    """Rock salts with n elements: fluorine and n - 1 others."""
    return [rocksalt(element, "F") for element in ELEMENTS[: n - 1]]


def table(structures, **parameters):
    return StructureFeaturizer(**parameters).fit_transform(structures)


def test_columns_without_elements_take_any_element():
    salts = [rocksalt("Na", "Cl"), rocksalt("Mg", "O", 4.2), rocksalt("K", "Cl", 6.3)]
    featurizer = StructureFeaturizer(groups=WITHOUT_PAIRS).fit(salts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = featurizer.transform([rocksalt("Li", "Cl", 5.13)]).iloc[0]
    assert np.isfinite(values).all()
    assert values["volume per atom (Å³)"] == pytest.approx(5.13**3 / 8)
    molar = element_table(["Li", "Cl"])["molar volume (cm³/mol)"].mean() * 10 / 6.02214076
    assert values["volume relative to the elements"] == pytest.approx(5.13**3 / 8 / molar)


def test_unseen_elements_with_columns_of_pairs():
    featurizer = StructureFeaturizer(groups=["order"]).fit([fcc_cu()])
    rows = [fcc_cu(), l12_cu3au()]
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element Au.*handle_unknown"):
        featurizer.transform(rows)
    featurizer.set_params(handle_unknown="ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ignored = featurizer.transform(rows)
    with pytest.warns(ExtrapolationWarning, match=r"Au \(row 1\)") as caught:
        warned = featurizer.set_params(handle_unknown="warn").transform(rows)
    assert [warning.filename for warning in caught] == [__file__]
    assert ignored.equals(warned)
    # Of the 48 ordered pairs, 24 are Cu-Cu and 24 have one Au.
    assert ignored["fraction of Cu-Cu pairs shell 1"].tolist() == pytest.approx([1, 0.5])
    assert ignored["Warren-Cowley α(Cu-Cu) shell 1"].tolist() == pytest.approx([0, 1 / 9])
    # As in the complete table: 0.75² / 9 + 2 · 0.25 · 0.75 / 3 + 0.25².
    assert ignored["mean |Warren-Cowley α| shell 1"].tolist() == pytest.approx([0, 0.25])
    radii = element_table(["Cu", "Au"])["metallic radius (Å)"]
    difference = ignored["mean shell 1 difference of metallic radius (Å)"]
    assert difference.tolist() == pytest.approx([0, 0.5 * (radii["Au"] - radii["Cu"])])


def test_radius_of_an_unseen_non_metal_is_covalent():
    featurizer = StructureFeaturizer(groups=["order"], handle_unknown="ignore")
    values = featurizer.fit([bcc_fe(), b2_nial()]).transform([rocksalt_nacl()]).iloc[0]
    radii = element_table(["Na", "Cl"])
    assert values["mean shell 1 difference of metallic radius (Å)"] == pytest.approx(
        radii["metallic radius (Å)"]["Na"] - radii["covalent radius (Å)"]["Cl"]
    )


def test_pairs_have_columns_up_to_twelve_elements():
    few, many = table(fluorides(12)), table(fluorides(13))
    assert "fraction of F-Li pairs shell 1" in few
    # 78 pairs, each with a fraction and α in two shells.
    assert len([name for name in few if "pairs shell" in name or "α(" in name]) == 4 * 78 + 2
    assert not [name for name in many if "α(" in name]
    assert "fraction of unlike pairs shell 1" in many
    assert "fraction of unlike pairs shell 1" not in few
    forced = table(fluorides(13), pairs=True)
    assert forced["Warren-Cowley α(F-Na) shell 1"].tolist() == [0, -1] + [0] * 10
    assert list(table(fluorides(2), pairs=False)) == list(many)


def test_compact_columns_by_hand():
    values = table([rocksalt_nacl(), l12_cu3au(), bcc_fe()], groups=["order"], pairs=False)
    assert values["fraction of unlike pairs shell 1"].tolist() == pytest.approx([1, 0.5, 0])
    assert values["fraction of unlike pairs shell 2"].tolist() == pytest.approx([0, 0, 0])
    name = "shell 1 difference of electronegativity (Pauling)"
    ionic, alloy = 3.16 - 0.93, 2.54 - 1.90
    assert values[f"mean {name}"].tolist() == pytest.approx([ionic, alloy / 2, 0])
    assert values[f"deviation {name}"].tolist() == pytest.approx([0, alloy / 2, 0])
    assert values[f"max {name}"].tolist() == pytest.approx([ionic, alloy, 0])
    assert (values["max shell 2 difference of covalent radius (Å)"] == 0).all()
    radius = element_table()["covalent radius (Å)"]
    nearest = rocksalt_nacl().lattice.a / 2
    relative = values["mean shell 1 distance relative to the covalent radii"]
    assert relative[0] == pytest.approx(nearest / (radius["Na"] + radius["Cl"]))
    nearest = l12_cu3au().lattice.a / np.sqrt(2)
    gold, copper = (radius[symbol] + radius["Cu"] for symbol in ("Au", "Cu"))
    assert relative[1] == pytest.approx(nearest / 2 * (1 / gold + 1 / copper))
    assert values["max shell 1 distance relative to the covalent radii"][1] == pytest.approx(
        nearest / copper
    )
    assert np.isfinite(values).all(axis=None)


def test_compact_columns_do_not_depend_on_other_rows():
    rows = [rocksalt_nacl(), l12_cu3au(), bcc_fe()]
    together = table(rows, groups=["order"], pairs=False)
    for i, row in enumerate(rows):
        alone = table([row], groups=["order"], pairs=False)
        assert together.iloc[i].tolist() == alone.iloc[0].tolist()


def test_every_element_has_the_properties():
    cells = [Structure(Lattice.cubic(4), [symbol], [[0, 0, 0]]) for symbol in element_table().index]
    values = table(cells)
    assert "volume relative to the elements" in values
    assert np.isfinite(values).all(axis=None)


@pytest.mark.slow
def test_prototypes_are_finite_and_can_be_cross_validated():
    xgboost = pytest.importorskip("xgboost")
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    # The entries 209 and 216 hold atoms that are too close to each other.
    structures = [prototype["snl"].structure for prototype in AFLOW_PROTOTYPE_LIBRARY[:208:3]]
    values = table(structures)
    assert len(StructureFeaturizer().fit(structures).elements_) > 40
    assert np.isfinite(values).all(axis=None)
    model = make_pipeline(
        StructureFeaturizer(), xgboost.XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1)
    )
    # Every fold has elements that the others lack.
    y = values["mean nearest-neighbour distance (Å)"]
    assert cross_val_score(model, structures, y, cv=3, error_score="raise").min() > 0.5
