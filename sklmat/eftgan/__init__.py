"""The chain of EFTGAN as one estimator: structures to learn from, compositions to predict."""

from sklmat.eftgan._regressor import EFTGANRegressor

__all__ = ["EFTGANRegressor"]
