"""`GraphModel`: what other modules may ask of a graph estimator."""

import numpy as np
import torch
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.batches import pad_neighbors
from sklmat.estimators._base import GraphEstimator
from sklmat.estimators._targets import GraphClassifier


class GraphModel:
    """The networks of a graph estimator, fitted or in training, as a function of crystal graphs."""

    def __init__(self, estimator, modules, targets, padded):
        self.estimator, self.modules = estimator, modules
        self.targets, self.padded = targets, padded

    @classmethod
    def of(cls, estimator):
        """The model of a fitted estimator."""
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        if not is_graph_estimator(estimator):
            raise TypeError(
                "this needs a fitted graph estimator (CGCNN or ECNet, as a classifier or a "
                f"regressor), got {type(estimator).__name__}"
            )
        check_is_fitted(estimator, "nets_")
        modules = [net.module_ for net in estimator.nets_]
        return cls(estimator, modules, FittedTargets(estimator), estimator.padded_)

    @property
    def batch_size(self):
        """Crystals that are evaluated at a time."""
        return self.estimator.batch_size

    @property
    def is_classifier(self):
        """Whether the outputs are logits of classes."""
        return is_classifier(self.estimator)

    def read_graphs(self, X):
        """Graphs of crystals, built and checked as for `predict`, without padding."""
        graphs = self.estimator._graphs_like_fit(X)
        if len(graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to predict")
        self.estimator._check_new(graphs)
        return graphs

    def inputs(self, graphs):
        """What the networks read of graphs, padded where they expect it; for `make_batch`."""
        return self.estimator._inputs(pad_neighbors(graphs) if self.padded else graphs)

    def outputs(self, batch):
        """Outputs of all members for one batch, Tensor of shape (C, M, K), with gradients."""
        members = [module(batch) for module in self.modules]
        members = [member if member.ndim == 3 else member[:, None] for member in members]
        return torch.cat(members, dim=1)


class FittedTargets:
    """Between the `y` of a user and the outputs of the networks."""

    def __init__(self, estimator):
        self.estimator = estimator
        if is_classifier(estimator):
            self.classes = estimator.classes_
        else:
            self.scale, self.mean = estimator.y_scale_, estimator.y_mean_
        self.n_outputs = estimator.n_outputs_

    def check(self, y):
        """Return `y` as an array, or say which rows cannot be used."""
        return self.estimator._check_targets(y)

    def encode(self, y):
        """Numbers of the classes, Tensor of shape (C,), int64; unknown ones are refused."""
        codes = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        unknown = np.flatnonzero(self.classes[codes] != y)
        if len(unknown):
            row, known = int(unknown[0]), self.classes.tolist()
            raise ValueError(f"row {row} has the class {str(y[row])!r}, not one of {known}")
        return torch.from_numpy(codes)

    def decode(self, outputs):
        """The likeliest class of each row of outputs."""
        return self.classes[outputs.argmax(axis=-1)]

    def in_shape_of_y(self, values):
        """Leave out the last axis where `y` had none."""
        return values[..., 0] if self.estimator.target_ndim_ == 1 else values


class ClassTargets:
    """One class per crystal."""

    def check(self, y):
        """Return `y` as an array of shape (C,), or say which rows cannot be used."""
        return GraphClassifier._check_targets(self, y)


def is_graph_estimator(estimator):
    """Whether this is a CGCNN or an ECNet."""
    return isinstance(estimator, GraphEstimator)


def training_graphs(estimator, X):
    """Graphs of training rows, as the parameters of an estimator or the graphs themselves say."""
    return estimator._fit_graphs(X, False)
