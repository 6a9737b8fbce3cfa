"""Sums over atoms and pairs; a loop takes the place of the kernel in Triton."""

import contextlib
import itertools
import sys
from types import SimpleNamespace

import pytest
import torch
from crystals import b2_nial, bcc_fe, isolated_ne

from sklmat import StructureToGraph
from sklmat.batches import make_batch
from sklmat.graphs import ElementGraphs
from sklmat.layers import _sums


@pytest.fixture(scope="module")
def batch():
    graphs = StructureToGraph(cutoff=3.0).transform([b2_nial(), isolated_ne(), bcc_fe()])
    return make_batch(ElementGraphs.from_graphs(graphs))


@pytest.fixture
def on_gpu(monkeypatch):
    """Tensors of the CPU are summed as those of a GPU are."""

    def segment_sum(values, order, pointer):
        assert values.ndim == 2
        rows = [values[order[start:stop]].sum(dim=0) for start, stop in itertools.pairwise(pointer)]
        return torch.stack(rows)

    module = SimpleNamespace(segment_sum=segment_sum)
    monkeypatch.setitem(sys.modules, "sklmat.layers._triton_conv", module)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(_sums, "uses_triton", lambda values: True)


def test_triton_computes_narrow_rows_in_single_precision_on_a_gpu(monkeypatch):
    def uses(is_cuda=True, dtype=torch.float32, width=256, found=True):
        monkeypatch.setattr(_sums, "_has_triton", lambda: found)
        return _sums.uses_triton(SimpleNamespace(is_cuda=is_cuda, dtype=dtype, shape=(5, width)))

    assert uses()
    refused = {"is_cuda": False, "dtype": torch.float64, "width": 257, "found": False}
    assert not any(uses(**{name: value}) for name, value in refused.items())


def check_sums(batch):
    nodes = torch.arange(24.0).reshape(4, 2, 3)
    # Al and Ni; Ne; Fe.
    expected = torch.stack([nodes[0] + nodes[1], nodes[2], nodes[3]])
    nodes.requires_grad_()
    total = _sums.sum_atoms(nodes, batch)
    assert torch.equal(total, expected)
    (total * torch.tensor([1.0, 2.0, 3.0])[:, None, None]).sum().backward()
    assert nodes.grad[:, 0, 0].tolist() == nodes.grad[:, 1, 2].tolist() == [1, 1, 2, 3]

    # Al-Al, Al-Ni, Ni-Al, Ni-Ni, Ne-Ne, Fe-Fe.
    pairs = torch.arange(12.0).reshape(6, 2)
    assert _sums.sum_to_targets(pairs, batch).tolist() == [[2, 4], [10, 12], [8, 9], [10, 11]]

    nodes = torch.tensor([[5.0], [6.0], [7.0], [8.0]], requires_grad=True)
    gathered = _sums.gather_sources(nodes, batch)
    assert gathered.flatten().tolist() == [5, 6, 5, 6, 7, 8]
    (gathered.flatten() * torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])).sum().backward()
    assert nodes.grad.flatten().tolist() == [5, 10, 16, 32]


def test_sums_on_a_cpu(batch):
    check_sums(batch)


def test_sums_on_a_gpu(batch, on_gpu):
    check_sums(batch)
