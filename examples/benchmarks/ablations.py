"""What was tried: the tables of the user guide that compare settings, one command each.

    python examples/benchmarks/ablations.py --list
    python examples/benchmarks/ablations.py NAME [NAME ...] [--models PATTERN ...] [--quick]

Most of them are on the 364 alloys of `fetch_hea` with corrected labels, and print the mean absolute
error ± its standard deviation over the folds and seeds, and the root mean squared error of all
rows. Everything is fitted inside the fold. ``--quick`` takes two folds of a few generated crystals
and networks that are hardly trained: it only shows that an ablation runs.
"""

import argparse
import tempfile
import warnings
from fnmatch import fnmatchcase
from functools import cached_property, partial

import ablations_crystals
import numpy as np
import pandas as pd
from eftgan_hea import composition_models, ridge_features
from hea_accuracy import UNITS, base_columns, gaussian_process, take, xgboost
from hea_accuracy import test_errors as errors_of_fold
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder

from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    CompositionGroupKFold,
    DeltaRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    EFTGANRegressor,
    ExtrapolationWarning,
    InfoGANAugmenter,
    PotentialFeaturizer,
    RobustGaussianProcessRegressor,
    StructureFeaturizer,
    StructureToGraph,
    infer_lattice,
)
from sklmat.datasets import fetch_hea, make_alloys


class Alloys:
    """The alloys with one label, and their columns and graphs."""

    def __init__(self, target, quick):
        if quick:
            data = make_alloys(16, lattice=["bcc", "fcc"], n_atoms=16, random_state=0)
            self.phase = data.frame["lattice"].to_numpy()
        else:
            data = fetch_hea(target, verbose=False)
            self.phase = data.frame["phase"].to_numpy()
        self.target = target
        self.structures = data.data
        self.y = np.asarray(data.target, dtype=float)

    @cached_property
    def graphs(self):
        return StructureToGraph().transform(self.structures)

    @cached_property
    def all_neighbors(self):
        return StructureToGraph(cutoff=6.0, max_neighbors=None).transform(self.structures)

    @cached_property
    def fractions(self):
        return CompositionFeaturizer(properties=()).fit_transform(self.structures).filter(like="x_")

    def with_one_hot(self, *labels):
        """Fractions, and a column for each value of each label."""
        columns = OneHotEncoder(sparse_output=False).fit_transform(np.transpose(labels))
        return np.hstack([self.fractions, columns])


FOLDS = {
    "shuffled": lambda n, seed: KFold(n, shuffle=True, random_state=seed),
    "by composition": lambda n, seed: CompositionGroupKFold(n, random_state=seed),
}


def splits(alloys, kind, seeds, args, n_used=5):
    """Training and test rows: `n_used` folds of each seed. "one fifth" exchanges the two."""
    found = []
    for seed in seeds[:1] if args.quick else seeds:
        folds = FOLDS["shuffled" if kind == "one fifth" else kind](2 if args.quick else 5, seed)
        for train, test in list(folds.split(alloys.structures))[:n_used]:
            found.append((test, train) if kind == "one fifth" else (train, test))
    return found


def compare(alloys, kind, seeds, models, args, n_used=5):
    """Print the errors of each model; a model is an input and an estimator."""
    rows = splits(alloys, kind, seeds, args, n_used)
    print(f"\n{alloys.target} ({UNITS[alloys.target]}), {kind}, seeds {' '.join(map(str, seeds))}")
    for name, (X, estimator) in models.items():
        if any(fnmatchcase(name, pattern) for pattern in args.models):
            model = shortened(estimator) if args.quick else estimator
            report(name, [errors_of_fold(clone(model), X, alloys.y, *pair) for pair in rows])


def report(name, errors):
    mae = [np.abs(fold).mean() for fold in errors]
    rmse = np.sqrt((np.concatenate(errors) ** 2).mean())
    print(f"  {name:64s} MAE {np.mean(mae):.4f} ± {np.std(mae):.4f}   RMSE {rmse:.4f}", flush=True)


def shortened(estimator):
    """The estimator with networks of two epochs, and ensembles of at most two."""
    values = estimator.get_params()
    short = {name: 2 for name in values if name.split("__")[-1] == "max_epochs"}
    for name, value in values.items():
        if name.split("__")[-1] == "n_ensemble":
            short[name] = min(value, 2)
    return clone(estimator).set_params(**short)


def ecnet(args):
    """Settings of ECNet on the alloys; shufflings 1 and 2, ensembles of four."""
    settings = {
        "default, ensemble of four": {},
        "without the spread of surroundings": {"radial_spread": False},
        "dropout 0.1": {"dropout": 0.1},
        "weight decay 0.01 in place of 0.3": {"weight_decay": 0.01},
        "squared error as loss": {"loss": "mse"},
        "physical element vectors": {"atom_init": "physical"},
        "grid of 0.1 Å in place of 0.25 Å": {"radial_step": 0.1},
        "two convolutions": {"n_conv": 2},
        "three convolutions": {"n_conv": 3},
        "without normalisation": {"normalize": False},
        "200 epochs": {"max_epochs": 200},
        "ensemble of eight": {"n_ensemble": 8},
        **{
            f"one network, seed {seed}": {"n_ensemble": 1, "random_state": seed}
            for seed in range(4)
        },
    }
    for target in UNITS:
        alloys = Alloys(target, args.quick)
        models = {
            name: (
                alloys.all_neighbors,
                ECNetRegressor(**{"n_ensemble": 4, "random_state": 0, **changed}),
            )
            for name, changed in settings.items()
        }
        compare(alloys, "shuffled", [1, 2], models, args)


def published(args):
    """ECNet as published, 500 epochs, on shuffling 0."""
    for target in UNITS:
        alloys = Alloys(target, args.quick)
        network = ECNetRegressor.from_preset("wang2022").set_params(random_state=0)
        compare(alloys, "shuffled", [0], {"as published": (alloys.all_neighbors, network)}, args)


def cgcnn(args):
    """Settings of CGCNN on the alloys; the first two folds of shuffling 0."""
    wide = {"hidden_dim": 64, "lr": 0.002, "max_epochs": 100, "atom_init": "onehot"}
    narrow = {**wide, "hidden_dim": 32, "max_epochs": 200}
    fast = {"hidden_dim": 32, "lr": 0.005, "max_epochs": 100}
    settings = {
        "width 64, 100 epochs, rate 0.002, one-hot elements": wide,
        "width 64, squared instead of absolute error": {**wide, "loss": "mse"},
        "width 32, 200 epochs, rate 0.002, one-hot elements": narrow,
        "width 32, 200 epochs, physical element vectors": {**narrow, "atom_init": "physical"},
        "width 16, 200 epochs": {**narrow, "hidden_dim": 16},
        "width 32, 200 epochs, weight decay 0.1": {**narrow, "weight_decay": 0.1},
        "width 32, 200 epochs, batches of 16": {**narrow, "batch_size": 16},
        "width 32, 200 epochs, rate 0.005": {**narrow, "lr": 0.005},
        "width 32, 100 epochs, rate 0.005, physical elements": fast,
        "mean of four such networks": {**fast, "n_ensemble": 4},
        "18 neighbours": {**fast, "max_neighbors": 18},
        "two convolutions": {**fast, "n_conv": 2},
        "batches of 16": {**fast, "batch_size": 16},
        "rate 0.01 (the default)": {},
    }
    alloys = Alloys("formation_energy", args.quick)
    # A graph network can leave out neighbours of a graph, but not add any.
    graphs = {n: StructureToGraph(max_neighbors=n).transform(alloys.structures) for n in (12, 18)}
    models = {
        name: (
            graphs[changed.get("max_neighbors", 12)],
            CGCNNRegressor(**{"optimizer": "adam", "random_state": 0, **changed}),
        )
        for name, changed in settings.items()
    }
    compare(alloys, "shuffled", [0], models, args, n_used=2)


def chgnet(args):
    """CHGNet's energy as a column or as a baseline of a robust Gaussian process."""
    with tempfile.TemporaryDirectory() as cache:

        def potential(columns, **settings):
            return PotentialFeaturizer("chgnet", columns=columns, cache=cache, **settings)

        def process(columns, groups=None, **settings):
            table = make_union(*base_columns(), potential(columns, **settings))
            table = table.set_output(transform="pandas")
            return make_pipeline(table, RobustGaussianProcessRegressor(groups))

        def difference(columns):
            return DeltaRegressor(process(columns), potential("energy"))

        models = {
            "its energy as a column": process(["energy", "moments"]),
            "its relative energy as a column": process(["relative energy", "moments"]),
            "on the difference to its energy": difference(["moments"]),
            "on the difference, relative energy as a column": difference(
                ["relative energy", "moments"]
            ),
        }
        alloys = Alloys("formation_energy", args.quick)
        models = {name: (alloys.structures, model) for name, model in models.items()}
        for kind in FOLDS:
            compare(alloys, kind, [1, 2, 3], models, args)
        alloys = Alloys("magnetic_moment", args.quick)
        pooled = {"pool": "mean", "n_components": 3 if args.quick else 10}
        groups = {"vectors": ["chgnet embedding*"], "base": ["*"]}
        models = {
            "vectors, product of two kernels": process("embedding", groups, **pooled),
            "vectors, one kernel": process("embedding", **pooled),
        }
        models = {name: (alloys.structures, model) for name, model in models.items()}
        compare(alloys, "shuffled", [1], models, args)


def extra(args):
    """A number beside the structure, or the difference to it, for ECNet and CGCNN."""
    alloys = Alloys("formation_energy", args.quick)
    with tempfile.TemporaryDirectory() as cache:
        energy = PotentialFeaturizer("chgnet", columns="energy", cache=cache)
        label = pd.DataFrame({"fcc": (alloys.phase == "fcc").astype(float)})
        with_label = {
            ECNetRegressor: alloys.all_neighbors.with_extra(label),
            CGCNNRegressor: alloys.graphs.with_extra(label),
        }
        models = {}
        for cls in (ECNetRegressor, CGCNNRegressor):
            network = partial(cls, random_state=0)
            kinds = {
                "structure only": network(),
                "with CHGNet's energy": network(extra=energy),
                "on the difference to CHGNet's energy": DeltaRegressor(network(), energy),
                "both": DeltaRegressor(network(extra=energy), energy),
            }
            for kind, model in kinds.items():
                models[f"{cls.__name__}, {kind}"] = alloys.structures, model
            models[f"{cls.__name__}, with the lattice of the label"] = (
                with_label[cls],
                network(extra=["fcc"]),
            )
        for seed in (0, 1):
            compare(alloys, "shuffled", [seed], models, args)
        for seed in (0, 1):
            compare(alloys, "one fifth", [seed], models, args)
        compare(alloys, "by composition", [0], models, args)


def columns(args):
    """Many columns beside the structure: composition and structure, for ECNet."""
    alloys = Alloys("formation_energy", args.quick)
    network = partial(ECNetRegressor, n_ensemble=4, random_state=0)
    models = {
        "structure only": network(),
        "columns of the composition": network(extra=CompositionFeaturizer(lattice=True)),
        "columns of the structure": network(extra=StructureFeaturizer()),
    }
    models = {name: (alloys.structures, model) for name, model in models.items()}
    compare(alloys, "shuffled", [0], models, args)


def robust(args):
    """Gaussian processes on fractions, lattice and volume: normal or Student-t noise."""
    columns = make_union(*base_columns()).set_output(transform="pandas")
    models = {
        "normal noise": RobustGaussianProcessRegressor(degrees_of_freedom=np.inf),
        "Student-t noise": RobustGaussianProcessRegressor(),
    }
    for target in UNITS:
        alloys = Alloys(target, args.quick)
        pairs = {
            name: (alloys.structures, make_pipeline(columns, model))
            for name, model in models.items()
        }
        for kind in FOLDS:
            compare(alloys, kind, [0], pairs, args)
    within_deviations(Alloys("formation_energy", args.quick), args)


def within_deviations(alloys, args):
    """Fraction of the errors of the robust process within one and two standard deviations."""
    ratios = []
    for train, test in splits(alloys, "shuffled", [0], args):
        table = make_union(*base_columns())
        seen, new = (take(alloys.structures, rows) for rows in (train, test))
        model = RobustGaussianProcessRegressor().fit(table.fit_transform(seen), alloys.y[train])
        mean, deviation = model.predict(table.transform(new), return_std=True, include_noise=True)
        ratios.append(np.abs(mean - alloys.y[test]) / deviation)
    ratios = np.concatenate(ratios)
    print(f"  within one deviation {(ratios < 1).mean():.2f}, two {(ratios < 2).mean():.2f}")


def lattice(args):
    """XGBoost on fractions with the lattice of the label, or that of the relaxed cell."""
    alloys = Alloys("formation_energy", args.quick)
    models = {
        "mean of the training rows": (alloys.with_one_hot(alloys.phase), DummyRegressor()),
        "label": (alloys.with_one_hot(alloys.phase), xgboost()),
        "lattice after relaxation": (
            alloys.with_one_hot(infer_lattice(alloys.structures)),
            xgboost(),
        ),
    }
    compare(alloys, "shuffled", [0], models, args)


def relaxation(args):
    """What knowing the lattice after relaxation is worth without structures."""
    for target in UNITS:
        alloys = Alloys(target, args.quick)
        by_phase = alloys.with_one_hot(alloys.phase)
        by_lattice = alloys.with_one_hot(infer_lattice(alloys.structures))
        simple = composition_models()
        process, ridge = gaussian_process(by_phase.shape[1]), simple["cubic ridge"]
        models = {
            "Gaussian process, fractions + phase": (by_phase, process),
            "mean of this process and cubic ridge": (
                by_phase,
                VotingRegressor([("process", process), ("ridge", ridge)]),
            ),
            "Gaussian process that is given the lattice after relaxation": (
                by_lattice,
                gaussian_process(by_lattice.shape[1]),
            ),
        }
        compare(alloys, "shuffled", [1, 2], models, args)
        if any(fnmatchcase("EFTGANRegressor", pattern) for pattern in args.models):
            rows = splits(alloys, "shuffled", [1, 2], args)
            report("EFTGANRegressor", [chain_errors(alloys, *pair, args) for pair in rows])


def chain_errors(alloys, train, test, args):
    """Errors of `EFTGANRegressor`, which predicts from compositions and phases."""
    model = EFTGANRegressor(random_state=0)
    if args.quick:
        gan = InfoGANAugmenter(n_samples=0, max_epochs=2, n_ensemble=1)
        model.set_params(estimator=ECNetRegressor(max_epochs=2, n_ensemble=1), augmenter=gan)
    graphs = alloys.all_neighbors
    model.fit(graphs[train], alloys.y[train], phase=alloys.phase[train])
    compositions = [alloys.structures[row].composition for row in test]
    return model.predict(compositions, phase=alloys.phase[test]) - alloys.y[test]


def generator(args):
    """Variance of the vectors of held-out compositions that generators explain; shuffling 1."""
    alloys = Alloys("formation_energy", args.quick)
    gans = {
        "five GANs, 500 epochs": {},
        "one GAN": {"n_ensemble": 1},
        "1,000 epochs": {"max_epochs": 1000},
        "half the learning rate": {"lr": 0.001},
        "weight of the information 0.3": {"info_weight": 0.3},
        "weight of the information 0": {"info_weight": 0.0},
        "without reconstruction": {"reconstruction_weight": 0.0},
        "without the penalty on the gradient": {"penalty_weight": 0.0},
        "twice the width": {"hidden_dim": 128},
        "2 noise components": {"latent_dim": 2},
        "8 noise components": {"latent_dim": 8},
    }
    print("\nR2 of generated features, 20 / 40 / 100 % of the training rows")
    found = {}
    for share in (1.0,) if args.quick else (0.2, 0.4, 1.0):
        for fold, (train, test) in enumerate(splits(alloys, "shuffled", [1], args)):
            order = np.random.default_rng([1, fold]).permutation(train)
            rows = order[: round(share * len(order))]
            featurizer = ECNetFeaturizer(random_state=1)
            featurizer = shortened(featurizer) if args.quick else featurizer
            table = featurizer.fit_transform(alloys.all_neighbors[rows], alloys.y[rows])
            new = featurizer.transform(alloys.all_neighbors[test])
            codes = [name for name in table if name.startswith(("x_", "lattice_"))]
            made = {"quadratic ridge regression": ridge_features(table, new, codes)}
            made["Gaussian process"] = process_features(table, new, codes)
            for name, changed in gans.items():
                gan = InfoGANAugmenter(random_state=1, **changed)
                gan = shortened(gan) if args.quick else gan
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    made[name] = gan.fit(table).sample(new[codes], noise=False)
            for name, generated in made.items():
                found.setdefault(name, {}).setdefault(share, []).append(
                    explained(new.drop(columns=codes), generated.drop(columns=codes))
                )
    for name, values in found.items():
        line = " / ".join(f"{np.mean(of_share):.2f}" for of_share in values.values())
        print(f"  {name:40s} {line}", flush=True)


def process_features(table, rows, codes):
    """Rows with the codes of `rows` and features from a Gaussian process for each column."""
    made = rows.copy()
    for column in [name for name in table if name not in codes]:
        element = f"x_{column.split('_')[0]}"
        has, wanted = table[element] > 0, rows[element] > 0
        process = gaussian_process(len(codes))
        made[column] = 0.0
        if has.any() and wanted.any():
            process.fit(table.loc[has, codes], table.loc[has, column])
            made.loc[wanted, column] = process.predict(rows.loc[wanted, codes])
    return made


def explained(real, generated):
    """R2 of all columns together; columns of absent elements are zero in both."""
    residual = (real.to_numpy() - generated.to_numpy()) ** 2
    return 1 - residual.sum() / ((real - real.mean()) ** 2).to_numpy().sum()


ABLATIONS = {
    function.__name__.replace("_", "-"): function
    for function in [
        ecnet,
        published,
        cgcnn,
        chgnet,
        extra,
        columns,
        robust,
        lattice,
        relaxation,
        generator,
        *ablations_crystals.FUNCTIONS,
    ]
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="names and what they compare")
    parser.add_argument("--models", nargs="+", default=["*"], help="names or patterns of lines")
    parser.add_argument("--quick", action="store_true", help="only shows that it runs")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in ABLATIONS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such ablation; there are {', '.join(ABLATIONS)}")
    if args.list or not args.names:
        for name, function in ABLATIONS.items():
            print(f"{name:22s} {function.__doc__}")
    # Test rows may hold more of an element than the training rows, and length scales be at bounds.
    warnings.simplefilter("ignore", ExtrapolationWarning)
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in args.names:
        ABLATIONS[name](args)


if __name__ == "__main__":
    main()
