"""Training of networks: the only room that knows skorch."""

import contextlib
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from skorch.helper import predefined_split
from torch import nn
from torch.nn import functional as F

from sklmat.batches import as_is, make_batch
from sklmat.training._callbacks import (
    BestWeights,
    EpochLog,
    ProgressBar,
    Resume,
    Schedule,
    plain_history,
)

__all__ = [
    "EvenBatches",
    "GraphNet",
    "WeightedLoss",
    "make_net",
    "plain_history",
    "run_net",
    "seeded",
    "train_net",
]

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

    What differs from skorch: a batch is a `CrystalBatch`, a target is a pair of values and
    weights, a log line is an epoch, and a user who stops the training is told from a callback
    that does (skorch uses one exception for both).
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

    A short last batch would have the say of a full one in the batch norms.
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
        collate_fn=as_is,
    )


def choose_device(device):
    """Turn ``device="auto"`` into the best there is: CUDA, else the CPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


#: Numbers per edge array of a batch that make another thread worth waiting for.
_NUMBERS_PER_THREAD = 2**22


@contextlib.contextmanager
def suitable_threads(module, n_edges):
    """Use as many of torch's threads as a batch has work for, and put the number back.

    On the few ten thousand edges of a usual batch threads mostly wait for each other; on a machine
    that has other work they made training a hundred times slower.

    Parameters
    ----------
    module : CGCNN or ECNet
    n_edges : float
        Edges of a batch.
    """
    before = torch.get_num_threads()
    width = 2 * module.config["hidden_dim"] * module.config.get("n_members", 1)
    useful = int(n_edges * width // _NUMBERS_PER_THREAD)
    torch.set_num_threads(min(before, max(1, useful)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def seeded(seed):
    """Run with torch seeded, and leave the user's own random state as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


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


def train_net(
    net,
    train_set,
    valid_set=None,
    *,
    max_epochs,
    schedule="cosine",
    patience=None,
    seed=0,
    callbacks=(),
    verbose=False,
    description="fit",
    checkpoint=None,
    checkpoint_key="",
):
    """Train an initialised net, or train it further.

    Parameters
    ----------
    net : GraphNet
    train_set : GraphDataset
    valid_set : GraphDataset or None
        Rows on which to watch the loss.
    max_epochs : int
    schedule : {"constant", "cosine", "step"}
    patience : int or None
        Epochs without improvement on `valid_set` after which to stop.
    seed : int
        Order of the batches.
    callbacks : sequence of skorch callbacks
    verbose : bool
    description : str
        Name on the progress bar.
    checkpoint : path or None
        File that keeps the state of the training; see `Resume`.
    checkpoint_key : str

    Returns
    -------
    GraphNet
        The same, trained.
    """
    generator = torch.Generator().manual_seed(seed)
    first_epoch = len(net.history)
    n_steps = max_epochs * EvenBatches(len(train_set), net.batch_size).n_batches
    own = [Schedule(schedule, n_steps)] + ([BestWeights(patience)] if patience else [])
    resume = None
    if checkpoint is not None:
        resume = Resume(checkpoint, checkpoint_key, generator, own, first_epoch)
        resume.restore(net)
    done = len(net.history) - first_epoch
    added = own + ([resume] if resume else [])
    if verbose:
        added.append(ProgressBar(max_epochs, done, description))
    permanent = net.callbacks_
    # skorch also takes pairs of a name and a callback.
    added += [item[1] if isinstance(item, tuple) else item for item in callbacks]
    net.callbacks_ = permanent + [
        (f"added_{k}", callback.initialize()) for k, callback in enumerate(added)
    ]
    train_set.generator = generator
    if valid_set is not None:
        net.train_split = predefined_split(valid_set)
    try:
        with suitable_threads(net.module_, _edges_per_batch(train_set.graphs, net.batch_size)):
            net.partial_fit(train_set, epochs=max_epochs - done)
    finally:
        net.callbacks_ = permanent
        net.train_split = None
    if net.interrupted_:
        if len(net.history) - first_epoch < 2:
            raise KeyboardInterrupt
        warnings.warn(
            f"training was interrupted after {len(net.history) - first_epoch} of {max_epochs} "
            "epochs; the estimator can be used as it is",
            ConvergenceWarning,
            stacklevel=3,
        )
    return net


def run_net(net, graphs, batch_size, method="forward"):
    """Outputs of the module, in evaluation mode, without gradients.

    Parameters
    ----------
    net : GraphNet
    graphs : CrystalGraphs or ElementGraphs of C crystals
    batch_size : int
    method : {"forward", "embed", "elements", "contributions"}

    Returns
    -------
    ndarray of shape (C, ...), or (P, ...) for the methods that tell of elements
    """
    module = net.module_.eval()
    dtype = next(module.parameters()).dtype
    threads = suitable_threads(module, _edges_per_batch(graphs, batch_size))
    with torch.inference_mode(), threads:
        parts = [
            getattr(module, method)(make_batch(graphs[rows]).to(dtype).to(net.device)).cpu()
            for rows in EvenBatches(len(graphs), batch_size)
        ]
    return torch.cat(parts).numpy()


def _edges_per_batch(graphs, batch_size):
    return graphs.n_edges.sum() / max(len(graphs), 1) * min(batch_size, len(graphs))
