"""`read_ase_file` reads the frames of extxyz files, ASE trajectories and ASE databases."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import numpy as np

from sklmat.recorded_warnings import record_warnings
from sklmat.structures._caught_warnings import error_text, messages_of_warnings
from sklmat.structures._found_crystal import FoundCrystal
from sklmat.structures._from_ase import structure_from_ase

#: Keys of frames whose values are names, also where they look like numbers.
_ID_KEYS = ("id", "name", "material_id", "mp_id", "jid", "entry_id", "structure_id", "uid")


def read_ase_file(source: Path | StringIO, kind: str) -> list[FoundCrystal]:
    """Read all frames with ASE.

    Parameters
    ----------
    source : Path, or StringIO with the text of a file
    kind : {"extxyz", "traj", "db"}

    Returns
    -------
    list of FoundCrystal
        Scalars of ``info``, of the results and of the key-value pairs are properties.

    Raises
    ------
    ValueError
        If ASE cannot read the file, or it holds no frames.
    OSError
        If there is no such file.
    """
    with record_warnings() as caught:
        try:
            frames = _ase_frames(source, kind)
        except (FileNotFoundError, IsADirectoryError):
            raise
        except Exception as error:
            raise ValueError(f"ASE cannot read it ({error_text(error)})") from error
    if not frames:
        raise ValueError("the file holds no frames")
    notes = messages_of_warnings(caught)
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

    ids: list[dict[str, str]] = []
    if kind == "extxyz":
        text = source.read() if isinstance(source, StringIO) else source.read_text("utf-8")
        frames_of_text = _extxyz_frames(text)
        ids = [_written_ids(lines[1]) for lines in frames_of_text]
        source = StringIO("".join(f"{line}\n" for lines in frames_of_text for line in lines))
    frames = read(source, index=":", format=kind)
    return [
        (
            str(number),
            atoms,
            _scalars(atoms.info)
            | _scalars(getattr(atoms.calc, "results", None) or {})
            | (ids[number] if ids else {}),
        )
        for number, atoms in enumerate(frames)
    ]


def _extxyz_frames(text):
    """Lines of each frame; ASE would end at an empty line between two frames."""
    lines = text.removeprefix("\ufeff").splitlines()
    frames, place = [], 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        if not lines[place].strip().isdigit():
            raise ValueError(f"line {place + 1} is not the number of atoms of a frame")
        end = place + 2 + int(lines[place])
        if end > len(lines):
            raise ValueError(f"the frame that begins in line {place + 1} is cut off")
        _check_columns(lines, place)
        frames.append(lines[place:end])
        place = end
    return frames


def _check_columns(lines, place):
    """Refuse more columns than there are; ASE would make a name for each of them."""
    found = re.search(r"""Properties=["']?([^"'\s]+)""", lines[place + 1])
    numbers = found[1].split(":")[2::3] if found else []
    n_columns = sum(int(number) for number in numbers if number.isdecimal())
    if int(lines[place]) and n_columns > len(lines[place + 2].split()):
        raise ValueError(
            f"line {place + 2} names {n_columns} columns of Properties, and line {place + 3} has "
            f"{len(lines[place + 2].split())}"
        )


def _written_ids(comment):
    """Ids as they are written; ASE makes a number of 007."""
    found = re.findall(rf"(?:^|\s)({'|'.join(_ID_KEYS)})\s*=\s*(\"[^\"]*\"|\S+)", comment)
    return {name: value.strip('"') for name, value in found}


def _row_results(row):
    return _scalars({name: row.get(name) for name in ("energy", "free_energy", "magmom")})


def _scalars(values):
    """Plain numbers and strings among the values."""
    plain = {}
    for name, value in values.items():
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
            value = value.item()
        if isinstance(value, bool | int | float | str):
            plain[str(name)] = value
    return plain
