"""Threads of torch are few while a small network is trained, and put back."""

import torch
from crystals import nickel_fraction, random_alloys
from skorch.callbacks import Callback

from sklmat import CGCNNRegressor


def test_threads_are_few_and_put_back():
    seen = []

    class Count(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(torch.get_num_threads())

    structures = random_alloys(4, n_cells=1)
    model = CGCNNRegressor(hidden_dim=8, n_conv=1, max_epochs=3, callbacks=[Count()])
    torch.set_num_threads(2)
    try:
        model.fit(structures, nickel_fraction(structures)).predict(structures)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
