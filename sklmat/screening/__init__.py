"""Compositions by the million: grids, predictions that stream to disk, phases and free energies.

A grid is a sequence of chunks, so nothing here holds more than a few of them in memory.
"""

from sklmat.screening._composition_grid import CompositionGrid, composition_grid
from sklmat.screening._screen import screen
from sklmat.screening._shockley_queisser import shockley_queisser
from sklmat.screening._thermodynamics import (
    configurational_entropy,
    energy_above_hull,
    free_energy,
    lattice_parameter,
    stable_phase,
)

__all__ = [
    "CompositionGrid",
    "composition_grid",
    "configurational_entropy",
    "energy_above_hull",
    "free_energy",
    "lattice_parameter",
    "screen",
    "shockley_queisser",
    "stable_phase",
]
