"""Columns of numbers that graphs take along: `with_extra`."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu

from sklmat import StructureToGraph
from sklmat.graphs import CrystalGraphs

NUMBERS = np.array([1.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def graphs():
    return StructureToGraph(cutoff=4.0).transform([bcc_fe(), fcc_cu(), b2_nial()])


@pytest.mark.parametrize(
    "table",
    [
        {"T (K)": NUMBERS, np.str_("p"): NUMBERS, 3: NUMBERS, 0.5: NUMBERS, None: NUMBERS},
        pd.DataFrame({("PBE", "gap"): NUMBERS, ("PBE", "energy"): NUMBERS}),
        pd.DataFrame({np.int64(7): NUMBERS}),
        {(np.int64(1), ("a", np.str_("b"))): NUMBERS},
        np.column_stack([NUMBERS, NUMBERS]),
    ],
    ids=["plain", "MultiIndex", "int64", "nested", "array"],
)
def test_names_are_the_same_in_a_file(graphs, table, tmp_path):
    given = graphs.with_extra(table)
    expected = tuple(table) if isinstance(table, dict | pd.DataFrame) else (0, 1)
    given.save(tmp_path / "graphs")
    StructureToGraph(cutoff=4.0).to_file(given, tmp_path / "again")
    for name in ("graphs", "again"):
        for mmap in (False, True):
            read = CrystalGraphs.load(tmp_path / name, mmap=mmap)
            assert read.extra_names == given.extra_names == expected
            np.testing.assert_array_equal(read.extra, given.extra)
            assert list(map(hash, read.extra_names)) == list(map(hash, expected))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({date(2026, 1, 1): NUMBERS}, "is a date, which a file of graphs cannot keep; rename"),
        ({np.nan: NUMBERS}, "the name nan of a column is a float, which"),
        (pd.DataFrame([[1, 2]] * 3, columns=["a", "a"]), "two columns have the name 'a'"),
        (pd.DataFrame({"a": [1, 2]}), "the table has 2 rows, and there are 3 crystals; give it"),
        (np.ones((4, 2)), "the table has 4 rows, and there are 3 crystals"),
        ({"a": [1, 2]}, r"'a' has the shape \(2,\), but there are 3 crystals; give it one number"),
        (NUMBERS, r"array of shape \(C, K\), got \(3,\); make one column of it with reshape"),
        (pd.Series(NUMBERS), r"got a Series; of a Series, pass to_frame\(\)"),
        ([[1], [2], [3]], "needs a DataFrame, a dict of columns or an array .* got a list"),
        ({"a": ["GGA", "hybrid", "GGA"]}, "'a' holds 'GGA' in row 0, which is no number; make"),
        ({"a": [1, 2, "3"]}, "'a' holds '1' in row 0, which is no number"),
        ({"a": [1.0, np.nan, np.nan]}, r"'a' has no value \(NaN\) in row 1 and 1 other rows; fill"),
        ({"a": [1.0, 2.0, np.inf]}, "'a' is infinite in row 2; fill it, or leave these rows out"),
        ({"a": [1, 10**400, 2]}, "'a' is infinite in row 1"),
        ({"t": np.array([1, 2, 3], "m8[s]")}, r"'t' holds np.timedelta64\(1,'s'\) in row 0, which"),
        ({"a": pd.array([1, 2, None], dtype="Int64")}, "'a' has no value .* in row 2"),
    ],
    ids=str,
)
def test_tables_that_cannot_be_read(graphs, table, message):
    with pytest.raises(ValueError, match=message):
        graphs.with_extra(table)


def test_long_values_are_shortened(graphs):
    with pytest.raises(ValueError, match="which is no number") as error:
        graphs.with_extra({"a": [{"key": "value" * 100}] * 3})
    assert len(str(error.value)) < 250


def test_no_columns_are_none(graphs):
    assert graphs.with_extra({}).extra is None
    assert graphs.with_extra(pd.DataFrame(index=range(3))).extra_names == ()


def test_columns_in_pyg(graphs):
    from torch_geometric.data import Batch

    given = graphs.with_extra({"a": NUMBERS, "b": 10 * NUMBERS})
    assert given.to_pyg(1).extra.tolist() == [[2.0, 20.0]]
    batch = Batch.from_data_list([given.to_pyg(c) for c in (2, 0)])
    assert batch.extra.tolist() == [[3.0, 30.0], [1.0, 10.0]]
    assert "extra" not in graphs.to_pyg(0)
