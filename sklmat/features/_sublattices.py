"""`learn_sublattices`, `named_sublattices`: the species that share a sublattice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklmat.elements import element_table
from sklmat.features._chunks import split_into_chunks
from sklmat.features._neighbors import first_coordination, list_neighbors
from sklmat.structures import CrystalArrays

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

#: Elements that are anions in crystals that also contain other elements.
ANIONS = ("N", "O", "F", "P", "S", "Cl", "Se", "Br", "Te", "I")
_ANION_NUMBERS = element_table(ANIONS)["atomic number"].to_numpy()


def is_anion(crystal: np.ndarray, atomic_numbers: np.ndarray) -> np.ndarray:
    """Mask of the anions among the atoms of several crystals; all False in one without cations.

    Parameters
    ----------
    crystal : ndarray of int, shape (N,)
        Crystal of each atom.
    atomic_numbers : ndarray of int, shape (N,)
    """
    anion = np.isin(atomic_numbers, _ANION_NUMBERS)
    has_cations = np.bincount(crystal, ~anion) > 0
    return anion & has_cations[crystal]


def learn_sublattices(crystals: list[CrystalArrays]) -> list[list[str]]:
    """Group the species into sublattices: anions, and cations by their number of anions."""
    coordination = _anion_coordination(crystals)
    symbols = element_table().index
    sublattices: dict[int | str, list[str]] = {}
    for number in np.unique(np.concatenate([crystal.atomic_numbers for crystal in crystals])):
        if number in coordination:
            key: int | str = int(np.searchsorted([4.5, 6.5], np.median(coordination[number])))
        else:
            key = "anion" if coordination and number in _ANION_NUMBERS else "other"
        sublattices.setdefault(key, []).append(symbols[number - 1])
    return sorted(sorted(sublattice) for sublattice in sublattices.values())


def _anion_coordination(crystals):
    """Number of anion neighbours of each cation: atomic number -> array over all its atoms."""
    numbers, counts = [], []
    sizes = [len(crystal.atomic_numbers) for crystal in crystals]
    for rows in split_into_chunks(sizes):
        neighbors = list_neighbors(crystals[rows])
        of_chunk = np.concatenate([crystal.atomic_numbers for crystal in crystals[rows]])
        anion = is_anion(neighbors.crystal, of_chunk)
        has_anions = np.bincount(neighbors.crystal, anion) > 0
        bonded = first_coordination(neighbors, anion[neighbors.other])
        is_cation = has_anions[neighbors.crystal] & ~anion
        n_bonds = np.bincount(neighbors.center[bonded], minlength=len(anion))
        numbers.append(of_chunk[is_cation])
        counts.append(n_bonds[is_cation])
    numbers, counts = np.concatenate(numbers), np.concatenate(counts)
    return {number: counts[numbers == number] for number in np.unique(numbers)}


def named_sublattices(
    sublattices: Sequence[Sequence[str]], elements: Sequence[str]
) -> list[list[str]]:
    """Check the parameter `sublattices`, and add one sublattice for each other element."""
    symbols = element_table().index
    is_sequence = isinstance(sublattices, list | tuple) and all(
        isinstance(group, list | tuple) for group in sublattices
    )
    named = [symbol for sublattice in sublattices for symbol in sublattice] if is_sequence else []
    unknown = [symbol for symbol in named if symbol not in symbols]
    if not is_sequence or unknown or len(set(named)) < len(named):
        raise ValueError(
            "sublattices must be groups of element symbols, each symbol in one group, such as "
            f"(('Br', 'I'),); got {sublattices!r}"
        )
    present = [sorted(set(sublattice) & set(elements)) for sublattice in sublattices]
    alone = [[symbol] for symbol in elements if symbol not in named]
    return sorted([sublattice for sublattice in present if sublattice] + alone)


def mixed_sublattices(
    sublattices: Sequence[Sequence[str]], names: Sequence[str], structures: Iterable[IStructure]
) -> list[str]:
    """Names of the sublattices that hold several species in some structure."""
    species_of_rows = [set(structure.symbol_set) for structure in structures]
    return [
        name
        for name, species in zip(names, sublattices)
        if any(len(present.intersection(species)) > 1 for present in species_of_rows)
    ]


def sublattice_names(sublattices: Sequence[Sequence[str]], *, by_species: bool) -> list[str]:
    """Names of the sublattices: their species, such as "Br/I", or what these are, with a number."""
    if by_species:
        return ["/".join(species) for species in sublattices]
    kinds = ["anions" if set(species) <= set(ANIONS) else "cations" for species in sublattices]
    if "anions" not in kinds or "cations" not in kinds:
        kinds = ["atoms"] * len(kinds)
    return [
        kind if kinds.count(kind) == 1 else f"{kind} {1 + kinds[:place].count(kind)}"
        for place, kind in enumerate(kinds)
    ]


def sublattices_of_numbers(sublattices: Sequence[Sequence[str]]) -> np.ndarray:
    """Index of the sublattice of each atomic number, shape (119,).

    An element of no sublattice, which no row of `fit` has, is an anion like the others if it is in
    the list of anions. Otherwise it shares the only sublattice, or has one of its own, whose
    index is the number of sublattices.
    """
    numbers = element_table()["atomic number"]
    found = np.full(119, 0 if len(sublattices) == 1 else len(sublattices), dtype=np.intp)
    for k, species in enumerate(sublattices):
        if len(sublattices) > 1 and set(species) <= set(ANIONS):
            found[_ANION_NUMBERS] = k
    for k, species in enumerate(sublattices):
        found[numbers[list(species)]] = k
    return found
