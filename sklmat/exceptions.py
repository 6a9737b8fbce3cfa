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
    """Let an `InvalidStructureError` for some rows name the row of the whole input.

    Parameters
    ----------
    rows : sequence of int
        Row of the whole input, for each row that the code in the ``with`` block works on.
    context : str, default=""
        Where the error happened, such as "in fold 2 of cv"; added to the reason.
    """
    try:
        yield
    except InvalidStructureError as error:
        reason = f"{error.reason} ({context})" if context else error.reason
        raise InvalidStructureError(int(rows[error.index]), error.formula, reason) from error
