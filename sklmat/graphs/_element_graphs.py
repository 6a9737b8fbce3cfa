"""`ElementGraphs`: crystals as graphs whose nodes are elements, and gradients through them."""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import dataclass

import numpy as np

from sklmat.argument_checks import POSITIVE, Kind, checked_arguments
from sklmat.graphs._crystal_graphs import (
    CrystalGraphs,
    chunk_slices,
    gather_ranges,
    pointer_from_counts,
)
from sklmat.graphs._lazy_graphs import LazyGraphs
from sklmat.graphs._neighbor_search import rank_within_group
from sklmat.memory import refuse_fine_grid

#: Edges that are summed at a time, in double precision: about 100 MB.
_CHUNK_EDGES = 2**18
#: Larger than any atomic number, so that ``crystal * 128 + atomic number`` is unique.
_N_ELEMENTS = 128

#: Orders of the interpolation.
ORDERS = Kind("1 or 3", lambda value: isinstance(value, int) and value in (1, 3))


@dataclass(eq=False, repr=False)
class ElementGraphs:
    """Container of graphs whose nodes are the elements of crystals.

    Each node (element a of a crystal) is joined to every node b of its crystal, itself included.
    This pair holds the partial radial distribution: the number of atoms of b around an atom of a,
    as a function of their distance. A network in which all atoms of an element have the same vector
    depends on the crystal through these distributions only, and their size does not depend on the
    number of atoms. `from_graphs` makes the container. Shapes: C crystals, P nodes, Q pairs, K grid
    points.

    Parameters
    ----------
    atomic_numbers : ndarray of shape (P,), uint8
        Element of each node, crystal after crystal, in the order of atomic numbers.
    fraction : ndarray of shape (P,), float32
        Fraction of the atoms of the crystal that are of this element.
    target, source : ndarray of shape (Q,), int32
        Nodes a and b of each pair, counted from the first node of their crystal; sorted by target.
    radial : ndarray of shape (Q, K) or (Q, 2 K), float32
        Number of atoms of the source around an atom of the target near each grid point, mean over
        the atoms of the target. A row sums to the partial coordination number within the cutoff.
        With `spread`, columns K to 2 K - 1 hold the standard deviations over the atoms of the
        target, which measure how much their surroundings differ.
    node_ptr, pair_ptr : ndarray of shape (C + 1,), int64
        Crystal c has the nodes ``node_ptr[c]:node_ptr[c + 1]`` and the pairs
        ``pair_ptr[c]:pair_ptr[c + 1]``.
    cutoff, step : float
        Largest distance of a neighbour, and distance between grid points (Å).
    order : {1, 3}
        Order of the interpolation between grid points.
    spread : bool
        Whether `radial` holds the standard deviations.
    extra : ndarray of shape (C, K) or None
        The columns of the crystal graphs.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat.graphs import ElementGraphs, StructureToGraph
    >>> b2 = Structure(Lattice.cubic(3.0), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> graphs = StructureToGraph(cutoff=3.1, max_neighbors=None).fit_transform([b2])
    >>> elements = ElementGraphs.from_graphs(graphs, step=0.1)
    >>> elements.atomic_numbers
    array([13, 28], dtype=uint8)
    >>> elements.radial.sum(axis=1).round(4)  # Al-Al 6, Al-Ni 8, Ni-Al 8, Ni-Ni 6
    array([6., 8., 8., 6.], dtype=float32)
    """

    atomic_numbers: np.ndarray
    fraction: np.ndarray
    target: np.ndarray
    source: np.ndarray
    radial: np.ndarray
    node_ptr: np.ndarray
    pair_ptr: np.ndarray
    cutoff: float
    step: float
    order: int
    spread: bool = False
    extra: np.ndarray | None = None

    @classmethod
    @checked_arguments(step=POSITIVE, order=ORDERS)
    def from_graphs(
        cls,
        graphs: CrystalGraphs,
        *,
        step: float = 0.25,
        order: int = 1,
        spread: bool = False,
    ) -> ElementGraphs:
        """Compute partial radial distributions from the edges of crystal graphs.

        Parameters
        ----------
        graphs : CrystalGraphs of C crystals
            The graphs whose edges are counted.
        step : float, default=0.25
            Distance between grid points (Å).
        order : {1, 3}, default=1
            Order of the interpolation that distributes each edge over grid points: 1 (linear) over
            two, 3 (cubic) over four. The sum over grid points of a function times `radial` is then
            the sum of the interpolated function over the edges; the error of the cubic
            interpolation is proportional to the fourth power of `step`.
        spread : bool, default=False
            Add the standard deviations over the atoms of an element.

        Returns
        -------
        ElementGraphs
            If `graphs` are in a mapped file, the arrays are in a temporary file that is mapped too
            and has no name.
        """
        parts = (
            _sum_edges(graphs[crystals].in_memory(), step, order, spread)
            for crystals in chunk_slices(graphs.edge_ptr, _CHUNK_EDGES)
        )
        is_mapped = isinstance(graphs, LazyGraphs) and graphs.file is not None
        joined = _joined_on_disk(parts) if is_mapped else _joined(parts)
        n_nodes = joined.pop("n_nodes")
        return cls(
            **joined,
            node_ptr=pointer_from_counts(n_nodes),
            pair_ptr=pointer_from_counts(n_nodes**2),
            cutoff=graphs.cutoff,
            step=step,
            order=order,
            spread=spread,
            extra=graphs.extra,
        )

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    @property
    def n_nodes(self) -> np.ndarray:
        """Elements per crystal, ndarray of shape (C,)."""
        return np.diff(self.node_ptr)

    @property
    def n_edges(self) -> np.ndarray:
        """Pairs per crystal, ndarray of shape (C,)."""
        return np.diff(self.pair_ptr)

    @property
    def crystal_of_node(self) -> np.ndarray:
        """Index of the crystal of each node, ndarray of shape (P,)."""
        return np.repeat(np.arange(len(self)), self.n_nodes)

    @property
    def flat_source(self) -> np.ndarray:
        """Index of the source of each pair among all P nodes, ndarray of shape (Q,), int64."""
        return self.source + np.repeat(self.node_ptr[:-1], self.n_edges)

    @property
    def flat_target(self) -> np.ndarray:
        """Index of the target of each pair among all P nodes, ndarray of shape (Q,), int64."""
        return self.target + np.repeat(self.node_ptr[:-1], self.n_edges)

    def __getitem__(self, rows: slice | np.ndarray) -> ElementGraphs:
        """Select crystals by slice, mask or index array."""
        rows = np.atleast_1d(np.arange(len(self))[rows])
        node_ptr, nodes = gather_ranges(self.node_ptr, rows)
        pair_ptr, pairs = gather_ranges(self.pair_ptr, rows)
        return ElementGraphs(
            atomic_numbers=self.atomic_numbers[nodes],
            fraction=self.fraction[nodes],
            target=self.target[pairs],
            source=self.source[pairs],
            radial=self.radial[pairs],
            node_ptr=node_ptr,
            pair_ptr=pair_ptr,
            cutoff=self.cutoff,
            step=self.step,
            order=self.order,
            spread=self.spread,
            extra=None if self.extra is None else self.extra[rows],
        )


@checked_arguments(cutoff=POSITIVE, step=POSITIVE, order=ORDERS)
def grid_points(cutoff: float, step: float, order: int) -> np.ndarray:
    """Grid of distances on which `ElementGraphs` hold partial radial distributions.

    Parameters
    ----------
    cutoff, step : float
        Largest distance of a neighbour, and distance between grid points (Å).
    order : {1, 3}
        Order of the interpolation. The cubic one (3) needs an additional point at either end.

    Returns
    -------
    ndarray of shape (K,)
        Distances (Å).

    Examples
    --------
    >>> from sklmat.graphs import grid_points
    >>> grid_points(3.0, 1.0, 1)
    array([0., 1., 2., 3.])
    >>> grid_points(3.0, 1.0, 3)
    array([-1.,  0.,  1.,  2.,  3.,  4.])
    """
    outside = 1 if order == 3 else 0
    return np.arange(-outside, _n_intervals(cutoff, step) + 1 + outside) * step


def _n_intervals(cutoff, step):
    refuse_fine_grid(cutoff, step)
    return max(1, int(np.ceil(cutoff / step - 1e-9)))


def _joined(parts):
    parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _joined_on_disk(parts):
    """Join arrays in temporary files, which are removed with the arrays."""
    files, empty = {}, {}
    for part in parts:
        for name, array in part.items():
            file = files.setdefault(name, tempfile.TemporaryFile())  # noqa: SIM115
            file.write(np.ascontiguousarray(array).data)
            empty[name] = array[:0]
    joined = {}
    for name, file in files.items():
        array = empty[name]
        with file:
            file.flush()
            if file.tell() > 0:
                # The map stays when the file is closed.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                array = np.frombuffer(mapped, array.dtype).reshape(-1, *array.shape[1:])
        joined[name] = array
    return joined


def radial_gradient_to_edges(
    graphs: CrystalGraphs, elements: ElementGraphs, gradient: np.ndarray
) -> np.ndarray:
    """Convert the gradient with respect to `radial` to that with respect to the edge distances.

    Parameters
    ----------
    graphs : CrystalGraphs of E edges
    elements : ElementGraphs
        Made from `graphs`.
    gradient : ndarray like ``elements.radial``
        Gradient with respect to ``elements.radial``.

    Returns
    -------
    ndarray of shape (E,)
        Gradient with respect to the distances. Where all atoms of an element have the same
        surroundings, a standard deviation is not differentiable; its derivative is set to zero.
    """
    index = _PairIndex(graphs)
    grid = (elements.cutoff, elements.step, elements.order)
    n_points = len(grid_points(*grid))
    points, derivatives = _interpolation(graphs.edge_distance, *grid, derivative=True)
    pair = index.pair_of_edge
    by_mean = gradient[:, :n_points] / index.n_target_atoms
    by_weight = by_mean[pair[:, None], points]
    if elements.spread:
        environment = index.environment_of_edge
        weights = _interpolation(graphs.edge_distance, *grid)
        of_environment = _sum_weights(
            environment, len(index.pair_of_environment), weights, n_points
        )
        mean = _sum_weights(pair, len(by_mean), weights, n_points) / index.n_target_atoms
        deviation = of_environment - mean[index.pair_of_environment]
        spread = elements.radial[:, n_points:] * index.n_target_atoms
        by_deviation = np.divide(
            gradient[:, n_points:], spread, out=np.zeros_like(by_mean), where=spread > 1e-6
        )
        by_environment = by_deviation[index.pair_of_environment] * deviation
        by_weight += by_environment[environment[:, None], points]
    return (by_weight * derivatives).sum(axis=1)


class _PairIndex:
    """The pair of elements to which each edge of some crystals belongs.

    Attributes
    ----------
    atomic_numbers, fraction, target, source
        As in `ElementGraphs`.
    n_nodes : ndarray of shape (C,)
    n_target_atoms : ndarray of shape (Q, 1)
        Number of atoms of the target element of each pair.
    pair_of_edge : ndarray of shape (E,)
    environment_of_edge : ndarray of shape (E,)
        Environment of each edge. An environment is the neighbours of one atom that are of one
        element.
    pair_of_environment : ndarray of shape (number of environments,)
    """

    def __init__(self, graphs):
        n_crystals, crystal = len(graphs), graphs.crystal_of_atom
        nodes, node, n_atoms = np.unique(
            crystal * _N_ELEMENTS + graphs.atomic_numbers, return_inverse=True, return_counts=True
        )
        crystal_of_node, atomic_numbers = np.divmod(nodes, _N_ELEMENTS)
        self.atomic_numbers = atomic_numbers.astype(np.uint8)
        self.fraction = (n_atoms / graphs.n_atoms[crystal_of_node]).astype(np.float32)
        self.n_nodes = n_nodes = np.bincount(crystal_of_node, minlength=n_crystals)
        node_ptr, pair_ptr = pointer_from_counts(n_nodes), pointer_from_counts(n_nodes**2)
        crystal_of_pair = np.repeat(np.arange(n_crystals), n_nodes**2)
        self.target, self.source = np.divmod(
            rank_within_group(n_nodes**2), n_nodes[crystal_of_pair]
        )
        self.n_target_atoms = n_atoms[node_ptr[crystal_of_pair] + self.target][:, None]
        # For each atom, the first of the pairs whose target is the element of this atom.
        first_pair = pair_ptr[crystal] + (node - node_ptr[crystal]) * n_nodes[crystal]
        n_environments = n_nodes[crystal]
        target_atom = graphs.flat_target
        source_element = node[graphs.flat_source] - node_ptr[graphs.crystal_of_edge]
        self.pair_of_edge = first_pair[target_atom] + source_element
        first_environment = pointer_from_counts(n_environments)[:-1]
        self.environment_of_edge = first_environment[target_atom] + source_element
        self.pair_of_environment = np.repeat(first_pair, n_environments) + rank_within_group(
            n_environments
        )


def _sum_edges(graphs, step, order, spread):
    """Compute the arrays of `ElementGraphs` for some crystals."""
    index = _PairIndex(graphs)
    weights = _interpolation(graphs.edge_distance, graphs.cutoff, step, order)
    n_points = len(grid_points(graphs.cutoff, step, order))
    n_pairs = len(index.target)
    radial = _sum_weights(index.pair_of_edge, n_pairs, weights, n_points) / index.n_target_atoms
    if spread:
        pair = index.pair_of_environment
        of_environment = _sum_weights(index.environment_of_edge, len(pair), weights, n_points)
        deviation = of_environment - radial[pair]
        order_by_pair = np.argsort(pair, kind="stable")
        starts = np.searchsorted(pair[order_by_pair], np.arange(n_pairs))
        squares = np.add.reduceat(deviation[order_by_pair] ** 2, starts, axis=0)
        radial = np.hstack([radial, np.sqrt(squares / index.n_target_atoms)])
    return {
        "atomic_numbers": index.atomic_numbers,
        "fraction": index.fraction,
        "target": index.target.astype(np.int32),
        "source": index.source.astype(np.int32),
        "radial": radial.astype(np.float32),
        "n_nodes": index.n_nodes,
    }


def _sum_weights(row, n_rows, weights, n_points):
    """Sum the interpolation weights of edges by row and grid point: shape (n_rows, n_points)."""
    points, values = weights
    flat = (row[:, None] * n_points + points).ravel()
    total = np.bincount(flat, weights=values.ravel(), minlength=n_rows * n_points)
    return total.reshape(n_rows, n_points)


def _interpolation(distance, cutoff, step, order, derivative=False):
    """Grid points next to each distance, and the interpolation weight of each of them.

    Parameters
    ----------
    distance : ndarray of shape (E,)
    cutoff, step, order
        See `grid_points`.
    derivative : bool, default=False
        Return the derivatives of the weights with respect to the distance (1/Å) instead.

    Returns
    -------
    points : ndarray of shape (E, order + 1), integers
    weights : ndarray of shape (E, order + 1)
    """
    scaled = distance.astype(np.float64) / step
    # A distance equal to the cutoff, or larger by rounding, belongs to the last interval.
    left = np.minimum(scaled.astype(np.int64), _n_intervals(cutoff, step) - 1)
    # Position within the interval, from 0 to 1.
    t = scaled - left
    if order == 1:
        weights = [-np.ones_like(t) / step, np.ones_like(t) / step] if derivative else [1 - t, t]
    elif derivative:
        weights = [
            -(3 * t**2 - 6 * t + 2) / (6 * step),
            (3 * t**2 - 4 * t - 1) / (2 * step),
            -(3 * t**2 - 2 * t - 2) / (2 * step),
            (3 * t**2 - 1) / (6 * step),
        ]
    else:
        weights = [
            -t * (t - 1) * (t - 2) / 6,
            (t + 1) * (t - 1) * (t - 2) / 2,
            -(t + 1) * t * (t - 2) / 2,
            (t + 1) * t * (t - 1) / 6,
        ]
    return left[:, None] + np.arange(order + 1), np.stack(weights, axis=1)
