"""CIFs: the crystal that the file describes, or an error that says what is wrong."""

import warnings

import numpy as np
import pytest
from cif_text import CSCL, NACL, P1, cif
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter

from sklmat import InvalidStructureError, InvalidStructureWarning, check_structures
from sklmat.structures import crystals_of_text

CUBE = (5.64, 5.64, 5.64, 90, 90, 90)
BISMUTH = (4.746, 4.746, 4.746, 57.23, 57.23, 57.23)
BI = ("Bi Bi1 0.2339 0.2339 0.2339 1",)


def read(text):
    """The crystal of a text that must give no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return check_structures([text])[0]


def formula(text):
    return read(text).formula.replace(" ", "")


def refused(text):
    with pytest.raises(InvalidStructureError) as caught:
        check_structures([text])
    return str(caught.value)


def warned(text):
    with pytest.warns(InvalidStructureWarning) as caught:
        (structure,) = check_structures([text])
    assert len(caught) == 1
    return structure.formula.replace(" ", ""), str(caught[0].message)


# -- species


@pytest.mark.parametrize(
    ("symbol", "element", "charge"),
    [
        ("Cs", "Cs", None),
        ("Cs1+", "Cs", 1),
        ("Cs+", "Cs", 1),
        ("Cs+1", "Cs", 1),
        ("Fe3+", "Fe", 3),
        ("O2-", "O", -2),
        ("Fe0+", "Fe", 0),
        ("D", "H", None),
    ],
)
def test_a_type_symbol_is_an_element_with_an_optional_charge(symbol, element, charge):
    structure = read(cif((f"{symbol} A1 0 0 0 1", "Cl Cl1 0.5 0.5 0.5 1")))
    (specie,) = (site.specie for site in structure if site.specie.symbol != "Cl")
    assert specie.symbol == element
    assert getattr(specie, "oxi_state", None) == charge


@pytest.mark.parametrize(
    "symbol", ["OH", "Wat", "OH2", "NO3", "NH4", "CH3", "X", "M1", "Me", "Ln", "Fe3", "CL", "CO"]
)
def test_other_type_symbols_are_refused(symbol):
    message = refused(cif(("Ca Ca1 0 0 0 1", f"{symbol} Q1 0.5 0.5 0.5 1")))
    assert f"the type symbol '{symbol}' of site Q1 is not an element" in message


@pytest.mark.parametrize("label", ["Wat1", "OH1", "O-H1", "O_H", "OW1", "HO1", "M1", "CA1"])
def test_labels_that_are_no_element_are_refused(label):
    columns = ("label", "fract_x", "fract_y", "fract_z")
    message = refused(cif(("Ca1 0 0 0", f"{label} 0.5 0.5 0.5"), columns=columns))
    assert f"the label '{label}' of site {label} is not an element" in message


def test_the_formula_decides_about_labels_and_capitals():
    columns = ("label", "fract_x", "fract_y", "fract_z")
    stated = "_chemical_formula_sum 'Ca O'"
    assert formula(cif(("CA1 0 0 0", "OW1 0.5 0.5 0.5"), columns=columns, extra=stated)) == "Ca1O1"
    capitals = ("CS Q1 0 0 0 1", "CL Q2 0.5 0.5 0.5 1")
    assert formula(cif(capitals, extra="_chemical_formula_sum 'Cs Cl'")) == "Cs1Cl1"
    # Calcium or carbon: the formula holds both.
    both = "_chemical_formula_sum 'Ca C'"
    assert "is not an element" in refused(
        cif(("CA1 0 0 0", "C1 0.5 0.5 0.5"), columns=columns, extra=both)
    )


@pytest.mark.parametrize("label", ["Ca1", "Ca", "Ca1A", "Ca_oct", "Ca(2)", "Ca2+"])
def test_labels_that_begin_with_an_element(label):
    columns = ("label", "fract_x", "fract_y", "fract_z")
    assert formula(cif((f"{label} 0 0 0", "O1W 0.5 0.5 0.5"), columns=columns)) == "Ca1O1"


def test_oxidation_numbers_of_the_type_loop():
    types = "loop_\n_atom_type_symbol\n_atom_type_oxidation_number\nCs 1\nCl -1\n"
    assert [str(site.specie) for site in read(cif(extra=types))] == ["Cs+", "Cl-"]


def test_dummy_rows_are_no_atoms():
    columns = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "calc_flag")
    rows = ("Cs Cs1 0 0 0 d", "Cl Cl1 0.5 0.5 0.5 d", "H H1 ? ? ? dum")
    assert formula(cif(rows, columns=columns)) == "Cs1Cl1"


# -- occupancy


@pytest.mark.parametrize("text", [".", "1", "1.0", "1.", "1.000(5)"])
def test_full_occupancy(text):
    assert formula(cif((CSCL[0], f"Cl Cl1 0.5 0.5 0.5 {text}"))) == "Cs1Cl1"


@pytest.mark.parametrize("text", ["0.9999", "0.999", "1.001", "0.9995(2)"])
def test_occupancies_that_round_to_one_give_one_warning(text):
    rows = (f"Cs Cs1 0 0 0 {text}", f"Cl Cl1 0.5 0.5 0.5 {text}")
    found, message = warned(cif(rows))
    assert found == "Cs1Cl1"
    assert "site Cs1 was taken as 1" in message
    assert "site Cl1 was taken as 1" in message


def test_unknown_occupancy_gives_a_warning():
    found, message = warned(cif((CSCL[0], "Cl Cl1 0.5 0.5 0.5 ?")))
    assert found == "Cs1Cl1"
    assert "occupancy of site Cl1 is unknown" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.5", "partial occupancy"),
        ("0.998", "partial occupancy"),
        ("0", "has the occupancy 0"),
        ("-1", "has the occupancy -1"),
        ("1.1", "Occupancy 1.1 exceeded tolerance"),
        ("2", "Occupancy 2.0 exceeded tolerance"),
        ("full", "is 'full', which is not a number"),
    ],
)
def test_other_occupancies_are_refused(text, reason):
    assert reason in refused(cif((CSCL[0], f"Cl Cl1 0.5 0.5 0.5 {text}")))


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (("H H1 0 0 0 0.4", "D D1 0 0 0 0.6"), "H1Cl1"),
        (("Fe2+ Fe1 0 0 0 0.5", "Fe3+ Fe2 0 0 0 0.5"), "Fe1Cl1"),
        (("Fe2+ Fe1 0 0 0 0.3333", "Fe3+ Fe2 0 0 0 0.6667"), "Fe1Cl1"),
        (("Fe2+ Fe1 0 0 0 0.5", "Fe2+ Fe2 0.001 0 0 0.5"), "Fe1Cl1"),
    ],
)
def test_one_element_in_several_rows_of_a_site(rows, found):
    text = cif((*rows, "Cl Cl1 0.5 0.5 0.5 1"))
    assert sorted(formula(text)) == sorted(found)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (("O O1 0 0 0 1", "H H1 0 0 0 1"), "O1 and H1 hold two elements at one place"),
        (("O O1 0 0 0 .", "H H1 1 0 0 ."), "O1 and H1 hold two elements at one place"),
        (("Cs Cs1 0 0 0 1", "Cs Cs2 0 0 1.0 1"), "sites Cs1 and Cs2 coincide"),
        (("Fe Fe1 0 0 0 0.5", "Co Co1 0 0 0 0.5"), "partial occupancy (Fe: 0.5, Co: 0.5)"),
        (("Fe2+ Fe1 0 0 0 0.5", "Fe3+ Fe2 0 0 0 0.4"), "partial occupancy"),
        (("Cs Cs1 0 0 0 1", "Cs Cs2 0 0 0.1 1"), "0.410 Å apart"),
    ],
)
def test_rows_that_cannot_share_a_place(rows, reason):
    assert reason in refused(cif((*rows, "Cl Cl1 0.5 0.5 0.5 1")))


# -- formula


@pytest.mark.parametrize(
    "stated",
    [
        "_chemical_formula_sum 'Ca H2 O2'",
        "_chemical_formula_sum 'Ca1 O2 D2'",
        "_chemical_formula_sum 'Ca O2 Cl'",
        "_chemical_formula_sum 'Ca O'",
        "_chemical_formula_sum 'Ca2 O2'",
        "_chemical_formula_structural 'Ca (O H)2'",
        "_chemical_formula_moiety 'Ca 2+, 2(O H 1-)'",
    ],
)
def test_sites_that_do_not_give_the_stated_formula(stated):
    rows = ("Ca Ca1 0 0 0 1", "O O1 0.3333 0.6667 0.234 1", "O O2 0.6667 0.3333 0.766 1")
    cell = (3.59, 3.59, 4.9, 90, 90, 120)
    assert formula(cif(rows, cell)) == "Ca1O2"
    message = refused(cif(rows, cell, extra=stated))
    assert "the sites give CaO2" in message
    assert "states the formula" in message


def test_the_missing_element_is_named():
    assert "; H is missing" in refused(cif(extra="_chemical_formula_sum 'Cs H Cl'"))


@pytest.mark.parametrize(
    "stated",
    ["'Cs Cl'", "'Cl1 Cs1'", "CsCl", "'Cs2 Cl2'", "?", "'Cs1-x Rbx Cl'", "'Cs1.00 Cl1.00'"],
)
def test_formulas_that_agree_or_cannot_be_read(stated):
    assert formula(cif(extra=f"_chemical_formula_sum {stated}")) == "Cs1Cl1"


def test_attached_hydrogens_without_sites():
    columns = ("type_symbol", "label", "fract_x", "fract_y", "fract_z", "attached_hydrogens")
    rows = ("Ca Ca1 0 0 0 0", "O O1 0.5 0.5 0.5 2")
    assert "hydrogen atoms without coordinates" in refused(cif(rows, columns=columns))
    rows = ("Ca Ca1 0 0 0 .", "O O1 0.5 0.5 0.5 0")
    assert formula(cif(rows, columns=columns)) == "Ca1O1"


# -- symmetry


@pytest.mark.parametrize(
    "symmetry",
    [
        "_space_group_name_Hall '-F 4 2 3'",
        "_symmetry_space_group_name_Hall '-F 4 2 3'",
        "_symmetry_space_group_name_H-M 'F m -3 m'",
        "_symmetry_space_group_name_H-M Fm-3m",
        "_symmetry_space_group_name_H-M F m -3 m",  # without the quotes that CIF needs
        "_symmetry_space_group_name_H-M 'F m 3 m'",
        "_space_group_name_H-M_alt 'F m -3 m'",
        "_space_group.name_H-M_alt 'F m -3 m'",
        "_space_group_IT_number 225",
        "_symmetry_Int_Tables_number 225",
        "_symmetry_space_group_name_H-M '?'\n_symmetry_Int_Tables_number 225",
        "_symmetry_space_group_name_H-M 'P 1'\n_symmetry_Int_Tables_number 225\n"
        "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4",
    ],
)
def test_operations_from_the_space_group(symmetry):
    structure = read(cif(NACL, CUBE, symmetry))
    assert structure.formula == "Na4 Cl4"
    assert structure.volume == pytest.approx(5.64**3)
    assert structure.get_space_group_info()[1] == 225


@pytest.mark.parametrize(
    ("number", "hm"), [(166, "R -3 m"), (166, "R -3 m :R"), (166, "R -3 m R"), (166, "'R-3m'")]
)
def test_rhombohedral_axes_follow_from_the_cell(number, hm):
    hm = hm.strip("'")
    for symmetry in (
        f"_symmetry_space_group_name_H-M '{hm}'",
        f"_symmetry_Int_Tables_number {number}",
        f"_symmetry_space_group_name_H-M '{hm}'\n_symmetry_Int_Tables_number {number}",
    ):
        structure = read(cif(BI, BISMUTH, symmetry))
        assert len(structure) == 2
        assert structure.volume == pytest.approx(70.8, abs=0.05)
    hexagonal = read(
        cif(
            ("Bi Bi1 0 0 0.2339 1",),
            (4.546, 4.546, 11.862, 90, 90, 120),
            "_symmetry_space_group_name_H-M 'R -3 m'",
        )
    )
    assert len(hexagonal) == 6


def test_a_space_group_that_does_not_fit_the_cell():
    message = refused(cif(NACL, (5.64, 5.64, 6.5, 90, 90, 90), "_space_group_IT_number 225"))
    assert "space group F m -3 m does not fit the cell" in message
    listed = "loop_\n_space_group_symop_operation_xyz\n'x,y,z'\n'z,x,y'\n'y,z,x'\n"
    message = refused(cif(NACL, (5.64, 5.64, 6.5, 90, 90, 90), listed))
    assert "list of symmetry operations does not fit the cell" in message


def test_an_unknown_space_group_is_refused():
    message = refused(cif(NACL, CUBE, "_symmetry_space_group_name_H-M 'Q 5 5 5'"))
    assert "'Q 5 5 5' is not known" in message


DIAMOND = (3.567, 3.567, 3.567, 90, 90, 90)


def test_two_origins_are_told_apart_by_the_number_of_atoms():
    # Carbon at the origin: 8 atoms with origin 1, and 16 with origin 2.
    name = "_symmetry_space_group_name_H-M 'F d -3 m'"
    carbon = ("C C1 0 0 0 1",)
    assert "ambiguous" in refused(cif(carbon, DIAMOND, name))
    units = f"{name}\n_chemical_formula_sum C\n_cell_formula_units_Z 8"
    assert len(read(cif(carbon, DIAMOND, units))) == 8
    for suffix in (":1", "S"):
        text = cif(carbon, DIAMOND, name.replace("d -3 m", f"d -3 m {suffix}"))
        assert len(read(text)) == 8
    eighth = ("C C1 0.125 0.125 0.125 1",)
    for suffix in (":2", "Z"):
        text = cif(eighth, DIAMOND, name.replace("d -3 m", f"d -3 m {suffix}"))
        assert len(read(text)) == 8


def test_operations_of_p1_with_the_name_of_a_larger_group():
    name = f"{P1}\n_symmetry_space_group_name_H-M 'F m -3 m'"
    whole = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0, 0]]
    )
    rows = [
        f"{site.specie} {site.specie}{k} {' '.join(map(str, site.frac_coords))} 1"
        for k, site in enumerate(whole)
    ]
    assert formula(cif(rows, CUBE, name)) == "Na4Cl4"
    # Two atoms can be all atoms of the cell, or those that the group repeats.
    assert "ambiguous" in refused(cif(NACL, CUBE, name))
    units = f"{name}\n_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z "
    assert formula(cif(NACL, CUBE, f"{units}4")) == "Na4Cl4"
    assert formula(cif(NACL, CUBE, f"{units}1")) == "Na1Cl1"


def test_no_symmetry_at_all():
    found, message = warned(cif(symmetry=""))
    assert found == "Cs1Cl1"
    assert "states no symmetry" in message
    stated = "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4"
    assert "names no symmetry" in refused(cif(NACL, CUBE, "", stated))
    stated = "_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 1"
    assert formula(cif(symmetry="", extra=stated)) == "Cs1Cl1"


def test_a_contradicting_number_of_formula_units_gives_a_warning():
    stated = "_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 3"
    found, message = warned(cif(extra=stated))
    assert found == "Cs1Cl1"
    assert "states 3 formula units" in message


def test_a_contradicting_volume_gives_a_warning():
    found, message = warned(cif(extra="_cell_volume 551.4"))
    assert found == "Cs1Cl1"
    assert "551.4 Å³" in message
    assert "68.921 Å³" in message
    assert formula(cif(extra="_cell_volume 68.9(2)")) == "Cs1Cl1"


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("x,y", "no three components"),
        ("x,y,q", "cannot be read"),
        ("x,y,x", "does not preserve the volume"),
        ("2x,y,z", "does not preserve the volume"),
        ("x,,z", "cannot be read"),
    ],
)
def test_operations_that_cannot_be_read(operation, reason):
    listed = f"loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'{operation}'\n"
    assert reason in refused(cif(symmetry=listed))


@pytest.mark.parametrize(
    "centering",
    ["1/2+x,y+1/2,z+1/2", "x+1/2,1/2+y,.5+Z", "x+0.5, y+0.5, z+0.5", "+x-1/2,y-.5,z+3/2"],
)
def test_ways_to_write_an_operation(centering):
    listed = f"loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'{centering}'\n"
    structure = read(cif(("Fe Fe1 0 0 0 1",), (2.87, 2.87, 2.87, 90, 90, 90), listed))
    np.testing.assert_allclose(structure.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-12)


def test_a_fifth_is_not_rounded_to_24ths():
    shifts = ("0", "1/5", "0.4", ".6", "4/5")
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "".join(f"x,y,z+{k}\n" for k in shifts)
    structure = read(cif(("Fe Fe1 0 0 0 1",), (2.87, 2.87, 14.35, 90, 90, 90), listed))
    np.testing.assert_allclose(
        np.sort(structure.frac_coords[:, 2]), [0, 0.2, 0.4, 0.6, 0.8], atol=1e-12
    )


def test_magnetic_operations_move_atoms_without_time_reversal():
    listed = (
        "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1\n"
        "loop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\nx+1/2,y+1/2,z+1/2,-1\n"
    )
    structure = read(cif(("Fe Fe1 0 0 0 1",), (2.87, 2.87, 2.87, 90, 90, 90), listed))
    assert structure.formula == "Fe2"


def test_a_magnetic_group_without_operations_is_refused():
    text = cif(symmetry="_space_group_magn.number_BNS 62.448")
    assert "names a magnetic space group without its operations" in refused(text)


def test_few_digits_stay_on_a_special_position():
    """0.333 in a hexagonal close-packed cell: two atoms, at exact thirds."""
    symmetry = "_symmetry_space_group_name_H-M 'P 63/m m c'"
    structure = read(cif(("Mg Mg1 0.333 0.667 0.25 1",), (3.21, 3.21, 5.21, 90, 90, 120), symmetry))
    expected = [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    np.testing.assert_allclose(np.sort(structure.frac_coords, axis=0), np.sort(expected, axis=0))


def test_modulated_and_cartesian_files_are_refused():
    assert "modulated" in refused(cif(extra="_cell_modulation_dimension 1"))
    columns = ("type_symbol", "label", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy")
    assert "no fractional coordinates" in refused(cif(columns=columns))


# -- numbers, cell, grammar


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (("4,1", 4.1, 4.1, 90, 90, 90), "decimals need a point"),
        (("?", 4.1, 4.1, 90, 90, 90), "lattice vector a is missing"),
        ((4.1, 4.1, 0, 90, 90, 90), "no cell has the lengths"),
        ((4.1, 4.1, 4.1, 90, 90, 190), "no cell has the lengths"),
        ((4.1, 4.1, 4.1, 30, 30, 90), "no cell has the lengths"),
        (("4.1A", 4.1, 4.1, 90, 90, 90), "is '4.1A', which is not a number"),
        ((410, 410, 410, 90, 90, 90), "lengths must be in Å"),
        ((0.41, 0.41, 0.41, 90, 90, 90), "too little for these elements"),
    ],
)
def test_cells_that_cannot_be(cell, reason):
    assert reason in refused(cif(cell=cell))


def test_right_angles_are_the_default():
    assert read(cif(cell=(4.1, 4.1, 4.1, ".", ".", 90))).volume == pytest.approx(4.1**3)
    without = "\n".join(line for line in cif().splitlines() if "_angle_" not in line)
    assert read(without).volume == pytest.approx(4.1**3)
    assert "angle beta of the cell is unknown" in refused(cif(cell=(4.1, 4.1, 4.1, 90, "?", 90)))


@pytest.mark.parametrize(
    ("elements", "stated"),
    [("C" * 200 + "H" * 199, "C200 H200"), ("S" * 150 + "O" * 299, "S150 O300")],
)
def test_one_missing_atom_of_many_is_noticed(elements, stated):
    rows = [
        f"{e} {e}{k} {k % 8 / 8:.3f} {k // 8 % 8 / 8:.3f} {k // 64 / 8:.3f} 1"
        for k, e in enumerate(elements)
    ]
    text = cif(rows, (16, 16, 16, 90, 90, 90), extra=f"_chemical_formula_sum '{stated}'")
    assert "states the formula" in refused(text)


@pytest.mark.parametrize(
    "operations", [["-x,-y,-z"], ["x,y,z", "y,-x,z"], ["x,y,z", "-x,y+1/2,1/2-z", "-x,-y,-z"]]
)
def test_operations_that_are_no_group(operations):
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "\n".join(operations)
    assert "is incomplete" in refused(cif(CSCL[:1], symmetry=listed))


@pytest.mark.parametrize(
    "symmetry",
    [
        "_symmetry_space_group_name_H-M 'P 21 21 21'\n_space_group_name_Hall 'P 2 2'",
        "_symmetry_Int_Tables_number 19\n_space_group_name_Hall 'P 2 2'",
        "_symmetry_space_group_name_H-M 'P 21/c'\n_symmetry_Int_Tables_number 13",
    ],
)
def test_statements_that_contradict_each_other(symmetry):
    rows = ("Na Na1 0.1 0.2 0.3 1", "Cl Cl1 0.35 0.4 0.45 1")
    assert "ambiguous" in refused(cif(rows, (9, 10, 11, 90, 90, 90), symmetry))


@pytest.mark.parametrize(
    "name", ["_space_group_name_Hall 'unknown'", "_symmetry_space_group_name_H-M 'Q 5'"]
)
def test_written_operations_need_no_name(name):
    assert formula(cif(extra=name)) == "Cs1Cl1"
    assert "unknown" in refused(cif(symmetry="_space_group_name_Hall 'unknown'"))


def test_two_lists_of_operations_that_differ():
    second = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,-y,-z\n"
    assert "lists of symmetry operations differ" in refused(cif(symmetry=P1 + second))


@pytest.mark.parametrize("name", ["C 4/m m m", "B 21/c", "Q 1"])
def test_the_number_does_not_replace_a_setting_that_is_not_known(name):
    symmetry = f"_symmetry_space_group_name_H-M '{name}'\n_symmetry_Int_Tables_number 123"
    text = cif(("Si Si1 0 0 0 1",), (5.6, 5.6, 4, 90, 90, 90), symmetry)
    assert f"{name!r} is not known" in refused(text)


@pytest.mark.parametrize(
    ("symmetry", "cell", "n_atoms"),
    [
        ("'P 2(1)/c'", (5, 6, 7, 90, 100, 90), 4),
        ("'P6(3)/mmc'", (5, 5, 8, 90, 90, 120), 24),
        ("'F 4/m -3 2/m'", (12, 12, 12, 90, 90, 90), 192),
        ("'P 21/n 21/m 21/a'", (5, 6, 7, 90, 90, 90), 8),
        ("'C -1'\n_symmetry_Int_Tables_number 2", (6, 7, 8, 80, 85, 95), 4),
        ("'F 4/m m m'\n_symmetry_Int_Tables_number 139", (9, 9, 9, 90, 90, 90), 64),
    ],
)
def test_spellings_and_settings_of_space_groups(symmetry, cell, n_atoms):
    text = cif(("H H1 0.13 0.22 0.34 1",), cell, f"_symmetry_space_group_name_H-M {symmetry}")
    (found,) = crystals_of_text(text)
    assert found.problem is None
    assert len(found.structure) == n_atoms


def test_labels_of_hydroxide_and_tetrahedral_sites():
    columns = ("label", "fract_x", "fract_y", "fract_z")
    for label in ("T1", "D1", "O1-H", "O(H)", "O1H", "Wat"):
        text = cif(("Ca1 0 0 0", f"{label} 0.5 0.5 0.5"), columns=columns)
        assert "is not an element" in refused(text)
    text = cif(
        ("Wat 0 0 0", "O1 0.5 0.5 0.5"), columns=columns, extra="_chemical_formula_sum 'W O'"
    )
    assert "is not an element" in refused(text)


def test_modulated_structures_without_a_dimension():
    tag = "_space_group_symop_ssg_operation_algebraic x1,x2,x3,x4"
    assert "modulated" in refused(cif(extra=tag))


def test_sites_without_coordinates():
    assert "site Cl1 has no coordinate y" in refused(cif((CSCL[0], "Cl Cl1 0.5 ? 0.5 1")))
    assert "coordinate x of site Cl1 is '0,5'" in refused(cif((CSCL[0], "Cl Cl1 0,5 0.5 0.5 1")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (cif().replace("0.5 0.5 0.5 1", "0.5 0.5 0.5"), "Wrong number of values"),
        ("data_x\n_cell_length_a 4\n", "no block of the CIF holds atom sites"),
        (cif() + "_cell_length_a 5.0\n", "_cell_length_a is given twice"),
    ],
)
def test_grammar(text, reason):
    assert reason in refused(text)


def test_several_crystals_and_headers():
    two = cif() + cif(NACL, CUBE)
    assert "holds 2 crystals" in refused(two)
    header = "data_global\n_publ_author_name 'A. Nobody'\n"
    assert formula(header + cif()) == "Cs1Cl1"


def test_comments_and_text_fields_hold_no_data():
    field = "_publ_section_comment\n;\ndata_other\n_atom_site_fract_x\n;\n# data_third\n"
    assert formula(cif(extra=field)) == "Cs1Cl1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path, encoding, newline):
    text = cif(extra="_publ_author_name 'Ångström'").replace("\n", newline)
    path = tmp_path / "cscl.cif"
    path.write_bytes(text.encode(encoding))
    assert check_structures([path])[0].formula == "Cs1 Cl1"


# -- against pymatgen's parser


def assert_same_crystal(one, other):
    np.testing.assert_allclose(one.lattice.parameters, other.lattice.parameters, rtol=1e-9)
    assert [site.species_string for site in one] == [site.species_string for site in other]
    shift = one.frac_coords[:, None] - other.frac_coords[None]
    distance = np.linalg.norm((shift - np.round(shift)) @ one.lattice.matrix, axis=2)
    names = np.array([site.species_string for site in one])
    distance[names[:, None] != names[None]] = np.inf
    assert distance.min(axis=0).max() < 2e-3
    assert distance.min(axis=1).max() < 2e-3


CELLS = [
    (2, Lattice.from_parameters(5, 6, 7, 80, 95, 103)),
    (14, Lattice.monoclinic(5, 6, 7, 100)),
    (62, Lattice.orthorhombic(5, 6, 7)),
    (141, Lattice.tetragonal(5, 7)),
    (167, Lattice.hexagonal(5, 12)),
    (194, Lattice.hexagonal(5, 8)),
    (205, Lattice.cubic(7)),
    (227, Lattice.cubic(9)),
]


@pytest.mark.parametrize(("number", "lattice"), CELLS)
def test_the_same_crystals_as_pymatgen(number, lattice):
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    structure = Structure.from_spacegroup(
        sg_symbol_from_int_number(number, hexagonal=True),
        lattice,
        ["Na+", "Cl-"],
        [[0, 0, 0], [0.13, 0.35, 0.39]],
    )
    for symprec in (None, 1e-3):
        text = str(CifWriter(structure, symprec=symprec))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (theirs,) = CifParser.from_str(text).parse_structures(primitive=False)
        (ours,) = crystals_of_text(text)
        assert_same_crystal(ours.structure, theirs)
