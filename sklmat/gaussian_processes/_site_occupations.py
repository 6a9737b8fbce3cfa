"""`SiteOccupations`: crystals of one parent as tables of which element is on which site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sklmat.elements import N_ROWS, element_symbols
from sklmat.exceptions import InvalidStructureError
from sklmat.gaussian_processes._parent_crystal import ParentCrystal
from sklmat.gaussian_processes._site_permutations import site_permutations
from sklmat.structures import CrystalArrays


class SiteOccupations(NamedTuple):
    """The parent of the crystals of `fit`, and what may be on its sites.

    Attributes
    ----------
    parent : ParentCrystal
    permutations : ndarray of int, shape (G, S)
        Permutations of the sites by the symmetry of the parent.
    orbits : ndarray of int, shape (S,)
        Number of the orbit of each site under the permutations.
    elements : list of ndarray of int
        Atomic numbers of the elements that were seen on the sites of each orbit, ascending.
    alike : ndarray of bool, shape (S, Z)
        Whether an element was seen on a site, or on one with which it shares elements.
    """

    parent: ParentCrystal
    permutations: np.ndarray
    orbits: np.ndarray
    elements: list[np.ndarray]
    alike: np.ndarray

    @classmethod
    def fit(
        cls,
        crystals: Sequence[CrystalArrays],
        formula: Callable[[int], str],
        parent: CrystalArrays | None,
        symprec: float,
    ) -> tuple[SiteOccupations, np.ndarray]:
        """Find the common parent of crystals.

        Parameters
        ----------
        crystals : sequence of n CrystalArrays
        formula : callable
            Gives the formula of a row, for messages.
        parent : CrystalArrays or None
            Crystal with the sites, or a smaller cell of it. With None, the sites are the means over
            the crystals.
        symprec : float
            Tolerance of the symmetry of the parent (Å).

        Returns
        -------
        occupations : SiteOccupations
        numbers : ndarray of uint8, shape (n, S)
            Atomic numbers on the sites in each crystal.

        Raises
        ------
        InvalidStructureError
            When a crystal does not have this parent.
        ValueError
            When spglib finds no symmetry with this tolerance.
        """
        if (crystals[0] if parent is None else parent).pbc.sum() < 2:
            raise ValueError(
                "the parent must be periodic in two or three directions: spglib finds no symmetry "
                "of wires and molecules"
            )
        if parent is None:
            sites = ParentCrystal(crystals[0], symprec)
        else:
            sites = _parent_or_supercell(ParentCrystal(parent, symprec), crystals[0])
        known = np.zeros((len(sites.sites), N_ROWS), dtype=bool)
        known[np.arange(len(known)), sites.crystal.atomic_numbers] = True
        numbers, mean = _put_onto(sites, crystals, known, formula, given=parent is not None)
        if parent is None:
            # All rows must belong to the mean crystal, onto which `read` puts new ones.
            sites = mean
            numbers, _ = _put_onto(sites, crystals, known, formula, given=False)
        alike = _alike(known)
        labels = np.unique(alike, axis=0, return_inverse=True)[1].ravel()
        permutations = site_permutations(sites.crystal, labels, symprec)
        orbits = np.unique(permutations.min(axis=0), return_inverse=True)[1]
        elements = [np.unique(numbers[:, orbits == k]) for k in range(orbits.max() + 1)]
        return cls(sites, permutations, orbits, elements, alike), numbers

    def codes(self, numbers: np.ndarray) -> np.ndarray:
        """Return the positions in `elements` of atomic numbers on the sites, shape (n, S)."""
        codes = np.empty_like(numbers)
        for orbit, elements in enumerate(self.elements):
            at = self.orbits == orbit
            codes[:, at] = np.searchsorted(elements, numbers[:, at])
        return codes

    def read(self, crystals: Sequence[CrystalArrays], formula: Callable[[int], str]) -> np.ndarray:
        """Return the atomic numbers on the sites in new crystals, shape (n, S).

        Raises
        ------
        InvalidStructureError
            When a crystal does not have this parent, or has an element on a site on which no row
            of `fit` had it, nor on an equivalent one.
        """
        numbers = np.empty((len(crystals), len(self.orbits)), dtype=np.uint8)
        for row, crystal in enumerate(crystals):
            found = self.parent.assign(crystal, self.alike)
            if isinstance(found, str):
                raise _no_parent_error(row, formula, found, given=True)
            numbers[row] = crystal.atomic_numbers[found.atom]
        seen = np.zeros((len(self.orbits), N_ROWS), dtype=bool)
        for orbit, elements in enumerate(self.elements):
            seen[np.ix_(self.orbits == orbit, elements)] = True
        unseen = np.argwhere(~seen[np.arange(len(self.orbits)), numbers])
        if len(unseen):
            row, site = unseen[0].tolist()
            [symbol] = element_symbols([numbers[row, site]])
            symbols = element_symbols(self.elements[self.orbits[site]])
            raise InvalidStructureError(
                row,
                formula(row),
                f"has {symbol} on a site on which the structures of fit have only "
                f"{', '.join(symbols)}; fit on rows that have it there, or leave this row out",
            )
        return numbers


def _parent_or_supercell(parent, crystal):
    """Return the parent, or its supercell with the lattice and the sites of a crystal."""
    if len(parent.sites) == len(crystal.atomic_numbers):
        return parent
    nothing_known = np.zeros((len(crystal.atomic_numbers), N_ROWS), dtype=bool)
    for supercell in parent.supercells_like(crystal):
        if not isinstance(supercell.assign(crystal, nothing_known), str):
            return supercell
    return parent  # `assign` says what is wrong


def _put_onto(sites, crystals, known, formula, given):
    """Return the atomic numbers on the sites, shape (n, S), and the mean of the crystals.

    `known`, shape (S, Z), is updated with the elements that are found on each site.
    """
    numbers = np.empty((len(crystals), len(known)), dtype=np.uint8)
    displacement, metric = np.zeros_like(sites.sites), np.zeros((3, 3))
    alike = _alike(known)
    for row, crystal in enumerate(crystals):
        found = sites.assign(crystal, alike)
        if isinstance(found, str):
            raise _no_parent_error(row, formula, found, given)
        numbers[row] = crystal.atomic_numbers[found.atom]
        displacement += found.displacement
        metric += found.metric
        at = np.arange(len(known)), numbers[row]
        if not known[at].all():
            known[at] = True
            alike = _alike(known)
    return numbers, sites.moved(displacement / len(crystals), metric / len(crystals))


def _alike(known):
    """Return, for each site, the elements on all sites connected to it by common elements."""
    site, element = np.nonzero(known)
    n_sites = len(known)
    shape = (n_sites + known.shape[1],) * 2
    edges = coo_matrix((np.ones(len(site)), (site, n_sites + element)), shape)
    group = connected_components(edges, directed=False)[1]
    return group[:n_sites, None] == group[None, n_sites:]


def _no_parent_error(row, formula, reason, given):
    parent = "the parent" if given else "the parent, which is found from row 0 and the mean of all"
    return InvalidStructureError(
        row,
        formula(row),
        f"{reason}. Orderings need crystals that differ only in which element is on which site "
        f"of {parent}; leave the row out, or use a model of graphs such as CGCNNRegressor",
    )
