"""`infer_lattice`: the lattice of the atoms of a cell."""

import numpy as np
import pandas as pd
import pytest
from crystals import (
    b2_nial,
    bcc_fe,
    diamond_si,
    fcc_cu,
    hcp_mg,
    l12_cu3au,
    perovskite,
    rocksalt_nacl,
    sc_po,
    wurtzite_zno,
)
from pymatgen.core import Composition, Lattice, Structure

from sklmat import StructureFeaturizer, infer_lattice
from sklmat.exceptions import InvalidStructureWarning


def row(structure, groups=None):
    return StructureFeaturizer(groups=groups).fit_transform([structure]).iloc[0]


IDEAL = {
    "bcc": [bcc_fe, b2_nial],
    "fcc": [fcc_cu, l12_cu3au],
    "hcp": [hcp_mg],
    "sc": [sc_po, rocksalt_nacl],
    "diamond": [diamond_si],
    "other": [perovskite, wurtzite_zno],
}


@pytest.mark.parametrize(("label", "build"), [(k, f) for k, v in IDEAL.items() for f in v])
def test_lattice_of_textbook_crystals(label, build):
    structure = build()
    assert infer_lattice([structure, structure * (2, 1, 3)]).tolist() == [label, label]


@pytest.mark.parametrize("label", ["bcc", "fcc", "hcp", "sc", "diamond"])
def test_lattice_survives_displacements_and_strain(label):
    structure = IDEAL[label][0]() * (3, 3, 3)
    nearest = structure.distance_matrix[0, 1:].min()
    rng = np.random.default_rng(0)
    shaken = []
    for strain in (0.97, 1.0, 1.03):
        matrix = structure.lattice.matrix @ np.diag([strain, 1, 1])
        moves = rng.normal(size=(len(structure), 3)) * 0.07 * nearest / np.sqrt(3)
        coords = structure.frac_coords @ matrix + moves
        shaken.append(Structure(matrix, structure.species, coords, coords_are_cartesian=True))
    assert infer_lattice(shaken).tolist() == [label] * 3


@pytest.mark.parametrize(("a", "one", "three"), [(4.556, "Si", "Cr"), (5.29, "Sn", "Nb")])
def test_a15_is_not_bcc_with_displacements_either(a, one, three):
    sites = [[0, 0, 0], [0.25, 0, 0.5]]
    crystal = Structure.from_spacegroup("Pm-3n", Lattice.cubic(a), [one, three], sites)
    assert len(crystal) == 8
    crystal *= (2, 2, 2)
    rng = np.random.default_rng(0)
    displaced = []
    for fraction in (0.01, 0.03, 0.05):
        # The nearest neighbours are half a lattice parameter apart.
        moves = rng.normal(size=(len(crystal), 3)) * fraction * a / 2 / np.sqrt(3)
        coords = crystal.cart_coords + moves
        moved = Structure(crystal.lattice, crystal.species, coords, coords_are_cartesian=True)
        displaced.append(moved)
    assert infer_lattice([crystal, *displaced]).tolist() == ["other"] * 4


def test_zinc_is_hcp_in_spite_of_its_axes_and_a_gas_is_other():
    lattice, sites = Lattice.hexagonal(2.66, 4.95), [[1 / 3, 2 / 3, 0.25]]
    zinc = Structure.from_spacegroup("P6_3/mmc", lattice, ["Zn"], sites)
    rng = np.random.default_rng(1)
    points = (np.indices((4, 4, 4)).reshape(3, -1).T + 0.6 * rng.random((64, 3))) / 4
    gas = Structure(Lattice.cubic(12), ["Xe"] * 64, points)
    assert infer_lattice([zinc, gas]).tolist() == ["hcp", "other"]


def test_small_molecule_without_images_is_other():
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    molecule = Structure(box, ["O", "O"], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.62]])
    assert infer_lattice([molecule]).tolist() == ["other"]
    with pytest.warns(InvalidStructureWarning, match="shell 2 distance"):
        values = row(molecule)
    assert values["mean nearest-neighbour distance (Å)"] == pytest.approx(1.2)
    assert values["mean coordination number"] == 1
    assert np.isnan(values["mean shell 2 distance (Å)"])


# the real alloys
@pytest.fixture(scope="module")
def relaxed_alloys(data_home):
    folder = data_home / "eftgan" / "HAE_Data"
    labels = pd.read_csv(folder / "Out_labels" / "Database.csv")
    rmsd = {}
    for name, value in zip(labels["structures"], labels["rmsd (\\AA)"]):
        formula, phase = name.rsplit("_sqs", 1)
        rmsd[Composition(formula).reduced_formula, phase] = value
    rows = []
    for path in sorted(folder.glob("*_POSCAR_Files/POSCAR_*")):
        formula, phase = path.name.removeprefix("POSCAR_").rsplit("_sqs", 1)
        key = Composition(formula).reduced_formula, phase
        if key in rmsd:
            rows.append((formula, phase, rmsd[key], Structure.from_file(path)))
    return pd.DataFrame(rows, columns=["formula", "phase", "rmsd", "structure"])


def test_lattice_of_relaxed_alloys(relaxed_alloys):
    table = relaxed_alloys
    found = infer_lattice(table["structure"])
    stayed = found == table["phase"]
    assert (found != "other").all()
    assert stayed[table["rmsd"] < 0.29].all()
    # Large displacements are those of cells that left the lattice they started on.
    assert table["rmsd"][~stayed].min() > 0.29
    assert (~stayed).sum() == 120
    names = (table["formula"] + "_" + table["phase"]).to_numpy()
    assert found[names == "NiFe3_fcc"] == "bcc"
    assert found[names == "Ni3Co_bcc"] == "fcc"
    assert found[names == "NiCo_bcc"] == "hcp"


@pytest.mark.slow
def test_relaxed_alloys_have_left_the_lattice_of_their_label(data_home):
    from sklmat.datasets import fetch_hea

    frame = (data := fetch_hea(data_home=data_home)).frame
    moved = infer_lattice(data.data) != frame["phase"].to_numpy()
    assert moved.sum() == 120
    assert (moved & (frame["phase"] == "bcc")).sum() == 98
    assert frame["rmsd (Å)"][moved].min() >= 0.29
    assert not moved[(frame["rmsd (Å)"] < 0.29).to_numpy()].any()
