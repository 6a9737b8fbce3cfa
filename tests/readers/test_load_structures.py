"""Every source gives the rows that it holds, with their ids and targets, or says what is wrong."""

import gzip
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cif_text import cif
from pymatgen.core import Lattice, Structure

from sklmat import InvalidRowsError, InvalidStructureWarning, load_structures

#: Lattice parameter (Å) of the caesium chloride of each id; the volume of its cell is its cube.
SIZES = {"9": 4.05, "10": 4.1, "2": 4.2, "b": 4.3}


def text(a):
    return cif(cell=(a, a, a, 90, 90, 90))


def cscl(a):
    return Structure(Lattice.cubic(a), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def sizes(bunch):
    """Lattice parameter of each row, which tells the crystals apart."""
    return [round(structure.lattice.a, 6) for structure in bunch.data]


def rejected(bunch):
    return bunch.rejected[["row", "id", "file"]].astype(object).to_numpy().tolist()


@pytest.fixture
def folder(tmp_path):
    """A folder of files with natural order 2, 9, 10, b."""
    for name, a in SIZES.items():
        (tmp_path / f"{name}.cif").write_text(text(a))
    return tmp_path


@pytest.fixture
def id_prop(folder):
    """The layout of CGCNN, with two ids that have no crystal, and a file that has no id."""
    lines = ["9,0.9", "10,1.0", "broken,7.0", "missing,8.0", "2,0.2", "b,0.5"]
    (folder / "id_prop.csv").write_text("\n".join(lines) + "\n")
    (folder / "broken.cif").write_text("data_broken\n")
    (folder / "extra.cif").write_text(text(4.4))
    (folder / "atom_init.json").write_text("{}")
    (folder / "README.md").write_text("about")
    return folder


# -- folders


def test_id_prop_keeps_crystals_targets_and_ids_together(id_prop):
    bunch = load_structures(id_prop, on_invalid="drop")
    assert bunch.ids.tolist() == ["9", "10", "2", "b"]
    assert bunch.target.tolist() == [0.9, 1.0, 0.2, 0.5]
    assert sizes(bunch) == [4.05, 4.1, 4.2, 4.3]
    assert bunch.frame.index.tolist() == ["9", "10", "2", "b"]
    assert bunch.frame.shape == (4, 0)
    assert bunch.target_names == ["target"]
    assert rejected(bunch) == [
        [2, "broken", "broken.cif"],
        [3, "missing", "missing"],
        [pd.NA, "", "extra.cif"],
    ]
    assert "no block of the CIF" in bunch.rejected["reason"][0]
    assert "there is no file missing or missing.cif" in bunch.rejected["reason"][1]
    assert "no row of id_prop.csv names this file" in bunch.rejected["reason"][2]


def test_all_problems_are_in_one_error(id_prop):
    with pytest.raises(InvalidRowsError) as caught:
        load_structures(id_prop)
    message = str(caught.value)
    assert "2 of 6 rows cannot be used and 1 file has no row" in message
    assert "row 2, id broken, file broken.cif: " in message
    assert "row 3, id missing, file missing: " in message
    assert "file extra.cif: " in message
    assert "on_invalid='drop'" in message
    assert caught.value.index == 2


def test_only_the_first_twenty_problems_are_shown(folder):
    lines = [f"gone{row},{row}" for row in range(25)] + ["9,1"]
    (folder / "id_prop.csv").write_text("\n".join(lines))
    with pytest.raises(InvalidRowsError, match=r"25 of 26 rows.* 3 files have no row") as caught:
        load_structures(folder)
    assert "row 19," in str(caught.value)
    assert "row 20," not in str(caught.value)
    assert "... and 8 more" in str(caught.value)


def test_ids_stay_as_written(tmp_path):
    for name, a in [("007", 4.0), ("7", 4.1), ("1.50", 4.2)]:
        (tmp_path / f"{name}.cif").write_text(text(a))
    (tmp_path / "id_prop.csv").write_text('7,1\n"007",2\n1.50,3\n')
    bunch = load_structures(tmp_path)
    assert bunch.ids.tolist() == ["7", "007", "1.50"]
    assert sizes(bunch) == [4.1, 4.0, 4.2]
    assert bunch.target.tolist() == [1, 2, 3]


def test_id_prop_with_header_several_values_and_other_files(tmp_path):
    cscl(4.0).to(str(tmp_path / "a.vasp"), fmt="poscar")
    (tmp_path / "b.json").write_text(json.dumps(cscl(4.1).as_dict()))
    with gzip.open(tmp_path / "c.cif.gz", "wt") as file:
        file.write(text(4.2))
    (tmp_path / "id_prop.csv").write_text("id,gap,energy\nc,1.5,-3\nb,,-2\na,0.5,-1\n")
    bunch = load_structures(tmp_path)
    assert sizes(bunch) == [4.2, 4.1, 4.0]
    assert bunch.target.tolist() == [-3, -2, -1]
    assert bunch.target_names == ["energy"]
    np.testing.assert_array_equal(bunch.frame["gap"], [1.5, np.nan, 0.5])
    both = load_structures(tmp_path, target=["energy", "gap"])
    np.testing.assert_array_equal(both.target, [[-3, 1.5], [-2, np.nan], [-1, 0.5]])
    assert both.frame.shape == (3, 0)
    with pytest.raises(InvalidRowsError, match=r"row 1, id b, file b\.json: the target 'gap'"):
        load_structures(tmp_path, target="gap")


def test_labels_that_are_names_of_files(tmp_path):
    """The labels 0 and 1 name files as well as the ids do; the first column counts."""
    for name, a in [("0", 4.0), ("1", 4.1), ("2", 4.2)]:
        (tmp_path / f"{name}.cif").write_text(text(a))
    (tmp_path / "id_prop.csv").write_text("2,1\n1,0\n0,1\n")
    bunch = load_structures(tmp_path)
    assert bunch.target.tolist() == [1, 0, 1]
    assert sizes(bunch) == [4.2, 4.1, 4.0]


def test_files_alone_come_in_natural_order(folder):
    (folder / "README").write_text("about")
    (folder / ".hidden.cif").write_text("x")
    (folder / "notes.txt").write_text("x")
    (folder / "INCAR").write_text("x")
    (folder / "saved.parquet").write_bytes(b"x")
    bunch = load_structures(folder)
    assert bunch.ids.tolist() == ["2", "9", "10", "b"]
    assert sizes(bunch) == [4.2, 4.05, 4.1, 4.3]
    assert bunch.target is None
    assert bunch.target_names == []


def test_files_that_hold_no_crystal_are_listed(folder):
    (folder / "settings.json").write_text('{"cutoff": 8}')
    (folder / "more").mkdir()
    (folder / "data.xyzzy").write_text("?")
    bunch = load_structures(folder, on_invalid="drop")
    assert len(bunch.data) == 4
    assert [file for _, _, file in rejected(bunch)] == ["data.xyzzy", "settings.json", "more"]
    with pytest.raises(InvalidRowsError, match="a folder inside the folder is not read"):
        load_structures(folder)


def test_files_of_a_folder_may_hold_several_crystals(folder):
    (folder / "5.cif").write_text(text(4.5) + text(4.6).replace("data_crystal", "data_second"))
    bunch = load_structures(folder)
    assert bunch.ids.tolist() == ["2", "5-0", "5-1", "9", "10", "b"]
    assert sizes(bunch)[1:3] == [4.5, 4.6]
    assert bunch.frame["block"].tolist()[1:3] == ["crystal", "second"]


@pytest.mark.parametrize("name", ["targets.csv", "targets.tsv", "targets.xlsx"])
@pytest.mark.parametrize("suffix", ["", ".cif"])
def test_a_table_names_the_files_of_its_folder(folder, name, suffix):
    rows = [[f"{key}{suffix}", 1000 * a, "x"] for key, a in SIZES.items()]
    table = pd.DataFrame(rows, columns=["crystal", "gap (meV)", "comment"])
    if name.endswith("xlsx"):
        table.to_excel(folder / name, index=False)
    else:
        table.to_csv(folder / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    for source in (folder, str(folder / name)):
        bunch = load_structures(source)
        assert bunch.ids.tolist() == list(SIZES)
        assert sizes(bunch) == list(SIZES.values())
        assert bunch.target.tolist() == [4050, 4100, 4200, 4300]
        assert bunch.frame["comment"].tolist() == ["x"] * 4


def test_a_table_of_paths_in_other_folders(tmp_path):
    for run, a in [("run1", 4.0), ("run2", 4.1)]:
        (tmp_path / "runs" / run).mkdir(parents=True)
        cscl(a).to(str(tmp_path / "runs" / run / "POSCAR"), fmt="poscar")
    (tmp_path / "table.csv").write_text("file;energy\nruns/run2/POSCAR;-2.5\nruns/run1/POSCAR;-3\n")
    bunch = load_structures(tmp_path / "table.csv")
    assert sizes(bunch) == [4.1, 4.0]
    assert [Path(name).parts[-2] for name in bunch.ids] == ["run2", "run1"]
    assert bunch.target.tolist() == [-2.5, -3]


def test_several_files_of_one_stem_are_not_guessed(folder):
    cscl(4.0).to(str(folder / "9.vasp"), fmt="poscar")
    (folder / "id_prop.csv").write_text("9,1\n10,2\n2,3\nb,4\n")
    with pytest.raises(InvalidRowsError, match=r"row 0.*several files have the name 9: 9.cif, 9.v"):
        load_structures(folder)


def test_several_tables_in_a_folder(folder):
    for name in ("one.csv", "two.csv"):
        (folder / name).write_text("a,b\n9,1\n")
    with pytest.raises(ValueError, match=r"several tables \(one.csv, two.csv\)"):
        load_structures(folder)


def test_table_that_names_no_file(folder):
    (folder / "other.csv").write_text("element,radius\nFe,1.2\n")
    with pytest.raises(ValueError, match=r"no column of .* names files .*columns are elem"):
        load_structures(folder)


# -- tables with structures


def as_parquet(table, path):
    table.to_parquet(path)


def as_lines(table, path):
    table.to_json(path, orient="records", lines=True)


def as_gzipped_split(table, path):
    """The layout of matbench and matminer."""
    document = {"index": list(range(len(table))), "columns": list(table.columns)}
    document["data"] = table.to_numpy().tolist()
    with gzip.open(path, "wt") as file:
        json.dump(document, file)


def as_records(table, path):
    path.write_text(json.dumps(table.to_dict("records")))


def as_columns(table, path):
    path.write_text(table.to_json())


WRITE = {
    "table.csv": lambda table, path: table.to_csv(path, index=False),
    "table.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "table.xlsx": lambda table, path: table.to_excel(path, index=False),
    "table.parquet": as_parquet,
    "lines.jsonl": as_lines,
    "lines.json": as_lines,
    "matbench.json.gz": as_gzipped_split,
    "records.json": as_records,
    "columns.json": as_columns,
}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (name, form)
        for name in WRITE
        for form in ("cif", "json", "dict")
        # Cells of other formats hold no dicts.
        if form != "dict" or "json" in name
    ],
)
def test_tables_with_a_column_of_structures(tmp_path, name, form):
    cells = {
        "cif": [text(a) for a in SIZES.values()],
        "json": [json.dumps(cscl(a).as_dict()) for a in SIZES.values()],
        "dict": [cscl(a).as_dict() for a in SIZES.values()],
    }[form]
    table = pd.DataFrame(
        {"mpid": ["007", "8", "9", "x"], "structure": cells, "gap": [0.5, 1, 2, 3]}
    )
    WRITE[name](table, tmp_path / name)
    bunch = load_structures(tmp_path / name)
    assert bunch.ids.tolist() == ["007", "8", "9", "x"]
    assert sizes(bunch) == list(SIZES.values())
    assert bunch.target.tolist() == [0.5, 1, 2, 3]
    assert bunch.frame.shape == (4, 0)


def test_dataframe_of_objects_and_its_index():
    table = pd.DataFrame(
        {"atoms": [cscl(4.0), cscl(4.1)], "gap": [1.0, 2.0], "kind": ["a", "b"]}, index=["p", "q"]
    )
    bunch = load_structures(table)
    assert bunch.ids.tolist() == ["p", "q"]
    assert bunch.data[0] is table["atoms"]["p"]
    assert bunch.frame["kind"].tolist() == ["a", "b"]
    assert table.index.tolist() == ["p", "q"]
    part = load_structures(table.reset_index(drop=True)[1:])
    assert part.ids.tolist() == ["1"]
    named = load_structures(table.rename_axis("mp"), id="mp", target="kind")
    assert named.ids.tolist() == ["p", "q"]
    assert named.target.tolist() == ["a", "b"]


def test_polars_and_paths_in_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder)
    table = pl.DataFrame({"file": ["b.cif", "2.cif"], "gap": [1.5, None]})
    bunch = load_structures(table, on_invalid="drop")
    assert bunch.ids.tolist() == ["b"]
    assert bunch.target.tolist() == [1.5]
    assert bunch.rejected["reason"].tolist() == ["the target 'gap' is missing"]


def test_documents_of_a_database(tmp_path):
    entries = [
        {
            "material_id": f"mp-{k}",
            "structure": cscl(4 + k / 10).as_dict(),
            "energy": -k,
            "nsites": 2,
        }
        for k in range(3)
    ]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    by_id = {entry["material_id"]: entry for entry in entries}
    (tmp_path / "by_id.json").write_text(json.dumps(by_id))
    for name in ("list.json", "by_id.json"):
        bunch = load_structures(tmp_path / name)
        assert bunch.ids.tolist() == ["mp-0", "mp-1", "mp-2"]
        assert bunch.target.tolist() == [0, -1, -2]
        assert bunch.frame["nsites"].tolist() == [2, 2, 2]


def test_structures_alone_in_json(tmp_path):
    """The charge that a structure's dict holds is no target."""
    (tmp_path / "list.json").write_text(json.dumps([cscl(4.0).as_dict(), cscl(4.1).as_dict()]))
    (tmp_path / "one.json").write_text(json.dumps(cscl(4.2).as_dict()))
    by_name = {"p": cscl(4.0).as_dict(), "q": cscl(4.1).as_dict()}
    (tmp_path / "by_name.json").write_text(json.dumps(by_name))
    for name, ids in [("list", ["0", "1"]), ("one", ["one"]), ("by_name", ["p", "q"])]:
        bunch = load_structures(tmp_path / f"{name}.json")
        assert bunch.ids.tolist() == ids
        assert bunch.target is None
    assert load_structures(tmp_path, on_invalid="drop").target is None


def test_no_code_runs_from_data(tmp_path):
    document = cscl(4.0).as_dict()
    document["sites"][0]["properties"] = {"x": {"@module": "os", "@class": "getcwd"}}
    record = {"structure": document, "gap": 1.0, "more": {"@module": "os", "@class": "getcwd"}}
    (tmp_path / "records.json").write_text(json.dumps([record]))
    bunch = load_structures(tmp_path / "records.json")
    assert bunch.data[0].site_properties == {}
    assert bunch.frame["more"].tolist() == [{"@module": "os", "@class": "getcwd"}]


def test_several_columns_of_structures():
    table = pd.DataFrame({"relaxed": [cscl(4.0)], "initial": [cscl(4.1)], "gap": [1.0]})
    with pytest.raises(ValueError, match=r"several columns of .* hold structures: relaxed, init"):
        load_structures(table)
    bunch = load_structures(table.rename(columns={"initial": "structure"}))
    assert sizes(bunch) == [4.1]
    assert bunch.frame.columns.tolist() == ["relaxed"]


def test_excel_with_several_sheets(tmp_path):
    table = pd.DataFrame({"structure": [text(4.0)], "gap": [1.0]})
    with pd.ExcelWriter(tmp_path / "table.xlsx") as writer:
        table.to_excel(writer, sheet_name="one", index=False)
        table.to_excel(writer, sheet_name="two", index=False)
    with pytest.raises(ValueError, match=r"several sheets \(one, two\)"):
        load_structures(tmp_path / "table.xlsx")


# -- files of many crystals


def frames():
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    made = []
    for a, energy in [(4.1, -6.5), (4.2, -6.4), (4.3, -6.3)]:
        atoms = Atoms("CsCl", cell=[a, a, a], pbc=True, scaled_positions=[[0] * 3, [0.5] * 3])
        atoms.info["group"] = f"size {a}"
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        made.append(atoms)
    return made


@pytest.mark.parametrize("name", ["frames.extxyz", "frames.xyz", "frames.traj", "frames.db"])
def test_frames_of_ase(tmp_path, name):
    from ase.db import connect
    from ase.io import write

    if name.endswith("db"):
        with connect(tmp_path / name) as database:
            for atoms in frames():
                database.write(atoms, key_value_pairs={"group": atoms.info["group"]})
    else:
        write(tmp_path / name, frames(), format="extxyz" if name.endswith("xyz") else None)
    bunch = load_structures(tmp_path / name)
    first = 1 if name.endswith("db") else 0
    assert bunch.ids.tolist() == [str(first + k) for k in range(3)]
    assert bunch.target.tolist() == [-6.5, -6.4, -6.3]
    assert sizes(bunch) == [4.1, 4.2, 4.3]
    if not name.endswith("traj"):
        assert bunch.frame["group"].tolist() == ["size 4.1", "size 4.2", "size 4.3"]
    last = load_structures(tmp_path / name, index=-1)
    assert last.ids.tolist() == [str(first + 2)]
    assert last.target.tolist() == [-6.3]


def test_blocks_of_a_cif(tmp_path):
    blocks = [text(a).replace("data_crystal", f"data_{name}") for name, a in SIZES.items()]
    (tmp_path / "all.cif").write_text("data_global\n_audit_author_name X\n" + "".join(blocks))
    bunch = load_structures(tmp_path / "all.cif")
    assert bunch.ids.tolist() == ["0", "1", "2", "3"]
    assert bunch.frame["block"].tolist() == list(SIZES)
    assert sizes(bunch) == list(SIZES.values())


def test_one_file_with_one_crystal_is_one_row(tmp_path):
    (tmp_path / "salt.cif").write_text(text(4.0))
    assert load_structures(tmp_path / "salt.cif").ids.tolist() == ["salt"]
    assert sizes(load_structures(text(4.0))) == [4.0]


# -- lists


def test_lists_of_paths_and_crystals(folder):
    paths = [folder / "b.cif", str(folder / "2.cif")]
    bunch = load_structures(paths)
    assert bunch.ids.tolist() == ["b", "2"]
    assert sizes(bunch) == [4.3, 4.2]
    mixed = load_structures([cscl(4.0), folder / "b.cif", text(4.1), cscl(4.4).as_dict()])
    assert mixed.ids.tolist() == ["0", "1", "2", "3"]
    assert sizes(mixed) == [4.0, 4.3, 4.1, 4.4]
    with pytest.raises(InvalidRowsError, match=r"row 1, id gone, file .*gone\.cif: cannot be read"):
        load_structures([folder / "b.cif", folder / "gone.cif"])


def test_a_pattern_is_not_expanded(folder):
    with pytest.raises(FileNotFoundError, match="a pattern is not expanded"):
        load_structures(str(folder / "*.cif"))
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load_structures(folder / "gone")


def test_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert len(load_structures("~").data) == 4
    assert len(load_structures(["~/9.cif"]).data) == 1


@pytest.mark.parametrize("source", [cscl(4.0), 5])
def test_what_is_no_source(source):
    with pytest.raises(TypeError, match="expected a sequence of structures"):
        load_structures(source)


# -- index


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(2), ["2", "9"]),
        (":2", ["2", "9"]),
        ("1:", ["9", "10", "b"]),
        ("::2", ["2", "10"]),
        ("-1", ["b"]),
        (-1, ["b"]),
        (1, ["9"]),
        ([3, 0], ["b", "2"]),
        (np.array([1, 2]), ["9", "10"]),
    ],
)
def test_index_selects_before_reading(folder, index, expected):
    assert load_structures(folder, index=index).ids.tolist() == expected


def test_what_is_not_selected_is_not_read(id_prop):
    (id_prop / "extra.cif").unlink()
    assert load_structures(id_prop, index=":2").ids.tolist() == ["9", "10"]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("a:b", "index must be like"),
        (4, "index 4 is outside the 4 rows"),
        ([0, 0], "names a row twice"),
        ([True, False], "list of ints"),
        (1.5, "list of ints"),
    ],
)
def test_wrong_index(folder, index, message):
    with pytest.raises(ValueError, match=message):
        load_structures(folder, index=index)


# -- targets and ids


def rows_with(**columns):
    n_rows = len(next(iter(columns.values())))
    structures = [cscl(4 + row / 10) for row in range(n_rows)]
    return pd.DataFrame({"structure": structures, **columns})


def test_which_column_is_the_target():
    assert load_structures(rows_with(gap=[1.0, 2.0])).target_names == ["gap"]
    assert load_structures(rows_with(gap=[1.0], energy=[2.0])).target_names == ["energy"]
    assert load_structures(rows_with(comment=["x"])).target is None
    assert load_structures(rows_with(metal=[True, False])).target.tolist() == [True, False]
    with pytest.raises(ValueError, match="several columns can be the target: 'gap', 'moment'"):
        load_structures(rows_with(gap=[1.0], moment=[2.0]))
    with pytest.raises(ValueError, match="no column 'gap'; the columns are 'structure', 'moment'"):
        load_structures(rows_with(moment=[2.0]), target="gap")
    with pytest.raises(ValueError, match="no column 'gap'; there are no columns"):
        load_structures([cscl(4.0)], target="gap")
    with pytest.raises(ValueError, match="no column 'mpid' of ids; the columns are"):
        load_structures(rows_with(moment=[2.0]), id="mpid")


def test_rows_without_a_target():
    """To predict rows, their columns of numbers need not be complete."""
    rows = rows_with(gap=[1.0, None], moment=["x", 2.0])
    bunch = load_structures(rows, target=[])
    assert (bunch.target, bunch.target_names, len(bunch.data)) == (None, [], 2)
    assert bunch.frame.columns.tolist() == ["gap", "moment"]


def test_values_that_are_not_numbers_are_listed():
    cells = ["1", "1e-3", "-.5", "1,5", "", "NaN", "inf", "n/a", None, "1_0", " 7 "]
    bunch = load_structures(rows_with(gap=cells), target="gap", on_invalid="drop")
    assert bunch.target.tolist() == [1, 0.001, -0.5, 7]
    assert bunch.ids.tolist() == ["0", "1", "2", "10"]
    assert bunch.rejected["row"].tolist() == [3, 4, 5, 6, 7, 8, 9]
    reasons = bunch.rejected["reason"].tolist()
    assert reasons[0] == "the target 'gap' is '1,5' (decimals need a point), which is not a number"
    assert reasons[1] == reasons[2] == reasons[5] == "the target 'gap' is missing"
    assert reasons[3] == "the target 'gap' is 'inf', which is not a number"
    assert reasons[4] == "the target 'gap' is 'n/a', which is not a number"


def test_numbers_with_decimal_commas_are_no_labels():
    with pytest.raises(ValueError, match="'gap' holds numbers with a decimal comma"):
        load_structures(rows_with(gap=["1,5", None, "2,5"]), target="gap")


def test_class_labels():
    labels = load_structures(rows_with(kind=["metal", "1", "semimetal", "metal"]), target="kind")
    assert labels.target.tolist() == ["metal", "1", "semimetal", "metal"]
    numbers = load_structures(rows_with(kind=["1", "0"]), target="kind")
    assert numbers.target.dtype.kind == "i"
    with pytest.raises(ValueError, match="several targets must be numbers"):
        load_structures(rows_with(kind=["a", "b"], gap=[1, 2]), target=["kind", "gap"])


@pytest.mark.parametrize("value", [1 + 2j, pd.Timestamp("2020-01-01"), [1.0, 2.0]])
def test_targets_of_other_types_are_refused(value):
    with pytest.raises(InvalidRowsError, match=r"the target 'gap' is .*, which is not a number"):
        load_structures(rows_with(gap=[value, value]), target="gap")


def test_ids_that_occur_twice_are_refused():
    table = rows_with(jid=["a", "b", "a", "c"], gap=[1.0, 2.0, 3.0, 4.0])
    with pytest.raises(InvalidRowsError, match="row 0, id a: the id is also that of row 2"):
        load_structures(table)
    bunch = load_structures(table, on_invalid="drop")
    assert bunch.ids.tolist() == ["b", "c"]
    assert bunch.rejected["row"].tolist() == [0, 2]


def test_missing_ids_and_structures_are_listed():
    table = rows_with(id=["a", None, "NaN"], gap=[1.0, 2.0, 3.0])
    table.loc[0, "structure"] = None
    bunch = load_structures(table, on_invalid="drop")
    assert bunch.ids.tolist() == ["NaN"]
    assert bunch.rejected["reason"].tolist() == ["the structure is missing", "the id is missing"]


def test_numbers_of_the_frame():
    columns = {"n": ["1", "2"], "x": ["1.5", ""], "code": ["01", "2"], "mixed": ["1", "a"]}
    frame = load_structures(rows_with(**columns, gap=[1, 2]), target="gap").frame
    assert frame["n"].tolist() == [1, 2]
    np.testing.assert_array_equal(frame["x"], [1.5, np.nan])
    assert frame["code"].tolist() == ["01", "2"]
    assert frame["mixed"].tolist() == ["1", "a"]


def test_nothing_is_left():
    with pytest.raises(InvalidRowsError, match="1 of 1 rows"):
        load_structures(rows_with(gap=[None]), target="gap", on_invalid="drop")
    with pytest.raises(ValueError, match="on_invalid must be"):
        load_structures([cscl(4.0)], on_invalid="warn")
    with pytest.raises(ValueError, match="The 'n_jobs' parameter of load_structures"):
        load_structures([cscl(4.0)], n_jobs=0)


# -- broken tables


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows"),
        ("id,gap\n9,1\n10,2,3\n", "line 3 has another number of cells than the first line"),
        ("id,gap,gap\n9,1,2\n", r"table\.csv: the column 'gap' occurs twice"),
    ],
)
def test_broken_csv(folder, content, message):
    (folder / "table.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_structures(folder / "table.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("table.json", b"{", "not valid JSON"),
        ("table.json", b"[]", "holds no rows"),
        ("table.json", b'{"cutoff": 8}', "neither a structure nor a table"),
        ("table.json", b'{"columns": ["a"], "data": [[1, 2]]}', "row 0 .* one value for each"),
        ("table.json", b'{"file": ["a", "b"], "gap": [1]}', "columns of .* differ in length"),
        ("table.json", b'[{"file": "a"}, 5]', "row 1 of .* is int, not a record"),
        ("table.parquet", b"x", "cannot be read as Parquet"),
        ("table.xlsx", b"x", "not an Excel file"),
        ("table.xls", b"x", "save the table as .xlsx or CSV"),
        ("table.csv", b"id,gap\n\xff\xfa,1\n", "not encoded as UTF-8"),
        ("broken.cif", b"data_x\n", "no block of the CIF"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_structures(tmp_path / name)


def test_columns_and_folders_that_are_refused(tmp_path):
    frame = pd.DataFrame([[cscl(4.0), 1, 2]], columns=["structure", "gap", "gap"])
    with pytest.raises(ValueError, match="the column 'gap' occurs twice"):
        load_structures(frame)
    (tmp_path / "inner").mkdir()
    with pytest.raises(ValueError, match=r"no files of structures \(but inner\)"):
        load_structures(tmp_path)
    with pytest.raises(ValueError, match=r"no files of structures \(but nothing else\)"):
        load_structures(tmp_path / "inner")


def test_csv_of_other_programs(folder):
    """Byte order mark, Windows line ends, semicolons, blank lines and an index without a name."""
    (folder / "table.csv").write_bytes(
        "\ufeff;file;gap\r\n0;9.cif;0.5\r\n\r\n1;b.cif;1.5\r\n".encode()
    )
    bunch = load_structures(folder / "table.csv")
    assert bunch.target.tolist() == [0.5, 1.5]
    assert bunch.target_names == ["gap"]
    assert bunch.ids.tolist() == ["0", "1"]


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_ends_of_lines_end_a_row(folder, character):
    """Python's `splitlines` takes these characters for ends of lines, spreadsheets do not."""
    content = f"file,note\n9.cif,one{character}two\rb.cif,three\r\n10.cif,four"
    (folder / "table.csv").write_bytes(content.encode())
    bunch = load_structures(folder / "table.csv")
    assert sizes(bunch) == [SIZES["9"], SIZES["b"], SIZES["10"]]
    assert bunch.frame["note"].tolist() == [f"one{character}two", "three", "four"]


# -- processes, warnings


@pytest.mark.slow
def test_two_processes_give_the_same(id_prop):
    for row in range(250):
        (id_prop / f"n{row}.cif").write_text(text(4 + row / 1000))
    (id_prop / "id_prop.csv").unlink()
    one, two = (load_structures(id_prop, n_jobs=n, on_invalid="drop") for n in (1, 2))
    assert len(one.data) == 255
    assert one.ids.tolist() == two.ids.tolist()
    pd.testing.assert_frame_equal(one.rejected, two.rejected)
    for first, second in zip(one.data, two.data):
        assert first == second
        assert first.labels == second.labels
        assert first.as_dict() == second.as_dict()


def test_chunks_and_the_progress_bar(folder, capsys, monkeypatch):
    monkeypatch.setattr("sklmat.readers._read_rows._CHUNK", 2)
    bunch = load_structures(folder, n_jobs=2, verbose=True)
    assert bunch.ids.tolist() == ["2", "9", "10", "b"]
    assert sizes(bunch) == [4.2, 4.05, 4.1, 4.3]
    assert "4/4" in capsys.readouterr().err


def test_what_was_assumed_is_said_once(tmp_path):
    for name in ("p", "q"):
        sites = ("Cs Cs1 0 0 0 0.9999", "Cl Cl1 0.5 0.5 0.5 1")
        (tmp_path / f"{name}.cif").write_text(cif(sites))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_structures(tmp_path)
    assert [warning.category for warning in caught] == [InvalidStructureWarning]
    assert "structure 0 (Cs1Cl1)" in str(caught[0].message)
    assert "structure 1 (Cs1Cl1)" in str(caught[0].message)
    assert Path(caught[0].filename).name == os.path.basename(__file__)


def test_dicts_in_parquet(tmp_path):
    """Arrow gives every dict the keys of all, and fills them with None."""
    plain = cscl(4.0).as_dict()
    charged = cscl(4.1).add_oxidation_state_by_element({"Cs": 1, "Cl": -1}).as_dict()
    for document in (plain, charged):
        del document["properties"]
        for site in document["sites"]:
            del site["properties"]
    table = pd.DataFrame({"structure": [plain, charged], "gap": [1.0, 2.0]})
    table.to_parquet(tmp_path / "table.parquet")
    bunch = load_structures(tmp_path / "table.parquet")
    assert [str(structure[0].specie) for structure in bunch.data] == ["Cs", "Cs+"]
    assert sizes(bunch) == [4.0, 4.1]


def test_series_and_indices_of_several_levels():
    series = pd.Series([cscl(4.0), cscl(4.1)], index=["p", "q"])
    assert load_structures(series).ids.tolist() == ["p", "q"]
    levels = pd.MultiIndex.from_tuples([("bulk", 1), ("bulk", 2)])
    frame = pd.DataFrame({"structure": series.to_numpy()}, index=levels)
    assert load_structures(frame).ids.tolist() == ["bulk-1", "bulk-2"]


def test_names_that_are_no_files():
    with pytest.raises(InvalidRowsError) as caught:
        load_structures(["NaCl", "mp-22862"])
    assert "CompositionFeaturizer takes formulas" in str(caught.value)
    assert "the id of a database entry" in str(caught.value)
    with pytest.raises(ValueError, match="the list holds no rows"):
        load_structures([])


def test_spaces_around_cells(folder):
    (folder / "id_prop.csv").write_text("9 , 1\n 10,2 \n2,3\nb,4\n")
    assert load_structures(folder).ids.tolist() == ["9", "10", "2", "b"]


@pytest.mark.parametrize(
    ("lines", "n_problems"),
    [
        ("zz,metal\n9,metal\n10,metal\n", 1),
        ("zz,nan\n9,1\n10,2\n", 1),
        # Decimals need a point, so the values are wrong as well.
        ("zz;1,5\n9;1\n10;2\n", 1),
    ],
)
def test_first_line_of_id_prop_is_a_row_if_its_file_is_missing(folder, lines, n_problems):
    (folder / "id_prop.csv").write_text(lines)
    bunch = load_structures(folder, target="target", on_invalid="drop")
    assert bunch.ids.tolist() == ["9", "10"]
    assert rejected(bunch)[:n_problems] == [[0, "zz", "zz"]]


@pytest.mark.parametrize("first", ["id", "CIF_ID", "name", "file name", "Material ID", "", "#id"])
def test_header_of_id_prop_starts_with_a_usual_name(folder, first):
    (folder / "id_prop.csv").write_text(f"{first},class\n9,metal\n10,metal\n2,metal\nb,metal\n")
    bunch = load_structures(folder, target="class")
    assert bunch.ids.tolist() == ["9", "10", "2", "b"]
    assert bunch.target.tolist() == ["metal"] * 4


@pytest.mark.parametrize("more", ["", "time=1 "])
def test_energy_stays_the_target_if_most_frames_have_none(tmp_path, more):
    text = ""
    for frame in range(5):
        energy = "energy=-3.5 " if frame == 2 else ""
        text += f'1\nLattice="3 0 0 0 3 0 0 0 3" {more}{energy}Properties=species:S:1:pos:R:3\n'
        text += "Po 0 0 0\n"
    (tmp_path / "frames.extxyz").write_text(text)
    bunch = load_structures(tmp_path / "frames.extxyz", on_invalid="drop")
    assert bunch.target_names == ["energy"]
    assert bunch.target.tolist() == [-3.5]
    assert bunch.ids.tolist() == ["2"]
    assert bunch.rejected["row"].tolist() == [0, 1, 3, 4]
    assert set(bunch.rejected["reason"]) == {"the target 'energy' is missing"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"index": [7, 8]}, "'index' of .* has 2 entries, but 'data' has 3 rows"),
        ({"index": [7, 8, 9, 10]}, "'index' of .* has 4 entries, but 'data' has 3 rows"),
        ({"index": 5}, "'index' of .* is 5, not a list"),
        ({"data": 5}, "'data' of .* is 5, not a list"),
        ({"columns": 5}, "'columns' of .* is 5, not a list"),
        ({"columns": [["file", "a"]]}, r"'columns' of .* holds \['file', 'a'\]; give each column"),
        ({"index": [["x", 1], ["x", 2], ["y", 1]]}, r"'index' of .* holds \['x', 1\]"),
        ({"columns": None, "schema": {}, "data": 5}, "'columns' of .* is None"),
    ],
)
def test_broken_json_of_the_orientation_split(folder, document, message):
    whole = {"columns": ["file"], "data": [["9"], ["10"], ["2"]], **document}
    (folder / "table.json").write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=message):
        load_structures(folder / "table.json")


def test_json_that_is_not_read(folder):
    path = folder / "table.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="its brackets are nested too deeply"):
        load_structures(path)
    line = '{"file": "9", "gap": 1, "gap": 2}'
    for content in (line, f"[{line}]", f'{{"file": "b", "gap": 3}}\n{line}\n'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"table\.json: the key 'gap' occurs twice"):
            load_structures(path)
    path.write_text('{"schema": {}, "data": 5}')
    with pytest.raises(ValueError, match=r"'data' of .* is 5, not a list"):
        load_structures(path)


def test_json_by_id_names_files(folder):
    (folder / "table.json").write_text('{"p": {"file": "9.cif"}, "q": {"file": "b.cif"}}')
    bunch = load_structures(folder / "table.json")
    assert bunch.ids.tolist() == ["p", "q"]
    assert sizes(bunch) == [4.05, 4.3]
    columns = '{"file": {"0": "9.cif", "1": "b.cif"}, "gap": {"0": 1, "1": 2}}'
    (folder / "table.json").write_text(columns)
    assert load_structures(folder / "table.json").target.tolist() == [1, 2]


@pytest.mark.parametrize("gone", [None, np.nan, pd.NA, pd.NaT])
def test_missing_entries_of_an_index(gone):
    frame = rows_with(gap=[1.0, 2.0, 3.0])
    frame.index = pd.Index(["a", gone, gone], dtype=object)
    bunch = load_structures(frame, on_invalid="drop")
    assert bunch.ids.tolist() == ["a"]
    assert bunch.rejected["reason"].tolist() == ["the id is missing"] * 2


def test_missing_entries_of_an_index_in_files(folder):
    frame = pd.DataFrame({"file": ["9", "10", "b"]}, index=pd.Index(["a", None, None]))
    frame.to_parquet(folder / "table.parquet")
    split = {"index": ["a", None, None], "columns": ["file"], "data": [["9"], ["10"], ["b"]]}
    (folder / "table.json").write_text(json.dumps(split))
    for name in ("table.parquet", "table.json"):
        bunch = load_structures(folder / name, on_invalid="drop")
        assert bunch.ids.tolist() == ["a"]
        assert bunch.rejected["reason"].tolist() == ["the id is missing"] * 2


@pytest.mark.parametrize("form", [int, str])
def test_integers_that_no_float_holds(form):
    bunch = load_structures(
        rows_with(gap=[form("9" * 400), form("1"), form("2")]), target="gap", on_invalid="drop"
    )
    assert bunch.target.tolist() == [1, 2]
    assert "which is not a number" in bunch.rejected["reason"][0]
    with pytest.raises(InvalidRowsError, match=r"the target 'kind' is 999.*\.\.\., which is not"):
        load_structures(rows_with(kind=[int("9" * 400), "a", "b"]), target="kind")


def test_paths_that_do_not_exist_are_listed(tmp_path):
    frame = pd.DataFrame({"file": [tmp_path / "p.cif", tmp_path / "q.cif"], "gap": [1.0, 2.0]})
    with pytest.raises(InvalidRowsError, match=r"2 of 2 rows cannot be used(.|\n)*no file .*q.cif"):
        load_structures(frame)


def test_marks_between_quotes_separate_nothing(folder):
    (folder / "table.csv").write_text('file,"gap; eV"\n9,1\n10,2\n')
    assert load_structures(folder / "table.csv").target_names == ["gap; eV"]
    (folder / "id_prop.csv").write_text('9,"metal; cubic"\n10,"metal; cubic"\n2,"x; y"\nb,"x; y"\n')
    bunch = load_structures(folder, target="target")
    assert bunch.target.tolist() == ["metal; cubic"] * 2 + ["x; y"] * 2


def test_decimal_commas_in_all_rows_are_an_error(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.cif").write_text(cif())
    (tmp_path / "id_prop.csv").write_text("a;1,5\nb;1,6\n")
    with pytest.raises(
        ValueError, match="holds numbers with a decimal comma; decimals need a point"
    ):
        load_structures(tmp_path)
