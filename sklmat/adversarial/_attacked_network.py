"""What an attack asks of networks: how wrong they are, and how that changes with each distance."""

from contextlib import contextmanager

import numpy as np
import torch

from sklmat.batches import make_batch
from sklmat.estimators import GraphModel
from sklmat.graphs import ElementGraphs, radial_gradient_to_edges
from sklmat.training import EvenBatches, suitable_threads


class AttackedModel:
    """The networks of an estimator, fitted or in training, as an attack sees them.

    Parameters
    ----------
    model : GraphModel
        Fitted, or in training.
    scale, shift : ndarray of shape (T,), default=None
        Unit and zero of a regressor's outputs.
    """

    def __init__(self, model, scale=None, shift=None):
        self.model = model
        self.modules = model.modules
        self.inputs = model.inputs
        self.full = model.pad
        self.batch_size = model.batch_size
        self.is_classifier = model.is_classifier
        self.scale, self.shift = scale, shift

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
        return _error(torch.from_numpy(outputs), reference).numpy()

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
                error = _error(output.double(), reference[rows])
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
        inputs = self.inputs(graphs)
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
        outputs = self.model.outputs(batch).cpu()
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


class Reference:
    """What predictions are measured against: classes, or numbers and how far off is wrong.

    Parameters
    ----------
    values : ndarray of shape (C,), integers
        Index of the right class; or of shape (C, T), the numbers.
    threshold : ndarray of shape (T,) or (C, T), default=None
        For numbers: an error above it is wrong.
    """

    def __init__(self, values, threshold=None):
        self.values = values
        self.threshold = threshold

    def __getitem__(self, rows):
        threshold = self.threshold
        if threshold is not None and threshold.ndim == 2:
            threshold = threshold[rows]
        return Reference(self.values[rows], threshold)


def _error(outputs, reference):
    """Positive where wrong: log-odds against the right class, or excess over the threshold."""
    values = torch.as_tensor(reference.values)
    if reference.threshold is None:
        right = outputs.gather(1, values[:, None])[:, 0]
        others = outputs.scatter(1, values[:, None], -torch.inf)
        return others.max(dim=1).values - right
    difference = outputs - values
    # At zero, where a prediction is its own reference, up is as good as down.
    sign = torch.where(difference < 0, -1.0, 1.0).to(outputs.dtype).detach()
    return (sign * difference / torch.as_tensor(reference.threshold)).max(dim=1).values - 1


def fitted_model(estimator):
    """An `AttackedModel` of a fitted graph estimator.

    Raises
    ------
    TypeError
        When it is no graph estimator.
    """
    model = GraphModel.of(estimator)
    if model.is_classifier:
        return AttackedModel(model)
    return AttackedModel(model, model.targets.scale, model.targets.mean)
