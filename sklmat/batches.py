"""Crystal graphs to torch: the batch that the networks read and the data set that makes it."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch.utils.data import Dataset

from sklmat.graphs import ElementGraphs, group_of_item, pointer_from_counts, rank_within_group


class _Batch:
    """A dataclass of tensors that can be moved."""

    def to(self, target):
        """Move all tensors to a device, or the floating ones to another type.

        Parameters
        ----------
        target : torch.device, str or torch.dtype

        Returns
        -------
        batch : of this class
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                values[name] = _move(value, target)
        return type(self)(**values)


@dataclass(eq=False)
class CrystalBatch(_Batch):
    """Some crystals as one disconnected graph.

    Parameters
    ----------
    atomic_numbers : Tensor of shape (N,), int64
    crystal : Tensor of shape (N,), int64
        The crystal to which each atom belongs.
    source, target : Tensor of shape (E,), int64
        Neighbour and central atom of each edge, counted through the batch.
    distance : Tensor of shape (E,)
        Å.
    n_atoms : Tensor of shape (C,)
        Atoms per crystal, as floating point numbers.
    n_dense : int
        The number of neighbours that every atom has. The first ``N * n_dense`` edges hold so many
        for each atom in order: summing over them is a reshape, and only the edges behind, sorted
        by target, need a scatter.
    """

    atomic_numbers: torch.Tensor
    crystal: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    distance: torch.Tensor
    n_atoms: torch.Tensor
    n_dense: int

    def __len__(self):
        return len(self.n_atoms)


@dataclass(eq=False)
class ElementBatch(_Batch):
    """Some crystals as graphs of their elements, see `ElementGraphs`.

    Parameters
    ----------
    atomic_numbers : Tensor of shape (P,), int64
        Element of each node.
    crystal : Tensor of shape (P,), int64
        The crystal to which each node belongs.
    fraction : Tensor of shape (P,)
        Fraction of the crystal's atoms.
    source, target : Tensor of shape (Q,), int64
        Nodes of each pair, counted through the batch; sorted by target.
    radial : Tensor of shape (Q, K)
        Source atoms around a target atom near each grid point.
    n_crystals : int
    """

    atomic_numbers: torch.Tensor
    crystal: torch.Tensor
    fraction: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    radial: torch.Tensor
    n_crystals: int

    def __len__(self):
        return self.n_crystals


def _move(tensor, target):
    if isinstance(target, torch.dtype) and not tensor.is_floating_point():
        return tensor
    return tensor.to(target)


def make_batch(graphs, distance=None):
    """Put all crystals of a container into one batch.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms, E edges; or ElementGraphs
    distance : Tensor of shape (E,), default=None
        What the batch of crystal graphs holds in place of their distances, in their order, so that
        gradients with respect to it can be asked for.

    Returns
    -------
    CrystalBatch or ElementBatch
    """
    if isinstance(graphs, ElementGraphs):
        return _element_batch(graphs)
    target, source = graphs.flat_target, graphs.flat_source
    crystal, n_atoms = graphs.crystal_of_atom, graphs.n_atoms
    if distance is None:
        distance = torch.from_numpy(np.array(graphs.edge_distance))
    counts = np.bincount(target, minlength=len(graphs.atomic_numbers))
    n_dense = int(counts.min()) if len(counts) else 0
    if 0 < n_dense < counts.max():
        order = np.argsort(rank_within_group(counts) >= n_dense, kind="stable")
        target, source = target[order], source[order]
        distance = distance[torch.from_numpy(order)]
    return CrystalBatch(
        atomic_numbers=torch.from_numpy(graphs.atomic_numbers.astype(np.int64)),
        crystal=torch.from_numpy(crystal),
        source=torch.from_numpy(source),
        target=torch.from_numpy(target),
        distance=distance,
        n_atoms=torch.from_numpy(n_atoms.astype(np.float32)),
        n_dense=n_dense,
    )


def _element_batch(graphs):
    return ElementBatch(
        atomic_numbers=torch.from_numpy(graphs.atomic_numbers.astype(np.int64)),
        crystal=torch.from_numpy(graphs.crystal_of_node),
        fraction=torch.from_numpy(graphs.fraction),
        source=torch.from_numpy(graphs.flat_source),
        target=torch.from_numpy(graphs.flat_target),
        radial=torch.from_numpy(graphs.radial),
        n_crystals=len(graphs),
    )


def pad_neighbors(graphs):
    """Fill up atoms that have too few neighbours as the original CGCNN does.

    Each missing neighbour becomes the first atom of the crystal, 1 Å beyond the cutoff. Only
    networks that were trained with such edges need them.

    Parameters
    ----------
    graphs : CrystalGraphs of C crystals, N atoms
        With `max_neighbors` set.

    Returns
    -------
    CrystalGraphs
        The same where no atom has too few neighbours.
    """
    missing = (graphs.max_neighbors - graphs.neighbor_counts).clip(min=0)
    if not missing.any():
        return graphs
    first = np.repeat(graphs.atom_ptr[:-1], graphs.n_atoms)
    added = group_of_item(missing)
    target = np.concatenate([graphs.flat_target, added])
    order = np.argsort(target, kind="stable")
    n_added = len(added)

    def extended(array, values):
        return np.concatenate([array, values]).astype(array.dtype)[order]

    per_crystal = np.add.reduceat(missing, graphs.atom_ptr[:-1])
    return replace(
        graphs,
        edge_source=extended(graphs.edge_source, np.zeros(n_added)),
        edge_target=extended(graphs.edge_target, added - first[added]),
        edge_image=extended(graphs.edge_image, np.zeros((n_added, 3))),
        edge_distance=extended(graphs.edge_distance, np.full(n_added, graphs.cutoff + 1)),
        edge_ptr=graphs.edge_ptr + pointer_from_counts(per_crystal),
    )


class GraphDataset(Dataset):
    """Graphs, targets and weights, fetched a batch at a time by vectorised gathers.

    Parameters
    ----------
    graphs : CrystalGraphs or ElementGraphs of C crystals
    y : Tensor of shape (C, ...) or None
        Targets; zeros where only predictions are wanted.
    weight : Tensor of shape (C,) or (C, n_targets), or None
        Weight of each crystal, or each of its targets, in the loss; ones by default.

    Attributes
    ----------
    generator : torch.Generator or None
        Deals out the batches.
    perturb : callable or None
        Called with the rows of a batch and the generator; gives the graphs to train on in place of
        those rows.
    room : object or None
        What `perturb` knows of the crystals, kept beside them.
    """

    def __init__(self, graphs, y=None, weight=None):
        self.graphs = graphs
        self.y = torch.zeros(len(graphs)) if y is None else y
        self.weight = torch.ones(len(graphs)) if weight is None else weight
        self.generator = None
        self.perturb = self.room = None

    def __len__(self):
        return len(self.graphs)

    def __getitem__(self, index):
        return self.__getitems__([index])

    def __getitems__(self, indices):
        rows = np.asarray(indices)
        graphs = self.graphs[rows] if self.perturb is None else self.perturb(rows, self.generator)
        return make_batch(graphs), (self.y[rows], self.weight[rows])


def as_is(batch):
    """Collate function for a data set that already returns batches."""
    return batch
