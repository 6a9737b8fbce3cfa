"""What holds for every sampler and every estimator that uses one."""

import importlib

import pytest
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from tables import leading_five

import sklmat.augmentation
from sklmat.augmentation import (
    AugmentedClassifier,
    AugmentedRegressor,
    InfoGANAugmenter,
    MixupAugmenter,
    NoiseAugmenter,
    PerturbationSampler,
    StructureOverSampler,
    StructureUnderSampler,
)
from sklmat.augmentation._base_augmenter import BaseAugmenter
from sklmat.estimator_checks import sampler_checks

pytestmark = pytest.mark.usefixtures("few_trees")

#: Instances that fit two dozen rows in no time, for the checks.
SAMPLERS = [
    NoiseAugmenter(),
    NoiseAugmenter(scale=0.5, code_features=leading_five),
    MixupAugmenter(),
    MixupAugmenter(alpha=0.4, label_bandwidth=0.5),
    InfoGANAugmenter(n_samples=1.0, max_epochs=5, n_ensemble=1, hidden_dim=8),
    PerturbationSampler(strain=0.01),
    StructureOverSampler(),
    StructureOverSampler(budget=0.05, strain=0.01),
    StructureUnderSampler(),
]
AUGMENTED = [
    AugmentedRegressor(Ridge(), MixupAugmenter(), sample_weight=0.5),
    AugmentedRegressor(SGDRegressor(), NoiseAugmenter(), strategy="pretrain_finetune"),
    AugmentedClassifier(LogisticRegression(), NoiseAugmenter()),
]
#: Other samplers and settings of the same estimators.
OTHERS = [
    AugmentedRegressor(Ridge(), NoiseAugmenter()),
    AugmentedRegressor(Ridge()),
    AugmentedClassifier(LogisticRegression(), MixupAugmenter(), sample_weight=0.5),
    AugmentedClassifier(LogisticRegression()),
]


def test_one_default_of_the_number_of_rows():
    defaults = {type(s).__name__: type(s)().n_samples for s in SAMPLERS if "n_samples" in vars(s)}
    assert len(defaults) == 4
    # One row for each real one; 1 would be a single row.
    assert all(isinstance(default, float) and default == 1 for default in defaults.values())


def case_name(value):
    return value.__name__ if callable(value) else type(value).__name__


@pytest.mark.parametrize(
    ("sampler", "check"), [c for s in SAMPLERS for c in sampler_checks(s)], ids=case_name
)
def test_samplers(sampler, check):
    check(sampler)


def test_every_sampler_is_checked():
    names = {
        name for name in sklmat.augmentation.__all__ if name.endswith(("Augmenter", "Sampler"))
    }
    assert names == {type(sampler).__name__ for sampler in SAMPLERS}


@parametrize_with_checks([NoiseAugmenter(), MixupAugmenter(), *AUGMENTED])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(OTHERS)
def test_scikit_learn_checks_of_other_settings(estimator, check):
    check(estimator)


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'SmoteAugmenter'"):
        sklmat.augmentation.SmoteAugmenter  # noqa: B018
    assert "NoiseAugmenter" in dir(importlib.reload(sklmat.augmentation))


def test_names_for_other_modules_are_importable_and_not_public():
    assert sklmat.augmentation.BaseAugmenter is BaseAugmenter
    assert "BaseAugmenter" not in sklmat.augmentation.__all__
