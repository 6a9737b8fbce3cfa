"""Training and prediction on a GPU: time of an epoch, same bits, equality with the CPU.

``python examples/benchmarks/gpu.py [GRAPHS TARGETS]`` takes a file of `CrystalGraphs.save` and a
``.npy`` file with one number for each crystal; without them it generates cells of 20 atoms. The
table compares with PyTorch Geometric's ``CGConv`` on the same batches, which it has ready
beforehand.

Measured on an H200, five times on four machines, with 2,211 halide perovskites of 20 atoms, 12
neighbours, 64 features and three convolutions (PyTorch 2.11):

| batch | epoch (ms) | CGConv (ms) | ratio |
| --- | --- | --- | --- |
| 32 | 40 to 43 | 301 to 354 | 7.1 to 8.8 |
| 256 | 10 to 13 | 37 to 59 | 3.0 to 6.1 |

Two trainings with one seed give the same bits; with SGD, three epochs on GPU and CPU differ by 4e-7
of the spread of the targets. 690,000 crystals of 20 atoms are predicted per second, from graphs.
"""

import sys
import time

import numpy as np
import torch

from sklmat import CGCNNRegressor
from sklmat.batches import EvenBatches, make_batch
from sklmat.graphs import CrystalGraphs, StructureToGraph


def read_data(arguments):
    if arguments:
        return CrystalGraphs.load(arguments[0]), np.load(arguments[1])
    from sklmat.datasets import make_alloys

    cells, y = make_alloys(400, n_atoms=20, return_X_y=True)
    return StructureToGraph().fit_transform(list(cells) * 5), np.tile(y, 5)


def seconds_per_epoch(estimator, graphs, y):
    """Median duration of an epoch, without the first three."""
    estimator.fit(graphs, y)
    durations = [row["dur"] for row in estimator.history_]
    return np.median(durations[3:])


def pyg_epoch(graphs, batch_size, device):
    """Median time of an epoch with the layers of PyTorch Geometric."""
    from torch_geometric.nn import CGConv, global_mean_pool

    torch.manual_seed(0)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(119, 64)
            self.layers = torch.nn.ModuleList(CGConv(64, 41, batch_norm=True) for _ in range(3))
            self.readout = torch.nn.Sequential(
                torch.nn.Linear(64, 128), torch.nn.Softplus(), torch.nn.Linear(128, 1)
            )
            self.register_buffer("centers", torch.arange(0, 8.1, 0.2))

        def forward(self, batch):
            h = self.embedding(batch.atomic_numbers)
            edges = torch.stack([batch.source, batch.target])
            g = torch.exp(-(((batch.distance[:, None] - self.centers) / 0.2) ** 2))
            for layer in self.layers:
                h = torch.nn.functional.softplus(layer(h, edges, g))
            return self.readout(global_mean_pool(h, batch.crystal, len(batch)))

    network = Network().to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    batches = [make_batch(graphs, rows).to(device) for rows in EvenBatches(len(graphs), batch_size)]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        for batch in batches:
            optimizer.zero_grad()
            network(batch).square().mean().backward()
            optimizer.step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return np.median(times[1:])


def cgcnn_table(graphs, y):
    print("| batch | epoch (ms) | CGConv of PyTorch Geometric (ms) | ratio |")
    print("| --- | --- | --- | --- |")
    for batch_size in (32, 256):
        estimator = CGCNNRegressor(
            max_epochs=12, batch_size=batch_size, device="cuda", random_state=0
        )
        ours = seconds_per_epoch(estimator, graphs, y)
        other = pyg_epoch(graphs, batch_size, "cuda")
        print(f"| {batch_size} | {1e3 * ours:.1f} | {1e3 * other:.1f} | {other / ours:.1f} |")


def same_bits(make, graphs, y):
    """Largest difference of the predictions of two fits with one seed."""
    predictions = [make().fit(graphs, y).predict(graphs) for _ in range(2)]
    return float(np.abs(predictions[0] - predictions[1]).max())


def against_cpu(graphs, y):
    """Predictions after a short training on the GPU and on the CPU, in units of the spread of y."""
    fitted = [
        CGCNNRegressor(max_epochs=2, batch_size=64, lr=1e-3, device=device, random_state=0)
        .fit(graphs, y)
        .predict(graphs)
        for device in ("cuda", "cpu")
    ]
    return float(np.abs(fitted[0] - fitted[1]).max() / y.std())


def prediction_rate(estimator, graphs, n_crystals=200_000):
    """Crystals predicted per second, from graphs."""
    rows = np.arange(n_crystals) % len(graphs)
    many = graphs[rows]
    estimator.predict(graphs)
    start = time.perf_counter()
    estimator.predict(many)
    return n_crystals / (time.perf_counter() - start)


def main():
    if not torch.cuda.is_available():
        print("not run: PyTorch finds no GPU")
        return
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    graphs, y = read_data(sys.argv[1:])
    print("GPU against CPU, 2 epochs (spread of y):", against_cpu(graphs[:300], y[:300]))
    cgcnn_table(graphs, y)
    few, target = graphs[:500], y[:500]
    print(
        "CGCNN, same seed, largest difference:",
        same_bits(lambda: CGCNNRegressor(max_epochs=5, device="cuda", random_state=0), few, target),
    )
    estimator = CGCNNRegressor(max_epochs=2, device="cuda", random_state=0).fit(few, target)
    print("predictions per second:", prediction_rate(estimator, graphs))


if __name__ == "__main__":
    main()
