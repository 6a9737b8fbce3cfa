"""`IdealSites`: atoms on the ideal sites of a parent, and the symmetry of their species."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklmat.features._symmetry import Symmetry
from sklmat.recorded_warnings import ignore_warnings

# Operations are compared on this number of atoms first; few of those that fail pass it.
_FIRST_ATOMS = 16
# Largest number of images of atoms that are held in memory at once.
_MAX_IMAGES = 200_000
# Tolerance for numbers that are integers except for rounding.
_ROUNDING = 1e-4


class IdealSites(NamedTuple):
    """N atoms on the sites of a parent with S sites in its primitive cell.

    The space group of the parent consists of O operations x -> W x + w, on columns in units of the
    primitive vectors, and of the translations by the primitive vectors.

    Attributes
    ----------
    basis : ndarray of shape (3, 3)
        Primitive vectors of the parent as rows (Å).
    repeats : ndarray of int, shape (3, 3)
        Lattice vectors of the crystal in units of the primitive vectors.
    site : ndarray of int, shape (N,)
        Site of each atom.
    cell : ndarray of int, shape (N, 3)
        Primitive cell of each atom.
    rotations : ndarray of int, shape (O, 3, 3)
        The matrices W.
    translations : ndarray of shape (O, 3)
        The vectors w.
    image : ndarray of int, shape (O, S)
        Site to which an operation moves each site of the cell at the origin.
    image_cell : ndarray of int, shape (O, S, 3)
        Primitive cell of that site.
    """

    basis: np.ndarray
    repeats: np.ndarray
    site: np.ndarray
    cell: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray
    image: np.ndarray
    image_cell: np.ndarray


def symmetry_of_species(sites: IdealSites, species: np.ndarray, symprec: float) -> Symmetry | None:
    """Symmetry of a crystal whose atoms, with these species, are on ideal sites.

    Each species must be on one sublattice of the parent only. Every operation of the crystal is
    then one of the parent that moves each atom to an atom of its species; these are found by
    comparing integers.

    Parameters
    ----------
    sites : IdealSites
    species : ndarray of int, shape (N,)
    symprec : float
        Tolerance (Å) with which spglib determines the type of the space group.

    Returns
    -------
    symmetry : Symmetry or None
        None if spglib does not determine the type.
    """
    import spglib

    translations = _translations(sites, species)
    cell_vectors = sites.repeats
    if len(translations) > 1:
        cell_vectors = _basis_of_integer_vectors(np.vstack([cell_vectors, translations]))
    atoms = _AtomsOfSites(sites.site, sites.cell, cell_vectors)
    inverse = np.linalg.inv(cell_vectors)
    # Rows of `cell_vectors` are basis vectors, so that columns are transformed by its transpose.
    rotations = inverse.T @ sites.rotations @ cell_vectors.T
    keeps_lattice = np.abs(rotations - np.round(rotations)).max(axis=(1, 2)) < _ROUNDING
    chosen = np.flatnonzero(keeps_lattice)
    primitive = atoms.primitive
    operation, shift, image = _operations(sites, species, chosen, atoms)
    orbits = image.min(axis=0)
    with ignore_warnings(DeprecationWarning):
        try:
            space_group = spglib.get_spacegroup_type_from_symmetry(
                np.round(rotations[operation]).astype(np.intc),
                (sites.translations[operation] + shift) @ inverse,
                cell_vectors @ sites.basis,
                symprec,
            )
        except getattr(spglib, "SpglibError", RuntimeError):
            space_group = None
    if space_group is None:
        return None
    return Symmetry(
        number=space_group.number,
        order=len(operation),
        n_primitive=len(primitive),
        orbits=orbits[atoms.find(sites.site, sites.cell)],
    )


class _AtomsOfSites:
    """Atoms by their site and primitive cell of the parent, in a lattice of integer vectors.

    `primitive` are the first atoms of each set that the lattice vectors connect; `find` returns
    positions in this list.
    """

    def __init__(self, site, cell, cell_vectors):
        self.n_cells = abs(round(np.linalg.det(cell_vectors)))
        self.adjugate = np.round(np.linalg.inv(cell_vectors) * self.n_cells).astype(np.int64)
        self.n_sites = site.max() + 1
        self.keys, self.primitive = np.unique(self._key(site, cell), return_index=True)

    def _key(self, site, cell):
        """One integer for a site in all cells that the lattice vectors connect."""
        a, b, c = np.moveaxis((cell @ self.adjugate) % self.n_cells, -1, 0)
        return ((a * self.n_cells + b) * self.n_cells + c) * self.n_sites + site

    def find(self, site, cell):
        return np.searchsorted(self.keys, self._key(site, cell))


def _translations(sites, species):
    """Translations (T, 3), in primitive vectors of the parent, that keep the species; 0 first."""
    kind = species.astype(np.int64) * (sites.site.max() + 1) + sites.site
    kinds, first, counts = np.unique(kind, return_index=True, return_counts=True)
    rarest = counts.argmin()
    shifts = sites.cell[kind == kinds[rarest]] - sites.cell[first[rarest]]
    if len(shifts) == 1:
        return shifts
    atoms = _AtomsOfSites(sites.site, sites.cell, sites.repeats)
    ranked = species[atoms.primitive]
    for some in (slice(_FIRST_ATOMS), slice(None)):
        site, cell, own_species = sites.site[some], sites.cell[some], species[some]
        size, keeps = max(1, _MAX_IMAGES // len(site)), []
        for start in range(0, len(shifts), size):
            image = atoms.find(site, cell + shifts[start : start + size, None])
            keeps.append((ranked[image] == own_species).all(axis=1))
        shifts = shifts[np.concatenate(keeps)]
    return shifts


def _operations(sites, species, chosen, atoms):
    """Operations of the parent, among those chosen, that keep the species.

    Returns
    -------
    operation : ndarray of int, shape (K,)
    shift : ndarray of int, shape (K, 3)
        Primitive vectors that are added to the translation of the operation.
    image : ndarray of int, shape (K, N)
        Position of the image of each primitive atom among the primitive atoms.
    """
    kind, site, cell = (array[atoms.primitive] for array in (species, sites.site, sites.cell))
    kinds, first, counts = np.unique(kind, return_index=True, return_counts=True)
    rarest = counts.argmin()
    like, reference = np.flatnonzero(kind == kinds[rarest]), first[rarest]

    def moved(operation, of):
        turned = np.einsum("oxy,ny->onx", sites.rotations[operation], cell[of])
        return turned + sites.image_cell[operation][:, site[of]]

    # A suitable operation moves one atom of the rarest species to another one of them.
    target = moved(chosen, [reference])[:, 0]
    is_target = sites.image[chosen, site[reference], None] == site[like]
    row, place = np.nonzero(is_target)
    operation, shift = chosen[row], cell[like[place]] - target[row]
    for some in (slice(_FIRST_ATOMS), slice(None)):
        image_cell = moved(operation, some) + shift[:, None]
        image = atoms.find(sites.image[operation][:, site[some]], image_cell)
        keeps = (kind[image] == kind[some]).all(axis=1)
        operation, shift, image = operation[keeps], shift[keeps], image[keeps]
    return operation, shift, image


def _basis_of_integer_vectors(vectors):
    """Basis, as rows, of the three-dimensional lattice that integer vectors generate."""
    rows = [list(map(int, vector)) for vector in vectors]
    basis = []
    for axis in range(3):
        # Euclid's algorithm leaves one row with an entry in this axis.
        while True:
            nonzero = sorted((row for row in rows if row[axis]), key=lambda row: abs(row[axis]))
            if len(nonzero) == 1:
                break
            pivot = nonzero[0]
            for row in nonzero[1:]:
                quotient = row[axis] // pivot[axis]
                row[:] = [x - quotient * y for x, y in zip(row, pivot)]
        basis.append(nonzero[0])
        rows = [row for row in rows if row is not nonzero[0]]
    return np.array(basis)
