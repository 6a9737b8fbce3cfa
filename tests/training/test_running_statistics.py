"""Running statistics of batch normalisations: computed for other rows, and kept in trials."""

import numpy as np
import pytest
import torch

from sklmat import CGCNNRegressor
from sklmat.batches import GraphDataset
from sklmat.datasets import make_alloys
from sklmat.graphs import StructureToGraph
from sklmat.networks import CGCNN
from sklmat.random_state import use_generator
from sklmat.training import adapt_statistics, make_net


@pytest.fixture(scope="module")
def graphs():
    cells, _ = make_alloys(12, n_atoms=4, return_X_y=True)
    return StructureToGraph(cutoff=4.0).fit_transform(cells)


@pytest.fixture
def net():
    torch.manual_seed(0)
    vectors = torch.randn(119, 4)
    module = CGCNN(vectors, 1, cutoff=4.0, hidden_dim=4, n_conv=2, readout_dim=4, dropout=0.5)
    settings = {"loss": "mse", "lr": 0.1, "weight_decay": 0.0, "device": "cpu"}
    return make_net(module, batch_size=6, **settings)


def state(net):
    return {name: value.clone() for name, value in net.module_.state_dict().items()}


def test_neither_weights_nor_random_numbers_change(net, graphs):
    before, generator = state(net), torch.Generator().manual_seed(3)
    of_training, of_torch = generator.get_state(), torch.get_rng_state()
    with use_generator(generator):
        adapt_statistics(net, GraphDataset(graphs))
    assert torch.equal(generator.get_state(), of_training)
    assert torch.equal(torch.get_rng_state(), of_torch)
    moved = {name for name in before if not torch.equal(before[name], state(net)[name])}
    assert {name.split(".")[-1] for name in moved} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    # Of all convolutions and both normalisations.
    assert len(moved) == 12


def test_a_second_time_gives_the_same(net, graphs):
    adapt_statistics(net, GraphDataset(graphs))
    first = state(net)
    adapt_statistics(net, GraphDataset(graphs))
    assert all(torch.equal(value, first[name]) for name, value in state(net).items())


def test_rows_without_weight_shape_nothing(net, graphs):
    weight = torch.ones(12, 2)
    weight[[1, 5]] = 0
    weight[3, 0] = 0  # The other target of this row counts.
    adapt_statistics(net, GraphDataset(graphs, weight=weight))
    first = state(net)
    rows = np.setdiff1d(np.arange(12), [1, 5])
    adapt_statistics(net, GraphDataset(graphs[rows]))
    assert all(torch.equal(value, first[name]) for name, value in state(net).items())


def test_a_device_without_memory_gets_smaller_batches(net, graphs, monkeypatch):
    sizes, embed = [], CGCNN.embed

    def limited(self, batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return embed(self, batch)

    monkeypatch.setattr(CGCNN, "embed", limited)
    adapt_statistics(net, GraphDataset(graphs))
    assert sizes == [6, 3] + [1] * 12
    assert all(norm.momentum == 0.1 for norm in net.module_.modules() if hasattr(norm, "momentum"))


def test_trying_a_batch_size_keeps_the_statistics(graphs, monkeypatch):
    """A batch of four fits; the network has seen none."""
    embed, seen = CGCNN.embed, []

    def limited(self, batch):
        seen[:] = [self]
        if len(batch) > 5:
            raise torch.OutOfMemoryError("no memory")
        return embed(self, batch)

    monkeypatch.setattr(CGCNN, "embed", limited)
    with pytest.raises(torch.OutOfMemoryError, match="use batch_size=3, for which"):
        CGCNNRegressor(hidden_dim=4, batch_size=6, random_state=0).fit(graphs, np.arange(12.0))
    for convolution in seen[0].convolutions:
        for norm in (convolution.edge_norm, convolution.node_norm):
            assert norm.num_batches_tracked == 0
            assert not norm.running_mean.any()
            assert (norm.running_var == 1).all()
