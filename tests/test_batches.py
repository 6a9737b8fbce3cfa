"""Batches of graphs, and neighbours padded as the original does."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from crystals import b2_nial, bcc_fe, isolated_ne, random_alloys, rocksalt_nacl

from sklmat import StructureToGraph
from sklmat.batches import (
    EvenBatches,
    GraphDataset,
    edges_per_batch,
    even_loader,
    make_batch,
    pad_neighbors,
)
from sklmat.graphs import ElementGraphs


@pytest.fixture(scope="module")
def graphs():
    """Equal and unequal numbers of neighbours, and an atom with none."""
    return StructureToGraph().fit_transform(
        [*random_alloys(4), bcc_fe(), isolated_ne(), rocksalt_nacl()]
    )


@pytest.fixture(scope="module")
def with_columns():
    """Ne alone, bcc Fe and B2 NiAl with 6 + 8 neighbours per atom, and two columns of numbers."""
    graphs = StructureToGraph(cutoff=3.0).transform([isolated_ne(), bcc_fe(), b2_nial()])
    return graphs.with_extra(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))


def tensors(batch):
    values = {item.name: getattr(batch, item.name) for item in fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, torch.Tensor)}


def test_numbers_of_a_batch(with_columns):
    batch = make_batch(with_columns, np.array([2, 0, 1]))
    assert batch.atomic_numbers.tolist() == [28, 13, 10, 26, 26]
    assert batch.crystal.tolist() == [0, 0, 1, 2, 2]
    assert batch.n_atoms.tolist() == [2, 1, 2]
    assert batch.extra.tolist() == [[5, 6], [1, 2], [3, 4]]
    assert batch.target.tolist() == [0] * 14 + [1] * 14 + [3] * 14 + [4] * 14
    expected = [
        *(with_columns[2].edge_source + 0).tolist(),
        # Ne is atom 2.
        *(with_columns[1].edge_source + 3).tolist(),
    ]
    assert batch.source.tolist() == expected
    assert {tensor.dtype for tensor in tensors(batch).values()} == {torch.int64, torch.float32}


def test_a_batch_made_on_a_gpu_has_the_same_numbers(with_columns):
    # The CPU takes the place of the GPU.
    like = SimpleNamespace(is_cuda=True, device=torch.device("cpu"), dtype=torch.float64)
    for graphs in (with_columns, with_columns.with_extra(None)):
        there = tensors(make_batch(graphs, like=like))
        here = tensors(make_batch(graphs).to(torch.float64))
        assert list(there) == list(here)
        for name in here:
            assert there[name].dtype == here[name].dtype
            assert there[name].tolist() == here[name].tolist()


def test_conversion_to_double_precision_changes_floating_point_numbers_only(with_columns):
    elements = ElementGraphs.from_graphs(with_columns)
    for graphs in (with_columns, elements):
        batch = make_batch(graphs)
        before, after = tensors(batch), tensors(batch.to(torch.float64))
        assert list(before) == list(after)
        for name, tensor in before.items():
            expected = torch.float64 if tensor.is_floating_point() else torch.int64
            assert after[name].dtype == expected
            assert torch.equal(after[name], tensor.to(expected))
        for name, tensor in tensors(make_batch(graphs, like=torch.zeros(1).double())).items():
            assert torch.equal(tensor, after[name])


def test_segments_are_the_edges_of_each_atom_and_the_atoms_of_each_crystal(with_columns):
    batches = [make_batch(with_columns), make_batch(ElementGraphs.from_graphs(with_columns))]
    for batch in batches:
        segments = batch.segments()
        assert batch.segments() is segments
        n_atoms = len(batch.atomic_numbers)
        assert segments.n_atoms.tolist() == [n_atoms]
        assert segments.n_edges.tolist() == [len(batch.source)]
        for (order, pointer), index, n in (
            (segments.by_target, batch.target, n_atoms),
            (segments.by_source, batch.source, n_atoms),
            (segments.by_crystal, batch.crystal, 3),
        ):
            assert pointer.shape == (n + 1,)
            for i in range(n):
                rows = [row for row, member in enumerate(index.tolist()) if member == i]
                assert order[pointer[i] : pointer[i + 1]].tolist() == rows


def test_batches_are_compared_by_identity(with_columns):
    # A comparison of their tensors has no single answer.
    for graphs in (with_columns, ElementGraphs.from_graphs(with_columns)):
        batch = make_batch(graphs)
        assert batch == batch
        assert batch != make_batch(graphs)


def test_edges_of_a_batch_are_sorted_by_target(graphs):
    batch = make_batch(graphs[[0, 4, 1, 6]])
    assert len(batch) == 4
    assert (torch.diff(batch.target) >= 0).all()
    n_edges = graphs[[0, 4, 1, 6]].n_edges
    crystal_of_edge = batch.crystal[batch.target]
    assert torch.equal(crystal_of_edge, batch.crystal[batch.source])
    assert torch.bincount(crystal_of_edge).tolist() == n_edges.tolist()


def test_dataset_fetches_whole_batches(graphs):
    dataset = GraphDataset(graphs, torch.arange(len(graphs)))
    batch, (y, weight) = dataset.__getitems__([5, 2])
    assert len(dataset) == len(graphs)
    assert len(batch) == 2
    assert y.tolist() == [5, 2]
    assert weight.tolist() == [1, 1]
    assert batch.atomic_numbers[0] == 10


def test_rows_of_a_dataset(graphs):
    rows = np.array([5, 0, 6])
    y, weight = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([1.0, 2.0, 3.0])
    dataset = GraphDataset(graphs, y, weight, rows)
    assert len(dataset) == 3
    assert dataset.n_edges.tolist() == graphs.n_edges[rows].tolist()
    numbers = graphs[rows].atomic_numbers.tolist()
    assert dataset.graphs.atomic_numbers.tolist() == numbers
    elements = ElementGraphs.from_graphs(graphs)
    assert GraphDataset(elements, rows=np.array([5, 5])).graphs.atomic_numbers.tolist() == [10, 10]
    part = dataset.select(np.array([2, 0]))
    assert part.rows.tolist() == [6, 5]
    assert part.y.tolist() == [30, 10]
    assert part.weight.tolist() == [3, 1]
    batch, (of_one, _) = part[1]
    assert batch.atomic_numbers.tolist() == [10]
    assert of_one.tolist() == [10]
    assert GraphDataset(graphs, rows=rows).y.tolist() == [0, 0, 0]
    of_all = GraphDataset(graphs)
    assert of_all.select(np.array([6, 1])).rows.tolist() == [6, 1]
    assert of_all.n_edges.tolist() == graphs.n_edges.tolist()


def test_batches_of_nearly_equal_size(graphs):
    batches = EvenBatches(10, 4)
    assert len(batches) == 3
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert [batch.tolist() for batch in EvenBatches(8, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    dataset = GraphDataset(graphs, torch.arange(7))
    assert [y.tolist() for _, (y, _) in even_loader(dataset, 3)] == [[0, 1, 2], [3, 4], [5, 6]]
    dataset.generator = torch.Generator().manual_seed(0)
    shuffled = [y for _, (y, _) in even_loader(dataset, 3)]
    assert [len(y) for y in shuffled] == [3, 2, 2]
    order = torch.cat(shuffled).tolist()
    assert sorted(order) == list(range(7)) != order


def test_mean_edges_of_a_batch(with_columns):
    # 0, 28 and 28 edges.
    assert edges_per_batch(with_columns, 2) == pytest.approx(56 / 3 * 2)
    assert edges_per_batch(with_columns, 10) == 56
    assert edges_per_batch(with_columns[:0], 2) == 0


def test_padding_is_the_originals(graphs):
    padded = pad_neighbors(graphs)
    assert padded.neighbor_counts.min() == 12
    lone = padded[5]
    assert lone.edge_source.tolist() == [0] * 12
    assert lone.edge_distance.tolist() == [9.0] * 12
    assert lone.edge_target.tolist() == [0] * 12
    assert lone.edge_image.tolist() == [[0, 0, 0]] * 12
    np.testing.assert_array_equal(padded[0].edge_distance, graphs[0].edge_distance)
    assert pad_neighbors(graphs[:4]).edge_ptr.tolist() == graphs[:4].edge_ptr.tolist()


def test_batches_are_sent_to_a_gpu_without_waiting_and_read_back_with_waiting(monkeypatch):
    sent = []
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, target, **how: sent.append((target, how)) or self
    )
    batch = make_batch(StructureToGraph().fit_transform([bcc_fe()]))
    for device, waits in (("cuda:1", False), (torch.device("cuda"), False), ("cpu", True)):
        sent.clear()
        batch.to(device)
        assert sent == [(device, {"non_blocking": not waits})] * 6
