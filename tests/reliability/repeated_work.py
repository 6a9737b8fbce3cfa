"""`WORK`: every kind of estimator, small, with its results as arrays of one row for each row of X.

Run as a script, it writes the results to a file, from another process.
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import joblib
import numpy as np
from crystals import random_halides
from phase_model import PhaseModel
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.linear_model import Ridge

import sklmat
from sklmat.estimator_checks import make_toy_crystals, make_toy_table

CRYSTALS, VOLUMES = make_toy_crystals(12)
CLASSES = make_toy_crystals(12, task="classification")[1]
TABLE, ENERGIES = make_toy_table(12)
HALIDES = random_halides(12)
# Differences are divided by the largest number, which shall be no mean volume.
VOLUMES = VOLUMES - VOLUMES.mean()

NET = {"cutoff": 4.0, "n_conv": 1, "max_epochs": 4, "batch_size": 4, "random_state": 0}
CGCNN = {**NET, "hidden_dim": 8, "dropout": 0.2}
ECNET = {**NET, "hidden_dim": 4, "n_filters": 4, "tower_dims": (4,), "n_ensemble": 2}
GAN = {"n_samples": 6, "max_epochs": 4, "n_ensemble": 2, "hidden_dim": 8, "labeler": Ridge()}


class Work(NamedTuple):
    """An estimator with its rows, and the function that uses it after the fit."""

    estimator: Any
    X: Any
    y: Any
    use: Callable

    def fit(self, **params):
        with quiet():
            return clone(self.estimator).fit(self.X, self.y, **params)

    def result(self, model, X=None):
        with quiet():
            return as_rows(self.use(model, self.X if X is None else X))


class quiet(warnings.catch_warnings):
    def __enter__(self):
        super().__enter__()
        warnings.simplefilter("ignore")


def edges(graph):
    """Positions and edges; edges of equal length in an order that rounding does not change."""
    table = np.column_stack(
        [graph.edge_target, graph.edge_source, graph.edge_image, graph.edge_distance]
    )
    table = table[np.lexsort(table[:, :-1].T)]
    return np.concatenate([graph.positions.ravel(), table.ravel()])


def as_rows(values):
    """A list of one array of float64 for each row."""
    if isinstance(values, sklmat.CrystalGraphs):
        values = [edges(graph) for graph in values]
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if len(values) and isinstance(values[0], Structure):
        values = [np.concatenate([s.cart_coords.ravel(), s.lattice.matrix.ravel()]) for s in values]
    return [np.asarray(row, dtype=float).ravel() for row in values]


def transform(model, X):
    return model.transform(X)


def predict(model, X):
    return model.predict(X)


def predict_with_spread(model, X):
    return np.column_stack(model.predict(X, return_std=True))


def sample(model, X):
    """Features for given codes."""
    return model.sample(X[["x_Fe", "x_Ni", "x_Pd", "lattice_bcc", "lattice_fcc"]], noise=False)


def resample(model, X):
    return np.column_stack(model.fit_resample(X, ENERGIES))


def resample_crystals(model, X):
    return model.fit_resample(X, np.where(np.arange(len(X)) % 3, "frequent", "rare"))[0]


def generate(model, X):
    # Without targets, the error of the unperturbed crystal is zero, and so is its gradient.
    return model.attack.generate(X, np.full(len(X), 10.0))


class Attack(sklmat.CGCNNRegressor):
    """A network that attacks itself."""

    @property
    def attack(self):
        return sklmat.StructureAttack(self, n_steps=3, random_state=0)


def find_examples(model, X):
    found = sklmat.find_adversarial_examples(
        model, X, CLASSES, budget=0.3, n_steps=3, random_state=0
    )
    curve = sklmat.robustness_curve(model, X, CLASSES, budgets=(0, 0.2), n_steps=3, random_state=0)
    return [*found.select_dtypes("number").to_numpy(), curve.select_dtypes("number").to_numpy()]


class Phases(PhaseModel, Ridge):
    """Knows its phases without a fit."""

    def fit(self, X, y):
        return self


GRID = sklmat.composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=20)


def screen(model, X):
    return sklmat.screen(model, GRID).select_dtypes("number")


of_crystals = partial(Work, X=CRYSTALS, y=VOLUMES)
of_table = partial(Work, X=TABLE, y=ENERGIES)
ATTACKED = {**NET, "hidden_dim": 8, "max_epochs": 10}

#: Row of the table on the page *Reproducibility* -> what is done for it.
WORK = {
    "`StructureToGraph`": of_crystals(sklmat.StructureToGraph(cutoff=4.0), use=transform),
    "`CompositionFeaturizer`": of_crystals(sklmat.CompositionFeaturizer(), use=transform),
    "`StructureFeaturizer`": of_crystals(sklmat.StructureFeaturizer(), use=transform),
    "`DisorderFeaturizer`": of_crystals(sklmat.DisorderFeaturizer(), use=transform),
    "CGCNN": of_crystals(sklmat.CGCNNRegressor(**CGCNN), use=predict),
    "ECNet": of_crystals(sklmat.ECNetRegressor(**{**ECNET, "n_ensemble": 1}), use=predict),
    "ensembles": of_crystals(
        sklmat.CGCNNRegressor(**CGCNN, n_ensemble=3), use=predict_with_spread
    ),
    "`GraphEmbedding`": of_crystals(
        sklmat.GraphEmbedding(sklmat.CGCNNRegressor(**CGCNN)), use=transform
    ),
    "`ECNetFeaturizer`": of_crystals(
        sklmat.ECNetFeaturizer(sklmat.ECNetRegressor(**ECNET)), use=transform
    ),
    "`InfoGANAugmenter`": of_table(
        sklmat.InfoGANAugmenter(**{**GAN, "labeler": None}, random_state=0), use=sample
    ),
    "`EFTGANRegressor`": of_crystals(
        sklmat.EFTGANRegressor(
            sklmat.ECNetRegressor(**ECNET),
            sklmat.InfoGANAugmenter(**GAN),
            Ridge(),
            n_components=2,
            random_state=0,
        ),
        use=predict,
    ),
    "`NoiseAugmenter`": of_table(sklmat.NoiseAugmenter(random_state=0), use=resample),
    "`MixupAugmenter`": of_table(sklmat.MixupAugmenter(random_state=0), use=resample),
    "InfoGAN, `fit_resample`": of_table(
        sklmat.InfoGANAugmenter(**GAN, random_state=0), use=resample
    ),
    "`PerturbationSampler`": Work(
        sklmat.PerturbationSampler(strain=0.01, random_state=0),
        CRYSTALS, CLASSES, resample_crystals,
    ),
    "`StructureOverSampler`": Work(
        sklmat.StructureOverSampler(budget=0.05, random_state=0),
        CRYSTALS, CLASSES, resample_crystals,
    ),
    "`RobustGaussianProcessRegressor`": of_table(
        sklmat.RobustGaussianProcessRegressor(random_state=0), use=predict_with_spread
    ),
    "`OrderingRegressor`": Work(
        sklmat.OrderingRegressor(random_state=0),
        HALIDES, np.linspace(0, 1, 12), predict_with_spread,
    ),
    "`StructureAttack`": of_crystals(Attack(**ATTACKED), use=generate),
    "adversarial examples": Work(
        sklmat.CGCNNClassifier(**ATTACKED), CRYSTALS, CLASSES, find_examples
    ),
    "`AdversarialFeatureBuilder`": Work(
        sklmat.AdversarialFeatureBuilder(
            sklmat.CGCNNClassifier(**{**ATTACKED, "max_epochs": 4}),
            attack=sklmat.StructureAttack(n_steps=1),
            include=("margin",),
            cv=2,
            random_state=0,
        ),
        CRYSTALS, CLASSES, transform,
    ),
    "`screen`": Work(Phases(), None, None, screen),
}  # fmt: skip


def rounded(X):
    """The same rows in single precision."""
    if hasattr(X, "columns"):
        return X.astype(np.float32)
    return [
        Structure(
            Lattice(crystal.lattice.matrix.astype(np.float32)),
            crystal.species,
            crystal.cart_coords.astype(np.float32),
            coords_are_cartesian=True,
        )
        for crystal in X
    ]


def largest_difference(rows, expected):
    """Largest difference, relative to the largest number of its column (or of all ragged rows).

    Columns of numbers below 1e-6 hold rounding errors of zeros.
    """
    assert [len(row) for row in rows] == [len(row) for row in expected]
    if len({len(row) for row in expected}) > 1:
        rows, expected = [np.concatenate(rows)[:, None]], [np.concatenate(expected)[:, None]]
        rows, expected = rows[0], expected[0]
    rows, expected = np.array(rows), np.array(expected)
    np.testing.assert_array_equal(np.isnan(rows), np.isnan(expected))
    difference = np.nan_to_num(np.abs(rows - expected)).max(axis=0)
    return (difference / np.maximum(np.nan_to_num(np.abs(expected)).max(axis=0), 1e-6)).max()


if __name__ == "__main__":
    joblib.dump({name: work.result(work.fit()) for name, work in WORK.items()}, sys.argv[1])
