"""Screening of compositions: grids, predictions on disk, stable phases and free energies.

A grid is a sequence of tables, only a few of which are in memory at a time.
"""

from sklmat.screening._composition_grid import CompositionGrid, composition_grid
from sklmat.screening._predict_dataset import predict_dataset
from sklmat.screening._prediction_columns import PHASE as PHASE
from sklmat.screening._prediction_columns import energy_column as energy_column
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
    "predict_dataset",
    "screen",
    "shockley_queisser",
    "stable_phase",
]
