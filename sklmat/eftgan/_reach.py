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
    """Tells which compositions are farther from all known ones than these are from each other.

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
            gap = _nearest(x[start : start + _CHUNK], self.known)
            far.append(start + np.flatnonzero(gap > self.distance))
        far = np.concatenate(far)
        if len(far):
            warnings.warn(
                f"{len(far)} of {len(x)} compositions are farther from every training composition "
                f"than those are from each other; the first is row {far[0]}. Do not trust them "
                "without a calculation",
                ExtrapolationWarning,
                stacklevel=4,
            )


def _nearest(x, known):
    """Euclidean distance of each row of fractions to the nearest known one."""
    square = (x**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * x @ known.T
    return np.sqrt(np.maximum(square.min(axis=1), 0.0))
