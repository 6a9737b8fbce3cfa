"""Crystals are put onto the sites of their parent, however their cells are described."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sklmat.exceptions import InvalidStructureError
from sklmat.gaussian_processes._parent_crystal import ParentCrystal
from sklmat.gaussian_processes._site_occupations import SiteOccupations
from sklmat.structures import crystal_arrays

FACES = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
CUBIC = Structure(
    Lattice.cubic(6.0), ["Cs", "Sn", "Br", "Br", "Br"], [[0, 0, 0], [0.5] * 3, *FACES]
)


def occupations_of(structures, parent=None, symprec=0.1):
    parent = None if parent is None else crystal_arrays([parent])[0]
    return SiteOccupations.fit(
        crystal_arrays(structures), lambda row: structures[row].formula, parent, symprec
    )


def canonical(numbers, permutations):
    return [min(row[g].tobytes() for g in permutations) for row in numbers]


def orderings(n, seed=0):
    """Supercells 2 x 1 x 1 with Br or I, and Sn or Ge."""
    rng = np.random.default_rng(seed)
    cells = []
    for _ in range(n):
        cell = CUBIC * (2, 1, 1)
        for site, element in enumerate(cell.species):
            if element.symbol == "Br" and rng.random() < 0.5:
                cell[site] = "I"
            if element.symbol == "Sn" and rng.random() < 0.5:
                cell[site] = "Ge"
        cells.append(cell)
    return cells


def test_any_description_is_put_onto_equivalent_sites(described_otherwise):
    cells = orderings(20)
    found, numbers = occupations_of(cells)
    # A mirror plane, a diagonal one and a translation; other operations move no site.
    assert found.permutations.shape == (8, 10)
    assert [e.tolist() for e in found.elements] == [[55], [32, 50], [35, 53], [35, 53]]
    rng = np.random.default_rng(3)
    others = [described_otherwise(cell, rng) for cell in cells for _ in range(2)]
    read = found.read(crystal_arrays(others), lambda row: others[row].formula)
    assert canonical(read, found.permutations) == canonical(
        np.repeat(numbers, 2, axis=0), found.permutations
    )
    # They are a parent themselves, too.
    again, numbers_again = occupations_of(others)
    assert again.permutations.shape == (8, 10)
    assert len(set(canonical(numbers_again, again.permutations))) == len(
        set(canonical(numbers, found.permutations))
    )


def test_smaller_cell_as_parent():
    cells = orderings(10)
    rng = np.random.default_rng(0)
    for cell in cells:
        cell.perturb(0.3, seed=int(rng.integers(1000)))
    found, numbers = occupations_of(cells, parent=CUBIC, symprec=0.01)
    assert found.permutations.shape == (8, 10)
    ideal, expected = occupations_of(orderings(10))
    assert canonical(numbers, found.permutations) != []
    assert sorted(map(sorted, numbers.tolist())) == sorted(map(sorted, expected.tolist()))
    # In the parent's lattice, sites are ideal.
    np.testing.assert_allclose(found.parent.sites * [4, 4, 4] % 1, 0, atol=1e-9)
    assert len(set(canonical(expected, ideal.permutations))) == len(
        set(canonical(numbers, found.permutations))
    )


def test_sublattices_are_told_apart_by_their_elements():
    """The sites of rock salt are alike; which half is oxygen tells which half is metal."""
    cells = []
    for metal, shift in (("Mg", 0.0), ("Ni", 0.0), ("Mg", 0.5), ("Ni", 0.5)):
        fcc = np.array([[0, 0, 0], *FACES])
        cell = Structure(Lattice.cubic(4.2), [metal] * 4 + ["O"] * 4, [*fcc, *(fcc + 0.5)])
        cell.translate_sites(range(8), [shift] * 3)
        cells.append(cell)
    found, numbers = occupations_of(cells)
    assert [e.tolist() for e in found.elements] == [[12, 28], [8]]
    assert (numbers[:, found.orbits == 1] == 8).all()
    assert len(found.permutations) == 24


def test_mean_of_displaced_crystals():
    """Displacements average out: the parent is nearer to the ideal sites than each crystal."""
    cells = orderings(40)
    for number, cell in enumerate(cells):
        cell.perturb(0.25, seed=number)
    found, _ = occupations_of(cells, symprec=0.3)
    assert found.permutations.shape == (8, 10)
    one, _ = occupations_of(cells[:1], symprec=0.01)
    assert len(one.permutations) == 1


def test_rows_of_fit_belong_to_the_mean():
    """The last row is near row 0, but not near the mean."""
    cells = []
    for stretch in (1.0, 0.88, 0.88, 0.88, 1.13):
        cell = CUBIC * (2, 1, 1)
        cell.lattice = Lattice.orthorhombic(12.0 * stretch, 6.0, 6.0)
        cells.append(cell)
    assert len(occupations_of([cells[0], cells[4]])[1]) == 2
    assert error_of(cells).index == 4
    found, numbers = occupations_of(cells[:4])
    assert (found.read(crystal_arrays(cells[:4]), lambda row: "formula") == numbers).all()


SITES = [[0, 0, 0], *FACES]
FCT = Structure(Lattice.tetragonal(3.8, 4.0), ["Cu"] * 4, SITES)


def displaced():
    cell = Structure(Lattice.cubic(4.0), ["Cu"] * 4, SITES) * (2, 1, 1)
    cell.translate_sites([0], [0.15, 0, 0], frac_coords=False)
    return cell


def nearly_square():
    """Space group Cmcm, and nearly the same along the first two vectors."""
    titanium = [[0, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0], [0.5, 0, 0.5]]
    calcium = [[0.04, 0, 0.25], [0.46, 0.5, 0.75], [0.96, 0, 0.75], [0.54, 0.5, 0.25]]
    return Structure(
        Lattice.orthorhombic(5.5, 5.6, 7.8), ["Ca"] * 4 + ["Ti"] * 4, calcium + titanium
    )


@pytest.mark.parametrize("parent", [FCT, displaced(), nearly_square()], ids=["fct", "site", "Cmcm"])
def test_symmetry_that_a_parent_nearly_has(parent, described_otherwise):
    """Vectors of nearly the same length, or sites that are a little off, are told apart."""
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(30):
        cell = parent.copy()
        for site in np.flatnonzero(rng.random(len(cell)) < 0.5):
            cell[int(site)] = "Au"
        cells.append(cell)
    found, numbers = occupations_of(cells, parent, symprec=0.01)
    expected = canonical(numbers, found.permutations)
    for order in ([0, 1, 2], [1, 2, 0], [1, 0, 2]):
        others = [described_otherwise(cell, rng) for cell in cells]
        for other in others:
            other.make_supercell(np.eye(3, dtype=int)[order])
        read = found.read(crystal_arrays(others), lambda row: "formula")
        assert canonical(read, found.permutations) == expected


def test_parents_with_nothing_but_their_symmetry():
    for parent, expected in ((CUBIC, True), (FCT, False), (displaced(), False)):
        [crystal] = crystal_arrays([parent])
        assert ParentCrystal(crystal, 0.01).has_only_symmetry is expected
        assert ParentCrystal(crystal, 0.4).has_only_symmetry


def test_supercell_with_the_most_similar_lattice():
    cells = [FCT * (2, 1, 1) for _ in range(8)]
    for site, cell in enumerate(cells):
        cell[site] = "Au"
    found, _ = occupations_of(cells, parent=FCT, symprec=0.01)
    assert sorted(np.linalg.norm(found.parent.lattice, axis=1).round(6)) == [3.8, 4.0, 7.6]
    assert len(found.permutations) == 16


def test_large_supercell_of_a_primitive_cell():
    primitive = Structure(Lattice([[0, 2, 2], [2, 0, 2], [2, 2, 0]]), ["Cu"], [[0, 0, 0]])
    cubic = Structure(Lattice.cubic(4.0), ["Cu"] * 4, SITES) * (2, 2, 2)
    cubic[17] = "Au"
    found, numbers = occupations_of([cubic], parent=primitive, symprec=0.01)
    assert (numbers == 79).sum() == 1
    assert len(set(found.orbits)) == 1
    # Eight cells of four lattice points, times the 48 operations of the cube.
    assert len(found.permutations) == 32 * 48


def test_wires_are_refused():
    wire = Structure(
        Lattice(np.diag([20.0, 20.0, 2.5]), pbc=(False, False, True)), ["Cu"], [[0.5, 0.5, 0]]
    )
    with pytest.raises(ValueError, match="periodic in two or three directions"):
        occupations_of([wire, wire])


def error_of(cells):
    with pytest.raises(InvalidStructureError) as error:
        occupations_of(cells)
    return error.value


def test_other_crystals_are_named():
    cells = orderings(3)
    tetragonal = cells[1].copy()
    tetragonal.lattice = Lattice.tetragonal(12, 6.0).matrix @ np.diag([1, 1, 1.4])
    found = error_of([cells[0], cells[2], tetragonal])
    assert found.index == 2
    assert "another lattice than the parent" in str(found)
    found = error_of([cells[0], CUBIC])
    assert "has 5 atoms, and the parent has 10 sites" in str(found)
    moved = cells[1].copy()
    moved.translate_sites([3], [0.1, 0.1, 0.2], frac_coords=True)
    found = error_of([cells[0], moved])
    assert "atoms that are on no site of the parent" in str(found)
    slab = cells[1].copy()
    slab.lattice = Lattice(cells[1].lattice.matrix, pbc=(True, True, False))
    assert "not periodic in as many directions" in str(error_of([cells[0], slab]))


def test_new_elements_are_named():
    cells = orderings(6)
    found, _ = occupations_of(cells)
    new = cells[0].copy()
    new[int(np.flatnonzero([s.symbol in ("Sn", "Ge") for s in new.species])[0])] = "Pb"
    with pytest.raises(InvalidStructureError, match=r"has Pb on a site .* only Ge, Sn") as error:
        found.read(crystal_arrays([cells[1], new]), lambda row: "formula")
    assert error.value.index == 1


def test_slabs():
    across = Structure(
        Lattice([[20, 0, 0], [0, 2.8, 0], [0, 0, 2.8]], pbc=(False, True, True)),
        ["Cu", "Cu"],
        [[0.4, 0, 0], [0.5, 0.5, 0.5]],
    ) * (1, 2, 1)
    cells = []
    for golds in ([0], [0, 1], [0, 2], [1, 3], [2], [3]):
        cell = across.copy()
        for site in golds:
            cell[site] = "Au"
        cells.append(cell)
    found, numbers = occupations_of(cells)
    # The two layers are equivalent.
    assert len(set(found.orbits)) == 1
    assert found.parent.crystal.pbc.sum() == 2
    first, both, other, far, *single = canonical(numbers, found.permutations)
    assert set(single) == {first}
    assert len({first, both, other}) == 3
    assert far in (both, other)


def test_smallest_distance():
    parent = ParentCrystal(crystal_arrays([CUBIC])[0], 0.01)
    assert parent.max_displacement == pytest.approx(1.0)
