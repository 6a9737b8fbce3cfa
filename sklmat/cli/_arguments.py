"""Arguments that several commands have, and the rows that they name."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sklmat.files import replace_file

if TYPE_CHECKING:
    import pandas as pd

# Rows that a warning names.
_MAX_NAMED = 10


class Rows(NamedTuple):
    """Crystals or formulas with their targets.

    Attributes
    ----------
    X : ndarray of shape (C,), dtype object
    y : ndarray of shape (C,), or None
    ids : ndarray of shape (C,), dtype object
    target : str or None
        Name of the target.
    rejected : list of str
        One line for each row that was left out.
    table : DataFrame or None
        The crystals and the further columns that a network reads.
    """

    X: np.ndarray
    y: np.ndarray | None
    ids: np.ndarray
    target: str | None
    rejected: list[str]
    table: pd.DataFrame | None = None

    @property
    def inputs(self) -> Any:
        """What a model reads: the table, if there is one, else the crystals or formulas."""
        return self.X if self.table is None else self.table


def new_parser(
    commands: Any, name: str, help: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Add the parser of a command, whose ``--help`` ends with an example."""
    return commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def text(argument: str) -> str:
    """Name of a column, path or other text of the command line; an empty one names nothing."""
    if not argument:
        raise argparse.ArgumentTypeError("must not be empty")
    return argument


def positive_int(argument: str) -> int:
    """Whole number of the command line that is 1 or more."""
    return _whole_number(argument, 1, sys.maxsize)


def seed(argument: str) -> int:
    """Seed of the command line."""
    return _whole_number(argument, 0, 2**32 - 1)


def _whole_number(argument, smallest, largest):
    try:
        number = int(argument)
    except ValueError:
        number = None
    if number is None or not smallest <= number <= largest:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {smallest} to {largest}, got {argument!r}"
        )
    return number


def add_source(parser: argparse.ArgumentParser, *, target: bool = True) -> None:
    """Add the arguments that say which rows to read."""
    parser.add_argument(
        "source", type=text, help="file, folder or table, whatever load_structures reads"
    )
    if target:
        parser.add_argument("--target", type=text, metavar="NAME", help="column of the target")
    parser.add_argument("--id", type=text, metavar="NAME", help="column of the ids")
    parser.add_argument(
        "--formula",
        type=text,
        metavar="NAME",
        help="column of formulas, for a table without structures",
    )
    parser.add_argument(
        "--on-invalid",
        choices=["raise", "drop"],
        default="raise",
        help="stop at rows that cannot be read (default), or list them and leave them out",
    )
    parser.add_argument("--n-jobs", type=int, metavar="N", help="number of processes")


def read_rows(
    options: argparse.Namespace,
    id_of_fit: str | None = None,
    extra: Sequence[str] | None = None,
) -> Rows:
    """Read the rows of a source; rows that are left out are printed.

    Parameters
    ----------
    options : Namespace
    id_of_fit : str or None, default=None
        Column of ids to take if the options name none and the source has it.
    extra : sequence of str or None, default=None
        Further columns that a network reads beside structures.
    """
    from sklmat.readers import NoIdColumnError

    read = _read_formulas if options.formula else partial(_read_structures, extra=extra)
    try:
        rows = read(options, options.id or id_of_fit)
    except NoIdColumnError:
        if options.id or not id_of_fit:
            raise
        rows = read(options, None)
        print(
            f"note: the source has no column {id_of_fit!r}, which held the ids in sklmat fit; the "
            f"ids are now {rows.ids[0]}, ...; name another column with --id",
            file=sys.stderr,
        )
    for line in rows.rejected:
        print(f"left out: {line}", file=sys.stderr)
    return rows


def _read_structures(options, id, extra):
    from sklmat.readers import load_structures

    data = load_structures(
        options.source,
        # Rows to predict need no target.
        target=getattr(options, "target", []),
        id=id,
        on_invalid=options.on_invalid,
        n_jobs=options.n_jobs,
        verbose=sys.stderr.isatty(),
    )
    rejected = [
        ", ".join(str(value) for value in row if value == value and value is not None)
        for row in data.rejected[["id", "file", "reason"]].itertuples(index=False)
    ]
    name = data.target_names[0] if data.target_names else None
    rows = Rows(data.data, data.target, data.ids, name, rejected)
    return rows if extra is None else _with_columns(rows, data.frame, extra, options)


def _with_columns(rows, frame, extra, options):
    """Add the further columns; rows without a value are an error, or left out."""
    import pandas as pd

    from sklmat.readers import is_missing

    for name in extra:
        if name not in frame:
            raise ValueError(
                f"{options.source} has no column {name!r} beside structures, ids and target; there "
                f"are {list(frame.columns)}"
            )
    gaps = np.column_stack([frame[name].map(is_missing) for name in extra])
    lines = [
        f"{rows.ids[row]}, the column {extra[int(gaps[row].argmax())]!r} has no value"
        for row in np.flatnonzero(gaps.any(axis=1))
    ]
    if lines and options.on_invalid == "raise":
        raise ValueError(f"{lines[0]}; fill it in, or use --on-invalid drop")
    keep = np.flatnonzero(~gaps.any(axis=1))
    if not len(keep):
        raise ValueError(f"no row of {options.source} can be used")
    # `predict` looks for the name that the column of structures had in `fit`.
    column = "structure"
    while column in extra:
        column += "_"
    columns = {column: rows.X[keep]}
    columns |= {name: frame[name].to_numpy()[keep] for name in extra}
    return Rows(
        rows.X[keep],
        None if rows.y is None else rows.y[keep],
        rows.ids[keep],
        rows.target,
        rows.rejected + lines,
        pd.DataFrame(columns),
    )


def _read_formulas(options, id):
    """Read a CSV, TSV, Excel or Parquet table with a column of formulas."""
    from sklmat.readers import find_id_column, is_missing, read_table, read_target, target_array

    path = Path(options.source).expanduser()
    table = read_table(path)
    target = getattr(options, "target", None)
    for name in filter(None, (options.formula, target)):
        if name not in table:
            raise ValueError(f"{path} has no column {name!r}, but {list(table.columns)}")
    id_column = find_id_column(table, id, path)
    ids = table.index if id_column is None else table[id_column]
    formulas = table[options.formula]
    reasons = dict.fromkeys(np.flatnonzero(formulas.map(is_missing)), "it has no formula")
    y = None
    if target is not None:
        values, wrong = read_target(table[target])
        for row, (value, reason) in enumerate(zip(values, wrong)):
            if value is None:
                reasons.setdefault(row, reason or f"the target {target!r} is missing")
    if reasons and options.on_invalid == "raise":
        row, reason = next(iter(sorted(reasons.items())))
        raise ValueError(f"row {row} of {path}: {reason}; correct it, or use --on-invalid drop")
    keep = np.setdiff1d(np.arange(len(table)), list(reasons))
    if not len(keep):
        raise ValueError(f"no row of {path} can be used")
    if target is not None:
        y = target_array([[values[row] for row in keep]], False)
    return Rows(
        formulas.to_numpy(dtype=object)[keep],
        y,
        np.array([str(cell) for cell in ids], dtype=object)[keep],
        target,
        [f"row {row}: {reason}" for row, reason in sorted(reasons.items())],
    )


@contextlib.contextmanager
def rows_by_id(rows: Rows, training_rows: str = "no row of sklmat fit has") -> Iterator[None]:
    """Name rows by their ids, in errors and where they hold elements not seen in training."""
    from sklmat.exceptions import InvalidStructureError
    from sklmat.unseen_elements import gather_unseen_elements

    try:
        with gather_unseen_elements() as gathered:
            yield
    except InvalidStructureError as error:
        raise ValueError(f"{rows.ids[error.index]} ({error.formula}): {error.reason}") from error
    if gathered.symbols:
        named = [
            f"{rows.ids[row]} ({', '.join(sorted(symbols))})"
            for row, symbols in sorted(gathered.symbols.items())
        ]
        more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
        print(
            f"warning: {len(named)} of {len(rows.X)} rows hold elements that {training_rows}, so "
            f"that the models extrapolate: {', '.join(named[:_MAX_NAMED])}{more}",
            file=sys.stderr,
        )


def atomic_numbers(item: Any) -> list[int]:
    """Atomic numbers of the elements of a structure or of a formula."""
    from pymatgen.core import Composition

    composition = Composition(item) if isinstance(item, str) else item.composition
    return [element.Z for element in composition.elements]


def needed_target(rows: Rows) -> np.ndarray:
    """Target of the rows; an error if there is none, or if there are several."""
    if rows.y is None:
        raise ValueError(
            "no column of the source was taken as the target; name one with --target (texts in an "
            "id_prop.csv without header: --target target)"
        )
    y = np.asarray(rows.y)
    if y.ndim != 1:
        raise ValueError("the source has several targets; name one with --target")
    return y


def add_model_settings(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all models share."""
    parser.add_argument(
        "--task",
        choices=["auto", "regression", "classification"],
        default="auto",
        help="whether the target is a number or a class; by default, texts, truth values and "
        "numbers that are all 0 or 1 are classes",
    )
    parser.add_argument(
        "--unit", type=text, metavar="UNIT", help="unit of the target, such as eV/atom"
    )
    parser.add_argument("--epochs", type=positive_int, metavar="N", help="epochs of the networks")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed (default: 0)")


def refuse_existing(path: str, overwrite: bool) -> Path:
    """Return a path to write to; an error if it exists and must not be replaced."""
    found = Path(path).expanduser()
    if found.exists() and not overwrite:
        raise FileExistsError(f"{found} exists; choose another name, or use --overwrite")
    if not found.resolve().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {found.resolve().parent}")
    return found


def add_out(parser: argparse.ArgumentParser, help: str, *, required: bool = True) -> None:
    """Add the arguments that say where to write."""
    parser.add_argument("-o", "--out", type=text, required=required, metavar="PATH", help=help)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV file completely or not at all, compressed if its name ends with .gz or alike."""
    kinds: dict[str, Any] = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
    kinds[".zip"] = {"method": "zip", "archive_name": path.stem}
    with replace_file(path) as temporary:
        # pandas takes the kind from the name of the file, and the temporary one ends otherwise.
        table.to_csv(temporary, index=False, compression=kinds.get(path.suffix))
