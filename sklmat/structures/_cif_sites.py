"""`Sites`: the atom sites of a CIF, one element on each."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.recorded_warnings import ignore_warnings
from sklmat.structures._cif_formula import element_of_isotope, is_element
from sklmat.structures._cif_tags import NUMBER, OCCUPANCY, CifProblem, Tags, number

if TYPE_CHECKING:
    from pymatgen.core import Lattice, Structure

#: Two sites closer than this (Å) are at one place.
SAME_PLACE = 0.05
#: A sum of occupancies this close to one is one.
OCCUPANCY_TOLERANCE = 1e-3 + 1e-9

#: An element with an optional charge: Fe, Fe3+, O2-, Na+1.
_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:(\d*\.?\d*)([+-])|([+-])(\d*\.?\d*))?")


class Sites(NamedTuple):
    """Rows of the atom site loop."""

    labels: list[str]
    elements: list[str]
    charges: list[float | None]
    coords: np.ndarray
    occupancies: np.ndarray


def read_sites(tags: Tags, stated_elements: Container[str], notes: list[str]) -> Sites:
    """Read the atom site loop.

    Parameters
    ----------
    tags : Tags
    stated_elements : container of str
        The elements of the stated formula, which decide how unusual symbols are read.
    notes : list of str
        Receives what was assumed.

    Raises
    ------
    CifProblem
    """
    if any(value not in (None, "0") for value in tags.get("_cell_modulation_dimension", ())) or any(
        tag.startswith(("_space_group_ssg", "_space_group_symop_ssg")) for tag in tags
    ):
        raise CifProblem("the file describes a modulated structure, which no single cell holds")
    columns = [tags.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
    if not all(columns):
        raise CifProblem("the sites have no fractional coordinates (_atom_site_fract_x, _y, _z)")
    n_sites = len(columns[0])
    empty = [None] * n_sites
    labels = tags.get("_atom_site_label", empty)
    symbols = tags.get("_atom_site_type_symbol", empty)
    occupancies = tags.get(OCCUPANCY, ["1"] * n_sites)
    # The CIF dictionary calls such rows meaningless: they are no atoms.
    flags = tags.get("_atom_site_calc_flag", empty)
    keep = [row for row in range(n_sites) if (flags[row] or "").lower() != "dum"]
    names, elements, charges, coords, amounts = [], [], [], [], []
    oxidation_numbers = dict(
        zip(tags.get("_atom_type_symbol", []), tags.get("_atom_type_oxidation_number", []))
    )
    for row in keep:
        name = labels[row] or symbols[row] or f"number {row + 1}"
        element, charge = _element(symbols[row], labels[row], name, stated_elements)
        oxidation_number = oxidation_numbers.get(symbols[row])
        if charge is None and oxidation_number is not None:
            charge = number(oxidation_number, "_atom_type_oxidation_number")
        values = []
        for axis, column in zip("xyz", columns):
            text = column[row]
            if text is None:
                raise CifProblem(f"site {name} has no coordinate {axis}")
            values.append(number(text, f"the coordinate {axis} of site {name}"))
        amounts.append(_occupancy(occupancies[row], name, notes))
        names.append(name)
        elements.append(element)
        charges.append(charge)
        coords.append(values)
    if not names:
        raise CifProblem("no site of the file is an atom")
    return Sites(names, elements, charges, np.array(coords, dtype=float), np.array(amounts))


def _occupancy(text, name, notes):
    if text == "?":
        notes.append(f"the occupancy of site {name} is unknown and was taken as 1")
    if text in (None, "?"):
        return 1.0
    occupancy = number(text, f"the occupancy of site {name}")
    if occupancy <= 0:
        raise CifProblem(
            f"site {name} has the occupancy {occupancy:g}: remove the site if it is empty"
        )
    return occupancy


def _element(symbol, label, name, stated_elements):
    """Element and charge of a site, from its type symbol or else its label."""
    if symbol is not None:
        match = _SYMBOL.fullmatch(symbol)
        if match and is_element(match[1]):
            sign = match[3] or match[4]
            size = match[2] or match[5] or "1"
            return match[1], None if sign is None else float(f"{sign}{size}")
        kind, letters = f"type symbol {symbol!r}", re.match(r"[A-Za-z]*", symbol)[0]
    elif label is not None:
        letters = re.match(r"[A-Za-z]*", label)[0]
        # O-H and O1H are labels of an oxygen whose hydrogen has no site of its own, and T1 is that
        # of a tetrahedral site.
        has_hydrogen = re.match(r"[-_\d(]*H(?![a-z])", label[len(letters) :])
        if is_element(letters) and letters not in ("D", "T") and not has_hydrogen:
            return letters, None
        kind = f"label {label!r}"
    else:
        raise CifProblem(f"site {name} has neither a type symbol nor a label")
    # Otherwise the stated formula must decide, and is compared with all sites afterwards. Water
    # is a group of three atoms.
    is_water = letters.lower().startswith("wat")
    readings = (
        []
        if is_water
        else [
            reading
            for reading in dict.fromkeys((letters[:2].title(), letters[:1].upper()))
            if element_of_isotope(reading) in stated_elements and is_element(reading)
        ]
    )
    if len(readings) == 1:
        return readings[0], None
    raise CifProblem(
        f"the {kind} of site {name} is not an element with an optional charge; write the element "
        "in _atom_site_type_symbol, one site for each atom"
    )


def merge_shared_sites(sites: Sites, matrix: np.ndarray, notes: list[str]) -> Sites:
    """Make one site of sites at one place that hold one element; raises CifProblem for others."""
    n_sites = len(sites.labels)
    owner = np.arange(n_sites)
    for first, second in _pairs_at_one_place(sites.coords, matrix):
        owner[second] = min(owner[first], owner[second])
    keep = np.flatnonzero(owner == np.arange(n_sites))
    total = np.bincount(owner, weights=sites.occupancies, minlength=n_sites)
    charges = list(sites.charges)
    elements = list(sites.elements)
    for row in keep:
        members = np.flatnonzero(owner == row)
        names = " and ".join(sites.labels[member] for member in members)
        kinds = {element_of_isotope(sites.elements[member]) for member in members}
        exact = abs(total[row] - 1) <= OCCUPANCY_TOLERANCE
        if len(members) > 1 and (sites.occupancies[members] > 1 - OCCUPANCY_TOLERANCE).all():
            what = "hold two elements at one place" if len(kinds) > 1 else "coincide"
            raise CifProblem(
                f"sites {names} {what}, each with occupancy 1 (Occupancy {total[row]:.4} exceeded "
                "tolerance); remove the sites that are no atoms"
            )
        if total[row] > 1 + OCCUPANCY_TOLERANCE:
            raise CifProblem(
                f"site {names} has too large an occupancy (Occupancy {total[row]:.4} exceeded "
                "tolerance)"
            )
        if len(kinds) > 1 or not exact:
            raise CifProblem(
                f"site {names} has partial occupancy ("
                + ", ".join(f"{sites.elements[m]}: {sites.occupancies[m]:g}" for m in members)
                + "); choose one ordering, for example with pymatgen's "
                "OrderDisorderedStructureTransformation"
            )
        if abs(total[row] - 1) > 1e-8:
            notes.append(f"the occupancy {total[row]:g} of site {names} was taken as 1")
        if len(members) > 1:
            elements[row] = kinds.pop()
            same = len({sites.charges[member] for member in members}) == 1
            charges[row] = sites.charges[row] if same else None
    return Sites(
        [sites.labels[row] for row in keep],
        [elements[row] for row in keep],
        [charges[row] for row in keep],
        sites.coords[keep],
        np.ones(len(keep)),
    )


def _pairs_at_one_place(frac_coords, matrix):
    """Pairs of sites, the smaller number first, in the order of the first site."""
    from scipy.spatial import cKDTree

    wrapped = frac_coords % 1.0
    wrapped[wrapped == 1.0] = 0.0
    # No two sites at one place differ by more than this in fractional coordinates.
    radius = min(SAME_PLACE * np.linalg.norm(np.linalg.inv(matrix), 2), 0.49)
    pairs = cKDTree(wrapped, boxsize=1.0).query_pairs(radius, output_type="ndarray")
    shift = frac_coords[pairs[:, 0]] - frac_coords[pairs[:, 1]]
    distance = np.linalg.norm((shift - np.round(shift)) @ matrix, axis=1)
    pairs = np.sort(pairs[distance < SAME_PLACE], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def check_hydrogens(tags: Tags) -> None:
    """Raise if the file says that hydrogen atoms without coordinates are bound to its sites."""
    for text in tags.get("_atom_site_attached_hydrogens", ()):
        match = None if text is None else NUMBER.fullmatch(text)
        if match and float(match[1]) > 0:
            raise CifProblem(
                "the file gives hydrogen atoms without coordinates "
                "(_atom_site_attached_hydrogens); add their sites"
            )


def amounts_of_elements(sites: Sites, rows: np.ndarray) -> dict[str, float]:
    """Number of atoms of each element; hydrogen stands for its isotopes."""
    amounts: dict[str, float] = {}
    for row, count in enumerate(np.bincount(rows, minlength=len(sites.labels))):
        symbol = element_of_isotope(sites.elements[row])
        amounts[symbol] = amounts.get(symbol, 0.0) + float(count)
    return amounts


def build_structure(
    lattice: Lattice, sites: Sites, frac_coords: np.ndarray, rows: np.ndarray
) -> Structure:
    """Build the structure of atoms at these coordinates; `rows` holds the site of each atom."""
    from pymatgen.core import Element, Species, Structure

    species = [
        Element(element) if charge is None else Species(element, charge)
        for element, charge in zip(sites.elements, sites.charges)
    ]
    # In the order of pymatgen's reader: by electronegativity.
    # Some elements have no electronegativity.
    with ignore_warnings():
        rank = [(np.nan_to_num(specie.X, nan=np.inf), str(specie)) for specie in species]
    order = sorted(range(len(rows)), key=lambda atom: rank[rows[atom]])
    return Structure(
        lattice,
        [species[rows[atom]] for atom in order],
        frac_coords[order],
        labels=[sites.labels[rows[atom]] for atom in order],
    )
