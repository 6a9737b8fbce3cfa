"""One crystal with its parent, its bonds and its polyhedra."""

from functools import cached_property

import numpy as np

from sklmat.features._neighbors import Neighbors
from sklmat.features._parent_lattice import find_parent, first_coordination, is_anion
from sklmat.features._polyhedra import octahedra


class Cell:
    """One crystal, its parent and its bonds; what several groups need is computed once."""

    def __init__(self, numbers, coords, matrix, pbc, kinds, tolerance):
        self.numbers, self.coords, self.matrix, self.pbc = numbers, coords, matrix, pbc
        self.kinds = kinds
        self.anion = is_anion(numbers)
        self.parent = find_parent(coords, matrix, pbc, kinds, tolerance)

    @cached_property
    def neighbors(self):
        """On the parent lattice, where displacements move no atom between shells."""
        parent = self.parent
        return Neighbors(self.numbers, parent.frac @ parent.matrix, parent.matrix, self.pbc)

    @cached_property
    def vector(self):
        """From each atom to its neighbours where they really are, in Å; shape (N, M, 3)."""
        listed = np.isfinite(self.neighbors.distance)[..., None]
        shift = self.parent.shift
        moved = shift[self.neighbors.index] - shift[:, None]
        frac = self.neighbors.vector @ np.linalg.inv(self.parent.matrix)
        return np.where(listed, (frac + moved) @ self.matrix, 0)

    @cached_property
    def distance(self):
        listed = np.isfinite(self.neighbors.distance)
        return np.where(listed, np.linalg.norm(self.vector, axis=2), np.inf)

    @cached_property
    def bonded(self):
        """Mask the bonds: from cations to anions, or among all atoms of a crystal without."""
        ligand = np.ones_like(self.neighbors.index, dtype=bool)
        if self.anion.any():
            ligand = self.anion[self.neighbors.index] & ~self.anion[:, None]
        return first_coordination(self.neighbors.distance, ligand)

    @cached_property
    def centres(self):
        """Atoms at the centre of a polyhedron, shape (N,)."""
        counts = self.bonded.sum(axis=1)
        if not self.anion.any():
            return counts > 0
        small = (counts == 4) | (counts == 6)
        return small if small.any() else counts > 0

    @cached_property
    def octahedra(self):
        """Octahedral centres, the ranks of their six ligands, and which of these are opposite."""
        return octahedra(self.neighbors.vector, self.bonded & self.anion_ligands)

    @cached_property
    def anion_ligands(self):
        return self.anion[self.neighbors.index]

    @cached_property
    def tetrahedra(self):
        """Tetrahedral centres and the ranks of their four ligands."""
        bonded = self.bonded & self.anion_ligands
        centre = np.flatnonzero(bonded.sum(axis=1) == 4)
        return centre, np.nonzero(bonded[centre])[1].reshape(-1, 4)
