"""`refuse_large_network`: an error before a network is made that no memory holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sklmat.memory import refuse_beyond_memory

#: Networks whose settings are all smaller fit into the memory. They are not made on the device
#: "meta", whose first use takes a second.
_LARGE = 500
#: Bytes of a weight during training: itself, its gradient and two moments, in single precision.
_BYTES_PER_WEIGHT = 4 * 4


def refuse_large_network(
    make: Callable[[], nn.Module], settings: Mapping[str, Any], n_networks: int = 1
) -> None:
    """Raise an error when the weights of networks need more memory than there is.

    Parameters
    ----------
    make : callable
        Makes a network.
    settings : dict
        Its widths and numbers of layers, among others, for the message.
    n_networks : int, default=1
        Number of networks.

    Raises
    ------
    ValueError
    """
    sizes = {
        name: value
        for name, value in settings.items()
        if isinstance(value, int | list) and not isinstance(value, bool)
    }
    if n_networks > 1:
        sizes["n_ensemble"] = n_networks
    numbers = [n for size in sizes.values() for n in (size if isinstance(size, list) else [size])]
    if max(numbers, default=0) <= _LARGE:
        return
    try:
        # On the device "meta", tensors have a shape and take no memory.
        with torch.device("meta"):
            n_weights = n_networks * sum(weight.numel() for weight in make().parameters())
    except (NotImplementedError, RuntimeError):
        # A network of the user's that computes with numbers when it is made: its size is unknown.
        return
    named = ", ".join(f"{name}={size}" for name, size in sizes.items())
    refuse_beyond_memory(f"{n_weights:,} weights ({named})", n_weights * _BYTES_PER_WEIGHT)
