"""SevenNet-0: the energies of its package."""

import warnings

import numpy as np
import pytest
import torch
from ase.build import bulk

from sklmat import InvalidStructureError, PotentialFeaturizer

pytest.importorskip("sevenn", reason="sevenn is not installed (extra potentials)")
# The quick suite runs where it is not installed.
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_socket(monkeypatch):
    """Nothing is downloaded."""
    monkeypatch.setattr("socket.socket.connect", None)


def test_energies(tmp_path):
    """With PBE, fcc copper has -4.10 eV/atom and bcc iron -8.47."""
    state = torch.get_rng_state()
    featurizer = PotentialFeaturizer("sevennet", columns="energy", cache=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        table = featurizer.fit_transform([bulk("Cu"), bulk("Fe")])
    assert table.columns.tolist() == ["sevennet energy (eV/atom)"]
    assert table.iloc[:, 0].tolist() == pytest.approx([-4.10, -8.47], abs=0.15)
    assert torch.equal(torch.get_rng_state(), state)
    assert "MPtrj" in featurizer.training_data_


def test_vectors():
    """The same in a larger and turned cell."""
    featurizer = PotentialFeaturizer("sevennet", columns="embedding")
    crystal = bulk("NiAl", "cesiumchloride", a=2.88)
    crystal.positions[0, 0] += 0.1
    turned = crystal * (1, 2, 1)
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    table = featurizer.fit_transform([crystal, turned])
    assert table.shape == (2, 256)
    assert table.iloc[0, 128:].min() > 0
    np.testing.assert_allclose(table.iloc[0], table.iloc[1], rtol=0, atol=1e-4)


def test_what_it_does_not_have():
    with pytest.raises(ValueError, match=r"sevennet has no moments, only energy, embedding; set"):
        PotentialFeaturizer("sevennet").fit([bulk("Cu")])
    with pytest.raises(InvalidStructureError, match="element Po, on which sevennet was"):
        PotentialFeaturizer("sevennet", columns="energy").fit([bulk("Po", "sc", a=3.35)])
