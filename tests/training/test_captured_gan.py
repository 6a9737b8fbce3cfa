"""Training steps of an InfoGAN that a GPU repeats as CUDA graphs."""

import pickle

import numpy as np
import pytest
import torch

from sklmat import InfoGANAugmenter
from sklmat.estimator_checks import make_toy_table
from sklmat.training import _gan_loop
from sklmat.training._captured_gan import CapturedGAN

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
# 30 rows in batches of at most 7: five of 6 rows; 32 rows: two of 7 and three of 6.
SETTINGS = {"max_epochs": 6, "batch_size": 7, "n_ensemble": 2, "hidden_dim": 8, "random_state": 0}


@pytest.fixture
def steps(monkeypatch):
    """Sizes of the steps that train as on a GPU, which are called instead of captured."""
    sizes = []
    step = CapturedGAN._step
    monkeypatch.setattr(_gan_loop, "_is_cpu", lambda device: False)
    monkeypatch.setattr(
        CapturedGAN, "_step", lambda self, size: (sizes.append(size), step(self, size))
    )
    return sizes


@pytest.mark.parametrize(("n_rows", "expected"), [(30, [6] * 5), (32, [7, 7, 6, 6, 6])])
@pytest.mark.parametrize("moment_weight", [0.0, 0.5])
def test_steps_of_a_gpu_train_the_same_network(n_rows, expected, moment_weight, steps, monkeypatch):
    X, _ = make_toy_table(n_rows)
    settings = {**SETTINGS, "moment_weight": moment_weight}
    captured = InfoGANAugmenter(**settings).fit(X)
    assert steps == expected * 6
    monkeypatch.undo()
    usual = InfoGANAugmenter(**settings).fit(X)
    assert len(steps) == 5 * 6
    np.testing.assert_allclose(captured.sample(9), usual.sample(9), rtol=1e-4, atol=1e-5)
    for one, other in zip(captured.history_, usual.history_):
        assert list(one) == list(other)
        assert one["reconstruction"] == pytest.approx(other["reconstruction"], rel=1e-4)
        assert one["discriminator"] == pytest.approx(other["discriminator"], rel=1e-4)


def test_random_numbers_of_a_gpu_are_those_of_the_cpu(steps, monkeypatch):
    drawn = []
    draws = _gan_loop.GANTrainer.draws

    def recorded(*args):
        for parts in draws(*args):
            drawn.append([part.clone() for part in parts])
            yield parts

    monkeypatch.setattr(_gan_loop.GANTrainer, "draws", recorded)
    X, _ = make_toy_table(32)
    InfoGANAugmenter(**SETTINGS).fit(X)
    monkeypatch.setattr(_gan_loop, "_is_cpu", lambda device: True)
    InfoGANAugmenter(**SETTINGS).fit(X)
    assert len(drawn) == 2 * 30
    for one, other in zip(drawn[:30], drawn[30:]):
        assert all(torch.equal(a, b) for a, b in zip(one, other))
    rows = torch.cat([rows for rows, _, _ in drawn[:5]])
    assert sorted(rows.tolist()) == list(range(32))


def test_learning_rate_is_a_number_again_after_each_step(steps):
    rates = []
    advance = _gan_loop.GANTrainer.advance_schedules

    def recorded(self):
        rates.append(self.generator_optimizer.param_groups[0]["lr"])
        assert not self.discriminator_optimizer.param_groups[0]["capturable"]
        advance(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_gan_loop.GANTrainer, "advance_schedules", recorded)
        InfoGANAugmenter(**SETTINGS, lr=0.01).fit(make_toy_table(30)[0])
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(30) / 30)) / 2
    np.testing.assert_allclose(rates, expected, atol=1e-12)


def test_an_unknown_device_is_refused_before_the_training():
    with pytest.raises(ValueError, match="device='gpu' is not a device of PyTorch"):
        InfoGANAugmenter(device="gpu").fit(make_toy_table(30)[0])


@needs_gpu
def test_gpu_repeats_itself_and_ends_on_the_cpu():
    X, y = make_toy_table(32)
    first, second, cpu = (
        InfoGANAugmenter(**SETTINGS, device=device).fit(X, y) for device in ("cuda", "cuda", "cpu")
    )
    assert np.array_equal(first.sample(20), second.sample(20))
    np.testing.assert_allclose(first.sample(20), cpu.sample(20), rtol=1e-2, atol=1e-2)
    assert {weight.device.type for weight in first.gans_[0].parameters()} == {"cpu"}
    assert np.array_equal(pickle.loads(pickle.dumps(first)).sample(20), first.sample(20))
