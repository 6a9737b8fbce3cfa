"""Columns of a table of predictions: the phase, the formation energy, and names with units."""

from __future__ import annotations

from collections.abc import Sequence

PHASE = "phase"

#: Names of targets in `sklmat.datasets`, and the columns that hold them, with the unit.
UNITS = {
    "formation_energy": "formation energy (eV/atom)",
    "mixing_energy": "mixing energy (eV/atom)",
    "total_energy": "total energy (eV/atom)",
    "relaxation_energy": "relaxation energy (eV/atom)",
    "magnetic_moment": "magnetic moment (μB/atom)",
    "volume": "volume (Å³/atom)",
    "rmsd": "rmsd (Å)",
}

#: Words in names of quantities that do not determine the stable phase.
_NO_ENERGIES = ("moment", "magnet", "volume", "rmsd", "displacement", "relaxation")


def phase_column(table):
    """Return the name of the column of phases, or raise a ValueError when there is none."""
    if PHASE not in table:
        raise ValueError(f"the table has no column {PHASE!r}: screen more than one phase")
    return PHASE


def energy_column(columns: Sequence[str], energy: str | None = None) -> str:
    """Find the column of formation energies.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns of a table.
    energy : str or None, default=None
        Column to use. None takes the column that is named as a formation energy.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        When there is no such column or more than one, or when `energy` names a mixing energy or
        another quantity that does not determine the stable phase.
    """
    columns = [str(name) for name in columns]
    if energy is None:
        found = [name for name in columns if is_formation_energy(name)]
        if len(found) != 1:
            raise ValueError(
                f"cannot tell which of {columns} is the formation energy: name it, with energy= in "
                "stable_phase and energy_above_hull, by= or targets= in screen"
            )
        return found[0]
    if energy not in columns:
        raise ValueError(f"there is no column {energy!r} among {columns}")
    if "mixing" in energy.lower() or "emix" in energy.lower():
        raise ValueError(
            f"{energy!r} cannot choose a phase: mixing energies of different phases refer to "
            "different states of the elements; use the formation energy"
        )
    if not is_formation_energy(energy) and any(word in energy.lower() for word in _NO_ENERGIES):
        raise ValueError(
            f"{energy!r} is no formation energy, and neither chooses a phase nor makes a free "
            "energy: predict formation energies too, or one phase at a time"
        )
    return energy


def is_formation_energy(name):
    """Whether the name of a column is one of the usual names of a formation energy."""
    name = name.lower().replace("_", " ")
    return name.startswith(("formation energy", "eform"))
