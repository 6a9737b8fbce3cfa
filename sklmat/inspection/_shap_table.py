"""`shap_table`: SHAP values of tree models, also of one inside pipelines, searches and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.utils.validation import check_is_fitted

from sklmat.deprecation import renamed_parameters
from sklmat.inspection._last_step import last_step
from sklmat.recorded_warnings import ignore_warnings

if TYPE_CHECKING:
    import shap
    from sklearn.base import BaseEstimator

    from sklmat.typing import Structures, Table


@renamed_parameters(model="estimator")
def shap_table(
    estimator: BaseEstimator, X: Structures | Table, background: Structures | Table | None = None
) -> shap.Explanation:
    """SHAP values of a tree model, which may be inside a Pipeline, a search or another estimator.

    Parameters
    ----------
    estimator : fitted tree model, or fitted estimator that holds one
        XGBoost, or any other tree model that ``shap.TreeExplainer`` supports. The model may be the
        last step of a Pipeline of scikit-learn or imbalanced-learn, whose first step may take
        structures. It may also be inside a search such as `GridSearchCV` (the best estimator is
        used), an `AugmentedRegressor`, an `AugmentedClassifier`, or a `TransformedTargetRegressor`
        that only scales and shifts `y`.
    X : sequence of C structures, or table
        Rows whose predictions are explained, as `predict` of the estimator takes them.
    background : like `X`, default=None
        Rows that replace features that are left out: SHAP values compare predictions with and
        without a feature, and a feature that is left out takes its values from each of these rows
        in turn. SHAP values are then averages over these rows and ignore correlations between
        features ("interventional"); a few hundred rows are enough. With None, predictions without a
        feature are averages over the branches of the trees, weighted by their numbers of training
        rows ("tree path dependent").

    Returns
    -------
    explanation : shap.Explanation of shape (C, F)
        Contains the names of the features, for ``shap.plots.beeswarm`` and other plots. The base
        value and the SHAP values of a row sum to the raw output of the model: the prediction of a
        regressor, or the log-odds of the second class for an XGBoost classifier of two classes.
        With more classes the explanation has a third axis, the class.

    Raises
    ------
    TypeError
        When the model is not a tree model.
    ValueError
        When a `TransformedTargetRegressor` does more than scale and shift `y`, for example takes
        the logarithm of `y`: SHAP values of log y do not add up to a prediction of y.
    NotFittedError
        When `estimator` is not fitted.

    See Also
    --------
    site_attribution : For graph networks, on which SHAP does not work.

    References
    ----------
    S. M. Lundberg et al., Nat. Mach. Intell. 2, 56 (2020). :doi:`10.1038/s42256-019-0138-9`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklearn.pipeline import make_pipeline
    >>> from xgboost import XGBRegressor
    >>> from sklmat import StructureFeaturizer
    >>> from sklmat.inspection import shap_table
    >>> cells = [Structure(Lattice.cubic(a), ["Fe"], [[0, 0, 0]]) for a in (2.5, 2.6, 2.7, 2.8)]
    >>> trees = XGBRegressor(n_estimators=10, max_depth=2)
    >>> model = make_pipeline(StructureFeaturizer(groups=["volume"]), trees)
    >>> explanation = shap_table(model.fit(cells, [1.0, 2.0, 3.0, 4.0]), cells)
    >>> explanation.shape
    (4, 4)
    >>> explanation.feature_names[0]
    'volume per atom (Å³)'
    >>> total = explanation.values.sum(axis=1) + explanation.base_values
    >>> bool(abs(total - model.predict(cells)).max() < 1e-5)
    True
    """
    # The import of shap makes a palette in a way that matplotlib will deprecate.
    with ignore_warnings(PendingDeprecationWarning):
        import shap

    trees, table = last_step(estimator, X)
    if isinstance(trees, TransformedTargetRegressor):
        check_is_fitted(trees)
        rows = None if background is None else last_step(estimator, background)[1]
        return _in_unit_of_target(shap_table(trees.regressor_, table, rows), trees)
    if not shap.explainers.TreeExplainer.supports_model_with_masker(trees, None):
        raise TypeError(
            f"{type(trees).__name__} is no tree model that shap reads; for graph estimators use "
            "site_attribution, for other models of tables shap.Explainer(model.predict, table)"
        )
    rows = None if background is None else last_step(estimator, background)[1]
    return shap.TreeExplainer(trees, rows)(table)


def _in_unit_of_target(explanation, model):
    """Convert SHAP values of the inner regressor of a `TransformedTargetRegressor` to its unit."""
    several = explanation.values.ndim == 3
    outputs = explanation.values.sum(axis=1) + explanation.base_values
    inverse = model.transformer_.inverse_transform
    table = outputs if several else outputs[:, None]
    shift = inverse(np.zeros_like(table[:1]))[0]
    slope = inverse(np.ones_like(table[:1]))[0] - shift
    if not np.allclose(inverse(table), table * slope + shift, rtol=1e-4):
        raise ValueError(
            f"{model!r} does more than scale and shift y, so that no parts add up to its "
            "predictions; explain the transformed target: shap_table(estimator.regressor_, X)"
        )
    if not several:
        slope, shift = slope.item(), shift.item()
    explanation.values = explanation.values * slope
    explanation.base_values = explanation.base_values * slope + shift
    return explanation
