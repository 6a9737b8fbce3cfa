"""`StructureFeaturizer` on slabs, wires and molecules, and on cells with vacuum."""

import warnings

import numpy as np
import pytest
from ase.build import fcc111, graphene, molecule, mx2, nanotube
from crystals import fcc_cu, rocksalt_nacl
from pymatgen.core import Lattice, Structure

from sklmat import StructureFeaturizer
from sklmat.exceptions import InvalidStructureWarning
from sklmat.features._undefined_values import largest_gaps
from sklmat.structures import crystal_arrays

GROUPS = ["volume", "distances", "coordination", "order", "symmetry", "lattice"]


def build(name, vacuum):
    """A structure with `vacuum` (Å) beyond its atoms in directions that are not periodic."""
    if name == "H2O":
        atoms = molecule("H2O")
        atoms.center(vacuum=vacuum)
        return atoms
    atoms, periodic = {
        "graphene": lambda: (graphene(vacuum=vacuum), (True, True, False)),
        "MoS2": lambda: (mx2("MoS2", vacuum=vacuum), (True, True, False)),
        "slab": lambda: (fcc111("Cu", (1, 1, 4), vacuum=vacuum), (True, True, False)),
        "wire": lambda: (nanotube(3, 0, vacuum=vacuum), (False, False, True)),
    }[name]()
    atoms.pbc = periodic
    return atoms


@pytest.mark.parametrize("name", ["graphene", "MoS2", "slab", "wire", "H2O"])
@pytest.mark.filterwarnings("ignore:deviation from bcc:sklmat.exceptions.InvalidStructureWarning")
def test_vacuum_and_place_in_the_cell_do_not_matter(name):
    rows = []
    for vacuum in (4, 15):
        for shift in (0, 1.7, -vacuum - 3):  # the last one crosses the boundary of the cell
            atoms = build(name, vacuum)
            atoms.positions[:, ~atoms.pbc] += shift
            atoms.positions[:, atoms.pbc] += 0.3 * shift
            rows.append(atoms[::-1])
    values = StructureFeaturizer(groups=GROUPS).fit_transform(rows).to_numpy()
    np.testing.assert_allclose(values, values[[0] * len(rows)], rtol=1e-9, atol=1e-9)


def test_graphene_by_hand():
    values = StructureFeaturizer().fit_transform([build("graphene", 10)]).iloc[0]
    assert values["area per atom (Å²)"] == pytest.approx(np.sqrt(3) / 4 * 2.46**2)
    assert values["mean coordination number"] == 3
    assert values["ratio of shell 2 to shell 1 distance"] == pytest.approx(np.sqrt(3))
    assert values["space group number"] == 191
    assert np.isfinite(values).all()
    assert not [name for name in values.index if "volume" in name or "density" in name]


def test_symmetry_of_a_square_layer_is_not_cubic():
    lattice = Lattice(np.eye(3) * 3, pbc=(True, True, False))
    layer = Structure(lattice, ["Fe"], [[0, 0, 0]])
    values = StructureFeaturizer(groups=["symmetry"]).fit_transform([layer]).iloc[0]
    assert values.tolist() == [123, 4, 16]  # P4/mmm


def test_length_of_a_wire():
    lattice = Lattice([[20, 0, 0], [0, 20, 0], [0, 0, 2.5]], pbc=(False, False, True))
    chain = Structure(lattice, ["C"], [[0, 0, 0]])
    values = StructureFeaturizer(groups=["volume", "coordination"]).fit_transform([chain]).iloc[0]
    assert values["length per atom (Å)"] == pytest.approx(2.5)
    assert values["mean coordination number"] == 2


def test_undefined_values_are_nan_with_a_warning():
    rows = [fcc_cu(), build("graphene", 8), build("wire", 8)]
    with pytest.warns(InvalidStructureWarning, match=r"row 1 \(C2, periodic in 2") as caught:
        values = StructureFeaturizer().fit_transform(rows)
    assert [warning.filename for warning in caught] == [__file__]
    assert values["periodic directions"].tolist() == [3, 2, 1]
    for name in ("volume per atom (Å³)", "density (g/cm³)", "packing fraction"):
        assert np.isnan(values[name]).tolist() == [False, True, True]
        assert name in str(caught[0].message)
    assert np.isnan(values["relative nearest-neighbour distance"]).tolist() == [False, True, True]
    assert np.isnan(values["area per atom (Å²)"]).tolist() == [True, False, True]
    assert np.isnan(values["space group number"]).tolist() == [False, False, True]


def test_slab_for_a_model_of_bulk_crystals():
    featurizer = StructureFeaturizer(groups=["volume", "coordination"]).fit([fcc_cu()])
    with pytest.warns(InvalidStructureWarning, match="volume per atom"):
        values = featurizer.transform([build("slab", 10)]).iloc[0]
    assert values["mean coordination number"] == (9 + 12) / 2
    assert np.isnan(values["volume per atom (Å³)"])


def test_groups_without_columns_for_molecules():
    with pytest.raises(ValueError, match=r"\['volume'\] have no column"):
        StructureFeaturizer(groups=["volume"]).fit([build("H2O", 5)])


def test_vacuum_in_a_periodic_direction_is_reported():
    slab = build("graphene", 10)
    slab.pbc = True
    with pytest.warns(InvalidStructureWarning, match=r"row 1 \(C2, 20.0 Å along c\)") as caught:
        StructureFeaturizer().fit_transform([fcc_cu(), slab])
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StructureFeaturizer(groups=["coordination"]).fit_transform([slab])


def test_largest_gaps_by_hand():
    oblique = Structure([[3, 0, 0], [0, 4, 0], [3, 0, 10]], ["Cu", "Cu"], [[0, 0, 0], [0, 0, 0.3]])
    gaps = largest_gaps(crystal_arrays([oblique, rocksalt_nacl()]))
    # The planes (100) of the oblique cell are 3 · 10 / √109 Å apart.
    np.testing.assert_allclose(gaps[0], [30 / np.sqrt(109), 4, 7])
    np.testing.assert_allclose(gaps[1], [rocksalt_nacl().lattice.a / 2] * 3)
