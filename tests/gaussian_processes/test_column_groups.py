"""Groups of columns by name, pattern and position."""

import numpy as np
import pytest

from sklmat.gaussian_processes._column_groups import find_column_groups

NAMES = ["table__x_Fe", "table__x_Ni", "volume per atom (Å³)", "chgnet__embedding 0", "[odd]"]


def groups(column_groups, names=NAMES, n_columns=5):
    found = find_column_groups(column_groups, names, n_columns)
    return {name: columns.tolist() for name, columns in found.items()}


def test_names_patterns_and_positions():
    assert groups(None) == {"all columns": [0, 1, 2, 3, 4]}
    assert groups([["x_*", "volume*", 4], "embedding ?"]) == {
        "group 0": [0, 1, 2, 4],
        "group 1": [3],
    }
    assert groups({"chgnet": ["chgnet__*"], "base": "*"}) == {"chgnet": [3], "base": [0, 1, 2, 4]}
    assert groups([["table__x_Fe", "x_Ni", -1], ["*"]])["group 0"] == [0, 1, 4]
    # Brackets are those of the name.
    assert groups([["[odd]"], ["*"]])["group 0"] == groups([["[o*"], ["*"]])["group 0"] == [4]
    assert groups([[np.int64(0)], "*"], None, 3) == {"group 0": [0], "group 1": [1, 2]}


@pytest.mark.parametrize(
    ("column_groups", "names", "message"),
    [
        ([["x_*"]], NAMES, r"no group has the columns 'volume per atom \(Å³\)', 'chgnet"),
        ([[0, 1]], None, "no group has the columns 2, 3, 4; add them"),
        ([["x_*", "pressure"], "*"], NAMES, "'pressure' of 'group 0' matches no column; X has tab"),
        ([["*"], ["x_*"]], NAMES, "every column that 'x_\\*' of 'group 1' matches is in an earl"),
        ([["*"], []], NAMES, "'group 1' is empty"),
        ([[5]], NAMES, "'group 0' has column 5, but X has 5 columns"),
        ([["x_*"], "*"], None, "the columns of X have no names"),
        ([[0.5], "*"], NAMES, "holds 0.5, which is no name"),
        ([0.5, "*"], NAMES, "holds 0.5, which is no name"),
        ([None, "*"], NAMES, "holds None, which is no name"),
        ([[True], "*"], NAMES, "holds True, which is no name"),
        ([["[tv]*"], "*"], NAMES, "matches no column"),
        ({1: "x_*", "1": "*"}, NAMES, "name of a group must be a string, not 1"),
    ],
)
def test_errors_name_the_columns(column_groups, names, message):
    with pytest.raises(ValueError, match=message):
        groups(column_groups, names)
