"""Constraints of the parameters of estimators that scikit-learn lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import _param_validation

#: Largest numbers of layers of one kind, of units in a layer, and of networks in an ensemble. More
#: take more memory than there is, or minutes to make.
MOST_LAYERS, MOST_UNITS, MOST_MEMBERS = 1_000, 1_000_000, 10_000


class Interval(_param_validation.Interval):
    """Interval of numbers without True and False, which `sklearn`'s takes as 1 and 0.

    Parameters
    ----------
    type, left, right, closed
        As in scikit-learn.

    Examples
    --------
    >>> from numbers import Integral
    >>> from sklmat.parameter_constraints import Interval
    >>> layers = Interval(Integral, 1, None, closed="left")
    >>> layers.is_satisfied_by(1), layers.is_satisfied_by(True)
    (True, False)
    """

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether a value is a number of the interval."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)
