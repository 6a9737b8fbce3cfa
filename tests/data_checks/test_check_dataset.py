"""Duplicates, contradicting labels, targets that grow with the cell, and what cannot be read."""

import json

import numpy as np
import pandas as pd
import pytest
from crystals import bcc_fe, fcc_cu, perovskite, random_alloys, rocksalt_nacl, wurtzite_zno
from pymatgen.core import Lattice, Structure

from sklmat import InvalidRowsError, check_dataset, load_structures
from sklmat.data_checks._find_duplicates import find_duplicates
from sklmat.data_checks._size_dependence import size_dependence
from sklmat.datasets import fetch_hea


def other_descriptions(structure):
    """The same crystal in other cells, with another origin, order, setting, charges or rounding."""
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.13, 0.27, 0.41])
    turned = Structure(
        Lattice.from_parameters(*structure.lattice.parameters),
        structure.species[::-1],
        structure.frac_coords[::-1] + np.array([2, -1, 0]),
    )
    charged = structure.copy()
    charged.add_oxidation_state_by_element({e.symbol: 1 for e in structure.elements})
    rounded = Structure(
        np.round(structure.lattice.matrix, 3), structure.species, np.round(structure.frac_coords, 3)
    )
    return {
        "supercell": structure.make_supercell([2, 1, 3], in_place=False),
        "sheared": structure.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 1]], in_place=False),
        "primitive": structure.get_primitive_structure(),
        "origin": moved,
        "order": turned,
        "charges": charged,
        "rounding": rounded,
    }


@pytest.mark.parametrize("make", [bcc_fe, rocksalt_nacl, wurtzite_zno, perovskite])
def test_one_crystal_in_other_cells(make):
    structure = make()
    others = other_descriptions(structure)
    assert find_duplicates([fcc_cu(), structure, *others.values()]) == [[*range(1, 9)]]


def test_other_crystals_are_no_duplicates():
    strained = bcc_fe()
    strained.scale_lattice(strained.volume * 1.02)
    fcc = Structure(Lattice.cubic(3.616), ["Fe"] * 4, fcc_cu().frac_coords)
    displaced = rocksalt_nacl()
    displaced.translate_sites([0], [0.02, 0, 0])
    assert find_duplicates([bcc_fe(), strained, fcc]) == []
    assert find_duplicates([rocksalt_nacl(), displaced]) == []
    assert find_duplicates(random_alloys(12)) == []


def test_slabs_wires_and_molecules():
    """The vacuum belongs to the cell, and a shift within it changes nothing."""
    for pbc in [(True, True, False), (True, False, False), (False, False, False)]:
        lattice = Lattice(np.diag([3.0, 4.0, 20.0]), pbc=pbc)
        sites = np.array([[0, 0, 0.2], [0.5, 0.5, 0.3]])
        first = Structure(lattice, ["Al", "Al"], sites)
        shifted = Structure(lattice, ["Al", "Al"], sites + np.array([0, 0, 0.25]))
        wider = Structure(lattice, ["Al", "Al"], [[0, 0, 0.2], [0.5, 0.5, 0.4]])
        assert find_duplicates([first, shifted, wider]) == [[0, 1]]


def test_arrangements_of_one_alloy():
    """Cu3Au in its ordered cell, doubled, and with one pair exchanged."""
    ordered = Structure(Lattice.cubic(3.75), ["Au", "Cu", "Cu", "Cu"], fcc_cu().frac_coords)
    doubled = ordered.make_supercell([1, 1, 2], in_place=False)
    exchanged = doubled.copy()
    first_gold, first_copper = exchanged.indices_from_symbol("Au")[0], 3
    exchanged.replace(first_gold, "Cu")
    exchanged.replace(first_copper, "Au")
    assert exchanged.composition == doubled.composition
    assert find_duplicates([exchanged, ordered, doubled], n_jobs=2) == [[1, 2]]


# -- labels


def table_of(structures, **columns):
    return pd.DataFrame({"structure": structures, **columns})


def test_labels_of_duplicates():
    iron = bcc_fe()
    larger = iron.make_supercell([2, 1, 1], in_place=False)
    structures = [iron, fcc_cu(), larger, rocksalt_nacl(), fcc_cu()]
    # The standard deviation of the labels is 3.4: 0.1 is within 5 %, 1 is not.
    report = check_dataset(table_of(structures, y=[0.0, 5, 1, 9, 5.1]))
    assert report.duplicates == [["0", "2"], ["1", "4"]]
    assert report.contradictions == [{"ids": ["0", "2"], "target": "y", "values": [0, 1]}]
    labels = check_dataset(table_of(structures, y=["a", "b", "a", "c", "c"]), target="y")
    assert labels.contradictions == [{"ids": ["1", "4"], "target": "y", "values": ["b", "c"]}]
    assert "4 rows are descriptions of 2 crystals" in report.findings[0]
    assert "the labels of 1 crystal differ" in report.findings[1]
    assert "y: 0 0.0, 2 1.0" in str(report)


def test_constant_targets():
    structures = [bcc_fe(), fcc_cu()]
    assert check_dataset(table_of(structures, y=[1, 1])).constant_targets == ["y"]
    assert check_dataset(table_of(structures, y=[1, 2])).constant_targets == []
    assert check_dataset(structures).findings == []


# -- size


def test_targets_that_grow_with_the_cell(data_home):
    alloys = fetch_hea(data_home=data_home, verbose=False)
    n_atoms = np.array([len(structure) for structure in alloys.data])
    formulas = [structure.composition.reduced_formula for structure in alloys.data]
    energy = alloys.frame["total energy (eV/atom)"].to_numpy()
    volume = alloys.frame["volume (Å³/atom)"].to_numpy()
    for values in (energy, volume, alloys.frame["mixing energy (eV/atom)"].to_numpy()):
        assert size_dependence(values, n_atoms, formulas) is None
    for values in (energy, volume):
        growth = size_dependence(values * n_atoms, n_atoms, formulas)
        assert growth["exponent"] == pytest.approx(1, abs=0.05)
        assert growth["compared"] == "crystals of equal formulas"
        # Without cells of equal formulas, all crystals are compared.
        growth = size_dependence(values * n_atoms, n_atoms, list(map(str, range(len(n_atoms)))))
        assert growth["exponent"] == pytest.approx(1, abs=0.1)
        assert growth["compared"] == "crystals"
        assert size_dependence(values, n_atoms, list(map(str, range(len(n_atoms))))) is None


def test_cells_of_one_formula_decide():
    """A property that depends on the formula, and by chance on the size, is not per cell."""
    rng = np.random.default_rng(0)
    n_atoms = np.repeat([2, 4, 8, 16, 32], 6)
    formulas = [f"formula {n}" for n in n_atoms]
    by_chance = n_atoms + 0.1 * rng.normal(size=30)
    assert size_dependence(by_chance, n_atoms, formulas)["exponent"] == pytest.approx(1, abs=0.05)
    doubled, again = np.concatenate([n_atoms, 2 * n_atoms]), np.concatenate([by_chance, by_chance])
    assert size_dependence(again, doubled, formulas + formulas) is None


def test_size_needs_numbers_and_crystals():
    n_atoms = np.arange(1, 10)
    assert size_dependence(n_atoms * 1.0, n_atoms, list("abcdefghi")) is None
    labels = np.array(["a"] * 20)
    assert size_dependence(labels, np.arange(1, 21), list(labels)) is None
    zeros = np.zeros(20)
    assert size_dependence(zeros, np.arange(1, 21), list(labels)) is None


# -- the whole report


@pytest.fixture
def folder(tmp_path):
    iron = bcc_fe()
    iron.to(str(tmp_path / "a.cif"))
    iron.make_supercell([2, 1, 1], in_place=False).to(str(tmp_path / "b.cif"))
    rocksalt_nacl().to(str(tmp_path / "c.cif"))
    (tmp_path / "id_prop.csv").write_text("id,y,gap\na,1,\nb,2,0.5\nc,9,0.5\nd,4,1\n")
    return tmp_path


def test_report_of_a_folder(folder):
    report = check_dataset(folder, target="y")
    assert report.n_crystals == 3
    assert report.elements == {"Fe": 2, "Na": 1, "Cl": 1}
    assert report.sizes == {"min": 2, "median": 4, "max": 8}
    assert report.missing == {"gap": 1}
    assert report.rejected["id"].tolist() == ["d"]
    text = str(report)
    for part in (
        "3 crystals, target: y",
        "atoms per cell: 2 to 8, median 4",
        "crystals with each of 3 elements: Fe 2, Na 1, Cl 1",
        "missing values: gap 1",
        "- 1 row or file unusable",
        "row 3, id d, file d: there is no file d",
        "a, b",
    ):
        assert part in text


def test_report_is_plain_data(folder):
    report = check_dataset(folder, target="y")
    document = json.loads(json.dumps(report.to_dict()))
    assert list(document) == [
        "version",
        "source",
        "n_crystals",
        "targets",
        "findings",
        "rejected",
        "duplicates",
        "contradictions",
        "size_dependence",
        "constant_targets",
        "elements",
        "sizes",
        "missing",
        "notes",
    ]
    assert document["version"] == 1
    assert document["duplicates"] == [["a", "b"]]
    assert document["rejected"][0]["row"] == 3


def test_a_bunch_and_several_targets(folder):
    bunch = load_structures(folder, target=["y", "gap"], on_invalid="drop")
    report = check_dataset(bunch)
    assert report.targets == ["y", "gap"]
    assert report.missing == {"gap": 1}
    assert report.duplicates == [["a", "b"]]


def test_what_was_assumed_is_a_note(folder):
    text = (folder / "c.cif").read_text()
    sites = text.index("_atom_site_occupancy")
    (folder / "c.cif").write_text(text[:sites] + text[sites:].replace(" 1\n", " 0.9999\n"))
    report = check_dataset(folder, target="y")
    assert any("0.9999" in note for note in report.notes)
    assert "assumed in reading" in str(report)


def test_nothing_can_be_read(tmp_path):
    (tmp_path / "x.cif").write_text("data_x\n")
    with pytest.raises(InvalidRowsError, match="1 of 1 rows"):
        check_dataset(tmp_path)
