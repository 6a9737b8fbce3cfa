"""Crystals, graphs of all their neighbours, and targets for small ECNets."""

import numpy as np
import pytest
from crystals import nickel_fraction, random_alloys
from tiny_ecnet import CUTOFF, TINY

from sklmat import ECNetRegressor, StructureToGraph


@pytest.fixture(scope="module")
def structures():
    return random_alloys(16, n_cells=1)


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph(cutoff=CUTOFF, max_neighbors=None).fit_transform(structures)


@pytest.fixture(scope="module")
def y(structures):
    return 100 + 7 * nickel_fraction(structures) + np.linspace(0, 1, 16)


@pytest.fixture(scope="module")
def both(y):
    return np.column_stack([y, np.random.default_rng(0).normal(size=16)])


@pytest.fixture(scope="module")
def labels(y):
    return np.where(y > np.median(y), "rich", "poor")


@pytest.fixture(scope="module")
def source(graphs, both):
    """A network that another one may start from."""
    return ECNetRegressor(**{**TINY, "max_epochs": 10}).fit(graphs, both)
