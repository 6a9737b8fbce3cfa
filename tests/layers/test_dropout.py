"""`Dropout`, with the random numbers of a training and with those of torch."""

import torch

from sklmat.layers import Dropout
from sklmat.random_state import use_generator


def test_numbers_of_a_training_are_those_of_torch_with_the_same_seed():
    x = torch.full((50, 40), 3.0)
    with use_generator(torch.Generator().manual_seed(5)):
        out = Dropout(0.25)(x)
    # Three of four values are kept, and enlarged so that their mean stays the same.
    assert set(out.unique().tolist()) == {0.0, 4.0}
    assert abs((out == 0).float().mean() - 0.25) < 0.04
    torch.manual_seed(5)
    assert torch.equal(torch.nn.Dropout(0.25)(x), out)
    torch.manual_seed(5)
    assert torch.equal(Dropout(0.25)(x), out)


def test_nothing_is_drawn_outside_training_or_for_the_probability_zero():
    x, generator = torch.ones(10, 4), torch.Generator().manual_seed(5)
    before = generator.get_state()
    with use_generator(generator):
        assert torch.equal(Dropout(0.5).eval()(x), x)
        assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(generator.get_state(), before)
