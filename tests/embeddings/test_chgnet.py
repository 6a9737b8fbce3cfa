"""CHGNet: the values of its package, in any batch, and nothing changed besides."""

import gc
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from crystals import b2_cscl, bcc_fe, fcc_cu, hcp_mg, rocksalt_nacl, sc_po, wurtzite_zno
from pymatgen.core import Lattice, Structure
from sklearn.base import clone

from sklmat import (
    DeltaRegressor,
    ECNetRegressor,
    InvalidStructureError,
    PotentialFeaturizer,
    PretrainingOverlapWarning,
)
from sklmat.embeddings import _chgnet

pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
# The quick suite runs where it is not installed.
pytestmark = pytest.mark.slow

#: Numbers are of the order of ten, in single precision.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def crystals():
    # One atom with its own images, two atoms, angles of all kinds, a slab.
    layer = Lattice.from_parameters(3, 3, 15, 90, 90, 120)
    slab = Structure(layer, ["C", "C"], [[0, 0, 0], [0.3, 0.3, 0.3]])
    one = Structure(Lattice.cubic(2.5), ["Fe"], [[0.1, 0.2, 0.3]])
    return [bcc_fe(), fcc_cu(), hcp_mg(), wurtzite_zno(), b2_cscl(), rocksalt_nacl(), slab, one]


@pytest.fixture(scope="module")
def table(crystals):
    return PotentialFeaturizer(device="cpu").fit_transform(crystals)


def test_values_are_those_of_the_package(crystals, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from chgnet.model import CHGNet
    model = CHGNet.load(use_device="cpu", verbose=False)
    assert table.shape == (8, 3 + 128)
    for row, crystal in enumerate(crystals):
        with torch.no_grad():
            found = model.predict_structure(crystal, task="em", return_atom_feas=True)
        statistics = [
            statistic(found[name].astype(float), axis=0)
            for name in ("m", "atom_fea")
            for statistic in (np.mean, np.std)
        ]
        expected = np.concatenate([[found["e"]], *map(np.atleast_1d, statistics)])
        np.testing.assert_allclose(table.iloc[row], expected, rtol=0, atol=ROUNDING)


def test_energies_of_known_crystals(table):
    """With PBE, bcc iron has -8.47 eV/atom and 2.2 μB, fcc copper -4.10 eV/atom and no moment."""
    energies = table["chgnet energy (eV/atom)"]
    assert energies[0] == pytest.approx(-8.47, abs=0.2)
    assert energies[1] == pytest.approx(-4.10, abs=0.1)
    moments = table["chgnet moment mean (μB)"]
    assert moments[0] == pytest.approx(2.2, abs=0.4)
    assert moments[1] < 0.05


def test_rows_do_not_depend_on_the_batch(crystals, table):
    single = [PotentialFeaturizer().fit_transform([crystal]) for crystal in crystals]
    np.testing.assert_allclose(pd.concat(single), table, rtol=0, atol=ROUNDING)
    backwards = PotentialFeaturizer().fit_transform(crystals[::-1])
    np.testing.assert_allclose(backwards[::-1], table, rtol=0, atol=ROUNDING)
    doubled = PotentialFeaturizer().fit_transform([crystal * (2, 1, 1) for crystal in crystals])
    np.testing.assert_allclose(doubled, table, rtol=0, atol=10 * ROUNDING)


def test_many_batches(crystals, table, monkeypatch):
    monkeypatch.setitem(_chgnet._BATCH_ATOMS, "cpu", 5)
    again = PotentialFeaturizer(device="cpu").fit_transform(crystals)
    np.testing.assert_allclose(again, table, rtol=0, atol=ROUNDING)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU with CUDA")
def test_gpu(crystals, table):
    on_gpu = PotentialFeaturizer(device="cuda").fit_transform(crystals)
    np.testing.assert_allclose(on_gpu, table, rtol=0, atol=10 * ROUNDING)


def test_isolated_atoms(table, crystals):
    """The package refuses them; their energy is that of the element alone."""
    argon = Atoms("Ar", cell=[12] * 3, pbc=True)
    pair = Atoms("Ar2", positions=[[0] * 3, [9, 0, 0]], cell=[20] * 3, pbc=True)
    again = PotentialFeaturizer().fit_transform([argon, *crystals, pair, bulk("Cu")])
    np.testing.assert_allclose(again[1:9], table, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(again.iloc[0], again.iloc[9], rtol=0, atol=ROUNDING)
    assert np.isfinite(again).all(axis=None)
    alone = PotentialFeaturizer().fit_transform([argon])
    np.testing.assert_allclose(alone.iloc[0], again.iloc[0], rtol=0, atol=ROUNDING)


def test_elements_it_was_not_trained_on():
    with pytest.raises(InvalidStructureError, match=r"structure 1 \(Po1\): holds the element Po"):
        PotentialFeaturizer().fit([bcc_fe(), sc_po()])


def test_nothing_else_changes(capfd):
    _chgnet._load_model.cache_clear()
    state = torch.get_rng_state()
    thresholds, threads, filters = gc.get_threshold(), torch.get_num_threads(), warnings.filters[:]
    torch.set_default_dtype(torch.float64)
    try:
        PotentialFeaturizer().fit([bcc_fe()])
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert (gc.get_threshold(), torch.get_num_threads()) == (thresholds, threads)
    assert warnings.filters == filters
    assert torch.is_grad_enabled()
    assert capfd.readouterr() == ("", "")


def test_outputs_in_a_folder_need_no_network(crystals, table, tmp_path, monkeypatch):
    PotentialFeaturizer(cache=tmp_path).fit(crystals)
    monkeypatch.setattr(_chgnet, "_load_model", None)
    # One pass gives all outputs, so other columns and statistics are in the cache as well.
    moments = PotentialFeaturizer(columns="moments", pool="sd", cache=tmp_path)
    np.testing.assert_array_equal(
        moments.fit_transform(crystals)["chgnet moment sd (μB)"], table["chgnet moment sd (μB)"]
    )
    again = clone(PotentialFeaturizer(cache=tmp_path)).fit_transform(crystals)
    pd.testing.assert_frame_equal(again, table)


def test_what_it_was_trained_on(crystals):
    featurizer = PotentialFeaturizer(cache=20)
    with pytest.warns(PretrainingOverlapWarning, match="1 of 8 rows .*mp-13.*chgnet was trained"):
        featurizer.fit(pd.Series(crystals, index=["mp-13", *"abcdefg"]))
    assert "MPtrj" in featurizer.training_data_


def test_processes_change_nothing(crystals):
    many = crystals * 8
    serial = PotentialFeaturizer(device="cpu").fit_transform(many)
    parallel = PotentialFeaturizer(device="cpu", n_jobs=2).fit_transform(many)
    assert (serial == parallel).all(axis=None)


def test_files_of_models_that_read_the_energy(crystals, table, tmp_path):
    energy = PotentialFeaturizer(columns="energy", device="cpu")
    params = {"hidden_dim": 4, "tower_dims": (4,), "max_epochs": 2, "n_ensemble": 2}
    network = ECNetRegressor(**params, random_state=0)
    y = np.arange(8.0)
    for model in (clone(network).set_params(extra=energy), DeltaRegressor(network, energy)):
        model.fit(crystals, y).save(tmp_path / "model")
        loaded = type(model).load(tmp_path / "model")
        np.testing.assert_array_equal(loaded.predict(crystals), model.predict(crystals))
    columns = network.set_params(extra=energy).fit(crystals, y).extra_columns_
    assert columns.names == ["chgnet energy (eV/atom)"]
    assert columns.mean[0] == pytest.approx(table.iloc[:, 0].mean(), abs=ROUNDING)
