"""`CHGNetPotential`: energies, moments and vectors of atoms from CHGNet, many crystals at once.

The graphs of CHGNet are built here from arrays: its own converter makes Python objects of all
edges, which takes several times longer.
"""

from __future__ import annotations

import contextlib
import functools
import io
import warnings

import numpy as np
import torch

from sklmat.embeddings._potential_output import PotentialOutput
from sklmat.embeddings._potentials import (
    LOADING,
    MPTRJ,
    NOT_IN_MPTRJ,
    Potential,
    file_digest,
    package_folder,
)
from sklmat.graphs import rank_within_group
from sklmat.structures import CrystalArrays, find_pairs
from sklmat.training import initial_weights

_VERSION = "0.3.0"
_WEIGHTS = f"pretrained/{_VERSION}/chgnet_{_VERSION}_e29f68s314m37.pth.tar"
#: Atoms per batch: a batch of crystals with 80 neighbours per atom takes about 100 MB.
_BATCH_ATOMS = {"cpu": 128, "cuda": 2048}


class CHGNetPotential(Potential):
    """CHGNet 0.3.0, with the weights of its package."""

    name = "chgnet"
    outputs = ("energy", "moments", "embedding")
    is_batched = True
    training_data = MPTRJ
    missing_elements = NOT_IN_MPTRJ

    def __init__(self, device: str | torch.device) -> None:
        self.weights = package_folder("chgnet") / _WEIGHTS
        self.device = device
        self.identity = f"chgnet {_VERSION} {file_digest(self.weights)}"
        self.batch_atoms = _BATCH_ATOMS.get(torch.device(device).type, _BATCH_ATOMS["cpu"])

    def evaluate(self, crystals: list[CrystalArrays]) -> list[PotentialOutput]:
        """Compute the outputs of some crystals in one batch."""
        with LOADING:
            model = _load_model(self.weights, self.device)
        cutoffs = model.graph_converter.atom_graph_cutoff, model.graph_converter.bond_graph_cutoff
        with torch.no_grad():
            graphs = [_as_graph(crystal, *cutoffs).to(self.device) for crystal in crystals]
            found = model(graphs, task="em", return_atom_feas=True)
            moments, vectors = (torch.cat(list(found[name])) for name in ("m", "atom_fea"))
        ends = np.cumsum([len(crystal.atomic_numbers) for crystal in crystals])[:-1]
        of_crystals = zip(
            found["e"].tolist(),
            np.split(moments.cpu().numpy(), ends),
            np.split(vectors.cpu().numpy(), ends),
        )
        return [
            PotentialOutput(energy, of_atoms.copy(), vectors_of_atoms.copy())
            for energy, of_atoms, vectors_of_atoms in of_crystals
        ]


@functools.lru_cache(maxsize=1)
def _load_model(weights, device):
    """Load CHGNet, once in a process; print nothing, and leave torch's random state alone."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), initial_weights():
        warnings.simplefilter("ignore")
        from chgnet.model import CHGNet

        # Unlike CHGNet.load, this executes nothing that the file may hold.
        state = torch.load(weights, map_location="cpu", weights_only=True)["model"]
        model = CHGNet.from_dict(state, version=_VERSION)
    return model.to(device).eval()


def _as_graph(crystal, cutoff, bond_cutoff):
    """Make the graph of CHGNet: pairs of atoms (directed edges), bonds and pairs of short bonds.

    Each bond consists of two directed edges, from either atom to the other.
    """
    from chgnet.graph import CrystalGraph

    edges = find_pairs(crystal.positions, crystal.lattice, crystal.pbc, cutoff)
    reverse = _reverse_edges(*edges[:3], len(crystal.positions))
    # At the cutoff, rounding can leave an edge without its reverse; its weight is zero there.
    both = reverse >= 0
    if not both.all():
        edges = [array[both] for array in edges]
        reverse = _reverse_edges(*edges[:3], len(crystal.positions))
    center, neighbor, image, distance = edges
    number = np.arange(len(center))
    first_edge = np.flatnonzero(number < reverse)
    bond = np.searchsorted(first_edge, np.minimum(number, reverse))
    one, other = _pairs_of_same_group(center, np.flatnonzero(distance < bond_cutoff))
    angles = np.column_stack([center[one], bond[one], one, bond[other], other])
    fractional = crystal.positions @ np.linalg.inv(crystal.lattice)
    return CrystalGraph(
        atomic_number=_integers(crystal.atomic_numbers),
        atom_frac_coord=torch.from_numpy(fractional.astype(np.float32)),
        atom_graph=_integers(np.column_stack([center, neighbor])),
        atom_graph_cutoff=cutoff,
        neighbor_image=torch.from_numpy(image.astype(np.float32)),
        directed2undirected=_integers(bond),
        undirected2directed=_integers(first_edge),
        bond_graph=_integers(angles),
        bond_graph_cutoff=bond_cutoff,
        lattice=torch.from_numpy(crystal.lattice.astype(np.float32)),
    )


def _integers(array):
    return torch.from_numpy(array.astype(np.int32))


def _reverse_edges(center, neighbor, image, n_atoms):
    """For each edge, the number of the edge from the neighbour to the atom, or -1."""
    if len(center) == 0:
        return np.zeros(0, dtype=np.int64)
    largest = np.abs(image).max()

    def codes(i, j, translation):
        code = i.astype(np.int64) * n_atoms + j
        for column in translation.astype(np.int64).T:
            code = code * (2 * largest + 1) + column + largest
        return code

    forward, backward = codes(center, neighbor, image), codes(neighbor, center, -image)
    order = np.argsort(forward)
    place = np.minimum(np.searchsorted(forward, backward, sorter=order), len(forward) - 1)
    found = order[place]
    return np.where(forward[found] == backward, found, -1)


def _pairs_of_same_group(group, items):
    """All ordered pairs of two different items of the same group.

    Parameters
    ----------
    group : ndarray of shape (E,)
    items : ndarray of shape (n,)
        Positions in `group`.

    Returns
    -------
    first, second : ndarray of shape (number of pairs,)
    """
    items = items[np.argsort(group[items], kind="stable")]
    _, start, counts = np.unique(group[items], return_index=True, return_counts=True)
    partners = np.repeat(counts, counts)
    first = np.repeat(np.arange(len(items)), partners)
    second = np.repeat(np.repeat(start, counts), partners) + rank_within_group(partners)
    different = first != second
    return items[first[different]], items[second[different]]
