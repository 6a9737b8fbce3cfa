"""`ExtrapolationDetector`: which compositions are far from all training compositions."""

import warnings

import numpy as np
from scipy.spatial import cKDTree

from sklmat.exceptions import ExtrapolationWarning
from sklmat.recorded_warnings import frames_inside

#: Largest distance from the training composition if there is only one training composition.
_DISTANCE_OF_ONE = 0.1
#: Rounding error of distances between fractions.
_ROUNDING = 1e-6
#: Compositions per chunk.
_CHUNK = 4096


class ExtrapolationDetector:
    """Warns of compositions for which a prediction is an extrapolation.

    Such a composition is farther from all training compositions than these are from each other, or
    holds more or less of an element than all of them, such as a pure element where all training
    compositions are alloys.

    Parameters
    ----------
    x : ndarray of shape (n, E)
        Fractions of the training rows.

    Attributes
    ----------
    training_compositions : ndarray of shape (m, E)
        The distinct training compositions.
    max_distance : float
        Largest Euclidean distance of a training composition to its nearest neighbour.
    """

    def __init__(self, x):
        self.training_compositions = np.unique(x.round(6), axis=0)
        self.max_distance = _DISTANCE_OF_ONE
        if len(self.training_compositions) > 1:
            # The nearest neighbour of each composition is the composition itself.
            tree = cKDTree(self.training_compositions)
            distances = tree.query(self.training_compositions, k=2)[0][:, 1]
            self.max_distance = float(distances.max()) + _ROUNDING

    def warn(self, x):
        """Warn where rows of `x`, of shape (n, E), are extrapolations."""
        highest = self.training_compositions.max(axis=0) + _ROUNDING
        lowest = self.training_compositions.min(axis=0) - _ROUNDING
        found = []
        for start in range(0, len(x), _CHUNK):
            rows = x[start : start + _CHUNK]
            outside = _nearest_distance(rows, self.training_compositions) > self.max_distance
            outside |= (rows > highest).any(axis=1)
            outside |= (rows < lowest).any(axis=1)
            found.append(start + np.flatnonzero(outside))
        found = np.concatenate(found)
        if len(found):
            warnings.warn(
                f"{len(found)} of {len(x)} compositions are farther from every training "
                f"composition than those are from each other, or hold more or less of an element "
                f"than any of them; the first is row {found[0]}. Do not trust them without a "
                "calculation",
                ExtrapolationWarning,
                stacklevel=frames_inside(),
            )


def _nearest_distance(x, compositions):
    """Euclidean distance of each row of fractions to the nearest of some compositions."""
    square = (x**2).sum(axis=1)[:, None] + (compositions**2).sum(axis=1) - 2 * x @ compositions.T
    return np.sqrt(np.maximum(square.min(axis=1), 0.0))
