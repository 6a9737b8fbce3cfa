"""Training steps with batches of a fixed size, which a GPU repeats as one CUDA graph."""

import pickle

import numpy as np
import pytest
import torch

from sklmat import CGCNNRegressor, ECNetRegressor
from sklmat.batches import make_batch
from sklmat.datasets import make_alloys
from sklmat.graphs import ElementGraphs, StructureToGraph
from sklmat.training import _captured_steps as module
from sklmat.training import _loop

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")


@pytest.fixture(scope="module")
def data():
    cells, y = make_alloys(13, n_atoms=4, return_X_y=True)
    cells = [cell * [1 + row % 3, 1, 1] for row, cell in enumerate(cells)]
    return StructureToGraph(cutoff=4.0).fit_transform(cells), y


def test_batch_of_fixed_size_is_the_batch_with_padding(data):
    graphs = data[0].with_extra({"row": np.arange(13)})
    rows = np.array([3, 0, 7, 11])
    expected = make_batch(graphs, rows)
    n_atoms, n_edges = len(expected.atomic_numbers), len(expected.source)
    batch = module._DeviceCrystalGraphs(graphs, "cpu").batch(
        torch.tensor([*rows, 13, 13]), (n_atoms + 5, n_edges + 9)
    )
    assert torch.equal(batch.atomic_numbers[:n_atoms], expected.atomic_numbers)
    assert torch.equal(batch.crystal[:n_atoms], expected.crystal)
    assert batch.crystal[n_atoms:].tolist() == [5] * 5
    for name in ("source", "target", "distance"):
        assert torch.equal(getattr(batch, name)[:n_edges], getattr(expected, name))
    assert batch.source[n_edges:].tolist() == [n_atoms + 4] * 9
    assert batch.n_atoms.tolist() == [*expected.n_atoms.tolist(), 1.0, 1.0]
    assert batch.extra.tolist() == [[3], [0], [7], [11], [0], [0]]
    segments = batch.segments()
    assert (segments.n_atoms.item(), segments.n_edges.item()) == (n_atoms, n_edges)
    for segment, index in (
        (segments.by_target, batch.target),
        (segments.by_source, batch.source),
        (segments.by_crystal, batch.crystal),
    ):
        for number in range(5):
            members = segment.order[segment.pointer[number] : segment.pointer[number + 1]]
            n_valid = n_atoms if index is batch.crystal else n_edges
            assert sorted(members.tolist()) == np.flatnonzero(index[:n_valid] == number).tolist()


def test_batch_of_element_graphs_is_the_batch_with_padding(data):
    graphs = ElementGraphs.from_graphs(data[0].with_extra({"row": np.arange(13)}))
    rows = np.array([5, 2, 12])
    expected = make_batch(graphs, rows)
    n_nodes, n_pairs = len(expected.atomic_numbers), len(expected.source)
    batch = module._DeviceElementGraphs(graphs, "cpu").batch(
        torch.tensor([*rows, 13]), (n_nodes + 3, n_pairs + 4)
    )
    for name in ("source", "target", "radial"):
        assert torch.equal(getattr(batch, name)[:n_pairs], getattr(expected, name))
    for name in ("atomic_numbers", "crystal", "fraction"):
        assert torch.equal(getattr(batch, name)[:n_nodes], getattr(expected, name))
    assert len(batch) == 4
    assert batch.crystal[n_nodes:].tolist() == [3] * 3
    assert batch.extra.tolist() == [[5], [2], [12], [0]]


@pytest.mark.parametrize(
    "make",
    [
        # Adam divides the gradient of the biases before a batch normalisation, which is zero but
        # for rounding, by its size; with it, the two trainings are only statistically equal.
        lambda: CGCNNRegressor(
            max_epochs=4, batch_size=5, hidden_dim=8, optimizer="sgd", random_state=0
        ),
        lambda: ECNetRegressor(max_epochs=4, batch_size=5, hidden_dim=8, random_state=0),
        lambda: ECNetRegressor(
            max_epochs=4, batch_size=5, hidden_dim=8, random_state=0, extra=["row"]
        ),
    ],
)
def test_padding_does_not_change_the_training(data, make, monkeypatch):
    graphs, y = data[0].with_extra({"row": np.arange(13)}), data[1]
    weight = np.linspace(0.5, 1.5, len(y))
    usual = make().fit(graphs, y, sample_weight=weight)
    sizes = []
    steps = module.CapturedSteps
    monkeypatch.setattr(_loop, "_captures_steps", lambda *args: True)
    monkeypatch.setattr(
        steps, "_run", lambda self, size, run=steps._run: (sizes.append(size), run(self, size))
    )
    padded = make().fit(graphs, y, sample_weight=weight)
    assert len(sizes) == 4 * 3
    assert len(set(sizes)) > 1
    np.testing.assert_allclose(padded.predict(graphs), usual.predict(graphs), atol=1e-5 * y.std())
    for one, other in zip(padded.history_, usual.history_):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
        assert one["lr"] == other["lr"]


def test_callbacks_within_a_step_prevent_capturing():
    from skorch.callbacks import EpochTimer, GradientNormClipping

    class Net:
        device = "cuda"

    class Rows:
        transform = None

    assert _loop._captures_steps(Net, Rows, [EpochTimer()])
    assert not _loop._captures_steps(Net, Rows, [("clip", GradientNormClipping())])
    Rows.transform = object()
    assert not _loop._captures_steps(Net, Rows, [])


def test_pickled_net_holds_its_network_once(data):
    graphs, y = data
    net = CGCNNRegressor(max_epochs=1, hidden_dim=8, random_state=0).fit(graphs, y).net_
    assert net.module is net.module_
    assert "module" not in net.__getstate__()
    loaded = pickle.loads(pickle.dumps(net))
    assert loaded.module is loaded.module_


@needs_gpu
@pytest.mark.parametrize("optimizer", ["adam", "muon", "sgd"])
def test_gpu_repeats_itself_and_follows_the_cpu(data, optimizer):
    graphs, y = data
    settings = {"max_epochs": 20, "batch_size": 5, "optimizer": optimizer, "random_state": 0}
    first, second, cpu = (
        CGCNNRegressor(device=device, **settings).fit(graphs, y).predict(graphs)
        for device in ("cuda", "cuda", "cpu")
    )
    assert np.array_equal(first, second)
    np.testing.assert_allclose(first, cpu, atol=0.05 * y.std())
