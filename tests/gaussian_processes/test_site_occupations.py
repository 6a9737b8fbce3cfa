"""Crystals are put onto the sites of their parent, however their cells are described."""

import pickle

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sklmat.exceptions import InvalidStructureError
from sklmat.gaussian_processes._parent_crystal import ParentCrystal, Tolerance
from sklmat.gaussian_processes._site_occupations import SiteOccupations
from sklmat.gaussian_processes._site_permutations import is_group, site_permutations
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
    assert [e.tolist() for e in found.elements] == [[32, 50], [35, 53], [35, 53], [55]]
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
    assert [e.tolist() for e in found.elements] == [[8], [12, 28]]
    assert (numbers[:, found.orbits == 0] == 8).all()
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


def test_operations_of_a_parent():
    """The 48 of the cube for the perovskite; 16 of 48 stretch nothing in the tetragonal cell."""
    [cubic, tetragonal] = (ParentCrystal(c) for c in crystal_arrays([CUBIC, FCT]))
    assert cubic.operations.stretch == pytest.approx(np.zeros(48), abs=1e-9)
    assert cubic.operations.distance == pytest.approx(np.zeros(48), abs=1e-9)
    stretch = tetragonal.operations.stretch.round(6)
    # Each of them with the four translations that map sites onto sites.
    assert (stretch == 0).sum() == 16 * 4
    assert (stretch == round(4.0 / 3.8 - 1, 6)).sum() == 32 * 4
    assert len(tetragonal.permutations(np.zeros(4, dtype=int), Tolerance(0.1, 0.06))) == 24
    assert len(tetragonal.permutations(np.zeros(4, dtype=int), Tolerance(0.1, 0.05))) == 8
    assert len(tetragonal.permutations(np.array([0, 1, 1, 1]), Tolerance(0.1, 0.06))) == 6


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


def test_the_row_that_differs_is_named_wherever_it_is():
    cells = orderings(5)
    vacancy, stretched = cells[1].copy(), cells[2].copy()
    vacancy.remove_sites([7])
    stretched.lattice = Lattice.orthorhombic(12, 6, 8)
    for other, reason in ((vacancy, "has 9 atoms"), (stretched, "has another lattice")):
        for place in (0, 2, 5):
            for parent in (None, CUBIC):
                with pytest.raises(InvalidStructureError, match=reason) as error:
                    occupations_of([*cells[:place], other, *cells[place:]], parent=parent)
                assert error.value.index == place


def test_crystals_that_are_near_the_mean_and_not_near_each_other():
    """Atoms are displaced by 0.8 Å of at most 1 Å to opposite sides."""
    parent = CUBIC * (2, 1, 1)
    cells = []
    for number in range(10):
        cell = parent.copy()
        cell.translate_sites([9 - number // 2], [0, 0.8 * (-1) ** number, 0], frac_coords=False)
        cells.append(cell)
    found, numbers = occupations_of(cells, symprec=None)
    assert len(set(canonical(numbers, found.permutations))) == 1
    assert len(found.permutations) == 8


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
    parent = ParentCrystal(crystal_arrays([CUBIC])[0])
    assert parent.smallest_distance == pytest.approx(3.0)
    assert parent.max_displacement == pytest.approx(1.0)


def rock_salt(cations, anions):
    sites = np.array(SITES)
    shifted = sites + 0.5
    return Structure(Lattice.cubic(5.0), [*cations, *anions], [*sites, *shifted])


def patterns(found, numbers):
    """What is known after fit, whatever the numbers of sites and orbits."""
    pairs = np.unique(
        [[orbit, number] for row in numbers for orbit, number in zip(found.orbits, row)], axis=0
    )
    return (
        len(found.permutations),
        sorted(tuple(elements.tolist()) for elements in found.elements),
        len(pairs),
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # No row shares an element with another: metals are less electronegative.
        (["Na Cl", "K Br", "Mg O"], [(8, 17, 35), (11, 12, 19)]),
        # K follows from Cl, then Br from K, F from nothing but the electronegativity.
        (["Na Cl", "K Br", "K Cl", "Li F"], [(3, 11, 19), (9, 17, 35)]),
        # H is the anion of metals.
        (["Na H", "Na F", "Li H", "K Br"], [(1, 9, 35), (3, 11, 19)]),
    ],
)
def test_sublattices_without_common_elements(rows, expected, described_otherwise):
    rng = np.random.default_rng(0)
    for _ in range(6):
        cells = []
        for row in rng.permutation(rows):
            cation, anion = row.split()
            cell = rock_salt([cation] * 4, [anion] * 4)
            cells.append(described_otherwise(cell, rng))
        found, numbers = occupations_of(cells, symprec=None)
        assert [tuple(e.tolist()) for e in sorted(found.elements, key=min)] == sorted(expected)
        assert len(found.permutations) == 24
        assert found.permutations.shape[1] == numbers.shape[1] == 8


def test_result_does_not_depend_on_the_order_of_rows(described_otherwise):
    """Partly mixed sublattices; equivalent crystals stay equivalent, others stay different."""
    rng = np.random.default_rng(1)
    cells = []
    of_rows = (["Na", "K"], ["Cl"]), (["Rb", "Cs"], ["Br", "I"]), (["Li"], ["F", "I"])
    for metals, others in of_rows:
        cells += [rock_salt(rng.choice(metals, 4), rng.choice(others, 4)) for _ in range(5)]
    found, numbers = occupations_of(cells, symprec=None)
    expected = np.unique(canonical(numbers, found.permutations), return_inverse=True)[1]
    for _ in range(4):
        order = rng.permutation(len(cells))
        rows = [described_otherwise(cells[i], rng) for i in order]
        other, numbers = occupations_of(rows, symprec=None)
        assert patterns(other, numbers)[:2] == (24, [(3, 11, 19, 37, 55), (9, 17, 35, 53)])
        labels = np.unique(canonical(numbers, other.permutations), return_inverse=True)[1]
        same = labels[:, None] == labels
        assert (same == (expected[order, None] == expected[order])).all()


@pytest.mark.parametrize("which", [0, 5, 9])
def test_one_atom_that_is_displaced_much(which):
    """Its displacement is 0.95 Å of 1 Å; whether it is the first atom makes no difference."""
    cells = orderings(8)
    for number, cell in enumerate(cells):
        cell.translate_sites([which], [0.95, 0, 0], frac_coords=False)
        cell.perturb(0.02, seed=number)
    parent = CUBIC * (2, 1, 1)
    for first in (0, 5, 9):
        order = [first, *(i for i in range(10) if i != first)]
        rows = [Structure.from_sites([cell[i] for i in order]) for cell in cells]
        found, numbers = occupations_of(rows, parent=parent)
        assert len(found.permutations) == 8
        _, expected = occupations_of(orderings(8), parent=parent)
        assert canonical(numbers, found.permutations) == canonical(expected, found.permutations)


def random_alloys(parent, n, strain=0.0, displacement=0.0, seed=0):
    """Copper and gold at random; strains (standard deviation) and displacements (Å) at random."""
    rng = np.random.default_rng(seed)
    cells = []
    for number in range(n):
        cell = parent.copy()
        for site in np.flatnonzero(rng.random(len(cell)) < 0.5):
            cell[int(site)] = "Au"
        matrix = strain * rng.normal(size=(3, 3))
        cell.lattice = cell.lattice.matrix @ (np.eye(3) + (matrix + matrix.T) / 2)
        cells.append(cell.perturb(displacement, seed=number) if displacement else cell)
    return cells


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 2, 2)])
def test_weakly_tetragonal_parents(scale):
    """Orderings along the short and along the long axis differ, unless crystals vary as much."""
    operations = {4: (8, 24), 32: (512, 1536)}
    for ratio, strain, displacement, cubic in (
        (1.05, 0.0, 0.0, False),
        (1.05, 0.005, 0.1, False),
        (1.02, 0.0, 0.0, False),
        (1.0, 0.0, 0.0, True),
        (1.0, 0.01, 0.1, True),
    ):
        parent = Structure(Lattice.tetragonal(3.8, 3.8 * ratio), ["Cu"] * 4, SITES) * scale
        found, _ = occupations_of(random_alloys(parent, 20, strain, displacement), symprec=None)
        assert len(found.permutations) == operations[len(parent)][cubic]


def test_a_site_that_is_displaced_in_all_crystals():
    """By 0.3 Å, much more than the crystals differ; by 0.05 Å it is taken for a small error."""
    parent = Structure(Lattice.cubic(4.0), ["Cu"] * 4, SITES) * (2, 1, 1)
    for distance, n_operations in ((0.3, 2), (0.05, 32)):
        cell = parent.copy()
        cell.translate_sites([0], [distance, 0, 0], frac_coords=False)
        found, _ = occupations_of(random_alloys(cell, 20, displacement=0.02), symprec=None)
        # The diagonal mirror plane through the displaced atom; others move no site.
        assert len(found.permutations) == n_operations


def test_symmetry_of_the_mean_of_relaxed_crystals():
    """Crystals that are elongated along their layers, as AuCu is: the mean is cubic."""
    parent = Structure(Lattice.cubic(3.9), ["Cu"] * 4, SITES)
    cells = []
    for axis in (0, 1, 2, 2, 0):
        cell = parent.copy()
        for site in range(4):
            if cell[site].frac_coords[axis] > 0.25:
                cell[site] = "Au"
        cell.lattice = np.diag(np.where(np.arange(3) == axis, 3.6, 4.0))
        cells.append(cell)
    for element in ("Cu", "Au", "Cu", "Au", "Cu"):
        cells.append(Structure(Lattice.cubic(3.9), [element] * 4, SITES))
    found, _ = occupations_of(cells, symprec=None)
    assert len(found.permutations) == 24


def test_volume_is_the_mean():
    cells = []
    for a in (5.8, 6.0, 6.2):
        cells.append(CUBIC.copy())
        cells[-1].lattice = Lattice.cubic(a)
    found, _ = occupations_of(cells, symprec=None)
    volume = abs(np.linalg.det(found.parent.crystal.lattice))
    assert volume == pytest.approx((5.8**3 + 6.0**3 + 6.2**3) / 3)


def test_large_supercells():
    """108 sites with 27 * 4 * 48 operations; each crystal is displaced."""
    parent = Structure(Lattice.cubic(3.8), ["Cu"] * 4, SITES) * (3, 3, 3)
    found, _ = occupations_of(random_alloys(parent, 4, displacement=0.1), symprec=None)
    assert found.permutations.shape == (5184, 108)
    assert is_group(found.permutations)
    assert len(np.unique(found.permutations, axis=0)) == 5184


def test_pickles_are_small():
    [crystal] = crystal_arrays([CUBIC * (2, 2, 2)])
    parent = ParentCrystal(crystal)
    before = pickle.dumps(parent)
    assert len(parent.operations.stretch) == 384
    assert pickle.dumps(parent) == before
    assert (pickle.loads(before).operations.site == parent.operations.site).all()


def test_same_symmetry_as_spglib():
    for cell in (CUBIC, CUBIC * (2, 1, 1), FCT, displaced(), nearly_square()):
        [crystal] = crystal_arrays([cell])
        expected = site_permutations(crystal, crystal.atomic_numbers, 0.01)
        parent = ParentCrystal(crystal)
        found = parent.permutations(crystal.atomic_numbers, Tolerance(0.01, 0.001))
        np.testing.assert_array_equal(found, expected)
