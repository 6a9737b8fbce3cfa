"""Precision of networks, and of their parts when matrix products are in half precision.

With ``precision="bfloat16"``, networks run under ``torch.autocast``: matrix products are computed
in bfloat16, from weights in single precision. Sums, normalisations, vectors that layers add to,
and the last layers are computed in single precision.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

#: Only one thread at a time may use the random state and the default dtype of torch, which belong
#: to the whole process.
torch_state = threading.RLock()


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Set the default dtype of torch within a ``with`` block, and restore it afterwards."""
    with torch_state:
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def in_precision_of_vectors(init: Callable[..., None]) -> Callable[..., None]:
    """Let the ``__init__`` of a network make its weights in the precision of `element_vectors`.

    Otherwise they would have the default dtype of torch, which may be another one.
    """

    @functools.wraps(init)
    def wrapped(self: Any, element_vectors: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        with default_dtype(element_vectors.dtype):
            init(self, element_vectors, *args, **kwargs)

    return wrapped


def to_single(values: torch.Tensor) -> torch.Tensor:
    """Convert results of half precision to single precision; return other tensors as they are."""
    return values.float() if values.dtype == torch.bfloat16 else values


def to_product_precision(values: torch.Tensor) -> torch.Tensor:
    """Convert factors once that several matrix products would convert."""
    device = values.device.type
    if not torch.is_autocast_enabled(device):
        return values
    return values.to(torch.get_autocast_dtype(device))


def products_in_single(values: torch.Tensor) -> contextlib.AbstractContextManager[Any]:
    """Compute matrix products on the device of a tensor in single precision in a ``with`` block."""
    device = values.device.type
    if not torch.is_autocast_enabled(device):
        return contextlib.nullcontext()
    return torch.autocast(device, enabled=False)
