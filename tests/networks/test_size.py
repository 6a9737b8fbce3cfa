import pytest
import torch

from sklmat import memory
from sklmat.networks import InfoGAN, refuse_large_network


def gan(hidden_dim, n_members=1):
    settings = {"hidden_dim": hidden_dim, "n_members": n_members, "n_layers": 1, "latent_dim": 1}
    return lambda: InfoGAN(1, 1, **settings), settings


@pytest.mark.parametrize("n_networks", [1, 3])
def test_memory_of_the_weights(n_networks, monkeypatch):
    """The number of weights by hand: each unit has those of its inputs and a bias."""
    make, settings = gan(501, n_members=2)
    generator, trunk = (2 + 1) * 501 + 502, (1 + 1) * 501
    n_weights = 2 * n_networks * (generator + trunk + 502 + 502)
    monkeypatch.setattr(memory, "total_memory", lambda: float(16 * n_weights))
    refuse_large_network(make, settings, n_networks)
    monkeypatch.setattr(memory, "total_memory", lambda: float(16 * n_weights - 1))
    with pytest.raises(ValueError, match=f"^{n_weights:,} weights .hidden_dim=501, n_members=2"):
        refuse_large_network(make, settings, n_networks)


def test_no_random_numbers_are_drawn():
    before = torch.get_rng_state()
    refuse_large_network(*gan(1_000))
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_that_compute_when_they_are_made_are_allowed():
    """Numbers cannot be read from tensors without memory."""

    def make():
        layer = torch.nn.Linear(600, 1)
        assert layer.weight.sum().item() != 0
        return layer

    refuse_large_network(make, {"hidden_dim": 600})


def test_small_networks_are_not_made():
    _, settings = gan(500)
    refuse_large_network(None, settings)
