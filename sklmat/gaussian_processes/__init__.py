"""Gaussian processes: for tables with labels of which a few are wrong, and for orderings.

`OrderingRegressor` and `OrderingClassifier` learn from crystals that differ in which element is on
which site, and `enumerate_orderings` lists all distinct ones.
"""

from sklmat.gaussian_processes._enumerate_orderings import Orderings, enumerate_orderings
from sklmat.gaussian_processes._ordering_estimators import OrderingClassifier, OrderingRegressor
from sklmat.gaussian_processes._robust_regressor import RobustGaussianProcessRegressor
from sklmat.gaussian_processes._share_parent import share_parent as share_parent

__all__ = [
    "OrderingClassifier",
    "OrderingRegressor",
    "Orderings",
    "RobustGaussianProcessRegressor",
    "enumerate_orderings",
]
