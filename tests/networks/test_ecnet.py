"""ECNet against a loop over edges; independence of crystals and of targets; learning."""

import math

import numpy as np
import pytest
import torch
from crystals import b2_cscl, bcc_fe, random_alloys
from edge_loops import (
    CUTOFF,
    WANG,
    alloys,
    crystal,
    crystal_graphs,
    double_batch,
    make_network,
    seen_by_atoms,
)
from pymatgen.core import Structure
from pymatgen.core.operations import SymmOp
from torch.nn import functional as F

from sklmat import ECNetRegressor, StructureToGraph
from sklmat.batches import make_batch
from sklmat.graphs import ElementGraphs, grid_points
from sklmat.layers._element_conv import shifted_softplus
from sklmat.networks import ECNet

# -- the paper, edge by edge


class Naive:
    """The equations of the paper in loops, with the weights of one member of a network."""

    def __init__(self, network, member=0):
        self.network, self.m, self.config = network, member, network.config
        self.activation = {"silu": F.silu, "shifted_softplus": shifted_softplus}[
            network.config["activation"]
        ]
        self.grid = grid_points(self.config["cutoff"], self.config["radial_step"], 1)

    def linear(self, layer, x, k=None):
        k = self.m if k is None else k
        return x @ layer.weight[k] + (0 if layer.bias is None else layer.bias[k, 0])

    def norm(self, layer, x):
        if not self.config["normalize"]:
            return x
        scaled = (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5)
        return scaled * layer.weight[self.m] + layer.bias[self.m]

    def envelope(self, d):
        return 0.5 * (1 + math.cos(math.pi * d / self.config["cutoff"]))

    def filter(self, layer, d):
        """W(d): a network on Gaussians, or values on a grid joined by straight lines."""
        if self.config["radial_filter"] == "gaussian":
            width = self.config["cutoff"] / 49
            basis = [math.exp(-0.5 * ((d - k * width) / width) ** 2) for k in range(50)]
            basis = torch.tensor(basis, dtype=layer.first.weight.dtype)
            values = self.linear(layer.second, shifted_softplus(self.linear(layer.first, basis)))
            return values * self.envelope(d)
        step = self.config["radial_step"]
        k = min(int(d / step), len(self.grid) - 2)
        t = d / step - k
        left, right = (layer.values[i, self.m] * self.envelope(i * step) for i in (k, k + 1))
        return (1 - t) * left + t * right

    def of_spread(self, layer, spread):
        """Filters of their own for the standard deviations, Tensor of shape (elements, W)."""
        envelope = torch.tensor([[self.envelope(d)] for d in self.grid])
        return torch.from_numpy(spread) @ (layer.values[len(self.grid) :, self.m] * envelope)

    def elements(self, numbers, edges):
        """One vector per element, in the order of the periodic table."""
        present = sorted(set(numbers))
        vectors = self.network.element_vectors
        t = {z: self.linear(self.network.embedding, vectors[z]) for z in present}
        first = {z: self.norm(self.network.norms[0], t[z]) for z in present}
        for conv in self.network.convolutions:
            messages = [torch.zeros(self.config["n_filters"]) for _ in numbers]
            for i, j, d in edges:
                sent = self.linear(conv.source_map, first[numbers[j]])
                messages[i] = messages[i] + sent * self.filter(conv.filters, d)
            for k, z in enumerate(present):
                mean = torch.stack([m for m, n in zip(messages, numbers) if n == z]).mean(dim=0)
                if self.config["radial_spread"]:
                    spread = seen_by_atoms(numbers, edges, self.grid, 1)[k].std(axis=0)
                    sent = [self.linear(conv.source_map, first[b]) for b in present]
                    received = torch.stack(sent) * self.of_spread(conv.filters, spread)
                    mean = mean + received.sum(dim=0)
                hidden = self.activation(self.linear(conv.first, mean))
                t[z] = t[z] + self.linear(conv.second, hidden)
        return [self.norm(self.network.norms[1], t[z]) for z in present]

    def __call__(self, numbers, edges):
        """Outputs of one crystal, Tensor of shape (T,)."""
        n_outputs = self.config["n_outputs"]
        total = [0.0] * n_outputs
        for z, x in zip(sorted(set(numbers)), self.elements(numbers, edges)):
            share = numbers.count(z) / len(numbers) if self.config["pool"] == "mean" else 1
            for target in range(n_outputs):
                tower = self.m * n_outputs + target
                h = x
                for layer in self.network.towers:
                    h = self.activation(self.linear(layer, h, tower))
                total[target] = total[target] + share * self.linear(self.network.output, h, tower)
        return torch.cat(total)


def naive_outputs(network, graphs):
    """Tensor of shape (C, M, T)."""
    members = range(network.config["n_members"])
    return torch.stack(
        [
            torch.stack([Naive(network, m)(*crystal(graphs, c)) for m in members])
            for c in range(len(graphs))
        ]
    )


VARIANTS = {
    "default": {},
    "plain": {"normalize": False, "activation": "shifted_softplus", "n_conv": 3},
    "sum": {"pool": "sum", "n_conv": 1, "tower_dims": ()},
    "no convolution": {"n_conv": 0, "tower_dims": (7, 5)},
    "cutoff between points": {"radial_step": 0.37, "n_conv": 1},
    "spread": {"radial_spread": True},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_grid_network_is_the_loop_over_edges(double, variant):
    params = {"radial_step": 0.5, "hidden_dim": 6, "n_filters": 5, **VARIANTS[variant]}
    network = make_network(2, n_members=2, **params)
    spread = params.get("radial_spread", False)
    batch = double_batch(crystal_graphs(), params["radial_step"], 1, spread)
    expected = naive_outputs(network, crystal_graphs())
    assert expected.shape == (7, 2, 2)
    torch.testing.assert_close(network(batch), expected, rtol=1e-11, atol=1e-11)


def test_gaussian_network_is_the_loop_over_edges_but_for_interpolation(double):
    graphs = crystal_graphs()[[0, 4, 6]]
    expected, errors = None, []
    for n_points in (128, 256):
        network = make_network(2, **WANG, radial_step=CUTOFF / n_points)
        if expected is None:
            expected = naive_outputs(network, graphs)
        outputs = network(double_batch(graphs, CUTOFF / n_points, 3))
        errors.append((outputs - expected).abs().max().item())
    assert 12 < errors[0] / errors[1] < 20  # the fourth power of the step: 16
    # 1024 points, which the estimators take, are two such halvings away.
    assert errors[1] / 16**2 < 1e-6
    network = make_network(2, **WANG, radial_step=CUTOFF / 1024)
    fine = network(double_batch(graphs, CUTOFF / 1024, 3))
    torch.testing.assert_close(fine, expected, rtol=0, atol=2 * errors[1] / 16**2)


@pytest.mark.parametrize("filters", ["gaussian", "grid"])
def test_gradients_are_those_of_the_loop_over_edges(double, filters):
    graphs = crystal_graphs()[[1, 4]]
    params = {**WANG, "n_conv": 2, "radial_step": CUTOFF / 1024}
    if filters == "grid":
        params = {"radial_step": 0.5, "hidden_dim": 6, "n_filters": 5, "dropout": 0.0}
    network = make_network(2, **params)
    batch = double_batch(graphs, params["radial_step"], params.get("radial_order", 1))
    gradients = []
    for outputs in (network(batch), naive_outputs(network, graphs)):
        network.zero_grad()
        (outputs**2).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in network.named_parameters()})
    tolerance = 1e-10 if filters == "grid" else 1e-5
    for name, ours in gradients[0].items():
        theirs = gradients[1][name]
        assert theirs.abs().max() > 0, name
        assert (ours - theirs).abs().max() < tolerance * theirs.abs().max(), name


def test_the_preset_predicts_what_the_loop_over_edges_gives():
    structures = [*alloys(), b2_cscl(), bcc_fe()]
    y = np.column_stack([np.arange(6.0), np.arange(6.0)[::-1] ** 2])
    model = ECNetRegressor.from_preset("wang2022", max_epochs=2, random_state=0)
    model.fit(structures, y)
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(structures[::2])
    assert model.graph_settings_ == graphs.settings
    network = model.net_.module_.eval()
    with torch.no_grad():
        scaled = naive_outputs(network, graphs)[:, 0].numpy()
    assert scaled.std(axis=0).min() > 0.05
    ours = (model.predict(graphs) - model.y_mean_) / model.y_scale_
    np.testing.assert_allclose(ours, scaled, atol=1e-5)
    config = network.config
    assert config["radial_step"] == 6.0 / 1024
    assert (config["hidden_dim"], config["n_filters"], config["n_conv"]) == (128, 64, 3)
    assert (config["tower_dims"], config["normalize"]) == ([128, 64], False)


def test_atoms_keep_their_first_embedding(double):
    """What a convolution sends does not depend on the convolutions before it."""
    network = make_network(n_conv=2, radial_step=0.5, hidden_dim=6, normalize=False)
    batch = double_batch(crystal_graphs(), 0.5, 1)
    alone = [
        conv(network.embedding(network.element_vectors[batch.atomic_numbers][:, None]), batch)
        for conv in network.convolutions
    ]
    start = network.embedding(network.element_vectors[batch.atomic_numbers][:, None])
    torch.testing.assert_close(network.elements(batch), start + alone[0] + alone[1])


# -- crystals and targets


def test_crystals_of_a_batch_do_not_see_each_other(double):
    network = make_network(2, n_members=2, radial_step=0.5, hidden_dim=8)
    graphs = crystal_graphs()
    together = network(double_batch(graphs, 0.5, 1))
    alone = torch.cat([network(double_batch(graphs[c], 0.5, 1)) for c in range(len(graphs))])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    order = [3, 6, 0, 5, 1, 4, 2, 0]
    shuffled = network(double_batch(graphs[order], 0.5, 1))
    torch.testing.assert_close(shuffled, together[order], rtol=1e-12, atol=1e-12)


def test_another_crystal_moves_no_gradient(double):
    network = make_network(radial_step=0.5, hidden_dim=8)
    batch = double_batch(crystal_graphs(), 0.5, 1)
    batch.radial.requires_grad_()
    network(batch)[2].sum().backward()
    touched = batch.radial.grad.any(dim=1)
    assert touched.any()
    of_pair = batch.crystal[batch.target]
    assert (of_pair[touched] == 2).all()


def test_towers_know_nothing_of_each_other():
    network = make_network(3, n_members=2, radial_step=0.5, hidden_dim=8, tower_dims=(6, 5))
    batch = make_batch(ElementGraphs.from_graphs(crystal_graphs(), step=0.5))
    before = network(batch)
    with torch.no_grad():
        for layer in (*network.towers, network.output):
            layer.weight[[1, 4]] *= -2.0  # target 1 of both members
    changed = (network(batch) != before).any(dim=0)
    assert changed.tolist() == [[False, True, False]] * 2


def test_readout_weighs_elements_by_their_fractions(double):
    mean = make_network(2, radial_step=0.5, hidden_dim=8)
    total = make_network(2, radial_step=0.5, hidden_dim=8, pool="sum")
    batch = double_batch(crystal_graphs(), 0.5, 1)
    unweighted = total.contributions(batch)
    torch.testing.assert_close(
        mean.contributions(batch), unweighted * batch.fraction[:, None, None]
    )
    for c in range(len(batch)):
        rows = batch.crystal == c
        fraction = batch.fraction[rows, None, None]
        torch.testing.assert_close(total(batch)[c], unweighted[rows].sum(dim=0))
        torch.testing.assert_close(mean(batch)[c], (fraction * unweighted[rows]).sum(dim=0))
        vectors = mean.elements(batch)[rows]
        torch.testing.assert_close(mean.embed(batch)[c], (fraction * vectors).sum(dim=0))


def test_an_element_with_no_tower_bias_adds_in_proportion(double):
    """B2: half of one tower's value and half of the other's."""
    network = make_network(n_conv=0, tower_dims=(), normalize=False)
    graphs = crystal_graphs()[[4, 5]]
    batch = double_batch(graphs, 0.2, 1)
    value = network.embedding(network.element_vectors[:, None]) @ network.output.weight
    value = (value + network.output.bias)[:, 0, 0]
    expected = torch.stack([0.5 * value[17] + 0.5 * value[55], value[26]])
    torch.testing.assert_close(network(batch)[:, 0, 0], expected)


@pytest.mark.parametrize("params", [{}, WANG], ids=["grid", "gaussian"])
def test_invariances(params):
    params = {"radial_step": 0.25, "hidden_dim": 8, **params}
    network = make_network(2, **params)
    rng = np.random.default_rng(0)
    outputs = {}
    for name, change in {
        "as it is": lambda s: s,
        "supercell": lambda s: s * (2, 1, 3),
        "order": lambda s: Structure.from_sites([s[i] for i in rng.permutation(len(s))]),
        "shift": lambda s: s.copy().translate_sites(range(len(s)), [0.1, 0.2, 0.7]),
        "turn": lambda s: s.copy().apply_operation(
            SymmOp.from_axis_angle_and_translation([1, 2, 3], 35)
        ),
    }.items():
        moved = [change(s) for s in alloys()]
        graphs = StructureToGraph(cutoff=CUTOFF, max_neighbors=None).transform(moved)
        step, order = params["radial_step"], params.get("radial_order", 1)
        elements = ElementGraphs.from_graphs(graphs, step=step, order=order)
        outputs[name] = network(make_batch(elements)).detach()
    for name, values in outputs.items():
        torch.testing.assert_close(values, outputs["as it is"], rtol=1e-4, atol=1e-4, msg=name)
    squeezed = [s.copy() for s in alloys()]
    for s in squeezed:
        s.scale_lattice(0.9 * s.volume)
    graphs = StructureToGraph(cutoff=CUTOFF, max_neighbors=None).transform(squeezed)
    elements = ElementGraphs.from_graphs(graphs, step=step, order=order)
    assert (network(make_batch(elements)) - outputs["as it is"]).abs().max() > 1e-2


def test_networks_survive_their_own_config():
    network = make_network(2, n_members=2, radial_step=0.5, hidden_dim=8, tower_dims=(6, 5))
    again = ECNet(network.element_vectors, **network.config).eval()
    again.load_state_dict(network.state_dict())
    batch = make_batch(ElementGraphs.from_graphs(crystal_graphs(), step=0.5))
    assert torch.equal(again(batch), network(batch))


def test_batches_move_and_change_precision():
    batch = make_batch(ElementGraphs.from_graphs(crystal_graphs()))
    assert len(batch) == 7
    moved = batch.to(torch.float64).to("cpu")
    assert moved.radial.dtype == moved.fraction.dtype == torch.float64
    assert moved.source.dtype == moved.atomic_numbers.dtype == torch.int64
    assert len(moved) == 7
    sums = torch.zeros(7).index_add_(0, batch.crystal, batch.fraction)
    torch.testing.assert_close(sums, torch.ones(7))


# -- learning


def test_overfits_ten_crystals():
    structures = random_alloys(10, n_cells=1)
    y = np.random.default_rng(0).normal(size=10)
    model = ECNetRegressor(
        max_epochs=300, n_ensemble=1, dropout=0, weight_decay=0, batch_size=10, random_state=0
    )
    model.fit(structures, y)
    assert np.abs(model.predict(structures) - y).max() < 0.05


def test_learns_distances_that_composition_does_not_tell():
    """One element, one lattice, only the volume differs; and the other way round: a rattle."""
    volumes = np.linspace(0.9, 1.1, 30)
    structures = []
    for volume in volumes:
        iron = bcc_fe()
        iron.scale_lattice(iron.volume * volume)
        structures.append(iron)
    train, test = np.arange(30) % 3 > 0, np.arange(30) % 3 == 0
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(structures)
    model = ECNetRegressor(max_epochs=60, n_ensemble=1, batch_size=8, random_state=0)
    assert model.fit(graphs[train], volumes[train]).score(graphs[test], volumes[test]) > 0.95
    blind = model.set_params(n_conv=0).fit(graphs[train], volumes[train])
    assert np.ptp(blind.predict(graphs)) < 1e-6


def test_dropout_in_the_towers():
    torch.manual_seed(0)
    network = make_network(n_conv=0, dropout=0.5, hidden_dim=8, radial_step=0.5)
    batch = make_batch(ElementGraphs.from_graphs(crystal_graphs(), step=0.5)).to(torch.float32)
    network = network.float()
    assert not torch.equal(network.train()(batch), network(batch))
    assert torch.equal(network.eval()(batch), network(batch))
