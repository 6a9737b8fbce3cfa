"""Textbook crystals, named by formula, and disordered ones, for all tests."""

import numpy as np
from pymatgen.core import Lattice, Structure


def bcc_fe():
    return Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def fcc_cu():
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])


def rocksalt_nacl():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def b2_cscl():
    return Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def isolated_ne():
    return Structure(Lattice.cubic(30.0), ["Ne"], [[0, 0, 0]])


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
