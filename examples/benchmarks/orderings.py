"""Ordering models on halide perovskites, with learning curves.

    python examples/benchmarks/orderings.py perovskites [--splits 0 1 2]
    python examples/benchmarks/orderings.py learning [--rows 250 500 1000 2211]

`perovskites`: random 70/10/20 splits of the 3,159 halide perovskites; split 0 is the one of
`perovskite_accuracy.py`. The 10 % are not used. All settings were chosen on split 1.
`learning`: the first rows of the training rows of each split.

All models are default constructors. Training time is process time.
"""

import argparse
import time

import numpy as np
from sklearn.metrics import accuracy_score, mean_absolute_error

from sklmat import OrderingClassifier, OrderingRegressor, check_structures
from sklmat.datasets import fetch_halide_perovskites

TARGETS = {"decomposition_energy": "meV/atom", "band_gap": "eV", "band_type": "accuracy"}


def split(n, seed):
    order = np.random.default_rng(seed).permutation(n)
    return order[: int(0.7 * n)], order[int(0.8 * n) :]


def fit_and_score(target, X, y, train, test, seed):
    """Return the score of the test rows, and the seconds of the fit."""
    is_class = target == "band_type"
    model = (OrderingClassifier if is_class else OrderingRegressor)(random_state=seed)
    start = time.process_time()
    model.fit(X[train], y[train])
    seconds = time.process_time() - start
    score = accuracy_score if is_class else mean_absolute_error
    return score(y[test], model.predict(X[test])), seconds


def perovskites(args):
    for target in args.targets:
        data = fetch_halide_perovskites(target)
        X, y = check_structures(data.data), data.target
        for seed in args.splits:
            train, test = split(len(y), seed)
            value, seconds = fit_and_score(target, X, y, train, test, seed)
            print(
                f"{target} ({TARGETS[target]}), split {seed}: {value:.4f}  {seconds:.0f} CPU s",
                flush=True,
            )


def learning(args):
    for target in args.targets:
        data = fetch_halide_perovskites(target)
        X, y = check_structures(data.data), data.target
        for n_rows in args.rows:
            found = []
            for seed in args.splits:
                train, test = split(len(y), seed)
                some = train[:n_rows]
                found.append(fit_and_score(target, X, y, some, test, seed))
            values, seconds = np.transpose(found)
            print(
                f"{target} ({TARGETS[target]}), {n_rows} rows, {len(values)} splits: "
                f"{values.mean():.4f} ({values.min():.4f} to {values.max():.4f}), "
                f"{np.median(seconds):.0f} CPU s",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["perovskites", "learning"])
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", type=int, default=[250, 500, 1000, 2211])
    args = parser.parse_args()
    {"perovskites": perovskites, "learning": learning}[args.task](args)


if __name__ == "__main__":
    main()
