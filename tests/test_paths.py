"""A path may begin with ``~``, and may be any path-like object, wherever one is taken."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from tiny_ecnet import TINY

from sklmat import (
    CGCNNRegressor,
    CrystalGraphs,
    ECNetFeaturizer,
    ECNetRegressor,
    GraphEmbedding,
    StructureToGraph,
    composition_grid,
    element_vectors,
    load_cgcnn_checkpoint,
    screen,
)
from sklmat.datasets import get_data_home

SMALL = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}


class FileOfAnotherLibrary(os.PathLike):
    """A path that is neither a string nor a `Path`."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.fixture(params=[str, Path, FileOfAnotherLibrary])
def make_path(request):
    return request.param


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    # A folder named "~" would be made here.
    monkeypatch.chdir(tmp_path)
    yield home
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.fixture(scope="module")
def graphs():
    return StructureToGraph(cutoff=4.0).fit_transform(random_alloys(6, seed=0))


@pytest.fixture(scope="module")
def y(graphs):
    return np.linspace(0, 1, len(graphs))


def test_cache_of_graphs(home, make_path):
    crystals = random_alloys(2, seed=0)
    StructureToGraph(cutoff=3.0, cache=make_path("~/graphs")).fit_transform(crystals)
    assert len(list((home / "graphs").rglob("*.safetensors"))) == 2


def test_graphs_are_saved_and_loaded(home, make_path, graphs):
    graphs.save(make_path("~/graphs.safetensors"))
    assert (home / "graphs.safetensors").is_file()
    loaded = CrystalGraphs.load(make_path("~/graphs.safetensors"), mmap=True)
    assert np.array_equal(loaded.edge_distance, graphs.edge_distance)
    del loaded  # Windows does not remove a file that is mapped into memory.


def test_estimators_are_saved_loaded_and_embedded(home, make_path, graphs, y):
    model = CGCNNRegressor(**SMALL).fit(graphs, y)
    path = make_path("~/model.safetensors")
    model.save(path)
    assert (home / "model.safetensors").is_file()
    assert np.array_equal(CGCNNRegressor.load(path).predict(graphs), model.predict(graphs))
    table = GraphEmbedding(path).fit(graphs).transform(graphs)
    assert np.array_equal(table, model.embed(graphs))


@pytest.mark.parametrize("n_ensemble", [1, 2])
def test_checkpoints(home, make_path, graphs, y, n_ensemble):
    model = CGCNNRegressor(**SMALL, n_ensemble=n_ensemble)
    model.fit(graphs, y, checkpoint=make_path("~/state"))
    names = ["state"] if n_ensemble == 1 else ["state.0", "state.1"]
    assert sorted(path.name for path in home.iterdir()) == names


def test_element_vectors(home, make_path, graphs, y):
    vectors = {str(z): [float(z), 1.0] for z in range(1, 100)}
    (home / "atom_init.json").write_text(json.dumps(vectors))
    path = make_path("~/atom_init.json")
    assert element_vectors(path)[0][28].tolist() == [28.0, 1.0]
    model = CGCNNRegressor(**SMALL, atom_init=path).fit(graphs, y)
    model.save(home / "model.safetensors")
    loaded = CGCNNRegressor.load(home / "model.safetensors")
    assert os.fspath(loaded.atom_init) == str(Path("~/atom_init.json"))


def test_networks_to_start_from(home, make_path, graphs, y):
    source = ECNetRegressor(**{**TINY, "cutoff": 4.0}).fit(graphs, y)
    path = make_path("~/model.safetensors")
    source.save(path)
    same = ECNetRegressor(**{**TINY, "cutoff": 4.0}, warm_start_from=FrozenEstimator(source))
    model = ECNetRegressor(**{**TINY, "cutoff": 4.0}, warm_start_from=path)
    assert np.array_equal(model.fit(graphs, y).predict(graphs), same.fit(graphs, y).predict(graphs))
    table = ECNetFeaturizer(path, lattice=False).fit_transform(graphs)
    assert table.equals(
        ECNetFeaturizer(FrozenEstimator(source), lattice=False).fit_transform(graphs)
    )


def test_screening(home, make_path):
    model = LinearRegression().fit(pd.DataFrame({"x_Fe": [1, 0], "x_Ni": [0, 1]}), [0.0, 1.0])
    grid = composition_grid(["Fe", "Ni"], 0.5)
    out = screen(model, grid, targets="hardness (GPa)", out=make_path("~/alloys.parquet"))
    assert out == home / "alloys.parquet"
    assert len(pd.read_parquet(out)) == 3


def test_checkpoints_of_the_original(home, make_path):
    (home / "gap.pth.tar").write_text("this is not a checkpoint")
    with pytest.raises(ValueError, match=r"home.gap\.pth\.tar"):
        load_cgcnn_checkpoint(make_path("~/gap.pth.tar"), atom_init="physical")


def test_data_home(home, make_path):
    assert get_data_home(make_path("~/data")) == home / "data"
