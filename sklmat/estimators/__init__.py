"""Crystal graph networks as scikit-learn estimators.

`Architecture`, `GraphRegressor` and `GraphClassifier` are the base of networks of your own. The
other names that are not in ``__all__`` are used by other modules of sklmat only.
"""

from sklmat.estimators._architecture import Architecture as Architecture
from sklmat.estimators._cgcnn_estimators import CGCNNClassifier, CGCNNRegressor
from sklmat.estimators._ecnet_estimators import ECNetClassifier, ECNetRegressor
from sklmat.estimators._elemental_vectors import element_contributions as element_contributions
from sklmat.estimators._extra_columns import read_input as read_input
from sklmat.estimators._graph_classifier import GraphClassifier as GraphClassifier
from sklmat.estimators._graph_input import check_elements as check_elements
from sklmat.estimators._graph_input import training_graphs as training_graphs
from sklmat.estimators._graph_model import GraphModel as GraphModel
from sklmat.estimators._graph_model import is_graph_estimator as is_graph_estimator
from sklmat.estimators._graph_model import name_of_other as name_of_other
from sklmat.estimators._graph_regressor import GraphRegressor as GraphRegressor
from sklmat.estimators._load_cgcnn_checkpoint import load_cgcnn_checkpoint
from sklmat.estimators._serialization import from_json as from_json
from sklmat.estimators._serialization import load_estimator as load_estimator
from sklmat.estimators._serialization import to_json as to_json
from sklmat.estimators._serialization import transformer_from_json as transformer_from_json
from sklmat.estimators._serialization import transformer_to_json as transformer_to_json
from sklmat.estimators._targets import ClassTargets as ClassTargets
from sklmat.estimators._targets import RegressionTargets as RegressionTargets
from sklmat.estimators._warm_start import fitted_source as fitted_source
from sklmat.estimators._warm_start import is_fitted_source as is_fitted_source
from sklmat.estimators._warm_start import published_name as published_name
from sklmat.estimators._warm_start import thawed as thawed
from sklmat.estimators._warm_start import unfitted_clone as unfitted_clone

__all__ = [
    "CGCNNClassifier",
    "CGCNNRegressor",
    "ECNetClassifier",
    "ECNetRegressor",
    "load_cgcnn_checkpoint",
]
