"""`enumerate_orderings`: all distinct ways to put elements on the sites of a crystal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, combinations
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.elements import element_table
from sklmat.gaussian_processes._site_permutations import orbits, site_permutations
from sklmat.structures import check_structures, crystal_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from pymatgen.core import Structure
    from pymatgen.core.structure import IStructure

#: Sites, named by an element of the parent or by their numbers, and what may stand on them: a list
#: of elements, or the number of atoms of each.
Species: TypeAlias = Mapping[str | int | tuple[int, ...], Sequence[str] | Mapping[str, int]]


@dataclass(frozen=True, eq=False, repr=False)
class Orderings(Sequence["Structure"]):
    """Result of `enumerate_orderings`: a sequence of structures, each made on access.

    Attributes
    ----------
    parent : Structure
        The crystal whose sites are occupied.
    sites : ndarray of int, shape (n_sites,)
        The sites of the parent that are occupied in different ways: those of the first key of
        `species` in ascending order, then those of the next key.
    elements : tuple of str
        The elements that stand on these sites.
    occupations : ndarray of uint8, shape (n_orderings, n_sites)
        Which element stands on each site, as a position in `elements`.
    multiplicities : ndarray of int, shape (n_orderings,)
        Number of assignments that are equivalent to each ordering, itself included. They sum to the
        number of all assignments.
    """

    parent: Structure
    sites: np.ndarray
    elements: tuple[str, ...]
    occupations: np.ndarray
    multiplicities: np.ndarray

    def __len__(self) -> int:
        return len(self.occupations)

    @overload
    def __getitem__(self, index: int) -> Structure: ...
    @overload
    def __getitem__(self, index: slice) -> list[Structure]: ...
    def __getitem__(self, index: int | slice) -> Structure | list[Structure]:
        if isinstance(index, slice):
            return [self._structure(row) for row in self.occupations[index]]
        return self._structure(self.occupations[index])

    def _structure(self, occupation):
        from pymatgen.core import Structure

        species = list(self.parent.species)
        for site, number in zip(self.sites.tolist(), occupation.tolist()):
            species[site] = self.elements[number]
        return Structure(self.parent.lattice, species, self.parent.frac_coords)

    def __repr__(self) -> str:
        return (
            f"<{len(self)} orderings of {', '.join(self.elements)} on {len(self.sites)} sites of "
            f"{self.parent.formula}, from {self.multiplicities.sum()} assignments>"
        )


class _Choice(NamedTuple):
    """What one key of `species` says.

    Attributes
    ----------
    sites : ndarray of int, shape (n_sites,)
    elements : list of str
    counts : list of int or None
        Number of atoms of each element; None if each site may hold any of them.
    """

    sites: np.ndarray
    elements: list[str]
    counts: list[int] | None

    @property
    def n_assignments(self):
        if self.counts is None:
            return len(self.elements) ** len(self.sites)
        return math.factorial(len(self.sites)) // math.prod(map(math.factorial, self.counts))

    def assignments(self):
        """Positions in `elements` for each site, shape (n_assignments, n_sites), sorted."""
        n_sites = len(self.sites)
        if self.counts is None:
            shape = (len(self.elements),) * n_sites
            return _digits(np.arange(self.n_assignments), shape)
        empty = len(self.counts) - 1  # what is still empty in the end gets the last element
        rows = np.full((1, n_sites), empty, dtype=np.uint8)
        for number, count in enumerate(self.counts[:-1]):
            chosen = _combinations(int((rows[0] == empty).sum()), count)
            filled = np.tile(np.where(chosen, np.uint8(number), np.uint8(empty)), (len(rows), 1))
            rows = np.repeat(rows, len(filled) // len(rows), axis=0)
            rows[rows == empty] = filled.ravel()
        return rows[rows.view(f"S{n_sites}")[:, 0].argsort(kind="stable")]


@checked_arguments(symprec=None)
def enumerate_orderings(
    parent: IStructure | Atoms | dict[str, Any] | str | Path,
    species: Species,
    *,
    symprec: float = 0.01,
    max_assignments: int = 10_000_000,
) -> Orderings:
    """Find all symmetrically distinct ways to put elements on the sites of a crystal.

    Parameters
    ----------
    parent : crystal
        Anything that `check_structures` takes as one crystal: a pymatgen ``Structure``, ASE
        ``Atoms``, a dict, a path or the text of a file. It may be a supercell.
    species : dict
        Which sites to occupy, and with what. A key is the symbol of an element, for all sites
        where it stands in `parent`, or a site number or tuple of site numbers, from zero. A value
        is a list of elements, each of which may stand on any of these sites in any number, or a
        dict with the number of atoms of each element, which sum to the number of sites. All other
        sites keep what stands there.
    symprec : float, default=0.01
        Tolerance of the symmetry of `parent` (Å). Choose a larger one if the atoms of `parent` are
        displaced a little, as after a relaxation; otherwise equivalent orderings are listed twice.
    max_assignments : int, default=10_000_000
        Raise an error, before memory is taken, if there are more assignments, equivalent ones
        counted. Each takes about 50 bytes, and four more for each site.

    Returns
    -------
    orderings : Orderings
        A sequence of structures, ``len(orderings)`` in number, each made on access. Its arrays
        ``occupations`` and ``multiplicities`` have one row for each. Of equivalent assignments it
        holds the first one in the order of the lists of elements.

    Raises
    ------
    InvalidStructureError
        When `parent` is not a valid crystal.
    TypeError
        When `species` or one of its keys or values has a wrong type.
    ValueError
        When a key names an element that `parent` lacks, a site that does not exist, or a site that
        another key names; when an element is unknown or named twice; when numbers of atoms do not
        sum to the number of sites; when there are more than `max_assignments` assignments; when
        `parent` is a wire or a molecule; when `symprec` is not positive, or so large that spglib
        fails.

    Notes
    -----
    Two assignments are equivalent if a symmetry operation of the empty parent maps one onto the
    other: rotations, reflections and translations that map the cell onto itself. For this, sites on
    which the same list of elements may stand are alike, whatever element stands there in `parent`.
    Sites of keys with different lists, or with numbers of atoms, are never equivalent to each
    other, and the remaining sites differ by their elements. Mirror images are equivalent.

    Results do not contain the vectors of other supercells. Enumerate each supercell by itself,
    following [1]_ for how to choose them.

    The structures have the lattice and coordinates of `parent`, but not its charge and site
    properties, such as magnetic moments.

    References
    ----------
    .. [1] G. L. W. Hart, R. W. Forcade, Algorithm for generating derivative structures,
       Phys. Rev. B 77 (2008) 224115. https://doi.org/10.1103/PhysRevB.77.224115

    Examples
    --------
    Cu and Au on the four sites of the cubic fcc cell, in any numbers:

    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import enumerate_orderings
    >>> sites = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    >>> fcc = Structure(Lattice.cubic(3.8), ["Cu"] * 4, sites)
    >>> orderings = enumerate_orderings(fcc, {"Cu": ["Cu", "Au"]})
    >>> [structure.formula for structure in orderings]
    ['Cu4', 'Cu3 Au1', 'Cu2 Au2', 'Cu1 Au3', 'Au4']
    >>> orderings.multiplicities
    array([1, 4, 6, 4, 1])

    Two bromines and one chlorine in a perovskite, with Sn or Ge:

    >>> corner, center, faces = [0, 0, 0], [0.5] * 3, [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    >>> species = ["Cs", "Sn", "I", "I", "I"]
    >>> perovskite = Structure(Lattice.cubic(6.2), species, [corner, center, *faces])
    >>> mixed = enumerate_orderings(perovskite, {"Sn": ["Sn", "Ge"], "I": {"Br": 2, "Cl": 1}})
    >>> [structure.formula for structure in mixed]
    ['Cs1 Sn1 Br2 Cl1', 'Cs1 Ge1 Br2 Cl1']
    >>> mixed.multiplicities
    array([3, 3])
    """
    if not (isinstance(symprec, Real) and 0 < symprec < math.inf):  # spglib would crash
        raise ValueError(f"symprec must be a positive number (Å), got {symprec!r}")
    [structure] = check_structures([parent])
    [crystal] = crystal_arrays([structure])
    choices = _read_species(species, structure, crystal.atomic_numbers)
    shape = [choice.n_assignments for choice in choices]
    sites = np.concatenate([choice.sites for choice in choices])
    if math.prod(shape) > max_assignments:
        raise ValueError(
            f"there are {Decimal(math.prod(shape)):.2e} assignments of species to {len(sites)} "
            f"sites, more than max_assignments={max_assignments}: give numbers of atoms instead of "
            "lists of elements, fewer elements, or a smaller cell, or raise max_assignments"
        )
    elements = tuple(dict.fromkeys(symbol for choice in choices for symbol in choice.elements))
    which = _digits(np.arange(math.prod(shape)), shape, dtype=np.intp)
    columns = []
    for choice, rows in zip(choices, which.T):
        numbers = np.array([elements.index(symbol) for symbol in choice.elements], dtype=np.uint8)
        columns.append(numbers[choice.assignments()][rows])
    occupations = np.concatenate(columns, axis=1)

    labels = _labels(choices, crystal.atomic_numbers)
    position = np.full(len(labels), -1)
    position[sites] = np.arange(len(sites))
    permutations = position[site_permutations(crystal, labels, symprec)[:, sites]]
    first, sizes = orbits(occupations, np.unique(permutations, axis=0))
    return Orderings(structure, sites, elements, occupations[first], sizes)


def _labels(choices, atomic_numbers):
    """Number each site so that sites which may be equivalent have the same number."""
    labels = atomic_numbers.astype(np.intp)
    same = {}
    for number, choice in enumerate(choices, start=1000):  # larger than any atomic number
        what = frozenset(choice.elements) if choice.counts is None else number
        labels[choice.sites] = same.setdefault(what, number)
    return labels


def _digits(numbers, shape, dtype=np.uint8):
    """Return the digits of numbers in a mixed base, shape (len(numbers), len(shape))."""
    digits = np.empty((len(numbers), len(shape)), dtype=dtype)
    for place in range(len(shape) - 1, -1, -1):
        numbers, digits[:, place] = np.divmod(numbers, shape[place])
    return digits


def _combinations(n, k):
    """Return masks of the choices of `k` out of `n`, shape (n over k, n)."""
    fewer = min(k, n - k)
    shape = math.comb(n, k), fewer
    numbers = chain.from_iterable(combinations(range(n), fewer))
    numbers = np.fromiter(numbers, dtype=np.uint16, count=math.prod(shape)).reshape(shape)
    masks = np.zeros((len(numbers), n), dtype=bool)
    for column in numbers.T:
        masks[np.arange(len(masks)), column] = True
    return masks if fewer == k else ~masks


def _read_species(species, structure, atomic_numbers):
    """Return a `_Choice` for each key of `species`."""
    if not isinstance(species, Mapping) or not species:
        raise TypeError(
            "species must be a dict from sites to elements, such as {'Sn': ['Sn', 'Ge']}, got "
            f"{species!r}"
        )
    choices = []
    named_by = {}
    for key, value in species.items():
        sites = _read_sites(key, structure, atomic_numbers)
        for site in sites:
            if site in named_by:
                raise ValueError(
                    f"site {site} is named by the keys {named_by[site]!r} and {key!r} of species; "
                    "name each site once"
                )
            named_by[site] = key
        choices.append(_Choice(np.array(sites), *_read_elements(key, value, len(sites))))
    return choices


def _read_sites(key, structure, atomic_numbers):
    """Return the numbers of the sites that a key of `species` names, ascending."""
    if isinstance(key, str):
        [number] = element_table([key])["atomic number"]
        sites = np.flatnonzero(atomic_numbers == number).tolist()
        if not sites:
            raise ValueError(
                f"species names the sites of {key}, but the parent is {structure.formula}"
            )
        return sites
    sites = list(key) if isinstance(key, tuple) else [key]
    if not sites or not all(isinstance(i, Integral) and not isinstance(i, bool) for i in sites):
        raise TypeError(
            "a key of species must be the symbol of an element, a site number or a tuple of site "
            f"numbers, got {key!r}"
        )
    if min(sites) < 0 or max(sites) >= len(structure):
        raise ValueError(
            f"species names the sites {key!r}, but the parent has the sites 0 to "
            f"{len(structure) - 1}"
        )
    if len(set(sites)) < len(sites):
        raise ValueError(f"the key {key!r} of species names a site twice")
    return sorted(map(int, sites))


def _read_elements(key, value, n_sites):
    """Return the elements and their counts (None if they are free) of a value of `species`."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence) or not len(value):
        raise TypeError(
            f"species[{key!r}] must be a list of elements or a dict of element to number of "
            f"atoms, got {value!r}"
        )
    elements = list(element_table(list(value)).index)
    if len(set(elements)) < len(elements):
        raise ValueError(f"species[{key!r}] names an element twice: {value!r}")
    if not isinstance(value, Mapping):
        return elements, None
    counts = list(value.values())
    if not all(isinstance(n, Integral) and not isinstance(n, bool) and n >= 0 for n in counts):
        raise ValueError(
            f"species[{key!r}] must have whole numbers of atoms, zero or more, got {dict(value)}"
        )
    if sum(counts) != n_sites:
        raise ValueError(
            f"species[{key!r}] has {sum(counts)} atoms for {n_sites} sites; the numbers of atoms "
            "must sum to the number of sites"
        )
    return elements, [int(n) for n in counts]
