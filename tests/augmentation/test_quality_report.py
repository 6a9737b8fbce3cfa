"""The report of generated rows tells good from bad."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tables import FEATURES, QUICK, SMALL, inner_alloys

from sklmat.augmentation import InfoGANAugmenter
from sklmat.augmentation._quality_report import quality_report
from sklmat.estimator_checks import make_toy_table

#: Enough for the limits of these tests.
N_TREES = 40

pytestmark = pytest.mark.usefixtures("few_trees")


def compare(fitted, real, generated, training):
    names = list(fitted.feature_names_in_)
    arrays = (np.asarray(rows, dtype=float) for rows in (real, generated, training))
    return quality_report(*arrays, fitted._gan.codec, names)


def test_report_of_real_rows_themselves(fitted):
    X, _ = inner_alloys()
    # Not a multiple of the folds, so that the two copies of a row would part if nothing kept them.
    X = X[:118]
    report = compare(fitted, X, X, X)
    assert set(report.column_distances) == set(FEATURES)
    assert max(report.column_distances.values()) == 0
    assert report.correlation_difference == 0
    assert report.neighbor_distance_ratio == 0
    assert abs(report.classifier_auc - 0.5) < 0.1
    assert report.code_recovery > 0.99


def test_report_of_other_real_rows(fitted):
    X, _ = inner_alloys()
    report = compare(fitted, X[:60], X[:60], X[60:])
    assert 0.7 < report.neighbor_distance_ratio < 1.4
    assert report.code_recovery > 0.9


def test_report_of_noise_and_of_shuffled_codes(fitted):
    X, _ = inner_alloys()
    rng = np.random.default_rng(0)
    noise = X.copy()
    noise[FEATURES] = rng.normal(size=(120, 9))
    report = compare(fitted, X, noise, X)
    assert report.classifier_auc > 0.95
    assert report.code_recovery < 0.2
    assert report.neighbor_distance_ratio > 3
    assert report.correlation_difference > 0.2
    shuffled = X.copy()
    shuffled[FEATURES] = X[FEATURES].to_numpy()[rng.permutation(120)]
    report = compare(fitted, X, shuffled, X)
    # Each row alone is real; only the code tells.
    assert max(report.column_distances.values()) < 1e-9
    assert report.code_recovery < 0.2


def test_report_by_hand():
    n = 20
    X = pd.DataFrame({"x_Fe": np.linspace(0.1, 0.9, n)})
    X["x_Ni"] = 1 - X["x_Fe"]
    X["a"], X["b"] = np.arange(n), 2.0 * np.arange(n)
    augmenter = InfoGANAugmenter(**{**QUICK, "n_ensemble": 1}).fit(X)
    sd = np.arange(n).std()
    moved = X.assign(a=X["a"] + 0.25, b=X["b"] + 0.5)
    report = compare(augmenter, X, moved, X)
    assert_allclose(list(report.column_distances.values()), 0.25 / sd)
    # Nearest in both columns: a quarter of a step, and the last row too.
    assert_allclose(report.neighbor_distance_ratio, 0.25)
    assert_allclose(report.correlation_difference, 0, atol=1e-12)
    turned = X.assign(b=X["b"].to_numpy()[::-1])
    assert_allclose(compare(augmenter, X, turned, X).correlation_difference, 2)
    assert_allclose(report.real["a"], (X["a"] - X["a"].mean()) / sd)
    assert_allclose(report.generated["b"] - report.real["b"], 0.25 / sd)


def test_report_of_the_augmenter(fitted):
    X, _ = inner_alloys(80, seed=0)
    report = fitted.quality_report(X)
    assert report.real.shape == report.generated.shape == (80, 9)
    assert np.mean(list(report.column_distances.values())) < 0.25
    assert report.code_recovery > 0.9
    lines = str(report).splitlines()
    assert len(lines) == 5
    assert f"{report.classifier_auc:.2f}" in lines[3]
    weak = InfoGANAugmenter(**{**SMALL, "max_epochs": 1}, random_state=0).fit(X)
    assert weak.quality_report(X).classifier_auc > report.classifier_auc + 0.05


def test_report_of_absent_elements_and_few_rows():
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    report = augmenter.quality_report(X[:5])
    assert np.isnan(report.classifier_auc)
    assert_array_equal(report.real["Ni_0"].isna(), X["x_Ni"][:5] == 0)
    without = X[X["x_Fe"] == 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "Fe_0" not in augmenter.quality_report(without).column_distances
    with pytest.raises(ValueError, match="row 1 has fractions that do not sum to one"):
        augmenter.quality_report(X.assign(x_Fe=X["x_Fe"] + 0.1 * (np.arange(30) == 1)))
