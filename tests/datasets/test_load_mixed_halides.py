"""The labelled mixed halides that come with the package."""

import runpy
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from sklmat.datasets import load_mixed_halide_perovskites
from sklmat.datasets._mixed_halide_arrangements import supercell
from sklmat.datasets._mixed_halide_potential import PairPotential, vegard
from sklmat.screening import shockley_queisser


def relaxed(cell, iodine):
    x = iodine.sum(axis=1) / cell.n_cells
    return x, PairPotential(cell).relax(iodine, vegard(x), fmax=1e-4)


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


@pytest.mark.slow
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
