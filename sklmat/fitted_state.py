"""`unchanged_by_failure`: a fit that fails leaves the estimator as it was before."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])


def unchanged_by_failure(method: _Method) -> _Method:
    """Decorate a method that fits an estimator.

    Where it raises an error, or is interrupted, the estimator gets back the attributes that it had
    before, so that no estimator is half fitted: an unfitted one stays unfitted, and a fitted one
    predicts as before.

    Parameters
    ----------
    method : callable
        ``method(estimator, ...)`` sets attributes of the estimator, and changes none in place.

    Returns
    -------
    callable

    Examples
    --------
    >>> from sklmat.fitted_state import unchanged_by_failure
    >>> class Mean:
    ...     @unchanged_by_failure
    ...     def fit(self, y):
    ...         self.n_rows_ = len(y)
    ...         self.mean_ = sum(y) / len(y)
    >>> mean = Mean()
    >>> mean.fit([])
    Traceback (most recent call last):
        ...
    ZeroDivisionError: division by zero
    >>> vars(mean)
    {}
    """

    @wraps(method)
    def fit(self, *args, **params):
        attributes = vars(self)
        before = attributes.copy()
        try:
            return method(self, *args, **params)
        except BaseException:
            attributes.update(before)
            for name in attributes.keys() - before.keys():
                del attributes[name]
            raise

    return fit  # type: ignore[return-value]
