"""Errors and warnings of sklmat: `InvalidStructureError` and others."""

from __future__ import annotations


class InvalidStructureError(ValueError):
    """A crystal that cannot be used, with its place in the input.

    Parameters
    ----------
    index : int
        Row of the offending item in the input.
    formula : str
        Its chemical formula, or a short description where there is none.
    reason : str
        What is wrong with it and what to do.
    """

    def __init__(self, index: int, formula: str, reason: str) -> None:
        # All three go to args: an exception that crosses a process boundary is rebuilt from them.
        super().__init__(index, formula, reason)
        self.index = index
        self.formula = formula
        self.reason = reason

    def __str__(self) -> str:
        return f"structure {self.index} ({self.formula}): {self.reason}"


class InvalidStructureWarning(UserWarning):
    """Rows that were replaced by NaN because ``on_invalid="warn"`` asked for it."""


class ExtrapolationWarning(UserWarning):
    """Compositions far from those that a model was trained on."""
