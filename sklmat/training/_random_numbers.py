"""Random numbers and precision of new networks: `initial_weights`, `seeded`, `single_precision`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sklmat.layers import default_dtype, torch_state
from sklmat.random_state import training_generator, use_generator

#: Functions that draw the initial weights of our networks.
_RANDOM = {
    torch.randn,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch within a ``with`` block, and restore its random state afterwards."""
    devices = range(torch.cuda.device_count())
    with torch_state, torch.random.fork_rng(devices), use_generator(torch.default_generator):
        torch.manual_seed(seed)
        yield


def single_precision() -> contextlib.AbstractContextManager[None]:
    """Make new networks in single precision within a ``with`` block, see `default_dtype`.

    Batches are always in single precision, so that a network in double precision could not read
    them.
    """
    return default_dtype(torch.float32)


@contextlib.contextmanager
def initial_weights(generator: torch.Generator | None = None) -> Iterator[None]:
    """Draw the initial weights of our networks from a generator, in single precision.

    The layers of torch take their initial weights from the generator of torch, which belongs to the
    whole process.

    Parameters
    ----------
    generator : torch.Generator or None
        None takes that of the training in this thread, or any, for weights that are replaced.
    """
    generator = generator or training_generator() or torch.Generator()
    # An interruption within `_FromGenerator` can keep torch from turning the gradients on again.
    gradients = torch.set_grad_enabled(torch.is_grad_enabled())
    with gradients, use_generator(generator), _FromGenerator(generator), single_precision():
        yield


class _FromGenerator(TorchFunctionMode):
    """Gives the functions of this thread that draw random numbers a generator."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _RANDOM:
            kwargs = {**kwargs, "generator": self.generator}
        return func(*args, **kwargs)
