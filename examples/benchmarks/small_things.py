"""How long do the small things take that one does many times a day?

    python examples/benchmarks/small_things.py [--repeats 9] [--n 3159]

Most numbers are ratios of two medians; what is compared runs in turn, so that other work on the
machine affects both. The crystals have 20 atoms: the halide perovskites if they have been
downloaded, else generated ones. One thread is used, and two processes where it says so.

- prediction: one crystal, with its graph, relative to the network on a batch that is there;
- imports: in new interpreters;
- clone, repr: the slowest of all estimators, in ms;
- search: graphs built for each crystal and each setting of the graphs, with a cache;
- files: how often each CIF is opened, in a fit and in a cross-validation with a cache;
- processes: the graphs of `n` crystals in one process, relative to two. The first call is one in a
  new interpreter, and starts the second process as well.
"""

import argparse
import collections
import inspect
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from measuring import load_perovskites, median_seconds, repeated
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline

import sklmat
from sklmat import CGCNNRegressor, ECNetRegressor, NoiseAugmenter, StructureToGraph
from sklmat.batches import make_batch
from sklmat.estimators import GraphModel

TINY = {"hidden_dim": 4, "max_epochs": 1, "batch_size": 16, "random_state": 0}
#: Time of one process and of the first call with two, in an interpreter of its own.
FIRST_CALL = """
import sys, time
sys.path.insert(0, {folder!r})
from measuring import load_perovskites, repeated
from sklmat import StructureToGraph
crystals = repeated(load_perovskites()[0], {n})
StructureToGraph().transform(crystals[:10])
for n_jobs in (1, 2):
    start = time.perf_counter()
    StructureToGraph(n_jobs=n_jobs).transform(crystals)
    print(time.perf_counter() - start)
"""


def time_prediction(estimator, crystals, repeats):
    """Time of a prediction of one crystal, relative to the network alone."""
    model = estimator.fit(crystals[:32], np.arange(32.0))
    graph_model = GraphModel.of(model)
    batch = make_batch(graph_model.inputs(graph_model.read_graphs(crystals[:1])))
    network = model.net_.module_.eval()

    def run_network():
        with torch.inference_mode():
            network(batch)

    ways = {"predict": lambda: model.predict(crystals[:1]), "network": run_network}
    seconds = median_seconds(ways, 30 * repeats)
    return seconds["predict"] / seconds["network"]


def time_imports(repeats):
    """Ratios of the times of new interpreters."""
    statements = {
        "numpy": "import numpy",
        "sklmat": "import sklmat",
        "torch": "import torch, skorch",
        "CGCNN": "from sklmat import CGCNNRegressor",
    }
    runs = {
        name: lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)
        for name, code in statements.items()
    }
    seconds = median_seconds(runs, max(repeats, 7))
    return seconds["sklmat"] / seconds["numpy"], seconds["CGCNN"] / seconds["torch"]


def all_estimators():
    """One instance of each public estimator."""
    needed = {"estimator": ECNetRegressor(), "augmenter": NoiseAugmenter()}
    for name in sklmat.__all__:
        thing = getattr(sklmat, name)
        if inspect.isclass(thing) and issubclass(thing, BaseEstimator):
            parameters = inspect.signature(thing).parameters.values()
            yield thing(**{p.name: needed[p.name] for p in parameters if p.default is p.empty})


def slowest(function, repeats):
    """Milliseconds of a function for the estimator that takes longest, and its name."""
    ways = {
        type(estimator).__name__: lambda estimator=estimator: function(estimator)
        for estimator in all_estimators()
    }
    seconds = median_seconds(ways, 5 * repeats)
    name = max(seconds, key=seconds.get)
    return 1000 * seconds[name], name


def count_builds(crystals):
    """Graphs built for each crystal and setting in a search over 60 candidates."""
    from sklmat.graphs import _neighbor_search

    original, built = _neighbor_search.build_edges, []
    _neighbor_search.build_edges = lambda *a, **k: built.append(1) or original(*a, **k)
    grid = {
        "graphs__cutoff": [4.0, 5.0, 6.0],
        "cgcnn__lr": [0.001, 0.003, 0.01, 0.03],
        "cgcnn__n_conv": [1, 2, 3, 4, 5],
    }
    steps = [("graphs", StructureToGraph(cache=1000)), ("cgcnn", CGCNNRegressor(**TINY))]
    try:
        search = GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise")
        search.fit(crystals, np.arange(float(len(crystals))))
    finally:
        _neighbor_search.build_edges = original
    assert len(search.cv_results_["params"]) == 60
    return len(built) / len(grid["graphs__cutoff"]) / len(crystals)


def count_reads(crystals):
    """How often each CIF is opened in a fit, and in a cross-validation with a cache."""
    opened = collections.Counter()

    def watch(event, args):
        if event == "open" and str(args[0]).endswith(".cif"):
            opened[args[0]] += 1

    sys.addaudithook(watch)
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{row}.cif" for row in range(len(crystals))]
        for path, crystal in zip(paths, crystals):
            crystal.to(filename=str(path))
            # A cache does not trust files that were changed in the last seconds.
            os.utime(path, (1e9, 1e9))
        y = np.arange(float(len(paths)))
        steps = [("graphs", StructureToGraph(cache=1001)), ("cgcnn", CGCNNRegressor(**TINY))]
        for run in (
            lambda: CGCNNRegressor(**TINY).fit(paths, y),
            lambda: cross_validate(Pipeline(steps), paths, y, cv=3),
        ):
            opened.clear()
            run()
            counts.append(max(opened.values()))
    return counts


def time_processes(crystals, repeats):
    """Time of one process relative to two, when they run and in the first call."""
    seconds = median_seconds(
        {
            n_jobs: lambda n_jobs=n_jobs: StructureToGraph(n_jobs=n_jobs).transform(crystals)
            for n_jobs in (1, 2)
        },
        repeats,
    )
    code = FIRST_CALL.format(folder=str(Path(__file__).parent), n=len(crystals))
    first = []
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        one, two = map(float, run.stdout.split()[-2:])
        first.append(one / two)
    return seconds[1] / seconds[2], float(np.median(first))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--n", type=int, default=3159, help="crystals for two processes")
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    crystals = repeated(load_perovskites()[0], args.n)
    print(f"{'what':58s} {'measured':>9s}  aim")

    def show(what, value, aim):
        print(f"{what:58s} {value:9.2f}  {aim}", flush=True)

    for name, estimator in (
        ("CGCNNRegressor", CGCNNRegressor(max_epochs=1, random_state=0)),
        ("ECNetRegressor", ECNetRegressor(max_epochs=1, random_state=0)),
    ):
        ratio = time_prediction(estimator, crystals, args.repeats)
        show(f"one prediction of {name} / its network", ratio, "<= 3")
    package, estimator = time_imports(args.repeats)
    show("import sklmat / import numpy", package, "<= 2")
    show("from sklmat import CGCNNRegressor / import torch, skorch", estimator, "<= 1.5")
    for function in (clone, repr):
        milliseconds, name = slowest(function, args.repeats)
        show(f"{function.__name__} of {name} (the slowest, ms)", milliseconds, "< 1")
    show("graphs built per crystal and setting, 60 candidates", count_builds(crystals[:8]), "1")
    fit, validation = count_reads(crystals[:9])
    show("reads of each file, fit of CGCNNRegressor", fit, "1")
    show("reads of each file, three folds with a cache", validation, "1")
    running, first = time_processes(crystals, args.repeats)
    show("graphs, one process / two", running, ">= 1.7")
    show("graphs, one process / two in the first call", first, ">= 1")


if __name__ == "__main__":
    main()
