"""Crystal graph networks as scikit-learn estimators."""

from sklmat.estimators._cgcnn import CGCNNClassifier, CGCNNRegressor
from sklmat.estimators._ecnet import ECNetClassifier, ECNetRegressor
from sklmat.estimators._graph_model import ClassTargets as ClassTargets
from sklmat.estimators._graph_model import GraphModel as GraphModel
from sklmat.estimators._graph_model import is_graph_estimator as is_graph_estimator
from sklmat.estimators._graph_model import training_graphs as training_graphs
from sklmat.estimators._xie2018 import load_cgcnn_checkpoint

__all__ = [
    "CGCNNClassifier",
    "CGCNNRegressor",
    "ECNetClassifier",
    "ECNetRegressor",
    "load_cgcnn_checkpoint",
]
