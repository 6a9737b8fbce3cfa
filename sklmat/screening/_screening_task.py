"""What `screen` does with each table of a grid."""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from sklmat.screening._composition_model import CompositionModel, target_columns
from sklmat.screening._prediction_columns import PHASE, energy_column
from sklmat.screening._thermodynamics import check_temperature, free_energy


@dataclass
class Task:
    """What is done with each table of the grid; sent to the workers."""

    model: CompositionModel
    names: list
    energy: str | None
    by: str | None
    largest: bool
    n_best: int | None
    temperatures: list
    stable_only: bool

    def __call__(self, table):
        """Predict a table; the rows to keep of it, and what the model warned of."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = self.rows(table)
        return rows, [(warning.category, str(warning.message)) for warning in caught]

    def rows(self, table):
        """The rows to keep of a table."""
        values, spread = self.model.predict(table)
        n, n_phases, _ = values.shape
        wrong = ~np.isfinite(values).all(axis=(1, 2))
        if wrong.any():
            raise ValueError(
                f"{wrong.sum()} predictions are not finite; the first is that of "
                f"{table.iloc[wrong.argmax()].to_dict()}"
            )
        if self.stable_only:
            energies = values[:, :, self.names.index(self.energy)]
            row, phase = np.arange(n), energies.argmin(axis=1)
        else:
            row, phase = np.divmod(np.arange(n * n_phases), n_phases)
        x = table.to_numpy(dtype=float)[row]
        columns = dict(zip(table.columns, x.T))
        if self.model.phases != [None]:
            columns[PHASE] = pd.Categorical.from_codes(phase, self.model.phases)
        columns |= zip(self.names, values[row, phase].T)
        if spread is not None:
            columns |= zip((f"spread of {name}" for name in self.names), spread[row, phase].T)
        for kelvin in self.temperatures:
            columns[free_energy_column(kelvin)] = free_energy(columns[self.energy], x, kelvin)
        return self.best(pd.DataFrame(columns))

    def best(self, rows):
        """The rows to keep, the best first."""
        if self.n_best is None:
            return rows
        values = rows[self.by].to_numpy()
        order = np.argsort(-values if self.largest else values, kind="stable")
        return rows.iloc[order[: self.n_best]].reset_index(drop=True)

    def gather(self, runs):
        """The rows to keep of all stretches, one after the other."""
        if self.n_best is None:
            return pd.concat(runs, ignore_index=True)
        best = None
        for rows in runs:
            best = rows if best is None else pd.concat([best, rows], ignore_index=True)
            best = self.best(best)
        return best

    def settings(self):
        """What distinguishes this run from others, for the journal."""
        return {
            "phases": self.model.phases,
            "targets": self.names,
            "keep": self.n_best or "all",
            "by": self.by,
            "largest": self.largest,
            "stable_only": self.stable_only,
            "temperature": self.temperatures,
            "return_std": self.model.return_std,
        }


def free_energy_column(kelvin):
    """What the column of free energies at a temperature is called."""
    return f"free energy at {kelvin:g} K (eV/atom)"


def make_task(asked, first, targets, keep, by, largest, stable_only, temperature):
    """Check what was asked for, with a prediction of the first composition."""
    n_targets = asked.predict(first.iloc[:1])[0].shape[2]
    names = target_columns(asked.model, targets, n_targets)
    temperatures = [] if temperature is None else np.atleast_1d(temperature).tolist()
    check_temperature(temperatures)
    if keep != "all" and (not isinstance(keep, Integral) or isinstance(keep, bool) or keep < 1):
        raise ValueError(f"keep must be 'all' or a positive number of rows, got {keep!r}")
    if keep == "all" and (by is not None or largest):
        raise ValueError("by and largest choose the best rows: say how many, with keep=")
    energy = None
    if stable_only or temperatures:
        energy = names[0] if n_targets == 1 else None
        energy = energy_column(names, energy)
    if keep != "all" and by is None:
        by = names[0] if n_targets == 1 else energy_column(names)
    sortable = [*names, *map(free_energy_column, temperatures)]
    if asked.return_std:
        sortable += [f"spread of {name}" for name in names]
    if by is not None and by not in sortable:
        raise ValueError(f"by={by!r} is not among {sortable}")
    n_best = None if keep == "all" else int(keep)
    return Task(asked, names, energy, by, largest, n_best, temperatures, stable_only)
