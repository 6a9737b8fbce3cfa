"""`check_device`: the device that a parameter `device` means."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

_INSTEAD = "pass 'auto' (CUDA if there is any, the CPU otherwise) or 'cpu'"


def check_device(device: str | torch.device) -> str | torch.device:
    """Return the device to use; raise if PyTorch does not know it or this computer has none.

    Parameters
    ----------
    device : str or torch.device
        "auto" means CUDA if it is available, and the CPU otherwise.

    Returns
    -------
    device : str or torch.device

    Raises
    ------
    ValueError
        When the device cannot be used here.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if n_gpus else "cpu"
    given = f"device={str(device)!r}"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{given} is not a device of PyTorch; {_INSTEAD}") from error
    if found.type == "cuda":
        if n_gpus == 0:
            raise ValueError(f"{given} needs a GPU with CUDA, and PyTorch finds none; {_INSTEAD}")
        if (found.index or 0) >= n_gpus:
            last = f" to 'cuda:{n_gpus - 1}'" if n_gpus > 1 else ""
            raise ValueError(f"{given} is not on this computer, which has 'cuda:0'{last}")
    elif found.type != "cpu" and not _computes(found):
        raise ValueError(f"{given} cannot be used on this computer; {_INSTEAD}")
    return device


def on_device(device: str | torch.device) -> contextlib.AbstractContextManager[Any]:
    """Make a GPU the current one within a ``with`` block; kernels are started on it."""
    found = torch.device(device)
    return torch.cuda.device(found) if found.type == "cuda" else contextlib.nullcontext()


def _computes(device):
    """Whether numbers can be written to a device and read from it."""
    try:
        return torch.zeros(1, device=device).tolist() == [0.0]
    except (RuntimeError, AssertionError):
        return False
