"""Errors and warnings of sklmat: `InvalidStructureError` and others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class InvalidStructureError(ValueError):
    """Error for an invalid crystal, with its row in the input.

    Parameters
    ----------
    index : int
        Row of the crystal in the input.
    formula : str
        Chemical formula of the crystal, or a short description if it has none.
    reason : str
        Why the crystal is invalid, and how to correct it.
    """

    def __init__(self, index: int, formula: str, reason: str) -> None:
        # All three are in `args`, from which pickle rebuilds the exception in another process.
        super().__init__(index, formula, reason)
        self.index = index
        self.formula = formula
        self.reason = reason

    def __str__(self) -> str:
        return f"structure {self.index} ({self.formula}): {self.reason}"


class InvalidRowsError(InvalidStructureError):
    """Error of `load_structures` that lists all rows that cannot be used.

    Parameters
    ----------
    index : int
        First of these rows, counted from zero; -1 if the only problems are structure files that no
        row of the table (such as ``id_prop.csv``) names.
    formula : str
        Formula of its crystal, or the name of its file.
    reason : str
        All rows, and what is wrong with each.
    """

    def __str__(self) -> str:
        return self.reason


class InvalidValueError(ValueError, TypeError):
    """Error for a value of a table that a model cannot use, with its row in the input.

    It is a ValueError, as for NaN, and a TypeError, as for a value that is no number.

    Parameters
    ----------
    index : int
        Row of the value in the input, counted from zero.
    column : str
        Name or number of its column, as in the message.
    value : str
        What the row holds, such as "NaN".
    reason : str
        Why the model cannot use it.
    """

    def __init__(self, index: int, column: str, value: str, reason: str) -> None:
        super().__init__(index, column, value, reason)
        self.index = index
        self.column = column
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Input X contains {self.value}, first in row {self.index}, column {self.column}: "
            f"{self.reason}"
        )


#: Errors whose first argument is the row of the input, and whose last one is the reason.
ERRORS_OF_ROWS = (InvalidStructureError, InvalidValueError)


class InvalidStructureWarning(UserWarning):
    """Warning that rows are invalid, that something was assumed, or that a value is not defined.

    An assumption is, for example, the space group P 1 for a file without symmetry. The volume of a
    slab is not defined, and featurizers return NaN for it. With
    ``on_invalid="warn"``, `check_structures` returns None for each invalid row, and featurizers
    return a row of NaN.
    """


class ExtrapolationWarning(UserWarning):
    """Warning that rows differ from all training rows, so that predictions extrapolate.

    They hold an element that no training row had, their composition is far from the training
    compositions, or they are outside of an `ApplicabilityDomain`.
    """


class PretrainingOverlapWarning(UserWarning):
    """Warning that a pre-trained model may have been trained on the crystals that it describes.

    Scores on such crystals can be better than on new ones, and no split of the rows changes this.
    """


@contextlib.contextmanager
def rows_of_input(rows: Sequence[int] | np.ndarray, context: str = "") -> Iterator[None]:
    """Let an error of `ERRORS_OF_ROWS` for some rows name the row of the whole input.

    Parameters
    ----------
    rows : sequence of int
        Row of the whole input, for each row that the code in the ``with`` block works on.
    context : str, default=""
        Where the error happened, such as "in fold 2 of cv"; added to the reason.
    """
    try:
        yield
    except ERRORS_OF_ROWS as error:
        raise with_row_of_input(error, rows, context) from error


def with_row_of_input(
    error: ValueError, rows: Sequence[int] | np.ndarray, context: str = ""
) -> ValueError:
    """Return an error of `ERRORS_OF_ROWS` with the row of the whole input.

    Parameters
    ----------
    error : InvalidStructureError or InvalidValueError
        Its row is a position in `rows`.
    rows, context
        As in `rows_of_input`.

    Returns
    -------
    InvalidStructureError or InvalidValueError
    """
    index, *what, reason = error.args
    return type(error)(int(rows[index]), *what, f"{reason} ({context})" if context else reason)
