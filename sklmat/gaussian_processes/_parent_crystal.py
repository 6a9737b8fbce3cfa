"""`ParentCrystal`: the sites that many crystals share, and which atom of a crystal is on which."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from sklmat.gaussian_processes._similar_lattices import (
    MAX_STRAIN,
    equal_bases,
    reduced_lattice,
    smallest_distance,
    stretches,
)
from sklmat.gaussian_processes._site_permutations import generated_group
from sklmat.structures import CrystalArrays

#: Largest displacement from a site, as a part of the smallest distance between two sites.
MAX_DISPLACEMENT = 1 / 3
#: Part of the largest accepted displacement below which a displacement is small.
_NEAR = 0.5
#: Misfit (Å²) below which no better assignment is looked for.
_EXACT = 1e-8
#: Atoms whose sites are tried before those of all atoms.
_N_FIRST = 6
#: Times that the shift of a crystal is improved.
_N_REFINEMENTS = 4
#: Points whose nearest sites are looked up at once.
_N_POINTS = 400
#: Rounding of lengths and fractional coordinates.
_ROUNDING = 1e-6


class Assignment(NamedTuple):
    """The atoms of a crystal on the sites of its parent.

    Attributes
    ----------
    atom : ndarray of int, shape (N,)
        The atom on each site.
    displacement : ndarray of shape (N, 3)
        Vectors from the sites to their atoms (Å), in the parent; their mean is zero.
    metric : ndarray of shape (3, 3)
        Products of the vectors of the crystal's lattice that correspond to those of the parent
        (Å²), scaled to the volume of the parent.
    """

    atom: np.ndarray
    displacement: np.ndarray
    metric: np.ndarray


class Tolerance(NamedTuple):
    """What an operation may change if it is a symmetry operation.

    Attributes
    ----------
    displacement : float
        Distance between an image of a site and the site at this place (Å).
    stretch : float
        Relative change of a length by the change of the lattice vectors.
    """

    displacement: float
    stretch: float


class Operations(NamedTuple):
    """Operations that put every site of a parent near a site: assignments of it to itself.

    Attributes
    ----------
    basis : ndarray of int, shape (K, 3, 3)
        Lattice vectors that take the place of those of the parent.
    site : ndarray of int, shape (K, N)
        The site whose image is at each site.
    displacement : ndarray of shape (K, N, 3)
        Vectors from the sites to the images (Å).
    distance : ndarray of shape (K,)
        Length of the longest of these vectors (Å).
    turn : ndarray of shape (K, 3, 3)
        A displacement v of a site becomes ``v @ turn`` at its image.
    stretch : ndarray of shape (K,)
        Largest relative change of a length.
    """

    basis: np.ndarray
    site: np.ndarray
    displacement: np.ndarray
    distance: np.ndarray
    turn: np.ndarray
    stretch: np.ndarray

    def misfit(self, tolerance: Tolerance) -> np.ndarray:
        """Return the change by each operation, at most 1 within the tolerance, shape (K,)."""
        return np.maximum(self.distance / tolerance.displacement, self.stretch / tolerance.stretch)


class ParentCrystal:
    """Lattice and sites that crystals share, whatever the elements on the sites.

    Parameters
    ----------
    crystal : CrystalArrays
        Its elements are not used.

    Attributes
    ----------
    crystal : CrystalArrays
    lattice : ndarray of shape (3, 3)
        Short vectors of the lattice (Å).
    sites : ndarray of shape (N, 3)
        Fractional coordinates in `lattice`.
    smallest_distance : float
        Smallest distance between two sites, or a site and its image (Å).
    max_displacement : float
        Largest accepted displacement of an atom from its site (Å).
    """

    def __init__(self, crystal: CrystalArrays):
        self.crystal = crystal
        self.lattice = reduced_lattice(crystal)
        self.sites = crystal.positions @ np.linalg.inv(self.lattice)
        self.smallest_distance = smallest_distance(self.sites, self.lattice)
        self.max_displacement = MAX_DISPLACEMENT * self.smallest_distance

    def __reduce__(self):
        # Operations of large supercells take much memory, and are found again when needed.
        return ParentCrystal, (self.crystal,)

    def assign(
        self, crystal: CrystalArrays, cost: np.ndarray, tolerance: Tolerance
    ) -> Assignment | str:
        """Find which atom of a crystal is on which site, up to a symmetry of the sites.

        Any orientation, origin, order of atoms and choice of lattice vectors of the crystal is
        recognised, and its mirror image. Volumes may differ.

        Parameters
        ----------
        crystal : CrystalArrays
        cost : ndarray of shape (N, Z)
            Cost of an element on a site, by atomic number; zero if it has been seen there. Of
            several assignments, the one with the smallest sum is chosen, then the one with the
            smallest strain and displacements: a parent can nearly have symmetry operations that it
            does not have.
        tolerance : Tolerance
            Of the symmetry of the parent. If all its operations are symmetry operations, all
            assignments of cost zero are equivalent.

        Returns
        -------
        assignment : Assignment or str
            The reason if there is none.
        """
        n_sites, n_atoms = len(self.sites), len(crystal.atomic_numbers)
        if n_atoms != n_sites:
            return f"has {n_atoms} atoms, and the parent has {n_sites} sites"
        if crystal.pbc.sum() != self.crystal.pbc.sum():
            return "is not periodic in as many directions as the parent"
        lattice = reduced_lattice(crystal)
        fractional = crystal.positions @ np.linalg.inv(lattice)
        scale = abs(np.linalg.det(self.lattice) / np.linalg.det(lattice)) ** (1 / 3)
        best: Assignment | None = None
        best_rank = np.inf, np.inf
        bases = equal_bases(self.lattice, scale * lattice)
        near = (_NEAR * self.max_displacement) ** 2
        for basis in bases:
            vectors = scale * basis @ lattice
            metric = vectors @ vectors.T
            strain = self._strain(metric)
            for atom, displacement in self._assignments(fractional @ np.linalg.inv(basis)):
                found = Assignment(atom, displacement, metric)
                total = cost[np.arange(n_sites), crystal.atomic_numbers[atom]].sum()
                squared = _squared(displacement)
                misfit = strain + squared.mean()
                if total == 0 and misfit < _EXACT:
                    return found
                if squared.max() < near:
                    if total == 0 and self._has_only_symmetry(tolerance):
                        return found
                    return self._best_equivalent(found, crystal.atomic_numbers, cost)
                rank = total, misfit
                if rank < best_rank:
                    best, best_rank = found, rank
        if not len(bases):
            return (
                f"has another lattice than the parent: after scaling to its volume, lengths differ "
                f"by more than {MAX_STRAIN:.0%}, or angles by more than about 6°"
            )
        if best is None:
            return (
                "has atoms that are on no site of the parent: some are farther than "
                f"{self.max_displacement:.2f} Å from all of them, or two are on the same"
            )
        return best

    @cached_property
    def operations(self) -> Operations:
        """All operations that put every site near a site."""
        bases = equal_bases(self.lattice, self.lattice)  # the first one is the identity
        translations = [np.array(values) for values in zip(*self._assignments(self.sites))]
        of_bases = [translations, *(self._with_basis(basis, *translations) for basis in bases[1:])]
        basis = np.repeat(bases, [len(site) for site, _ in of_bases], axis=0)
        site, displacement = map(np.concatenate, zip(*of_bases))
        distance = np.sqrt(_squared(displacement).max(axis=-1))
        turn = np.linalg.inv(self.lattice) @ np.linalg.inv(basis) @ self.lattice
        vectors = basis @ self.lattice
        stretch = stretches(self.lattice, vectors @ np.swapaxes(vectors, 1, 2))
        return Operations(basis, site, displacement, distance, turn, stretch)

    def _with_basis(self, basis, translated, displacement):
        """Return sites and displacements of the operations that change the basis.

        They are products of one of them, if it is accurate, with the translations.
        """
        n = len(self.sites)
        found = self._assignments(self.sites @ np.linalg.inv(basis))
        first = next(found, None)
        if first is None:
            return np.empty((0, n), dtype=int), np.empty((0, n, 3))
        if _squared(first[1]).max() > (_NEAR * self.max_displacement) ** 2:
            sites, displacements = zip(first, *found)
            return np.array(sites), np.array(displacements)
        displacement = first[1][translated] + displacement
        fits = _squared(displacement).max(axis=-1) <= self.max_displacement**2
        return first[0][translated[fits]], displacement[fits]

    def permutations(self, labels: np.ndarray, tolerance: Tolerance) -> np.ndarray:
        """Return how the symmetry operations permute the sites, as `site_permutations` does.

        Parameters
        ----------
        labels : ndarray of int, shape (N,)
            Only sites with the same label can be equivalent.
        tolerance : Tolerance

        Returns
        -------
        permutations : ndarray of int, shape (G, N)
        """
        operations = self.operations
        allowed = (labels[operations.site] == labels).all(axis=1)
        return generated_group(operations.site[allowed], operations.misfit(tolerance)[allowed])

    def _has_only_symmetry(self, tolerance):
        return (self.operations.misfit(tolerance) <= 1).all()

    def _best_equivalent(self, found, numbers, cost):
        """Return the best of the assignments that differ from one by an operation."""
        operations = self.operations
        totals = cost[np.arange(len(self.sites)), numbers[found.atom][operations.site]].sum(axis=1)
        totals = totals.round(9)
        for total in np.unique(totals):
            chosen = np.flatnonzero(totals == total)
            site, basis = operations.site[chosen], operations.basis[chosen]
            displacement = found.displacement[site] @ operations.turn[chosen]
            displacement += operations.displacement[chosen]
            squared = _squared(displacement)
            metric = basis @ found.metric @ np.swapaxes(basis, 1, 2)
            misfit = self._strain(metric) + squared.mean(axis=-1)
            misfit[squared.max(axis=-1) > self.max_displacement**2] = np.inf
            # Equivalent assignments differ by rounding only.
            best = misfit.round(6).argmin()
            if misfit[best] < np.inf:
                return Assignment(found.atom[site[best]], displacement[best], metric[best])
        return found

    def _strain(self, metric):
        """Return the squared strain of lattices, times that of the largest displacement (Å²)."""
        inverse = np.linalg.inv(self.lattice)
        strain = (inverse @ metric @ inverse.T - np.eye(3)) / 2
        return 3 * (strain**2).sum(axis=(-2, -1)) * self.max_displacement**2

    def _assignments(self, atoms: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the atoms on the sites, and their displacements, for all translations that fit."""
        # The first atom is on one of the sites; it may be displaced itself.
        shifts = self.sites - atoms[0]
        _, distance = self._nearest(atoms[:_N_FIRST] + shifts[:, None])
        shifts = shifts[(distance < 2 * self.max_displacement).all(axis=1)]
        n_together = max(1, _N_POINTS // len(atoms))
        for start in range(0, len(shifts), n_together):
            points = atoms + shifts[start : start + n_together, None]
            for site, displacement in self._matches(points):
                atom = np.argsort(site)
                yield atom, displacement[atom]

    def _matches(self, points):
        """Yield sites and displacements of the sets of points (n, N, 3) that fit all sites."""
        n = len(self.sites)
        for _ in range(1 + _N_REFINEMENTS):
            nearest, _ = self._nearest(points)
            site = nearest % n
            vectors = (points - np.floor(points) - self._images[nearest]) @ self.lattice
            displacement = vectors - vectors.sum(axis=1, keepdims=True) / n
            fits = (np.sort(site, axis=1) == np.arange(n)).all(axis=1)
            fits &= _squared(displacement).max(axis=-1) <= self.max_displacement**2
            yield from zip(site[fits], displacement[fits])
            # The atom that was put onto a site may be the only one that is displaced.
            shift = np.median(vectors[~fits], axis=1, keepdims=True)
            moves = (np.abs(shift) > _ROUNDING).any(axis=(1, 2))
            points = points[~fits][moves] - shift[moves] @ np.linalg.inv(self.lattice)
            if not len(points):
                break

    @cached_property
    def _images(self):
        """The sites in the cell and around it; sites i, i + N, i + 2 N ... are images of site i."""
        steps = np.array(list(product((0, -1, 1), repeat=3)))
        return (self.sites - np.floor(self.sites) + steps[:, None]).reshape(-1, 3)

    @cached_property
    def _tree(self):
        return cKDTree(self._images @ self.lattice)

    def _nearest(self, points):
        """Return the nearest of the images of sites to points (..., 3), and its distance."""
        inside = points - np.floor(points)
        distance, nearest = self._tree.query(inside @ self.lattice)
        return nearest, distance

    def with_elements(self, atomic_numbers: np.ndarray) -> CrystalArrays:
        """Return the parent with these elements on its sites."""
        crystal = self.crystal
        return CrystalArrays(atomic_numbers, crystal.positions, crystal.lattice, crystal.pbc)

    def moved(
        self, displacement: np.ndarray, metric: np.ndarray, volume: float | None
    ) -> ParentCrystal:
        """Return the parent with displaced sites (Å) in another lattice, given by its metric.

        It is scaled to `volume` (Å³), if given.
        """
        lattice = np.linalg.cholesky(metric)
        if volume is not None:
            lattice *= (volume / abs(np.linalg.det(lattice))) ** (1 / 3)
        sites = self.sites + displacement @ np.linalg.inv(self.lattice)
        pbc = self.crystal.pbc.copy()
        if not pbc.all():  # the vector across a slab is the longest one
            pbc = np.arange(3) != np.linalg.norm(self.lattice, axis=1).argmax()
        return ParentCrystal(
            CrystalArrays(self.crystal.atomic_numbers, sites @ lattice, lattice, pbc)
        )

    def supercells_like(self, crystal: CrystalArrays) -> Iterator[ParentCrystal]:
        """Yield supercells with as many sites as a crystal has atoms, the most similar first.

        Their lattices are similar to that of the crystal.
        """
        n_cells, rest = divmod(len(crystal.atomic_numbers), len(self.sites))
        if rest or not n_cells or not self.crystal.pbc.all() or not crystal.pbc.all():
            return
        volume = abs(np.linalg.det(self.lattice)) * n_cells
        lattice = reduced_lattice(crystal)
        lattice = lattice * (volume / abs(np.linalg.det(lattice))) ** (1 / 3)
        for matrix in equal_bases(lattice, self.lattice, n_cells):
            yield self._supercell(matrix)

    def _supercell(self, matrix):
        """Return the supercell with lattice vectors ``matrix @ lattice``."""
        reach = np.abs(matrix).sum(axis=0)
        shifts = np.array(list(product(*(range(-n, n + 1) for n in reach))))
        inside = shifts @ np.linalg.inv(matrix) + _ROUNDING
        shifts = shifts[((inside >= 0) & (inside < 1)).all(axis=1)]
        sites = (shifts[:, None] + self.sites).reshape(-1, 3)
        numbers = np.tile(self.crystal.atomic_numbers, len(shifts))
        crystal = CrystalArrays(
            numbers, sites @ self.lattice, matrix @ self.lattice, self.crystal.pbc
        )
        return ParentCrystal(crystal)


def _squared(vectors):
    """Return the squared lengths of vectors (..., 3)."""
    return np.einsum("...i,...i->...", vectors, vectors)
