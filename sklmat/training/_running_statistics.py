"""Running statistics of batch normalisations: computed anew, or kept through a trial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from sklmat.batches import EvenBatches, edges_per_batch
from sklmat.training._device import on_device
from sklmat.training._threads import suitable_threads

if TYPE_CHECKING:
    from sklmat.batches import GraphDataset
    from sklmat.training._graph_net import GraphNet


def adapt_statistics(net: GraphNet, train_set: GraphDataset) -> None:
    """Set the running statistics of batch normalisations to those of the training rows.

    A network whose weights come from other crystals has the statistics of those, with which its
    outputs for the training rows mean little. The statistics become the mean over shuffled batches
    of the training rows. All weights, and the random numbers of the training, stay as they are.

    Parameters
    ----------
    net : GraphNet
        Changed in place; without batch normalisations it is not changed.
    train_set : GraphDataset
        Rows whose weights in the loss are all zero are left out.
    """
    norms = _normalisations(net.module_)
    rows = np.flatnonzero(train_set.weight.reshape(len(train_set), -1).numpy().any(axis=1))
    if not norms or len(rows) == 0:
        return
    batch_size = net.batch_size
    while True:
        try:
            with _momenta_kept(norms), torch.no_grad():
                _average_batches(net, norms, train_set.select(rows), batch_size)
            break
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
        # Here the traceback no longer keeps the tensors of the failed batch.
        batch_size = max(min(batch_size, len(rows)) // 2, 1)
    net.module_.eval()


def _average_batches(net, norms, train_set, batch_size):
    """Run the network on all batches in training mode, so that each counts as much."""
    net.module_.train()
    for part in net.module_.modules():
        if isinstance(part, nn.Dropout):
            part.eval()  # It would draw random numbers of the training.
    for norm in norms:
        norm.num_batches_tracked.zero_()
    order = torch.Generator().manual_seed(0)
    batches = EvenBatches(len(train_set), batch_size, order)
    threads = suitable_threads(net.module_, edges_per_batch(train_set, batch_size))
    with threads, on_device(net.device):
        for rows in batches:
            for norm in norms:
                # A batch with a single atom is not counted.
                norm.momentum = 1 / (1 + int(norm.num_batches_tracked))
            net.infer(train_set.__getitems__(rows)[0])


@contextlib.contextmanager
def _momenta_kept(norms):
    momenta = [norm.momentum for norm in norms]
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum


@contextlib.contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Restore the running statistics of batch normalisations at the end of a ``with`` block."""
    buffers = [buffer for norm in _normalisations(module) for buffer in norm.buffers()]
    values = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, value in zip(buffers, values):
            buffer.copy_(value)


def _normalisations(module):
    """Batch normalisations that keep running statistics."""
    return [
        part
        for part in module.modules()
        if isinstance(part, nn.BatchNorm1d) and part.track_running_stats
    ]
