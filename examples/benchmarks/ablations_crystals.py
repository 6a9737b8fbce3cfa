"""The ablations of `ablations.py` on other crystals than the alloys of `fetch_hea`."""

import time
from fnmatch import fnmatchcase

import adversarial_perovskites
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from xgboost import XGBClassifier

from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    CompositionGroupKFold,
    DisorderFeaturizer,
    GraphEmbedding,
    StructureFeaturizer,
    StructureToGraph,
)
from sklmat.datasets import (
    fetch_halide_perovskites,
    load_mixed_halide_perovskites,
    make_alloys,
    make_mixed_halide_perovskites,
    make_prototypes,
)

ADAM = {"optimizer": "adam", "hidden_dim": 64, "lr": 0.002, "max_epochs": 50}
MUON = {**ADAM, "optimizer": "muon"}


def perovskites(args):
    """AdamW and Muon on the halide perovskites; 2,211 training rows, the 948 others held out."""
    settings = {
        "AdamW, rate 0.002, 50 epochs": ADAM,
        "Muon, rate 0.006, 25 epochs": {**MUON, "lr": 0.006, "max_epochs": 25},
    }
    if args.quick:
        data = make_prototypes(40, random_state=0)
    else:
        data = fetch_halide_perovskites("decomposition_energy", verbose=False)
    order = np.random.default_rng(1).permutation(len(data.data))
    train, test = np.split(order, [int(0.7 * len(order))])
    print("\ndecomposition energy (meV/atom), error of held-out and of training rows")
    train_and_report(settings, data, train, test, args)


def prototypes(args):
    """AdamW and Muon on 2,500 crystals of 82 elements; first of five folds, three seeds."""
    settings = {
        "AdamW, width 32, rate 0.01, 100 epochs": {
            "optimizer": "adam",
            "hidden_dim": 32,
            "lr": 0.01,
            "max_epochs": 100,
        },
        "Muon, width 64, rate 0.004, 200 epochs": {**MUON, "lr": 0.004, "max_epochs": 200},
    }
    data = make_prototypes(40 if args.quick else 2500, random_state=0)
    train, test = next(CompositionGroupKFold(5, random_state=0).split(data.data))
    print(
        "\nformation energy (eV/atom), error of held-out and of training rows, mean of three seeds"
    )
    train_and_report(settings, data, train, test, args, seeds=(0, 1, 2))


def train_and_report(settings, data, train, test, args, seeds=(0,)):
    graphs = StructureToGraph().transform(data.data)
    y = np.asarray(data.target, dtype=float)
    for name, parameters in settings.items():
        if not any(fnmatchcase(name, pattern) for pattern in args.models):
            continue
        errors, start = [], time.process_time()
        for seed in seeds:
            model = CGCNNRegressor(random_state=seed, **parameters)
            if args.quick:
                model.set_params(max_epochs=2, hidden_dim=8)
            model.fit(graphs[train], y[train])
            errors.append(
                [
                    mean_absolute_error(y[rows], model.predict(graphs[rows]))
                    for rows in (test, train)
                ]
            )
        seconds = (time.process_time() - start) / len(seeds)
        held_out, seen = np.mean(errors, axis=0)
        each = "  ".join(f"{error:.4f}" for error, _ in errors) if len(seeds) > 1 else ""
        print(
            f"  {name:40s} {held_out:.4f} ({seen:.4f})   {seconds:.0f} CPU s   {each}".rstrip(),
            flush=True,
        )


def disorder(args):
    """ROC-AUC of XGBoost with more and more columns of disorder; generated mixed halides."""
    data = make_mixed_halide_perovskites()
    rows = np.linspace(0, len(data.target) - 1, 80 if args.quick else len(data.target)).astype(int)
    structures, y = [data.ideal[row] for row in rows], data.target[rows]
    table = DisorderFeaturizer().fit_transform(structures)
    general = adversarial_perovskites.general(structures)
    groups = {
        "general columns": [],
        "+ number of inequivalent sites": ["inequivalent sites at *"],
        "+ equal halides opposite each other at tin": ["excess of like pairs at 180* around Sn"],
        "+ dipole of the halides around tin": ["squared dipole * around Sn"],
        "+ multipoles around tin": ["squared * around Sn"],
        "+ multipoles around tin and caesium": ["squared * around Sn", "squared * around Cs"],
        "+ all of DisorderFeaturizer": ["*"],
    }
    seeds = [0] if args.quick else [0, 1, 2]
    splits = [
        pair
        for seed in seeds
        for pair in StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y)
    ]
    print(f"\nROC-AUC, {len(splits)} splits")
    trees = XGBClassifier(**adversarial_perovskites.TREES, random_state=0)
    for name, patterns in groups.items():
        chosen = [c for c in table if any(fnmatchcase(c, pattern) for pattern in patterns)]
        X = general.join(table[chosen]).to_numpy()
        values = [
            roc_auc_score(
                y[test], clone(trees).fit(X[train], y[train]).predict_proba(X[test])[:, 1]
            )
            for train, test in splits
        ]
        print(f"  {name:44s} {np.mean(values):.3f} ± {np.std(values):.3f}", flush=True)


def alloys(args):
    """What composition and pairs of neighbours explain of the energies of `make_alloys`."""
    data = make_alloys(**({"n_samples": 20, "n_atoms": 16} if args.quick else {}))
    composition = CompositionFeaturizer(properties=()).fit_transform(data.data)
    pairs = StructureFeaturizer().fit_transform(data.data).filter(regex="^fraction of .* shell 1$")
    quadratic = make_pipeline(
        StandardScaler(), PolynomialFeatures(2), StandardScaler(), RidgeCV(np.logspace(-6, 2, 9))
    )
    folds = KFold(5, shuffle=True, random_state=0)
    print(f"\nR2 of a quadratic function, five folds of {len(data.target)} alloys")
    for name, X in {"fractions": composition, "with pairs": composition.join(pairs)}.items():
        r2 = cross_val_score(quadratic, X.to_numpy(), data.target, cv=folds, scoring="r2")
        print(f"  {name:20s} {r2.mean():.3f} ± {r2.std():.3f}", flush=True)


def halides(args):
    """ROC-AUC of the mean label of the other rows of a composition; xTB mixed halides."""
    print("\nROC-AUC of the mean of the other rows of the composition")
    for target in ("efficiency_class", "ordering_class"):
        data = load_mixed_halide_perovskites(target)
        y = pd.Series(data.target, dtype=float)
        groups = y.groupby([structure.formula for structure in data.data])
        others = (groups.transform("sum") - y) / (groups.transform("size") - 1)
        print(f"  {target:20s} {roc_auc_score(y, others.fillna(y.mean())):.2f}")


def embedding(args):
    """R2 of ridge regression on vectors of a published CGCNN; five sets of `make_alloys`."""
    seeds = [0] if args.quick else [0, 1, 2, 3, 4]
    tables = {
        "GraphEmbedding": GraphEmbedding("cgcnn:formation-energy-per-atom"),
        "CompositionFeaturizer": CompositionFeaturizer(),
    }
    print("\nR2 of 15 alloys, 45 alloys for training")
    for name, table in tables.items():
        scores = []
        for seed in seeds:
            alloys = make_alloys(60, random_state=seed)
            model = make_pipeline(clone(table), StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
            model.fit(alloys.data[:45], alloys.target[:45])
            scores.append(model.score(alloys.data[45:], alloys.target[45:]))
        print(f"  {name:22s} {min(scores):.3f} to {max(scores):.3f}", flush=True)


FUNCTIONS = [perovskites, prototypes, disorder, alloys, halides, embedding]
