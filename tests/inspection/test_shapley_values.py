"""Shapley values of functions whose values are known."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklmat.inspection._shapley_values import shapley_values


def game(keep):
    """Values of S sets of four players, some of whom act together, in two games."""
    a, b, c, d = keep.T.astype(float)
    return np.column_stack([a + 2 * a * b - 3 * b * c * d, 5 * d + a * b * c * d])


def mean_over_all_orders(n_players):
    values = np.zeros((n_players, 2))
    orders = list(permutations(range(n_players)))
    for order in orders:
        kept = np.zeros((1, n_players), dtype=bool)
        for player in order:
            before = game(kept)[0]
            kept[0, player] = True
            values[player] += (game(kept)[0] - before) / len(orders)
    return values


def test_few_players_are_exact():
    """There are 16 sets of four players, and five in one order."""
    rng = np.random.RandomState(0)
    expected = mean_over_all_orders(4)
    # The effect of a and b together is shared equally, as is that of b, c and d.
    assert_allclose(expected[:, 0], [1 + 1, 1 - 1, -1, -1])
    assert_allclose(expected[:, 1], [0.25, 0.25, 0.25, 5.25])
    assert_allclose(shapley_values(game, 4, 4, rng), expected)
    calls = []
    shapley_values(lambda keep: calls.append(len(keep)) or game(keep), 4, 100, rng)
    assert calls == [16]


def test_more_players_are_sampled():
    rng = np.random.RandomState(0)
    calls = []
    sampled = shapley_values(lambda keep: calls.append(len(keep)) or game(keep), 4, 3, rng)
    assert calls == [15]
    assert_allclose(sampled.sum(axis=0), game(np.ones((1, 4), dtype=bool))[0])
    assert not np.allclose(sampled, mean_over_all_orders(4))


@pytest.mark.parametrize("n_players", [0, 1, 64, np.int64(64)])
def test_any_number_of_players(n_players):
    values = shapley_values(
        lambda keep: keep.sum(axis=1) / 2, n_players, 2, np.random.RandomState(0)
    )
    assert_allclose(values, np.full(n_players, 0.5))
