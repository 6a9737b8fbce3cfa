"""`Polyhedra`: octahedra and tetrahedra of ligands, and their distortion; Voronoi volumes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sklmat.features._grouped_statistics import Summary
from sklmat.features._neighbors import NeighborList

# Polyhedra with a smaller ratio of height to width are planes, such as a square of ligands.
_SMALLEST_EXTENT = 0.2
# Angles (°) between the ligands of a regular tetrahedron, and between neighbouring ligands of a
# regular octahedron.
_REGULAR_ANGLE = {4: np.degrees(np.arccos(-1 / 3)), 6: 90.0}


@dataclass(frozen=True)
class Polyhedra:
    """All octahedra, or all tetrahedra, of several crystals: P polyhedra with K ligands each.

    Attributes
    ----------
    centre : ndarray of shape (P,)
        Atoms at the centres.
    ligand : ndarray of shape (P, K)
        Atoms at the vertices.
    vector : ndarray of shape (P, K, 3)
        Vectors from the centre to its ligands, in Å.
    opposite : ndarray of bool, shape (P, 6, 6), or None
        Mask of the pairs of opposite ligands of an octahedron; None for tetrahedra.
    """

    centre: np.ndarray
    ligand: np.ndarray
    vector: np.ndarray
    opposite: np.ndarray | None


def find_octahedra(neighbors: NeighborList, bonded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the atoms with six ligands that form three opposite pairs.

    Parameters
    ----------
    neighbors : NeighborList
    bonded : ndarray of bool, shape (P,)
        Mask of the neighbours that are ligands.

    Returns
    -------
    pairs : ndarray of int, shape (Q, 6)
        Positions of the six ligands of each octahedron in the list of neighbours.
    opposite : ndarray of bool, shape (Q, 6, 6)
        Mask of the pairs of opposite ligands.
    """
    pairs = _with_ligands(neighbors, bonded, 6)
    direction = neighbors.vector[pairs] / neighbors.distance[pairs, None]
    partner = np.einsum("oix,ojx->oij", direction, direction).argmin(axis=2)
    mutual = (np.take_along_axis(partner, partner, axis=1) == np.arange(6)).all(axis=1)
    mutual &= _has_volume(neighbors.vector[pairs])
    opposite = partner[:, :, None] == np.arange(6)
    return pairs[mutual], opposite[mutual]


def find_tetrahedra(neighbors: NeighborList, bonded: np.ndarray) -> np.ndarray:
    """Find the atoms with four ligands that are not in one plane, as `find_octahedra` does.

    Returns
    -------
    pairs : ndarray of int, shape (Q, 4)
    """
    pairs = _with_ligands(neighbors, bonded, 4)
    return pairs[_has_volume(neighbors.vector[pairs])]


def _has_volume(vector):
    """Mask of the polyhedra, shape (Q,), whose vertices are not nearly in one plane."""
    centered = vector - vector.mean(axis=1, keepdims=True)
    extents = np.linalg.eigvalsh(np.swapaxes(centered, 1, 2) @ centered)
    return extents[:, 0] > _SMALLEST_EXTENT**2 * extents[:, 2]


def _with_ligands(neighbors, bonded, n_ligands):
    pairs = np.flatnonzero(bonded)
    center = neighbors.center[pairs]
    counts = np.bincount(center, minlength=len(neighbors.crystal))
    return pairs[counts[center] == n_ligands].reshape(-1, n_ligands)


def ligand_angles(polyhedra: Polyhedra) -> np.ndarray:
    """Angles (°) between ligands that are not opposite: 12 of an octahedron, 6 of a tetrahedron."""
    n_polyhedra, n_ligands, _ = polyhedra.vector.shape
    first, second = np.triu_indices(n_ligands, 1)
    angles = angle(polyhedra.vector[:, first], polyhedra.vector[:, second])
    if polyhedra.opposite is not None:
        angles = angles[~polyhedra.opposite[:, first, second]]
    return angles.reshape(n_polyhedra, 12 if n_ligands == 6 else 6)


def angle(a, b):
    """Angle between vectors, in degrees."""
    cosine = (a * b).sum(axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def bridging_angles(
    several: list[Polyhedra], two_centres: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Angles (°) at ligands between the centres that they join, and the ligand of each angle.

    With `two_centres`, only ligands that join exactly two centres are used.
    """
    ligand = np.concatenate([polyhedra.ligand.ravel() for polyhedra in several])
    to_centre = np.concatenate([-polyhedra.vector.reshape(-1, 3) for polyhedra in several])
    order = np.argsort(ligand, kind="stable")
    ligand, to_centre = ligand[order], to_centre[order]
    if two_centres:
        joins_two = np.bincount(ligand, minlength=1)[ligand] == 2
        ligand, to_centre = ligand[joins_two], to_centre[joins_two]
    angles, ligands = [np.empty(0)], [np.empty(0, dtype=np.intp)]
    # The centres of one ligand are consecutive. Entries at a distance of `step` are compared, as
    # long as any two of them belong to the same ligand.
    for step in range(1, len(ligand)):
        same = ligand[step:] == ligand[:-step]
        if not same.any():
            break
        angles.append(angle(to_centre[step:][same], to_centre[:-step][same]))
        ligands.append(ligand[step:][same])
    return np.concatenate(angles), np.concatenate(ligands)


def quadratic_elongation(polyhedra: Polyhedra) -> np.ndarray:
    """Mean of (l / l₀)² over ligands at l, with l₀ of the regular polyhedron of equal volume."""
    squared = (polyhedra.vector**2).sum(axis=2).mean(axis=1)
    return squared / _regular_length(polyhedra) ** 2


def bond_angle_variance(polyhedra: Polyhedra) -> np.ndarray:
    """Sum of squared deviations of the m angles from the regular angle, over m - 1 (°²)."""
    angles = ligand_angles(polyhedra)
    regular = _REGULAR_ANGLE[polyhedra.vector.shape[1]]
    return ((angles - regular) ** 2).sum(axis=1) / (angles.shape[1] - 1)


def _regular_length(polyhedra):
    """Centre-to-vertex distance of the regular polyhedron of the same volume."""
    vector, opposite = polyhedra.vector, polyhedra.opposite
    if opposite is None:
        edges = vector[:, 1:] - vector[:, :1]
        volume = np.abs(np.linalg.det(edges)) / 6
        return np.cbrt(9 * np.sqrt(3) / 8 * volume)
    volume = np.zeros(len(vector))
    for face in combinations(range(6), 3):
        is_face = ~np.any([opposite[:, i, j] for i, j in combinations(face, 2)], axis=0)
        volume += is_face * np.abs(np.linalg.det(vector[:, face])) / 6
    return np.cbrt(3 / 4 * volume)


def bond_length_distortion(center, distance, n_atoms):
    """Mean absolute deviation of the bond lengths of each atom, relative to their mean.

    Parameters
    ----------
    center : ndarray of int, shape (B,)
        Atom to which each bond belongs.
    distance : ndarray of shape (B,)
        Bond lengths.
    n_atoms : int

    Returns
    -------
    distortion : ndarray of shape (N,)
        NaN for an atom without bonds.
    """
    mean = Summary(distance, center, n_atoms).mean
    return Summary(np.abs(distance - mean[center]), center, n_atoms).mean / mean


def off_centring(center, vector, n_atoms):
    """Distance (Å) of each atom from the mean position of its ligands at `vector`, shape (B, 3)."""
    mean = [Summary(component, center, n_atoms).mean for component in vector.T]
    return np.linalg.norm(np.stack(mean, axis=1), axis=1)


def voronoi_volumes(positions, lattice, pbc):
    """Volume of the Voronoi cell of each atom, in Å³; NaN without periodic images."""
    from scipy.spatial import ConvexHull, Voronoi

    if not all(pbc):
        return np.full(len(positions), np.nan)
    inverse = np.linalg.inv(lattice)
    positions = (positions @ inverse % 1) @ lattice
    volume = abs(np.linalg.det(lattice))
    radius = 3 * np.cbrt(volume / len(positions))
    while True:
        # The spacing of lattice planes is the inverse length of the reciprocal lattice vector.
        n_images = np.ceil(radius * np.linalg.norm(inverse, axis=0)).astype(int)
        repeats = (np.arange(-n, n + 1) for n in n_images)
        images = np.stack(np.meshgrid(*repeats, indexing="ij"), axis=-1)
        images = images.reshape(-1, 3)
        images = images[np.argsort(np.abs(images).sum(axis=1), kind="stable")]
        diagram = Voronoi((positions + (images @ lattice)[:, None]).reshape(-1, 3))
        regions = [diagram.regions[diagram.point_region[atom]] for atom in range(len(positions))]
        if all(region and -1 not in region for region in regions):
            volumes = np.array([ConvexHull(diagram.vertices[region]).volume for region in regions])
            if abs(volumes.sum() - volume) < 1e-6 * volume:
                return volumes
        radius *= 1.5
