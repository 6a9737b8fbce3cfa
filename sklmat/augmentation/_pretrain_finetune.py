"""`fit_in_two_steps`: pretrain an estimator on generated rows, fine-tune it on real ones."""

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

from sklmat.inner_estimator import last_step

#: Parameter with the number of trees. With a warm start it is the total number of both fits.
_TREE_COUNTS = {
    GradientBoostingClassifier: "n_estimators",
    GradientBoostingRegressor: "n_estimators",
    HistGradientBoostingClassifier: "max_iter",
    HistGradientBoostingRegressor: "max_iter",
}


def fit_in_two_steps(estimator, generated, real):
    """Fit on generated rows, continue with the real ones, and return the fitted estimator.

    Parameters
    ----------
    estimator : estimator
        One that `check_can_continue` accepts, unfitted; it is changed. Transformers of a Pipeline
        are fitted on the real rows.
    generated, real : (X, y)
        Rows of the two fits. Without generated rows the first fit is left out.

    Returns
    -------
    fitted : estimator
        The given estimator.
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
    last = fit_in_two_steps(last, (X_generated, generated[1]), (X, real[1]))
    estimator.steps = [*fitted, (name, last)]
    return estimator


def check_can_continue(estimator):
    """Raise a TypeError if a second fit could not continue from the first."""
    last = last_step(estimator)
    if _find_method(last) is None:
        raise TypeError(
            f"strategy='pretrain_finetune' needs an estimator that can continue a fit, and "
            f"{type(last).__name__} cannot. It takes XGBoost, scikit-learn's gradient boosting, "
            "estimators that learn in steps (MLPRegressor, SGDRegressor, others with partial_fit, "
            "or with warm_start unless they are part of scikit-learn), and a Pipeline that ends in "
            "one of them; put TransformedTargetRegressor around it, not inside. Otherwise use "
            "strategy='concat'"
        )


def _find_method(estimator):
    """Return the function for both fits of this kind of estimator; None if it has none."""
    parameters = estimator.get_params(deep=False)
    if has_fit_parameter(estimator, "xgb_model"):
        return _fit_xgboost
    if type(estimator) in _TREE_COUNTS:
        return _fit_gradient_boosting
    if isinstance(estimator, MLPClassifier | MLPRegressor):
        return _fit_perceptron
    # The trees of a forest are independent, so no tree would be fitted on both kinds of rows. A
    # convex model has the same optimum for every start. Estimators of scikit-learn that can be
    # trained in steps have partial_fit.
    in_steps = hasattr(estimator, "partial_fit")
    of_sklearn = type(estimator).__module__.startswith("sklearn.")
    warm = "warm_start" in parameters and "n_estimators" not in parameters
    if warm and (in_steps or not of_sklearn):
        return _fit_with_warm_start
    return _fit_partially if in_steps else None


def _continue(estimator, generated, real):
    if not len(generated[0]):
        return estimator.fit(*real)
    return _find_method(estimator)(estimator, generated, real)


def _fit_xgboost(estimator, generated, real):
    """XGBoost: further trees are fitted to the errors of the first ones on the real rows."""
    first = clone(estimator).fit(*generated)
    return estimator.fit(*real, xgb_model=first.get_booster())


def _fit_gradient_boosting(estimator, generated, real):
    """Gradient boosting of scikit-learn: the second fit adds the same number of trees."""
    name = _TREE_COUNTS[type(estimator)]
    estimator.set_params(warm_start=True).fit(*generated)
    estimator.set_params(**{name: 2 * getattr(estimator, name)})
    return estimator.fit(*real)


def _fit_perceptron(estimator, generated, real):
    """Multi-layer perceptron: the second fit keeps the weights, but not the best loss so far.

    Otherwise the second fit would be compared with the best loss of the first, and early stopping
    would usually end it after one epoch.
    """
    estimator.set_params(warm_start=True).fit(*generated)
    if estimator.early_stopping:
        estimator.best_validation_score_ = -np.inf
    else:
        estimator.best_loss_ = np.inf
    return estimator.fit(*real)


def _fit_with_warm_start(estimator, generated, real):
    """Estimators with `warm_start`, outside of scikit-learn: two fits."""
    return estimator.set_params(warm_start=True).fit(*generated).fit(*real)


def _fit_partially(estimator, generated, real):
    """Estimators that learn in batches: one call for each step."""
    classes = {"classes": np.unique(real[1])} if is_classifier(estimator) else {}
    return estimator.partial_fit(*generated, **classes).partial_fit(*real)
