"""Small files that went wrong in neighbouring projects: one test for each."""

import os
import warnings
from pathlib import Path

import pytest

from sklmat import InvalidStructureError, InvalidStructureWarning, check_structures

FOLDERS = [Path(__file__).parents[2].parent / "shared"]
if "SKLMAT_DATA" in os.environ:
    FOLDERS.insert(0, Path(os.environ["SKLMAT_DATA"]).parent)
FILES = next((path for path in (f / "cases" / "files" for f in FOLDERS) if path.is_dir()), None)
pytestmark = pytest.mark.skipif(FILES is None, reason="the files of the cases are not here")

READ = {
    "rhombohedral_without_operations.cif": ("Bi2", 70.8),
    "occupancy_dot.cif": ("Cs1Cl1", 68.9),
    "hall_symbol_only.cif": ("Na4Cl4", 179.4),
    "occupancy_0.9999.cif": ("Cs1Cl1", 68.9),
    "hydrogen_and_deuterium.cif": ("H1Cl1", 68.9),
    "two_valences.cif": ("Fe1O1", 79.5),
    "byte_order_mark.cif": ("Cs1Cl1", 68.9),
}
REFUSED = {
    "no_species_line.poscar": "does not name its species",
    "hydrogen_only_in_formula.cif": "H is missing",
    "type_symbol_hydroxide.cif": "type symbol 'OH' of site O1",
    "two_elements_on_one_site.cif": "O1 and H1 hold two elements at one place",
    "water_label.cif": "label 'Wat1'",
    "two_blocks.cif": "holds 2 crystals.*load_structures",
    "decimal_comma.cif": "'4,1', which is not a number; decimals need a point",
    "duplicated_atom.cif": r"sites Cs1 and Cs2 coincide.*Occupancy 2\.0 exceeded tolerance",
    "overlapping_atoms.poscar": r"sites 0 and 1 are 0\.600 Å apart",
    "two_frames.extxyz": "holds 2 crystals.*load_structures",
}


def test_every_file_has_a_test():
    assert {path.name for path in FILES.iterdir()} == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", READ)
def test_files_that_are_read(name):
    formula, volume = READ[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (structure,) = check_structures([FILES / name])
    assert structure.formula.replace(" ", "") == formula
    assert structure.volume == pytest.approx(volume, abs=0.1)
    # Only the rounded occupancy is an assumption.
    assert [warning.category for warning in caught] == (
        [InvalidStructureWarning] if "0.9999" in name else []
    )


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_refused(name):
    """The error names the row, the file and the reason, and no warning is printed beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidStructureError, match=REFUSED[name]) as caught:
            check_structures([FILES / "byte_order_mark.cif", FILES / name])
    assert caught.value.index == 1
    assert name in str(caught.value)


def test_two_valences_as_an_object():
    from pymatgen.core import Lattice, Structure

    structure = Structure(
        Lattice.cubic(4.3), [{"Fe2+": 0.5, "Fe3+": 0.5}, "O2-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    assert check_structures([structure])[0].formula == "Fe1 O1"
