"""The checks are run over all estimators of sklmat."""

import warnings

import pytest
from small_instances import small_instances

import sklmat
from sklmat.estimator_checks import all_structure_estimators, parametrize_with_structure_checks
from sklmat.estimator_checks._crystal_checks import check_n_jobs
from sklmat.estimator_checks._fit_and_compare import fitted, output
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError


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
