"""What an attack asks of networks: how wrong they are, and how that changes with each distance."""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.adversarial._prediction_error import error_of
from sklmat.batches import make_batch, pad_neighbors
from sklmat.estimators._base import GraphEstimator
from sklmat.graphs import ElementGraphs, radial_gradient_to_edges
from sklmat.training import EvenBatches, suitable_threads


class AttackedModel:
    """The networks of an estimator, fitted or in training, as an attack sees them.

    Parameters
    ----------
    estimator : GraphEstimator
        Says how graphs become inputs, how many of them a batch holds, and what an output means.
    modules : list of torch modules
        Members of the ensemble.
    padded : bool
        Whether they know missing neighbours as the original CGCNN does, see `pad_neighbors`.
    scale, shift : ndarray of shape (T,), default=None
        Unit and zero of a regressor's outputs.
    """

    def __init__(self, estimator, modules, padded, scale=None, shift=None):
        self.modules = modules
        self.inputs = estimator._inputs
        self.padded = padded
        self.batch_size = estimator.batch_size
        self.is_classifier = is_classifier(estimator)
        self.scale, self.shift = scale, shift

    def full(self, graphs):
        """Graphs with all the neighbours that the networks expect."""
        return pad_neighbors(graphs) if self.padded else graphs

    def outputs(self, graphs):
        """Log-probabilities of the classes, or predictions: ndarray of shape (C, K or T)."""
        with self._frozen(graphs):
            parts = [self._joint(self._batch(graphs[rows])[0]) for rows in self._batches(graphs)]
        return torch.cat(parts).double().numpy()

    def error(self, outputs, reference):
        """How wrong outputs are, ndarray of shape (C,): positive is wrong.

        Parameters
        ----------
        outputs : ndarray of shape (C, K or T)
        reference : Reference
        """
        return error_of(torch.from_numpy(outputs), reference).numpy()

    def slopes(self, graphs, reference):
        """Error of each crystal, and its derivative with respect to each distance.

        Parameters
        ----------
        graphs : CrystalGraphs of C crystals, E edges
        reference : Reference

        Returns
        -------
        error : ndarray of shape (C,)
        outputs : ndarray of shape (C, K or T)
        slope : ndarray of shape (E,)
            1/Å.
        """
        errors, outputs, slopes = [], [], []
        with self._frozen(graphs), torch.enable_grad():
            for rows in self._batches(graphs):
                part = graphs[rows]
                batch, leaf, carry = self._batch(part, with_leaf=True)
                output = self._joint(batch)
                error = error_of(output.double(), reference[rows])
                (gradient,) = torch.autograd.grad(error.sum(), leaf)
                slopes.append(carry(gradient.numpy()))
                errors.append(error.detach().numpy())
                outputs.append(output.detach().double().numpy())
        return np.concatenate(errors), np.concatenate(outputs), np.concatenate(slopes)

    def _batches(self, graphs):
        return EvenBatches(len(graphs), self.batch_size)

    def _batch(self, graphs, with_leaf=False):
        """A batch on the device, the leaf to derive by, and what maps its gradient to edges."""
        parameter = next(self.modules[0].parameters())
        full = self.full(graphs)
        inputs = self.inputs(full)
        leaf = carry = None
        if isinstance(inputs, ElementGraphs):
            batch = make_batch(inputs)
            if with_leaf:
                leaf = batch.radial.requires_grad_()

                def carry(gradient):
                    return radial_gradient_to_edges(graphs, inputs, gradient)

        else:
            if with_leaf:
                leaf = torch.from_numpy(np.array(full.edge_distance)).requires_grad_()
                real = _real_edges(full, graphs)

                def carry(gradient):
                    return gradient[real].astype(np.float64)

            batch = make_batch(full, leaf)
        return batch.to(parameter.dtype).to(parameter.device), leaf, carry

    def _joint(self, batch):
        """Outputs of all members together, Tensor of shape (C, K or T) on the CPU."""
        members = [module(batch) for module in self.modules]
        members = [m if m.ndim == 3 else m[:, None] for m in members]
        outputs = torch.cat(members, dim=1).cpu()
        if self.is_classifier:
            return torch.log_softmax(outputs, dim=2).logsumexp(dim=1) - np.log(outputs.shape[1])
        scale, shift = (torch.from_numpy(v).to(outputs.dtype) for v in (self.scale, self.shift))
        return outputs.mean(dim=1) * scale + shift

    @contextmanager
    def _frozen(self, graphs):
        """Evaluation mode, no gradients of weights; put back what was."""
        was = [(m.training, [p.requires_grad for p in m.parameters()]) for m in self.modules]
        for module in self.modules:
            module.eval().requires_grad_(False)
        n_edges = graphs.n_edges.mean() * min(self.batch_size, len(graphs))
        try:
            with torch.no_grad(), suitable_threads(self.modules[0], n_edges):
                yield
        finally:
            for module, (training, needed) in zip(self.modules, was):
                module.train(training)
                for parameter, value in zip(module.parameters(), needed):
                    parameter.requires_grad_(value)


def _real_edges(full, graphs):
    """Mask of the edges of padded graphs that are not padding, which ends each atom's list."""
    counts = full.neighbor_counts
    rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank < np.repeat(graphs.neighbor_counts, counts)


def fitted_model(estimator):
    """An `AttackedModel` of a fitted graph estimator, and the estimator itself, thawed.

    Raises
    ------
    TypeError
        When it is no graph estimator.
    """
    if isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    if not isinstance(estimator, GraphEstimator):
        raise TypeError(
            "attacks need a fitted graph estimator (CGCNN or ECNet, as a classifier or a "
            f"regressor), got {type(estimator).__name__}"
        )
    check_is_fitted(estimator, "nets_")
    modules = [net.module_ for net in estimator.nets_]
    if is_classifier(estimator):
        return AttackedModel(estimator, modules, estimator.padded_), estimator
    scaling = estimator.y_scale_, estimator.y_mean_
    model = AttackedModel(estimator, modules, estimator.padded_, *scaling)
    return model, estimator
