"""`read_cif` reads the crystals of a CIF and refuses what the file does not say."""

from __future__ import annotations

import math
import re
import warnings
from typing import NamedTuple

import numpy as np

from sklmat.structures._found_crystal import FoundCrystal
from sklmat.structures._space_groups import (
    Operations,
    identity,
    operations_from_hall,
    parse_operations,
    settings_of_name,
    settings_of_number,
    with_centering,
)

#: Images of one site closer than this (Å) are one atom on a special position, whose coordinates
#: were written with few digits.
_SPECIAL_POSITION = 0.1
#: Two sites closer than this (Å) are at one place.
_SAME_PLACE = 0.05
#: A sum of occupancies this close to one is one.
OCCUPANCY_TOLERANCE = 1e-3 + 1e-9
#: Relative tolerance for the amounts in the formula, which are often rounded.
_FORMULA_TOLERANCE = 0.01
_VOLUME_TOLERANCE = 0.02

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d+\))?")
_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:(\d*\.?\d*)([+-])|([+-])(\d*\.?\d*))?")

_OCCUPANCY = "_atom_site_occupancy"
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


class _Sites(NamedTuple):
    """Rows of the atom site loop."""

    labels: list[str]
    elements: list[str]
    charges: list[float | None]
    coords: np.ndarray
    occupancies: np.ndarray


class _Problem(ValueError):
    """What is wrong with a block of a CIF."""


def read_cif(text: str) -> list[FoundCrystal]:
    """Read each crystal of a CIF.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of FoundCrystal
        One for each block that holds sites. A block that does not describe one crystal without
        contradiction has a `problem` in place of a structure.

    Raises
    ------
    ValueError
        If the text is not a CIF, or no block holds sites.
    """
    blocks = [(name, tags) for name, tags in _blocks(text) if _holds_sites(tags)]
    if not blocks:
        raise ValueError("no block of the CIF holds atom sites with fractional coordinates")
    crystals = []
    for name, tags in blocks:
        try:
            structure, notes = _crystal(tags)
        except _Problem as problem:
            crystals.append(FoundCrystal(name, None, {}, str(problem), ()))
        else:
            crystals.append(FoundCrystal(name, structure, {}, None, tuple(notes)))
    return crystals


def _blocks(text):
    """Name and tags of each block; a tag is in lower case and has a list of values."""
    from gemmi import cif

    try:
        document = cif.read_string(text, 0)
    except (ValueError, RuntimeError):
        # Some programs write values of several words without quotes.
        quoted = re.sub(
            r"^(_\S+)[ \t]+([^'\"\s;#][^\n'\"#]*[ \t][^\n'\"#]*?)[ \t]*$",
            r"\1 '\2'",
            text,
            flags=re.MULTILINE,
        )
        try:
            document = cif.read_string(quoted, 0)
        except (ValueError, RuntimeError) as error:
            where = re.sub(r"^string:", "line ", str(error))
            raise ValueError(f"the text is not a valid CIF: {where}") from error
    for block in document:
        tags: dict[str, list[str | None]] = {}
        for item in block:
            if item.pair is not None:
                _add(tags, item.pair[0], [item.pair[1]], cif)
            elif item.loop is not None:
                names, values = item.loop.tags, item.loop.values
                for k, name in enumerate(names):
                    _add(tags, name, values[k :: len(names)], cif)
        yield block.name, tags


def _add(tags, name, values, cif):
    name = name.lower().replace(".", "_").rstrip("_")
    # "." means the default of the tag, "?" that the value is unknown.
    values = [
        value
        if value == "?" and name == _OCCUPANCY
        else None
        if cif.is_null(value)
        else cif.as_string(value).strip()
        for value in values
    ]
    if tags.get(name, values) != values:
        raise ValueError(f"the tag {name} is given twice, with different values")
    tags[name] = values


def _holds_sites(tags):
    return any(
        any(value is not None for value in tags.get(f"_atom_site_{name}", ()))
        for name in ("fract_x", "cartn_x")
    )


def _one(tags, *names):
    """First value of the first of these tags that has one, or None."""
    for name in names:
        for value in tags.get(name, ()):
            if value is not None:
                return value
    return None


def _number(text, name):
    match = _NUMBER.fullmatch(text)
    if match is None:
        comma = "; decimals need a point" if "," in text else ""
        raise _Problem(f"{name} is {text!r}, which is not a number{comma}")
    return float(match[1])


def _crystal(tags):
    """Structure and notes of one block; raises _Problem."""
    matrix_lattice = _lattice(tags)
    formula = _stated_formula(tags)
    notes: list[str] = []
    sites = _merge_shared_sites(_sites(tags, formula, notes), matrix_lattice.matrix, notes)
    operations, crystal = _choose_operations(tags, sites, matrix_lattice, formula, notes)
    frac_coords, row = crystal
    _check_hydrogens(tags)
    _check_formula(sites, row, formula, operations)
    volume = _one(tags, "_cell_volume")
    if volume is not None and _NUMBER.fullmatch(volume):
        stated = _number(volume, "_cell_volume")
        if abs(stated / matrix_lattice.volume - 1) > _VOLUME_TOLERANCE:
            notes.append(
                f"the file states a volume of {stated:g} Å³, but its cell has "
                f"{matrix_lattice.volume:g} Å³"
            )
    return _structure(matrix_lattice, sites, frac_coords, row), notes


def _lattice(tags):
    from pymatgen.core import Lattice

    lengths, angles = [], []
    for axis in "abc":
        text = _one(tags, f"_cell_length_{axis}")
        if text is None:
            raise _Problem(f"the length of the lattice vector {axis} is missing")
        lengths.append(_number(text, f"_cell_length_{axis}"))
    for angle in ("alpha", "beta", "gamma"):
        # 90 degrees is the default of the CIF dictionary.
        text = _one(tags, f"_cell_angle_{angle}") or "90"
        angles.append(_number(text, f"_cell_angle_{angle}"))
    alpha, beta, gamma = angles
    possible = all(0 < angle < 180 for angle in angles) and (
        alpha + beta + gamma < 360 and 2 * max(angles) < alpha + beta + gamma
    )
    if min(lengths) <= 0 or not possible:
        raise _Problem(f"no cell has the lengths {lengths} Å and the angles {angles}°")
    return Lattice.from_parameters(*lengths, *angles)


def _stated_formula(tags):
    """Amounts of the elements in the formula that the file states, or None."""
    for name in ("sum", "moiety", "structural", "analytical"):
        text = _one(tags, f"_chemical_formula_{name}")
        amounts = None if text is None else _parse_formula(text)
        if amounts:
            return amounts
    return None


def _parse_formula(text):
    """Amounts by element ("H" for its isotopes), or None if the formula cannot be read."""
    from pymatgen.core import Composition

    # A number between blanks and a parenthesis is a factor: Cu S O4, 5(H2 O).
    text = re.sub(r"\s+(?=\d+\.?\d*\s*\()", ",", text)
    amounts: dict[str, float] = {}
    for part in re.split(r"[,;·*]", text):
        # Parts of a moiety formula: 2(H2 O), Ca 2+, n(C4 H4 O4 2-).
        part = re.sub(r"(?<![A-Za-z])(\d*\.?\d*)([+-])(?=\s|\)|$)", "", part.strip())
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)?\s*(.*)", part, re.DOTALL)
        factor, body = float(match[1] or 1), re.sub(r"[\s~_']", "", match[2])
        if not body:
            continue
        try:
            found = Composition(body)
            for element, amount in found.items():
                symbol = _plain(element.symbol)
                amounts[symbol] = amounts.get(symbol, 0.0) + factor * amount
        except Exception:
            return None
    return amounts if all(_is_element(symbol) for symbol in amounts) else None


def _plain(symbol):
    """Element of an isotope."""
    return "H" if symbol in ("D", "T") else symbol


def _is_element(symbol):
    from pymatgen.core import Element

    return Element.is_valid_symbol(symbol)


def _sites(tags, formula, notes):
    """Read the atom site loop; raises _Problem."""
    if any(value not in (None, "0") for value in tags.get("_cell_modulation_dimension", ())):
        raise _Problem("the file describes a modulated structure, which no single cell holds")
    columns = [tags.get(f"_atom_site_fract_{axis}") for axis in "xyz"]
    if any(column is None for column in columns):
        raise _Problem("the sites have no fractional coordinates (_atom_site_fract_x, _y, _z)")
    n_sites = len(columns[0])
    empty = [None] * n_sites
    labels = tags.get("_atom_site_label", empty)
    symbols = tags.get("_atom_site_type_symbol", empty)
    occupancies = tags.get(_OCCUPANCY, ["1"] * n_sites)
    # The CIF dictionary calls such rows meaningless: they are no atoms.
    flags = tags.get("_atom_site_calc_flag", empty)
    keep = [row for row in range(n_sites) if (flags[row] or "").lower() != "dum"]
    names, elements, charges, coords, amounts = [], [], [], [], []
    oxidation = dict(
        zip(
            tags.get("_atom_type_symbol", ()),
            tags.get("_atom_type_oxidation_number", ()),
        )
    )
    for row in keep:
        name = labels[row] or symbols[row] or f"number {row + 1}"
        element, charge = _element(symbols[row], labels[row], name, formula)
        if charge is None and oxidation.get(symbols[row]) is not None:
            charge = _number(oxidation[symbols[row]], "_atom_type_oxidation_number")
        values = []
        for axis, column in zip("xyz", columns):
            if column[row] is None:
                raise _Problem(f"site {name} has no coordinate {axis}")
            values.append(_number(column[row], f"the coordinate {axis} of site {name}"))
        amounts.append(_occupancy(occupancies[row], name, notes))
        names.append(name)
        elements.append(element)
        charges.append(charge)
        coords.append(values)
    if not names:
        raise _Problem("no site of the file is an atom")
    return _Sites(names, elements, charges, np.array(coords, dtype=float), np.array(amounts))


def _occupancy(text, name, notes):
    if text == "?":
        notes.append(f"the occupancy of site {name} is unknown and was taken as 1")
    if text in (None, "?"):
        return 1.0
    occupancy = _number(text, f"the occupancy of site {name}")
    if occupancy <= 0:
        raise _Problem(
            f"site {name} has the occupancy {occupancy:g}: remove the site if it is empty"
        )
    return occupancy


def _element(symbol, label, name, formula):
    """Element and charge of a site, from its type symbol or else its label."""
    if symbol is not None:
        match = _SYMBOL.fullmatch(symbol)
        if match and _is_element(match[1]):
            sign = match[3] or match[4]
            size = match[2] or match[5] or "1"
            return match[1], None if sign is None else float(f"{sign}{size}")
        kind, letters = f"type symbol {symbol!r}", re.match(r"[A-Za-z]*", symbol)[0]
    elif label is not None:
        letters = re.match(r"[A-Za-z]*", label)[0]
        # O-H is the label of an oxygen whose hydrogen has no site of its own.
        if _is_element(letters) and not re.match(r"[-_]H", label[len(letters) :]):
            return letters, None
        kind = f"label {label!r}"
    else:
        raise _Problem(f"site {name} has neither a type symbol nor a label")
    # Otherwise the stated formula must decide, and is compared with all sites afterwards.
    readings = {letters[:2].title(), letters[:1].upper()} & set(formula or ())
    if len(readings) == 1:
        return readings.pop(), None
    raise _Problem(
        f"the {kind} of site {name} is not an element with an optional charge; write the element "
        "in _atom_site_type_symbol, one site for each atom"
    )


def _merge_shared_sites(sites, matrix, notes):
    """Make one site of sites at one place that hold one element; raises _Problem for others."""
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
        kinds = {_plain(sites.elements[member]) for member in members}
        exact = abs(total[row] - 1) <= OCCUPANCY_TOLERANCE
        if len(members) > 1 and (sites.occupancies[members] > 1 - OCCUPANCY_TOLERANCE).all():
            what = "hold two elements at one place" if len(kinds) > 1 else "coincide"
            raise _Problem(
                f"sites {names} {what}, each with occupancy 1 (Occupancy {total[row]:.4} exceeded "
                "tolerance); remove the sites that are no atoms"
            )
        if total[row] > 1 + OCCUPANCY_TOLERANCE:
            raise _Problem(
                f"site {names} has too large an occupancy (Occupancy {total[row]:.4} exceeded "
                "tolerance)"
            )
        if len(kinds) > 1 or not exact:
            raise _Problem(
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
    return _Sites(
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
    radius = min(_SAME_PLACE * np.linalg.norm(np.linalg.inv(matrix), 2), 0.49)
    pairs = cKDTree(wrapped, boxsize=1.0).query_pairs(radius, output_type="ndarray")
    shift = frac_coords[pairs[:, 0]] - frac_coords[pairs[:, 1]]
    distance = np.linalg.norm((shift - np.round(shift)) @ matrix, axis=1)
    pairs = np.sort(pairs[distance < _SAME_PLACE], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _choose_operations(tags, sites, lattice, formula, notes):
    """The operations of the file and the expanded sites; raises _Problem if several are possible.

    Operations that are written out count, unless the named space group has more of them. A name
    can mean several settings; those that do not fit the cell, give another formula or bring atoms
    too close are left out.
    """
    candidates, unusual, assumed = _candidates(tags)
    fitting = [operations for operations in candidates if operations.fit(lattice.matrix)]
    if not fitting:
        fitting = [operations for operations in unusual if operations.fit(lattice.matrix)]
    if not fitting:
        raise _Problem(
            f"the {candidates[0].description} does not fit the cell (a, b, c = "
            f"{', '.join(f'{length:g}' for length in lattice.abc)} Å; angles "
            f"{', '.join(f'{angle:g}' for angle in lattice.angles)}°)"
        )
    expanded = [(operations, _expand(operations, sites, lattice.matrix)) for operations in fitting]
    n_units = _formula_units(tags)
    if len(expanded) > 1:
        possible = [
            (operations, crystal)
            for operations, crystal in expanded
            if _is_plausible(sites, crystal, lattice, formula, n_units)
        ]
        expanded = _different_crystals(possible, sites, lattice) if possible else expanded[:1]
    if len(expanded) > 1:
        names = " and ".join(operations.description for operations, _ in expanded)
        raise _Problem(
            f"the symmetry is ambiguous: {names} give different crystals; write the operations "
            "(_space_group_symop_operation_xyz) into the file"
        )
    operations, crystal = expanded[0]
    matches = _matches_units(sites, crystal[1], formula, n_units)
    if matches is False:
        stated = f"{n_units:g} formula units in the cell, but its sites and symmetry give "
        found = f"{len(crystal[1])} atoms"
        if assumed:
            raise _Problem(f"the file states {stated}{found}, and it names no symmetry")
        notes.append(f"the file states {stated}{found}")
    elif assumed and matches is None:
        notes.append("the file states no symmetry; its sites were taken as all atoms of the cell")
    return operations, crystal


def _candidates(tags):
    """Possible operations, those to try if none fits, and whether P 1 was only assumed."""
    try:
        written = _written_operations(tags)
        named, unusual = _named_operations(tags)
    except ValueError as error:
        raise _Problem(str(error)) from error
    if written is not None:
        # Some programs write the group of the parent, others only the operations of P 1.
        larger = [operations for operations in named if len(operations) > len(written)]
        return [written, *larger], [], False
    if named:
        return named, unusual, False
    stated = _one(tags, *_HALL, *_HERMANN_MAUGUIN, *_IT_NUMBER)
    if stated is not None:
        raise _Problem(
            f"the space group {stated!r} is not known, and no operations are given; write them "
            "(_space_group_symop_operation_xyz) into the file"
        )
    if any(tag.startswith("_space_group_magn") for tag in tags):
        raise _Problem("the file names a magnetic space group without its operations")
    return [identity("P 1")], [], True


def _written_operations(tags):
    for tag in _OPERATIONS:
        texts = [text for text in tags.get(tag, ()) if text is not None]
        if texts:
            return parse_operations(texts, "list of symmetry operations")
    texts = [text for text in tags.get(_MAGNETIC_OPERATIONS, ()) if text is not None]
    if not texts:
        return None
    # The fourth component is the time reversal, which moves no atom.
    spatial = [",".join(text.split(",")[:3]) for text in texts]
    operations = parse_operations(spatial, "list of magnetic symmetry operations")
    centering = [text for text in tags.get(_MAGNETIC_CENTERING, ()) if text is not None]
    if centering:
        spatial = [",".join(text.split(",")[:3]) for text in centering]
        operations = with_centering(operations, parse_operations(spatial, "centering"))
    return operations


def _named_operations(tags):
    """Settings that the Hall symbol, the Hermann-Mauguin symbol and the number of the file mean.

    A later one only counts if the file has no earlier one, or contradicts it by the number of
    operations: which one is right is decided by the sites. The second list holds other settings of
    the number.
    """
    found: list[Operations] = []
    standard, unusual = _of_number(tags)
    for settings in (_of_hall(tags), _of_hermann_mauguin(tags), standard):
        sizes = {len(operations) for operations in found}
        found += [operations for operations in settings if len(operations) not in sizes]
    return found, unusual


def _of_hall(tags):
    hall = _one(tags, *_HALL)
    if hall is None:
        return []
    try:
        return [operations_from_hall(hall)]
    except ValueError:
        # Some files have a Hermann-Mauguin symbol there.
        settings = settings_of_name(hall)
        if not settings and _one(tags, *_HERMANN_MAUGUIN, *_IT_NUMBER) is None:
            raise
        return settings


def _of_hermann_mauguin(tags):
    for tag in _HERMANN_MAUGUIN:
        name = _one(tags, tag)
        settings = settings_of_name(name) if name else []
        if settings:
            return settings
    return []


def _of_number(tags):
    number = _one(tags, *_IT_NUMBER)
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
        if not (distance < _SAME_PLACE).any():
            kept = np.vstack([kept, image])
    return kept


def _amounts(sites, rows):
    amounts: dict[str, float] = {}
    for row, count in enumerate(np.bincount(rows, minlength=len(sites.labels))):
        symbol = _plain(sites.elements[row])
        amounts[symbol] = amounts.get(symbol, 0.0) + float(count)
    return amounts


def _same_ratios(amounts, formula):
    if set(amounts) != set(formula):
        return False
    ratios = np.array([amounts[symbol] / formula[symbol] for symbol in formula])
    return bool(np.ptp(ratios) <= _FORMULA_TOLERANCE * ratios.mean())


def _formula_units(tags):
    text = _one(tags, "_cell_formula_units_z")
    match = None if text is None else _NUMBER.fullmatch(text)
    return float(match[1]) if match and float(match[1]) > 0 else None


def _matches_units(sites, rows, formula, n_units):
    """Whether the number of atoms is that of the stated formula units; None if not stated.

    Some programs state the formula of the cell, but count reduced formulas.
    """
    if formula is None or n_units is None:
        return None
    n_expected = n_units * sum(formula.values())
    amounts = [int(amount) for amount in formula.values() if amount.is_integer()]
    divisor = math.gcd(*amounts) if len(amounts) == len(formula) else 1
    return any(
        abs(len(rows) / size - 1) <= _FORMULA_TOLERANCE
        for size in (n_expected, n_expected / divisor)
    )


def _is_plausible(sites, crystal, lattice, formula, n_units):
    from sklmat.structures._distances import closest_pair

    frac_coords, rows = crystal
    if formula is not None and not _same_ratios(_amounts(sites, rows), formula):
        return False
    if _matches_units(sites, rows, formula, n_units) is False:
        return False
    return closest_pair(_structure(lattice, sites, frac_coords, rows)) is None


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
    if len(one[1]) != len(other[1]):
        return False
    elements = np.array(sites.elements)
    shift = one[0][:, None] - other[0][None]
    distance = np.linalg.norm((shift - np.round(shift)) @ lattice.matrix, axis=2)
    same = (distance < _SAME_PLACE) & (elements[one[1]][:, None] == elements[other[1]][None])
    return bool(same.any(axis=1).all() and same.any(axis=0).all())


def _check_hydrogens(tags):
    """Raise if the file says that hydrogen atoms without coordinates are bound to its sites."""
    for text in tags.get("_atom_site_attached_hydrogens", ()):
        if text is not None and _NUMBER.fullmatch(text) and float(_NUMBER.fullmatch(text)[1]) > 0:
            raise _Problem(
                "the file gives hydrogen atoms without coordinates "
                "(_atom_site_attached_hydrogens); add their sites"
            )


def _check_formula(sites, rows, formula, operations):
    if formula is None:
        return
    amounts = _amounts(sites, rows)
    if _same_ratios(amounts, formula):
        return
    missing = [symbol for symbol in formula if symbol not in amounts]
    reason = f"; {', '.join(missing)} is missing" if missing else ""
    raise _Problem(
        f"the sites give {_written(amounts)} (with the {operations.description}), but the file "
        f"states the formula {_written(formula)}{reason}; correct the sites or the formula"
    )


def _written(amounts):
    return "".join(
        f"{symbol}{amount:g}" if amount != 1 else symbol for symbol, amount in amounts.items()
    )


def _structure(lattice, sites, frac_coords, rows):
    from pymatgen.core import Element, Species, Structure

    species = [
        Element(element) if charge is None else Species(element, charge)
        for element, charge in zip(sites.elements, sites.charges)
    ]
    # In the order of pymatgen's reader: by electronegativity.
    with warnings.catch_warnings():
        # Some elements have no electronegativity.
        warnings.simplefilter("ignore")
        rank = [(np.nan_to_num(specie.X, nan=np.inf), str(specie)) for specie in species]
    order = sorted(range(len(rows)), key=lambda atom: rank[rows[atom]])
    return Structure(
        lattice,
        [species[rows[atom]] for atom in order],
        frac_coords[order],
        labels=[sites.labels[rows[atom]] for atom in order],
    )
