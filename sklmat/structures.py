"""`check_structures` validates crystals; pymatgen ``Structure`` and `CrystalArrays` hold them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeGuard, overload

import numpy as np

from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure import IStructure

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import Structures

#: A smaller distance of two atoms (Å) is an error in the input: the shortest bond, H-H, has 0.74 Å.
MIN_DISTANCE = 0.5


@overload
def check_structures(
    X: CrystalGraphs, *, on_invalid: Literal["raise", "warn"] = "raise"
) -> CrystalGraphs: ...
@overload
def check_structures(
    X: Structures, *, on_invalid: Literal["raise", "warn"] = "raise"
) -> np.ndarray: ...
def check_structures(
    X: Structures | CrystalGraphs, *, on_invalid: Literal["raise", "warn"] = "raise"
) -> np.ndarray | CrystalGraphs:
    """Validate crystals and return them as an array of pymatgen structures.

    Parameters
    ----------
    X : sequence of C crystals, or CrystalGraphs
        A list, tuple, 1-D object array or pandas Series of pymatgen ``Structure``, ASE ``Atoms``,
        dicts made by ``Structure.as_dict()``, or paths (``str`` or ``pathlib.Path``) of files that
        pymatgen reads (CIF, POSCAR, ...). A `CrystalGraphs` was checked when it was built and is
        returned as it is.
    on_invalid : {"raise", "warn"}, default="raise"
        "raise" raises an error at the first invalid crystal. "warn" puts ``None`` in the place of
        each invalid crystal and gives one warning with all their indices and reasons.

    Returns
    -------
    structures : ndarray of shape (C,), dtype object
        Pymatgen ``Structure`` objects (``None`` for invalid crystals if `on_invalid` is "warn").
        Inputs that already are ``Structure`` are neither copied nor changed.

    Raises
    ------
    InvalidStructureError
        A ``ValueError`` with ``index``, ``formula`` and ``reason``: not a structure, no sites,
        partial occupancy, unknown or dummy species, non-finite coordinates or lattice, zero volume,
        two atoms closer than 0.5 Å, or a file that cannot be read.
    TypeError
        When `X` is a single crystal or path, or is not a sequence.
    ValueError
        When `X` is an array of more than one dimension (what ``np.asarray`` makes of a list of
        equal-sized cells).

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
    structures = _convert(X, on_invalid, problems)
    for index, structure in enumerate(structures):
        if structure is None:
            continue
        try:
            check_distances(index, structure)
        except InvalidStructureError as error:
            _refuse(structures, error, on_invalid, problems)
    _warn(problems)
    return structures


def is_graphs(X: object) -> TypeGuard[CrystalGraphs]:
    """Whether `X` is a `CrystalGraphs`; tests the class name, because of the import order."""
    return any(cls.__name__ == "CrystalGraphs" for cls in type(X).__mro__)


def convert_structures(X: Structures) -> np.ndarray:
    """Validate and convert like `check_structures`, but do not check distances between atoms.

    Callers that build a neighbour list check the distances in that list, at no extra cost.
    """
    return _convert(X, "raise", [])


def _convert(X, on_invalid, problems):
    """Convert all crystals, without checking distances between atoms."""
    items = as_items(X)
    structures = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        try:
            structures[index] = _as_structure(index, item)
        except InvalidStructureError as error:
            _refuse(structures, error, on_invalid, problems)
    return structures


def check_distances(index: int, structure: IStructure) -> None:
    """Raise if two atoms of `structure`, or an atom and its own image, are closer than 0.5 Å."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    coords = np.ascontiguousarray(structure.cart_coords, dtype=float)
    lattice = structure.lattice
    first, second, image, distance = find_points_in_spheres(
        coords,
        coords,
        r=MIN_DISTANCE,
        pbc=np.ascontiguousarray(lattice.pbc, dtype=np.int64),
        lattice=np.ascontiguousarray(lattice.matrix, dtype=float),
        tol=1e-8,
    )
    clash = ((first != second) | image.any(axis=1)) & (distance < MIN_DISTANCE)
    if clash.any():
        pair = np.flatnonzero(clash)[np.argmin(distance[clash])]
        raise close_atoms_error(index, structure, first[pair], second[pair], distance[pair])


def close_atoms_error(
    index: int, structure: IStructure, i: int, j: int, distance: float
) -> InvalidStructureError:
    """Build the error for two atoms that are too close."""
    i, j = sorted((int(i), int(j)))
    pair = f"sites {i} and {j}" if i != j else f"site {i} and its periodic image"
    return InvalidStructureError(
        index,
        structure.formula.replace(" ", ""),
        f"{pair} are {distance:.3f} Å apart, closer than {MIN_DISTANCE} Å; remove duplicate sites "
        "(Structure.merge_sites) or check the lattice and the units of the coordinates",
    )


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
        warnings.warn(message, InvalidStructureWarning, stacklevel=3)


def as_items(X: Structures) -> list:
    """Return the crystals of `X` as a list; raise if `X` is a single crystal or a 2-D array."""
    from pymatgen.core.structure import SiteCollection

    if isinstance(X, str | Path | dict | SiteCollection) or hasattr(X, "get_chemical_symbols"):
        raise TypeError(
            f"expected a sequence of structures, got a single {type(X).__name__}; put it in a list"
        )
    if not isinstance(X, Sequence) and getattr(X, "ndim", 1) != 1:
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


def _as_structure(index, item):
    """One valid pymatgen structure, or an InvalidStructureError."""
    from pymatgen.core import Structure
    from pymatgen.core.structure import IStructure

    if isinstance(item, str | Path):
        structure = _read(index, item, Structure)
    elif isinstance(item, dict):
        structure = _from_dict(index, item, Structure)
    elif isinstance(item, IStructure):
        structure = item
    elif hasattr(item, "get_chemical_symbols") and hasattr(item, "get_cell"):
        structure = _from_ase(index, item, Structure)
    else:
        raise InvalidStructureError(
            index,
            type(item).__name__,
            "not a structure; pass a pymatgen Structure, an ASE Atoms, a dict from as_dict() or a "
            "path to a structure file",
        )
    _check_content(index, structure)
    return structure


def _read(index, path, Structure):
    path = Path(path)
    try:
        return Structure.from_file(path)
    except Exception as error:
        reason = "no such file" if not path.exists() else f"{type(error).__name__}: {error}"
        raise InvalidStructureError(
            index, path.name, f"cannot be read from {path} ({reason})"
        ) from error


def _from_dict(index, item, Structure):
    try:
        return Structure.from_dict(item)
    except Exception as error:
        raise InvalidStructureError(
            index,
            "dict",
            f"is not what Structure.as_dict() makes ({type(error).__name__}: {error})",
        ) from error


def _from_ase(index, atoms, Structure):
    from pymatgen.core import Lattice

    formula = atoms.get_chemical_formula() or "no atoms"
    cell = np.array(atoms.get_cell(), dtype=float)
    if np.isfinite(cell).all() and abs(np.linalg.det(cell)) < 1e-8:
        raise InvalidStructureError(
            index,
            formula,
            "zero volume: the Atoms object has no three independent cell vectors; set a cell "
            "(atoms.center(vacuum=...) for a molecule)",
        )
    # ASE's CIF reader stores the occupancies of ordered crystals as well, so their values count.
    occupancies = (atoms.info.get("occupancy") or {}).values()
    if any(len(site) != 1 or abs(sum(site.values()) - 1) > 1e-8 for site in occupancies):
        raise InvalidStructureError(
            index, formula, "partial occupancy in Atoms.info['occupancy']; choose one ordering"
        )
    if not (np.isfinite(cell).all() and np.isfinite(atoms.get_positions()).all()):
        raise InvalidStructureError(index, formula, "non-finite coordinates or lattice")
    numbers = np.asarray(atoms.get_atomic_numbers())
    if (numbers < 1).any():
        site = int(np.argmax(numbers < 1))
        raise InvalidStructureError(
            index, formula, f"site {site} is a dummy species (atomic number {numbers[site]})"
        )
    return Structure(
        Lattice(cell, pbc=tuple(bool(periodic) for periodic in atoms.get_pbc())),
        atoms.get_chemical_symbols(),
        atoms.get_positions(),
        coords_are_cartesian=True,
    )


def _check_content(index, structure):
    """Raise an InvalidStructureError for missing atoms, wrong species, lattice or coordinates."""
    if len(structure) == 0:
        raise InvalidStructureError(index, "no sites", "has no atoms")
    _check_species(index, structure)
    formula = structure.formula.replace(" ", "")
    matrix = structure.lattice.matrix
    if not np.isfinite(matrix).all():
        raise InvalidStructureError(index, formula, "lattice has non-finite entries")
    finite = np.isfinite(structure.frac_coords).all(axis=1)
    if not finite.all():
        site = int(np.argmin(finite))
        raise InvalidStructureError(index, formula, f"site {site} has non-finite coordinates")
    if abs(np.linalg.det(matrix)) < 1e-8:
        raise InvalidStructureError(index, formula, "zero volume: the lattice vectors are coplanar")


def _check_species(index, structure):
    """Raise an InvalidStructureError unless there is one element on each site."""
    from pymatgen.core import DummySpecies, Element, Species

    for site_index, site in enumerate(structure):
        species = site.species
        if len(species) != 1 or abs(species.num_atoms - 1) > 1e-8:
            raise InvalidStructureError(
                index,
                _formula(structure),
                f"site {site_index} has partial occupancy ({species}); choose one ordering, for "
                "example with pymatgen's OrderDisorderedStructureTransformation",
            )
        specie = next(iter(species))
        if isinstance(specie, DummySpecies) or not isinstance(specie, Element | Species):
            raise InvalidStructureError(
                index,
                _formula(structure),
                f"site {site_index} holds the unknown or dummy species {specie}; name a chemical "
                "element",
            )


def _formula(structure):
    try:
        return structure.formula.replace(" ", "")
    except Exception:
        return f"{len(structure)} sites"


class CrystalArrays(NamedTuple):
    """Arrays of one crystal on which its graph depends; fast to hash and to send to processes.

    Parameters
    ----------
    atomic_numbers : ndarray of shape (N,), uint8
    positions : ndarray of shape (N, 3), float64
        Cartesian coordinates (Å).
    lattice : ndarray of shape (3, 3), float64
        Lattice vectors as rows (Å).
    pbc : ndarray of shape (3,), bool
        Periodic directions.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    lattice: np.ndarray
    pbc: np.ndarray

    def to_structure(self) -> Structure:
        """Make the pymatgen ``Structure`` of these arrays."""
        from pymatgen.core import Lattice, Structure

        return Structure(
            Lattice(self.lattice, pbc=tuple(self.pbc.tolist())),
            self.atomic_numbers.tolist(),
            self.positions,
            coords_are_cartesian=True,
        )


def crystal_arrays(structures: Iterable[IStructure]) -> list[CrystalArrays]:
    """Read the arrays of pymatgen structures."""
    return [
        CrystalArrays(
            np.array(structure.atomic_numbers, dtype=np.uint8),
            np.ascontiguousarray(structure.cart_coords, dtype=np.float64),
            np.ascontiguousarray(structure.lattice.matrix, dtype=np.float64),
            np.array(structure.lattice.pbc, dtype=bool),
        )
        for structure in structures
    ]
