"""A fit that fails, at any point, leaves an estimator as it was before."""

import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from crystals import fcc_cu
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import get_tags
from small_instances import small_instances
from test_public_api import PUBLIC, look_up

import sklmat
from sklmat.estimator_checks import make_toy_crystals, make_toy_table

SOURCE = str(Path(sklmat.__file__).parent)
#: Fractions of the calls in a fit, many of them late, when attributes are set.
MOMENTS = [0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0]
TINY_GAN = {"n_samples": 4, "max_epochs": 2, "n_ensemble": 1, "hidden_dim": 4, "labeler": Ridge()}


class Injected(Exception):
    """No code of the library expects it."""


def of_tables():
    """Estimators that take tables, and samplers."""
    return [
        sklmat.InfoGANAugmenter(**TINY_GAN),
        sklmat.InfoGANAugmenter(**TINY_GAN, n_iterations=2),
        sklmat.MixupAugmenter(),
        sklmat.NoiseAugmenter(),
        sklmat.PerturbationSampler(),
        sklmat.StructureOverSampler(budget=0.02),
        sklmat.StructureUnderSampler(),
        sklmat.AugmentedRegressor(Ridge(), sklmat.NoiseAugmenter()),
        sklmat.AugmentedClassifier(LogisticRegression(), sklmat.NoiseAugmenter()),
        sklmat.RobustGaussianProcessRegressor(max_iter=5),
        sklmat.OrderingRegressor(),
        sklmat.OrderingClassifier(),
    ]


def estimators():
    ours = [each[0] for each in small_instances().values()] + of_tables()
    for estimator in ours:
        if "random_state" in estimator.get_params(deep=False):
            estimator.set_params(random_state=0)
    return ours


def data_of(estimator):
    """Rows and targets of the kind that an estimator takes."""
    tags = get_tags(estimator)
    if isinstance(estimator, sklmat.OrderingRegressor | sklmat.OrderingClassifier):
        X = sklmat.enumerate_orderings(fcc_cu(), {"Cu": ["Cu", "Au"]})
        y = np.arange(len(X)) * 1.0
        return X, np.resize(["a", "b"], len(X)) if tags.classifier_tags else y
    if type(estimator).__name__ in small_instances():
        return make_toy_crystals(task="classification" if tags.classifier_tags else "regression")
    if tags.input_tags.two_d_array:
        X, y = make_toy_table()
        return X, np.resize(["a", "b"], len(X)) if tags.classifier_tags else y
    if isinstance(estimator, sklmat.StructureOverSampler | sklmat.StructureUnderSampler):
        return make_toy_crystals()[0], np.array(["a"] * 5 + ["b"] * 3)
    return make_toy_crystals()


def own_methods(estimator):
    """Methods that fit, but not scikit-learn's `fit_transform`, which is `fit` and `transform`."""
    names = ("fit", "fit_transform", "fit_resample", "partial_fit")
    found = [getattr(type(estimator), name, None) for name in names]
    return [m.__name__ for m in found if m and m.__module__.startswith("sklmat.")]


def call(estimator, method, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(estimator, method)(X, y)


class Interruption:
    """Raises an error when the n-th function of sklmat is called; counts the calls."""

    def __init__(self, error=None, at=None):
        self.error, self.at = error, at
        self.n_calls = 0

    def __call__(self, frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            self.n_calls += 1
            # A later fit has fewer calls where something is cached.
            if self.n_calls == self.at:
                raise self.error

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)


def state(estimator):
    """Attributes by identity and by content."""
    attributes = vars(estimator)
    return {name: id(value) for name, value in attributes.items()}, joblib.hash(attributes)


def assert_a_failure_changes_nothing(estimator, method, error, moments, models):
    """Moments are fractions of the calls of a whole fit."""
    X, y = data_of(estimator)
    with Interruption() as counted:
        call(clone(estimator), method, X, y)
    for moment in moments:
        for model in models:
            before = state(model)
            injected = Interruption(error, 2 + int(moment * (counted.n_calls - 2)))
            try:
                with injected:
                    call(model, method, X, y)
            except BaseException:
                assert state(model) == before, moment
            assert torch.is_grad_enabled()


def test_every_estimator_is_here():
    ours = {type(estimator).__name__ for estimator in estimators()}
    public = {thing.__name__ for thing in map(look_up, PUBLIC) if hasattr(thing, "fit")}
    assert public - ours == set()


def name(estimator):
    return type(estimator).__name__


QUICK = [*of_tables(), sklmat.CompositionFeaturizer()]


@pytest.mark.parametrize("estimator", QUICK, ids=name)
def test_failed_fits_leave_estimators_unfitted(estimator):
    for method in own_methods(estimator):
        assert_a_failure_changes_nothing(
            estimator, method, Injected("injected"), [0.5, 0.99], [clone(estimator)]
        )


@pytest.mark.slow
@pytest.mark.parametrize("error", [Injected("injected"), KeyboardInterrupt()], ids=name)
@pytest.mark.parametrize("estimator", estimators(), ids=name)
def test_failed_fits_change_nothing(estimator, error):
    X, y = data_of(estimator)
    for method in own_methods(estimator):
        models = [clone(estimator), clone(estimator)]
        call(models[1], "fit", X, y)
        assert_a_failure_changes_nothing(estimator, method, error, MOMENTS, models)
