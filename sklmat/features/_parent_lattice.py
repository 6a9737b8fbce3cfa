"""`find_parents`: the ideal crystals (lattice, sites, symmetry) of disordered crystals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from sklmat.features._cubic_sublattices import primitive_vectors
from sklmat.features._ideal_sites import IdealSites
from sklmat.features._symmetry import Symmetry, quiet_spglib, symmetry_dataset
from sklmat.structures import CrystalArrays

#: Tolerance (Å) for the symmetry of positions that are ideal except for rounding.
IDEAL_SYMPREC = 1e-3
# Largest number of distances between atoms and sites that are held in memory at once.
_MAX_DISTANCES = 1_000_000


class _Ideal(NamedTuple):
    """The ideal crystal of one crystal; attributes as in `Parents`."""

    lattice: np.ndarray
    frac_coords: np.ndarray
    symmetry: Symmetry
    sites: IdealSites | None


@dataclass(frozen=True)
class Parents:
    """The ideal parents of C crystals with N atoms, and the displacements from their sites.

    Attributes
    ----------
    lattice : ndarray of shape (C, 3, 3)
        Ideal lattice vectors in Å, with the cell volume of the crystal, in any orientation.
    frac_coords : list of C ndarrays of shape (n, 3)
        Ideal sites in units of the lattice vectors.
    positions : list of C ndarrays of shape (n, 3)
        Ideal sites in Å.
    displacement : ndarray of shape (N, 3)
        Vectors from the ideal sites to the atoms in Å, in the crystal; their mean is zero in each
        crystal.
    symmetry : list of C Symmetry or None
        Symmetry of the ideal crystal with one kind of atom per sublattice, in any cell; None if the
        crystal is its own parent.
    sites : list of C IdealSites or None
        The atoms on the sites of a parent with a cubic Bravais lattice.
    """

    lattice: np.ndarray
    frac_coords: list[np.ndarray]
    positions: list[np.ndarray]
    displacement: np.ndarray
    symmetry: list[Symmetry | None]
    sites: list[IdealSites | None]


def find_parents(
    crystals: Sequence[CrystalArrays], sublattices: Sequence[np.ndarray], tolerance: float | None
) -> Parents:
    """Find the ideal parents of crystals; the crystal itself if none is within `tolerance` (Å).

    Parameters
    ----------
    crystals : sequence of C CrystalArrays
    sublattices : sequence of C ndarrays of int, shape (n,)
        Number of the sublattice of each atom.
    tolerance : float or None
        With None, each crystal is its own parent.
    """
    ideals: dict[int, _Ideal] = {}
    if tolerance is not None:
        periodic = [k for k, crystal in enumerate(crystals) if crystal.pbc.all()]
        ideals = _from_bravais_lattices(crystals, sublattices, periodic, tolerance)
        for k in periodic:
            if k not in ideals:
                ideal = _from_spglib(crystals[k], sublattices[k], tolerance)
                if ideal is not None:
                    ideals[k] = ideal
    lattices, frac_coords, displacements = [], [], []
    for k, crystal in enumerate(crystals):
        coords = _frac_coords(crystal)
        lattice, sites = ideals[k][:2] if k in ideals else (crystal.lattice, coords)
        displacement = coords - sites
        displacement = displacement - displacement.mean(axis=0)
        lattices.append(lattice)
        frac_coords.append(sites)
        displacements.append(displacement @ crystal.lattice)
    return Parents(
        lattice=np.stack(lattices),
        frac_coords=frac_coords,
        positions=[sites @ lattice for sites, lattice in zip(frac_coords, lattices)],
        displacement=np.concatenate(displacements),
        symmetry=[ideals[k].symmetry if k in ideals else None for k in range(len(crystals))],
        sites=[ideals[k].sites if k in ideals else None for k in range(len(crystals))],
    )


def _frac_coords(crystal):
    return crystal.positions @ np.linalg.inv(crystal.lattice)


def _from_spglib(crystal, sublattice, tolerance):
    """Ideal lattice and sites from spglib, at the largest tolerance at which it succeeds."""
    frac_coords = _frac_coords(crystal)
    for symprec in (tolerance, tolerance / 2, tolerance / 4):
        with quiet_spglib():
            dataset = symmetry_dataset(crystal.lattice, frac_coords, sublattice, symprec)
        ideal = None if dataset is None else _standard_sites(dataset, frac_coords, sublattice)
        if ideal is not None:
            return ideal
    return None


def _standard_sites(dataset, frac_coords, sublattice):
    transformation, origin = dataset.transformation_matrix, dataset.origin_shift
    standard = frac_coords @ transformation.T + origin
    offset = standard[:, None] - dataset.std_positions
    image = np.round(offset)
    distance = np.linalg.norm((offset - image) @ dataset.std_lattice, axis=2)
    distance[sublattice[:, None] != np.asarray(dataset.std_types)] = np.inf
    site = distance.argmin(axis=1)
    atom = np.arange(len(frac_coords))
    standard_sites = dataset.std_positions[site] + image[atom, site]
    sites = (standard_sites - origin) @ np.linalg.inv(transformation).T
    if not _all_distinct(sites):
        return None
    lattice = transformation.T @ dataset.std_lattice
    return _Ideal(lattice, sites, Symmetry.from_dataset(dataset), None)


def _all_distinct(frac_coords):
    rounded = np.round(frac_coords % 1 * 1e4) % 1e4
    return len(np.unique(rounded @ [1e8, 1e4, 1])) == len(frac_coords)


def _from_bravais_lattices(crystals, sublattices, rows, tolerance):
    """Ideal crystals of the rows in which one sublattice is simple, body- or face-centred cubic.

    The translations of this sublattice are those of the parent. The other sublattices are averaged
    over these translations, and then over the symmetry of the averaged sites.
    """
    primitive = primitive_vectors(crystals, sublattices, rows)
    averaged = _average_sites(crystals, sublattices, primitive)
    return _symmetric_crystals(sublattices, primitive, averaged, tolerance)


class _AveragedSites(NamedTuple):
    """Sites of a crystal averaged over its primitive cells, in primitive vectors.

    `site` (n,) and `cell` (n, 3) of each atom; `sites` (S, 3) and `sublattice` (S,) of each site.
    """

    site: np.ndarray
    cell: np.ndarray
    sites: np.ndarray
    sublattice: np.ndarray


def _average_sites(crystals, sublattices, primitive):
    """Average over all primitive cells: row -> `_AveragedSites`, without rows where this fails."""
    coords = {
        k: crystals[k].positions @ np.linalg.inv(vectors.fitted) for k, vectors in primitive.items()
    }
    groups = defaultdict(list)
    for k, vectors in primitive.items():
        for number, count in enumerate(np.bincount(sublattices[k])):
            if count:
                groups[count, vectors.n_cells].append((k, number))
    clusters = {}
    for (n_atoms, n_cells), pieces in _batches(groups, lambda key: key[0] ** 2 // key[1]):
        if n_atoms % n_cells:
            continue
        own_coords = np.stack([coords[k][sublattices[k] == number] for k, number in pieces])
        basis = np.stack([primitive[k].ideal for k, _ in pieces])
        nearest, centres, is_even = _cluster(own_coords, basis, n_cells)
        for place in np.flatnonzero(is_even):
            clusters[pieces[place]] = nearest[place], centres[place]
    averaged = {}
    for k in primitive:
        numbers = np.unique(sublattices[k])
        found = [clusters.get((k, number)) for number in numbers.tolist()]
        if any(cluster is None for cluster in found):
            continue
        site, first = np.zeros(len(sublattices[k]), dtype=np.intp), 0
        for number, (nearest, centres) in zip(numbers, found):
            site[sublattices[k] == number] = nearest + first
            first += len(centres)
        sites = np.concatenate([centres for _, centres in found])
        sublattice = np.repeat(numbers, [len(centres) for _, centres in found])
        averaged[k] = _AveragedSites(site, np.round(coords[k] - sites[site]), sites, sublattice)
    return averaged


def _batches(
    groups: dict[Hashable, list], n_distances: Callable[[Any], int]
) -> Iterator[tuple[Any, list]]:
    """Parts of groups with at most `_MAX_DISTANCES`; `n_distances(key)` of them for each member."""
    for key, members in groups.items():
        size = max(1, _MAX_DISTANCES // max(1, n_distances(key)))
        for start in range(0, len(members), size):
            yield key, members[start : start + size]


def _cluster(coords, basis, n_cells):
    """Group the atoms of G crystals, modulo lattice vectors, into clusters of `n_cells`.

    Parameters
    ----------
    coords : ndarray of shape (G, n, 3)
    basis : ndarray of shape (G, 3, 3)
    n_cells : int

    Returns
    -------
    nearest : ndarray of int, shape (G, n)
        Cluster of each atom.
    centres : ndarray of shape (G, n / n_cells, 3)
    is_even : ndarray of bool, shape (G,)
        Whether all clusters have `n_cells` atoms.
    """
    n_crystals, n_atoms, _ = coords.shape
    n_sites, crystals = n_atoms // n_cells, np.arange(n_crystals)
    chosen = np.zeros((n_crystals, n_sites), dtype=np.intp)
    closest = _offsets(coords, coords[:, :1], basis)[1][..., 0]
    for site in range(1, n_sites):
        chosen[:, site] = closest.argmax(axis=1)
        farthest = coords[crystals, chosen[:, site], None]
        closest = np.minimum(closest, _offsets(coords, farthest, basis)[1][..., 0])
    centres = coords[crystals[:, None], chosen]
    is_even = np.ones(n_crystals, dtype=bool)
    for _ in range(4):
        offset, distance = _offsets(coords, centres, basis)
        nearest = distance.argmin(axis=2)
        own_offset = np.take_along_axis(offset, nearest[..., None, None], axis=2)[:, :, 0]
        shift, counts = _means(own_offset, nearest, n_sites)
        is_even &= (counts == n_cells).all(axis=1)
        centres = centres + shift
    return nearest, centres, is_even


def _means(values, cluster, n_clusters):
    """Means (G, K, 3) of values (G, n, 3) over K clusters, and the number of values in each."""
    n_crystals = len(values)
    number = (np.arange(n_crystals)[:, None] * n_clusters + cluster).ravel()
    counts = np.bincount(number, minlength=n_crystals * n_clusters)
    sums = [np.bincount(number, part, len(counts)) for part in values.reshape(-1, 3).T]
    means = np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]
    return means.reshape(n_crystals, n_clusters, 3), counts.reshape(n_crystals, n_clusters)


def _offsets(points, centres, basis):
    """Shortest offsets (G, n, k, 3) from centres (G, k, 3) to points (G, n, 3); lengths in Å."""
    offset = points[:, :, None] - centres[:, None]
    offset -= np.round(offset)
    return offset, np.linalg.norm(offset @ basis[:, None], axis=3)


def _symmetric_crystals(sublattices, primitive, averaged, tolerance):
    """Ideal crystals with the full symmetry of their lattice, or what spglib finds of it.

    Most parents have the full symmetry of their lattice; spglib is used for the others only.
    """
    groups = defaultdict(list)
    for k, found in averaged.items():
        basis = primitive[k].ideal
        gram = np.round(basis @ basis.T / (basis[0] @ basis[0]), 6)
        groups[tuple(gram.ravel()), tuple(found.sublattice)].append(k)
    ideals = {}
    for (gram, sublattice), rows in _batches(groups, lambda key: 48 * len(key[1]) ** 2):
        rotations, sublattice = _lattice_rotations(gram), np.array(sublattice)
        sites = np.stack([averaged[k].sites for k in rows])
        basis = np.stack([primitive[k].ideal for k in rows])
        # The cubic sublattice has one site in the primitive cell, the origin of all operations.
        alone = np.flatnonzero(np.bincount(sublattice)[sublattice] == 1)[0]
        origin = sites[:, alone]
        translations = origin[:, None] - (rotations * origin[:, None, None]).sum(axis=3)
        symmetrised = _symmetrise(basis, sites, sublattice, rotations, translations)
        for place, k in enumerate(rows):
            symmetric = [found[place] for found in symmetrised]
            operations = rotations, translations[place]
            if symmetric[-1] <= tolerance:
                relative = np.round((symmetric[0] - origin[place]) % 1, 6) % 1
                symmetry = _ideal_symmetry(gram, tuple(relative.ravel()), tuple(sublattice))
            else:
                dataset = symmetry_dataset(basis[place], sites[place], sublattice, tolerance)
                symmetry = None
                if dataset is not None:
                    symmetry = Symmetry.from_dataset(dataset)
                    operations = dataset.rotations, dataset.translations
                    one = slice(place, place + 1)
                    again = _symmetrise(
                        basis[one], sites[one], sublattice, operations[0], operations[1][None]
                    )
                    symmetric = [found[0] for found in again]
            if symmetry is not None:
                ideal = _ideal_crystal(primitive[k], averaged[k], operations, symmetric, symmetry)
                if _all_distinct(ideal.frac_coords):
                    ideals[k] = ideal
    return ideals


def _ideal_crystal(primitive, averaged, operations, symmetric, symmetry):
    sites, image, image_cell, _ = symmetric
    frac_coords = (sites[averaged.site] + averaged.cell) @ np.linalg.inv(primitive.repeats)
    rotations, translations = operations
    ideal_sites = None
    moved = sites @ np.swapaxes(rotations, 1, 2) + translations[:, None]
    is_exact = np.abs(moved - sites[image] - image_cell).max() < 1e-6
    # In a strongly sheared basis, `_lattice_rotations` finds some of the operations only.
    n_operations = symmetry.order * len(sites) // symmetry.n_primitive
    is_exact &= len(rotations) == n_operations
    if is_exact and (np.sort(image, axis=1) == np.arange(len(sites))).all():
        ideal_sites = IdealSites(
            basis=primitive.ideal,
            repeats=primitive.repeats.astype(np.int64),
            site=averaged.site,
            cell=averaged.cell.astype(np.int64),
            rotations=np.asarray(rotations, dtype=np.int64),
            translations=translations,
            image=image,
            image_cell=image_cell,
        )
    return _Ideal(primitive.repeats @ primitive.ideal, frac_coords, symmetry, ideal_sites)


@lru_cache(maxsize=100)
def _ideal_symmetry(gram, sites, sublattice):
    """Symmetry from spglib, once for each parent; the lattice constant, here 4 Å, is arbitrary."""
    lattice = 4 * np.linalg.cholesky(np.reshape(gram, (3, 3)))
    sites = np.reshape(sites, (-1, 3))
    dataset = symmetry_dataset(lattice, sites, list(sublattice), IDEAL_SYMPREC)
    return None if dataset is None else Symmetry.from_dataset(dataset)


@lru_cache(maxsize=100)
def _lattice_rotations(gram):
    """Integer matrices, acting on columns, that preserve the Gram matrix of the basis vectors."""
    gram = np.reshape(gram, (3, 3))
    vectors = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    squared_length = np.einsum("vi,ij,vj->v", vectors, gram, vectors)
    images = [vectors[np.abs(squared_length - gram[i, i]) < 1e-4] for i in range(3)]
    triples = np.array(list(product(*images)))
    inner = triples @ gram @ triples.transpose(0, 2, 1)
    return triples[(np.abs(inner - gram) < 1e-4).all(axis=(1, 2))].transpose(0, 2, 1)


def _symmetrise(basis, sites, sublattice, rotations, translations):
    """Average the sites of G crystals over O operations.

    Parameters
    ----------
    basis : ndarray of shape (G, 3, 3)
    sites : ndarray of shape (G, S, 3)
    sublattice : ndarray of shape (S,)
    rotations : ndarray of shape (O, 3, 3)
    translations : ndarray of shape (G, O, 3)

    Returns
    -------
    symmetric : ndarray of shape (G, S, 3)
    image : ndarray of int, shape (G, O, S)
        Site that is nearest to the image of each site.
    image_cell : ndarray of int, shape (G, O, S, 3)
        Cell of this site.
    largest_offset : ndarray of shape (G,)
        Largest distance (Å) of an image from a site.
    """
    n_crystals, n_sites, _ = sites.shape
    images = sites[:, None] @ np.swapaxes(rotations, 1, 2) + translations[:, :, None]
    shape = images.shape[:3]
    images = images.reshape(n_crystals, -1, 3)
    offset, distance = _offsets(images, sites, basis)
    of_image = np.tile(sublattice, shape[1])
    distance[:, of_image[:, None] != sublattice] = np.inf
    nearest = distance.argmin(axis=2)
    own_offset = np.take_along_axis(offset, nearest[..., None, None], axis=2)[:, :, 0]
    mean_offset, _ = _means(own_offset, nearest, n_sites)
    near_site = np.take_along_axis(sites, nearest[..., None], axis=1)
    cell = np.round(images - near_site - own_offset).astype(np.int64)
    return (
        sites + mean_offset,
        nearest.reshape(shape),
        cell.reshape(*shape, 3),
        distance.min(axis=2).max(axis=1),
    )
