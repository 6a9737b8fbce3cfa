"""Crystal graph networks as scikit-learn estimators."""

from sklmat.estimators._cgcnn import CGCNNClassifier, CGCNNRegressor
from sklmat.estimators._checkpoints import load_cgcnn_checkpoint

__all__ = ["CGCNNClassifier", "CGCNNRegressor", "load_cgcnn_checkpoint"]
