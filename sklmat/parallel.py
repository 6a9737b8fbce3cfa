"""`N_JOBS` and `check_n_jobs`: which values of `n_jobs` are valid."""

from __future__ import annotations

from numbers import Integral

from sklearn.utils._param_validation import validate_parameter_constraints

from sklmat.parameter_constraints import Interval

#: Largest number of processes: joblib would try to start any number of them, until memory ends.
_MOST_JOBS = 10_000
#: Valid values of `n_jobs`, for the ``_parameter_constraints`` of estimators: 0 is not among them.
N_JOBS = [
    None,
    Interval(Integral, 1, _MOST_JOBS, closed="both"),
    Interval(Integral, -_MOST_JOBS, -1, closed="both"),
]


def check_n_jobs(n_jobs: int | None, function: str) -> None:
    """Raise a ValueError if `n_jobs` is zero, larger than 10,000, or no integer.

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
