"""Ordering models on halide perovskites and mixed halides, with learning curves.

    python examples/benchmarks/orderings.py perovskites [--splits 0 1 2]
    python examples/benchmarks/orderings.py learning [--rows 250 500 1000 2211]
    python examples/benchmarks/orderings.py mixed [--splits 0 1 2]

`perovskites`: random 70/10/20 splits of the 3,159 halide perovskites; split 0 is the one of
`perovskite_accuracy.py`. The 10 % are not used. All settings were chosen on split 1.
`learning`: the first rows of the training rows of each split.
`mixed`: the classes of `load_mixed_halide_perovskites` in the folds of `adversarial_perovskites.py`
(five stratified folds for each seed).

All models are default constructors. Training time is process time.
"""

import argparse
import time

import numpy as np
from sklearn.metrics import accuracy_score, mean_absolute_error, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from sklmat import OrderingClassifier, OrderingRegressor, check_structures
from sklmat.datasets import fetch_halide_perovskites, load_mixed_halide_perovskites

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


def mixed(args):
    data = load_mixed_halide_perovskites(["efficiency_class", "ordering_class"])
    X = check_structures(data.data)
    for name, y in zip(["efficiency", "ordering"], np.transpose(data.target)):
        found = []
        for seed in args.splits:
            folds = StratifiedKFold(5, shuffle=True, random_state=seed)
            for train, test in folds.split(y, y):
                start = time.process_time()
                model = OrderingClassifier(random_state=seed).fit(X[train], y[train])
                probability = model.predict_proba(X[test])[:, 1]
                accuracy = accuracy_score(y[test], model.predict(X[test]))
                found.append((accuracy, roc_auc_score(y[test], probability)))
                print(
                    f"{name}, seed {seed}: accuracy {accuracy:.3f}, ROC-AUC {found[-1][1]:.3f}, "
                    f"{len(model.permutations_)} permutations, "
                    f"{time.process_time() - start:.0f} CPU s",
                    flush=True,
                )
        means, deviations = np.mean(found, axis=0), np.std(found, axis=0)
        print(
            f"{name}, {len(found)} splits: accuracy {means[0]:.3f} ± {deviations[0]:.3f}, "
            f"ROC-AUC {means[1]:.3f} ± {deviations[1]:.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["perovskites", "learning", "mixed"])
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", type=int, default=[250, 500, 1000, 2211])
    args = parser.parse_args()
    {"perovskites": perovskites, "learning": learning, "mixed": mixed}[args.task](args)


if __name__ == "__main__":
    main()
