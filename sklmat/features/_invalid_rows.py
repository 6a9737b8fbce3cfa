"""`read_structures`, `refuse`: invalid rows raise an error or become NaN."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from sklmat.elements import element_table
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.recorded_warnings import frames_inside
from sklmat.structures import CrystalArrays, check_structures, crystal_arrays, is_graphs
from sklmat.unseen_elements import (
    find_unseen_elements,
    unseen_element_errors,
    warn_unseen_elements,
)


def read_structures(X, on_invalid):
    """Validate structures; `CrystalGraphs` are an error, as featurizers need the structures."""
    if is_graphs(X):
        raise TypeError(
            "featurizers need the structures themselves, not CrystalGraphs: pass the structures "
            "that the graphs were built from"
        )
    return check_structures(X, on_invalid=on_invalid)


def refuse(errors, on_invalid):
    """Raise the first of the errors or, if `on_invalid` is "warn", warn of all of them."""
    if errors and on_invalid == "raise":
        raise errors[0]
    if errors:
        lines = "\n".join(f"  {error}" for error in errors)
        warnings.warn(
            f"{len(errors)} of the rows cannot be described and are NaN:\n{lines}",
            InvalidStructureWarning,
            stacklevel=frames_inside(),
        )


def crystals_of_known_elements(
    structures: np.ndarray,
    elements: list[str],
    on_invalid: str,
    handle_unknown: Literal["error", "warn", "ignore"] = "error",
    consequence: str = "they have no columns of their own",
) -> tuple[dict[int, CrystalArrays], list[InvalidStructureError]]:
    """Return arrays of the rows that can be described, and errors for the others.

    Parameters
    ----------
    structures : ndarray of shape (C,)
        Rows that are None are skipped.
    elements : list of str
        Symbols seen in `fit`.
    on_invalid : {"raise", "warn"}
        If "raise", the first error is raised.
    handle_unknown : {"error", "warn", "ignore"}
        "error" makes errors of the rows with other elements; "warn" and "ignore" keep these rows,
        "warn" with one `ExtrapolationWarning`.
    consequence : str
        End of this warning.
    """
    rows = [row for row, structure in enumerate(structures) if structure is not None]
    crystals = dict(zip(rows, crystal_arrays(structures[rows])))
    if not crystals:
        return crystals, []
    numbers = [crystal.atomic_numbers for crystal in crystals.values()]
    seen = element_table(elements)["atomic number"].to_numpy()
    row_of_atom = np.repeat(rows, [len(of_crystal) for of_crystal in numbers])
    unseen = find_unseen_elements(row_of_atom, np.concatenate(numbers), seen)
    if handle_unknown == "warn":
        warn_unseen_elements(unseen, consequence)
    if handle_unknown != "error":
        return crystals, []
    errors = unseen_element_errors(
        unseen,
        lambda row: formula(structures[row]),
        elements,
        "set handle_unknown='warn', or leave this row out",
    )
    if on_invalid == "raise":
        refuse(errors, on_invalid)
    return {row: crystal for row, crystal in crystals.items() if row not in unseen}, errors


def unseen_errors(
    what: str,
    names: Mapping[Any, Sequence[str]],
    items: Sequence[Any] | np.ndarray,
    seen: Sequence[str],
) -> list[InvalidStructureError]:
    """Build an error for each row with elements or lattices (row -> names) that fit did not see."""
    return [
        InvalidStructureError(
            row,
            formula(items[row]),
            f"holds the {what} {', '.join(names[row])}, which no structure of fit had (seen: "
            f"{', '.join(seen)}); fit on data that has it, or leave this row out",
        )
        for row in sorted(names)
    ]


def missing_value_errors(
    structures: np.ndarray,
    rows: Iterable[int],
    values: np.ndarray,
    names: list[str],
    reasons: Mapping[str, str],
) -> list[InvalidStructureError]:
    """Build an error for each row that has NaN in one of the columns in `reasons`.

    Parameters
    ----------
    structures : ndarray of shape (C,)
    rows : iterable of int
    values : ndarray of shape (C, F)
    names : list of str
        Names of the columns of `values`.
    reasons : dict of str
        Name of each checked column -> message for a row with NaN in this column.
    """
    columns = {names.index(name): reason for name, reason in reasons.items()}
    errors: dict[int, InvalidStructureError] = {}
    for row in rows:
        for column, reason in columns.items():
            if np.isnan(values[row, column]):
                error = InvalidStructureError(row, formula(structures[row]), reason)
                errors.setdefault(row, error)
    return list(errors.values())


def formula(item):
    """Formula of a structure or composition, for error messages."""
    return item.formula.replace(" ", "")
