"""`structure_from_dict` decodes a structure's dict without running what the dict names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymatgen.core import Structure


def structure_from_dict(document: Mapping[str, Any]) -> Structure:
    """Make the structure that ``Structure.as_dict`` described.

    pymatgen's ``from_dict`` imports the modules that dicts in the site properties name, and calls
    their classes. Here such properties are left out, and all others are kept as they are.

    Parameters
    ----------
    document : mapping
        With the keys ``lattice`` and ``sites``, or with a key ``structure`` that holds such a
        mapping (a ``ComputedStructureEntry``, or a document of a database).

    Returns
    -------
    Structure

    Raises
    ------
    KeyError, TypeError, ValueError
        If a part is missing or wrong.
    """
    from pymatgen.core import Lattice, Structure

    while "sites" not in document and isinstance(document.get("structure"), Mapping):
        document = document["structure"]
    if "lattice" not in document or "sites" not in document:
        raise KeyError("lattice" if "lattice" not in document else "sites")
    cell = document["lattice"]
    if not isinstance(cell, Mapping):
        raise TypeError(f"the lattice is no dict but {cell!r}")
    x, y, z = (bool(periodic) for periodic in cell.get("pbc", (True, True, True)))
    pbc = (x, y, z)
    if "matrix" in cell:
        lattice = Lattice(cell["matrix"], pbc=pbc)
    else:
        parameters = (float(cell[name]) for name in ("a", "b", "c", "alpha", "beta", "gamma"))
        lattice = Lattice.from_parameters(*parameters, pbc=pbc)
    sites = document["sites"]
    names = {name for site in sites for name in site.get("properties") or ()}
    properties = {
        name: values
        for name in sorted(names)
        if not _names_code(values := [(site.get("properties") or {}).get(name) for site in sites])
    }
    return Structure(
        lattice,
        [_species(site["species"]) for site in sites],
        [
            site["abc"] if "abc" in site else lattice.get_fractional_coords(site["xyz"])
            for site in sites
        ],
        charge=document.get("charge"),
        site_properties=properties,
        labels=[site.get("label") for site in sites],
        properties={
            name: value
            for name, value in (document.get("properties") or {}).items()
            if not _names_code(value)
        },
    )


def _species(entries):
    """Occupancy by species of one site."""
    from pymatgen.core import DummySpecies, Element, Species

    occupancies: dict[Any, float] = {}
    for entry in entries:
        symbol, charge = entry["element"], entry.get("oxidation_state")
        spin = entry.get("spin", (entry.get("properties") or {}).get("spin"))
        kind: Any
        if not Element.is_valid_symbol(symbol):
            kind = DummySpecies(symbol, charge or 0)
        elif charge is None and spin is None:
            kind = Element(symbol)
        else:
            kind = Species(symbol, charge, spin=spin)
        occupancies[kind] = occupancies.get(kind, 0.0) + float(entry["occu"])
    return occupancies


def _names_code(value):
    """Whether a value holds a dict that names a Python class."""
    if isinstance(value, Mapping):
        return "@module" in value or "@class" in value or any(map(_names_code, value.values()))
    return isinstance(value, list | tuple) and any(map(_names_code, value))
