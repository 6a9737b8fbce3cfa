"""Alloys of three elements on two lattices, and models fitted to them."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from tiny_eftgan import ELEMENTS, NAMES, energy, tiny

from sklmat import StructureToGraph

FCC = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
BCC = [[0, 0, 0], [0.5, 0.5, 0.5]]


def cell(lattice, counts, rng):
    """A slightly rattled cell of sixteen atoms."""
    a, sites = (3.7, FCC) if lattice == "fcc" else (2.95, BCC)
    unit = Structure(Lattice.cubic(a), ["Ni"] * len(sites), sites)
    unit.make_supercell([1, 2, 2] if lattice == "fcc" else 2)
    symbols = rng.permutation(np.repeat(ELEMENTS, counts))
    shifted = unit.cart_coords + rng.normal(scale=0.01, size=(16, 3))
    return Structure(unit.lattice, symbols, shifted, coords_are_cartesian=True)


def relaxes(phase, x_pd):
    """Cells set up as bcc relax to fcc where they are rich in palladium."""
    return "fcc" if phase == "bcc" and x_pd > 0.4 else phase


@pytest.fixture(scope="module", autouse=True)
def _quick_reports(few_trees):
    """No test of this folder reads more of a report than that it is there."""


@pytest.fixture(scope="module")
def alloys():
    """Structures, fractions, phases and lattices of 48 alloys of Ni, Cu and Pd."""
    rng = np.random.default_rng(0)
    counts = 1 + rng.multinomial(13, rng.dirichlet([1, 1, 1], size=48))
    phase = np.resize(["bcc", "fcc"], 48)
    lattice = np.array([relaxes(p, c[2] / 16) for p, c in zip(phase, counts)])
    structures = [cell(*row, rng) for row in zip(lattice, counts)]
    return structures, counts / 16, phase, lattice


@pytest.fixture(scope="module")
def targets(alloys):
    _, x, _, lattice = alloys
    values = np.column_stack([energy(x, lattice), x @ [0.6, 0.0, 0.1]])
    return pd.DataFrame(values, columns=NAMES)


@pytest.fixture(scope="module")
def graphs(alloys):
    return StructureToGraph(cutoff=4.0, max_neighbors=None).transform(alloys[0])


@pytest.fixture(scope="module")
def model(graphs, alloys, targets):
    return tiny().fit(graphs, targets[NAMES[0]], phase=alloys[2])


@pytest.fixture(scope="module")
def both(graphs, alloys, targets):
    """Two targets, and the lattice found as phase."""
    return tiny().fit(graphs, targets)


@pytest.fixture(scope="module")
def grid():
    """Fractions of 15 compositions between those of the training."""
    steps = np.array([[i, j, 7 - i - j] for i in range(1, 6) for j in range(1, 7 - i)])
    return steps / 7
