"""The parent lattice of displaced atoms, and its symmetry."""

import os
from itertools import permutations, product

import numpy as np
import pytest
from crystals import displaced, halide, perovskite, random_halides
from pymatgen.core import Lattice, Structure

from sklmat.features import DisorderFeaturizer
from sklmat.features._parent_lattice import _lattice_rotations

PARENT = "on the parent lattice"


def row(structure, **parameters):
    return (
        DisorderFeaturizer(**{"symprec": (0.01, 0.1), **parameters})
        .fit_transform([structure])
        .iloc[0]
    )


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
    gas = Structure(Lattice.cubic(9), ["H"] * 12, np.random.default_rng(0).random((12, 3)))
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
