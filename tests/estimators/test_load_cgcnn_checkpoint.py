"""Parity with the networks published with CGCNN, by the naive formula in float64."""

import json
import pickle
import warnings

import numpy as np
import pytest
import torch
from crystals import bcc_fe, fcc_cu, random_alloys, sparse_cell
from pymatgen.core import Structure

from sklmat import load_cgcnn_checkpoint
from sklmat.estimators._load_cgcnn_checkpoint import _read
from sklmat.exceptions import ExtrapolationWarning

NAMES = [
    "band-gap",
    "bulk-moduli",
    "efermi",
    "final-energy-per-atom",
    "formation-energy-per-atom",
    "poisson-ratio",
    "semi-metal-classification",
    "shear-moduli",
]


@pytest.fixture(scope="module")
def cgcnn_home(data_home):
    return data_home / "cgcnn"


@pytest.fixture(scope="module")
def atom_init(cgcnn_home):
    return cgcnn_home / "data" / "sample-regression" / "atom_init.json"


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def naive_forward(content, table, structure):
    """Section 3 of the paper's method, as the original arranges it: one matrix, padded edges."""
    w = {name: value.double().numpy() for name, value in content["state_dict"].items()}
    neighbors = [
        sorted(found, key=lambda n: n.nn_distance)[:12]
        for found in structure.get_all_neighbors(8.0, include_index=True)
    ]
    index = np.array([[n.index for n in ns] + [0] * (12 - len(ns)) for ns in neighbors])
    distance = np.array([[n.nn_distance for n in ns] + [9.0] * (12 - len(ns)) for ns in neighbors])
    g = np.exp(-((distance[..., None] - np.arange(0, 8.2, 0.2)) ** 2) / 0.2**2)
    h = np.array([table[str(z)] for z in structure.atomic_numbers], dtype=float)
    h = h @ w["embedding.weight"].T + w["embedding.bias"]

    def norm(x, name):
        mean, var = w[name + ".running_mean"], w[name + ".running_var"]
        return (x - mean) / np.sqrt(var + 1e-5) * w[name + ".weight"] + w[name + ".bias"]

    for k in range(content["args"]["n_conv"]):
        central = np.repeat(h[:, None], 12, axis=1)
        z = np.concatenate([central, h[index], g], axis=2)
        z = norm(
            z @ w[f"convs.{k}.fc_full.weight"].T + w[f"convs.{k}.fc_full.bias"], f"convs.{k}.bn1"
        )
        gate, core = np.split(z, 2, axis=2)
        h = softplus(h + norm((sigmoid(gate) * softplus(core)).sum(1), f"convs.{k}.bn2"))
    crystal = softplus(h.mean(axis=0))
    crystal = softplus(w["conv_to_fc.weight"] @ crystal + w["conv_to_fc.bias"])
    return w["fc_out.weight"] @ crystal + w["fc_out.bias"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:Issues encountered while parsing CIF")
def test_published_networks_predict_what_the_original_predicts(name, cgcnn_home, atom_init):
    path = cgcnn_home / "pre-trained" / f"{name}.pth.tar"
    model = load_cgcnn_checkpoint(path, atom_init=atom_init)
    folder = cgcnn_home / "data" / "sample-regression"
    files = sorted(folder.glob("*.cif"))
    structures = [*(Structure.from_file(f) for f in files), sparse_cell(), random_alloys(1)[0]]
    content, table = _read(path), json.loads(atom_init.read_text())
    raw = np.array([naive_forward(content, table, s) for s in structures])
    if name == "semi-metal-classification":
        expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        ours = model.predict_proba(structures)
        assert model.predict(structures).tolist() == expected.argmax(axis=1).tolist()
    else:
        scaler = content["normalizer"]
        expected = raw[:, 0] * scaler["std"] + scaler["mean"]
        ours = model.predict(structures)
    assert len(files) == 10
    np.testing.assert_allclose(ours, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    np.testing.assert_allclose(ours[:10], expected[:10], atol=1e-5)
    assert np.ptp(expected[:10], axis=0).min() > 0.1


def test_seven_of_eight_need_no_allow_list(cgcnn_home):
    refused = []
    for name in NAMES:
        try:
            path = cgcnn_home / "pre-trained" / f"{name}.pth.tar"
            torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            refused.append(name)
    assert refused == ["semi-metal-classification"]


def test_loaded_network_survives_its_own_format(cgcnn_home, atom_init, tmp_path):
    path = cgcnn_home / "pre-trained" / "band-gap.pth.tar"
    model = load_cgcnn_checkpoint(path, atom_init=atom_init)
    model.save(tmp_path / "m.safetensors")
    again = type(model).load(tmp_path / "m.safetensors")
    structures = [sparse_cell(), random_alloys(1)[0]]
    np.testing.assert_array_equal(again.predict(structures), model.predict(structures))


def test_elements_are_unknown_until_the_network_is_trained_further(cgcnn_home, atom_init):
    path = cgcnn_home / "pre-trained" / "band-gap.pth.tar"
    model = load_cgcnn_checkpoint(path, atom_init=atom_init)
    assert not hasattr(model, "elements_")
    crystals = [bcc_fe(), fcc_cu()]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ExtrapolationWarning)
        model.predict(crystals)
    model.set_params(warm_start=True, max_epochs=1, random_state=0).fit([fcc_cu()] * 2, [1.0, 2.0])
    assert model.elements_.tolist() == [29]
    with pytest.warns(ExtrapolationWarning, match=r"Fe \(row 0\)"):
        model.predict(crystals)


def test_wrong_table_and_wrong_file_are_refused(cgcnn_home, tmp_path):
    path = cgcnn_home / "pre-trained" / "band-gap.pth.tar"
    with pytest.raises(ValueError, match="trained with vectors of length 92"):
        load_cgcnn_checkpoint(path, atom_init="physical")
    torch.save({"weights": 1}, tmp_path / "other.pth.tar")
    with pytest.raises(ValueError, match="no checkpoint of the original"):
        load_cgcnn_checkpoint(tmp_path / "other.pth.tar", atom_init="physical")


def test_fine_tuning_keeps_the_originals_graphs(cgcnn_home, atom_init):
    path = cgcnn_home / "pre-trained" / "band-gap.pth.tar"
    model = load_cgcnn_checkpoint(path, atom_init=atom_init)
    structures = [sparse_cell(), *random_alloys(3)]
    before = model.predict(structures)
    model.set_params(warm_start=True, max_epochs=1, lr=1e-12, random_state=0)
    model.fit(structures, before)
    assert model.graph_settings_["ties"] == "truncate"
    # The weights have not moved, so only the batch norms' statistics can show a difference.
    module = model.net_.module_
    assert torch.equal(
        module.output.weight,
        torch.load(path, map_location="cpu", weights_only=True)["state_dict"]["fc_out.weight"],
    )
    assert model.padded_
