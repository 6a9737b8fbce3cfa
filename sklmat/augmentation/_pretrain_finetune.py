"""Two fits in a row: learn from generated rows, then go on with the real ones."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

#: Parameter that counts all trees of both fits, where a warm start adds trees.
_TREE_COUNTS = {
    GradientBoostingClassifier: "n_estimators",
    GradientBoostingRegressor: "n_estimators",
    HistGradientBoostingClassifier: "max_iter",
    HistGradientBoostingRegressor: "max_iter",
}


def fit_in_two_steps(estimator, generated, real):
    """Fit on generated rows, go on with the real ones, and return the fitted estimator.

    Parameters
    ----------
    estimator : estimator
        One that `check_can_continue` accepts, unfitted; it is changed. Transformers of a Pipeline
        are fitted on the real rows.
    generated, real : (X, y)
        The rows of each step. Without generated rows the first step is left out.

    Returns
    -------
    fitted : estimator
        The one given.
    """
    if not isinstance(estimator, Pipeline):
        return _continue(estimator, generated, real)
    *steps, (name, last) = estimator.steps
    X, X_generated = real[0], generated[0]
    fitted = []
    for step, transformer in steps:
        if transformer not in (None, "passthrough"):
            X = transformer.fit_transform(X, real[1])
            X_generated = transformer.transform(X_generated) if len(X_generated) else X_generated
        fitted.append((step, transformer))
    last = _continue(last, (X_generated, generated[1]), (X, real[1]))
    estimator.steps = [*fitted, (name, last)]
    return estimator


def check_can_continue(estimator):
    """Raise a TypeError if a second fit would start anew, or leave nothing of the first."""
    last = final_step(estimator)
    if _way(last) is None:
        raise TypeError(
            f"strategy='pretrain_finetune' cannot go on with {type(last).__name__} after a first "
            "fit. It takes XGBoost, scikit-learn's gradient boosting, what learns in steps "
            "(MLPRegressor, SGDRegressor, and others with partial_fit or, unless they are of "
            "scikit-learn, warm_start), and a Pipeline that ends in one of them; put "
            "TransformedTargetRegressor around it, not inside. Otherwise use strategy='concat'"
        )


def final_step(estimator):
    """Return the last step of a Pipeline, or the estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _way(estimator):
    """Return the function that goes on with this kind of estimator, or None."""
    params = estimator.get_params(deep=False)
    if has_fit_parameter(estimator, "xgb_model"):
        return _boost_on
    if type(estimator) in _TREE_COUNTS:
        return _grow_on
    if isinstance(estimator, MLPClassifier | MLPRegressor):
        return _train_on
    # The trees of a forest are independent, so none would learn from both kinds of rows; and a
    # convex model ends where the real rows alone lead it. Those of scikit-learn that learn in steps
    # have partial_fit.
    in_steps = hasattr(estimator, "partial_fit")
    own = type(estimator).__module__.startswith("sklearn.")
    if "warm_start" in params and "n_estimators" not in params and (in_steps or not own):
        return _start_warm
    return _update if in_steps else None


def _continue(estimator, generated, real):
    if not len(generated[0]):
        return estimator.fit(*real)
    return _way(estimator)(estimator, generated, real)


def _boost_on(estimator, generated, real):
    """XGBoost: trees for what the first ones miss on the real rows."""
    first = clone(estimator).fit(*generated)
    return estimator.fit(*real, xgb_model=first.get_booster())


def _grow_on(estimator, generated, real):
    """Gradient boosting of scikit-learn: as many trees again."""
    count = _TREE_COUNTS[type(estimator)]
    estimator.set_params(warm_start=True).fit(*generated)
    estimator.set_params(**{count: 2 * getattr(estimator, count)})
    return estimator.fit(*real)


def _train_on(estimator, generated, real):
    """Multi-layer perceptron: the weights stay, the record for early stopping does not.

    Without the latter, the second fit is compared with the best loss of the first, and usually
    ends after its first epoch.
    """
    estimator.set_params(warm_start=True).fit(*generated)
    if estimator.early_stopping:
        estimator.best_validation_score_ = -np.inf
    else:
        estimator.best_loss_ = np.inf
    return estimator.fit(*real)


def _start_warm(estimator, generated, real):
    return estimator.set_params(warm_start=True).fit(*generated).fit(*real)


def _update(estimator, generated, real):
    """Estimators that learn in batches: one call for each step."""
    first = {"classes": np.unique(real[1])} if is_classifier(estimator) else {}
    return estimator.partial_fit(*generated, **first).partial_fit(*real)
