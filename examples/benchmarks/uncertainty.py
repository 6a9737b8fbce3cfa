"""Coverage and width of 90 % intervals on 364 alloys: ConformalRegressor over 20 group splits.

    python examples/benchmarks/uncertainty.py [--models ...] [--methods ...] [--splits 20]

Each split holds out 20 % of the compositions at random (`GroupShuffleSplit`), and everything is
fitted to the other rows, the calibration included. Printed for each model, method and conformity
score: the coverage of the test rows (mean, standard deviation, smallest and largest of the splits),
the mean width of the intervals, and the mean absolute error.

- ``GP``: scikit-learn's Gaussian process on fractions, lattice and volume (see hea_accuracy.py);
- ``XGBoost``: gradient boosting on the same table;
- ``XGBoost, 200 trees``: a faster one, for many splits: the mean coverage of 20 splits is known to
  about 1 %;
- ``ECNet``: the network with its default parameters, on structures.

With "split", two more things are printed for the GP and ECNet:

- how many test labels are within one and two standard deviations, before and after these are
  multiplied by the factor that the calibration rows give, as in `CalibratedStdRegressor`;
- for ECNet, coverage and error inside and outside of the `ApplicabilityDomain` of its vectors.

Labels are the corrected labels of `fetch_hea`.
"""

import argparse
import copy
import json
import time
import warnings

import numpy as np
from hea_accuracy import UNITS, Views, gaussian_process, take, xgboost
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupShuffleSplit

from sklmat import ApplicabilityDomain, ConformalRegressor, ECNetRegressor
from sklmat.datasets import fetch_hea
from sklmat.exceptions import ExtrapolationWarning
from sklmat.model_selection import composition_groups


def models(views):
    """Name, input, estimator, and whether it gives a standard deviation."""
    table = views.with_lattice
    return {
        "GP": (table, gaussian_process(table.shape[1]), True),
        "XGBoost": (table, xgboost(), False),
        "XGBoost, 200 trees": (
            table,
            xgboost().set_params(n_estimators=200, learning_rate=0.1),
            False,
        ),
        "ECNet": (views.all_neighbors, ECNetRegressor(random_state=0), True),
    }


def without_std(model):
    """The same fitted models with absolute residuals as conformity scores."""
    model = copy.copy(model)
    model.conformity_score = "absolute"
    model.calibration_ = model.calibration_.drop(columns="std")
    return model


def evaluate(model, X, y, groups, train, test):
    """Fit to the training rows; return results of the test rows, by conformity score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(take(X, train), y[train], groups=groups[train])
    X_test, y_test = take(X, test), y[test]
    error = np.abs(model.predict(X_test) - y_test).mean()
    variants = {model.conformity_score: model}
    if model.conformity_score == "normalized":
        variants["absolute"] = without_std(model)
    result = {}
    for score, variant in variants.items():
        low, high = variant.predict_interval(X_test).T
        inside = (low <= y_test) & (y_test <= high)
        result[score] = {"coverage": inside.mean(), "width": (high - low).mean(), "MAE": error}
    if model.method == "split" and model.conformity_score == "normalized":
        result["std"] = std_calibration(model, X_test, y_test)
        if isinstance(model.estimator, ECNetRegressor):
            fitted_rows = np.delete(train, model.calibration_["row"])
            result["domain"] = domain(model, take(X, fitted_rows), X_test, y_test)
    return result


def std_calibration(model, X, y):
    """Fraction of labels within one and two standard deviations, before and after calibration."""
    table = model.calibration_
    factor = np.sqrt(np.mean(((table["y"] - table["prediction"]) / table["std"]) ** 2))
    mean, std = model.estimators_[0].predict(X, return_std=True)
    sizes = np.abs(y - mean) / std
    return {
        "factor": factor,
        **{f"before, within {k}": np.mean(sizes <= k) for k in (1, 2)},
        **{f"after, within {k}": np.mean(sizes <= k * factor) for k in (1, 2)},
    }


def domain(model, X_fitted, X, y):
    """Sums over the test rows inside and outside of the domain of the network."""
    found = ApplicabilityDomain(FrozenEstimator(model.estimators_[0])).fit(X_fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        is_inside = found.is_inside(X)
    low, high = without_std(model).predict_interval(X).T
    covered, error = (low <= y) & (y <= high), np.abs(model.predict(X) - y)
    return {
        f"{name} {side}": float(values[rows].sum())
        for side, rows in (("inside", is_inside), ("outside", ~is_inside))
        for name, values in {"rows": np.ones(len(y)), "covered": covered, "error": error}.items()
    }


def summary(results, unit):
    """Lines of text about the results of all splits."""
    for score in ("absolute", "normalized"):
        rows = [each[score] for each in results if score in each]
        if rows:
            coverage = 100 * np.array([row["coverage"] for row in rows])
            yield (
                f"{score:10s} {len(rows):2d} splits  coverage {coverage.mean():.1f} ± "
                f"{coverage.std(ddof=1) if len(rows) > 1 else np.nan:.1f} % "
                f"({coverage.min():.1f}-{coverage.max():.1f})  "
                f"width {np.mean([row['width'] for row in rows]):.4f} {unit}  "
                f"MAE {np.mean([row['MAE'] for row in rows]):.4f} {unit}"
            )
    rows = [each["std"] for each in results if "std" in each]
    if rows:
        means = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
        yield "std        " + ", ".join(f"{key} {value:.3f}" for key, value in means.items())
    rows = [each["domain"] for each in results if "domain" in each]
    if rows:
        for side in ("inside", "outside"):
            n, covered, error = (
                sum(row[f"{name} {side}"] for row in rows) for name in ("rows", "covered", "error")
            )
            if n:
                yield (
                    f"domain     {side}: {n:.0f} rows, coverage {100 * covered / n:.1f} %, "
                    f"MAE {error / n:.4f} {unit}"
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", default="formation_energy", choices=list(UNITS))
    parser.add_argument("--models", nargs="+", default=["GP", "XGBoost", "ECNet"])
    parser.add_argument("--methods", nargs="+", default=["split", "cv+"])
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument(
        "--single-rows",
        action="store_true",
        help="calibrate with single rows instead of whole compositions, to see why not to",
    )
    parser.add_argument("--out", default="uncertainty.json")
    args = parser.parse_args()
    data = fetch_hea(args.target)
    y, groups = np.asarray(data.target, dtype=float), composition_groups(data.data)
    splitter = GroupShuffleSplit(args.splits, test_size=0.2, random_state=0)
    splits = list(splitter.split(y, groups=groups))
    print(f"{len(y)} rows, {len(np.unique(groups))} compositions, {args.target}")
    candidates, found = models(Views(data)), {}
    for name in args.models:
        X, estimator, has_std = candidates[name]
        for method in args.methods:
            start, results = time.perf_counter(), []
            for number, (train, test) in enumerate(splits):
                model = ConformalRegressor(
                    clone(estimator),
                    method=method,
                    conformity_score="normalized" if has_std else "absolute",
                    random_state=number,
                )
                labels = np.arange(len(y)) if args.single_rows else groups
                results.append(evaluate(model, X, y, labels, train, test))
                with open(args.out, "w") as file:
                    json.dump({**found, f"{name}, {method}": results}, file, indent=1)
            found[f"{name}, {method}"] = results
            print(f"\n{name}, {method} ({time.perf_counter() - start:.0f} s)")
            for line in summary(results, UNITS[args.target]):
                print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
