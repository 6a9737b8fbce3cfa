import os
import pickle
import warnings
from functools import cache
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from crystals import b2_cscl, bcc_fe, fcc_cu, rocksalt_nacl
from pymatgen.core import Lattice, Structure
from sklearn.base import clone

from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.features import DisorderFeaturizer
from sklmat.features._disorder_descriptors import GROUPS as DISORDER_GROUPS
from sklmat.features._disorder_descriptors import DisorderSchema, describe_disorder
from sklmat.features._parent_lattice import _lattice_rotations
from sklmat.features._polyhedra import voronoi_volumes
from sklmat.features._short_range_order import multipoles
from sklmat.graphs import crystal_arrays

GROUPS = [
    "symmetry",
    "bonds",
    "angles",
    "polyhedra",
    "tilts",
    "volume",
    "order",
    "entropy",
    "prototype",
]
PARENT = "on the parent lattice"


@cache
def perovskite(a=3.905, species=("Sr", "Ti", "O")):
    sites = [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.cubic(a), [*species[:2], *[species[2]] * 3], sites)


def halide(repeat=(1, 1, 1), iodine=(), a=5.8):
    """Cubic CsSnBr3 with iodine on some of its halide sites."""
    crystal = perovskite(a, ("Cs", "Sn", "Br")) * repeat
    sites = [i for i, site in enumerate(crystal) if site.specie.symbol == "Br"]
    for i in iodine:
        crystal[sites[i]] = "I"
    return crystal


def random_halides(n, repeat=(2, 2, 1), seed=0):
    rng = np.random.default_rng(seed)
    n_sites = 3 * np.prod(repeat)
    return [
        halide(repeat, rng.choice(n_sites, rng.integers(1, n_sites), replace=False))
        for _ in range(n)
    ]


def displaced(structure, length, seed=0):
    """Every atom moved by `length` in a random direction."""
    moves = np.random.default_rng(seed).normal(size=(len(structure), 3))
    moves *= length / np.linalg.norm(moves, axis=1, keepdims=True)
    coords = structure.cart_coords + moves
    return Structure(structure.lattice, structure.species, coords, coords_are_cartesian=True)


def tilted(omega, a=5.8, in_phase=False):
    """a0a0c-, or a0a0c+ if `in_phase`: rigid octahedra turned by ±`omega` degrees about c."""
    cos, sin = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    lattice = Lattice.tetragonal(2 * a * cos, 2 * a)
    species, coords = [], []
    for i, j, k in product(range(2), repeat=3):
        sign = (-1) ** (i + j + (0 if in_phase else k))
        centre = a * np.array([i * cos, j * cos, k])
        species += ["Sn", "Br", "Br", "Br", "Cs"]
        coords += [
            centre,
            centre + a / 2 * np.array([cos, sign * sin, 0]),
            centre + a / 2 * np.array([-sign * sin, cos, 0]),
            centre + np.array([0, 0, a / 2]),
            centre + a / 2 * np.array([cos, cos, 1]),
        ]
    return Structure(lattice, species, coords, coords_are_cartesian=True)


def random_alloy(seed=0, elements=("Ni", "Pd", "Pt"), repeat=(2, 2, 2), displacement=0.08):
    rng = np.random.default_rng(seed)
    alloy = fcc_cu() * repeat
    coords = alloy.cart_coords + rng.normal(scale=displacement, size=(len(alloy), 3))
    species = rng.choice(elements, size=len(alloy))
    return Structure(alloy.lattice, species, coords, coords_are_cartesian=True)


def row(structure, **parameters):
    return (
        DisorderFeaturizer(**{"symprec": (0.01, 0.1), **parameters})
        .fit_transform([structure])
        .iloc[0]
    )


# ------------------------------------------------------------------ ideal crystals


@pytest.mark.parametrize("repeat", [(1, 1, 1), (2, 1, 3)])
def test_cubic_perovskite_by_hand(repeat):
    values = row(perovskite() * repeat)
    for place in ("at 0.01 Å", "at 0.1 Å", PARENT):
        assert values[f"inequivalent sites {place}"] == 3
        assert values[f"fraction of inequivalent sites {place}"] == 3 / 5
        assert values[f"atoms in the primitive cell {place}"] == 5
        assert values[f"symmetry operations {place}"] == 48
        assert values[f"space group number {place}"] == 221
        assert [values[f"inequivalent {x} sites {place}"] for x in ("Sr", "Ti", "O")] == [1, 1, 1]
    assert values["log of the index in the parent's space group"] == 0
    assert values["mean O-Ti bond (Å)"] == pytest.approx(3.905 / 2)
    assert values["mean O-Sr bond (Å)"] == pytest.approx(3.905 / np.sqrt(2))
    assert values["mean angle at O (°)"] == pytest.approx(180)
    assert values["mean angle at Ti (°)"] == pytest.approx(90)
    assert values["mean quadratic elongation"] == pytest.approx(1)
    zero = values.filter(regex="variance|skew|deviation|tilt|off-c|distortion|displ|strain|entropy")
    assert len(zero) == 22
    np.testing.assert_allclose(zero, 0, atol=1e-5)
    assert not values.index.str.contains("Warren|dipole").any()


@pytest.mark.parametrize(
    ("build", "number", "coordination"),
    [(fcc_cu, 225, 12), (bcc_fe, 229, 14), (rocksalt_nacl, 225, 6), (b2_cscl, 221, 8)],
)
def test_other_ideal_crystals(build, number, coordination):
    structure = build()
    values = row(structure, voronoi=True)
    assert values["space group number of the parent"] == number
    assert values[f"space group number {PARENT}"] == number
    bonds = values.filter(regex="^mean .* bond")
    assert len(bonds) == 1
    bonded = sorted(n.nn_distance for n in structure.get_neighbors(structure[0], 6.0))
    unlike = [
        n.nn_distance
        for n in structure.get_neighbors(structure[0], 6.0)
        if n.specie != structure[0].specie
    ]
    expected = np.sort(unlike or bonded)[:coordination].mean()
    assert bonds.iloc[0] == pytest.approx(expected)
    np.testing.assert_allclose(values.filter(regex="displacement|strain|volume"), 0, atol=1e-6)


# ------------------------------------------------------------------ polyhedra by hand


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


# ------------------------------------------------------------------ order by hand


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
        ([0, 1, 2], [0, np.sqrt(1 / 2), 1 / 2, 0]),  # facial: dipole (1, 1, 1)
        ([0, 1, 4], [0, np.sqrt(1 / 6), 1 / 6, 1 / 2]),  # meridional: dipole (1, 0, 0)
        (range(6), [3 / 2, 0, 0, 0]),
    ],
)
def test_multipoles_of_octahedra_by_hand(iodine, expected):
    excess = np.full(6, -0.5)
    excess[list(iodine)] = 0.5
    found = multipoles(np.array([[excess], [-excess]]), OCTAHEDRON[None], np.ones((1, 6), bool))
    np.testing.assert_allclose(found, expected, atol=1e-12)


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


# ------------------------------------------------------------------ symmetry and its tolerance


def orbits_by_hand(crystal, n_cells):
    """Orbits of the atoms under those of the 48 n³ operations of cubic ABX3 that keep species."""
    sites = np.round(crystal.frac_coords * 2 * n_cells).astype(int) % (2 * n_cells)
    where = {tuple(site): i for i, site in enumerate(sites)}
    species = np.array(crystal.atomic_numbers)
    kept = []
    for axes, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turned = sites[:, axes] * signs
        for shift in product(range(0, 2 * n_cells, 2), repeat=3):
            image = [where[tuple(site)] for site in (turned + shift) % (2 * n_cells)]
            if (species[image] == species).all():
                kept.append(image)
    return len({tuple(sorted(set(orbit))) for orbit in zip(*kept)}), len(kept)


@pytest.mark.parametrize("seed", range(3))
def test_inequivalent_sites_against_all_operations(seed):
    rng = np.random.default_rng(seed)
    crystal = halide((2, 2, 2), rng.choice(24, [2, 3, 4][seed], replace=False))
    values = row(crystal, groups=["symmetry"])
    orbits, kept = orbits_by_hand(crystal, 2)
    assert values["inequivalent sites at 0.01 Å"] == orbits
    assert values[f"inequivalent sites {PARENT}"] == orbits
    assert values["log of the index in the parent's space group"] == pytest.approx(
        np.log(384 / kept)
    )


def test_noise_changes_nothing_on_the_parent_lattice():
    crystals = random_halides(12)
    noisy = [displaced(c, 0.005, seed) for seed, c in enumerate(crystals)]
    featurizer = DisorderFeaturizer(groups=["symmetry", "order"], symprec=(0.01, 0.1))
    clean = featurizer.fit_transform(crystals)
    shaken = featurizer.transform(noisy)
    parent = [name for name in clean if "parent" in name or ("Br/I" in name and "at 0" not in name)]
    assert len(parent) > 40
    np.testing.assert_allclose(shaken[parent], clean[parent], atol=1e-9)
    tight = "inequivalent sites at 0.01 Å"
    assert (shaken[tight] != clean[tight]).mean() > 0.5
    assert (shaken["inequivalent sites at 0.1 Å"] == clean["inequivalent sites at 0.1 Å"]).all()


def test_parent_survives_relaxation_and_tilts():
    crystals = random_halides(4)
    relaxed = [displaced(c, 0.25, seed) for seed, c in enumerate(crystals)]
    for crystal in relaxed:
        crystal.apply_strain([0.02, -0.01, 0.0])
    featurizer = DisorderFeaturizer(groups=["symmetry", "order", "prototype"])
    clean, moved = featurizer.fit_transform(crystals), featurizer.transform(relaxed)
    assert (moved["space group number of the parent"] == 221).all()
    parent = [name for name in clean if PARENT in name or "around" in name or "shell" in name]
    np.testing.assert_allclose(moved[parent], clean[parent], atol=1e-9)
    rms = moved["root-mean-square displacement from the parent (Å)"]
    np.testing.assert_allclose(rms, 0.25, rtol=0.1)


def test_parent_of_crystals_without_a_cubic_sublattice():
    wurtzite = Structure.from_spacegroup(
        "P6_3mc",
        Lattice.hexagonal(3.25, 5.3),
        ["Zn", "S"],
        [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]],
    )
    larger = displaced(wurtzite * (2, 2, 1), 0.05)
    values = row(larger)
    assert values["space group number of the parent"] in (186, 194)
    assert values[f"inequivalent sites {PARENT}"] == 2
    assert values["root-mean-square displacement from the parent (Å)"] == pytest.approx(
        0.05, rel=0.25
    )
    assert "SPGLIB_WARNING" not in os.environ
    gas = Structure(Lattice.cubic(9), ["Xe"] * 12, np.random.default_rng(0).random((12, 3)))
    values = row(gas)
    assert values[f"inequivalent sites {PARENT}"] == 12
    assert values["max displacement from the parent (Å)"] < 0.2


@pytest.mark.parametrize("lattice", [np.eye(3), 1 - np.eye(3), 1 - 2 * np.eye(3)])
def test_cubic_lattices_have_48_rotations(lattice):
    gram = lattice @ lattice.T / (lattice[0] @ lattice[0])
    rotations = _lattice_rotations(tuple(np.round(gram, 6).ravel()))
    assert len(np.unique(rotations, axis=0)) == 48
    np.testing.assert_allclose(rotations.transpose(0, 2, 1) @ gram @ rotations, [gram] * 48)


def test_left_handed_lattices():
    crystal = displaced(halide((2, 1, 1), [0, 3, 4]), 0.06)
    mirrored = Structure(
        crystal.lattice.matrix[[1, 0, 2]], crystal.species, crystal.frac_coords[:, [1, 0, 2]]
    )
    table = DisorderFeaturizer().fit_transform([crystal, mirrored])
    assert np.linalg.det(mirrored.lattice.matrix) < 0
    np.testing.assert_allclose(table.iloc[1], table.iloc[0], rtol=1e-6, atol=1e-9)


def test_partly_symmetric_parent():
    # Titanium 0.3 Å off its site in every cell: a polar parent where 1 Å is too coarse a match.
    polar = perovskite().copy()
    polar.translate_sites([1], [0, 0, 0.3], frac_coords=False)
    for tolerance, number in ((1.0, 221), (0.1, 99)):
        values = row(displaced(polar * (2, 2, 1), 0.01), parent_symprec=tolerance)
        assert values["space group number of the parent"] == number
        assert values[f"inequivalent sites {PARENT}"] == (3 if number == 221 else 4)


def test_without_parent():
    crystal = displaced(halide((2, 1, 1), [0, 3]), 0.05)
    values = row(crystal, parent_symprec=None)
    assert not values.index.str.contains("parent").any()
    with_parent = row(crystal)
    same = [n for n in values.index if "bond" in n or "angle" in n or "shell" in n]
    assert len(same) > 20
    np.testing.assert_allclose(values[same], with_parent[same], atol=1e-9)


def test_distorted_perovskite_has_six_neighbours_whatever_the_species():
    # Sn off its centre by 0.35 Å: halides from 2.55 to 3.25 Å away, next ones beyond 6 Å.
    crystal = halide((2, 1, 1), [0, 3, 4])
    crystal.translate_sites([2, 3], [0.2, 0.2, 0.2], frac_coords=False)
    for parent_symprec in (1.0, None):
        values = row(crystal, parent_symprec=parent_symprec)
        assert values["mean off-centring (Å)"] == pytest.approx(0.2 * np.sqrt(3))
        assert values["mean tilt (°)"] > 0


# ------------------------------------------------------------------ sublattices


def test_sublattices_are_found_by_chemistry_and_coordination():
    crystals = [halide((2, 1, 1), [0]), perovskite(6.0, ("K", "Pb", "Cl"))]
    found = DisorderFeaturizer().fit(crystals)
    assert found.sublattices_ == [["Br", "Cl", "I"], ["Cs", "K"], ["Pb", "Sn"]]
    assert found.mixed_ == ["Br/Cl/I"]
    alloy = DisorderFeaturizer().fit([random_alloy()])
    assert alloy.sublattices_ == [["Ni", "Pd", "Pt"]]
    both = DisorderFeaturizer().fit([random_alloy(), rocksalt_nacl()])
    assert both.sublattices_ == [["Cl"], ["Na"], ["Ni", "Pd", "Pt"]]


def test_sublattices_can_be_named():
    b2 = Structure(Lattice.cubic(2.9), ["Fe", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]]) * (2, 2, 2)
    b2[0] = "Ni"
    together = DisorderFeaturizer().fit([b2])
    assert together.sublattices_ == [["Al", "Fe", "Ni"]]
    assert row(b2)["space group number of the parent"] == 229
    apart = DisorderFeaturizer(sublattices=(("Fe", "Ni"),))
    values = apart.fit_transform([b2]).iloc[0]
    assert apart.sublattices_ == [["Al"], ["Fe", "Ni"]]
    assert apart.mixed_ == ["Fe/Ni"]
    assert values["space group number of the parent"] == 221
    entropy = -(1 / 8 * np.log(1 / 8) + 7 / 8 * np.log(7 / 8))
    assert values["configurational entropy of Fe/Ni (kB per site)"] == pytest.approx(entropy)


def test_columns_of_what_a_crystal_lacks_are_neutral():
    crystals = [halide((2, 1, 1), [0, 3]), halide((2, 1, 1), [1]), halide((2, 1, 1))]
    crystals = [displaced(c, 0.1, seed) for seed, c in enumerate(crystals)]
    featurizer = DisorderFeaturizer()
    table = featurizer.fit_transform(crystals)
    assert not table.isna().any().any()
    for name in ("mean I-Sn bond (Å)", "variance I-Sn bond (Å²)", "mean angle at I (°)"):
        assert table.loc[2, name] == pytest.approx(table.loc[:1, name].mean())
    order = [name for name in table if ("Br/I" in name and "shell" in name) or "around" in name]
    excess = [name for name in order if "fraction" not in name]
    np.testing.assert_allclose(table.loc[2, excess], 0, atol=1e-12)
    salt = DisorderFeaturizer(groups=["tilts"]).fit([tilted(6.0)])
    lone = Structure(Lattice.cubic(6.2), ["Cs", "Br"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    fitted = DisorderFeaturizer(groups=["tilts"]).fit([tilted(6.0), tilted(9.0)])
    np.testing.assert_allclose(fitted.transform([lone]), [[5, np.sqrt(2) * 2.5]])
    assert salt.transform([lone]).iloc[0, 0] == pytest.approx(4)


# ------------------------------------------------------------------ invariance


def turned(structure, seed=5):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = structure.lattice.matrix @ rotation
    return Structure(matrix, structure.species, structure.frac_coords)


def moved(structure):
    structure = structure.copy()
    structure.translate_sites(range(len(structure)), [0.13, 0.27, 0.41])
    return structure


@pytest.mark.parametrize(
    "structure",
    [
        displaced(halide((2, 1, 1), [0, 3, 4]), 0.06),
        tilted(7.0),
        random_alloy(repeat=(2, 2, 1)),
    ],
    ids=["mixed", "tilted", "alloy"],
)
def test_invariance(structure):
    order = np.random.default_rng(5).permutation(len(structure))
    permuted = Structure.from_sites([structure[i] for i in order])
    others = [permuted, moved(structure), turned(structure), structure * (2, 1, 1)]
    featurizer = DisorderFeaturizer(voronoi=True)
    table = featurizer.fit_transform([structure, *others])
    assert table.shape[1] > 40
    for i in range(1, 5):
        np.testing.assert_allclose(table.iloc[i], table.iloc[0], rtol=1e-5, atol=2e-6)


# ------------------------------------------------------------------ as an estimator


def test_fit_transform_is_fit_then_transform():
    crystals = [displaced(c, 0.05, seed) for seed, c in enumerate(random_halides(5))]
    together = DisorderFeaturizer().fit_transform(crystals)
    pd.testing.assert_frame_equal(together, DisorderFeaturizer().fit(crystals).transform(crystals))
    backwards = DisorderFeaturizer().fit_transform(crystals[::-1]).iloc[::-1]
    pd.testing.assert_frame_equal(together, backwards.reset_index(drop=True))
    assert together.columns.is_unique
    assert not together.columns.str.contains(r"[\[\]<]").any()


def test_groups_choose_and_order_columns():
    crystals = random_halides(3)
    everything = DisorderFeaturizer().fit_transform(crystals)
    parts = [DisorderFeaturizer(groups=[g]).fit_transform(crystals) for g in GROUPS]
    pd.testing.assert_frame_equal(everything, pd.concat(parts, axis=1))
    two = DisorderFeaturizer(groups=["entropy", "tilts"]).fit_transform(crystals)
    assert two.columns.tolist() == [*parts[7].columns, *parts[4].columns]


def test_every_group_names_the_same_columns_for_every_crystal():
    schema = DisorderSchema(
        elements=["Br", "Cs", "I", "Sn"],
        sublattices=[["Br", "I"], ["Cs"], ["Sn"]],
        mixed=["Br/I"],
        symprec=[0.1],
        parent_symprec=1.0,
        n_shells=4,
        voronoi=False,
    )
    box = Lattice(np.eye(3) * 12, pbc=(False, False, False))
    structures = [
        halide((2, 1, 1), [0, 3]),
        Structure(Lattice.cubic(6.2), ["Cs", "I"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
        Structure(box, ["Sn"], [[0.5, 0.5, 0.5]]),
    ]
    assert list(DISORDER_GROUPS) == GROUPS
    for group in GROUPS:
        rows = describe_disorder(crystal_arrays(structures), [group], schema)
        assert len(rows[0]) > 0
        assert [list(row) for row in rows] == [list(rows[0])] * 3
    # Both names of a pair are in alphabetical order, and an absent pair has no value.
    bonds = describe_disorder(crystal_arrays(structures), ["bonds"], schema)
    assert bonds[0]["mean Br-Sn bond (Å)"] == pytest.approx(2.9)
    assert bonds[1]["mean Cs-I bond (Å)"] == pytest.approx(6.2 * np.sqrt(3) / 2)
    assert np.isnan(bonds[1]["mean Br-Sn bond (Å)"])


def test_symprec_and_shells_choose_columns():
    crystals = random_halides(2)
    one = DisorderFeaturizer(groups=["symmetry"], symprec=0.03, parent_symprec=None)
    names = one.fit(crystals).get_feature_names_out()
    assert len(names) == 8
    assert all(name.endswith("at 0.03 Å") for name in names)
    shells = DisorderFeaturizer(groups=["order"], n_shells=2).fit(crystals).get_feature_names_out()
    assert max(int(name[-1]) for name in shells if "shell" in name) == 2


def test_parameters_set_after_fit_do_not_change_columns():
    crystals = [displaced(c, 0.05, seed) for seed, c in enumerate(random_halides(2))]
    featurizer = DisorderFeaturizer(groups=["symmetry", "order", "volume"]).fit(crystals)
    before = featurizer.transform(crystals)
    featurizer.set_params(symprec=0.01, parent_symprec=None, n_shells=2, voronoi=True)
    pd.testing.assert_frame_equal(featurizer.transform(crystals), before)


def test_n_jobs_gives_the_same_bits():
    crystals = [displaced(c, 0.05, seed) for seed, c in enumerate(random_halides(9))]
    serial = DisorderFeaturizer(n_jobs=1).fit_transform(crystals)
    parallel = DisorderFeaturizer(n_jobs=2).fit_transform(crystals)
    assert serial.to_numpy().tobytes() == parallel.to_numpy().tobytes()


def test_unseen_elements_are_refused():
    featurizer = DisorderFeaturizer(groups=["tilts"]).fit([halide(), tilted(5.0)])
    rows = [halide(), halide(iodine=[0])]
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element I"):
        featurizer.transform(rows)
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match=r"structure 1 .*I"):
        table = featurizer.transform(rows)
    assert table.isna().all(axis=1).tolist() == [False, True]


def test_invalid_rows():
    clash = Structure(Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.1]])
    rows = [bcc_fe(), clash, bcc_fe()]
    with pytest.raises(InvalidStructureError, match="structure 1 "):
        DisorderFeaturizer().fit(rows)
    with pytest.warns(InvalidStructureWarning, match="structure 1 "):
        table = DisorderFeaturizer(on_invalid="warn").fit_transform(rows)
    assert table.isna().all(axis=1).tolist() == [False, True, False]
    assert not table.loc[[0, 2]].isna().any().any()
    nothing = DisorderFeaturizer(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning), pytest.raises(ValueError, match="no row of X"):
        nothing.fit([clash])


def test_failing_symmetry_names_the_row(monkeypatch):
    import spglib

    featurizer = DisorderFeaturizer().fit([bcc_fe()])
    monkeypatch.setattr(spglib, "get_symmetry_dataset", lambda *args, **kwargs: None)
    with pytest.raises(InvalidStructureError, match=r"structure 0 .*at 0.1 Å"):
        featurizer.transform([bcc_fe()])
    featurizer.set_params(on_invalid="warn")
    with pytest.warns(InvalidStructureWarning, match="structure 0 "):
        assert featurizer.transform([bcc_fe()]).isna().all().all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"groups": ["colour"]}, "groups must be"),
        ({"groups": []}, "groups must be"),
        ({"groups": ["tilts", "order"]}, "no crystal of X has anything"),
        ({"symprec": 0}, "symprec"),
        ({"symprec": (0.1, 0.1)}, "symprec"),
        ({"symprec": (0.1, -1)}, "symprec"),
        ({"symprec": ()}, "symprec"),
        ({"parent_symprec": 0}, "parent_symprec"),
        ({"sublattices": (("Br", "I"), ("I", "Cl"))}, "sublattices must be"),
        ({"sublattices": (("Br", "Xx"),)}, "sublattices must be"),
        ({"n_shells": 5}, "n_shells"),
        ({"voronoi": "yes"}, "voronoi"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"on_invalid": "ignore"}, "on_invalid"),
    ],
)
def test_parameters_are_checked_in_fit(parameters, message):
    with pytest.raises(ValueError, match=message):
        DisorderFeaturizer(**parameters).fit([bcc_fe()])


def test_inputs_are_not_changed_and_no_warnings_escape():
    crystals = [displaced(halide((2, 1, 1), [0]), 0.05), random_alloy(repeat=(1, 1, 1))]
    before = [c.as_dict() for c in crystals]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        DisorderFeaturizer(voronoi=True).fit_transform(crystals)
    assert [c.as_dict() for c in crystals] == before


def test_molecules_and_lone_atoms_have_a_row():
    box = Lattice(np.eye(3) * 10, pbc=(False, False, False))
    molecule = Structure(box, ["C", "O"], [[0.5, 0.5, 0.5], [0.5, 0.5, 0.62]])
    lone = Structure(box, ["Ne"], [[0.5, 0.5, 0.5]])
    table = DisorderFeaturizer(groups=GROUPS[1:]).fit_transform([molecule, lone, fcc_cu()])
    assert table.loc[0, "mean C-O bond (Å)"] == pytest.approx(1.2)
    assert not table.isna().any().any()


def test_pickle_and_clone():
    fitted = pickle.loads(pickle.dumps(DisorderFeaturizer().fit([halide(iodine=[0])])))
    plain = clone(fitted).set_output(transform="default").fit_transform([halide(iodine=[0])])
    np.testing.assert_array_equal(plain, fitted.transform([halide(iodine=[0])]))
