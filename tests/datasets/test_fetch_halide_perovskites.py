"""Halide perovskites: rows and targets."""

import numpy as np
import pytest
from pymatgen.core import Structure

from sklmat.datasets import _fetch_halide_perovskites, fetch_halide_perovskites


@pytest.fixture(scope="module")
def perovskites(data_home):
    return fetch_halide_perovskites(data_home=data_home)


def test_perovskites(perovskites, data_home):
    frame = perovskites.frame
    assert len(perovskites.data) == len(frame) == 3159
    assert perovskites.target[:2] == pytest.approx([-14.4853, -48.668333], abs=1e-6)
    assert frame["formula"].nunique() == 1134
    crystal = perovskites.data[frame.index[frame["name"] == "Cs.Cd.Cd.Cd.Ge.Br"][0]]
    template = Structure.from_file(data_home / "perov_cgcnn/DFT_training_data/POSCAR")
    new = {"Cs": "Cs", "Hf": "Cd", "W": "Cd", "Au": "Cd", "Pt": "Ge", "I": "Br"}
    template.replace_species(new)
    assert crystal == template
    assert [site.specie.symbol for site in crystal[4:8]] == ["Cd", "Cd", "Cd", "Ge"]


def test_perovskite_crystals_are_independent(perovskites):
    first, second = perovskites.data[0].copy(), perovskites.data[1].copy()
    perovskites.data[0].translate_sites([0], [0.1, 0, 0])
    assert perovskites.data[1] == second
    perovskites.data[0].translate_sites([0], [-0.1, 0, 0])
    assert perovskites.data[0] == first


def test_perovskite_targets(perovskites, data_home, monkeypatch):
    # Which target is asked for changes no crystal.
    monkeypatch.setattr(_fetch_halide_perovskites, "_fill_template", lambda *_: perovskites.data)
    bunch = fetch_halide_perovskites("band_type", data_home=data_home)
    assert bunch.target_names == ["indirect", "direct or metallic"]
    assert np.bincount(bunch.target).tolist() == [2603, 556]
    assert ((bunch.frame["band type"] == "Indirect") == (bunch.target == 0)).all()
    _, y = fetch_halide_perovskites(["band_gap", "band_type"], return_X_y=True, data_home=data_home)
    assert y.shape == (3159, 2)
    assert (y[:, 0] == 0).sum() == 180
    assert y[0].tolist() == [0.9137, 1]
    with pytest.raises(ValueError, match="unknown target 'gap'"):
        fetch_halide_perovskites("gap", data_home=data_home)
