"""What ECNet reads, computed edge by edge in double precision."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from crystals import b2_cscl, bcc_fe, isolated_ne, random_alloys

from sklmat import StructureToGraph
from sklmat.batches import make_batch
from sklmat.elements import element_vectors
from sklmat.graphs import ElementGraphs, grid_points
from sklmat.networks import ECNet

CUTOFF = 5.0
WANG = {
    "radial_filter": "gaussian",
    "radial_order": 3,
    "hidden_dim": 16,
    "n_filters": 8,
    "n_conv": 3,
    "tower_dims": (16, 8),
    "activation": "shifted_softplus",
    "normalize": False,
    "dropout": 0.0,
}


@cache
def alloys(n=4, n_cells=1):
    return random_alloys(n, seed=1, n_cells=n_cells)


@cache
def crystal_graphs():
    """Alloys, an ordered compound, one element alone, and an atom that sees nobody."""
    structures = [*alloys(), b2_cscl(), bcc_fe(), isolated_ne()]
    return StructureToGraph(cutoff=CUTOFF, max_neighbors=None).fit_transform(structures)


def make_network(n_outputs=1, *, seed=0, cutoff=CUTOFF, **params):
    torch.manual_seed(seed)
    vectors = torch.from_numpy(element_vectors("onehot")[0]).to(torch.get_default_dtype())
    network = ECNet(vectors, n_outputs, cutoff=cutoff, **params).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # Zeros and ones would hide an offset that is added twice or not at all.
            if name.endswith("bias") or name.startswith("norms"):
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return network


def shares(distance, grid, order):
    """Weights of one distance on all grid points: Lagrange polynomials of the nearest ones."""
    beyond = int(order == 3)
    intervals = range(beyond, len(grid) - 1 - beyond)
    left = max(k for k in intervals if grid[k] <= distance + 1e-9)
    near = np.arange(left - beyond, left + 2 + beyond)
    weights = np.zeros(len(grid))
    for k in near:
        others = grid[near[near != k]]
        weights[k] = np.prod((distance - others) / (grid[k] - others))
    return weights


def seen_by_atoms(numbers, edges, grid, order):
    """How many atoms of each element each atom sees near each point, (N, elements, K)."""
    present = sorted(set(numbers))
    seen = np.zeros((len(numbers), len(present), len(grid)))
    for i, j, d in edges:
        seen[i, present.index(numbers[j])] += shares(d, grid, order)
    return [seen[[z == a for z in numbers]] for a in present]


def double_batch(graphs, step, order, spread=False):
    """A batch whose distributions are summed edge by edge, in double precision."""
    elements = ElementGraphs.from_graphs(graphs, step=step, order=order, spread=spread)
    grid, rows = grid_points(graphs.cutoff, step, order), []
    for c in range(len(graphs)):
        for seen in seen_by_atoms(*crystal(graphs, c), grid, order):
            moments = [seen.mean(axis=0), seen.std(axis=0)]
            rows.append(np.hstack(moments[: 1 + spread]))
    radial = np.concatenate(rows)
    np.testing.assert_allclose(elements.radial, radial, atol=1e-5)
    batch = make_batch(elements)
    return replace(batch, fraction=exact_fractions(graphs), radial=torch.from_numpy(radial))


def exact_fractions(graphs):
    values = []
    for c in range(len(graphs)):
        numbers = crystal(graphs, c)[0]
        values += [numbers.count(z) / len(numbers) for z in sorted(set(numbers))]
    return torch.tensor(values, dtype=torch.float64)


def crystal(graphs, c):
    """Atomic numbers, and edges as (central atom, neighbour, distance)."""
    one = graphs[c]
    edges = zip(one.edge_target.tolist(), one.edge_source.tolist(), one.edge_distance.tolist())
    return one.atomic_numbers.tolist(), list(edges)
