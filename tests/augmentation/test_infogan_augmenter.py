"""The InfoGAN learns what it should, keeps what it must, and the report tells good from bad."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import Pipeline as SamplingPipeline
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from torch.nn import functional as F

from sklmat.augmentation import AugmentedClassifier, AugmentedRegressor, InfoGANAugmenter
from sklmat.augmentation import _iterated_gan as iterated_gan_module
from sklmat.augmentation._labeler import label_rows
from sklmat.augmentation._quality_report import quality_report
from sklmat.estimator_checks import make_toy_table
from sklmat.networks import InfoGAN
from sklmat.training import _gan_loop as training_module
from sklmat.training._gan_loop import GANTrainer, moment_distance

ELEMENTS = ("Fe", "Ni", "Pd")
CODE = [f"x_{element}" for element in ELEMENTS]
FEATURES = [f"{element}_{k}" for element in ELEMENTS for k in range(3)]
#: One small network that learns the tables below in less than a second.
SMALL = {"n_ensemble": 1, "hidden_dim": 32, "batch_size": 60, "max_epochs": 300}
#: Networks that learn nothing, where what is learned does not matter.
QUICK = {"n_ensemble": 2, "hidden_dim": 8, "max_epochs": 3, "random_state": 0}


def inner_alloys(n=120, seed=0):
    """All three elements in every row, features smooth in the fractions, and some noise."""
    laws, rng = np.random.default_rng(0), np.random.default_rng(seed)
    x = rng.dirichlet([4, 4, 4], size=n)
    X = pd.DataFrame(x, columns=CODE)
    for k, name in enumerate(FEATURES):
        X[name] = np.sin(x @ laws.normal(scale=2, size=3) + k) + 0.03 * rng.normal(size=n)
    return X, pd.Series(x @ [1, -1, 0.5] + x[:, 0] * x[:, 1], name="energy (eV/atom)")


def reader(X):
    """Regressor from features to fractions."""
    powers = PolynomialFeatures(2)
    model = make_pipeline(StandardScaler(), powers, RidgeCV(np.logspace(-4, 2, 7)))
    return model.fit(X[FEATURES], X[CODE])


def trainer(gan, **settings):
    usual = {"lr": 0.01, "n_steps": 10, "info_weight": 1.0, "reconstruction_weight": 1.0}
    return GANTrainer(gan, **{"penalty_weight": 1.0, **usual, **settings})


def batch(n=12, n_features=5, n_codes=2, categories=(3,), seed=0):
    """Features, codes and presences of n rows, and codes and presences of n others."""
    rng = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(2):
        kinds = [F.one_hot(torch.randint(k, (n,), generator=rng), k) for k in categories]
        code = torch.cat([torch.randn(n, n_codes, generator=rng), *kinds], dim=1)
        parts.append((code, (torch.rand(n, n_features, generator=rng) < 0.8).float()))
    features = torch.randn(n, n_features, generator=rng) * parts[0][1]
    return features, *parts[0], parts[1]


def small_gan(n_members=2, seed=0, **settings):
    torch.manual_seed(seed)
    return InfoGAN(5, 2, (3,), n_members=n_members, latent_dim=3, hidden_dim=6, **settings)


def weights_of(gan):
    return {name: weight.detach().clone() for name, weight in gan.named_parameters()}


# -- networks and one step of training


def test_one_step_changes_every_network():
    gan = small_gan()
    before = weights_of(gan)
    trainer(gan).step(*batch())
    after = weights_of(gan)
    assert {name.split(".")[0] for name in before} == {
        "generator",
        "trunk",
        "discriminator",
        "information",
    }
    for name in before:
        for member in range(2):
            assert not torch.equal(before[name][member], after[name][member]), (name, member)


def test_generated_features_of_absent_elements_are_zero():
    gan, (_, code, present, _) = small_gan(), batch()
    made = gan.generate(gan.noise(12), code, present).detach()
    assert made.shape == (12, 2, 5)
    assert torch.equal(made == 0, present[:, None].expand(-1, 2, -1) == 0)


def test_information_loss_is_that_of_torch():
    gan, (_, code, _, _) = small_gan(n_members=3), batch()
    estimate = torch.randn(12, 3, 5)
    loss = gan.information_loss(estimate, code)
    for member in range(3):
        told = estimate[:, member]
        expected = F.mse_loss(told[:, :2], code[:, :2], reduction="none").mean(1)
        expected += F.cross_entropy(told[:, 2:], code[:, 2:].argmax(1), reduction="none")
        assert_allclose(loss[:, member], expected, rtol=1e-5)


def test_information_loss_averages_over_categories():
    gan = InfoGAN(4, 0, (2, 4))
    estimate, code = torch.zeros(3, 1, 6), torch.zeros(3, 6)
    code[:, [0, 5]] = 1
    # Logits of zero are even odds.
    expected = (np.log(2) + np.log(4)) / 2
    assert_allclose(gan.information_loss(estimate, code), np.full((3, 1), expected), rtol=1e-6)


def test_gradient_of_a_linear_discriminator_is_the_product_of_its_weights():
    gan = small_gan(n_members=1)
    with torch.no_grad():
        for weight in [*gan.trunk.parameters(), *gan.discriminator.parameters()]:
            weight.abs_()
    # Positive weights and inputs pass all leaky ReLUs as they are.
    *_, gradient = gan.discriminate_with_gradient(torch.rand(4, 1, 5) + 0.1, 4)
    first, second = (layer.weight[0] for layer in gan.trunk.hidden)
    expected = (first @ second @ gan.discriminator.weight[0])[:, 0].detach()
    assert_allclose(gradient.detach(), expected.expand(4, 1, -1), rtol=1e-5)


def test_gradient_is_that_of_realness():
    gan = small_gan(n_members=3, n_layers=3)
    features = torch.randn(7, 3, 5, requires_grad=True)
    realness, code, gradient = gan.discriminate_with_gradient(features, 4)
    expected = torch.autograd.grad(realness[:4].sum(), features)[0][:4]
    assert_allclose(gradient.detach(), expected, rtol=1e-4, atol=1e-7)
    for one, other in zip((realness, code), gan.discriminate(features)):
        assert torch.equal(one, other)


def losses_by_hand(gan, noise, features, code, present, other, penalty):
    """Loss of the critic (with autograd's penalty) and parts of the generator's, one member."""
    n = len(features)
    codes, presences = torch.cat([code, other[0]]), torch.cat([present, other[1]])
    fake = gan.generate(noise, codes, presences)
    real = features[:, None].clone().requires_grad_(True)
    truth, told = gan.discriminate(real)
    verdict, guess = gan.discriminate(fake)
    ones = torch.ones(n, 1)
    apart = F.binary_cross_entropy_with_logits(truth, ones)
    apart = apart + F.binary_cross_entropy_with_logits(verdict[n:], 0 * ones)
    # All rows count alike: n real and 2 n generated ones.
    known = gan.information_loss(told, code).sum() + gan.information_loss(guess, codes).sum()
    gradient = torch.autograd.grad(truth.sum(), real, create_graph=True)[0]
    critic = apart + 0.7 * known / (3 * n) + penalty / 2 * gradient.square().sum() / n
    parts = {
        "discriminator": apart,
        "generator": F.binary_cross_entropy_with_logits(verdict[n:], ones),
        "information": gan.information_loss(guess, codes).mean(),
        "reconstruction": (fake[:n, 0] - features)[present > 0].square().mean(),
    }
    return critic, parts


def test_losses_and_their_gradients_by_hand():
    gan, given, noise = small_gan(n_members=1), batch(), torch.randn(24, 1, 3)
    gan.noise = lambda n, generator: noise
    # Without a step, gradients stay where they were taken.
    steps = trainer(gan, lr=0.0, info_weight=0.7, reconstruction_weight=0.3, penalty_weight=2.0)
    parts = steps.step(*given)
    found = {name: weight.grad.clone() for name, weight in gan.named_parameters()}
    critic, expected = losses_by_hand(gan, noise, *given, penalty=2.0)
    for name in expected:
        assert_allclose(parts[name], expected[name].detach(), rtol=1e-5, err_msg=name)
    generator = (
        expected["generator"] + 0.7 * expected["information"] + 0.3 * expected["reconstruction"]
    )
    for name, weight in gan.named_parameters():
        loss = generator if name.startswith("generator") else critic
        gradient = torch.autograd.grad(loss, weight, retain_graph=True)[0]
        assert_allclose(found[name], gradient, rtol=1e-3, atol=1e-6, err_msg=name)


def test_members_train_as_if_alone():
    together, alone = small_gan(n_members=3), small_gan(n_members=1, seed=1)
    for name, weight in alone.named_parameters():
        weight.data = together.get_parameter(name).data[1:2].clone()
    noise = torch.randn(24, 3, 3)
    together.noise = lambda n, generator: noise
    alone.noise = lambda n, generator: noise[:, 1:2]
    two = trainer(together), trainer(alone)
    for seed in range(3):
        for one in two:
            one.step(*batch(seed=seed))
    for name, weight in alone.named_parameters():
        assert_allclose(
            together.get_parameter(name)[1:2].detach(), weight.detach(), rtol=1e-3, atol=1e-5
        )


def test_moment_distance_is_that_of_numpy():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(9, 2, 4)), rng.normal(size=(9, 2, 4)) + 1
    expected = 0
    for m in range(2):
        a, b = real[:, m], fake[:, m]
        expected += ((a.mean(0) - b.mean(0)) ** 2).mean()
        expected += ((a.T @ a / 9 - b.T @ b / 9) ** 2).mean()
    assert_allclose(moment_distance(torch.tensor(real), torch.tensor(fake)), expected)


def test_moment_weight_is_used():
    gan = small_gan()
    assert "moments" not in trainer(gan).step(*batch())
    assert trainer(gan, moment_weight=1.0).step(*batch())["moments"] > 0


def test_learning_rate_falls_to_zero():
    steps = trainer(small_gan(), n_steps=4)
    rates = []
    for _ in range(4):
        steps.step(*batch())
        rates += [steps.generator_optimizer.param_groups[0]["lr"]]
        assert steps.discriminator_optimizer.param_groups[0]["lr"] == rates[-1]
    assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * np.arange(1, 5) / 4)) / 2, atol=1e-12)


# -- what it learns


@pytest.fixture(scope="module")
def fitted():
    X, y = inner_alloys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return InfoGANAugmenter(**SMALL, random_state=0).fit(X, y)


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


@pytest.mark.parametrize("seed", [0, 1])
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
    augmenter = InfoGANAugmenter(**{**SMALL, "max_epochs": 150}, random_state=0).fit(X)
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


# -- labels


def numbers(X):
    """Independent of `WeightedBlocks`: the columns that the two processes read."""
    full, names = X.copy(), list(X.columns)
    for name in names:
        owner = f"x_{name.split('_')[0]}"
        if owner in names:
            full[name] = X[name] * X[owner]
    for name in CODE:
        full[name] = X[name] ** 0.5
    return full.to_numpy(), full.to_numpy()[:, :5]


def test_one_class_is_refused():
    X, _ = make_toy_table(20)
    with pytest.raises(ValueError, match=r"y holds the class 'a' only"):
        InfoGANAugmenter(**QUICK).fit(X, ["a"] * 20)


def test_default_labels_are_the_mean_of_two_processes():
    X, y = make_toy_table(40)
    labeler = InfoGANAugmenter(**QUICK).fit(X, y).labeler_
    new, _ = make_toy_table(15, random_state=3)
    told = []
    for rows, others in zip(numbers(X), numbers(new)):
        kernel = ConstantKernel(1.0) * RBF(5.0, (0.1, 1e3)) + WhiteKernel(0.01, (1e-5, 1.0))
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        scaler = StandardScaler().fit(rows)
        process.fit(scaler.transform(rows), y)
        told.append(process.predict(scaler.transform(others), return_std=True))
    (m1, s1), (m2, s2) = told
    mean, std = labeler.predict(new, return_std=True)
    assert_allclose(mean, (m1 + m2) / 2)
    # Without uncertainties the processes are read in single precision.
    assert_allclose(labeler.predict(new), mean, atol=1e-4 * y.std())
    # Law of total variance for two equally likely members.
    assert_allclose(std**2, (s1**2 + s2**2) / 2 + (m1 - m2) ** 2 / 4)


def test_default_labels_of_several_targets_are_those_of_each():
    X, y = make_toy_table(40)
    two = pd.DataFrame({"energy": y, "moment": np.cos(5 * y)})
    both = InfoGANAugmenter(**QUICK).fit(X, two).labeler_.predict(X, return_std=True)
    for k, name in enumerate(two):
        alone = InfoGANAugmenter(**QUICK).fit(X, two[name]).labeler_.predict(X, return_std=True)
        for part in range(2):
            assert_allclose(both[part][:, k], alone[part])


def test_generated_rows_have_the_labels_of_the_labeler():
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK, n_samples=10)
    X_all, y_all = augmenter.fit_resample(X, y)
    assert_allclose(y_all[30:], augmenter.labeler_.predict(X_all[30:]), atol=1e-4 * y.std())


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_any_regressor_labels(shape):
    X, y = make_toy_table(30)
    target = y.to_numpy().reshape(shape)
    forest = RandomForestRegressor(5, random_state=0)
    augmenter = InfoGANAugmenter(**QUICK, n_samples=10, labeler=forest)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X_all, y_all = augmenter.fit_resample(X, target)
    assert y_all.shape == (40, *target.shape[1:])
    expected = clone(forest).fit(X, y).predict(X_all[30:])
    assert_allclose(y_all[30:].ravel(), expected)
    assert augmenter.labeler_ is not forest


def test_classes_are_labelled_and_none_is_invented():
    X, y = make_toy_table(40, task="classification")
    for labeler in (None, RandomForestClassifier(10, random_state=0)):
        augmenter = InfoGANAugmenter(**QUICK, n_samples=30, labeler=labeler)
        X_all, y_all = augmenter.fit_resample(X, y)
        assert set(y_all[40:]) == {"bcc", "fcc"}
        # The lattice is a code column, so the label is known.
        truth = np.where(X_all["lattice_fcc"] == 1, "fcc", "bcc")
        assert np.mean(truth == y_all) > 0.9


def test_labelers_of_the_wrong_kind_are_refused():
    X, y = make_toy_table()
    _, classes = make_toy_table(task="classification")
    with pytest.raises(ValueError, match="numbers: labeler must be a regressor"):
        InfoGANAugmenter(**QUICK, labeler=LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="classes: labeler must be a classifier"):
        InfoGANAugmenter(**QUICK, labeler=LinearRegression()).fit(X, classes)


def test_without_targets_there_is_no_labeler():
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    assert augmenter.labeler_ is not None
    assert augmenter.fit(X).labeler_ is None
    assert augmenter.sample(3).shape == (3, 12)


# -- doubtful labels


@pytest.mark.parametrize(
    "labeler",
    [
        None,
        BayesianRidge(),
        make_pipeline(StandardScaler(), BayesianRidge()),
        RandomForestRegressor(10, random_state=0),
        BaggingRegressor(LinearRegression(), max_features=0.5, random_state=0),
    ],
)
def test_doubtful_rows_are_drawn_again(labeler):
    X, y = make_toy_table(30)
    free = InfoGANAugmenter(**QUICK, n_samples=60, labeler=labeler).fit(X, y)
    _, doubts = label_rows(free.labeler_, free.sample(400), True)
    limit = float(np.quantile(doubts, 0.3))
    strict = InfoGANAugmenter(**QUICK, n_samples=60, labeler=labeler, max_uncertainty=limit)
    X_all, _ = strict.fit_resample(X, y)
    _, left = label_rows(strict.labeler_, X_all[30:], True)
    assert len(left) == 60
    assert left.max() <= limit < doubts.max()


def test_forests_are_as_doubtful_as_their_trees_differ():
    X, y = make_toy_table(30)
    forest = RandomForestRegressor(10, random_state=0).fit(X, y)
    labels, doubts = label_rows(forest, X, True)
    told = np.array([tree.predict(X.to_numpy()) for tree in forest.estimators_])
    assert_allclose(labels, told.mean(axis=0))
    assert_allclose(doubts, told.std(axis=0))


def test_a_limit_for_each_target():
    X, y = make_toy_table(30)
    two = pd.DataFrame({"energy": y, "moment": np.cos(9 * y)})
    free = InfoGANAugmenter(**QUICK).fit(X, two)
    doubts = free.labeler_.predict(free.sample(300), return_std=True)[1]
    limit = [1e3, float(np.quantile(doubts[:, 1], 0.3))]
    strict = InfoGANAugmenter(**QUICK, n_samples=40, max_uncertainty=limit)
    X_all, _ = strict.fit_resample(X, two)
    left = strict.labeler_.predict(X_all[30:], return_std=True)[1]
    assert len(left) == 40
    assert left[:, 1].max() <= limit[1] < doubts[:, 1].max()


def test_doubtful_classes_are_drawn_again():
    X, y = make_toy_table(40, task="classification")
    settings = {**QUICK, "labeler": RandomForestClassifier(20, random_state=0), "n_samples": 30}
    free, strict = (InfoGANAugmenter(**settings, max_uncertainty=limit) for limit in (None, 0.1001))
    doubts = []
    for augmenter in (free, strict):
        X_all, _ = augmenter.fit_resample(X, y)
        doubts.append(1 - augmenter.labeler_.predict_proba(X_all[40:]).max(axis=1))
    assert doubts[1].max() <= 0.1001 < doubts[0].max()


@pytest.mark.parametrize("labeler", [LinearRegression(), GradientBoostingRegressor()])
def test_labelers_that_know_no_doubt_are_refused(labeler):
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(**QUICK, labeler=labeler, max_uncertainty=1.0)
    with pytest.raises(ValueError, match="knows how sure it is"):
        augmenter.fit_resample(X, y)


def test_limits_that_no_row_keeps_are_named():
    X, y = make_toy_table()
    augmenter = InfoGANAugmenter(**QUICK, n_samples=5, max_uncertainty=1e-9)
    with pytest.raises(ValueError, match="max_uncertainty=1e-09"):
        augmenter.fit_resample(X, y)


def test_y_range_rejects_and_draws_again():
    X, y = make_toy_table(30)
    free = InfoGANAugmenter(**QUICK, n_samples=50).fit_resample(X, y)[1][30:]
    low, high = np.quantile(free, [0.4, 0.9])
    kept = InfoGANAugmenter(**QUICK, n_samples=50, y_range=(low, high)).fit_resample(X, y)[1][30:]
    assert len(kept) == 50
    assert kept.between(low, high).all()
    assert not free.between(low, high).all()


# -- iterations


class Recorder(RegressorMixin, BaseEstimator):
    """Linear regression that remembers, for all its clones, the rows that it was fitted on."""

    rows = []

    def fit(self, X, y):
        self.rows.append(X.copy())
        self.model_ = LinearRegression().fit(X, y)
        return self

    def predict(self, X):
        return self.model_.predict(X)


@pytest.fixture
def recorded(monkeypatch):
    """Tensors that each GAN was trained on; rows of each labeler are in ``Recorder.rows``."""
    Recorder.rows, trained, train = [], [], iterated_gan_module.train_gan

    def spy(gan, *tables, **settings):
        trained.append([table.numpy().copy() for table in tables])
        return train(gan, *tables, **settings)

    monkeypatch.setattr(iterated_gan_module, "train_gan", spy)
    return trained


def canned_errors(monkeypatch, errors):
    errors = iter(errors)
    monkeypatch.setattr(InfoGANAugmenter, "_error", lambda *args: next(errors))


@pytest.mark.parametrize(
    ("errors", "kept", "tried"),
    [
        ([0.5, 0.4, 0.45], 2, 3),
        ([0.5, 0.6], 1, 2),
        ([0.5, 0.5], 1, 2),
        ([0.5, 0.4, 0.3, 0.2], 4, 4),
    ],
)
def test_iterations_end_when_the_error_stops_falling(monkeypatch, errors, kept, tried):
    X, y = make_toy_table(30)
    canned_errors(monkeypatch, errors)
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=4, n_samples=7)
    augmenter.fit_resample(X, y)
    assert augmenter.n_iterations_ == len(augmenter.gans_) == kept
    assert augmenter.validation_errors_ == errors[:tried]
    assert_array_equal(augmenter.sample_origin_, [0] * 30 + [kept] * 7)
    assert {row["iteration"] for row in augmenter.history_} == set(range(1, kept + 1))


def test_labelled_rows_join_and_the_target_becomes_code(monkeypatch, recorded):
    X, y = make_toy_table(30)
    two = pd.DataFrame({"energy": y, "moment": np.cos(9 * y)})
    canned_errors(monkeypatch, [0.5, 0.4])
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=2).fit(X, two)
    first, second = (gan.config for gan in augmenter.gans_)
    assert first["n_codes"] == 3
    assert second["n_codes"] == 3 + 2
    assert first["categories"] == second["categories"] == [2]
    # Two trainings without the rows held out, two with all; the second of each has twice the rows.
    assert [len(tables[0]) for tables in recorded] == [24, 48, 30, 60]
    (_, code, _), (features, wider, _) = recorded[2], recorded[3]
    assert_allclose(features[:30], recorded[2][0], atol=1e-6)
    assert_allclose(wider[:30, 2:], code, atol=1e-6)
    standard = (two - two.mean()) / two.std(ddof=0)
    assert_allclose(wider[:30, :2], standard, atol=1e-5)
    # The other half are other alloys, with labels on the scale of the real ones.
    assert not np.isclose(features[30:], features[:30]).all(axis=1).any()
    assert not np.isclose(wider[30:, 2:5], wider[:30, 2:5]).all(axis=1).any()
    assert np.abs(wider[30:, :2]).max() < 5
    assert not np.isclose(wider[30:, :2], standard).all()


def test_classes_become_a_category_of_the_code(monkeypatch):
    X, y = make_toy_table(40, task="classification")
    canned_errors(monkeypatch, [0.5, 0.4])
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=2, n_samples=8)
    _, y_all = augmenter.fit_resample(X, y)
    assert augmenter.gans_[1].config["categories"] == [2, 2]
    assert augmenter.gans_[1].config["n_codes"] == 3
    assert set(y_all) == {"bcc", "fcc"}


def held_out(X):
    """Rows that the first recorded labeler was not fitted on."""
    return ~X["x_Fe"].isin(Recorder.rows[0]["x_Fe"]).to_numpy()


def test_rows_held_out_teach_nothing(recorded):
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=2, labeler=Recorder()).fit(X, y)
    held, tried = held_out(X), len(augmenter.validation_errors_)
    assert held.sum() == 6
    first = list(recorded)
    recorded.clear()
    Recorder.rows = []
    # Other features and targets in rows held out must not show before the number is chosen.
    X_planted, y_planted = X.copy(), y.copy()
    X_planted.loc[held, X.columns[5:]] *= 100
    y_planted[held] += 50
    again = clone(augmenter).fit(X_planted, y_planted)
    assert_array_equal(held_out(X), held)
    for before, after in zip(first[:tried], recorded[:tried]):
        for one, other in zip(before, after):
            assert_array_equal(one, other)
    assert not np.array_equal(first[tried][0], recorded[tried][0])
    assert again.validation_errors_[0] != augmenter.validation_errors_[0]


def test_validation_errors_are_those_of_the_labeler_on_generated_features():
    X, y = make_toy_table(30)
    X = X.assign(place=np.arange(30.0))
    Recorder.rows = []
    settings = {**QUICK, "labeler": Recorder()}
    found = InfoGANAugmenter(**settings, n_iterations=2).fit(X, y).validation_errors_[0]
    learn = Recorder.rows[0]["place"].to_numpy(dtype=int)
    held = np.setdiff1d(np.arange(30), learn)
    alone = InfoGANAugmenter(**settings).fit(X.iloc[learn], y.iloc[learn])
    told = alone.labeler_.predict(alone.sample(X.iloc[held], noise=False))
    expected = np.sqrt(np.mean((told - y.iloc[held]) ** 2)) / y.iloc[learn].std(ddof=0)
    assert_allclose(found, expected, rtol=1e-6)


def test_one_iteration_holds_nothing_out(recorded):
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    assert [len(tables[0]) for tables in recorded] == [30]
    assert augmenter.n_iterations_ == 1
    assert augmenter.validation_errors_ == []


# -- the report


def compare(fitted, real, generated, training):
    names = list(fitted.feature_names_in_)
    arrays = (np.asarray(rows, dtype=float) for rows in (real, generated, training))
    return quality_report(*arrays, fitted._gan.codec, names)


def test_report_of_real_rows_themselves(fitted):
    X, _ = inner_alloys()
    # Not a multiple of the folds, so that the two copies of a row would part if nothing kept them.
    X = X[:118]
    report = compare(fitted, X, X, X)
    assert set(report.column_distances) == set(FEATURES)
    assert max(report.column_distances.values()) == 0
    assert report.correlation_difference == 0
    assert report.neighbor_distance_ratio == 0
    assert abs(report.classifier_auc - 0.5) < 0.1
    assert report.code_recovery > 0.99


def test_report_of_other_real_rows(fitted):
    X, _ = inner_alloys()
    report = compare(fitted, X[:60], X[:60], X[60:])
    assert 0.7 < report.neighbor_distance_ratio < 1.4
    assert report.code_recovery > 0.9


def test_report_of_noise_and_of_shuffled_codes(fitted):
    X, _ = inner_alloys()
    rng = np.random.default_rng(0)
    noise = X.copy()
    noise[FEATURES] = rng.normal(size=(120, 9))
    report = compare(fitted, X, noise, X)
    assert report.classifier_auc > 0.95
    assert report.code_recovery < 0.2
    assert report.neighbor_distance_ratio > 3
    assert report.correlation_difference > 0.2
    shuffled = X.copy()
    shuffled[FEATURES] = X[FEATURES].to_numpy()[rng.permutation(120)]
    report = compare(fitted, X, shuffled, X)
    # Each row alone is real; only the code tells.
    assert max(report.column_distances.values()) < 1e-9
    assert report.code_recovery < 0.2


def test_report_by_hand():
    n = 20
    X = pd.DataFrame({"x_Fe": np.linspace(0.1, 0.9, n)})
    X["x_Ni"] = 1 - X["x_Fe"]
    X["a"], X["b"] = np.arange(n), 2.0 * np.arange(n)
    augmenter = InfoGANAugmenter(**{**QUICK, "n_ensemble": 1}).fit(X)
    sd = np.arange(n).std()
    moved = X.assign(a=X["a"] + 0.25, b=X["b"] + 0.5)
    report = compare(augmenter, X, moved, X)
    assert_allclose(list(report.column_distances.values()), 0.25 / sd)
    # Nearest in both columns: a quarter of a step, and the last row too.
    assert_allclose(report.neighbor_distance_ratio, 0.25)
    assert_allclose(report.correlation_difference, 0, atol=1e-12)
    turned = X.assign(b=X["b"].to_numpy()[::-1])
    assert_allclose(compare(augmenter, X, turned, X).correlation_difference, 2)
    assert_allclose(report.real["a"], (X["a"] - X["a"].mean()) / sd)
    assert_allclose(report.generated["b"] - report.real["b"], 0.25 / sd)


def test_report_of_the_augmenter(fitted):
    X, _ = inner_alloys(80, seed=0)
    report = fitted.quality_report(X)
    assert report.real.shape == report.generated.shape == (80, 9)
    assert np.mean(list(report.column_distances.values())) < 0.25
    assert report.code_recovery > 0.9
    lines = str(report).splitlines()
    assert len(lines) == 5
    assert f"{report.classifier_auc:.2f}" in lines[3]
    weak = InfoGANAugmenter(**{**SMALL, "max_epochs": 1}, random_state=0).fit(X)
    assert weak.quality_report(X).classifier_auc > report.classifier_auc + 0.05


def test_report_of_absent_elements_and_few_rows():
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    report = augmenter.quality_report(X[:5])
    assert np.isnan(report.classifier_auc)
    assert_array_equal(report.real["Ni_0"].isna(), X["x_Ni"][:5] == 0)
    without = X[X["x_Fe"] == 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "Fe_0" not in augmenter.quality_report(without).column_distances
    with pytest.raises(ValueError, match="row 1 has fractions that do not sum to one"):
        augmenter.quality_report(X.assign(x_Fe=X["x_Fe"] + 0.1 * (np.arange(30) == 1)))


# -- inside other estimators


def test_in_pipelines_and_searches():
    X, y = inner_alloys(60)
    augmenter = InfoGANAugmenter(**{**QUICK, "max_epochs": 40}, n_samples=0.5)
    steps = SamplingPipeline([("gan", augmenter), ("ridge", RidgeCV())])
    assert np.mean(cross_val_score(steps, X, y, cv=3, error_score="raise")) > 0.8
    model = AugmentedRegressor(RidgeCV(), augmenter)
    search = GridSearchCV(model, {"augmenter__n_samples": [0, 9]}, cv=3)
    assert search.fit(X, y).best_estimator_.predict(X).shape == (60,)
    fitted = model.fit(X, y)
    assert fitted.augmenter_.sample_origin_.sum() == 30
    classes = np.where(y > y.median(), "high", "low")
    classifier = AugmentedClassifier(LogisticRegression(max_iter=1000), augmenter).fit(X, classes)
    assert classifier.score(X, classes) > 0.8
