"""Members of an ensemble are independent networks."""

import pytest
import torch
from edge_loops import WANG, crystal_graphs, double_batch, make_network

from sklmat.batches import make_batch
from sklmat.graphs import ElementGraphs
from sklmat.networks import ECNet
from sklmat.training import WeightedLoss


def single(network, m):
    """A network of one member with the weights of member `m`."""
    config = {**network.config, "n_members": 1}
    alone = ECNet(network.element_vectors, **config)
    state = {}
    for name, value in network.state_dict().items():
        n_outputs = config["n_outputs"]
        if name.startswith(("towers", "output")):
            value = value[m * n_outputs : (m + 1) * n_outputs]
        elif "filters.values" in name:
            value = value[:, m : m + 1]
        elif name not in ("known_elements", "element_vectors"):
            value = value[m : m + 1]
        state[name] = value.clone()
    alone.load_state_dict(state)
    return alone.eval()


@pytest.mark.parametrize("params", [{}, WANG], ids=["grid", "gaussian"])
def test_an_ensemble_is_its_members(double, params):
    params = {"radial_step": 0.5, "hidden_dim": 8, **params}
    network = make_network(2, n_members=3, **params)
    batch = double_batch(crystal_graphs(), 0.5, params.get("radial_order", 1))
    for m in range(3):
        alone = single(network, m)
        for method in ("forward", "embed", "elements", "contributions"):
            together = getattr(network, method)(batch)
            assert together.shape[1] == 3
            torch.testing.assert_close(together[:, m], getattr(alone, method)(batch)[:, 0])
    spread = network(batch).std(dim=1)
    assert spread.min() > 1e-6


def test_members_know_nothing_of_each_other():
    network = make_network(2, n_members=3, radial_step=0.5, hidden_dim=8)
    batch = make_batch(ElementGraphs.from_graphs(crystal_graphs(), step=0.5))
    network(batch)[:, 1].sum().backward()
    for name, parameter in network.named_parameters():
        member = 1 if "filters.values" in name else 0
        n = 2 if name.startswith(("towers", "output")) else 1
        parts = parameter.grad.movedim(member, 0).unflatten(0, (3, n))
        assert not parts[[0, 2]].any(), name
        assert parts[1].any(), name


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_members_learn_as_they_would_alone(double, loss):
    """Ten steps on the same batches, side by side and one after the other."""
    graphs = ElementGraphs.from_graphs(crystal_graphs(), step=0.5)
    targets = torch.randn(7, 2, generator=torch.Generator().manual_seed(1))
    weight = torch.rand(7, 2, generator=torch.Generator().manual_seed(2))
    network = make_network(2, n_members=2, radial_step=0.5, hidden_dim=8, dropout=0.0)
    batches = [
        (make_batch(graphs[rows]).to(torch.float64), targets[rows], weight[rows])
        for rows in ([0, 2, 4, 6], [1, 3, 5])
    ]

    def trained(module):
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=0.1)
        for batch, target, importance in 5 * batches:
            optimizer.zero_grad()
            WeightedLoss(loss)(module(batch), target, importance).backward()
            optimizer.step()
        return module

    members = [single(network, m) for m in range(2)]
    before = network(make_batch(graphs).to(torch.float64)).detach()
    together = trained(network)
    batch = make_batch(graphs).to(torch.float64)
    for m, member in enumerate(members):
        torch.testing.assert_close(
            together(batch)[:, m], trained(member)(batch)[:, 0], rtol=1e-7, atol=1e-7
        )
    assert (together(batch) - before).abs().min() > 1e-4


def test_dropout_only_while_training():
    network = make_network(radial_step=0.5, hidden_dim=8, dropout=0.5)
    batch = make_batch(ElementGraphs.from_graphs(crystal_graphs(), step=0.5))
    assert torch.equal(network(batch), network(batch))
    network.train()
    assert not torch.equal(network(batch), network(batch))
