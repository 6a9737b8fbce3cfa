"""Speed of ECNet training, compared with direct implementations.

    python examples/benchmarks/ecnet_speed.py [--rows 290] [--repeats 5] [--out ecnet_speed.json]

The crystals are those of `fetch_hea` if they have been downloaded, else `make_alloys`. The time of
a training epoch (forward, backward, optimizer) over the same rows is measured for three
implementations:

- loops: a direct implementation of the paper, with a loop over crystals and an inner loop over
  their elements. The filter is evaluated on all edges to the atoms of an element at once. The lists
  of these edges and everything else that does not depend on weights (how much the surroundings of
  the atoms differ) are computed before. The time of an ensemble is a multiple of the time of one
  network.
- edges: a batch at a time, with the filter on every edge, with gather and scatter.
- sklmat: `ECNetRegressor` as users run it, with all operations of its epochs. The partial radial
  distributions that it needs are computed once per fit; their time is measured separately.

All three have the same weights, and their outputs are compared before the timing. Times are
medians, and only their ratios can be compared between machines. Peak memory is the growth of the
resident set of a process that does only two training steps.
"""

import argparse
import json
import math
import time

import numpy as np
import torch
from measuring import high_water, in_fresh_process, load_alloys
from torch import nn
from torch.nn import functional as F

from sklmat import ECNetRegressor, StructureToGraph
from sklmat.batches import EvenBatches, make_batch
from sklmat.graphs import ElementGraphs
from sklmat.layers import shifted_softplus

#: Training that hardly changes the weights and holds no rows out.
_STILL = {"max_epochs": 1, "lr": 1e-9, "lr_schedule": "constant", "random_state": 0}
_LOSSES = {"mae": F.l1_loss, "mse": F.mse_loss, "huber": F.smooth_l1_loss}


def estimators():
    return {
        "preset wang2022": ECNetRegressor.from_preset("wang2022", **_STILL),
        "default, one network": ECNetRegressor(**{**_STILL, "n_ensemble": 1}),
        "default, ensemble": ECNetRegressor(**_STILL),
    }


class Edges:
    """Edges of some crystals as tensors; the nodes are the elements of each crystal."""

    def __init__(self, graphs):
        offset = np.repeat(graphs.atom_ptr[:-1], graphs.n_edges)
        crystal = np.repeat(np.arange(len(graphs)), graphs.n_atoms)
        nodes, node = np.unique(crystal * 128 + graphs.atomic_numbers, return_inverse=True)
        self.target = torch.from_numpy(graphs.edge_target + offset)
        self.source_node = torch.from_numpy(node[graphs.edge_source + offset])
        self.distance = torch.from_numpy(graphs.edge_distance.copy())
        self.node = torch.from_numpy(node)
        self.atomic_numbers = torch.from_numpy(nodes % 128)
        self.crystal = torch.from_numpy(nodes // 128)
        self.n_atoms = torch.bincount(self.node).float()
        self.fraction = self.n_atoms / torch.from_numpy(graphs.n_atoms).float()[self.crystal]
        self.n_crystals = len(graphs)

    def spreads(self, grid):
        """Standard deviations of the radial distributions over the atoms of each node.

        One row of shape (K,) for every pair of nodes of a crystal, and its two nodes.
        """
        step = grid[1] - grid[0]
        found = []
        for c in range(self.n_crystals):
            nodes = torch.nonzero(self.crystal == c)[:, 0]
            atoms = torch.nonzero(self.crystal[self.node] == c)[:, 0]
            mine = self.crystal[self.source_node] == c
            hats = (1 - (self.distance[mine, None] - grid).abs() / step).clamp(min=0)
            place = (self.target[mine] - atoms[0]) * len(nodes) + self.source_node[mine] - nodes[0]
            seen = hats.new_zeros(len(atoms) * len(nodes), len(grid)).index_add(0, place, hats)
            seen = seen.view(len(atoms), len(nodes), len(grid))
            found += [seen[self.node[atoms] == k].std(dim=0, unbiased=False) for k in nodes]
        sizes = torch.bincount(self.crystal)[self.crystal]
        first = torch.searchsorted(self.crystal, self.crystal)
        target = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        place = torch.arange(len(target)) - torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
        return torch.cat(found), target, first[target] + place

    def of_elements(self):
        """The incoming edges of each node."""
        target = self.node[self.target]
        return [torch.nonzero(target == k)[:, 0] for k in range(len(self.atomic_numbers))]


class Plain(nn.Module):
    """An ECNet of one member, with its weights, without its member dimension."""

    def __init__(self, ours):
        super().__init__()
        self.ours, self.config = ours, ours.config
        activations = {"silu": F.silu, "shifted_softplus": shifted_softplus}
        self.activation = activations[ours.config["activation"]]

    def linear(self, layer, x, k=0):
        x = x @ layer.weight[k]
        return x if layer.bias is None else x + layer.bias[k, 0]

    def norm(self, layer, x):
        if not self.config["normalize"]:
            return x
        return F.layer_norm(x, x.shape[-1:]) * layer.weight[0] + layer.bias[0]

    def drop(self, x):
        return F.dropout(x, self.config["dropout"], self.training)

    def prepared(self, distance):
        """The part of the filters of all convolutions that depends on distances only."""
        cutoff, step = self.config["cutoff"], self.config["radial_step"]
        if self.config["radial_filter"] == "grid":
            last = math.ceil(cutoff / step - 1e-9) - 1
            left = (distance / step).long().clamp(max=last)
            return left, (distance / step - left)[:, None]
        width = cutoff / 49
        basis = torch.exp(-0.5 * ((distance[:, None] - torch.arange(50) * width) / width) ** 2)
        return basis, 0.5 * (1 + torch.cos(math.pi * distance / cutoff))[:, None]

    def grid(self):
        cutoff, step = self.config["cutoff"], self.config["radial_step"]
        return torch.arange(math.ceil(cutoff / step - 1e-9) + 1) * step

    def from_spread(self, conv, sent, spread):
        """Contribution to the nodes from differences between the atoms of their neighbour nodes."""
        table, target, source = spread
        values = conv.filters.values[-table.shape[1] :, 0]
        values = values * conv.filters.envelope[-table.shape[1] :, None]
        received = (table @ values) * sent[source]
        return sent.new_zeros(len(sent), received.shape[1]).index_add(0, target, received)

    def filter(self, layer, prepared):
        if self.config["radial_filter"] == "grid":
            left, t = prepared
            values = layer.values[:, 0] * layer.envelope[:, None]
            return (1 - t) * values[left] + t * values[left + 1]
        basis, envelope = prepared
        hidden = shifted_softplus(self.linear(layer.first, basis))
        return self.linear(layer.second, hidden) * envelope

    def update(self, conv, mean):
        return self.linear(conv.second, self.drop(self.activation(self.linear(conv.first, mean))))

    def read_out(self, x, fraction):
        x = self.norm(self.ours.norms[1], x)
        outputs = []
        for k in range(self.config["n_outputs"]):
            h = x
            for layer in self.ours.towers:
                h = self.drop(self.activation(self.linear(layer, h, k)))
            outputs.append(self.linear(self.ours.output, h, k))
        values = torch.cat(outputs, dim=-1)
        return values * fraction[..., None] if self.config["pool"] == "mean" else values


class EdgesECNet(Plain):
    """The filter on every edge of the batch, with gather and scatter."""

    def prepare(self, graphs):
        edges = Edges(graphs)
        return edges, edges.spreads(self.grid()) if self.config["radial_spread"] else None

    def forward(self, batch):
        edges, spread = batch
        prepared = self.prepared(edges.distance)
        t = self.linear(self.ours.embedding, self.ours.element_vectors[edges.atomic_numbers])
        first = self.norm(self.ours.norms[0], t)
        n_filters = self.config["n_filters"]
        for conv in self.ours.convolutions:
            sent = self.linear(conv.source_map, first)
            messages = sent[edges.source_node] * self.filter(conv.filters, prepared)
            atoms = sent.new_zeros(len(edges.node), n_filters)
            atoms = atoms.index_add(0, edges.target, messages)
            mean = sent.new_zeros(len(t), n_filters).index_add(0, edges.node, atoms)
            mean = mean / edges.n_atoms[:, None]
            if spread is not None:
                mean = mean + self.from_spread(conv, sent, spread)
            t = t + self.update(conv, mean)
        values = self.read_out(t, edges.fraction)
        total = values.new_zeros(edges.n_crystals, values.shape[1])
        return total.index_add(0, edges.crystal, values)


class LoopsECNet(Plain):
    """Loops over crystals and over their elements."""

    def prepare(self, graphs):
        crystals = [Edges(graphs[c]) for c in range(len(graphs))]
        return [
            (
                crystal,
                crystal.of_elements(),
                crystal.spreads(self.grid()) if self.config["radial_spread"] else None,
            )
            for crystal in crystals
        ]

    def forward(self, crystals):
        return torch.stack([self.crystal(*crystal) for crystal in crystals])

    def crystal(self, edges, of_elements, spread):
        vectors = self.ours.element_vectors
        t = [self.linear(self.ours.embedding, vectors[z]) for z in edges.atomic_numbers]
        first = torch.stack([self.norm(self.ours.norms[0], vector) for vector in t])
        prepared = [self.prepared(edges.distance[mine]) for mine in of_elements]
        for conv in self.ours.convolutions:
            sent = self.linear(conv.source_map, first)
            unlike = 0 * sent if spread is None else self.from_spread(conv, sent, spread)
            for k, mine in enumerate(of_elements):
                messages = sent[edges.source_node[mine]] * self.filter(conv.filters, prepared[k])
                mean = messages.sum(dim=0) / edges.n_atoms[k] + unlike[k]
                t[k] = t[k] + self.update(conv, mean)
        return sum(self.read_out(t[k], edges.fraction[k]) for k in range(len(t)))


WAYS = {"loops": LoopsECNet, "edges": EdgesECNet}


def make_epoch(network, graphs, y, model):
    """A function that trains for one epoch like the model, but without the model's code."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=model.lr)
    y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)[:, None]
    batches = [
        (network.prepare(graphs[rows]), y[rows])
        for rows in EvenBatches(len(graphs), model.batch_size)
    ]
    network.train()

    def epoch(n_steps=None):
        for prepared, target in batches[:n_steps]:
            optimizer.zero_grad()
            _LOSSES[model.loss](network(prepared), target).backward()
            optimizer.step()

    return epoch


def element_batch(model, graphs):
    config = model.net_.module_.config
    elements = ElementGraphs.from_graphs(
        graphs,
        step=config["radial_step"],
        order=config["radial_order"],
        spread=config["radial_spread"],
    )
    return make_batch(elements)


def differences(model, graphs):
    """Largest differences from our outputs, which have a standard deviation of about one."""
    module = model.net_.module_.eval()
    with torch.no_grad():
        ours = module(element_batch(model, graphs))[:, 0]
        found = {}
        for kind, way in WAYS.items():
            network = way(module).eval()
            found[kind] = float((network(network.prepare(graphs)) - ours).abs().max())
    return found


def epoch_seconds(models, graphs, y, repeats):
    """Seconds per epoch of each implementation, in turn, so that a slow phase affects all."""

    def of_ours(model):
        return lambda: model.partial_fit(graphs, y).history_[-1]["dur"]

    def of_theirs(way, model):
        epoch = make_epoch(way(model.net_.module_), graphs, y, model)

        def run():
            start = time.perf_counter()
            epoch()
            return time.perf_counter() - start

        return run

    runs = {}
    for name, model in models.items():
        runs[name, "sklmat"] = of_ours(model)
        if model.n_ensemble == 1:
            runs.update({(name, kind): of_theirs(way, model) for kind, way in WAYS.items()})
    for run in runs.values():
        run()
    times = {key: [] for key in runs}
    for _ in range(repeats):
        for key, run in runs.items():
            times[key].append(run())
    return {key: float(np.median(values)) for key, values in times.items()}


def memory_of_steps(name, kind, graphs, y):
    """Growth of the resident set of this process by two training steps (MiB)."""
    model = estimators()[name]
    rows = min(len(graphs), 2 * model.batch_size)
    if kind == "sklmat":
        before = high_water()
        model.fit(graphs[:rows], y[:rows])
    else:
        model.fit(graphs[:2], y[:2])
        epoch = make_epoch(WAYS[kind](model.net_.module_), graphs[:rows], y[:rows], model)
        before = high_water()
        epoch()
    return high_water() - before


def compare(graphs, y, models, repeats, with_memory=True):
    """Ratios, differences and memory by name, as plain numbers."""
    largest = {}
    for name, model in models.items():
        model.fit(graphs, y)
        if model.n_ensemble == 1:
            largest[name] = differences(model, graphs)
    seconds = epoch_seconds(models, graphs, y, repeats)
    result = {}
    for name, model in models.items():
        # For an ensemble, loops and edges take the time of one network for each network.
        like = name if model.n_ensemble == 1 else "default, one network"
        ours = seconds[name, "sklmat"]
        start = time.perf_counter()
        element_batch(model, graphs)
        result[name] = {
            "n_ensemble": model.n_ensemble,
            "seconds per epoch": ours,
            "seconds to sum up the distributions": time.perf_counter() - start,
            "ratio to sklmat": {
                kind: model.n_ensemble * seconds[like, kind] / ours for kind in WAYS
            },
            "largest difference of outputs": largest.get(name, {}),
        }
        if with_memory:
            kinds = ("sklmat", *WAYS) if model.n_ensemble == 1 else ("sklmat",)
            memory = {
                kind: in_fresh_process(memory_of_steps, name, kind, graphs, y) for kind in kinds
            }
            result[name]["peak memory (MiB)"] = memory
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=290)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", default="ecnet_speed.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    structures, source = load_alloys()
    order = np.random.default_rng(0).permutation(len(structures))[: args.rows]
    structures = [structures[k] for k in order]
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(structures)
    # The target does not matter here: the volume per atom is known for all crystals.
    y = np.array([structure.volume / len(structure) for structure in structures])
    print(f"{graphs!r} of {source}, {args.threads} threads\n")

    result = compare(graphs, y, estimators(), args.repeats)
    for name, row in result.items():
        print(
            f"{name} ({row['n_ensemble']} in the ensemble): {row['seconds per epoch']:.3f} s an "
            f"epoch; distributions once {row['seconds to sum up the distributions']:.2f} s"
        )
        for kind, ratio in row["ratio to sklmat"].items():
            difference = row["largest difference of outputs"].get(kind)
            print(
                f"    {kind}: {ratio:7.1f} times our time"
                + ("" if difference is None else f", outputs differ by {difference:.1e} at most")
            )
        memory = [f"{kind} {size:.0f} MiB" for kind, size in row["peak memory (MiB)"].items()]
        print(f"    memory: {', '.join(memory)}")
    with open(args.out, "w") as file:
        settings = {"source": source, "rows": len(graphs), "threads": args.threads}
        json.dump({**settings, **result}, file, indent=1)


if __name__ == "__main__":
    main()
