"""`ReusedArray`: large arrays whose memory is used again for the next batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# Arrays that are not in use, or None outside of `reused_arrays`. Taking fresh memory from the
# system for each batch costs as much time as the computations on it.
_free: list[np.ndarray] | None = None


@contextmanager
def reused_arrays() -> Iterator[None]:
    """Keep the memory of arrays for later ones within a ``with`` block."""
    global _free
    before, _free = _free, []
    try:
        yield
    finally:
        _free = before


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

    def __init__(self, n_rows: int, n_columns: int) -> None:
        size, self._memory = n_rows * n_columns, np.empty(0, np.float32)
        fitting = [memory for memory in _free or () if size <= memory.size <= 2 * size]
        if fitting and _free is not None:
            self._memory = fitting[0]
            _free[:] = [memory for memory in _free if memory is not fitting[0]]
        else:
            # Batches differ a little in their numbers of edges.
            self._memory = np.empty(size + size // 4, np.float32)
        self.array = self._memory[:size].reshape(n_rows, n_columns)

    def __del__(self) -> None:
        if _free is not None:
            _free.append(self._memory)
