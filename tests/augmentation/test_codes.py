"""Which columns of a table are the codes of an InfoGAN."""

import numpy as np
import pytest

from sklmat.augmentation._codes import find_blocks, find_codes

NAMES = ["volume", "x_Fe", "x_Ni", "lattice_fcc", "lattice_bcc", "lattice_constant", "Fe_0", "C_0"]
ROWS = np.array(
    [
        # volume, x_Fe, x_Ni, fcc, bcc, a (Å), Fe_0, C_0
        [11.8, 1.0, 0.0, 0.0, 1.0, 2.9, 0.4, 0.0],
        [10.9, 0.0, 1.0, 1.0, 0.0, 3.5, 0.0, 0.0],
        [11.2, 0.4, 0.6, 1.0, 0.0, 3.6, 0.7, 0.0],
    ]
)


def test_codes_by_name():
    codes = find_codes(NAMES, ROWS)
    assert codes.columns.tolist() == [1, 2, 3, 4]
    assert codes.fractions.tolist() == [1, 2]
    assert [group.tolist() for group in codes.groups] == [[3, 4]]
    assert find_blocks(NAMES, ROWS, codes).tolist() == [-1, -1, -1, -1, -1, -1, 1, -1]


def test_a_category_may_be_constant():
    rows = ROWS.copy()
    rows[:, 3:5] = [1.0, 0.0]
    codes = find_codes(NAMES, rows)
    assert [group.tolist() for group in codes.groups] == [[3, 4]]


def test_codes_of_a_plain_array_lead():
    order = [1, 2, 3, 4, 0, 5, 6]
    rows = ROWS[:, order]
    codes = find_codes(None, rows)
    assert codes.columns.tolist() == [0, 1, 2, 3]
    assert codes.fractions.tolist() == [0, 1]
    assert [group.tolist() for group in codes.groups] == [[2, 3]]
    assert find_blocks(None, rows, codes).tolist() == [-1, -1, -1, -1, -1, -1, 0]


def test_a_column_of_the_wrong_zeros_is_no_block():
    rows = np.array([[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.1, 0.3], [0.5, 0.5, 0.0, 0.0]])
    # The third column is not zero where the first fraction is; the fourth mostly is elsewhere too.
    codes = find_codes(None, rows)
    assert find_blocks(None, rows, codes).tolist() == [-1, -1, -1, -1]
    assert find_blocks(["x_Fe", "x_Ni", "Fe_0", "Ni_0"], rows, codes).tolist() == [-1, -1, -1, 1]


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (["x_Ni", "volume"], [2, 0]),
        ([2, -8], [2, 0]),
        ("x_Ni", [2]),
        (lambda table: [name for name in table.columns if name.startswith("lattice")], [3, 4, 5]),
        ([False, True, True, False, False, False, False, False], [1, 2]),
    ],
)
def test_codes_that_are_asked_for(asked, columns):
    assert find_codes(NAMES, ROWS, asked).columns.tolist() == columns


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        (NAMES, ["x_Co"], "no column 'x_Co'"),
        (None, ["x_Fe"], "have no names"),
        (NAMES, [8], "not one of 8 columns"),
        (NAMES, [1, "x_Fe"], "more than once"),
        (NAMES, [True, False], "2 booleans for 8 columns"),
        (["a", "b", "c", "d", "e", "f", "g", "h"], None, "x_<element>"),
        (None, None, "no leading columns sum to one"),
    ],
)
def test_codes_that_do_not_exist(names, asked, message):
    with pytest.raises(ValueError, match=message):
        find_codes(names, ROWS, asked)


def test_columns_that_only_look_like_fractions_are_no_codes():
    rows = np.array([[0.2, 0.7], [0.4, 0.4]])
    with pytest.raises(ValueError, match="sum to one"):
        find_codes(["x_position", "x_velocity"], rows)
    assert len(find_codes(["x_position", "x_velocity"], rows, required=False).columns) == 0
    assert len(find_codes(None, np.column_stack([np.ones(2), rows]), required=False).columns) == 0


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([[0.3, 0.3, 1.0], [0.4, 0.6, 0.0]], r"row 0 has \[0.3, 0.3\]"),  # a column was dropped
        ([[40.0, 60.0, 1.0], [50.0, 50.0, 0.0]], r"row 0 has \[40.0, 60.0\]"),  # percent
        ([[0.5, 0.5, 1.0], [-1.2, 2.2, 0.0]], r"row 1 has \[-1.2, 2.2\]"),  # scaled
    ],
)
def test_columns_called_fractions_are_fractions(rows, named):
    names, rows = ["x_Fe", "x_Ni", "lattice_fcc"], np.column_stack([rows, 1 - np.array(rows)[:, 2]])
    names = [*names, "lattice_bcc"]
    # Lattice alone would be the code, and compositions would be generated like any descriptor.
    with pytest.raises(ValueError, match=f"are no fractions.*{named}"):
        find_codes(names, rows)
    with pytest.warns(UserWarning, match=f"are no fractions.*{named}"):
        assert find_codes(names, rows, required=False).columns.tolist() == [2, 3]
    assert find_codes(names, rows, ["x_Fe"]).columns.tolist() == [0]


def test_codes_are_found_behind_the_prefix_of_a_union():
    """FeatureUnion and ColumnTransformer put a name and two underscores before each column."""
    names = ["x_Fe", "x_Ni", "lattice_bcc", "lattice_fcc", "Fe_0", "Ni_0", "volume"]
    x = np.array([1.0, 0.5, 0.25, 0.0])
    rows = np.column_stack([x, 1 - x, [1, 0, 0, 1], [0, 1, 1, 0], x, 1 - x, 3 * x])
    prefixed = [f"union__{name}" for name in names]
    for these in (names, prefixed):
        codes = find_codes(these, rows)
        assert codes.columns.tolist() == [0, 1, 2, 3]
        assert codes.fractions.tolist() == [0, 1]
        assert [group.tolist() for group in codes.groups] == [[2, 3]]
        assert find_blocks(these, rows, codes).tolist() == [-1, -1, -1, -1, 0, 1, -1]
