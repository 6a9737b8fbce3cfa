"""`site_permutations` of a crystal, and the `orbits` of assignments of species to its sites."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sklmat.features import lattice_of_symmetry, quiet_spglib, symmetry_dataset
from sklmat.structures import CrystalArrays

#: Images of assignments that are computed at a time.
_N_IMAGES = 2**18


def site_permutations(crystal: CrystalArrays, labels: np.ndarray, symprec: float) -> np.ndarray:
    """Return how the symmetry operations of a crystal permute its sites.

    Parameters
    ----------
    crystal : CrystalArrays
        Periodic in two or three directions.
    labels : ndarray of int, shape (N,)
        Only sites with the same label can be equivalent.
    symprec : float
        Tolerance of spglib (Å).

    Returns
    -------
    permutations : ndarray of int, shape (G, N)
        The site to which each operation moves each site: a group, each permutation once. The
        translations by which a supercell repeats a smaller cell are among the operations.
    """
    if crystal.pbc.sum() < 2:
        raise ValueError(
            "the parent must be periodic in two or three directions: spglib finds no symmetry of "
            "wires and molecules"
        )
    lattice = lattice_of_symmetry(crystal.positions, crystal.lattice, crystal.pbc)
    sites = crystal.positions @ np.linalg.inv(lattice)
    with quiet_spglib():
        dataset = symmetry_dataset(lattice, sites, labels, symprec)
    if dataset is None:
        raise ValueError(
            f"spglib finds no symmetry of the parent within symprec={symprec} Å; choose another "
            "symprec"
        )
    images = np.einsum("gij,nj->gni", dataset.rotations, sites) + dataset.translations[:, None]
    _, nearest = cKDTree(_into_cell(sites), boxsize=1.0).query(_into_cell(images))
    permutations = np.unique(nearest, axis=0)
    if (
        (np.sort(permutations, axis=1) != np.arange(len(sites))).any()
        or (labels[permutations] != labels).any()
        or not is_group(permutations)
    ):
        raise ValueError(
            f"the symmetry operations that spglib finds within symprec={symprec} Å do not map "
            "sites of the parent onto sites; choose a smaller symprec"
        )
    return permutations


def _into_cell(points):
    points = points - np.floor(points)
    return np.where(points < 1.0, points, 0.0)  # -1e-20 becomes 1.0


def is_group(permutations: np.ndarray) -> bool:
    """Whether every product of two permutations, shape (G, N), sorted, is one of them."""
    numbers = {row.tobytes(): number for number, row in enumerate(permutations)}
    # An edge leads from each permutation to its product with a generator, so that all products of
    # generators are connected to the identity, which is the first permutation.
    edges = csr_matrix((len(permutations),) * 2, dtype=bool)
    while (component := connected_components(edges)[1]).any():
        generator = permutations[component.argmax()]
        products = [numbers.get(row.tobytes()) for row in permutations[:, generator]]
        if None in products:
            return False
        ones = np.ones(len(products), dtype=bool)
        edges = edges + csr_matrix((ones, (np.arange(len(products)), products)), edges.shape)
    return True


def orbits(occupations: np.ndarray, permutations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the assignments that no permutation maps onto an earlier one.

    Parameters
    ----------
    occupations : ndarray of uint8, shape (n_assignments, n_sites)
        Number of the species on each site. The image of each row under each permutation must be
        another row.
    permutations : ndarray of int, shape (G, n_sites)
        A group, as `site_permutations` gives it.

    Returns
    -------
    first : ndarray of int, shape (n_orbits,)
        The first row of each orbit, ascending.
    sizes : ndarray of int, shape (n_orbits,)
        Number of rows of each orbit.
    """
    weights, codes, order = _codes(occupations)
    unseen = np.ones(len(occupations), dtype=bool)
    found, sizes = [], []
    while len(rows := np.flatnonzero(unseen)[: 1 + _N_IMAGES // len(permutations)]):
        image_codes = np.zeros((len(rows), len(permutations)), dtype=np.uint64)
        for site, species in enumerate(occupations[rows].T):
            image_codes += weights[permutations[:, site]].T[species]
        images = order[np.searchsorted(codes, image_codes)]
        # All rows of an orbit become seen at once, so that its first row is among these rows.
        is_first = images.min(axis=1) == rows
        unseen[images] = False
        found.append(rows[is_first])
        # An orbit has as many rows as the group has operations, divided by those that keep a row.
        n_kept = (images[is_first] == rows[is_first, None]).sum(axis=1)
        sizes.append(len(permutations) // n_kept)
    return np.concatenate(found), np.concatenate(sizes)


def _codes(occupations):
    """Return the weight of each species on each site, the sorted sums of weights, and their rows.

    A number in base K would exceed 64 bits for many sites. Sums of random weights, modulo 2**64,
    differ too: this is verified, so that the code of a row is never that of another row.
    """
    rng = np.random.default_rng(0)
    shape = occupations.shape[1], int(occupations.max()) + 1
    while True:
        weights = rng.integers(2**64, size=shape, dtype=np.uint64)
        codes = np.zeros(len(occupations), dtype=np.uint64)
        for site, species in enumerate(occupations.T):
            codes += weights[site, species]
        order = np.argsort(codes)
        codes = codes[order]
        if (codes[1:] != codes[:-1]).all():
            return weights, codes, order
