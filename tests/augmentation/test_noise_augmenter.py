"""Noise on rows of a table."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tables import generated

from sklmat.augmentation import NoiseAugmenter
from sklmat.estimator_checks import make_toy_table


def test_noise_has_the_asked_size_and_keeps_what_a_row_is():
    X, y = make_toy_table(60)
    sampler = NoiseAugmenter(scale=0.2, n_samples=6000, random_state=0)
    X_new, y_new = generated(sampler, X, y)
    source = {label: row for row, label in enumerate(y)}
    rows = np.array([source[label] for label in y_new])
    assert (np.bincount(rows) == 100).all()
    real = X.to_numpy()[rows]
    difference = X_new.to_numpy() - real
    codes = [name.startswith(("x_", "lattice_")) for name in X.columns]
    assert_array_equal(difference[:, codes], 0)
    for name in ("Fe_0", "Pd_1", "volume per atom (Å³)"):
        column = X.columns.get_loc(name)
        present = np.ones(60, dtype=bool) if "volume" in name else X[name].to_numpy() != 0
        expected = 0.2 * X.loc[present, name].std(ddof=0)
        assert_allclose(sampler.noise_scale_[column], expected)
        assert_allclose(difference[present[rows], column].std(), expected, rtol=0.05)
        assert_allclose(difference[present[rows], column].mean(), 0, atol=0.05 * expected)
        assert_array_equal(difference[~present[rows], column], 0)


def test_noise_leaves_constants_and_flags_alone():
    X = np.array([[5.0, 0.0, 1.2], [5.0, 1.0, 3.4], [5.0, 1.0, 2.2]])
    X_new, _ = generated(NoiseAugmenter(random_state=0), X, [0.1, 0.2, 0.3])
    assert_array_equal(X_new[:, 0], 5.0)
    assert set(X_new[:, 1]) == {0.0, 1.0}
    assert not set(X_new[:, 2]) & set(X[:, 2])


def test_nothing_to_disturb():
    X = pd.DataFrame({"x_Fe": [1.0, 0.3], "x_Ni": [0.0, 0.7], "n": [2.0, 2.0]})
    with pytest.raises(ValueError, match="nothing to disturb"):
        NoiseAugmenter().fit(X)
