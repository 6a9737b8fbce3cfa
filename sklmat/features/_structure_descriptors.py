"""`CrystalGeometry`, and a function for each group of columns of `StructureFeaturizer`.

Each function takes the geometry of a crystal and the schema of the table, and returns a dict of
column names and values. The names are the same for every crystal; a value that a crystal does not
have is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from sklmat.elements import element_table
from sklmat.features._infer_lattice import SHELL_SIZES, LatticeMatch, recognize_lattice
from sklmat.features._neighbors import (
    Neighbors,
    effective_coordination,
    find_neighbors,
    neighbor_shells,
)
from sklmat.features._short_range_order import pair_order
from sklmat.features._symmetry import POINT_GROUP_ORDER, symmetry_dataset
from sklmat.structures import CrystalArrays

# Properties whose difference is averaged over the pairs of the first shell.
_PAIR_PROPERTIES = ("electronegativity (Pauling)", "metallic radius (Å)")
# Conversion from cm³/mol to Å³ per atom, and from u/Å³ to g/cm³.
_CUBIC_ANGSTROM = 1e24 / 6.02214076e23
_DENSITY = 1.66053906660
# Last space-group number of each crystal system, triclinic to cubic.
_LAST_OF_SYSTEM = (2, 15, 74, 142, 167, 194, 230)


@dataclass(frozen=True)
class StructureSchema:
    """Schema of the table: fitted attributes and parameters that determine its columns.

    Attributes
    ----------
    elements : list of str
        Symbols seen in `fit`, alphabetically.
    lattices : list of str
        Lattices seen in `fit`.
    symprec : float
        Distance in Å within which atoms count as symmetry-equivalent.
    """

    elements: list[str]
    lattices: list[str]
    symprec: float

    @cached_property
    def properties(self) -> dict[str, np.ndarray]:
        """Properties that are known for all elements, as arrays in the order of `elements`."""
        table = element_table(self.elements)
        names = ("atomic mass (u)", "molar volume (cm³/mol)", *_PAIR_PROPERTIES)
        return {name: table[name].to_numpy() for name in names if table[name].notna().all()}

    @cached_property
    def species_of_number(self) -> np.ndarray:
        """Index in `elements` of each atomic number."""
        species = np.zeros(119, dtype=np.intp)
        species[element_table(self.elements)["atomic number"]] = np.arange(len(self.elements))
        return species


class CrystalGeometry:
    """Neighbours, lattice type and shells of one crystal, each computed at its first use."""

    def __init__(self, crystal: CrystalArrays):
        self.atomic_numbers, self.positions, self.lattice, self.pbc = crystal

    @cached_property
    def neighbors(self) -> Neighbors:
        return find_neighbors(self.positions, self.lattice, self.pbc)

    @cached_property
    def lattice_match(self) -> LatticeMatch:
        return recognize_lattice(self.neighbors)

    @cached_property
    def shells(self) -> tuple[np.ndarray, np.ndarray]:
        """Masks of the first and the second neighbour shell, of shape (N, M)."""
        return neighbor_shells(self.neighbors, SHELL_SIZES.get(self.lattice_match.name))


def volume_columns(geometry: CrystalGeometry, schema: StructureSchema) -> dict[str, Any]:
    volume = geometry.neighbors.scale**3
    nearest = geometry.neighbors.distance[:, 0]
    spheres = np.pi / 6 * np.mean(np.where(np.isfinite(nearest), nearest, np.nan) ** 3)
    species = schema.species_of_number[geometry.atomic_numbers]
    columns = {
        "volume per atom (Å³)": volume,
        "density (g/cm³)": schema.properties["atomic mass (u)"][species].mean() / volume * _DENSITY,
        "packing fraction": spheres / volume,
    }
    if "molar volume (cm³/mol)" in schema.properties:
        of_elements = _CUBIC_ANGSTROM * schema.properties["molar volume (cm³/mol)"][species].mean()
        columns["volume relative to the elements"] = volume / of_elements
    return columns


def distances_columns(geometry: CrystalGeometry, schema: StructureSchema) -> dict[str, Any]:
    neighbors = geometry.neighbors
    nearest = np.where(np.isfinite(neighbors.distance[:, 0]), neighbors.distance[:, 0], np.nan)
    first, second = (neighbors.distance[shell] for shell in geometry.shells)
    mean_first, mean_second = _mean(first), _mean(second)
    return {
        **_summary("nearest-neighbour distance (Å)", nearest),
        "relative nearest-neighbour distance": nearest.mean() / neighbors.scale,
        "mean shell 1 distance (Å)": mean_first,
        "deviation shell 1 distance (Å)": first.std() if len(first) else np.nan,
        "mean shell 2 distance (Å)": mean_second,
        "deviation shell 2 distance (Å)": second.std() if len(second) else np.nan,
        "ratio of shell 2 to shell 1 distance": mean_second / mean_first,
        "off-centre displacement (Å)": _off_centre_displacement(geometry),
        **{
            f"deviation from {lattice} distances": deviation
            for lattice, deviation in geometry.lattice_match.deviations.items()
        },
    }


def _off_centre_displacement(geometry):
    first, _ = geometry.shells
    counts = first.sum(axis=1)
    if not counts.all():
        return np.nan
    centre = (geometry.neighbors.vector * first[..., None]).sum(axis=1)
    return np.linalg.norm(centre / np.maximum(counts, 1)[:, None], axis=1).mean()


def coordination_columns(geometry: CrystalGeometry, schema: StructureSchema) -> dict[str, Any]:
    first, _ = geometry.shells
    _, effective = effective_coordination(geometry.neighbors.distance)
    return {
        **_summary("coordination number", first.sum(axis=1)),
        **_summary("effective coordination number", effective),
    }


def order_columns(geometry: CrystalGeometry, schema: StructureSchema) -> dict[str, Any]:
    species = schema.species_of_number[geometry.atomic_numbers]
    n_species = len(schema.elements)
    upper = np.triu_indices(n_species)
    columns: dict[str, float] = {}
    for k, shell in enumerate(geometry.shells, start=1):
        order = pair_order(geometry.neighbors, shell, species, n_species)
        unordered = order.fraction + order.fraction.T - np.diag(order.fraction.diagonal())
        fraction = _of_pairs(f"fraction of {{}} pairs shell {k}", tuple(schema.elements))
        columns.update(zip(fraction, unordered[upper].tolist()))
        alpha = _of_pairs(f"Warren-Cowley α({{}}) shell {k}", tuple(schema.elements))
        columns.update(zip(alpha, order.alpha[upper].tolist()))
        columns[f"mean |Warren-Cowley α| shell {k}"] = order.mean_magnitude
        columns[f"excess of like pairs shell {k}"] = order.excess_of_like_pairs
    atom, rank = np.nonzero(geometry.shells[0])
    first, second = species[atom], species[geometry.neighbors.index[atom, rank]]
    for name in _PAIR_PROPERTIES:
        if name in schema.properties:
            values = schema.properties[name]
            difference = np.abs(values[first] - values[second])
            columns[f"mean shell 1 difference of {name}"] = _mean(difference)
    return columns


@lru_cache(maxsize=100)
def _of_pairs(name, elements):
    """Insert the names of all pairs of elements, such as "Al-Ni", into the name of a column."""
    return [name.format(f"{a}-{b}") for a, b in combinations_with_replacement(elements, 2)]


def symmetry_columns(geometry: CrystalGeometry, schema: StructureSchema) -> dict[str, Any]:
    frac_coords = geometry.positions @ np.linalg.inv(geometry.lattice)
    dataset = symmetry_dataset(
        geometry.lattice, frac_coords, geometry.atomic_numbers, schema.symprec
    )
    found = dataset is not None
    return {
        "space group number": dataset.number if found else np.nan,
        "crystal system": _crystal_system(dataset.number) if found else np.nan,
        "point group order": POINT_GROUP_ORDER[dataset.pointgroup] if found else np.nan,
    }


def _crystal_system(space_group_number):
    return 1 + int(np.searchsorted(_LAST_OF_SYSTEM, space_group_number))


def lattice_columns(geometry: CrystalGeometry, schema: StructureSchema) -> dict[str, Any]:
    return {f"lattice_{name}": geometry.lattice_match.name == name for name in schema.lattices}


#: The groups of columns in their order, each with the function that computes them.
GROUPS = {
    "volume": volume_columns,
    "distances": distances_columns,
    "coordination": coordination_columns,
    "order": order_columns,
    "symmetry": symmetry_columns,
    "lattice": lattice_columns,
}


def describe_structures(
    crystals: list[CrystalArrays], groups: Sequence[str], schema: StructureSchema
) -> list[dict[str, Any]]:
    """Column names and values of each crystal."""
    rows = []
    for crystal in crystals:
        geometry, columns = CrystalGeometry(crystal), {}
        for group in groups:
            columns.update(GROUPS[group](geometry, schema))
        rows.append(columns)
    return rows


def _mean(values):
    return values.mean() if len(values) else np.nan


def _summary(name, values):
    """Mean, standard deviation, minimum and maximum over the atoms."""
    return {
        f"mean {name}": values.mean(),
        f"deviation {name}": values.std(),
        f"min {name}": values.min(),
        f"max {name}": values.max(),
    }
