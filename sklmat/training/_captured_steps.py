"""`CapturedSteps`: training steps of a graph network on a GPU, with batches of fixed sizes."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from sklmat.batches import BatchSegments, CrystalBatch, ElementBatch, Segments
from sklmat.graphs import ElementGraphs
from sklmat.training._graph_capture import GraphCapture


class _Rows(NamedTuple):
    """Rows of some items, with padding at the end.

    Parameters
    ----------
    item : Tensor of shape (capacity,)
        Position among the items of each row; the last one for padding.
    row : Tensor of shape (capacity,)
        Row in the arrays; 0 for padding.
    pointer : Tensor of shape (len(items) + 1,)
        Where the rows of each item begin.
    is_valid : Tensor of bool, shape (capacity,)
        False for padding.
    """

    item: torch.Tensor
    row: torch.Tensor
    pointer: torch.Tensor
    is_valid: torch.Tensor


class _Ragged:
    """Gathers rows of arrays whose items have different lengths into arrays of a fixed size.

    Item i has the rows ``pointer[i]:pointer[i + 1]``. One item without rows is added at the end,
    which fills a batch up.
    """

    def __init__(self, pointer, device):
        counts = np.append(np.diff(pointer), 0)
        self.counts = torch.as_tensor(counts, device=device)
        self.start = torch.as_tensor(np.append(pointer[:-1], 0), device=device)

    def gather(self, items, capacity):
        """Rows of some items.

        Returns
        -------
        _Rows
        """
        ends = torch.cumsum(self.counts[items], 0)
        pointer = torch.nn.functional.pad(ends, (1, 0))
        places = torch.arange(capacity, device=items.device)
        item = torch.searchsorted(ends, places, right=True).clamp_max(len(items) - 1)
        row = self.start[items][item] + places - pointer[item]
        is_valid = places < pointer[-1]
        return _Rows(item, torch.where(is_valid, row, 0), pointer, is_valid)


class _DeviceCrystalGraphs:
    """Crystal graphs on a device, from which batches of a fixed size are gathered there."""

    def __init__(self, graphs, device):
        self.atoms = _Ragged(graphs.atom_ptr, device)
        self.edges = _Ragged(graphs.edge_ptr, device)
        self.links = _Links(
            graphs.flat_source, graphs.flat_target, graphs.atom_ptr, graphs.edge_ptr, device
        )
        self.atomic_numbers = _tensor(graphs.atomic_numbers, device)
        self.distance = _tensor(graphs.edge_distance, device, torch.float32)
        self.extra = _extra(graphs, device)

    def batch(self, crystals, sizes):
        """Make a batch of a fixed size.

        Parameters
        ----------
        crystals : Tensor of shape (C,), int64
            Rows; the number of crystals of the data set stands for padding. The last one is
            padding, and padding atoms belong to it.
        sizes : pair of int
            Numbers of atoms and of edges, with padding.
        """
        atoms = self.atoms.gather(crystals, sizes[0])
        edges = self.edges.gather(crystals, sizes[1])
        source, target, segments = self.links.gather(atoms, edges)
        return CrystalBatch(
            atomic_numbers=self.atomic_numbers[atoms.row],
            crystal=atoms.item,
            source=source,
            target=target,
            distance=self.distance[edges.row],
            n_atoms=self.atoms.counts[crystals].clamp_min(1).to(torch.float32),
            extra=None if self.extra is None else self.extra[crystals],
            known_segments=segments,
        )


class _DeviceElementGraphs:
    """Graphs of elements on a device, from which batches of a fixed size are gathered there."""

    def __init__(self, graphs, device):
        self.nodes = _Ragged(graphs.node_ptr, device)
        self.pairs = _Ragged(graphs.pair_ptr, device)
        self.links = _Links(
            graphs.flat_source, graphs.flat_target, graphs.node_ptr, graphs.pair_ptr, device
        )
        self.atomic_numbers = _tensor(graphs.atomic_numbers, device)
        self.fraction = _tensor(graphs.fraction, device, torch.float32)
        self.radial = _tensor(graphs.radial, device, torch.float32)
        self.extra = _extra(graphs, device)

    def batch(self, crystals, sizes):
        """Make a batch of a fixed size, as `_DeviceCrystalGraphs.batch` does."""
        nodes = self.nodes.gather(crystals, sizes[0])
        pairs = self.pairs.gather(crystals, sizes[1])
        source, target, segments = self.links.gather(nodes, pairs)
        return ElementBatch(
            atomic_numbers=self.atomic_numbers[nodes.row],
            crystal=nodes.item,
            fraction=self.fraction[nodes.row],
            source=source,
            target=target,
            radial=self.radial[pairs.row],
            n_crystals=len(crystals),
            extra=None if self.extra is None else self.extra[crystals],
            known_segments=segments,
        )


class _Links:
    """Source and target of the edges (or pairs) of graphs, and their order by source."""

    def __init__(self, source, target, node_ptr, edge_ptr, device):
        first_node = np.repeat(node_ptr[:-1], np.diff(edge_ptr))
        first_edge = np.repeat(edge_ptr[:-1], np.diff(edge_ptr))
        by_source = np.argsort(source, kind="stable") - first_edge
        # Side by side, so that one operation gathers them.
        self.links = _tensor(
            np.column_stack([source - first_node, target - first_node, by_source]), device
        )
        n_nodes = int(node_ptr[-1])
        counts = [np.bincount(index, minlength=n_nodes) for index in (target, source)]
        self.counts = _tensor(np.column_stack(counts), device)

    def gather(self, nodes, edges):
        """Sources and targets of a batch, and the segments of its sums."""
        first = torch.stack([nodes.pointer, nodes.pointer, edges.pointer], dim=1)[edges.item]
        source, target, by_source = (first + self.links[edges.row]).T.contiguous()
        pointers = torch.cumsum(self.counts[nodes.row] * nodes.is_valid[:, None], 0)
        pointers = torch.nn.functional.pad(pointers.T, (1, 0))
        in_order = torch.arange(max(len(edges.row), len(nodes.row)), device=source.device)
        segments = BatchSegments(
            by_target=Segments(in_order, pointers[0]),
            by_source=Segments(by_source, pointers[1]),
            by_crystal=Segments(in_order, nodes.pointer),
            n_atoms=nodes.pointer[-1:],
            n_edges=edges.pointer[-1:],
        )
        # Padding edges join the last atom, which is padding too.
        last = len(nodes.row) - 1
        return (
            torch.where(edges.is_valid, source, last),
            torch.where(edges.is_valid, target, last),
            segments,
        )


def _tensor(array, device, dtype=torch.int64):
    return torch.as_tensor(np.ascontiguousarray(array)).to(device, dtype)


class CapturedSteps:
    """Training steps of a net with batches of a few fixed sizes; see `GraphCapture`."""

    def __init__(self, net, train_set):
        device = torch.device(net.device)
        graphs = train_set.graphs
        self.net = net
        if isinstance(graphs, ElementGraphs):
            self.graphs, self.n_atoms = _DeviceElementGraphs(graphs, device), graphs.n_nodes
        else:
            self.graphs, self.n_atoms = _DeviceCrystalGraphs(graphs, device), graphs.n_atoms
        self.n_rows, self.n_edges = len(graphs), graphs.n_edges
        # One more than the largest batch of `EvenBatches`: the last row is padding.
        self.batch_size = -(-self.n_rows // -(-self.n_rows // net.batch_size)) + 1
        self.y = _with_padding(train_set.y, device)
        self.weight = _with_padding(train_set.weight, device)
        self.crystals = torch.empty(self.batch_size, dtype=torch.int64, device=device)
        self.loss = torch.zeros((), device=device)
        self.capture = GraphCapture([net.optimizer_], device)
        # Batches are filled up to a multiple of an eighth of a mean batch, in atoms and in edges.
        self.unit = [
            _rounded_up(counts.mean() * self.batch_size / 8, multiple)
            for counts, multiple in ((self.n_atoms, 16), (self.n_edges, 128))
        ]

    def begin_epoch(self, batches):
        """Send the rows of all batches of an epoch to the device."""
        order = np.full((len(batches), self.batch_size), self.n_rows)
        for padded, rows in zip(order, batches):
            padded[: len(rows)] = rows
        self.order = torch.from_numpy(order).to(self.crystals.device)
        self.losses = torch.zeros(len(batches), device=self.crystals.device)

    def step(self, number, rows):
        """Train on the rows of a batch of this epoch, and store its loss in `losses`."""
        self.crystals.copy_(self.order[number])
        # At least one padding atom is added, which padding edges join.
        size = max(
            -(-(self.n_atoms[rows].sum() + 1) // self.unit[0]),
            -(-self.n_edges[rows].sum() // self.unit[1]),
        )
        self.capture.run(size, partial(self._run, size))
        self.losses[number].copy_(self.loss)

    def _run(self, size):
        """Take one optimizer step on the rows in `crystals`, with a batch of `size` units."""
        net = self.net
        n_atoms, n_edges = (size * unit for unit in self.unit)
        batch = self.graphs.batch(self.crystals, (n_atoms, n_edges))
        net.optimizer_.zero_grad(set_to_none=True)
        prediction = net.compute(batch)
        loss = net.criterion_(prediction, self.y[self.crystals], self.weight[self.crystals])
        # The loss is a mean over the rows with padding, whose weight is zero.
        loss = loss * (self.batch_size / (self.crystals < self.n_rows).sum())
        loss.backward()
        net.optimizer_.step()
        self.loss.copy_(loss.detach())


def _extra(graphs, device):
    """Columns of the graphs with a row of zeros for padding; None without columns."""
    if graphs.extra is None:
        return None
    return _with_padding(torch.from_numpy(graphs.extra.astype(np.float32)), device)


def _with_padding(values, device):
    return torch.cat([values, torch.zeros_like(values[:1])]).to(device)


def _rounded_up(number, unit):
    return max(int(-(-number // unit)), 1) * unit
