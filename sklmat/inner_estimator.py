"""What an estimator around another one takes over from it: its columns, its tags, its methods."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags


class ColumnsOfInner:
    """Mixin: the columns that the fitted `estimator_`, or the first of `estimators_`, has seen."""

    @property
    def n_features_in_(self) -> int:
        """Number of columns seen by `fit`, if `estimator` counts them."""
        return fitted_inner(self, "n_features_in_").n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns seen by `fit`, if `estimator` keeps them."""
        return fitted_inner(self, "feature_names_in_").feature_names_in_


def fitted_inner(outer: Any, attribute: str) -> Any:
    """Return the fitted inner estimator, which has an attribute of the outer one.

    Parameters
    ----------
    outer : estimator
    attribute : str

    Returns
    -------
    estimator

    Raises
    ------
    AttributeError
        Before `fit`: the outer estimator does not have `attribute`.
    """
    fitted = vars(outer)
    if "estimator_" in fitted:
        return fitted["estimator_"]
    if "estimators_" in fitted:
        return fitted["estimators_"][0]
    raise AttributeError(f"{type(outer).__name__} has no attribute {attribute!r} before fit")


def with_tags_of_inner(tags: Tags, estimator: BaseEstimator) -> Tags:
    """Take the tags of input and target from the inner estimator.

    Parameters
    ----------
    tags : Tags
        Those of the outer estimator; they are changed. It needs a target.
    estimator : estimator
        The inner one.

    Returns
    -------
    tags : Tags
        The given object.
    """
    inner = deepcopy(get_tags(estimator))
    tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
    tags.target_tags.required = True
    tags.non_deterministic = inner.non_deterministic
    if inner.classifier_tags is not None:
        tags.classifier_tags = inner.classifier_tags
    if inner.regressor_tags is not None:
        tags.regressor_tags = inner.regressor_tags
    return tags


def refuse_other_kind(outer: BaseEstimator) -> None:
    """Raise a TypeError if a regressor is around a classifier, or the other way round.

    Parameters
    ----------
    outer : estimator
        With a parameter `estimator`.
    """
    inner: Any = getattr(outer, "estimator")  # noqa: B009, BaseEstimator has no such attribute
    wrong = is_classifier if is_regressor(outer) else is_regressor
    if wrong(inner):
        kind = "classifier" if is_regressor(outer) else "regressor"
        given = type(last_step(inner)).__name__
        raise TypeError(f"{type(outer).__name__} was given a {kind}: {given}")


def last_step(estimator: Any) -> Any:
    """Return the last step of a Pipeline, which may be a Pipeline again, or the estimator itself.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator
    """
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def inner_has(name: str) -> Callable:
    """Make a condition for `available_if`: the fitted `estimator_`, or `estimator`, has a method.

    Parameters
    ----------
    name : str
        Of the method.

    Returns
    -------
    callable
    """

    def check(outer):
        getattr(getattr(outer, "estimator_", outer.estimator), name)
        return True

    return check


def weights_for_fit(estimator: BaseEstimator, weights: np.ndarray | None) -> dict:
    """Return weights of the rows as keyword arguments of `fit` of an estimator or Pipeline.

    Parameters
    ----------
    estimator : estimator
    weights : ndarray of shape (n,) or None

    Returns
    -------
    dict
        Empty without weights.
    """
    if weights is None:
        return {}
    names = []
    # With metadata routing, a Pipeline knows from the requests of its steps which take the weights.
    if not get_config()["enable_metadata_routing"]:
        while isinstance(estimator, Pipeline):
            name, estimator = estimator.steps[-1]
            names.append(name)
    return {"__".join([*names, "sample_weight"]): weights}
