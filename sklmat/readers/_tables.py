"""Read tables of files as they are written: no text becomes a number here, and none is dropped."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklmat.files import damage_named
from sklmat.readers._file_names import suffix

if TYPE_CHECKING:
    import pandas as pd

_TEXT_TABLES = (".csv", ".tsv")
_EXCEL = (".xlsx", ".xlsm")
PARQUET = (".parquet", ".pq")
#: Names of columns that are taken first where several hold structures.
STRUCTURE_NAMES = ("structure", "structures", "cif", "atoms", "file", "filename", "path")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson", ".jl")


def is_text_table(path: Path) -> bool:
    return suffix(path) in (*_TEXT_TABLES, *_EXCEL, ".xls")


def read_records(path: Path) -> list[list[Any]]:
    """Rows of cells of a CSV, TSV or Excel file; the header, if there is one, is the first."""
    if suffix(path) in _TEXT_TABLES:
        rows = _csv_records(read_text(path), path)
    elif suffix(path) == ".xls":
        raise ValueError(f"{path}: .xls is not read; save the table as .xlsx or CSV")
    else:
        rows = _excel_records(path)
    if not rows:
        raise ValueError(f"{path} holds no rows")
    return rows


def read_text(path: Path) -> str:
    """Text of a file, decompressed, without byte order mark."""
    from monty.io import zopen

    with zopen(path, "rb") as file:
        content: Any = file.read()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not encoded as UTF-8; save it again as UTF-8") from error


def _csv_records(text, path):
    first = text.lstrip().partition("\n")[0]
    # Between quotes, a mark separates nothing.
    unquoted = re.sub(r'"[^"]*"', "", first)
    possible = [mark for mark in ("\t", ";", ",") if mark in unquoted] or [","]
    if suffix(path) == ".tsv":
        possible = ["\t"]
    # The largest size on every platform; it is a C long, which has 32 bits on Windows.
    limit = csv.field_size_limit(2**31 - 1)
    try:
        for delimiter in possible:
            # Unlike `splitlines`, this ends a row only at \n, \r and \r\n.
            lines_of_text = io.StringIO(text, newline="")
            reader = csv.reader(lines_of_text, delimiter=delimiter, skipinitialspace=True)
            rows, lines = [], []
            for row in reader:
                if any(cell.strip() for cell in row):
                    # Spaces around a cell cannot be seen, and are no part of an id.
                    rows.append([cell if "\n" in cell else cell.strip() for cell in row])
                    lines.append(reader.line_num)
            odd = [line for line, row in zip(lines, rows) if len(row) != len(rows[0])]
            if not odd:
                return rows
    finally:
        csv.field_size_limit(limit)
    raise ValueError(
        f"{path}: line {odd[0]} has another number of cells than the first line"
        + (f", and so have {len(odd) - 1} more lines" if len(odd) > 1 else "")
    )


def _excel_records(path):
    from openpyxl import load_workbook

    book = None
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets = {sheet.title: list(sheet.values) for sheet in book.worksheets}
    except (FileNotFoundError, PermissionError):
        raise
    # openpyxl, zipfile and the parser of XML report a damaged file by errors of many kinds.
    except Exception as error:
        raise ValueError(f"{path} is not an Excel file, or is damaged ({error})") from error
    finally:
        if book is not None:
            book.close()
    sheets = {
        name: [list(row) for row in rows if any(cell is not None for cell in row)]
        for name, rows in sheets.items()
    }
    sheets = {name: rows for name, rows in sheets.items() if rows}
    if len(sheets) > 1:
        raise ValueError(
            f"{path} has several sheets ({', '.join(sheets)}); read one of them and pass it: "
            "load_structures(pandas.read_excel(path, sheet_name=..., dtype=object))"
        )
    return next(iter(sheets.values()), [])


def table_of_records(name: object, records: list[list[Any]], columns: list[Any]) -> pd.DataFrame:
    """Make a table in which every cell keeps its type; `name` is that of the source."""
    import pandas as pd

    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{name}: the column {repeated[0]!r} occurs twice; give each column its own name"
        )
    return pd.DataFrame(
        {
            column: pd.Series([row[k] for row in records], dtype=object)
            for k, column in enumerate(columns)
        },
        index=range(len(records)),
    )


def read_table(path: Path) -> pd.DataFrame:
    """Table of a CSV, TSV, Excel or Parquet file whose first line is a header."""
    if suffix(path) in PARQUET:
        with damage_named(path, "it cannot be read as Parquet; copy or write it again"):
            return read_parquet(path)
    if not is_text_table(path):
        raise ValueError(f"{path} is no table; give one of .csv, .tsv, .xlsx, .parquet")
    header, *records = read_records(path)
    return table_of_records(path, records, header)


def read_parquet(path: Path) -> pd.DataFrame:
    """Table of a Parquet file; dicts and lists in its cells stay dicts and lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    frame = table.to_pandas()
    for column in table.schema:
        if pa.types.is_nested(column.type) and column.name in frame:
            frame[column.name] = table[column.name].to_pylist()
    return frame


# -- JSON


def read_json(path: Path) -> Any:
    """Plain data of a JSON or JSON-lines file; lines give a list."""
    text = read_text(path)
    try:
        return _parse_json(text, path)
    except RecursionError as error:
        raise ValueError(f"{path} is not read: its brackets are nested too deeply") from error
    except KeyError as error:
        raise ValueError(
            f"{path}: the key {error.args[0]!r} occurs twice in one object; keep one of them"
        ) from error


def _parse_json(text, path):
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            if len(lines) < 2:
                raise
            return [json.loads(line, object_pairs_hook=_unique_keys) for line in lines]
        except ValueError:
            raise ValueError(f"{path} is not valid JSON: {error}") from error


def _unique_keys(pairs):
    """Dict of the pairs of one JSON object; a KeyError names a key that occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise KeyError(next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1))
    return found


def is_structure(value: object) -> bool:
    """Whether plain data are the dict of a structure, or a document that holds one."""
    return isinstance(value, Mapping) and (
        {"lattice", "sites"} <= value.keys() or is_structure(value.get("structure"))
    )


def table_of_document(document: Any, name: str) -> tuple[pd.DataFrame, list[Any] | None]:
    """Make a table of plain data in one of the layouts that pandas and databases write.

    Parameters
    ----------
    document : list or dict
        A list of records; pandas' orientations "split", "records", "index", "columns", "list" and
        "table"; structures or documents, alone, in a list or by id.
    name : str
        Name of the source, for errors.

    Returns
    -------
    table : DataFrame
        A structure that is not in a column of its own is in "structure".
    ids : list or None
        The keys of records by id, or the index.
    """
    if isinstance(document, Mapping):
        if is_structure(document):
            return _table_of_mappings([document], name), None
        if {"columns", "data"} <= document.keys():
            return _table_of_split(document, name)
        if {"schema", "data"} <= document.keys():
            return _table_of_mappings(document["data"], name), None
        return _table_of_mapping(document, name)
    if isinstance(document, list) and document:
        return _table_of_mappings(document, name), None
    raise ValueError(f"{name} holds no rows")


def _table_of_split(document, name):
    index, columns, records = document.get("index"), document["columns"], document["data"]
    for key, values in [("columns", columns), ("data", records), ("index", index)]:
        if not (isinstance(values, list) or (key == "index" and values is None)):
            raise ValueError(f"{key!r} of {name} is {repr(values)[:60]}, not a list")
    for key, values in [("columns", columns), ("index", index or [])]:
        nested = next((value for value in values if isinstance(value, list | dict)), None)
        if nested is not None:
            raise ValueError(
                f"{key!r} of {name} holds {repr(nested)[:60]}; give each column and row one name, "
                "not several levels"
            )
    for row, record in enumerate(records):
        if not isinstance(record, list) or len(record) != len(columns):
            raise ValueError(f"row {row} of {name} has not one value for each column")
    if index is not None and len(index) != len(records):
        raise ValueError(
            f"'index' of {name} has {len(index)} entries, but 'data' has {len(records)} rows"
        )
    table = table_of_records(name, records, columns)
    return table, None if index == list(range(len(table))) else index


def _table_of_mapping(document, name):
    values = list(document.values())
    if values and all(isinstance(value, list) for value in values):
        lengths = {len(value) for value in values}
        if len(lengths) > 1:
            raise ValueError(f"the columns of {name} differ in length")
        return table_of_records(name, [list(row) for row in zip(*values)], list(document)), None
    if not values or not all(isinstance(value, Mapping) for value in values):
        raise ValueError(f"{name} is neither a structure nor a table of structures")
    by_id = all(_is_record(value) for value in values) or (
        all(map(_names_structures, values)) and not _names_structures(document)
    )
    if not by_id:
        keys = list(dict.fromkeys(key for value in values for key in value))
        records = [[value.get(key) for value in values] for key in keys]
        ids = keys if keys != [str(row) for row in range(len(keys))] else None
        return table_of_records(name, records, list(document)), ids
    return _table_of_mappings(values, name), list(document)


def _names_structures(keys):
    """Whether one of the keys is a usual name of a column of structures or files."""
    return any(key.lower() in STRUCTURE_NAMES for key in keys)


def _is_record(value):
    """Whether a mapping is one row: a structure, or with a structure or the text of one in it."""
    return is_structure(value) or any(
        is_structure(cell) or (isinstance(cell, str) and "\n" in cell) for cell in value.values()
    )


def _table_of_mappings(records, name):
    if not isinstance(records, list):
        raise ValueError(f"'data' of {name} is {repr(records)[:60]}, not a list")
    for row, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise ValueError(f"row {row} of {name} is {type(record).__name__}, not a record")
    rows = [_record(record) for record in records]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return table_of_records(name, [[row.get(key) for key in columns] for row in rows], columns)


def _record(record):
    """Cells of one record, without the names of Python classes."""
    if {"lattice", "sites"} <= record.keys():
        # What else as_dict() writes, such as the charge, is part of the structure.
        own = ("lattice", "sites", "charge", "properties")
        others = {key: value for key, value in record.items() if key not in own}
        record = {"structure": record, **others}
    return {key: value for key, value in record.items() if not key.startswith("@")}
