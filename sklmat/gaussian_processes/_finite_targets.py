"""`check_targets`: numbers that a Gaussian process can standardise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sklmat.targets import as_numbers, refuse_out_of_range

if TYPE_CHECKING:
    from collections.abc import Sized

    from sklmat.typing import ArrayLike


def check_targets(name: str, X: Sized, y: ArrayLike | None) -> np.ndarray:
    """Return targets as finite numbers.

    Parameters
    ----------
    name : str
        Name of the estimator, for messages.
    X : sequence of n rows
    y : array-like of shape (n,) or (n, T)

    Returns
    -------
    ndarray of shape (n,) or (n, T), float64

    Raises
    ------
    ValueError
        When `y` is missing, has another length than `X`, another number of dimensions, NaN or
        infinity, or values whose variance cannot be computed in double precision.
    """
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    y = as_numbers(y)
    check_consistent_length(X, y)
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise ValueError(f"y must be of shape (n,) or (n, T), got {y.shape}")
    bad = np.argwhere(~np.isfinite(y))
    if len(bad):
        of_target = f", target {bad[0][1]}" if y.ndim == 2 else ""
        raise ValueError(
            f"Input y contains NaN or infinity, first in row {bad[0][0]}{of_target}: leave the row "
            "out"
        )
    refuse_out_of_range(y)
    return y
