"""Training and prediction on a GPU: times, same bits, equality with the CPU, half precision.

``python examples/benchmarks/gpu.py [GRAPHS TARGETS]`` takes a file of `CrystalGraphs.save` and a
``.npy`` file with one number for each crystal; without them it generates cells of 20 atoms. It
prints a table with the aims. Epochs of CGCNN are compared with PyTorch Geometric's ``CGConv`` on
the same batches, which it has ready beforehand, if PyTorch Geometric is installed.
``gpu.py --dry-run`` runs everything on the CPU with tiny sizes; its numbers mean nothing.

Measured on an H200, five times on four machines, with 2,211 halide perovskites of 20 atoms, 12
neighbours, 64 features and three convolutions (PyTorch 2.11):

| batch | epoch (ms) | CGConv (ms) | ratio |
| --- | --- | --- | --- |
| 32 | 40 to 43 | 301 to 354 | 7.1 to 8.8 |
| 256 | 10 to 13 | 37 to 59 | 3.0 to 6.1 |

Two trainings with one seed give the same bits; with SGD, three epochs on GPU and CPU differ by 4e-7
of the spread of the targets. 690,000 crystals of 20 atoms are predicted per second, from graphs.
The other lines (ECNet, EFTGAN, InfoGAN, half precision, the pickled estimator) have not been run on
a GPU yet.
"""

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sklmat import CGCNNRegressor, ECNetRegressor, EFTGANRegressor, InfoGANAugmenter
from sklmat.batches import EvenBatches, make_batch
from sklmat.datasets import make_alloys
from sklmat.estimator_checks import make_toy_table
from sklmat.graphs import CrystalGraphs, StructureToGraph


@dataclass(frozen=True)
class Sizes:
    """How much is trained and predicted."""

    n_cells: int = 400
    n_copies: int = 5
    batch_sizes: tuple = (32, 256)
    n_epochs: int = 12
    n_few: int = 500
    n_alloys: int = 290
    max_epochs: int = 100
    n_rows: int = 300
    gan_epochs: int = 500
    n_predictions: int = 200_000
    repeats: int = 3
    hidden_dim: int = 64


DRY_RUN = Sizes(
    n_cells=12,
    n_copies=1,
    batch_sizes=(4, 8),
    n_epochs=4,
    n_few=12,
    n_alloys=16,
    max_epochs=2,
    n_rows=30,
    gan_epochs=2,
    n_predictions=30,
    repeats=1,
    hidden_dim=8,
)


def read_data(arguments, sizes):
    if arguments:
        return CrystalGraphs.load(arguments[0]), np.load(arguments[1])
    cells, y = make_alloys(sizes.n_cells, n_atoms=20, return_X_y=True)
    graphs = StructureToGraph().fit_transform(list(cells) * sizes.n_copies)
    return graphs, np.tile(y, sizes.n_copies)


def show(what, value, aim=""):
    print(f"| {what} | {value} | {aim} |", flush=True)


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def median_seconds(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def seconds_per_epoch(estimator, graphs, y):
    """Median duration of an epoch, without the first three."""
    durations = [row["dur"] for row in estimator.fit(graphs, y).history_]
    return float(np.median(durations[3:]))


def pyg_epoch(graphs, batch_size, device, width):
    """Median time of an epoch with the layers of PyTorch Geometric."""
    from torch_geometric.nn import CGConv, global_mean_pool

    torch.manual_seed(0)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(119, width)
            self.layers = torch.nn.ModuleList(CGConv(width, 41, batch_norm=True) for _ in range(3))
            self.readout = torch.nn.Sequential(
                torch.nn.Linear(width, 128), torch.nn.Softplus(), torch.nn.Linear(128, 1)
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
        synchronize(device)
        times.append(time.perf_counter() - start)
    return np.median(times[1:])


def show_epochs(graphs, y, device, sizes):
    """Epochs of CGCNN in both precisions, and of PyTorch Geometric."""
    aims = ("at most 40 ms", "at most 16 ms")
    for batch_size, aim in zip(sizes.batch_sizes, aims):
        for precision in ("float32", "bfloat16"):
            estimator = cgcnn(device, sizes, batch_size=batch_size, precision=precision)
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            milliseconds = 1e3 * seconds_per_epoch(estimator, graphs, y)
            what = f"{milliseconds:.1f} ms"
            if device == "cuda":
                what += f", {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB"
            show(f"CGCNN, epoch, batch {batch_size}, {precision}", what, aim)
        if importlib.util.find_spec("torch_geometric") is None:
            show(f"CGConv, epoch, batch {batch_size}", "not run: PyTorch Geometric is missing")
            continue
        other = 1e3 * pyg_epoch(graphs, batch_size, device, sizes.hidden_dim)
        show(f"CGConv, epoch, batch {batch_size}", f"{other:.1f} ms")


def cgcnn(device, sizes, **settings):
    settings = {"max_epochs": sizes.n_epochs, **settings}
    return CGCNNRegressor(hidden_dim=sizes.hidden_dim, device=device, random_state=0, **settings)


def show_fits(device, sizes):
    """Complete fits on the device and on the CPU; the first fit on a device compiles kernels."""
    cells, y = make_alloys(sizes.n_alloys, return_X_y=True)
    table, target = make_toy_table(sizes.n_rows)
    epochs, gan_epochs = sizes.max_epochs, sizes.gan_epochs

    def ecnet(place):
        return ECNetRegressor(max_epochs=epochs, device=place, random_state=0)

    def infogan(place):
        return InfoGANAugmenter(max_epochs=gan_epochs, device=place, random_state=0)

    def eftgan(place):
        return EFTGANRegressor(ecnet(place), infogan(place).set_params(n_samples=0), random_state=0)

    inputs = StructureToGraph(cutoff=6.0, max_neighbors=None).fit_transform(cells)
    for name, make, X, labels, aim in (
        ("ECNet", ecnet, inputs, y, "at most 1 s"),
        ("InfoGAN", infogan, table, target, ""),
        ("EFTGAN", eftgan, cells, y, "at most 5 s"),
    ):
        make(device).fit(X, labels)
        seconds = [
            median_seconds(lambda make=make, X=X, y=labels, at=at: make(at).fit(X, y), n)
            for at, n in ((device, sizes.repeats), ("cpu", 1))
        ]
        show(f"{name}, fit", f"{seconds[0]:.2f} s (CPU {seconds[1]:.2f} s)", aim)


def show_same_bits(graphs, y, device, sizes):
    """Largest differences between two fits with one seed."""
    table, target = make_toy_table(sizes.n_rows)
    settings = {"max_epochs": sizes.n_epochs, "device": device, "random_state": 0}

    def predictions(estimator):
        return estimator.fit(graphs, y).predict(graphs)

    for name, result in (
        ("CGCNN", lambda: predictions(cgcnn(device, sizes))),
        ("CGCNN, bfloat16", lambda: predictions(cgcnn(device, sizes, precision="bfloat16"))),
        ("ECNet", lambda: predictions(ECNetRegressor(**settings))),
        ("InfoGAN", lambda: np.asarray(InfoGANAugmenter(**settings).fit(table, target).sample(50))),
    ):
        difference = np.abs(result() - result()).max()
        show(f"{name}, same seed, largest difference", difference, "0")


def show_against_cpu(graphs, y, device, sizes):
    """Predictions after a short training on the device and on the CPU."""
    results = [
        cgcnn(place, sizes, max_epochs=2, batch_size=64, lr=1e-3).fit(graphs, y).predict(graphs)
        for place in (device, "cpu")
    ]
    difference = np.abs(results[0] - results[1]).max() / y.std()
    show("CGCNN, GPU against CPU after 2 epochs (spread of y)", f"{difference:.1e}")


def show_precision(graphs, y, device, sizes):
    """Root mean square difference of predictions: half precision, and another seed."""
    reference, half, seed = (
        cgcnn(device, sizes).set_params(**settings).fit(graphs, y).predict(graphs)
        for settings in ({}, {"precision": "bfloat16"}, {"random_state": 1})
    )
    differences = [np.sqrt(np.mean((other - reference) ** 2)) / y.std() for other in (half, seed)]
    show(
        "CGCNN, bfloat16 against float32 (spread of y)",
        f"{differences[0]:.1e} (another seed {differences[1]:.1e})",
        "less than another seed",
    )


def show_predictions(graphs, y, device, sizes):
    """Crystals predicted per second, from graphs."""
    many = graphs[np.arange(sizes.n_predictions) % len(graphs)]
    for precision in ("float32", "bfloat16"):
        estimator = cgcnn(device, sizes, max_epochs=2, precision=precision).fit(graphs, y)
        estimator.predict(graphs)
        seconds = median_seconds(lambda estimator=estimator: estimator.predict(many), sizes.repeats)
        rate = sizes.n_predictions / seconds
        show(f"CGCNN, predictions per second, {precision}", f"{rate:.0f}", "at least 50,000")


def show_pickle(graphs, y, device, sizes):
    """Load a pickled estimator in a process without a GPU."""
    estimator = cgcnn(device, sizes, max_epochs=2).fit(graphs, y)
    few = graphs[:10]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.pickle"
        path.write_bytes(pickle.dumps((estimator, few, estimator.predict(few))))
        code = (
            "import pickle, sys, torch; assert not torch.cuda.is_available(); "
            "model, graphs, expected = pickle.load(open(sys.argv[1], 'rb')); "
            "print(abs(model.predict(graphs) - expected).max())"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, path],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
        )
    value = result.stdout.strip() or result.stderr.strip().splitlines()[-1]
    show("CGCNN, pickled, loaded without a GPU, largest difference", value, "rounding")


def run(graphs, y, device, sizes):
    """Print the whole table."""
    few, target = graphs[: sizes.n_few], y[: sizes.n_few]
    print("| what | result | aim |")
    print("| --- | --- | --- |")
    show_epochs(graphs, y, device, sizes)
    show_fits(device, sizes)
    show_same_bits(few, target, device, sizes)
    show_against_cpu(few, target, device, sizes)
    show_precision(few, target, device, sizes)
    show_predictions(few, target, device, sizes)
    show_pickle(few, target, device, sizes)


def main():
    arguments = sys.argv[1:]
    if arguments == ["--dry-run"]:
        run(*read_data([], DRY_RUN), "cpu", DRY_RUN)
        return
    if not torch.cuda.is_available():
        print("not run: PyTorch finds no GPU")
        return
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    sizes = Sizes()
    run(*read_data(arguments, sizes), "cuda", sizes)


if __name__ == "__main__":
    main()
