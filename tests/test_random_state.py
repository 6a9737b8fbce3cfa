"""Seeds and generators from the `random_state` of estimators."""

import numpy as np
import pytest

from sklmat.random_state import draw_seed, make_generator


def test_an_integer_gives_the_same_seeds_in_every_call():
    expected = np.random.RandomState(7).randint(2**31 - 1, size=3)
    assert draw_seed(7, size=3) == expected.tolist()
    assert draw_seed(7) == expected[0]
    assert draw_seed(7) != draw_seed(8)


def test_a_random_state_moves_on():
    state = np.random.RandomState(7)
    assert [draw_seed(state), draw_seed(state)] == draw_seed(7, size=2)


def test_seeds_are_plain_integers():
    assert type(draw_seed(0)) is int
    assert {type(seed) for seed in draw_seed(0, size=2)} == {int}
    with pytest.raises(ValueError, match="random_state must be an int"):
        draw_seed("seven")


def test_generators_follow_the_seed():
    np.testing.assert_array_equal(make_generator(3).random(4), make_generator(3).random(4))
    expected = np.random.default_rng(draw_seed(3)).random(4)
    np.testing.assert_array_equal(make_generator(3).random(4), expected)
