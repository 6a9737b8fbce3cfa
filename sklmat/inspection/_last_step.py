"""`last_step`: the estimator at the end of a Pipeline, and the rows it predicts from."""

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklmat.estimators import thawed


def last_step(model, X):
    """The estimator at the end of a Pipeline, and X after the steps before it.

    Parameters
    ----------
    model : estimator, FrozenEstimator of one, or fitted Pipeline
    X : what the model predicts from

    Returns
    -------
    estimator, X
        The estimator, taken out of a FrozenEstimator. A table is returned as a DataFrame, so that
        its columns have names.
    """
    model = thawed(model)
    if not isinstance(model, Pipeline):
        return model, X
    check_is_fitted(model)
    before, last = model[:-1], model[-1]
    if not before.steps:
        return last_step(last, X)
    table = before.transform(X)
    if isinstance(table, np.ndarray) and table.ndim == 2:
        table = pd.DataFrame(table, columns=before.get_feature_names_out())
    return last_step(last, table)
