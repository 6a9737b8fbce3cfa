"""The benchmark scripts stay importable, and what they compare is the same network."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from crystals import random_alloys

from sklmat import StructureToGraph

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.mark.parametrize("name", ["hea_accuracy", "perovskite_accuracy", "cgcnn_speed"])
def test_script_can_be_loaded(name):
    assert callable(runpy.run_path(str(FOLDER / f"{name}.py"))["main"])


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "cgcnn_speed", raising=False)
    import cgcnn_speed

    return cgcnn_speed


def test_naive_network_gives_our_outputs_and_gradients(speed):
    graphs = StructureToGraph(ties="truncate").transform(random_alloys(6))
    made = speed.networks_and_data(graphs, 6)
    (ours, batch), (naive, data) = made["sklmat"], made["naive"]
    first, second = ours(batch), naive(data)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)
    first.square().mean().backward()
    gradient = ours.convolutions[0].edge_map.weight.grad.clone()
    ours.zero_grad()
    second.square().mean().backward()
    width = ours.embedding.out_features
    full = naive.convs[0].full.weight.grad[:, 2 * width :]
    torch.testing.assert_close(gradient, full, atol=1e-3, rtol=1e-2)


def test_original_neighbours_are_ours(speed):
    structures = random_alloys(3)
    ours = StructureToGraph(ties="truncate").transform(structures)
    theirs = [n.nn_distance for s in structures for ns in speed.original_neighbors(s) for n in ns]
    np.testing.assert_allclose(ours.edge_distance, theirs, atol=1e-5)
