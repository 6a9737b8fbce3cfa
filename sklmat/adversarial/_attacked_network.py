"""`AttackedNetwork`, the estimator under attack: its outputs, and their gradient in distances."""

from contextlib import contextmanager

import numpy as np
import torch

from sklmat.adversarial._prediction_error import Reference, prediction_error
from sklmat.batches import make_batch
from sklmat.estimators import GraphModel
from sklmat.graphs import (
    CrystalGraphs,
    ElementGraphs,
    radial_gradient_to_edges,
    rank_within_group,
)
from sklmat.training import suitable_threads


class AttackedNetwork:
    """The networks of an estimator, fitted or in training.

    Parameters
    ----------
    model : GraphModel
    scale, shift : ndarray of shape (T,), default=None
        Unit and zero of a regressor's outputs.
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
    def fitted(cls, estimator) -> "AttackedNetwork":
        """The networks of a fitted graph estimator, or of a frozen one.

        Raises
        ------
        TypeError
            When it is no graph estimator.
        NotFittedError
            When it is not fitted.
        """
        model = GraphModel.of(estimator, purpose="attacks")
        if model.is_classifier:
            return cls(model)
        return cls(model, model.targets.scale, model.targets.mean)

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs as the estimator gives them: classes, or numbers in the shape of `y`."""
        if self.is_classifier:
            return self.model.targets.decode(outputs)
        return self.model.targets.in_shape_of_y(outputs)

    def outputs(self, graphs: CrystalGraphs) -> np.ndarray:
        """Log-probabilities of the classes, or predictions: ndarray of shape (C, K or T)."""
        inputs = self.model.inputs(graphs)
        with self._without_weight_gradients(graphs):
            parts = [
                self._joint_outputs(make_batch(inputs[rows])) for rows in self._batches(graphs)
            ]
        return torch.cat(parts).double().numpy()

    def error(self, outputs: np.ndarray, reference: Reference) -> np.ndarray:
        """How wrong outputs of shape (C, K or T) are, ndarray of shape (C,): positive is wrong."""
        return prediction_error(torch.from_numpy(outputs), reference).numpy()

    def gradient(
        self, graphs: CrystalGraphs, reference: Reference
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Error of each crystal, and its derivative with respect to each distance.

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
        inputs, parts = self.model.inputs(graphs), []
        with self._without_weight_gradients(graphs), torch.enable_grad():
            for rows in self._batches(graphs):
                batch, variable = _differentiable_batch(inputs[rows])
                outputs = self._joint_outputs(batch).double()
                error = prediction_error(outputs, reference.select(rows))
                parts.append((outputs, error, *torch.autograd.grad(error.sum(), variable)))
        outputs, error, gradient = (torch.cat(part).detach().numpy() for part in zip(*parts))
        return outputs, error, _gradient_of_edges(graphs, inputs, gradient)

    def _batches(self, graphs):
        """Slices of neighbouring crystals, which are taken from graphs without a copy."""
        return [slice(rows[0], rows[-1] + 1) for rows in self.model.batches(graphs)]

    def _joint_outputs(self, batch):
        """Outputs of all members together, Tensor of shape (C, K or T) on the CPU."""
        parameter = next(self.model.modules[0].parameters())
        batch = batch.to(parameter.dtype).to(parameter.device)
        outputs = self.model.outputs(batch).cpu()
        if self.is_classifier:
            return torch.log_softmax(outputs, dim=2).logsumexp(dim=1) - np.log(outputs.shape[1])
        return outputs.mean(dim=1) * self.scale.to(outputs.dtype) + self.shift.to(outputs.dtype)

    @contextmanager
    def _without_weight_gradients(self, graphs):
        """Evaluation mode, and no gradients of weights; both are restored afterwards."""
        before = [
            (module.training, [parameter.requires_grad for parameter in module.parameters()])
            for module in self.model.modules
        ]
        for module in self.model.modules:
            module.eval().requires_grad_(False)
        n_edges = graphs.n_edges.mean() * min(self.model.batch_size, len(graphs))
        try:
            with torch.no_grad(), suitable_threads(self.model.modules[0], n_edges):
                yield
        finally:
            for module, (is_training, requires_grad) in zip(self.model.modules, before):
                module.train(is_training)
                for parameter, value in zip(module.parameters(), requires_grad):
                    parameter.requires_grad_(value)


def _differentiable_batch(inputs):
    """A batch, and the tensor in it with respect to which to differentiate."""
    if isinstance(inputs, ElementGraphs):
        batch = make_batch(inputs)
        return batch, batch.radial.requires_grad_()
    distance = torch.from_numpy(np.array(inputs.edge_distance)).requires_grad_()
    return make_batch(inputs, distance), distance


def _gradient_of_edges(graphs, inputs, gradient):
    """Gradient with respect to the distances of graphs, from that with respect to the inputs."""
    if isinstance(inputs, ElementGraphs):
        return radial_gradient_to_edges(graphs, inputs, gradient)
    n_neighbors = inputs.neighbor_counts
    if (n_neighbors < graphs.neighbor_counts).any():
        raise TypeError(
            "the network reads other edges than those of the graphs, so its gradient cannot be "
            "carried back to the distances; attack it with method='random'"
        )
    if inputs is not graphs:
        # Padding stands behind the real edges of each atom.
        rank = rank_within_group(n_neighbors)
        gradient = gradient[rank < np.repeat(graphs.neighbor_counts, n_neighbors)]
    return gradient.astype(np.float64)
