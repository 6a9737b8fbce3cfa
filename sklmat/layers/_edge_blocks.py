"""`EdgeBlocks`: the edges of a batch in blocks that share no atoms, for several threads."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from sklmat.batches import CrystalBatch

#: Numbers (edges times columns) in a block: 1 MB, for example 2,048 edges with 2 x 64 features.
_BLOCK_NUMBERS = 2**18


class _Settings(threading.local):
    """Settings of each thread of Python: models may be fitted in several threads at once."""

    max_threads = 1


_settings = _Settings()


@contextmanager
def block_threads(n_threads: int) -> Iterator[None]:
    """Set the largest number of threads that work on blocks within a ``with`` block."""
    before, _settings.max_threads = _settings.max_threads, n_threads
    try:
        yield
    finally:
        _settings.max_threads = before


class EdgeBlocks:
    """Blocks of whole crystals, whose sums are independent of each other.

    Parameters
    ----------
    batch : CrystalBatch
        Edges sorted by crystal.
    width : int
        Columns of the arrays of edges.

    Attributes
    ----------
    bounds : ndarray of shape (B + 1,)
        First edge of each block, and the number of all edges. The blocks are the same for any
        number of threads, and so are all sums.
    """

    def __init__(self, batch: CrystalBatch, width: int) -> None:
        n_edges = len(batch.source)
        if n_edges * width <= _BLOCK_NUMBERS:
            self.bounds = np.array([0, n_edges])
            return
        n_atoms = batch.n_atoms.numpy().astype(np.int64)
        first_edge = np.searchsorted(batch.target.numpy(), np.cumsum(n_atoms) - n_atoms)
        # A block begins with the first crystal that begins in it.
        block = first_edge * width // _BLOCK_NUMBERS
        is_first = np.diff(block, prepend=-1) > 0
        self.bounds = np.append(first_edge[is_first], n_edges)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def run(self, kernel: Callable[..., Any], *arguments: Any) -> None:
        """Call ``kernel(block, bounds, *arguments)`` for each block, in several threads.

        Parameters
        ----------
        kernel : callable
            Function that releases the global lock of Python.
        *arguments
        """
        blocks = itertools.count()

        def work():
            for block in blocks:
                if block >= len(self):
                    return
                kernel(block, self.bounds, *arguments)

        n_helpers = min(_settings.max_threads, len(self)) - 1
        helpers = [_pool().submit(work) for _ in range(n_helpers)]
        try:
            work()
        finally:
            # Also after Ctrl-C, no thread writes into arrays whose memory is used again.
            wait(helpers)
        for helper in helpers:
            helper.result()


@cache
def _pool():
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="sklmat")


if hasattr(os, "register_at_fork"):
    # A process that is made by a fork has none of the threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
