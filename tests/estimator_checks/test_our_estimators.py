"""The checks are run over all estimators of sklmat."""

import pytest
from sklearn.linear_model import Ridge

import sklmat
from sklmat.estimator_checks import all_structure_estimators, parametrize_with_structure_checks
from sklmat.estimator_checks._crystal_checks import check_n_jobs

NETWORK = {"cutoff": 4.0, "hidden_dim": 8, "n_conv": 1, "max_epochs": 2, "batch_size": 4}
ELEMENTS = {"hidden_dim": 4, "n_filters": 4, "tower_dims": (4,), "max_epochs": 2, "cutoff": 4.0}


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
        "GraphEmbedding": [sklmat.GraphEmbedding(sklmat.CGCNNRegressor(**NETWORK, random_state=0))],
    }


def test_every_estimator_has_small_instances():
    table = small_instances()
    assert {name for name, _ in all_structure_estimators()} == set(table)
    for name, instances in table.items():
        assert all(type(instance).__name__ == name for instance in instances)


def on_purpose(estimator):
    """Checks that an estimator fails, and why."""
    if isinstance(estimator, sklmat.AdversarialFeatureBuilder):
        return {"check_transformer": "fit_transform judges the training rows out-of-fold"}
    return {}


OURS = [estimator for group in small_instances().values() for estimator in group]


def name(estimator):
    return type(estimator).__name__


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [e for e in OURS if hasattr(e, "n_jobs")], ids=name)
def test_processes_change_nothing(estimator):
    check_n_jobs(estimator)


@parametrize_with_structure_checks(OURS, expected_failed_checks=on_purpose)
def test_structure_estimators(estimator, check, few_trees):
    check(estimator)
