"""`EdgeGroups`: edges of crystal graphs by pair of elements and distance shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.preprocessing import KBinsDiscretizer

from sklmat.elements import element_symbols

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs

#: Distances that differ by less (Å) are one distance when boundaries of shells are chosen.
_SAME_DISTANCE = 0.01
#: Larger than any atomic number, so that ``lower * 128 + upper`` is unique.
_N_ELEMENTS = 128


class EdgeGroups:
    """Groups of the edges of crystals: unordered pair of elements, and distance shell.

    Parameters
    ----------
    boundaries : list of float
        Inner boundaries of the shells (Å); a distance equal to a boundary is below it.
    cutoff : float
        Upper end of the last shell (Å).
    """

    def __init__(self, boundaries: list[float], cutoff: float) -> None:
        self.boundaries = boundaries
        self.ends = [0.0, *boundaries, cutoff]

    def of_edges(self, graphs: CrystalGraphs) -> np.ndarray:
        """Number of the group of each edge, ndarray of shape (E,), in the order of the table."""
        numbers = graphs.atomic_numbers.astype(np.int64)
        ends = numbers[graphs.flat_source], numbers[graphs.flat_target]
        pair = np.minimum(*ends) * _N_ELEMENTS + np.maximum(*ends)
        return pair * (len(self.boundaries) + 1) + np.searchsorted(
            self.boundaries, graphs.edge_distance.astype(np.float64)
        )

    def columns(self, groups: np.ndarray) -> dict[str, list]:
        """Columns of the table that say what the groups are, from their numbers."""
        pairs, shells = np.divmod(groups, len(self.boundaries) + 1)
        first, second = (element_symbols(part) for part in np.divmod(pairs, _N_ELEMENTS))
        return {
            "pair": [f"{a}-{b}" for a, b in zip(first, second)],
            "shell": shells.tolist(),
            "from (Å)": [self.ends[shell] for shell in shells],
            "to (Å)": [self.ends[shell + 1] for shell in shells],
        }


def check_shells(shells: int | Sequence[float]) -> None:
    """Raise a ValueError unless shells are a number above 0 or increasing distances."""
    if isinstance(shells, int | np.integer):
        if shells < 1:
            raise ValueError(f"shells must be a whole number above 0, got {shells!r}")
        return
    distances = np.asarray(list(shells), dtype=float)
    if (np.diff(distances, prepend=0.0) <= 0).any():
        raise ValueError(
            "shells must be distances (Å) above 0 in ascending order, each only once, got "
            f"{distances.tolist()}"
        )


def edge_groups(shells: int | Sequence[float], parts: list[CrystalGraphs]) -> EdgeGroups:
    """Make the groups of edges, with boundaries of shells from the distances in all crystals.

    Parameters
    ----------
    shells : int or sequence of float
        Number of shells, or the inner boundaries (Å).
    parts : list of CrystalGraphs
        Of the same cutoff.
    """
    cutoff = float(parts[0].cutoff)
    if isinstance(shells, int | np.integer):
        distances = np.concatenate([graphs.edge_distance for graphs in parts])
        return EdgeGroups(_boundaries(np.sort(distances.astype(np.float64)), int(shells)), cutoff)
    boundaries = [float(distance) for distance in shells]
    if boundaries and boundaries[-1] >= cutoff:
        raise ValueError(
            f"shells ends with {boundaries[-1]:g} Å, but the graphs have no edges beyond their "
            f"cutoff of {cutoff:g} Å; give boundaries below it"
        )
    return EdgeGroups(boundaries, cutoff)


def _boundaries(distances, n_shells):
    """Boundaries between clusters of sorted distances, in the middle of the gaps between them."""
    if len(distances) == 0 or n_shells == 1:
        return []
    first = [0]
    while first[-1] < len(distances):
        last = distances[first[-1]] + _SAME_DISTANCE
        first.append(int(np.searchsorted(distances, last, side="right")))
    counts, first = np.diff(first), np.array(first[:-1])
    values = np.add.reduceat(distances, first) / counts
    if len(values) <= n_shells:
        cuts = np.arange(1, len(values))
    else:
        bins = KBinsDiscretizer(n_shells, encode="ordinal", strategy="kmeans", subsample=None)
        bins.fit(values[:, None], sample_weight=counts)
        cuts = np.unique(np.searchsorted(values, bins.bin_edges_[0][1:-1]))
    return ((distances[first[cuts] - 1] + distances[first[cuts]]) / 2).tolist()
