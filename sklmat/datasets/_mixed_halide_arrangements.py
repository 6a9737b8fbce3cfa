"""`Supercell` of the cubic perovskite, and its inequivalent `arrangements` of two halogens.

An arrangement is a bit mask: bit *i* is set if halide site *i* is iodine. All arithmetic uses
integers, in units of half the cubic lattice parameter, so that equivalence needs no tolerance.
"""

from functools import lru_cache
from itertools import combinations, permutations, product
from math import comb

import numpy as np

from sklmat.memory import BYTES_PER_ATOM, refuse_beyond_memory

#: Sites of the cubic cell in halves of its edge: Cs at the corner, Sn at the centre, X between.
CESIUM, TIN, HALIDES = [(0, 0, 0)], [(1, 1, 1)], [(1, 1, 0), (1, 0, 1), (0, 1, 1)]
#: The operations of m-3m, for row vectors.
ROTATIONS = [
    np.eye(3, dtype=np.int64)[list(order)] * signs
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]
#: Masks have 64 bits, and 1 << 63 must stay positive.
MAX_SITES = 63
#: If a composition has more arrangements than this, they are only sampled.
MAX_LISTED = 2**18


class Supercell:
    """A supercell of the cubic perovskite with its halide sites and their permutations.

    Parameters
    ----------
    matrix : tuple of three integers, or of three rows of three
        Edges in cubic cells, or lattice vectors.

    Attributes
    ----------
    matrix : ndarray of shape (3, 3)
    n_cells : int
        Number of formula units, Z.
    n_sites : int
        Number of halide sites, 3 Z.
    name : str
    sites : ndarray of shape (5 Z, 3)
        Fractional coordinates: Z Cs, Z Sn, then the 3 Z halide sites.
    permutations : ndarray of shape (n_operations, 3 Z)
        The site to which each space-group operation of the supercell maps each halide site.
    """

    def __init__(self, matrix):
        self.matrix = np.diag(matrix) if np.ndim(matrix) == 1 else np.array(matrix)
        self.name = _name(self.matrix)
        determinant = round(np.linalg.det(self.matrix))
        self._adjugate = np.rint(np.linalg.inv(self.matrix) * determinant).astype(np.int64)
        self.n_cells = abs(determinant)
        self._adjugate *= np.sign(determinant)
        translations = self._translations()
        self.n_sites = 3 * self.n_cells
        points = [
            (translations[:, None] + np.array(basis)).reshape(-1, 3)
            for basis in (CESIUM, TIN, HALIDES)
        ]
        self.sites = self._reduce(np.concatenate(points)) / (2 * self.n_cells)
        self._halides = points[2]
        images = np.stack([points[2] @ rotation for rotation in self._rotations()])
        images = images[:, None] + translations[:, None]
        self.permutations = self._permutations(images.reshape(-1, *points[2].shape))

    def _reduce(self, points):
        """Fractional coordinates of points (in a/2) as numerators of 1 / (2 Z)."""
        return points @ self._adjugate % (2 * self.n_cells)

    def _translations(self):
        """The Z translations of the cubic lattice in the supercell (in a/2)."""
        corners = np.array(list(product((0, 1), repeat=3))) @ self.matrix
        limits = zip(corners.min(axis=0), corners.max(axis=0))
        ranges = [range(low, high + 1) for low, high in limits]
        points = 2 * np.array(list(product(*ranges)))
        _, first = np.unique(self._reduce(points), axis=0, return_index=True)
        return points[np.sort(first)]

    def _rotations(self):
        """The operations of m-3m that map the supercell's lattice onto itself."""
        return [
            rotation
            for rotation in ROTATIONS
            if not (self.matrix @ rotation @ self._adjugate % self.n_cells).any()
        ]

    def _permutations(self, images):
        """Return the halide sites at points of shape (n_operations, 3 Z, 3)."""
        scale = (2 * self.n_cells) ** np.arange(3)
        keys = self._reduce(self._halides) @ scale
        order = np.argsort(keys)
        return order[np.searchsorted(keys[order], self._reduce(images) @ scale)]

    def repeat(self, masks, matrix):
        """Whether arrangements have the periodicity of another supercell, in any orientation.

        Parameters
        ----------
        masks : ndarray of int64 of shape (n,)
        matrix : ndarray of shape (3, 3)

        Returns
        -------
        repeat : bool ndarray of shape (n,)
        """
        shifts = 2 * np.stack([matrix @ rotation for rotation in ROTATIONS])
        permutations = self._permutations(self._halides + shifts.reshape(-1, 1, 3))
        same = _images(masks, permutations) == masks[:, None]
        return same.reshape(len(masks), -1, 3).all(axis=2).any(axis=1)

    def orbits(self, masks):
        """Return representative and multiplicity of the orbit of each arrangement.

        Parameters
        ----------
        masks : ndarray of int64 of shape (n,)

        Returns
        -------
        representatives : ndarray of int64 of shape (n,)
            The smallest mask of each orbit.
        multiplicities : ndarray of int64 of shape (n,)
            Size of each orbit: number of operations divided by the number that do not change the
            mask.
        """
        n_operations = len(self.permutations)
        smallest, sizes = np.empty_like(masks), np.empty_like(masks)
        batch_size = max(1, 2**22 // n_operations)
        for start in range(0, len(masks), batch_size):
            rows = slice(start, start + batch_size)
            images = _images(masks[rows], self.permutations)
            smallest[rows] = images.min(axis=1)
            sizes[rows] = n_operations // (images == masks[rows, None]).sum(axis=1)
        return smallest, sizes


def _name(matrix):
    """Name a supercell: 2x2x1, or the rows of a matrix that is not diagonal, 110 1-10 002."""
    if (matrix == np.diag(np.diag(matrix))).all():
        return "x".join(map(str, np.diag(matrix)))
    return " ".join("".join(map(str, row)) for row in matrix.tolist())


def _images(masks, permutations):
    """Permute the sites of arrangements, shape (n_masks, n_permutations)."""
    images = np.zeros((len(masks), len(permutations)), dtype=np.int64)
    for start in range(0, permutations.shape[1], 8):
        bits = np.int64(1) << permutations[:, start : start + 8].T
        table = np.zeros((1, len(permutations)), dtype=np.int64)
        for bit in bits:  # row v of the table becomes the image of the byte v
            table = np.concatenate([table, table | bit])
        images |= table[(masks >> start) & 255]
    return images


@lru_cache(maxsize=32)
def supercell(matrix):
    """Return the `Supercell` of a (hashable) matrix."""
    return Supercell(matrix)


def arrangements(cell, n_iodine, n_samples=None, rng=None):
    """Return the inequivalent arrangements of `n_iodine` iodines in a supercell.

    Parameters
    ----------
    cell : Supercell
    n_iodine : int
    n_samples : int or None
        Largest number of arrangements, drawn without replacement with probabilities proportional to
        the multiplicities, as in random alloys. None means all.
    rng : numpy Generator
        Only needed for samples.

    Returns
    -------
    masks, multiplicities : ndarray of int64 of shape (n,)
        In ascending order of masks.
    """
    total = comb(cell.n_sites, n_iodine)
    if total <= MAX_LISTED:
        chosen = np.array(list(combinations(range(cell.n_sites), n_iodine)), dtype=np.int64)
        masks, sizes = cell.orbits((np.int64(1) << chosen).sum(axis=1, dtype=np.int64))
        masks, first = np.unique(masks, return_index=True)
        sizes = sizes[first]
        if n_samples is None or n_samples >= len(masks):
            return masks, sizes
        drawn = np.sort(rng.choice(len(masks), n_samples, replace=False, p=sizes / total))
        return masks[drawn], sizes[drawn]
    if n_samples is None:
        raise ValueError(
            f"{n_iodine} iodines on {cell.n_sites} sites are {total} arrangements, too many to "
            "list: give n_samples, or fewer iodines or sites"
        )
    n_different = total // len(cell.permutations)
    if n_samples > n_different:
        raise ValueError(
            f"n_samples={n_samples} is more than {n_different}, of the {total} arrangements of "
            f"{n_iodine} iodines on {cell.n_sites} sites divided by the {len(cell.permutations)} "
            "operations: choose a smaller number, or fewer iodines or sites to list all of them"
        )
    refuse_beyond_memory(
        f"n_samples={n_samples}: arrangements on {cell.n_sites} sites",
        n_samples * cell.n_sites * BYTES_PER_ATOM,
    )
    return _sample(cell, n_iodine, n_samples, rng)


def _sample(cell, n_iodine, n_samples, rng):
    """Return the first `n_samples` different orbits of random arrangements."""
    found = {}
    while len(found) < n_samples:
        ranks = rng.random((n_samples, cell.n_sites)).argsort(axis=1)[:, :n_iodine]
        masks = (np.int64(1) << ranks).sum(axis=1, dtype=np.int64)
        for mask, size in zip(*(values.tolist() for values in cell.orbits(masks))):
            if len(found) < n_samples:
                found[mask] = size
    masks = np.array(sorted(found), dtype=np.int64)
    return masks, np.array([found[mask] for mask in masks.tolist()])
