"""`check_content` refuses crystals with missing atoms, wrong species, lattice or coordinates."""

from __future__ import annotations

from math import hypot, sqrt
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from sklmat.exceptions import InvalidStructureError
from sklmat.structures._cif_sites import OCCUPANCY_TOLERANCE
from sklmat.structures._distances import (
    largest_smallest_distance,
    site_numbers,
    smallest_distances,
)

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

#: Largest fractional coordinate in a periodic direction; beyond it, too few digits are left for
#: the place within the cell.
_MAX_COORDINATE = 1e6
#: Largest volume per atom (Å³). An isolated atom in a box of 50 Å has 1.25e5; lengths in pm
#: instead of Å give 1e7 and more.
_MAX_VOLUME = 1e6
#: Smallest height of a cell (Å). A thinner cell is very oblique, or its atoms are too close to
#: their own images.
_MIN_HEIGHT = 0.3


def check_content(index: int, structure: IStructure) -> tuple[IStructure, list[str]]:
    """Validate everything but the distances between atoms.

    Parameters
    ----------
    index : int
        Row in the input, for the error.
    structure : Structure

    Returns
    -------
    structure : Structure
        The input or, where a site holds one element in several species or an occupancy that
        rounds to one, a new structure with that element on the site.
    notes : list of str
        What was rounded.

    Raises
    ------
    InvalidStructureError
    """
    if len(structure) == 0:
        raise InvalidStructureError(index, "no sites", "has no atoms")
    structure, notes = _with_one_element_per_site(index, structure)
    problem = _problem_of_lattice(structure) or _problem_of_positions(structure)
    if problem:
        raise InvalidStructureError(index, structure.formula.replace(" ", ""), problem)
    return structure, notes


def _with_one_element_per_site(index, structure):
    """Refuse partial occupancy and dummies; merge species of one element on a site."""
    from pymatgen.core import DummySpecies, Element, PeriodicSite, Species, Structure

    merged, rounded = {}, []
    for number, site in enumerate(structure):
        species = site.species
        for specie in species:
            if isinstance(specie, DummySpecies) or not isinstance(specie, Element | Species):
                raise InvalidStructureError(
                    index,
                    _formula(structure),
                    f"site {number} holds the unknown or dummy species {specie}; name a chemical "
                    "element",
                )
        occupancy = species.num_atoms
        if len(species) == 1 and abs(occupancy - 1) <= 1e-8:
            continue
        elements = {specie.Z for specie in species}
        if len(elements) != 1 or abs(occupancy - 1) > OCCUPANCY_TOLERANCE:
            raise InvalidStructureError(
                index,
                _formula(structure),
                f"site {number} has partial occupancy ({species}); choose one ordering, for "
                "example with pymatgen's OrderDisorderedStructureTransformation",
            )
        merged[number] = (
            next(iter(species)) if len(species) == 1 else Element.from_Z(elements.pop())
        )
        if abs(occupancy - 1) > 1e-8:
            rounded.append(f"the occupancy {occupancy:g} of site {number} was taken as 1")
    if not merged:
        return structure, []
    sites = [
        PeriodicSite(
            merged.get(number, site.species),
            site.frac_coords,
            structure.lattice,
            properties=site.properties,
            label=site.label,
        )
        for number, site in enumerate(structure)
    ]
    return Structure.from_sites(sites, properties=structure.properties), rounded


def _problem_of_lattice(structure):
    """What is wrong with the lattice, or None."""
    matrix = structure.lattice.matrix
    if not np.isfinite(matrix).all():
        return "lattice has non-finite entries"
    a, b, c = matrix.tolist()
    normals = _cross(b, c), _cross(c, a), _cross(a, b)
    volume = abs(sum(map(mul, a, normals[0])))
    if volume < 1e-8:
        return "zero volume: the lattice vectors are coplanar"
    n_atoms = len(structure)
    if not volume / n_atoms <= _MAX_VOLUME:
        return (
            f"the cell has {volume / n_atoms:.3g} Å³ per atom, more than {_MAX_VOLUME:.0e}; "
            "lengths must be in Å"
        )
    pbc = structure.lattice.pbc
    heights = [volume / hypot(*normal) for normal in normals]
    if any(periodic and height < _MIN_HEIGHT for periodic, height in zip(pbc, heights)):
        return _problem_of_thin_cell(structure, np.array(heights), np.array(pbc))
    # The distance between spheres that are packed as densely as possible.
    distance = (sqrt(2) * volume / n_atoms) ** (1 / 3)
    if all(pbc) and distance < largest_smallest_distance(np.arange(119)):
        numbers = list(set(site_numbers(structure)))
        if distance < smallest_distances(numbers, numbers).min():
            return (
                f"the cell has {volume / n_atoms:.3g} Å³ per atom, too little for these elements; "
                "check the lattice and the units of the coordinates"
            )
    return None


def _cross(u, v):
    """Cross product; that of numpy takes most of the time of this check."""
    return (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])


def _problem_of_thin_cell(structure, height, periodic):
    lengths = structure.lattice.abc
    short = [axis for axis in range(3) if periodic[axis] and lengths[axis] < _MIN_HEIGHT]
    if short:
        return (
            f"site 0 and its periodic image are {lengths[short[0]]:.3g} Å apart; check the lattice "
            "and the units of the coordinates"
        )
    return (
        f"opposite faces of the cell are {height[periodic].min():.3g} Å apart; describe the "
        "crystal by a less oblique cell (structure.get_reduced_structure())"
    )


def _problem_of_positions(structure):
    """What is wrong with the coordinates, or None."""
    frac_coords = structure.frac_coords
    finite = np.isfinite(frac_coords)
    if not finite.all():
        return f"site {int(np.argmin(finite.all(axis=1)))} has non-finite coordinates"
    periodic = np.array(structure.lattice.pbc)
    size = np.abs(frac_coords * periodic)
    if size.max() > _MAX_COORDINATE:
        return (
            f"site {int(size.argmax()) // 3} has the fractional coordinate {size.max():.3g}; check "
            "whether coordinates are fractional or Cartesian, and whether they are finite"
        )
    if not periodic.all():
        # In directions without periodicity the atoms may lie far outside the cell.
        extent = np.where(periodic, 1.0, np.maximum(1.0, np.ptp(frac_coords, axis=0)))
        volume = structure.lattice.volume * extent.prod() / len(structure)
        if not volume <= _MAX_VOLUME:
            return (
                f"the atoms span {volume:.3g} Å³ per atom, more than {_MAX_VOLUME:.0e}; lengths "
                "must be in Å"
            )
    return None


def _formula(structure):
    try:
        return structure.formula.replace(" ", "")
    except Exception:
        return f"{len(structure)} sites"
