"""Columns of a table: which holds structures, ids and the target, and their values."""

from __future__ import annotations

import math
import numbers
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.readers._file_names import Folder
from sklmat.readers._tables import STRUCTURE_NAMES, is_structure

if TYPE_CHECKING:
    import pandas as pd

#: Names, in lower case, of columns that hold ids; the first one that a table has is taken.
_ID_NAMES = (
    *("id", "ids", "material_id", "mp_id", "mpid", "jid", "entry_id", "structure_id", "cif_id"),
    *("mbid", "task_id", "index"),
)
#: Other first cells, in lower case without underscores, of a header of ``id_prop.csv``.
_FIRST_NAMES = (
    *("name", "names", "material", "materials", "crystal", "crystals", "formula", "sample", "key"),
    *("files", "filenames", "filepath", "paths", "cifs", "ciffile", "cifname", "identifier"),
)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")


# -- values


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, NaN, NA or only spaces."""
    import pandas as pd

    if isinstance(value, str):
        return not value.strip()
    return value is None or value is pd.NA or value is pd.NaT or _is_nan(value)


def _is_nan(value):
    return isinstance(value, float | np.floating | Decimal) and math.isnan(value)


def parse(value: object) -> tuple[str, Any]:
    """Kind of a cell ("missing", "number", "truth", "other") and its plain Python value."""
    if isinstance(value, np.generic):
        value = value.item()
    if is_missing(value) or (isinstance(value, str) and value.strip().lower() == "nan"):
        return "missing", None
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, numbers.Real | Decimal):
        try:
            number = float(value)
        except OverflowError:  # an integer of more than 308 digits
            return "other", value
        if not math.isfinite(number):
            return "other", value
        return "number", int(value) if isinstance(value, numbers.Integral) else number
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return "number", int(text) if _INTEGER.fullmatch(text) else float(text)
    return "other", value


# -- the column of structures


def name_of_file(cell: object) -> str | None:
    """The name of a file that a cell holds, or None if it holds something else."""
    if isinstance(cell, os.PathLike):
        return os.fsdecode(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    is_text = isinstance(cell, str) and ("\n" in cell or cell.lstrip().startswith(("{", "[")))
    return cell if isinstance(cell, str) and not is_text else None


def find_structure_column(name: str, table: pd.DataFrame, folder: Folder) -> Any:
    """The column that holds structures, or else the one that names most files."""
    holding = [column for column in table.columns if holds_structures(table[column])]
    if len(holding) > 1:
        holding.sort(key=_preference)
        if _preference(holding[0]) == _preference(holding[1]):
            raise ValueError(
                f"several columns of {name} hold structures: {', '.join(map(str, holding))}; keep "
                "one of them, or name one of them 'structure'"
            )
    if holding:
        return holding[0]
    n_files = {
        column: len({text for text in names if folder.find(text)})
        for column in table.columns
        if (names := _names_of_files(table[column]))
    }
    if not any(n_files.values()):
        paths = [column for column in n_files if _are_paths(table[column])]
        if len(paths) == 1:
            return paths[0]
        raise ValueError(
            f"no column of {name} holds structures or names files of the folder {folder.path}; its "
            f"columns are {', '.join(map(str, table.columns))}"
        )
    return max(n_files, key=lambda column: (n_files[column], -_preference(column)))


def find_structures(table: pd.DataFrame) -> pd.Series:
    """Return the column of a DataFrame that holds structures, or else names files of them.

    Parameters
    ----------
    table : DataFrame
        Names of files are relative to the current folder.

    Raises
    ------
    ValueError
        When there is no such column, or several hold structures.
    """
    return table[find_structure_column("X", table, Folder(Path()))]


def _preference(column):
    name = str(column).lower()
    return STRUCTURE_NAMES.index(name) if name in STRUCTURE_NAMES else len(STRUCTURE_NAMES)


def holds_structures(column: pd.Series) -> bool:
    """Whether most of the first cells are structures, or texts of files of structures."""
    if column.dtype.kind in "biufcmM":
        return False
    cells = [cell for cell in column.tolist()[:1000] if not is_missing(cell)][:20]
    return sum(map(_is_crystal, cells)) > len(cells) / 2


def _is_crystal(cell):
    if isinstance(cell, str):
        start = cell.lstrip()
        is_json = start.startswith("{") and '"lattice"' in cell and '"sites"' in cell
        return is_json or ("\n" in cell.strip() and not start.startswith(("{", "[")))
    if isinstance(cell, Mapping):
        return is_structure(cell)
    return hasattr(cell, "lattice") or hasattr(cell, "structure") or hasattr(cell, "get_cell")


def _are_paths(column):
    """Whether all cells are paths, which name files even if these do not exist."""
    cells = [cell for cell in column.tolist() if not is_missing(cell)]
    return all(isinstance(cell, os.PathLike) for cell in cells)


def _names_of_files(column):
    if column.dtype.kind in "bfcmM":
        return []
    return {text for cell in column.tolist() if (text := name_of_file(cell)) is not None}


# -- ids


class NoIdColumnError(ValueError):
    """Error for a table without the column of ids that was named."""


def find_id_column(table: pd.DataFrame, id: Any, source: object) -> Any:
    """The column of ids that was named, or the first with a usual name; None if there is none."""
    if id is not None:
        if id not in table.columns:
            raise NoIdColumnError(
                f"{source}: there is no column {id!r} of ids; {_columns_are(table)}"
            )
        return id
    by_name: dict[str, Any] = {}
    for column in table.columns:
        by_name.setdefault(str(column).lower(), column)
    return next((by_name[name] for name in _ID_NAMES if name in by_name), None)


def is_name_of_ids(cell: Any) -> bool:
    """Whether the first cell of ``id_prop.csv`` is a usual name of its first column."""
    name = re.sub(r"[\W_]", "", "" if cell is None else str(cell).lower())
    # pandas writes an index without a name.
    return not name or name in {
        usual.replace("_", "") for usual in (*_ID_NAMES, *STRUCTURE_NAMES, *_FIRST_NAMES)
    }


def _columns_are(table):
    names = ", ".join(map(repr, table.columns))
    return f"the columns are {names}" if names else "there are no columns"


# -- targets


def is_numeric(column: pd.Series) -> bool:
    """Whether at least half of the values of a column that are there are numbers."""
    kinds = [parse(value)[0] for value in column.tolist()]
    n_values = len(kinds) - kinds.count("missing")
    n_numbers = max(kinds.count("number"), kinds.count("truth"))
    return n_values > 0 and n_numbers >= n_values / 2


def find_target(table: pd.DataFrame, others: set[Any], name: str) -> Any:
    """The only numeric column, or the energy; None if no column is numeric."""
    numeric = [
        column
        for column in table.columns
        if column not in others
        and str(column) not in ("index", "block")
        and is_numeric(table[column])
    ]
    energies = [column for column in numeric if is_energy(column)]
    if len(numeric) > 1 and len(energies) != 1:
        raise ValueError(
            f"{name}: several columns can be the target: {', '.join(map(repr, numeric))}; name one "
            "of them with target=, or several in a list"
        )
    if not numeric:
        for column in table.columns:
            _refuse_decimal_commas(table[column])
        return None
    return energies[0] if len(energies) == 1 else numeric[0]


def is_energy(column: Any) -> bool:
    """Whether a column is called "energy", and so is the target among several numeric ones."""
    return str(column).lower() == "energy"


def check_target(table: pd.DataFrame, target: Any, source: object) -> list[Any]:
    """The names of the columns of the target; raises if there is no such column."""
    names = list(target) if isinstance(target, list | tuple) else [target]
    unknown = [name for name in names if name not in table.columns]
    if unknown:
        raise ValueError(f"{source}: there is no column {unknown[0]!r}; {_columns_are(table)}")
    return names


def read_target(column: pd.Series) -> tuple[list[Any], list[str | None]]:
    """Values of a column of targets, and what is wrong with them.

    Returns
    -------
    values : list
        Numbers, truth values, or labels as they are; None where a value is missing or wrong.
    reasons : list of str or None
        What is wrong; None for missing values, too.

    Raises
    ------
    ValueError
        When all values have a decimal comma.
    """
    cells = column.tolist()
    parsed = [parse(cell) for cell in cells]
    kinds = [kind for kind, _ in parsed]
    if is_numeric(column):
        wanted = "truth" if kinds.count("truth") > kinds.count("number") else "number"
        right = [kind == wanted for kind in kinds]
        values = [value if good else None for good, (_, value) in zip(right, parsed)]
        expected = "a number" if wanted == "number" else "true or false"
    else:
        _refuse_decimal_commas(column)
        # A label such as "1" beside others is a text like them.
        right = [
            isinstance(cell, str | bool) or (isinstance(cell, int) and kind == "number")
            for cell, kind in zip(cells, kinds)
        ]
        values = [cell if good else None for good, cell in zip(right, cells)]
        expected = "a number or a label"
    reasons = [
        None
        if good or kind == "missing"
        else f"the target {column.name!r} is {_shown(cell)}, which is not {expected}"
        for good, kind, cell in zip(right, kinds, cells)
    ]
    values = [None if kind == "missing" else value for kind, value in zip(kinds, values)]
    return values, reasons


def _refuse_decimal_commas(column):
    """Raise a ValueError if all values of a column that are there have a decimal comma."""
    values = [cell for cell in column.tolist() if not is_missing(cell)]
    if values and all(map(_is_decimal_comma, values)):
        raise ValueError(
            f"the column {column.name!r} holds numbers with a decimal comma; decimals need a point"
        )


def _is_decimal_comma(cell):
    return bool(isinstance(cell, str) and re.fullmatch(r"\s*[+-]?[0-9]+,[0-9]+\s*", cell))


def _shown(cell):
    if _is_decimal_comma(cell):
        return f"{cell!r} (decimals need a point)"
    text = repr(cell)
    return text if len(text) <= 60 else f"{text[:57]}..."


def target_array(values: list[list[Any]], multi: bool) -> np.ndarray:
    """Targets of shape (C,), or (C, n_targets) of numbers with NaN where a value is missing."""
    if not multi:
        column = values[0]
        if any(isinstance(value, float) for value in column):
            return np.array(column, dtype=float)
        array = np.array(column)
        return array.astype(float) if array.dtype.kind == "O" else array
    if any(isinstance(value, str) for column in values for value in column):
        raise ValueError("several targets must be numbers; name a column of labels alone")
    columns = [[math.nan if value is None else value for value in column] for column in values]
    return np.array(columns, dtype=float).T


# -- the frame


def convert_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Texts become numbers in columns where every text is one, without a leading zero."""
    return table.apply(_numbers_or_same) if len(table.columns) else table


def _numbers_or_same(column):
    import pandas as pd

    if column.dtype.kind != "O" and str(column.dtype) not in ("str", "string"):
        return column
    parsed = [parse(value) for value in column.tolist()]
    kinds = {kind for kind, _ in parsed}
    if (
        not kinds & {"number", "truth"}
        or kinds - {"number", "truth", "missing"}
        or ({"number", "truth"} <= kinds)
    ):
        return column
    if any(isinstance(cell, str) and re.match(r"\s*[+-]?0[0-9]", cell) for cell in column.tolist()):
        return column
    if "missing" in kinds and "truth" in kinds:
        return column
    if "missing" in kinds:
        parsed_values = [math.nan if value is None else float(value) for _, value in parsed]
        return pd.Series(parsed_values, index=column.index, name=column.name)
    return pd.Series([value for _, value in parsed], index=column.index, name=column.name)
