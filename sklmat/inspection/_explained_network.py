"""`ExplainedNetwork`: a network inside an estimator, and the number that is explained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.estimators import GraphModel, is_graph_estimator, name_of_other
from sklmat.model_inside import calibrated_models, find_model
from sklmat.recorded_warnings import frames_inside

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs

#: Largest difference between a prediction and the sum of its parts without a warning, as a fraction
#: of the largest difference between a prediction and its baseline.
_TOLERANCE = 0.01
#: The same for rounding in single precision, as a fraction of the size of the outputs.
_ROUNDING = 1e-5
#: Why sums of attributions that are exact by construction can differ from the predictions.
OF_BATCH = "the output of the network for a crystal depends on the other crystals of its batch"


@dataclass(frozen=True)
class ExplainedNetwork:
    """A fitted network and the number that is explained: ``outputs @ weights + shift``.

    Parameters
    ----------
    model : GraphModel
    weights : ndarray of shape (K,)
        For K outputs, which are the mean over the members of an ensemble.
    shift : float
    """

    model: GraphModel
    weights: np.ndarray
    shift: float

    def __call__(self, graphs: CrystalGraphs) -> np.ndarray:
        """Explained number of each crystal, ndarray of shape (C,)."""
        outputs = self.model.run(self.model.inputs(graphs)).astype(np.float64)
        return outputs.mean(axis=0) @ self.weights + self.shift

    def rounding(self, predictions: np.ndarray) -> float:
        """Error of rounding that sums of attributions to these predictions may have."""
        sizes = [np.abs(self.weights).sum(), *np.abs(predictions - self.shift)]
        return float(_ROUNDING * max(sizes))


def mean_over_networks(
    estimator: BaseEstimator,
    inputs: Sequence[Any],
    target: object,
    explain: Callable[..., pd.DataFrame],
    columns: Sequence[str] = ("attribution",),
) -> pd.DataFrame:
    """Explain the network inside an estimator, or take the mean over its networks.

    Parameters
    ----------
    estimator : fitted estimator
        What `find_model` can look into. A `CalibratedClassifierCV` may hold several networks.
    inputs : sequence
        Crystals, or None.
    target : int, class label or None
    explain : callable
        Returns the table of an `ExplainedNetwork` and the inputs, as they are after the steps
        before the network. The attributes of the table are numbers and lists of numbers.
    columns : sequence of str
        Columns of which the mean is taken; the others have to be the same for all networks.
    """
    inside = find_model(estimator)
    inputs = [None if X is None else inside.transform(X) for X in inputs]
    models = calibrated_models(inside.model)
    if models is None:
        model = graph_model(inside.model)
        weights, shift = _explained_output(model, target, inside)
        return explain(ExplainedNetwork(model, weights, shift), *inputs)
    tables = [mean_over_networks(each, inputs, target, explain, columns) for each in models]
    first, *others = [table.drop(columns=list(columns)) for table in tables]
    if not all(first.equals(other) for other in others):
        raise ValueError(
            "the networks inside the estimator read graphs with different edges; explain one of "
            "them, such as calibrated_classifiers_[0].estimator"
        )
    mean = tables[0]
    for name in columns:
        mean[name] = np.mean([table[name] for table in tables], axis=0)
    for key in mean.attrs:
        mean.attrs[key] = np.mean([table.attrs[key] for table in tables], axis=0).tolist()
    return mean


def graph_model(estimator: BaseEstimator) -> GraphModel:
    """Make the model of a fitted graph estimator, or raise a TypeError for another estimator."""
    if not is_graph_estimator(estimator):
        raise TypeError(
            "sites and pairs can be explained for graph estimators (CGCNN or ECNet) only, got "
            f"{name_of_other(estimator)}; for models of tables use shap_table"
        )
    model = GraphModel.of(estimator)
    # Small differences between predictions are lost in a lower precision.
    model.precision = "float32"
    return model


def _explained_output(model, target, inside):
    """Weights (K,) and shift: the explained number is weights @ outputs + shift, for K outputs."""
    if model.is_classifier:
        classes = model.targets.classes.tolist()
        if target is None and len(classes) == 2:
            target = classes[1]
        if target not in classes:
            raise ValueError(f"target must be one of the classes {classes}, got {target!r}")
        weights = np.full(len(classes), -1 / (len(classes) - 1))
        weights[classes.index(target)] = 1.0
        return weights, 0.0
    n_targets = model.targets.n_outputs
    if target is None and n_targets == 1:
        target = 0
    if target not in range(n_targets):
        raise ValueError(f"target must be a number from 0 to {n_targets - 1}, got {target!r}")
    scale, mean = inside.rescaled(model.targets.scale, model.targets.mean)
    weights = np.zeros(n_targets)
    weights[target] = scale[target]
    return weights, float(mean[target])


def add_residual(table: pd.DataFrame, beginning: str, remedy: str, is_complete: bool) -> None:
    """Compare the sums of attributions with the predictions, and warn if they differ.

    Parameters
    ----------
    table : DataFrame
        With the columns ``row`` and ``{beginning}attribution``, and the attributes ``baseline``,
        ``{beginning}prediction`` and ``rounding``. The attribute ``{beginning}residual`` is added.
    beginning : str
        Of the names: empty, or "perturbed ".
    remedy : str
        What to do if the sums differ, for the warning.
    is_complete : bool
        Whether a difference is an error, so that a warning is given.
    """
    baseline = np.array(table.attrs["baseline"])
    prediction = np.array(table.attrs[f"{beginning}prediction"])
    total = np.bincount(
        table["row"], weights=table[f"{beginning}attribution"], minlength=len(baseline)
    )
    residual = prediction - baseline - total
    table.attrs[f"{beginning}residual"] = residual.tolist()
    size = np.abs(residual)
    limit = _TOLERANCE * np.abs(prediction - baseline).max(initial=0) + table.attrs["rounding"]
    if is_complete and (size > limit).any():
        row = int(np.argmax(size))
        warnings.warn(
            f"attributions do not sum to the predictions: in row {row} the baseline and the "
            f"{beginning}attributions sum to {baseline[row] + total[row]:.6g}, the "
            f"{beginning}prediction is {prediction[row]:.6g} (residual {residual[row]:.2g}); "
            f"{remedy}",
            UserWarning,
            stacklevel=frames_inside(),
        )
