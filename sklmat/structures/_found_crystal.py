"""`FoundCrystal`: one crystal that a file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pymatgen.core import Structure


class FoundCrystal(NamedTuple):
    """One crystal of a file, or the reason why it cannot be read.

    Parameters
    ----------
    name : str
        Name of the block of a CIF, or number of the frame, counted from zero.
    structure : Structure or None
        None if there is a `problem`.
    properties : dict of str to float, int, bool or str
        What the file says of the crystal besides its atoms, such as the energy (eV).
    problem : str or None
        Why the crystal cannot be read.
    notes : tuple of str
        What was assumed in reading it; the caller warns of them.
    """

    name: str
    structure: Structure | None
    properties: dict[str, Any]
    problem: str | None
    notes: tuple[str, ...] = ()
