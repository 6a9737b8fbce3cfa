"""`Summary`: mean, deviation, skew and extremes of the values of each group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np


class Summary:
    """Statistics of values in each of G groups, such as those of the atoms of each crystal.

    A statistic does not depend on the other groups, to the last bit: sums are taken one value after
    the other.

    Parameters
    ----------
    values : ndarray of shape (K,)
    group : ndarray of int, shape (K,)
        Group of each value. The statistics of a group without values are NaN.
    n_groups : int
    """

    def __init__(self, values, group, n_groups):
        self.values, self.group, self.n_groups = values, group, n_groups
        self.count = np.bincount(group, minlength=n_groups)

    def _mean(self, values):
        total = np.bincount(self.group, values, minlength=self.n_groups)
        return np.where(self.count, total, np.nan) / np.maximum(self.count, 1)

    def _extreme(self, extreme):
        result = np.full(self.n_groups, np.nan)
        # `fmax` and `fmin` pass over the initial NaN; NaN among the values is in the mean.
        extreme.at(result, self.group, self.values)
        return np.where(np.isnan(self.mean), np.nan, result)

    @cached_property
    def mean(self) -> np.ndarray:
        return self._mean(self.values)

    @cached_property
    def deviation(self) -> np.ndarray:
        return np.sqrt(self._mean((self.values - self.mean[self.group]) ** 2))

    def skew(self, noise: float) -> np.ndarray:
        """Third central moment over deviation³; 0 where the deviation is at most `noise`."""
        third = self._mean((self.values - self.mean[self.group]) ** 3)
        scale = np.where(self.deviation > noise, self.deviation, np.inf)
        return np.where(self.count, third / scale**3, np.nan)

    @property
    def min(self) -> np.ndarray:
        return self._extreme(np.fmin)

    @property
    def max(self) -> np.ndarray:
        return self._extreme(np.fmax)

    def columns(
        self, name: str, statistics: Sequence[str] = ("mean", "deviation", "min", "max")
    ) -> dict[str, np.ndarray]:
        return {f"{statistic} {name}": getattr(self, statistic) for statistic in statistics}
