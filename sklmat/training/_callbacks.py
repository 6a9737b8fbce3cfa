"""Callbacks of a training: `Schedule`, `BestWeights`, `EpochLog` and `ProgressBar`."""

import numpy as np
from skorch.callbacks import Callback

#: Fraction of the steps over which the "cosine" schedule rises to the full learning rate.
_WARMUP = 0.1


class Schedule(Callback):
    """Learning rate as a function of the fraction of steps done.

    Parameters
    ----------
    name : {"constant", "cosine", "step"}
        "cosine" rises linearly over the first tenth and falls to zero along half a cosine; "step"
        divides by ten after four fifths, as the original CGCNN does.
    n_steps : int
        Optimisation steps of the whole training.
    """

    def __init__(self, name, n_steps):
        self.name = name
        self.n_steps = n_steps
        self.step = 0

    def factor(self, fraction):
        """Multiple of the full learning rate."""
        if self.name == "constant":
            return 1.0
        if self.name == "step":
            return 1.0 if fraction < 0.8 else 0.1
        if fraction < _WARMUP:
            return 0.04 + 0.96 * fraction / _WARMUP
        return 0.5 * (1 + np.cos(np.pi * (fraction - _WARMUP) / (1 - _WARMUP)))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Set the rate of the coming step."""
        if training:
            rate = net.lr * self.factor(min(self.step / self.n_steps, 1.0))
            for group in net.optimizer_.param_groups:
                group["lr"] = float(rate)
            self.step += 1


class BestWeights(Callback):
    """Stop when the validation loss no longer falls, and go back to the best weights.

    Parameters
    ----------
    patience : int
        Epochs without an improvement after which to stop.
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
        """Put the best weights back."""
        if self.weights is not None:
            net.module_.load_state_dict(self.weights)


class EpochLog(Callback):
    """Record the losses of each epoch as plain numbers, and drop skorch's log of each batch."""

    def on_epoch_end(self, net, **kwargs):
        """Average over batches, weighted by their crystals."""
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
    """A bar over the epochs, with the losses beside it."""

    def __init__(self, total, done, description):
        self.total = total
        self.done = done
        self.description = description
        self.bar = None

    def on_train_begin(self, net, **kwargs):
        """Open the bar."""
        from tqdm import tqdm

        self.bar = tqdm(total=self.total, initial=self.done, desc=self.description, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        """Advance it."""
        row = net.history[-1]
        self.bar.set_postfix({k: f"{row[k]:.4g}" for k in ("train_loss", "valid_loss") if k in row})
        self.bar.update()

    def on_train_end(self, net, **kwargs):
        """Close it."""
        self.bar.close()
        self.bar = None


def plain_history(net):
    """Losses, learning rate and seconds per epoch, a list of dicts."""
    names = ("epoch", "train_loss", "valid_loss", "lr", "dur")
    return [{k: row[k] for k in names if k in row} for row in net.history]
