"""`check_metrics`, `score_fold`: the metrics of `compare_estimators`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names

from sklmat.known_labels import score_known_labels
from sklmat.model_selection._interval_scorers import INTERVAL_SCORERS, interval_scores
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
#: Scorers whose natural value has the unit of y.
_OF_ERRORS = {
    "neg_mean_absolute_error",
    _RMSE,
    "neg_median_absolute_error",
    "neg_max_error",
    "mean width",
}


@dataclass(frozen=True)
class Metrics:
    """The metrics of a comparison; all dicts are by the name of the metric.

    Parameters
    ----------
    scorers : dict of str to callable
    signs : dict of str to float
        -1 if the natural value is minus that of the scorer: lower is better.
    scoring : dict of str to str or callable
        Name of the scorer of scikit-learn, or the scorer if it has none.
    """

    scorers: dict[str, Callable[..., float]]
    signs: dict[str, float]
    scoring: dict[str, Any]

    @property
    def root_mean_squares(self) -> list[str]:
        """Metrics that are RMSE."""
        return [metric for metric, name in self.scoring.items() if name == _RMSE]

    @property
    def lower_is_better(self) -> tuple[str, ...]:
        """Metrics that are errors, in their natural sign."""
        return tuple(metric for metric, sign in self.signs.items() if sign < 0)

    @property
    def higher_is_better(self) -> tuple[str, ...]:
        """Other metrics of scikit-learn; of own functions it is not known."""
        names = get_scorer_names()
        return tuple(
            metric
            for metric, name in self.scoring.items()
            if isinstance(name, str) and name in names and self.signs[metric] > 0
        )

    @property
    def in_unit_of_y(self) -> tuple[str, ...]:
        """Metrics that have the unit of y."""
        named = {metric: name for metric, name in self.scoring.items() if isinstance(name, str)}
        return tuple(metric for metric, name in named.items() if name in _OF_ERRORS)

    @property
    def of_one_target(self) -> dict[str, Callable[..., float]]:
        """Functions of the true and predicted values of one target, where the metric has one."""
        named = {metric: name for metric, name in self.scoring.items() if isinstance(name, str)}
        return {
            metric: partial(score_known_labels, METRICS[name])
            for metric, name in named.items()
            if name in METRICS
        }


def check_metrics(scoring, estimators, y, are_classifiers, missing, params):
    """Return the `Metrics`; where labels are missing or metadata are given, with masked scorers."""
    if scoring is None:
        scoring = _default_scoring(estimators, y, are_classifiers)
    _refuse_scoring(scoring)
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
    scorers = {
        metric: masked_scorer(scorer)
        if isinstance(scorer, str) and (missing or (params and scorer in METRICS))
        else get_scorer(scorer)
        for metric, scorer in scoring.items()
    }
    return Metrics(scorers, signs, names)


def _refuse_scoring(scoring):
    """Refuse anything but scorers: their names or callables, alone, in a sequence or in a dict."""
    scorers = [scoring]
    if isinstance(scoring, Mapping):
        scorers = list(scoring.values())
    elif isinstance(scoring, Collection) and not isinstance(scoring, str):
        scorers = list(scoring)
    for scorer in scorers:
        if not isinstance(scorer, str) and (isinstance(scorer, type) or not callable(scorer)):
            raise TypeError(
                "scoring must be the name of a scorer, a callable, a sequence of these or a dict "
                f"from name to scorer, got {scorer!r}"
            )
    if not scorers:
        raise ValueError("scoring names no metric")
    if isinstance(scoring, Mapping) and not all(isinstance(name, str) for name in scoring):
        raise TypeError(f"the names of metrics in scoring must be str, got {list(scoring)}")


def _name(scorer):
    """Name of the scorer of scikit-learn, or the scorer itself if it has none."""
    if callable(scorer) and not isinstance(scorer, MaskedScorer):
        return INTERVAL_SCORERS.get(scorer, scorer)
    return scorer.scoring if isinstance(scorer, MaskedScorer) else scorer


def _default_scoring(estimators, y, are_classifiers):
    """Names of the scorers that suit all estimators."""
    method = "predict_set" if are_classifiers else "predict_interval"
    of_intervals = []
    if all(hasattr(estimator, method) for estimator in estimators.values()):
        of_intervals = list(INTERVAL_SCORERS)
    if not are_classifiers:
        return ["neg_mean_absolute_error", _RMSE, "r2", *of_intervals]
    scoring = ["accuracy", "balanced_accuracy"]
    if all(hasattr(estimator, "predict_proba") for estimator in estimators.values()):
        scoring.append("roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr")
        scoring.append("neg_log_loss")
    return scoring + of_intervals


def score_fold(model, scorers, X, y, predictions):
    """Scores by the name of the metric; those of intervals share one prediction of them."""
    masked = {name: each for name, each in scorers.items() if isinstance(each, MaskedScorer)}
    scores = {name: each.score_predictions(y, predictions) for name, each in masked.items()}
    of_intervals = {
        name: INTERVAL_SCORERS[each]
        for name, each in scorers.items()
        if name not in masked and each in INTERVAL_SCORERS
    }
    if of_intervals:
        found = interval_scores(model, X, y)
        scores |= {name: found[which] for name, which in of_intervals.items()}
    others = {name: each for name, each in scorers.items() if name not in scores}
    return scores | (check_scoring(model, others)(model, X, y) if others else {})
