"""Speed of graph construction and CGCNN training, compared with standard implementations.

    python examples/benchmarks/cgcnn_speed.py [--threads 1] [--repeats 7] [--out speed.json]

The crystals are those of `fetch_hea` if they have been downloaded, else `make_alloys`. All
implementations compute the same results, which is checked before the timing:

- graphs: pymatgen's ``get_all_neighbors`` and ``get_neighbor_list`` at 8 Å, sorted and cut to 12
  neighbours per atom (the original CGCNN uses the first of them);
- training step (forward, backward, Adam): the network with one matrix on [h_i, h_j, g_ij], as in
  the original, with its complete Gaussian basis; the same with ``torch_geometric.nn.CGConv``, which
  has no batch norm inside the gate and therefore computes less; the matrix products and passes over
  memory alone without which our step cannot do; a training step on two threads.

Times are medians, and only their ratios can be compared between machines. Peak memory is the growth
of the resident set of a process that does only five training steps.
"""

import argparse
import json

import numpy as np
import torch
from measuring import high_water, in_fresh_process, load_alloys, median_seconds
from torch import nn
from torch.nn import functional as F

from sklmat import CGCNNRegressor, StructureToGraph
from sklmat.batches import make_batch
from sklmat.elements import element_vectors
from sklmat.layers import block_threads, reused_arrays
from sklmat.networks import CGCNN


class NaiveConv(nn.Module):
    """One matrix on the concatenation of both atoms and the edge."""

    def __init__(self, width, n_gaussians):
        super().__init__()
        self.full = nn.Linear(2 * width + n_gaussians, 2 * width)
        self.bn1 = nn.BatchNorm1d(2 * width)
        self.bn2 = nn.BatchNorm1d(width)

    def forward(self, h, gaussians, neighbors):
        n, m = neighbors.shape
        central = h.unsqueeze(1).expand(n, m, h.shape[1])
        z = self.full(torch.cat([central, h[neighbors], gaussians], dim=2))
        z = self.bn1(z.view(n * m, -1)).view(n, m, -1)
        gate, core = z.chunk(2, dim=2)
        total = torch.sum(torch.sigmoid(gate) * F.softplus(core), dim=1)
        return F.softplus(h + self.bn2(total))


class NaiveCGCNN(nn.Module):
    """The network as in the original code, with the weights of our network."""

    def __init__(self, ours):
        super().__init__()
        self.table, self.embedding = ours.element_vectors, ours.embedding
        width, n_gaussians = ours.embedding.out_features, len(ours.expansion.centers)
        self.convs = nn.ModuleList(NaiveConv(width, n_gaussians) for _ in ours.convolutions)
        for mine, theirs in zip(self.convs, ours.convolutions):
            maps = (theirs.target_map, theirs.source_map, theirs.edge_map)
            mine.full.weight.data = torch.cat([m.weight.data for m in maps], dim=1)
            mine.full.bias.data = theirs.target_map.bias.data.clone()
        self.hidden, self.output = ours.readout[0], ours.output

    def forward(self, data):
        h = self.embedding(self.table[data["z"]])
        for conv in self.convs:
            h = conv(h, data["gaussians"], data["neighbors"])
        pooled = torch.stack([h[rows].mean(dim=0) for rows in data["crystals"]])
        return self.output(F.softplus(self.hidden(F.softplus(pooled))))


class PyGCGCNN(nn.Module):
    """The same network with the convolution of PyG."""

    def __init__(self, ours):
        super().__init__()
        from torch_geometric.nn import CGConv

        self.table, self.embedding = ours.element_vectors, ours.embedding
        width, n_gaussians = ours.embedding.out_features, len(ours.expansion.centers)
        self.convs = nn.ModuleList(
            CGConv(width, dim=n_gaussians, batch_norm=True) for _ in ours.convolutions
        )
        self.hidden, self.output = ours.readout[0], ours.output

    def forward(self, data):
        from torch_geometric.nn import global_mean_pool

        h = self.embedding(self.table[data["z"]])
        for conv in self.convs:
            h = F.softplus(conv(h, data["edge_index"], data["edge_attr"]))
        pooled = global_mean_pool(h, data["crystal"], data["n_crystals"])
        return self.output(F.softplus(self.hidden(F.softplus(pooled))))


def naive_data(batch):
    """The arrays of the original data loader: Gaussians of all edges, without cutting."""
    n = len(batch.atomic_numbers)
    gaussians = torch.exp(-((batch.distance[:, None] - torch.arange(41) * 0.2) ** 2) / 0.2**2)
    return {
        "z": batch.atomic_numbers,
        "neighbors": batch.source.view(n, 12),
        "gaussians": gaussians.view(n, 12, 41),
        "crystals": [torch.nonzero(batch.crystal == c)[:, 0] for c in range(len(batch))],
        "edge_index": torch.stack([batch.source, batch.target]),
        "edge_attr": gaussians,
        "crystal": batch.crystal,
        "n_crystals": len(batch),
    }


def original_neighbors(structure):
    found = structure.get_all_neighbors(8.0, include_index=True)
    return [sorted(ns, key=lambda n: n.nn_distance)[:12] for ns in found]


def check_neighbors(structures):
    """The graphs are those of the original code."""
    ours = StructureToGraph(ties="truncate").transform(structures)
    theirs = [n.nn_distance for s in structures for ns in original_neighbors(s) for n in ns]
    assert np.allclose(ours.edge_distance, theirs, atol=1e-4), "not the same neighbours"


def ways_to_build(structures):
    return {
        "get_all_neighbors": lambda: [s.get_all_neighbors(8.0) for s in structures],
        "get_neighbor_list": lambda: [s.get_neighbor_list(8.0) for s in structures],
        "StructureToGraph": lambda: StructureToGraph().transform(structures),
    }


def time_building(structures, repeats):
    sample = structures[:: max(1, len(structures) // 40)]
    check_neighbors(sample)
    seconds = median_seconds(ways_to_build(sample), max(3, repeats // 2))
    return {name: len(sample) / value for name, value in seconds.items()}


def make_step(network, data):
    # The estimators use the fused optimizer; the original code and PyG's examples use the default.
    optimizer = torch.optim.Adam(network.parameters(), fused=isinstance(network, CGCNN) or None)

    def step(data=data):
        optimizer.zero_grad()
        network(data).square().mean().backward()
        optimizer.step()

    return step


def least_step(network, batch):
    """Matrix products of the convolutions, and their seven passes over arrays of all edges."""
    n_atoms, n_edges, width = (
        len(batch.atomic_numbers),
        len(batch.source),
        network.embedding.out_features,
    )
    vectors, weight = torch.randn(n_atoms, width), torch.randn(width, 4 * width)
    gradient = torch.randn(n_atoms, 4 * width)
    first, second = torch.zeros(2, n_edges, 2 * width)

    def step():
        for _ in network.convolutions:
            vectors @ weight, gradient @ weight.T, vectors.T @ gradient
            # A copy reads one array and writes another; a sum reads one.
            for _ in range(3):
                first.copy_(second)
            first.sum()

    return step


def least_prediction(network, batch):
    """Matrix products of the convolutions; a prediction needs no arrays of edges."""
    n_atoms, width = len(batch.atomic_numbers), network.embedding.out_features
    vectors, weight = torch.randn(n_atoms, width), torch.randn(width, 4 * width)
    return lambda: [vectors @ weight for _ in network.convolutions]


def bounds(n_atoms=5000, width=64, n_edges=60_000, repeats=20):
    """What one thread can do: matrix products of atoms, and copies of arrays of edges."""
    vectors, weight = torch.randn(n_atoms, width), torch.randn(width, 4 * width)
    first, second = torch.zeros(2, n_edges, 2 * width)
    ways = {"product": lambda: vectors @ weight, "copy": lambda: first.copy_(second)}
    seconds = median_seconds(ways, repeats)
    return {
        "matrix product (GFLOP/s)": 2 * n_atoms * 4 * width**2 / seconds["product"] / 1e9,
        "copy (GB/s)": 2 * 4 * first.numel() / seconds["copy"] / 1e9,
    }


def networks_and_data(graphs, n_crystals):
    rows = np.random.default_rng(0).choice(
        len(graphs), n_crystals, replace=n_crystals > len(graphs)
    )
    batch = make_batch(graphs[rows])
    torch.manual_seed(0)
    ours = CGCNN(torch.from_numpy(element_vectors()[0]), 1)
    data = naive_data(batch)
    return {
        "sklmat": (ours, batch),
        "naive": (NaiveCGCNN(ours), data),
        "PyG CGConv": (PyGCGCNN(ours), data),
    }


def outputs_differ(made):
    """Largest difference between our outputs and those of the naive network."""
    with torch.no_grad():
        ours, theirs = (network(data) for network, data in (made["sklmat"], made["naive"]))
    difference = float((ours - theirs).abs().max())
    assert difference < 1e-4 * max(1, float(ours.abs().max())), "not the same network"
    return difference


def time_steps(graphs, n_crystals, repeats):
    made = networks_and_data(graphs, n_crystals)
    difference = outputs_differ(made)
    steps = {name: make_step(*pair) for name, pair in made.items()}
    steps["products, memory"] = least_step(*made["sklmat"])
    ours = steps["sklmat"]

    def on_two_threads():
        with block_threads(2):
            ours()

    if len(made["sklmat"][1]) > 100:
        steps["sklmat, 2 threads"] = on_two_threads
    with reused_arrays():
        return median_seconds(steps, repeats), difference


def memory_of_steps(name, graphs, n_crystals):
    """Growth of the resident set of this process by five training steps (MiB)."""
    step = make_step(*networks_and_data(graphs, n_crystals)[name])
    before = high_water()
    with reused_arrays():
        for _ in range(5):
            step()
    return high_water() - before


def time_inference(structures):
    graphs = StructureToGraph().transform(structures)
    model = CGCNNRegressor(max_epochs=1, random_state=0).fit(graphs[:32], np.arange(32.0))
    seconds = median_seconds(
        {"graphs": lambda: model.predict(graphs), "structures": lambda: model.predict(structures)},
        3,
    )
    return {name: len(graphs) / value for name, value in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", default="cgcnn_speed.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    structures, source = load_alloys()
    graphs = StructureToGraph(ties="truncate").transform(structures)
    print(f"{len(graphs)} crystals of {source}, {len(graphs.atomic_numbers)} atoms\n")
    result = {"source": source, "threads": args.threads}

    rates = result["crystals per second, building"] = time_building(structures, args.repeats)
    ours = rates["StructureToGraph"]
    for name, rate in rates.items():
        print(f"building   {name:20s} {rate:9.0f} crystals/s   ours is {ours / rate:6.1f}x as fast")
    for n_crystals in (32, 256):
        seconds, difference = time_steps(graphs, n_crystals, args.repeats)
        ratios = {name: value / seconds["sklmat"] for name, value in seconds.items()}
        others = [name for name in seconds if name in ("sklmat", "naive", "PyG CGConv")]
        memory = {
            name: in_fresh_process(memory_of_steps, name, graphs, n_crystals) for name in others
        }
        result[f"training step, batch {n_crystals}"] = {
            "ratio to sklmat": ratios,
            "peak memory (MiB)": memory,
            "largest difference of outputs": difference,
        }
        for name, ratio in ratios.items():
            print(
                f"step, batch {n_crystals:<3d}  {name:17s} takes {ratio:5.2f}x our time"
                + (f", {memory[name]:6.0f} MiB" if name in memory else "")
            )
    result["crystals per second, predicting"] = time_inference(structures)
    for name, rate in result["crystals per second, predicting"].items():
        print(f"predicting from {name:12s} {rate:9.0f} crystals/s")
    with open(args.out, "w") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
