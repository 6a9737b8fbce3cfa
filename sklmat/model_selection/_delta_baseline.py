"""Baselines of `DeltaRegressor`: transformers, fitted estimators and functions."""

from __future__ import annotations

import os

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklmat.model_selection._delta_file import load_part
from sklmat.structures import is_graphs
from sklmat.targets import as_numbers

# Rows that a message names; of further ones it gives the number.
_MAX_NAMED = 10


def fit_baseline(baseline, X, y):
    """Fit a transformer, or take what is fitted already.

    Parameters
    ----------
    baseline : transformer, FrozenEstimator, path or callable
    X : sequence of n crystals, CrystalGraphs or table
    y : ndarray of shape (n,) or (n, T)

    Returns
    -------
    fitted : transformer, estimator or callable
        What computes the baseline of new rows.
    values : ndarray of shape (n, T)
        The baseline of the rows of `X`.
    """
    shape = len(y), 1 if y.ndim == 1 else y.shape[1]
    fitted = _fitted_part(baseline)
    if fitted is not None:
        return fitted, baseline_values(fitted, X, shape)
    fitted = clone(baseline)
    crystals = _without_graphs(X)
    if hasattr(fitted, "fit_transform"):
        values = fitted.fit_transform(crystals, y)
    else:
        values = fitted.fit(crystals, y).transform(crystals)
    return fitted, _checked(values, fitted, shape)


def baseline_values(fitted, X, shape):
    """Compute the baseline of rows.

    Parameters
    ----------
    fitted : transformer, estimator or callable
    X : sequence of n crystals, CrystalGraphs or table
    shape : (n, T)

    Returns
    -------
    values : ndarray of shape (n, T)
    """
    if not hasattr(fitted, "graph_settings_"):
        X = _without_graphs(X)
    if hasattr(fitted, "predict"):
        values = fitted.predict(X)
    elif hasattr(fitted, "transform"):
        values = fitted.transform(X)
    else:
        values = fitted(X)
    return _checked(values, fitted, shape)


def _without_graphs(X):
    """Structures of `X`; only graph networks take graphs."""
    return X.to_structures() if is_graphs(X) else X


def _fitted_part(baseline):
    """Return what computes the baseline without a fit; None for a transformer to be fitted."""
    if isinstance(baseline, type):
        raise TypeError(f"baseline is a class; pass an instance, {baseline.__name__}(...)")
    if isinstance(baseline, FrozenEstimator):
        check_is_fitted(baseline.estimator)
        fitted = baseline.estimator
    elif isinstance(baseline, str | os.PathLike):
        fitted = load_part(baseline)
    elif hasattr(baseline, "predict"):
        raise ValueError(_why_bare_estimator_is_refused(baseline))
    elif hasattr(baseline, "transform"):
        return None
    else:
        return baseline
    if not gives_numbers(fitted):
        kind = get_tags(fitted).estimator_type
        raise TypeError(f"baseline holds a {kind}, {type(fitted).__name__}; it must give numbers")
    return fitted


def gives_numbers(estimator):
    """Whether an estimator is no classifier, clusterer or detector, whose output names a class."""
    return get_tags(estimator).estimator_type in ("regressor", None)


def _why_bare_estimator_is_refused(baseline):
    name = type(baseline).__name__
    try:
        check_is_fitted(baseline)
    except NotFittedError:
        return (
            f"baseline is a {name} that is not fitted. Fitted on the same rows, it would leave "
            "too little of their targets, and the estimator would learn too small differences: "
            "fit it on other rows and pass FrozenEstimator(fitted) (from sklearn.frozen) or the "
            "path of a file written by its save(); to combine models of the same rows, use "
            "scikit-learn's StackingRegressor"
        )
    return (
        f"baseline is a fitted {name}, and clone() would remove what it has learned; pass "
        "FrozenEstimator(fitted) (from sklearn.frozen), or the path of a file written by its save()"
    )


def _checked(values, fitted, shape):
    """Return the output of a baseline as numbers of a shape; refuse NaN and infinity."""
    names = getattr(values, "columns", None)
    if issparse(values):
        values = values.toarray()
    try:
        values = as_numbers(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise type(error)(
            "the baseline must give an array with one number for each row and target, and gives a "
            f"{type(values).__name__} that cannot be read as one ({error})"
        ) from error
    if values.ndim == 1 and shape[1] == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != shape[1]:
        raise ValueError(_wrong_columns(values, names, fitted, shape[1]))
    if len(values) != shape[0]:
        raise ValueError(f"the baseline gives {len(values)} rows for the {shape[0]} rows of X")
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        more = f" and {len(wrong) - _MAX_NAMED} more" if len(wrong) > _MAX_NAMED else ""
        rows = ", ".join(map(str, wrong[:_MAX_NAMED]))
        raise ValueError(
            f"the baseline is NaN or infinite in row{'s' * (len(wrong) > 1)} {rows}{more}; leave "
            "these rows out, or use a baseline that gives a number for them"
        )
    return values


def _wrong_columns(values, names, fitted, n_targets):
    """Message about a baseline that does not give one column for each target."""
    if names is None and hasattr(fitted, "get_feature_names_out"):
        names = fitted.get_feature_names_out()
    if values.ndim == 2:
        given = f"{values.shape[1]} column{'s' * (values.shape[1] != 1)}"
    else:
        given = f"an array of shape {values.shape}"
    listed = ""
    if names is not None:
        more = f", and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        listed = f" ({', '.join(map(str, names[:_MAX_NAMED]))}{more})"
    return (
        f"the baseline must give one column per target, {n_targets} for this y, and gives "
        f"{given}{listed}; choose the column that is closest to the target and has its unit, with "
        "a parameter of the transformer or a ColumnTransformer behind it"
    )
