"""`DisorderedCrystals`: crystals with their parents, bonds and polyhedra."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sklmat.features._disorder_schema import DisorderSchema
from sklmat.features._grouped_statistics import Summary
from sklmat.features._neighbors import NeighborList, first_coordination, list_neighbors
from sklmat.features._parent_lattice import Parents, find_parents
from sklmat.features._polyhedra import Polyhedra, find_octahedra, find_tetrahedra
from sklmat.features._sublattices import is_anion
from sklmat.structures import CrystalArrays


class DisorderedCrystals:
    """C crystals with their parents, bonds and polyhedra, each computed at its first use.

    N is the number of all atoms, P that of all pairs of neighbours.
    """

    def __init__(self, crystals: Sequence[CrystalArrays], schema: DisorderSchema):
        self.crystals = crystals
        self.crystal = np.repeat(
            np.arange(len(crystals)), [len(crystal.atomic_numbers) for crystal in crystals]
        )
        self.atomic_numbers = np.concatenate(
            [crystal.atomic_numbers.astype(np.intp) for crystal in crystals]
        )
        self.lattice = np.stack([crystal.lattice for crystal in crystals])
        self.n_periodic = np.array([int(crystal.pbc.sum()) for crystal in crystals])
        self.sublattice = schema.sublattice_of_number[self.atomic_numbers]
        self.parent_symprec = schema.parent_symprec

    @cached_property
    def bounds(self) -> np.ndarray:
        """Positions between the atoms of one crystal and of the next, shape (C - 1,)."""
        return np.flatnonzero(np.diff(self.crystal)) + 1

    @cached_property
    def parents(self) -> Parents:
        return find_parents(
            self.crystals, np.split(self.sublattice, self.bounds), self.parent_symprec
        )

    @cached_property
    def on_parents(self) -> list[CrystalArrays]:
        """The crystals with their atoms on the ideal sites."""
        parents = zip(self.crystals, self.parents.positions, self.parents.lattice)
        return [
            CrystalArrays(crystal.atomic_numbers, positions, lattice, crystal.pbc)
            for crystal, positions, lattice in parents
        ]

    @cached_property
    def neighbors(self) -> NeighborList:
        """Neighbours on the parent lattices, so that displacements do not change the shells."""
        return list_neighbors(self.on_parents)

    @cached_property
    def vector(self) -> np.ndarray:
        """Vectors from each atom to its neighbours in the crystal, in Å; shape (P, 3)."""
        neighbors, displacement = self.neighbors, self.parents.displacement
        deformation = (np.linalg.inv(self.parents.lattice) @ self.lattice)[self.crystal_of_pair]
        x, y, z = neighbors.vector.T[:, :, None]
        ideal = x * deformation[:, 0] + y * deformation[:, 1] + z * deformation[:, 2]
        return ideal + (displacement[neighbors.other] - displacement[neighbors.center])

    @cached_property
    def distance(self) -> np.ndarray:
        """Lengths of `vector`, shape (P,)."""
        return np.linalg.norm(self.vector, axis=1)

    @property
    def crystal_of_pair(self) -> np.ndarray:
        return self.crystal[self.neighbors.center]

    @cached_property
    def is_anion(self) -> np.ndarray:
        return is_anion(self.crystal, self.atomic_numbers)

    @cached_property
    def bonded(self) -> np.ndarray:
        """Mask of the bonds: from cations to anions, or between all atoms without anions."""
        has_anions = np.bincount(self.crystal, self.is_anion) > 0
        to_anion = self.is_anion[self.neighbors.other] & ~self.is_anion[self.neighbors.center]
        ligand = np.where(has_anions[self.crystal_of_pair], to_anion, True)
        return first_coordination(self.neighbors, ligand)

    @cached_property
    def has_polyhedron(self) -> np.ndarray:
        """Atoms at the centre of a polyhedron, shape (N,)."""
        counts = np.bincount(self.neighbors.center[self.bonded], minlength=len(self.crystal))
        has_anions = np.bincount(self.crystal, self.is_anion) > 0
        small = ((counts == 4) | (counts == 6)) & has_anions[self.crystal]
        has_small = np.bincount(self.crystal, small) > 0
        return np.where(has_small[self.crystal], small, counts > 0)

    @cached_property
    def octahedra(self) -> Polyhedra:
        """Octahedra of anions."""
        return self._polyhedra(*find_octahedra(self.neighbors, self._bonded_anions))

    @cached_property
    def tetrahedra(self) -> Polyhedra:
        """Tetrahedra of anions."""
        return self._polyhedra(find_tetrahedra(self.neighbors, self._bonded_anions), None)

    @cached_property
    def _bonded_anions(self):
        return self.bonded & self.is_anion[self.neighbors.other]

    def _polyhedra(self, pairs, opposite):
        centre = self.neighbors.center[pairs[:, 0]]
        return Polyhedra(centre, self.neighbors.other[pairs], self.vector[pairs], opposite)

    def summary(self, values: np.ndarray, atom: np.ndarray) -> Summary:
        """Statistics, for each crystal, of values that belong to atoms."""
        return Summary(values, self.crystal[atom], len(self.crystals))
