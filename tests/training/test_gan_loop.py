"""One step of InfoGAN's training: networks, losses and their gradients."""

import numpy as np
import torch
from numpy.testing import assert_allclose
from torch.nn import functional as F

from sklmat.networks import InfoGAN
from sklmat.training._gan_loop import GANTrainer, moment_distance


def trainer(gan, **settings):
    usual = {"lr": 0.01, "n_steps": 10, "info_weight": 1.0, "reconstruction_weight": 1.0}
    return GANTrainer(gan, **{"penalty_weight": 1.0, **usual, **settings})


def batch(n=12, n_features=5, n_codes=2, categories=(3,), n_members=2, seed=0):
    """Features, codes and presences of n rows, codes and presences of n others, and noise."""
    rng = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(2):
        kinds = [F.one_hot(torch.randint(k, (n,), generator=rng), k) for k in categories]
        code = torch.cat([torch.randn(n, n_codes, generator=rng), *kinds], dim=1)
        parts.append((code, (torch.rand(n, n_features, generator=rng) < 0.8).float()))
    features = torch.randn(n, n_features, generator=rng) * parts[0][1]
    noise = torch.randn(2 * n, n_members, 3, generator=rng)
    return features, *parts[0], parts[1], noise


def small_gan(n_members=2, seed=0, **settings):
    torch.manual_seed(seed)
    return InfoGAN(5, 2, (3,), n_members=n_members, latent_dim=3, hidden_dim=6, **settings)


def weights_of(gan):
    return {name: weight.detach().clone() for name, weight in gan.named_parameters()}


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
    gan, (_, code, present, *_) = small_gan(), batch()
    made = gan.generate(gan.noise(12), code, present).detach()
    assert made.shape == (12, 2, 5)
    assert torch.equal(made == 0, present[:, None].expand(-1, 2, -1) == 0)


def test_information_loss_is_that_of_torch():
    gan, (_, code, *_) = small_gan(n_members=3), batch()
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


def losses_by_hand(gan, features, code, present, other, noise, penalty):
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
    gan, given = small_gan(n_members=1), batch(n_members=1)
    # Without a step, gradients stay where they were taken.
    steps = trainer(gan, lr=0.0, info_weight=0.7, reconstruction_weight=0.3, penalty_weight=2.0)
    parts = steps.step(*given)
    found = {name: weight.grad.clone() for name, weight in gan.named_parameters()}
    critic, expected = losses_by_hand(gan, *given, penalty=2.0)
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
    two = trainer(together), trainer(alone)
    for seed in range(3):
        *rows, noise = batch(n_members=3, seed=seed)
        two[0].step(*rows, noise)
        two[1].step(*rows, noise[:, 1:2])
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
