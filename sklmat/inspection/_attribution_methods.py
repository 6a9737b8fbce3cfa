"""`AtomModel`, a CGCNN as a function of its atom vectors, and three attribution methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.func import functional_call

from sklmat.batches import EvenBatches, make_batch
from sklmat.elements import element_symbols
from sklmat.estimators import GraphModel, check_elements
from sklmat.structures import check_structures

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import Structures


class AtomModel:
    """A fitted CGCNN as a function of the initial vectors of the atoms.

    Parameters
    ----------
    model : GraphModel
        Networks of a fitted CGCNN.
    graphs : CrystalGraphs
        The rows to explain.
    background : sequence of structures, CrystalGraphs or None
        Crystals whose average atom is the baseline; None takes `graphs`.
    weights : ndarray of shape (K,)
        The explained number is outputs @ weights + shift, for the K outputs of the network.
    shift : float
    """

    def __init__(
        self,
        model: GraphModel,
        graphs: CrystalGraphs,
        background: Structures | CrystalGraphs | None,
        weights: np.ndarray,
        shift: float,
    ) -> None:
        self.model = model
        self.modules = [module.eval() for module in model.modules]
        # Detached, so that no gradients of weights are computed.
        self.states = [module.state_dict() for module in self.modules]
        self.batch_size = model.batch_size
        self.table = self.states[0]["element_vectors"]
        self.weights = torch.from_numpy(weights)
        self.shift = shift
        numbers = graphs.atomic_numbers
        if background is not None:
            background = model.read_input(background, with_extra=False)[1]
            numbers = _atomic_numbers(background, self.states[0]["known_elements"].cpu().numpy())
        self.average = self.vectors(numbers).mean(dim=0)

    def vectors(self, atomic_numbers):
        """Vectors of V components for N atoms, Tensor of shape (N, V)."""
        return self.table[torch.from_numpy(atomic_numbers.astype(np.int64)).to(self.table.device)]

    def parts(self, graphs):
        """Graphs of the crystals, one batch at a time."""
        return (graphs[rows] for rows in EvenBatches(len(graphs), self.batch_size))

    def __call__(self, graphs, vectors):
        """Explained number of each crystal, Tensor of shape (C,), float64.

        Parameters
        ----------
        graphs : CrystalGraphs of C crystals, N atoms
        vectors : Tensor of shape (N, V)
        """
        batch = make_batch(self.model.inputs(graphs), like=vectors)
        if len(batch.atomic_numbers) != len(vectors):
            name = type(self.model.estimator).__name__
            raise TypeError(f"sites cannot be explained for {name}, whose network reads no atoms")
        # Each atom becomes an element with its own vector.
        batch.atomic_numbers = torch.arange(len(vectors), device=vectors.device)
        outputs = [
            functional_call(module, {**state, "element_vectors": vectors}, (batch,))
            for module, state in zip(self.modules, self.states)
        ]
        if self.model.members_share_network:
            outputs = list(outputs[0].unbind(dim=1))
        return torch.stack(outputs).mean(dim=0).cpu().double() @ self.weights + self.shift

    def baseline(self, graphs):
        """Explained numbers with the average atom on every site, ndarray of shape (C,)."""
        vectors = self.average.expand(len(graphs.atomic_numbers), -1)
        with torch.no_grad():
            return self(graphs, vectors).numpy()

    def coalitions(self, graph, keep):
        """Explained numbers of one crystal for S sets of kept atoms, ndarray of shape (S,).

        The other atoms are replaced by the average atom.

        Parameters
        ----------
        graph : CrystalGraphs of one crystal, N atoms
        keep : ndarray of bool, shape (S, N)
        """
        of_atoms = self.vectors(graph.atomic_numbers)
        numbers = []
        for rows in EvenBatches(len(keep), self.batch_size):
            kept = torch.from_numpy(keep[rows]).to(of_atoms.device)[:, :, None]
            vectors = torch.where(kept, of_atoms, self.average).reshape(-1, of_atoms.shape[1])
            with torch.no_grad():
                numbers.append(self(graph[np.zeros(len(kept), dtype=int)], vectors).numpy())
        return np.concatenate(numbers)


def _atomic_numbers(background, known):
    """Atomic numbers of all atoms of the background."""
    background = check_structures(background)
    if len(background) == 0:
        raise ValueError("background is empty; leave it out to take X")
    if hasattr(background, "atomic_numbers"):
        check_elements(background, known)
        return background.atomic_numbers
    numbers = np.concatenate([structure.atomic_numbers for structure in background])
    unknown = numbers[~known[numbers]]
    if len(unknown):
        symbol = element_symbols(unknown[:1])[0]
        raise ValueError(f"background holds {symbol}, which has no vector in atom_init")
    return numbers


def integrated_gradients(model, graphs, n_steps):
    """Integrated gradients of C crystals with N atoms, ndarray of shape (N,)."""
    of_atoms = model.vectors(graphs.atomic_numbers)
    path = of_atoms - model.average
    total = torch.zeros_like(of_atoms)
    points, weights = np.polynomial.legendre.leggauss(n_steps)
    for point, weight in zip((points + 1) / 2, weights / 2):
        vectors = (model.average + float(point) * path).requires_grad_()
        (gradient,) = torch.autograd.grad(model(graphs, vectors).sum(), vectors)
        total += float(weight) * gradient
    return (total * path).double().sum(dim=1).cpu().numpy()


def occlusion(model, graph):
    """Decrease of the prediction when each atom alone is replaced, ndarray of shape (N,)."""
    n_atoms = len(graph.atomic_numbers)
    whole, without_one = np.ones((1, n_atoms), dtype=bool), ~np.eye(n_atoms, dtype=bool)
    predictions = model.coalitions(graph, np.vstack([whole, without_one]))
    return predictions[0] - predictions[1:]
