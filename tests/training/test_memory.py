"""Memory of trainings and predictions with graphs of a mapped file, and of those in memory."""

import subprocess
import sys
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
@pytest.mark.parametrize("early_stopping", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_a_mapped_file(
    alloys, tmp_path, monkeypatch, name, early_stopping
):
    monkeypatch.setattr("sklmat.graphs._lazy_graphs._CHUNK_EDGES", 2000)
    monkeypatch.setattr("sklmat.graphs._element_graphs._CHUNK_EDGES", 2000)
    chunks = CrystalGraphs.chunks
    monkeypatch.setattr(CrystalGraphs, "chunks", lambda self, n_atoms=300: chunks(self, 300))
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


_TRAINING = """
import sys, threading
import numpy as np
from sklmat import CGCNNRegressor, CrystalGraphs

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

path, n_rows, factor = sys.argv[1], *map(int, sys.argv[2:])
graphs = CrystalGraphs.load(path, mmap=True)[np.tile(np.arange(n_rows), factor)]
y = np.linspace(0, 1, len(graphs))
model = CGCNNRegressor(
    hidden_dim=4, readout_dim=4, n_conv=1, early_stopping=True, random_state=0
)
# The same number of steps, since the largest batch determines the memory of the network.
model.set_params(max_epochs=16 // factor)
peak, stop = 0, threading.Event()

def watch():
    global peak
    while not stop.wait(0.01):
        peak = max(peak, anonymous())

thread = threading.Thread(target=watch)
thread.start()
model.fit(graphs, y).predict(graphs)
stop.set()
thread.join()
print(peak)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_anonymous_memory_of_the_process(data_home, tmp_path):
    from sklmat.datasets import fetch_hea

    cells = fetch_hea(data_home=data_home, verbose=False).data
    StructureToGraph().to_file(cells, tmp_path / "alloys")
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", _TRAINING, str(tmp_path / "alloys"), "364", str(factor)],
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for factor in (1, 4, 16)
    ]
    assert max(peaks) < 1.1 * min(peaks)
