"""Choice of the settings of `sklmat.baselines`, on other data than those of the user guide.

    python examples/benchmarks/tune_baselines.py [--quick] [--models boosting processes chgnet]

The data: generated alloys of other elements and another seed than elsewhere, generated crystals of
mixed chemistry with another seed, and some of the halide perovskites that are training rows of
split 1 of `orderings.py`. Three folds by composition. Each number is the mean absolute error,
divided by that of the mean of the training rows; for classes, the fraction of wrong classes,
divided by that of the most frequent class. The last column is their geometric mean.

The tables for XGBoost are computed before the folds: none of their columns depends on labels or on
other rows. The results are in the user guide ("Benchmarks").
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
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
    found = {", ".join(map(str, values)) or "defaults": trees(values, classify) for values in TREES}
    stopping = EarlyStoppingClassifier if classify else EarlyStoppingRegressor
    for name, settings in STOPPING.items():
        model = stopping(trees(STOPPED, classify), n_iter_no_change=50, random_state=0, **settings)
        found[f"{', '.join(map(str, STOPPED))}, {name}"] = model
    return found


def processes(X):
    """Gaussian processes that take structures."""
    models = baselines("regression", X)
    model = models["Gaussian process, composition and volume"]
    groups = {"composition": "composition__*", "structure": "*"}
    columns = [("volume", "passthrough", ["volume per atom (Å³)"])]
    only_volume = make_pipeline(StructureFeaturizer(groups=["volume"]), ColumnTransformer(columns))
    volume = clone(model).set_params(table__volume=only_volume)
    return {
        "composition": models["Gaussian process, composition"],
        "composition, volume per atom": clone(volume).set_params(table__lattice="drop"),
        "composition, lattice, volume per atom": volume,
        "two kernels: composition; lattice, volume per atom": clone(volume).set_params(
            process__column_groups=groups
        ),
        "composition, lattice, four columns of volumes": model,
        "two kernels: composition; lattice, four columns of volumes": clone(model).set_params(
            process__column_groups=groups
        ),
        "composition, lattice, four columns of volumes, robust": models[
            "robust Gaussian process, composition and volume"
        ],
    }


def with_chgnet(X):
    """Gaussian processes that have vectors of CHGNet too, or only these."""
    name = "Gaussian process, CHGNet"
    model = baselines("regression", X).get(name)
    if model is None:
        return {}
    alone = {"table__composition": "drop", "table__lattice": "drop", "table__volume": "drop"}
    alone["process__column_groups"] = None
    pooled, components = "table__chgnet__pool", "table__chgnet__n_components"
    changes = {
        "vectors alone": alone,
        "vectors and standard deviations alone": {**alone, pooled: ("mean", "sd")},
        "one kernel, ten components": {components: 10, "process__column_groups": None},
        "two kernels, ten components": {components: 10},
        "two kernels, vectors": {},
        "two kernels, vectors and standard deviations": {pooled: ("mean", "sd")},
    }
    return {f"CHGNet, {key}": clone(model).set_params(**some) for key, some in changes.items()}


def relative_error(model, X, y, splits, classify):
    """Error divided by that of the model that ignores `X`."""
    simple = DummyClassifier() if classify else DummyRegressor()
    errors = np.zeros(2)
    for train, test in splits:
        for k, each in enumerate((model, simple)):
            fitted = clone(each).fit(take(X, train), y[train])
            predicted = fitted.predict(take(X, test))
            errors[k] += (
                np.sum(predicted != y[test]) if classify else np.abs(predicted - y[test]).sum()
            )
    return errors[0] / errors[1]


def take(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else [X[row] for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rows")
    kinds = ["boosting", "processes", "chgnet"]
    parser.add_argument("--models", nargs="+", choices=kinds, default=kinds)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {}
    for name, X, y in data_sets(args.quick):
        classify = name.endswith("type")
        y = np.unique(y, return_inverse=True)[1] if classify else np.asarray(y)
        splits = list(CompositionGroupKFold(3, random_state=0).split(X))
        jobs = []
        if "boosting" in args.models:
            table = tables_of(X)
            jobs += [(key, model, table) for key, model in boosting_models(classify).items()]
        # All perovskites have one volume and lattice.
        if not name.startswith("perovskites"):
            models = processes(X) if "processes" in args.models else {}
            models |= with_chgnet(X) if "chgnet" in args.models else {}
            jobs += [(key, model, X) for key, model in models.items()]
        print(f"{name}: {len(X)} rows", flush=True)
        for key, model, data in jobs:
            start = time.process_time()
            error = relative_error(model, data, y, splits, classify)
            results.setdefault(key, []).append(error)
            print(f"  {key:60s} {error:.3f}  {time.process_time() - start:.0f} s", flush=True)
    for key, errors in results.items():
        mean = np.exp(np.mean(np.log(errors)))
        print(f"| {key} | {' | '.join(f'{error:.3f}' for error in errors)} | {mean:.3f} |")


if __name__ == "__main__":
    main()
