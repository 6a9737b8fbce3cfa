import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Composition, Lattice, Structure

from sklmat.compositions import (
    check_fractions,
    checked_fractions,
    element_amounts,
    element_fractions,
    element_of_column,
    fraction_column,
    fraction_columns,
    fraction_table,
    holds_compositions,
    is_element,
    is_formula,
    mixing_entropy,
    parse_composition,
    sum_to_one,
)

# ---------------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("x_Fe", "Fe"),
        ("x_H", "H"),
        ("composition__x_Fe", "Fe"),
        ("union__composition__x_Fe", "Fe"),
        ("x_", None),
        ("x_fe", None),
        ("x_Fe2", None),
        ("x_position", None),
        ("max_Fe", None),
        ("composition_x_Fe", None),
        ("Fe_0", None),
        (3, None),
        (None, None),
    ],
)
def test_element_of_a_column(name, symbol):
    assert element_of_column(name) == symbol


def test_columns_are_found_as_they_are_named():
    for symbol in ("H", "Fe", "Og"):
        for prefix in ("", "composition__", "a__b__"):
            assert element_of_column(prefix + fraction_column(symbol)) == symbol


def test_fraction_columns_keep_their_order():
    columns = ["x_Ni", "lattice_fcc", 0, "a__x_Fe", "x_position", "a__x_position", "max_Fe"]
    assert fraction_columns(columns) == ["x_Ni", "x_position"]
    behind_a_prefix = ["a__x_Ni", "lattice_fcc", 0, "a__x_Fe", "a__x_position", "max_Fe"]
    assert fraction_columns(behind_a_prefix) == ["a__x_Ni", "a__x_Fe"]
    assert fraction_columns(pd.DataFrame(columns=["Fe_0", "x_Fe"]).columns) == ["x_Fe"]


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("row", "fine"),
    [
        ([0.2, 0.3, 0.5], True),
        ([1.0, 0.0, 0.0], True),
        ([0.333, 0.333, 0.333], True),
        ([0.332, 0.333, 0.333], False),
        ([0.334, 0.334, 0.334], False),
        ([1.5, -0.5, 0.0], False),
        ([np.nan, 0.5, 0.5], False),
        ([np.inf, -np.inf, 1.0], False),
        ([20.0, 30.0, 50.0], False),
    ],
)
def test_rows_that_sum_to_one(row, fine):
    assert_array_equal(sum_to_one(np.array([[0.5, 0.5, 0.0], row])), [True, fine])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.25], r"row 1 has fractions that do not sum to one: \[0.5, 0.25\]"),
        ([1.5, -0.5], r"row 1 has a negative fraction: \[1.5, -0.5\]"),
        ([np.nan, 1.0], r"row 1 holds NaN or infinity: \[nan, 1.0\]"),
    ],
)
def test_the_first_wrong_row_is_named(row, message):
    rows = np.array([[0.5, 0.5], row, row])
    with pytest.raises(ValueError, match=f"^{message}; correct or drop it$"):
        check_fractions(rows)
    with pytest.raises(ValueError, match=f"^codes: {message}"):
        check_fractions(rows, "codes: ")
    with pytest.raises(ValueError, match=message.replace("1", "0", 1)):
        checked_fractions(row)


def test_fractions_of_a_table():
    table = pd.DataFrame({"volume": [11.0, 12.0], "x_Fe": [1, 0], "x_Ni": [0, 1]})
    fractions = checked_fractions(table)
    assert_array_equal(fractions, [[1.0, 0.0], [0.0, 1.0]])
    assert fractions.dtype == float
    assert_array_equal(checked_fractions(table.add_prefix("composition__")), fractions)
    with pytest.raises(ValueError, match="no columns of fractions"):
        checked_fractions(table[["volume"]])
    for shape in [(2, 0), (1, 1, 1), ()]:
        with pytest.raises(ValueError, match="must be a row or a table"):
            checked_fractions(np.ones(shape))


def test_entropy_of_equal_parts_is_the_logarithm_of_their_number():
    equal = np.array([[1, 0, 0, 0], [1 / 2, 1 / 2, 0, 0], [1 / 4] * 4])
    assert_allclose(mixing_entropy(equal), np.log([1, 2, 4]), atol=1e-15)
    assert_allclose(mixing_entropy(np.array([0.25, 0.75])), 0.56233514, atol=1e-8)
    assert not np.signbit(mixing_entropy(equal)[0])


# --------------------------------------------------------------------- formulas


def test_elements_and_formulas_are_recognised():
    assert all(map(is_element, ["H", "Fe", "Og"]))
    assert not any(map(is_element, ["fe", "Xx", "Fe2", "", None, 26]))
    assert all(map(holds_compositions, (["Fe2 O3"], [{"Fe": 2}], [Composition("Fe")])))
    nothing = ([{}], [["Fe"]], [{"lattice": 1}], [{"Fe": 1, "sites": 2}], [26], [])
    assert not any(map(holds_compositions, nothing))
    assert holds_compositions(pd.DataFrame({"formula": ["Fe2O3"], "gap (eV)": [2.0]}))
    assert all(map(is_formula, ["Fe", "Fe2O3", "Ni0.5Cu0.5", "Ca(OH)2"]))
    assert not any(map(is_formula, ["", "a.cif", "Fe O", "POSCAR_1", "fcc", None]))


@pytest.mark.parametrize("item", ["FeNi3", "Ni3Fe", {"Fe": 1, "Ni": 3}, Composition("Fe2Ni6")])
def test_forms_of_a_composition(item):
    assert parse_composition(item).reduced_formula == "FeNi3"
    assert element_fractions(item) == {"Fe": 0.25, "Ni": 0.75}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("Ni-", None),
        ("", "Invalid formula"),
        ({"Ni": 0.5, "Cu": np.nan}, "an amount is NaN"),
        ({"Ni": 0.4, "Pd": 0.5}, "fractions sum to 0.9 and not to one"),
        ({"Ni": -0.5, "Pd": 1}, None),
    ],
)
def test_what_is_no_composition(item, reason):
    with pytest.raises(ValueError, match=reason):
        element_fractions(item)


def test_oxidation_states_are_ignored():
    assert element_fractions({"Fe2+": 1, "Fe3+": 2, "O2-": 1}) == {"Fe": 0.75, "O": 0.25}


def test_amounts_by_atomic_number():
    cell = Structure(Lattice.cubic(3), ["Fe", "Ni"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    amounts = element_amounts([Composition({"Fe2+": 1, "Fe3+": 2}), None, cell])
    assert amounts.shape == (3, 119)
    assert amounts[0, 26] == amounts[0].sum() == 3
    assert np.isnan(amounts[1]).all()
    assert_array_equal(amounts[2, [26, 28]], [1, 1])
    assert amounts[2].sum() == 2


# ----------------------------------------------------------------------- tables

FINE = [[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    "X",
    [
        np.array(FINE),
        pd.DataFrame(FINE, columns=["x_Ni", "x_Fe", "x_Cu"]),
        pd.DataFrame(FINE, columns=["Ni", "Fe", "Cu"])[["Cu", "Ni", "Fe"]],
        pd.DataFrame(FINE, columns=["c__x_Ni", "c__x_Fe", "c__x_Cu"], index=[4, 7]),
        pd.DataFrame(FINE, columns=["x_Ni", "x_Fe", "x_Cu"]).assign(x_Au=0.0),
        ["FeNi3", "Cu"],
        pd.Series(["FeNi3", "Cu"], index=[4, 7]),
        [{"Fe": 0.25, "Ni": 0.75}, Composition("Cu4")],
    ],
)
def test_every_form_gives_the_same_fractions(X):
    assert_array_equal(fraction_table(X, ["Ni", "Fe", "Cu"]), FINE)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.eye(2), r"needs 3 columns, one for each of \['Ni', 'Fe', 'Cu'\]"),
        (np.array([[0.5, 0.5, 0.5]]), "row 0 has fractions that do not sum to one"),
        (pd.DataFrame({"x_Ni": [1.0], "Ni": [0.0]}), "names an element twice"),
        (pd.DataFrame({"x_Ni": [1.0], "phase": [0.0]}), "a column 'phase'; the model knows"),
        (pd.DataFrame({"x_Ni": [1, 0.5], "x_Au": [0, 0.5]}), "row 1 of the table has .* 'Au'"),
        (pd.DataFrame({"x_Ni": ["a"]}), "must be numbers"),
        (
            ["Ni", "NiAu"],
            r"row 1 \(NiAu\) holds \['Au'\]; the .* leave the row out, or fit",
        ),
        (["Ni", "Ni-"], r"row 1 \('Ni-'\) is no composition"),
        ([Composition()], "holds nothing"),
        ([], "X is empty"),
    ],
)
def test_tables_that_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        fraction_table(X, ["Ni", "Fe", "Cu"])


def test_a_single_composition_is_no_table():
    for single in ("FeNi3", Composition("FeNi3"), {"Fe": 1.0}):
        with pytest.raises(TypeError, match="single composition; pass a list"):
            fraction_table(single, ["Ni", "Fe"])


def test_columns_and_numbers_need_neither_torch_nor_pymatgen():
    code = (
        "import sys, numpy as np; from sklmat.compositions import *; "
        "check_fractions(np.eye(2)); mixing_entropy(np.eye(2)); fraction_columns(['x_Fe']); "
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pymatgen.core"} & set(loaded)
