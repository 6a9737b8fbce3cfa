"""`read_rows` reads and validates the crystals of all rows, in parallel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklmat.exceptions import InvalidStructureError
from sklmat.processes import count_processes, run_parallel
from sklmat.readers._file_names import suffix
from sklmat.readers._packed_crystals import has_properties, pack, unpack
from sklmat.structures import (
    FoundCrystal,
    as_structure,
    check_content,
    check_distances,
    read_crystals,
)

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

#: Rows per chunk of work: many compared with the cost of sending a chunk to a process (a few ms),
#: and few enough to show progress.
_CHUNK = 100


@dataclass
class ReadCrystal:
    """One crystal of a row, or the reason why there is none.

    Parameters
    ----------
    row : int
        Row in the source.
    name : str
        Name of the crystal in a file that holds several, or "".
    structure : Structure or None
    properties : dict
        What the file says of the crystal besides its atoms.
    reason : str or None
        Why there is no structure.
    formula : str
        Formula, or a short description.
    notes : tuple of str
        What was assumed.
    """

    row: int
    name: str
    structure: IStructure | None
    properties: dict[str, Any]
    reason: str | None
    formula: str
    notes: tuple[str, ...]


def read_rows(
    numbers: list[int],
    items: list[Any],
    *,
    expands: bool,
    checked: bool,
    n_jobs: int | None,
    verbose: bool,
) -> list[ReadCrystal]:
    """Read the crystals of rows.

    Parameters
    ----------
    numbers : list of int
        Rows in the source.
    items : list
        The items of these rows, see ``Rows``.
    expands : bool
        Whether a file may hold several crystals.
    checked : bool
        Whether the crystals are known to be valid.
    n_jobs : int or None
    verbose : bool

    Returns
    -------
    list of ReadCrystal
        In the order of the rows; several of one row follow each other.
    """
    from tqdm.auto import tqdm

    if checked:
        return [
            ReadCrystal(row, "", item.structure, {}, None, "", ())
            for row, item in zip(numbers, items)
        ]
    done: list[list[ReadCrystal]] = [[] for _ in items]
    # Structures in memory are validated here: sending them to a process takes longer.
    sent = [place for place, item in enumerate(items) if isinstance(item, str | Path | Mapping)]
    with tqdm(total=len(items), unit="row", desc="reading", disable=not verbose) as bar:
        for place in sorted(set(range(len(items))) - set(sent)):
            done[place] = _read_item(numbers[place], items[place], expands)
            bar.update()
        for places, crystals in _in_chunks(sent, numbers, items, expands, n_jobs):
            for place in places:
                done[place] = []
            by_row = dict(zip((numbers[place] for place in places), places))
            for crystal in crystals:
                done[by_row[crystal.row]].append(crystal)
            bar.update(len(places))
    return [crystal for crystals in done for crystal in crystals]


def _in_chunks(places, numbers, items, expands, n_jobs):
    """Yield the places of each chunk and their crystals, in order."""
    chunks = [places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK)]
    n_jobs = min(count_processes(n_jobs), max(len(chunks), 1))
    if n_jobs == 1:
        for chunk in chunks:
            rows = [numbers[place] for place in chunk]
            yield chunk, _read_items(rows, [items[place] for place in chunk], expands)
        return
    sent = (
        ([numbers[place] for place in chunk], [items[place] for place in chunk], expands)
        for chunk in chunks
    )
    results = run_parallel(_read_packed, sent, n_jobs=n_jobs)
    for (crystals, packed, packed_places), chunk in zip(results, chunks):
        for place, structure in zip(packed_places, unpack(packed)):
            crystals[place].structure = structure
        yield chunk, crystals


def _read_packed(rows, items, expands):
    """Read some items in a process of their own; arrays are sent back faster than structures."""
    crystals = _read_items(rows, items, expands)
    places = [
        place
        for place, crystal in enumerate(crystals)
        if crystal.structure is not None and not has_properties(crystal.structure)
    ]
    packed = pack([crystals[place].structure for place in places])
    for place in places:
        crystals[place].structure = None
    return crystals, packed, places


def _read_items(rows, items, expands):
    return [crystal for row, item in zip(rows, items) for crystal in _read_item(row, item, expands)]


def _read_item(row, item, expands):
    """All crystals of one item."""
    if isinstance(item, ValueError):
        return [ReadCrystal(row, "", None, {}, str(item), "", ())]
    if isinstance(item, FoundCrystal):
        return [_validated(row, item)]
    if expands and isinstance(item, Path):
        return _read_file(row, item)
    try:
        structure, notes = as_structure(row, item)
        check_distances(row, structure)
    except InvalidStructureError as error:
        return [ReadCrystal(row, "", None, {}, error.reason, error.formula, ())]
    return [ReadCrystal(row, "", structure, {}, None, _formula(structure), tuple(notes))]


def _read_file(row, path):
    try:
        found = read_crystals(path)
    except FileNotFoundError:
        # The error says what such a name may be instead, for instance a formula.
        return _read_item(row, path, False)
    except OSError as error:
        reason = f"{type(error).__name__}: {error.strerror or error}"
    except Exception as error:
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
    else:
        return [_validated(row, crystal) for crystal in name_crystals(found, path)]
    return [ReadCrystal(row, "", None, {}, f"cannot be read: {reason}", path.name, ())]


def name_crystals(found: list[FoundCrystal], path: Path) -> list[FoundCrystal]:
    """Name the crystals of one file: "" if there is one, the numbers of the blocks of a CIF."""
    if len(found) == 1:
        return [FoundCrystal("", *found[0][1:])]
    if suffix(path) in (".cif", ".mcif"):
        return [
            FoundCrystal(str(number), structure, {"block": block}, problem, notes)
            for number, (block, structure, _, problem, notes) in enumerate(found)
        ]
    return found


def _validated(row, found):
    """Check what one crystal of a file holds."""
    name = found.name
    if found.problem is not None:
        return ReadCrystal(row, name, None, found.properties, found.problem, "", ())
    try:
        structure, rounded = check_content(row, found.structure)
        check_distances(row, structure)
    except InvalidStructureError as error:
        return ReadCrystal(row, name, None, found.properties, error.reason, error.formula, ())
    notes = (*found.notes, *rounded)
    return ReadCrystal(row, name, structure, found.properties, None, _formula(structure), notes)


def _formula(structure):
    return structure.formula.replace(" ", "")
