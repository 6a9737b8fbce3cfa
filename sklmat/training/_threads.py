"""`suitable_threads`, `one_thread`: set the number of threads for a training."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from sklmat.layers import GatedGraphConv, block_threads, reused_arrays

if TYPE_CHECKING:
    from torch import nn

#: Size of the edge array of a batch (numbers) above which another thread of torch saves time.
_NUMBERS_PER_TORCH_THREAD = 2**22
#: The same for the threads of graph convolutions, which wait for each other four times per layer.
_NUMBERS_PER_BLOCK_THREAD = 2**18


class _TorchThreads:
    """Sets the number of torch threads for one thread of Python.

    A new thread of Python begins with the number that any thread has set last. Therefore the number
    before is known from the time when no thread had set another.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.n_inside = 0
        self.before = 0
        self.here = threading.local()

    def number(self) -> int:
        """The number outside of all ``with`` blocks, or in the innermost one of this thread."""
        with self.lock:
            outside = self.before if self.n_inside else torch.get_num_threads()
        return getattr(self.here, "number", None) or outside

    @contextlib.contextmanager
    def set(self, number: int) -> Iterator[None]:
        """Set the number within a ``with`` block, and restore it."""
        enclosing = getattr(self.here, "number", None)
        with self.lock:
            if self.n_inside == 0:
                self.before = torch.get_num_threads()
            self.n_inside += 1
            torch.set_num_threads(number)
        self.here.number = number
        try:
            yield
        finally:
            self.here.number = enclosing
            with self.lock:
                self.n_inside -= 1
                torch.set_num_threads(enclosing or self.before)


_threads = _TorchThreads()


@contextlib.contextmanager
def suitable_threads(module: nn.Module, n_edges: float) -> Iterator[None]:
    """Set the number of threads for a batch size within a ``with`` block, and restore it.

    For the few ten thousand edges of a typical batch, several threads of torch mostly wait for each
    other; on a machine with other load they made training a hundred times slower. Graph
    convolutions divide their edges among threads of their own instead. Their number follows from
    the size of a batch; ``torch.get_num_threads()``, and the cores that the process may use, are
    upper bounds. The number of these threads does not change the results.

    Parameters
    ----------
    module : torch module
    n_edges : float
        Number of edges in a batch.
    """
    before = _threads.number()
    config: Any = module.config
    numbers = n_edges * 2 * config["hidden_dim"] * config.get("n_members", 1)
    n_torch = min(before, max(1, int(numbers // _NUMBERS_PER_TORCH_THREAD)))
    n_blocks = 1
    if any(isinstance(part, GatedGraphConv) for part in module.modules()):
        n_torch, n_blocks = 1, min(before, max(1, int(numbers // _NUMBERS_PER_BLOCK_THREAD)))
    if n_blocks > 1:
        # Processes may be bound to some cores, or limited by a quota of their container.
        from joblib import cpu_count

        n_blocks = min(n_blocks, cpu_count())
    with _threads.set(n_torch), block_threads(n_blocks), reused_arrays():
        yield


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Use one torch thread within a ``with`` block, since batches of tables are small."""
    with _threads.set(1):
        yield
