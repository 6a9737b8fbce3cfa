"""Distances between atoms, and cells of extreme size, handled in little time and memory."""

import time
import tracemalloc

import numpy as np
import pytest
from ase.build import molecule
from crystals import bcc_fe, rocksalt_nacl
from pymatgen.core import Element, Lattice, Structure

from sklmat import (
    DisorderFeaturizer,
    InvalidStructureError,
    StructureFeaturizer,
    StructureToGraph,
    check_structures,
    perturb_structures,
)
from sklmat.structures import find_pairs, smallest_distances


def pair(first, second, distance, size=12.0):
    return Structure(Lattice.cubic(size), [first, second], [[0, 0, 0], [distance / size, 0, 0]])


@pytest.mark.parametrize(
    ("first", "second", "radii"), [("Si", "Si", 2.22), ("C", "N", 1.44), ("Cs", "F", 3.01)]
)
def test_the_limit_is_half_the_sum_of_the_covalent_radii(first, second, radii):
    check_structures([pair(first, second, 0.5 * radii + 0.01)])
    with pytest.raises(InvalidStructureError, match=f"closer than {0.5 * radii:.2f} Å"):
        check_structures([pair(first, second, 0.5 * radii - 0.01)])


def test_covalent_radii_are_those_of_pymatgen():
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    numbers = np.array([Element(symbol).Z for symbol in CovalentRadius.radius])
    radii = np.array(list(CovalentRadius.radius.values()))
    np.testing.assert_array_equal(smallest_distances(numbers, numbers), np.maximum(radii, 0.5))


def test_no_limit_is_below_half_an_angstrom():
    assert smallest_distances(np.array([1, 1, 2]), np.array([1, 8, 2])) == pytest.approx(0.5)
    # No radius of the heaviest elements is known.
    assert smallest_distances(np.array([100]), np.array([100])) == pytest.approx(1.7)


@pytest.mark.parametrize("name", ["H2", "N2", "CO", "O2", "F2", "HCN", "H2O", "CH4", "NH3", "C2H2"])
def test_bonds_of_small_molecules_pass(name):
    atoms = molecule(name, vacuum=6.0)
    assert len(check_structures([atoms])[0]) == len(atoms)


def test_shortest_bonds_of_published_crystals_pass():
    """Bond lengths (Å) of solid hydrogen, hydrides, ices, carbides and dense oxides."""
    for first, second, distance in [
        ("H", "H", 0.74),
        ("O", "H", 0.82),  # X-ray diffraction places hydrogen too near
        ("B", "H", 1.1),
        ("C", "C", 1.18),
        ("Be", "O", 1.5),
        ("Cs", "N", 2.0),  # a hypothetical perovskite
    ]:
        check_structures([pair(first, second, distance)])


@pytest.mark.parametrize("build", [check_structures, StructureToGraph().transform])
def test_every_reader_of_crystals_checks(build):
    with pytest.raises(InvalidStructureError, match=r"sites 0 and 1 are 0\.600 Å apart"):
        build([bcc_fe(), pair("Si", "Si", 0.6)])


def test_a_cutoff_below_the_limit_hides_nothing():
    with pytest.raises(InvalidStructureError, match=r"2\.000 Å apart, closer than 2\.44 Å"):
        StructureToGraph(cutoff=1.0).transform([pair("Cs", "Cs", 2.0)])


def test_the_closest_pair_is_relative_to_the_radii():
    structure = Structure(
        Lattice.cubic(20),
        ["H", "H", "Cs", "Cs"],
        [[0, 0, 0], [0.04, 0, 0], [0.5] * 3, [0.6, 0.5, 0.5]],
    )
    with pytest.raises(InvalidStructureError, match=r"sites 2 and 3 are 2\.000 Å"):
        check_structures([structure])


# -- atoms far outside the cell


def shifted(structure, shift):
    moved = structure.copy()
    moved[1].frac_coords = moved[1].frac_coords + np.array(shift)
    return moved


def test_atoms_in_distant_cells_give_the_same_graph_and_table():
    plain, far = rocksalt_nacl(), shifted(rocksalt_nacl(), [100, -3, 100_000])
    one, other = (StructureToGraph().transform([structure]) for structure in (plain, far))
    np.testing.assert_array_equal(one.edge_target, other.edge_target)
    np.testing.assert_allclose(one.edge_distance, other.edge_distance, atol=1e-6)
    table = StructureFeaturizer().fit([plain])
    np.testing.assert_allclose(table.transform([far]), table.transform([plain]), atol=1e-6)
    assert check_structures([far])[0] is far


def test_pairs_do_not_depend_on_the_cell_of_an_atom():
    structure = rocksalt_nacl()
    arguments = structure.lattice.matrix, np.ones(3, bool), 4.0
    target, source, image, distance = find_pairs(structure.cart_coords, *arguments)
    positions = structure.cart_coords + np.arange(len(structure))[:, None] * 3 * arguments[0][1]
    target, source, image, distance = find_pairs(positions, *arguments)
    vectors = positions[source] + image @ arguments[0] - positions[target]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), distance, atol=1e-9)
    assert len(distance) == len(find_pairs(structure.cart_coords, *arguments)[0])


def box(edge):
    return Structure(Lattice.cubic(edge), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def gas(positions, edge=10.0, pbc=(False, False, False)):
    lattice = Lattice(np.eye(3) * edge, pbc=pbc)
    return Structure(lattice, ["Fe"] * len(positions), positions, coords_are_cartesian=True)


def oblique(angle):
    lattice = Lattice([[3, 0, 0], [3 * np.cos(angle), 3 * np.sin(angle), 0], [0, 0, 1000.0]])
    return Structure(lattice, ["Fe"], [[0, 0, 0]])


EXTREME = {
    "coordinate 1e10": (lambda: shifted(bcc_fe(), [1e10, 0, 0]), "fractional coordinate 1e\\+10"),
    "coordinate 1e300": (
        lambda: shifted(bcc_fe(), [0, 1e300, 0]),
        "fractional coordinate 1e\\+300",
    ),
    "box in pm": (lambda: box(287.0), "lengths must be in Å"),
    "box of 2870 Å": (lambda: box(2870.0), "lengths must be in Å"),
    "box of 1e200 Å": (lambda: box(1e200), "lengths must be in Å"),
    "box in nm": (lambda: box(0.287), "periodic image|too little"),
    "box of 0.01 Å": (lambda: box(0.01), "periodic image"),
    "thin cell": (
        lambda: Structure(Lattice.orthorhombic(0.001, 9, 9), ["H"], [[0, 0, 0]]),
        "periodic image are 0.001 Å apart",
    ),
    "oblique cell": (lambda: oblique(1e-3), "less oblique cell"),
    "gas of 1e6 Å": (lambda: gas([[0, 0, 0], [1e6, 1e6, 0]]), "the atoms span"),
}


@pytest.mark.parametrize("name", EXTREME)
@pytest.mark.parametrize(
    "use",
    [
        check_structures,
        StructureToGraph().transform,
        StructureFeaturizer().fit,
        DisorderFeaturizer().fit,
        perturb_structures,
    ],
    ids=["check", "graphs", "features", "disorder", "perturb"],
)
def test_extreme_cells_are_refused_at_once(name, use):
    make, reason = EXTREME[name]
    structure = make()
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(InvalidStructureError, match=reason) as caught:
            use([bcc_fe(), structure])
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert caught.value.index == 1
    assert time.perf_counter() - start < 5
    assert peak < 100e6


@pytest.mark.parametrize(
    "make",
    [
        lambda: box(120.0),
        lambda: Structure(Lattice.cubic(60), ["Ne"], [[0, 0, 0]]),
        lambda: gas([[0, 0, 0], [300, 0, 0], [0, 300, 3]]),
        lambda: shifted(bcc_fe(), [1000, 0, 0]),
        lambda: Structure(Lattice.orthorhombic(3, 3, 900), ["Cu"], [[0, 0, 0]]),
    ],
    ids=["sparse", "atom", "cluster", "far", "slab"],
)
def test_sparse_and_distant_atoms_are_handled_at_once(make):
    tracemalloc.start()
    start = time.perf_counter()
    structure = make()
    graphs = StructureToGraph().transform(check_structures([structure]))
    assert len(graphs.atomic_numbers) == len(structure)
    assert time.perf_counter() - start < 5
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6


def test_displacements_that_make_another_crystal_are_refused():
    for settings in ({"scale": 10.0}, {"distribution": "uniform", "budget": 10.0}):
        with pytest.raises(ValueError, match="below"):
            perturb_structures([bcc_fe()], **settings)
