"""Arrangements counted by hand, the pair potential, and the data sets made of them."""

import runpy
from importlib.resources import files
from itertools import product
from math import comb
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erfc

from sklmat.datasets import (
    _mixed_halide_potential,
    load_mixed_halide_perovskites,
    make_mixed_halide_perovskites,
)
from sklmat.datasets._make_mixed_halides import random_alloy
from sklmat.datasets._mixed_halide_arrangements import Supercell, arrangements, supercell
from sklmat.datasets._mixed_halide_potential import PairPotential, vegard
from sklmat.screening import shockley_queisser

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


# Arrangements


@pytest.mark.parametrize(
    ("n_iodine", "orbits"), [(0, 1), (1, 1), (2, 7), (3, 19), (4, 80), (20, 80)]
)
def test_orbits_of_2x2x2(n_iodine, orbits):
    cell = supercell((2, 2, 2))
    assert len(cell.permutations) == 48 * 8
    masks, sizes = arrangements(cell, n_iodine)
    assert len(masks) == orbits
    assert sizes.sum() == comb(24, n_iodine)
    assert (np.bitwise_count(masks) == n_iodine).all()


def burnside(cell):
    """The number of all orbits, from the cycles of the permutations."""
    total = 0
    for permutation in cell.permutations.tolist():
        left, cycles = set(range(cell.n_sites)), 0
        while left:
            cycles += 1
            site = left.pop()
            while (site := permutation[site]) in left:
                left.remove(site)
        total += 2**cycles
    return total // len(cell.permutations)


@pytest.mark.parametrize(
    ("matrix", "operations", "orbits"),
    [((1, 1, 1), 48, 4), ((2, 1, 1), 32, 21), (ROCK_SALT, 96, 10), ((2, 2, 1), 64, 270)],
)
def test_orbits_of_small_cells(matrix, operations, orbits):
    cell = supercell(matrix)
    assert len(cell.permutations) == operations
    found = [arrangements(cell, n) for n in range(cell.n_sites + 1)]
    assert sum(len(masks) for masks, _ in found) == orbits == burnside(cell)
    assert sum(sizes.sum() for _, sizes in found) == 2**cell.n_sites


def test_permutations_keep_distances():
    cell = supercell(((1, 1, 0), (1, -1, 0), (0, 0, 2)))
    sites = cell.sites[2 * cell.n_cells :]

    def distances(order):
        shifts = sites[order][:, None] - sites[order]
        images = np.array(list(product((-1, 0, 1), repeat=3)))
        vectors = (shifts[:, :, None] + images) @ cell.matrix
        return np.linalg.norm(vectors, axis=3).min(axis=2)

    for permutation in cell.permutations:
        assert np.allclose(distances(permutation), distances(np.arange(cell.n_sites)))
        assert sorted(permutation) == list(range(cell.n_sites))


def test_samples_are_orbits_and_follow_the_seed():
    cell = supercell((2, 2, 2))
    for n_iodine in (3, 12):  # listed, and too many to list
        masks, sizes = arrangements(cell, n_iodine, 10, np.random.default_rng(0))
        again, _ = arrangements(cell, n_iodine, 10, np.random.default_rng(0))
        other, _ = arrangements(cell, n_iodine, 10, np.random.default_rng(1))
        assert (masks == again).all()
        assert (masks != other).any()
        assert len(np.unique(masks)) == 10
        representatives, multiplicities = cell.orbits(masks)
        assert (representatives == masks).all()
        assert (multiplicities == sizes).all()
    with pytest.raises(ValueError, match="2704156 arrangements, too many to list"):
        arrangements(cell, 12)


def test_samples_show_what_random_alloys_show():
    # Two iodines in 2x1x1: multiplicities 1 to 4 of 15.
    cell = supercell((2, 1, 1))
    masks, sizes = arrangements(cell, 2)
    counts = dict.fromkeys(masks.tolist(), 0)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        counts[arrangements(cell, 2, 1, rng)[0].item()] += 1
    assert np.allclose(np.array(list(counts.values())) / 2000, sizes / 15, atol=0.03)


def test_crystals_of_smaller_cells():
    long = Supercell((3, 1, 1))
    masks = np.concatenate([arrangements(long, n)[0] for n in range(10)])
    inside = long.repeat(masks, np.eye(3, dtype=int))
    # No iodine, iodine only, and one or two of three along the long edge or across it.
    assert inside.sum() == 6
    frame = make_mixed_halide_perovskites([(1, 1, 1), (3, 1, 1)]).frame
    assert frame["supercell"].value_counts().to_dict() == {"3x1x1": 68, "1x1x1": 4}


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


# make_mixed_halide_perovskites


def test_generated_bunch():
    made = make_mixed_halide_perovskites([(2, 2, 1)])
    frame = made.frame
    assert len(made.data) == len(made.ideal) == len(frame) == 270
    assert made.target_names == ["other", "high ordering energy"]
    assert made.target.sum() == 81  # 30 % of 270
    assert made.target.dtype.kind == "i"
    ordering = frame["ordering energy (eV/f.u.)"]
    assert ordering[made.target == 1].min() > ordering[made.target == 0].max()
    assert (frame["relaxation energy (eV/f.u.)"] < 1e-6).all()
    assert (frame["largest force (eV/Å)"] <= 1e-4).all()
    for row in (0, 100, 269):
        relaxed, ideal, line = made.data[row], made.ideal[row], frame.loc[row]
        assert relaxed.species == ideal.species
        assert relaxed.composition["I"] == line["x"] * 4
        mask = [site.specie.symbol == "I" for site in relaxed[8:]]
        assert sum(bit << i for i, bit in enumerate(mask)) == line["arrangement"]
        assert relaxed.composition.reduced_formula == line["formula"]
        edge = 5.8 + 0.4 * line["x"] / 3
        assert np.allclose(relaxed.lattice.abc, [2 * edge, 2 * edge, edge])
        moved = [a.distance(b) for a, b in zip(relaxed, ideal)]
        assert max(moved) == pytest.approx(line["largest displacement (Å)"], abs=1e-9)


def test_crystals_come_once_by_default():
    made = make_mixed_halide_perovskites()
    assert len(made.data) == 4 + 15 + 12 + 6 + 68 + 230
    # Different crystals of one composition have different energies, down to rounding.
    assert not made.frame[["x", "energy (eV/f.u.)"]].round(6).duplicated().any()


def test_targets_samples_and_seeds():
    names = ["ordering_energy", "mixing_energy"]
    options = {"n_iodine": [11, 12], "n_samples": 3, "target": names, "return_X_y": True}
    data, target = make_mixed_halide_perovskites([(2, 2, 2)], **options)
    assert len(data) == 6
    assert target.shape == (6, 2)
    again = make_mixed_halide_perovskites([(2, 2, 2)], **options)[1]
    other = make_mixed_halide_perovskites([(2, 2, 2)], **options, random_state=1)[1]
    assert (target == again).all()
    assert (target != other).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"supercells": (2, 2, 1)}, "must be a list of supercells"),
        ({"supercells": [(2, 2)]}, "three integers or three rows"),
        ({"supercells": [(2, 2, 1.5)]}, "must be a list of supercells"),
        ({"supercells": [((1, 0, 0), (1, 0, 0), (0, 0, 1))]}, "has 0 formula units"),
        ({"supercells": [(3, 3, 3)]}, "27 formula units; 1 to 21"),
        ({"supercells": []}, "empty"),
        ({"n_iodine": 4}, "0 to 3"),
        ({"n_iodine": [1, 1]}, "different integers"),
        ({"n_iodine": []}, "different integers"),
        ({"n_samples": 0}, "n_samples must be None or a positive integer"),
        ({"fmax": 0}, "fmax must be a positive number"),
        ({"target": "gap"}, "unknown target 'gap'"),
        ({"supercells": [(2, 2, 2)], "n_iodine": 12}, "too many to list: give n_samples"),
    ],
)
def test_wrong_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_mixed_halide_perovskites(**arguments)


# load_mixed_halide_perovskites


def test_labelled_bunch():
    loaded = load_mixed_halide_perovskites()
    frame = loaded.frame
    assert len(loaded.data) == len(loaded.ideal) == len(frame) == 481
    assert loaded.target_names == ["other", "high efficiency"]
    assert loaded.target.dtype.kind == "i"
    assert loaded.target.sum() == 144  # 30 % of 481
    assert frame["arrangement"].is_unique
    assert np.isfinite(frame.select_dtypes("number")).all(axis=None)
    assert frame["gap (eV)"].between(0.5, 2).all()
    for relaxed, ideal, (_, line) in zip(loaded.data, loaded.ideal, frame.iterrows()):
        assert relaxed.species == ideal.species
        iodine = [bit for bit in range(24) if relaxed[16 + bit].specie.symbol == "I"]
        assert sum(1 << bit for bit in iodine) == line["arrangement"]
        assert relaxed.lattice.a == pytest.approx(2 * (5.8 + 0.4 * len(iodine) / 24))


def test_rows_are_orbits_sampled_as_documented():
    frame = load_mixed_halide_perovskites(target="gap").frame
    cell = supercell((2, 2, 2))
    representatives, sizes = cell.orbits(frame["arrangement"].to_numpy())
    assert (representatives == frame["arrangement"]).all()
    assert (sizes == frame["multiplicity"]).all()
    per_composition = frame.groupby("x").size().to_dict()
    orbits = {0: 1, 1: 1, 2: 7, 3: 19, 21: 19, 22: 7, 23: 1, 24: 1}
    assert per_composition == {n / 8: orbits.get(n, 25) for n in range(25)}


def test_labels_are_made_of_one_another():
    loaded = load_mixed_halide_perovskites(target=["efficiency", "gap", "ordering_energy"])
    frame = loaded.frame
    assert loaded.target.shape == (481, 3)
    limits = shockley_queisser(frame["gap (eV)"])
    assert np.allclose(loaded.target[:, 0], limits["efficiency (%)"])
    mixing = frame["mixing energy (eV/f.u.)"]
    assert np.allclose(mixing[frame["x"].isin([0, 3])], 0)
    line = frame[["x", "energy (eV/f.u.)"]].to_numpy()
    pure = np.interp(line[:, 0], [0, 3], line[[0, -1], 1])
    assert np.allclose(mixing, line[:, 1] - pure)
    # The reference is smooth: no composition of many arrangements lies far from it as a whole.
    ordering = frame.assign(ordering=loaded.target[:, 2]).groupby("x")["ordering"]
    error = ordering.std() / np.sqrt(ordering.size())
    assert (ordering.mean().abs() < 4 * error)[ordering.size() == 25].all()


def test_classes_are_the_upper_thirty_percent():
    frame = load_mixed_halide_perovskites().frame
    for name, value in (
        ("high efficiency", "efficiency (%)"),
        ("high ordering energy", "ordering energy (eV/f.u.)"),
    ):
        chosen = frame[name] == 1
        assert chosen.mean() == pytest.approx(0.3, abs=1e-3)
        assert frame[value][chosen].min() > frame[value][~chosen].max()
    data, target = load_mixed_halide_perovskites("ordering_class", return_X_y=True)
    assert len(data) == 481
    assert (target == frame["high ordering energy"]).all()
    with pytest.raises(ValueError, match="unknown target 'energy'"):
        load_mixed_halide_perovskites("energy")


def test_shipped_file_is_small_and_holds_no_objects():
    path = files("sklmat.datasets").joinpath("data", "mixed_halides_xtb.npz")
    assert path.stat().st_size < 500_000
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["converged"].all()
        assert arrays["method"].item().startswith("GFN1-xTB, tblite 0.8.0")


def test_script_still_makes_these_rows():
    path = Path(__file__).parents[2] / "examples" / "benchmarks" / "label_mixed_halides.py"
    script = runpy.run_path(str(path))
    cell, masks, multiplicities = script["select"]()
    loaded = load_mixed_halide_perovskites()
    data, frame = loaded.data, loaded.frame
    assert frame["arrangement"].tolist() == masks.tolist()
    assert frame["multiplicity"].tolist() == multiplicities.tolist()
    # Labels belong to the stored positions, which the potential of today still gives.
    rows = [3, 60, 240, 420]
    a, numbers, positions, _ = script["relax"](cell, masks[rows])
    for place, row in enumerate(rows):
        stored = data[row]
        assert [site.specie.Z for site in stored] == numbers[place].tolist()
        assert np.allclose(stored.cart_coords, positions[place], atol=2e-3)
        assert stored.lattice.a == pytest.approx(2 * a[place])
