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
    """

    def __init__(
        self,
        model: GraphModel,
        scale: np.ndarray | None = None,
        shift: np.ndarray | None = None,
    ):
        self.model = model
        self.is_classifier = model.is_classifier
        if not self.is_classifier:
            self.scale, self.shift = torch.from_numpy(scale), torch.from_numpy(shift)

    @classmethod
    def fitted(cls, estimator: BaseEstimator) -> AttackedNetwork:
        """The networks of a fitted graph estimator, or of a frozen one.

        Raises
        ------
        TypeError
            When `estimator` is not a graph estimator.
        NotFittedError
            When `estimator` is not fitted.
        """
        model = GraphModel.of(estimator, purpose="attacks")
        if isinstance(model.targets, ClassTargets):
            return cls(model)
        return cls(model, model.targets.scale, model.targets.mean)

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs as the estimator gives them: classes, or numbers in the shape of `y`."""
        if isinstance(self.model.targets, ClassTargets):
            return self.model.targets.decode(outputs)
        return self.model.targets.in_shape_of_y(outputs)

    def outputs(self, graphs: CrystalGraphs) -> np.ndarray:
        """Log-probabilities of the classes, or predictions: ndarray of shape (C, K or T)."""
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
