"""`CompositionModel`: a fitted model as a function of atomic fractions and a phase."""

import inspect

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, Pipeline

from sklmat.compositions import (
    MIXING_ENTROPY,
    fraction_column,
    fraction_columns,
    mixing_entropy,
)
from sklmat.features import CompositionFeaturizer
from sklmat.model_inside import find_model
from sklmat.screening._prediction_columns import PHASE, UNITS

#: Prefix of the names of one-hot columns of lattices.
LATTICE = "lattice_"


class CompositionModel:
    """A fitted model that predicts properties from atomic fractions and a phase.

    Parameters
    ----------
    model : fitted regressor
        Its ``predict`` has a parameter ``phase`` and takes a table of fractions
        (`EFTGANRegressor`), or it was fitted on a table of fractions and one-hot lattices, or it
        takes compositions, as a pipeline does that begins with a `CompositionFeaturizer`. It may be
        inside a search or another estimator that `find_model` opens.
    columns : list of str
        Columns of the grid: ``x_Fe``, ...
    phases : sequence of str, str or None
        Phases to predict; None takes all phases on which the model was fitted.
    return_std : bool
        Whether to predict standard deviations too.

    Attributes
    ----------
    inputs : list of str
        Columns that the model was fitted on.
    fractions : list of str
        Columns among `inputs` that hold atomic fractions.
    phases : list
        ``[None]`` for a model without phases.
    """

    def __init__(self, model, columns, phases, return_std):
        if isinstance(model, type) or not hasattr(model, "predict"):
            raise TypeError(f"estimator must be a fitted estimator with predict, got {model!r}")
        inside = find_model(model)
        self.model = inside.readers[0]
        self.target_names = _first_with("target_names_", inside.readers)
        self.return_std = return_std
        self.takes_phase = self.takes_compositions = self.takes_lattice = False
        of_phases = [reader for reader in inside.readers if takes_phase(reader)]
        if of_phases:
            known = self._read_phase_model(of_phases[0])
        else:
            names = _first_with("feature_names_in_", inside.readers)
            if names is None:
                known = self._read_composition_model(inside, columns)
            else:
                known = self._read_table_model(names)
        self.fractions = _fractions_among(self.inputs)
        unknown = [name for name in columns if name not in self.inputs]
        if unknown:
            raise ValueError(
                f"the model was not fitted on {_symbols(unknown)}, but on "
                f"{_symbols(self.fractions)}"
            )
        self.phases = _checked_phases(phases, known)

    def _read_phase_model(self, of_phases):
        """Store the inputs of a model whose ``predict`` has a phase; return its phases."""
        if not hasattr(of_phases, "elements_"):
            raise NotFittedError(f"{type(of_phases).__name__} is not fitted: call fit first")
        self.takes_phase = True
        self.inputs = [fraction_column(symbol) for symbol in of_phases.elements_]
        return list(of_phases.phases_)

    def _read_composition_model(self, inside, columns):
        """Store the inputs of a model that takes compositions; return its phases."""
        self.takes_compositions = True
        featurizers = list(_composition_featurizers(inside.steps[:1]))
        self.is_known_to_take_compositions = bool(featurizers)
        needed = [
            fraction_column(symbol)
            for each in featurizers
            if each.fractions_ and each.handle_unknown == "error"
            for symbol in each.elements_
        ]
        self.inputs = list(dict.fromkeys(needed)) or list(columns)
        lattices = [each.lattices_ for each in featurizers if each.lattice]
        self.takes_lattice = bool(lattices)
        return lattices[0] if lattices else [None]

    def _read_table_model(self, names):
        """Store the inputs of a model that was fitted on columns; return the phases among them."""
        self.inputs = [str(name) for name in names]
        fractions = _fractions_among(self.inputs)
        lattices = [name for name in self.inputs if name.startswith(LATTICE)]
        computable = {*fractions, *lattices, MIXING_ENTROPY}
        unknown = [name for name in self.inputs if name not in computable]
        if unknown or not fractions:
            raise ValueError(
                f"a composition and a phase do not give the columns {unknown[:5]} that "
                f"{type(self.model).__name__} was fitted on: fit it on x_Fe, ..., lattice_fcc, ... "
                f"and {MIXING_ENTROPY!r} alone, or fit a pipeline that begins with the "
                "CompositionFeaturizer"
            )
        return [name.removeprefix(LATTICE) for name in lattices] or [None]

    def predict(self, table):
        """Predict the properties of all phases.

        Parameters
        ----------
        table : DataFrame of shape (n, n_elements)

        Returns
        -------
        values : ndarray of shape (n, n_phases, n_targets)
        spread : ndarray of the same shape, or None
        """
        table = table.reindex(columns=self.fractions, fill_value=0.0)
        outputs = [self._predict_phase(table, phase) for phase in self.phases]
        values, spreads = zip(*outputs)
        spread = np.stack(spreads, axis=1) if self.return_std else None
        return np.stack(values, axis=1), spread

    def _predict_phase(self, table, phase):
        settings = {"return_std": True} if self.return_std else {}
        if self.takes_phase:
            table, settings = table[self.inputs], {PHASE: phase, **settings}
        elif self.takes_compositions:
            table = self._compositions(table, phase)
        else:
            table = self._add_columns(table, phase)
        try:
            output = self.model.predict(table, **settings)
        except (TypeError, ValueError) as error:
            name = type(self.model).__name__
            if not self.return_std or "return_std" not in str(error):
                if self.takes_compositions and not self.is_known_to_take_compositions:
                    raise TypeError(
                        f"{name} is not fitted, or does not know what its columns mean, and does "
                        f"not predict compositions ({error}): fit it on a DataFrame with columns "
                        "such as x_Fe, x_Ni and lattice_fcc, or fit a pipeline that begins with "
                        "the CompositionFeaturizer"
                    ) from error
                raise
            raise TypeError(
                f"{name} gives no uncertainty (its predict has no return_std): leave return_std out"
            ) from error
        values, spread = output if self.return_std else (output, None)
        return _as_columns(values, len(table)), _as_columns(spread, len(table))

    def _compositions(self, table, phase):
        """Compositions for a model that takes them, with the phase if it takes this, too."""
        from pymatgen.core import Composition

        symbols = [name.removeprefix("x_") for name in table.columns]
        rows = table.to_numpy(dtype=float).tolist()
        items = np.empty(len(rows), dtype=object)
        for number, row in enumerate(rows):
            items[number] = Composition({s: x for s, x in zip(symbols, row) if x > 0})
        return pd.DataFrame({"composition": items, PHASE: phase}) if self.takes_lattice else items

    def _add_columns(self, table, phase):
        """Add the other columns on which the model was fitted to the fractions."""
        columns = {
            name: float(name == f"{LATTICE}{phase}")
            for name in self.inputs
            if name.startswith(LATTICE)
        }
        if MIXING_ENTROPY in self.inputs:
            columns[MIXING_ENTROPY] = mixing_entropy(table.to_numpy())
        return table.assign(**columns)[self.inputs]


def takes_phase(model):
    """Whether ``predict`` of a model has a parameter ``phase``."""
    return PHASE in inspect.signature(model.predict).parameters


def _first_with(attribute, estimators):
    """The attribute of the first estimator that has it, or None."""
    for estimator in estimators:
        value = getattr(estimator, attribute, None)
        if value is not None:
            return value
    return None


def _composition_featurizers(transformers):
    """Generate the `CompositionFeaturizer`s among transformers, also inside unions."""
    for transformer in transformers:
        if isinstance(transformer, CompositionFeaturizer):
            yield transformer
        elif isinstance(transformer, FeatureUnion):
            yield from _composition_featurizers(part for _, part in transformer.transformer_list)
        elif isinstance(transformer, Pipeline):
            yield from _composition_featurizers(part for _, part in transformer.steps[:1])


def target_columns(fitted_names, targets, n_targets):
    """Name the predictions.

    Names in `targets` are used unchanged. To `fitted_names`, which the model took from a table, the
    unit is added if it is known.
    """
    if targets is not None:
        names = [targets] if isinstance(targets, str) else list(targets)
    else:
        if fitted_names is not None:
            names = [UNITS.get(name, str(name)) for name in fitted_names]
        elif n_targets == 1:
            names = ["prediction"]
        else:
            names = [f"prediction {number}" for number in range(n_targets)]
    if len(names) != n_targets or len(set(names)) != n_targets:
        raise ValueError(f"the model predicts {n_targets} targets; targets are named {names}")
    return names


def _fractions_among(columns):
    """Return the columns of fractions, named as in a grid, without the prefix of a FeatureUnion."""
    return [name for name in fraction_columns(columns) if name.startswith("x_")]


def _as_columns(values, n_rows):
    """Return predictions as a table of shape (n_rows, n_targets)."""
    return None if values is None else np.asarray(values).reshape(n_rows, -1)


def _symbols(columns):
    """Return the elements of columns of fractions, for messages."""
    return ", ".join(name.removeprefix("x_") for name in columns)


def _checked_phases(phases, known):
    """Return the phases to predict; raise a ValueError for phases that the model does not have."""
    if phases is None:
        return known
    phases = [phases] if isinstance(phases, str) else list(phases)
    unknown = [phase for phase in phases if phase not in known]
    if unknown or not phases or len(set(phases)) < len(phases):
        reason = f"has the phases {known}" if known != [None] else "was fitted without phases"
        raise ValueError(f"phases={phases} cannot be predicted: the model {reason}")
    return phases
