"""`N_JOBS` and `check_n_jobs`: which values of `n_jobs` are valid."""

from __future__ import annotations

from numbers import Integral

from sklearn.utils._param_validation import Interval, validate_parameter_constraints

#: Valid values of `n_jobs`, for the ``_parameter_constraints`` of estimators: 0 is not among them.
N_JOBS = [
    None,
    Interval(Integral, 1, None, closed="left"),
    Interval(Integral, None, -1, closed="right"),
]


def check_n_jobs(n_jobs: int | None, function: str) -> None:
    """Raise a ValueError if `n_jobs` is zero or no integer.

    Parameters
    ----------
    n_jobs : int or None
    function : str
        Name of the function that has the parameter, for the message.

    Examples
    --------
    >>> from sklmat.parallel import check_n_jobs
    >>> check_n_jobs(-1, "screen")
    """
    validate_parameter_constraints({"n_jobs": N_JOBS}, {"n_jobs": n_jobs}, function)
