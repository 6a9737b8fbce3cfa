"""Screening: rows, phases, the best, and their files."""

import math
import types
import warnings

import numpy as np
import pandas as pd
import pytest
from phase_model import ENERGY, PhaseModel, Warns, linear_model
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklmat import CompositionFeaturizer, EFTGANRegressor
from sklmat.screening import (
    composition_grid,
    configurational_entropy,
    energy_above_hull,
    free_energy,
    lattice_parameter,
    screen,
    stable_phase,
)

K_B = 8.617333262e-5


@pytest.fixture
def grid():
    return composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)


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
    with pytest.raises(ValueError, match="was not fitted on Pd, Mn, but on Cr, Fe, Ni"):
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
    X = pd.DataFrame({"x_Fe": [1.0, 0.0], "x_Ni": [0.0, 1.0]})
    classes = LogisticRegression().fit(X, ["soft", "hard"])
    with pytest.raises(TypeError, match=r"predicts 'hard' for \{'x_Fe': 0.0, .*no number"):
        screen(classes, composition_grid(["Fe", "Ni"], 0.5))
    with pytest.raises(TypeError, match=r"grid must come from composition_grid.* list"):
        screen(PhaseModel(), [[0.5, 0.5]])


def test_a_search_predicts_with_its_best_estimator(grid):
    search = types.SimpleNamespace(best_estimator_=PhaseModel(), predict=lambda X: None)
    pd.testing.assert_frame_equal(screen(search, grid), screen(PhaseModel(), grid))


def test_what_is_not_fitted_or_not_sure_is_refused(grid):
    with pytest.raises(NotFittedError, match="EFTGANRegressor is not fitted"):
        screen(EFTGANRegressor(), grid)
    with pytest.raises(TypeError, match="LinearRegression gives no uncertainty"):
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
def test_what_a_model_warns_of_is_said_once(grid, n_jobs, processes):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = screen(Warns(), grid, n_jobs=n_jobs)
    assert len(table) == 132
    # joblib has warnings of its own on a busy machine.
    (said,) = [w for w in caught if "chromium" in str(w.message)]
    # Chromium is the last element, so the first composition is all of it.
    assert str(said.message).startswith("table 0 of the grid: 1 of 8 are all chromium")


def test_predictions_that_are_no_numbers_are_named(grid):
    model = PhaseModel()
    model.shift = np.nan
    with pytest.raises(ValueError, match=r"not finite.*x_Cr"):
        screen(model, grid)


@pytest.mark.parametrize("is_scaled", [False, True])
def test_elements_of_a_featurizer_in_a_union(is_scaled):
    formulas, part = ["Fe", "Ni", "FeNi", "Fe3Ni", "FeNi3"], CompositionFeaturizer()
    union = make_union(make_pipeline(part, StandardScaler()) if is_scaled else part)
    model = make_pipeline(union, Ridge()).fit(formulas, [1.0, 3.0, 2.0, 1.5, 2.5])
    found = screen(model, composition_grid(["Fe", "Ni"], 0.5), targets="y")
    expected = dict(zip([0.0, 0.5, 1.0], model.predict(["Fe", "FeNi", "Ni"])))
    np.testing.assert_allclose(found["y"], found["x_Ni"].map(expected))
    with pytest.raises(ValueError, match="was not fitted on Cr, but on Fe, Ni"):
        screen(model, composition_grid(["Fe", "Cr"], 0.5))
