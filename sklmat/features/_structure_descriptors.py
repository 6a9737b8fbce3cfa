"""`CrystalsGeometry`, and a function for each group of columns of `StructureFeaturizer`.

Each function takes the geometry of several crystals and the schema of the table, and returns a dict
of column names and values of shape (C,). The names are the same for all crystals; a value that a
crystal does not have is NaN. A value does not depend on the other crystals, to the last bit: sums
over atoms are taken one atom after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import combinations_with_replacement

import numpy as np

from sklmat.elements import element_table
from sklmat.features._grouped_statistics import Summary
from sklmat.features._infer_lattice import SHELL_SIZES, LatticeMatch, recognize_lattices
from sklmat.features._neighbors import (
    NeighborList,
    hoppe_averages,
    list_neighbors,
    neighbor_shells,
)
from sklmat.features._short_range_order import pair_orders, species_of_crystals
from sklmat.features._symmetry import (
    POINT_GROUP_ORDER,
    lattice_of_symmetry,
    symmetry_dataset,
)
from sklmat.structures import CrystalArrays

# Properties whose difference is averaged over the pairs of the first shell.
_PAIR_PROPERTIES = ("electronegativity (Pauling)", "metallic radius (Å)")
# Properties whose differences describe the pairs of both shells where pairs have no columns.
_COMPACT_PROPERTIES = (
    "electronegativity (Pauling)",
    "covalent radius (Å)",
    "Mendeleev number",
)
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
    pairs : bool
        Whether each pair of elements has columns.
    periodic_directions : list of int
        Numbers of periodic directions of the crystals seen in `fit`.
    """

    elements: list[str]
    lattices: list[str]
    symprec: float
    pairs: bool
    periodic_directions: Sequence[int]

    @cached_property
    def properties(self) -> dict[str, np.ndarray]:
        """`_element_properties`, without the metallic radius if one of `elements` has none."""
        radii = element_table(self.elements)["metallic radius (Å)"]
        dropped = "metallic radius (Å)" if radii.isna().any() else None
        return {name: values for name, values in _element_properties().items() if name != dropped}

    @cached_property
    def species_of_number(self) -> np.ndarray:
        """Index in `elements` of each atomic number; -1 for other elements."""
        species = np.full(119, -1, dtype=np.intp)
        species[element_table(self.elements)["atomic number"]] = np.arange(len(self.elements))
        return species


@cache
def _element_properties():
    """Properties as arrays of shape (119,) by atomic number, without missing values.

    Elements without metallic radius have their covalent radius.
    """
    table = element_table(estimates=True).drop(columns="block").astype(float)
    metallic = table["metallic radius (Å)"]
    # Beyond curium, missing values are those of the next lighter element.
    table = table.ffill()
    table["metallic radius (Å)"] = metallic.fillna(table["covalent radius (Å)"])
    return {str(name): np.append(np.nan, values) for name, values in table.items()}


class CrystalsGeometry:
    """Neighbours, lattice types and shells of C crystals, each computed at its first use.

    N is the number of all atoms, P that of all pairs of neighbours.
    """

    def __init__(self, crystals: Sequence[CrystalArrays]):
        self.crystals = crystals
        self.n_atoms = np.array([len(crystal.atomic_numbers) for crystal in crystals])
        self.crystal = np.repeat(np.arange(len(crystals)), self.n_atoms)
        self.atomic_numbers = np.concatenate([crystal.atomic_numbers for crystal in crystals])
        self.n_periodic = np.array([int(crystal.pbc.sum()) for crystal in crystals])

    @cached_property
    def neighbors(self) -> NeighborList:
        return list_neighbors(self.crystals)

    @cached_property
    def nearest(self) -> np.ndarray:
        """Distance of each atom to its nearest neighbour, shape (N,); NaN if it has none."""
        distance, _ = self.neighbors.nearest(1)
        return np.where(np.isfinite(distance[:, 0]), distance[:, 0], np.nan)

    @cached_property
    def volume(self) -> np.ndarray:
        """Volume per atom, shape (C,); NaN unless the crystal is periodic in three directions."""
        return np.where(self.n_periodic == 3, self.neighbors.scale**3, np.nan)

    @cached_property
    def lattice_match(self) -> LatticeMatch:
        return recognize_lattices(self.neighbors)

    @cached_property
    def hoppe(self) -> tuple[np.ndarray, np.ndarray]:
        """Hoppe's mean distance and effective coordination number of each atom, shape (N,)."""
        return hoppe_averages(self.neighbors.center, self.neighbors.distance, self.crystal)

    @cached_property
    def shells(self) -> list[np.ndarray]:
        """Pairs in the first and in the second neighbour shell, as indices."""
        sizes = [SHELL_SIZES.get(name, (0, 0)) for name in self.lattice_match.name.tolist()]
        masks = neighbor_shells(self.neighbors, self.hoppe[0], np.array(sizes))
        return [np.flatnonzero(mask) for mask in masks]

    @cached_property
    def coordination(self) -> np.ndarray:
        """Number of atoms in the first shell of each atom, shape (N,)."""
        return np.bincount(
            self.neighbors.center[self.shells[0]], minlength=len(self.atomic_numbers)
        )

    def crystal_of_pairs(self, pairs: np.ndarray) -> np.ndarray:
        return self.crystal[self.neighbors.center[pairs]]


def volume_columns(geometry: CrystalsGeometry, schema: StructureSchema) -> dict[str, np.ndarray]:
    numbers, volume = geometry.atomic_numbers, geometry.volume
    columns = {}
    if 3 in schema.periodic_directions:
        spheres = np.pi / 6 * _of_atoms(geometry, geometry.nearest**3).mean
        mass = _of_atoms(geometry, schema.properties["atomic mass (u)"][numbers]).mean
        columns["volume per atom (Å³)"] = volume
        columns["density (g/cm³)"] = mass / volume * _DENSITY
        columns["packing fraction"] = spheres / volume
        molar = _of_atoms(geometry, schema.properties["molar volume (cm³/mol)"][numbers]).mean
        columns["volume relative to the elements"] = volume / (_CUBIC_ANGSTROM * molar)
    for n_periodic, name in ((2, "area per atom (Å²)"), (1, "length per atom (Å)")):
        if n_periodic in schema.periodic_directions:
            size = np.array([_size(crystal) for crystal in geometry.crystals]) / geometry.n_atoms
            columns[name] = np.where(geometry.n_periodic == n_periodic, size, np.nan)
    if len(schema.periodic_directions) > 1:
        columns["periodic directions"] = geometry.n_periodic
    return columns


def _size(crystal):
    """Volume, area or length that the vectors in the periodic directions span."""
    vectors = crystal.lattice[crystal.pbc]
    return np.sqrt(np.linalg.det(vectors @ vectors.T))


def distances_columns(geometry: CrystalsGeometry, schema: StructureSchema) -> dict[str, np.ndarray]:
    nearest = _of_atoms(geometry, geometry.nearest)
    first, second = (
        _of_pairs(geometry, shell, geometry.neighbors.distance[shell]) for shell in geometry.shells
    )
    columns = nearest.columns("nearest-neighbour distance (Å)")
    if 3 in schema.periodic_directions:
        columns["relative nearest-neighbour distance"] = nearest.mean / np.cbrt(geometry.volume)
    return {
        **columns,
        **first.columns("shell 1 distance (Å)", ["mean", "deviation"]),
        **second.columns("shell 2 distance (Å)", ["mean", "deviation"]),
        "ratio of shell 2 to shell 1 distance": second.mean / first.mean,
        "off-centre displacement (Å)": _off_centre_displacement(geometry),
        **{
            f"deviation from {lattice} distances": deviation
            for lattice, deviation in geometry.lattice_match.deviations.items()
        },
    }


def _off_centre_displacement(geometry):
    shell, counts = geometry.shells[0], geometry.coordination
    center, vector = geometry.neighbors.center[shell], geometry.neighbors.vector[shell]
    sums = [np.bincount(center, component, minlength=len(counts)) for component in vector.T]
    displacement = np.sqrt(sum(component**2 for component in sums)) / np.maximum(counts, 1)
    return _of_atoms(geometry, np.where(counts, displacement, np.nan)).mean


def coordination_columns(
    geometry: CrystalsGeometry, schema: StructureSchema
) -> dict[str, np.ndarray]:
    _, effective = geometry.hoppe
    return {
        **_of_atoms(geometry, geometry.coordination).columns("coordination number"),
        **_of_atoms(geometry, effective).columns("effective coordination number"),
    }


def order_columns(geometry: CrystalsGeometry, schema: StructureSchema) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    numbers, species, n_species = species_of_crystals(geometry.crystal, geometry.atomic_numbers)
    for k, shell in enumerate(geometry.shells, start=1):
        order = pair_orders(
            geometry.crystal_of_pairs(shell),
            species[geometry.neighbors.center[shell]],
            species[geometry.neighbors.other[shell]],
            len(geometry.crystals),
            n_species,
        )
        if schema.pairs:
            columns.update(_pair_columns(order, schema.species_of_number[numbers], k, schema))
        columns[f"mean |Warren-Cowley α| shell {k}"] = order.mean_magnitude
        columns[f"excess of like pairs shell {k}"] = order.excess_of_like_pairs
        if not schema.pairs:
            columns.update(_compact_columns(geometry, shell, k, schema))
    if schema.pairs:
        for name in _PAIR_PROPERTIES:
            if name in schema.properties:
                values = schema.properties[name]
                difference = _difference(geometry, geometry.shells[0], values)
                columns.update(difference.columns(f"shell 1 difference of {name}", ["mean"]))
    return columns


def _pair_columns(order, species, k, schema):
    """Fraction and α of each pair of elements that `fit` has seen, in shell k.

    `species` is the index in `schema.elements` of each of the S species of the C crystals.
    """
    n_elements = len(schema.elements)
    first, second = np.triu_indices(n_elements)
    column = np.zeros((n_elements, n_elements), dtype=np.intp)
    column[first, second] = column[second, first] = np.arange(len(first))
    n_crystals, n_species = species.shape
    alpha = np.zeros((n_crystals, len(first)))
    fraction = np.zeros((n_crystals, len(first)))
    rows = np.arange(n_crystals)
    for i, j in combinations_with_replacement(range(n_species), 2):
        known = (species[:, i] >= 0) & (species[:, j] >= 0)
        at = rows[known], column[species[known, i], species[known, j]]
        alpha[at] = order.alpha[known, i, j]
        fraction[at] = order.fraction[known, i, j] * (1 if i == j else 2)
    names = _names_of_pairs(tuple(schema.elements))
    return {
        **{f"fraction of {pair} pairs shell {k}": v for pair, v in zip(names, fraction.T)},
        **{f"Warren-Cowley α({pair}) shell {k}": v for pair, v in zip(names, alpha.T)},
    }


@lru_cache(maxsize=100)
def _names_of_pairs(elements):
    return [f"{a}-{b}" for a, b in combinations_with_replacement(elements, 2)]


def _compact_columns(geometry, shell, k, schema):
    """Statistics over the pairs of shell k that need no column for a pair of elements."""
    ends = _ends(geometry, shell)
    unlike = _of_pairs(geometry, shell, ends[0] != ends[1])
    columns = {f"fraction of unlike pairs shell {k}": unlike.mean}
    for name in _COMPACT_PROPERTIES:
        difference = _difference(geometry, shell, schema.properties[name])
        columns.update(
            difference.columns(f"shell {k} difference of {name}", ["mean", "deviation", "max"])
        )
    if k == 1:
        radius = schema.properties["covalent radius (Å)"]
        relative = geometry.neighbors.distance[shell] / (radius[ends[0]] + radius[ends[1]])
        relative = _of_pairs(geometry, shell, relative)
        columns.update(relative.columns("shell 1 distance relative to the covalent radii"))
    return columns


def symmetry_columns(geometry: CrystalsGeometry, schema: StructureSchema) -> dict[str, np.ndarray]:
    if max(schema.periodic_directions) < 2:
        return {}
    values = np.full((3, len(geometry.crystals)), np.nan)
    for row, crystal in enumerate(geometry.crystals):
        if crystal.pbc.sum() < 2:
            continue
        lattice = lattice_of_symmetry(crystal.positions, crystal.lattice, crystal.pbc)
        frac_coords = crystal.positions @ np.linalg.inv(lattice)
        found = symmetry_dataset(lattice, frac_coords, crystal.atomic_numbers, schema.symprec)
        if found is not None:
            system = 1 + np.searchsorted(_LAST_OF_SYSTEM, found.number)
            values[:, row] = found.number, system, POINT_GROUP_ORDER[found.pointgroup]
    return dict(zip(("space group number", "crystal system", "point group order"), values))


def lattice_columns(geometry: CrystalsGeometry, schema: StructureSchema) -> dict[str, np.ndarray]:
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
) -> dict[str, np.ndarray]:
    """Columns of the table: names, and values of shape (C,)."""
    geometry, columns = CrystalsGeometry(crystals), {}
    for group in groups:
        columns.update(GROUPS[group](geometry, schema))
    return columns


def _of_atoms(geometry, values):
    return Summary(values, geometry.crystal, len(geometry.crystals))


def _of_pairs(geometry, pairs, values):
    return Summary(values, geometry.crystal_of_pairs(pairs), len(geometry.crystals))


def _ends(geometry, pairs):
    """Atomic numbers of the two atoms of each pair."""
    neighbors = geometry.neighbors
    return (
        geometry.atomic_numbers[neighbors.center[pairs]],
        geometry.atomic_numbers[neighbors.other[pairs]],
    )


def _difference(geometry, pairs, values):
    """Absolute difference of a property, given by atomic number, over pairs of atoms."""
    first, second = _ends(geometry, pairs)
    return _of_pairs(geometry, pairs, np.abs(values[first] - values[second]))
