"""`DisorderedCrystal`, and a function for each group of columns of `DisorderFeaturizer`.

Each function takes a crystal and the schema of the table, and returns a dict of column names and
values. The names are the same for every crystal; a value that a crystal does not have is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

from sklmat.elements import element_table
from sklmat.features._neighbors import (
    Neighbors,
    effective_coordination,
    find_neighbors,
    first_coordination,
)
from sklmat.features._parent_lattice import IDEAL_SYMPREC, Parent, find_parent
from sklmat.features._polyhedra import (
    Polyhedra,
    bond_angle_variance,
    bond_length_distortion,
    bridging_angles,
    find_octahedra,
    find_tetrahedra,
    ligand_angles,
    off_centring,
    quadratic_elongation,
    voronoi_volumes,
)
from sklmat.features._short_range_order import ligand_order, sublattice_pair_orders
from sklmat.features._sublattices import is_anion, sublattices_of_numbers
from sklmat.features._symmetry import (
    POINT_GROUP_ORDER,
    lattice_of_symmetry,
    symmetry_dataset,
)
from sklmat.structures import CrystalArrays

ON_PARENT = "on the parent lattice"
# Standard deviations of bond lengths (Å) and angles (°) up to these values are rounding errors, and
# the skew is then 0.
_LENGTH_NOISE, _ANGLE_NOISE = 1e-4, 1e-3
_NO_MOMENTS = (np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class DisorderSchema:
    """Schema of the table: fitted attributes and parameters that determine its columns.

    Attributes
    ----------
    elements : list of str
        Symbols seen in `fit`, alphabetically.
    sublattices : list of list of str
        Species of each sublattice.
    names : list of str
        Names of the sublattices, such as "Br/I".
    mixed : list of str
        Names of the sublattices that hold several species in some crystal of `fit`.
    pairs : bool
        Whether there are columns of pairs of species and of species.
    symprec : list of float
    parent_symprec : float or None
    n_shells : int
    voronoi : bool
        As in `DisorderFeaturizer`.
    """

    elements: list[str]
    sublattices: list[list[str]]
    names: list[str]
    mixed: list[str]
    pairs: bool
    symprec: list[float]
    parent_symprec: float | None
    n_shells: int
    voronoi: bool

    @cached_property
    def mixed_sublattices(self) -> list[int]:
        return [self.names.index(name) for name in self.mixed]

    @cached_property
    def species(self) -> list[np.ndarray]:
        """Atomic numbers of each sublattice, ascending."""
        numbers = element_table()["atomic number"]
        return [np.sort(numbers[species].to_numpy()) for species in self.sublattices]

    @cached_property
    def species_pairs(self) -> list[list[tuple[int, int, str]]]:
        """Pairs of species of each sublattice: their indices in `species`, and a name."""
        return [
            [
                (i, j, "-".join(sorted(self.symbols[[numbers[i], numbers[j]]])))
                for i, j in combinations(range(len(numbers)), 2)
            ]
            for numbers in self.species
        ]

    @cached_property
    def sublattice_of_number(self) -> np.ndarray:
        """Index of the sublattice of each atomic number."""
        return sublattices_of_numbers(self.sublattices)

    @cached_property
    def symbols(self) -> np.ndarray:
        """Symbols of the elements by atomic number."""
        return np.array(["", *element_table().index], dtype=object)

    @cached_property
    def element_pairs(self) -> list[tuple[int, str]]:
        """Index, i n + j, and name of each pair i ≤ j of the n elements."""
        pairs = combinations_with_replacement(enumerate(self.elements), 2)
        return [(i * len(self.elements) + j, f"{a}-{b}") for (i, a), (j, b) in pairs]

    @cached_property
    def element_of_number(self) -> np.ndarray:
        """Index in `elements` of each atomic number; -1 for other elements."""
        place = {symbol: k for k, symbol in enumerate(self.elements)}
        return np.array([place.get(symbol, -1) for symbol in self.symbols])

    @cached_property
    def radius_of_number(self) -> np.ndarray:
        """Covalent radius (Å) of each atomic number; beyond curium, that of curium."""
        return np.append(np.nan, element_table()["covalent radius (Å)"].ffill().to_numpy())


class DisorderedCrystal:
    """A crystal with its parent, bonds and polyhedra, each computed at its first use."""

    def __init__(self, crystal: CrystalArrays, schema: DisorderSchema):
        self.atomic_numbers, self.positions, self.lattice, self.pbc = crystal
        self.sublattice = schema.sublattice_of_number[self.atomic_numbers]
        self.parent_symprec = schema.parent_symprec

    @cached_property
    def parent(self) -> Parent:
        return find_parent(
            self.positions, self.lattice, self.pbc, self.sublattice, self.parent_symprec
        )

    @cached_property
    def neighbors(self) -> Neighbors:
        """Neighbours on the parent lattice, so that displacements do not change the shells."""
        return find_neighbors(self.parent.positions, self.parent.lattice, self.pbc)

    @cached_property
    def is_listed(self) -> np.ndarray:
        """Mask of the entries of the neighbour list that are not padding, shape (N, M)."""
        return np.isfinite(self.neighbors.distance)

    @cached_property
    def vector(self) -> np.ndarray:
        """Vectors from each atom to its neighbours in the crystal, in Å; shape (N, M, 3)."""
        displacement = self.parent.displacement
        difference = displacement[self.neighbors.index] - displacement[:, None]
        ideal = self.neighbors.vector @ np.linalg.inv(self.parent.lattice)
        return np.where(self.is_listed[..., None], (ideal + difference) @ self.lattice, 0)

    @cached_property
    def distance(self) -> np.ndarray:
        return np.where(self.is_listed, np.linalg.norm(self.vector, axis=2), np.inf)

    @cached_property
    def is_anion(self) -> np.ndarray:
        return is_anion(self.atomic_numbers)

    @cached_property
    def bonded(self) -> np.ndarray:
        """Mask of the bonds: from cations to anions, or between all atoms without anions."""
        ligand = np.ones_like(self.neighbors.index, dtype=bool)
        if self.is_anion.any():
            ligand = self.is_anion[self.neighbors.index] & ~self.is_anion[:, None]
        return first_coordination(self.neighbors.distance, ligand)

    @cached_property
    def has_polyhedron(self) -> np.ndarray:
        """Atoms at the centre of a polyhedron, shape (N,)."""
        counts = self.bonded.sum(axis=1)
        if not self.is_anion.any():
            return counts > 0
        small = (counts == 4) | (counts == 6)
        return small if small.any() else counts > 0

    @cached_property
    def octahedra(self) -> Polyhedra:
        """Octahedra of anions."""
        centre, rank, opposite = find_octahedra(self.neighbors.vector, self._bonded_anions)
        return self._polyhedra(centre, rank, opposite)

    @cached_property
    def tetrahedra(self) -> Polyhedra:
        """Tetrahedra of anions."""
        centre, rank = find_tetrahedra(self.neighbors.vector, self._bonded_anions)
        return self._polyhedra(centre, rank, None)

    @cached_property
    def _bonded_anions(self):
        return self.bonded & self.is_anion[self.neighbors.index]

    def _polyhedra(self, centre, rank, opposite):
        ligand = self.neighbors.index[centre[:, None], rank]
        return Polyhedra(centre, ligand, self.vector[centre[:, None], rank], opposite)


def symmetry_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    columns = {}
    is_described = crystal.pbc.sum() >= 2
    if is_described:
        lattice = lattice_of_symmetry(crystal.positions, crystal.lattice, crystal.pbc)
        frac_coords = crystal.positions @ np.linalg.inv(lattice)
    for symprec in schema.symprec:
        dataset = None
        if is_described:
            dataset = symmetry_dataset(lattice, frac_coords, crystal.atomic_numbers, symprec)
        columns.update(_site_columns(dataset, at_symprec(symprec), crystal, schema))
    if schema.parent_symprec is not None:
        parent = crystal.parent
        dataset = None
        if is_described:
            lattice = lattice_of_symmetry(parent.positions, parent.lattice, crystal.pbc)
            sites = parent.positions @ np.linalg.inv(lattice)
            if crystal.pbc.all():
                sites = parent.frac_coords
            dataset = symmetry_dataset(lattice, sites, crystal.atomic_numbers, IDEAL_SYMPREC)
        columns.update(_site_columns(dataset, ON_PARENT, crystal, schema))
        index = np.nan
        if dataset is not None and parent.symmetry is not None:
            index = np.log(_operations_per_atom(parent.symmetry) / _operations_per_atom(dataset))
        columns["log of the index in the parent's space group"] = index
    return columns


def at_symprec(symprec):
    """End of the names of the columns for one value of `symprec`."""
    return f"at {symprec:g} Å"


def _site_columns(dataset, place, crystal, schema):
    """Columns with inequivalent sites and symmetry operations of a spglib dataset."""
    n_sublattices = len(schema.names)
    if dataset is None:
        n_sites, n_atoms, order, number = [np.nan] * n_sublattices, np.nan, np.nan, np.nan
    else:
        orbits = dataset.crystallographic_orbits
        n_sites = [len(np.unique(orbits[crystal.sublattice == k])) for k in range(n_sublattices)]
        n_atoms = _primitive_atoms(dataset)
        order, number = POINT_GROUP_ORDER[dataset.pointgroup], dataset.number
    columns = {
        f"inequivalent sites {place}": sum(n_sites),
        f"fraction of inequivalent sites {place}": sum(n_sites) / n_atoms,
        f"atoms in the primitive cell {place}": n_atoms,
        f"symmetry operations {place}": order,
        f"space group number {place}": number,
    }
    if n_sublattices > 1:
        for name, n_own_sites in zip(schema.names, n_sites):
            columns[f"inequivalent {name} sites {place}"] = n_own_sites
    return columns


def _primitive_atoms(dataset):
    return dataset.mapping_to_primitive.max() + 1


def _operations_per_atom(dataset):
    """Symmetry operations of the space group per atom, which do not depend on the cell."""
    return POINT_GROUP_ORDER[dataset.pointgroup] / _primitive_atoms(dataset)


def bonds_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    atom, rank = np.nonzero(crystal.bonded)
    if not schema.pairs:
        return _relative_bonds(crystal, schema, atom, rank)
    element = schema.element_of_number[crystal.atomic_numbers]
    first, second = element[atom], element[crystal.neighbors.index[atom, rank]]
    bond = np.minimum(first, second) * len(schema.elements) + np.maximum(first, second)
    lengths = crystal.distance[atom, rank]
    moments = {
        number: _moments(lengths[bond == number], _LENGTH_NOISE)
        for number in np.unique(bond).tolist()
    }
    columns = {}
    for number, pair in schema.element_pairs:
        mean, variance, skew = moments.get(number, _NO_MOMENTS)
        columns[f"mean {pair} bond (Å)"] = mean
        columns[f"variance {pair} bond (Å²)"] = variance
        columns[f"skew {pair} bond"] = skew
    return columns


def _relative_bonds(crystal, schema, atom, rank):
    """Columns of all bonds, whatever their species."""
    radius = schema.radius_of_number[crystal.atomic_numbers]
    sums = radius[atom] + radius[crystal.neighbors.index[atom, rank]]
    mean, variance, skew = _moments(crystal.distance[atom, rank] / sums, _LENGTH_NOISE)
    return {
        "mean relative bond length": mean,
        "variance relative bond length": variance,
        "skew relative bond length": skew,
    }


def angles_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    bridging, ligand = bridging_angles([crystal.octahedra, crystal.tetrahedra])
    all_angles, atoms = [bridging], [ligand]
    for polyhedra in (crystal.octahedra, crystal.tetrahedra):
        between_ligands = ligand_angles(polyhedra)
        all_angles.append(between_ligands.ravel())
        atoms.append(np.repeat(polyhedra.centre, between_ligands.shape[1]))
    angles = np.concatenate(all_angles)
    atoms_of_angles = np.concatenate(atoms)
    if schema.pairs:
        kind, names = schema.element_of_number[crystal.atomic_numbers], schema.elements
    else:
        kind, names = crystal.is_anion.astype(int), ["cations", "anions"]
    columns = {}
    for k, name in enumerate(names):
        of_kind = angles[kind[atoms_of_angles] == k]
        mean, variance, skew = _moments(of_kind, _ANGLE_NOISE)
        columns[f"mean angle at {name} (°)"] = mean
        columns[f"variance angle at {name} (°²)"] = variance
        columns[f"skew angle at {name}"] = skew
    return columns


def _moments(values, noise):
    """Mean, variance and skew; the skew is 0 if the standard deviation is at most `noise`."""
    if not len(values):
        return _NO_MOMENTS
    deviation = values - values.mean()
    variance = np.mean(deviation**2)
    skew = np.mean(deviation**3) / variance**1.5 if variance > noise**2 else 0.0
    return values.mean(), variance, skew


def polyhedra_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    both = crystal.octahedra, crystal.tetrahedra
    centres = crystal.has_polyhedron
    bonded = crystal.bonded[centres]
    measures = {
        "quadratic elongation": np.concatenate([quadratic_elongation(p) for p in both]),
        "bond angle variance (°²)": np.concatenate([bond_angle_variance(p) for p in both]),
        "bond length distortion": bond_length_distortion(crystal.distance[centres], bonded),
        "off-centring (Å)": off_centring(crystal.vector[centres], bonded),
    }
    columns = {}
    for name, values in measures.items():
        columns[f"mean {name}"] = values.mean() if len(values) else np.nan
        columns[f"deviation {name}"] = values.std() if len(values) else np.nan
    return columns


def tilts_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    angles, _ = bridging_angles([crystal.octahedra], two_centres=True)
    tilts = (180 - angles) / 2
    return {
        "mean tilt (°)": tilts.mean() if len(tilts) else np.nan,
        "deviation tilt (°)": tilts.std() if len(tilts) else np.nan,
    }


def volume_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    local = voronoi = np.nan
    if np.isfinite(crystal.distance).any(axis=1).all():
        mean_distance, _ = effective_coordination(crystal.distance)
        local = _deviation_within(np.pi / 6 * mean_distance**3, crystal.sublattice)
    if schema.voronoi:
        volumes = voronoi_volumes(crystal.positions, crystal.lattice, crystal.pbc)
        voronoi = _deviation_within(volumes, crystal.sublattice)
    return {
        "deviation of local volume (Å³)": local,
        "deviation of Voronoi volume (Å³)": voronoi,
    }


def _deviation_within(values, sublattice):
    """Root-mean-square deviation of values from the mean of their sublattice."""
    means = np.bincount(sublattice, values) / np.maximum(np.bincount(sublattice), 1)
    return np.sqrt(np.mean((values - means[sublattice]) ** 2))


def order_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    columns = {}
    for mixed in schema.mixed_sublattices:
        columns.update(_shell_columns(crystal, schema, mixed))
        on_sublattice = _known_species(crystal, schema, mixed)
        bonded = first_coordination(
            crystal.neighbors.distance, on_sublattice[crystal.neighbors.index]
        )
        for k, centre_name in enumerate(schema.names):
            centres = np.flatnonzero(crystal.sublattice == k)
            order = ligand_order(
                crystal.neighbors, bonded, crystal.atomic_numbers, centres, on_sublattice
            )
            columns.update(_ligand_columns(order, schema.names[mixed], centre_name))
    return columns


def _known_species(crystal, schema, mixed):
    """Mask of the atoms on a mixed sublattice; columns of species do not count unseen ones."""
    on_sublattice = crystal.sublattice == mixed
    if schema.pairs:
        on_sublattice &= np.isin(crystal.atomic_numbers, schema.species[mixed])
    return on_sublattice


def _shell_columns(crystal, schema, mixed):
    """Columns with the order of the species of one sublattice in its neighbour shells."""
    on_sublattice = _known_species(crystal, schema, mixed)
    species = schema.species[mixed]
    if not schema.pairs:
        species = np.unique(crystal.atomic_numbers[on_sublattice])
    orders = sublattice_pair_orders(
        crystal.parent.positions[on_sublattice],
        crystal.parent.lattice,
        crystal.pbc,
        np.searchsorted(species, crystal.atomic_numbers[on_sublattice]),
        len(species),
        schema.n_shells,
    )
    columns = {}
    for k in range(1, schema.n_shells + 1):
        order = orders[k - 1] if k <= len(orders) else None
        for i, j, pair in schema.species_pairs[mixed] if schema.pairs else ():
            occurs = order is not None and order.random[i, j] > 0
            alpha = order.alpha[i, j] if occurs else np.nan
            columns[f"Warren-Cowley α({pair}) sublattice shell {k}"] = alpha
        of_shell, found = f"of {schema.names[mixed]} shell {k}", order is not None
        columns |= {
            f"mean |Warren-Cowley α| {of_shell}": order.mean_magnitude if found else np.nan,
            f"excess of like pairs {of_shell}": order.excess_of_like_pairs if found else np.nan,
            f"fraction of like pairs {of_shell}": np.trace(order.fraction) if found else np.nan,
        }
    return columns


def _ligand_columns(order, name, centre_name):
    """Columns with the order of the species of sublattice `name` around atoms of a sublattice."""
    around = f"of {name} around {centre_name}"
    return {
        f"count variance {around}": order.multipoles.count_variance,
        f"mean dipole {around}": order.multipoles.mean_dipole,
        f"squared dipole {around}": order.multipoles.squared_dipole,
        f"squared quadrupole {around}": order.multipoles.squared_quadrupole,
        **{
            f"excess of like pairs at {ligand_angle}° {around}": excess
            for ligand_angle, excess in order.like_excess.items()
        },
    }


def entropy_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    columns, total = {}, 0.0
    for k, name in enumerate(schema.names):
        on_sublattice = crystal.atomic_numbers[crystal.sublattice == k]
        _, counts = np.unique(on_sublattice, return_counts=True)
        fraction = counts / max(len(on_sublattice), 1)
        entropy = -(fraction * np.log(fraction)).sum() + 0.0
        total += entropy * len(on_sublattice) / len(crystal.atomic_numbers)
        if k in schema.mixed_sublattices:
            columns[f"configurational entropy of {name} (kB per site)"] = entropy
    return {**columns, "configurational entropy (kB per atom)": total}


def prototype_columns(crystal: DisorderedCrystal, schema: DisorderSchema) -> dict[str, Any]:
    root_mean_square = largest = strain = space_group = np.nan
    if schema.parent_symprec is not None:
        parent = crystal.parent
        displacement = np.linalg.norm(parent.displacement @ crystal.lattice, axis=1)
        root_mean_square, largest = np.sqrt(np.mean(displacement**2)), displacement.max()
        deformation = np.linalg.inv(parent.lattice) @ crystal.lattice
        strain = float(np.linalg.norm((deformation @ deformation.T - np.eye(3)) / 2))
        space_group = np.nan if parent.symmetry is None else parent.symmetry.number
    return {
        "root-mean-square displacement from the parent (Å)": root_mean_square,
        "max displacement from the parent (Å)": largest,
        "strain from the parent": strain,
        "space group number of the parent": space_group,
    }


#: The groups of columns in their order, each with the function that computes them.
GROUPS = {
    "symmetry": symmetry_columns,
    "bonds": bonds_columns,
    "angles": angles_columns,
    "polyhedra": polyhedra_columns,
    "tilts": tilts_columns,
    "volume": volume_columns,
    "order": order_columns,
    "entropy": entropy_columns,
    "prototype": prototype_columns,
}


def describe_disorder(
    crystals: list[CrystalArrays], groups: Sequence[str], schema: DisorderSchema
) -> list[dict[str, Any]]:
    """Column names and values of each crystal."""
    rows = []
    for crystal in crystals:
        disordered, columns = DisorderedCrystal(crystal, schema), {}
        for group in groups:
            columns.update(GROUPS[group](disordered, schema))
        rows.append(columns)
    return rows
