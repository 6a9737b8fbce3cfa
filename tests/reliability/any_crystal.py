"""`any_crystal`: a strategy of hypothesis for crystals that `check_structures` accepts."""

from functools import cache

import numpy as np
from hypothesis import strategies as st
from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
from pymatgen.core import Element, Lattice, Structure

SYMBOLS = [Element.from_Z(z).symbol for z in range(1, 95)]
#: How a cell is made from that of about equal sides.
SHAPES = ["plain", "oblique", "flat", "rod"]
#: Periodic directions; atoms lie apart from their images in the others.
PBC = [(True, True, True)] * 3 + [(True, True, False), (True, False, False), (False,) * 3]


#: More oblique cells, with opposite faces closer than 0.3 Å, are refused (Å).
SMALLEST_HEIGHT = 0.31


@cache
def radius(symbol):
    return CovalentRadius.radius.get(symbol, 1.7)


@st.composite
def any_crystal(draw, max_atoms=30, pbc=None):
    """Atoms near the points of a grid, so that none overlap, in a cell of any shape.

    The cell is scaled so that the closest pair is as close as drawn: 1 is the smallest distance
    that is allowed.
    """
    n_atoms = draw(st.integers(1, max_atoms))
    chosen = draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=min(n_atoms, 6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    disorder = draw(st.sampled_from([0.0, 0.05, 0.2]))
    closeness = draw(st.floats(1.01, 3.0))
    shape = draw(st.sampled_from(SHAPES))
    vacuum = draw(st.sampled_from([0.0, 0.0, 0.0, 15.0, 40.0]))
    periodic = draw(st.sampled_from(PBC)) if pbc is None else pbc

    # The grid is as long, in each direction, as the shape of the cell asks for.
    sides = {"flat": (1, 1, 0.2), "rod": (0.3, 0.3, 1)}.get(shape, (1, 1, 1))
    grid = np.ceil(np.array(sides) * (n_atoms / np.prod(sides)) ** (1 / 3)).astype(int)
    points = np.indices(grid).reshape(3, -1).T
    points = points[rng.permutation(len(points))[:n_atoms]]
    matrix = np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))
    frac_coords = (points + disorder * rng.uniform(-1, 1, points.shape)) / grid
    species = rng.choice(chosen, n_atoms).tolist()
    crystal = Structure(matrix * grid[:, None], species, frac_coords)
    crystal = scaled(crystal, closeness)
    matrix = crystal.lattice.matrix.copy()
    if vacuum:
        matrix[2] *= 1 + vacuum / np.linalg.norm(matrix[2])
    crystal = Structure(
        Lattice(matrix, pbc=periodic), species, crystal.cart_coords, coords_are_cartesian=True
    )
    if shape == "oblique" and all(periodic):
        oblique = with_basis(crystal, draw(unimodular()))
        crystal = oblique if thickness(oblique) > SMALLEST_HEIGHT else crystal
    return crystal


def thickness(crystal):
    """Smallest distance of opposite faces of the cell."""
    return (1 / np.linalg.norm(crystal.lattice.inv_matrix, axis=0)).min()


def scaled(crystal, closeness):
    """The same crystal with another volume: the closest pair is `closeness` times its limit."""
    limits = {}
    length = 4 * (crystal.volume / len(crystal)) ** (1 / 3)
    while True:
        first, second, _, distance = crystal.get_neighbor_list(length)
        radii = np.array([radius(site.specie.symbol) for site in crystal])
        limits = np.maximum((radii[first] + radii[second]) / 2, 0.5)
        ratio = (distance / limits).min(initial=np.inf)
        # No pair beyond the searched distances has a smaller ratio.
        if ratio * max(radii.max(), 0.5) <= length:
            break
        length *= 2
    matrix = crystal.lattice.matrix * closeness / ratio
    return Structure(matrix, crystal.species, crystal.frac_coords)


@st.composite
def unimodular(draw):
    """Integer matrices of determinant 1: other lattice vectors of the same lattice."""
    matrix = np.eye(3, dtype=int)
    for _ in range(draw(st.integers(1, 3))):
        row, other = draw(st.permutations([0, 1, 2]))[:2]
        matrix[row] += draw(st.integers(-2, 2)) * matrix[other]
    return matrix


def with_basis(crystal, matrix):
    """The same crystal, described by lattice vectors that are integer sums of the old ones."""
    return Structure(
        Lattice(matrix @ crystal.lattice.matrix, pbc=crystal.lattice.pbc),
        crystal.species,
        crystal.cart_coords,
        coords_are_cartesian=True,
        to_unit_cell=True,
    )


def rotated(crystal, rng):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    lattice = Lattice(crystal.lattice.matrix @ rotation, pbc=crystal.lattice.pbc)
    return Structure(lattice, crystal.species, crystal.frac_coords)


def translated(crystal, rng):
    shift = rng.uniform(-2, 2, 3)
    return Structure(crystal.lattice, crystal.species, crystal.frac_coords + shift)


def renumbered(crystal, rng):
    order = rng.permutation(len(crystal))
    species = [crystal.species[atom] for atom in order]
    return Structure(crystal.lattice, species, crystal.frac_coords[order])


def repeated(crystal, rng):
    """Two cells in a periodic direction."""
    repeats = np.ones(3, dtype=int)
    axes = np.flatnonzero(crystal.lattice.pbc)
    if len(axes):
        repeats[rng.choice(axes)] = 2
    return crystal * repeats


def rebased(crystal, rng):
    """Other lattice vectors, where all directions are periodic."""
    if not all(crystal.lattice.pbc):
        return crystal
    row, other = rng.permutation(3)[:2]
    matrix = np.eye(3, dtype=int)
    matrix[row, other] = rng.choice([-1, 1])
    oblique = with_basis(crystal, matrix)
    return oblique if thickness(oblique) > SMALLEST_HEIGHT else crystal


#: Descriptions of the same crystal.
SAME = {
    "rotation": rotated,
    "translation": translated,
    "permutation": renumbered,
    "supercell": repeated,
    "basis": rebased,
}
