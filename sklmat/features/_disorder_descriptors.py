"""One row of `DisorderFeaturizer` from the arrays of one crystal."""

from functools import cached_property
from itertools import combinations

import numpy as np

from sklmat.elements import element_table
from sklmat.features._neighbors import Neighbors, hoppe
from sklmat.features._parent_lattice import TIGHT, find_parent, first_coordination, is_anion
from sklmat.features._polyhedra import (
    adjacent_angles,
    bridging_angles,
    distortion,
    octahedra,
    polyhedron_measures,
    voronoi_volumes,
)
from sklmat.features._short_range_order import (
    multipoles,
    pair_order,
    pairs_by_angle,
    sublattice_shells,
)
from sklmat.features._symmetry import POINT_GROUP_ORDER, symmetry_dataset

GROUPS = (
    "symmetry",
    "bonds",
    "angles",
    "polyhedra",
    "tilts",
    "volume",
    "order",
    "entropy",
    "prototype",
)
_COUNTS = (
    "inequivalent sites",
    "fraction of inequivalent sites",
    "atoms in the primitive cell",
    "symmetry operations",
    "space group number",
)
ON_PARENT = "on the parent lattice"
_POLYHEDRA = (
    "quadratic elongation",
    "bond angle variance (°²)",
    "bond length distortion",
    "off-centring (Å)",
)
_MULTIPOLES = ("count variance", "mean dipole", "squared dipole", "squared quadrupole")
# Degrees; where the ligands of octahedra, tetrahedra and cages see each other.
_ANGLES = (60, 90, 109, 120, 180)
_ANGLE_WINDOW = 5
# Neighbours on one sublattice reach four shells of each lattice.
_SHELL_RADIUS = 2.5


class Cell:
    """One crystal, its parent and its bonds; what several groups need is computed once."""

    def __init__(self, numbers, coords, matrix, pbc, kinds, tolerance):
        self.numbers, self.coords, self.matrix, self.pbc = numbers, coords, matrix, pbc
        self.kinds = kinds
        self.anion = is_anion(numbers)
        self.parent = find_parent(coords, matrix, pbc, kinds, tolerance)

    @cached_property
    def neighbors(self):
        """On the parent lattice, where displacements move no atom between shells."""
        parent = self.parent
        return Neighbors(self.numbers, parent.frac @ parent.matrix, parent.matrix, self.pbc)

    @cached_property
    def vector(self):
        """From each atom to its neighbours where they really are, in Å; shape (N, M, 3)."""
        listed = np.isfinite(self.neighbors.distance)[..., None]
        shift = self.parent.shift
        moved = shift[self.neighbors.index] - shift[:, None]
        frac = self.neighbors.vector @ np.linalg.inv(self.parent.matrix)
        return np.where(listed, (frac + moved) @ self.matrix, 0)

    @cached_property
    def distance(self):
        listed = np.isfinite(self.neighbors.distance)
        return np.where(listed, np.linalg.norm(self.vector, axis=2), np.inf)

    @cached_property
    def bonded(self):
        """Mask the bonds: from cations to anions, or among all atoms of a crystal without."""
        ligand = np.ones_like(self.neighbors.index, dtype=bool)
        if self.anion.any():
            ligand = self.anion[self.neighbors.index] & ~self.anion[:, None]
        return first_coordination(self.neighbors.distance, ligand)

    @cached_property
    def centres(self):
        """Atoms at the centre of a polyhedron, shape (N,)."""
        counts = self.bonded.sum(axis=1)
        if not self.anion.any():
            return counts > 0
        small = (counts == 4) | (counts == 6)
        return small if small.any() else counts > 0

    @cached_property
    def octahedra(self):
        """Octahedral centres, the ranks of their six ligands, and which of these are opposite."""
        return octahedra(self.neighbors.vector, self.bonded & self.anion_ligands)

    @cached_property
    def anion_ligands(self):
        return self.anion[self.neighbors.index]

    @cached_property
    def tetrahedra(self):
        """Tetrahedral centres and the ranks of their four ligands."""
        bonded = self.bonded & self.anion_ligands
        centre = np.flatnonzero(bonded.sum(axis=1) == 4)
        return centre, np.nonzero(bonded[centre])[1].reshape(-1, 4)


class DisorderDescriber:
    """Turn compact crystals into rows of the candidate columns, NaN where there is nothing."""

    def __init__(self, groups, symprec, parent_symprec, sublattices, mixed, n_shells, voronoi):
        self.groups, self.symprec, self.parent_symprec = groups, symprec, parent_symprec
        self.sublattices, self.mixed = sublattices, mixed
        self.n_shells, self.voronoi = n_shells, voronoi
        self.kind = np.zeros(119, dtype=np.intp)
        for i, species in enumerate(sublattices):
            self.kind[species] = i
        self.labels = np.array(["", *element_table().index], dtype=object)
        self.names = ["/".join(sorted(self.labels[species])) for species in sublattices]
        self.alpha_names = {
            (a, b, k): f"Warren-Cowley α({self._pair(a, b)}) sublattice shell {k}"
            for i in mixed
            for a, b in combinations(sublattices[i], 2)
            for k in range(1, n_shells + 1)
        }
        by_group = {group: getattr(self, f"_{group}_names")() for group in groups}
        self.columns = [name for names in by_group.values() for name in names]
        self.order_columns = by_group.get("order", [])

    def __call__(self, crystals):
        return [self._row(*crystal) for crystal in crystals]

    def _row(self, numbers, coords, matrix, pbc):
        cell = Cell(numbers, coords, matrix, pbc, self.kind[numbers], self.parent_symprec)
        values = {}
        for group in self.groups:
            values.update(getattr(self, f"_{group}")(cell))
        return np.array([values.get(name, np.nan) for name in self.columns], dtype=float)

    # ---------------------------------------------------------------- symmetry

    def _symmetry(self, cell):
        frac = cell.coords @ np.linalg.inv(cell.matrix)
        values = {}
        for symprec in self.symprec:
            dataset = symmetry_dataset(cell.matrix, frac, cell.numbers, symprec)
            values.update(self._counts(dataset, at(symprec), cell.kinds))
        if self.parent_symprec is not None:
            parent = cell.parent
            dataset = symmetry_dataset(parent.matrix, parent.frac, cell.numbers, TIGHT)
            values.update(self._counts(dataset, ON_PARENT, cell.kinds))
            if dataset is not None and parent.symmetry is not None:
                ratio = _density(parent.symmetry) / _density(dataset)
                values["log of the index in the parent's space group"] = np.log(ratio)
        return values

    def _counts(self, dataset, place, kinds):
        if dataset is None:
            return {}
        orbits, atoms = dataset.crystallographic_orbits, _primitive_atoms(dataset)
        each = [len(np.unique(orbits[kinds == i])) for i in range(len(self.names))]
        operations = POINT_GROUP_ORDER[dataset.pointgroup]
        numbers = (sum(each), sum(each) / atoms, atoms, operations, dataset.number, *each)
        return dict(zip(self._count_names(place), numbers))

    # ------------------------------------------------------------ bonds, angles

    def _bonds(self, cell):
        atom, rank = np.nonzero(cell.bonded)
        other = cell.neighbors.index[atom, rank]
        pairs = np.sort(np.column_stack([cell.numbers[atom], cell.numbers[other]]), axis=1)
        keys, which = np.unique(pairs, axis=0, return_inverse=True)
        values = {}
        for i, key in enumerate(keys):
            name = self._pair(*key)
            lengths = cell.distance[atom, rank][which.ravel() == i]
            values.update(_moments(lengths, _bond_names(name), 1e-4))
        return values

    def _angles(self, cell):
        angles, centres = bridging_angles(cell)
        parts = [(cell.numbers[centres], angles)]
        for centre, ranks, opposite in (cell.octahedra, (*cell.tetrahedra, None)):
            vectors = cell.vector[centre[:, None], ranks]
            own = adjacent_angles(vectors, opposite)
            parts.append((np.repeat(cell.numbers[centre], own.shape[1]), own.ravel()))
        numbers, angles = (np.concatenate(part) for part in zip(*parts))
        values = {}
        for number in np.unique(numbers):
            names = _angle_names(self.labels[number])
            values.update(_moments(angles[numbers == number], names, 1e-3))
        return values

    def _polyhedra(self, cell):
        measures = [*polyhedron_measures(cell), *distortion(cell)]
        values = {}
        for name, numbers in zip(_POLYHEDRA, measures):
            if len(numbers):
                values[f"mean {name}"] = numbers.mean()
                values[f"deviation {name}"] = numbers.std()
        return values

    def _tilts(self, cell):
        angles, _ = bridging_angles(cell, octahedral=True)
        if not len(angles):
            return {}
        tilts = (180 - angles) / 2
        return {"mean tilt (°)": tilts.mean(), "deviation tilt (°)": tilts.std()}

    # --------------------------------------------------------------- volumes

    def _volume(self, cell):
        values = {}
        if np.isfinite(cell.distance).any(axis=1).all():
            mean, _ = hoppe(cell.distance)
            values["deviation of local volume (Å³)"] = _pooled(np.pi / 6 * mean**3, cell.kinds)
        if self.voronoi:
            volumes = voronoi_volumes(cell.coords, cell.matrix, cell.pbc)
            values["deviation of Voronoi volume (Å³)"] = _pooled(volumes, cell.kinds)
        return values

    # ----------------------------------------------------------------- order

    def _order(self, cell):
        values = {}
        for i in self.mixed:
            on = cell.kinds == i
            if on.any():
                values.update(self._shells(cell, i, on))
                for j in np.unique(cell.kinds):
                    values.update(self._surroundings(cell, i, j))
        return values

    def _shells(self, cell, i, on):
        parent, species = cell.parent, self.sublattices[i]
        coords = (parent.frac @ parent.matrix)[on]
        neighbors = Neighbors(cell.numbers[on], coords, parent.matrix, cell.pbc, _SHELL_RADIUS)
        kinds = np.searchsorted(species, cell.numbers[on])
        values = {}
        shells = sublattice_shells(neighbors.distance, _SHELL_RADIUS * neighbors.scale)
        for k, shell in enumerate(shells[: self.n_shells], start=1):
            share, random, alpha = pair_order(neighbors, shell, kinds, len(species))
            for a, b in combinations(range(len(species)), 2):
                if random[a, b] > 0:
                    values[self.alpha_names[species[a], species[b], k]] = alpha[a, b]
            name = f"of {self.names[i]} shell {k}"
            values[f"mean |Warren-Cowley α| {name}"] = (random * np.abs(alpha)).sum()
            values[f"excess of like pairs {name}"] = np.trace(share - random)
            values[f"fraction of like pairs {name}"] = np.trace(share)
        return values

    def _surroundings(self, cell, i, j):
        """How the species of sublattice i are spread over the polyhedra around sublattice j."""
        near, around = cell.neighbors, np.flatnonzero(cell.kinds == j)
        bonded = first_coordination(near.distance, cell.kinds[near.index] == i)[around]
        width = np.flatnonzero(bonded.any(axis=0)).max(initial=-1) + 1
        if not width:
            return {}
        bonded, index = bonded[:, :width], near.index[around, :width]
        unit = near.vector[around, :width] / near.distance[around, :width, None]
        own = cell.numbers[cell.kinds == i]
        numbers, ligands = np.unique(own), cell.numbers[index]
        share = np.mean(own == numbers[:, None], axis=1)
        excess = ((ligands == numbers[:, None, None]) - share[:, None, None]) * bonded
        values = multipoles(excess, unit, bonded)
        like = (ligands[:, :, None] == ligands[:, None]) - (share**2).sum()
        angles, like = pairs_by_angle(like, unit, bonded)
        for theta in _ANGLES:
            near_it = np.abs(angles - theta) < _ANGLE_WINDOW
            values.append(like[near_it].mean() if near_it.any() else np.nan)
        return dict(zip(_around_names(self.names[i], self.names[j]), values))

    # ---------------------------------------------------- entropy, prototype

    def _entropy(self, cell):
        values, total = {}, 0.0
        for i, name in enumerate(self.names):
            own = cell.numbers[cell.kinds == i]
            share = np.unique(own, return_counts=True)[1] / max(len(own), 1)
            entropy = -(share * np.log(share)).sum() + 0.0
            total += entropy * len(own) / len(cell.numbers)
            if i in self.mixed:
                values[f"configurational entropy of {name} (kB per site)"] = entropy
        return {**values, "configurational entropy (kB per atom)": total}

    def _prototype(self, cell):
        parent = cell.parent
        if self.parent_symprec is None:
            return {}
        moved = np.linalg.norm(parent.shift @ cell.matrix, axis=1)
        stretch = np.linalg.inv(parent.matrix) @ cell.matrix
        strain = (stretch @ stretch.T - np.eye(3)) / 2
        number = np.nan if parent.symmetry is None else parent.symmetry.number
        return {
            "root-mean-square displacement from the parent (Å)": np.sqrt(np.mean(moved**2)),
            "max displacement from the parent (Å)": moved.max(),
            "strain from the parent": np.linalg.norm(strain),
            "space group number of the parent": number,
        }

    # ----------------------------------------------------------------- names

    def _symmetry_names(self):
        where = [at(symprec) for symprec in self.symprec]
        last = []
        if self.parent_symprec is not None:
            where.append(ON_PARENT)
            last = ["log of the index in the parent's space group"]
        return [name for place in where for name in self._count_names(place)] + last

    def _count_names(self, place):
        several = self.names if len(self.names) > 1 else []
        each = [f"inequivalent {name} sites" for name in several]
        return [f"{name} {place}" for name in (*_COUNTS, *each)]

    def _bonds_names(self):
        symbols = self._symbols()
        pairs = [f"{a}-{b}" for i, a in enumerate(symbols) for b in symbols[i:]]
        return [name for pair in pairs for name in _bond_names(pair)]

    def _angles_names(self):
        return [name for symbol in self._symbols() for name in _angle_names(symbol)]

    def _polyhedra_names(self):
        return [f"{how} {name}" for name in _POLYHEDRA for how in ("mean", "deviation")]

    def _tilts_names(self):
        return ["mean tilt (°)", "deviation tilt (°)"]

    def _volume_names(self):
        return ["deviation of local volume (Å³)", "deviation of Voronoi volume (Å³)"]

    def _order_names(self):
        names = []
        for i in self.mixed:
            species, name = self.sublattices[i], self.names[i]
            for k in range(1, self.n_shells + 1):
                names += [self.alpha_names[a, b, k] for a, b in combinations(species, 2)]
                names += [f"mean |Warren-Cowley α| of {name} shell {k}"]
                names += [
                    f"{how} of like pairs of {name} shell {k}" for how in ("excess", "fraction")
                ]
            for other in self.names:
                names += _around_names(name, other)
        return names

    def _entropy_names(self):
        mixed = [self.names[i] for i in self.mixed]
        names = [f"configurational entropy of {name} (kB per site)" for name in mixed]
        return [*names, "configurational entropy (kB per atom)"]

    def _prototype_names(self):
        return [
            "root-mean-square displacement from the parent (Å)",
            "max displacement from the parent (Å)",
            "strain from the parent",
            "space group number of the parent",
        ]

    def _symbols(self):
        return sorted(self.labels[z] for species in self.sublattices for z in species)

    def _pair(self, *numbers):
        return "-".join(sorted(self.labels[list(numbers)]))


def at(symprec):
    """Name of a tolerance in columns."""
    return f"at {symprec:g} Å"


def _around_names(name, other):
    around = f"of {name} around {other}"
    like = [f"excess of like pairs at {theta}° {around}" for theta in _ANGLES]
    return [f"{what} {around}" for what in _MULTIPOLES] + like


def _bond_names(pair):
    return f"mean {pair} bond (Å)", f"variance {pair} bond (Å²)", f"skew {pair} bond"


def _angle_names(symbol):
    at_symbol = f"angle at {symbol}"
    return f"mean {at_symbol} (°)", f"variance {at_symbol} (°²)", f"skew {at_symbol}"


def _primitive_atoms(dataset):
    return dataset.mapping_to_primitive.max() + 1


def _density(dataset):
    """Operations per atom: of the space group, not of the cell that it is given in."""
    return POINT_GROUP_ORDER[dataset.pointgroup] / _primitive_atoms(dataset)


def _moments(values, names, noise):
    """Mean, variance and skew; a spread below `noise` has no skew."""
    spread = values - values.mean()
    variance = np.mean(spread**2)
    skew = np.mean(spread**3) / variance**1.5 if variance > noise**2 else 0.0
    return dict(zip(names, (values.mean(), variance, skew)))


def _pooled(values, kinds):
    """Deviation of values from the mean of their own kind."""
    means = np.bincount(kinds, values) / np.maximum(np.bincount(kinds), 1)
    return np.sqrt(np.mean((values - means[kinds]) ** 2))
