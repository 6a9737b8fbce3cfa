"""The values of parameters that are "auto", in a training and in a loaded estimator."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator


def auto_params(
    estimator: GraphEstimator,
    n_rows: int,
    n_elements: int,
    before: GraphEstimator | None,
    from_fitted: bool,
) -> dict[str, Any]:
    """Values for the parameters that are "auto" in a training.

    Parameters
    ----------
    estimator : GraphEstimator
    n_rows, n_elements : int
        Number of training rows, and of the elements in them.
    before : fitted estimator or None
        Estimator whose networks are trained further, or from whose weights they start. The width of
        the network is the same.
    from_fitted : bool
        Whether `before` is the estimator itself, whose networks keep their optimizer.

    Returns
    -------
    dict
        Parameter -> value, only of the parameters that are "auto".
    """
    rule = estimator.architecture.auto_values
    values = rule(estimator, n_rows, n_elements)
    if values and from_fitted:
        optimizer = estimator.nets_[0].optimizer_name
        values = rule(with_values(estimator, {"optimizer": optimizer}), n_rows, n_elements)
    if "hidden_dim" in values and before is not None:
        values["hidden_dim"] = before.nets_[0].module_.config["hidden_dim"]
    return _for_auto(estimator, values)


def loaded_values(estimator: GraphEstimator) -> dict[str, Any]:
    """Values for the parameters of a loaded estimator that are "auto", of its last training."""
    values = estimator.architecture.auto_values(estimator, 1, 1)
    return _for_auto(estimator, values | getattr(estimator, "auto_params_", {}))


def _for_auto(estimator, values):
    return {name: value for name, value in values.items() if getattr(estimator, name) == "auto"}


def with_values(estimator: GraphEstimator, values: dict[str, Any]) -> GraphEstimator:
    """Copy of an estimator, with the same networks, in which parameters have other values."""
    estimator = copy.copy(estimator)
    for name, value in values.items():
        setattr(estimator, name, value)
    return estimator
