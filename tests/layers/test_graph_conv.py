"""Layers and networks against naive formulas, batches, symmetries."""

import copy

import numpy as np
import pytest
import torch
from crystals import bcc_fe, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from pymatgen.core import Lattice, Structure
from torch.nn import functional as F

from sklmat import StructureToGraph
from sklmat.batches import GraphDataset, make_batch, pad_neighbors
from sklmat.elements import element_vectors
from sklmat.layers import (
    GatedGraphConv,
    GaussianExpansion,
    RowNorm,
    _graph_conv,
    mean_pool,
)
from sklmat.networks import CGCNN


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


def double_network(n_outputs=1, **params):
    torch.manual_seed(0)
    return CGCNN(torch.from_numpy(element_vectors()[0]), n_outputs, **params).double()


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


def test_batch_puts_the_shared_neighbours_first(graphs):
    batch = make_batch(graphs[[0, 4, 1, 6]])
    assert batch.n_dense == 12
    n = len(batch.atomic_numbers)
    assert torch.equal(batch.target[: 12 * n], torch.arange(n).repeat_interleave(12))
    assert len(batch.target) - 12 * n == graphs[[0, 4, 1, 6]].n_edges.sum() - 12 * n
    assert len(batch) == 4


def test_dataset_fetches_whole_batches(graphs):
    dataset = GraphDataset(graphs, torch.arange(len(graphs)))
    batch, (y, weight) = dataset.__getitems__([5, 2])
    assert len(dataset) == len(graphs)
    assert len(batch) == 2
    assert y.tolist() == [5, 2]
    assert weight.tolist() == [1, 1]
    assert batch.atomic_numbers[0] == 10


def test_network_ignores_how_a_crystal_is_written():
    s = random_alloys(1)[0]
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(s))
    forms = [
        s,
        Structure.from_sites([s[i] for i in order]),
        Structure(Lattice(s.lattice.matrix @ q), s.species, s.frac_coords),
        Structure(s.lattice, s.species, s.frac_coords + np.array([0.4, -1.3, 2.6])),
        s * (1, 2, 1),
    ]
    graphs = StructureToGraph().fit_transform(forms)
    network = double_network(3).eval()
    with torch.no_grad():
        out = network(make_batch(graphs).to(torch.float64))
    assert torch.allclose(out, out[:1].expand_as(out), atol=1e-5)
    assert out[0].std() > 0


def test_crystals_of_a_batch_do_not_see_each_other(graphs):
    network = double_network().eval()
    with torch.no_grad():
        together = network(make_batch(graphs).to(torch.float64))
        alone = torch.cat([network(make_batch(g).to(torch.float64)) for g in graphs])
    assert torch.allclose(together, alone, atol=1e-10)


def test_a_lone_isolated_atom_can_be_trained_on():
    network = double_network().train()
    graphs = StructureToGraph().fit_transform([isolated_ne()])
    network(make_batch(graphs).to(torch.float64)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_padding_is_the_originals(graphs):
    padded = pad_neighbors(graphs)
    assert padded.neighbor_counts.min() == 12
    lone = padded[5]
    assert lone.edge_source.tolist() == [0] * 12
    assert lone.edge_distance.tolist() == [9.0] * 12
    np.testing.assert_array_equal(padded[0].edge_distance, graphs[0].edge_distance)
    assert pad_neighbors(graphs[:4]).edge_ptr.tolist() == graphs[:4].edge_ptr.tolist()


def softplus(x):
    return np.logaddexp(0, x)


def normalised(x, norm):
    weights = {name: value.numpy().astype(float) for name, value in norm.state_dict().items()}
    scaled = (x - weights["running_mean"]) / np.sqrt(weights["running_var"] + norm.eps)
    return scaled * weights["weight"] + weights["bias"]


def linear(x, layer):
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return x @ layer.weight.detach().numpy().T.astype(float) + bias


def naive_cgcnn(network, graph):
    """Output for one crystal, from its positions, lattice and edges: no batch, no distances."""
    h = linear(
        network.element_vectors.numpy().astype(float)[graph.atomic_numbers], network.embedding
    )
    centers, step = network.expansion.centers.numpy(), network.config["gaussian_step"]
    for layer in network.convolutions:
        total = np.zeros_like(h)
        for i, j, image in zip(graph.edge_target, graph.edge_source, graph.edge_image):
            vector = graph.positions[j] + image @ graph.lattices[0] - graph.positions[i]
            gaussians = np.exp(-(((np.linalg.norm(vector) - centers) / step) ** 2))
            z = linear(h[i], layer.target_map) + linear(h[j], layer.source_map)
            gate, core = np.split(
                normalised(z + linear(gaussians, layer.edge_map), layer.edge_norm), 2
            )
            total[i] += softplus(core) / (1 + np.exp(-gate))
        h = softplus(h + normalised(total, layer.node_norm))
    h = softplus(h.mean(axis=0))
    for layer in network.readout:
        h = softplus(linear(h, layer))
    return linear(h, network.output)


def test_cgcnn_equals_loops_over_the_graphs():
    """Shells are complete, so atoms have 12 to 14 neighbours and a batch reorders the edges."""
    structures = [bcc_fe(), *random_alloys(2), fcc_cu(), isolated_ne()]
    graphs = StructureToGraph(cutoff=6.0).fit_transform(structures)
    assert set(graphs.neighbor_counts) == {0, 12, 14}
    torch.manual_seed(0)
    vectors = torch.from_numpy(element_vectors("physical")[0])
    network = CGCNN(vectors, 2, cutoff=6.0, hidden_dim=6, n_conv=2, readout_dim=5)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, RowNorm):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.normal_()
        found = network.eval()(make_batch(graphs)).numpy()
    expected = [naive_cgcnn(network, graphs[c]) for c in range(len(graphs))]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
