"""Batches of graphs as torch tensors, the data set that makes them, its loader and transforms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Protocol, Self, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_convert

from sklmat.graphs import (
    CrystalGraphs,
    ElementGraphs,
    lazy_rows,
    pointer_from_counts,
)
from sklmat.random_state import training_generator


class Batch:
    """Base of dataclasses of tensors, with a method that moves all tensors to a device."""

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """Move all tensors to a device, or convert the floating-point ones to another dtype.

        Parameters
        ----------
        target : torch.device, str or torch.dtype
            Device or dtype.

        Returns
        -------
        batch : of this class
            This batch, converted.
        """
        values = {
            item.name: getattr(self, item.name)
            for item in fields(cast(Any, self))
            if item.name != "known_segments"
        }
        for name, value in values.items():
            if not isinstance(value, torch.Tensor):
                continue
            if not isinstance(target, torch.dtype):
                values[name] = _sent(value, target)
            elif value.is_floating_point():
                values[name] = value.to(target)
        return type(self)(**values)


def _sent(value, device):
    """Tensor on a device; the end of a copy to a GPU is not waited for."""
    return value.to(device, non_blocking=torch.device(device).type == "cuda")


class Segments(NamedTuple):
    """Rows of an array in the order of what they are summed to.

    Parameters
    ----------
    order : Tensor of int64
        Rows, segment after segment.
    pointer : Tensor of shape (S + 1,), int64
        Segment s has the rows ``order[pointer[s]:pointer[s + 1]]``.
    """

    order: torch.Tensor
    pointer: torch.Tensor


class BatchSegments(NamedTuple):
    """Segments of the sums over a `CrystalBatch`, and its numbers of atoms and edges.

    Parameters
    ----------
    by_target, by_source : Segments
        Edges of each atom as the target and as the source.
    by_crystal : Segments
        Atoms of each crystal.
    n_atoms, n_edges : Tensor of shape (1,), int64
        Numbers without the padding at the end, which belongs to no segment.
    """

    by_target: Segments
    by_source: Segments
    by_crystal: Segments
    n_atoms: torch.Tensor
    n_edges: torch.Tensor


def _segments(index: torch.Tensor, n_segments: int) -> Segments:
    order = torch.argsort(index, stable=True)
    numbers = torch.arange(n_segments + 1, device=index.device)
    return Segments(order, torch.searchsorted(index[order], numbers))


def _batch_segments(batch: CrystalBatch | ElementBatch) -> BatchSegments:
    n_atoms, device = len(batch.atomic_numbers), batch.source.device
    return BatchSegments(
        _segments(batch.target, n_atoms),
        _segments(batch.source, n_atoms),
        _segments(batch.crystal, len(batch)),
        # `torch.tensor` would wait for the device.
        torch.full((1,), n_atoms, device=device),
        torch.full((1,), len(batch.source), device=device),
    )


@dataclass(eq=False)
class CrystalBatch(Batch):
    """Batch of C crystals as one disconnected graph of N atoms and E edges.

    Parameters
    ----------
    atomic_numbers : Tensor of shape (N,), int64
        Element of each atom.
    crystal : Tensor of shape (N,), int64
        Index in the batch of the crystal to which each atom belongs.
    source, target : Tensor of shape (E,), int64
        Indices of the neighbour and the central atom of each edge among the N atoms; sorted by
        target.
    distance : Tensor of shape (E,)
        Length of each edge (Å).
    n_atoms : Tensor of shape (C,)
        Atoms per crystal, as floating-point numbers.
    extra : Tensor of shape (C, K) or None
        The columns of the graphs: further numbers for each crystal.
    known_segments : BatchSegments or None
        Result of `segments`, if it is known.
    """

    atomic_numbers: torch.Tensor
    crystal: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    distance: torch.Tensor
    n_atoms: torch.Tensor
    extra: torch.Tensor | None = None
    known_segments: BatchSegments | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.n_atoms)

    def segments(self) -> BatchSegments:
        """Find the rows of the sums over the batch, unless they are known.

        Returns
        -------
        BatchSegments
            For each sum, which rows belong to which result.
        """
        if self.known_segments is None:
            self.known_segments = _batch_segments(self)
        return self.known_segments


@dataclass(eq=False)
class ElementBatch(Batch):
    """Batch of crystals as graphs of P elements and Q pairs; see `ElementGraphs`.

    Parameters
    ----------
    atomic_numbers : Tensor of shape (P,), int64
        Element of each node.
    crystal : Tensor of shape (P,), int64
        Index in the batch of the crystal to which each node belongs.
    fraction : Tensor of shape (P,)
        Fraction of the atoms of the crystal that are of this element.
    source, target : Tensor of shape (Q,), int64
        Indices of the nodes of each pair among the P nodes; sorted by target.
    radial : Tensor of shape (Q, K) or (Q, 2 K)
        Partial radial distribution of each pair, on K grid points.
    n_crystals : int
        Number C of crystals.
    extra : Tensor of shape (C, K) or None
        The columns of the graphs: further numbers for each crystal.
    known_segments : BatchSegments or None
        Result of `segments`, if it is known.
    """

    atomic_numbers: torch.Tensor
    crystal: torch.Tensor
    fraction: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    radial: torch.Tensor
    n_crystals: int
    extra: torch.Tensor | None = None
    known_segments: BatchSegments | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.n_crystals

    def segments(self) -> BatchSegments:
        """Find the rows of the sums over the batch, unless they are known.

        Returns
        -------
        BatchSegments
            For each sum, which rows belong to which result.
        """
        if self.known_segments is None:
            self.known_segments = _batch_segments(self)
        return self.known_segments


def make_batch(
    graphs: CrystalGraphs | ElementGraphs,
    rows: np.ndarray | slice | None = None,
    like: torch.Tensor | None = None,
) -> CrystalBatch | ElementBatch:
    """Make a batch from crystals of a container.

    Parameters
    ----------
    graphs : CrystalGraphs or ElementGraphs
        The container.
    rows : ndarray of shape (C,), integers, or slice, default=None
        The crystals of the batch, with N atoms and E edges; all by default.
    like : Tensor, default=None
        Tensor, for example a weight of the network, whose dtype and device the batch gets. By
        default single precision on the CPU.

    Returns
    -------
    CrystalBatch or ElementBatch
        An ElementBatch if `graphs` are ElementGraphs.
    """
    if rows is not None:
        graphs = graphs[rows]
    if isinstance(graphs, CrystalGraphs):
        graphs = graphs.in_memory()
    if like is not None and like.is_cuda and isinstance(graphs, CrystalGraphs):
        return _crystal_batch_on(like.device, like.dtype, graphs)
    if isinstance(graphs, ElementGraphs):
        batch: CrystalBatch | ElementBatch = _element_batch(graphs)
    else:
        batch = CrystalBatch(
            atomic_numbers=torch.from_numpy(graphs.atomic_numbers.astype(np.int64)),
            crystal=torch.from_numpy(graphs.crystal_of_atom),
            source=torch.from_numpy(graphs.flat_source),
            target=torch.from_numpy(graphs.flat_target),
            distance=torch.from_numpy(np.array(graphs.edge_distance)),
            n_atoms=torch.from_numpy(graphs.n_atoms.astype(np.float32)),
            extra=_extra(graphs),
        )
    if like is not None and (like.dtype, like.device.type) != (torch.float32, "cpu"):
        batch = batch.to(like.dtype).to(like.device)
    return batch


def _crystal_batch_on(device, dtype, graphs):
    """Make a batch on a device from the arrays of the graphs, which are smaller than the batch."""

    def moved(array, dtype=torch.int64):
        return _sent(torch.from_numpy(np.ascontiguousarray(array)), device).to(dtype)

    n_atoms, n_edges = moved(graphs.n_atoms), moved(graphs.n_edges)
    first_atom = torch.cumsum(n_atoms, 0) - n_atoms
    numbers = torch.arange(len(graphs), device=device)
    first_atom = torch.repeat_interleave(first_atom, n_edges, output_size=len(graphs.edge_source))
    return CrystalBatch(
        atomic_numbers=moved(graphs.atomic_numbers),
        crystal=torch.repeat_interleave(numbers, n_atoms, output_size=len(graphs.atomic_numbers)),
        source=first_atom + moved(graphs.edge_source),
        target=first_atom + moved(graphs.edge_target),
        distance=moved(graphs.edge_distance, dtype),
        n_atoms=n_atoms.to(dtype),
        extra=None if graphs.extra is None else moved(graphs.extra, dtype),
    )


def _extra(graphs):
    """Columns of the graphs in single precision; None without columns."""
    return None if graphs.extra is None else torch.from_numpy(graphs.extra.astype(np.float32))


def _element_batch(graphs: ElementGraphs) -> ElementBatch:
    return ElementBatch(
        atomic_numbers=torch.from_numpy(graphs.atomic_numbers.astype(np.int64)),
        crystal=torch.from_numpy(graphs.crystal_of_node),
        fraction=torch.from_numpy(graphs.fraction),
        source=torch.from_numpy(graphs.flat_source),
        target=torch.from_numpy(graphs.flat_target),
        radial=torch.from_numpy(graphs.radial),
        n_crystals=len(graphs),
        extra=_extra(graphs),
    )


def pad_neighbors(graphs: CrystalGraphs) -> CrystalGraphs:
    """Add edges to atoms with fewer than `max_neighbors` neighbours, as the original CGCNN does.

    Each missing neighbour is replaced by the first atom of the crystal at a distance of the cutoff
    plus 1 Å. Only networks that were trained with such edges need them.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms
        Their `max_neighbors` is not None.

    Returns
    -------
    CrystalGraphs
        `graphs` itself if no atom has too few neighbours.
    """
    missing = (graphs.max_neighbors - graphs.neighbor_counts).clip(min=0)
    if not missing.any():
        return graphs
    padded_atom = np.repeat(np.arange(len(missing)), missing)
    n_padding = len(padded_atom)
    first_atom = graphs.atom_ptr[graphs.crystal_of_atom[padded_atom]]
    target = np.concatenate([graphs.flat_target, padded_atom])
    order = np.argsort(target, kind="stable")

    def extended(array, values):
        return np.concatenate([array, values]).astype(array.dtype)[order]

    missing_per_crystal = np.add.reduceat(missing, graphs.atom_ptr[:-1])
    return replace(
        graphs,
        edge_source=extended(graphs.edge_source, np.zeros(n_padding)),
        edge_target=extended(graphs.edge_target, padded_atom - first_atom),
        edge_image=extended(graphs.edge_image, np.zeros((n_padding, 3))),
        edge_distance=extended(graphs.edge_distance, np.full(n_padding, graphs.cutoff + 1)),
        edge_ptr=graphs.edge_ptr + pointer_from_counts(missing_per_crystal),
    )


class BatchTransform(Protocol):
    """Protocol of a function that replaces the graphs of a training batch, e.g. by perturbed ones.

    `GraphDataset.transform` is called for each batch of the training. It may use random numbers and
    the current weights of the network.
    """

    def __call__(
        self, rows: np.ndarray, generator: torch.Generator
    ) -> CrystalGraphs | ElementGraphs:
        """Make the graphs of one batch.

        Parameters
        ----------
        rows : ndarray of shape (B,), integers
            Rows of the data set that are in the batch.
        generator : torch.Generator
            Source of all random numbers; its state is part of a checkpoint.

        Returns
        -------
        CrystalGraphs or ElementGraphs of B crystals
            Inputs of the network, in the order of `rows`.
        """


class GraphDataset(Dataset):
    """Torch data set of graphs, targets and weights that returns whole batches.

    Parameters
    ----------
    graphs : CrystalGraphs or ElementGraphs of C crystals
    y : Tensor of shape (C, ...) or None
        Targets; with None, as for predictions, they are zeros.
    weight : Tensor of shape (C,) or (C, n_targets), or None
        Weight of each crystal, or each of its targets, in the loss; ones by default.
    rows : ndarray of shape (C,), integers, or None
        Rows of `graphs` that are the data set; all by default. Each batch is copied from `graphs`,
        so that the selected graphs are not in memory a second time.

    Attributes
    ----------
    generator : torch.Generator or None
        Random numbers that shuffle the rows, and for the transform. With None, rows are not
        shuffled.
    transform : BatchTransform or None
        Replaces the graphs of each batch; with None, they are used without change.
    """

    def __init__(
        self,
        graphs: CrystalGraphs | ElementGraphs,
        y: torch.Tensor | None = None,
        weight: torch.Tensor | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        n_rows = len(graphs) if rows is None else len(rows)
        self.all_graphs = graphs
        self.rows = rows
        self.y = torch.zeros(n_rows, dtype=torch.float32) if y is None else y
        self.weight = torch.ones(n_rows, dtype=torch.float32) if weight is None else weight
        self.generator: torch.Generator | None = None
        self.transform: BatchTransform | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def graphs(self) -> CrystalGraphs | ElementGraphs:
        """Graphs of the rows, as a container of C crystals; crystal graphs are not copied."""
        if self.rows is None:
            return self.all_graphs
        if isinstance(self.all_graphs, CrystalGraphs):
            return lazy_rows(self.all_graphs, self.rows)
        return self.all_graphs[self.rows]

    @property
    def n_edges(self) -> np.ndarray:
        """Edges, or pairs of elements, of each crystal: ndarray of shape (C,)."""
        n_edges = self.all_graphs.n_edges
        return n_edges if self.rows is None else n_edges[self.rows]

    def select(self, rows: np.ndarray) -> GraphDataset:
        """Return a data set with some of the rows, without generator and transform.

        Parameters
        ----------
        rows : ndarray of integers
        """
        chosen = rows if self.rows is None else self.rows[rows]
        return GraphDataset(self.all_graphs, self.y[rows], self.weight[rows], chosen)

    def __getitem__(
        self, index: int
    ) -> tuple[CrystalBatch | ElementBatch, tuple[torch.Tensor, torch.Tensor]]:
        return self.__getitems__([index])

    def __getitems__(self, indices):
        rows = np.asarray(indices)
        if self.transform is None:
            batch = make_batch(self.all_graphs, rows if self.rows is None else self.rows[rows])
        else:
            batch = make_batch(self.transform(rows, self.generator))
        return batch, (self.y[rows], self.weight[rows])


class EvenBatches:
    """Batch sampler that divides rows into batches of nearly equal size.

    A small last batch would count as much as a full one in batch normalisation.

    Parameters
    ----------
    n_samples : int
    batch_size : int
        Largest size of a batch.
    generator : torch.Generator, default=None
        Random numbers that shuffle the rows; with None, they are not shuffled.
    """

    def __init__(
        self, n_samples: int, batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.n_samples = n_samples
        self.n_batches = -(-n_samples // batch_size)
        self.generator = generator

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Any]:
        order = (
            torch.arange(self.n_samples)
            if self.generator is None
            else torch.randperm(self.n_samples, generator=self.generator)
        )
        return iter(np.array_split(order.numpy(), self.n_batches))


def edges_per_batch(graphs: CrystalGraphs | ElementGraphs | GraphDataset, batch_size: int) -> float:
    """Mean number of edges in a batch of at most `batch_size` crystals."""
    n_edges = graphs.n_edges
    return n_edges.sum() / max(len(n_edges), 1) * min(batch_size, len(n_edges))


def even_loader(dataset: GraphDataset, batch_size: int) -> DataLoader:
    """Make a ``DataLoader`` with `EvenBatches`, shuffled if the data set has a generator.

    The generator belongs to the data set, because nets are pickled and generators cannot be.
    The loader itself draws a number for the processes that it does not have.
    """
    return DataLoader(
        dataset,
        batch_sampler=EvenBatches(len(dataset), batch_size, dataset.generator),
        # The data set returns batches, so that there is nothing to collate.
        collate_fn=default_convert,
        generator=training_generator(),
    )
