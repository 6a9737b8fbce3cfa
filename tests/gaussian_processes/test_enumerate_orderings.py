"""Numbers of orderings known from counting by hand, Burnside's lemma and other code."""

import sys
from itertools import permutations, product
from types import SimpleNamespace

import numpy as np
import pytest
from crystals import FCC, b2_cscl, fcc_cu, perovskite, sc_po
from pymatgen.core import Element, Lattice, Structure

from sklmat import check_structures, enumerate_orderings
from sklmat.datasets import fetch_halide_perovskites
from sklmat.datasets._mixed_halide_arrangements import Supercell, arrangements
from sklmat.gaussian_processes._site_permutations import is_group, site_permutations
from sklmat.structures import crystal_arrays

SIX = ["Ge", "Sn", "Pb", "Zn", "Cd", "Hg"]


def formulas(orderings):
    return [structure.composition.reduced_formula for structure in orderings]


def permutations_of(structure, symprec=0.01):
    [crystal] = crystal_arrays([structure])
    return site_permutations(crystal, crystal.atomic_numbers, symprec)


def cubic_permutations(n):
    """Permutations of the sites of an n x n x n cell, by 48 rotations and n**3 translations."""
    sites = np.array(list(product(range(n), repeat=3)))
    rotations = [
        np.eye(3, dtype=int)[list(order)] * signs
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
    found = {
        tuple((((sites @ rotation) + shift) % n @ [n * n, n, 1]).tolist())
        for rotation in rotations
        for shift in sites
    }
    return np.array(sorted(found))


def burnside(permutations, n_species):
    """Mean number of assignments that a permutation keeps: n_species to the number of cycles."""
    total = 0
    for permutation in permutations.tolist():
        unseen, n_cycles = set(range(len(permutation))), 0
        while unseen:
            n_cycles += 1
            site = unseen.pop()
            while permutation[site] in unseen:
                site = permutation[site]
                unseen.remove(site)
        total += n_species**n_cycles
    assert total % len(permutations) == 0
    return total // len(permutations)


def brute_force(permutations, n_species):
    """Number of orbits, by hand: the smallest image of each assignment."""
    assignments = product(range(n_species), repeat=permutations.shape[1])
    inverse = permutations.argsort(axis=1)
    return len({tuple(min(np.array(a)[inverse].tolist())) for a in assignments})


# -- counts known from elsewhere


def test_two_species_on_the_cubic_fcc_cell():
    orderings = enumerate_orderings(fcc_cu(), {"Cu": ["Cu", "Au"]})
    assert formulas(orderings) == ["Cu", "Cu3Au", "CuAu", "CuAu3", "Au"]
    assert orderings.multiplicities.tolist() == [1, 4, 6, 4, 1]
    assert orderings.elements == ("Cu", "Au")
    assert orderings.occupations.tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [1, 1, 1, 1],
    ]
    # All permutations of the four sites are symmetry operations of the cubic cell.
    assert len(permutations_of(fcc_cu())) == 24


def test_colourings_of_the_cube():
    """22 ways to colour the corners of a cube by two colours, reflections included."""
    cell = sc_po() * (2, 2, 2)
    expected = cubic_permutations(2)
    assert len(expected) == 48  # translations of this cell are also rotations of its eight sites
    assert len(permutations_of(cell)) == 48
    orderings = enumerate_orderings(cell, {"Po": ["Fe", "Al"]})
    assert len(orderings) == burnside(expected, 2) == brute_force(expected, 2) == 22
    assert orderings.multiplicities.sum() == 2**8
    three = enumerate_orderings(cell, {"Po": ["Fe", "Al", "Ni"]})
    assert len(three) == burnside(expected, 3)
    assert three.multiplicities.sum() == 3**8


def test_translations_of_a_supercell():
    """Necklaces: a 4x1x1 cell has the symmetry of a ring of four, 3x3x3 has 48 * 27 operations."""
    ring = enumerate_orderings(sc_po() * (4, 1, 1), {"Po": ["Fe", "Al"]})
    assert formulas(ring) == ["Fe", "AlFe3", "AlFe", "AlFe", "Al3Fe", "Al"]
    assert ring.multiplicities.tolist() == [1, 4, 4, 2, 4, 1]
    assert ring.occupations[2:4].tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    large = sc_po() * (3, 3, 3)
    assert len(permutations_of(large)) == len(cubic_permutations(3)) == 48 * 27
    # A pair of sites is told apart by how many of its three coordinates differ.
    pairs = enumerate_orderings(large, {"Po": {"Al": 2, "Fe": 25}})
    assert sorted(pairs.multiplicities.tolist()) == [27 * 6 / 2, 27 * 8 / 2, 27 * 12 / 2]


@pytest.mark.parametrize("n_species", [2, 3, 6])
@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 1, 1)])
def test_burnside_on_a_perovskite(n_species, scale):
    cell = perovskite() * scale
    elements = ["F", "Cl", "Br", "I", "S", "Se"][:n_species]
    oxygen = [i for i, site in enumerate(cell) if site.specie.symbol == "O"]
    own = permutations_of(cell)[:, oxygen]
    own = np.unique(np.searchsorted(oxygen, own), axis=0)
    orderings = enumerate_orderings(cell, {"O": elements})
    assert len(orderings) == burnside(own, n_species)
    assert orderings.multiplicities.sum() == n_species ** len(oxygen)


@pytest.mark.parametrize("matrix", [(2, 1, 1), (2, 2, 1), ((1, 1, 0), (1, -1, 0), (0, 0, 2))])
def test_mixed_halides_from_other_code(matrix):
    """`make_mixed_halide_perovskites` finds equivalence with integers, without spglib."""
    cell = Supercell(matrix)
    species = ["Cs"] * cell.n_cells + ["Sn"] * cell.n_cells + ["Br"] * cell.n_sites
    parent = Structure(Lattice(6.0 * cell.matrix), species, cell.sites)
    for n_iodine in range(cell.n_sites + 1):
        _, expected = arrangements(cell, n_iodine)
        counts = {"I": n_iodine, "Br": cell.n_sites - n_iodine}
        found = enumerate_orderings(parent, {"Br": counts})
        assert sorted(found.multiplicities) == sorted(expected)


def tilted_perovskite():
    """Cell of 20 atoms: the four Sn are at inversion centres."""
    return Structure.from_spacegroup(
        "Pnma",
        Lattice.orthorhombic(8.5, 11.6, 8.0),
        ["Cs", "Sn", "Br", "Br"],
        [[0.1, 0.25, 0.45], [0, 0, 0], [0.97, 0.25, 0.125], [0.19, 0.06, 0.32]],
    )


def test_six_elements_on_four_sites_of_pnma():
    cell = tilted_perovskite()
    assert len(cell) == 20
    orderings = enumerate_orderings(cell, {"Sn": SIX})
    # Four permutations; each but the identity exchanges two pairs of sites.
    assert len(orderings) == (6**4 + 3 * 6**2) / 4 == 351
    assert orderings.multiplicities.sum() == 1296


def test_halide_perovskites_are_the_orderings_of_their_parent(data_home):
    """Each of the 3,159 crystals is one ordering, and each ordering one crystal."""
    X = fetch_halide_perovskites(target="decomposition_energy", data_home=data_home).data
    symbols = np.array([[site.specie.symbol for site in crystal] for crystal in X])
    # The parent has the symmetry Pnma within 0.14 Å.
    orderings = enumerate_orderings(X[0], {(4, 5, 6, 7): SIX}, symprec=0.2)
    assert len(orderings) == 351
    own = [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]

    def representatives(rows):
        return {min(tuple(row[g].tolist()) for g in own) for row in rows}

    expected = representatives(np.array(orderings.elements)[orderings.occupations])
    assert len(expected) == 351
    for a, x in product(["K", "Rb", "Cs"], ["Cl", "Br", "I"]):
        rows = symbols[(symbols[:, 0] == a) & (symbols[:, 8] == x), 4:8]
        assert len(rows) == 351
        assert representatives(rows) == expected


# -- choices


def test_fixed_counts():
    orderings = enumerate_orderings(perovskite(), {"O": {"Br": 2, "I": 1}})
    assert formulas(orderings) == ["SrTiIBr2"]
    assert orderings.multiplicities.tolist() == [3]
    assert orderings.sites.tolist() == [2, 3, 4]
    zero = enumerate_orderings(perovskite(), {"O": {"Br": 0, "I": 3}})
    assert formulas(zero) == ["SrTiI3"]
    # 8! / (3! 3! 2!) assignments of three elements to the eight sites.
    three = enumerate_orderings(sc_po() * (2, 2, 2), {"Po": {"Fe": 3, "Al": 3, "Ni": 2}})
    assert three.multiplicities.sum() == 560
    free = enumerate_orderings(sc_po() * (2, 2, 2), {"Po": ["Fe", "Al", "Ni"]})
    same = (np.sort(free.occupations, axis=1) == [0, 0, 0, 1, 1, 1, 2, 2]).all(axis=1)
    assert three.occupations.tolist() == free.occupations[same].tolist()
    assert three.multiplicities.tolist() == free.multiplicities[same].tolist()


def test_several_kinds_of_sites():
    species = {"Ti": ["Ti", "Zr"], "O": ["O", "S"], "Sr": {"Ba": 1}}
    orderings = enumerate_orderings(perovskite(), species)
    assert len(orderings) == 2 * 4
    assert orderings.multiplicities.tolist() == [1, 3, 3, 1] * 2
    assert orderings.sites.tolist() == [1, 2, 3, 4, 0]
    assert orderings[1].species == [*map(Element, ["Ba", "Ti", "O", "O", "S"])]


def test_sites_by_number():
    orderings = enumerate_orderings(fcc_cu(), {(3, 1): ["Ag", "Au"]})
    assert formulas(orderings) == ["CuAg", "Cu2AgAu", "CuAu"]
    assert orderings.multiplicities.tolist() == [1, 2, 1]
    assert orderings.sites.tolist() == [1, 3]
    assert [site.specie.symbol for site in orderings[1]] == ["Cu", "Ag", "Cu", "Au"]
    one = enumerate_orderings(fcc_cu(), {2: ["Ag", "Au"]})
    assert one.multiplicities.tolist() == [1, 1]


def test_sites_with_the_same_list_are_alike():
    """B2 and its twin with exchanged elements are one crystal, unless the sites differ."""
    same = enumerate_orderings(b2_cscl(), {"Cs": ["Fe", "Al"], "Cl": ["Al", "Fe"]})
    assert formulas(same) == ["AlFe", "Fe", "Al"]
    assert same.multiplicities.tolist() == [2, 1, 1]
    other = enumerate_orderings(b2_cscl(), {"Cs": ["Fe", "Al"], "Cl": ["Al", "Ni"]})
    assert other.multiplicities.tolist() == [1, 1, 1, 1]


def test_fixed_counts_hold_for_the_sites_of_their_key():
    """Sites of one key may be exchanged, those of different keys not."""
    one = enumerate_orderings(fcc_cu(), {(0, 1): {"Ag": 1, "Au": 1}, (2, 3): {"Ag": 1, "Au": 1}})
    assert one.multiplicities.tolist() == [4]
    two = enumerate_orderings(fcc_cu(), {(0, 1): {"Ag": 1, "Au": 1}, (2, 3): ["Ag", "Au"]})
    assert two.multiplicities.tolist() == [2, 4, 2]


def test_slab():
    """Two sites one above the other: vacuum above and below, so that they are mirror images."""
    lattice = Lattice([[4, 0, 0], [0, 4, 0], [0, 0, 6]], pbc=(True, True, False))
    bilayer = Structure(lattice, ["Po", "Po"], [[0, 0, 0.1], [0, 0, 0.6]])
    assert enumerate_orderings(bilayer, {"Po": ["Fe", "Al"]}).multiplicities.tolist() == [1, 2, 1]
    # Periodic, layers 3, 3, ... Å apart; as a slab, the middle one of three layers is different.
    three = Structure(lattice, ["Po"] * 3, [[0, 0, 0], [0, 0, 0.5], [0, 0, 1.0]])
    counts = enumerate_orderings(three, {"Po": {"Fe": 2, "Al": 1}})
    assert counts.multiplicities.tolist() == [2, 1]


def test_many_sites_do_not_overflow():
    """One or two Au among 108 sites: codes in base 2 would have 108 bits."""
    cell = Structure(Lattice.cubic(3.6), ["Cu"] * 4, FCC) * (3, 3, 3)
    assert enumerate_orderings(cell, {"Cu": {"Cu": 107, "Au": 1}}).multiplicities.tolist() == [108]
    pairs = enumerate_orderings(cell, {"Cu": {"Cu": 106, "Au": 2}})
    assert pairs.multiplicities.sum() == 108 * 107 / 2
    # Twelve nearest neighbours.
    assert 108 * 12 / 2 in pairs.multiplicities


# -- the parent


@pytest.mark.parametrize("seed", range(3))
def test_result_does_not_depend_on_the_given_cell(seed):
    """Atoms in another order and another origin: the same crystals, as often."""
    rng = np.random.default_rng(seed)
    cell = tilted_perovskite()
    order = rng.permutation(len(cell))
    moved = Structure(
        cell.lattice,
        [cell[i].specie for i in order],
        cell.frac_coords[order] + rng.random(3) + rng.integers(-2, 3, (len(cell), 1)),
    )
    species = {"Sn": ["Ge", "Sn"], "Cs": {"K": 2, "Rb": 2}}
    expected = enumerate_orderings(cell, species)
    found = enumerate_orderings(moved, species)
    assert sorted(found.multiplicities) == sorted(expected.multiplicities)


def test_a_displaced_atom_lowers_the_symmetry():
    sites = np.array(FCC, dtype=float)
    sites[0, 0] += 0.02 / 3.61
    cell = Structure(Lattice.cubic(3.61), ["Cu"] * 4, sites)
    assert len(enumerate_orderings(cell, {"Cu": {"Cu": 3, "Au": 1}}, symprec=0.1)) == 1
    assert len(enumerate_orderings(cell, {"Cu": {"Cu": 3, "Au": 1}})) > 1


def test_structures_are_those_of_the_parent(tmp_path):
    parent = perovskite().copy(site_properties={"magmom": [0.0, 1.0, 0.0, 0.0, 0.0]})
    before = parent.as_dict()
    orderings = enumerate_orderings(parent, {"O": ["O", "S"]})
    assert parent.as_dict() == before
    assert len(check_structures(orderings)) == len(orderings) == 4
    assert orderings[-1] == list(orderings)[3] == orderings[2:][1]
    assert (orderings[1].frac_coords == parent.frac_coords).all()
    assert orderings[1].lattice == parent.lattice
    assert "magmom" not in orderings[1].site_properties
    with pytest.raises(IndexError):
        orderings[4]
    assert repr(orderings) == ("<4 orderings of O, S on 3 sites of Sr1 Ti1 O3, from 8 assignments>")
    parent.to(tmp_path / "parent.cif")
    from_file = enumerate_orderings(tmp_path / "parent.cif", {"O": ["O", "S"]})
    assert from_file.multiplicities.tolist() == [1, 3, 3, 1]


# -- errors


@pytest.mark.parametrize(
    ("species", "error", "message"),
    [
        ({"Xx": ["Fe"]}, ValueError, "not chemical symbols: Xx"),
        ({"Cu": ["Fe", "Yy"]}, ValueError, "not chemical symbols: Yy"),
        ({"Fe": ["Co"]}, ValueError, "names the sites of Fe, but the parent is Cu4"),
        ({"Cu": {"Cu": 2, "Au": 1}}, ValueError, r"\['Cu'\] has 3 atoms for 4 sites"),
        ({"Cu": {"Cu": 5, "Au": -1}}, ValueError, "whole numbers of atoms, zero or more"),
        ({"Cu": {"Cu": 2.0, "Au": 2.0}}, ValueError, "whole numbers of atoms"),
        ({0: ["Fe"], "Cu": ["Al"]}, ValueError, "site 0 is named by the keys 0 and 'Cu'"),
        ({(0, 0): ["Fe"]}, ValueError, "names a site twice"),
        ({(0, 4): ["Fe"]}, ValueError, "the parent has the sites 0 to 3"),
        ({-1: ["Fe"]}, ValueError, "the parent has the sites 0 to 3"),
        ({"Cu": ["Fe", "Fe"]}, ValueError, "names an element twice"),
        ({"Cu": "Fe"}, TypeError, "must be a list of elements or a dict"),
        ({"Cu": []}, TypeError, "must be a list of elements or a dict"),
        ({1.5: ["Fe"]}, TypeError, "a key of species must be"),
        ({(): ["Fe"]}, TypeError, "a key of species must be"),
        ({}, TypeError, "species must be a dict"),
        (["Fe"], TypeError, "species must be a dict"),
    ],
)
def test_wrong_species(species, error, message):
    with pytest.raises(error, match=message):
        enumerate_orderings(fcc_cu(), species)


def test_too_many_assignments_raise_before_memory_is_taken():
    cell = fcc_cu() * (3, 3, 3)
    with pytest.raises(ValueError, match=r"3\.25e\+32 assignments of species to 108 sites"):
        enumerate_orderings(cell, {"Cu": ["Cu", "Au"]})
    with pytest.raises(ValueError, match="more than max_assignments=15: give numbers of atoms"):
        enumerate_orderings(fcc_cu(), {"Cu": ["Cu", "Au"]}, max_assignments=15)
    assert len(enumerate_orderings(fcc_cu(), {"Cu": ["Cu", "Au"]}, max_assignments=16)) == 5


def test_a_wire_is_refused():
    lattice = Lattice([[3, 0, 0], [0, 30, 0], [0, 0, 30]], pbc=(True, False, False))
    wire = Structure(lattice, ["Po"], [[0, 0, 0.4]])
    with pytest.raises(ValueError, match="periodic in two or three directions"):
        enumerate_orderings(wire, {"Po": ["Fe"]})


def test_permutations_that_are_no_group_are_noticed():
    """A rotation of three sites without the opposite one."""
    rotations = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    assert is_group(rotations)
    assert not is_group(rotations[:2])
    assert is_group(rotations[:1])
    assert is_group(np.array(list(permutations(range(4)))))
    assert not is_group(np.array(list(permutations(range(4))))[:-1])


@pytest.mark.parametrize("symprec", [0, -0.1, np.nan, np.inf])
def test_symprec_must_be_positive(symprec):
    with pytest.raises(ValueError, match="symprec must be a positive number"):
        enumerate_orderings(fcc_cu(), {"Cu": ["Fe"]}, symprec=symprec)


def test_a_symprec_too_large_for_the_sites():
    with pytest.raises(ValueError, match="spglib finds no symmetry of the parent within symprec=4"):
        enumerate_orderings(fcc_cu(), {"Cu": ["Fe"]}, symprec=4)


def test_operations_that_do_not_fit_the_sites(monkeypatch):
    """An operation that moves an atom to where none is nearest: two atoms have the same image."""
    module = sys.modules[site_permutations.__module__]
    identity_and_shift = SimpleNamespace(
        rotations=np.array([np.eye(3), np.diag([1, 0, 1])]), translations=np.zeros((2, 3))
    )
    monkeypatch.setattr(module, "symmetry_dataset", lambda *args: identity_and_shift)
    with pytest.raises(ValueError, match=r"within symprec=0\.01 Å do not map sites"):
        enumerate_orderings(fcc_cu(), {"Cu": ["Fe"]})
