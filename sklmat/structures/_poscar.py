"""`read_poscar` reads a POSCAR and refuses one whose numbers of atoms and lines disagree."""

from __future__ import annotations

import re
import warnings

import numpy as np

from sklmat.recorded_warnings import record_warnings
from sklmat.structures._caught_warnings import error_text, messages_of_warnings
from sklmat.structures._found_crystal import FoundCrystal

_FLOAT = r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?"
_VECTOR = rf"[ \t]*{_FLOAT}[ \t]+{_FLOAT}[ \t]+{_FLOAT}(?=\s|$)"
_COORDINATES = re.compile(_VECTOR)
#: The first lines of a POSCAR: a comment, the scale and three lattice vectors.
POSCAR_START = re.compile(rf"[^\n]*\n[ \t]*{_FLOAT}[^\n]*\n({_VECTOR}[^\n]*\n){{3}}")


def read_poscar(text: str) -> FoundCrystal:
    """Read the text of a POSCAR; a ValueError says what is wrong with it."""
    from pymatgen.core import Element
    from pymatgen.io.vasp import Poscar

    comment, *lines = text.removeprefix("\ufeff").splitlines()
    lines = [comment, *(_plain_line(line) for line in lines)]
    start, n_atoms = _check_poscar(lines)
    text = "\n".join(_with_scale_of_one(lines, start, n_atoms))
    # Files in the format of VASP 4 often name the species in the comment, the first line.
    names, counts = lines[0].split(), _words(lines[5])
    named = len(names) == len(counts) and all(map(Element.is_valid_symbol, names))
    with record_warnings() as caught:
        try:
            if named and all(map(str.isdigit, counts)):
                poscar = Poscar.from_str(text, default_names=names, read_velocities=False)
                warnings.warn("the species were taken from the first line", stacklevel=1)
            else:
                poscar = Poscar.from_str(text, read_velocities=False)
        except Exception as error:
            raise ValueError(f"the POSCAR cannot be read: {error_text(error)}") from error
    notes = messages_of_warnings(caught)
    if any("cannot be determined" in note for note in notes):
        raise ValueError(
            "the POSCAR does not name its species; write the line of element symbols above the "
            "line of their numbers"
        )
    return FoundCrystal("0", poscar.structure, {}, None, notes)


def _words(line):
    """Words of a line up to a comment."""
    return re.split(r"[!#]", line)[0].split()


def _plain_line(line):
    """A line without comment, and with exponents that Python reads (1.0D0 is Fortran's)."""
    return re.sub(r"(\d\.?\d*)[dD]([-+]?\d+)", r"\1E\2", re.split(r"[!#]", line)[0].rstrip())


def _with_scale_of_one(lines, start, n_atoms):
    """The lines with lengths in Å.

    The second line has one factor for all lengths, minus the volume of the cell, or three factors
    for x, y and z.
    """
    try:
        scale = np.array(lines[1].split(), dtype=float)
        matrix = np.array([line.split()[:3] for line in lines[2:5]], dtype=float)
    except ValueError as error:
        raise ValueError(f"the POSCAR has no scale and lattice vectors ({error})") from error
    if scale.shape not in ((1,), (3,)) or not scale.all():
        raise ValueError(f"the scale of the POSCAR is {lines[1].strip()!r}")
    if (scale == 1).all():
        return lines
    if len(scale) == 1 and scale[0] < 0:
        scale = np.cbrt(-scale / abs(np.linalg.det(matrix)))
    is_cartesian = lines[start - 1].strip()[:1] in tuple("cCkK")
    rows = [2, 3, 4] + (list(range(start, start + n_atoms)) if is_cartesian else [])
    lines = [*lines]
    lines[1] = "1.0"
    for row in rows:
        words = lines[row].split()
        vector = np.array(words[:3], dtype=float) * scale
        lines[row] = " ".join([*map(repr, vector.tolist()), *words[3:]])
    return lines


def _check_poscar(lines):
    """Return the first line of coordinates and the number of atoms.

    Raises a ValueError unless the lines of the POSCAR hold what its numbers of atoms say.
    """
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
    if _COORDINATES.match(lines[start - 1]):
        raise ValueError("the POSCAR does not say whether its coordinates are direct or Cartesian")
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
    comment = lines[0].split()
    if row == 5 and len(comment) == len(counts) and all(map(Element.is_valid_symbol, comment)):
        names = comment
    species = [name for name, count in zip(names, counts) for _ in range(int(count))]
    for atom, (name, line) in enumerate(zip(species, lines[start:])):
        label = line.split()[-1]
        element = re.split(r"[_/]", name)[0]
        if Element.is_valid_symbol(label) and label not in ("T", "F") and label != element:
            raise ValueError(f"atom {atom + 1} of the POSCAR is {label}, but its species is {name}")
    return start, n_atoms
