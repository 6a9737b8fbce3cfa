"""`Rows`: what a source holds, before its crystals are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Problem(NamedTuple):
    """Why a row, or a file without a row, cannot be used.

    Parameters
    ----------
    row : int or None
        Row in the source, counted from zero; None for a file that no row names.
    id : str
    file : str
    reason : str
    formula : str
        Formula of the crystal, or a short description, for `InvalidStructureError`.
    """

    row: int | None
    id: str
    file: str
    reason: str
    formula: str = ""

    def __str__(self) -> str:
        parts = [] if self.row is None else [f"row {self.row}"]
        parts += [f"id {self.id}"] if self.id else []
        parts += [f"file {self.file}"] if self.file else []
        return f"{', '.join(parts)}: {self.reason}"


@dataclass
class Rows:
    """The rows of a source, before its crystals are read.

    Parameters
    ----------
    name : str
        Name of the source, for messages.
    items : list
        One for each row: a path (``Path``), the text of a file, a dict, an object, a
        ``FoundCrystal``, or a ValueError that says why the row has no crystal.
    files : list of str
        Name of the file of each row, or "".
    table : DataFrame
        The columns of the rows; for files alone it has none.
    column : str or None
        The column of `table` that holds the structures or names the files.
    are_files : bool
        Whether it names files; only then it belongs to the frame.
    ids : list of (str or None), or None
        Ids where no column holds them, None where one is missing; None for the number of the row.
    id_column : str or None
        The column of ids, where the layout of the source decides it.
    target : str, list of str or None
        The target that was saved with the structures.
    expands : bool
        Whether a file may hold several crystals, of which each becomes a row.
    checked : bool
        Whether the crystals were validated when they were saved.
    problems : list of Problem
        Files without a row.
    """

    name: str
    items: list[Any]
    files: list[str]
    table: pd.DataFrame
    column: Any = None
    are_files: bool = False
    ids: Sequence[str | None] | None = None
    id_column: Any = None
    target: Any = None
    expands: bool = False
    checked: bool = False
    problems: list[Problem] = field(default_factory=list)


def rows_of_files(name: str, paths: list[Path]) -> Rows:
    """Rows of files alone, in the order given."""
    import pandas as pd

    from sklmat.readers._file_names import unique_ids

    return Rows(
        name,
        list(paths),
        [str(path) for path in paths],
        pd.DataFrame(index=range(len(paths))),
        ids=unique_ids(paths),
        expands=True,
    )
