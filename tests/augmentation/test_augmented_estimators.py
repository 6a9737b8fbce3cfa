"""Estimators that augment their training rows."""

import warnings

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as SamplingPipeline
from imblearn.under_sampling import RandomUnderSampler
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import Fixed, random_table
from xgboost import XGBClassifier

from sklmat.augmentation import (
    AugmentedClassifier,
    AugmentedRegressor,
    MixupAugmenter,
    NoiseAugmenter,
)
from sklmat.estimator_checks import make_toy_table


def test_none_augments_nothing():
    X, y = random_table()
    model = AugmentedRegressor(Ridge()).fit(X, y)
    assert model.augmenter_ is None
    assert_array_equal(model.predict(X), Ridge().fit(X, y).predict(X))


def test_concat_is_fit_on_what_the_sampler_returns():
    X, y = random_table()
    sampler = NoiseAugmenter(scale=1.0, random_state=0)
    model = AugmentedRegressor(Ridge(), sampler).fit(X, y)
    by_hand = Ridge().fit(*clone(sampler).fit_resample(X, y))
    assert_array_equal(model.estimator_.coef_, by_hand.coef_)
    in_pipeline = SamplingPipeline([("noise", sampler), ("ridge", Ridge())]).fit(X, y)
    assert_array_equal(model.predict(X), in_pipeline.predict(X))
    assert model.score(X, y) == by_hand.score(X, y)


def test_weight_of_generated_rows():
    X, y = random_table()
    wrong = Fixed(shift=8.0)
    scaled = make_pipeline(StandardScaler(), Ridge(alpha=1e-9))
    for estimator in (Ridge(alpha=1e-9), scaled):
        for weight in (0.0, 0.5, 3.0):
            model = AugmentedRegressor(estimator, wrong, sample_weight=weight).fit(X, y)
            # Each row is there twice, with labels y and y + 8.
            expected = y + 8 * weight / (1 + weight)
            assert_allclose(model.predict(X), expected, atol=1e-6)


def test_weights_of_something_that_takes_none():
    with pytest.raises(TypeError, match="KNeighborsRegressor does not"):
        AugmentedRegressor(KNeighborsRegressor(), Fixed(), sample_weight=0.5).fit(*random_table())


def weighted(estimator, X, y, weight):
    """Fit by hand on real rows and their copies with labels y + 8, with the mean weight."""
    generated = np.full(len(y), weight.mean())
    return estimator.fit(
        np.vstack([X, X]), np.append(y, y + 8), sample_weight=np.append(weight, generated)
    )


@pytest.mark.parametrize("container", [np.asarray, list, pd.Series])
def test_weights_of_real_rows(container):
    X, y = random_table()
    weight = np.random.default_rng(0).random(len(y))
    model = AugmentedRegressor(Ridge(), Fixed(shift=8.0))
    model.fit(X, y, sample_weight=container(weight))
    assert_allclose(model.estimator_.coef_, weighted(Ridge(), X, y, weight).coef_)
    # Equal weights change nothing.
    plain = clone(model).fit(X, y).predict(X)
    assert_allclose(clone(model).fit(X, y, sample_weight=np.ones(len(y))).predict(X), plain)


def test_weights_of_real_and_of_generated_rows():
    X, y = random_table()
    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=1e-9))
    model = AugmentedRegressor(pipeline, Fixed(shift=8.0), sample_weight=3.0)
    model.fit(X, y, sample_weight=np.full(len(y), 0.5))
    # Weights of 0.5 and 1.5: the mean label is y + 8 * 1.5 / 2.
    assert_allclose(model.predict(X), y + 6, atol=1e-6)
    model.set_params(augmenter=None).fit(X, y + 1, sample_weight=np.full(len(y), 0.5))
    assert_allclose(model.predict(X), y + 1, atol=1e-6)


def test_rows_of_zero_weight_are_never_seen():
    X, y = random_table()
    weight = np.repeat([1.0, 0.0], [40, len(y) - 40])
    spoiled = np.where(weight, y, 1e6)
    for augmenter in (None, NoiseAugmenter(random_state=0)):
        model = AugmentedRegressor(Ridge(), augmenter)
        expected = clone(model).fit(X[:40], y[:40]).predict(X)
        assert_allclose(model.fit(X, spoiled, sample_weight=weight).predict(X), expected)
    X, labels = pd.DataFrame(X), pd.Series(np.where(y > 0, "a", "b"))
    model = AugmentedClassifier(LogisticRegression(), MixupAugmenter(random_state=0))
    expected = clone(model).fit(X[:40], labels[:40]).predict_proba(X)
    labels[40:] = "c"
    model.fit(X, labels, sample_weight=weight)
    assert_allclose(model.predict_proba(X), expected)


def test_weights_in_a_pipeline():
    X, y = random_table()
    weight = np.random.default_rng(0).random(len(y))
    model = make_pipeline(StandardScaler(), AugmentedRegressor(Ridge(), Fixed(shift=8.0)))
    model.fit(X, y, augmentedregressor__sample_weight=weight)
    by_hand = weighted(Ridge(), StandardScaler().fit_transform(X), y, weight)
    assert_allclose(model[-1].estimator_.coef_, by_hand.coef_)


def test_weights_by_metadata_routing():
    X, y = random_table()
    weight = np.random.default_rng(0).random(len(y))
    model = AugmentedRegressor(Ridge(), Fixed(shift=8.0), sample_weight=3.0)
    expected = clone(model).fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(model, {"sample_weight": [3.0]}, cv=3)
        search.fit(X, y, sample_weight=weight)
        assert_allclose(search.predict(X), expected.predict(X))
        scale = StandardScaler().set_fit_request(sample_weight=True)
        ridge = Ridge().set_fit_request(sample_weight=True)
        model.set_params(estimator=make_pipeline(scale, ridge)).fit(X, y, sample_weight=weight)
    all_rows, all_weights = np.vstack([X, X]), np.append(weight, np.full(len(y), 3 * weight.mean()))
    by_hand = clone(scale).fit(all_rows, sample_weight=all_weights)
    assert_allclose(model.estimator_[0].mean_, by_hand.mean_)


def test_bagging_draws_rows_as_for_estimators_without_weights():
    X, y = random_table()
    model = AugmentedRegressor(KNeighborsRegressor(), NoiseAugmenter(random_state=0))
    assert np.isfinite(BaggingRegressor(model, 3, random_state=0).fit(X, y).predict(X)).all()


def test_wrong_weights():
    X, y = random_table()
    model = AugmentedRegressor(Ridge(), Fixed())
    with pytest.raises(ValueError, match="sample_weight is negative in row 0"):
        model.fit(X, y, sample_weight=np.linspace(-1, 1, len(y)))
    with pytest.raises(ValueError, match="zero"):
        model.fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="zero in the rows of all classes but one"):
        AugmentedClassifier(LogisticRegression()).fit(X, y > 0, sample_weight=y > 0)
    with pytest.raises(ValueError, match=r"sample_weight\.shape == \(3,\)"):
        model.fit(X, y, sample_weight=[1, 2, 3])
    with pytest.raises(TypeError, match="KNeighborsRegressor does not"):
        AugmentedRegressor(KNeighborsRegressor()).fit(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="use strategy='concat'"):
        AugmentedRegressor(SGDRegressor(), Fixed(), strategy="pretrain_finetune").fit(
            X, y, sample_weight=np.ones(len(y))
        )
    with pytest.raises(TypeError, match=r"AugmentedRegressor\.fit takes no \['weights'\]"):
        model.fit(X, y, weights=np.ones(len(y)))


def test_integer_targets_are_numbers():
    X, _ = random_table()
    y = np.arange(60)
    for target in (y, y.tolist(), pd.Series(y)):
        model = AugmentedRegressor(Ridge(), Fixed(shift=0.5), sample_weight=1).fit(X, target)
        assert model.augmenter_.classes_ is None
        shifted = Ridge().fit(X, y + 0.25)
        assert_allclose(model.estimator_.intercept_, shifted.intercept_, atol=0.3)


def test_classes_of_any_type():
    X, y = random_table()
    for low, high in (("a", "b"), (1.0, 2.0), (False, True), (-3, 7)):
        target = np.where(y > 0, high, low)
        model = AugmentedClassifier(LogisticRegression(), MixupAugmenter(random_state=0))
        model.fit(X, target)
        assert model.classes_.tolist() == [low, high]
        assert set(model.predict(X).tolist()) == {low, high}
        assert model.predict_proba(X).shape == (60, 2)
        assert model.decision_function(X).shape == (60,)
        assert model.score(X, target) > 0.9


def test_methods_are_those_of_the_estimator():
    X, y = random_table()
    assert not hasattr(AugmentedClassifier(RidgeClassifier()), "predict_proba")
    assert hasattr(AugmentedClassifier(RidgeClassifier()), "decision_function")
    for Augmented in (AugmentedRegressor, AugmentedClassifier):
        assert not hasattr(Augmented(StandardScaler()), "score")
        assert hasattr(Augmented(RidgeClassifier()), "score")
    _, spread = AugmentedRegressor(GaussianProcessRegressor()).fit(X, y).predict(X, return_std=True)
    assert spread.shape == (60,)
    model = AugmentedRegressor(Ridge(), NoiseAugmenter())
    assert not hasattr(model, "n_features_in_")
    with pytest.raises(NotFittedError):
        model.predict(X)
    table, target = make_toy_table()
    model.fit(table, target)
    assert model.n_features_in_ == 12
    assert model.feature_names_in_.tolist() == table.columns.tolist()
    assert model.predict(table).shape == (24,)


def test_estimators_of_the_wrong_kind():
    X, y = random_table()
    with pytest.raises(TypeError, match="was given a classifier"):
        AugmentedRegressor(LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="was given a regressor"):
        AugmentedClassifier(Ridge()).fit(X, y > 0)


def test_early_stopping_on_relatives_is_warned_of():
    X, y = random_table(40)
    stops = make_pipeline(StandardScaler(), SGDRegressor(early_stopping=True, random_state=0))
    with pytest.warns(UserWarning, match="early_stopping=True of SGDRegressor"):
        AugmentedRegressor(stops, NoiseAugmenter()).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AugmentedRegressor(stops).fit(X, y)
        AugmentedRegressor(SGDRegressor(), NoiseAugmenter()).fit(X, y)


def test_one_seed_for_everything():
    X, y = random_table()
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(max_iter=5, tol=None))
    model = AugmentedRegressor(pipeline, NoiseAugmenter(), random_state=3)
    first, again = (clone(model).fit(X, y).predict(X) for _ in range(2))
    assert_array_equal(first, again)
    other = clone(model).set_params(random_state=4).fit(X, y)
    assert not np.array_equal(other.predict(X), first)
    assert other.estimator_[-1].random_state != other.augmenter_.random_state
    assert model.augmenter.random_state is None


def test_samplers_of_imbalanced_learn():
    X, y = random_table()
    rare = np.where(y > np.quantile(y, 0.8), "high", "low")
    logistic = LogisticRegression()
    for sampler in (RandomOverSampler(random_state=0), RandomUnderSampler(random_state=0)):
        model = AugmentedClassifier(logistic, sampler).fit(X, rare)
        by_hand = logistic.fit(*sampler.fit_resample(X, rare))
        assert_array_equal(model.predict_proba(X), by_hand.predict_proba(X))
    weighted = AugmentedClassifier(logistic, RandomOverSampler(random_state=0), sample_weight=0.0)
    alone = LogisticRegression().fit(X, rare)
    assert_allclose(weighted.fit(X, rare).predict_proba(X), alone.predict_proba(X), atol=1e-3)
    with pytest.raises(ValueError, match="cannot be told apart"):
        weighted.set_params(augmenter=RandomUnderSampler(random_state=0)).fit(X, rare)


def test_search_may_choose_no_augmentation():
    X, y = random_table()
    wrong = Fixed(shift=100.0)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", AugmentedRegressor(Ridge()))])
    search = GridSearchCV(pipeline, {"model__augmenter": [None, wrong]}, cv=3).fit(X, y)
    assert search.best_params_ == {"model__augmenter": None}
    assert search.best_estimator_["model"].augmenter_ is None


def test_search_over_two_strategies():
    X, y = random_table()
    model = AugmentedRegressor(SGDRegressor(random_state=0), Fixed(shift=10.0))
    search = GridSearchCV(model, {"strategy": ["concat", "pretrain_finetune"]}, cv=3).fit(X, y)
    assert search.best_params_ == {"strategy": "pretrain_finetune"}


@pytest.mark.parametrize("strategy", ["concat", "pretrain_finetune"])
@pytest.mark.parametrize("container", [np.asarray, list, pd.Series])
def test_xgboost_takes_classes_of_any_kind(container, strategy):
    X, y = random_table()
    positions = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    names = np.array(["semiconductor", "insulator", "metal"])  # not in alphabetical order
    boosting = XGBClassifier(n_estimators=3, random_state=0)
    noise = NoiseAugmenter(random_state=0)
    for estimator in (boosting, make_pipeline(StandardScaler(), boosting)):
        for augmenter in (None, noise):
            model = AugmentedClassifier(estimator, augmenter, strategy=strategy)
            expected = clone(model).fit(X, positions)
            model.fit(X, container(names[positions]))
            assert model.classes_.tolist() == ["insulator", "metal", "semiconductor"]
            probability = model.predict_proba(X)
            # The classes have another order, which changes the trees by rounding only.
            by_name = [model.classes_.tolist().index(name) for name in names]
            assert_allclose(probability[:, by_name], expected.predict_proba(X), atol=1e-5)
            assert_array_equal(model.predict(X), model.classes_[probability.argmax(axis=1)])
            assert model.score(X, names[positions]) == np.mean(model.predict(X) == names[positions])
    in_a_search = GridSearchCV(model, {"augmenter": [None, noise]}, cv=2, error_score="raise")
    assert set(in_a_search.fit(X, names[positions]).predict(X)) == set(names)
    assert in_a_search.best_score_ > 0.5
