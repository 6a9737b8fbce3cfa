"""Memory of trainings and predictions with graphs of a mapped file, and of those in memory."""

import tracemalloc

import numpy as np
import pytest
from crystals import random_alloys

from sklmat import CGCNNRegressor, CrystalGraphs, ECNetRegressor, StructureToGraph

MODELS = {
    "CGCNN": CGCNNRegressor(hidden_dim=4, readout_dim=4, n_conv=1),
    "CGCNN, smaller cutoff": CGCNNRegressor(hidden_dim=4, readout_dim=4, n_conv=1, cutoff=3.5),
    "ECNet": ECNetRegressor(hidden_dim=4, n_filters=4, n_conv=1, tower_dims=(4,)),
}


@pytest.fixture(scope="module")
def alloys():
    return StructureToGraph().transform(random_alloys(12))


def peak(function, *args):
    """Largest memory (bytes) of the arrays that a call makes."""
    tracemalloc.start()
    try:
        function(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_memory_does_not_grow_with_a_mapped_file(
    alloys, tmp_path, monkeypatch, name, early_stopping
):
    monkeypatch.setattr("sklmat.graphs._lazy_graphs._CHUNK_EDGES", 2000)
    monkeypatch.setattr("sklmat.graphs._element_graphs._CHUNK_EDGES", 2000)
    chunks = CrystalGraphs.chunks
    monkeypatch.setattr(CrystalGraphs, "chunks", lambda self: chunks(self, 300))
    model = MODELS[name].set_params(
        max_epochs=1, batch_size=24, random_state=0, early_stopping=early_stopping
    )
    peaks, sizes = [], []
    model.fit(alloys, np.arange(12.0))
    for factor in (10, 80):
        graphs = alloys[np.tile(np.arange(12), factor)]
        sizes.append(graphs.nbytes)
        graphs.save(tmp_path / str(factor))
        del graphs
        mapped = CrystalGraphs.load(tmp_path / str(factor), mmap=True)
        y = np.tile(np.arange(12.0), factor)
        peaks.append((peak(model.fit, mapped, y), peak(model.predict, mapped)))
    for few, many in zip(*peaks):
        # A few numbers of each crystal are in memory.
        assert many - few < 0.1 * (sizes[1] - sizes[0])


def test_graphs_in_memory_are_not_there_twice(alloys):
    graphs = alloys[np.tile(np.arange(12), 80)]
    model = CGCNNRegressor(
        hidden_dim=4, readout_dim=4, n_conv=1, max_epochs=1, random_state=0, early_stopping=True
    )
    model.fit(alloys, np.arange(12.0))
    assert peak(model.fit, graphs, np.tile(np.arange(12.0), 80)) < graphs.nbytes / 2
