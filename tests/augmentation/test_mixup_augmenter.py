"""Mixtures of two rows of a table."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from tables import generated, random_table

from sklmat.augmentation import MixupAugmenter
from sklmat.estimator_checks import make_toy_table


def test_mixtures_lie_between_two_rows():
    X, y = random_table(40)
    X_new, y_new = generated(MixupAugmenter(n_samples=700, random_state=0), X, y)
    # y is linear in X, so mixing both with one weight keeps the relation.
    assert_allclose(y_new, X_new @ [1.0, 2.0, 3.0], atol=1e-12)
    assert ((X_new >= X.min(axis=0)) & (X_new <= X.max(axis=0))).all()
    apart = np.linalg.norm(X_new[:, None] - X, axis=2)
    between = np.linalg.norm(X[:, None] - X, axis=2)
    sums = apart[:, :, None] + apart[:, None, :] - between
    sums[:, np.arange(40), np.arange(40)] = np.inf
    assert_allclose(sums.min(axis=(1, 2)), 0, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.4, 3.0])
def test_weights_follow_the_beta_distribution(alpha):
    X, y = np.array([[2.0], [4.0]]), np.array([0.0, 1.0])
    sampler = MixupAugmenter(alpha=alpha, n_samples=20000, random_state=0)
    X_new, y_new = generated(sampler, X, y)
    weight = (X_new[:, 0] - 2.0) / 2.0
    assert_allclose(weight, y_new, atol=1e-12)
    assert_allclose(weight.mean(), 0.5, atol=0.01)
    assert_allclose(weight.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.03)


def test_partners_are_near_in_the_label():
    y = np.array([0.0, 1.0, 3.0])
    X = np.diag([1.0, 2.0, 4.0]) + 0.5  # which rows are mixed can be read off
    sampler = MixupAugmenter(label_bandwidth=0.8, n_samples=30000, random_state=0)
    X_new, _ = generated(sampler, X, y)
    mixed = X_new > 0.5 + 1e-9
    counts = [np.sum(mixed[:, a] & mixed[:, b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    odds = np.exp(-((np.array([1.0, 3.0, 2.0]) / y.std()) ** 2) / (2 * 0.8**2))
    # Each row is the first of a third of the pairs; its partner is one of two.
    share = [
        odds[0] / (odds[0] + odds[1]) + odds[0] / (odds[0] + odds[2]),
        odds[1] / (odds[0] + odds[1]) + odds[1] / (odds[1] + odds[2]),
        odds[2] / (odds[0] + odds[2]) + odds[2] / (odds[1] + odds[2]),
    ]
    assert_allclose(np.array(counts) / np.sum(counts), np.array(share) / 3, atol=0.01)


def test_a_narrow_bandwidth_takes_the_nearest():
    X, y = random_table(30)
    _, y_new = generated(MixupAugmenter(alpha=50.0, label_bandwidth=1e-6, random_state=0), X, y)
    gaps = np.sort(np.abs(y[:, None] - y), axis=1)[:, 1]
    nearest = np.sort(np.abs(y_new[:, None] - y), axis=1)[:, 0]
    assert (nearest <= gaps.max()).all()


def test_only_rows_of_one_phase_and_class_are_mixed():
    X, y = make_toy_table(30)
    two = (y > y.median()).to_numpy()
    X_new, y_new = generated(MixupAugmenter(n_samples=300, random_state=0), X, two)
    key = ["lattice_bcc", "lattice_fcc"]
    for phase in (0.0, 1.0):
        for label in (False, True):
            real = X[(X["lattice_fcc"] == phase) & (two == label)]
            new = X_new[(X_new["lattice_fcc"] == phase) & (y_new == label)]
            assert len(new)
            assert (new.max() <= real.max() + 1e-12).all()
            assert (new.min() >= real.min() - 1e-12).all()
    assert (X_new[key].sum(axis=1) == 1).all()


def test_flags_may_be_mixed_when_told_so():
    X = pd.DataFrame({"x_Fe": [1.0, 0.5], "x_Ni": [0.0, 0.5], "flag": [0.0, 1.0]})
    y = [0.1, 0.2]
    with pytest.raises(ValueError, match="no two rows to mix"):
        MixupAugmenter().fit_resample(X, y)
    X_new, _ = generated(MixupAugmenter(code_features=["x_Fe", "x_Ni"], random_state=0), X, y)
    assert ((X_new["flag"] > 0) & (X_new["flag"] < 1)).all()
