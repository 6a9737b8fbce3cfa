"""Accuracy on 364 Fe-Ni-Co-Cr-Mn-Pd alloys: CGCNN, XGBoost and a Gaussian process side by side.

    python examples/benchmarks/hea_accuracy.py [--jobs 2] [--targets formation_energy ...]

All models see the same folds, shuffled, and then folds that keep the fcc and bcc cell of a
composition together, which is the honest question for a new alloy. Everything that is fitted
(scaling, features, networks) is fitted inside the fold. Labels are the corrected ones of
`fetch_hea`. CGCNN is the default constructor with ``random_state=0``.

The "phase" that a table of fractions gets is the label of the data set, as a candidate without a
structure would have it. 120 of the cells have left that lattice while they were relaxed (see the
user guide on features), which is what the models that see the structure know and it does not.
"""

import argparse
import json
import time
import warnings

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    CompositionGroupKFold,
    StructureFeaturizer,
    StructureToGraph,
    compare_estimators,
)
from sklmat.datasets import fetch_hea

UNITS = {"formation_energy": "eV/atom", "magnetic_moment": "μB/atom"}


def xgboost():
    return XGBRegressor(
        n_estimators=1000,
        learning_rate=0.03,
        max_depth=4,
        subsample=0.8,
        colsample_bytree=0.5,
        n_jobs=1,
        random_state=0,
    )


def gaussian_process(n_columns):
    kernel = ConstantKernel() * Matern(np.ones(n_columns), nu=2.5) + WhiteKernel(0.01)
    return make_pipeline(
        StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    )


class Views:
    """The crystals as each kind of model reads them, row for row.

    Fractions, phase label and volume of a row depend on that row alone, and graphs have nothing to
    fit, so making them once for all folds leaks nothing. The two featurizers, which learn their
    columns, stay inside the pipelines.
    """

    def __init__(self, data):
        fractions = CompositionFeaturizer().fit_transform(data.data).filter(regex="^x_")
        fcc = (data.frame["phase"] == "fcc").to_numpy(float)[:, None]
        volume = np.array([[s.volume / len(s)] for s in data.data])
        self.simple = np.hstack([fractions, fcc])
        self.with_volume = np.hstack([self.simple, volume])
        self.graphs = StructureToGraph().transform(data.data)
        self.structures = data.data


def models(views):
    """Name, input and estimator."""
    n = views.simple.shape[1]
    both = FeatureUnion(
        [
            ("composition", CompositionFeaturizer(lattice=True)),
            ("structure", StructureFeaturizer()),
        ]
    ).set_output(transform="pandas")
    return {
        "mean": (views.simple, DummyRegressor()),
        "XGBoost, fractions + phase": (views.simple, xgboost()),
        "GP, fractions + phase": (views.simple, gaussian_process(n)),
        "GP, fractions + phase + volume": (views.with_volume, gaussian_process(n + 1)),
        "XGBoost, both featurizers": (views.structures, make_pipeline(both, xgboost())),
        "CGCNN": (views.graphs, CGCNNRegressor(random_state=0)),
    }


def run(data, views, splits, jobs):
    y = data.target
    rows = {}
    for name, (X, estimator) in models(views).items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            table = compare_estimators(
                {name: estimator}, X, y, cv=splits, n_jobs=jobs, verbose=False
            )
        row = table.loc[name]
        rows[name] = {
            "MAE": float(row["MAE mean"]),
            "MAE sd": float(row["MAE sd"]),
            "RMSE": float(row["RMSE mean"]),
            "R2": float(row["R2 mean"]),
            "wall seconds": time.perf_counter() - start,
        }
        print(
            f"  {name:32s} MAE {rows[name]['MAE']:.4f} ± {rows[name]['MAE sd']:.4f}   "
            f"RMSE {rows[name]['RMSE']:.4f}   R2 {rows[name]['R2']:.3f}   "
            f"{rows[name]['wall seconds']:.0f} s",
            flush=True,
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--targets", nargs="+", default=list(UNITS), choices=list(UNITS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", default="hea_accuracy.json")
    args = parser.parse_args()
    result = {}
    for target in args.targets:
        data = fetch_hea(target)
        views = Views(data)
        folds = {
            "shuffled": list(KFold(5, shuffle=True, random_state=0).split(views.graphs)),
            "by composition": list(CompositionGroupKFold(5, random_state=0).split(views.graphs)),
        }
        for kind, splits in folds.items():
            print(f"\n{target} ({UNITS[target]}), 5 folds, {kind}")
            result[f"{target}, {kind}"] = run(data, views, splits, args.jobs)
    with open(args.out, "w") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
