"""Vectors of crystals that a network has learned."""

import numpy as np
import pytest
from crystals import nickel_fraction, random_alloys
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat import (
    CGCNNRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    GraphEmbedding,
    StructureToGraph,
    load_cgcnn_checkpoint,
)
from sklmat.datasets import make_alloys
from sklmat.downloads import _download
from sklmat.graphs import _neighbor_search

TINY = {"hidden_dim": 8, "n_conv": 1, "readout_dim": 8, "max_epochs": 3, "random_state": 0}
ELEMENTS = {
    "hidden_dim": 3,
    "n_filters": 4,
    "tower_dims": (4,),
    "max_epochs": 3,
    "n_ensemble": 2,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def structures():
    return random_alloys(16)


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph().fit_transform(structures)


@pytest.fixture(scope="module")
def y(structures):
    return 100 + 7 * nickel_fraction(structures)


def test_embeddings(graphs, structures, y):
    model = CGCNNRegressor(**TINY, n_ensemble=2).fit(graphs, y)
    assert model.embed(structures).shape == (16, 16)
    table = GraphEmbedding(CGCNNRegressor(**TINY)).set_output(transform="pandas")
    frame = table.fit_transform(structures, y)
    assert frame.columns.tolist() == [f"CGCNN_{k}" for k in range(8)]
    np.testing.assert_allclose(
        frame, CGCNNRegressor(**TINY).fit(graphs, y).embed(graphs), rtol=1e-6
    )


def test_fit_transform_builds_each_graph_once(structures, y, monkeypatch):
    built = []
    original = _neighbor_search.build_edges
    monkeypatch.setattr(
        _neighbor_search, "build_edges", lambda *a, **k: built.append(1) or original(*a, **k)
    )
    embedding = GraphEmbedding(CGCNNRegressor(**TINY)).set_output(transform="default")
    table = embedding.fit_transform(structures, y)
    assert len(built) == len(structures)
    np.testing.assert_array_equal(embedding.transform(structures), table)


def test_embedding_with_a_trained_network(graphs, structures, y, tmp_path):
    trained = CGCNNRegressor(**TINY).fit(graphs, y)
    trained.save(tmp_path / "network.safetensors")
    expected = trained.embed(graphs)
    for given in (FrozenEstimator(trained), tmp_path / "network.safetensors"):
        np.testing.assert_array_equal(GraphEmbedding(given).fit_transform(graphs), expected)
        np.testing.assert_array_equal(clone(GraphEmbedding(given)).fit_transform(graphs), expected)
    with pytest.raises(ValueError, match="FrozenEstimator"):
        GraphEmbedding(trained).fit(graphs, y)
    with pytest.raises(ValueError, match="needs y"):
        GraphEmbedding(CGCNNRegressor(**TINY)).fit(graphs)


def test_graph_embedding_of_elemental_vectors(structures, y):
    """The members of an ECNet share one net, unlike those of the other estimators."""
    graphs = StructureToGraph(cutoff=4.0, max_neighbors=None).transform(structures)
    network = ECNetRegressor(**ELEMENTS)
    embedding = GraphEmbedding(network).set_output(transform="pandas")
    frame = embedding.fit_transform(graphs, y)
    assert frame.columns.tolist() == [f"ECNet_{k}" for k in range(6)]
    np.testing.assert_allclose(frame, network.fit(graphs, y).embed(graphs), rtol=1e-6)


# -- networks published with CGCNN

PUBLISHED = "cgcnn:formation-energy-per-atom"


@pytest.fixture
def published(data_home, monkeypatch):
    """Paths of a published network and of its element table, in the folder of data files."""
    monkeypatch.setenv("SKLMAT_DATA", str(data_home))
    home = data_home / "cgcnn"
    return (
        home / "pre-trained" / f"{PUBLISHED.removeprefix('cgcnn:')}.pth.tar",
        home / "data" / "sample-regression" / "atom_init.json",
    )


def test_a_published_network_by_its_name_and_by_its_path(published, structures, tmp_path):
    path, table = published
    expected = load_cgcnn_checkpoint(path, atom_init=table).embed(structures)
    embedding = clone(GraphEmbedding(PUBLISHED)).set_output(transform="pandas")
    frame = embedding.fit_transform(structures)
    assert frame.columns.tolist() == [f"CGCNN_formation-energy-per-atom_{k}" for k in range(64)]
    np.testing.assert_array_equal(frame, expected)
    of_path = GraphEmbedding(path).set_output(transform="pandas").fit_transform(structures)
    assert of_path.columns[0] == "CGCNN_0"
    np.testing.assert_array_equal(of_path, expected)
    # A table beside the file is the one that belongs to it.
    own = tmp_path / "own.pth.tar"
    own.write_bytes(path.read_bytes())
    (tmp_path / "atom_init.json").write_text('{"28": [1, 0], "13": [0, 1]}')
    with pytest.raises(ValueError, match=r"vectors of length 2, .* of length 92"):
        GraphEmbedding(own).fit(structures)


@pytest.mark.slow
def test_ridge_on_a_published_network(published):
    """The composition alone gives R² of 0.92 here, the vectors without scaling less than 0.5."""
    alloys = make_alloys(60, random_state=0)
    model = make_pipeline(
        GraphEmbedding(PUBLISHED), StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))
    )
    model.fit(alloys.data[:45], alloys.target[:45])
    assert model.score(alloys.data[45:], alloys.target[45:]) > 0.98


def test_a_training_starts_from_a_published_network(published, structures, y):
    path, table = published
    model = clone(load_cgcnn_checkpoint(path, atom_init=table))
    model.set_params(
        warm_start_from=PUBLISHED, freeze="convolutions", lr=1e-3, max_epochs=1, random_state=0
    )
    np.testing.assert_allclose(
        model.fit(structures, y).embed(structures),
        GraphEmbedding(PUBLISHED).fit_transform(structures),
        rtol=1e-5,
    )


def test_published_networks_that_cannot_be_used(tmp_path, monkeypatch, structures, y):
    with pytest.raises(ValueError, match=r"no checkpoint 'gap'; choose from band-gap, bulk-moduli"):
        GraphEmbedding("cgcnn:gap").fit(structures)

    def no_network(paths, home, verbose):
        raise OSError(_download._explain(paths, home, "no network"))

    monkeypatch.setenv("SKLMAT_DATA", str(tmp_path))
    monkeypatch.setattr(_download, "_download", no_network)
    target = tmp_path / "cgcnn" / "pre-trained" / "band-gap.pth.tar"
    with pytest.raises(OSError, match=rf"Put each file where .*\n.*\n.*\n +-> {target}"):
        GraphEmbedding("cgcnn:band-gap").fit(structures)


def test_ecnet_featurizer_refuses_a_published_network(published, structures):
    with pytest.raises(ValueError, match="ECNet"):
        ECNetFeaturizer(PUBLISHED).fit(structures)
