"""`GraphNet`, the skorch net of all graph estimators, its `WeightedLoss` and its callbacks."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from torch import nn
from torch.nn import functional as F

from sklmat.batches import even_loader
from sklmat.layers import to_single
from sklmat.training._device import check_device
from sklmat.training._muon import Muon
from sklmat.training._precision import products_in

if TYPE_CHECKING:
    from sklmat.batches import CrystalBatch, ElementBatch, GraphDataset

_LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "mae": F.l1_loss,
    "mse": F.mse_loss,
    "huber": F.smooth_l1_loss,
    "cross_entropy": F.cross_entropy,
}
_OPTIMIZERS = {"adam": torch.optim.AdamW, "muon": Muon, "sgd": torch.optim.SGD}
#: Fraction of the steps over which the "cosine" schedule rises to the full learning rate.
_WARMUP = 0.1


class WeightedLoss(nn.Module):
    """Weighted mean of a loss; the weights have a mean of one over the training rows.

    Parameters
    ----------
    name : {"mae", "mse", "huber", "cross_entropy"}
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(
        self, prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compare predictions with targets.

        Parameters
        ----------
        prediction : Tensor of shape (C, T), or (C, M, T) for the members of an ensemble
        target : Tensor of shape (C, T), or classes (C,)
        weight : Tensor of shape (C,) or (C, T)

        Returns
        -------
        Tensor of shape ()
            Loss summed over the members, so that each is trained as if it were alone.
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


class Schedule(Callback):
    """Callback that sets the learning rate as a function of the fraction of steps done.

    Parameters
    ----------
    name : {"constant", "cosine", "step"}
        "cosine": the rate rises linearly over the first tenth of the steps and then falls to zero
        along half a cosine. "step": it is divided by ten after four fifths of the steps, as in the
        original CGCNN.
    n_steps : int
        Optimizer steps of the whole training.
    """

    def __init__(self, name, n_steps):
        self.name = name
        self.n_steps = n_steps
        self.step = 0

    def factor(self, fraction):
        """Learning rate in units of its largest value."""
        if self.name == "constant":
            return 1.0
        if self.name == "step":
            return 1.0 if fraction < 0.8 else 0.1
        if fraction < _WARMUP:
            return 0.04 + 0.96 * fraction / _WARMUP
        return 0.5 * (1 + np.cos(np.pi * (fraction - _WARMUP) / (1 - _WARMUP)))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Set the learning rate of the next step."""
        if training:
            rate = net.lr * self.factor(min(self.step / self.n_steps, 1.0))
            for group in net.optimizer_.param_groups:
                group["lr"] = float(rate)
            self.step += 1


class BestWeights(Callback):
    """Callback that stops when the validation loss no longer falls, and restores the best weights.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which the training stops.
    """

    def __init__(self, patience):
        self.patience = patience
        self.best_loss = np.inf
        self.best_epoch = 0
        self.weights = None

    def on_epoch_end(self, net, **kwargs):
        """Compare the epoch with the best one."""
        loss = net.history[-1]["valid_loss"]
        if loss < self.best_loss:
            self.best_loss = loss
            self.best_epoch = len(net.history)
            self.weights = {k: v.clone() for k, v in net.module_.state_dict().items()}
        if len(net.history) - self.best_epoch >= self.patience:
            raise KeyboardInterrupt

    def on_train_end(self, net, **kwargs):
        """Restore the best weights."""
        if self.weights is not None:
            net.module_.load_state_dict(self.weights)


class EpochLog(Callback):
    """Callback that records the losses of each epoch and deletes skorch's records of batches."""

    def on_epoch_end(self, net, **kwargs):
        """Average the losses over batches, weighted by their numbers of crystals."""
        row = net.history[-1]
        for kind in ("train", "valid"):
            batches = [b for b in row["batches"] if f"{kind}_loss" in b]
            if batches:
                sizes = [b[f"{kind}_batch_size"] for b in batches]
                losses = [b[f"{kind}_loss"] for b in batches]
                net.history.record(f"{kind}_loss", float(np.average(losses, weights=sizes)))
        net.history.record("lr", net.optimizer_.param_groups[0]["lr"])
        row["batches"].clear()
        if not np.isfinite(row["train_loss"]):
            raise FloatingPointError(
                f"the training loss became {row['train_loss']} in epoch {row['epoch']}; use a "
                f"smaller lr (now {net.lr}) or look for extreme values in y"
            )


class ProgressBar(Callback):
    """Callback that shows a progress bar over the epochs, with the losses."""

    def __init__(self, total, done, description):
        self.total = total
        self.done = done
        self.description = description
        self.bar = None

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        from tqdm.auto import tqdm

        self.bar = tqdm(total=self.total, initial=self.done, desc=self.description, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Advance the bar."""
        row = net.history[-1]
        self.bar.set_postfix({k: f"{row[k]:.4g}" for k in ("train_loss", "valid_loss") if k in row})
        self.bar.update()

    def on_train_end(self, net, **kwargs):
        """Close the bar."""
        self.bar.close()
        self.bar = None


class GraphNet(NeuralNet):
    """Skorch net of all graph estimators.

    Differences from skorch: a batch is a `CrystalBatch` or `ElementBatch`; a target is a pair of
    values and weights; the history has one record per epoch; `interrupted_` says whether the user,
    and not a callback, stopped the training (in skorch, both raise the same exception).
    """

    interrupted_ = False
    callbacks_: list[Any]
    captured_steps: Any = None
    #: Precision of the matrix products.
    precision = "float32"

    @property
    def optimizer_name(self) -> str:
        """Name of the optimizer, as in `make_net`."""
        return next(name for name, cls in _OPTIMIZERS.items() if self.optimizer is cls)

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer()), ("epoch_log", EpochLog())]

    def __getstate__(self):
        # It is the same object as `module_`, which skorch loads without a GPU too.
        state = super().__getstate__()
        del state["module"]
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        self.module = self.module_

    def infer(self, x: CrystalBatch | ElementBatch, **fit_params: Any) -> torch.Tensor:
        """Run the module on one batch; batches are made on the CPU and moved to the device."""
        batch = x if self.device == "cpu" else x.to(self.device)
        return self.compute(batch, **fit_params)

    def compute(self, batch: CrystalBatch | ElementBatch, **fit_params: Any) -> torch.Tensor:
        """Outputs of the module for a batch on its device, with products in `precision`."""
        with products_in(self.precision, self.device):
            return to_single(self.module_(batch, **fit_params))

    def get_loss(
        self,
        y_pred: torch.Tensor,
        y_true: tuple[torch.Tensor, torch.Tensor],
        X: Any = None,
        training: bool = False,
    ) -> torch.Tensor:
        """Loss of one batch."""
        target, weight = y_true
        return self.criterion_(y_pred, target.to(y_pred.device), weight.to(y_pred.device))

    def fit_loop(
        self, X: GraphDataset, y: Any = None, epochs: int | None = None, **fit_params: Any
    ) -> Self:
        """Train, and set `interrupted_` if the user stops the training."""
        self.interrupted_ = False
        try:
            return super().fit_loop(X, y, epochs=epochs, **fit_params)
        except KeyboardInterrupt as error:
            running = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
            self.interrupted_ = NeuralNet.notify.__code__ not in running
            raise

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable, **fit_params: Any
    ) -> None:
        """Run one epoch; training steps on a GPU are replayed without waiting for their losses."""
        if not training or self.captured_steps is None:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        steps = self.captured_steps
        self.module_.train()
        batches = list(iterator.batch_sampler)
        steps.begin_epoch(batches)
        for number, rows in enumerate(batches):
            self.notify("on_batch_begin", batch=None, training=True)
            steps.step(number, rows)
            self.notify("on_batch_end", batch=None, training=True)
        # skorch has begun a record for each batch.
        records = self.history[-1]["batches"][-len(batches) :]
        for record, loss, rows in zip(records, steps.losses.tolist(), batches):
            record |= {f"{prefix}_loss": loss, f"{prefix}_batch_size": len(rows)}
        self.history.record(f"{prefix}_batch_count", len(batches))

    def drop_unfinished_epoch(self) -> None:
        """Delete the record of an epoch that an error ended."""
        if len(self.history) and "dur" not in self.history[-1]:
            del self.history[-1]

    @contextlib.contextmanager
    def added_callbacks(self, callbacks: Sequence[Any]) -> Iterator[None]:
        """Add callbacks for one training, after the permanent ones of the net.

        Parameters
        ----------
        callbacks : sequence of skorch callbacks, or pairs of a name and a callback
        """
        permanent = self.callbacks_
        self.callbacks_ = list(permanent)
        for number, callback in enumerate(callbacks):
            if isinstance(callback, tuple):
                callback = callback[1]
            self.callbacks_.append((f"added_{number}", callback.initialize()))
        try:
            yield
        finally:
            self.callbacks_ = permanent


def make_net(
    module: nn.Module,
    *,
    loss: str,
    optimizer: str = "adam",
    lr: float,
    weight_decay: float,
    momentum: float = 0.9,
    batch_size: int,
    device: str | torch.device,
    precision: str = "float32",
) -> GraphNet:
    """Wrap a module into an initialised `GraphNet`."""
    device = check_device(device)
    # The fused optimizers update the weights in one pass; on a CPU, this of SGD rounds differently.
    own: dict[str, Any] = {
        "optimizer__fused": optimizer != "sgd" or torch.device(device).type == "cuda"
    }
    if optimizer == "sgd":
        own["optimizer__momentum"] = momentum
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
        device=device,
        verbose=0,
    )
    net.precision = precision
    return net.initialize()


def plain_history(net):
    """Losses, learning rate and duration (s) of each epoch as a list of dicts."""
    names = ("epoch", "train_loss", "valid_loss", "lr", "dur")
    return [{k: row[k] for k in names if k in row} for row in net.history]


def member_histories(nets: list[GraphNet]) -> list[dict[str, Any]]:
    """`plain_history` of all members of an ensemble, each row with the number of its member."""
    return [
        {"member": member, **row} for member, net in enumerate(nets) for row in plain_history(net)
    ]
