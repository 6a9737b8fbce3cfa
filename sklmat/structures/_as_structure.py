"""`as_structure` converts one item of the input to a valid pymatgen structure."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.exceptions import InvalidStructureError
from sklmat.structures._content_checks import check_content
from sklmat.structures._from_ase import structure_from_ase
from sklmat.structures._read_crystals import (
    crystals_of_document,
    crystals_of_text,
    read_crystals,
)

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

_FORMULA = re.compile(r"([A-Z][a-z]?\d*\.?\d* ?|[()\[\]])+")
_DATABASE_ID = re.compile(r"(mp|mvc|oqmd|jvasp|aflow|cod|icsd)[-:_ ]?\d+", re.IGNORECASE)


def as_structure(index: int, item: object) -> tuple[IStructure, list[str]]:
    """Convert one item, without checking the distances between its atoms.

    Parameters
    ----------
    index : int
        Row in the input, for the error.
    item : Structure, Atoms, dict, path, text of a file, or an object with ``structure``

    Returns
    -------
    structure : Structure
        The item itself if it is a valid ``Structure``.
    notes : list of str
        What was assumed, for a warning.

    Raises
    ------
    InvalidStructureError
    """
    from pymatgen.core import Composition, Molecule
    from pymatgen.core.structure import IStructure

    notes: list[str] = []
    structure = item if isinstance(item, IStructure) else getattr(item, "structure", None)
    if isinstance(structure, IStructure):
        pass
    elif isinstance(item, str | bytes | os.PathLike):
        structure, notes = _read(index, item)
    elif isinstance(item, Mapping) and not isinstance(item, Composition):
        structure = _only_crystal(index, "dict", crystals_of_document, item).structure
    elif isinstance(item, Composition):
        raise InvalidStructureError(
            index,
            item.formula.replace(" ", ""),
            "a composition is not a structure; CompositionFeaturizer takes compositions",
        )
    elif isinstance(item, Molecule):
        raise InvalidStructureError(
            index,
            item.formula.replace(" ", ""),
            "a Molecule has no lattice; use get_boxed_structure",
        )
    else:
        if isinstance(item, float) and np.isnan(item):
            raise InvalidStructureError(
                index,
                "NaN",
                "missing; leave this row out. pandas also reads the formula NaN of sodium nitride "
                "as missing: use read_csv(..., keep_default_na=False)",
            )
        atoms: Any = item.toatoms() if hasattr(item, "toatoms") else item
        if not (hasattr(atoms, "get_chemical_symbols") and hasattr(atoms, "get_cell")):
            raise InvalidStructureError(index, type(item).__name__, _why_no_structure(item))
        try:
            structure = structure_from_ase(atoms)
        except ValueError as error:
            raise InvalidStructureError(index, _formula_of_atoms(atoms), str(error)) from error
    try:
        structure, rounded = check_content(index, structure)
    except InvalidStructureError as error:
        raise with_file(error, item) from error
    return structure, [note + _file(item) for note in [*notes, *rounded]]


def _why_no_structure(item):
    from pymatgen.core import Site

    if isinstance(item, list | tuple | np.ndarray) and len(item) and isinstance(item[0], Site):
        return (
            "a list of sites without a lattice; what turns X into an array, as samplers of tables "
            "do, cannot be used before structures are described by numbers"
        )
    return (
        "not a structure; pass a pymatgen Structure, an ASE Atoms, a dict from as_dict() or a path "
        "to a structure file"
    )


def _formula_of_atoms(atoms):
    try:
        return atoms.get_chemical_formula() or "no atoms"
    except Exception:
        return f"{len(atoms)} atoms"


def with_file(error: InvalidStructureError, item: object) -> InvalidStructureError:
    """The same error with the file that the item names, if it is a path."""
    return InvalidStructureError(error.index, error.formula, error.reason + _file(item))


def _file(item):
    is_path = isinstance(item, str | bytes | os.PathLike) and not _is_text(item)
    return f" (file {os.fsdecode(item)})" if is_path else ""


def _is_text(item):
    """Whether a string is the text of a file; JSON may be written in one line."""
    if isinstance(item, bytes):
        return b"\n" in item
    return isinstance(item, str) and ("\n" in item or item.lstrip().startswith(("{", "[")))


def _read(index, item):
    """Structure and notes, from a path or from the text of a file."""
    if not item:
        raise InvalidStructureError(index, "no path", "an empty string names no file")
    if _is_text(item):
        text = item.decode("utf-8", "replace") if isinstance(item, bytes) else item
        found = _only_crystal(index, "text", crystals_of_text, text)
        return found.structure, list(found.notes)
    path = Path(os.fsdecode(item))
    # Without a home folder, a name such as ~unknown stays as it is.
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    found = _only_crystal(index, path.name, read_crystals, path)
    return found.structure, list(found.notes)


def _only_crystal(index, name, read, source):
    """Read a source that must hold one crystal."""
    where = f"cannot be read from {source} (" if isinstance(source, Path) else "cannot be read ("
    try:
        crystals = read(source)
    except FileNotFoundError as error:
        raise InvalidStructureError(index, name, f"{where}no such file{_hint(source)})") from error
    except IsADirectoryError as error:
        raise InvalidStructureError(
            index,
            name,
            f"{source} is a folder; pass its files, or read them with load_structures",
        ) from error
    except OSError as error:
        raise InvalidStructureError(
            index, name[:40], f"cannot be read ({type(error).__name__}: {error.strerror or error})"
        ) from error
    except Exception as error:
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise InvalidStructureError(index, name, f"{where}{reason})") from error
    if len(crystals) > 1:
        raise InvalidStructureError(
            index,
            name,
            f"holds {len(crystals)} crystals, but one row is one crystal; read all of them with "
            "load_structures",
        )
    if crystals[0].problem is not None:
        raise InvalidStructureError(index, name, f"{where}{crystals[0].problem})")
    return crystals[0]


def _hint(path):
    """What a path without a file may be instead."""
    name = str(path)
    if _DATABASE_ID.fullmatch(name):
        return (
            "; it looks like the id of a database entry: download the structure and pass it, or "
            "the path of its file"
        )
    if _FORMULA.fullmatch(name):
        return "; a formula has no structure: CompositionFeaturizer takes formulas"
    return ""
