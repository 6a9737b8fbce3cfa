"""Geometry of a drawn crystal: atoms with images on the faces, bonds, cell edges, projection."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.structures import covalent_radii

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core.structure import IStructure

#: An atom this close (Å) to a face of the cell is drawn on the opposite face, too.
_ON_FACE = 0.3
#: Two atoms are bonded up to this multiple of the sum of their covalent radii.
_BOND_LENGTH = 1.2
#: Metals with a smaller electronegativity and a larger covalent radius (Å) form large ions: Na, K,
#: Rb, Cs, Ca, Sr, Ba, and the lanthanides.
_ION_NEGATIVITY, _ION_RADIUS = 1.3, 1.5
#: Largest number of sites of a metal whose bonds are drawn.
_FEW_METAL_SITES = 16
#: Turns of an automatic view to the right and upwards, so that no two edges cover each other.
_TILT = (0.22, 0.16)
#: Width of a bond (Å), and of an edge of the cell as a fraction of the drawing.
_BOND_WIDTH, _EDGE_WIDTH = 0.16, 0.003
#: Half the size of a symbol on a large atom (Å).
_SYMBOL = 0.35
#: Dashes of an edge behind the atoms.
_EDGE_PIECES = 14
#: Directions of automatic views, as sums of lattice vectors.
_DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))


class DrawnAtoms(NamedTuple):
    """Atoms inside and on the faces of a cell.

    Attributes
    ----------
    site : ndarray of shape (N,)
        Site of each atom; periodic images have the same.
    numbers : ndarray of shape (N,)
        Atomic numbers.
    positions : ndarray of shape (N, 3)
        Cartesian coordinates (Å).
    """

    site: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray

    def take(self, rows: np.ndarray) -> DrawnAtoms:
        """Select atoms, or put them into another order."""
        return DrawnAtoms(*(values[rows] for values in self))


class Shape(NamedTuple):
    """A polygon of the drawing.

    Attributes
    ----------
    kind : {"atom", "bond", "edge"}
    number : int
        Number of the atom, bond or edge.
    polygon : ndarray of shape (P, 2)
    depth : float
        Towards the viewer (Å).
    """

    kind: str
    number: int
    polygon: np.ndarray
    depth: float


def drawn_atoms(structure: IStructure) -> DrawnAtoms:
    """Atoms of a cell, with the periodic images of those on its faces, edges and corners.

    Parameters
    ----------
    structure : Structure

    Returns
    -------
    DrawnAtoms
        The sites come first, in their order, moved into the cell; images follow.
    """
    lattice = structure.lattice
    periodic = np.array(lattice.pbc)
    inside = np.where(periodic, structure.frac_coords % 1, structure.frac_coords)
    # Distance of opposite faces: the inverse length of the reciprocal vectors.
    tolerance = _ON_FACE * np.linalg.norm(lattice.inv_matrix, axis=0)
    tolerance = np.minimum(tolerance, 0.1)
    # Atoms just inside the upper faces count as atoms on the lower ones.
    inside = np.where(periodic & (inside > 1 - tolerance), inside - 1, inside)
    sites, coords = [np.arange(len(inside))], [inside]
    for shift in product((0, 1), repeat=3):
        moved = np.array(shift, dtype=bool)
        if moved.any():
            on_faces = (np.abs(inside) <= tolerance) & periodic
            rows = np.flatnonzero(on_faces[:, moved].all(axis=1))
            sites.append(rows)
            coords.append(inside[rows] + shift)
    site = np.concatenate(sites)
    numbers = np.array([atom.specie.Z for atom in structure])
    return DrawnAtoms(site, numbers[site], np.concatenate(coords) @ lattice.matrix)


def find_bonds(atoms: DrawnAtoms) -> np.ndarray:
    """Pairs of drawn atoms that are bonded.

    They are closer than 1.2 times the sum of their covalent radii. In crystals with nonmetals,
    metals are bonded to nonmetals only, and large ions such as Sr only to atoms of nonmetals that
    have no other bond: in SrTiO3, the octahedra around Ti are visible.

    Parameters
    ----------
    atoms : DrawnAtoms

    Returns
    -------
    ndarray of shape (B, 2)
        Numbers of the atoms.
    """
    from scipy.spatial import KDTree

    radii = covalent_radii()[atoms.numbers]
    pairs = KDTree(atoms.positions).query_pairs(
        2 * _BOND_LENGTH * radii.max(), output_type="ndarray"
    )
    first, second = pairs.T
    distance = np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    pairs = pairs[distance <= _BOND_LENGTH * (radii[first] + radii[second])]
    is_metal, is_ion = _metals_and_ions(atoms.numbers)
    if is_metal.all():
        # In a large cell of a dense metal, bonds would hide the atoms.
        return pairs if np.ptp(atoms.site) < _FEW_METAL_SITES else pairs[:0]
    pairs = pairs[~is_metal[pairs].all(axis=1)]
    of_ion = is_ion[pairs].any(axis=1)
    # Sites, not atoms, have other bonds: the partner may be outside of the cell.
    other_bonds = np.unique(atoms.site[pairs[~of_ion]])
    has_other = np.isin(atoms.site[pairs], other_bonds).any(axis=1)
    return pairs[~(of_ion & has_other)]


def _metals_and_ions(numbers):
    """Whether each atom is a metal, and whether it is a metal that forms large ions."""
    from pymatgen.core import Element

    is_metal, is_ion = np.zeros(119, dtype=bool), np.zeros(119, dtype=bool)
    for number in np.unique(numbers):
        element = Element.from_Z(int(number))
        is_metal[number] = element.is_metal
        is_large = covalent_radii()[number] > _ION_RADIUS
        is_ion[number] = element.is_metal and is_large and element.X < _ION_NEGATIVITY
    return is_metal[numbers], is_ion[numbers]


def cell_edges(structure: IStructure) -> np.ndarray:
    """Edges of the unit cell, along the periodic directions.

    Parameters
    ----------
    structure : Structure

    Returns
    -------
    ndarray of shape (12, 2, 3)
        Both ends of each edge (Å); 4 edges for a slab, 1 for a chain, 0 for a molecule.
    """
    lattice = structure.lattice
    periodic = np.array(lattice.pbc)
    # Where there is no periodicity the cell has no height: its edges go through the middle.
    middle = np.where(periodic, 0, structure.frac_coords.mean(axis=0))
    edges = []
    for axis in np.flatnonzero(periodic):
        step = np.eye(3)[axis]
        for corner in product(
            *[(0, 1) if p and k != axis else (0,) for k, p in enumerate(periodic)]
        ):
            edges.append([middle + corner, middle + corner + step])
    return np.array(edges).reshape(-1, 2, 3) @ lattice.matrix


def view_along(lattice: np.ndarray, direction: np.ndarray, *, tilt: bool) -> np.ndarray:
    """Rotation whose rows point to the right, upwards, and to the viewer.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows (Å).
    direction : ndarray of shape (3,)
        The viewer is at this sum of lattice vectors.
    tilt : bool
        Whether the crystal is turned slightly, so that its depth is visible.

    Returns
    -------
    ndarray of shape (3, 3)
    """
    to_viewer = _unit(direction @ lattice)
    # The c axis points upwards, or b in a view along c.
    across = [axis - (axis @ to_viewer) * to_viewer for axis in lattice[::-1]]
    up = next(
        axis
        for axis in across
        if np.linalg.norm(axis) > 0.3 * np.linalg.norm(lattice, axis=1).min()
    )
    right = _unit(np.cross(up, to_viewer))
    if tilt:
        to_viewer = _unit(to_viewer + _TILT[0] * right + _TILT[1] * _unit(up))
        right = _unit(np.cross(up, to_viewer))
    return np.array([right, np.cross(to_viewer, right), to_viewer])


def clearest_view(lattice: np.ndarray, atoms: DrawnAtoms, radii: np.ndarray) -> np.ndarray:
    """The view in which the atoms cover each other least.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows (Å).
    atoms : DrawnAtoms
    radii : ndarray of shape (N,)
        Radii of the circles (Å).

    Returns
    -------
    ndarray of shape (3, 3)
        See `view_along`. Along a lattice vector if a sum of them is not clearly better.
    """
    views = [view_along(lattice, np.array(sum_), tilt=True) for sum_ in _DIRECTIONS]
    covered = np.array([_covered(atoms.positions @ view[:2].T, radii) for view in views])
    return views[int(np.argmax(covered <= 1.1 * covered.min() + 0.5))]


def hidden_atoms(atoms: pd.DataFrame) -> np.ndarray:
    """Whether the middle of an atom is behind another one.

    Parameters
    ----------
    atoms : DataFrame of N rows
        With ``x``, ``y``, ``depth`` and ``radius``, the farthest first.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    points, radii = atoms[["x", "y"]].to_numpy(), atoms["radius"].to_numpy()
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    # The symbol takes the middle of its circle.
    covers = distance < radii + np.minimum(0.65 * radii, _SYMBOL)[:, None]
    return np.triu(covers, 1).any(axis=1)


def drawn_shapes(
    points: np.ndarray, radii: np.ndarray, bonds: np.ndarray, edges: np.ndarray
) -> list[Shape]:
    """Polygons of atoms, bonds and edges, the farthest first.

    Parameters
    ----------
    points : ndarray of shape (N, 3)
        Coordinates of the atoms: to the right, upwards, and to the viewer (Å).
    radii : ndarray of shape (N,)
    bonds : ndarray of shape (B, 2)
        Atoms at both ends.
    edges : ndarray of shape (K, 2, 3)
        Ends of the edges of the cell, in the coordinates of `points`.

    Returns
    -------
    list of Shape
    """
    turn = np.linspace(0, 2 * np.pi, 49)[:-1]
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    shapes = [
        Shape("atom", number, point[:2] + radius * circle, point[2])
        for number, (point, radius) in enumerate(zip(points, radii))
    ]
    for number, (i, j) in enumerate(bonds):
        along = _unit(points[j] - points[i])
        # A bond begins on the surface of an atom, of which the viewer sees a part.
        ends = points[i] + 0.9 * radii[i] * along, points[j] - 0.9 * radii[j] * along
        shapes.append(_bar("bond", number, *ends, _BOND_WIDTH))
    extent = np.ptp(np.concatenate([points, edges.reshape(-1, 3)]), axis=0).max()
    hidden = _edges_behind(edges)
    for number, (start, stop) in enumerate(edges):
        steps = np.linspace(0, 1, 2 * _EDGE_PIECES + 2)[:, None]
        pieces = start + steps * (stop - start)
        for k, ends in enumerate(pairwise(pieces)):
            # Pieces, because an edge may pass in front of one atom and behind another.
            inside = np.linalg.norm(points - np.mean(ends, axis=0), axis=1) < radii
            if not inside.any() and not (hidden[number] and k % 2):
                shapes.append(_bar("edge", number, *ends, _EDGE_WIDTH * extent))
    return sorted(shapes, key=lambda shape: shape.depth)


def _edges_behind(edges):
    """Whether each edge of a cell ends at the corner that is farthest from the viewer."""
    if len(edges) < 12:
        return np.zeros(len(edges), dtype=bool)
    depth = edges[..., 2]
    return (depth <= depth.min() + 1e-6 * np.ptp(depth)).any(axis=1)


def _bar(kind, number, start, stop, width):
    """A bar between two points."""
    x, y = (stop - start)[:2]
    length = np.hypot(x, y)
    across = width / 2 * np.array([-y, x]) / length if length > 1e-9 else np.zeros(2)
    polygon = [start[:2] + across, start[:2] - across, stop[:2] - across, stop[:2] + across]
    return Shape(kind, number, np.array(polygon), float(start[2] + stop[2]) / 2)


def _covered(points, radii):
    """How far circles cover each other, summed over all pairs; 1 for two equal circles."""
    from scipy.spatial import KDTree

    first, second = KDTree(points).query_pairs(2 * radii.max(), output_type="ndarray").T
    distance = np.linalg.norm(points[first] - points[second], axis=1)
    return np.clip(1 - distance / (radii[first] + radii[second]), 0, None).sum()


def _unit(vector):
    return vector / np.linalg.norm(vector)
