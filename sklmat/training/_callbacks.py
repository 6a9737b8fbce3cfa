"""`check_callbacks` refuses callbacks of skorch that cannot work on crystal graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EpochScoring,
    TrainEndCheckpoint,
)


def check_callbacks(callbacks: Sequence[Any], has_validation: bool) -> None:
    """Raise for callbacks that would fail, or do nothing, in the training of a graph network.

    Parameters
    ----------
    callbacks : sequence of skorch callbacks, or pairs of a name and a callback
    has_validation : bool
        Whether a validation loss is recorded.

    Raises
    ------
    TypeError
        When an entry is not a callback.
    ValueError
        When a callback scores or saves the net itself, or monitors a validation loss that is not
        recorded.
    """
    for callback in callbacks:
        if isinstance(callback, tuple):
            callback = callback[-1]
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks holds {callback!r}, which is not a callback of skorch")
        name = type(callback).__name__
        if isinstance(callback, EpochScoring | BatchScoring):
            raise ValueError(
                f"callbacks holds {name}, which cannot score a graph network: its targets are "
                "scaled and weighted. Score the estimator instead: call partial_fit, which trains "
                "for one epoch, and score in turn"
            )
        if isinstance(callback, Checkpoint | TrainEndCheckpoint):
            raise ValueError(
                f"callbacks holds {name}, which reads records that are not kept; use "
                "fit(..., checkpoint=path), which saves the state after each epoch"
            )
        if getattr(callback, "monitor", None) == "valid_loss" and not has_validation:
            raise ValueError(
                f"callbacks holds {name}(monitor='valid_loss'), and there is no validation loss "
                "without early_stopping=True, which also stops the training by itself "
                "(n_iter_no_change); set it, or monitor 'train_loss'"
            )
