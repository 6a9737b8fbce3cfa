"""How far predictions reach beyond the training compositions."""

import warnings

import numpy as np
from scipy.spatial import cKDTree

from sklmat.exceptions import ExtrapolationWarning

#: Reach around a single training composition.
_LONE_REACH = 0.1
#: Error of distances between fractions.
_ROUNDING = 1e-6
#: Compositions at a time.
_CHUNK = 4096


class Reach:
    """Tells which compositions are beyond the known ones.

    Those are farther from all known ones than these are from each other, or hold more or less of an
    element than any of them, such as a pure element where no training row is one.

    Parameters
    ----------
    x : ndarray of shape (n, E)
        Fractions of the training rows.
    """

    def __init__(self, x):
        self.known = np.unique(x.round(6), axis=0)
        self.distance = _LONE_REACH
        if len(self.known) > 1:
            # The nearest of all is the composition itself.
            gaps = cKDTree(self.known).query(self.known, k=2)[0][:, 1]
            self.distance = float(gaps.max()) + _ROUNDING

    def warn(self, x):
        """Warn where rows of `x`, of shape (n, E), are out of reach."""
        far = []
        for start in range(0, len(x), _CHUNK):
            rows = x[start : start + _CHUNK]
            beyond = _nearest(rows, self.known) > self.distance
            beyond |= (rows > self.known.max(axis=0) + _ROUNDING).any(axis=1)
            beyond |= (rows < self.known.min(axis=0) - _ROUNDING).any(axis=1)
            far.append(start + np.flatnonzero(beyond))
        far = np.concatenate(far)
        if len(far):
            warnings.warn(
                f"{len(far)} of {len(x)} compositions are farther from every training composition "
                f"than those are from each other, or hold more or less of an element than any of "
                f"them; the first is row {far[0]}. Do not trust them without a calculation",
                ExtrapolationWarning,
                stacklevel=4,
            )


def _nearest(x, known):
    """Euclidean distance of each row of fractions to the nearest known one."""
    square = (x**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * x @ known.T
    return np.sqrt(np.maximum(square.min(axis=1), 0.0))
