"""Arguments that several commands have, and the rows that they name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


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
    """

    X: np.ndarray
    y: np.ndarray | None
    ids: np.ndarray
    target: str | None
    rejected: list[str]


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


def add_source(parser: argparse.ArgumentParser, *, target: bool = True) -> None:
    """Add the arguments that say which rows to read."""
    parser.add_argument("source", help="file, folder or table, whatever load_structures reads")
    if target:
        parser.add_argument("--target", metavar="NAME", help="column of the target")
    parser.add_argument("--id", metavar="NAME", help="column of the ids")
    parser.add_argument(
        "--formula",
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


def read_rows(options: argparse.Namespace) -> Rows:
    """Read the rows of a source; rows that are left out are printed."""
    rows = _read_formulas(options) if options.formula else _read_structures(options)
    for line in rows.rejected:
        print(f"left out: {line}", file=sys.stderr)
    return rows


def _read_structures(options):
    from sklmat.exceptions import InvalidRowsError
    from sklmat.readers import load_structures

    try:
        data = load_structures(
            options.source,
            target=getattr(options, "target", None),
            id=options.id,
            on_invalid=options.on_invalid,
            n_jobs=options.n_jobs,
            verbose=sys.stderr.isatty(),
        )
    except InvalidRowsError as error:
        # The advice for Python, in the words of the command line.
        reason = str(error).replace("pass on_invalid='drop'", "use --on-invalid drop")
        raise ValueError(reason.replace(" and list them in `rejected`", "")) from error
    rejected = [
        ", ".join(str(value) for value in row if value == value and value is not None)
        for row in data.rejected[["id", "file", "reason"]].itertuples(index=False)
    ]
    name = data.target_names[0] if data.target_names else None
    return Rows(data.data, data.target, data.ids, name, rejected)


def _read_formulas(options):
    """Read a CSV, TSV, Excel or Parquet table with a column of formulas."""
    import pandas as pd

    path = Path(options.source).expanduser()
    readers = {
        ".csv": pd.read_csv,
        ".tsv": lambda path, **settings: pd.read_csv(path, sep="\t", **settings),
        ".xlsx": pd.read_excel,
        ".parquet": lambda path, **settings: pd.read_parquet(path),
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} is no table of formulas; give one of {', '.join(readers)}")
    # "NaN" is no missing value in a column of formulas: nitrogen and sodium make a formula.
    table = readers[path.suffix.lower()](path, keep_default_na=False, na_values=[""])
    target = getattr(options, "target", None)
    for name in filter(None, (options.formula, options.id, target)):
        if name not in table:
            raise ValueError(f"{path} has no column {name!r}, but {list(table.columns)}")
    ids = table[options.id].astype(str) if options.id else table.index.astype(str)
    y = None
    valid = table[options.formula].notna().to_numpy()
    reasons = {int(row): "has no formula" for row in np.flatnonzero(~valid)}
    if target is not None:
        values = pd.to_numeric(table[target], errors="coerce").to_numpy(dtype=float)
        for row in np.flatnonzero(~np.isfinite(values)):
            reasons.setdefault(int(row), f"{target} is {table[target].iloc[row]!r}, not a number")
        y = values
    if reasons and options.on_invalid == "raise":
        row, reason = next(iter(sorted(reasons.items())))
        raise ValueError(f"row {row} of {path} {reason}; correct it, or use --on-invalid drop")
    keep = np.setdiff1d(np.arange(len(table)), list(reasons))
    return Rows(
        table[options.formula].to_numpy(dtype=object)[keep],
        None if y is None else y[keep],
        np.asarray(ids, dtype=object)[keep],
        target,
        [f"row {row}: {reason}" for row, reason in sorted(reasons.items())],
    )


def needed_target(rows: Rows) -> np.ndarray:
    """Target of the rows; an error if there is none, or if there are several."""
    if rows.y is None:
        raise ValueError("no column of the source was taken as the target; name one with --target")
    y = np.asarray(rows.y)
    if y.ndim != 1:
        raise ValueError("the source has several targets; name one with --target")
    return y


def add_model_settings(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all models share."""
    parser.add_argument(
        "--task",
        choices=["regression", "classification"],
        default="regression",
        help="whether the target is a number (default) or a class",
    )
    parser.add_argument("--unit", metavar="UNIT", help="unit of the target, such as eV/atom")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of the networks")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed (default: 0)")


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
    parser.add_argument("-o", "--out", required=required, metavar="PATH", help=help)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
