"""`sampling_strategy` of imbalanced-learn: how many rows of each class are added or kept."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import StrOptions

from sklmat.parameter_constraints import Interval

#: Values of the parameter for over-sampling.
OVER_SAMPLING = [
    Interval(Real, 0, 1, closed="right"),
    StrOptions({"auto", "minority", "not minority", "not majority", "all"}),
    Mapping,
    callable,
]


def rows_per_class(sampling_strategy, labels, kind):
    """Return the number of rows to add or to keep of each class.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable
    labels : ndarray of shape (n,)
    kind : {"over-sampling", "under-sampling"}

    Returns
    -------
    dict
        Class, as a number or string of Python -> number of rows.

    Raises
    ------
    ValueError
        When it asks for fewer rows than there are, for a class that does not occur, and others.
    """
    # Slow to import, and most samplers of tables do not need it.
    from imblearn.utils import check_sampling_strategy

    try:
        numbers = check_sampling_strategy(sampling_strategy, labels, kind)
    except ValueError as error:
        message = f"sampling_strategy={sampling_strategy!r} cannot be used: {error}"
        raise ValueError(message) from error
    return {_plain(label): int(number) for label, number in numbers.items()}


def _plain(label):
    return label.item() if isinstance(label, np.generic) else label
