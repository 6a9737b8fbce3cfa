"""`AttackedNetwork`, the estimator under attack: its outputs, and their gradient in distances.

The only file of the attacks that knows estimators.
"""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.adversarial._prediction_error import Reference, prediction_error
from sklmat.batches import make_batch, pad_neighbors
from sklmat.estimators._base import GraphEstimator
from sklmat.graphs import (
    CrystalGraphs,
    ElementGraphs,
    radial_gradient_to_edges,
    rank_within_group,
)
from sklmat.training import EvenBatches, suitable_threads


class AttackedNetwork:
    """The networks of an estimator, fitted or in training.

    Parameters
    ----------
    estimator : GraphEstimator
        Says how graphs become inputs, how many of them a batch holds, and what an output means.
    modules : list of torch modules
        Members of the ensemble.
    is_padded : bool
        Whether they know missing neighbours as the original CGCNN does, see `pad_neighbors`.
    scale, shift : ndarray of shape (T,), default=None
        Unit and zero of a regressor's outputs.
    """

    def __init__(self, estimator, modules, is_padded, scale=None, shift=None):
        self.estimator = estimator
        self.modules = modules
        self.is_padded = is_padded
        self.is_classifier = is_classifier(estimator)
        self.scale, self.shift = scale, shift

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
        estimator = _thawed(estimator)
        if not isinstance(estimator, GraphEstimator):
            raise TypeError(
                "attacks need a fitted graph estimator (CGCNN or ECNet, as a classifier or a "
                f"regressor), got {type(estimator).__name__}"
            )
        check_is_fitted(estimator, "nets_")
        modules = [net.module_ for net in estimator.nets_]
        if is_classifier(estimator):
            return cls(estimator, modules, estimator.padded_)
        return cls(estimator, modules, estimator.padded_, estimator.y_scale_, estimator.y_mean_)

    @classmethod
    def in_training(cls, estimator, module, is_padded: bool, n_targets: int) -> "AttackedNetwork":
        """One network of an estimator that is being trained, in units of its scaled targets."""
        return cls(estimator, [module], is_padded, np.ones(n_targets), np.zeros(n_targets))

    @property
    def classes(self) -> np.ndarray:
        """The classes of a fitted classifier."""
        return self.estimator.classes_

    @property
    def n_targets(self) -> int:
        """The number of targets of a fitted regressor."""
        return self.estimator.n_outputs_

    def read_graphs(self, X) -> CrystalGraphs:
        """Graphs of crystals as they were built in `fit`, before padding."""
        graphs = self.estimator._graphs_like_fit(X)
        self.estimator._check_new(graphs)
        return graphs

    def inputs(self, graphs: CrystalGraphs) -> CrystalGraphs | ElementGraphs:
        """What the networks read."""
        return self.estimator._inputs(pad_neighbors(graphs) if self.is_padded else graphs)

    def check_targets(self, y) -> np.ndarray:
        """Validate targets as `fit` does."""
        return self.estimator._check_targets(y)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions as the estimator gives them."""
        if self.is_classifier:
            return self.classes[outputs.argmax(axis=1)]
        return outputs[:, 0] if self.estimator.target_ndim_ == 1 else outputs

    def outputs(self, graphs: CrystalGraphs) -> np.ndarray:
        """Log-probabilities of the classes, or predictions: ndarray of shape (C, K or T)."""
        inputs = self.inputs(graphs)
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
        inputs, parts = self.inputs(graphs), []
        with self._without_weight_gradients(graphs), torch.enable_grad():
            for rows in self._batches(graphs):
                batch, variable = _differentiable_batch(inputs[rows])
                outputs = self._joint_outputs(batch).double()
                error = prediction_error(outputs, reference.select(rows))
                parts.append((outputs, error, *torch.autograd.grad(error.sum(), variable)))
        outputs, error, gradient = (torch.cat(part).detach().numpy() for part in zip(*parts))
        return outputs, error, _gradient_of_edges(graphs, inputs, gradient)

    def _batches(self, graphs):
        """Slices of neighbouring crystals."""
        batches = EvenBatches(len(graphs), self.estimator.batch_size)
        return [slice(rows[0], rows[-1] + 1) for rows in batches]

    def _joint_outputs(self, batch):
        """Outputs of all members together, Tensor of shape (C, K or T) on the CPU."""
        parameter = next(self.modules[0].parameters())
        batch = batch.to(parameter.dtype).to(parameter.device)
        members = [module(batch) for module in self.modules]
        members = [output if output.ndim == 3 else output[:, None] for output in members]
        outputs = torch.cat(members, dim=1).cpu()
        if self.is_classifier:
            return torch.log_softmax(outputs, dim=2).logsumexp(dim=1) - np.log(outputs.shape[1])
        scale, shift = (
            torch.from_numpy(value).to(outputs.dtype) for value in (self.scale, self.shift)
        )
        return outputs.mean(dim=1) * scale + shift

    @contextmanager
    def _without_weight_gradients(self, graphs):
        """Evaluation mode, and no gradients of weights; both are restored afterwards."""
        before = [
            (module.training, [parameter.requires_grad for parameter in module.parameters()])
            for module in self.modules
        ]
        for module in self.modules:
            module.eval().requires_grad_(False)
        n_edges = graphs.n_edges.mean() * min(self.estimator.batch_size, len(graphs))
        try:
            with torch.no_grad(), suitable_threads(self.modules[0], n_edges):
                yield
        finally:
            for module, (is_training, requires_grad) in zip(self.modules, before):
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
    if inputs is not graphs:
        # Padding stands behind the real edges of each atom.
        rank = rank_within_group(inputs.neighbor_counts)
        gradient = gradient[rank < np.repeat(graphs.neighbor_counts, inputs.neighbor_counts)]
    return gradient.astype(np.float64)


def _thawed(estimator):
    """The estimator inside a frozen one."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def is_graph_classifier(estimator) -> bool:
    """Whether an estimator, fitted or not, classifies crystals by their graphs."""
    return is_classifier(estimator) and isinstance(_thawed(estimator), GraphEstimator)


def read_training_data(estimator, X, y) -> tuple[CrystalGraphs, np.ndarray]:
    """Graphs and targets of training rows, as `fit` of the estimator reads them."""
    graphs = estimator._fit_graphs(X, False)
    y = estimator._check_targets(y)
    if len(y) != len(graphs):
        raise ValueError(f"X has {len(graphs)} structures and y has {len(y)} rows")
    return graphs, y
