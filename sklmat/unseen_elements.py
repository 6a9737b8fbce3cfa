"""Elements that no training row had: how rows with them are found, refused and warned of."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from sklmat.elements import N_ROWS, element_symbols
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.recorded_warnings import frames_inside

# Rows and elements that a warning names; of further ones it gives the number.
_MAX_NAMED = 10
# Packages whose lines a warning does not point to; joblib runs the folds of scikit-learn.


@dataclass
class UnseenElements:
    """Rows with elements that no training row had, from several predictions.

    Attributes
    ----------
    symbols : dict of int to list of str
        Row -> symbols of its unseen elements.
    consequences : list of str
        What this means for the results, each text once.
    """

    symbols: dict[int, list[str]] = field(default_factory=dict)
    consequences: list[str] = field(default_factory=list)

    def add(self, symbols: Mapping[int, Sequence[str]], consequences: Sequence[str]) -> None:
        """Add the rows of one prediction."""
        for row, of_row in symbols.items():
            self.symbols[row] = list(dict.fromkeys([*self.symbols.get(row, []), *of_row]))
        self.consequences = list(dict.fromkeys([*self.consequences, *consequences]))


_gathered: ContextVar[UnseenElements | None] = ContextVar("gathered", default=None)


def find_unseen_elements(
    rows: np.ndarray, atomic_numbers: np.ndarray, seen: np.ndarray
) -> dict[int, list[str]]:
    """Find the rows with elements that are not among those seen in training.

    Parameters
    ----------
    rows : ndarray of int, shape (N,)
        Row to which each atom, or each element of a composition, belongs.
    atomic_numbers : ndarray of int, shape (N,)
    seen : array-like of int
        Atomic numbers of the elements in the training rows.

    Returns
    -------
    unseen : dict of int to list of str
        Row -> symbols of its unseen elements by atomic number; rows in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.unseen_elements import find_unseen_elements
    >>> find_unseen_elements(np.array([0, 0, 1, 1]), np.array([11, 17, 19, 17]), [11, 17])
    {1: ['K']}
    """
    known = np.zeros(N_ROWS, dtype=bool)
    known[np.asarray(seen, dtype=int)] = True
    at = np.flatnonzero(~known[np.asarray(atomic_numbers, dtype=int)])
    unseen: dict[int, list[str]] = {}
    if at.size:
        pairs = np.unique(np.column_stack([rows[at], atomic_numbers[at]]), axis=0).astype(int)
        for row, number in pairs.tolist():
            unseen.setdefault(row, []).extend(element_symbols([number]))
    return unseen


def unseen_element_errors(
    unseen: Mapping[int, Sequence[str]],
    formula: Callable[[int], str],
    seen: Sequence[str],
    advice: str,
    why: str = "which no structure of fit had",
) -> list[InvalidStructureError]:
    """Build one error for each row with unseen elements.

    Parameters
    ----------
    unseen : dict of int to list of str
        Result of `find_unseen_elements`.
    formula : callable
        Gives the formula of a row.
    seen : sequence of str
        Symbols of the elements in the training rows.
    advice : str
        What to do, after "fit on rows that have it, ".
    why : str, default="which no structure of fit had"
        What is wrong with the elements.
    """
    return [
        InvalidStructureError(
            row,
            formula(row),
            f"holds the element{'s' * (len(symbols) > 1)} {', '.join(symbols)}, {why} (seen: "
            f"{', '.join(seen)}); fit on rows that have it, {advice}",
        )
        for row, symbols in unseen.items()
    ]


def warn_unseen_elements(
    unseen: Mapping[int, Sequence[str]], consequence: str, training_rows: str = "no row of fit"
) -> None:
    """Give one `ExtrapolationWarning` that names the unseen elements and their rows.

    It points to the line of the caller, outside of sklmat, scikit-learn and the packages between.

    Parameters
    ----------
    unseen : dict of int to list of str
        Result of `find_unseen_elements`; nothing happens if it is empty.
    consequence : str
        What this means for the result; the end of the message.
    training_rows : str, default="no row of fit"
        Subject of "had".
    """
    if not unseen:
        return
    gathered = _gathered.get()
    if gathered is not None:
        gathered.add(unseen, [consequence])
        return
    rows_of: dict[str, list[int]] = {}
    for row, symbols in unseen.items():
        for symbol in symbols:
            rows_of.setdefault(symbol, []).append(row)
    named = [f"{symbol} ({_listed(rows)})" for symbol, rows in rows_of.items()]
    more = f" and {len(named) - _MAX_NAMED} more elements" if len(named) > _MAX_NAMED else ""
    count = "1 row holds" if len(unseen) == 1 else f"{len(unseen)} rows hold"
    warnings.warn(
        f"{count} elements that {training_rows} had: {', '.join(named[:_MAX_NAMED])}{more}; "
        f"{consequence}",
        ExtrapolationWarning,
        stacklevel=frames_inside(),
    )


@contextlib.contextmanager
def gather_unseen_elements() -> Iterator[UnseenElements]:
    """Collect what `warn_unseen_elements` would warn of, to name the rows in another way.

    Yields
    ------
    gathered : UnseenElements
    """
    gathered = UnseenElements()
    token = _gathered.set(gathered)
    try:
        yield gathered
    finally:
        _gathered.reset(token)


def _listed(rows):
    more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
    return f"row{'s' * (len(rows) > 1)} {', '.join(map(str, rows[:_MAX_NAMED]))}{more}"
