"""Element convolution against loops over edges, elements and crystals; members, towers, loss."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from crystals import b2_cscl, bcc_fe, isolated_ne, random_alloys
from pymatgen.core import Lattice, Structure
from pymatgen.core.operations import SymmOp
from torch.nn import functional as F

from sklmat import ECNetRegressor, StructureToGraph
from sklmat.batches import make_batch
from sklmat.elements import element_vectors
from sklmat.graphs import ElementGraphs, grid_points
from sklmat.layers import ElementConv, GaussianFilter, GridFilter, MemberLinear, MemberNorm
from sklmat.layers._element_conv import cosine_cutoff, shifted_softplus
from sklmat.networks import ECNet
from sklmat.training import WeightedLoss

CUTOFF = 5.0
WANG = {
    "radial_filter": "gaussian",
    "radial_order": 3,
    "hidden_dim": 16,
    "n_filters": 8,
    "n_conv": 3,
    "tower_dims": (16, 8),
    "activation": "shifted_softplus",
    "normalize": False,
    "dropout": 0.0,
}


@pytest.fixture
def double():
    """Make new tensors in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@cache
def alloys(n=4, n_cells=1):
    return random_alloys(n, seed=1, n_cells=n_cells)


@cache
def crystal_graphs():
    """Alloys, an ordered compound, one element alone, and an atom that sees nobody."""
    structures = [*alloys(), b2_cscl(), bcc_fe(), isolated_ne()]
    return StructureToGraph(cutoff=CUTOFF, max_neighbors=None).fit_transform(structures)


def make_network(n_outputs=1, *, seed=0, cutoff=CUTOFF, **params):
    torch.manual_seed(seed)
    vectors = torch.from_numpy(element_vectors("onehot")[0]).to(torch.get_default_dtype())
    network = ECNet(vectors, n_outputs, cutoff=cutoff, **params).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # Zeros and ones would hide an offset that is added twice or not at all.
            if name.endswith("bias") or name.startswith("norms"):
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network


def shares(distance, grid, order):
    """Weights of one distance on all grid points: Lagrange polynomials of the nearest ones."""
    beyond = int(order == 3)
    intervals = range(beyond, len(grid) - 1 - beyond)
    left = max(k for k in intervals if grid[k] <= distance + 1e-9)
    near = np.arange(left - beyond, left + 2 + beyond)
    weights = np.zeros(len(grid))
    for k in near:
        others = grid[near[near != k]]
        weights[k] = np.prod((distance - others) / (grid[k] - others))
    return weights


def seen_by_atoms(numbers, edges, grid, order):
    """How many atoms of each element each atom sees near each point, (N, elements, K)."""
    present = sorted(set(numbers))
    seen = np.zeros((len(numbers), len(present), len(grid)))
    for i, j, d in edges:
        seen[i, present.index(numbers[j])] += shares(d, grid, order)
    return [seen[[z == a for z in numbers]] for a in present]


def double_batch(graphs, step, order, spread=False):
    """A batch whose distributions are summed edge by edge, in double precision."""
    elements = ElementGraphs.from_graphs(graphs, step=step, order=order, spread=spread)
    grid, rows = grid_points(graphs.cutoff, step, order), []
    for c in range(len(graphs)):
        for seen in seen_by_atoms(*crystal(graphs, c), grid, order):
            moments = [seen.mean(axis=0), seen.std(axis=0)]
            rows.append(np.hstack(moments[: 1 + spread]))
    radial = np.concatenate(rows)
    np.testing.assert_allclose(elements.radial, radial, atol=1e-5)
    batch = make_batch(elements)
    return replace(batch, fraction=exact_fractions(graphs), radial=torch.from_numpy(radial))


def exact_fractions(graphs):
    values = []
    for c in range(len(graphs)):
        numbers = crystal(graphs, c)[0]
        values += [numbers.count(z) / len(numbers) for z in sorted(set(numbers))]
    return torch.tensor(values, dtype=torch.float64)


def crystal(graphs, c):
    """Atomic numbers, and edges as (central atom, neighbour, distance)."""
    one = graphs[c]
    edges = zip(one.edge_target.tolist(), one.edge_source.tolist(), one.edge_distance.tolist())
    return one.atomic_numbers.tolist(), list(edges)


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


# -- layers


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


# -- members of an ensemble


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


# -- the loss


def numpy_loss(name, difference):
    size = np.abs(difference)
    if name == "huber":
        return np.where(size < 1, 0.5 * size**2, size - 0.5)
    return {"mae": size, "mse": size**2}[name]


@pytest.mark.parametrize("name", ["mae", "mse", "huber"])
@pytest.mark.parametrize("per_target", [True, False])
def test_loss_of_members_is_the_sum_of_their_means(name, per_target):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 2))
    weight = rng.uniform(size=(4, 2) if per_target else 4)
    each = numpy_loss(name, prediction - target[:, None]) * weight.reshape(4, 1, -1)
    ours = WeightedLoss(name)(*map(torch.tensor, (prediction, target, weight)))
    assert ours.item() == pytest.approx(sum(each[:, m].mean() for m in range(3)))
    one = WeightedLoss(name)(*map(torch.tensor, (prediction[:, 0], target, weight)))
    assert one.item() == pytest.approx(each[:, 0].mean())


def test_loss_by_hand():
    prediction = torch.tensor([[[1.0, 5.0]], [[2.0, 9.0]]])
    target, weight = torch.tensor([[0.0, 3.0], [4.0, 0.0]]), torch.tensor([[1.0, 2.0], [1.0, 0.0]])
    # 1*1 + 2*2 + 1*2 + 0*9, over four
    assert WeightedLoss("mae")(prediction, target, weight).item() == 7 / 4
    assert WeightedLoss("mse")(prediction, target, weight).item() == (1 + 2 * 4 + 4) / 4


def test_cross_entropy_of_members():
    rng = np.random.default_rng(0)
    logits, classes, weight = rng.normal(size=(5, 2, 3)), np.array([0, 2, 1, 1, 0]), np.arange(5.0)
    log_odds = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    each = -log_odds[np.arange(5), :, classes] * weight[:, None]
    ours = WeightedLoss("cross_entropy")(*map(torch.tensor, (logits, classes, weight)))
    assert ours.item() == pytest.approx(each.mean(axis=0).sum())


def test_entries_without_weight_have_no_gradient():
    prediction = torch.randn(4, 2, 3, requires_grad=True)
    weight = torch.ones(4, 3)
    weight[1, 2] = weight[3] = 0
    WeightedLoss("mae")(prediction, torch.randn(4, 3), weight).backward()
    assert torch.equal(prediction.grad.abs().sum(dim=1) == 0, weight == 0)


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
