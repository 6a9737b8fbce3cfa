"""`shap_table`: SHAP values of models of tables, also inside pipelines, searches and others."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.utils import check_random_state

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.inspection._sampled_columns import explain_by_sampling
from sklmat.model_inside import calibrated_models, find_model
from sklmat.recorded_warnings import ignore_warnings
from sklmat.tables import explain_refused_values
from sklmat.targets import number_array

if TYPE_CHECKING:
    import shap
    from sklearn.base import BaseEstimator

    from sklmat.typing import RandomState, Structures, Table


@renamed_parameters(model="estimator")
@checked_arguments()
def shap_table(
    estimator: BaseEstimator,
    X: Structures | Table,
    background: Structures | Table | None = None,
    *,
    n_permutations: int = 16,
    random_state: RandomState = None,
) -> shap.Explanation:
    """SHAP values of a model of a table, which may be inside a Pipeline, a search or another one.

    Parameters
    ----------
    estimator : fitted model of a table, or fitted estimator that holds one
        Tree models that ``shap.TreeExplainer`` supports, such as XGBoost, and linear models are
        explained exactly; every other regressor or classifier, such as a Gaussian process, by
        sampling, as is HistGradientBoosting with a `background`. The model may be the last step of
        a Pipeline of scikit-learn or imbalanced-learn, whose first step may take structures; the
        columns are then those after all steps. It may also be inside a FrozenEstimator, a search
        such as `GridSearchCV` (the best estimator is used), an `AugmentedRegressor`, an
        `EarlyStoppingRegressor` (or classifier), a `FixedThresholdClassifier` or
        `TunedThresholdClassifierCV`, a `TransformedTargetRegressor` that only scales and shifts
        `y`, or a `CalibratedClassifierCV`, of which the mean over its classifiers before the
        calibration is explained.
    X : sequence of C structures, or table
        Rows whose predictions are explained, as `predict` of the estimator takes them.
    background : like `X`, default=None
        Rows that replace features that are left out: SHAP values compare predictions with and
        without a feature, and a feature that is left out takes its values from each of these rows
        in turn. SHAP values are then averages over these rows and ignore correlations between
        features ("interventional"); a few hundred rows are enough. With None, predictions of tree
        models without a feature are averages over the branches of the trees, weighted by their
        numbers of training rows ("tree path dependent"); for all other models the background is
        `X`. Sampling uses at most 100 rows of the background, drawn at random.
    n_permutations : int, default=16
        For models that are explained by sampling: number of permutations of the columns for each
        row of `X`; every second one is the reverse of the one before. Each takes a prediction per
        column and row of the background.
    random_state : int, RandomState or None, default=None
        Seed of the sampling.

    Returns
    -------
    explanation : shap.Explanation of shape (C, F)
        Contains the names of the features, for ``shap.plots.beeswarm`` and other plots. The base
        value and the SHAP values of a row sum to the output of the model: the prediction of a
        regressor; the raw output of a tree model or linear model of classes, which is the log-odds
        of the second class for an XGBoost classifier or a logistic regression of two classes; or
        the probability of the second class for a classifier that is explained by sampling. With
        several targets or more classes the explanation has a third axis, the target or class.

    Raises
    ------
    TypeError
        When the model does not predict from a table of numbers.
    ValueError
        When a `TransformedTargetRegressor` does more than scale and shift `y`, for example takes
        the logarithm of `y`: SHAP values of log y do not add up to a prediction of y. When the
        classifiers of a `CalibratedClassifierCV` have tables with different columns.
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
    >>> total.round(1), model.predict(cells).round(1)
    (array([1.3, 2.1, 2.9, 3.7], dtype=float32), array([1.3, 2.1, 2.9, 3.7], dtype=float32))
    """
    if not isinstance(n_permutations, Integral) or n_permutations < 1:
        raise ValueError(f"n_permutations must be a whole number above 0, got {n_permutations!r}")
    # The class of a search has `predict`, which its instances with refit=False do not have.
    has_predict = hasattr(type(estimator), "predict") or hasattr(estimator, "predict")
    if isinstance(estimator, type) or not has_predict:
        raise TypeError(f"estimator must be a fitted estimator with predict, got {estimator!r}")
    rng = check_random_state(random_state)
    with explain_refused_values(X):
        return _explain(estimator, X, None, background, (n_permutations, rng))


def _explain(estimator, X, names, background, sampling):
    """Explain the model inside an estimator; `names` are those of the columns of `X`, or None."""
    inside = find_model(estimator)
    table, names = inside.transform_with_names(X, names)
    if background is not None:
        background = inside.transform(background)
    models = calibrated_models(inside.model)
    if models is not None:
        return _mean([_explain(each, table, names, background, sampling) for each in models])
    explanation = _explain_model(inside.model, table, names, background, sampling)
    return _in_unit_of_target(explanation, inside) if inside.targets else explanation


def _explain_model(model, table, names, background, sampling):
    # The import of shap makes a palette in a way that matplotlib will deprecate.
    with ignore_warnings(PendingDeprecationWarning):
        import shap

    if not (hasattr(table, "ndim") and table.ndim == 2):
        instead = "for graph estimators use site_attribution"
        for name, what in (("estimators_", "explain each of"), ("estimator_", "explain")):
            if hasattr(model, name):
                instead = f"{what} its {name}, if this predicts from a table"
                break
        raise TypeError(
            f"{type(model).__name__} does not predict from a table, and shap explains models of "
            f"tables only; {instead}"
        )
    background = _same_columns(model, table, background)
    # shap compares with a background in single precision, so that values of these models, which
    # read double precision, would not sum to the prediction where thresholds are between close
    # numbers.
    is_double = isinstance(model, HistGradientBoostingRegressor | HistGradientBoostingClassifier)
    if shap.explainers.TreeExplainer.supports_model_with_masker(model, None) and not (
        is_double and background is not None
    ):
        table, background = _as_frame(table, names), _as_frame(background, names)
        return shap.TreeExplainer(model, background)(table)
    numbers = _as_numbers(table, "X")
    background = numbers if background is None else _as_numbers(background, "background")
    if background.ndim != 2 or background.shape[1] != numbers.shape[1] or not len(background):
        raise ValueError(
            f"background must be a table with the {numbers.shape[1]} columns of X, got the shape "
            f"{background.shape}"
        )

    def as_given(rows):
        return pd.DataFrame(rows, columns=names) if isinstance(table, pd.DataFrame) else rows

    explained = _linear_values(model, as_given, numbers, background)
    if explained is None:
        explained = explain_by_sampling(_output(model, as_given), numbers, background, *sampling)
    values, base_values = explained
    return shap.Explanation(values, base_values, numbers, feature_names=names)


def _same_columns(model, table, background):
    """Refuse columns in another order than in `fit`; return the background in this order."""
    if not isinstance(table, pd.DataFrame):
        return background
    columns = list(table.columns)
    of_fit = list(getattr(model, "feature_names_in_", columns))
    if columns != of_fit:
        odd = next((name for name in columns if name not in of_fit), None)
        what = "in another order" if odd is None else f"such as {odd!r}, which fit did not have"
        raise ValueError(f"X has other columns than fit had, {what}; pass X[{of_fit[:3]} ...]")
    if not isinstance(background, pd.DataFrame):
        return background
    missing = [name for name in columns if name not in background]
    if missing:
        raise ValueError(f"background has no column {missing[0]!r}")
    return background[columns]


def _as_frame(table, names):
    """A table with the names of its columns, if they are known."""
    if table is None or names is None or isinstance(table, pd.DataFrame):
        return table
    return pd.DataFrame(_dense(table), columns=names)


def _dense(table):
    return table.toarray() if sparse.issparse(table) else table


def _as_numbers(table, name):
    try:
        return number_array(_dense(table), name)
    except (TypeError, ValueError) as error:
        raise TypeError(f"shap_table needs columns of numbers: {error}") from error


def _linear_values(model, as_given, table, background):
    """SHAP values and base values of a linear model, or None if the model is not linear."""
    coefficients, intercept = getattr(model, "coef_", None), getattr(model, "intercept_", None)
    if coefficients is None or intercept is None:
        return None
    coefficients = np.atleast_2d(_dense(coefficients))
    predict = model.decision_function if hasattr(model, "decision_function") else model.predict
    outputs = predict(as_given(table))
    # Other models have coefficients too, of the logarithm of their output or of pairs of classes.
    n_outputs = 1 if outputs.ndim == 1 else outputs.shape[1]
    if coefficients.shape != (n_outputs, table.shape[1]):
        return None
    linear = (table @ coefficients.T + intercept).reshape(outputs.shape)
    if not np.allclose(linear, outputs, rtol=1e-5, atol=1e-6 * np.abs(outputs).max()):
        return None
    not_finite = ~np.isfinite(background).all(axis=1)
    if not_finite.any():
        raise ValueError(f"background contains NaN or infinity in row {np.argmax(not_finite)}")
    mean = background.mean(axis=0)
    values = (table - mean)[:, :, None] * coefficients.T
    base_values = np.tile(mean @ coefficients.T + intercept, (len(table), 1))
    return (values[..., 0], base_values[:, 0]) if outputs.ndim == 1 else (values, base_values)


def _output(model, as_given):
    """The output that is explained by sampling, as a function of an array of rows."""
    is_tree = isinstance(model, HistGradientBoostingClassifier)  # log-odds, as other trees
    if is_classifier(model) and hasattr(model, "predict_proba") and not is_tree:

        def probabilities(rows):
            found = model.predict_proba(as_given(rows))
            return found[:, 1] if found.shape[1] == 2 else found

        return probabilities
    predict = model.decision_function if is_classifier(model) else model.predict
    return lambda rows: np.asarray(predict(as_given(rows)))


def _mean(explanations):
    """Mean of the explanations of the classifiers of a `CalibratedClassifierCV`."""
    first = explanations[0]
    for other in explanations[1:]:
        if list(first.feature_names or []) != list(other.feature_names or []) or not np.allclose(
            np.asarray(first.data, float), np.asarray(other.data, float), equal_nan=True
        ):
            raise ValueError(
                "the classifiers of the CalibratedClassifierCV were fitted on different rows, and "
                "their tables differ: put the steps that make the table before the "
                "CalibratedClassifierCV, or use ensemble=False"
            )
    first.values = np.mean([each.values for each in explanations], axis=0)
    first.base_values = np.mean([each.base_values for each in explanations], axis=0)
    return first


def _in_unit_of_target(explanation, inside):
    """Convert SHAP values of the inner regressor of a `TransformedTargetRegressor` to its unit."""
    several = explanation.values.ndim == 3
    outputs = explanation.values.sum(axis=1) + explanation.base_values
    slope, shift = inside.target_scaling(outputs if several else outputs[:, None])
    if not several:
        slope, shift = slope.item(), shift.item()
    explanation.values = explanation.values * slope
    explanation.base_values = explanation.base_values * slope + shift
    return explanation
