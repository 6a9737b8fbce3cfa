"""Gaussian processes for tables: exact, with noise of which a few labels may have much more.

`enumerate_orderings` lists the distinct ways to put elements on the sites of a crystal.
"""

from sklmat.gaussian_processes._enumerate_orderings import Orderings, enumerate_orderings
from sklmat.gaussian_processes._robust_regressor import RobustGaussianProcessRegressor

__all__ = ["Orderings", "RobustGaussianProcessRegressor", "enumerate_orderings"]
