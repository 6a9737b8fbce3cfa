"""Time and memory of predictions for data sets that do not fit into memory.

    python examples/benchmarks/scaling_out.py [--largest 1e8] [--n-jobs 1] [--out scaling_out.json]

Each line is a process of its own. ``screen`` predicts grids of six metals with a gradient-boosted
regressor on the fractions, and writes all rows into a folder of Parquet files; with 1e8, the last
grid has steps of 1 % (96,560,646 compositions). ``predict_dataset`` predicts cells of 20 atoms,
2,000 in each Parquet file, with a CGCNN. The time is given relative to the first line of the same
function, per row; the memory is the largest resident set, of which most are the imported libraries.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ELEMENTS = ["Fe", "Ni", "Co", "Cr", "Mn", "Pd"]
#: Steps per unit of the fraction: 5e4, 1.2e6, 1.3e7, 9.7e7 and 9.6e8 compositions.
DIVISIONS = (20, 40, 66, 100, 160)
#: Files of 2,000 cells.
N_FILES = (1, 4, 16)


def screen_grid(divisions, n_jobs, folder):
    """Screen a grid; return the number of compositions and a function that does it."""
    from xgboost import XGBRegressor

    from sklmat.screening import composition_grid, screen

    known = composition_grid(ELEMENTS, 0.2).points()
    energy = known.to_numpy() @ np.linspace(-1, 1, 6) + known.to_numpy().prod(axis=1)
    model = XGBRegressor(n_estimators=100, n_jobs=1).fit(known, energy)
    grid = composition_grid(ELEMENTS, 1 / divisions, chunk_size=100_000)
    name = "formation energy (eV/atom)"
    return grid.n_points, lambda: screen(
        model, grid, targets=name, out=folder / "alloys", n_jobs=n_jobs
    )


def predict_files(n_files, n_jobs, folder):
    """Predict Parquet files of structures with a CGCNN."""
    from sklmat import CGCNNRegressor, predict_dataset, save_structures
    from sklmat.datasets import make_alloys

    cells, energies = make_alloys(2_000, n_atoms=20, random_state=0, return_X_y=True)
    model = CGCNNRegressor(max_epochs=1, random_state=0).fit(cells[:200], energies[:200])
    source = folder / "cells"
    source.mkdir()
    save_structures(source / "0.parquet", cells)
    for k in range(1, n_files):
        shutil.copy(source / "0.parquet", source / f"{k}.parquet")
    return 2_000 * n_files, lambda: predict_dataset(model, source, folder / "out", n_jobs=n_jobs)


WORK = {"screen": screen_grid, "predict_dataset": predict_files}


def measure(function, size, n_jobs):
    """Time and memory of one call, in this process; printed as JSON."""
    folder = Path(tempfile.mkdtemp())
    try:
        n_rows, work = WORK[function](size, n_jobs, folder)
        start = time.perf_counter()
        out = work()
        seconds = time.perf_counter() - start
        written = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    finally:
        shutil.rmtree(folder)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": n_rows, "seconds": seconds, "bytes": written, "MiB": memory}))


def in_new_process(*arguments):
    command = [sys.executable, __file__, "--measure", *map(str, arguments)]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--largest", type=float, default=1e8, help="largest number of compositions")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--out", default="scaling_out.json")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], int(args.measure[1]), int(args.measure[2]))
        return
    results = {"screen": [], "predict_dataset": []}
    limits = {"screen": args.largest, "predict_dataset": np.inf}
    for function, sizes in (("screen", DIVISIONS), ("predict_dataset", N_FILES)):
        for size in sizes:
            found = results[function]
            if found and found[-1]["rows"] * 5 > limits[function]:
                break
            found.append(in_new_process(function, size, args.n_jobs))
            row, first = found[-1], found[0]
            per_row = (row["seconds"] / row["rows"]) / (first["seconds"] / first["rows"])
            print(
                f"{function:16s} {row['rows']:>12,} rows   time per row {per_row:5.2f}   "
                f"{row['MiB']:6.0f} MiB   {row['bytes'] / row['rows']:5.1f} bytes per row on disk",
                flush=True,
            )
        sizes, seconds = (np.log([row[name] for row in found]) for name in ("rows", "seconds"))
        if len(found) > 1:
            slope = np.polyfit(sizes[1:], seconds[1:], 1)[0] if len(found) > 2 else np.nan
            print(f"{function:16s} slope of log(time) against log(rows): {slope:.2f}")
            results[f"slope of {function}"] = slope
    with open(args.out, "w") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
