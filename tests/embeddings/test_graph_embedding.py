"""Vectors of crystals that a network has learned."""

import numpy as np
import pytest
from crystals import nickel_fraction, random_alloys
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklmat import CGCNNRegressor, ECNetRegressor, GraphEmbedding, StructureToGraph
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
