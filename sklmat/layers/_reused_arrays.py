"""`ReusedArray`: large arrays whose memory is used again for the next batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class _Memory(threading.local):
    """Memory of each thread of Python: models may be fitted in several threads at once."""

    # Arrays that are not in use, or None outside of `reused_arrays`. Taking fresh memory from the
    # system for each batch costs as much time as the computations on it.
    free: list[np.ndarray] | None = None


_memory = _Memory()


@contextmanager
def reused_arrays() -> Iterator[None]:
    """Keep the memory of arrays for later ones within a ``with`` block."""
    before, _memory.free = _memory.free, []
    try:
        yield
    finally:
        _memory.free = before


class ReusedArray:
    """Array in single precision whose memory is free again when this object is deleted.

    Parameters
    ----------
    n_rows, n_columns : int

    Attributes
    ----------
    array : ndarray of shape (n_rows, n_columns)
        Its values are not set.
    """

    _free: list[np.ndarray] | None = None

    def __init__(self, n_rows: int, n_columns: int) -> None:
        size, free = n_rows * n_columns, _memory.free
        fitting = [k for k, array in enumerate(free or ()) if size <= array.size <= 2 * size]
        if free and fitting:
            self._memory = free.pop(fitting[-1])
        else:
            if free:
                # An array that is too small now would often be too small later, too.
                del free[min(range(len(free)), key=lambda k: free[k].size)]
            # Batches differ a little in their numbers of edges.
            self._memory = np.empty(size + size // 4, np.float32)
        # The list of the thread that makes the array, whichever thread deletes it.
        self._free = free
        self.array = self._memory[:size].reshape(n_rows, n_columns)

    def __del__(self) -> None:
        if self._free is not None:
            self._free.append(self._memory)
