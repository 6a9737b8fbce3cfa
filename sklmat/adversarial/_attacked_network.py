"""`AttackedNetwork`: outputs of the attacked estimator, and gradients for distances."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from sklmat.adversarial._prediction_error import Reference, prediction_error
from sklmat.batches import ElementBatch, EvenBatches, make_batch
from sklmat.estimators import ClassTargets, GraphModel
from sklmat.graphs import (
    CrystalGraphs,
    ElementGraphs,
    radial_gradient_to_edges,
    rank_within_group,
)
from sklmat.model_inside import calibrated_models, find_model, preferred_class
from sklmat.training import suitable_threads

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


class AttackedNetwork:
    """The networks of an estimator, fitted or in training.

    Parameters
    ----------
    model : GraphModel
    scale, shift : ndarray of shape (T,), default=None
        For regressors: predictions are outputs * scale + shift. T is the number of targets.
    smallest_probabilities : ndarray of shape (K,), default=None
        For classifiers: the predicted class is the one whose probability is the largest multiple of
        these numbers. None takes the most probable class.
    """

    def __init__(
        self,
        model: GraphModel,
        scale: np.ndarray | None = None,
        shift: np.ndarray | None = None,
        smallest_probabilities: np.ndarray | None = None,
    ):
        self.model = model
        self.is_classifier = model.is_classifier
        if not self.is_classifier:
            self.scale, self.shift = torch.from_numpy(scale), torch.from_numpy(shift)
        self.log_smallest = torch.zeros(1)
        if smallest_probabilities is not None:
            self.log_smallest = torch.from_numpy(np.log(smallest_probabilities)).float()

    @classmethod
    def fitted(cls, estimator: BaseEstimator) -> AttackedNetwork:
        """The networks of a fitted graph estimator, which may be inside another estimator.

        Raises
        ------
        TypeError
            When the model inside `estimator` is not a graph estimator, or is calibrated.
        ValueError
            When a `TransformedTargetRegressor` does more than scale and shift `y`.
        NotFittedError
            When `estimator` is not fitted.
        """
        inside = find_model(estimator)
        if calibrated_models(inside.model) is not None:
            raise TypeError(
                "attacks need the network that makes the prediction, and a CalibratedClassifierCV "
                "changes the prediction of its networks; pass one of them, "
                "estimator.calibrated_classifiers_[0].estimator"
            )
        model = GraphModel.of(inside.model, purpose="attacks")
        targets = model.targets
        if isinstance(targets, ClassTargets):
            smallest = None
            if inside.threshold is not None:
                smallest = _smallest_probabilities(*preferred_class(inside.threshold), targets)
            return cls(model, smallest_probabilities=smallest)
        return cls(model, *inside.rescaled(targets.scale, targets.mean))

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs as the estimator gives them: classes, or numbers in the shape of `y`."""
        if isinstance(self.model.targets, ClassTargets):
            return self.model.targets.decode(outputs)
        return self.model.targets.in_shape_of_y(outputs)

    def outputs(self, graphs: CrystalGraphs) -> np.ndarray:
        """Log-probabilities of the classes, or predictions: ndarray of shape (C, K or T).

        With another threshold of a classifier, minus the logarithm of the smallest probabilities.
        """
        return self._run(graphs)[1]

    def error(self, outputs: np.ndarray, reference: Reference) -> np.ndarray:
        """Error of outputs of shape (C, K or T), ndarray of shape (C,): positive is wrong."""
        return prediction_error(torch.from_numpy(outputs), reference).numpy()

    def evaluate(
        self, graphs: CrystalGraphs, reference: Reference
    ) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of shape (C, K or T), and their errors of shape (C,): positive is wrong."""
        _, outputs, error = self._run(graphs, reference)
        return outputs, error

    def gradient(
        self, graphs: CrystalGraphs, reference: Reference
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Outputs and error of each crystal, and derivative of the error by each distance.

        Parameters
        ----------
        graphs : CrystalGraphs of C crystals, E edges
        reference : Reference

        Returns
        -------
        outputs : ndarray of shape (C, K or T)
        error : ndarray of shape (C,)
        gradient : ndarray of shape (E,)
            1/Å.
        """
        inputs, outputs, error, gradient = self._run(graphs, reference, with_gradient=True)
        if inputs is not graphs:
            gradient = _gradient_of_edges(graphs, inputs, gradient)
        return outputs, error, gradient.astype(np.float64)

    def _run(self, graphs, reference=None, with_gradient=False):
        """Inputs and outputs; with a reference also errors, and `with_gradient` their gradient.

        The gradient is with respect to the inputs: distances, or radial distributions (ECNet).
        """
        batch_size, weight = self.model.batch_size, next(self.model.modules[0].parameters())
        inputs, n_crystals = self.model.inputs(graphs), len(graphs)
        n_edges = len(graphs.edge_distance) / n_crystals * min(batch_size, n_crystals)
        parts = []
        with self._evaluation_mode(n_edges), torch.set_grad_enabled(with_gradient):
            for rows in EvenBatches(n_crystals, batch_size):
                # A slice of consecutive crystals is taken from the graphs without a copy.
                batch = make_batch(inputs, slice(rows[0], rows[-1] + 1), like=weight)
                if with_gradient:
                    is_elements = isinstance(batch, ElementBatch)
                    variable = batch.radial if is_elements else batch.distance
                    variable.requires_grad_()
                # Averages over the ensemble: mean probabilities, or mean predictions.
                outputs = self.model.outputs(batch).cpu()
                if self.is_classifier:
                    n_members = outputs.shape[1]
                    outputs = torch.log_softmax(outputs, dim=2).logsumexp(dim=1) - np.log(n_members)
                    outputs = outputs - self.log_smallest.to(outputs.dtype)
                else:
                    scale, shift = self.scale.to(outputs.dtype), self.shift.to(outputs.dtype)
                    outputs = outputs.mean(dim=1) * scale + shift
                part = [outputs.double()]
                if reference is not None:
                    part.append(prediction_error(part[0], reference.select(rows)))
                if with_gradient:
                    (gradient,) = torch.autograd.grad(part[1].sum(), variable)
                    part.append(gradient.cpu())
                parts.append(part)
            arrays = [torch.cat(part).detach().numpy() for part in zip(*parts)]
        return inputs, *arrays

    @contextmanager
    def _evaluation_mode(self, n_edges):
        """Evaluation mode, and no gradients of weights; both are restored afterwards."""
        before = [
            (module.training, [parameter.requires_grad for parameter in module.parameters()])
            for module in self.model.modules
        ]
        for module in self.model.modules:
            module.eval().requires_grad_(False)
        try:
            with torch.no_grad(), suitable_threads(self.model.modules[0], n_edges):
                yield
        finally:
            for module, (is_training, requires_grad) in zip(self.model.modules, before):
                module.train(is_training)
                for parameter, value in zip(module.parameters(), requires_grad):
                    parameter.requires_grad_(value)


def _smallest_probabilities(label, smallest, targets):
    """Smallest probability with which each of two classes is predicted, ndarray of shape (2,)."""
    if not 0 < smallest < 1:
        raise ValueError(
            f"the classifier predicts {label!r} for every crystal, because its threshold is not "
            "between 0 and 1"
        )
    return np.where(targets.classes == label, smallest, 1 - smallest)


def _gradient_of_edges(graphs, inputs, gradient):
    """Gradient with respect to distances, from the gradient with respect to the inputs."""
    if isinstance(inputs, ElementGraphs):
        return radial_gradient_to_edges(graphs, inputs, gradient)
    n_neighbors = inputs.neighbor_counts
    if (n_neighbors < graphs.neighbor_counts).any():
        raise TypeError(
            "the network reads other edges than those of the graphs, so its gradient cannot be "
            "carried back to the distances; attack it with method='random'"
        )
    # Padding edges come after the real edges of each atom.
    rank = rank_within_group(n_neighbors)
    return gradient[rank < np.repeat(graphs.neighbor_counts, n_neighbors)]
