"""`corrected_resampled_ttest`: a t-test for the scores of two estimators on the same splits."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.targets import number_array

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike


@renamed_parameters(confidence="confidence_level")
@checked_arguments(confidence_level=None)
def corrected_resampled_ttest(
    differences: ArrayLike,
    n_train: int | ArrayLike,
    n_test: int | ArrayLike,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, float, float, float]:
    """Test whether the mean difference of two estimators over resampled splits is zero.

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Score of one estimator minus the score of the other, for each split.
    n_train, n_test : int or array-like of shape (n_splits,)
        Numbers of training and test rows in each split; the mean of their ratio is used.
    confidence_level : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    difference, low, high, p : float
        Mean difference, its confidence interval, and the two-sided p-value with n_splits - 1
        degrees of freedom. With one split, all but the difference are NaN; with a
        difference that is not finite, from a failed fit, they are NaN, too.

    Raises
    ------
    ValueError
        When a number of rows is not positive, or `confidence_level` does not lie between 0 and 1.

    Notes
    -----
    The variance of the mean of J differences with sample variance s² is estimated as
    (1/J + n_test/n_train) s² [1]_. The usual s²/J ignores the overlap of the training sets.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239 (2003). https://doi.org/10.1023/A:1024068626366

    Examples
    --------
    Five folds: t = 3 / sqrt((1/5 + 1/4) 2.5) = 2.83 with 4 degrees of freedom.

    >>> from sklmat.model_selection import corrected_resampled_ttest
    >>> test = corrected_resampled_ttest([1, 2, 3, 4, 5], n_train=80, n_test=20)
    >>> [round(float(value), 3) for value in test]
    [3.0, 0.055, 5.945, 0.047]
    """
    check_confidence_level(confidence_level)
    differences = number_array(differences, "differences")
    if differences.ndim != 1:
        raise ValueError(f"differences must have the shape (n_splits,), got {differences.shape}")
    for name, counts in (("n_train", n_train), ("n_test", n_test)):
        counts = number_array(counts, name)
        is_count = (counts >= 1) & (counts < np.inf) & (counts == np.floor(counts))
        if counts.shape not in ((), differences.shape) or not is_count.all():
            raise ValueError(
                f"{name} must be a positive number of rows, or one for each of the "
                f"{len(differences)} splits, got {counts.tolist()}"
            )
    n_splits = len(differences)
    mean = differences.mean() if n_splits else np.nan
    if n_splits < 2 or not np.isfinite(mean):
        return mean, np.nan, np.nan, np.nan
    ratio = np.mean(np.asarray(n_test) / np.asarray(n_train))
    standard_error = np.sqrt((1 / n_splits + ratio) * differences.var(ddof=1))
    half_width = standard_error * stats.t.ppf((1 + confidence_level) / 2, n_splits - 1)
    if standard_error == 0:
        p_value = 1.0 if mean == 0 else 0.0
    else:
        p_value = 2 * stats.t.sf(abs(mean) / standard_error, n_splits - 1)
    return mean, mean - half_width, mean + half_width, p_value


def check_confidence_level(confidence_level: float) -> None:
    """Raise a ValueError unless a level lies between 0 and 1."""
    if not (isinstance(confidence_level, Real) and 0 < confidence_level < 1):
        raise ValueError(f"confidence_level must lie between 0 and 1, got {confidence_level!r}")
