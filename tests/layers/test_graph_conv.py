"""Graph convolution and pooling against naive loops."""

import copy

import numpy as np
import pytest
import torch
from crystals import bcc_fe, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from torch.nn import functional as F

from sklmat import StructureToGraph
from sklmat.batches import make_batch
from sklmat.layers import GatedGraphConv, GaussianExpansion, _graph_conv, mean_pool


@pytest.fixture(scope="module")
def graphs():
    """Equal and unequal numbers of neighbours, and an atom with none."""
    return StructureToGraph().fit_transform(
        [*random_alloys(4), bcc_fe(), isolated_ne(), rocksalt_nacl()]
    )


@pytest.fixture(params=["equal", "nearly equal", "isolated"])
def batch(request, graphs):
    rows = {"equal": slice(0, 4), "nearly equal": [0, 4, 1, 6], "isolated": slice(None)}
    batch = make_batch(graphs[rows[request.param]]).to(torch.float64)
    assert (batch.n_dense > 0) == (request.param != "isolated")
    return batch


def test_gaussians_are_the_formula_where_it_matters():
    distance = torch.tensor([0.7, 2.48, 2.55, 7.99, 8.0, 9.0], dtype=torch.float64)
    expansion = GaussianExpansion(8.0).double()
    values, columns = expansion(distance)
    full = torch.zeros(len(distance), 41, dtype=torch.float64)
    full[:, columns] = values
    assert torch.allclose(expansion.centers, 0.2 * torch.arange(41, dtype=torch.float64), atol=1e-6)
    expected = torch.exp(-(((distance[:, None] - expansion.centers) / 0.2) ** 2))
    assert (full - expected).abs().max() < 1.1e-12
    assert full[0, 4] == pytest.approx(np.exp(-(0.1**2) / 0.04), rel=1e-6)


def test_gaussians_hold_no_denormal_numbers():
    values, _ = GaussianExpansion(8.0)(torch.linspace(0.5, 9.0, 500))
    positive = values[values > 0]
    assert positive.min() > 5e-13
    naive = torch.exp(
        -(((torch.linspace(0.5, 9, 500)[:, None] - 0.2 * torch.arange(41)) / 0.2) ** 2)
    )
    assert ((naive > 0) & (naive < torch.finfo(torch.float32).tiny)).any()


def test_only_touched_gaussians_are_computed():
    _, columns = GaussianExpansion(8.0)(torch.tensor([2.4, 2.6]))
    assert columns.stop - columns.start <= 13
    _, columns = GaussianExpansion(8.0)(torch.zeros(0))
    assert columns.stop > columns.start


def naive_convolution(layer, h, g, batch):
    """The paper's formula with one matrix, edge by edge."""
    weight = torch.cat([layer.target_map.weight, layer.source_map.weight, layer.edge_map.weight], 1)
    z = torch.stack(
        [
            weight @ torch.cat([h[i], h[j], g[e]]) + layer.target_map.bias
            for e, (i, j) in enumerate(zip(batch.target, batch.source))
        ]
    )
    mean, var = z.mean(0), z.var(0, unbiased=False)
    z = (z - mean) / torch.sqrt(var + 1e-5) * layer.edge_norm.weight + layer.edge_norm.bias
    n = h.shape[1]
    total = torch.zeros_like(h)
    for e, i in enumerate(batch.target):
        total[i] = total[i] + torch.sigmoid(z[e, :n]) * F.softplus(z[e, n:])
    mean, var = total.mean(0), total.var(0, unbiased=False)
    total = (total - mean) / torch.sqrt(var + 1e-5)
    return F.softplus(h + total * layer.node_norm.weight + layer.node_norm.bias)


def test_convolution_equals_the_naive_loop(batch):
    torch.manual_seed(0)
    layer = GatedGraphConv(5, 41).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    h = torch.randn(len(batch.atomic_numbers), 5, dtype=torch.float64)
    values, columns = GaussianExpansion(8.0).double()(batch.distance)
    g = torch.zeros(len(values), 41, dtype=torch.float64)
    g[:, columns] = values
    expected = naive_convolution(layer, h, g, batch)
    assert torch.allclose(layer(h, values, columns, batch), expected, atol=1e-10)


@pytest.mark.parametrize("chunk", [20, 10**6])
@pytest.mark.parametrize("training", [True, False])
def test_fused_convolution_equals_the_plain_one(batch, chunk, training, monkeypatch):
    monkeypatch.setattr(_graph_conv, "_CHUNK_NUMBERS", chunk)
    torch.manual_seed(0)
    layer = GatedGraphConv(3, 4).double().train(training)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    other = copy.deepcopy(layer)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    n_atoms, n_edges = len(batch.atomic_numbers), len(batch.source)
    inputs = (draw(n_atoms, 6), draw(n_atoms, 6), draw(n_edges, 4), draw(6, 4))
    ours, theirs = layer._fused(*inputs, batch), other._plain(*inputs, batch)
    assert torch.allclose(ours, theirs, atol=1e-12)
    assert torch.allclose(layer.edge_norm.running_mean, other.edge_norm.running_mean)
    assert torch.allclose(layer.edge_norm.running_var, other.edge_norm.running_var)
    gradients = [
        torch.autograd.grad(
            total.pow(2).sum(), [*inputs, conv.edge_norm.weight, conv.edge_norm.bias]
        )
        for total, conv in ((ours, layer), (theirs, other))
    ]
    for a, b in zip(*gradients):
        assert torch.allclose(a, b, atol=1e-9)


def test_atoms_without_neighbours_receive_nothing():
    graphs = StructureToGraph().fit_transform([isolated_ne(), fcc_cu()])
    batch = make_batch(graphs)
    layer = GatedGraphConv(3, 41).eval()
    inputs = [torch.ones(5, 6), torch.ones(5, 6), torch.zeros(48, 4), torch.zeros(6, 4)]
    layer.edge_norm.eps = 0.0
    one_message = torch.sigmoid(torch.tensor(2.0)) * F.softplus(torch.tensor(2.0))
    for total in (layer._fused(*inputs, batch), layer._plain(*inputs, batch)):
        assert (total[0] == 0).all()
        assert torch.allclose(total[1:], 12 * one_message.expand(4, 3))


def test_mean_pool_counts_the_crystals_given(graphs):
    batch = make_batch(graphs)
    pooled = mean_pool(batch.atomic_numbers[:, None].float(), batch)[:, 0]
    expected = [
        graphs.atomic_numbers[a:b].mean() for a, b in zip(graphs.atom_ptr, graphs.atom_ptr[1:])
    ]
    assert np.allclose(pooled.numpy(), expected)
