"""Batches of graphs, and neighbours padded as the original does."""

import numpy as np
import pytest
import torch
from crystals import bcc_fe, isolated_ne, random_alloys, rocksalt_nacl

from sklmat import StructureToGraph
from sklmat.batches import GraphDataset, make_batch, pad_neighbors


@pytest.fixture(scope="module")
def graphs():
    """Equal and unequal numbers of neighbours, and an atom with none."""
    return StructureToGraph().fit_transform(
        [*random_alloys(4), bcc_fe(), isolated_ne(), rocksalt_nacl()]
    )


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


def test_padding_is_the_originals(graphs):
    padded = pad_neighbors(graphs)
    assert padded.neighbor_counts.min() == 12
    lone = padded[5]
    assert lone.edge_source.tolist() == [0] * 12
    assert lone.edge_distance.tolist() == [9.0] * 12
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
