"""One row of `StructureFeaturizer` from the arrays of one crystal."""

import numpy as np

from sklmat.elements import element_table
from sklmat.features._infer_lattice import IDEAL, lattice_deviations, lattice_name, shells
from sklmat.features._neighbors import Neighbors
from sklmat.features._short_range_order import pair_order
from sklmat.features._symmetry import POINT_GROUP_ORDER, symmetry_dataset

GROUPS = ("volume", "distances", "coordination", "order", "symmetry", "lattice")
_SUMMARY = ("mean", "deviation", "min", "max")

# Properties compared across the pairs of the first shell.
_CONTRASTS = ("electronegativity (Pauling)", "metallic radius (Å)")

# Å³ per atom in one cm³/mol, and g/cm³ in one u/Å³.
_CUBIC_ANGSTROM = 1e24 / 6.02214076e23
_DENSITY = 1.66053906660

# Last space-group number of each crystal system, triclinic to cubic.
_LAST_OF_SYSTEM = (2, 15, 74, 142, 167, 194, 230)


class Describer:
    """Turn compact crystals into rows; small, so that it travels to worker processes."""

    def __init__(self, groups, elements, lattices, symprec):
        table = element_table(elements)
        self.groups = groups
        self.lattices = lattices
        self.symprec = symprec
        self.masses = table["atomic mass (u)"].to_numpy()
        self.volumes = _known(table, "molar volume (cm³/mol)")
        self.contrasts = [_known(table, column) for column in _CONTRASTS]
        self.position = np.zeros(119, dtype=np.intp)
        self.position[table["atomic number"]] = np.arange(len(elements))

    def __call__(self, crystals):
        return [self._row(*crystal) for crystal in crystals]

    def _row(self, numbers, coords, matrix, pbc):
        neighbors = Neighbors(numbers, coords, matrix, pbc)
        lattice = lattice_name(neighbors)
        kinds = self.position[numbers]
        both = shells(neighbors, lattice)
        values = []
        for group in self.groups:
            if group == "volume":
                values += self._volume(neighbors, kinds)
            elif group == "distances":
                values += _distances(neighbors, both)
            elif group == "coordination":
                values += _coordination(neighbors, both)
            elif group == "order":
                values += self._order(neighbors, kinds, both)
            elif group == "symmetry":
                values += _symmetry(numbers, coords, matrix, self.symprec)
            else:
                values += [float(lattice == name) for name in self.lattices]
        return lattice, np.array(values)

    def _volume(self, neighbors, kinds):
        volume = neighbors.scale**3
        nearest = neighbors.distance[:, 0]
        spheres = np.pi / 6 * np.mean(np.where(np.isfinite(nearest), nearest, np.nan) ** 3)
        return [
            volume,
            self.masses[kinds].mean() / volume * _DENSITY,
            spheres / volume,
            *(volume / (_CUBIC_ANGSTROM * known[kinds].mean()) for known in self.volumes),
        ]

    def _order(self, neighbors, kinds, shells):
        values = []
        n = len(self.masses)
        upper = np.triu_indices(n)
        for shell in shells:
            share, random, alpha = pair_order(neighbors, shell, kinds, n)
            both_ways = share + share.T - np.diag(share.diagonal())
            values += [*both_ways[upper], *alpha[upper]]
            values += [(random * np.abs(alpha)).sum(), np.trace(share - random)]
        atom, rank = np.nonzero(shells[0])
        first, second = kinds[atom], kinds[neighbors.index[atom, rank]]
        for known in self.contrasts:
            differences = (np.abs(scale[first] - scale[second]) for scale in known)
            values += [pairs.mean() if len(pairs) else np.nan for pairs in differences]
        return values


def _known(table, column):
    """Hold the property's values in a list, which is empty when an element lacks it."""
    values = table[column].to_numpy()
    return [] if np.isnan(values).any() else [values]


def _distances(neighbors, shells):
    nearest = np.where(np.isfinite(neighbors.distance[:, 0]), neighbors.distance[:, 0], np.nan)
    first, second = (neighbors.distance[shell] for shell in shells)
    means = [shell.mean() if len(shell) else np.nan for shell in (first, second)]
    deviations = [shell.std() if len(shell) else np.nan for shell in (first, second)]
    counts = shells[0].sum(axis=1)
    centre = (neighbors.vector * shells[0][..., None]).sum(axis=1) / np.maximum(counts, 1)[:, None]
    displacement = np.linalg.norm(centre, axis=1).mean() if counts.all() else np.nan
    return [
        *_summary(nearest),
        nearest.mean() / neighbors.scale,
        means[0],
        deviations[0],
        means[1],
        deviations[1],
        means[1] / means[0],
        displacement,
        *lattice_deviations(neighbors).values(),
    ]


def _coordination(neighbors, shells):
    _, effective = neighbors.effective_coordination()
    return [*_summary(shells[0].sum(axis=1)), *_summary(effective)]


def _summary(values):
    return [values.mean(), values.std(), values.min(), values.max()]


def _symmetry(numbers, coords, matrix, symprec):
    dataset = symmetry_dataset(matrix, coords @ np.linalg.inv(matrix), numbers, symprec)
    if dataset is None:
        return [np.nan] * 3
    number = dataset.number
    system = 1 + int(np.searchsorted(_LAST_OF_SYSTEM, number))
    return [float(number), float(system), float(POINT_GROUP_ORDER[dataset.pointgroup])]


def column_names(group, elements, lattices):
    """Column names of one group."""
    table = element_table(elements)
    if group == "volume":
        return [
            "volume per atom (Å³)",
            "density (g/cm³)",
            "packing fraction",
            *["volume relative to the elements" for _ in _known(table, "molar volume (cm³/mol)")],
        ]
    if group == "distances":
        return [
            *(f"{how} nearest-neighbour distance (Å)" for how in _SUMMARY),
            "relative nearest-neighbour distance",
            "mean shell 1 distance (Å)",
            "deviation shell 1 distance (Å)",
            "mean shell 2 distance (Å)",
            "deviation shell 2 distance (Å)",
            "ratio of shell 2 to shell 1 distance",
            "off-centre displacement (Å)",
            *(f"deviation from {name} distances" for name in IDEAL),
        ]
    if group == "coordination":
        kinds = ("coordination number", "effective coordination number")
        return [f"{how} {kind}" for kind in kinds for how in _SUMMARY]
    if group == "order":
        return _order_names(elements)
    if group == "symmetry":
        return ["space group number", "crystal system", "point group order"]
    return [f"lattice_{name}" for name in lattices]


def _order_names(elements):
    pairs = [f"{a}-{b}" for i, a in enumerate(elements) for b in elements[i:]]
    names = []
    for shell in (1, 2):
        names += [f"fraction of {pair} pairs shell {shell}" for pair in pairs]
        names += [f"Warren-Cowley α({pair}) shell {shell}" for pair in pairs]
        names += [f"mean |Warren-Cowley α| shell {shell}", f"excess of like pairs shell {shell}"]
    table = element_table(elements)
    contrasts = [f"mean shell 1 difference of {name}" for name in _CONTRASTS if _known(table, name)]
    return [*names, *contrasts]
