"""What several benchmark scripts need: crystals, times, memory, the machine."""

import multiprocessing
import os
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np


def load_alloys():
    """The cells of `fetch_hea` if they have been downloaded, else generated ones; their name."""
    from sklmat.datasets import fetch_hea, make_alloys

    try:
        return list(fetch_hea(verbose=False).data), "fetch_hea"
    except Exception as error:
        print(f"real alloys are not here ({type(error).__name__}); generating some")
        return list(make_alloys(200).data), "make_alloys"


def load_perovskites():
    """The halide perovskites if they have been downloaded, else generated alloys; their name."""
    from sklmat.datasets import fetch_halide_perovskites, make_alloys

    try:
        return list(fetch_halide_perovskites(verbose=False).data), "fetch_halide_perovskites"
    except Exception as error:
        print(f"the perovskites are not here ({type(error).__name__}); generating alloys")
        return list(make_alloys(100, n_atoms=20).data), "make_alloys"


def repeated(items, n):
    """A list of n items, the given ones again and again."""
    return [items[row % len(items)] for row in range(n)]


def median_seconds(ways, repeats):
    """Median times of functions, each called once before, then all in turn.

    A slower phase of the machine so affects all of them.
    """
    times = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def high_water():
    """Largest resident set of this process so far (MiB)."""
    try:
        with open("/proc/self/status") as file:
            (line,) = [line for line in file if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _own_high_water():
    time.sleep(0.05)
    return os.getpid(), high_water()


def high_water_of_workers(n_processes):
    """Sum of the largest resident sets of joblib's processes (MiB)."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    # More calls than processes, so that each of them answers.
    calls = [delayed(_own_high_water)() for _ in range(8 * n_processes)]
    found = dict(Parallel(n_processes)(calls))
    # A new process that has workers of its own would otherwise wait for them when it ends.
    get_reusable_executor().shutdown()
    return sum(found.values())


def in_fresh_process(function, *arguments):
    """Result of a function in a new interpreter, where nothing has taken memory before."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def machine():
    """Processor, number of cores, versions and date; nothing that names the computer."""
    import joblib
    import numba
    import torch

    import sklmat

    names = []
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": joblib.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "numba": numba.__version__,
        "sklmat": sklmat.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
