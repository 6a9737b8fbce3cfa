"""`check_metrics`, `score_fold`: the metrics of `compare_estimators`."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import check_scoring, get_scorer

from sklmat.model_selection._masked_scorer import METRICS, MaskedScorer, masked_scorer

_RMSE = "neg_root_mean_squared_error"
#: Name of a scorer -> name of the metric in the table.
_METRIC_NAMES = {
    "neg_mean_absolute_error": "MAE",
    _RMSE: "RMSE",
    "neg_mean_squared_error": "MSE",
    "r2": "R2",
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC OvR",
    "neg_log_loss": "log loss",
}


def check_metrics(scoring, estimators, y, are_classifiers, missing, params):
    """Scorers by the name of the metric, the sign of each natural value, and which are RMSE.

    Where labels are missing or metadata are given, names mean masked scorers.
    """
    if scoring is None:
        scoring = _default_scoring(estimators, y, are_classifiers)
    if isinstance(scoring, str | MaskedScorer):
        scoring = [scoring]
    elif callable(scoring):
        scoring = {"score": scoring}
    if not isinstance(scoring, Mapping):
        scoring = {
            _METRIC_NAMES.get(name, name.removeprefix("neg_").replace("_", " ")): scorer
            for name, scorer in ((_name(scorer), scorer) for scorer in scoring)
        }
    names = {metric: _name(scorer) for metric, scorer in scoring.items()}
    signs = {
        metric: -1.0 if isinstance(name, str) and name.startswith("neg_") else 1.0
        for metric, name in names.items()
    }
    root_mean_squares = [metric for metric, name in names.items() if name == _RMSE]
    scorers = {
        metric: masked_scorer(scorer)
        if isinstance(scorer, str) and (missing or (params and scorer in METRICS))
        else get_scorer(scorer)
        for metric, scorer in scoring.items()
    }
    return scorers, signs, root_mean_squares


def _name(scorer):
    """Name of the scorer of scikit-learn, or the scorer itself if it has none."""
    return scorer.scoring if isinstance(scorer, MaskedScorer) else scorer


def _default_scoring(estimators, y, are_classifiers):
    """Names of the scorers that suit all estimators."""
    if not are_classifiers:
        return ["neg_mean_absolute_error", _RMSE, "r2"]
    scoring = ["accuracy", "balanced_accuracy"]
    if all(hasattr(estimator, "predict_proba") for estimator in estimators.values()):
        scoring.append("roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr")
        scoring.append("neg_log_loss")
    return scoring


def score_fold(model, scorers, X, y, predictions):
    """Scores by the name of the metric; masked scorers need no second prediction."""
    masked = {name: each for name, each in scorers.items() if isinstance(each, MaskedScorer)}
    scores = {name: each.score_predictions(y, predictions) for name, each in masked.items()}
    others = {name: each for name, each in scorers.items() if name not in masked}
    return scores | (check_scoring(model, others)(model, X, y) if others else {})
