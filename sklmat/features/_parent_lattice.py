"""`find_parent`: the ideal crystal (lattice, sites, symmetry) of a disordered crystal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from sklmat.features._infer_lattice import recognize_lattice
from sklmat.features._neighbors import find_neighbors
from sklmat.features._symmetry import quiet_spglib, symmetry_dataset

if TYPE_CHECKING:
    from spglib import SpglibDataset

#: Tolerance (Å) for the symmetry of positions that are ideal except for rounding.
IDEAL_SYMPREC = 1e-3
# Cubic Bravais lattices: number of nearest atoms whose vectors are lattice vectors, number of the
# shortest of them from which a basis is chosen, and the unit of the cosines between basis vectors.
_BRAVAIS = {"fcc": (12, 12, 1 / 2), "bcc": (14, 8, 1 / 3), "sc": (6, 6, 1.0)}


@dataclass(frozen=True)
class Parent:
    """The ideal parent of a crystal, and the displacements of the atoms from its sites.

    Attributes
    ----------
    lattice : ndarray of shape (3, 3)
        Ideal lattice vectors in Å, with the cell volume of the crystal, in any orientation.
    frac_coords : ndarray of shape (N, 3)
        Ideal sites in units of the lattice vectors.
    positions : ndarray of shape (N, 3)
        Ideal sites in Å.
    displacement : ndarray of shape (N, 3)
        Vectors from the ideal sites to the atoms, in units of the lattice vectors; their mean is
        zero.
    symmetry : spglib dataset or None
        Symmetry of the ideal crystal with one kind of atom per sublattice, in any cell; None if the
        crystal is its own parent.
    """

    lattice: np.ndarray
    frac_coords: np.ndarray
    positions: np.ndarray
    displacement: np.ndarray
    symmetry: SpglibDataset | None


def find_parent(
    positions: np.ndarray,
    lattice: np.ndarray,
    pbc: np.ndarray,
    sublattice: np.ndarray,
    tolerance: float | None,
) -> Parent:
    """Find the ideal parent of a crystal; the crystal itself if none is within `tolerance` (Å).

    Parameters
    ----------
    positions, lattice, pbc
        As in `CrystalArrays`.
    sublattice : ndarray of int, shape (N,)
        Number of the sublattice of each atom.
    tolerance : float or None
        With None, the crystal is its own parent.
    """
    frac_coords = positions @ np.linalg.inv(lattice)
    ideal = None
    if tolerance is not None and all(pbc):
        ideal = _from_bravais_lattice(positions, lattice, sublattice, tolerance)
        if ideal is None:
            ideal = _from_spglib(frac_coords, lattice, sublattice, tolerance)
    ideal_lattice, sites, symmetry = (lattice, frac_coords, None) if ideal is None else ideal
    displacement = frac_coords - sites
    displacement = displacement - displacement.mean(axis=0)
    return Parent(ideal_lattice, sites, sites @ ideal_lattice, displacement, symmetry)


def _from_spglib(frac_coords, lattice, sublattice, tolerance):
    """Ideal lattice and sites from spglib, at the largest tolerance at which it succeeds."""
    for symprec in (tolerance, tolerance / 2, tolerance / 4):
        with quiet_spglib():
            dataset = symmetry_dataset(lattice, frac_coords, sublattice, symprec)
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
    return transformation.T @ dataset.std_lattice, sites, dataset


def _all_distinct(frac_coords):
    return len(np.unique(np.round(frac_coords % 1 * 1e4) % 1e4, axis=0)) == len(frac_coords)


def _from_bravais_lattice(positions, lattice, sublattice, tolerance):
    """Ideal lattice and sites if one sublattice is simple, body- or face-centred cubic.

    The translations of this sublattice are those of the parent. The other sublattices are averaged
    over these translations, and then over the symmetry of the averaged sites.
    """
    cubic = _smallest_cubic_sublattice(positions, lattice, sublattice)
    if cubic is None:
        return None
    n_cells, lattice_name, neighbors = cubic
    primitive = _primitive_vectors(neighbors, lattice, lattice_name, n_cells)
    if primitive is None:
        return None
    basis, ideal_basis, repeats = primitive
    cell_coords = positions @ np.linalg.inv(basis)
    averaged = _average_sites(cell_coords, ideal_basis, sublattice, n_cells)
    if averaged is None:
        return None
    site_of_atom, sites = averaged
    cell_of_atom = np.round(cell_coords - sites[site_of_atom])
    site_sublattice = np.array([sublattice[site_of_atom == k][0] for k in range(len(sites))])
    symmetric, dataset = _symmetric_sites(ideal_basis, sites, site_sublattice, tolerance)
    if dataset is None:
        return None
    frac_coords = (symmetric[site_of_atom] + cell_of_atom) @ np.linalg.inv(repeats)
    if not _all_distinct(frac_coords):
        return None
    return repeats @ ideal_basis, frac_coords, dataset


def _smallest_cubic_sublattice(positions, lattice, sublattice):
    """Number of atoms, lattice type and neighbours of the cubic sublattice with fewest atoms."""
    smallest = None
    for number in np.unique(sublattice):
        own_positions = positions[sublattice == number]
        neighbors = find_neighbors(own_positions, lattice, (True,) * 3)
        name = recognize_lattice(neighbors).name
        if name in _BRAVAIS and (smallest is None or len(own_positions) < smallest[0]):
            smallest = len(own_positions), name, neighbors
    return smallest


def _primitive_vectors(neighbors, lattice, lattice_name, n_atoms):
    """Primitive vectors of a cubic Bravais lattice: fitted, ideal, and their repeats in the cell.

    The vectors from atoms to their neighbours are clustered around those of the first atom. Three
    mean vectors that span the volume of one atom are primitive vectors.
    """
    n_vectors, n_first, unit = _BRAVAIS[lattice_name]
    vectors = neighbors.vector[:, :n_vectors].reshape(-1, 3)
    means = vectors[:n_vectors]
    for _ in range(5):
        nearest = np.linalg.norm(vectors[:, None] - means, axis=2).argmin(axis=1)
        counts = np.bincount(nearest, minlength=n_vectors)
        if not counts.all():
            return None
        means = np.array([np.bincount(nearest, vectors[:, x], n_vectors) for x in range(3)]).T
        means /= counts[:, None]
    means = means[np.argsort(np.linalg.norm(means, axis=1))[:n_first]]
    triples = means[list(combinations(range(n_first), 3))]
    volume = abs(np.linalg.det(lattice)) / n_atoms
    basis = triples[np.abs(np.linalg.det(triples) - volume).argmin()]
    if abs(np.linalg.det(basis) - volume) > volume / 2:
        return None
    repeats = np.round(lattice @ np.linalg.inv(basis))
    if abs(round(np.linalg.det(repeats))) != n_atoms:
        return None
    basis = np.linalg.inv(repeats) @ lattice
    gram = basis @ basis.T
    gram = np.round(gram / gram.trace() * 3 / unit) * unit
    if np.linalg.eigvalsh(gram).min() < 0.01:
        return None
    ideal_basis = np.linalg.cholesky(gram)
    return basis, ideal_basis * np.cbrt(volume / np.linalg.det(ideal_basis)), repeats


def _average_sites(cell_coords, ideal_basis, sublattice, n_cells):
    """Average over all `n_cells` primitive cells: the site of each atom, and the mean sites."""
    site_of_atom, sites = np.zeros(len(cell_coords), dtype=np.intp), []
    for number in np.unique(sublattice):
        own_coords = cell_coords[sublattice == number]
        clusters = _cluster(own_coords, ideal_basis, n_cells)
        if clusters is None:
            return None
        nearest, centres = clusters
        site_of_atom[sublattice == number] = nearest + len(sites)
        sites += list(centres)
    return site_of_atom, np.array(sites)


def _cluster(coords, ideal_basis, n_cells):
    """Group atoms, modulo lattice vectors, into clusters of `n_cells`; None if this fails."""
    n_sites, rest = divmod(len(coords), n_cells)
    if rest:
        return None
    centres = coords[:1]
    while len(centres) < n_sites:
        farthest = _offsets(coords, centres, ideal_basis)[1].min(axis=1).argmax()
        centres = np.vstack([centres, coords[farthest]])
    for _ in range(4):
        offset, distance = _offsets(coords, centres, ideal_basis)
        nearest = distance.argmin(axis=1)
        if (np.bincount(nearest, minlength=n_sites) != n_cells).any():
            return None
        shifts = [offset[nearest == k, k].mean(axis=0) for k in range(n_sites)]
        centres = centres + np.array(shifts)
    return nearest, centres


def _offsets(points, centres, lattice):
    """Shortest offsets from centres to points, fractional, and their lengths in Å."""
    offset = points[:, None] - centres
    offset -= np.round(offset)
    return offset, np.linalg.norm(offset @ lattice, axis=2)


def _symmetric_sites(lattice, sites, sublattice, tolerance):
    """Return sites averaged over their symmetry within `tolerance`, and this symmetry.

    Most parents have the full symmetry of their lattice; spglib is used for the others only.
    """
    gram = np.round(lattice @ lattice.T / (lattice[0] @ lattice[0]), 6)
    rotations = _lattice_rotations(tuple(gram.ravel()))
    # The cubic sublattice has one site in the primitive cell, the origin of all operations.
    origin = sites[np.bincount(sublattice)[sublattice] == 1][0]
    operations = rotations, origin - rotations @ origin
    symmetric, largest_offset = _symmetrise(lattice, sites, sublattice, *operations)
    if largest_offset > tolerance:
        dataset = symmetry_dataset(lattice, sites, sublattice, tolerance)
        if dataset is not None:
            operations = dataset.rotations, dataset.translations
            symmetric, _ = _symmetrise(lattice, sites, sublattice, *operations)
        return symmetric, dataset
    ideal_sites = np.round((symmetric - origin) % 1, 6) % 1
    return symmetric, _ideal_symmetry(*(tuple(x.ravel()) for x in (gram, ideal_sites, sublattice)))


@lru_cache(maxsize=100)
def _ideal_symmetry(gram, sites, sublattice):
    """Symmetry from spglib, once for each parent; the lattice constant, here 4 Å, is arbitrary."""
    lattice = 4 * np.linalg.cholesky(np.reshape(gram, (3, 3)))
    return symmetry_dataset(lattice, np.reshape(sites, (-1, 3)), list(sublattice), IDEAL_SYMPREC)


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


def _symmetrise(lattice, sites, sublattice, rotations, translations):
    """Sites averaged over operations, and the largest distance (Å) of an image from a site."""
    images = np.einsum("oxy,iy->oix", rotations, sites) + translations[:, None]
    offset, distance = _offsets(images.reshape(-1, 3), sites, lattice)
    distance[np.tile(sublattice, len(images))[:, None] != sublattice] = np.inf
    nearest = distance.argmin(axis=1)
    mean_offset = np.zeros_like(sites)
    np.add.at(mean_offset, nearest, offset[np.arange(len(nearest)), nearest])
    mean_offset /= np.maximum(np.bincount(nearest, minlength=len(sites)), 1)[:, None]
    return sites + mean_offset, distance.min(axis=1).max()
