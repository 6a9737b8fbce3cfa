"""Alloys, and a network fitted to them, to be explained."""

import numpy as np
import pytest
from crystals import random_alloys

from sklmat import CGCNNRegressor


@pytest.fixture(scope="module")
def alloys():
    X = random_alloys(24, n_cells=1)
    fraction = [s.composition.get_atomic_fraction for s in X]
    y = np.array([s.volume / 4 + 5 * f("Ni") - 3 * f("Pd") ** 2 for s, f in zip(X, fraction)])
    return X, y


@pytest.fixture(scope="module")
def model(alloys):
    return CGCNNRegressor(hidden_dim=16, max_epochs=40, random_state=0).fit(*alloys)
