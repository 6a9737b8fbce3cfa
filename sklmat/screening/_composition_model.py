"""Models as functions of a table of fractions and a phase."""

import inspect

import numpy as np
from sklearn.exceptions import NotFittedError

from sklmat.screening._prediction_columns import PHASE, UNITS, fraction_columns

LATTICE = "lattice_"
ENTROPY = "mixing entropy (kB per atom)"


class CompositionModel:
    """A fitted model, asked for compositions on a grid.

    Parameters
    ----------
    model : fitted regressor
        Either its ``predict`` has a parameter ``phase`` and takes a table of fractions
        (`EFTGANRegressor`), or it was fitted on a table of fractions and one-hot lattices.
    columns : list of str
        Columns of the grid: ``x_Fe``, ...
    phases : sequence of str, str or None
        Phases to predict; None takes all that the model knows.
    return_std : bool
        Whether to ask the model for a standard deviation too.

    Attributes
    ----------
    phases : list
        ``[None]`` for a model without phases.
    """

    def __init__(self, model, columns, phases, return_std):
        # A search predicts with its best estimator, which alone knows the phases.
        self.model = model = getattr(model, "best_estimator_", model)
        self.return_std = return_std
        self.takes_phase = PHASE in inspect.signature(model.predict).parameters
        known = self._read_table_model() if not self.takes_phase else self._read_phase_model()
        other = [name for name in columns if name not in self.inputs]
        if other:
            raise ValueError(
                f"the model knows nothing of {_symbols(other)}: it was fitted on "
                f"{_symbols(fraction_columns(self.inputs))}"
            )
        self.phases = _checked_phases(phases, known)

    def _read_phase_model(self):
        """Inputs of a model with its own notion of phase; return the phases."""
        if not hasattr(self.model, "elements_"):
            raise NotFittedError(f"{type(self.model).__name__} is not fitted: call fit first")
        self.inputs = [f"x_{symbol}" for symbol in self.model.elements_]
        return list(self.model.phases_)

    def _read_table_model(self):
        """Inputs of a model of columns; return the phases among them."""
        names = getattr(self.model, "feature_names_in_", None)
        if names is None:
            raise TypeError(
                f"{type(self.model).__name__} is not fitted, or does not know what its columns "
                "mean: fit it on a DataFrame with columns such as x_Fe, x_Ni and lattice_fcc"
            )
        self.inputs = [str(name) for name in names]
        fractions = fraction_columns(self.inputs)
        lattices = [name for name in self.inputs if name.startswith(LATTICE)]
        other = [n for n in self.inputs if n not in (*fractions, *lattices, ENTROPY)]
        if other or not fractions:
            raise ValueError(
                f"a composition and a phase do not give the columns {other[:5]} that "
                f"{type(self.model).__name__} was fitted on: fit it on x_Fe, ..., lattice_fcc, ... "
                f"and {ENTROPY!r} alone"
            )
        return [name.removeprefix(LATTICE) for name in lattices] or [None]

    def predict(self, table):
        """Predict all phases.

        Parameters
        ----------
        table : DataFrame of shape (n, n_elements)

        Returns
        -------
        values : ndarray of shape (n, n_phases, n_targets)
        spread : ndarray of the same shape, or None
        """
        table = table.reindex(columns=fraction_columns(self.inputs), fill_value=0.0)
        outputs = [self._predict_phase(table, phase) for phase in self.phases]
        values, spreads = zip(*outputs)
        spread = np.stack(spreads, axis=1) if self.return_std else None
        return np.stack(values, axis=1), spread

    def _predict_phase(self, table, phase):
        settings = {"return_std": True} if self.return_std else {}
        if self.takes_phase:
            table, settings = table[self.inputs], {PHASE: phase, **settings}
        else:
            table = self._with_lattice(table, phase)
        try:
            output = self.model.predict(table, **settings)
        except TypeError as error:
            if not self.return_std or "return_std" not in str(error):
                raise
            raise TypeError(
                f"{type(self.model).__name__} cannot say how sure it is (its predict has no "
                "return_std): leave return_std out"
            ) from error
        values, spread = output if self.return_std else (output, None)
        return _as_columns(values, len(table)), _as_columns(spread, len(table))

    def _with_lattice(self, table, phase):
        new = {
            name: float(name == f"{LATTICE}{phase}")
            for name in self.inputs
            if name.startswith(LATTICE)
        }
        if ENTROPY in self.inputs:
            x = table.to_numpy()
            new[ENTROPY] = -(x * np.log(np.where(x > 0, x, 1))).sum(axis=1) + 0.0
        return table.assign(**new)[self.inputs]


def target_columns(model, targets, n_targets):
    """What the predictions are called.

    Given names are taken as they are; those that the model learned from a table get their unit
    where it is known.
    """
    if targets is not None:
        names = [targets] if isinstance(targets, str) else list(targets)
    else:
        learned = getattr(model, "target_names_", None)
        if learned is not None:
            names = [UNITS.get(name, str(name)) for name in learned]
        elif n_targets == 1:
            names = ["prediction"]
        else:
            names = [f"prediction {k}" for k in range(n_targets)]
    if len(names) != n_targets or len(set(names)) != n_targets:
        raise ValueError(f"the model predicts {n_targets} targets; targets are named {names}")
    return names


def _as_columns(values, n_rows):
    return None if values is None else np.asarray(values).reshape(n_rows, -1)


def _symbols(columns):
    return ", ".join(name.removeprefix("x_") for name in columns)


def _checked_phases(phases, known):
    if phases is None:
        return known
    phases = [phases] if isinstance(phases, str) else list(phases)
    other = [phase for phase in phases if phase not in known]
    if other or not phases or len(set(phases)) < len(phases):
        has = f"has the phases {known}" if known != [None] else "was fitted without phases"
        raise ValueError(f"phases={phases} cannot be predicted: the model {has}")
    return phases
