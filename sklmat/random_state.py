"""Seeds and generators from the `random_state` of scikit-learn; the generator of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, overload

import numpy as np

from sklmat.argument_checks import is_seed

if TYPE_CHECKING:
    import torch

    from sklmat.typing import RandomState


def check_seed(random_state: object) -> None:
    """Raise a ValueError for what is no `random_state` of scikit-learn.

    Parameters
    ----------
    random_state : int, RandomState or None

    Examples
    --------
    >>> from sklmat.random_state import check_seed
    >>> check_seed(-1)
    Traceback (most recent call last):
        ...
    ValueError: random_state must be an int from 0 to 4294967295, a RandomState or None, got -1
    """
    if not is_seed(random_state):
        raise ValueError(
            "random_state must be an int from 0 to 4294967295, a RandomState or None, got "
            f"{random_state!r}"
        )


@overload
def draw_seed(random_state: RandomState, size: None = None) -> int: ...
@overload
def draw_seed(random_state: RandomState, size: int) -> list[int]: ...
def draw_seed(random_state: RandomState, size: int | None = None) -> int | list[int]:
    """Draw integer seeds from the `random_state` of an estimator or function.

    Parameters
    ----------
    random_state : int, RandomState or None
        With an integer, every call returns the same seeds; a RandomState returns new ones.
    size : int, default=None
        Number of seeds; None returns a single int.

    Returns
    -------
    int, or list of `size` int
        Seeds from 0 to 2**31 - 2, a range that numpy, torch and XGBoost accept.

    Examples
    --------
    >>> from sklmat.random_state import draw_seed
    >>> draw_seed(0), draw_seed(0), draw_seed(0, size=2)
    (209652396, 209652396, [209652396, 398764591])
    """
    from sklearn.utils import check_random_state

    check_seed(random_state)
    seeds = check_random_state(random_state).randint(2**31 - 1, size=size)
    return int(seeds) if size is None else seeds.tolist()


def make_generator(random_state: RandomState) -> np.random.Generator:
    """Make a numpy generator from the `random_state` of an estimator or function.

    Parameters
    ----------
    random_state : int, RandomState or None

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng(draw_seed(random_state))


_training_generator: ContextVar[torch.Generator | None] = ContextVar("generator", default=None)


@contextlib.contextmanager
def use_generator(generator: torch.Generator) -> Iterator[None]:
    """Train with a generator of its own within a ``with`` block; see `training_generator`.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    """
    token = _training_generator.set(generator)
    try:
        yield
    finally:
        _training_generator.reset(token)


def training_generator() -> torch.Generator | None:
    """Return the generator of the training that runs in this thread.

    The generator of torch belongs to the whole process, so that another thread which draws numbers
    from it would change the training.

    Returns
    -------
    torch.Generator or None
        None where the numbers come from the generator of torch.
    """
    return _training_generator.get()
