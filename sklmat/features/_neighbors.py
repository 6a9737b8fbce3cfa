"""Neighbour shells of one crystal, as arrays, and the lattice that its atoms sit on."""

from functools import cached_property

import numpy as np

from sklmat.graphs import rank_within_group

# Atoms in the first two shells of each lattice.
_SHELL_SIZES = {"bcc": (8, 6), "fcc": (12, 6), "hcp": (12, 6), "sc": (6, 12), "diamond": (4, 12)}

# Distances to the 18 nearest atoms in units of the nearest. fcc and hcp agree this far.
_N_RANKS = 18
_PROFILES = {
    "bcc": np.repeat([1, np.sqrt(4 / 3), np.sqrt(8 / 3)], [8, 6, 4]),
    "close-packed": np.repeat([1, np.sqrt(2)], [12, 6]),
    "sc": np.repeat([1, np.sqrt(2)], [6, 12]),
    "diamond": np.repeat([1, np.sqrt(8 / 3), np.sqrt(11 / 3)], [4, 12, 2]),
}
#: The ideal lattices that `Neighbors.deviations` compares with.
IDEAL = tuple(_PROFILES)
# Largest relative root-mean-square deviation from a profile that still counts as that lattice: the
# worst of 364 relaxed high-entropy alloy cells has 0.0747, and the A15 structure is 0.077 from bcc.
_MAX_DEVIATION = 0.075
# Every neighbour of fcc has another straight across (cosine -1), of hcp only half of them (the
# rest: -5/6), so that the mean over the neighbours is -1 or -11/12.
_FCC_HCP_BOUNDARY = -23 / 24

# Neighbours up to this multiple of Hoppe's mean distance form a shell: in ideal bcc it lies half
# way between the first shell and the second.
_SHELL_MARGIN = 1.05


class Neighbors:
    """The neighbours of each atom of one crystal, sorted by distance.

    Parameters
    ----------
    numbers : ndarray of shape (N,)
        Atomic numbers.
    coords : ndarray of shape (N, 3)
        Cartesian coordinates in Å.
    matrix : ndarray of shape (3, 3)
        Lattice vectors in rows, in Å.
    pbc : tuple of bool
        Directions that repeat.
    radius : float, default=2.0
        Of the neighbour list, in units of `scale`. The default takes in at least 18 atoms of each
        ideal lattice with 12 % to spare; where an atom has fewer, the list reaches further.

    Attributes
    ----------
    distance : ndarray of shape (N, M)
        Distances in Å, ascending in each row, infinite beyond the atom's last neighbour.
    index : ndarray of shape (N, M)
        The neighbour's atom.
    vector : ndarray of shape (N, M, 3)
        From the atom to its neighbour, in Å; zero beyond the last neighbour.
    scale : float
        Cube root of the volume per atom, in Å.
    """

    def __init__(self, numbers, coords, matrix, pbc, radius=2.0):
        self.numbers = numbers
        self.scale = (abs(np.linalg.det(matrix)) / len(numbers)) ** (1 / 3)
        center, other, image, distance = _pairs(coords, matrix, pbc, radius * self.scale)
        order = np.lexsort((distance, center))
        center, other = center[order], other[order]
        counts = np.bincount(center, minlength=len(numbers))
        rank = rank_within_group(counts)
        shape = (len(numbers), max(int(counts.max()), 1))
        self.distance = np.full(shape, np.inf)
        self.distance[center, rank] = distance[order]
        self.index = np.zeros(shape, dtype=np.intp)
        self.index[center, rank] = other
        self.vector = np.zeros((*shape, 3))
        self.vector[center, rank] = coords[other] + image[order] @ matrix - coords[center]

    @cached_property
    def deviations(self):
        """Relative deviation of the 18 nearest distances from those of each ideal lattice.

        Root-mean-square over all atoms, at the lattice parameter that fits best, in units of the
        mean distance; NaN when an atom has fewer than 18 neighbours.
        """
        nearest = self.distance[:, :_N_RANKS]
        if nearest.shape[1] < _N_RANKS or not np.isfinite(nearest).all():
            return dict.fromkeys(_PROFILES, np.nan)
        return {name: _deviation(nearest, ideal) for name, ideal in _PROFILES.items()}

    def lattice(self):
        """Name the lattice of all atoms, whatever their species."""
        deviation = self.deviations
        best = min(deviation, key=deviation.get)
        if not deviation[best] <= _MAX_DEVIATION:
            return "other"
        if best == "close-packed":
            return "fcc" if self._cubic_stacking(slice(12)) else "hcp"
        if best == "diamond" and not self._cubic_stacking(slice(4, 16)):
            return "other"
        return best

    def _cubic_stacking(self, ranks):
        """Tell fcc from hcp by the angles between twelve neighbours."""
        unit = self.vector[:, ranks] / self.distance[:, ranks, None]
        cosines = np.einsum("njx,nkx->njk", unit, unit)
        return cosines.min(axis=2).mean() < _FCC_HCP_BOUNDARY

    def effective_coordination(self, start=None):
        """Hoppe's mean distance (Å) and effective coordination number of each atom.

        Only neighbours from rank `start` (shape (N,)) on count. An atom without any has an infinite
        distance and the number 0.
        """
        distance = self.distance
        if start is not None:
            distance = np.where(np.arange(distance.shape[1]) < start[:, None], np.inf, distance)
        mean, number = np.full(len(distance), np.inf), np.zeros(len(distance))
        bonded = np.isfinite(distance).any(axis=1)
        if bonded.any():
            mean[bonded], number[bonded] = hoppe(distance[bonded])
        return mean, number

    def shells(self, lattice):
        """Mask the first and the second shell, two arrays of shape (N, M)."""
        rank = np.broadcast_to(np.arange(self.distance.shape[1]), self.distance.shape)
        if lattice in _SHELL_SIZES:
            first, second = _SHELL_SIZES[lattice]
            return rank < first, (rank >= first) & (rank < first + second)
        bonded = np.isfinite(self.distance)
        mean, _ = self.effective_coordination()
        first = bonded & (self.distance <= _SHELL_MARGIN * mean[:, None])
        n_first = first.sum(axis=1)
        mean, _ = self.effective_coordination(start=n_first)
        beyond = bonded & (rank >= n_first[:, None])
        return first, beyond & (self.distance <= _SHELL_MARGIN * mean[:, None])


def _deviation(distances, ideal):
    scale = (distances * ideal).sum() / (len(distances) * (ideal**2).sum())
    return np.sqrt(np.mean((distances / scale - ideal) ** 2)) / ideal.mean()


def hoppe(distance):
    mean = distance.min(axis=1, keepdims=True)
    # Beyond this ratio a weight is below 1e-8 for any mean distance up to 1.2 times the nearest.
    distance = distance[:, (distance < 2 * mean).any(axis=0)]
    bonded = np.isfinite(distance)
    distance = np.where(bonded, distance, 1)
    for _ in range(50):
        weight = np.where(bonded, np.exp(1 - (distance / mean) ** 6), 0)
        previous, mean = mean, np.average(distance, axis=1, weights=weight, keepdims=True)
        if np.all(np.abs(mean - previous) < 1e-7 * mean):
            break
    return mean[:, 0], weight.sum(axis=1)


def _pairs(coords, matrix, pbc, radius):
    """All pairs within `radius`, or as far beyond as it takes for 18 neighbours of each atom."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    coords = np.ascontiguousarray(coords, dtype=float)
    matrix = np.ascontiguousarray(matrix, dtype=float)
    pbc = np.ascontiguousarray(pbc, dtype=np.int64)
    reach = np.abs(matrix).sum() + np.ptp(coords, axis=0).sum()
    while True:
        center, other, image, distance = find_points_in_spheres(
            coords, coords, r=radius, pbc=pbc, lattice=matrix, tol=1e-8
        )
        pair = (center != other) | image.any(axis=1)
        center, other, image, distance = center[pair], other[pair], image[pair], distance[pair]
        counts = np.bincount(center, minlength=len(coords))
        if counts.min() >= _N_RANKS or (radius > reach and not pbc.any()):
            return center, other, image, distance
        radius *= 2


def compact(structure):
    """Take from a Structure the arrays that a worker process needs."""
    return (
        np.array(structure.atomic_numbers),
        structure.cart_coords,
        structure.lattice.matrix,
        structure.lattice.pbc,
    )
