"""`SiteOccupations`: crystals of one parent as tables of which element is on which site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sklmat.elements import N_ROWS, element_symbols
from sklmat.exceptions import InvalidStructureError
from sklmat.gaussian_processes._parent_crystal import ParentCrystal, Tolerance
from sklmat.gaussian_processes._reading_order import (
    connected_elements,
    cost_of_elements,
    reading_order,
)
from sklmat.gaussian_processes._similar_lattices import stretches
from sklmat.structures import CrystalArrays

#: Tolerance of the symmetry of the mean of crystals: this part of the smallest distance between
#: sites, and this relative change of a length ...
_PART_OF_DISTANCE, _STRETCH = 0.05, 0.01
#: ... or, if it is larger, this times the root-mean-square deviation of the crystals.
_DEVIATIONS = 2.0
#: Crystals that are tried as the first parent if not all fit.
_N_STARTS = 4
#: Largest number of times that the mean is taken, if not all fit.
_N_MEANS = 4


class SiteOccupations(NamedTuple):
    """The parent of the crystals of `fit`, and what may be on its sites.

    Attributes
    ----------
    parent : ParentCrystal
    tolerance : Tolerance
        Of the symmetry of the parent when crystals are put onto it.
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
    tolerance: Tolerance
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
        symprec: float | None,
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
        symprec : float or None
            Tolerance of the symmetry of the parent (Å). None finds one from the crystals.

        Returns
        -------
        occupations : SiteOccupations
        numbers : ndarray of uint8, shape (n, S)
            Atomic numbers on the sites in each crystal.

        Raises
        ------
        InvalidStructureError
            When a crystal does not have this parent, or is a wire or a molecule.
        ValueError
            When a given parent is a wire or a molecule.
        """
        if parent is not None and parent.pbc.sum() < 2:
            raise ValueError("the parent must be periodic in two or three directions")
        for row, crystal in enumerate(crystals):
            if crystal.pbc.sum() < 2:
                raise InvalidStructureError(
                    row,
                    formula(row),
                    "is a wire or a molecule; orderings need crystals that are periodic in two or "
                    "three directions",
                )
        if parent is None:
            start, rows = _first_rows(crystals, symprec)
            order = reading_order(crystals, crystals[start])
            origin = f"the parent, which is found from row {start} and the mean of all"
            for _ in range(_N_MEANS):
                # All rows must belong to the mean crystal, onto which `read` puts new ones.
                rows = _put_onto(rows.mean(crystals), crystals, order, rows.known(), symprec)
                if not rows.reasons:
                    break
            known = rows.known()
        else:
            sites = _parent_or_supercell(ParentCrystal(parent), crystals)
            order = reading_order(crystals, sites.crystal)
            origin = "the parent"
            known = _known(sites)
            rows = _put_onto(sites, crystals, order, known, symprec)
            # Now each row is put with what is known from all of them.
            rows = _put_onto(sites, crystals, order, known | rows.known(), symprec)
            known |= rows.known()
        if rows.reasons:
            row = min(rows.reasons)
            raise _no_parent_error(row, formula, rows.reasons[row], origin)
        sites = rows.sites
        alike = connected_elements(known)
        labels = np.unique(alike, axis=0, return_inverse=True)[1].ravel()
        tolerance = _tolerance(sites, symprec)
        of_mean = tolerance if symprec is not None else _tolerance_of_mean(rows)
        permutations = sites.permutations(labels, of_mean)
        orbits, elements = _numbered_orbits(permutations, rows.numbers)
        return cls(sites, tolerance, permutations, orbits, elements, alike), rows.numbers

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
        cost = cost_of_elements(self.alike)
        for row, crystal in enumerate(crystals):
            found = self.parent.assign(crystal, cost, self.tolerance)
            if isinstance(found, str):
                raise _no_parent_error(row, formula, found, "the parent")
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


class _Rows(NamedTuple):
    """Crystals on the sites of one parent.

    Attributes
    ----------
    sites : ParentCrystal
    numbers : ndarray of uint8, shape (n, S)
        Atomic numbers on the sites.
    displacements : ndarray of shape (n, S, 3)
        Vectors from the sites to the atoms (Å).
    metrics : ndarray of shape (n, 3, 3)
        Products of the lattice vectors (Å²), scaled to the volume of the parent.
    reasons : dict of int to str
        Why rows do not have this parent.
    """

    sites: ParentCrystal
    numbers: np.ndarray
    displacements: np.ndarray
    metrics: np.ndarray
    reasons: dict[int, str]

    @property
    def _fits(self):
        fits = np.ones(len(self.numbers), dtype=bool)
        fits[list(self.reasons)] = False
        return fits

    def known(self):
        """Return which elements are on which site, shape (S, Z)."""
        known = np.zeros((self.numbers.shape[1], N_ROWS), dtype=bool)
        for row in self.numbers[self._fits]:
            known[np.arange(len(known)), row] = True
        return known

    def mean(self, crystals):
        """Return the mean of the crystals that have this parent as a parent."""
        fits = self._fits
        volumes = [abs(np.linalg.det(crystals[row].lattice)) for row in np.flatnonzero(fits)]
        return self.sites.moved(
            self.displacements[fits].mean(axis=0),
            self.metrics[fits].mean(axis=0),
            float(np.mean(volumes)) if self.sites.crystal.pbc.all() else None,
        )


def _first_rows(crystals, symprec):
    """Return the row that is taken for the parent at first, and all crystals put onto it.

    If some of the crystals do not fit, others are tried: the first choice may be the one that
    differs from the others.
    """
    attempts = {}
    start = reading_order(crystals)[0]
    while start not in attempts and len(attempts) < _N_STARTS:
        sites = ParentCrystal(crystals[start])
        order = reading_order(crystals, crystals[start])
        attempts[start] = _put_onto(sites, crystals, order, _known(sites), symprec)
        start = min(attempts[start].reasons, default=start)
    start = min(attempts, key=lambda start: (len(attempts[start].reasons), start))
    return start, attempts[start]


def _put_onto(sites, crystals, order, known, symprec):
    """Put the crystals onto sites one after the other, of which some elements are known."""
    tolerance = _tolerance(sites, symprec)
    known = known.copy()
    cost = cost_of_elements(connected_elements(known))
    shape = len(crystals), len(known)
    numbers = np.empty(shape, dtype=np.uint8)
    displacements, metrics = np.empty((*shape, 3)), np.empty((len(crystals), 3, 3))
    reasons = {}
    for row in order:
        crystal = crystals[row]
        found = sites.assign(crystal, cost, tolerance)
        if isinstance(found, str):
            reasons[row] = found
            continue
        numbers[row] = crystal.atomic_numbers[found.atom]
        displacements[row], metrics[row] = found.displacement, found.metric
        at = np.arange(len(known)), numbers[row]
        if not known[at].all():
            known[at] = True
            cost = cost_of_elements(connected_elements(known))
    return _Rows(sites, numbers, displacements, metrics, reasons)


def _known(sites):
    """Return the elements on the sites of a parent, shape (S, Z)."""
    known = np.zeros((len(sites.sites), N_ROWS), dtype=bool)
    known[np.arange(len(known)), sites.crystal.atomic_numbers] = True
    return known


def _numbered_orbits(permutations, numbers):
    """Return the number of the orbit of each site, and the elements of each orbit.

    They are numbered in the order of their elements and sizes: sites have other numbers if the rows
    or the atoms are in another order.
    """
    first = permutations.min(axis=0)
    found = {site: np.unique(numbers[:, first == site]) for site in np.unique(first)}
    order = sorted(found, key=lambda site: (found[site].tolist(), (first == site).sum()))
    orbits = np.empty(len(first), dtype=int)
    for number, site in enumerate(order):
        orbits[first == site] = number
    return orbits, [found[site] for site in order]


def _tolerance(sites, symprec):
    if symprec is None:
        return Tolerance(_PART_OF_DISTANCE * sites.smallest_distance, _STRETCH)
    return Tolerance(symprec, symprec / np.linalg.norm(sites.lattice, axis=1).max())


def _tolerance_of_mean(rows):
    """Return the tolerance of the symmetry of the mean of crystals.

    Relaxed crystals are displaced by their own ordering, and their mean keeps a part of it.
    """
    sites = rows.sites
    smallest = _tolerance(sites, None)
    of_sites = np.sqrt((rows.displacements**2).sum(axis=2).mean(axis=0)).max()
    stretch = np.sqrt((stretches(sites.lattice, rows.metrics) ** 2).mean())
    return Tolerance(
        min(max(smallest.displacement, _DEVIATIONS * of_sites), sites.max_displacement),
        max(smallest.stretch, _DEVIATIONS * stretch),
    )


def _parent_or_supercell(parent, crystals):
    """Return the parent, or its supercell with the lattice and the sites of a crystal."""
    for row in reading_order(crystals)[:_N_STARTS]:
        crystal = crystals[row]
        if len(parent.sites) == len(crystal.atomic_numbers):
            return parent
        no_cost = np.zeros((len(crystal.atomic_numbers), N_ROWS))
        for supercell in parent.supercells_like(crystal):
            if not isinstance(supercell.assign(crystal, no_cost, _tolerance(supercell, None)), str):
                return supercell
    return parent  # `assign` says what is wrong


def _no_parent_error(row, formula, reason, parent):
    return InvalidStructureError(
        row,
        formula(row),
        f"{reason}. Orderings need crystals that differ only in which element is on which site "
        f"of {parent}; leave the row out, or use a model of graphs such as CGCNNRegressor",
    )
