"""Batches that do not fit into the memory of a device."""

import weakref

import numpy as np
import pytest
import torch

from sklmat import CGCNNRegressor, ECNetRegressor
from sklmat.batches import GraphDataset
from sklmat.datasets import make_alloys
from sklmat.graphs import StructureToGraph
from sklmat.networks import CGCNN
from sklmat.training import _captured_steps, _loop, run_network

SETTINGS = {"max_epochs": 2, "hidden_dim": 8, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    cells, y = make_alloys(21, n_atoms=4, return_X_y=True)
    cells = [cell * [1 + row % 3, 1, 1] for row, cell in enumerate(cells)]
    return StructureToGraph(cutoff=4.0).fit_transform(cells), y


@pytest.fixture
def memory(monkeypatch):
    """Limits the numbers of crystals and edges of a batch; holds what each batch allocated."""

    class Memory:
        n_crystals = n_edges = np.inf
        sizes: list = []
        failed: list = []

        def allocate(self, batch):
            # No batch that failed may still be in memory when the next one is made.
            assert all(reference() is None for reference in self.failed)
            self.sizes.append(len(batch))
            if len(batch) > self.n_crystals or len(batch.source) > self.n_edges:
                block = torch.empty(3)
                self.failed.append(weakref.ref(block))
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    memory = Memory()
    memory.sizes, memory.failed = [], []
    embed = CGCNN.embed
    monkeypatch.setattr(
        CGCNN, "embed", lambda self, batch: (memory.allocate(batch), embed(self, batch))[1]
    )
    return memory


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [
        # 21 rows in two batches, halved from 16 to 8 and 4.
        (7, [11, 7, 7, 7]),
        (5, [11, 7, 4, 4, 4, 3, 3, 3]),
        (1, [11, 7, 4, 2] + [1] * 21),
    ],
)
def test_predictions_halve_the_batch_and_keep_the_rows(data, memory, limit, sizes):
    graphs, y = data
    model = CGCNNRegressor(**SETTINGS).fit(graphs, y)
    expected = model.predict(graphs)
    memory.sizes.clear()
    memory.n_crystals = limit
    np.testing.assert_allclose(model.predict(graphs), expected, atol=1e-5 * y.std())
    assert memory.sizes == sizes


def test_predictions_go_on_after_the_rows_that_are_done(data, memory):
    graphs, y = data
    model = CGCNNRegressor(**SETTINGS).fit(graphs, y)
    expected = model.predict(graphs)
    memory.sizes.clear()
    # The second batch does not fit, and is divided.
    memory.n_edges = graphs[:11].n_edges.sum()
    graphs = graphs[np.argsort(graphs.n_edges, kind="stable")]
    order = np.argsort(data[0].n_edges, kind="stable")
    np.testing.assert_allclose(model.predict(graphs), expected[order], atol=1e-5 * y.std())
    assert memory.sizes == [11, 10, 5, 5]


def test_a_crystal_that_does_not_fit_is_an_error(data, memory):
    graphs, y = data
    model = CGCNNRegressor(**SETTINGS).fit(graphs, y)
    memory.n_crystals = 0
    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 1\.00 GiB"):
        run_network(model.net_.module_, graphs, 16)


def test_training_names_a_batch_size_that_fits(data, memory):
    graphs, y = data
    memory.n_crystals = 5
    message = (
        r"cpu has not enough memory for batch_size=16 \(\d+ edges\): use batch_size=4, for which "
        r"the largest batch fits \(CUDA out of memory\. Tried to allocate 1\.00 GiB\)"
    )
    with pytest.raises(torch.OutOfMemoryError, match=message):
        CGCNNRegressor(**SETTINGS).fit(graphs, y)
    assert memory.sizes == [11, 8, 4]
    CGCNNRegressor(**{**SETTINGS, "batch_size": 4}).fit(graphs, y)


def test_the_named_batch_size_fits_for_the_largest_crystals(data, memory):
    graphs, y = data
    largest = np.sort(graphs.n_edges)[::-1]
    memory.n_edges = largest[:2].sum()
    with pytest.raises(torch.OutOfMemoryError, match="use batch_size=2, for"):
        CGCNNRegressor(**SETTINGS).fit(graphs, y)
    CGCNNRegressor(**{**SETTINGS, "batch_size": 2}).fit(graphs, y)
    memory.n_edges = largest[0] - 1
    with pytest.raises(torch.OutOfMemoryError, match="the largest crystal alone is too large"):
        CGCNNRegressor(**SETTINGS).fit(graphs, y)


def test_an_estimator_is_usable_after_training_ran_out_of_memory(data, memory):
    graphs, y = data
    model = CGCNNRegressor(**SETTINGS, warm_start=True).fit(graphs, y)
    expected, net = model.predict(graphs), model.net_
    memory.n_crystals = 5
    with pytest.raises(torch.OutOfMemoryError):
        model.fit(graphs, y)
    memory.n_crystals = np.inf
    assert model.net_ is net
    assert np.array_equal(model.predict(graphs), expected)
    assert len(model.set_params(batch_size=4).fit(graphs, y).history_) == 4


def test_a_net_is_usable_after_its_training_ran_out_of_memory(data, memory):
    graphs, y = data
    net = CGCNNRegressor(**SETTINGS).fit(graphs, y).net_
    train_set = GraphDataset(graphs, torch.tensor(y, dtype=torch.float32)[:, None])
    callbacks = net.callbacks_
    memory.n_crystals = 5
    with pytest.raises(torch.OutOfMemoryError):
        _loop.train_net(net, train_set, max_epochs=1)
    assert len(net.history) == 2
    assert net.callbacks_ is callbacks
    assert net.train_split is net.captured_steps is None
    assert all(weight.grad is None for weight in net.module_.parameters())
    net.set_params(batch_size=4)
    _loop.train_net(net, train_set, max_epochs=1)
    assert [row["epoch"] for row in net.history] == [1, 2, 3]


def test_data_that_do_not_fit_on_the_device_are_sent_in_batches(data, monkeypatch):
    graphs, y = data
    expected = ECNetRegressor(**SETTINGS).fit(graphs, y).predict(graphs)

    def fail(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(_loop, "_captures_steps", lambda *args: True)
    monkeypatch.setattr(_captured_steps, "_DeviceElementGraphs", fail)
    assert np.array_equal(ECNetRegressor(**SETTINGS).fit(graphs, y).predict(graphs), expected)
