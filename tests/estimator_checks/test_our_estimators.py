"""The checks are run over all estimators of sklmat."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmat
from sklmat.estimator_checks import all_structure_estimators, parametrize_with_structure_checks
from sklmat.estimator_checks._crystal_checks import check_n_jobs
from sklmat.estimator_checks._fit_and_compare import fitted, output
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError

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


def test_every_estimator_has_small_instances():
    table = small_instances()
    assert {name for name, _ in all_structure_estimators()} == set(table) == set(POLICIES)
    for name, instances in table.items():
        assert all(type(instance).__name__ == name for instance in instances)


#: What an estimator does with a crystal that holds an element which no training row has.
POLICIES = {
    "StructureToGraph": "takes it",  # learns nothing from the elements
    "CompositionFeaturizer": "refuses",  # columns of the few elements of the toy crystals
    "StructureFeaturizer": "refuses",
    "DisorderFeaturizer": "refuses",
    "CGCNNRegressor": "warns once",  # physical vectors by default
    "CGCNNClassifier": "warns once",
    "GraphEmbedding": "warns once",
    "DeltaRegressor": "refuses",  # each element has a reference
    "EarlyStoppingRegressor": "refuses",
    "EarlyStoppingClassifier": "refuses",
    "ConformalRegressor": "refuses",
    "ConformalClassifier": "refuses",
    "CalibratedStdRegressor": "refuses",
    "ApplicabilityDomain": "refuses",
    "AdversarialFeatureBuilder": "warns once",
    "ECNetRegressor": "refuses",  # learned vectors by default
    "ECNetClassifier": "refuses",
    "ECNetFeaturizer": "refuses",
    "PotentialFeaturizer": "takes it",  # no columns of elements by default
    "EFTGANRegressor": "refuses",
}


@pytest.mark.parametrize(
    "estimator", [group[0] for group in small_instances().values()], ids=lambda e: type(e).__name__
)
def test_elements_that_no_training_row_has(estimator, few_trees):
    model, X, _ = fitted(estimator)
    gold = X[1].copy()
    gold.replace(0, "Au")
    policy = POLICIES[type(estimator).__name__]
    if policy == "refuses":
        with pytest.raises(InvalidStructureError, match="element Au") as refused:
            output(model, [X[0], gold])
        assert refused.value.index == 1
        return
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        output(model, [X[0], gold])
    warned = [str(each.message) for each in found if each.category is ExtrapolationWarning]
    assert len(warned) == (policy == "warns once")
    assert all("Au (row 1)" in message for message in warned)


def on_purpose(estimator):
    """Checks that an estimator fails, and why."""
    if isinstance(estimator, sklmat.AdversarialFeatureBuilder):
        return {"check_transformer": "fit_transform judges the training rows out-of-fold"}
    if isinstance(estimator, sklmat.DeltaRegressor):
        return {
            "check_target_units": "the baseline has the unit of the target",
            "check_regressor_targets": "two targets need two columns of the baseline",
        }
    return {}


OURS = [estimator for group in small_instances().values() for estimator in group]
#: Chains of the other estimators, which take much of the time, and other settings of the same.
CHAINS = (
    sklmat.AdversarialFeatureBuilder,
    sklmat.EFTGANRegressor,
    sklmat.EarlyStoppingClassifier,
)
FIRST = [group[0] for group in small_instances().values() if not isinstance(group[0], CHAINS)]
OTHERS = [
    estimator
    for group in small_instances().values()
    for estimator in (group if isinstance(group[0], CHAINS) else group[1:])
]


def name(estimator):
    return type(estimator).__name__


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [e for e in OURS if hasattr(e, "n_jobs")], ids=name)
def test_processes_change_nothing(estimator):
    check_n_jobs(estimator)


@parametrize_with_structure_checks(FIRST, expected_failed_checks=on_purpose)
def test_structure_estimators(estimator, check, few_trees):
    check(estimator)


@pytest.mark.slow
@parametrize_with_structure_checks(OTHERS, expected_failed_checks=on_purpose)
def test_chains_and_other_settings(estimator, check, few_trees):
    check(estimator)
