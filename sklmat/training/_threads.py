"""`suitable_threads`, `one_thread`: how many of torch's threads a training uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

#: Numbers per edge array of a batch that make another thread worth waiting for.
_NUMBERS_PER_THREAD = 2**22


@contextlib.contextmanager
def suitable_threads(module: nn.Module, n_edges: float) -> Iterator[None]:
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
    """Use one of torch's threads: batches of tables are too small to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
