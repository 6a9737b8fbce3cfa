"""A function for each group of columns of `DisorderFeaturizer`.

Each function takes several crystals and the schema of the table, and returns a dict of column names
and values of shape (C,). The names are the same for all crystals; a value that a crystal does not
have is NaN. A value does not depend on the other crystals, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklmat.features._disorder_schema import DisorderSchema
from sklmat.features._disordered_crystals import DisorderedCrystals
from sklmat.features._grouped_statistics import Summary
from sklmat.features._ideal_sites import symmetry_of_species
from sklmat.features._neighbors import first_coordination, hoppe_averages
from sklmat.features._parent_lattice import IDEAL_SYMPREC
from sklmat.features._polyhedra import (
    bond_angle_variance,
    bond_length_distortion,
    bridging_angles,
    ligand_angles,
    off_centring,
    quadratic_elongation,
    voronoi_volumes,
)
from sklmat.features._short_range_order import (
    LIGAND_ANGLE_WINDOW,
    LIGAND_ANGLES,
    ligand_order,
    species_of_crystals,
    sublattice_pair_orders,
)
from sklmat.features._symmetry import Symmetry, lattice_of_symmetry, symmetry_dataset
from sklmat.structures import CrystalArrays

#: Names of columns, and values of shape (C,).
Columns = dict[str, np.ndarray]
ON_PARENT = "on the parent lattice"
# Standard deviations of bond lengths (Å) and angles (°) up to these values are rounding errors, and
# the skew is then 0.
_LENGTH_NOISE, _ANGLE_NOISE = 1e-4, 1e-3


def symmetry_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    columns = {}
    for symprec in schema.symprec:
        found = [_symmetry(crystal, symprec) for crystal in crystals.crystals]
        columns.update(_site_columns(found, at_symprec(symprec), crystals, schema))
    if schema.parent_symprec is not None:
        found = _symmetries_on_parents(crystals)
        columns.update(_site_columns(found, ON_PARENT, crystals, schema))
        columns["log of the index in the parent's space group"] = np.array(
            [
                np.nan
                if own is None or parent is None
                else np.log(parent.operations_per_atom / own.operations_per_atom)
                for own, parent in zip(found, crystals.parents.symmetry)
            ]
        )
    return columns


def _symmetry(crystal, symprec):
    """Symmetry that spglib finds; None for wires and molecules, and if spglib fails."""
    types, positions, lattice, pbc = crystal
    if pbc.sum() < 2:
        return None
    lattice = lattice_of_symmetry(positions, lattice, pbc)
    dataset = symmetry_dataset(lattice, positions @ np.linalg.inv(lattice), types, symprec)
    return None if dataset is None else Symmetry.from_dataset(dataset)


def _symmetries_on_parents(crystals):
    """Symmetries of the crystals with their species on the ideal sites."""
    found = []
    for crystal, sites in zip(crystals.on_parents, crystals.parents.sites):
        symmetry = None
        if sites is not None:
            symmetry = symmetry_of_species(sites, crystal.atomic_numbers, IDEAL_SYMPREC)
        if symmetry is None:
            symmetry = _symmetry(crystal, IDEAL_SYMPREC)
        found.append(symmetry)
    return found


def at_symprec(symprec):
    """End of the names of the columns for one value of `symprec`."""
    return f"at {symprec:g} Å"


def _site_columns(symmetries, place, crystals, schema):
    """Columns with inequivalent sites and symmetry operations; NaN where there is no symmetry."""
    is_known = np.array([symmetry is not None for symmetry in symmetries])
    n_atoms, order, number = np.full((3, len(symmetries)), np.nan)
    n_sites = np.full((len(symmetries), len(schema.names)), np.nan)
    known = [symmetry for symmetry in symmetries if symmetry is not None]
    if known:
        n_atoms[is_known] = [symmetry.n_primitive for symmetry in known]
        order[is_known] = [symmetry.order for symmetry in known]
        number[is_known] = [symmetry.number for symmetry in known]
        atoms = is_known[crystals.crystal]
        codes = crystals.crystal[atoms] * (len(schema.names) + 1) + crystals.sublattice[atoms]
        orbits = np.concatenate([symmetry.orbits for symmetry in known])
        distinct = np.unique(codes * len(crystals.crystal) + orbits) // len(crystals.crystal)
        counts = np.bincount(distinct, minlength=len(symmetries) * (len(schema.names) + 1))
        n_sites[is_known] = counts.reshape(len(symmetries), -1)[is_known, :-1]
    columns = {
        f"inequivalent sites {place}": n_sites.sum(axis=1),
        f"fraction of inequivalent sites {place}": n_sites.sum(axis=1) / n_atoms,
        f"atoms in the primitive cell {place}": n_atoms,
        f"symmetry operations {place}": order,
        f"space group number {place}": number,
    }
    if len(schema.names) > 1:
        for name, n_own_sites in zip(schema.names, n_sites.T):
            columns[f"inequivalent {name} sites {place}"] = n_own_sites
    return columns


def bonds_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    center = crystals.neighbors.center[crystals.bonded]
    other = crystals.neighbors.other[crystals.bonded]
    lengths = crystals.distance[crystals.bonded]
    if not schema.pairs:
        radius = schema.radius_of_number[crystals.atomic_numbers]
        relative = crystals.summary(lengths / (radius[center] + radius[other]), center)
        return {
            "mean relative bond length": relative.mean,
            "variance relative bond length": relative.deviation**2,
            "skew relative bond length": relative.skew(_LENGTH_NOISE),
        }
    element, n_elements = schema.element_of_number[crystals.atomic_numbers], len(schema.elements)
    first, second = np.sort([element[center], element[other]], axis=0)
    known = first >= 0
    pair = first * n_elements + second
    mean, variance, skew = _moments(
        crystals, lengths[known], center[known], pair[known], n_elements**2, _LENGTH_NOISE
    )
    columns = {}
    for number, name in schema.element_pairs:
        columns[f"mean {name} bond (Å)"] = mean[number]
        columns[f"variance {name} bond (Å²)"] = variance[number]
        columns[f"skew {name} bond"] = skew[number]
    return columns


def angles_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    bridging, ligand = bridging_angles([crystals.octahedra, crystals.tetrahedra])
    all_angles, all_atoms = [bridging], [ligand]
    for polyhedra in (crystals.octahedra, crystals.tetrahedra):
        between_ligands = ligand_angles(polyhedra)
        all_angles.append(between_ligands.ravel())
        all_atoms.append(np.repeat(polyhedra.centre, between_ligands.shape[1]))
    angles, atoms = np.concatenate(all_angles), np.concatenate(all_atoms)
    if schema.pairs:
        kind, names = schema.element_of_number[crystals.atomic_numbers], schema.elements
    else:
        kind, names = crystals.is_anion.astype(int), ["cations", "anions"]
    known = kind[atoms] >= 0
    angles, atoms = angles[known], atoms[known]
    mean, variance, skew = _moments(crystals, angles, atoms, kind[atoms], len(names), _ANGLE_NOISE)
    columns = {}
    for k, name in enumerate(names):
        columns[f"mean angle at {name} (°)"] = mean[k]
        columns[f"variance angle at {name} (°²)"] = variance[k]
        columns[f"skew angle at {name}"] = skew[k]
    return columns


def _moments(crystals, values, atom, kind, n_kinds, noise):
    """Mean, variance and skew of the values of each kind, three arrays of shape (n_kinds, C)."""
    group = crystals.crystal[atom] * n_kinds + kind
    found = Summary(values, group, len(crystals.crystals) * n_kinds)
    moments = found.mean, found.deviation**2, found.skew(noise)
    return [moment.reshape(-1, n_kinds).T for moment in moments]


def polyhedra_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    both = crystals.octahedra, crystals.tetrahedra
    centres = np.concatenate([polyhedra.centre for polyhedra in both])
    n_atoms, own = len(crystals.crystal), np.flatnonzero(crystals.has_polyhedron)
    center = crystals.neighbors.center[crystals.bonded]
    distortion = bond_length_distortion(center, crystals.distance[crystals.bonded], n_atoms)
    displacement = off_centring(center, crystals.vector[crystals.bonded], n_atoms)
    elongation = np.concatenate([quadratic_elongation(polyhedra) for polyhedra in both])
    variance = np.concatenate([bond_angle_variance(polyhedra) for polyhedra in both])
    measures = {
        "quadratic elongation": crystals.summary(elongation, centres),
        "bond angle variance (°²)": crystals.summary(variance, centres),
        "bond length distortion": crystals.summary(distortion[own], own),
        "off-centring (Å)": crystals.summary(displacement[own], own),
    }
    columns = {}
    for name, of_crystals in measures.items():
        columns.update(of_crystals.columns(name, ["mean", "deviation"]))
    return columns


def tilts_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    angles, ligand = bridging_angles([crystals.octahedra], two_centres=True)
    return crystals.summary((180 - angles) / 2, ligand).columns("tilt (°)", ["mean", "deviation"])


def volume_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    mean_distance, _ = hoppe_averages(
        crystals.neighbors.center, crystals.distance, crystals.crystal
    )
    volumes = np.pi / 6 * mean_distance**3
    columns = {"deviation of local volume (Å³)": _deviation_within(crystals, volumes)}
    voronoi = np.full(len(volumes), np.nan)
    if schema.voronoi:
        voronoi = np.concatenate([voronoi_volumes(*crystal[1:]) for crystal in crystals.crystals])
    return {**columns, "deviation of Voronoi volume (Å³)": _deviation_within(crystals, voronoi)}


def _deviation_within(crystals, values):
    """Root-mean-square deviation of values of atoms from the mean of their sublattice.

    NaN in a crystal where an atom has no finite value.
    """
    values = np.where(np.isfinite(values), values, np.nan)
    group = crystals.crystal * (crystals.sublattice.max() + 1) + crystals.sublattice
    mean = Summary(values, group, group.max() + 1).mean[group]
    atoms = np.arange(len(values))
    return np.sqrt(crystals.summary((values - mean) ** 2, atoms).mean)


def order_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    columns = {}
    for mixed in schema.mixed_sublattices:
        on_sublattice = crystals.sublattice == mixed
        if schema.pairs:
            # Columns of species do not count unseen ones.
            on_sublattice &= np.isin(crystals.atomic_numbers, schema.species[mixed])
        columns.update(_shell_columns(crystals, schema, mixed, on_sublattice))
        columns.update(_ligand_columns(crystals, schema, mixed, on_sublattice))
    return columns


def _shell_columns(crystals, schema, mixed, on_sublattice):
    """Columns with the order of the species of one sublattice in its neighbour shells."""
    rows, crystal = np.unique(crystals.crystal[on_sublattice], return_inverse=True)
    numbers = crystals.atomic_numbers[on_sublattice]
    if schema.pairs:
        species = np.searchsorted(schema.species[mixed], numbers)
        n_species = len(schema.species[mixed])
    else:
        _, species, n_species = species_of_crystals(crystal, numbers)
    of_crystals = np.split(on_sublattice, crystals.bounds)
    pieces = [crystals.on_parents[row].select(of_crystals[row]) for row in rows]
    shells = sublattice_pair_orders(pieces, species, n_species, schema.n_shells)

    def column(values, where):
        result = np.full(len(crystals.crystals), np.nan)
        result[rows] = np.where(where, values, np.nan)
        return result

    columns = {}
    for k, (exists, order) in enumerate(shells, start=1):
        for i, j, pair in schema.species_pairs[mixed] if schema.pairs else ():
            occurs = exists & (order.random[:, i, j] > 0)
            name = f"Warren-Cowley α({pair}) sublattice shell {k}"
            columns[name] = column(order.alpha[:, i, j], occurs)
        of_shell = f"of {schema.names[mixed]} shell {k}"
        like = np.trace(order.fraction, axis1=1, axis2=2)
        columns[f"mean |Warren-Cowley α| {of_shell}"] = column(order.mean_magnitude, exists)
        columns[f"excess of like pairs {of_shell}"] = column(order.excess_of_like_pairs, exists)
        columns[f"fraction of like pairs {of_shell}"] = column(like, exists)
    return columns


def _ligand_columns(crystals, schema, mixed, on_sublattice):
    """Columns with the order of the species of one sublattice around the atoms of each."""
    neighbors, n_kinds = crystals.neighbors, len(schema.names) + 1
    bonded = first_coordination(neighbors, on_sublattice[neighbors.other])
    order = ligand_order(neighbors, bonded, crystals.atomic_numbers, on_sublattice)
    group = crystals.crystal * n_kinds + crystals.sublattice
    n_groups = len(crystals.crystals) * n_kinds
    has_ligands = np.bincount(group, order.n_ligands, minlength=n_groups) > 0

    def means(values, atoms=slice(None)):
        return Summary(values, group[atoms], n_groups).mean

    count, dipole, quadrupole = order.multipoles
    of_groups = {
        "count variance": means(count),
        "mean dipole": means(np.sqrt(dipole)),
        "squared dipole": means(dipole),
        "squared quadrupole": means(quadrupole),
    }
    of_groups = {name: np.where(has_ligands, mean, np.nan) for name, mean in of_groups.items()}
    for angle in LIGAND_ANGLES:
        near = np.abs(order.pair_angle - angle) < LIGAND_ANGLE_WINDOW
        excess = means(order.pair_excess[near], order.pair_centre[near])
        of_groups[f"excess of like pairs at {angle}°"] = excess
    return {
        f"{name} of {schema.names[mixed]} around {centre}": mean.reshape(-1, n_kinds)[:, k]
        for k, centre in enumerate(schema.names)
        for name, mean in of_groups.items()
    }


def entropy_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    n_crystals, n_kinds = len(crystals.crystals), len(schema.names) + 1
    group = crystals.crystal * n_kinds + crystals.sublattice
    codes, counts = np.unique(group * 119 + crystals.atomic_numbers, return_counts=True)
    n_sites = np.bincount(group, minlength=n_crystals * n_kinds)
    fraction = counts / n_sites[codes // 119]
    entropy = np.bincount(codes // 119, -fraction * np.log(fraction), minlength=len(n_sites)) + 0.0
    entropy, n_sites = entropy.reshape(-1, n_kinds)[:, :-1], n_sites.reshape(-1, n_kinds)
    columns = {
        f"configurational entropy of {schema.names[mixed]} (kB per site)": entropy[:, mixed]
        for mixed in sorted(schema.mixed_sublattices)
    }
    total = (entropy * n_sites[:, :-1]).sum(axis=1) / n_sites.sum(axis=1)
    return {**columns, "configurational entropy (kB per atom)": total}


def prototype_columns(crystals: DisorderedCrystals, schema: DisorderSchema) -> Columns:
    squared, largest, strain, space_group = np.full((4, len(crystals.crystals)), np.nan)
    if schema.parent_symprec is not None:
        parents = crystals.parents
        length = np.linalg.norm(parents.displacement, axis=1)
        atoms = np.arange(len(length))
        squared = crystals.summary(length**2, atoms).mean
        largest = crystals.summary(length, atoms).max
        deformation = np.linalg.inv(parents.lattice) @ crystals.lattice
        green = (deformation @ np.swapaxes(deformation, 1, 2) - np.eye(3)) / 2
        strain = np.linalg.norm(green, axis=(1, 2))
        space_group = np.array(
            [np.nan if found is None else found.number for found in parents.symmetry]
        )
    return {
        "root-mean-square displacement from the parent (Å)": np.sqrt(squared),
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
) -> Columns:
    """Columns of the table: names, and values of shape (C,)."""
    disordered, columns = DisorderedCrystals(crystals, schema), {}
    for group in groups:
        columns.update(GROUPS[group](disordered, schema))
    return columns
