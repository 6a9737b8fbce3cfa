"""Every estimator of crystals, set to fit eight crystals at once; used by several test files."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmat

NETWORK = {"cutoff": 4.0, "hidden_dim": 8, "n_conv": 1, "max_epochs": 2, "batch_size": 4}
ELEMENTS = {"hidden_dim": 4, "n_filters": 4, "tower_dims": (4,), "max_epochs": 2, "cutoff": 4.0}


def numbers_of_atoms(structures):
    """A baseline that needs no fit."""
    return np.array([len(structure) for structure in sklmat.check_structures(structures)])


class Volume(TransformerMixin, BaseEstimator):
    """Volume per atom over the mean of the training rows: a baseline that is fitted."""

    def fit(self, X, y=None):
        self.mean_ = self._volumes(X).mean()
        return self

    def transform(self, X):
        return self._volumes(X) / self.mean_

    def _volumes(self, X):
        return np.array([[s.volume / len(s)] for s in sklmat.check_structures(X)])


def distances(structure):
    """A potential: distances of the three nearest atoms (6 Å if there are none), and their mean."""
    centers, _, _, lengths = structure.get_neighbor_list(6.0)
    near = [
        sorted([6.0] * 3 + lengths[centers == atom].tolist())[:3] for atom in range(len(structure))
    ]
    return {"energy": np.mean(near), "embedding": near}


def small_instances():
    """Every estimator of sklmat, set to fit eight crystals at once."""
    return {
        "StructureToGraph": [sklmat.StructureToGraph(cutoff=4.0)],
        "CompositionFeaturizer": [sklmat.CompositionFeaturizer()],
        "StructureFeaturizer": [sklmat.StructureFeaturizer()],
        "CGCNNRegressor": [
            sklmat.CGCNNRegressor(**NETWORK),
            sklmat.CGCNNRegressor(**NETWORK, n_ensemble=2, early_stopping=True),
        ],
        "CGCNNClassifier": [sklmat.CGCNNClassifier(**NETWORK)],
        "ECNetRegressor": [
            sklmat.ECNetRegressor(**ELEMENTS),
            sklmat.ECNetRegressor(**ELEMENTS, n_ensemble=1, early_stopping=True),
        ],
        "ECNetClassifier": [sklmat.ECNetClassifier(**ELEMENTS)],
        "ECNetFeaturizer": [sklmat.ECNetFeaturizer(sklmat.ECNetRegressor(**ELEMENTS))],
        "EFTGANRegressor": [
            sklmat.EFTGANRegressor(
                sklmat.ECNetRegressor(**ELEMENTS),
                sklmat.InfoGANAugmenter(
                    n_samples=4, max_epochs=3, n_ensemble=2, hidden_dim=4, labeler=Ridge()
                ),
                n_components=2,
            )
        ],
        "DisorderFeaturizer": [sklmat.DisorderFeaturizer()],
        "AdversarialFeatureBuilder": [
            sklmat.AdversarialFeatureBuilder(
                sklmat.CGCNNClassifier(**NETWORK, random_state=0),
                attack=sklmat.StructureAttack(n_steps=1),
                include=("margin", "flip_budget"),
                cv=2,
            )
        ],
        "DeltaRegressor": [
            sklmat.DeltaRegressor(
                sklmat.ECNetRegressor(**ELEMENTS, random_state=0), numbers_of_atoms
            ),
            sklmat.DeltaRegressor(
                make_pipeline(sklmat.StructureFeaturizer(), Ridge()), Volume(), references=None
            ),
        ],
        "EarlyStoppingRegressor": [
            sklmat.EarlyStoppingRegressor(
                make_pipeline(
                    sklmat.CompositionFeaturizer(),
                    HistGradientBoostingRegressor(max_iter=9, min_samples_leaf=1, random_state=0),
                ),
                validation_fraction=0.3,
            )
        ],
        "EarlyStoppingClassifier": [
            sklmat.EarlyStoppingClassifier(
                make_pipeline(
                    sklmat.CompositionFeaturizer(),
                    HistGradientBoostingClassifier(max_iter=9, min_samples_leaf=1, random_state=0),
                ),
                validation_fraction=0.3,
            )
        ],
        "ConformalRegressor": [
            sklmat.ConformalRegressor(
                make_pipeline(sklmat.StructureFeaturizer(), Ridge()),
                confidence_level=0.5,
                method="split",
                random_state=0,
            )
        ],
        "ConformalClassifier": [
            sklmat.ConformalClassifier(
                make_pipeline(sklmat.StructureFeaturizer(), StandardScaler(), LogisticRegression()),
                confidence_level=0.5,
                method="split",
                random_state=0,
            )
        ],
        "CalibratedStdRegressor": [
            sklmat.CalibratedStdRegressor(
                make_pipeline(
                    sklmat.StructureFeaturizer(),
                    StandardScaler(),
                    GaussianProcessRegressor(alpha=0.1, normalize_y=True),
                ),
                cv=2,
                random_state=0,
            )
        ],
        "ApplicabilityDomain": [
            sklmat.ApplicabilityDomain(sklmat.StructureFeaturizer(), n_neighbors=2)
        ],
        "PotentialFeaturizer": [
            sklmat.PotentialFeaturizer(distances, columns="embedding"),
            sklmat.PotentialFeaturizer(
                distances, columns=["energy", "embedding"], per_element=True, n_components=2
            ),
        ],
        "GraphEmbedding": [sklmat.GraphEmbedding(sklmat.CGCNNRegressor(**NETWORK, random_state=0))],
    }
