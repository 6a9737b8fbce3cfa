"""The model of the labels of decorated prototypes."""

from itertools import pairwise

import numpy as np
import pytest
from pymatgen.core import Composition, Element, Lattice, Structure
from scipy.stats import spearmanr

from sklmat.datasets._prototype_crystals import REFUSED, prototypes
from sklmat.datasets._prototype_elements import COHESION, element_data
from sklmat.datasets._prototype_potential import Crystal, madelung_matrix, relax


def relax_structure(structure):
    numbers = np.array(structure.atomic_numbers)
    return relax(numbers, structure.frac_coords, structure.lattice.matrix)


#: Primitive cells of cubes of 1 Å; a second atom is in the middle of the edge (rock salt) or at a
#: quarter of the diagonal (zinc blende, diamond) of fcc.
FCC = Lattice([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
SIMPLE_CUBIC = Lattice.cubic(1.0)
BCC = Lattice([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])


def rock_salt(*species):
    return Structure(FCC, species, [[0, 0, 0], [0.5, 0.5, 0.5]])


def zinc_blende(*species):
    return Structure(FCC, species, [[0, 0, 0], [0.25, 0.25, 0.25]])


def caesium_chloride(*species):
    return Structure(SIMPLE_CUBIC, species, [[0, 0, 0], [0.5, 0.5, 0.5]])


def fcc(symbol):
    return relax_structure(Structure(FCC, [symbol], [[0, 0, 0]]))


def molecule(symbol):
    """Two atoms at a fifth of the edge of a cubic cell."""
    return relax_structure(Structure(SIMPLE_CUBIC, [symbol] * 2, [[0, 0, 0], [0.2, 0, 0]]))


# madelung_matrix
@pytest.mark.parametrize(
    ("crystal", "distance", "constant"),
    [
        (rock_salt("Na", "Cl"), 0.5, 1.747565),
        (caesium_chloride("Cs", "Cl"), 0.75**0.5, 1.762675),
        (zinc_blende("Zn", "S"), 0.1875**0.5, 1.638055),
    ],
    ids=["NaCl", "CsCl", "ZnS"],
)
def test_madelung_constants(crystal, distance, constant):
    matrix = madelung_matrix(crystal.cart_coords, crystal.lattice.matrix)
    energy = np.array([1, -1]) @ matrix @ [1, -1] / 2
    assert -energy * distance == pytest.approx(constant, abs=1e-4)


def test_madelung_matrix_of_a_supercell_and_moved_atoms():
    large = rock_salt("Na", "Cl") * [1, 1, 4]
    large.translate_sites(range(len(large)), [0.1, 0.2, 0.3])
    charges = np.where(np.array(large.atomic_numbers) == 11, 1.0, -1.0)
    matrix = madelung_matrix(large.cart_coords, large.lattice.matrix)
    energy = charges @ matrix @ charges / 2 / 4
    assert -energy * 0.5 == pytest.approx(1.747565, abs=1e-4)


# relax
def test_metals_have_the_cohesive_energy_volume_and_stiffness_of_the_table():
    copper = fcc("Cu")
    assert copper.formation_energy == pytest.approx(0, abs=1e-3)
    assert copper.volume == pytest.approx(7.11 / 0.6022, rel=1e-3)
    assert copper.bulk_modulus == pytest.approx(137, rel=0.1)
    assert np.abs(copper.charges).max() < 1e-9
    # The fcc lattice of four atoms has the nearest neighbours at a / √2.
    edge = (4 * copper.volume) ** (1 / 3)
    assert copper.closest == pytest.approx(edge / 2**0.5 / 2.64, rel=1e-6)
    assert copper.scale == pytest.approx(edge, rel=1e-6)


def test_diamond_has_the_bond_length_of_the_table():
    diamond = relax_structure(zinc_blende("C", "C"))
    assert diamond.formation_energy == pytest.approx(0, abs=1e-3)
    assert diamond.volume == pytest.approx((1.46 * 4 / 3**0.5) ** 3 / 8, rel=2e-3)


def test_textbook_compounds():
    chloride, oxide = map(relax_structure, (rock_salt("Na", "Cl"), rock_salt("Mg", "O")))
    caesium = relax_structure(caesium_chloride("Cs", "Cl"))
    (rutile,) = (each for each in prototypes() if each.strukturbericht == "C4")
    titania = relax(rutile.elements[rutile.species], rutile.frac_coords, rutile.lattice)
    tetragonal = Structure(Lattice.tetragonal(2.8, 3.7), ["Cu", "Au"], [[0] * 3, [0.5] * 3])
    alloy = relax_structure(tetragonal)
    # Measured: -2.13, -3.12, -2.29, -3.26 and -0.06 eV/atom.
    assert chloride.formation_energy == pytest.approx(-2.13, abs=0.5)
    assert oxide.formation_energy == pytest.approx(-3.12, abs=0.5)
    assert caesium.formation_energy == pytest.approx(-2.29, abs=0.5)
    assert titania.formation_energy == pytest.approx(-3.26, abs=0.5)
    assert alloy.formation_energy == pytest.approx(-0.06, abs=0.1)
    # Sodium and magnesium are cations, with charges below their valences.
    assert 0.7 < chloride.charges.max() < 1
    assert 1.3 < oxide.charges.max() < 2
    assert chloride.charges.sum() == pytest.approx(0, abs=1e-6)
    # Measured: 22.4 and 9.3 Å³/atom.
    assert chloride.volume == pytest.approx(22.4, rel=0.15)
    assert oxide.volume == pytest.approx(9.3, rel=0.15)


def test_order_of_bulk_moduli():
    # Measured: 443, 160, 25 and 2 GPa.
    caesium = Structure(BCC, ["Cs"], [[0, 0, 0]])
    crystals = [zinc_blende("C", "C"), rock_salt("Mg", "O"), rock_salt("Na", "Cl"), caesium]
    moduli = [relax_structure(crystal).bulk_modulus for crystal in crystals]
    assert all(stiff > 2 * soft for stiff, soft in pairwise(moduli))


def test_non_metals_prefer_few_bonds_and_metals_many():
    assert molecule("O").formation_energy == pytest.approx(0, abs=1e-3)
    assert fcc("O").formation_energy > 0.3
    assert molecule("Cu").formation_energy > 1.0


def test_energy_is_that_of_the_same_crystal_in_another_cell():
    crystal = rock_salt("Ag", "Br")
    primitive, cell = relax_structure(crystal), relax_structure(crystal * [2, 1, 3])
    for name in ("formation_energy", "volume", "bulk_modulus", "closest"):
        assert getattr(cell, name) == pytest.approx(getattr(primitive, name), rel=1e-3)


def test_volume_minimises_the_energy():
    crystal = zinc_blende("Zn", "S")
    numbers, lattice = np.array(crystal.atomic_numbers), crystal.lattice.matrix
    relaxed = relax(numbers, crystal.frac_coords, lattice)
    model = Crystal(numbers, crystal.cart_coords, lattice)
    scales = relaxed.scale / model.scale * np.array([0.97, 1.0, 1.03])
    low, energy, high = model.formation_energy(scales)
    assert energy == pytest.approx(relaxed.formation_energy, abs=1e-9)
    assert min(low, high) > energy + 1e-3


def test_charges_minimise_the_energy():
    crystal = zinc_blende("Zn", "S")
    model = Crystal(np.array(crystal.atomic_numbers), crystal.cart_coords, crystal.lattice.matrix)
    charges, energy = model.charges(np.array([1.0]))
    coulomb = model._coulomb(np.array([1.0]))[0]
    zinc = np.linspace(0, 2, 2001)
    q = np.outer(zinc, [1, -1])
    chi = 3.0 * np.array([site.specie.X for site in crystal])
    # Zinc and sulfur have a valence of 2.
    energies = q @ chi + ((q @ coulomb) * q).sum(axis=1) / 2 + 5 / 4 * 2 * (q / 2) ** 4 @ [1, 1]
    assert energies.min() == pytest.approx(energy[0], abs=1e-5)
    assert zinc[energies.argmin()] == pytest.approx(charges.max(), abs=1e-3)


# element_data, prototypes
def test_model_covers_all_elements_up_to_plutonium_without_noble_gases():
    data = element_data()
    known = np.flatnonzero(np.isfinite(data.cohesion))
    expected = [z for z in range(1, 95) if z not in (2, 10, 18, 36, 54, 86)]
    assert known.tolist() == expected
    assert [Element(symbol).Z for symbol in COHESION] == expected
    assert all((column[known] > 0).all() for column in data)


def test_measured_volumes_of_the_prototypes():
    """The figures of DESCR and of the guide."""
    measured, modelled = [], []
    for prototype in prototypes():
        if not {*prototype.elements.tolist()} <= known_numbers():
            continue
        numbers = prototype.elements[prototype.species]
        relaxed = relax(numbers, prototype.frac_coords, prototype.lattice)
        if relaxed is None:  # The energy has no minimum.
            continue
        modelled.append(relaxed.volume)
        measured.append(abs(np.linalg.det(prototype.lattice)) / len(numbers))
    ratios = np.array(modelled) / measured
    assert len(ratios) == 284
    assert np.median(np.abs(ratios - 1)) == pytest.approx(0.08, abs=0.005)
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    assert spearmanr(measured, modelled).statistic == pytest.approx(0.92, abs=0.005)


#: Standard enthalpies of formation at 298 K (kJ per mole of the formula), CRC Handbook of Chemistry
#: and Physics, and structure.
ENTHALPIES = {
    "B1": {"NaCl": -411.2, "LiF": -616.0, "KBr": -393.8, "MgO": -601.6, "CaO": -634.9,
           "BaO": -548.0, "AgCl": -127.0, "CaS": -482.4, "TiC": -184.5, "TiN": -337.7},
    "B2": {"CsCl": -443.0},
    "B3": {"ZnS": -206.0, "GaAs": -71.0, "SiC": -65.3, "CuCl": -137.2},
    "B4": {"ZnO": -350.5, "AlN": -318.0, "GaN": -110.9},
    "C1": {"CaF2": -1228.0, "BaF2": -1207.1, "Na2O": -414.2, "Li2O": -597.9},
    "C4": {"TiO2": -944.0, "MgF2": -1124.2, "SnO2": -577.6},
    "D5_1": {"Al2O3": -1675.7, "Cr2O3": -1139.7, "Fe2O3": -824.2},
}  # fmt: skip


def test_measured_formation_energies():
    """The figures of DESCR and of the guide."""
    by_name = {prototype.strukturbericht: prototype for prototype in prototypes()}
    measured, modelled = [], []
    for name, compounds in ENTHALPIES.items():
        prototype = by_name[name]
        counts = np.bincount(prototype.species)
        for formula, enthalpy in compounds.items():
            amounts = Composition(formula).get_el_amt_dict()
            # The less frequent sites are those of the less frequent element.
            order = sorted(amounts, key=amounts.get)
            elements = np.empty(2, dtype=int)
            elements[np.argsort(counts, kind="stable")] = [Element(each).Z for each in order]
            relaxed = relax(elements[prototype.species], prototype.frac_coords, prototype.lattice)
            modelled.append(relaxed.formation_energy)
            measured.append(enthalpy / 96.485 / sum(amounts.values()))
    errors = np.abs(np.subtract(measured, modelled))
    assert len(errors) == 28
    assert errors.mean() == pytest.approx(0.42, abs=0.005)
    assert spearmanr(measured, modelled).statistic == pytest.approx(0.90, abs=0.005)
    assert modelled[0] == pytest.approx(-1.86, abs=0.005)


def known_numbers():
    return {Element(symbol).Z for symbol in COHESION}


def test_prototypes():
    by_name = {prototype.strukturbericht: prototype for prototype in prototypes()}
    assert len(prototypes()) == 288
    assert {prototype.label for prototype in prototypes()} > {*REFUSED}
    salt = by_name["B1"]
    assert (salt.label, salt.pearson) == ("AB_cF8_225_a_b", "cF8")
    assert salt.mineral == "Halite, Rock Salt"
    assert sorted(salt.elements[salt.species]) == [11, 17]
    assert by_name["C4"].stoichiometry == (1, 2)  # rutile, Ti2O4
