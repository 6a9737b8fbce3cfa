"""Drawings of crystals."""

import numpy as np
import pandas as pd
import pytest
from crystals import bcc_fe, perovskite, random_alloys, rocksalt_nacl, sc_po, wurtzite_zno
from numpy.testing import assert_allclose
from pymatgen.core import Lattice, Structure

from sklmat import InvalidStructureError, StructureToGraph
from sklmat.plotting import CrystalDisplay


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_atoms_on_corners_edges_and_faces_have_images():
    counts = CrystalDisplay.from_structure(perovskite()).atoms_["element"].value_counts()
    assert counts.to_dict() == {"Ti": 8, "O": 12, "Sr": 1}
    assert len(CrystalDisplay.from_structure(rocksalt_nacl()).atoms_) == 27
    # An atom just below the upper face counts as one on the lower face.
    moved = sc_po()
    moved.translate_sites([0], [-0.01, 0.02, 0])
    assert len(CrystalDisplay.from_structure(moved).atoms_) == 8


def test_view_along_a_lattice_vector():
    display = CrystalDisplay.from_structure(bcc_fe(), direction=(0, 0, 1))
    atoms = display.atoms_
    # Along c: x is along a, y along b, and depth along c, from the farthest to the nearest.
    assert atoms["depth"].is_monotonic_increasing
    corner = {(x, y, z) for x in (0, 2.87) for y in (0, 2.87) for z in (0, 2.87)}
    found = set(map(tuple, atoms[["x", "y", "depth"]].round(6).to_numpy()))
    assert found == corner | {(1.435, 1.435, 1.435)}
    assert_allclose(atoms["radius"], 0.42 * 1.42)
    assert {"a", "b"} <= set(texts(display))
    assert "c" not in texts(display)
    assert " 1 Å" in texts(display)


def test_octahedra_are_visible_and_large_ions_have_no_bonds():
    display = CrystalDisplay.from_structure(perovskite())
    elements = np.array(["Sr", "Ti", "O", "O", "O"])
    assert {frozenset(pair) for pair in elements[display.bonds_]} == {frozenset(["Ti", "O"])}
    # Every edge of the cell is divided by an O into two bonds.
    assert len(display.bonds_) == 24
    assert len(CrystalDisplay.from_structure(perovskite(), bonds=False).bonds_) == 0
    # The chlorine of NaCl has no other bond: 6 around each of 27 atoms, 54 pairs inside the cell.
    assert len(CrystalDisplay.from_structure(rocksalt_nacl()).bonds_) == 54


def test_elements_have_colours_symbols_and_a_legend():
    from matplotlib.colors import to_rgba

    display = CrystalDisplay.from_structure(wurtzite_zno())
    assert legend(display) == ["O", "Zn"]
    assert {"Zn", "O", "a", "b", "c"} <= set(texts(display))
    faces = display.ax_.collections[0].get_facecolors()
    for color in ("#0072B2", "#D55E00"):
        assert (np.abs(faces - to_rgba(color)).sum(axis=1) < 1e-6).any()


def test_values_are_colours_around_zero():
    display = CrystalDisplay.from_structure(
        perovskite(), [0.1, -0.3, 0.0, 0.0, 0.2], label="attribution", unit="eV/atom"
    )
    assert display.limits_ == (-0.3, 0.3)
    assert display.colorbar_.ax.get_ylabel() == "attribution (eV/atom)"
    assert display.colorbar_.ax.get_ylim() == (-0.3, 0.3)
    assert legend(display) == ["below zero"]
    faces = display.ax_.collections[0].get_facecolors()
    lines = display.ax_.collections[0].get_linestyles()
    dashed = [face for face, (_, dashes) in zip(faces, lines) if dashes is not None]
    # Titanium, on eight corners: the end of the blue side.
    assert len(dashed) == 8
    assert all(blue > red for red, _, blue, _ in dashed)
    limited = CrystalDisplay.from_structure(perovskite(), [0.1, -0.3, 0, 0, 0.2], limits=(-0.2, 1))
    assert limited.colorbar_.ax.get_ylim() == (-0.2, 1)
    assert limited.colorbar_.extend == "min"
    assert limited.colorbar_.norm(0.0) == 0.5


def test_zero_values_can_be_drawn():
    display = CrystalDisplay.from_structure(sc_po(), [0.0])
    assert display.limits_ == (-1.0, 1.0)
    assert display.ax_.get_legend() is None


def test_attribution_of_one_row():
    X = random_alloys(3, n_cells=1)
    rows = [(r, s, X[r][s].specie.symbol, r + 0.1 * s) for r in range(3) for s in range(4)]
    table = pd.DataFrame(rows[::-1], columns=["row", "site", "element", "attribution"])
    display = CrystalDisplay.from_attribution(table, X, 2, unit="eV")
    assert_allclose(display.values, [2.0, 2.1, 2.2, 2.3])
    assert display.structure is X[2]
    assert display.colorbar_.ax.get_ylabel() == "attribution (eV)"
    graphs = StructureToGraph(cutoff=4.0).fit_transform(pd.Series(X, index=list("abc")))
    other = CrystalDisplay.from_attribution(table, graphs, 2)
    assert_allclose(other.atoms_["x"], display.atoms_["x"], atol=1e-6)
    with pytest.raises(ValueError, match="row must be from 0 to 2, got 3"):
        CrystalDisplay.from_attribution(table, X, 3)
    with pytest.raises(ValueError, match="row 0 of X is Fe2 with 2 sites"):
        CrystalDisplay.from_attribution(table, [bcc_fe()])
    with pytest.raises(ValueError, match="no column 'attribution'"):
        CrystalDisplay.from_attribution(table.drop(columns="attribution"), X)


def test_slabs_and_molecules():
    molecule = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
    for pbc, n_names in [((True, True, False), 2), ((False,) * 3, 0)]:
        cell = Structure(
            Lattice(12 * np.eye(3), pbc=pbc), "OHH", molecule, coords_are_cartesian=True
        )
        display = CrystalDisplay.from_structure(cell)
        assert sum(text in "abc" for text in texts(display)) == n_names
        assert len(display.bonds_) >= 2


def test_large_cells_have_no_symbols_but_sizes():
    crystal = perovskite() * (2, 4, 4)
    display = CrystalDisplay.from_structure(crystal, np.ones(160))
    assert legend(display) == ["O", "Ti", "Sr"]
    assert_allclose(display.atoms_["radius"].max(), 0.34 * 1.95)
    assert not {"O", "Ti", "Sr"} & set(texts(display))


def test_more_elements_than_colours_have_symbols():
    elements = ["Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Al", "Ti"]
    frac = [[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)]
    cell = Structure(Lattice.cubic(5.4), elements, frac)
    display = CrystalDisplay.from_structure(cell, direction=(4, 2, 9))
    assert display.ax_.get_legend() is None
    assert set(elements) <= set(texts(display))


def test_given_axes_are_used():
    import matplotlib.pyplot as plt

    _, (first, second) = plt.subplots(1, 2)
    display = CrystalDisplay.from_structure(sc_po(), ax=second)
    assert display.ax_ is second
    assert display.plot(ax=first).ax_ is first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": [1.0]}, "one number for each of the 2 sites of Fe2"),
        ({"values": [1.0, np.nan]}, "nan for site 1"),
        ({"direction": (0, 0, 0)}, "three ints that are not all zero"),
        ({"direction": "up"}, "'auto' or three ints"),
        ({"direction": 1}, "'auto' or three ints"),
        ({"limits": (1, 0)}, "limits must be two increasing numbers"),
    ],
)
def test_arguments_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        CrystalDisplay.from_structure(bcc_fe(), **arguments)


def test_invalid_crystals_are_refused():
    with pytest.raises(InvalidStructureError, match="apart"):
        CrystalDisplay.from_structure(
            Structure(Lattice.cubic(3), ["Fe"] * 2, [[0, 0, 0], [0, 0, 0.1]])
        )
