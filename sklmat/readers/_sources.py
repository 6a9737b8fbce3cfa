"""`find_rows` recognizes a source and lists its rows, without reading their crystals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sklmat.files import damage_named, expand_path
from sklmat.readers._columns import (
    find_structure_column,
    is_missing,
    is_name_of_ids,
    name_of_file,
    parse,
)
from sklmat.readers._file_names import Folder, suffix, unique_ids
from sklmat.readers._read_rows import name_crystals
from sklmat.readers._rows import Problem, Rows, rows_of_files
from sklmat.readers._save_structures import read_saved
from sklmat.readers._tables import (
    JSON_SUFFIXES,
    PARQUET,
    is_text_table,
    read_json,
    read_parquet,
    read_records,
    table_of_document,
    table_of_records,
)
from sklmat.structures import FoundCrystal, as_items, crystals_of_text, read_crystals


def find_rows(source: Any) -> Rows:
    """List the rows of a source."""
    if isinstance(source, str) and "\n" in source:
        return _rows_of_crystals("the text", crystals_of_text(source))
    if isinstance(source, str | bytes | os.PathLike):
        return _rows_of_file(expand_path(os.fsdecode(source)))
    table = _as_pandas(source)
    if table is not None:
        return _rows_of_frame("the DataFrame", table, Path("."))
    items = as_items(source)
    if not items:
        raise ValueError("the list holds no rows")
    are_paths = [_is_path(item) for item in items]
    items = [expand_path(item) if path else item for path, item in zip(are_paths, items)]
    if all(are_paths):
        return rows_of_files("the list", items)
    files = [str(item) if path else "" for path, item in zip(are_paths, items)]
    return Rows("the list", items, files, _no_columns(len(items)))


def _no_columns(n_rows):
    return table_of_records("the list", [[]] * n_rows, [])


def _is_path(item):
    return isinstance(item, os.PathLike) or (
        isinstance(item, str) and "\n" not in item and not item.lstrip().startswith(("{", "["))
    )


def _as_pandas(source):
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, pd.Series):
        return source.to_frame("structure")
    if type(source).__module__.partition(".")[0] == "polars" and hasattr(source, "to_dict"):
        columns = {name: source[name].to_list() for name in source.columns}
        return pd.DataFrame(
            {name: pd.Series(cells, dtype=object) for name, cells in columns.items()}
        )
    return None


def _rows_of_file(path):
    """Rows of a file or folder, with its path in each error."""
    try:
        return _rows_of_path(path)
    except ValueError as error:
        if path.name in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def _rows_of_path(path):
    if path.is_dir():
        return _rows_of_folder(path)
    if not path.exists():
        is_pattern = any(mark in str(path) for mark in "*?[")
        hint = "; a pattern is not expanded, pass the list of its files" if is_pattern else ""
        raise FileNotFoundError(f"no file or folder {path}{hint}")
    if is_text_table(path):
        return _rows_of_text_table(path, Folder(path.parent))
    if suffix(path) in PARQUET:
        return _rows_of_parquet(path)
    if suffix(path) in JSON_SUFFIXES:
        table, ids = table_of_document(read_json(path), str(path))
        rows = _rows_of_frame(str(path), table, path.parent)
        if ids:
            rows.ids = [None if is_missing(value) else str(value) for value in ids]
        elif len(table) == 1:
            rows.ids = unique_ids([path])
        return rows
    return _rows_of_crystals(str(path), read_crystals(path), path)


def _rows_of_crystals(name, crystals, path=None):
    """Rows of the crystals of one file, or of the text of one."""
    found = name_crystals(crystals, path or Path("text.cif"))
    is_one_file = path is not None and len(found) == 1
    return Rows(
        name,
        found,
        ["" if path is None else str(path)] * len(found),
        _no_columns(len(found)),
        ids=unique_ids([path]) if is_one_file else [crystal.name or "0" for crystal in found],
    )


# -- folders


def _rows_of_folder(path):
    folder = Folder(path)
    if (path / "id_prop.csv").is_file():
        return _rows_of_text_table(path / "id_prop.csv", folder)
    tables = [file for file in sorted(path.iterdir()) if _is_visible_table(file)]
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise ValueError(
            f"the folder {path} holds several tables ({names}); pass the path of the table that "
            "names the files, or a list of the files alone"
        )
    if tables:
        return _rows_of_text_table(tables[0], folder, in_folder=True)
    files = [entry for entry in folder.entries if not entry.is_dir()]
    if not files:
        inside = ", ".join(entry.name for entry in folder.entries) or "nothing else"
        raise ValueError(
            f"the folder {path} holds no files of structures (but {inside}); pass the folder or "
            "table that does"
        )
    rows = rows_of_files(str(path), files)
    rows.files = [file.name for file in files]
    rows.ids = unique_ids([Path(file.name) for file in files])
    reason = "a folder inside the folder is not read; pass it on its own, or move its files"
    rows.problems = [
        Problem(None, "", entry.name, reason) for entry in folder.entries if entry.is_dir()
    ]
    return rows


def _is_visible_table(file):
    return file.is_file() and is_text_table(file) and not file.name.startswith((".", "~"))


# -- tables


def _rows_of_text_table(path, folder, *, in_folder=False):
    records = read_records(path)
    is_id_prop = path.name == "id_prop.csv"
    if _is_row(records, folder) or (is_id_prop and not is_name_of_ids(records[0][0])):
        n_columns = len(records[0])
        names = [f"column_{k}" for k in range(n_columns)]
        if is_id_prop:
            names = ["id", *(["target"] if n_columns == 2 else names[1:])]
    else:
        # pandas writes an index without a name.
        names = [
            "index" if name in (None, "") and k == 0 else name for k, name in enumerate(records[0])
        ]
        records = records[1:]
    table = table_of_records(path, records, names)
    rows = _rows_of_table(str(path), table, folder, names[0] if is_id_prop else None)
    if is_id_prop or in_folder:
        _add_files_without_row(rows, folder, path.name)
    return rows


def _is_row(records, folder):
    """Whether the first line is a row and not a header: it names a file, or holds a number."""
    first = records[0]
    if any(folder.find(str(cell)) for cell in first if cell is not None):
        return True
    return len(records) > 1 and any(
        parse(cell)[0] == "number" and parse(below)[0] == "number"
        for cell, below in zip(first, records[1])
    )


def _rows_of_frame(name, frame, folder):
    """Rows of a DataFrame; an index that is not just numbered holds the ids."""
    import pandas as pd

    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"the column {repeated!r} occurs twice; give each column its own name")
    index = frame.index
    is_numbered = isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(frame)))
    table = frame.reset_index(drop=True)
    if not is_numbered and index.name is not None and index.name not in table:
        table.insert(0, index.name, index)
    rows = _rows_of_table(name, table, Folder(folder), None)
    if not is_numbered:
        levels = index if index.nlevels > 1 else [(value,) for value in index]
        rows.ids = [
            None if any(map(is_missing, values)) else "-".join(map(str, values))
            for values in levels
        ]
    return rows


def _rows_of_table(name, table, folder, column):
    """Rows of a table, one column of which holds structures or names files."""
    if len(table) == 0:
        raise ValueError(f"{name} holds no rows")
    id_column = column
    if column is None:
        column = find_structure_column(name, table, folder)
    cells = table[column].tolist()
    items, files, are_files = [], [], False
    for cell in cells:
        text = name_of_file(cell)
        if is_missing(cell):
            items.append(ValueError("the structure is missing"))
            files.append("")
        elif text is None:
            items.append(cell)
            files.append("")
        else:
            are_files = True
            items.append(_file(folder, text))
            files.append(_relative(items[-1], folder) if isinstance(items[-1], Path) else text)
    paths = [item if isinstance(item, Path) else Path(file) for item, file in zip(items, files)]
    return Rows(
        name,
        items,
        files,
        table,
        column=column,
        are_files=are_files,
        ids=unique_ids(paths) if are_files else None,
        id_column=id_column,
    )


def _relative(path, folder):
    return str(path.relative_to(folder.path) if path.is_relative_to(folder.path) else path)


def _file(folder, name):
    """The file of this name, or a ValueError that says why there is none."""
    found = folder.find(name)
    if len(found) == 1:
        return found[0]
    if found:
        return ValueError(
            f"several files have the name {name}: {', '.join(path.name for path in found)}; write "
            "the name with its suffix"
        )
    return ValueError(f"there is no file {name} or {name}.cif in the folder {folder.path}")


def _rows_of_parquet(path):
    with damage_named(path, "it cannot be read as Parquet; copy or write it again"):
        saved = read_saved(path)
        table = read_parquet(path) if saved is None else None
    if saved is None:
        return _rows_of_frame(str(path), table, path.parent)
    structures, ids, table, targets, several = saved
    found = [FoundCrystal("", structure, {}, None) for structure in structures]
    rows = Rows(str(path), found, [""] * len(found), table, ids=ids, checked=True)
    if targets:
        rows.target = targets if several else targets[0]
    return rows


def _add_files_without_row(rows, folder, table):
    """List the files of a folder that its table does not name."""
    named = {item.resolve() for item in rows.items if isinstance(item, Path)}
    reason = f"no row of {table} names this file; add its row or remove the file"
    rows.problems += [
        Problem(None, "", path.name, reason)
        for path in folder.entries
        if not path.is_dir() and path.resolve() not in named
    ]
