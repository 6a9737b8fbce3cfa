"""Crystal graph networks as scikit-learn estimators."""

from sklmat.estimators._cgcnn import CGCNNClassifier, CGCNNRegressor
from sklmat.estimators._checkpoints import load_cgcnn_checkpoint
from sklmat.estimators._ecnet import ECNetClassifier, ECNetRegressor

__all__ = [
    "CGCNNClassifier",
    "CGCNNRegressor",
    "ECNetClassifier",
    "ECNetRegressor",
    "load_cgcnn_checkpoint",
]
