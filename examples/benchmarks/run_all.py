"""Speed and memory against size, compared with other implementations: one run, one page.

    python examples/benchmarks/run_all.py [--quick] [--out docs]

Writes ``_static/speed.json`` with all numbers and the machine, the plots ``_static/speed_*.svg``
and the page ``user_guide/speed.md`` (from ``speed_page.md``, next to this script) into the folder.
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
import json
import string
import time
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cgcnn_speed
import ecnet_speed
import matplotlib
import numpy as np
import torch
from joblib import cpu_count, parallel_config
from matplotlib import pyplot as plt
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

import sklmat.batches
from sklmat import CGCNNRegressor, CompositionFeaturizer, ECNetRegressor, InfoGANAugmenter
from sklmat import StructureToGraph as Graphs
from sklmat.batches import EvenBatches
from sklmat.layers import _compiled_kernels, reused_arrays

#: Cells in each measurement against the number of atoms.
N_CELLS = 4
AIM = 1.05
UNITS = {"graphs": "graphs/s", "training": "edges/s", "inference": "cells/s", "memory": "MiB"}
AXES = {
    "atoms": "atoms per cell",
    "structures": "structures",
    "threads": "threads",
    "processes": "processes",
}
FULL = {
    "atoms": [20, 80, 320, 1280, 5120],
    "structures": [32, 128, 512, 2048],
    "most atoms of slow ways": 320,
    "most structures of slow ways": 128,
    "structures for threads and processes": 512,
    "alloys": 64,
    "epochs of InfoGAN": 50,
    "repeats": 5,
    "workers": [2**k for k in range(cpu_count().bit_length())],
    "batches": [32, 256],
    "axes of memory": list(AXES),
    "memory of": ["graphs", "training", "inference"],
    "memory of others": ["sklmat", "naive", "PyG CGConv"],
}
QUICK = {
    "atoms": [20, 40],
    "structures": [8, 16],
    "most atoms of slow ways": 20,
    "most structures of slow ways": 8,
    "structures for threads and processes": 8,
    "alloys": 8,
    "epochs of InfoGAN": 2,
    "repeats": 1,
    "workers": [2],
    "batches": [8],
    "axes of memory": ["processes"],
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
        n_most = max(*sizes["structures"], sizes["structures for threads and processes"])
        self.crystals = repeated(crystals, n_most)
        self.graphs = twelve_neighbors(self.crystals)
        self.cells = {
            n: [supercell(crystal, n) for crystal in crystals[:N_CELLS]] for n in sizes["atoms"]
        }
        self.some = slice(sizes["structures for threads and processes"])
        first = self.graphs[: sizes["structures"][0]]
        self.model = CGCNNRegressor(**_BRIEFLY).fit(first, target(first))
        self.workers = sizes["workers"]

    def is_slow(self, axis, x):
        return x > self.sizes[f"most {axis} of slow ways"]

    def all(self):
        """A dict of quantity, axis, way."""
        result = {}
        for quantity in ("graphs", "training", "inference"):
            for axis in AXES:
                against_size = axis in ("atoms", "structures")
                result.setdefault(quantity, {})[axis] = scan(
                    self.sizes[axis] if against_size else self.workers,
                    getattr(self, f"{quantity}_{axis}"),
                    self.sizes["repeats"],
                    against_size,
                )
                say(f"{quantity} against {AXES[axis]}")
        return result

    # Graphs

    def graphs_atoms(self, n, axis="atoms", crystals=None):
        crystals = self.cells[n] if crystals is None else crystals
        ways = cgcnn_speed.ways_to_build(crystals)
        if self.is_slow(axis, n):
            del ways["get_all_neighbors"]
        else:
            cgcnn_speed.check_neighbors(crystals[:N_CELLS])
        return {name: (len(crystals), way) for name, way in ways.items()}

    def graphs_structures(self, n):
        return self.graphs_atoms(n, "structures", self.crystals[:n])

    def graphs_threads(self, n):
        some = self.crystals[self.some]
        return {"StructureToGraph": (len(some), partial(build, some, threads=n))}

    def graphs_processes(self, n):
        some = self.crystals[self.some]
        return {"StructureToGraph": (len(some), partial(build, some, processes=n))}

    # Training

    def training_atoms(self, n):
        graphs = twelve_neighbors(self.cells[n])
        made = cgcnn_speed.networks_and_data(graphs, len(graphs))
        cgcnn_speed.outputs_differ(made)
        if self.is_slow("atoms", n):
            made = {"sklmat": made["sklmat"]}
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
        cgcnn_speed.outputs_differ(made)
        ways = self.predictions(graphs, self.cells[n])
        ways["products"] = cgcnn_speed.least_prediction(*made["sklmat"])
        if not self.is_slow("atoms", n):
            ways |= {name: run_network(*made[name]) for name in ("naive", "PyG CGConv")}
        return {name: (len(graphs), way) for name, way in ways.items()}

    def inference_structures(self, n):
        ways = self.predictions(self.graphs[:n], self.crystals[:n])
        wide = all_neighbors(self.crystals[:n])
        ecnet = ECNetRegressor(**_BRIEFLY).fit(wide[:8], target(wide[:8]))
        ways["ECNet, from graphs"] = partial(ecnet.predict, wide)
        return {name: (n, way) for name, way in ways.items()}

    def inference_threads(self, n):
        ways = {
            f"sklmat, from {name}": partial(predict, data[self.some], threads=n, model=self.model)
            for name, data in (("graphs", self.graphs), ("structures", self.crystals))
        }
        return {name: (len(self.graphs[self.some]), way) for name, way in ways.items()}

    def inference_processes(self, n):
        some = self.crystals[self.some]
        run = partial(predict, some, processes=n, model=self.model)
        return {"sklmat, from structures": (len(some), run)}

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
    sizes, some = rates.sizes, rates.some
    atoms = {n: (cells, twelve_neighbors(cells)) for n, cells in rates.cells.items()}
    result = {}
    for axis in sizes["axes of memory"]:
        lines = result[axis] = {}
        for x in sizes.get(axis, rates.workers):
            crystals, graphs = rates.crystals[some], rates.graphs[some]
            if axis == "atoms":
                crystals, graphs = atoms[x]
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
                line = lines.setdefault(name, {"x": [], "rate": []})
                line["x"].append(x)
                line["rate"].append(in_fresh_process(peak, *jobs[name]))
        say(f"memory against {AXES[axis]}")
    return {"empty": in_fresh_process(high_water), "against": result}


# What the time of a training step consists of

#: Functions whose calls are a part, and the operations of torch that are.
KERNELS = {
    "expand": "Gaussians",
    "linear_map": "linear map of edges",
    "add_messages": "messages",
    "add_up_gradients": "gradient loops",
    "gradient_of_linear_map": "gradient loops",
    "take_moments": "update of atoms",
    "update_atoms": "update of atoms",
    "gradient_of_update": "update of atoms",
    "combine": "update of atoms",
}
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addmv", "mv", "dot")
PARTS = (
    "batch making",
    "Gaussians",
    "matrix products",
    "linear map of edges",
    "messages",
    "gradient loops",
    "update of atoms",
    "optimizer",
    "other operations of torch",
    "rest: Python, skorch, autograd",
)


@contextmanager
def named_parts():
    """Let the profiler know the names of our functions."""

    def named(function, name):
        def run(*arguments, **options):
            with torch.profiler.record_function(f"part: {name}"):
                return function(*arguments, **options)

        return run

    patches = [(sklmat.batches, "make_batch", PARTS[0])]
    patches += [(_compiled_kernels, function, name) for function, name in KERNELS.items()]
    before = [(module, name, getattr(module, name)) for module, name, _ in patches]
    try:
        for module, function, name in patches:
            setattr(module, function, named(getattr(module, function), name))
        yield
    finally:
        for attribute in before:
            setattr(*attribute)


def part_of(event):
    """Name of the part to which an event of the profiler belongs, and its time there."""
    name = event.name
    if name.startswith("part: "):
        return name.removeprefix("part: "), event.cpu_time_total
    if name.startswith("Optimizer."):
        return "optimizer", event.cpu_time_total
    if name.startswith("aten::"):
        is_product = name.removeprefix("aten::") in PRODUCTS
        return "matrix products" if is_product else PARTS[-2], event.self_cpu_time_total
    return None, 0.0


def parts_of(run):
    """Fractions of the time of a function, and how much longer it takes with the profiler."""
    for _ in range(2):
        run()
    start = time.perf_counter()
    run()
    plain = time.perf_counter() - start
    with named_parts(), torch.profiler.profile() as profiler:
        start = time.perf_counter()
        run()
        total = time.perf_counter() - start
    microseconds = dict.fromkeys(PARTS[:-1], 0.0)
    for event in profiler.events():
        part, duration = part_of(event)
        parent = event.cpu_parent
        while parent is not None and not parent.name.startswith(("part: ", "Optimizer.")):
            parent = parent.cpu_parent
        if part is not None and parent is None:
            microseconds[part] += duration
    fractions = {part: value / 1e6 / total for part, value in microseconds.items()}
    fractions[PARTS[-1]] = 1 - sum(fractions.values())
    return {"fractions": fractions, "profiled / not profiled": total / plain}


def steps(rates):
    """Parts of the training steps of the estimators; each run is one epoch or more."""
    graphs, crystals = rates.graphs[rates.some], rates.crystals[rates.some]
    y = target(graphs)
    table = CompositionFeaturizer(fractions=True).fit_transform(crystals)
    wide = all_neighbors(crystals)
    models = {
        f"CGCNN, batches of {n}": (CGCNNRegressor(batch_size=n, **_BRIEFLY), graphs)
        for n in rates.sizes["batches"]
    }
    models["ECNet"] = ECNetRegressor(**_BRIEFLY), wide
    result = {}
    for name, (model, data) in models.items():
        result[name] = parts_of(partial(model.fit(data, y).partial_fit, data, y))
    gan = InfoGANAugmenter(max_epochs=rates.sizes["epochs of InfoGAN"], random_state=0)
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


# Plots

_COLORS = plt.get_cmap("tab10").colors
COLORS = {
    "StructureToGraph": _COLORS[0],
    "sklmat": _COLORS[0],
    "sklmat, from graphs": _COLORS[0],
    "naive": _COLORS[1],
    "get_all_neighbors": _COLORS[1],
    "PyG CGConv": _COLORS[2],
    "get_neighbor_list": _COLORS[2],
    "products": "black",
    "products, memory": "black",
    "sklmat, from structures": _COLORS[9],
    "ECNet": _COLORS[4],
    "ECNet, from graphs": _COLORS[4],
}


def plot_axes(lines_by_axis, unit, empty=None):
    """One panel for each axis; legends with the slopes of the time."""
    figure, panels = plt.subplots(1, 4, figsize=(11, 3.4), layout="constrained")
    for panel, (axis, lines) in zip(panels, lines_by_axis.items()):
        for name, line in lines.items():
            slope = f" ({line['slope']:.2f})" if line.get("slope") is not None else ""
            style = {"color": COLORS.get(name), "ls": ":" if "products" in name else "-"}
            panel.plot(line["x"], line["rate"], "o", ms=3, label=name + slope, **style)
        if axis in ("atoms", "structures"):
            panel.set(xscale="log", yscale="log")
        else:
            panel.set_ylim(0)
            panel.set_xticks(line["x"])
        if empty is not None:
            panel.axhline(empty, color="grey", ls="--", label="imports alone")
            panel.set(yscale="linear", ylim=0)
        panel.set_xlabel(AXES[axis])
        panel.legend(fontsize=6, loc="best")
    panels[0].set_ylabel(unit)
    return figure


def plot_parts(parts):
    """One stacked bar for each model."""
    figure, panel = plt.subplots(figsize=(9, 3), layout="constrained")
    left = np.zeros(len(parts))
    for color, part in zip(_COLORS, PARTS):
        widths = [row["fractions"][part] for row in parts.values()]
        panel.barh(list(parts), widths, left=left, color=color, label=part)
        left += widths
    panel.invert_yaxis()
    panel.set_xlabel("fraction of the time")
    panel.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_others(rows):
    """Bars of the times of other implementations in units of ours."""
    bars = [
        (f"{title}: {name}", ratio)
        for title, row in rows.items()
        for name, ratio in row["time / ours"].items()
    ]
    figure, panel = plt.subplots(figsize=(9, 0.24 * len(bars) + 0.6), layout="constrained")
    names, ratios = zip(*bars)
    panel.barh(names, ratios)
    panel.axvline(1, color="black")
    panel.set(xscale="log", xlabel="time / time of sklmat")
    panel.invert_yaxis()
    return figure


def save_plots(result, folder):
    """Write all plots; the same numbers give the same files."""
    matplotlib.use("Agg")
    figures = {name: plot_axes(lines, UNITS[name]) for name, lines in result["rates"].items()}
    used = result["memory"]
    figures["memory"] = plot_axes(used["against"], UNITS["memory"], used["empty"])
    figures["parts"] = plot_parts(result["parts"])
    figures["others"] = plot_others(result["others"])
    with plt.rc_context({"svg.hashsalt": "sklmat", "svg.fonttype": "none"}):
        for name, figure in figures.items():
            figure.savefig(folder / f"speed_{name}.svg", metadata={"Date": None})
            plt.close(figure)


# Page


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def text_of(number, digits="{:.2f}"):
    return "" if number is None else digits.format(number)


def slope_rows(result):
    """Rows of the table of slopes."""
    rows = []
    for quantity, lines in result["rates"].items():
        for name in dict.fromkeys([*lines["atoms"], *lines["structures"]]):
            found = [lines[axis].get(name, {}).get("slope") for axis in ("atoms", "structures")]
            rows.append([quantity, name, *map(text_of, found)])
    return rows


def steep(result):
    """A sentence about the slopes of our functions that are above the aim."""
    found = [
        f"{quantity}, {name}, against {AXES[axis]} ({line['slope']:.2f})"
        for quantity, by_axis in result["rates"].items()
        for axis, lines in by_axis.items()
        for name, line in lines.items()
        if name.startswith(("sklmat", "StructureToGraph", "ECNet"))
        and (line.get("slope") or 0) > AIM
    ]
    if not found:
        return f"All slopes of sklmat are at most {AIM}."
    return f"Above {AIM} are: {'; '.join(found)}."


def gain_rows(result):
    """Rows of the table of threads and processes: rates of the most, relative to one."""
    rows = []
    for axis in ("threads", "processes"):
        for quantity, by_axis in result["rates"].items():
            for name, line in by_axis[axis].items():
                gain = line["rate"][-1] / line["rate"][0]
                rows.append([f"{line['x'][-1]} {axis}", quantity, name, text_of(gain)])
    return rows


def other_rows(result):
    return [
        [title, name, text_of(ratio, "{:.3g}"), text_of(row.get("memory / ours", {}).get(name))]
        for title, row in result["others"].items()
        for name, ratio in row["time / ours"].items()
    ]


def page(result):
    """Text of the page, from the numbers of a run."""
    template = Path(__file__).with_name("speed_page.md").read_text(encoding="utf-8")
    parts = result["parts"]
    fields = {
        **result["machine"],
        "crystals": result["crystals"],
        "alloys": result["alloys"],
        "repeats": str(result["sizes"]["repeats"]),
        "n_cells": str(N_CELLS),
        "slow": f"{result['sizes']['most atoms of slow ways']:,}",
        "slopes": table(
            ["", "", "against atoms per cell", "against structures"], slope_rows(result)
        ),
        "steep": steep(result),
        "gains": table(["", "", "", "rate / rate of one"], gain_rows(result)),
        "others": table(["", "", "time", "peak memory"], other_rows(result)),
        "parts": table(
            ["", *parts],
            [
                [part, *(f"{100 * row['fractions'][part]:.0f} %" for row in parts.values())]
                for part in PARTS
            ],
        ),
        "profiled": f"{max(row['profiled / not profiled'] for row in parts.values()):.1f}",
        "flops": f"{result['bounds']['matrix product (GFLOP/s)']:.0f}",
        "bytes": f"{result['bounds']['copy (GB/s)']:.0f}",
    }
    return string.Template(template).substitute(fields)


def write(result, folder):
    """Write numbers, plots and the page."""
    static, pages = folder / "_static", folder / "user_guide"
    for path in (static, pages):
        path.mkdir(parents=True, exist_ok=True)
    (static / "speed.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    save_plots(result, static)
    (pages / "speed.md").write_text(page(result), encoding="utf-8")


def main():
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
