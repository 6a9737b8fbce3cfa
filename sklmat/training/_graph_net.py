"""`GraphNet`, the skorch net of all graph estimators: module, loss, optimizer and batches."""

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from torch import nn
from torch.nn import functional as F

from sklmat.training._callbacks import EpochLog

_LOSSES = {
    "mae": F.l1_loss,
    "mse": F.mse_loss,
    "huber": F.smooth_l1_loss,
    "cross_entropy": F.cross_entropy,
}
_OPTIMIZERS = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD}


class WeightedLoss(nn.Module):
    """Mean of a loss times its weight; weights have a mean of one.

    Parameters
    ----------
    name : {"mae", "mse", "huber", "cross_entropy"}
    """

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, prediction, target, weight):
        """Compare predictions with targets.

        Parameters
        ----------
        prediction : Tensor of shape (C, T), or (C, M, T) for the members of an ensemble
        target : Tensor of shape (C, T), or classes (C,)
        weight : Tensor of shape (C,) or (C, T)

        Returns
        -------
        Tensor of shape ()
            Summed over the members, so that each learns as it would alone.
        """
        n_members = 1
        if prediction.ndim == 3:
            n_members = prediction.shape[1]
            prediction = prediction.flatten(0, 1)
            target = target.repeat_interleave(n_members, dim=0)
            weight = weight.repeat_interleave(n_members, dim=0)
        loss = _LOSSES[self.name](prediction, target, reduction="none")
        if loss.ndim > weight.ndim:
            weight = weight[:, None]
        return (loss * weight).mean() * n_members


class GraphNet(NeuralNet):
    """The skorch net of all graph estimators.

    What differs from skorch: a batch is a `CrystalBatch`, a target is a pair of values and weights,
    a log line is an epoch, and `interrupted_` says whether the user ended the training rather than
    a callback (skorch uses one exception for both).
    """

    interrupted_ = False
    _from_callback = False

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("epoch_log", EpochLog())]

    def infer(self, x, **fit_params):
        """Run the module on one batch."""
        return self.module_(x.to(self.device), **fit_params)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Loss of one batch."""
        target, weight = (tensor.to(y_pred.device) for tensor in y_true)
        return self.criterion_(y_pred, target, weight)

    def notify(self, method_name, **cb_kwargs):
        """Tell the callbacks, and note when one of them ends the training."""
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt:
            self._from_callback = True
            raise

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train, and note when the user ends it."""
        self.interrupted_ = self._from_callback = False
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        except KeyboardInterrupt:
            self.interrupted_ = not self._from_callback
            raise


class EvenBatches:
    """Batches of nearly equal size, shuffled by their own generator.

    A short last batch would count as much as a full one in the batch norms.
    """

    def __init__(self, n_samples, batch_size, generator=None):
        self.n_samples = n_samples
        self.n_batches = -(-n_samples // batch_size)
        self.generator = generator

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        order = (
            torch.arange(self.n_samples)
            if self.generator is None
            else torch.randperm(self.n_samples, generator=self.generator)
        )
        return iter(np.array_split(order.numpy(), self.n_batches))


def even_loader(dataset, batch_size):
    """A ``DataLoader`` over `EvenBatches`, shuffled by the data set's generator if it has one.

    The data set carries the generator because a net must be picklable and generators are not.
    """
    return torch.utils.data.DataLoader(
        dataset,
        batch_sampler=EvenBatches(len(dataset), batch_size, dataset.generator),
        collate_fn=_as_is,
    )


def _as_is(batch):
    """Collate function for a data set that already returns batches."""
    return batch


def choose_device(device):
    """Turn ``device="auto"`` into the best there is: CUDA, else the CPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def make_net(module, *, loss, optimizer="adam", lr, weight_decay, momentum=0.9, batch_size, device):
    """Wrap a module into an initialised `GraphNet`."""
    # One pass over the weights in place of several.
    own = {"optimizer__momentum": momentum} if optimizer == "sgd" else {"optimizer__fused": True}
    net = GraphNet(
        module,
        criterion=WeightedLoss,
        criterion__name=loss,
        optimizer=_OPTIMIZERS[optimizer],
        optimizer__weight_decay=weight_decay,
        **own,
        lr=lr,
        batch_size=batch_size,
        iterator_train=even_loader,
        iterator_valid=even_loader,
        train_split=None,
        device=choose_device(device),
        verbose=0,
    )
    return net.initialize()
