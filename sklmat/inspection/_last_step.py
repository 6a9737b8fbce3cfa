"""`last_step`: the estimator inside a Pipeline, search or other, and the rows it predicts from."""

import numpy as np
import pandas as pd
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation import AugmentedClassifier, AugmentedRegressor
from sklmat.estimators import thawed

_NO_BEST = (
    "This %(name)s has no best_estimator_: call fit with refit=True, or pass one of the estimators"
)


def last_step(model, X):
    """The estimator at the end of a Pipeline, and X after the steps before it.

    Parameters
    ----------
    model : fitted estimator
        It may be inside a FrozenEstimator, at the end of a Pipeline of scikit-learn or
        imbalanced-learn, the best one of a search, or the one of an `AugmentedRegressor`.
    X : what the model predicts from

    Returns
    -------
    estimator, X
        A table is returned as a DataFrame, so that its columns have names.
    """
    model = thawed(model)
    if isinstance(model, BaseSearchCV):
        check_is_fitted(model, "best_estimator_", msg=_NO_BEST)
        return last_step(model.best_estimator_, X)
    if isinstance(model, AugmentedRegressor | AugmentedClassifier):
        check_is_fitted(model)
        return last_step(model.estimator_, X)
    if not isinstance(model, Pipeline):
        return model, X
    check_is_fitted(model)
    # Samplers of a Pipeline of imbalanced-learn are for the rows of fit only.
    steps = [step for step in model.steps[:-1] if not hasattr(step[1], "fit_resample")]
    if not steps:
        return last_step(model[-1], X)
    before = Pipeline(steps)
    table = before.transform(X)
    if isinstance(table, np.ndarray) and table.ndim == 2:
        table = pd.DataFrame(table, columns=before.get_feature_names_out())
    return last_step(model[-1], table)
