"""Parts of networks that stay in single precision when matrix products are in half precision.

With ``precision="bfloat16"``, networks run under ``torch.autocast``: matrix products are computed
in bfloat16, from weights in single precision. Sums, normalisations, vectors that layers add to,
and the last layers are computed in single precision.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch


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
