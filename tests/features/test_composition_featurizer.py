"""Columns of compositions: fractions, properties and their statistics."""

import numpy as np
import pandas as pd
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au, rocksalt_nacl
from pymatgen.core import Composition, Lattice, Structure

from sklmat import CompositionFeaturizer
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning


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
    structures = [rocksalt_nacl(), b2_nial(), l12_cu3au()]
    from_structures = CompositionFeaturizer().fit_transform(structures)
    compositions = [s.composition.reduced_composition for s in structures]
    from_compositions = CompositionFeaturizer().fit_transform(compositions)
    pd.testing.assert_frame_equal(from_structures, from_compositions)


def test_lattice_columns_follow_the_fractions():
    table = CompositionFeaturizer(lattice=True, properties=[]).fit_transform(
        [bcc_fe(), fcc_cu(), b2_nial()]
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
    featurizer = CompositionFeaturizer(lattice=True).fit([bcc_fe(), fcc_cu()])
    odd = Structure(Lattice.cubic(3.6), ["Fe"] * 4, fcc_cu().frac_coords)
    simple = Structure(Lattice.cubic(2.3), ["Fe"], [[0, 0, 0]])
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* lattice sc"):
        featurizer.transform([odd, simple])


def test_bad_compositions():
    with pytest.raises(TypeError, match="no lattice"):
        CompositionFeaturizer(lattice=True).fit([Composition("Fe")])
    with pytest.raises(TypeError, match="put it in a list"):
        CompositionFeaturizer().fit(Composition("Fe"))
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
