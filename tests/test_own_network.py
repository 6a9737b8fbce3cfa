"""The guide's own network: one file, and an estimator like all others."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crystals import nickel_fraction, random_alloys
from pymatgen.core import Element

from sklmat import GraphEmbedding, StructureAttack, pair_attribution, site_attribution
from sklmat.estimator_checks import check_structure_estimator

PAGE = Path(__file__).parents[1] / "docs" / "user_guide" / "own_network.md"
TINY = {"hidden_dim": 8, "n_conv": 1, "max_epochs": 40, "batch_size": 4, "random_state": 0}

pytestmark = pytest.mark.skipif(
    not PAGE.exists(), reason="the documentation is not part of this copy"
)


@pytest.fixture(scope="module")
def code():
    return re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)[1]


@pytest.fixture(scope="module")
def schnet(code, tmp_path_factory):
    path = tmp_path_factory.mktemp("own_network") / "schnet.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("schnet", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["schnet"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["schnet"]


@pytest.fixture(scope="module")
def data():
    structures = random_alloys(24)
    return structures, 100 + 7 * nickel_fraction(structures)


@pytest.fixture(scope="module")
def model(schnet, data):
    return schnet.SchNetRegressor(**TINY).fit(*data)


def test_it_is_one_file_of_less_than_two_hundred_lines(code):
    assert len(code.splitlines()) < 200


def test_it_learns(schnet, data):
    structures, y = data
    model = schnet.SchNetRegressor(**TINY).fit(structures[:16], y[:16])
    assert model.score(structures[16:], y[16:]) > 0.8


def test_it_is_saved_and_warm_started(schnet, data, model, tmp_path):
    structures, y = data
    model.save(tmp_path / "schnet.safetensors")
    again = schnet.SchNetRegressor.load(tmp_path / "schnet.safetensors")
    np.testing.assert_array_equal(again.predict(structures), model.predict(structures))
    again.set_params(warm_start=True, hidden_dim=16)
    with pytest.raises(ValueError, match="hidden_dim was 8, is 16"):
        again.fit(structures, y)


def test_its_file_is_read_wherever_a_path_may_stand(data, model, tmp_path):
    model.save(tmp_path / "schnet.safetensors")
    embedding = GraphEmbedding(tmp_path / "schnet.safetensors").fit(data[0])
    np.testing.assert_array_equal(embedding.transform(data[0]), model.embed(data[0]))


def test_element_vectors_of_a_table(schnet, data, model):
    """A table cannot be compared with the name of one."""
    table = pd.DataFrame(np.eye(119)[1:], index=[Element.from_Z(z).symbol for z in range(1, 119)])
    given = schnet.SchNetRegressor(**{**TINY, "max_epochs": 2}, atom_init=table).fit(*data)
    assert np.isfinite(given.predict(data[0])).all()


def test_what_the_config_must_hold(schnet, data, monkeypatch):
    class Forgetful(schnet.SchNet):
        def __init__(self, element_vectors, n_outputs, **settings):
            super().__init__(element_vectors, n_outputs, **settings)
            self.config = settings

    monkeypatch.setattr(schnet.SchNetArchitecture, "network_class", Forgetful)
    with pytest.raises(TypeError, match=r"config of Forgetful lacks \['n_outputs'\]"):
        schnet.SchNetRegressor(**TINY).fit(*data)


def test_settings_may_be_tuples(schnet, data, monkeypatch, tmp_path):
    class Tupled(schnet.SchNet):
        def __init__(self, element_vectors, n_outputs, *, widths=(4, 4), **settings):
            super().__init__(element_vectors, n_outputs, **settings)
            self.config["widths"] = widths
            assert sum(widths) == 8

    monkeypatch.setattr(schnet.SchNetArchitecture, "network_class", Tupled)
    model = schnet.SchNetRegressor(**{**TINY, "max_epochs": 1}).fit(*data)
    model.save(tmp_path / "tupled.safetensors")
    again = schnet.SchNetRegressor.load(tmp_path / "tupled.safetensors")
    np.testing.assert_array_equal(again.predict(data[0]), model.predict(data[0]))


def test_it_is_embedded_attacked_and_explained(schnet, data, model):
    structures, y = data
    embedding = GraphEmbedding(schnet.SchNetRegressor(**TINY))
    assert embedding.fit(structures, y).transform(structures).shape == (24, 8)
    attack = StructureAttack(model, budget=0.1, n_steps=2)
    moved = attack.generate(structures[:6], y[:6])
    errors = [np.abs(model.predict(X) - y[:6]) for X in (structures[:6], moved)]
    assert (errors[1] >= errors[0]).all()
    assert errors[1].mean() > errors[0].mean()
    table = site_attribution(model, structures[:1], background=structures)
    total = table["attribution"].sum() + table.attrs["baseline"][0]
    assert total == pytest.approx(model.predict(structures[:1])[0], abs=1e-2)
    table = pair_attribution(model, structures[:1], shells=1, n_permutations=1)
    total = table["attribution"].sum() + table.attrs["baseline"][0]
    assert total == pytest.approx(model.predict(structures[:1])[0], abs=1e-4)


def test_it_is_trained_against_an_attack(schnet, data):
    attack = StructureAttack(budget=0.05, n_steps=1)
    model = schnet.SchNetRegressor(**{**TINY, "max_epochs": 2}, adversarial=attack).fit(*data)
    assert np.isfinite(model.predict(data[0])).all()


def test_it_passes_the_public_checks(schnet):
    check_structure_estimator(schnet.SchNetRegressor(hidden_dim=4, n_conv=1, max_epochs=2))
