"""`load_structures` reads crystals and their targets from files, folders and tables."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.exceptions import InvalidRowsError
from sklmat.parallel import check_n_jobs
from sklmat.readers._columns import (
    check_target,
    convert_numbers,
    find_id_column,
    find_target,
    is_energy,
    is_missing,
    read_target,
    target_array,
)
from sklmat.readers._file_names import suffix
from sklmat.readers._packed_crystals import paused_collection
from sklmat.readers._read_rows import read_rows
from sklmat.readers._rows import Problem
from sklmat.readers._sources import find_rows
from sklmat.structures import warn_of_notes

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils import Bunch

    from sklmat.typing import PathLike, Structures

#: Problems that an error shows; `rejected` has all of them.
_MAX_LINES = 20


@checked_arguments()
def load_structures(
    source: PathLike | Structures | pd.DataFrame,
    *,
    target: str | list[str] | None = None,
    id: str | None = None,
    index: int | str | slice | Sequence[int] | None = None,
    on_invalid: Literal["raise", "drop"] = "raise",
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Bunch:
    """Read crystals and their targets from a file, a folder or a table.

    Crystals, targets, ids and other columns of a row stay together, and no row is left out without
    being listed.

    Parameters
    ----------
    source : str, Path, DataFrame or sequence of C crystals
        - A folder with ``id_prop.csv`` (the layout of CGCNN): each line holds an id and a value,
          and the crystal is in the file of that name, for instance ``<id>.cif``.
        - A folder of structure files, with one table (CSV, TSV or Excel) that names them, or
          without. Without a table the files are read in the natural order of their names (2, 9,
          10, b). Hidden files and names that no structure file has (README, ``.txt``, ...) are
          left out; any other file that cannot be read is a problem.
        - A table with a column that holds structures (text of a CIF, dict or JSON of
          ``Structure.as_dict()``, objects) or names files, relative to the folder of the table,
          with or without suffix: CSV, TSV, Excel, JSON, JSON lines, Parquet, or a DataFrame of
          pandas or polars, whose paths are relative to the working directory. JSON may be in any
          orientation of pandas, as that of matbench and matminer (``.json.gz``), or hold documents
          of a database.
        - A file of one or many crystals: extxyz, ASE trajectory or database, a CIF with several
          blocks, or any other that `check_structures` reads. Numbers and texts that the file gives
          for each crystal, such as the energy, are the columns.
        - A list of paths, or of crystals as in `check_structures`. Patterns such as ``*.cif`` are
          not expanded.
    target : str, list of str or None, default=None
        Column of the target, or several columns of numbers. None takes the only numeric column, or
        the one called "energy"; without a numeric column there is no target. Numbers that less than
        half of the files give are not taken; an energy that is missing in some frames or files of
        one format is. A file of `save_structures` has the target it was saved with, or none. An
        empty list means no target, for rows to predict.
    id : str or None, default=None
        Column of the ids. None takes the first with a usual name ("id", "material_id", "jid",
        ...), else the index of the DataFrame if it is not just numbered, else the stem of the file
        name (or the path, where two stems are equal), else the number of the row or frame.
    index : int, slice, str or sequence of int, default=None
        Rows to read, counted from zero: ``slice(100)``, ``":100"`` as in ASE, ``[0, 5]`` or ``-1``.
        In folders and lists they count files, in a file of many crystals these.
    on_invalid : {"raise", "drop"}, default="raise"
        "raise" raises one error that lists all problems: unreadable and invalid crystals, ids
        without file, files without id, ids that occur twice, and missing targets or values that are
        not numbers. "drop" leaves these rows out and lists them in `rejected`.
    n_jobs : int or None, default=None
        Number of processes that read files and texts; None means one, or what joblib's
        ``parallel_config`` says.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        data : ndarray of shape (C,), dtype object
            The pymatgen ``Structure`` of each row.
        target : ndarray of shape (C,) or (C, n_targets), or None
            One column for each name when `target` is a list; None if there is no numeric column. Of
            several targets, some may be missing (NaN), but not all of a row.
        ids : ndarray of shape (C,), dtype object
            Ids as they are written ("007").
        frame : DataFrame
            All other columns; its index are the ids.
        rejected : DataFrame
            A line for each problem: row in the source (missing for a file without row), id, file
            and reason.
        target_names : list of str
            The columns of the target.

    Raises
    ------
    InvalidRowsError
        A ``ValueError`` that lists the rows that cannot be used, when `on_invalid` is "raise" or no
        row remains.
    ValueError
        When the source is not understood, or several columns can be the target.
    OSError
        When the source cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import load_structures
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], sites)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, volume in [("007", 179.4), ("12", 74.6)]:
    ...         _ = salt.scale_lattice(volume).to(str(Path(folder) / f"{name}.cif"))
    ...     _ = (Path(folder) / "id_prop.csv").write_text("12,3.1\\n007,8.5\\n")
    ...     salts = load_structures(folder)
    >>> salts.ids.tolist(), salts.target.tolist(), [round(s.volume, 1) for s in salts.data]
    (['12', '007'], [3.1, 8.5], [74.6, 179.4])
    """
    if on_invalid not in ("raise", "drop"):
        raise ValueError(f"on_invalid must be 'raise' or 'drop', got {on_invalid!r}")
    check_n_jobs(n_jobs, "load_structures")
    with contextlib.ExitStack() as stack:
        stack.enter_context(paused_collection())
        rows = find_rows(source)
        if not rows.checked:
            # Reading files makes so many objects for a short time that they must be collected.
            stack.close()
        numbers = selected_rows(index, len(rows.items))
        items = [rows.items[row] for row in numbers]
        crystals = read_rows(
            numbers,
            items,
            expands=rows.expands,
            checked=rows.checked,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        return _make_bunch(rows, crystals, target, id, on_invalid)


def _make_bunch(rows, crystals, target, id, on_invalid):
    """Find ids and targets of the crystals, and leave out those with a problem."""
    import pandas as pd
    from sklearn.utils import Bunch

    at = [crystal.row for crystal in crystals]
    table = rows.table.iloc[at].reset_index(drop=True)
    properties = pd.DataFrame([crystal.properties for crystal in crystals], dtype=object)
    table = pd.concat([table, properties.loc[:, ~properties.columns.isin(table.columns)]], axis=1)
    id_column = rows.id_column
    if id is not None or (id_column is None and not rows.checked):
        id_column = find_id_column(table, id, rows.name)
    ids, missing = _ids(table, id_column, rows.ids, crystals)
    not_target = {id_column, rows.column}
    if target is None:
        # What only a few of many files say is not the target of all. Frames without energy count
        # if other files of their kind give one: there it is missing.
        given = properties.notna()
        kinds = [suffix(Path(rows.files[row])) for row in at]
        for name in filter(is_energy, given.columns):
            given[name] = given[name].groupby(kinds).transform("any")
        rare = set(given.columns[given.mean() < 0.5]) - set(rows.table.columns)
        target = rows.target if rows.checked else find_target(table, not_target | rare, rows.name)
    names = [] if target is None else check_target(table, target, rows.name)
    targets = [read_target(table[name]) for name in names]
    reasons = _reasons(crystals, ids, missing, names, targets)
    problems = [
        Problem(row, ids[k], rows.files[row], "; ".join(reasons[k]), crystals[k].formula)
        for k, row in enumerate(at)
        if reasons[k]
    ]
    problems += rows.problems
    kept = [k for k in range(len(crystals)) if not reasons[k]]
    if problems and (on_invalid == "raise" or not kept):
        raise _error(rows.name, problems, len(crystals), some_remain=bool(kept))
    notes = [(at[k], crystals[k].formula, note) for k in kept for note in crystals[k].notes]
    warn_of_notes(notes)
    ids = [ids[k] for k in kept]
    hidden = {id_column, *names} if rows.are_files else {*not_target, *names}
    others = [name for name in table.columns if name not in hidden]
    frame = convert_numbers(table.iloc[kept][others])
    values = [[column[k] for k in kept] for column, _ in targets]
    return Bunch(
        data=np.fromiter((crystals[k].structure for k in kept), dtype=object, count=len(kept)),
        target=target_array(values, isinstance(target, list | tuple)) if names else None,
        ids=np.array(ids, dtype=object),
        frame=frame.set_axis(pd.Index(ids, dtype=object, name="id"), axis=0),
        rejected=_table_of_problems(problems),
        target_names=[str(name) for name in names],
    )


def selected_rows(index: Any, n_rows: int) -> list[int]:
    """The rows that `index` selects, counted from zero."""
    if index is None:
        return list(range(n_rows))
    if isinstance(index, str):
        if not re.fullmatch(r"\s*-?\d+\s*|\s*(-?\d+)?\s*(:\s*(-?\d+)?\s*){1,2}", index):
            raise ValueError(f"index must be like '3' or '0:100:2', got {index!r}")
        parts = [int(part) if part.strip() else None for part in index.split(":")]
        index = parts[0] if len(parts) == 1 else slice(*parts)
    if isinstance(index, slice):
        return list(range(n_rows))[index]
    chosen = np.atleast_1d(np.asarray(index, dtype=object))
    if chosen.ndim != 1 or not all(
        isinstance(row, int | np.integer) and not isinstance(row, bool) for row in chosen
    ):
        raise ValueError("index must be an int, a slice, a str such as ':100', or a list of ints")
    outside = [row for row in chosen if not -n_rows <= row < n_rows]
    if outside:
        raise ValueError(f"index {outside[0]} is outside the {n_rows} rows")
    rows = [int(row) % n_rows for row in chosen]
    if len(set(rows)) < len(rows):
        raise ValueError("index names a row twice")
    return rows


def _ids(table, column, default, crystals):
    """The id of each crystal, and whether it is missing."""
    if column is not None:
        cells = table[column].tolist()
        missing = [is_missing(cell) for cell in cells]
        return ["" if gone else str(cell) for gone, cell in zip(missing, cells)], missing
    ids, missing = [], []
    for crystal in crystals:
        base = str(crystal.row) if default is None else default[crystal.row]
        missing.append(base is None)
        named = crystal.name and base not in (None, crystal.name)
        ids.append(f"{base}-{crystal.name}" if named else base or "")
    return ids, missing


def _reasons(crystals, ids, missing, names, targets):
    """What is wrong with each crystal, a list of texts."""
    same = defaultdict(list)
    for k, name in enumerate(ids):
        same[name].append(k)
    reasons = []
    for k, crystal in enumerate(crystals):
        found = [crystal.reason] if crystal.reason else []
        found += ["the id is missing"] if missing[k] else []
        others = [str(crystals[j].row) for j in same[ids[k]] if j != k]
        if others and not missing[k]:
            found.append(f"the id is also that of row {', '.join(others[:5])}")
        found += [wrong for _, column in targets if (wrong := column[k])]
        if names and all(values[k] is None and not column[k] for values, column in targets):
            found.append(f"the target {' and '.join(map(repr, names))} is missing")
        reasons.append(found)
    return reasons


def _error(name, problems, n_rows, some_remain):
    """One error for all problems."""
    n_files = sum(problem.row is None for problem in problems)
    counts = []
    if len(problems) > n_files:
        counts.append(f"{len(problems) - n_files} of {n_rows} rows cannot be used")
    if n_files:
        counts.append(f"{n_files} file{'s have' if n_files > 1 else ' has'} no row")
    lines = [f"  {problem}" for problem in problems[:_MAX_LINES]]
    if len(problems) > _MAX_LINES:
        lines.append(f"  ... and {len(problems) - _MAX_LINES} more")
    advice = "correct them"
    if some_remain:
        advice += ", or pass on_invalid='drop' to leave them out and list them in `rejected`"
    first = problems[0]
    return InvalidRowsError(
        -1 if first.row is None else first.row,
        first.formula or first.file or first.id,
        "\n".join([f"{name}: {' and '.join(counts)}:", *lines, advice]),
    )


def _table_of_problems(problems):
    import pandas as pd

    return pd.DataFrame(
        {
            "row": pd.array([problem.row for problem in problems], dtype="Int64"),
            "id": [problem.id for problem in problems],
            "file": [problem.file for problem in problems],
            "reason": [problem.reason for problem in problems],
        }
    )
