"""`score_known_labels`: a metric of regression over the labels that are known."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.targets import as_numbers, weight_column

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike


def target_names(y: Any, n_targets: int) -> list[str]:
    """Names of the targets for messages: those of the columns, or their numbers.

    Parameters
    ----------
    y : array-like of shape (C,) or (C, n_targets)
    n_targets : int

    Returns
    -------
    list of str
    """
    return [repr(name) for name in getattr(y, "columns", range(n_targets))]


def score_known_labels(
    metric: Callable[..., Any],
    y: ArrayLike,
    predictions: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute a metric over the known labels of each target, and average over the targets.

    Parameters
    ----------
    metric : callable
        A metric of scikit-learn for regression, such as `sklearn.metrics.r2_score`.
    y : array-like of shape (C,) or (C, n_targets)
        Labels; NaN where a label is missing. If none is missing, the result is that of `metric` on
        the whole table.
    predictions : array-like like `y`
    sample_weight : array-like of shape (C,), default=None

    Returns
    -------
    float

    Raises
    ------
    ValueError
        When a target has no known label, or too few for `metric`: R² needs two.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import mean_absolute_error
    >>> from sklmat.known_labels import score_known_labels
    >>> y = [[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]]
    >>> predictions = [[1.0, 10.0], [2.0, 99.0], [6.0, 34.0]]  # mean errors 1 and 2
    >>> score_known_labels(mean_absolute_error, y, predictions)
    1.5
    """
    from sklearn.exceptions import UndefinedMetricWarning

    labels, values = as_numbers(y), np.asarray(predictions)
    if not labels.ndim:
        raise ValueError(f"y must have the shape (C,) or (C, n_targets), got the number {labels}")
    infinite = np.isinf(labels).reshape(len(labels), -1).any(axis=1) if labels.size else []
    if np.any(infinite):
        raise ValueError(f"y is infinite in row {int(np.argmax(infinite))}")
    if sample_weight is not None:
        sample_weight = weight_column(sample_weight, len(labels))
    known = ~np.isnan(labels)
    if known.all() or values.shape != labels.shape:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(metric(y, predictions, **weights))
    labels, values, known = (array.reshape(len(array), -1) for array in (labels, values, known))
    scores = []
    for target, name in enumerate(target_names(y, labels.shape[1])):
        rows = known[:, target]
        score = np.nan
        if rows.any():
            weights = {}
            if sample_weight is not None:
                weights["sample_weight"] = np.asarray(sample_weight)[rows]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                score = metric(labels[rows, target], values[rows, target], **weights)
        if np.isnan(score):
            raise ValueError(
                f"target {name} has {rows.sum()} known labels in these {len(rows)} rows, too few "
                "for this score; score more rows, or leave this target out of y"
            )
        scores.append(float(score))
    return float(np.mean(scores))
