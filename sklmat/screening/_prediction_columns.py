"""Which column of a table is what."""

import numpy as np
import pandas as pd

from sklmat.augmentation._fractions import SUM_TOLERANCE

PHASE = "phase"

#: Words in the names of quantities that say nothing of stability.
_NO_ENERGIES = ("moment", "magnet", "volume", "rmsd", "displacement", "relaxation")

#: Names of targets in `sklmat.datasets`, and how a table writes them.
UNITS = {
    "formation_energy": "formation energy (eV/atom)",
    "mixing_energy": "mixing energy (eV/atom)",
    "total_energy": "total energy (eV/atom)",
    "relaxation_energy": "relaxation energy (eV/atom)",
    "magnetic_moment": "magnetic moment (μB/atom)",
    "volume": "volume (Å³/atom)",
    "rmsd": "rmsd (Å)",
}


def fraction_columns(columns):
    """The columns ``x_Fe``, ... among those given."""
    return [name for name in columns if isinstance(name, str) and name.startswith("x_")]


def fractions_of(x):
    """Atomic fractions as a checked array."""
    if isinstance(x, pd.DataFrame):
        columns = fraction_columns(x.columns)
        if not columns:
            raise ValueError("the table has no columns of fractions: call them x_Fe, x_Ni, ...")
        x = x[columns]
    x = np.asarray(x, dtype=float)
    if x.ndim not in (1, 2) or not x.shape[-1]:
        raise ValueError(f"fractions must be a row or a table, got shape {x.shape}")
    with np.errstate(invalid="ignore"):
        wrong = ~((x >= 0).all(axis=-1) & (np.abs(x.sum(axis=-1) - 1) <= SUM_TOLERANCE))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"row {row} is no composition: {np.atleast_2d(x)[row]}; fractions must be 0 or "
            f"more and add up to one (within {SUM_TOLERANCE})"
        )
    return x


def phase_column(table):
    """Name of the column of phases."""
    if PHASE not in table:
        raise ValueError(f"the table has no column {PHASE!r}: screen more than one phase")
    return PHASE


def energy_column(columns, energy=None):
    """The column of formation energies."""
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
    """Whether a column is called formation energy, in one of the usual ways."""
    name = name.lower().replace("_", " ")
    return name.startswith(("formation energy", "eform"))
