"""Texts of caught warnings and errors, for the messages of the readers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable


def messages_of_warnings(caught: Iterable[warnings.WarningMessage]) -> tuple[str, ...]:
    """Texts of warnings, without those that only concern developers."""
    return tuple(
        dict.fromkeys(
            str(warning.message)
            for warning in caught
            if not issubclass(
                warning.category, DeprecationWarning | PendingDeprecationWarning | ResourceWarning
            )
        )
    )


def error_text(error: BaseException) -> str:
    """Name of the class of an error, and its message."""
    return f"{type(error).__name__}: {error}"
