"""Random noise on positions and lattices."""

import numpy as np
import pytest
from attacked import displacements, lengths
from crystals import rattled_cells, rocksalt_nacl
from pymatgen.core import Lattice, Structure

from sklmat import StructureToGraph, perturb_structures


@pytest.fixture(scope="module")
def cells():
    return rattled_cells(40)[0]


def test_gaussian_noise_has_its_standard_deviation():
    cell = rocksalt_nacl() * (2, 2, 2)  # 64 atoms
    moved = perturb_structures([cell] * 40, 0.03, random_state=0)
    u = np.array(displacements(moved, [cell] * 40))
    # Without the drift of 64 atoms, a 64th of the variance is missing.
    assert u.std() == pytest.approx(0.03 * np.sqrt(63 / 64), rel=0.02)
    assert np.abs(u).max() > 0.08  # tails
    np.testing.assert_allclose(u.mean(axis=1), 0, atol=1e-12)
    # Directions are alike.
    assert u.reshape(-1, 3).std(axis=0) == pytest.approx(0.03, rel=0.05)


def test_uniform_noise_fills_a_ball():
    cell = rocksalt_nacl() * (2, 2, 2)
    moved = perturb_structures([cell] * 40, budget=0.1, distribution="uniform", random_state=0)
    r = lengths(moved, [cell] * 40)
    assert r.max() <= 0.1 + 1e-12
    # P(r < x) = (x / R)^3: median 0.794 R.
    assert np.median(r) == pytest.approx(0.1 * 0.5 ** (1 / 3), rel=0.02)


def test_noise_strains_by_the_norm_asked_for(cells):
    moved = perturb_structures(cells, 0.0, strain=0.02, random_state=0)
    for m, c in zip(moved, cells):
        strain = np.linalg.solve(c.lattice.matrix, m.lattice.matrix) - np.eye(3)
        assert np.linalg.norm(strain) == pytest.approx(0.02, rel=1e-6)
        np.testing.assert_allclose(m.frac_coords, c.frac_coords, atol=1e-12)


def test_noise_is_seeded_and_says_what_it_cannot_do(cells):
    a, b, c = (perturb_structures(cells[:3], 0.05, random_state=s) for s in (0, 0, 1))
    assert a == b
    assert a != c
    graphs = perturb_structures(StructureToGraph().transform(cells[:3]), 0.05, random_state=0)
    np.testing.assert_allclose(
        graphs.positions, np.concatenate([s.cart_coords for s in a]), atol=1e-12
    )
    assert perturb_structures([], 0.05) == []
    for wrong in ({"scale": -1}, {"scale": np.nan}, {"strain": 0.6}, {"distribution": "normal"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            perturb_structures(cells, **wrong)


def test_noise_keeps_atoms_apart():
    cell = Structure(Lattice.cubic(4.0), ["H", "H"], [[0, 0, 0], [0.2, 0, 0]])
    moved = perturb_structures([cell] * 50, 0.3, min_distance=0.7, random_state=0)
    closest = np.array([m.distance_matrix[0, 1] for m in moved])
    assert closest.min() >= 0.7 - 1e-5
    wild = perturb_structures([cell] * 50, 0.3, min_distance=0.0, random_state=0)
    assert min(m.distance_matrix[0, 1] for m in wild) < 0.7
