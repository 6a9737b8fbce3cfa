"""Textbook crystals, named by formula, and disordered ones, for all tests."""

from itertools import product

import numpy as np
from pymatgen.core import Lattice, Structure

#: Written out, because pymatgen takes a second to work out cubic space groups from their names.
FCC = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def bcc_fe():
    return Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def fcc_cu():
    return Structure(Lattice.cubic(3.61), ["Cu"] * 4, FCC)


def rocksalt_nacl():
    between = [[0.5, 0.5, 0.5], [0, 0, 0.5], [0, 0.5, 0], [0.5, 0, 0]]
    return Structure(Lattice.cubic(5.64), ["Na"] * 4 + ["Cl"] * 4, FCC + between)


def b2_cscl():
    return Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def b2_nial():
    return Structure(Lattice.cubic(2.88), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def hcp_mg():
    lattice = Lattice.hexagonal(3.2, 3.2 * np.sqrt(8 / 3))
    return Structure.from_spacegroup("P6_3/mmc", lattice, ["Mg"], [[1 / 3, 2 / 3, 0.25]])


def sc_po():
    return Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])


def diamond_si():
    inside = [[0.25, 0.25, 0.25], [0.25, 0.75, 0.75], [0.75, 0.25, 0.75], [0.75, 0.75, 0.25]]
    return Structure(Lattice.cubic(5.43), ["Si"] * 8, FCC + inside)


def l12_cu3au():
    return Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.75), ["Au", "Cu"], [[0, 0, 0], [0.5, 0.5, 0]]
    )


def wurtzite_zno():
    sites = [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]]
    return Structure.from_spacegroup("P6_3mc", Lattice.hexagonal(3.25, 5.3), ["Zn", "O"], sites)


def perovskite(a=3.905, species=("Sr", "Ti", "O")):
    sites = [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.cubic(a), [*species[:2], *[species[2]] * 3], sites)


def isolated_ne():
    return Structure(Lattice.cubic(30.0), ["Ne"], [[0, 0, 0]])


def sparse_cell():
    """Seven atoms in a large cell: fewer than 12 neighbours inside 8 Å for each."""
    rng = np.random.default_rng(0)
    coords = np.array([[0, 0, 0], [2.1, 0, 0], [0, 2.3, 0], [4, 4, 4], [5.9, 4, 4], [9, 9, 9]])
    coords = np.vstack([coords + rng.normal(0, 0.1, coords.shape), [15.0, 15.0, 2.0]])
    species = ["Ti", "O", "O", "Si", "C", "H", "Ar"]
    return Structure(Lattice.cubic(20.0), species, coords, coords_are_cartesian=True)


def random_alloys(n, seed=0, n_cells=2):
    """Rattled, strained fcc Ni-Cu-Pd cells: no two distances alike."""
    rng = np.random.default_rng(seed)
    cell = fcc_cu() * (n_cells, n_cells, 1)
    alloys = []
    for _ in range(n):
        elements = rng.choice(["Ni", "Cu", "Pd"], size=len(cell)).tolist()
        matrix = cell.lattice.matrix @ (np.eye(3) + rng.normal(0, 0.02, (3, 3)))
        coords = cell.frac_coords + rng.normal(0, 0.01, (len(cell), 3))
        alloys.append(Structure(Lattice(matrix), elements, coords))
    return alloys


def displaced_alloy(seed=0, elements=("Ni", "Pd", "Pt"), repeat=3, displacement=0.08):
    """A large fcc cell, every atom displaced."""
    rng = np.random.default_rng(seed)
    alloy = fcc_cu() * (repeat, repeat, repeat)
    species = rng.choice(elements, size=len(alloy))
    coords = alloy.cart_coords + rng.normal(scale=displacement, size=(len(alloy), 3))
    return Structure(alloy.lattice, species, coords, coords_are_cartesian=True)


def nickel_fraction(structures):
    """A target that composition alone explains."""
    return np.array([s.composition.get_atomic_fraction("Ni") for s in structures])


def rattled_cells(n, seed=0):
    """B2 Fe-Al of 4 atoms, no two alike: loose or dense by the lattice constant."""
    rng = np.random.default_rng(seed)
    a = np.linspace(2.6, 3.2, n)
    cells = []
    for x in a:
        cell = Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) * (2, 1, 1)
        coords = cell.cart_coords + rng.normal(0, 0.04, (4, 3))
        cells.append(Structure(cell.lattice, cell.species, coords, coords_are_cartesian=True))
    return cells, a


def halide(repeat=(1, 1, 1), iodine=(), a=5.8):
    """Cubic CsSnBr3 with iodine on some of its halide sites."""
    crystal = perovskite(a, ("Cs", "Sn", "Br")) * repeat
    sites = [i for i, site in enumerate(crystal) if site.specie.symbol == "Br"]
    for i in iodine:
        crystal[sites[i]] = "I"
    return crystal


def random_halides(n, repeat=(2, 2, 1), seed=0):
    rng = np.random.default_rng(seed)
    n_sites = 3 * np.prod(repeat)
    return [
        halide(repeat, rng.choice(n_sites, rng.integers(1, n_sites), replace=False))
        for _ in range(n)
    ]


def displaced(structure, length, seed=0):
    """Every atom moved by `length` in a random direction."""
    moves = np.random.default_rng(seed).normal(size=(len(structure), 3))
    moves *= length / np.linalg.norm(moves, axis=1, keepdims=True)
    coords = structure.cart_coords + moves
    return Structure(structure.lattice, structure.species, coords, coords_are_cartesian=True)


def tilted(omega, a=5.8, in_phase=False):
    """a0a0c-, or a0a0c+ if `in_phase`: rigid octahedra turned by ±`omega` degrees about c."""
    cos, sin = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    lattice = Lattice.tetragonal(2 * a * cos, 2 * a)
    species, coords = [], []
    for i, j, k in product(range(2), repeat=3):
        sign = (-1) ** (i + j + (0 if in_phase else k))
        centre = a * np.array([i * cos, j * cos, k])
        species += ["Sn", "Br", "Br", "Br", "Cs"]
        coords += [
            centre,
            centre + a / 2 * np.array([cos, sign * sin, 0]),
            centre + a / 2 * np.array([-sign * sin, cos, 0]),
            centre + np.array([0, 0, a / 2]),
            centre + a / 2 * np.array([cos, cos, 1]),
        ]
    return Structure(lattice, species, coords, coords_are_cartesian=True)


def turned(structure, seed=5):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = structure.lattice.matrix @ rotation
    return Structure(matrix, structure.species, structure.frac_coords)


def moved(structure):
    structure = structure.copy()
    structure.translate_sites(range(len(structure)), [0.13, 0.27, 0.41])
    return structure
