"""Symmetry of species on ideal sites, against spglib and by hand."""

import numpy as np
import pytest
from crystals import displaced, fcc_cu, halide, perovskite
from pymatgen.core import Structure

from sklmat.features import _ideal_sites
from sklmat.features._cubic_sublattices import PrimitiveVectors
from sklmat.features._ideal_sites import _basis_of_integer_vectors, symmetry_of_species
from sklmat.features._parent_lattice import (
    IDEAL_SYMPREC,
    _AveragedSites,
    _symmetric_crystals,
    find_parents,
)
from sklmat.features._symmetry import Symmetry, symmetry_dataset
from sklmat.structures import crystal_arrays


def found_and_expected(structure, sublattice):
    """Symmetry on the ideal sites, and what spglib finds for them."""
    [crystal] = crystal_arrays([structure])
    parents = find_parents([crystal], [sublattice], 1.0)
    found = symmetry_of_species(parents.sites[0], crystal.atomic_numbers, IDEAL_SYMPREC)
    dataset = symmetry_dataset(
        parents.lattice[0], parents.frac_coords[0], crystal.atomic_numbers, IDEAL_SYMPREC
    )
    return found, Symmetry.from_dataset(dataset)


def assert_same(found, expected):
    assert found[:3] == expected[:3]
    # The same partition of the atoms, whatever the numbers of its parts.
    parts = {tuple(pair) for pair in zip(found.orbits.tolist(), expected.orbits.tolist())}
    assert len(parts) == len(set(found.orbits.tolist())) == len(set(expected.orbits.tolist()))


SUPERCELLS = [
    (2, 1, 1),
    (2, 2, 2),
    [[1, 1, 0], [1, -1, 0], [0, 0, 2]],
    [[1, 1, 0], [0, 1, 1], [1, 0, 1]],
    [[2, 1, 0], [0, 1, 1], [1, 0, 2]],
]


@pytest.mark.parametrize("supercell", SUPERCELLS)
@pytest.mark.parametrize("n_iodine", [0, 1, 2, 3])
def test_perovskites_against_spglib(supercell, n_iodine):
    crystal = perovskite() * supercell
    oxygen = np.flatnonzero(np.array(crystal.atomic_numbers) == 8)
    chosen = np.random.default_rng(n_iodine).choice(oxygen, n_iodine, replace=False)
    for site in chosen.tolist():
        crystal[site] = "I"
    sublattice = np.searchsorted([8, 22, 38, 53], crystal.atomic_numbers) % 3
    found, expected = found_and_expected(displaced(crystal, 0.05, seed=1), sublattice)
    assert_same(found, expected)
    if not n_iodine:
        assert found[:3] == (221, 48, 5)


@pytest.mark.parametrize("supercell", SUPERCELLS)
@pytest.mark.parametrize("n_nickel", [0, 1, 2])
def test_alloys_against_spglib(supercell, n_nickel):
    crystal = fcc_cu() * supercell
    for site in np.random.default_rng(n_nickel).choice(len(crystal), n_nickel, replace=False):
        crystal[int(site)] = "Ni"
    found, expected = found_and_expected(crystal, np.zeros(len(crystal), dtype=int))
    assert_same(found, expected)


@pytest.mark.parametrize("max_images", [1, 200_000])
def test_translations_inside_the_cell(max_images, monkeypatch):
    monkeypatch.setattr(_ideal_sites, "_MAX_IMAGES", max_images)
    # One iodine in two cells of CsSnBr3, and this crystal twice along the two other vectors.
    once = halide((2, 1, 1), [0])
    twice = once * (1, 2, 2)
    numbers = np.array(twice.atomic_numbers)
    sublattice = np.select([numbers == 55, numbers == 50], [1, 2])
    found, expected = found_and_expected(twice, sublattice)
    assert found.n_primitive == 10
    assert_same(found, expected)


def test_basis_of_integer_vectors():
    vectors = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2], [1, 1, 0], [0, 1, 1]])
    basis = _basis_of_integer_vectors(vectors)
    # The face-centred lattice: a quarter of the eight points of the cell, in whole steps.
    assert abs(np.linalg.det(basis)) == pytest.approx(2)
    steps = vectors @ np.linalg.inv(basis)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-12)


def test_sites_of_other_parents_are_not_known():
    hexagonal = Structure(
        np.array([[3.2, 0, 0], [-1.6, 1.6 * np.sqrt(3), 0], [0, 0, 5.2]]),
        ["Mg", "Mg"],
        [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]],
    )
    parents = find_parents(crystal_arrays([hexagonal]), [np.zeros(2, dtype=int)], 1.0)
    assert parents.sites == [None]
    assert parents.symmetry[0].number == 194


@pytest.mark.parametrize(("shear", "is_found"), [(0, True), (2, False)])
def test_a_parent_of_which_not_all_operations_are_found_has_no_ideal_sites(shear, is_found):
    # In a strongly sheared basis of the simple cubic lattice, some of the 48 operations have
    # entries that are not -1, 0 or 1.
    basis = 3.0 * np.array([[1.0, 0, 0], [shear, 1, 0], [0, 0, 1]])
    primitive = PrimitiveVectors(basis, basis, np.eye(3), 1)
    site = np.zeros(1, dtype=int)
    averaged = _AveragedSites(site, np.zeros((1, 3)), np.zeros((1, 3)), site)
    ideal = _symmetric_crystals([site], {0: primitive}, {0: averaged}, 1.0)[0]
    assert (ideal.symmetry.number, ideal.symmetry.order) == (221, 48)
    assert (ideal.sites is not None) == is_found
