"""Speed and memory against size, compared with other implementations: one run, one page.

    python examples/benchmarks/run_all.py [--quick] [--out docs]
    python examples/benchmarks/run_all.py --check [...]  (figures of the guide: check_figures.py)

Writes ``_static/speed.json`` with all numbers and the machine, the plots ``_static/speed_*.svg``
and the page ``benchmarks/speed.md`` (from ``speed_page.md``, next to this script) into the folder.
``--quick`` takes tiny sizes, which only show that the script runs. The crystals are the halide
perovskites and the alloys of `fetch_hea` if they have been downloaded, else those of `make_alloys`.

- Rates: graphs, training and prediction against the number of atoms per cell, of structures, of
  threads and of processes. What is compared runs in turn, and times are medians. Slopes are those
  of the logarithm of the time against the logarithm of the size: 1 is linear.
- Memory: largest resident set of a new process that does one of the three.
- Parts: what the time of a training step consists of, by torch's profiler.
- Others: the scripts `cgcnn_speed` and `ecnet_speed`, with fewer crystals.

That what is compared computes the same numbers is checked before the timing.
"""

import argparse
import sys
import time
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cgcnn_speed
import check_figures
import ecnet_speed
import numpy as np
import torch
from joblib import cpu_count, parallel_config
from measuring import (
    high_water,
    high_water_of_workers,
    in_fresh_process,
    load_alloys,
    load_perovskites,
    machine,
    median_seconds,
    repeated,
)
from step_parts import parts_of

from sklmat import CGCNNRegressor, CompositionFeaturizer, ECNetRegressor, InfoGANAugmenter
from sklmat import StructureToGraph as Graphs
from sklmat.batches import EvenBatches
from sklmat.layers import reused_arrays

FULL = {
    "atoms": [20, 80, 320, 1280, 5120],
    "structures": [48, 192, 768, 3072],
    "most atoms of slow ways": 320,
    "most structures of slow ways": 192,
    # For fewer atoms, no processes are started to build graphs.
    "structures for threads and processes": 3072,
    "structures for training": 512,
    # In each measurement against the number of atoms.
    "cells": 4,
    "alloys": 12,
    "epochs of steps": 8,
    "repeats": 3,
    "workers": [2**k for k in range(cpu_count().bit_length())],
    "batches": [32, 256],
    # Each measurement of memory is a new process, which imports torch and compiles.
    "atoms for memory": [20, 80, 320, 1280],
    "axes of memory": ["atoms", "structures", "threads", "processes"],
    "memory of": ["graphs", "training", "inference"],
    "memory of others": ["sklmat", "naive", "PyG CGConv"],
}
QUICK = {
    "atoms": [20, 40],
    "structures": [8, 16],
    "most atoms of slow ways": 20,
    "most structures of slow ways": 8,
    "structures for threads and processes": 8,
    "structures for training": 8,
    "cells": 4,
    "alloys": 8,
    "epochs of steps": 2,
    "repeats": 1,
    "workers": [2],
    "batches": [8],
    "atoms for memory": [20],
    "axes of memory": ["atoms", "processes"],
    "memory of": ["graphs"],
    "memory of others": ["sklmat"],
}
_BRIEFLY = {"max_epochs": 1, "random_state": 0}


# Crystals


def supercell(crystal, n_atoms):
    """The cell, doubled along its shortest edge until it has n_atoms."""
    crystal = crystal.copy()
    while len(crystal) < n_atoms:
        factors = [1, 1, 1]
        factors[int(np.argmin(crystal.lattice.abc))] = 2
        crystal.make_supercell(factors)
    return crystal


def twelve_neighbors(crystals):
    """Graphs as those of the original code: exactly twelve neighbours of each atom."""
    return Graphs(ties="truncate").transform(crystals)


def all_neighbors(crystals):
    """Graphs for ECNet."""
    return Graphs(cutoff=6.0, max_neighbors=None).transform(crystals)


def target(graphs):
    """A target that does not matter: the number of edges per atom, with noise."""
    noise = np.random.default_rng(0).normal(size=len(graphs))
    return graphs.n_edges / graphs.n_atoms + noise


def say(done):
    print(f"{time.process_time():6.0f} s  {done}", flush=True)


# Rates


def scan(sizes, ways_of, repeats, with_slopes):
    """Times and rates of each way for all sizes, in turn.

    ``ways_of(size)`` returns a dict of pairs: how much is done, and a function that does it.
    """
    ways = {(name, x): way for x in sizes for name, way in ways_of(x).items()}
    with reused_arrays():
        seconds = median_seconds({key: way for key, (_, way) in ways.items()}, repeats)
    lines = {}
    for (name, x), value in seconds.items():
        line = lines.setdefault(name, {"x": [], "seconds": [], "rate": []})
        line["x"].append(x)
        line["seconds"].append(value)
        line["rate"].append(float(ways[name, x][0] / value))
    if with_slopes:
        for line in lines.values():
            line["slope"] = slope(line["x"], line["seconds"])
    return lines


def slope(sizes, seconds):
    """Slope of log time against log size, for the larger sizes; None for a single size.

    At small sizes, times that do not depend on the size make the slope smaller.
    """
    last = max(3, -(-len(sizes) // 2))
    if len(sizes) < 2:
        return None
    return float(np.polyfit(np.log(sizes[-last:]), np.log(seconds[-last:]), 1)[0])


@contextmanager
def torch_threads(n):
    """Let torch, and the networks of sklmat, use n threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build(crystals, threads=1, processes=1):
    """Build graphs."""
    with parallel_config(backend="threading" if threads > 1 else "loky"):
        return Graphs(n_jobs=max(threads, processes)).transform(crystals)


def train(graphs, threads=1, processes=1, *, batch_size=32, n_networks=1):
    """Train for one epoch."""
    parameters = {"batch_size": batch_size, "n_ensemble": n_networks, "n_jobs": processes}
    with torch_threads(threads):
        CGCNNRegressor(**parameters, **_BRIEFLY).fit(graphs, target(graphs))


def predict(data, threads=1, processes=1, *, model):
    """Predict from graphs or structures."""
    with torch_threads(threads):
        model.set_params(n_jobs=processes).predict(data)


class Rates:
    """The three rates against the four axes.

    Parameters
    ----------
    crystals : list of Structure
    sizes : dict
        `FULL` or `QUICK`.
    """

    def __init__(self, crystals, sizes):
        self.sizes = sizes
        # In the files, similar crystals stand together.
        crystals = [crystals[k] for k in np.random.default_rng(0).permutation(len(crystals))]
        n_most = max(*sizes["structures"], sizes["structures for threads and processes"])
        self.crystals = repeated(crystals, n_most)
        self.graphs = twelve_neighbors(self.crystals)
        self.cells = {
            n: [supercell(crystal, n) for crystal in crystals[: sizes["cells"]]]
            for n in sizes["atoms"]
        }
        self.many = slice(sizes["structures for threads and processes"])
        self.some = slice(sizes["structures for training"])
        graphs = self.graphs[self.some]
        self.model = CGCNNRegressor(**_BRIEFLY).fit(graphs, target(graphs))
        self.workers = sizes["workers"]

    def is_slow(self, axis, x):
        return x > self.sizes[f"most {axis} of slow ways"]

    def all(self):
        """A dict of quantity, axis, way."""
        result = {}
        for quantity in ("graphs", "training", "inference"):
            for axis in ("atoms", "structures", "threads", "processes"):
                against_size = axis in ("atoms", "structures")
                result.setdefault(quantity, {})[axis] = scan(
                    self.sizes[axis] if against_size else self.workers,
                    getattr(self, f"{quantity}_{axis}"),
                    self.sizes["repeats"],
                    against_size,
                )
                say(f"{quantity} against {axis}")
        return result

    # Graphs

    def graphs_atoms(self, n, axis="atoms", crystals=None):
        crystals = self.cells[n] if crystals is None else crystals
        ways = cgcnn_speed.ways_to_build(crystals)
        if self.is_slow(axis, n):
            del ways["get_all_neighbors"]
        else:
            cgcnn_speed.check_neighbors(crystals[: self.sizes["cells"]])
        return {name: (len(crystals), way) for name, way in ways.items()}

    def graphs_structures(self, n):
        return self.graphs_atoms(n, "structures", self.crystals[:n])

    def graphs_threads(self, n):
        many = self.crystals[self.many]
        return {"StructureToGraph": (len(many), partial(build, many, threads=n))}

    def graphs_processes(self, n):
        many = self.crystals[self.many]
        return {"StructureToGraph": (len(many), partial(build, many, processes=n))}

    # Training

    def training_atoms(self, n):
        graphs = twelve_neighbors(self.cells[n])
        made = cgcnn_speed.networks_and_data(graphs, len(graphs))
        if self.is_slow("atoms", n):
            made = {"sklmat": made["sklmat"]}
        else:
            cgcnn_speed.outputs_differ(made)
        steps = {name: cgcnn_speed.make_step(*pair) for name, pair in made.items()}
        steps["products, memory"] = cgcnn_speed.least_step(*made["sklmat"])
        return {name: (len(graphs.edge_source), step) for name, step in steps.items()}

    def training_structures(self, n):
        graphs, wide = self.graphs[:n], all_neighbors(self.crystals[:n])
        y = target(graphs)
        cgcnn = CGCNNRegressor(**_BRIEFLY).fit(graphs, y)
        ecnet = ECNetRegressor(**_BRIEFLY).fit(wide, y)
        ways = {
            "sklmat": (len(graphs.edge_source), partial(cgcnn.partial_fit, graphs, y)),
            "ECNet": (len(wide.edge_source), partial(ecnet.partial_fit, wide, y)),
        }
        if not self.is_slow("structures", n):
            ways["naive"] = (len(graphs.edge_source), naive_epoch(graphs))
        return ways

    def training_threads(self, n):
        graphs = self.graphs[self.some]
        return {
            f"sklmat, batch {size}": (
                len(graphs.edge_source),
                partial(train, graphs, threads=n, batch_size=size),
            )
            for size in (32, 256)
        }

    def training_processes(self, n):
        graphs, n_networks = self.graphs[self.some], max(self.workers)
        run = partial(train, graphs, processes=n, n_networks=n_networks)
        return {f"sklmat, ensemble of {n_networks}": (n_networks * len(graphs.edge_source), run)}

    # Inference

    def inference_atoms(self, n):
        graphs = twelve_neighbors(self.cells[n])
        made = cgcnn_speed.networks_and_data(graphs, len(graphs))
        for network, _ in made.values():
            network.eval()
        ways = self.predictions(graphs, self.cells[n])
        ways["products"] = cgcnn_speed.least_prediction(*made["sklmat"])
        if not self.is_slow("atoms", n):
            cgcnn_speed.outputs_differ(made)
            ways |= {name: run_network(*made[name]) for name in ("naive", "PyG CGConv")}
        return {name: (len(graphs), way) for name, way in ways.items()}

    def inference_structures(self, n):
        ways = self.predictions(self.graphs[:n], self.crystals[:n])
        wide = all_neighbors(self.crystals[:n])
        ecnet = ECNetRegressor(**_BRIEFLY).fit(wide, target(wide))
        ways["ECNet, from graphs"] = partial(ecnet.predict, wide)
        return {name: (n, way) for name, way in ways.items()}

    def inference_threads(self, n):
        ways = {
            f"sklmat, from {name}": partial(predict, data[self.many], threads=n, model=self.model)
            for name, data in (("graphs", self.graphs), ("structures", self.crystals))
        }
        return {name: (len(self.graphs[self.many]), way) for name, way in ways.items()}

    def inference_processes(self, n):
        many = self.crystals[self.many]
        run = partial(predict, many, processes=n, model=self.model)
        return {"sklmat, from structures": (len(many), run)}

    def predictions(self, graphs, crystals):
        from_graphs, from_structures = (self.model.predict(X) for X in (graphs, crystals))
        assert np.array_equal(from_graphs, from_structures), "not the same graphs"
        return {
            "sklmat, from graphs": partial(self.model.predict, graphs),
            "sklmat, from structures": partial(self.model.predict, crystals),
        }


def naive_epoch(graphs, batch_size=32):
    """A function that trains as the original code does, with batches that are there already."""
    rows = list(EvenBatches(len(graphs), batch_size))
    made = [cgcnn_speed.networks_and_data(graphs[r], len(r)) for r in rows]
    cgcnn_speed.outputs_differ(made[0])
    network = made[0]["naive"][0]
    step = cgcnn_speed.make_step(network, None)
    batches = [one["naive"][1] for one in made]

    def epoch():
        for batch in batches:
            step(batch)

    return epoch


def run_network(network, data):
    """A function that computes outputs without gradients."""

    def run():
        with torch.inference_mode():
            network(data)

    return run


# Memory


def peak(function, data, threads, processes, arguments):
    """Largest resident sets of this process, and of those that help it, after the work (MiB)."""
    function(data, threads, processes, **arguments)
    return high_water() + (high_water_of_workers(processes) if processes > 1 else 0.0)


def memory(rates):
    """Memory of each of the three against the four axes, in new processes."""
    sizes = rates.sizes
    values = {
        "atoms": sizes["atoms for memory"],
        "structures": sizes["structures"],
        "threads": rates.workers,
        "processes": rates.workers,
    }
    result = {}
    for axis in sizes["axes of memory"]:
        lines = result[axis] = {}
        for x in values[axis]:
            crystals, graphs = rates.crystals[rates.many], rates.graphs[rates.some]
            if axis == "atoms":
                crystals, graphs = rates.cells[x], twelve_neighbors(rates.cells[x])
            elif axis == "structures":
                crystals, graphs = rates.crystals[:x], rates.graphs[:x]
            workers = [x if axis == name else 1 for name in ("threads", "processes")]
            networks = {"n_networks": max(rates.workers)} if axis == "processes" else {}
            jobs = {
                "graphs": (build, crystals, *workers, {}),
                "training": (train, graphs, *workers, networks),
                "inference": (predict, crystals, *workers, {"model": rates.model}),
            }
            for name in sizes["memory of"]:
                line = lines.setdefault(name, {"x": [], "MiB": []})
                line["x"].append(x)
                line["MiB"].append(in_fresh_process(peak, *jobs[name]))
        say(f"memory against {axis}")
    return {"empty": in_fresh_process(high_water), "against": result}


def steps(rates):
    """Parts of the training steps of the estimators, in a fit of several epochs."""
    some = slice(min(rates.some.stop, 256))
    graphs, crystals = rates.graphs[some], rates.crystals[some]
    y = target(graphs)
    table = CompositionFeaturizer(fractions=True).fit_transform(crystals)
    wide = all_neighbors(crystals)
    n_epochs = rates.sizes["epochs of steps"]
    settings = {"max_epochs": n_epochs, "random_state": 0}
    models = {
        f"CGCNN, batches of {n}": (CGCNNRegressor(batch_size=n, **settings), graphs)
        for n in rates.sizes["batches"]
    }
    models["ECNet"] = ECNetRegressor(**settings), wide
    result = {name: parts_of(partial(model.fit, X, y)) for name, (model, X) in models.items()}
    gan = InfoGANAugmenter(max_epochs=5 * n_epochs, random_state=0)
    result["InfoGAN"] = parts_of(partial(gan.fit, table))
    say("parts of training steps")
    return result


# Other implementations


def others(rates, alloys):
    """Ratios of times and memory of other implementations and ours."""
    repeats = rates.sizes["repeats"]
    result = {}
    for n in rates.sizes["batches"]:
        graphs = rates.graphs[:n]
        seconds, difference = cgcnn_speed.time_steps(graphs, len(graphs), repeats)
        ours = seconds["sklmat"]
        peaks = {
            name: in_fresh_process(cgcnn_speed.memory_of_steps, name, graphs, len(graphs))
            for name in rates.sizes["memory of others"]
        }
        result[f"CGCNN, batch of {n}"] = {
            "time / ours": {k: value / ours for k, value in seconds.items() if k != "sklmat"},
            "memory / ours": {k: value / peaks["sklmat"] for k, value in peaks.items()},
            "largest difference of outputs": difference,
        }
    graphs = all_neighbors(alloys[: rates.sizes["alloys"]])
    models = ecnet_speed.estimators()
    for name, row in ecnet_speed.compare(graphs, target(graphs), models, repeats, False).items():
        result[f"ECNet, {name}"] = {
            "time / ours": row["ratio to sklmat"],
            "largest difference of outputs": row["largest difference of outputs"],
        }
    say("other implementations")
    return result


def main():
    if "--check" in sys.argv:
        return check_figures.main()
    # Not at the top, because the processes whose memory is measured import this file.
    from speed_page import write

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--out", type=Path, help="folder; by default docs, or speed with --quick")
    args = parser.parse_args()
    docs = Path(__file__).parents[2] / "docs"
    folder = args.out or (Path("speed") if args.quick else docs)
    sizes = QUICK if args.quick else FULL
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start = time.perf_counter()
    if args.quick:
        from sklmat.datasets import make_alloys

        crystals = alloys = list(make_alloys(8, n_atoms=20).data)
        sources = ["make_alloys"] * 2
    else:
        (crystals, first), (alloys, second) = load_perovskites(), load_alloys()
        sources = [first, second]
    rates = Rates(crystals, sizes)
    result = {
        "machine": machine(),
        "crystals": sources[0],
        "alloys": sources[1],
        "sizes": sizes,
        "bounds": cgcnn_speed.bounds(),
        "rates": rates.all(),
        "memory": memory(rates),
        "parts": steps(rates),
        "others": others(rates, alloys),
    }
    result["minutes"] = (time.perf_counter() - start) / 60
    write(result, folder)
    print(f"{folder}: {result['minutes']:.1f} minutes")


if __name__ == "__main__":
    main()
