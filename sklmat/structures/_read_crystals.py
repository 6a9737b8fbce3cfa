"""`read_crystals` reads all crystals of a file, or of the text of a file."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklmat.structures._cif import read_cif
from sklmat.structures._found_crystal import FoundCrystal
from sklmat.structures._from_ase import structure_from_ase
from sklmat.structures._structure_from_dict import structure_from_dict

if TYPE_CHECKING:
    from sklmat.typing import PathLike

_POSCAR_NAME = re.compile(r"poscar|contcar|\.vasp$", re.IGNORECASE)
_FLOAT = r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?"
_VECTOR = rf"[ \t]*{_FLOAT}[ \t]+{_FLOAT}[ \t]+{_FLOAT}(?=\s|$)"
_POSCAR_TEXT = re.compile(rf"[^\n]*\n[ \t]*{_FLOAT}[^\n]*\n({_VECTOR}[^\n]*\n){{3}}")
_COORDINATES = re.compile(_VECTOR)
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
        return _from_ase_file(path, _ASE_SUFFIXES[name.suffix.lower()])
    text = _decoded(_content(path))
    if text is not None:
        if name.suffix.lower() in (".cif", ".mcif"):
            return read_cif(text)
        if _POSCAR_NAME.search(name.name):
            return [_from_poscar(text)]
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
        return [_from_poscar(text)]
    if kind == "extxyz":
        from io import StringIO

        return _from_ase_file(StringIO(text), "extxyz")
    raise ValueError(
        "a string with line breaks is the text of a file, and this one is neither a CIF, a POSCAR, "
        "JSON nor extxyz"
    )


def _kind_of_text(text):
    start = text.removeprefix("\ufeff").lstrip()
    if start[:1] in ("{", "["):
        return "json"
    if re.search(r"^\s*data_", start, re.MULTILINE | re.IGNORECASE) and "_cell_" in start.lower():
        return "cif"
    if re.match(r"\d+[ \t]*\n[^\n]*Lattice\s*=", start):
        return "extxyz"
    return "poscar" if _POSCAR_TEXT.match(text.removeprefix("\ufeff")) else None


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


def _from_poscar(text):
    from pymatgen.core import Element
    from pymatgen.io.vasp import Poscar

    text = text.removeprefix("\ufeff")
    lines = text.splitlines()
    _check_poscar(lines)
    # Files in the format of VASP 4 often name the species in the comment, the first line.
    names, counts = lines[0].split(), _words(lines[5])
    named = len(names) == len(counts) and all(map(Element.is_valid_symbol, names))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if named and all(map(str.isdigit, counts)):
                poscar = Poscar.from_str(text, default_names=names, read_velocities=False)
                warnings.warn("the species were taken from the first line", stacklevel=1)
            else:
                poscar = Poscar.from_str(text, read_velocities=False)
        except Exception as error:
            raise ValueError(f"the POSCAR cannot be read: {_said(error)}") from error
    notes = _messages(caught)
    if any("cannot be determined" in note for note in notes):
        raise ValueError(
            "the POSCAR does not name its species; write the line of element symbols above the "
            "line of their numbers"
        )
    return FoundCrystal("0", poscar.structure, {}, None, notes)


def _words(line):
    """Words of a line up to a comment."""
    return re.split(r"[!#]", line)[0].split()


def _check_poscar(lines):
    """Raise a ValueError unless the lines of a POSCAR hold what its numbers of atoms say."""
    from pymatgen.core import Element

    if len(lines) < 8:
        raise ValueError("the POSCAR ends before the coordinates")
    row = 5 if all(map(str.isdigit, _words(lines[5]))) else 6
    names, counts = _words(lines[5]) if row == 6 else [], _words(lines[row])
    if not all(map(str.isdigit, counts)):
        raise ValueError(f"line {row + 1} of the POSCAR does not give the numbers of atoms")
    if names and len(names) != len(counts):
        raise ValueError(
            f"the POSCAR names {len(names)} species ({' '.join(names)}), but gives {len(counts)} "
            "numbers of atoms"
        )
    n_atoms = sum(map(int, counts))
    # The line "Selective dynamics" may precede the kind of the coordinates.
    start = row + (3 if lines[row + 1].strip()[:1] in ("s", "S") else 2)
    found = 0
    while start + found < len(lines) and _COORDINATES.match(lines[start + found]):
        found += 1
    if found < n_atoms:
        raise ValueError(f"the POSCAR counts {n_atoms} atoms, but gives {found} coordinates")
    if found > n_atoms:
        raise ValueError(
            f"the POSCAR counts {n_atoms} atoms, but more lines of coordinates follow (velocities "
            "come after an empty line)"
        )
    species = [name for name, count in zip(names, counts) for _ in range(int(count))]
    for atom, (name, line) in enumerate(zip(species, lines[start:])):
        label = line.split()[-1]
        element = re.split(r"[_/]", name)[0]
        if Element.is_valid_symbol(label) and label not in ("T", "F") and label != element:
            raise ValueError(f"atom {atom + 1} of the POSCAR is {label}, but its species is {name}")


def _from_pymatgen(path):
    from pymatgen.core import Structure

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            structure = Structure.from_file(path)
        except Exception as error:
            raise ValueError(_said(error)) from error
    return FoundCrystal("0", structure, {}, None, _messages(caught))


def _messages(caught):
    """Texts of warnings, without those that only concern developers."""
    return tuple(
        dict.fromkeys(
            str(warning.message)
            for warning in caught
            if not issubclass(
                warning.category, DeprecationWarning | PendingDeprecationWarning | ResourceWarning
            )
        )
    )


def _said(error):
    return f"{type(error).__name__}: {error}"


def _from_json(text):
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise ValueError(f"the JSON cannot be read: {error}") from error
    return crystals_of_document(document)


def _from_yaml(text):
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return crystals_of_document(YAML(typ="safe", pure=True).load(text.removeprefix("\ufeff")))
    except YAMLError as error:
        raise ValueError(f"the YAML cannot be read: {error}") from error


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
    try:
        structure = structure_from_dict(document)
    except Exception as error:
        problem = f"it is not what Structure.as_dict() makes ({_said(error)})"
        return FoundCrystal(name, None, properties, problem)
    return FoundCrystal(name, structure, properties, None)


def _from_ase_file(source, kind):
    """Read all frames with ASE; scalars of ``info``, results and key-value pairs are properties."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            frames = _ase_frames(source, kind)
        except (FileNotFoundError, IsADirectoryError):
            raise
        except Exception as error:
            raise ValueError(f"ASE cannot read it ({_said(error)})") from error
    if not frames:
        raise ValueError("the file holds no frames")
    notes = _messages(caught)
    crystals = []
    for name, atoms, properties in frames:
        try:
            structure, problem = structure_from_ase(atoms), None
        except ValueError as error:
            structure, problem = None, str(error)
        crystals.append(FoundCrystal(name, structure, properties, problem, notes))
    return crystals


def _ase_frames(source, kind):
    if kind == "db":
        from ase.db import connect

        if not source.exists():
            raise FileNotFoundError(source)
        with connect(source, type="db") as database:
            return [
                (str(row.id), row.toatoms(), _scalars(row.key_value_pairs) | _row_results(row))
                for row in database.select()
            ]
    from ase.io import read

    frames = read(source, index=":", format=kind)
    return [
        (
            str(number),
            atoms,
            _scalars(atoms.info) | _scalars(getattr(atoms.calc, "results", None) or {}),
        )
        for number, atoms in enumerate(frames)
    ]


def _row_results(row):
    return _scalars({name: row.get(name) for name in ("energy", "free_energy", "magmom")})


def _scalars(values):
    """Plain numbers and strings among the values."""
    import numpy as np

    plain = {}
    for name, value in values.items():
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
            value = value.item()
        if isinstance(value, bool | int | float | str):
            plain[str(name)] = value
    return plain
