"""Structures in, compositions out: every form of input, seeds, and no leak."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Composition
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_eftgan import COLUMNS, ELEMENTS, NAMES, ecnet, energy, frame, infogan, tiny

from sklmat import ECNetRegressor, EFTGANRegressor, ExtrapolationWarning, InfoGANAugmenter
from sklmat.datasets import make_alloys
from sklmat.eftgan import _regressor
from sklmat.eftgan._relaxation import LatticeRelaxation

# -- what can be predicted


def test_structures_are_predicted_by_the_network(model, alloys, graphs):
    structures = alloys[0][:6]
    expected = model.estimator_.predict(structures)
    assert_array_equal(model.predict(structures), expected)
    assert_array_equal(model.predict(pd.Series(structures, index=range(3, 9))), expected)
    assert_allclose(model.predict(graphs[:6]), expected, atol=1e-6)
    mean, std = model.predict(structures, return_std=True)
    assert_array_equal(mean, expected)
    assert_array_equal(std, model.estimator_.predict(structures, return_std=True)[1])
    assert std.min() > 0


def test_all_forms_of_a_composition_are_one(model, grid):
    expected = model.predict(grid, phase="fcc")
    assert np.ptp(expected) > 0.01
    table = pd.DataFrame(grid, columns=COLUMNS, index=range(5, 20))
    formulas = [f"Ni{7 * a:.0f}Cu{7 * b:.0f}Pd{7 * c:.0f}" for a, b, c in grid]
    forms = {
        "columns x_Fe": table,
        "other order": table[COLUMNS[::-1]],
        "columns Fe": table.rename(columns=lambda name: name[2:]),
        "zeros of a new element": table.assign(x_Au=0.0),
        "Fortran order": np.asfortranarray(grid),
        "Composition": [Composition(formula) for formula in formulas],
    }
    for name, X in forms.items():
        assert_allclose(model.predict(X, phase="fcc"), expected, rtol=1e-6, err_msg=name)
    forms |= {
        "formulas": formulas,
        "Series": pd.Series(formulas, index=range(5, 20)),
        "dicts": [dict(zip(ELEMENTS, 3.0 * row)) for row in grid],
        "array": grid,
    }
    for name, X in forms.items():
        told = model.predict_composition(X, phase="fcc")
        assert_allclose(told, expected, rtol=1e-6, err_msg=name)
        # Probabilities need the same compositions.
        likely = model.lattice_probability(X, "bcc").to_numpy()
        assert_allclose(likely, model.lattice_probability(grid, "bcc"), rtol=1e-4, err_msg=name)


def test_absent_columns_are_absent_elements(model):
    two = pd.DataFrame({"Cu": [0.5, 0.25], "Ni": [0.5, 0.75]})
    expected = model.predict(np.array([[0.5, 0.5, 0], [0.75, 0.25, 0]]), phase="fcc")
    assert_allclose(model.predict(two, phase="fcc"), expected, rtol=1e-6)
    # A new element is refused where it is used, not where its column is zero.
    with pytest.raises(ValueError, match=r"row 1 of the table has a column 'Au'"):
        model.predict(two.assign(Ni=[0.5, 0.65], Au=[0, 0.1]), phase="fcc")


def test_one_phase_for_all_or_one_for_each(model, grid):
    bcc, fcc = (model.predict(grid, phase=phase) for phase in ("bcc", "fcc"))
    assert np.abs(bcc - fcc).max() > 0.05
    mixed = np.resize(["fcc", "bcc"], len(grid))
    for phase in (mixed, list(mixed), pd.Series(mixed, index=range(9, 24)), mixed.astype(object)):
        told = model.predict(grid, phase=phase)
        assert_allclose(told, np.where(mixed == "fcc", fcc, bcc), atol=1e-4)


def test_one_fitted_phase_need_not_be_named(graphs, alloys, targets, grid):
    rows = np.flatnonzero(alloys[2] == "fcc")
    alone = tiny().fit(graphs[rows], targets[NAMES[0]].iloc[rows], phase=alloys[2][rows])
    assert alone.phases_ == ["fcc"]
    assert_array_equal(alone.predict(grid), alone.predict(grid, phase="fcc"))
    assert_array_equal(alone.lattice_probability(grid), np.ones((len(grid), 1)))


def test_several_targets_and_their_names(model, both, graphs, grid):
    assert model.target_names_ == NAMES[:1]
    assert model.n_outputs_ == 1
    assert both.target_names_ == NAMES
    assert both.n_outputs_ == 2
    mean, std = both.predict(grid, phase="bcc", return_std=True)
    assert mean.shape == std.shape == (15, 2)
    assert both.predict(graphs[:3]).shape == (3, 2)
    # Two columns that are different things.
    assert_allclose(mean, both.predict(grid, phase="bcc"), rtol=1e-3, atol=1e-4)
    assert np.corrcoef(mean[:, 1], grid @ [0.6, 0.0, 0.1])[0, 1] > 0.9
    assert np.corrcoef(mean[:, 0], energy(grid, ["bcc"] * 15))[0, 1] > 0.9


def test_targets_without_names(graphs, targets):
    values = targets.to_numpy()
    assert tiny(estimator=ecnet(max_epochs=1)).fit(graphs, values).target_names_ == ["y0", "y1"]
    column = tiny(estimator=ecnet(max_epochs=1)).fit(graphs, values[:, :1])
    assert column.target_names_ == ["y0"]
    assert column.predict(np.full((3, 3), 1 / 3), phase="fcc").shape == (3, 1)
    assert column.predict(graphs[:2]).shape == (2, 1)
    assert tiny(estimator=ecnet(max_epochs=1)).fit(graphs, values[:, 0]).target_names_ == ["y"]


# -- conventions


def test_seed_clone_pickle_and_order(model, graphs, alloys, targets, grid):
    again = clone(model).fit(graphs, targets[NAMES[0]], phase=alloys[2])
    expected, std = model.predict(grid, phase="bcc", return_std=True)
    for same in (again, pickle.loads(pickle.dumps(model))):
        told = same.predict(grid, phase="bcc", return_std=True)
        assert_array_equal(told, [expected, std])
        assert_array_equal(same.predict(graphs[:5]), model.predict(graphs[:5]))
    other = clone(model).set_params(random_state=1)
    other.fit(graphs, targets[NAMES[0]], phase=alloys[2])
    assert np.abs(other.predict(grid, phase="bcc") - expected).max() > 1e-4
    assert set(model.get_params(deep=False)) == set(model._parameter_constraints)
    assert model.get_params()["augmenter__max_epochs"] == 8


def test_order_and_pieces_change_nothing(both, grid, monkeypatch):
    X = np.tile(grid, (4, 1))
    phase = np.resize(["bcc", "fcc", "fcc"], len(X))
    whole = both.predict(X, phase=phase)
    monkeypatch.setattr(_regressor, "_CHUNK", 7)
    assert_allclose(both.predict(X, phase=phase), whole, atol=1e-4)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(both.predict(X[order], phase=phase[order]), whole[order], atol=1e-4)
    mean, std = both.predict(X[:40], phase=phase[:40], return_std=True)
    alone = [both.predict(X[k : k + 1], phase=phase[k], return_std=True) for k in range(40)]
    assert_allclose(mean, np.vstack([m for m, _ in alone]), rtol=1e-6)
    assert_allclose(std, np.vstack([s for _, s in alone]), rtol=1e-4)


def test_inputs_are_left_alone(model, alloys, targets):
    table = frame(*alloys[1])
    before = table.copy()
    phase = alloys[2].astype(object)
    model.predict(table, phase=phase)
    pd.testing.assert_frame_equal(table, before)
    assert phase.tolist() == alloys[2].tolist()


def test_parameters_reach_the_stages(graphs, alloys, targets):
    y = targets[NAMES[0]]
    given = infogan(max_epochs=3, random_state=5)
    network = ecnet(max_epochs=1, random_state=7)
    own = EFTGANRegressor(network, given, n_components=2).fit(graphs, y)
    assert own.augmenter_.random_state == 5
    assert own.estimator_.random_state == 7
    assert own.augmenter_.n_iterations == 1
    forest = make_pipeline(StandardScaler(), RandomForestRegressor(3, random_state=9))
    seeded = EFTGANRegressor(
        network, given, forest, n_components=2, n_iterations=2, random_state=3
    ).fit(graphs, y)
    assert seeded.augmenter_.n_iterations == 2
    assert len(seeded.augmenter_.validation_errors_) == 2
    seeds = {
        seeded.augmenter_.random_state,
        seeded.estimator_.random_state,
        seeded.regressor_[-1].random_state,
    }
    assert len(seeds) == 3
    assert not seeds & {3, 5, 7, 9}
    # What was handed over is as it was.
    assert (given.random_state, given.n_iterations, network.random_state) == (5, 1, 7)
    assert not hasattr(given, "gans_")
    assert forest[-1].random_state == 9


def test_a_trained_network_is_taken_as_it_is(model, graphs, alloys, targets):
    frozen = tiny(estimator=FrozenEstimator(model.estimator_)).fit(graphs, targets[NAMES[0]])
    assert_array_equal(frozen.predict(graphs[:9]), model.predict(graphs[:9]))


def test_metadata_routing_changes_nothing(model, graphs, alloys, targets):
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(model).fit(graphs, targets[NAMES[0]], phase=alloys[2])
    assert_array_equal(routed.predict(graphs[:9]), model.predict(graphs[:9]))
    assert routed.report_.classifier_auc == model.report_.classifier_auc


def test_in_cross_validation(alloys, targets):
    y = targets[NAMES[0]].to_numpy()
    quick = tiny(estimator=ecnet(max_epochs=1), augmenter=infogan(max_epochs=2))
    scores = cross_val_score(quick, alloys[0], y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()


# -- leaks


def test_held_out_rows_are_never_seen(graphs, alloys, targets):
    """Other structures and targets in the test fold change no prediction for it from outside."""
    y = targets[NAMES[0]].to_numpy()
    (train, test), *_ = KFold(4, shuffle=True, random_state=0).split(y)
    quick = tiny(augmenter=infogan(n_samples=8, max_epochs=5), n_iterations=2)
    told = cross_val_predict(quick, graphs, y, cv=[(train, test), (test, train)])[test]
    spoiled = y.copy()
    spoiled[test] += 100
    fold = clone(quick).fit(graphs[train], spoiled[train])
    assert_array_equal(fold.predict(graphs[test]), told)
    direct = clone(quick).fit(graphs[train], y[train])
    x = alloys[1][test]
    assert_array_equal(fold.predict(x, phase="fcc"), direct.predict(x, phase="fcc"))


def test_every_stage_sees_the_training_rows_and_no_others(graphs, alloys, targets, monkeypatch):
    seen = {}

    def watch(owner, method, name):
        original = getattr(owner, method)

        def watched(self, X, *args, **kwargs):
            seen.setdefault(name, []).append(np.asarray(args[0], dtype=object).tolist())
            return original(self, X, *args, **kwargs)

        monkeypatch.setattr(owner, method, watched)

    watch(_regressor.ECNetFeaturizer, "fit_transform", "table")
    watch(ECNetRegressor, "fit", "network")
    watch(InfoGANAugmenter, "fit_resample", "augmenter")
    watch(LatticeRelaxation, "fit", "relaxation")
    watch(BayesianRidge, "fit", "regressor")
    # Each row has a target of its own, so that targets tell which rows were there.
    y = np.arange(48.0)
    train = np.random.default_rng(0).permutation(48)[:30]
    phase = alloys[2][train]
    tiny(BayesianRidge(), augmenter=infogan()).fit(graphs[train], y[train], phase)
    assert seen.pop("relaxation") == [phase.tolist()]
    assert set(seen) == {"table", "network", "augmenter", "regressor"}
    for name, calls in seen.items():
        assert calls == [y[train].tolist()], name


# -- what it is for


@pytest.mark.slow
def test_learns_what_composition_and_lattice_say():
    """Energies of random alloys are predicted nearly as well as by a Gaussian process."""
    alloys = make_alloys(90, lattice=["bcc", "fcc"], n_atoms=16, order=0.0)
    y, phase = alloys.target, alloys.frame["lattice"].to_numpy()
    x = alloys.frame[[f"x_{symbol}" for symbol in ("Ni", "Cu", "Pd", "Pt")]]
    train, test = np.arange(60), np.arange(60, 90)
    model = EFTGANRegressor(
        ECNetRegressor(max_epochs=60, n_ensemble=2),
        InfoGANAugmenter(n_samples=0, max_epochs=200, n_ensemble=2),
        random_state=0,
    ).fit([alloys.data[row] for row in train], y[train], phase=phase[train])
    table = x.assign(bcc=phase == "bcc").to_numpy(float)
    process = GaussianProcessRegressor(
        ConstantKernel() * RBF() + WhiteKernel(), normalize_y=True, random_state=0
    ).fit(table[train], y[train])

    def error(told):
        return np.sqrt(np.mean((told - y[test]) ** 2))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        without = error(model.predict(x.iloc[test], phase=phase[test]))
    mean, rival = error(y[train].mean()), error(process.predict(table[test]))
    assert without < 0.4 * mean
    assert without < 1.25 * rival
