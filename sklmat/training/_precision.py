"""`products_in`: the precision of the matrix products of networks."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def products_in(
    precision: str, device: str | torch.device
) -> contextlib.AbstractContextManager[Any]:
    """Compute matrix products on a device in a precision within a ``with`` block.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
    device : str or torch.device
    """
    if precision == "float32":
        return contextlib.nullcontext()
    # Each weight is used once; a cache of converted weights must not outlive a captured step.
    return torch.autocast(torch.device(device).type, torch.bfloat16, cache_enabled=False)
