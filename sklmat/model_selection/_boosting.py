"""How XGBoost, LightGBM and scikit-learn's boosting are given validation rows to stop early."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from sklearn.utils.validation import has_fit_parameter


class Boosting(Protocol):
    """What differs between the libraries; the arguments are unfitted and fitted estimators."""

    def prepare(self, model: Any, n_iter_no_change: int) -> None:
        """Set the parameters of early stopping."""

    def arguments(self, model: Any, n_iter_no_change: int, X: Any, y: Any, weight: Any) -> dict:
        """Keyword arguments of `fit` that hand over validation rows; `weight` may be None."""

    def n_iterations(self, model: Any) -> int:
        """Number of iterations with the best validation score."""

    def fix_iterations(self, model: Any, n_iterations: int) -> None:
        """Set a number of iterations, without early stopping."""


class XGBoost:
    """`XGBRegressor`, `XGBClassifier` and others of xgboost."""

    def prepare(self, model, n_iter_no_change):
        model.set_params(early_stopping_rounds=n_iter_no_change)

    def arguments(self, model, n_iter_no_change, X, y, weight):
        weights = {} if weight is None else {"sample_weight_eval_set": [weight]}
        # Otherwise each iteration is printed.
        return {"eval_set": [(X, y)], "verbose": False, **weights}

    def n_iterations(self, model):
        return int(model.best_iteration) + 1

    def fix_iterations(self, model, n_iterations):
        model.set_params(early_stopping_rounds=None, n_estimators=n_iterations)


class LightGBM:
    """`LGBMRegressor`, `LGBMClassifier` and others of lightgbm."""

    def prepare(self, model, n_iter_no_change):
        """Nothing to set: the number is given to `fit`."""

    def arguments(self, model, n_iter_no_change, X, y, weight):
        from lightgbm import early_stopping

        weights = {} if weight is None else {"eval_sample_weight": [weight]}
        stop = early_stopping(n_iter_no_change, verbose=False)
        # Newer versions of LightGBM deprecate `eval_set`.
        new = has_fit_parameter(model, "eval_X")
        rows = {"eval_X": (X,), "eval_y": (y,)} if new else {"eval_set": [(X, y)]}
        return {**rows, "callbacks": [stop], **weights}

    def n_iterations(self, model):
        return int(model.best_iteration_)

    def fix_iterations(self, model, n_iterations):
        model.set_params(n_estimators=n_iterations)


class HistGradientBoosting:
    """`HistGradientBoostingRegressor` and `HistGradientBoostingClassifier` of scikit-learn."""

    def prepare(self, model, n_iter_no_change):
        model.set_params(early_stopping=True, n_iter_no_change=n_iter_no_change)

    def arguments(self, model, n_iter_no_change, X, y, weight):
        weights = {} if weight is None else {"sample_weight_val": weight}
        return {"X_val": X, "y_val": y, **weights}

    def n_iterations(self, model):
        # The first score is the one before the first iteration.
        return max(1, int(np.argmax(model.validation_score_)))

    def fix_iterations(self, model, n_iterations):
        model.set_params(early_stopping=False, max_iter=n_iterations)


def boosting_of(model: Any) -> Boosting:
    """Return how a boosting model is given validation rows.

    Raises
    ------
    TypeError
        When it cannot be given any.
    """
    classes = type(model).__mro__
    if any(cls.__name__ == "XGBModel" for cls in classes):
        return XGBoost()
    if any(cls.__name__ == "LGBMModel" for cls in classes):
        return LightGBM()
    if any(cls.__name__ == "BaseHistGradientBoosting" for cls in classes):
        return HistGradientBoosting()
    raise TypeError(
        f"{type(model).__name__} is no boosting that takes validation rows: the last step must be "
        "a model of XGBoost or LightGBM, HistGradientBoostingRegressor or "
        "HistGradientBoostingClassifier. Samplers must be steps of imbalanced-learn's Pipeline "
        "before it; graph networks have early_stopping=True of their own"
    )
