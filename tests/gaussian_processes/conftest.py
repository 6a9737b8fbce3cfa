"""Fixtures for crystals that are orderings of one parent."""

import numpy as np
import pytest
from pymatgen.core import Structure
from scipy.spatial.transform import Rotation


def _described_otherwise(structure, rng):
    """The same crystal: other vectors, origin, orientation, order of atoms, volume, mirrored."""
    matrix = np.array(
        [[1, 0, 0], [rng.integers(-1, 2), 1, 0], [rng.integers(-2, 3), rng.integers(-1, 2), 1]]
    )[rng.permutation(3)]
    rotation = Rotation.random(random_state=int(rng.integers(1000))).as_matrix()
    lattice = matrix @ structure.lattice.matrix @ rotation
    lattice *= rng.choice([-1, 1]) * rng.uniform(0.9, 1.1)
    fractional = structure.frac_coords @ np.linalg.inv(matrix) + rng.random(3)
    order = rng.permutation(len(structure))
    return Structure(lattice, [structure.species[i] for i in order], fractional[order])


@pytest.fixture(scope="session")
def described_otherwise():
    """A function of a structure and a random generator."""
    return _described_otherwise
