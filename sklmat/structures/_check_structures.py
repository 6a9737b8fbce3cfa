"""`check_structures` validates crystals and converts them to pymatgen structures."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, overload

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.recorded_warnings import frames_inside
from sklmat.structures._as_structure import as_structure, with_file
from sklmat.structures._distances import check_distances

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import Structures

#: Assumptions that one warning lists.
_MAX_NOTES = 20


@overload
def check_structures(
    X: CrystalGraphs, *, on_invalid: Literal["raise", "warn"] = "raise"
) -> CrystalGraphs: ...
@overload
def check_structures(
    X: Structures, *, on_invalid: Literal["raise", "warn"] = "raise"
) -> np.ndarray: ...
@checked_arguments()
def check_structures(
    X: Structures | CrystalGraphs, *, on_invalid: Literal["raise", "warn"] = "raise"
) -> np.ndarray | CrystalGraphs:
    """Validate crystals and return them as an array of pymatgen structures.

    Parameters
    ----------
    X : sequence of C crystals, or CrystalGraphs
        A list, tuple, 1-D object array or pandas Series of pymatgen ``Structure``, ASE ``Atoms``,
        dicts made by ``Structure.as_dict()``, objects with a ``structure``
        (``ComputedStructureEntry``), rows of an ASE database, paths of files (CIF, POSCAR, JSON,
        extxyz and all others that pymatgen reads), or texts of such files. A string with line
        breaks is a text, any other string a path; JSON may be written in one line. A
        `CrystalGraphs` was checked when it was built and is returned as it is.
    on_invalid : {"raise", "warn"}, default="raise"
        "raise" raises an error at the first invalid crystal. "warn" puts ``None`` in the place of
        each invalid crystal and gives one warning with all their indices and reasons.

    Returns
    -------
    structures : ndarray of shape (C,), dtype object
        Pymatgen ``Structure`` objects (``None`` for invalid crystals if `on_invalid` is "warn").
        An input that already is a valid ``Structure`` is neither copied nor changed, with one
        exception: if a site holds one element in several valences or isotopes, or with an occupancy
        within 0.001 of one, the result is a new ``Structure`` with this element on the site.

    Raises
    ------
    InvalidStructureError
        A ``ValueError`` with the attributes ``index``, ``formula`` and ``reason``. It is raised for
        an item that is not a structure or has no sites, for partial occupancy, unknown or dummy
        species, non-finite coordinates or lattice, zero or implausible volume, two atoms closer
        than half the sum of their covalent radii or closer than 0.5 Å, and for a file that cannot
        be read, contradicts itself or holds several crystals.
    TypeError
        When `X` is a single crystal or path, or is not a sequence.
    ValueError
        When `X` is an array of more than one dimension (what ``np.asarray`` makes of a list of
        equal-sized cells).

    Warns
    -----
    InvalidStructureWarning
        One warning for all rows about which something was assumed, such as an occupancy that was
        rounded to one. If `on_invalid` is "warn", one more warning for all invalid rows.

    Notes
    -----
    Data never execute code: when dicts, JSON and YAML are read, site properties that name a Python
    class are left out, without a warning.

    CIF files are read with gemmi. The crystal is compared with the formula, the number of formula
    units and the space group that the file states. If the file does not state the origin or the
    axes of the space group, the settings of the space group are tried.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import check_structures
    >>> bcc = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> check_structures([bcc, bcc.as_dict()]).shape
    (2,)
    >>> check_structures([bcc, Structure(Lattice.cubic(3), ["Fe"] * 2, [[0, 0, 0], [0, 0, 0.1]])])
    Traceback (most recent call last):
    ...
    sklmat.exceptions.InvalidStructureError: structure 1 (Fe2): sites 0 and 1 are 0.300 Å apart, ...
    """
    if on_invalid not in ("raise", "warn"):
        raise ValueError(f"on_invalid must be 'raise' or 'warn', got {on_invalid!r}")
    if is_graphs(X):
        return X
    problems: list[InvalidStructureError] = []
    notes: list[tuple[int, str, str]] = []
    items = as_items(X)
    structures = _convert(items, on_invalid, problems, notes)
    for index, structure in enumerate(structures):
        if structure is None:
            continue
        try:
            check_distances(index, structure)
        except InvalidStructureError as error:
            _refuse(structures, with_file(error, items[index]), on_invalid, problems)
    _warn(problems)
    warn_of_notes([note for note in notes if structures[note[0]] is not None])
    return structures


def is_graphs(X: object) -> TypeGuard[CrystalGraphs]:
    """Whether `X` is a `CrystalGraphs`; tests the class name, because of the import order."""
    return any(cls.__name__ == "CrystalGraphs" for cls in type(X).__mro__)


def convert_structures(X: Structures) -> np.ndarray:
    """Validate and convert like `check_structures`, but do not check distances between atoms.

    Callers that build a neighbour list check the distances in that list, at no extra cost.
    """
    notes: list[tuple[int, str, str]] = []
    structures = _convert(as_items(X), "raise", [], notes)
    warn_of_notes(notes)
    return structures


def convert_items(
    rows: Iterable[int], items: Iterable[object]
) -> tuple[list[IStructure], list[tuple[int, str, str]]]:
    """Like `convert_structures` for some rows of an input, in a process of their own.

    Returns
    -------
    structures : list of Structure
    notes : list of (row, formula, what was assumed)
        For `warn_of_notes`, once for all rows.
    """
    structures, notes = [], []
    for row, item in zip(rows, items):
        structure, said = as_structure(row, item)
        structures.append(structure)
        notes += [(row, _formula_of(structure), note) for note in said]
    return structures, notes


def _convert(items, on_invalid, problems, notes):
    """Convert all crystals, without checking distances between atoms."""
    structures = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        try:
            structures[index], said = as_structure(index, item)
        except InvalidStructureError as error:
            _refuse(structures, error, on_invalid, problems)
        else:
            notes += [(index, _formula_of(structures[index]), note) for note in said]
    return structures


def _formula_of(structure):
    return structure.formula.replace(" ", "")


def _refuse(structures, error, on_invalid, problems):
    """Raise `error`, or replace its structure by None and append it to `problems`."""
    if on_invalid == "raise":
        raise error
    structures[error.index] = None
    problems.append(error)


def _warn(problems):
    """Warn once of all invalid structures."""
    if problems:
        problems = sorted(problems, key=lambda error: error.index)
        message = f"{len(problems)} of the structures cannot be used and give NaN rows:\n"
        message += "\n".join(f"  {error}" for error in problems)
        warnings.warn(message, InvalidStructureWarning, stacklevel=frames_inside())


def warn_of_notes(notes: list[tuple[int, str, str]]) -> None:
    """Warn once of all that was assumed in reading structures: row, formula, what was assumed."""
    if notes:
        shown = sorted(notes)[:_MAX_NOTES]
        lines = [f"  structure {row} ({formula}): {note}" for row, formula, note in shown]
        if len(notes) > len(shown):
            lines.append(f"  ... and {len(notes) - len(shown)} more")
        message = "check what was assumed about these structures:\n" + "\n".join(lines)
        warnings.warn(message, InvalidStructureWarning, stacklevel=frames_inside())


def as_items(X: Structures | CrystalGraphs) -> list:
    """Return the crystals of `X` as a list; raise if `X` is a single crystal or a 2-D array."""
    from pymatgen.core.structure import SiteCollection

    if isinstance(X, str | bytes | PathLike | dict | SiteCollection) or hasattr(
        X, "get_chemical_symbols"
    ):
        raise TypeError(
            f"expected a sequence of structures, got a single {type(X).__name__}; put it in a list"
        )
    # A DataFrame of pandas, or one of polars.
    if hasattr(X, "columns") and (getattr(X, "ndim", 1) == 2 or hasattr(X, "width")):
        table: Any = X
        names = list(table.columns)
        crystals = [c for c in names if len(table) and hasattr(next(iter(table[c])), "lattice")]
        example = [*crystals, *names, "structure"][0]
        raise ValueError(
            f"expected a 1-D sequence of structures, got a {type(X).__name__} with the columns "
            f"{names}; pass its column of structures, such as table[{example!r}]"
        )
    if not isinstance(X, Sequence) and getattr(X, "ndim", 1) != 1:
        array: Any = X
        if array.ndim == 2 and array.size and isinstance(array[0, 0], SiteCollection):
            raise ValueError(
                "expected a 1-D sequence of structures, got an array of structures of shape "
                f"{array.shape}; pass one column of it, such as X[:, 0]"
            )
        raise ValueError(
            f"expected a 1-D sequence of structures, got an array of shape {X.shape}; np.asarray "
            "turns a list of equal-sized cells into a 2-D array of sites: pass the list itself, or "
            "fill an object array of shape (n,)"
        )
    try:
        return list(X)
    except TypeError:
        raise TypeError(
            f"expected a sequence of structures, got {type(X).__name__}; pass a list, tuple, "
            "1-D object array, pandas Series or CrystalGraphs"
        ) from None
