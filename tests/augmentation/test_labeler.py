"""Labels of generated rows, and doubtful ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import CODE, QUICK

from sklmat.augmentation import InfoGANAugmenter
from sklmat.augmentation._labeler import label_rows
from sklmat.estimator_checks import make_toy_table

# -- labels


def numbers(X):
    """Independent of `WeightedBlocks`: the columns that the two processes read."""
    full, names = X.copy(), list(X.columns)
    for name in names:
        owner = f"x_{name.split('_')[0]}"
        if owner in names:
            full[name] = X[name] * X[owner]
    for name in CODE:
        full[name] = X[name] ** 0.5
    return full.to_numpy(), full.to_numpy()[:, :5]


def test_one_class_is_refused():
    X, _ = make_toy_table(20)
    with pytest.raises(ValueError, match=r"y holds the class 'a' only"):
        InfoGANAugmenter(**QUICK).fit(X, ["a"] * 20)


def test_default_labels_are_the_mean_of_two_processes():
    X, y = make_toy_table(40)
    labeler = InfoGANAugmenter(**QUICK).fit(X, y).labeler_
    new, _ = make_toy_table(15, random_state=3)
    told = []
    for rows, others in zip(numbers(X), numbers(new)):
        kernel = ConstantKernel(1.0) * RBF(5.0, (0.1, 1e3)) + WhiteKernel(0.01, (1e-5, 1.0))
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        scaler = StandardScaler().fit(rows)
        process.fit(scaler.transform(rows), y)
        told.append(process.predict(scaler.transform(others), return_std=True))
    (m1, s1), (m2, s2) = told
    mean, std = labeler.predict(new, return_std=True)
    assert_allclose(mean, (m1 + m2) / 2)
    # Without uncertainties the processes are read in single precision.
    assert_allclose(labeler.predict(new), mean, atol=1e-4 * y.std())
    # Law of total variance for two equally likely members.
    assert_allclose(std**2, (s1**2 + s2**2) / 2 + (m1 - m2) ** 2 / 4)


def test_default_labels_of_several_targets_are_those_of_each():
    X, y = make_toy_table(40)
    two = pd.DataFrame({"energy": y, "moment": np.cos(5 * y)})
    both = InfoGANAugmenter(**QUICK).fit(X, two).labeler_.predict(X, return_std=True)
    for k, name in enumerate(two):
        alone = InfoGANAugmenter(**QUICK).fit(X, two[name]).labeler_.predict(X, return_std=True)
        for part in range(2):
            assert_allclose(both[part][:, k], alone[part])


def test_generated_rows_have_the_labels_of_the_labeler():
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK, n_samples=10)
    X_all, y_all = augmenter.fit_resample(X, y)
    assert_allclose(y_all[30:], augmenter.labeler_.predict(X_all[30:]), atol=1e-4 * y.std())


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_any_regressor_labels(shape):
    X, y = make_toy_table(30)
    target = y.to_numpy().reshape(shape)
    forest = RandomForestRegressor(5, random_state=0)
    augmenter = InfoGANAugmenter(**QUICK, n_samples=10, labeler=forest)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X_all, y_all = augmenter.fit_resample(X, target)
    assert y_all.shape == (40, *target.shape[1:])
    expected = clone(forest).fit(X, y).predict(X_all[30:])
    assert_allclose(y_all[30:].ravel(), expected)
    assert augmenter.labeler_ is not forest


def test_classes_are_labelled_and_none_is_invented():
    X, y = make_toy_table(40, task="classification")
    for labeler in (None, RandomForestClassifier(10, random_state=0)):
        augmenter = InfoGANAugmenter(**QUICK, n_samples=30, labeler=labeler)
        X_all, y_all = augmenter.fit_resample(X, y)
        assert set(y_all[40:]) == {"bcc", "fcc"}
        # The lattice is a code column, so the label is known.
        truth = np.where(X_all["lattice_fcc"] == 1, "fcc", "bcc")
        assert np.mean(truth == y_all) > 0.9


def test_labelers_of_the_wrong_kind_are_refused():
    X, y = make_toy_table()
    _, classes = make_toy_table(task="classification")
    with pytest.raises(ValueError, match="numbers: labeler must be a regressor"):
        InfoGANAugmenter(**QUICK, labeler=LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="classes: labeler must be a classifier"):
        InfoGANAugmenter(**QUICK, labeler=LinearRegression()).fit(X, classes)


def test_without_targets_there_is_no_labeler():
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    assert augmenter.labeler_ is not None
    assert augmenter.fit(X).labeler_ is None
    assert augmenter.sample(3).shape == (3, 12)


# -- doubtful labels


@pytest.mark.parametrize(
    "labeler",
    [
        None,
        BayesianRidge(),
        make_pipeline(StandardScaler(), BayesianRidge()),
        RandomForestRegressor(10, random_state=0),
        BaggingRegressor(LinearRegression(), max_features=0.5, random_state=0),
    ],
)
def test_doubtful_rows_are_drawn_again(labeler):
    X, y = make_toy_table(30)
    free = InfoGANAugmenter(**QUICK, n_samples=60, labeler=labeler).fit(X, y)
    _, doubts = label_rows(free.labeler_, free.sample(400), True)
    limit = float(np.quantile(doubts, 0.3))
    strict = InfoGANAugmenter(**QUICK, n_samples=60, labeler=labeler, max_uncertainty=limit)
    X_all, _ = strict.fit_resample(X, y)
    _, left = label_rows(strict.labeler_, X_all[30:], True)
    assert len(left) == 60
    assert left.max() <= limit < doubts.max()


def test_forests_are_as_doubtful_as_their_trees_differ():
    X, y = make_toy_table(30)
    forest = RandomForestRegressor(10, random_state=0).fit(X, y)
    labels, doubts = label_rows(forest, X, True)
    told = np.array([tree.predict(X.to_numpy()) for tree in forest.estimators_])
    assert_allclose(labels, told.mean(axis=0))
    assert_allclose(doubts, told.std(axis=0))


def test_a_limit_for_each_target():
    X, y = make_toy_table(30)
    two = pd.DataFrame({"energy": y, "moment": np.cos(9 * y)})
    free = InfoGANAugmenter(**QUICK).fit(X, two)
    doubts = free.labeler_.predict(free.sample(300), return_std=True)[1]
    limit = [1e3, float(np.quantile(doubts[:, 1], 0.3))]
    strict = InfoGANAugmenter(**QUICK, n_samples=40, max_uncertainty=limit)
    X_all, _ = strict.fit_resample(X, two)
    left = strict.labeler_.predict(X_all[30:], return_std=True)[1]
    assert len(left) == 40
    assert left[:, 1].max() <= limit[1] < doubts[:, 1].max()


def test_doubtful_classes_are_drawn_again():
    X, y = make_toy_table(40, task="classification")
    settings = {**QUICK, "labeler": RandomForestClassifier(20, random_state=0), "n_samples": 30}
    free, strict = (InfoGANAugmenter(**settings, max_uncertainty=limit) for limit in (None, 0.1001))
    doubts = []
    for augmenter in (free, strict):
        X_all, _ = augmenter.fit_resample(X, y)
        doubts.append(1 - augmenter.labeler_.predict_proba(X_all[40:]).max(axis=1))
    assert doubts[1].max() <= 0.1001 < doubts[0].max()


@pytest.mark.parametrize("labeler", [LinearRegression(), GradientBoostingRegressor()])
def test_labelers_that_know_no_doubt_are_refused(labeler):
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(**QUICK, labeler=labeler, max_uncertainty=1.0)
    with pytest.raises(ValueError, match="gives no uncertainty of its labels"):
        augmenter.fit_resample(X, y)


def test_limits_that_no_row_keeps_are_named():
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(**QUICK, n_samples=5, max_uncertainty=1e-9)
    with pytest.raises(ValueError, match="max_uncertainty=1e-09"):
        augmenter.fit_resample(X, y)


def test_y_range_rejects_and_draws_again():
    X, y = make_toy_table(30)
    free = InfoGANAugmenter(**QUICK, n_samples=50).fit_resample(X, y)[1][30:]
    low, high = np.quantile(free, [0.4, 0.9])
    kept = InfoGANAugmenter(**QUICK, n_samples=50, y_range=(low, high)).fit_resample(X, y)[1][30:]
    assert len(kept) == 50
    assert kept.between(low, high).all()
    assert not free.between(low, high).all()
