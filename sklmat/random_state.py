"""`draw_seed`, `make_generator`: seeds and generators from the `random_state` of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    from sklmat.typing import RandomState


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
    >>> draw_seed(0) == draw_seed(0)
    True
    >>> draw_seed(0, size=2) == [draw_seed(0)] * 2
    False
    """
    from sklearn.utils import check_random_state

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
