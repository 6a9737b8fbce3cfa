"""`suitable_threads`, `one_thread`: set the number of torch threads for a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

#: Size of the edge array of a batch (numbers) above which another thread saves time.
_NUMBERS_PER_THREAD = 2**22


@contextlib.contextmanager
def suitable_threads(module: nn.Module, n_edges: float) -> Iterator[None]:
    """Set the number of torch threads for a batch size within a ``with`` block, and restore it.

    For the few ten thousand edges of a typical batch, several threads mostly wait for each other;
    on a machine with other load they made training a hundred times slower.

    Parameters
    ----------
    module : CGCNN or ECNet
    n_edges : float
        Number of edges in a batch.
    """
    before = torch.get_num_threads()
    config: Any = module.config
    width = 2 * config["hidden_dim"] * config.get("n_members", 1)
    useful = int(n_edges * width // _NUMBERS_PER_THREAD)
    torch.set_num_threads(min(before, max(1, useful)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def one_thread():
    """Use one torch thread within a ``with`` block, since batches of tables are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
