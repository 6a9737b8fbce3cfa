"""Choice of the settings of `sklmat.baselines`, on other data than those of the user guide.

    python examples/benchmarks/tune_baselines.py [--quick] [--models XGBoost processes ridge]

The data: generated alloys of other elements and another seed than elsewhere, generated crystals of
mixed chemistry with another seed, and rows of the halide perovskites that are training rows of
split 1 of `orderings.py`. Three folds by composition. Each number is the mean absolute error divided
by that of the mean of the training rows or, for classes, one minus the accuracy divided by that of
the most frequent class. The last column is the geometric mean.

All tables are computed before the folds: none of their columns depends on labels or other rows.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import make_pipeline, make_union
from xgboost import XGBClassifier, XGBRegressor

from sklmat import (
    CompositionFeaturizer,
    CompositionGroupKFold,
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
    StructureFeaturizer,
    baselines,
)
from sklmat.datasets import fetch_halide_perovskites, make_alloys, make_prototypes

NAMES = ("learning_rate", "n_estimators", "max_depth", "subsample", "colsample_bytree")
#: Values of these parameters.
TREES = [
    (),
    (0.05, 500, 6, 0.8, 0.5),
    (0.03, 1000, 3, 0.8, 0.5),
    (0.03, 1000, 4, 0.8, 0.5),
    (0.03, 1000, 6, 0.8, 0.5),
    (0.03, 1000, 4, 0.5, 0.5),
    (0.03, 1000, 4, 0.8, 0.3),
    (0.03, 1000, 4, 0.8, 0.8),
    (0.03, 500, 4, 0.8, 0.5),
]
#: Settings of early stopping.
STOPPED = (0.03, 5000, 4, 0.8, 0.5)
STOPPING = {"stopped early": {}, "stopped early, then fitted to all rows": {"refit": True}}


def data_sets(quick):
    """Yield name, crystals and labels."""
    elements = ("Ag", "Au", "Cu", "Pt")
    n = 30 if quick else 160
    yield "alloys", *make_alloys(n, elements, n_atoms=16, random_state=1, return_X_y=True)
    yield "mixed chemistry", *make_prototypes(n, random_state=1, return_X_y=True)
    for target in ["band_gap", "band_type"]:
        X, y = fetch_halide_perovskites(target, return_X_y=True, verbose=False)
        order = np.random.default_rng(1).permutation(len(y))[: 60 if quick else 240]
        yield f"perovskites, {target}", [X[row] for row in order], np.asarray(y)[order]


def tables_of(X):
    """The table of all columns."""
    both = make_union(CompositionFeaturizer(), StructureFeaturizer())
    return both.set_output(transform="pandas").fit_transform(X)


def trees(settings, classify):
    kind = XGBClassifier if classify else XGBRegressor
    return kind(**dict(zip(NAMES, settings)), n_jobs=1, random_state=0)


def boosting_models(classify):
    found = {
        ", ".join(map(str, values)) or "defaults": trees(values, classify) for values in TREES
    }
    stopping = EarlyStoppingClassifier if classify else EarlyStoppingRegressor
    for name, settings in STOPPING.items():
        model = stopping(trees(STOPPED, classify), n_iter_no_change=50, random_state=0, **settings)
        found[f"{', '.join(map(str, STOPPED))}, {name}"] = model
    return found


def relative_error(model, X, y, splits, classify):
    """Error divided by that of the model that ignores `X`."""
    simple = DummyClassifier() if classify else DummyRegressor()
    errors = np.zeros(2)
    for train, test in splits:
        for k, each in enumerate((model, simple)):
            fitted = clone(each).fit(take(X, train), y[train])
            predicted = fitted.predict(take(X, test))
            errors[k] += np.sum(predicted != y[test]) if classify else np.abs(predicted - y[test]).sum()
    return errors[0] / errors[1]


def take(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else [X[row] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rows")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {}
    for name, X, y in data_sets(args.quick):
        classify = name.endswith("type")
        y = np.unique(y, return_inverse=True)[1] if classify else np.asarray(y)
        splits = list(CompositionGroupKFold(3, random_state=0).split(X))
        start = time.process_time()
        table = tables_of(X)
        print(f"{name}: {table.shape}, {time.process_time() - start:.0f} s", flush=True)
        for setting, model in boosting_models(classify).items():
            start = time.process_time()
            error = relative_error(model, table, y, splits, classify)
            results.setdefault(setting, []).append(error)
            print(f"  {setting:55s} {error:.4f}  {time.process_time() - start:.0f} s", flush=True)
    for setting, errors in results.items():
        mean = np.exp(np.mean(np.log(errors)))
        print(f"| {setting} | {' | '.join(f'{e:.3f}' for e in errors)} | {mean:.3f} |")


if __name__ == "__main__":
    main()
