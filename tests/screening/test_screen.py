"""Grids counted by hand, screening against brute force, and thermodynamics of textbooks."""

import itertools
import json
import math
import os
import subprocess
import sys
import tracemalloc
import types
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat import EFTGANRegressor
from sklmat.screening import _screen as screening
from sklmat.screening import (
    composition_grid,
    configurational_entropy,
    energy_above_hull,
    free_energy,
    lattice_parameter,
    screen,
    stable_phase,
)

SENARY = ["Fe", "Ni", "Co", "Cr", "Mn", "Pd"]
ENERGY = "formation energy (eV/atom)"
K_B = 8.617333262e-5


def counts_of(grid):
    return np.vstack([grid.counts(range(grid.n_points))])


# -- the grid


@pytest.mark.parametrize(("n_elements", "divisions"), [(2, 7), (3, 10), (4, 8), (5, 6), (6, 5)])
def test_grid_has_as_many_points_as_the_binomial_says(n_elements, divisions):
    grid = composition_grid(SENARY[:n_elements], 1 / divisions, chunk_size=17)
    assert grid.n_points == math.comb(divisions + n_elements - 1, n_elements - 1)
    tables = list(grid)
    assert len(tables) == len(grid) == -(-grid.n_points // 17)
    rows = pd.concat(tables).to_numpy()
    assert len(np.unique((rows * divisions).round().astype(int), axis=0)) == grid.n_points
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-15 * n_elements)


def test_grid_of_the_issue_is_counted_and_not_made():
    tracemalloc.start()
    grid = composition_grid(SENARY, 0.01)
    assert grid.n_points == math.comb(105, 5) == 96_560_646
    last = grid[-1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert last.iloc[-1].tolist() == [1, 0, 0, 0, 0, 0]
    assert len(last) == 96_560_646 % 20_000


def test_limits_are_those_of_brute_force():
    low, high = {"Fe": 0.1, "Cr": 0.25}, {"Fe": 0.6, "Ni": 0.3}
    grid = composition_grid(["Fe", "Ni", "Cr", "Mn"], 0.05, low, high, chunk_size=10)
    expected = [
        c
        for c in itertools.product(range(21), repeat=4)
        if sum(c) == 20 and 2 <= c[0] <= 12 and c[1] <= 6 and c[2] >= 5
    ]
    np.testing.assert_array_equal(counts_of(grid), expected)
    assert grid.n_points == len(expected)
    np.testing.assert_array_equal(pd.concat(grid) * 20, np.array(expected) / 20 * 20)


def test_limit_for_all_elements_and_limits_between_multiples():
    grid = composition_grid(SENARY[:5], 0.05, 0.05, 0.35)
    # Inclusion and exclusion: what is left of 15 parts after one each, at most 6 to anyone.
    expected = math.comb(19, 4) - 5 * math.comb(12, 4) + 10 * math.comb(5, 4)
    assert grid.n_points == expected
    rows = grid.points()
    assert rows.min(axis=None) == 0.05
    assert rows.max(axis=None) == 0.35
    assert composition_grid(["Fe", "Ni"], 0.1, {"Fe": 0.25}, {"Fe": 0.49}).points()[
        "x_Fe"
    ].tolist() == [0.3, 0.4]


def test_equal_limits_hold_an_element():
    table = composition_grid(["Fe", "Ni", "Co"], 0.1, {"Co": 0.3}, {"Co": 0.3}).points()
    assert set(table["x_Co"]) == {0.3}
    assert len(table) == 8


def test_chunks_can_be_had_in_any_order_and_again():
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=25)
    forward = list(grid)
    for i in (2, 0, 1, -1):
        pd.testing.assert_frame_equal(grid[i], forward[i])
    pd.testing.assert_frame_equal(pd.concat(grid), pd.concat(forward))
    assert [len(t) for t in grid[1:]] == [25, 16]
    pd.testing.assert_frame_equal(grid.points(30, 40), grid.points()[30:40].reset_index(drop=True))
    with pytest.raises(IndexError):
        grid[3]
    with pytest.raises(IndexError, match="from 0 to 65"):
        grid.counts([66])
    assert "66 compositions of Fe-Ni-Cr in steps of 0.1" in repr(grid)


def test_memory_does_not_grow_with_the_grid():
    peaks = []
    for step in (0.1, 0.04):
        grid = composition_grid(SENARY, step, chunk_size=2_000)
        tracemalloc.start()
        n = sum(len(table) for table in grid)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n == grid.n_points
    assert grid.n_points == 142_506
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 1e6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["Fe", "Ni"], 0.3), "take 0.333333 or 0.25"),
        ((["Fe", "Ni"], 0), "between 0 and 1"),
        ((["Fe", "Ni"], 0.0001), "at least 0.0005"),
        ((["Fe", "Ni"], "a"), "between 0 and 1"),
        (("FeNi", 0.1), "a list of symbols"),
        ((["Fe"], 0.1), "two or more"),
        ((["Fe", "Fe"], 0.1), "two or more different"),
        ((["Fe", "Xx"], 0.1), "not chemical symbols: Xx"),
        ((["Fe", "Ni"], 0.1, {"Cr": 0.1}), "min_fraction names Cr"),
        ((["Fe", "Ni"], 0.1, 0, 1.2), "max_fraction must be between 0 and 1"),
        ((["Fe", "Ni"], 0.1, 0.6), "add up to between 1.2 and 2"),
        ((["Fe", "Ni"], 0.1, 0, 0.4), "add up to between 0 and 0.8"),
        ((["Fe", "Ni"], 0.1, {"Fe": 0.45}, {"Fe": 0.48}), "no multiple of 0.1 .* limits of Fe"),
    ],
)
def test_grid_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        composition_grid(*arguments)


def test_grid_refuses_what_cannot_be_counted():
    metals = [*SENARY, "Cu", "Ag", "Au", "Pt", "Ir", "Os"]
    with pytest.raises(ValueError, match="too many"):
        composition_grid(metals, 0.001)
    with pytest.raises(ValueError, match="chunk_size"):
        composition_grid(["Fe", "Ni"], 0.1, chunk_size=0)


# -- screening


class PhaseModel:
    """Knows phases, like `EFTGANRegressor`, and predicts numbers that can be checked by hand."""

    elements_ = ["Cr", "Fe", "Ni"]
    phases_ = ["bcc", "fcc"]
    target_names_ = ["formation_energy", "magnetic_moment"]

    def __init__(self):
        self.calls = 0
        self.fail_at = None
        self.shift = 0.0

    def predict(self, table, phase=None, return_std=False):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        assert list(table) == ["x_Cr", "x_Fe", "x_Ni"]
        assert phase in self.phases_
        cr, fe, ni = table.to_numpy().T
        energy = cr * (1 - cr) + (ni - 0.5 if phase == "bcc" else 0 * ni) + self.shift
        values = np.column_stack([energy, 2.2 * fe + 0.6 * ni])
        return (values, values + 10) if return_std else values


@pytest.fixture
def grid():
    return composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)


def linear_model():
    """On fractions of Fe and Ni, lattice and entropy, as CompositionFeaturizer names them."""
    rng = np.random.default_rng(0)
    names = ["x_Fe", "x_Ni", "lattice_bcc", "lattice_fcc", "mixing entropy (kB per atom)"]
    X = pd.DataFrame(rng.uniform(size=(30, 5)), columns=names)
    return LinearRegression().fit(X, X @ [1, 2, 3, 4, 5])


def test_all_rows_and_their_order(grid):
    table = screen(PhaseModel(), grid)
    assert list(table) == [
        "x_Fe",
        "x_Ni",
        "x_Cr",
        "phase",
        ENERGY,
        "magnetic moment (μB/atom)",
    ]
    assert len(table) == 2 * 66
    points = grid.points()
    np.testing.assert_array_equal(table.iloc[::2, :3], points)
    np.testing.assert_array_equal(table.iloc[1::2, :3], points)
    assert table["phase"].tolist() == ["bcc", "fcc"] * 66
    cr, ni = table["x_Cr"], table["x_Ni"]
    expected = cr * (1 - cr) + (ni - 0.5) * (table["phase"] == "bcc")
    np.testing.assert_allclose(table[ENERGY], expected)
    moment = 2.2 * table["x_Fe"] + 0.6 * ni
    np.testing.assert_allclose(table["magnetic moment (μB/atom)"], moment)


def test_only_the_phases_asked_for(grid):
    table = screen(PhaseModel(), grid, "fcc")
    assert set(table["phase"]) == {"fcc"}
    assert len(table) == 66
    with pytest.raises(ValueError, match=r"phases=\['hcp'\].* has the phases \['bcc', 'fcc'\]"):
        screen(PhaseModel(), grid, ["hcp"])


def test_elements_that_the_grid_lacks_are_absent_and_unknown_ones_refused():
    table = screen(PhaseModel(), composition_grid(["Fe", "Cr"], 0.5), "bcc")
    np.testing.assert_allclose(table[ENERGY], [-0.5, -0.25, -0.5])
    assert list(table)[:2] == ["x_Fe", "x_Cr"]
    with pytest.raises(ValueError, match="nothing of Pd, Mn: it was fitted on Cr, Fe, Ni"):
        screen(PhaseModel(), composition_grid(["Fe", "Pd", "Mn"], 0.5))


def test_models_of_scikit_learn_get_their_columns():
    table = screen(linear_model(), composition_grid(["Fe", "Ni"], 0.5), targets="y (eV)")
    expected = [[2 + 3, 2 + 4], [1.5 + 3 + 5 * math.log(2), 1.5 + 4 + 5 * math.log(2)], [4, 5]]
    np.testing.assert_allclose(table["y (eV)"], np.ravel(expected))
    assert table["phase"].tolist() == ["bcc", "fcc"] * 3
    X = pd.DataFrame({"x_Fe": [1.0, 0.0], "x_Ni": [0.0, 1.0]})
    scaled = make_pipeline(StandardScaler(), LinearRegression()).fit(X, [2.0, 4.0])
    without = screen(scaled, composition_grid(["Fe", "Ni"], 0.5))
    assert list(without) == ["x_Fe", "x_Ni", "prediction"]
    np.testing.assert_allclose(without["prediction"], [4, 3, 2])
    with pytest.raises(ValueError, match="fitted without phases"):
        screen(scaled, composition_grid(["Fe", "Ni"], 0.5), "fcc")


def test_models_that_cannot_be_screened(grid):
    plain = LinearRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    with pytest.raises(TypeError, match="does not know what its columns mean"):
        screen(plain, grid)
    X = pd.DataFrame({"x_Fe": [1.0, 0.0], "Fe_0": [0.0, 1.0]})
    with pytest.raises(ValueError, match=r"do not give the columns \['Fe_0'\]"):
        screen(LinearRegression().fit(X, [0, 1]), grid)
    with pytest.raises(TypeError, match=r"grid must come from composition_grid.* list"):
        screen(PhaseModel(), [[0.5, 0.5]])


def test_a_search_predicts_with_its_best_estimator(grid):
    search = types.SimpleNamespace(best_estimator_=PhaseModel(), predict=lambda X: None)
    pd.testing.assert_frame_equal(screen(search, grid), screen(PhaseModel(), grid))


def test_what_is_not_fitted_or_not_sure_is_refused(grid):
    with pytest.raises(NotFittedError, match="EFTGANRegressor is not fitted"):
        screen(EFTGANRegressor(), grid)
    with pytest.raises(TypeError, match="LinearRegression cannot say how sure"):
        screen(linear_model(), composition_grid(["Fe", "Ni"], 0.5), return_std=True)


@pytest.mark.parametrize("name", ["magnetic moment (μB/atom)", "volume (Å³/atom)", "rmsd (Å)"])
def test_what_is_no_energy_chooses_no_phase(name):
    grid = composition_grid(["Fe", "Ni"], 0.5)
    table = screen(linear_model(), grid, targets=name, keep=2)
    assert table[name].is_monotonic_increasing
    for asked in ({"stable_only": True}, {"temperature": 300}):
        with pytest.raises(ValueError, match="is no formation energy"):
            screen(linear_model(), grid, targets=name, **asked)
    for function in (stable_phase, energy_above_hull):
        with pytest.raises(ValueError, match="is no formation energy"):
            function(table, energy=name)


def test_each_volume_has_a_lattice():
    with pytest.raises(ValueError, match="one for all, or one each"):
        lattice_parameter([11.0, 12.0, 13.0], ["bcc", "fcc"])
    np.testing.assert_allclose(lattice_parameter([4.0, 13.5], "bcc"), [2.0, 3.0])


def test_rounded_fractions_are_compositions():
    thirds = configurational_entropy([0.333, 0.333, 0.333])
    assert thirds == pytest.approx(K_B * math.log(3), rel=1e-3)
    with pytest.raises(ValueError, match="row 0 has fractions that do not sum to one"):
        configurational_entropy([0.33, 0.33, 0.33])


def test_names_of_targets(grid):
    table = screen(PhaseModel(), grid, targets=["a", "b"])
    assert list(table)[-2:] == ["a", "b"]
    with pytest.raises(ValueError, match=r"predicts 2 targets; targets are named \['a'\]"):
        screen(PhaseModel(), grid, targets="a")
    model = PhaseModel()
    model.target_names_ = None
    assert list(screen(model, grid))[-2:] == ["prediction 0", "prediction 1"]
    with pytest.raises(ValueError, match="is the formation energy: name it"):
        screen(model, grid, keep=3)


def test_a_table_of_compositions():
    points = pd.DataFrame(
        {"name": ["a", "b"], "x_Fe": [0.5, 0.0], "x_Ni": [0.5, 1.0]}, index=[7, 7]
    )
    table = screen(PhaseModel(), points, "bcc")
    np.testing.assert_allclose(table[ENERGY], [0, 0.5])
    points.loc[7, "x_Fe"] = 0.3
    with pytest.raises(
        ValueError, match=r"row 0 has fractions that do not sum to one: \[0.3, 0.5\]"
    ):
        screen(PhaseModel(), points)


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("by", [None, "magnetic moment (μB/atom)"])
def test_the_best_are_those_of_brute_force(grid, by, largest):
    everything = screen(PhaseModel(), grid)
    key = everything[by or ENERGY]
    expected = everything.iloc[np.argsort(-key if largest else key, kind="stable")[:13]]
    best = screen(PhaseModel(), grid, keep=13, by=by, largest=largest)
    pd.testing.assert_frame_equal(best, expected.reset_index(drop=True))


def test_best_by_free_energy_and_by_spread(grid):
    column = "free energy at 1500 K (eV/atom)"
    everything = screen(PhaseModel(), grid, temperature=[300, 1500], return_std=True)
    x = everything[["x_Fe", "x_Ni", "x_Cr"]]
    np.testing.assert_allclose(everything[column], free_energy(everything[ENERGY], x, 1500))
    np.testing.assert_allclose(everything[f"spread of {ENERGY}"], everything[ENERGY] + 10)
    best = screen(PhaseModel(), grid, keep=1, by=column, temperature=1500)
    assert best[column][0] == everything[column].min()
    with pytest.raises(ValueError, match="by='x_Fe' is not among"):
        screen(PhaseModel(), grid, keep=1, by="x_Fe")
    with pytest.raises(ValueError, match="positive number of rows, got 0"):
        screen(PhaseModel(), grid, keep=0)
    with pytest.raises(ValueError, match="say how many"):
        screen(PhaseModel(), grid, largest=True)


def test_stable_only_is_stable_phase(grid):
    everything = screen(PhaseModel(), grid)
    stable = screen(PhaseModel(), grid, stable_only=True)
    expected = stable_phase(everything).reset_index(drop=True)
    pd.testing.assert_frame_equal(stable, expected[list(stable)])
    # bcc lies lower by 0.5 - x_Ni.
    assert (stable["phase"] == np.where(stable["x_Ni"] <= 0.5, "bcc", "fcc")).all()
    with pytest.raises(ValueError, match="mixing energies of different phases"):
        screen(
            linear_model(), composition_grid(["Fe", "Ni"], 0.5), stable_only=True, targets="Emix"
        )


def test_predictions_of_a_gaussian_process_with_their_spread():
    X = pd.DataFrame({"x_Fe": [1.0, 0.5, 0.0], "x_Ni": [0.0, 0.5, 1.0]})
    model = GaussianProcessRegressor().fit(X, [0, 1, 0])
    table = screen(model, X, return_std=True)
    mean, spread = model.predict(X, return_std=True)
    np.testing.assert_allclose(table["prediction"], mean)
    np.testing.assert_allclose(table["spread of prediction"], spread)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_a_model_warns_of_is_said_once(grid, n_jobs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = screen(Warns(), grid, n_jobs=n_jobs)
    assert len(table) == 132
    # joblib has warnings of its own on a busy machine.
    (said,) = [w for w in caught if "chromium" in str(w.message)]
    # Chromium is the last element, so the first composition is all of it.
    assert str(said.message).startswith("table 0 of the grid: 1 of 8 are all chromium")


class Warns(PhaseModel):
    def predict(self, table, phase=None, return_std=False):
        n = (table["x_Cr"] == 1).sum()
        warnings.warn(f"{n} of {len(table)} are all chromium", UserWarning, stacklevel=2)
        return super().predict(table, phase, return_std)


def test_predictions_that_are_no_numbers_are_named(grid):
    model = PhaseModel()
    model.shift = np.nan
    with pytest.raises(ValueError, match=r"not finite.*x_Cr"):
        screen(model, grid)


# -- files


def test_parquet_holds_the_same_table(grid, tmp_path):
    path = screen(PhaseModel(), grid, out=tmp_path / "all.parquet")
    assert path == tmp_path / "all.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), screen(PhaseModel(), grid))
    assert [p.name for p in tmp_path.iterdir()] == ["all.parquet"]
    best = screen(PhaseModel(), grid, out=str(tmp_path / "best.parquet"), keep=5)
    pd.testing.assert_frame_equal(pd.read_parquet(best), screen(PhaseModel(), grid, keep=5))


def test_the_file_says_how_it_was_made(grid, tmp_path):
    from pyarrow import parquet

    path = screen(PhaseModel(), grid, out=tmp_path / "all.parquet")
    note = json.loads(parquet.read_schema(path).metadata[b"sklmat.screen"])
    assert note["settings"]["grid"]["elements"] == ["Fe", "Ni", "Cr"]
    assert note["settings"]["grid"]["divisions"] == 10
    assert note["settings"]["phases"] == ["bcc", "fcc"]


def test_a_finished_file_is_not_replaced_unasked(grid, tmp_path):
    path = screen(PhaseModel(), grid, "bcc", out=tmp_path / "a.parquet")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        screen(PhaseModel(), grid, out=path)
    assert len(pd.read_parquet(path)) == 66
    screen(PhaseModel(), grid, out=path, overwrite=True)
    assert len(pd.read_parquet(path)) == 132


@pytest.mark.parametrize("keep", ["all", 7])
def test_a_stopped_run_is_readable_and_goes_on(grid, tmp_path, keep):
    out = tmp_path / "all.parquet"
    model = PhaseModel()
    # One call for the number of targets, two for the probes, two for each chunk of two phases.
    model.fail_at = 2 + 2 + 2 * 5 + 1
    with pytest.raises(KeyboardInterrupt) as stop:
        screen(model, grid, keep=keep, out=out)
    assert "goes on when it is called again" in stop.value.__notes__[0]
    assert not out.exists()
    so_far = pd.read_parquet(tmp_path / "all.parquet.parts")
    assert len(so_far) == (80 if keep == "all" else 35)
    model.fail_at, model.calls = None, 0
    screen(model, grid, keep=keep, out=out)
    assert model.calls == 2 + 2 + 2 * 4, "finished chunks are not predicted again"
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid, keep=keep))
    assert not (tmp_path / "all.parquet.parts").exists()


def test_going_on_with_something_else_is_refused(grid, tmp_path):
    out = tmp_path / "all.parquet"
    model = PhaseModel()
    model.fail_at = 10
    with pytest.raises(KeyboardInterrupt):
        screen(model, grid, out=out)
    model.fail_at = None
    with pytest.raises(ValueError, match=r"another phases: .*bcc.*, now .*fcc"):
        screen(model, grid, "fcc", out=out)
    with pytest.raises(ValueError, match="another grid"):
        screen(model, composition_grid(["Fe", "Ni", "Cr"], 0.05, chunk_size=8), out=out)
    # Little beside the moment, but not beside the energy.
    model.shift = 1.5e-4
    with pytest.raises(ValueError, match="another model"):
        screen(model, grid, out=out)
    screen(model, grid, out=out, overwrite=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(model, grid))


def test_a_run_that_was_killed_while_it_began_goes_on(grid, tmp_path):
    folder = tmp_path / "a.parquet.parts"
    folder.mkdir()
    (folder / "._screen.json.tmp").write_text("{")
    screen(PhaseModel(), grid, out=tmp_path / "a.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_a_killed_process_loses_what_it_had_in_hand_and_no_more(tmp_path):
    code = """
import os, sys
sys.path[:0] = [%r, %r]
from test_screen import PhaseModel, composition_grid, screen

class Dies(PhaseModel):
    def predict(self, table, phase=None):
        values = super().predict(table, phase)
        if self.calls == 12:
            os.kill(os.getpid(), 9)
        return values

screen(Dies(), composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8), out=%r)
"""
    here = Path(__file__).parent
    out = tmp_path / "a.parquet"
    code = code % (str(here), str(here.parents[1]), str(out))
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    assert done.returncode == -9
    # Four calls to look at the model, then two for each chunk: the fourth was in hand.
    assert len(pd.read_parquet(tmp_path / "a.parquet.parts")) == 3 * 16
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)
    model = PhaseModel()
    screen(model, grid, out=out)
    assert model.calls == 4 + 2 * 6
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid))


def test_a_folder_of_others_is_left_alone(grid, tmp_path):
    (tmp_path / "a.parquet.parts").mkdir()
    (tmp_path / "a.parquet.parts" / "precious").touch()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="not ours"):
            screen(PhaseModel(), grid, out=tmp_path / "a.parquet", overwrite=overwrite)
    assert (tmp_path / "a.parquet.parts" / "precious").exists()


def test_many_chunks_share_a_part(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(screening, "MAX_PARTS", 4)
    written = []
    original = screening.ResumableParquet.write
    monkeypatch.setattr(
        screening.ResumableParquet,
        "write",
        lambda self, number, table: written.append(len(table)) or original(self, number, table),
    )
    out = screen(PhaseModel(), grid, out=tmp_path / "a.parquet", keep=20)
    # Nine chunks of eight, the last of two, in three parts: the best twenty of each.
    assert written == [20, 20, 20]
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid, keep=20))


def test_processes_change_nothing(grid, tmp_path):
    serial = screen(linear_model(), composition_grid(["Fe", "Ni"], 0.01, chunk_size=9), n_jobs=1)
    two = screen(
        linear_model(),
        composition_grid(["Fe", "Ni"], 0.01, chunk_size=9),
        n_jobs=2,
        out=tmp_path / "two.parquet",
    )
    pd.testing.assert_frame_equal(pd.read_parquet(two), serial)


def test_few_chunks_are_under_way(monkeypatch):
    """Predicted and not yet taken: never more than two for each worker."""
    from joblib import parallel_config

    grid = composition_grid(["Fe", "Ni"], 0.01, chunk_size=3)
    done, most = [], 0
    task = lambda table: (done.append(1) or table, [])  # noqa: E731
    with parallel_config(backend="threading"):
        tables = screening._predict_chunks(task, grid, range(len(grid)), 2, screening_bar())
        for taken, _ in enumerate(tables, 1):
            most = max(most, len(done) - taken)
    assert len(done) == taken == 34
    assert most < 4


def screening_bar():
    from tqdm import tqdm

    return tqdm(disable=True)


def test_memory_of_the_best_does_not_grow():
    model = PhaseModel()
    screen(model, composition_grid(["Fe", "Ni", "Cr"], 0.1), keep=10)
    peaks = []
    for step in (0.02, 0.005):
        grid = composition_grid(["Fe", "Ni", "Cr"], step, chunk_size=1000)
        tracemalloc.start()
        screen(model, grid, keep=10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert grid.n_points == 20_301
    assert peaks[1] < 1.3 * peaks[0]


def test_too_much_for_memory_is_refused_before_it_starts(grid, monkeypatch, tmp_path):
    monkeypatch.setattr(screening, "MAX_ROWS", 100)
    model = PhaseModel()
    with pytest.raises(ValueError, match="132 rows would have to be kept in memory"):
        screen(model, grid)
    assert model.calls <= 2
    assert len(screen(model, grid, stable_only=True)) == 66
    assert len(screen(model, grid, keep=120)) == 120
    assert screen(model, grid, out=tmp_path / "all.parquet").exists()


def test_progress_bar_counts_alloys(grid, tmp_path, capfd):
    screen(PhaseModel(), grid, verbose=True)
    assert "66.0/66.0" in capfd.readouterr().err
    screen(PhaseModel(), grid)
    assert capfd.readouterr().err == ""


# -- thermodynamics


def test_entropy_by_hand():
    assert configurational_entropy([0.5, 0.5]) == pytest.approx(K_B * math.log(2), rel=1e-9)
    assert configurational_entropy([0.2] * 5) == pytest.approx(K_B * math.log(5), rel=1e-9)
    np.testing.assert_array_equal(configurational_entropy(np.eye(3)), [0, 0, 0])
    assert not np.signbit(configurational_entropy(np.eye(3))).any()
    one_in_four = -K_B * (0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    table = pd.DataFrame({"phase": ["bcc"], "x_Fe": [0.25], "x_Ni": [0.75], "volume": [11.0]})
    np.testing.assert_allclose(configurational_entropy(table), [one_in_four])
    assert (configurational_entropy(composition_grid(SENARY, 0.1).points()) >= 0).all()


def test_free_energy_by_hand():
    assert free_energy(0.1, [0.5, 0.5], 1000) == pytest.approx(0.1 - 0.0597318, abs=1e-6)
    assert free_energy(0.1, [0.5, 0.5], 0) == 0.1
    grid = free_energy([0.0, 0.1], [[1, 0], [0.5, 0.5]], np.array([[0.0], [1000.0], [2000.0]]))
    assert grid.shape == (3, 2)
    np.testing.assert_allclose(grid[:, 0], 0)
    np.testing.assert_allclose(grid[:, 1], 0.1 - K_B * math.log(2) * np.array([0, 1000, 2000]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.4]], "row 1 has fractions that do not sum to one"),
        ([1.5, -0.5], "row 0 has a negative fraction"),
        ([np.nan, 1], "row 0 holds NaN"),
        (np.ones((1, 1, 1)), "shape"),
        (pd.DataFrame({"Fe": [1.0]}), "call them x_Fe"),
    ],
)
def test_entropy_refuses_what_is_no_composition(x, message):
    with pytest.raises(ValueError, match=message):
        configurational_entropy(x)


@pytest.mark.parametrize("temperature", [-1, np.nan, [300, -300]])
def test_free_energy_refuses_temperatures(temperature):
    with pytest.raises(ValueError, match="0 K or more"):
        free_energy(0.0, [0.5, 0.5], temperature)


def test_lattice_parameters_of_textbook_metals():
    # a (Å) at room temperature and volume per atom (Å³), Kittel, tables 3 and 4 of chapter 1.
    volume = {"fcc": 3.61**3 / 4, "bcc": 2.87**3 / 2, "diamond": 5.43**3 / 8, "sc": 3.34**3}
    a = lattice_parameter(list(volume.values()), list(volume))
    np.testing.assert_allclose(a, [3.61, 2.87, 5.43, 3.34])
    # Mg: 3.21 and 5.21 Å, close to the ideal ratio 1.633; the cell holds two atoms.
    magnesium = math.sqrt(3) / 2 * 3.21**2 * 5.21 / 2
    assert lattice_parameter(magnesium, "hcp") == pytest.approx(3.21, abs=0.01)
    # Equal nearest-neighbour distances mean equal densities of fcc and hcp.
    v = 11.0
    assert lattice_parameter(v, "fcc") / math.sqrt(2) == pytest.approx(lattice_parameter(v, "hcp"))
    with pytest.raises(ValueError, match=r"no cell is known for.*bct"):
        lattice_parameter(v, "bct")
    with pytest.raises(ValueError, match="positive"):
        lattice_parameter([v, 0], "fcc")


def phases_table(**energies):
    """Fe-Ni at 0, 50 and 100 %, one column of energies for each phase."""
    x = np.array([0.0, 0.5, 1.0])
    return pd.concat(
        [
            pd.DataFrame({"x_Fe": 1 - x, "x_Ni": x, "phase": phase, ENERGY: values})
            for phase, values in energies.items()
        ],
        ignore_index=True,
    )


def test_stable_phase_by_hand():
    table = phases_table(bcc=[0.0, 0.1, 0.3], fcc=[0.15, -0.05, 0.0], hcp=[0.2, 0.0, 0.01])
    shuffled = table.sample(frac=1, random_state=0)
    stable = stable_phase(shuffled).sort_values("x_Ni")
    assert stable["phase"].tolist() == ["bcc", "fcc", "fcc"]
    np.testing.assert_allclose(stable["gap to next phase (eV/atom)"], [0.15, 0.05, 0.01])
    np.testing.assert_array_equal(stable[ENERGY], [0, -0.05, 0])
    assert stable.index.tolist() == [0, 4, 5], "rows keep their labels"
    first_seen = shuffled["x_Ni"].drop_duplicates().tolist()
    assert stable_phase(shuffled)["x_Ni"].tolist() == first_seen
    assert len(table) == 9
    assert "gap to next phase (eV/atom)" not in table


def test_stable_phase_of_few_and_equal_phases():
    alone = stable_phase(phases_table(bcc=[0, 0.1, 0]))
    assert alone["gap to next phase (eV/atom)"].isna().all()
    equal = stable_phase(phases_table(fcc=[0, 0.1, 0], bcc=[0, 0.1, 0]))
    assert equal["phase"].tolist() == ["fcc"] * 3
    np.testing.assert_array_equal(equal["gap to next phase (eV/atom)"], 0)


def test_stable_phase_refuses():
    table = phases_table(bcc=[0.0, 0.1, 0.0], fcc=[0.0, 0.1, 0.0])
    with pytest.raises(ValueError, match="more than one row of a phase"):
        stable_phase(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(ValueError, match="no column 'phase'"):
        stable_phase(table.drop(columns="phase"))
    with pytest.raises(ValueError, match="1 of 6 energies that are not finite"):
        stable_phase(table.assign(**{ENERGY: [0, 1, np.nan, 0, 0, 0]}))
    mixing = table.rename(columns={ENERGY: "mixing energy (eV/atom)"})
    with pytest.raises(ValueError, match="cannot tell which"):
        stable_phase(mixing)
    with pytest.raises(ValueError, match="refer to different states of the elements"):
        stable_phase(mixing, energy="mixing energy (eV/atom)")


def test_hull_of_a_hand_made_system():
    # Tie lines: Fe to FeNi (fcc, -0.2), FeNi to Ni. bcc FeNi lies 0.25 above; fcc Fe 0.1.
    table = phases_table(bcc=[0.0, 0.05, 0.4], fcc=[0.1, -0.2, 0.0])
    quarter = {"x_Fe": 0.75, "x_Ni": 0.25, "phase": "bcc", ENERGY: -0.04}
    table = pd.concat([table, pd.DataFrame([quarter])], ignore_index=True)
    heights = energy_above_hull(table)
    np.testing.assert_allclose(heights, [0, 0.25, 0.4, 0.1, 0, 0, 0.06], atol=1e-12)


def test_entropy_takes_a_solution_to_the_hull():
    # Regular solution E = ω x (1 - x): spinodal below T = ω / 2 k_B, mixes at all x above.
    omega = 0.1
    x = np.linspace(0, 1, 101)
    table = pd.DataFrame({"x_Fe": 1 - x, "x_Cr": x, ENERGY: omega * x * (1 - x)})
    critical = omega / (2 * K_B)
    assert (energy_above_hull(table, 1.01 * critical) == 0).all()
    below = energy_above_hull(table, 0.8 * critical)
    # By symmetry the tie line is where dF/dx = 0: ω (1 - 2 x) = k_B T ln((1 - x) / x).
    from scipy.optimize import brentq

    temperature = 0.8 * critical
    binodal = brentq(
        lambda c: omega * (1 - 2 * c) - K_B * temperature * math.log((1 - c) / c), 0.01, 0.49
    )
    inside = (x > binodal + 0.01) & (x < 1 - binodal - 0.01)
    assert (below[inside] > 0).all()
    assert (below[(x < binodal - 0.01) | (x > 1 - binodal + 0.01)] == 0).all()
    middle = free_energy(
        [omega / 4, omega * binodal * (1 - binodal)],
        [[0.5, 0.5], [binodal, 1 - binodal]],
        temperature,
    )
    assert below[50] == pytest.approx(middle[0] - middle[1], abs=1e-5)


def test_hull_agrees_with_pymatgen():
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition

    rng = np.random.default_rng(0)
    points = composition_grid(["Fe", "Ni", "Cr", "Mn"], 0.25).points()
    table = pd.concat([points.assign(phase=p) for p in ("bcc", "fcc")], ignore_index=True)
    table[ENERGY] = rng.normal(0, 0.05, len(table))
    entries = [
        PDEntry(Composition(dict(zip(["Fe", "Ni", "Cr", "Mn"], 4 * x))), 4 * energy)
        for x, energy in zip(table.iloc[:, :4].to_numpy(), table[ENERGY])
    ]
    diagram = PhaseDiagram(entries)
    expected = [diagram.get_e_above_hull(entry) for entry in entries]
    np.testing.assert_allclose(energy_above_hull(table), expected, atol=1e-9)


def test_flat_hulls():
    points = composition_grid(["Fe", "Ni", "Cr"], 0.1, {"Cr": 0.2}, {"Cr": 0.2}).points()
    straight = points.assign(**{ENERGY: 0.3 * points["x_Fe"] - 0.1})
    np.testing.assert_array_equal(energy_above_hull(straight), 0)
    one = pd.DataFrame({"x_Fe": [0.5, 0.5], "x_Ni": [0.5, 0.5], ENERGY: [0.2, 0.1]})
    np.testing.assert_allclose(energy_above_hull(one), [0.1, 0])
