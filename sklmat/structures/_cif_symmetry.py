"""`choose_operations`: the symmetry that a CIF states, applied to its sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklmat.structures._cif_formula import StatedFormula
from sklmat.structures._cif_sites import SAME_PLACE, Sites, amounts_of_elements, build_structure
from sklmat.structures._cif_tags import CifProblem, Tags, first_value
from sklmat.structures._distances import closest_pair
from sklmat.structures._space_groups import (
    Operations,
    identity,
    operations_from_hall,
    parse_operations,
    settings_of_name,
    settings_of_number,
    with_centering,
)

if TYPE_CHECKING:
    from pymatgen.core import Lattice

#: Images of one site closer than this (Å) are one atom on a special position, whose coordinates
#: were written with few digits.
_SPECIAL_POSITION = 0.1
#: Atoms at the smallest allowed distance, 0.5 Å, fill at least this volume (Å³) each.
_MIN_VOLUME = 0.088

_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC_OPERATIONS = "_space_group_symop_magn_operation_xyz"
_MAGNETIC_CENTERING = "_space_group_symop_magn_centering_xyz"
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_HERMANN_MAUGUIN = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m_ref",
    "_symmetry_space_group_name_h_m",
)
_IT_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")


def choose_operations(
    tags: Tags, sites: Sites, lattice: Lattice, formula: StatedFormula, notes: list[str]
) -> tuple[Operations, tuple[np.ndarray, np.ndarray]]:
    """Choose the operations that the file states, and apply them to its sites.

    Operations that are written out count, unless the named space group has more of them. A name
    can mean several settings; those that do not fit the cell, give another formula or bring atoms
    too close are left out.

    Returns
    -------
    operations : Operations
    (frac_coords, rows) : ndarray of shape (N, 3) and of shape (N,)
        All atoms of the cell, and the site of each.

    Raises
    ------
    CifProblem
        If no setting is possible, or several that give different crystals.
    """
    candidates, unusual, assumed = _candidates(tags)
    fitting = [operations for operations in candidates if operations.fit(lattice.matrix)]
    if not fitting:
        fitting = [operations for operations in unusual if operations.fit(lattice.matrix)]
    if not fitting:
        raise CifProblem(
            f"the {candidates[0].description} does not fit the cell (a, b, c = "
            f"{', '.join(f'{length:g}' for length in lattice.abc)} Å; angles "
            f"{', '.join(f'{angle:g}' for angle in lattice.angles)}°)"
        )
    expanded = [(operations, _expand(operations, sites, lattice.matrix)) for operations in fitting]
    if len(expanded) > 1:
        possible = [
            (operations, crystal)
            for operations, crystal in expanded
            if _is_plausible(sites, crystal, lattice, formula)
        ]
        expanded = _different_crystals(possible, sites, lattice) if possible else expanded[:1]
    if len(expanded) > 1:
        names = " and ".join(operations.description for operations, _ in expanded)
        raise CifProblem(
            f"the symmetry is ambiguous: {names} give different crystals; write the operations "
            "(_space_group_symop_operation_xyz) into the file"
        )
    operations, crystal = expanded[0]
    agrees = formula.has_units(len(crystal[1]))
    if agrees is False:
        stated = (
            f"the file states {formula.n_units:g} formula units in the cell, but its sites and "
            f"symmetry give {len(crystal[1])} atoms"
        )
        if assumed:
            raise CifProblem(f"{stated}, and it names no symmetry")
        notes.append(stated)
    elif assumed and agrees is None:
        notes.append("the file states no symmetry; its sites were taken as all atoms of the cell")
    return operations, crystal


def _candidates(tags):
    """Possible operations, those to try if none fits, and whether P 1 was only assumed."""
    try:
        written = _written_operations(tags)
    except ValueError as error:
        raise CifProblem(str(error)) from error
    try:
        named, unusual = _named_operations(tags)
    except ValueError as error:
        if written is None:
            raise CifProblem(str(error)) from error
        named, unusual = [], []
    if written is not None:
        # Some programs write the group of the parent, others only the operations of P 1.
        larger = [operations for operations in named if len(operations) > len(written)]
        return [written, *larger], [], False
    if named:
        return named, unusual, False
    stated = first_value(tags, *_HALL, *_HERMANN_MAUGUIN, *_IT_NUMBER)
    if stated is not None:
        raise CifProblem(
            f"the space group {stated!r} is not known, and no operations are given; write them "
            "(_space_group_symop_operation_xyz) into the file"
        )
    if any(tag.startswith("_space_group_magn") for tag in tags):
        raise CifProblem("the file names a magnetic space group without its operations")
    return [identity("P 1")], [], True


def _written_operations(tags):
    lists = []
    for tag in _OPERATIONS:
        texts = [text for text in tags.get(tag, ()) if text is not None]
        if texts:
            lists.append(parse_operations(texts, "list of symmetry operations"))
    if len(lists) == 2 and lists[0].keys() != lists[1].keys():
        raise ValueError("the two lists of symmetry operations differ")
    if lists:
        return _group(lists[0])
    texts = [text for text in tags.get(_MAGNETIC_OPERATIONS, ()) if text is not None]
    if not texts and _MAGNETIC_CENTERING in tags:
        texts = ["x,y,z"]
    if not texts:
        return None
    # The fourth component is the time reversal, which moves no atom.
    spatial = [",".join(text.split(",")[:3]) for text in texts]
    operations = parse_operations(spatial, "list of magnetic symmetry operations")
    centering = [text for text in tags.get(_MAGNETIC_CENTERING, ()) if text is not None]
    if centering:
        spatial = [",".join(text.split(",")[:3]) for text in centering]
        operations = with_centering(operations, parse_operations(spatial, "centering"))
    return _group(operations)


def _group(operations):
    """The operations; raises if some are missing."""
    if not operations.is_group():
        raise ValueError(
            f"the {operations.description} is incomplete: the identity or the product of two of "
            "them is missing"
        )
    return operations


def _named_operations(tags):
    """Settings that the Hall symbol, the Hermann-Mauguin symbol and the number of the file mean.

    A later statement only counts if there is no earlier one, or if it contradicts the earlier ones:
    which one is right is decided by the sites. The second list holds other settings of the number.
    """
    found = _of_hall(tags)
    named = _of_hermann_mauguin(tags)
    known = [operations.keys() for operations in found]
    if not any(operations.keys() in known for operations in named):
        found = found + named
    standard, unusual = _of_number(tags)
    numbers = {operations.number for operations in standard}
    if not numbers & {operations.number for operations in found}:
        if named == [] and found == [] and first_value(tags, *_HERMANN_MAUGUIN) not in (None, "?"):
            # The number is that of a group whose setting is not known.
            return [], []
        found = found + standard
    return found, unusual


def _of_hall(tags):
    hall = first_value(tags, *_HALL)
    if hall is None:
        return []
    try:
        return [operations_from_hall(hall)]
    except ValueError:
        # Some files have a Hermann-Mauguin symbol there.
        settings = settings_of_name(hall)
        if not settings and first_value(tags, *_HERMANN_MAUGUIN, *_IT_NUMBER) is None:
            raise
        return settings


def _of_hermann_mauguin(tags):
    for tag in _HERMANN_MAUGUIN:
        name = first_value(tags, tag)
        settings = [] if name in (None, "?") else settings_of_name(name)
        if settings:
            return settings
    return []


def _of_number(tags):
    number = first_value(tags, *_IT_NUMBER)
    if number is None or not number.isdigit() or not 1 <= int(number) <= 230:
        return [], []
    return settings_of_number(int(number))


def _expand(operations, sites, matrix):
    """Apply the operations to all sites: fractional coordinates (n, 3) and row of each atom.

    A site close to a special position is moved onto it.
    """
    if len(operations) == 1:
        return sites.coords, np.arange(len(sites.coords))
    frac_coords, rows = [], []
    for row, coords in enumerate(sites.coords):
        images = operations.rotations @ coords + operations.translations
        shift = images - coords
        shift -= np.round(shift)
        stabilizer = np.linalg.norm(shift @ matrix, axis=1) < _SPECIAL_POSITION
        center = coords + shift[stabilizer].mean(axis=0) if stabilizer.sum() > 1 else coords
        images = operations.rotations @ center + operations.translations
        orbit = _distinct(images, len(operations) // stabilizer.sum(), matrix)
        frac_coords.append(orbit)
        rows += [row] * len(orbit)
    return np.concatenate(frac_coords), np.array(rows)


def _distinct(images, n_distinct, matrix):
    """Images that differ by more than rounding, in their order.

    Their number is `n_distinct` if the operations form a group.
    """
    wrapped = images - np.floor(images + 1e-9)
    _, first = np.unique(np.round(wrapped, 6), axis=0, return_index=True)
    if len(first) == n_distinct:
        return wrapped[np.sort(first)]
    kept = np.empty((0, 3))
    for image in wrapped:
        shift = kept - image
        distance = np.linalg.norm((shift - np.round(shift)) @ matrix, axis=1)
        if not (distance < SAME_PLACE).any():
            kept = np.vstack([kept, image])
    return kept


def _is_plausible(sites, crystal, lattice, formula):
    """Whether a crystal agrees with the stated formula and no two of its atoms are too close."""

    frac_coords, rows = crystal
    if formula.contradiction(amounts_of_elements(sites, rows)):
        return False
    if formula.has_units(len(rows)) is False or lattice.volume / len(rows) < _MIN_VOLUME:
        return False
    return closest_pair(build_structure(lattice, sites, frac_coords, rows)) is None


def _different_crystals(candidates, sites, lattice):
    """Leave out candidates that hold the same atoms as an earlier one."""
    kept: list[tuple[Operations, tuple[np.ndarray, np.ndarray]]] = []
    for operations, (frac_coords, rows) in candidates:
        if not any(
            _same_atoms(sites, lattice, (frac_coords, rows), crystal) for _, crystal in kept
        ):
            kept.append((operations, (frac_coords, rows)))
    return kept


def _same_atoms(sites, lattice, one, other):
    """Whether two crystals in one cell hold the same elements at the same places."""
    from scipy.spatial import cKDTree

    if len(one[1]) != len(other[1]):
        return False
    elements = np.array(sites.elements)
    wrapped = other[0] % 1.0
    wrapped[wrapped == 1.0] = 0.0
    _, nearest = cKDTree(wrapped, boxsize=1.0).query(one[0] % 1.0)
    shift = one[0] - other[0][nearest]
    distance = np.linalg.norm((shift - np.round(shift)) @ lattice.matrix, axis=1)
    same = (distance < SAME_PLACE) & (elements[one[1]] == elements[other[1]][nearest])
    return bool(same.all() and len(set(nearest.tolist())) == len(nearest))
