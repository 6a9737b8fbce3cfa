"""The pair potential of mixed halides: energies, forces and relaxation."""

from itertools import product

import numpy as np
import pytest
from scipy.special import erfc

from sklmat.datasets import _mixed_halide_potential
from sklmat.datasets._make_mixed_halides import random_alloy
from sklmat.datasets._mixed_halide_arrangements import arrangements, supercell
from sklmat.datasets._mixed_halide_potential import PairPotential, vegard

ROCK_SALT = ((1, 1, 0), (1, 0, 1), (0, 1, 1))


def random_cells(matrix, n, seed=0, shake=0.05):
    """A supercell, its potential, and n random arrangements with shaken atoms."""
    cell, rng = supercell(matrix), np.random.default_rng(seed)
    iodine = rng.random((n, cell.n_sites)) < 0.5
    a = vegard(iodine.sum(axis=1) / cell.n_cells)
    potential = PairPotential(cell)
    positions = cell.sites @ cell.matrix * a[:, None, None]
    positions += rng.normal(0, shake, positions.shape)
    return cell, potential, positions, iodine, a


def relaxed(cell, iodine):
    x = iodine.sum(axis=1) / cell.n_cells
    return x, PairPotential(cell).relax(iodine, vegard(x), fmax=1e-4)


# Potential
def test_energy_of_pairs_one_by_one():
    _, potential, positions, iodine, a = random_cells((1, 1, 1), 1)
    charges = [0.6, 1.2, -0.6, -0.6, -0.6]
    radii = [1.88, 1.15, *np.where(iodine[0], 2.1078, 1.96)]
    energy = 0.0
    for i, j in product(range(5), repeat=2):
        for image in product(range(-3, 4), repeat=3):
            vector = positions[0, j] + np.array(image) * a[0] - positions[0, i]
            r = np.linalg.norm(vector)
            if 0 < r < 10:
                damped = erfc(0.2 * r) / r - erfc(2.0) / 10
                slope = -erfc(2.0) / 100 - 0.4 / np.sqrt(np.pi) * np.exp(-4) / 10
                coulomb = 14.3996 * charges[i] * charges[j] * (damped - slope * (r - 10))
                energy += (0.04487 * np.exp((radii[i] + radii[j] - r) / 0.33) + coulomb) / 2
    assert potential(positions, potential.radii(iodine), a)[0] == pytest.approx(energy, rel=1e-5)


@pytest.mark.parametrize("matrix", [(2, 2, 1), ROCK_SALT])
def test_forces_are_slopes_of_the_energy(matrix):
    cell, potential, positions, iodine, a = random_cells(matrix, 3)
    radii, step = potential.radii(iodine), 1e-4
    _, forces = potential(positions, radii, a)
    assert np.allclose(forces.sum(axis=1), 0, atol=1e-10)
    for atom in range(0, 5 * cell.n_cells, 3):
        for axis in range(3):
            shift = np.zeros_like(positions)
            shift[:, atom, axis] = step
            plus, minus = (potential(positions + s * shift, radii, a)[0] for s in (1, -1))
            assert np.allclose(forces[:, atom, axis], -(plus - minus) / (2 * step), atol=1e-6)


def test_parents_rest_at_their_lattice_parameters():
    cell = supercell((1, 1, 1))
    potential, step = PairPotential(cell), 1e-3
    for halide, edge in ((False, 5.80), (True, 6.20)):
        a = edge + np.array([-step, 0, step])
        radii = potential.radii(np.full((3, 3), halide))
        small, best, large = potential(cell.sites * a[:, None, None], radii, a)[0]
        assert abs(large - small) / (2 * step) < 1e-3  # eV/Å: 1.6 MPa
        assert best < min(small, large)


def test_parents_are_stable_and_others_move():
    cell = supercell((2, 2, 2))
    iodine = np.zeros((3, 24), dtype=bool)
    iodine[1], iodine[2, 0] = True, True
    _, (before, after, moves, forces) = relaxed(cell, iodine)
    distance = np.linalg.norm(moves, axis=2).max(axis=1)
    assert (forces <= 1e-4).all()
    assert (distance[:2] < 1e-3).all()
    assert distance[2] > 0.05
    assert after[2] < before[2] - 0.01
    # An iodine, which is larger, pushes its two tin neighbours away along the axis.
    pushed = np.linalg.norm(moves[2, 8:16], axis=1).round(3)
    assert len(np.flatnonzero(pushed > 0.04)) == 2


def test_equivalent_arrangements_have_one_energy():
    cell = supercell((2, 2, 1))
    masks, sizes = arrangements(cell, 3)
    mask, size = masks[sizes == 32][:1], 32
    sites = cell.permutations[:, np.flatnonzero(mask >> np.arange(12) & 1)]
    images = np.unique((1 << sites).sum(axis=1))
    assert len(images) == size
    _, (_, energies, moves, _) = relaxed(cell, (images[:, None] >> np.arange(12) & 1).astype(bool))
    assert np.ptp(energies) < 1e-6
    distance = np.linalg.norm(moves, axis=2).max(axis=1)
    assert np.ptp(distance) < 1e-3


def test_energy_does_not_depend_on_the_cell():
    # CsSnBr2I with all iodines on one axis, in one cell and in four.
    small, large = supercell((1, 1, 1)), supercell((2, 2, 1))
    sites = large.sites[8:] @ large.matrix
    along = np.isclose(sites[:, 2] % 1, 0)
    assert along.sum() == 4
    first = relaxed(small, np.array([[True, False, False]]))[1][1]
    four = relaxed(large, along[None])[1][1]
    assert four[0] / 4 == pytest.approx(first[0], abs=1e-5)


def test_reference_is_the_mean_of_random_alloys():
    cell, rng = supercell((2, 2, 2)), np.random.default_rng(7)
    n_iodine = np.repeat([0, 6, 12, 18, 24], [1, 20, 20, 20, 1])
    iodine = rng.random((len(n_iodine), 24)).argsort(axis=1) < n_iodine[:, None]
    x, (_, energies, _, _) = relaxed(cell, iodine)
    energies = energies / 8
    mixing = energies - (1 - x / 3) * energies[0] - x / 3 * energies[-1]
    for part in (0.75, 1.5, 2.25):
        rows = mixing[x == part]
        error = rows.std() / np.sqrt(len(rows))
        assert rows.mean() == pytest.approx(random_alloy(part), abs=3 * error + 5e-4)
    assert random_alloy(0) == random_alloy(3) == 0


def test_too_few_steps_are_an_error():
    cell = supercell((2, 1, 1))
    with pytest.raises(RuntimeError, match="after 1 steps: allow a larger fmax"):
        PairPotential(cell).relax(np.eye(6, dtype=bool)[:1], vegard(np.array([0.5])), 1e-6, 1)


def test_atoms_that_go_too_far_are_an_error(monkeypatch):
    cell = supercell((2, 1, 1))
    potential = PairPotential(cell)
    monkeypatch.setattr(_mixed_halide_potential, "MARGIN", 0.1)
    with pytest.raises(RuntimeError, match="farther than the list of pairs allows"):
        potential.relax(np.eye(6, dtype=bool), np.full(6, vegard(0.5)), 1e-4)
