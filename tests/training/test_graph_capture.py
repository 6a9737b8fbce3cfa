"""CUDA graphs and kernels on the second GPU of a computer, with a replaced `torch.cuda`."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from sklmat import layers
from sklmat.batches import Segments
from sklmat.training._graph_capture import GraphCapture


class FakeGraph:
    """Records what is repeated: the names of the steps that ran while it was captured."""

    def replay(self):
        log.append(f"replay {self.step}")


log: list[str] = []


@pytest.fixture
def captures(monkeypatch):
    """Arguments of all captures."""
    found = []
    log.clear()

    @contextlib.contextmanager
    def capture(graph, **settings):
        found.append(settings)
        yield
        graph.step = log[-1].removeprefix("run ")

    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: SimpleNamespace(device=device))
    return found


def optimizer_of(weight):
    return torch.optim.Adam([weight], lr=0.5, fused=True)


def test_steps_are_captured_once_per_size_on_their_device(captures):
    weight = torch.nn.Parameter(torch.ones(3))
    capture = GraphCapture([optimizer_of(weight)], torch.device("cpu"))
    capture.device = torch.device("cuda:1")
    groups = []

    def step(size):
        log.append(f"run {size}")
        groups.append(dict(capture.optimizers[0].param_groups[0]))

    for size in "aababb":
        capture.run(size, lambda size=size: step(size))
    # The second step of each size is run once to capture it.
    assert log == [
        "run a",
        *("run a", "replay a"),
        "run b",
        "replay a",
        *("run b", "replay b"),
        "replay b",
    ]
    assert all(group["capturable"] and group["lr"] is capture.lr for group in groups)
    assert capture.lr == 0.5
    # Torch's own stream for captures would be one of the first GPU that was captured on.
    assert {settings["stream"].device for settings in captures} == {torch.device("cuda:1")}
    assert {settings["pool"] for settings in captures} == {"pool"}
    group = capture.optimizers[0].param_groups[0]
    assert (group["lr"], group["capturable"]) == (0.5, False)


def test_gradients_before_a_capture_are_released(captures):
    weight = torch.nn.Parameter(torch.ones(3))
    capture = GraphCapture([optimizer_of(weight)], torch.device("cpu"))
    capture.device = torch.device("cuda:1")
    seen = []

    def step():
        log.append("run 0")
        seen.append(weight.grad)
        weight.grad = torch.ones(3)

    weight.grad = torch.ones(3)
    capture.run(0, step)
    capture.run(0, step)
    assert seen[0] is not None
    assert seen[1] is None


def test_kernels_start_on_the_device_of_their_tensors(monkeypatch):
    current, launched = [], []

    @contextlib.contextmanager
    def device(chosen):
        current.append(chosen)
        yield
        current.pop()

    def segment_sum(values, order, pointer):
        launched.append(current[-1])
        return torch.zeros(len(pointer) - 1, values.shape[1])

    monkeypatch.setattr(torch.cuda, "device", device)
    module = SimpleNamespace(segment_sum=segment_sum)
    monkeypatch.setitem(__import__("sys").modules, "sklmat.layers._triton_conv", module)
    segments = Segments(torch.arange(4), torch.tensor([0, 4]))
    values = torch.ones(4, 2, requires_grad=True)
    layers._sums._SegmentSum.apply(values, torch.zeros(4, dtype=torch.int64), segments)
    assert launched == [values.device]
    assert current == []
