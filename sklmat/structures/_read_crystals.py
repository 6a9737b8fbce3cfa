"""`read_crystals` reads all crystals of a file, or of the text of a file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklmat.recorded_warnings import record_warnings
from sklmat.structures._ase_files import read_ase_file
from sklmat.structures._caught_warnings import error_text, messages_of_warnings
from sklmat.structures._cif import read_cif
from sklmat.structures._found_crystal import FoundCrystal
from sklmat.structures._poscar import POSCAR_START, read_poscar
from sklmat.structures._structure_from_dict import structure_from_dict

if TYPE_CHECKING:
    from sklmat.typing import PathLike

_POSCAR_NAME = re.compile(r"poscar|contcar|\.vasp$", re.IGNORECASE)
_ASE_SUFFIXES = {".extxyz": "extxyz", ".xyz": "extxyz", ".traj": "traj", ".db": "db"}
_COMPRESSION = {".gz", ".bz2", ".xz", ".lzma", ".z"}


def read_crystals(path: PathLike) -> list[FoundCrystal]:
    """Read all crystals of a file.

    Parameters
    ----------
    path : str or path-like
        A CIF, POSCAR, JSON or YAML file (a dict from ``Structure.as_dict()``, a list of them, or
        documents that hold one in ``structure``), an (ext)xyz file, an ASE trajectory or database,
        or any other file that pymatgen reads. ``~`` is the home folder. Compressed files (.gz,
        .bz2, .xz) are read as well, except those of ASE.

    Returns
    -------
    list of FoundCrystal

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or holds no crystal.
    """
    path = Path(os.fsdecode(path)).expanduser()
    name = path
    while name.suffix.lower() in _COMPRESSION:
        name = name.with_suffix("")
    if name.suffix.lower() in _ASE_SUFFIXES:
        return read_ase_file(path, _ASE_SUFFIXES[name.suffix.lower()])
    text = _decoded(_content(path))
    if text is not None:
        if name.suffix.lower() in (".cif", ".mcif"):
            return read_cif(text)
        if _POSCAR_NAME.search(name.name):
            return [read_poscar(text)]
        if re.search(r"\.(yaml|yml)", name.name.lower()):
            return _from_yaml(text)
        # pymatgen would decode JSON with all that it names, also where the name says otherwise.
        if re.search(r"\.(json|mson)", name.name.lower()):
            return _from_json(text)
        if _kind_of_text(text) is not None:
            return crystals_of_text(text)
    return [_from_pymatgen(path)]


def crystals_of_text(text: str) -> list[FoundCrystal]:
    """Read all crystals of the text of a CIF, POSCAR, JSON or extxyz file.

    Raises
    ------
    ValueError
        If the text is none of these, or holds no crystal.
    """
    kind = _kind_of_text(text)
    if kind == "json":
        return _from_json(text)
    if kind == "cif":
        return read_cif(text.removeprefix("\ufeff"))
    if kind == "poscar":
        return [read_poscar(text)]
    if kind == "extxyz":
        from io import StringIO

        return read_ase_file(StringIO(text), "extxyz")
    raise ValueError(
        "a string with line breaks is the text of a file, and this one is neither a CIF, a POSCAR, "
        "JSON nor extxyz"
    )


def _kind_of_text(text):
    start = text.removeprefix("\ufeff").lstrip()
    if start[:1] in ("{", "["):
        return "json"
    if (
        re.search(r"^[ \t]*data_", start, re.MULTILINE | re.IGNORECASE)
        and "_cell_" in start.lower()
    ):
        return "cif"
    if re.match(r"\d+[ \t]*\n[^\n]*Lattice\s*=", start):
        return "extxyz"
    return "poscar" if POSCAR_START.match(text.removeprefix("\ufeff")) else None


def _content(path):
    from monty.io import zopen

    if path.is_dir():
        raise IsADirectoryError("a folder; load_structures(folder) reads the files in it")
    with zopen(path, "rb") as file:
        return file.read()


def _decoded(content):
    """Text of a file, or None if it is binary."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if content.startswith(mark):
            try:
                text = content.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    else:
        text = content.decode("latin-1")
    return None if "\0" in text else text.replace("\r\n", "\n").replace("\r", "\n")


def _from_pymatgen(path):
    from pymatgen.core import Structure

    with record_warnings() as caught:
        try:
            structure = Structure.from_file(path)
        except Exception as error:
            reason = error_text(error)
            if "Unrecognized extension" in reason:
                reason = (
                    "no reader knows a file of this name and content; pass a CIF, POSCAR, JSON or "
                    "extxyz file, or the structure itself"
                )
            raise ValueError(reason) from error
    return FoundCrystal("0", structure, {}, None, messages_of_warnings(caught))


def _from_json(text):
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the JSON cannot be read: {error}") from error
    return crystals_of_document(document)


def _without_repetition(pairs):
    """A dict; of two entries with one name, Python would keep the last."""
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {repeated!r} occurs twice in one object")
    return document


def _from_yaml(text):
    from ruamel.yaml import YAML

    try:
        document = YAML(typ="safe", pure=True).load(text.removeprefix("\ufeff"))
    # What stands for a number or a date, but is none, raises errors of other kinds than YAMLError.
    except Exception as error:
        raise ValueError(f"the YAML cannot be read: {error}") from error
    _refuse_expansion(document, 100 * len(text))
    return crystals_of_document(document)


def _refuse_expansion(document, largest):
    """Refuse a document whose aliases stand for far more data than its text, or for itself."""
    parts, n_parts = [document], 0
    while parts:
        part = parts.pop()
        inner = part.values() if isinstance(part, dict) else part
        if isinstance(part, dict | list | set):
            n_parts += len(inner)
            parts.extend(inner)
        if n_parts > largest:
            raise ValueError("the YAML cannot be read: its aliases stand for too much data")


def crystals_of_document(document: Any) -> list[FoundCrystal]:
    """Read all crystals of plain data: dicts of structures, or a list or a mapping of them.

    Raises
    ------
    ValueError
        If it holds no crystal.
    """
    if isinstance(document, Mapping):
        if _is_document(document):
            return [_crystal_of_document("0", document)]
        if {"columns", "data"} <= document.keys():
            raise ValueError("a table of many rows; load_structures(path) reads it")
        entries = list(document.items())
    elif isinstance(document, list):
        entries = [(str(number), entry) for number, entry in enumerate(document)]
    else:
        entries = []
    if not entries or not all(
        isinstance(entry, Mapping) and _is_document(entry) for _, entry in entries
    ):
        raise ValueError("it is not what Structure.as_dict() makes (a dict with lattice and sites)")
    return [_crystal_of_document(str(name), entry) for name, entry in entries]


def _is_document(document):
    return {"lattice", "sites"} <= document.keys() or (
        isinstance(document.get("structure"), Mapping) and _is_document(document["structure"])
    )


def _crystal_of_document(name, document):
    properties = {
        key: value
        for key, value in document.items()
        if isinstance(value, bool | int | float | str) and not key.startswith("@")
    }
    if "sites" in document:
        # The charge is part of the structure.
        properties.pop("charge", None)
    try:
        structure = structure_from_dict(document)
    except Exception as error:
        problem = f"it is not what Structure.as_dict() makes ({error_text(error)})"
        return FoundCrystal(name, None, properties, problem)
    return FoundCrystal(name, structure, properties, None)
