"""The InfoGAN learns the codes, keeps fractions and categories, and refuses wrong input."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline as SamplingPipeline
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from tables import CODE, ELEMENTS, FEATURES, QUICK, SMALL, inner_alloys

from sklmat.augmentation import AugmentedClassifier, AugmentedRegressor, InfoGANAugmenter
from sklmat.augmentation import _iterated_gan as iterated_gan_module
from sklmat.estimator_checks import make_toy_table
from sklmat.training import _gan_loop as training_module

pytestmark = pytest.mark.usefixtures("few_trees")


def reader(X):
    """Regressor from features to fractions."""
    powers = PolynomialFeatures(2)
    model = make_pipeline(StandardScaler(), powers, RidgeCV(np.logspace(-4, 2, 7)))
    return model.fit(X[FEATURES], X[CODE])


def recovered(augmenter, X):
    """R² of fractions read from generated features by a regressor that knows the real ones."""
    new = augmenter.sample(300)
    return reader(X).score(new[FEATURES], new[CODE])


def test_the_code_is_recovered_from_generated_features(fitted):
    assert recovered(fitted, inner_alloys()[0]) > 0.95


def test_information_alone_makes_the_code_recoverable():
    X, _ = inner_alloys()
    augmenter = InfoGANAugmenter(**SMALL, reconstruction_weight=0, random_state=0).fit(X)
    assert recovered(augmenter, X) > 0.9


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_without_information_and_reconstruction_the_code_is_lost(seed):
    X, _ = inner_alloys()
    weights = {"info_weight": 0, "reconstruction_weight": 0}
    augmenter = InfoGANAugmenter(**SMALL, **weights, random_state=seed).fit(X)
    assert recovered(augmenter, X) < 0.5


def test_features_of_unseen_compositions_are_right(fitted):
    X, _ = inner_alloys(60, seed=1)
    made = fitted.sample(X, noise=False)
    assert r2_score(X[FEATURES], made[FEATURES]) > 0.85


def test_categories_are_learned_and_kept():
    X, _ = inner_alloys(80)
    fcc = np.arange(80) % 2
    X["lattice_bcc"], X["lattice_fcc"] = 1.0 - fcc, 1.0 * fcc
    X["Fe_0"] += 3 * fcc
    augmenter = InfoGANAugmenter(**{**SMALL, "max_epochs": 80}, random_state=0).fit(X)
    codes = X[[*CODE, "lattice_bcc", "lattice_fcc"]]
    made = augmenter.sample(codes)
    assert_array_equal(made[codes.columns], codes)
    assert augmenter.gans_[0].config["categories"] == [2]
    difference = made["Fe_0"][fcc == 1].mean() - made["Fe_0"][fcc == 0].mean()
    assert_allclose(difference, 3, atol=0.5)


# -- what is kept


def has_zeros_where_absent(new):
    for element in ELEMENTS:
        absent = new[f"x_{element}"] == 0
        block = new[[f"{element}_0", f"{element}_1"]]
        assert absent.any()
        assert (block[absent] == 0).all(axis=None)
        assert (block[~absent] != 0).all(axis=None)


@pytest.mark.parametrize("noise", [True, False])
def test_codes_are_exact_and_absent_blocks_zero(noise):
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    made = augmenter.sample(X, noise=noise)
    codes = X.columns[:5]
    assert_array_equal(augmenter.code_features_, range(5))
    assert_array_equal(made[codes], X[codes])
    assert made.index.equals(X.index)
    has_zeros_where_absent(made)


def test_plain_arrays_keep_codes_and_zeros():
    X, _ = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X.to_numpy())
    made = augmenter.sample(X.to_numpy()[:, :5])
    assert isinstance(made, np.ndarray)
    assert_array_equal(made[:, :5], X.to_numpy()[:, :5])
    has_zeros_where_absent(pd.DataFrame(made, columns=X.columns))


def test_columns_stay_in_order_wherever_the_codes_are():
    X, y = make_toy_table(30)
    mixed = X[X.columns[[6, 2, 11, 4, 0, 8, 3, 1, 5, 7, 9, 10]]]
    augmenter = InfoGANAugmenter(**QUICK).fit(mixed, y)
    made = augmenter.sample(mixed)
    assert list(made.columns) == list(mixed.columns)
    assert_array_equal(made[X.columns[:5]], X[X.columns[:5]])
    has_zeros_where_absent(made)


def test_constant_features_stay_constant():
    X, _ = inner_alloys(40)
    X["cells"] = 16.0
    augmenter = InfoGANAugmenter(**QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        augmenter.fit(X)
        assert_array_equal(augmenter.sample(20)["cells"], np.full(20, 16.0))
        nothing_varies = X[[*CODE, "cells"]]
        made = InfoGANAugmenter(**QUICK).fit(nothing_varies).sample(5)
    assert_array_equal(made["cells"], np.full(5, 16.0))


def test_rounding_errors_of_a_constant_are_no_feature():
    X, _ = inner_alloys(40)
    X["pressure (GPa)"] = np.where(np.arange(40) % 2, 0.1, np.nextafter(0.1, 1))
    codec = InfoGANAugmenter(**QUICK).fit(X)._gan.codec
    assert_allclose(codec.encode_features(X.to_numpy())[:, -1], 0, atol=1e-12)


def test_code_features_by_name_place_and_function():
    X, _ = make_toy_table(30)
    ways = [
        list(X.columns[:5]),
        list(range(5)),
        lambda table: [name for name in table if name.startswith(("x_", "lattice_"))],
    ]
    made = []
    for way in ways:
        augmenter = InfoGANAugmenter(code_features=way, **QUICK).fit(X)
        assert_array_equal(augmenter.code_features_, range(5))
        made.append(augmenter.sample(4).to_numpy())
    assert_array_equal(made[0], made[1])
    assert_array_equal(made[0], made[2])


def test_any_column_can_be_the_code():
    X, _ = inner_alloys(40)
    X["pressure (GPa)"] = np.linspace(0, 5, 40)
    augmenter = InfoGANAugmenter(code_features=["pressure (GPa)"], **QUICK).fit(X)
    made = augmenter.sample(pd.DataFrame({"pressure (GPa)": [1.5, 4.0]}))
    assert_array_equal(made["pressure (GPa)"], [1.5, 4.0])
    assert (augmenter.sample(50)["pressure (GPa)"].between(0, 5)).all()


def test_drawn_codes():
    X, y = make_toy_table(30)
    for how in ("interpolate", "uniform"):
        new = InfoGANAugmenter(code_sampling=how, **QUICK).fit(X, y).sample(200)
        fractions = new[CODE].to_numpy()
        assert (fractions >= 0).all()
        assert_allclose(fractions.sum(axis=1), 1)
        phases = new[["lattice_bcc", "lattice_fcc"]].to_numpy()
        assert_array_equal(np.sort(phases, axis=1), np.tile([0, 1], (200, 1)))
        # Mixtures of two alloys without iron have none; a uniform draw always has some.
        assert (fractions == 0).any() == (how == "interpolate")
    # Mean and standard deviation of the uniform distribution on a triangle.
    assert_allclose(fractions.mean(axis=0), 1 / 3, atol=0.05)
    assert_allclose(fractions.std(axis=0), 18**-0.5, atol=0.03)


def test_permuted_codes_are_real_fractions_of_other_elements():
    X, _ = make_toy_table(30)
    # Two thirds of the rows are bcc, and manganese is in none.
    X["lattice_bcc"] = 1.0 * (np.arange(30) % 3 > 0)
    X["lattice_fcc"] = 1 - X["lattice_bcc"]
    X.insert(3, "x_Mn", 0.0)
    new = InfoGANAugmenter(code_sampling="permute", **QUICK).fit(X).sample(300)
    assert (new["x_Mn"] == 0).all()
    real = {tuple(row) for row in np.sort(X[CODE].to_numpy(), axis=1)}
    assert {tuple(row) for row in np.sort(new[CODE].to_numpy(), axis=1)} <= real
    as_they_are = {tuple(row) for row in X[CODE].to_numpy()}
    kept = np.mean([tuple(row) in as_they_are for row in new[CODE].to_numpy()])
    # Of six ways to deal out three fractions, one is that of the real row.
    assert abs(kept - 1 / 6) < 0.08
    assert abs(new["lattice_bcc"].mean() - 2 / 3) < 0.08


def test_codes_without_fractions_are_mixed_where_they_cannot_be_permuted():
    X, _ = inner_alloys(40)
    table = X[FEATURES].assign(pressure=np.linspace(0, 5, 40))
    new = InfoGANAugmenter("pressure", code_sampling="permute", **QUICK).fit(table).sample(50)
    assert new["pressure"].between(0, 5).all()
    assert not np.isin(new["pressure"], table["pressure"]).all()


def test_mixtures_are_of_one_lattice():
    X, _ = make_toy_table(30)
    bcc = X["lattice_bcc"] == 1
    X["x_Fe"] = np.where(bcc, np.linspace(0.2, 0.8, 30), 0.0)
    X["x_Pd"] = np.where(bcc, 0.0, np.linspace(0.2, 0.8, 30))
    X["x_Ni"] = 1 - X["x_Fe"] - X["x_Pd"]
    X.loc[X["x_Fe"] == 0, ["Fe_0", "Fe_1"]] = 0.0
    X.loc[X["x_Pd"] == 0, ["Pd_0", "Pd_1"]] = 0.0
    new = InfoGANAugmenter(code_sampling="interpolate", **QUICK).fit(X).sample(100)
    assert_array_equal(new["x_Fe"] > 0, new["lattice_bcc"] == 1)
    assert_array_equal(new["x_Pd"] > 0, new["lattice_fcc"] == 1)
    # Mixtures, and not the real alloys again.
    assert np.isin(new["x_Fe"].round(9), X["x_Fe"].round(9)).mean() < 0.8


def test_uniform_codes_have_no_element_that_no_row_has():
    X, _ = inner_alloys(40)
    X.insert(3, "x_Mn", 0.0)
    new = InfoGANAugmenter(code_sampling="uniform", **QUICK).fit(X).sample(20)
    assert (new["x_Mn"] == 0).all()
    assert_allclose(new[CODE].sum(axis=1), 1)


# -- seeds, interruption, containers


def test_the_seed_decides_and_global_states_stay():
    X, y = make_toy_table()
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one = InfoGANAugmenter(**QUICK).fit(X, y)
    first = one.sample(20)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    torch.manual_seed(4)
    assert_array_equal(InfoGANAugmenter(**QUICK).fit(X, y).sample(20), first)
    assert_array_equal(one.sample(20), first)
    other = InfoGANAugmenter(**{**QUICK, "random_state": 1}).fit(X, y).sample(20)
    assert not np.isclose(other, first).all(axis=1).any()


def test_noise_and_members_vary_what_is_generated():
    X, _ = inner_alloys(40)
    same = X.iloc[[0] * 60]
    augmenter = InfoGANAugmenter(**QUICK).fit(X)
    best, noisy = augmenter.sample(same, noise=False), augmenter.sample(same)
    assert_allclose(best[FEATURES].std(), 0, atol=1e-6)
    assert (noisy[FEATURES].std() > 0).all()
    alone = InfoGANAugmenter(**{**QUICK, "n_ensemble": 1}).fit(X)
    assert alone.gans_[0].config["n_members"] == 1
    assert alone.sample(3).shape == (3, 12)


def test_members_take_turns_in_any_order():
    X, _ = inner_alloys(40)
    augmenter = InfoGANAugmenter(**{**QUICK, "n_ensemble": 3}).fit(X)
    with torch.no_grad():
        augmenter.gans_[0].generator.output.bias[1] += 1000
    second = (augmenter.sample(X.iloc[[0] * 60])["Fe_0"] > 100).to_numpy()
    assert second.sum() == 20
    assert not np.array_equal(second, np.arange(60) % 3 == 1)


def test_history_has_a_row_for_each_epoch():
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(moment_weight=0.5, **QUICK).fit(X, y)
    history = pd.DataFrame(augmenter.history_)
    losses = ["discriminator", "generator", "information", "reconstruction", "moments"]
    assert list(history) == ["iteration", "epoch", *losses, "dur"]
    assert list(history["epoch"]) == [1, 2, 3]
    assert (history["iteration"] == 1).all()
    assert (history[losses] > 0).all(axis=None)


def test_losses_fall(fitted):
    first, last = fitted.history_[0], fitted.history_[-1]
    assert last["reconstruction"] < 0.1 * first["reconstruction"]
    assert last["information"] < 0.1 * first["information"]


def interrupt_after(monkeypatch, n_epochs):
    epoch, done = training_module._epoch, []

    def interrupted(*args):
        if len(done) == n_epochs:
            raise KeyboardInterrupt
        done.append(1)
        return epoch(*args)

    monkeypatch.setattr(training_module, "_epoch", interrupted)


def test_an_interrupted_network_is_kept(monkeypatch):
    X, y = make_toy_table()
    interrupt_after(monkeypatch, 2)
    augmenter = InfoGANAugmenter(**{**QUICK, "max_epochs": 9})
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 of 9 epochs"):
        augmenter.fit(X, y)
    assert len(augmenter.history_) == 2
    assert augmenter.sample(3).shape == (3, 12)


def test_an_interruption_before_the_first_epoch_is_passed_on(monkeypatch):
    interrupt_after(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        InfoGANAugmenter(**QUICK).fit(*make_toy_table())


def test_losses_that_overflow_are_an_error():
    X, _ = inner_alloys(40)
    with pytest.raises(FloatingPointError, match="smaller lr"):
        InfoGANAugmenter(**{**QUICK, "lr": 1e30, "max_epochs": 30}).fit(X)


def test_a_progress_bar_when_verbose(capsys):
    X, y = make_toy_table()
    InfoGANAugmenter(**QUICK).fit(X, y)
    assert capsys.readouterr().err == ""
    InfoGANAugmenter(verbose=True, **QUICK).fit(X, y)
    assert "3/3" in capsys.readouterr().err


def test_fitted_augmenters_are_saved_and_cloned(tmp_path, fitted):
    joblib.dump(fitted, tmp_path / "gan.joblib")
    for again in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "gan.joblib")):
        assert_array_equal(again.sample(5), fitted.sample(5))
    new = clone(fitted)
    assert new.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        new.sample(5)


# -- collapse


def collapsed_training(gan, *args, **settings):
    with torch.no_grad():
        gan.generator.output.weight.zero_()
        gan.generator.output.bias.fill_(3.0)
    return [{"epoch": 1}]


@pytest.mark.parametrize("table", [inner_alloys, make_toy_table])
def test_a_collapse_is_warned_of(monkeypatch, table):
    monkeypatch.setattr(iterated_gan_module, "train_gan", collapsed_training)
    with pytest.warns(ConvergenceWarning, match="collapsed: .* vary by 0%") as caught:
        InfoGANAugmenter(**QUICK).fit(*table())
    assert caught[0].filename == __file__


# -- what is refused


def test_codes_that_cannot_be_are_refused(fitted):
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    good = X.iloc[:3, :5].to_numpy().copy()
    good[:, :3] = [0.2, 0.3, 0.5]
    cases = [
        ([0.2, 0.3, 0.6, 1, 0], "row 1 has fractions that do not sum to one: .0.2, 0.3, 0.6"),
        ([0.7, -0.2, 0.5, 1, 0], "row 1 has a negative fraction"),
        ([0.2, 0.3, 0.5, 0.5, 0.5], "row 1 must have a single 1"),
        ([0.2, 0.3, 0.5, 1, 1], "row 1 must have a single 1"),
        ([0.2, 0.3, np.nan, 1, 0], "row 1 holds NaN"),
    ]
    for row, message in cases:
        codes = good.copy()
        codes[1] = row
        with pytest.raises(ValueError, match=message):
            augmenter.sample(codes)
    with pytest.raises(ValueError, match=r"lack the columns \['lattice_fcc'\]"):
        augmenter.sample(X[["x_Fe", "x_Ni", "x_Pd", "lattice_bcc"]])
    with pytest.raises(ValueError, match=r"5 columns, got shape \(3, 4\)"):
        augmenter.sample(good[:, :4])
    with pytest.raises(ValueError, match="must not be negative"):
        augmenter.sample(-1)
    assert augmenter.sample(0).shape == (0, 12)


def test_elements_and_phases_that_no_row_has_are_refused():
    X, _ = inner_alloys(40)
    X.insert(3, "x_Mn", 0.0)
    X["lattice_bcc"], X["lattice_fcc"] = 1.0, 0.0
    augmenter = InfoGANAugmenter(**QUICK).fit(X)
    codes = X.loc[:2, [*CODE, "x_Mn", "lattice_bcc", "lattice_fcc"]].copy()
    with pytest.raises(ValueError, match="row 2 has lattice_fcc, which no training row has"):
        augmenter.sample(codes.assign(lattice_bcc=[1, 1, 0], lattice_fcc=[0, 0, 1]))
    codes.loc[1, ["x_Fe", "x_Ni", "x_Pd", "x_Mn"]] = [0.3, 0.3, 0.3, 0.1]
    with pytest.raises(ValueError, match="row 1 has x_Mn, which no training row has"):
        augmenter.sample(codes)


def test_tables_that_cannot_be_are_refused():
    X, y = make_toy_table()
    cases = [
        (X[X.columns[5:]], {}, "no code columns found"),
        (X[X.columns[:5]], {}, "nothing to generate"),
        (X, {"n_iterations": 2}, "fit needs y"),
        (X, {"code_features": ["x_Zz"]}, "no column 'x_Zz'"),
    ]
    for table, settings, message in cases:
        with pytest.raises(ValueError, match=message):
            InfoGANAugmenter(**QUICK, **settings).fit(table)
    for limit in (-1.0, [0.1, 0.2, 0.3], [0.1, -1]):
        with pytest.raises(ValueError, match="max_uncertainty"):
            InfoGANAugmenter(**QUICK, max_uncertainty=limit).fit(X, y)


# -- inside other estimators


def test_in_pipelines_and_searches():
    X, y = inner_alloys(60)
    augmenter = InfoGANAugmenter(**{**QUICK, "max_epochs": 40}, n_samples=0.5)
    steps = SamplingPipeline([("gan", augmenter), ("ridge", RidgeCV())])
    assert np.mean(cross_val_score(steps, X, y, cv=3, error_score="raise")) > 0.8
    model = AugmentedRegressor(RidgeCV(), InfoGANAugmenter(**QUICK, n_samples=0.5))
    search = GridSearchCV(model, {"augmenter__n_samples": [0, 9]}, cv=2)
    assert search.fit(X, y).best_estimator_.predict(X).shape == (60,)
    fitted = model.fit(X, y)
    assert fitted.augmenter_.sample_origin_.sum() == 30
    classes = np.where(y > y.median(), "high", "low")
    classifier = AugmentedClassifier(LogisticRegression(max_iter=1000), augmenter).fit(X, classes)
    assert classifier.score(X, classes) > 0.8
