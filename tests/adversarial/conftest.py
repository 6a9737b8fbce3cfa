"""Crystals, and small networks fitted to them, that are attacked."""

import numpy as np
import pytest
from attacked import ECNET, TINY
from crystals import rattled_cells

from sklmat import CGCNNClassifier, CGCNNRegressor, ECNetClassifier


@pytest.fixture(scope="session")
def cells():
    return rattled_cells(40)[0]


@pytest.fixture(scope="session")
def a():
    return rattled_cells(40)[1]


@pytest.fixture(scope="session")
def labels(a):
    return np.where(a > 2.9, "loose", "dense")


@pytest.fixture(scope="session")
def classifier(cells, labels):
    return CGCNNClassifier(**TINY, max_epochs=25).fit(cells, labels)


@pytest.fixture(scope="session")
def regressor(cells, a):
    return CGCNNRegressor(**TINY, max_epochs=25).fit(cells, a)


@pytest.fixture(scope="session")
def ecnet(cells, labels):
    return ECNetClassifier(**ECNET, max_epochs=8).fit(cells, labels)
