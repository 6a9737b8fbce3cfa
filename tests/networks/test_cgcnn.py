"""CGCNN against loops over the graphs; how a crystal is written does not matter."""

import numpy as np
import pytest
import torch
from crystals import bcc_fe, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from pymatgen.core import Lattice, Structure

from sklmat import StructureToGraph
from sklmat.batches import make_batch
from sklmat.elements import element_vectors
from sklmat.layers import RowNorm
from sklmat.networks import CGCNN


@pytest.fixture(scope="module")
def graphs():
    """Equal and unequal numbers of neighbours, and an atom with none."""
    return StructureToGraph().fit_transform(
        [*random_alloys(4), bcc_fe(), isolated_ne(), rocksalt_nacl()]
    )


def double_network(n_outputs=1, **params):
    torch.manual_seed(0)
    return CGCNN(torch.from_numpy(element_vectors()[0]), n_outputs, **params).double()


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


def test_a_network_in_double_precision_takes_a_batch_in_single_precision(graphs):
    network, batch = double_network().eval(), make_batch(graphs)
    torch.testing.assert_close(network(batch), network(batch.to(torch.float64)))


def test_a_lone_isolated_atom_can_be_trained_on():
    network = double_network().train()
    graphs = StructureToGraph().fit_transform([isolated_ne()])
    network(make_batch(graphs).to(torch.float64)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


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
    """Shells are complete, so atoms have 12 to 14 neighbours, and one has none."""
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
