"""Short-range order by hand."""

import numpy as np
import pytest
from crystals import halide
from pymatgen.core import Lattice, Structure

from sklmat.features import DisorderFeaturizer
from sklmat.features._short_range_order import multipoles

PARENT = "on the parent lattice"


def row(structure, **parameters):
    return (
        DisorderFeaturizer(**{"symprec": (0.01, 0.1), **parameters})
        .fit_transform([structure])
        .iloc[0]
    )


def test_ordered_halide_by_hand():
    # Iodine on the axial site of each octahedron: P4/mmm.
    values = row(halide(iodine=[2]))
    for place in ("at 0.01 Å", PARENT):
        assert values[f"inequivalent sites {place}"] == 4
        assert values[f"inequivalent Br/I sites {place}"] == 2
        assert values[f"fraction of inequivalent sites {place}"] == 4 / 5
        assert values[f"symmetry operations {place}"] == 16
        assert values[f"space group number {place}"] == 123
    assert values["space group number of the parent"] == 221
    assert values["log of the index in the parent's space group"] == pytest.approx(np.log(3))
    # I has 8 Br in shell 1, and only its own images in shell 2.
    assert values["Warren-Cowley α(Br-I) sublattice shell 1"] == pytest.approx(-1 / 2)
    assert values["Warren-Cowley α(Br-I) sublattice shell 2"] == pytest.approx(1)
    assert values["fraction of like pairs of Br/I shell 1"] == pytest.approx(1 / 3)
    assert values["excess of like pairs of Br/I shell 1"] == pytest.approx(1 / 3 - 5 / 9)
    around = "of Br/I around Sn"
    assert values[f"count variance {around}"] == pytest.approx(0, abs=1e-12)
    assert values[f"squared dipole {around}"] == pytest.approx(0, abs=1e-12)
    # Σ s uu = diag(-2/3, -2/3, 4/3), whose square is 24/9; over 2 · 6 / 3.
    assert values[f"squared quadrupole {around}"] == pytest.approx(2 / 3)
    assert values[f"excess of like pairs at 180° {around}"] == pytest.approx(1 - 5 / 9)
    assert values[f"excess of like pairs at 90° {around}"] == pytest.approx(1 / 3 - 5 / 9)
    entropy = -(1 / 3 * np.log(1 / 3) + 2 / 3 * np.log(2 / 3))
    assert values["configurational entropy of Br/I (kB per site)"] == pytest.approx(entropy)
    assert values["configurational entropy (kB per atom)"] == pytest.approx(3 / 5 * entropy)


def test_clustered_halide_by_hand():
    # Sheets: in 2x1x1 the six halides are numbered x, x', y, y', z, z'. Iodine on y and z of one
    # half leaves SnBr2I4 (x axis Br) beside SnBr6.
    crystal = halide((2, 1, 1))
    coords = crystal.frac_coords
    for i, site in enumerate(coords):
        if crystal[i].specie.symbol == "Br" and site[0] < 0.1:
            crystal[i] = "I"
    values = row(crystal)
    # Sn with 4 I or none: deviations of ±2 from the mean 2, over 6 ligands.
    assert values["count variance of Br/I around Sn"] == pytest.approx(4 / 6)
    assert values["excess of like pairs at 180° of Br/I around Sn"] == pytest.approx(1 - 5 / 9)
    # Every Cs has four I on one side of it.
    assert values["count variance of Br/I around Cs"] == pytest.approx(0, abs=1e-12)
    s = np.array([2 / 3] * 4 + [-1 / 3] * 8)
    x = np.array([-1] * 4 + [1] * 4 + [0] * 4) / np.sqrt(2)
    dipole = (s @ x) ** 2 / 12
    assert values["squared dipole of Br/I around Cs"] == pytest.approx(dipole)
    assert values["mean dipole of Br/I around Cs"] == pytest.approx(np.sqrt(dipole))


OCTAHEDRON = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1.0]])


@pytest.mark.parametrize(
    ("iodine", "expected"),
    [
        ([0, 1, 2], [0, 1 / 2, 0]),  # facial: dipole (1, 1, 1)
        ([0, 1, 4], [0, 1 / 6, 1 / 2]),  # meridional: dipole (1, 0, 0)
        (range(6), [3 / 2, 0, 0]),
    ],
)
def test_multipoles_of_octahedra_by_hand(iodine, expected):
    excess = np.full(6, -0.5)
    excess[list(iodine)] = 0.5
    # The second of three atoms is the centre; the others have no ligands.
    found = multipoles(np.array([excess, -excess]), OCTAHEDRON, np.ones(6, dtype=int), 3)
    np.testing.assert_allclose(found, [[0, value, 0] for value in expected], atol=1e-12)


def test_random_halide_has_the_multipoles_of_chance():
    rng = np.random.default_rng(0)
    values = row(halide((8, 8, 8), np.flatnonzero(rng.random(1536) < 0.4)), groups=["order"])
    for name in ("count variance", "squared dipole", "squared quadrupole"):
        for centre in ("Cs", "Sn", "Br/I"):
            assert values[f"{name} of Br/I around {centre}"] == pytest.approx(0.24, abs=0.03)
    assert values.filter(like="Warren-Cowley α").abs().max() < 0.05
    assert values.filter(like="excess").abs().max() < 0.03


def test_l12_alloy_by_hand():
    cu3au = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.75), ["Au", "Cu"], [[0, 0, 0], [0.5, 0.5, 0]]
    )
    values = row(cu3au)
    found = [values[f"Warren-Cowley α(Au-Cu) sublattice shell {k}"] for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, [-1 / 3, 1, -1 / 3, 1], atol=1e-12)
    assert values["space group number of the parent"] == 225
    # Four choices of the corner that gold takes.
    assert values["log of the index in the parent's space group"] == pytest.approx(np.log(4))
    # 4 Au around each Cu and none around Au: the mean is 3.
    assert values["count variance of Au/Cu around Au/Cu"] == pytest.approx(3 / 12)


def test_entropy_of_an_equal_mixture():
    crystal = Structure(Lattice.cubic(2.9), ["Fe", "Ni"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    values = row(crystal, groups=["entropy"])
    np.testing.assert_allclose(values, [np.log(2), np.log(2)])
