"""Grids of compositions: counted, limited, and made in pieces."""

import itertools
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from sklmat.screening import composition_grid

SENARY = ["Fe", "Ni", "Co", "Cr", "Mn", "Pd"]


def counts_of(grid):
    return np.vstack([grid.counts(range(grid.n_points))])


@pytest.mark.parametrize(("n_elements", "divisions"), [(2, 7), (3, 10), (4, 8), (5, 6), (6, 5)])
def test_grid_has_as_many_points_as_the_binomial_says(n_elements, divisions):
    grid = composition_grid(SENARY[:n_elements], 1 / divisions, chunk_size=17)
    assert grid.n_points == math.comb(divisions + n_elements - 1, n_elements - 1)
    tables = list(grid)
    assert len(tables) == len(grid) == -(-grid.n_points // 17)
    rows = pd.concat(tables).to_numpy()
    assert len(np.unique((rows * divisions).round().astype(int), axis=0)) == grid.n_points
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-15 * n_elements)


def test_grid_of_the_issue_is_counted_and_not_made():
    tracemalloc.start()
    grid = composition_grid(SENARY, 0.01)
    assert grid.n_points == math.comb(105, 5) == 96_560_646
    last = grid[-1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert last.iloc[-1].tolist() == [1, 0, 0, 0, 0, 0]
    assert len(last) == 96_560_646 % 20_000


def test_limits_are_those_of_brute_force():
    low, high = {"Fe": 0.1, "Cr": 0.25}, {"Fe": 0.6, "Ni": 0.3}
    grid = composition_grid(["Fe", "Ni", "Cr", "Mn"], 0.05, low, high, chunk_size=10)
    expected = [
        c
        for c in itertools.product(range(21), repeat=4)
        if sum(c) == 20 and 2 <= c[0] <= 12 and c[1] <= 6 and c[2] >= 5
    ]
    np.testing.assert_array_equal(counts_of(grid), expected)
    assert grid.n_points == len(expected)
    np.testing.assert_array_equal(pd.concat(grid) * 20, np.array(expected) / 20 * 20)


def test_limit_for_all_elements_and_limits_between_multiples():
    grid = composition_grid(SENARY[:5], 0.05, 0.05, 0.35)
    # Inclusion and exclusion: what is left of 15 parts after one each, at most 6 to anyone.
    expected = math.comb(19, 4) - 5 * math.comb(12, 4) + 10 * math.comb(5, 4)
    assert grid.n_points == expected
    rows = grid.points()
    assert rows.min(axis=None) == 0.05
    assert rows.max(axis=None) == 0.35
    assert composition_grid(["Fe", "Ni"], 0.1, {"Fe": 0.25}, {"Fe": 0.49}).points()[
        "x_Fe"
    ].tolist() == [0.3, 0.4]


def test_equal_limits_hold_an_element():
    table = composition_grid(["Fe", "Ni", "Co"], 0.1, {"Co": 0.3}, {"Co": 0.3}).points()
    assert set(table["x_Co"]) == {0.3}
    assert len(table) == 8


def test_chunks_can_be_had_in_any_order_and_again():
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=25)
    forward = list(grid)
    for i in (2, 0, 1, -1):
        pd.testing.assert_frame_equal(grid[i], forward[i])
    pd.testing.assert_frame_equal(pd.concat(grid), pd.concat(forward))
    assert [len(t) for t in grid[1:]] == [25, 16]
    pd.testing.assert_frame_equal(grid.points(30, 40), grid.points()[30:40].reset_index(drop=True))
    with pytest.raises(IndexError):
        grid[3]
    with pytest.raises(IndexError, match="from 0 to 65"):
        grid.counts([66])
    assert "66 compositions of Fe-Ni-Cr in steps of 0.1" in repr(grid)


def test_memory_does_not_grow_with_the_grid():
    peaks = []
    for step in (0.1, 0.04):
        grid = composition_grid(SENARY, step, chunk_size=2_000)
        tracemalloc.start()
        n = sum(len(table) for table in grid)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n == grid.n_points
    assert grid.n_points == 142_506
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["Fe", "Ni"], 0.3), "take 0.333333 or 0.25"),
        ((["Fe", "Ni"], 0), "between 0 and 1"),
        ((["Fe", "Ni"], 0.0001), "at least 0.0005"),
        ((["Fe", "Ni"], "a"), "between 0 and 1"),
        (("FeNi", 0.1), "a list of symbols"),
        ((["Fe"], 0.1), "two or more"),
        ((["Fe", "Fe"], 0.1), "two or more different"),
        ((["Fe", "Xx"], 0.1), "not chemical symbols: Xx"),
        ((["Fe", "Ni"], 0.1, {"Cr": 0.1}), "min_fraction names Cr"),
        ((["Fe", "Ni"], 0.1, 0, 1.2), "max_fraction must be between 0 and 1"),
        ((["Fe", "Ni"], 0.1, 0.6), "add up to between 1.2 and 2"),
        ((["Fe", "Ni"], 0.1, 0, 0.4), "add up to between 0 and 0.8"),
        ((["Fe", "Ni"], 0.1, {"Fe": 0.45}, {"Fe": 0.48}), "no multiple of 0.1 .* limits of Fe"),
    ],
)
def test_grid_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        composition_grid(*arguments)


def test_grid_refuses_what_cannot_be_counted():
    metals = [*SENARY, "Cu", "Ag", "Au", "Pt", "Ir", "Os"]
    with pytest.raises(ValueError, match="too many"):
        composition_grid(metals, 0.001)
    with pytest.raises(ValueError, match="chunk_size"):
        composition_grid(["Fe", "Ni"], 0.1, chunk_size=0)


@pytest.fixture
def grid():
    return composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)
