"""Layers of ECNet: filters, messages, and linear maps of members."""

import math

import numpy as np
import pytest
import torch
from edge_loops import CUTOFF, crystal_graphs, double_batch, make_network
from pymatgen.core import Lattice, Structure
from torch.nn import functional as F

from sklmat import StructureToGraph
from sklmat.graphs import grid_points
from sklmat.layers import ElementConv, GaussianFilter, GridFilter, MemberLinear, MemberNorm
from sklmat.layers._element_conv import cosine_cutoff, shifted_softplus
from sklmat.networks import ECNet


def test_shifted_softplus():
    x = np.array([-50.0, -1.0, 0.0, 1.0, 50.0])
    expected = np.log(0.5 * np.exp(x) + 0.5)
    np.testing.assert_allclose(shifted_softplus(torch.tensor(x)), expected, atol=1e-12)
    assert shifted_softplus(torch.zeros(1)).item() == 0


def test_cosine_cutoff():
    d = torch.tensor([0.0, 1.5, 3.0, 6.0, 6.3, 5.7], dtype=torch.float64)
    values = cosine_cutoff(d, 6.0)
    half = 0.5 * (1 + 2**-0.5)
    np.testing.assert_allclose(values[:4], [1, half, 0.5, 0], atol=1e-7)
    assert values[4].item() == pytest.approx(values[5].item())  # smooth: even about the cutoff


def test_member_linear(double):
    torch.manual_seed(0)
    layer = MemberLinear(3, 4, 5)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(7, 3, 4)
    for m in range(3):
        torch.testing.assert_close(layer(x)[:, m], x[:, m] @ layer.weight[m] + layer.bias[m])
    plain = MemberLinear(3, 4, 5, bias=False)
    torch.testing.assert_close(plain(x), torch.einsum("pmi,mio->pmo", x, plain.weight))
    wide = MemberLinear(2, 400, 300, gain=3.0)
    assert wide.weight.std().item() == pytest.approx(3 / 20, rel=0.02)
    assert not wide.bias.any()


def test_member_norm(double):
    torch.manual_seed(0)
    layer = MemberNorm(2, 6)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = 3 + 2 * torch.randn(5, 2, 6)
    mean, var = x.mean(dim=2, keepdim=True), x.var(dim=2, unbiased=False, keepdim=True)
    expected = (x - mean) / torch.sqrt(var + 1e-5) * layer.weight + layer.bias
    torch.testing.assert_close(layer(x), expected)


def test_filters_vanish_at_the_cutoff(double):
    grid = torch.from_numpy(grid_points(CUTOFF, 0.5, 3))
    torch.manual_seed(0)
    grid_filter, gaussian = GridFilter(2, grid, 3, CUTOFF), GaussianFilter(2, grid, 3, CUTOFF)
    for values in (grid_filter(), gaussian()):
        assert values.shape == (13, 2, 3)
        assert values[-2].abs().max() < 1e-12  # 5.0 Å
        assert values[1].abs().min() > 0  # 0 Å
    torch.testing.assert_close(grid_filter()[6], grid_filter.values[6] * 0.5)  # 2.5 Å


def test_an_atom_crosses_the_cutoff_without_a_jump(double):
    network = make_network(radial_step=0.25, hidden_dim=8, n_conv=2)
    outputs = []
    for d in (4.5, CUTOFF - 1e-4, CUTOFF + 1e-4):
        dimer = Structure(Lattice.cubic(40), ["Ni", "Pd"], [[0, 0, 0], [0, 0, d / 40]])
        graphs = StructureToGraph(cutoff=CUTOFF, max_neighbors=None).transform([dimer])
        assert len(graphs.edge_source) == 2 * (d < CUTOFF)
        outputs.append(network(double_batch(graphs, 0.25, 1)).item())
    assert abs(outputs[1] - outputs[2]) < 1e-4
    assert abs(outputs[0] - outputs[2]) > 1e-3


def test_an_atom_alone_receives_nothing(double):
    network = make_network(hidden_dim=6, radial_step=0.5)
    batch = double_batch(crystal_graphs(), 0.5, 1)
    h = torch.randn(len(batch.atomic_numbers), 1, 6)
    messages = network.convolutions[0].messages(h, batch)
    silent = (messages == 0).all(dim=2)[:, 0]
    assert batch.atomic_numbers[silent].tolist() == [10]


def test_messages_are_linear_in_the_senders(double):
    torch.manual_seed(0)
    grid = torch.from_numpy(grid_points(CUTOFF, 0.5, 1))
    layer = ElementConv(2, 4, GridFilter(2, grid, 3, CUTOFF), 3, F.silu)
    batch = double_batch(crystal_graphs(), 0.5, 1)
    h = torch.randn(2, len(batch.atomic_numbers), 2, 4)
    both = layer.messages(2 * h[0] - h[1], batch)
    torch.testing.assert_close(both, 2 * layer.messages(h[0], batch) - layer.messages(h[1], batch))


@pytest.mark.parametrize("length", [1.0, 100.0])
def test_embeddings_have_unit_variance_whatever_the_vectors(length):
    torch.manual_seed(0)
    vectors = length * torch.randn(119, 20)
    vectors[50:] = math.nan
    network = ECNet(vectors, 1, hidden_dim=512)
    h = network.embedding(network.element_vectors[:50, None])
    assert h.var().item() == pytest.approx(1, rel=0.1)
    assert network.known_elements.sum() == 50
    assert torch.isfinite(network.element_vectors).all()
