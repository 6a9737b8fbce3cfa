"""Settings of ECNets that are trained in a moment, and what their tests compare."""

import torch
from skorch.callbacks import Callback

from sklmat.batches import make_batch
from sklmat.estimators import GraphModel

TINY = {
    "hidden_dim": 8,
    "n_filters": 8,
    "tower_dims": (8,),
    "n_conv": 1,
    "radial_step": 0.25,
    "max_epochs": 3,
    "n_ensemble": 2,
    "random_state": 0,
}
#: A training that leaves the weights where they start.
STILL = {**TINY, "max_epochs": 1, "lr": 1e-12, "weight_decay": 0.0}
CUTOFF = 5.0


def state(estimator):
    return {n: v.clone() for n, v in estimator.net_.module_.state_dict().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def of_members(model, graphs):
    """Predictions of the members in the unit of y, ndarray of shape (C, M, T)."""
    elements = GraphModel.of(model).inputs(graphs)
    with torch.no_grad():
        outputs = model.net_.module_.eval()(make_batch(elements)).double().numpy()
    return outputs * model.y_scale_ + model.y_mean_


class Kill(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_begin(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch:
            raise MemoryError
