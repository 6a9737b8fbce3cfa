"""What makes a row of numbers a composition."""

import numpy as np

#: Published fractions are rounded; rows that are farther from a sum of one are something else.
SUM_TOLERANCE = 1e-3


def refuse_rows(bad, reason, values, what=""):
    """Raise for the first row for which `bad` is true, with its values."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{what}row {row} {reason}: {values[row].tolist()}; correct or drop it")


def check_fractions(values, what=""):
    """Refuse rows that are no composition.

    Parameters
    ----------
    values : ndarray of shape (n, E)
        Fractions.
    what : str, default=""
        Begins the message.

    Raises
    ------
    ValueError
        When a fraction is not finite or negative, or a row does not sum to one.
    """
    refuse_rows(~np.isfinite(values).all(axis=1), "holds NaN or infinity", values, what)
    refuse_rows((values < 0).any(axis=1), "has a negative fraction", values, what)
    off = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
    refuse_rows(off, "has fractions that do not sum to one", values, what)
