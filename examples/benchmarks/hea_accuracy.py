"""Accuracy on 364 Fe-Ni-Co-Cr-Mn-Pd alloys: ECNet, CGCNN, XGBoost, Gaussian processes, CHGNet.

    python examples/benchmarks/hea_accuracy.py [--targets ...] [--tasks ...] [--models ...]

All models are fitted on the same rows. The tasks:

- ``shuffled`` and ``by composition``: five folds, at random, or with the fcc and bcc cell of a
  composition kept together, which estimates the error for a new alloy;
- ``2-4 to 5`` and ``2-3 to 4-5``: train on alloys of few components, test on alloys of more;
- ``one fifth``: train on each of the five shuffled folds, test on the others;
- ``20 %`` to ``100 %``: both types of folds with this fraction of their training rows, three draws.

Everything that is fitted (scaling, features, networks) is fitted inside the fold. Labels are the
corrected labels of `fetch_hea`. CGCNN and ECNet are default estimators with ``random_state=0``. On
the first two types of task ECNet is run with three seeds; mean ± standard deviation over the seeds
follow its line.

The models that `baselines` makes are run on the first type of task, as "baseline: ...".

The "phase" in a table of fractions is the label of the data set, which is known for a candidate
without a structure. 120 of the cells relaxed to another lattice (see the user guide on features).
"Lattice" is the lattice that `infer_lattice` finds in the cell: with it and the volume, a Gaussian
process is the most accurate simple model here.

The models with CHGNet need ``pip install "sklmat[potentials]"``; without it they are left out.
CHGNet is evaluated once per cell. It was trained on cells of the Materials Project, which may hold
some of these alloys. The settings of the models with CHGNet were chosen on the shufflings with the
seeds 1, 2 and 3.

Errors are those of all rows and, after "agreeing", of the rows without a disagreeing twin: those
whose label is not contradicted by another row with the same composition and lattice.
"""

import argparse
import json
import tempfile
import time
import warnings
from fnmatch import fnmatchcase
from importlib.util import find_spec

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklmat import (
    CGCNNRegressor,
    ComponentSplit,
    CompositionFeaturizer,
    CompositionGroupKFold,
    DeltaRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    PotentialFeaturizer,
    RobustGaussianProcessRegressor,
    StructureFeaturizer,
    StructureToGraph,
    baselines,
    infer_lattice,
)
from sklmat.datasets import fetch_hea

UNITS = {"formation_energy": "eV/atom", "magnetic_moment": "μB/atom"}
FOLDS = ["shuffled", "by composition"]
#: Task of the learning curve -> type of folds, and fraction of their training rows.
SHARES = {
    f"{percent} %, {kind}": (kind, percent / 100)
    for kind in FOLDS
    for percent in (20, 40, 60, 80, 100)
}
COMPONENTS = ["2-4 to 5", "2-3 to 4-5"]


def xgboost():
    """XGBoost with the settings of our baselines, which were chosen on other data."""
    return baselines("regression")["XGBoost, composition"][-1]


def gaussian_process(n_columns):
    kernel = ConstantKernel() * Matern(np.ones(n_columns), nu=2.5) + WhiteKernel(0.01)
    return make_pipeline(
        StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    )


def base_columns():
    """Fractions, lattice and volume, as transformers for structures."""
    volume = ColumnTransformer([("volume", "passthrough", ["volume per atom (Å³)"])])
    return (
        CompositionFeaturizer(lattice=True, fractions=True, properties=()),
        make_pipeline(StructureFeaturizer(groups=["volume"]), volume),
    )


def with_chgnet(target, cache):
    """Name and estimator of the models with CHGNet; all take structures."""

    def chgnet(columns, **settings):
        return PotentialFeaturizer("chgnet", columns=columns, cache=cache, **settings)

    def process(potential, groups=None):
        table = make_union(*base_columns(), potential).set_output(transform="pandas")
        return make_pipeline(table, RobustGaussianProcessRegressor(groups))

    network = ECNetRegressor(random_state=0)
    if target == "formation_energy":
        names = "ECNet on the difference", "robust GP on the difference"
        on_difference = process(chgnet(["relative energy", "moments"]))
        models = [DeltaRegressor(model, chgnet("energy")) for model in (network, on_difference)]
    else:
        names = "ECNet", "robust GP, product"
        groups = {"vectors": ["chgnet embedding*"], "base": ["*"]}
        models = [network, process(chgnet("embedding", pool="mean", n_components=10), groups)]
    pair = dict(zip(names, models))
    both = {f"mean of {' and '.join(names)}": VotingRegressor(list(pair.items()))}
    return {f"CHGNet: {name}": model for name, model in {**pair, **both}.items() if name != "ECNet"}


class Views:
    """The inputs of each type of model, row by row.

    Fractions, phase label, lattice and volume of a row depend on this row only, and graphs are not
    fitted: they are computed once for all folds without data leakage. The featurizers learn their
    columns and therefore stay inside the pipelines.
    """

    def __init__(self, data):
        fractions = CompositionFeaturizer().fit_transform(data.data).filter(regex="^x_")
        fcc = (data.frame["phase"] == "fcc").to_numpy(float)[:, None]
        volume = np.array([[s.volume / len(s)] for s in data.data])
        found = infer_lattice(data.data)
        lattice = (found[:, None] == np.unique(found)).astype(float)
        self.simple = np.hstack([fractions, fcc])
        self.with_volume = np.hstack([self.simple, volume])
        self.with_lattice = np.hstack([fractions, lattice, volume])
        self.graphs = StructureToGraph().transform(data.data)
        self.all_neighbors = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(data.data)
        self.structures = data.data


def models(views, target, task, cache):
    """Name, input and estimator of the models of a task."""
    both = FeatureUnion(
        [
            ("composition", CompositionFeaturizer(lattice=True)),
            ("structure", StructureFeaturizer()),
        ]
    ).set_output(transform="pandas")
    learned = ECNetFeaturizer(ECNetRegressor(random_state=0)).set_output(transform="pandas")
    tables = {
        "mean": (views.simple, DummyRegressor()),
        "XGBoost, fractions + phase": (views.simple, xgboost()),
        "GP, fractions + phase": (views.simple, gaussian_process(views.simple.shape[1])),
    }
    strong = {
        "GP, fractions + phase + volume": (
            views.with_volume,
            gaussian_process(views.with_volume.shape[1]),
        ),
        "GP, fractions + lattice + volume": (
            views.with_lattice,
            gaussian_process(views.with_lattice.shape[1]),
        ),
        "XGBoost, both featurizers": (views.structures, make_pipeline(both, xgboost())),
    }
    networks = {
        "XGBoost, ECNetFeaturizer": (views.all_neighbors, make_pipeline(learned, xgboost())),
        "CGCNN": (views.graphs, CGCNNRegressor(random_state=0)),
        "ECNet": (views.all_neighbors, ECNetRegressor(random_state=0)),
    }
    robust = make_pipeline(make_union(*base_columns()), RobustGaussianProcessRegressor())
    strong["robust GP, fractions + lattice + volume"] = views.structures, robust
    potentials = {}
    if find_spec("chgnet"):
        potentials = {
            name: (views.structures, model) for name, model in with_chgnet(target, cache).items()
        }
    if task in [*SHARES, "one fifth"]:
        names = ["GP, fractions + lattice + volume", "ECNet"]
        return {name: {**strong, **networks}[name] for name in names} | potentials
    if task in FOLDS:
        simple = baselines("regression", views.structures).items()
        tables |= {f"baseline: {name}": (views.structures, model) for name, model in simple}
        return {**tables, **strong, **networks, **potentials}
    return {**strong, **networks, **potentials}


def splits(task, views):
    """Training and test rows of each split of a task."""
    graphs = views.graphs
    if task == "shuffled":
        return list(KFold(5, shuffle=True, random_state=0).split(graphs))
    if task == "by composition":
        return list(CompositionGroupKFold(5, random_state=0).split(graphs))
    if task in COMPONENTS:
        return list(ComponentSplit(4 if task == "2-4 to 5" else 3).split(graphs))
    if task == "one fifth":
        return [(test, train) for train, test in splits("shuffled", views)]
    kind, share = SHARES[task]
    return [
        (rng.permutation(train)[: round(share * len(train))], test)
        for rng in map(np.random.RandomState, range(3))
        for train, test in splits(kind, views)
    ]


def evaluate(estimator, X, y, rows, agreeing, jobs):
    """Errors of each split, and the wall time of all splits."""
    start = time.perf_counter()
    errors = Parallel(n_jobs=jobs)(
        delayed(test_errors)(clone(estimator), X, y, train, test) for train, test in rows
    )
    seconds = time.perf_counter() - start
    mae = [np.abs(e).mean() for e in errors]
    rmse = [np.sqrt((e**2).mean()) for e in errors]
    kept = np.concatenate([e[agreeing[test]] for e, (_, test) in zip(errors, rows)])
    return {
        "MAE": np.mean(mae),
        "MAE sd": np.std(mae),
        "RMSE": np.mean(rmse),
        "RMSE of all rows": np.sqrt((np.concatenate(errors) ** 2).mean()),
        "MAE, agreeing": np.abs(kept).mean(),
        "RMSE, agreeing": np.sqrt((kept**2).mean()),
        "wall seconds": seconds,
    }


def test_errors(estimator, X, y, train, test):
    """Prediction minus label of the test rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = estimator.fit(take(X, train), y[train])
    return fitted.predict(take(X, test)) - y[test]


def take(X, rows):
    return [X[row] for row in rows] if isinstance(X, list) else X[rows]


def run(data, views, target, task, args, cache):
    """Compute and print the errors of all models on one task."""
    y = np.asarray(data.target, dtype=float)
    agreeing = (data.frame["disagreeing twin"] == "").to_numpy()
    rows = splits(task, views)
    table = {}
    for name, (X, estimator) in models(views, target, task, cache).items():
        if not any(fnmatchcase(name, pattern) for pattern in args.models):
            continue
        row = table[name] = evaluate(estimator, X, y, rows, agreeing, args.jobs)
        line = (
            f"  {name:50s} MAE {row['MAE']:.4f} ± {row['MAE sd']:.4f}   RMSE {row['RMSE']:.4f} "
            f"(all rows {row['RMSE of all rows']:.4f}; agreeing {row['MAE, agreeing']:.4f} / "
            f"{row['RMSE, agreeing']:.4f})   {row['wall seconds']:.0f} s"
        )
        if name == "ECNet" and task in [*FOLDS, *COMPONENTS]:
            seeds = [row] + [
                evaluate(
                    clone(estimator).set_params(random_state=seed), X, y, rows, agreeing, args.jobs
                )
                for seed in (1, 2)
            ]
            for error in ("MAE", "RMSE"):
                values = [seed[error] for seed in seeds]
                row[f"{error} over seeds"] = [np.mean(values), np.std(values, ddof=1)]
                line += (
                    f"   {error} of 3 seeds {np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"
                )
        print(line, flush=True)
    return table


def main():
    tasks = [*FOLDS, *COMPONENTS, "one fifth", *SHARES]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--targets", nargs="+", default=list(UNITS), choices=list(UNITS))
    parser.add_argument("--tasks", nargs="+", default=tasks, choices=tasks)
    parser.add_argument(
        "--models", nargs="+", default=["*"], help="names, or patterns like CHGNet*"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", default="hea_accuracy.json")
    args = parser.parse_args()
    result = {}
    with tempfile.TemporaryDirectory() as cache:
        for target in args.targets:
            data = fetch_hea(target)
            views = Views(data)
            for task in args.tasks:
                print(f"\n{target} ({UNITS[target]}), {task}")
                result[f"{target}, {task}"] = run(data, views, target, task, args, cache)
    with open(args.out, "w") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
