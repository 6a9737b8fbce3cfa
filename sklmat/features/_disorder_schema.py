"""`DisorderSchema`: what determines the columns of `DisorderFeaturizer`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, combinations_with_replacement

import numpy as np

from sklmat.elements import element_table
from sklmat.features._sublattices import sublattices_of_numbers


@dataclass(frozen=True)
class DisorderSchema:
    """Schema of the table: fitted attributes and parameters that determine its columns.

    Attributes
    ----------
    elements : list of str
        Symbols seen in `fit`, alphabetically.
    sublattices : list of list of str
        Species of each sublattice.
    names : list of str
        Names of the sublattices, such as "Br/I".
    mixed : list of str
        Names of the sublattices that hold several species in some crystal of `fit`.
    pairs : bool
        Whether there are columns of pairs of species and of species.
    symprec : list of float
    parent_symprec : float or None
    n_shells : int
    voronoi : bool
        As in `DisorderFeaturizer`.
    """

    elements: list[str]
    sublattices: list[list[str]]
    names: list[str]
    mixed: list[str]
    pairs: bool
    symprec: list[float]
    parent_symprec: float | None
    n_shells: int
    voronoi: bool

    @cached_property
    def mixed_sublattices(self) -> list[int]:
        return [self.names.index(name) for name in self.mixed]

    @cached_property
    def species(self) -> list[np.ndarray]:
        """Atomic numbers of each sublattice, ascending."""
        numbers = element_table()["atomic number"]
        return [np.sort(numbers[species].to_numpy()) for species in self.sublattices]

    @cached_property
    def species_pairs(self) -> list[list[tuple[int, int, str]]]:
        """Pairs of species of each sublattice: their indices in `species`, and a name."""
        return [
            [
                (i, j, "-".join(sorted(self.symbols[[numbers[i], numbers[j]]])))
                for i, j in combinations(range(len(numbers)), 2)
            ]
            for numbers in self.species
        ]

    @cached_property
    def sublattice_of_number(self) -> np.ndarray:
        """Index of the sublattice of each atomic number."""
        return sublattices_of_numbers(self.sublattices)

    @cached_property
    def symbols(self) -> np.ndarray:
        """Symbols of the elements by atomic number."""
        return np.array(["", *element_table().index], dtype=object)

    @cached_property
    def element_pairs(self) -> list[tuple[int, str]]:
        """Index, i n + j, and name of each pair i ≤ j of the n elements."""
        pairs = combinations_with_replacement(enumerate(self.elements), 2)
        return [(i * len(self.elements) + j, f"{a}-{b}") for (i, a), (j, b) in pairs]

    @cached_property
    def element_of_number(self) -> np.ndarray:
        """Index in `elements` of each atomic number; -1 for other elements."""
        place = {symbol: k for k, symbol in enumerate(self.elements)}
        return np.array([place.get(symbol, -1) for symbol in self.symbols])

    @cached_property
    def radius_of_number(self) -> np.ndarray:
        """Covalent radius (Å) of each atomic number; beyond curium, that of curium."""
        return np.append(np.nan, element_table()["covalent radius (Å)"].ffill().to_numpy())
