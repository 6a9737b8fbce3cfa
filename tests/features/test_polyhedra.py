"""Polyhedra by hand: off-centre, stretched and tilted ones, and volumes."""

import numpy as np
import pytest
from crystals import displaced, fcc_cu, perovskite, tilted
from pymatgen.core import Lattice, Structure

from sklmat.features import DisorderFeaturizer
from sklmat.features._polyhedra import voronoi_volumes


def row(structure, **parameters):
    return (
        DisorderFeaturizer(**{"symprec": (0.01, 0.1), **parameters})
        .fit_transform([structure])
        .iloc[0]
    )


def test_off_centre_octahedron_by_hand():
    crystal, delta, h = perovskite().copy(), 0.15, 3.905 / 2
    crystal.translate_sites([1], [0, 0, delta], frac_coords=False)
    values = row(crystal)
    lengths = np.array([h - delta, h + delta, *[np.hypot(h, delta)] * 4])
    assert values["mean O-Ti bond (Å)"] == pytest.approx(lengths.mean())
    assert values["variance O-Ti bond (Å²)"] == pytest.approx(lengths.var())
    third = np.mean((lengths - lengths.mean()) ** 3)
    assert values["skew O-Ti bond"] == pytest.approx(third / lengths.std() ** 3)
    # The octahedron has its volume still, so l0 = h, and the mean of l² is h² + delta².
    assert values["mean quadratic elongation"] == pytest.approx(1 + (delta / h) ** 2)
    # Four angles turn by +φ, four by -φ, and the four in the plane close by ψ.
    phi = np.degrees(np.arctan2(delta, h))
    psi = np.degrees(np.arcsin(delta**2 / (h**2 + delta**2)))
    expected = (8 * phi**2 + 4 * psi**2) / 11
    assert values["mean bond angle variance (°²)"] == pytest.approx(expected)
    assert values["mean off-centring (Å)"] == pytest.approx(delta)
    distortion = np.abs(lengths - lengths.mean()).mean() / lengths.mean()
    assert values["mean bond length distortion"] == pytest.approx(distortion)
    # One of five atoms has moved, and a fifth of that goes to net translation.
    moved = values["max displacement from the parent (Å)"]
    assert moved == pytest.approx(0.8 * delta)
    rms = values["root-mean-square displacement from the parent (Å)"]
    assert rms == pytest.approx(delta * np.sqrt((0.8**2 + 4 * 0.2**2) / 5))


def test_stretched_octahedron_by_hand():
    a, c = 3.9, 4.2
    values = row(Structure(Lattice.tetragonal(a, c), *zip(*_sites(perovskite()))))
    elongation = (2 * a**2 + c**2) / 3 / np.cbrt(a**2 * c) ** 2
    assert values["mean quadratic elongation"] == pytest.approx(elongation)
    assert values["mean bond angle variance (°²)"] == pytest.approx(0, abs=1e-9)
    stretch = np.array([a, a, c]) / np.cbrt(a**2 * c)
    expected = np.linalg.norm((stretch**2 - 1) / 2)
    assert values["strain from the parent"] == pytest.approx(expected)
    assert values["space group number of the parent"] == 221
    assert values["space group number at 0.1 Å"] == 123


def _sites(structure):
    return [(site.specie, site.frac_coords) for site in structure]


def test_tetrahedra_by_hand():
    # Zincblende with its axis stretched: tetrahedra of edge vectors (±1, ±1, ±c/a) / 4.
    a, c = 5.4, 5.9
    sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    sites += [list(np.add(s, 0.25)) for s in sites]
    values = row(Structure(Lattice.tetragonal(a, c), ["Zn"] * 4 + ["S"] * 4, sites))
    squared = (2 * a**2 + c**2) / 16
    # A tetrahedron inscribed in the box a/2, a/2, c/2 has a third of its volume.
    regular = np.cbrt(9 * np.sqrt(3) / 8 * a**2 * c / 24)
    assert values["mean quadratic elongation"] == pytest.approx(squared / regular**2)
    # Ligands at (±a, ±a, c) and (±a, ∓a, -c): two angles across the axis, four along it.
    across = np.degrees(np.arccos((c**2 - 2 * a**2) / (2 * a**2 + c**2)))
    along = np.degrees(np.arccos(-(c**2) / (2 * a**2 + c**2)))
    ideal = np.degrees(np.arccos(-1 / 3))
    variance = (2 * (across - ideal) ** 2 + 4 * (along - ideal) ** 2) / 5
    assert values["mean bond angle variance (°²)"] == pytest.approx(variance)
    assert values["mean angle at Zn (°)"] == pytest.approx((2 * across + 4 * along) / 6)
    assert values["mean angle at S (°)"] == pytest.approx((2 * across + 4 * along) / 6)
    assert not values.index.str.contains("tilt").any()


@pytest.mark.parametrize(("in_phase", "number"), [(False, 140), (True, 127)])
def test_tilts_by_hand(in_phase, number):
    omega, a = 8.0, 5.8
    values = row(tilted(omega, a, in_phase))
    # Two of three anions see 180° - 2 ω, one 180°.
    assert values["mean tilt (°)"] == pytest.approx(2 / 3 * omega)
    assert values["deviation tilt (°)"] == pytest.approx(np.sqrt(2) / 3 * omega)
    assert values["mean angle at Br (°)"] == pytest.approx(180 - 4 / 3 * omega)
    assert values["mean Br-Sn bond (Å)"] == pytest.approx(a / 2)
    assert values["mean quadratic elongation"] == pytest.approx(1)
    assert values["mean bond angle variance (°²)"] == pytest.approx(0, abs=1e-6)
    assert values["space group number at 0.01 Å"] == number
    assert values["space group number of the parent"] == 221
    moved = a / 2 * np.sin(np.radians(omega))
    assert values["max displacement from the parent (Å)"] == pytest.approx(moved)
    rms = values["root-mean-square displacement from the parent (Å)"]
    assert rms == pytest.approx(moved * np.sqrt(2 / 5))


def test_voronoi_volumes_of_layers():
    # Atoms above each other: each owns the slab half way to the next, 0.35, 0.25 and 0.40 of 10 Å.
    lattice = np.diag([3.0, 3.0, 10.0])
    coords = np.array([[0, 0, 0], [0, 0, 2.0], [0, 0, 5.0]])
    found = voronoi_volumes(coords, lattice, (True,) * 3)
    np.testing.assert_allclose(found, 9 * np.array([3.5, 2.5, 4.0]))
    assert np.isnan(voronoi_volumes(coords, lattice, (True, True, False))).all()
    crystal = Structure(lattice, ["Fe"] * 3, coords, coords_are_cartesian=True)
    values = row(crystal, groups=["volume"], voronoi=True)
    expected = 9 * np.std([3.5, 2.5, 4.0])
    assert values["deviation of Voronoi volume (Å³)"] == pytest.approx(expected)


def test_local_volume_tells_species_of_one_sublattice_apart():
    # Hoppe's mean distance of an atom with z equal neighbours is their distance.
    assert row(fcc_cu())["deviation of local volume (Å³)"] == pytest.approx(0, abs=1e-9)
    values = row(displaced(fcc_cu() * (2, 2, 2), 0.1), groups=["volume"])
    assert values["deviation of local volume (Å³)"] > 0.1
