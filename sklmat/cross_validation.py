"""`list_folds`: the folds of `cv` as row numbers, validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import check_cv

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.typing import ArrayLike


def list_folds(
    cv: int | BaseCrossValidator | Iterable | None,
    X: Any,
    y: Any,
    groups: ArrayLike | None = None,
    *,
    is_classifier: bool,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the training and test rows of each fold.

    Parameters
    ----------
    cv : int, cross-validation generator, iterable or None
        As in scikit-learn; an iterable has pairs of row numbers or of masks.
    X, y, groups
        Passed to the generator.
    is_classifier : bool
        Whether an int means stratified folds.

    Returns
    -------
    list of (train, test)
        Row numbers.

    Raises
    ------
    ValueError
        When `cv` has no folds, or a fold is no pair of non-empty arrays of row numbers of `X`.

    Examples
    --------
    >>> from sklmat.cross_validation import list_folds
    >>> list_folds([([0, 1], [2])], [1, 2, 3], [1, 2, 3], is_classifier=False)
    [(array([0, 1]), array([2]))]
    >>> list_folds([([0, 1], [3])], [1, 2, 3], [1, 2, 3], is_classifier=False)
    Traceback (most recent call last):
        ...
    ValueError: the test rows of fold 0 of cv must be row numbers from 0 to 2, or a mask...
    """
    n_rows = len(y)
    refuse_no_folds(cv)
    if cv is None or isinstance(cv, Integral | str) or not isinstance(cv, Iterable):
        pairs = list(check_cv(cv, y, classifier=is_classifier).split(X, y, groups))
    else:
        pairs = list(cv)
    if not pairs:
        raise ValueError(f"cv has no folds, got {_short(cv)}; pass an int, or KFold(5)")
    folds = []
    for number, pair in enumerate(pairs):
        if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise ValueError(
                f"fold {number} of cv must be a pair, the training and the test rows, got "
                f"{_short(pair)}"
            )
        train, test = (
            _row_numbers(part, n_rows, f"the {side} rows of fold {number} of cv")
            for part, side in zip(pair, ("training", "test"))
        )
        folds.append((train, test))
    return folds


def refuse_no_folds(cv: Any) -> None:
    """Raise a ValueError for a `cv` that can be iterated over but holds no folds: dict, text."""
    if isinstance(cv, str | bytes | Mapping | type):
        raise ValueError(f"cv must be an int, a splitter or pairs of row numbers, got {_short(cv)}")


def refuse_shared_rows(folds: list[tuple[np.ndarray, np.ndarray]], what: str) -> None:
    """Raise a ValueError unless each row of a test fold is absent from its training rows.

    Parameters
    ----------
    folds : list of (train, test)
    what : str
        Beginning of the message, such as "cv of ConformalRegressor".
    """
    for number, (train, test) in enumerate(folds):
        shared = np.intersect1d(train, test)
        if len(shared):
            raise ValueError(
                f"{what} must predict each row with a model that was not fitted on it; row "
                f"{shared[0]} is among the training and the test rows of fold {number}"
            )


def _row_numbers(part, n_rows, what):
    """Return row numbers, or those of a mask."""
    try:
        rows = np.asarray(part)
    except ValueError:  # nested lists of different lengths
        rows = np.asarray(part, dtype=object)
    if rows.shape == (n_rows,) and rows.dtype.kind == "b":
        rows = np.flatnonzero(rows)
    if rows.shape == (0,):
        raise ValueError(f"{what} are empty; use fewer or other folds")
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_rows:
        raise ValueError(
            f"{what} must be row numbers from 0 to {n_rows - 1}, or a mask of {n_rows} rows, got "
            f"{_short(part)}"
        )
    return rows


def _short(value):
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
