"""Gaussian processes for tables: exact, with noise of which a few labels may have much more."""

from sklmat.gaussian_processes._robust_regressor import RobustGaussianProcessRegressor

__all__ = ["RobustGaussianProcessRegressor"]
