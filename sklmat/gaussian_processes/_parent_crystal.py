"""`ParentCrystal`: the sites that many crystals share, and which atom of a crystal is on which."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from sklmat.features import lattice_of_symmetry
from sklmat.structures import CrystalArrays

#: Largest relative difference of the lengths of lattice vectors, and difference of the cosines of
#: their angles, after the crystal was scaled to the volume of the parent.
MAX_STRAIN = 0.1
#: Largest displacement from a site, as a part of the smallest distance between two sites.
MAX_DISPLACEMENT = 1 / 3
#: Part of the largest accepted displacement below which a displacement is small.
_NEAR = 0.5
#: Misfit (Å²) below which no better assignment is looked for.
_EXACT = 1e-8
#: Atoms whose sites are tried before those of all atoms.
_N_FIRST = 6
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


class ParentCrystal:
    """Lattice and sites that crystals share, whatever the elements on the sites.

    Parameters
    ----------
    crystal : CrystalArrays
        Its elements are not used.
    symprec : float
        Tolerance within which its symmetry operations are operations (Å).

    Attributes
    ----------
    crystal : CrystalArrays
    symprec : float
    max_displacement : float
        Largest accepted displacement of an atom from its site (Å).
    """

    def __init__(self, crystal: CrystalArrays, symprec: float):
        self.crystal = crystal
        self.symprec = symprec
        self.lattice = _reduced_lattice(crystal)
        self.sites = crystal.positions @ np.linalg.inv(self.lattice)
        self.max_displacement = MAX_DISPLACEMENT * _smallest_distance(self.sites, self.lattice)

    def assign(self, crystal: CrystalArrays, known: np.ndarray) -> Assignment | str:
        """Find which atom of a crystal is on which site, up to a symmetry of the sites.

        Any orientation, origin, order of atoms and choice of lattice vectors of the crystal is
        recognised, and its mirror image. Volumes may differ.

        Parameters
        ----------
        crystal : CrystalArrays
        known : ndarray of bool, shape (N, Z)
            Whether an element has been seen on a site, by atomic number. Of several assignments,
            the one with the most atoms on such sites is chosen, then the one with the smallest
            strain and displacements: a parent can nearly have symmetry operations that it does not
            have.

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
        lattice = _reduced_lattice(crystal)
        fractional = crystal.positions @ np.linalg.inv(lattice)
        scale = abs(np.linalg.det(self.lattice) / np.linalg.det(lattice)) ** (1 / 3)
        best: Assignment | None = None
        best_rank = np.inf, np.inf
        bases = _equal_bases(self.lattice, scale * lattice)
        near = (_NEAR * self.max_displacement) ** 2
        for basis in bases:
            vectors = scale * basis @ lattice
            metric = vectors @ vectors.T
            strain = self._strain(metric)
            atoms = fractional @ np.linalg.inv(basis)
            for atom, displacement in self._assignments(atoms):
                n_known = known[np.arange(n_sites), crystal.atomic_numbers[atom]].sum()
                misfit = strain + (displacement**2).sum(axis=1).mean()
                # Equivalent assignments differ by rounding only.
                rank = -n_known, misfit.round(6)
                if rank < best_rank:
                    best, best_rank = Assignment(atom, displacement, metric), rank
                if n_known == n_sites and (
                    misfit < _EXACT
                    or (self.has_only_symmetry and (displacement**2).sum(axis=1).max() < near)
                ):
                    return Assignment(atom, displacement, metric)
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
    def has_only_symmetry(self) -> bool:
        """Whether all assignments of the parent to itself are symmetry operations.

        Then all assignments of a crystal with small displacements are equivalent.
        """
        for basis in _equal_bases(self.lattice, self.lattice):
            vectors = basis @ self.lattice
            changes = np.linalg.norm(vectors, axis=1) - np.linalg.norm(self.lattice, axis=1)
            if np.abs(changes).max() > self.symprec:
                return False
            for _, displacement in self._assignments(self.sites @ np.linalg.inv(basis)):
                if (displacement**2).sum(axis=1).max() > self.symprec**2:
                    return False
        return True

    def _strain(self, metric):
        """Return the squared strain of a lattice, times that of the largest displacement (Å²)."""
        inverse = np.linalg.inv(self.lattice)
        strain = (inverse @ metric @ inverse.T - np.eye(3)) / 2
        return 3 * (strain**2).sum() * self.max_displacement**2

    def _assignments(self, atoms: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the atoms on the sites, and their displacements, for all translations that fit."""
        n = len(self.sites)
        # The first atom is on one of the sites; it may be displaced itself.
        shifts = self.sites - atoms[0]
        first = atoms[: min(_N_FIRST, n)]
        near = self._nearest(first[None] + shifts[:, None])[1] < 2 * self.max_displacement
        for shift in shifts[near.all(axis=1)]:
            site, distance, difference = self._nearest(atoms + shift, with_difference=True)
            if (distance > 2 * self.max_displacement).any() or len(np.unique(site)) < n:
                continue
            displacement = difference - difference.mean(axis=0)
            if (displacement**2).sum(axis=1).max() > self.max_displacement**2:
                continue
            atom = np.argsort(site)
            yield atom, displacement[atom]

    def _nearest(self, points, with_difference=False):
        """Return the nearest site of each point (..., 3), its distance, and the vector to it."""
        difference = points[..., None, :] - self.sites
        difference -= np.round(difference)
        vectors = difference @ self.lattice
        squared = (vectors**2).sum(axis=-1)
        site = squared.argmin(axis=-1)
        distance = np.sqrt(np.take_along_axis(squared, site[..., None], -1)[..., 0])
        if not with_difference:
            return site, distance
        return site, distance, np.take_along_axis(vectors, site[..., None, None], -2)[..., 0, :]

    def with_elements(self, atomic_numbers: np.ndarray) -> CrystalArrays:
        """Return the parent with these elements on its sites."""
        crystal = self.crystal
        return CrystalArrays(atomic_numbers, crystal.positions, crystal.lattice, crystal.pbc)

    def moved(self, displacement: np.ndarray, metric: np.ndarray) -> ParentCrystal:
        """Return the parent with displaced sites (Å) in another lattice, given by its metric."""
        lattice = np.linalg.cholesky(metric)
        sites = self.sites + displacement @ np.linalg.inv(self.lattice)
        pbc = self.crystal.pbc.copy()
        if not pbc.all():  # the vector across a slab is the longest one
            pbc = np.arange(3) != np.linalg.norm(self.lattice, axis=1).argmax()
        crystal = CrystalArrays(self.crystal.atomic_numbers, sites @ lattice, lattice, pbc)
        return ParentCrystal(crystal, self.symprec)

    def supercells_like(self, crystal: CrystalArrays) -> Iterator[ParentCrystal]:
        """Yield supercells with as many sites as a crystal has atoms, the most similar first.

        Their lattices are similar to that of the crystal.
        """
        n_cells, rest = divmod(len(crystal.atomic_numbers), len(self.sites))
        if rest or not n_cells or not self.crystal.pbc.all() or not crystal.pbc.all():
            return
        volume = abs(np.linalg.det(self.lattice)) * n_cells
        lattice = _reduced_lattice(crystal)
        lattice = lattice * (volume / abs(np.linalg.det(lattice))) ** (1 / 3)
        for matrix in _equal_bases(lattice, self.lattice, n_cells):
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
        return ParentCrystal(crystal, self.symprec)


def _reduced_lattice(crystal):
    """Return the lattice with short vectors, in which the nearest image is found by rounding."""
    lattice = lattice_of_symmetry(crystal.positions, crystal.lattice, crystal.pbc)
    return np.array(_shortest_vectors(lattice.tobytes()))


@lru_cache(maxsize=64)
def _shortest_vectors(lattice):
    from pymatgen.core import Lattice

    return Lattice(np.frombuffer(lattice).reshape(3, 3)).get_lll_reduced_lattice().matrix


def _smallest_distance(sites, lattice):
    """Return the smallest distance between two sites or a site and its image (Å)."""
    difference = sites[:, None] - sites
    difference -= np.round(difference)
    images = np.array(list(product((-1, 0, 1), repeat=3))) @ lattice
    squared = np.full((len(sites),) * 2, np.inf)
    for image in images:
        vectors = difference @ lattice + image
        of_image = (vectors**2).sum(axis=-1)
        squared = np.minimum(squared, np.where(of_image > _ROUNDING, of_image, np.inf))
    return float(np.sqrt(squared.min()))


def _equal_bases(reference: np.ndarray, lattice: np.ndarray, n_cells: int = 1) -> np.ndarray:
    """Return the bases of a lattice, or of its superlattices, that are like a reference lattice.

    Lengths and angles are similar; the most similar ones come first.

    Parameters
    ----------
    reference, lattice : ndarray of shape (3, 3)
    n_cells : int, default=1
        Volume of `reference`, divided by that of `lattice`.

    Returns
    -------
    bases : ndarray of int, shape (n, 3, 3)
        Integer coefficients: the vectors are ``basis @ lattice``. The determinants are `n_cells` or
        its negative.
    """
    return _equal_bases_of(reference.tobytes(), lattice.tobytes(), n_cells)


@lru_cache(maxsize=64)
def _equal_bases_of(reference, lattice, n_cells):
    """Compute `_equal_bases` of two lattices given as bytes: many crystals have the same one."""
    reference = np.frombuffer(reference).reshape(3, 3)
    lattice = np.frombuffer(lattice).reshape(3, 3)
    lengths = np.linalg.norm(reference, axis=1)
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    largest = np.floor(lengths.max() * (1 + MAX_STRAIN) / heights).astype(int)
    steps = np.array(list(product(*(range(-n, n + 1) for n in largest))))
    vectors = steps @ lattice
    sizes = np.linalg.norm(vectors, axis=1)
    choices = [np.flatnonzero(np.abs(sizes / length - 1) < MAX_STRAIN) for length in lengths]
    directions = vectors / np.maximum(sizes, _ROUNDING)[:, None]
    cosines = (reference / lengths[:, None]) @ (reference / lengths[:, None]).T
    a, b = np.meshgrid(*choices[:2], indexing="ij")
    a, b = a.ravel(), b.ravel()
    fits = np.abs(np.einsum("if,if->i", directions[a], directions[b]) - cosines[0, 1]) < MAX_STRAIN
    a, b = a[fits], b[fits]
    c = choices[2]
    fits = np.abs(directions[a] @ directions[c].T - cosines[0, 2]) < MAX_STRAIN
    fits &= np.abs(directions[b] @ directions[c].T - cosines[1, 2]) < MAX_STRAIN
    pair, third = np.nonzero(fits)
    bases = steps[np.column_stack([a[pair], b[pair], c[third]])]
    bases = bases[np.abs(np.rint(np.linalg.det(bases)).astype(int)) == n_cells]
    metrics = np.einsum("kij,jl->kil", bases, lattice)
    metrics = metrics @ np.swapaxes(metrics, 1, 2)
    difference = ((metrics - reference @ reference.T) ** 2).sum(axis=(1, 2))
    is_unchanged = (bases == np.eye(3, dtype=int)).all(axis=(1, 2))
    return bases[np.lexsort([~is_unchanged, difference.round(6)])]
