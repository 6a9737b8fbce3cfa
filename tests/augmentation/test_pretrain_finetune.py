"""Pre-training on generated rows, fine-tuning on real ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import Lasso, Ridge, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from tables import Fixed, random_table
from xgboost import XGBRegressor

from sklmat.augmentation import AugmentedClassifier, AugmentedRegressor, NoiseAugmenter
from sklmat.estimator_checks import make_toy_table


def two_steps(estimator, **params):
    """Pre-trained on labels that are 10 too large."""
    sampler = Fixed(shift=10.0)
    return AugmentedRegressor(estimator, sampler, strategy="pretrain_finetune", **params)


@pytest.mark.parametrize(
    "estimator",
    [
        XGBRegressor(n_estimators=30),
        GradientBoostingRegressor(random_state=0),
        HistGradientBoostingRegressor(max_iter=60),
        MLPRegressor(max_iter=2000, learning_rate_init=0.01, random_state=0),
        MLPRegressor(max_iter=2000, learning_rate_init=0.01, random_state=0, early_stopping=True),
        SGDRegressor(random_state=0),
        make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    ],
    ids=lambda e: type(e).__name__,
)
def test_real_rows_have_the_last_word(estimator):
    X, y = random_table()
    model = two_steps(estimator).fit(X, y)
    assert abs(np.mean(model.predict(X) - y)) < 0.3
    assert estimator.get_params(deep=False) == model.estimator.get_params(deep=False)


def test_xgboost_goes_on_from_its_first_trees():
    X, y = random_table()
    model = two_steps(XGBRegressor(n_estimators=10)).fit(X, y)
    first = XGBRegressor(n_estimators=10).fit(X, y + 10)
    assert model.estimator_.get_booster().num_boosted_rounds() == 20
    begun = model.estimator_.predict(X, iteration_range=(0, 10))
    assert_allclose(begun, first.predict(X), atol=1e-4)


def test_gradient_boosting_goes_on_from_its_first_trees():
    X, y = random_table()
    model = two_steps(GradientBoostingRegressor(n_estimators=10, random_state=0)).fit(X, y)
    first = GradientBoostingRegressor(n_estimators=10, random_state=0).fit(X, y + 10)
    assert model.estimator_.n_estimators_ == 20
    stages = list(model.estimator_.staged_predict(X))
    assert_allclose(stages[9], first.predict(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_perceptron_goes_on_from_its_first_weights(early_stopping):
    X, y = random_table(200)
    # A first fit that has converged must not stop the second in its first epoch.
    slow = MLPRegressor(
        learning_rate_init=0.005, max_iter=3000, random_state=0, early_stopping=early_stopping
    )
    model = two_steps(slow).fit(X, y)
    alone = clone(slow).fit(X, y + 10)
    assert alone.n_iter_ < 3000
    assert model.estimator_.loss_curve_[: alone.n_iter_] == alone.loss_curve_
    assert model.estimator_.n_iter_ > 20
    # What the first fit has learned is off by 10, so the second begins with a loss of 10² / 2; one
    # that starts anew begins with about half the variance of y.
    anew = clone(slow).fit(X, y).loss_curve_[0]
    assert_allclose(model.estimator_.loss_curve_[alone.n_iter_], 50, rtol=0.2)
    assert anew < 10


def test_batches_go_on_through_partial_fit():
    X, y = random_table()
    model = AugmentedClassifier(
        GaussianNB(), Fixed(n_samples=30), strategy="pretrain_finetune"
    ).fit(X, (y > 0).astype(float))
    expected = np.bincount((y > 0).astype(int)) + np.bincount((y[:30] > 0).astype(int))
    assert_array_equal(model.estimator_.class_count_, expected)


def test_transformers_are_fitted_on_the_real_rows():
    X, y = make_toy_table()
    sampler = NoiseAugmenter(scale=2.0, random_state=0)
    steps = [("scale", StandardScaler()), ("no", "passthrough"), ("pca", PCA(5))]
    pipeline = Pipeline([*steps, ("sgd", SGDRegressor())])
    model = AugmentedRegressor(pipeline, sampler, strategy="pretrain_finetune").fit(X, y)
    assert_allclose(model.estimator_["scale"].mean_, X.mean())
    assert model.predict(X).shape == (24,)
    assert model.feature_names_in_.tolist() == X.columns.tolist()


def test_without_generated_rows_there_is_one_step():
    X, y = random_table()
    sampler = NoiseAugmenter(n_samples=0)
    for estimator in (
        XGBRegressor(n_estimators=5),
        make_pipeline(StandardScaler(), MLPRegressor()),
    ):
        estimator.set_params(**{k: 0 for k in estimator.get_params() if k.endswith("random_state")})
        if "mlpregressor__max_iter" in estimator.get_params():
            estimator.set_params(mlpregressor__max_iter=400, mlpregressor__tol=0.1)
        model = AugmentedRegressor(estimator, sampler, strategy="pretrain_finetune").fit(X, y)
        assert_array_equal(model.predict(X), clone(estimator).fit(X, y).predict(X))


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        Lasso(warm_start=True),
        RandomForestRegressor(),
        SVR(),
        TransformedTargetRegressor(MLPRegressor()),
        make_pipeline(StandardScaler(), KNeighborsRegressor()),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_cannot_go_on_is_refused(estimator):
    with pytest.raises(TypeError, match=r"can continue a fit, and \w+ cannot"):
        two_steps(estimator).fit(*random_table())


def test_weights_and_two_steps_exclude_each_other():
    with pytest.raises(ValueError, match="never in one"):
        two_steps(SGDRegressor(), sample_weight=0.5).fit(*random_table())


def test_both_steps_need_each_class():
    X, _ = random_table()
    labels = np.where(np.arange(60) < 50, "a", "b")
    model = AugmentedClassifier(
        MLPClassifier(max_iter=5), Fixed(n_samples=10), strategy="pretrain_finetune"
    )
    with pytest.raises(ValueError, match="no generated row is of class"):
        model.fit(X, labels)
