"""Files and texts of every kind that one row can be."""

import gzip
import json
import os
import warnings

import numpy as np
import pandas as pd
import pytest
from cif_text import cif
from crystals import b2_cscl, bcc_fe, rocksalt_nacl
from pymatgen.core import Composition, Molecule, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from sklmat import (
    InvalidStructureError,
    InvalidStructureWarning,
    StructureToGraph,
    check_structures,
)
from sklmat.structures import read_crystals

VASP = "CsCl\n1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1\nCs Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
EXTXYZ = (
    '2\nLattice="4.1 0 0 0 4.1 0 0 0 4.1" Properties=species:S:1:pos:R:3 energy=-6.5 '
    'config=bulk pbc="T T T"\nCs 0 0 0\nCl 2.05 2.05 2.05\n'
)


def formula(item):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return check_structures([item])[0].formula


def refused(item):
    with pytest.raises(InvalidStructureError) as caught:
        check_structures([bcc_fe(), item])
    assert caught.value.index == 1
    return str(caught.value)


# -- texts


@pytest.mark.parametrize(
    "text",
    [
        cif(),
        "\ufeff" + cif(),
        VASP,
        EXTXYZ,
        json.dumps(b2_cscl().as_dict()),
        json.dumps(b2_cscl().as_dict(), indent=1),
        json.dumps({"structure": b2_cscl().as_dict(), "energy": -6.5}),
        np.str_(cif()),
        cif().encode(),
        VASP + "\n0.1 0.1 0.1\n0 0 0\n",
        VASP.replace("Direct\n0 0 0\n0.5 0.5 0.5", "Select\nDirect\n0 0 0 T T F\n.5 .5 .5 T T T"),
        VASP.replace("0 0 0\n0.5 0.5 0.5", "0 0 0 Cs\n0.5 0.5 0.5 Cl"),
        VASP.replace("Cs Cl\n1 1", "Cs_sv Cl/abc\n1 1"),
    ],
)
def test_text_of_a_file(text):
    assert formula(text) == "Cs1 Cl1"


def test_a_table_column_of_texts():
    column = pd.DataFrame({"structure": [cif(), VASP]})["structure"]
    assert [s.formula for s in check_structures(column)] == ["Cs1 Cl1"] * 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no\nfile\n", "neither a CIF, a POSCAR, JSON nor extxyz"),
        ("[1, 2]", "dict with lattice and sites"),
        ('{"columns": ["structure"], "data": []}', "many rows; load_structures(path) reads it"),
        ("{not json}", "JSON cannot be read"),
        ("x" * 5000, "File name too long"),
        (VASP.replace("Cs Cl\n", "").replace("CsCl", "mine"), "does not name its species"),
        (VASP.replace("0.5 0.5 0.5\n", ""), "counts 2 atoms, but gives 1 coordinates"),
        (VASP + "0.2 0.2 0.2\n", "counts 2 atoms, but more lines of coordinates follow"),
        (VASP.replace("Cs Cl", "Cs Cl O"), "names 3 species (Cs Cl O), but gives 2 numbers"),
        (VASP.replace("0.5 0.5 0.5", "0.5 0.5 0.5 Br"), "atom 2 of the POSCAR is Br"),
        (VASP.replace("Direct\n", "") + "0.1 0.1 0.1\n", "direct or Cartesian"),
        (VASP.replace("0.5 0.5 0.5", "0.5 0.5 half"), "gives 1 coordinates"),
        (VASP.replace("Cs Cl", "Cs OH"), "POSCAR cannot be read"),
        ("", "an empty string names no file"),
    ],
)
def test_texts_that_are_refused(text, reason):
    assert reason in refused(text)
    with pytest.warns(InvalidStructureWarning, match="cannot be used"):
        structures = check_structures([bcc_fe(), text], on_invalid="warn")
    assert structures[1] is None


# -- paths


def test_kinds_of_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = tmp_path / "cscl.cif"
    path.write_text(cif())
    for item in (path, str(path), os.fsencode(path), "~/cscl.cif"):
        assert formula(item) == "Cs1 Cl1"
    graphs = StructureToGraph(n_jobs=2).transform([os.fsencode(path), str(path)])
    assert len(graphs) == 2


def test_compressed_and_structured_files(tmp_path):
    from ruamel.yaml import YAML

    (tmp_path / "a.cif.gz").write_bytes(gzip.compress(cif().encode()))
    (tmp_path / "POSCAR").write_text(VASP)
    (tmp_path / "relaxed.vasp").write_text(VASP)
    (tmp_path / "structure").write_text(cif())
    (tmp_path / "b.json").write_text(json.dumps(b2_cscl().as_dict()))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps(b2_cscl().as_dict()).encode()))
    with open(tmp_path / "d.yaml", "w") as file:
        YAML(typ="safe").dump(json.loads(b2_cscl().to_json()), file)
    (tmp_path / "e.extxyz").write_text(EXTXYZ)
    b2_cscl().to(filename=str(tmp_path / "f.xsf"), fmt="xsf")
    for path in sorted(tmp_path.iterdir()):
        assert formula(path) == "Cs1 Cl1", path.name


def test_properties_of_frames(tmp_path):
    path = tmp_path / "frames.extxyz"
    path.write_text(EXTXYZ + EXTXYZ.replace("-6.5", "-6.4"))
    first, second = read_crystals(path)
    assert (first.name, second.name) == ("0", "1")
    assert first.properties == {"config": "bulk", "energy": -6.5}
    assert second.properties["energy"] == -6.4
    assert "holds 2 crystals" in refused(path)


def test_ase_trajectory_and_database(tmp_path):
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.db import connect
    from ase.io import write
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = AseAtomsAdaptor.get_atoms(b2_cscl())
    atoms.calc = SinglePointCalculator(atoms, energy=-6.5)
    write(tmp_path / "run.traj", [atoms])
    with connect(tmp_path / "rows.db") as database:
        database.write(atoms, band_gap=8.3)
        row = database.get(1)
    assert formula(tmp_path / "run.traj") == "Cs1 Cl1"
    assert formula(tmp_path / "rows.db") == "Cs1 Cl1"
    assert formula(row) == "Cs1 Cl1"
    (found,) = read_crystals(tmp_path / "rows.db")
    assert found.name == "1"
    assert found.properties == {"band_gap": 8.3, "energy": -6.5}


def test_objects_with_a_structure():
    entry = ComputedStructureEntry(b2_cscl(), -6.5)
    assert check_structures([entry])[0] is entry.structure
    assert formula(entry.as_dict()) == "Cs1 Cl1"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("NaCl", "a formula has no structure: CompositionFeaturizer takes formulas"),
        ("Cu1 Ni2 Pd1", "a formula has no structure: CompositionFeaturizer takes formulas"),
        ("mp-149", "id of a database entry"),
        ("nowhere.cif", "no such file"),
        ("~nobody/nowhere.cif", "no such file"),
        ("a\0b.cif", "embedded null"),
        (Composition("NaCl"), "a composition is not a structure"),
        (Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]]), "a Molecule has no lattice"),
    ],
)
def test_what_is_no_structure(item, reason):
    assert reason in refused(item)


def test_files_that_no_reader_knows(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("no structure")
    assert "no reader knows a file of this name and content; pass a CIF" in refused(path)


def test_a_folder_is_no_crystal(tmp_path):
    assert "is a folder; pass its files, or read them with load_structures" in refused(tmp_path)


def test_a_table_is_no_column():
    table = pd.DataFrame({"structure": [bcc_fe()]})
    with pytest.raises(ValueError, match=r"pass its column of structures, such as table\['structu"):
        check_structures(table)


def test_files_are_read_once(tmp_path, monkeypatch):
    import monty.io

    path = tmp_path / "cscl.cif"
    path.write_text(cif())
    opened = []
    original = monty.io.zopen
    monkeypatch.setattr(monty.io, "zopen", lambda *args: opened.append(args[0]) or original(*args))
    check_structures([path])
    StructureToGraph().transform([path])
    assert opened == [path, path]


def test_warnings_of_pymatgen_are_given_once_with_row_and_file(tmp_path):
    """A POSCAR with selective dynamics that fixes no atom: pymatgen announces this."""
    path = tmp_path / "POSCAR"
    text = VASP.replace("Direct", "Selective dynamics\nDirect")
    path.write_text(text.replace("0 0 0\n0.5 0.5 0.5", "0 0 0 T T T\n0.5 0.5 0.5 T T T"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (structure,) = check_structures([path])
    assert structure.formula == "Cs1 Cl1"
    (warning,) = caught
    assert "structure 0 (Cs1Cl1)" in str(warning.message)
    assert "selective dynamics" in str(warning.message)
    assert f"(file {path})" in str(warning.message)


def test_species_in_the_first_line_of_a_poscar():
    old = VASP.replace("Cs Cl\n", "")
    with pytest.warns(InvalidStructureWarning, match="species were taken from the first line"):
        (structure,) = check_structures([old.replace("CsCl", "Cs Cl")])
    assert structure.formula == "Cs1 Cl1"
    for comment in ("Cs", "Cs Cl O", "Cs chloride", "old format"):
        assert "POSCAR" in refused(old.replace("CsCl", comment))


def test_notes_of_files_that_processes_read(tmp_path):
    text = cif(("Cs Cs1 0 0 0 0.9999", "Cl Cl1 0.5 0.5 0.5 1"))
    paths = [tmp_path / f"{k}.cif" for k in range(3)]
    for path in paths:
        path.write_text(text)
    for n_jobs in (1, 2):
        with pytest.warns(InvalidStructureWarning) as caught:
            StructureToGraph(n_jobs=n_jobs).transform(paths)
        assert len(caught) == 1
        assert all(f"structure {k} (Cs1Cl1)" in str(caught[0].message) for k in range(3))


def test_occupancies_of_objects():
    structure = Structure(rocksalt_nacl().lattice, [{"Na": 0.9995}], [[0, 0, 0]])
    before = structure.copy()
    with pytest.warns(InvalidStructureWarning, match=r"occupancy 0\.9995 of site 0"):
        (out,) = check_structures([structure])
    assert out.is_ordered
    assert structure == before


# -- POSCARs in other units and spellings


@pytest.mark.parametrize(
    "change",
    [
        ("1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1", "-68.921\n1 0 0\n0 1 0\n0 0 1"),
        ("1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1", "2.05\n2 0 0\n0 2 0\n0 0 2"),
        ("1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1", "4.1 2.05 1\n1 0 0\n0 2 0\n0 0 4.1"),
        ("1.0\n4.1 0 0", "1.0D0 ! scale\n.41d1 0 0 # a"),
        ("0.5 0.5 0.5", "0.5 0.5 0.5 ! H"),
    ],
)
def test_scales_and_comments_of_a_poscar(change):
    (structure,) = check_structures([VASP.replace(*change)])
    assert structure.volume == pytest.approx(68.921)
    np.testing.assert_allclose(structure.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-12)


def test_cartesian_coordinates_are_scaled_like_the_lattice():
    cartesian = VASP.replace("Direct\n0 0 0\n0.5 0.5 0.5", "Cartesian\n0 0 0\n0.5 1 0.25")
    three = cartesian.replace("1.0\n4.1 0 0\n0 4.1 0\n0 0 4.1", "4 2 8\n1 0 0\n0 2 0\n0 0 1")
    volume = three.replace("4 2 8\n1 0 0\n0 2 0\n0 0 1", "-64\n1 0 0\n0 2 0\n0 0 1")
    np.testing.assert_allclose(check_structures([three])[0].cart_coords[1], [2, 2, 2])
    expected = np.array([0.5, 1, 0.25]) * 32 ** (1 / 3)
    np.testing.assert_allclose(check_structures([volume])[0].cart_coords[1], expected)


# -- frames


def test_empty_lines_between_frames_and_ids_as_written(tmp_path):
    path = tmp_path / "frames.extxyz"
    frame = EXTXYZ.replace("config=bulk", "id=007")
    path.write_text(frame + "\n\n" + frame.replace("007", "1e5") + "\n" + frame.replace("007", "T"))
    assert [found.properties["id"] for found in read_crystals(path)] == ["007", "1e5", "T"]
    for wrong in (frame[:-20], frame + "two\n"):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"cut off|not the number of atoms"):
            read_crystals(path)


def test_more_columns_than_there_are_are_refused(tmp_path):
    """ASE makes a name for each column of Properties, a hundred million of them, too."""
    path = tmp_path / "frames.extxyz"
    for properties in ("species:S:1:pos:R:100000000", "species:S:1:pos:R:3:forces:R:3"):
        path.write_text(EXTXYZ.replace("species:S:1:pos:R:3", properties))
        with pytest.raises(ValueError, match=r"line 2 names \d+ columns of Properties, and line 3"):
            read_crystals(path)


def test_a_file_without_frames_is_refused(tmp_path):
    (tmp_path / "empty.extxyz").write_text("\n")
    assert "the file holds no frames" in refused(tmp_path / "empty.extxyz")


@pytest.mark.parametrize("occupancy", [1.0, {"0": 1.0}, "1 1", [1.0, 1.0]])
def test_occupancies_of_atoms_in_any_form(occupancy):
    from ase.build import bulk

    atoms = bulk("Cu")
    atoms.info["occupancy"] = occupancy
    if occupancy == "1 1":
        assert "partial occupancy" in refused(atoms)
        return
    assert formula(atoms) == "Cu1"
    atoms.info["occupancy"] = 0.5
    assert "partial occupancy" in refused(atoms)


def test_atomic_numbers_that_do_not_exist():
    from ase import Atoms

    assert "site 0 is a dummy species" in refused(Atoms(numbers=[150], cell=[3, 3, 3], pbc=True))


def test_names_that_occur_twice_in_json():
    text = json.dumps(bcc_fe().as_dict())
    assert "'a' occurs twice" in refused('{"a": ' + text + ', "a": ' + text + "}")
    assert "cannot be read" in refused("[" * 100_000)


def test_long_texts_that_are_no_file_are_refused_at_once():
    import time

    start = time.perf_counter()
    assert "neither a CIF" in refused("x\n" + "\n" * 100_000)
    assert "not a valid CIF" in refused(cif() + "_title " + "word " * 5000 + "'")
    assert time.perf_counter() - start < 2
