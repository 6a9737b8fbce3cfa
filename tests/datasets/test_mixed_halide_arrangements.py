"""Arrangements of two halides on a supercell, counted by Burnside's lemma."""

from itertools import product
from math import comb

import numpy as np
import pytest

from sklmat.datasets import make_mixed_halide_perovskites
from sklmat.datasets._mixed_halide_arrangements import Supercell, arrangements, supercell

ROCK_SALT = ((1, 1, 0), (1, 0, 1), (0, 1, 1))


# Arrangements
@pytest.mark.parametrize(
    ("n_iodine", "orbits"), [(0, 1), (1, 1), (2, 7), (3, 19), (4, 80), (20, 80)]
)
def test_orbits_of_2x2x2(n_iodine, orbits):
    cell = supercell((2, 2, 2))
    assert len(cell.permutations) == 48 * 8
    masks, sizes = arrangements(cell, n_iodine)
    assert len(masks) == orbits
    assert sizes.sum() == comb(24, n_iodine)
    assert (np.bitwise_count(masks) == n_iodine).all()


def burnside(cell):
    """The number of all orbits, from the cycles of the permutations."""
    total = 0
    for permutation in cell.permutations.tolist():
        left, cycles = set(range(cell.n_sites)), 0
        while left:
            cycles += 1
            site = left.pop()
            while (site := permutation[site]) in left:
                left.remove(site)
        total += 2**cycles
    return total // len(cell.permutations)


@pytest.mark.parametrize(
    ("matrix", "operations", "orbits"),
    [((1, 1, 1), 48, 4), ((2, 1, 1), 32, 21), (ROCK_SALT, 96, 10), ((2, 2, 1), 64, 270)],
)
def test_orbits_of_small_cells(matrix, operations, orbits):
    cell = supercell(matrix)
    assert len(cell.permutations) == operations
    found = [arrangements(cell, n) for n in range(cell.n_sites + 1)]
    assert sum(len(masks) for masks, _ in found) == orbits == burnside(cell)
    assert sum(sizes.sum() for _, sizes in found) == 2**cell.n_sites


def test_permutations_keep_distances():
    cell = supercell(((1, 1, 0), (1, -1, 0), (0, 0, 2)))
    sites = cell.sites[2 * cell.n_cells :]

    def distances(order):
        shifts = sites[order][:, None] - sites[order]
        images = np.array(list(product((-1, 0, 1), repeat=3)))
        vectors = (shifts[:, :, None] + images) @ cell.matrix
        return np.linalg.norm(vectors, axis=3).min(axis=2)

    for permutation in cell.permutations:
        assert np.allclose(distances(permutation), distances(np.arange(cell.n_sites)))
        assert sorted(permutation) == list(range(cell.n_sites))


def test_samples_are_orbits_and_follow_the_seed():
    cell = supercell((2, 2, 2))
    for n_iodine in (3, 12):  # listed, and too many to list
        masks, sizes = arrangements(cell, n_iodine, 10, np.random.default_rng(0))
        again, _ = arrangements(cell, n_iodine, 10, np.random.default_rng(0))
        other, _ = arrangements(cell, n_iodine, 10, np.random.default_rng(1))
        assert (masks == again).all()
        assert (masks != other).any()
        assert len(np.unique(masks)) == 10
        representatives, multiplicities = cell.orbits(masks)
        assert (representatives == masks).all()
        assert (multiplicities == sizes).all()
    with pytest.raises(ValueError, match="2704156 arrangements, too many to list"):
        arrangements(cell, 12)


def test_samples_show_what_random_alloys_show():
    # Two iodines in 2x1x1: multiplicities 1 to 4 of 15.
    cell = supercell((2, 1, 1))
    masks, sizes = arrangements(cell, 2)
    counts = dict.fromkeys(masks.tolist(), 0)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        counts[arrangements(cell, 2, 1, rng)[0].item()] += 1
    assert np.allclose(np.array(list(counts.values())) / 2000, sizes / 15, atol=0.03)


def test_crystals_of_smaller_cells():
    long = Supercell((3, 1, 1))
    masks = np.concatenate([arrangements(long, n)[0] for n in range(10)])
    inside = long.repeat(masks, np.eye(3, dtype=int))
    # No iodine, iodine only, and one or two of three along the long edge or across it.
    assert inside.sum() == 6
    frame = make_mixed_halide_perovskites([(1, 1, 1), (3, 1, 1)]).frame
    assert frame["supercell"].value_counts().to_dict() == {"3x1x1": 68, "1x1x1": 4}
