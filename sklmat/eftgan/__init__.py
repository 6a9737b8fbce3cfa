"""EFTGAN as one estimator: learns from structures, predicts compositions."""

from sklmat.eftgan._regressor import EFTGANRegressor

__all__ = ["EFTGANRegressor"]
