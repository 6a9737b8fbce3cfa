"""`ScreeningTask`: predictions for one table of a grid, and the selection of rows to keep."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from sklmat.recorded_warnings import record_warnings
from sklmat.screening._composition_model import CompositionModel, target_columns
from sklmat.screening._prediction_columns import PHASE, energy_column
from sklmat.screening._thermodynamics import check_temperature, free_energy


@dataclass
class ScreeningTask:
    """The work of `screen` on each table of a grid; it is sent to the worker processes.

    Parameters
    ----------
    model : CompositionModel
    names : list of str
        Columns of the predictions.
    energy : str or None
        Column of formation energies, if they are needed.
    by : str or None
        Column by which rows are ranked, if only the best rows are kept.
    largest : bool
        Whether the best rows have the largest values.
    n_best : int or None
        Number of rows to keep; None keeps all.
    temperatures : list of float
        Temperatures (K) of the free energies to add.
    stable_only : bool
        Whether to keep only the phase with the lowest formation energy at each composition.
    """

    model: CompositionModel
    names: list[str]
    energy: str | None
    by: str | None
    largest: bool
    n_best: int | None
    temperatures: list[float]
    stable_only: bool

    def __call__(self, table):
        """Predict for a table; return the rows to keep and the warnings of the model."""
        with record_warnings() as caught:
            rows = self.predict_rows(table)
        return rows, [(warning.category, str(warning.message)) for warning in caught]

    def predict_rows(self, table):
        """Predict for a table; return the rows to keep.

        Parameters
        ----------
        table : DataFrame of shape (n, n_elements)
            Atomic fractions.

        Returns
        -------
        rows : DataFrame
            Fractions, phase, predictions, their standard deviations and free energies.
        """
        values, spread = self.model.predict(table)
        _check_finite(values, table)
        composition, phase = self._choose_phases(values)
        fractions = table.to_numpy(dtype=float)[composition]
        columns = dict(zip(table.columns, fractions.T))
        if self.model.phases != [None]:
            columns[PHASE] = pd.Categorical.from_codes(phase, self.model.phases)
        columns |= zip(self.names, values[composition, phase].T)
        if spread is not None:
            columns |= zip(map(spread_column, self.names), spread[composition, phase].T)
        for temperature in self.temperatures:
            energies = free_energy(columns[self.energy], fractions, temperature)
            columns[free_energy_column(temperature)] = energies
        return self.best_rows(pd.DataFrame(columns))

    def _choose_phases(self, values):
        """Return the numbers of the composition and of the phase of each row."""
        n_compositions, n_phases, _ = values.shape
        if not self.stable_only:
            return np.divmod(np.arange(n_compositions * n_phases), n_phases)
        energies = values[:, :, self.names.index(self.energy)]
        return np.arange(n_compositions), energies.argmin(axis=1)

    def best_rows(self, rows):
        """Keep the best rows of a table, best first; rows with equal values keep their order."""
        if self.n_best is None:
            return rows
        values = rows[self.by].to_numpy()
        order = np.argsort(-values if self.largest else values, kind="stable")
        return rows.iloc[order[: self.n_best]].reset_index(drop=True)

    def concatenate(self, tables):
        """Join the rows kept from successive tables, and keep the best of them."""
        if self.n_best is None:
            return pd.concat(tables, ignore_index=True)
        best = None
        for rows in tables:
            best = rows if best is None else pd.concat([best, rows], ignore_index=True)
            best = self.best_rows(best)
        return best

    def settings(self):
        """Return the settings that two runs must share to give the same rows."""
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


def free_energy_column(temperature):
    """Name the column of free energies at a temperature (K)."""
    return f"free energy at {temperature:g} K (eV/atom)"


def spread_column(name):
    """Name the column of standard deviations of a prediction."""
    return f"spread of {name}"


def make_task(model, first, targets, keep, by, largest, stable_only, temperature):
    """Validate the parameters of `screen`, with a prediction for the first composition.

    Parameters
    ----------
    model : CompositionModel
    first : DataFrame
        The first table of the grid.
    targets, keep, by, largest, stable_only, temperature
        As in `screen`.

    Returns
    -------
    ScreeningTask
    """
    n_targets = model.predict(first.iloc[:1])[0].shape[2]
    names = target_columns(model.target_names, targets, n_targets)
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
    if model.return_std:
        sortable += map(spread_column, names)
    if by is not None and by not in sortable:
        raise ValueError(f"by={by!r} is not among {sortable}")
    n_best = None if keep == "all" else int(keep)
    return ScreeningTask(model, names, energy, by, largest, n_best, temperatures, stable_only)


def _check_finite(values, table):
    """Raise an error when predictions are not numbers, or those for a composition not finite."""
    if values.dtype.kind not in "fiub":
        raise TypeError(
            f"the model predicts {str(values.flat[0])!r} for {table.iloc[0].to_dict()}, which is "
            "no number; screen with a regressor"
        )
    wrong = ~np.isfinite(values).all(axis=(1, 2))
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} predictions are not finite; the first is that of "
            f"{table.iloc[wrong.argmax()].to_dict()}"
        )
