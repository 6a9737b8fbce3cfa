"""Pairs of atoms within a radius, and the check that no two atoms are too close."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from sklmat.exceptions import InvalidStructureError

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

#: Two atoms are too close below this fraction of the sum of their covalent radii. Bonds are longer
#: than 0.7 of it in molecules (N2, CO) and in the published data sets that the tests read.
_MIN_RELATIVE_DISTANCE = 0.5
#: Two atoms are always too close below this distance (Å): the shortest bond, H-H, has 0.74 Å.
MIN_DISTANCE = 0.5
#: Covalent radii (Å) of the elements from hydrogen to curium: B. Cordero et al., Dalton Trans.
#: 2008, 2832, https://doi.org/10.1039/b801115j. They are those of pymatgen, whose module with them
#: takes long to be imported.
# fmt: off
_RADII = (
    0.31, 0.28, 1.28, 0.96, 0.84, 0.73, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41,
    1.21, 1.11, 1.07, 1.05, 1.02, 1.06, 2.03, 1.76, 1.70, 1.60, 1.53, 1.39,
    1.50, 1.42, 1.38, 1.24, 1.32, 1.22, 1.22, 1.20, 1.19, 1.20, 1.20, 1.16,
    2.20, 1.95, 1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44,
    1.42, 1.39, 1.39, 1.38, 1.39, 1.40, 2.44, 2.15, 2.07, 2.04, 2.03, 2.01,
    1.99, 1.98, 1.98, 1.96, 1.94, 1.92, 1.92, 1.89, 1.90, 1.87, 1.87, 1.75,
    1.70, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32, 1.45, 1.46, 1.48, 1.40,
    1.50, 1.50, 2.60, 2.21, 2.15, 2.06, 2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
)
# fmt: on
#: Covalent radius (Å) of the elements beyond curium, for which none is known.
_HEAVY_RADIUS = 1.7
#: Atoms beyond the neighbouring cells are moved back, by whole lattice vectors.
_OUTSIDE = (-1.0, 2.0)


@cache
def covalent_radii() -> np.ndarray:
    """Covalent radius (Å) by atomic number, shape (119,); zero for the number 0."""
    return np.array([0.0, *_RADII, *[_HEAVY_RADIUS] * (118 - len(_RADII))])


def site_numbers(structure: IStructure) -> list[int]:
    """Atomic number of each site of a structure without partial occupancy.

    It is faster than ``structure.atomic_numbers``, which looks at the occupancy of each site twice.
    """
    numbers = []
    for site in structure:
        (species,) = site.species
        numbers.append(species.Z)
    return numbers


def smallest_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Smallest allowed distance (Å) of atoms with these atomic numbers."""
    radii = covalent_radii()
    return np.maximum(_MIN_RELATIVE_DISTANCE * (radii[first] + radii[second]), MIN_DISTANCE)


def largest_smallest_distance(atomic_numbers: np.ndarray) -> float:
    """Largest of the smallest allowed distances (Å) of all pairs of these elements."""
    largest = covalent_radii()[atomic_numbers].max(initial=0.0)
    return max(2 * _MIN_RELATIVE_DISTANCE * float(largest), MIN_DISTANCE)


def find_pairs(
    positions: np.ndarray, lattice: np.ndarray, pbc: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find all pairs of atoms within a radius, periodic images included.

    Parameters
    ----------
    positions : ndarray of shape (N, 3)
        Cartesian coordinates (Å).
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows (Å).
    pbc : ndarray of shape (3,), bool
    radius : float
        Å.

    Returns
    -------
    target, source : ndarray of shape (P,)
    image : ndarray of shape (P, 3)
        Lattice translation of the source atom.
    distance : ndarray of shape (P,)
        Å.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    shift = outside_shifts(positions, lattice, pbc)
    if shift is not None:
        positions = positions - shift @ lattice
    positions = np.ascontiguousarray(positions, dtype=float)
    target, source, image, distance = find_points_in_spheres(
        positions,
        positions,
        r=radius,
        pbc=np.ascontiguousarray(pbc, dtype=np.int64),
        lattice=np.ascontiguousarray(lattice, dtype=float),
        tol=1e-8,
    )
    pair = np.flatnonzero((target != source) | image.any(axis=1))
    target, source = target.take(pair), source.take(pair)
    image, distance = image.take(pair, axis=0), distance.take(pair)
    if shift is not None:
        image = image + (shift[target] - shift[source])
    return target, source, image, distance


def outside_shifts(
    positions: np.ndarray, lattice: np.ndarray, pbc: np.ndarray
) -> np.ndarray | None:
    """Lattice translations (N, 3) of atoms beyond the neighbouring cells; None if there are none.

    The memory of a search for neighbours grows with the extent of the positions, so such atoms
    are moved back first.
    """
    frac_coords = positions @ np.linalg.inv(lattice)
    low, high = _OUTSIDE
    if low <= frac_coords.min(initial=low) and frac_coords.max(initial=low) < high:
        return None
    outside = ((frac_coords < low) | (frac_coords >= high)) & pbc
    if not outside.any():
        return None
    return np.where(outside, np.floor(frac_coords), 0.0).astype(np.int64)


def closest_pair(structure: IStructure) -> tuple[int, int, float] | None:
    """Return two atoms that are too close and their distance (Å), or None.

    Of several such pairs it is the one whose distance is the smallest fraction of the radii.
    """
    numbers = np.array(site_numbers(structure))
    lattice = structure.lattice
    # In directions without periodicity the atoms may lie far outside the cell.
    extent = np.where(lattice.pbc, 1.0, np.maximum(1.0, np.ptp(structure.frac_coords, axis=0)))
    # A radius below the size of an atom's own volume would only divide the cell more finely.
    scale = (lattice.volume * extent.prod() / len(structure)) ** (1 / 3)
    radius = max(largest_smallest_distance(numbers), scale / 2)
    target, source, _, distance = find_pairs(
        structure.cart_coords, lattice.matrix, np.array(lattice.pbc), radius
    )
    ratio = distance / smallest_distances(numbers[target], numbers[source])
    if len(ratio) == 0 or ratio.min() >= 1:
        return None
    pair = int(ratio.argmin())
    return int(target[pair]), int(source[pair]), float(distance[pair])


def check_distances(index: int, structure: IStructure) -> None:
    """Raise if two atoms of `structure`, or an atom and its own image, are too close."""
    pair = closest_pair(structure)
    if pair is not None:
        raise close_atoms_error(index, structure, *pair)


def close_atoms_error(
    index: int, structure: IStructure, i: int, j: int, distance: float
) -> InvalidStructureError:
    """Build the error for two atoms that are too close."""
    i, j = sorted((int(i), int(j)))
    pair = f"sites {i} and {j}" if i != j else f"site {i} and its periodic image"
    numbers = np.array(structure.atomic_numbers)
    limit = float(smallest_distances(numbers[i], numbers[j]))
    symbols = f"{structure[i].specie.symbol}-{structure[j].specie.symbol}"
    return InvalidStructureError(
        index,
        structure.formula.replace(" ", ""),
        f"{pair} are {distance:.3f} Å apart, closer than {limit:.2f} Å, the limit for {symbols}; "
        "remove duplicate sites (Structure.merge_sites) or check the lattice "
        "and the units of the coordinates",
    )
