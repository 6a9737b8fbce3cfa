"""The same work for every parallel backend, small enough to be repeated on each of them."""

import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from ase.build import bulk
from ase.calculators.emt import EMT
from crystals import displaced_alloy, nickel_fraction, random_alloys, random_halides, rattled_cells
from phase_model import PhaseModel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklmat
from sklmat.datasets import make_prototypes

NET = {"hidden_dim": 8, "n_conv": 1, "batch_size": 4, "random_state": 0}
CGCNN = {**NET, "max_epochs": 2, "dropout": 0.1}
ECNET = {**CGCNN, "n_filters": 8, "tower_dims": (8,), "n_ensemble": 2}


def build_graphs():
    structures = make_prototypes(20, random_state=0, cache=False).data
    # Fewer than 50,000 atoms would be done by one process.
    structures += [displaced_alloy(seed, displacement=0.05) for seed in range(500)]
    graphs = sklmat.StructureToGraph().fit_transform(structures)
    return graphs.positions, graphs.edge_distance, graphs.edge_source


def describe():
    alloys, halides = random_alloys(12, n_cells=1), random_halides(6)
    featurizers = [
        (sklmat.CompositionFeaturizer(), alloys),
        (sklmat.StructureFeaturizer(), alloys),
        (sklmat.DisorderFeaturizer(), halides),
        (sklmat.GraphEmbedding(sklmat.CGCNNRegressor(**CGCNN)), alloys),
        (sklmat.ECNetFeaturizer(estimator=sklmat.ECNetRegressor(**ECNET)), alloys),
        (sklmat.PotentialFeaturizer(EMT, columns="energy"), [bulk("Cu", cubic=True)] * 80),
    ]
    return [
        featurizer.fit(structures, np.linspace(0, 1, len(structures))).transform(structures)
        for featurizer, structures in featurizers
    ]


def read():
    alloys = random_alloys(2, n_cells=1)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(250):
            alloys[number % 2].to(filename=str(Path(folder) / f"{number:03d}.cif"))
        bunch = sklmat.load_structures(folder)
        graphs = sklmat.StructureToGraph().transform(sorted(Path(folder).glob("*.cif")))
    duplicates = sklmat.check_dataset(bunch).duplicates
    return bunch.ids, [s.cart_coords for s in bunch.data], graphs.edge_distance, duplicates


def search():
    X = random_alloys(12, n_cells=1)
    grid = GridSearchCV(
        sklmat.CGCNNRegressor(**CGCNN), {"lr": [0.01, 0.03]}, cv=2, scoring="r2"
    ).fit(X, nickel_fraction(X))
    return grid.cv_results_["mean_test_score"], grid.predict(X)


def compare():
    """Estimators of which some are parallel themselves."""
    X = random_alloys(12, n_cells=1)
    gan = sklmat.InfoGANAugmenter(max_epochs=3, random_state=0)
    estimators = {
        "cgcnn": sklmat.CGCNNRegressor(**CGCNN, n_ensemble=2, n_jobs=2),
        "ecnet": sklmat.ECNetRegressor(**ECNET),
        "ridge": make_pipeline(sklmat.StructureFeaturizer(n_jobs=2), Ridge()),
        "augmented": make_pipeline(
            sklmat.CompositionFeaturizer(),
            sklmat.AugmentedRegressor(Ridge(), gan, random_state=0),
        ),
    }
    table = sklmat.compare_estimators(estimators, X, nickel_fraction(X), cv=3, verbose=True)
    return table.predictions


def train_ensemble():
    X = random_alloys(12, n_cells=1)
    model = sklmat.CGCNNRegressor(**CGCNN, n_ensemble=3)
    return model.fit(X, nickel_fraction(X)).predict(X, return_std=True)


def attack():
    X, a = rattled_cells(16)
    y = np.where(a > 2.9, "loose", "dense")
    classifier = sklmat.CGCNNClassifier(**NET, max_epochs=30)
    model = classifier.fit(X, y)
    found = sklmat.find_adversarial_examples(model, X, y, budget=0.3, random_state=0)
    curve = sklmat.robustness_curve(model, X, y, budgets=(0, 0.1), n_steps=2, random_state=0)
    moved = sklmat.StructureAttack(model, random_state=0, n_steps=2).generate(X, y)
    moved += sklmat.perturb_structures(X, 0.02, random_state=0)
    builder = sklmat.AdversarialFeatureBuilder(
        classifier,
        attack=sklmat.StructureAttack(budget=0.25, n_steps=2),
        descriptors=sklmat.StructureFeaturizer(),
        include=("descriptors", "margin"),
        random_state=0,
        cv=4,
        verbose=True,
    )
    columns = builder.fit_transform(X, y)
    return found.drop(columns="structure"), curve, [s.cart_coords for s in moved], columns


def screen(model=None):
    grid = sklmat.composition_grid(["Fe", "Ni", "Cr"], 0.02, chunk_size=50)
    return sklmat.screen(model or PhaseModel(), grid, verbose=True)


WORK = [build_graphs, describe, read, search, compare, train_ensemble, attack, screen]


class KillsItsWorker(PhaseModel):
    """Predicts like `PhaseModel`, but the first process that has done ten tables kills itself."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.process = os.getpid()

    def predict(self, table, phase=None, return_std=False):
        if os.getpid() != self.process and table["x_Cr"].iloc[0] > 0.5:
            try:
                open(self.file, "x").close()
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(table, phase, return_std)


def assert_same(actual, expected):
    """Equal bit for bit."""
    assert type(actual) is type(expected)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(actual, expected, check_exact=True)
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(actual, expected, strict=True)
    else:
        assert actual == expected
