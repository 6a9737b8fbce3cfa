"""`read_compositions`: what `CompositionFeaturizer` takes, as amounts of elements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sklmat.compositions import element_amounts, is_formula, parse_composition
from sklmat.exceptions import InvalidStructureError
from sklmat.features._infer_lattice import lattice_labels
from sklmat.features._invalid_rows import refuse
from sklmat.features._phases import check_phase
from sklmat.structures import (
    as_items,
    as_structure,
    check_distances,
    composition_of_partial,
    is_graphs,
    warn_of_notes,
    with_file,
)

if TYPE_CHECKING:
    from pymatgen.core import Composition
    from pymatgen.core.structure import IStructure

    from sklmat.typing import ArrayLike

#: Columns of a DataFrame that hold the lattice of each row.
PHASE_COLUMNS = ("phase", "lattice")
# A hydrate in the notation that is read as another formula: CuSO4.5H2O as O4.5 H2 O.
_HYDRATE = re.compile(r"[\d)\]]\.\d+H2O")


class CompositionRows(NamedTuple):
    """Rows of an input of `CompositionFeaturizer`.

    Attributes
    ----------
    items : ndarray of shape (C,), dtype object
        A Structure or Composition for each row; None if it is invalid.
    fractions : ndarray of shape (C, 119)
        Atomic fractions by atomic number; NaN if the row is invalid.
    lattices : ndarray of str, shape (C,), or None
        Lattice of each row; None if it is not wanted.
    """

    items: np.ndarray
    fractions: np.ndarray
    lattices: np.ndarray | None


def read_compositions(
    X: Any, with_lattice: bool, on_invalid: str, phase: str | ArrayLike | None = None
) -> CompositionRows:
    """Read structures, compositions, formulas, or a table of them with the phase of each row."""
    if phase is not None and not with_lattice:
        raise ValueError("phase is used only with lattice=True; set it, or leave phase out")
    if is_graphs(X):
        raise TypeError(
            "featurizers need the structures themselves, not CrystalGraphs: pass the structures "
            "that the graphs were built from"
        )
    X, phases = _split_table(X, with_lattice)
    _refuse_single(X)
    if phase is not None:
        if phases is not None:
            raise ValueError("the phase is a column of X and an argument; pass one of them")
        phases = np.full(len(X), phase) if isinstance(phase, str) else check_phase(phase, len(X))
    items = np.empty(len(X), dtype=object)
    errors: list[InvalidStructureError] = []
    notes: list[tuple[int, str, str]] = []
    for row, item in enumerate(as_items(X)):
        try:
            items[row], said = _read_item(row, item, with_lattice and phases is None)
        except InvalidStructureError as error:
            errors.append(error)
            if on_invalid == "raise":
                break
        else:
            notes += [(row, formula_of(items[row]), note) for note in said]
    refuse(errors, on_invalid)
    warn_of_notes(notes)
    amounts = element_amounts(list(items))
    lattices = _lattices(items, phases) if with_lattice else None
    return CompositionRows(items, amounts / amounts.sum(axis=1, keepdims=True), lattices)


def _split_table(X, with_lattice):
    """Rows and phases of a DataFrame; other input has no phases."""
    if hasattr(X, "columns") and hasattr(X, "width"):  # polars
        import pandas as pd

        X = pd.DataFrame({name: X[name].to_list() for name in X.columns})
    if not (hasattr(X, "columns") and hasattr(X, "iloc")):
        return X, None
    phase_names = [name for name in X.columns if name in PHASE_COLUMNS]
    names = [name for name in X.columns if name not in PHASE_COLUMNS]
    if len(names) != 1 or len(phase_names) > 1:
        raise ValueError(
            f"a DataFrame must have one column of compositions or structures and may have one "
            f"column 'phase', got the columns {list(X.columns)}; select them, such as "
            "table[['composition', 'phase']]"
        )
    if not phase_names:
        return X[names[0]], None
    if not with_lattice:
        raise ValueError(
            f"the column {phase_names[0]!r} is used only with lattice=True; set it, or leave the "
            "column out"
        )
    phases = X[phase_names[0]]
    missing = phases.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"row {int(np.argmax(missing))} has no {phase_names[0]}; fill it in or leave the row "
            "out"
        )
    return X[names[0]], phases.astype(str).to_numpy()


def _refuse_single(X):
    Composition, _ = _composition_types()
    if isinstance(X, Composition) or is_formula(X):
        raise TypeError("expected a sequence of compositions, got a single one; put it in a list")
    if not hasattr(X, "__len__"):
        raise TypeError(f"expected a sequence of compositions or crystals, got {X!r}")


@cache
def _composition_types():
    """Composition and DummySpecies; an import in each row would take half of the time."""
    from pymatgen.core import Composition, DummySpecies

    return Composition, DummySpecies


def _read_item(row, item, needs_structure):
    """Structure or composition of one row, and what was assumed in reading it."""
    Composition, _ = _composition_types()
    if isinstance(item, str) and is_formula(item.replace(" ", "")):
        # As pymatgen writes them: "Fe2 O3".
        item = item.replace(" ", "")
    if isinstance(item, Composition) or is_formula(item) or _holds_amounts(item):
        if needs_structure:
            raise TypeError(
                f"row {row} ({_text(item)}) is a composition, which has no lattice: pass "
                "structures, phase=, or a DataFrame with the columns 'composition' and 'phase', "
                "or set lattice=False"
            )
        return _checked_composition(row, item), []
    if isinstance(item, str) and "\n" not in item and not item.lstrip().startswith(("{", "[")):
        _refuse_unknown_text(row, item)
    try:
        structure, notes = as_structure(row, item)
    except InvalidStructureError as error:
        composition = None if needs_structure else composition_of_partial(item, error)
        if composition is None:
            raise
        return _checked_composition(row, composition), []
    try:
        check_distances(row, structure)
    except InvalidStructureError as error:
        raise with_file(error, item) from error
    return structure, notes


def _holds_amounts(item):
    """Whether an item is a dict of symbols and amounts, and not that of a structure."""
    return isinstance(item, Mapping) and not {"sites", "lattice", "structure"} & set(item)


def _checked_composition(row, item):
    _, DummySpecies = _composition_types()
    if isinstance(item, str) and _HYDRATE.search(item):
        raise InvalidStructureError(
            row, item, "is ambiguous: a hydrate is written CuSO4(H2O)5, with brackets"
        )
    try:
        composition = parse_composition(item)
    except (ValueError, TypeError) as error:
        raise InvalidStructureError(row, _text(item), f"is no composition ({error})") from error
    if not composition.num_atoms > 0 or not np.isfinite(composition.num_atoms):
        raise InvalidStructureError(
            row, _text(item), "has no atoms; give each element a positive amount"
        )
    if any(isinstance(species, DummySpecies) for species in composition):
        raise InvalidStructureError(
            row, _text(item), "holds a dummy species; name chemical elements"
        )
    return composition


def _text(item):
    return getattr(item, "formula", None) or (str(item) if item else "empty")


def _refuse_unknown_text(row, item):
    if not item.strip() or not Path(item).expanduser().exists():
        raise InvalidStructureError(
            row, item[:40] or "empty", "is neither a formula, such as Fe2O3, nor the path of a file"
        )


def _lattices(items, phases):
    """Phases as given, or lattices of the structures; empty for invalid rows."""
    if phases is not None:
        return phases
    valid = np.array([item is not None for item in items], dtype=bool)
    lattices = np.full(len(items), "", dtype="U7")
    if valid.any():
        lattices[valid] = lattice_labels(items[valid])
    return lattices


def formula_of(item: Composition | IStructure) -> str:
    """Formula of a row, for messages."""
    return item.formula.replace(" ", "")
