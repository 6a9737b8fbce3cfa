"""Neighbour shells of one crystal, as arrays."""

import numpy as np

#: The neighbour list of each atom holds at least so many atoms.
MIN_NEIGHBORS = 18


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
        rank = np.arange(len(center)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (len(numbers), max(int(counts.max()), 1))
        self.distance = np.full(shape, np.inf)
        self.distance[center, rank] = distance[order]
        self.index = np.zeros(shape, dtype=np.intp)
        self.index[center, rank] = other
        self.vector = np.zeros((*shape, 3))
        self.vector[center, rank] = coords[other] + image[order] @ matrix - coords[center]

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
        if counts.min() >= MIN_NEIGHBORS or (radius > reach and not pbc.any()):
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
