"""Crystals with partially occupied sites, and their compositions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sklmat.exceptions import InvalidStructureError
from sklmat.recorded_warnings import ignore_warnings

if TYPE_CHECKING:
    from pymatgen.core import Composition
    from pymatgen.core.structure import IStructure


def composition_of_partial(item: object, error: InvalidStructureError) -> Composition | None:
    """Composition of an item that `as_structure` refused because of partial occupancy.

    Parameters
    ----------
    item : Structure, dict, path or text of a CIF
    error : InvalidStructureError
        Why the item was refused.

    Returns
    -------
    Composition or None
        None if the item was refused for another reason.
    """
    structure = structure_of_partial(item, error)
    return None if structure is None else structure.composition


def structure_of_partial(item: object, error: InvalidStructureError) -> IStructure | None:
    """Structure of an item that `as_structure` refused because of partial occupancy.

    Parameters
    ----------
    item : Structure, dict, path or text of a CIF
    error : InvalidStructureError
        Why the item was refused.

    Returns
    -------
    Structure or None
        Its sites may hold several elements. None if the item was refused for another reason.
    """
    if "has partial occupancy" not in error.reason:
        return None
    from pymatgen.core.structure import IStructure

    from sklmat.structures._structure_from_dict import structure_from_dict

    structure = item if isinstance(item, IStructure) else getattr(item, "structure", None)
    if isinstance(structure, IStructure):
        return structure
    if isinstance(item, Mapping):
        return structure_from_dict(item)
    if isinstance(item, str | bytes | os.PathLike):
        return _structure_of_cif(item)
    return None


def _structure_of_cif(item):
    from pymatgen.io.cif import CifParser

    text = os.fsdecode(item)
    if "\n" not in text:
        text = Path(text).expanduser().read_text(encoding="utf-8-sig", errors="replace")
    with ignore_warnings():
        try:
            [structure] = CifParser.from_str(text).parse_structures(primitive=False)
        except Exception:  # a file that pymatgen cannot read can raise any exception
            return None
    return structure
