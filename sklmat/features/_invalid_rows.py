"""load_structures, refuse: rows that a featurizer cannot describe raise, or become NaN."""

import warnings

import numpy as np

from sklmat.elements import element_table
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.structures import check_structures, is_graphs


def load_structures(X, on_invalid):
    """Pass `X` through the one door, refusing graphs, which no longer hold the structures."""
    if is_graphs(X):
        raise TypeError(
            "featurizers need the structures themselves, not CrystalGraphs: pass the structures "
            "that the graphs were built from"
        )
    return check_structures(X, on_invalid=on_invalid)


def refuse(errors, on_invalid):
    """Raise the first of `errors`, or warn of all: rows that the table has no columns for."""
    if errors and on_invalid == "raise":
        raise errors[0]
    if errors:
        lines = "\n".join(f"  {error}" for error in errors)
        warnings.warn(
            f"{len(errors)} of the rows cannot be described and are NaN:\n{lines}",
            InvalidStructureWarning,
            stacklevel=4,
        )


def unseen(kind, rows, formulas, seen):
    """Build one error for each row (a dict row -> names) with something that fit did not see."""
    return [
        InvalidStructureError(
            row,
            formulas(row),
            f"holds the {kind} {', '.join(names)}, which no structure of fit had (seen: "
            f"{', '.join(seen)}); fit on data that has it, or leave this row out",
        )
        for row, names in sorted(rows.items())
    ]


def unseen_elements(structures, crystals, elements):
    """Build one error for each compact crystal (a dict row -> arrays) with another element."""
    table = element_table()
    seen = set(table.loc[elements, "atomic number"])
    new = {}
    for row, (numbers, *_) in crystals.items():
        extra = [table.index[z - 1] for z in np.unique(numbers) if z not in seen]
        if extra:
            new[row] = extra
    return unseen("element", new, lambda row: formula(structures[row]), elements)


def formula(structure):
    """Formula for error messages."""
    return structure.formula.replace(" ", "")
