"""Shapes around atoms: octahedra, tetrahedra, their angles, tilts and volumes."""

from itertools import combinations

import numpy as np

_REGULAR = {4: np.degrees(np.arccos(-1 / 3)), 6: 90.0}


def octahedra(vector, bonded):
    """Find the atoms with six ligands that are opposite in pairs.

    Parameters
    ----------
    vector : ndarray of shape (N, M, 3)
        From atoms to neighbours.
    bonded : ndarray of bool, shape (N, M)
        Which neighbours are ligands.

    Returns
    -------
    centre : ndarray of shape (O,)
    ranks : ndarray of shape (O, 6)
        Of the ligands among the neighbours.
    opposite : ndarray of bool, shape (O, 6, 6)
    """
    centre = np.flatnonzero(bonded.sum(axis=1) == 6)
    ranks = np.nonzero(bonded[centre])[1].reshape(-1, 6)
    unit = vector[centre[:, None], ranks]
    unit = unit / np.linalg.norm(unit, axis=2, keepdims=True)
    partner = np.einsum("oix,ojx->oij", unit, unit).argmin(axis=2)
    mutual = (np.take_along_axis(partner, partner, axis=1) == np.arange(6)).all(axis=1)
    opposite = partner[:, :, None] == np.arange(6)
    return centre[mutual], ranks[mutual], opposite[mutual]


def adjacent_angles(vectors, opposite):
    """Angles (°) between ligands side by side: 12 of an octahedron, 6 of a tetrahedron."""
    n, size, _ = vectors.shape
    first, second = np.triu_indices(size, 1)
    angles = angle(vectors[:, first], vectors[:, second])
    if opposite is not None:
        angles = angles[~opposite[:, first, second]]
    return angles.reshape(n, 12 if size == 6 else 6)


def angle(a, b):
    """Angle between vectors, in degrees."""
    cosine = (a * b).sum(axis=-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def bridging_angles(cell, octahedral=False):
    """Angles (°) at ligands between the centres they join, and the ligand of each.

    With `octahedral`, only at ligands that join exactly two octahedra.
    """
    octahedra, tetrahedra = cell.octahedra[:2], cell.tetrahedra
    parts = [octahedra] if octahedral else [octahedra, tetrahedra]
    ligand = np.concatenate([cell.neighbors.index[c[:, None], r].ravel() for c, r in parts])
    to_centre = np.concatenate([-cell.vector[c[:, None], r].reshape(-1, 3) for c, r in parts])
    order = np.argsort(ligand, kind="stable")
    ligand, to_centre = ligand[order], to_centre[order]
    if octahedral:
        two = np.bincount(ligand, minlength=1)[ligand] == 2
        ligand, to_centre = ligand[two], to_centre[two]
    angles, at = [np.empty(0)], [np.empty(0, dtype=np.intp)]
    for step in range(1, len(ligand)):
        same = ligand[step:] == ligand[:-step]
        if not same.any():
            break
        angles.append(angle(to_centre[step:][same], to_centre[:-step][same]))
        at.append(ligand[step:][same])
    return np.concatenate(angles), np.concatenate(at)


def polyhedron_measures(cell):
    """Quadratic elongation and bond angle variance (°²) of each octahedron and tetrahedron."""
    elongation, variance = [], []
    for centre, ranks, opposite in (cell.octahedra, (*cell.tetrahedra, None)):
        vectors = cell.vector[centre[:, None], ranks]
        size = vectors.shape[1]
        squared = (vectors**2).sum(axis=2).mean(axis=1)
        elongation.append(squared / _regular_length(vectors, opposite) ** 2)
        angles = adjacent_angles(vectors, opposite)
        n_free = angles.shape[1] - 1
        variance.append(((angles - _REGULAR[size]) ** 2).sum(axis=1) / n_free)
    return np.concatenate(elongation), np.concatenate(variance)


def _regular_length(vectors, opposite):
    """Centre-to-vertex distance of the regular polyhedron of the same volume."""
    if opposite is None:
        edges = vectors[:, 1:] - vectors[:, :1]
        volume = np.abs(np.linalg.det(edges)) / 6
        return np.cbrt(9 * np.sqrt(3) / 8 * volume)
    volume = np.zeros(len(vectors))
    for face in combinations(range(6), 3):
        is_face = ~np.any([opposite[:, i, j] for i, j in combinations(face, 2)], axis=0)
        volume += is_face * np.abs(np.linalg.det(vectors[:, face])) / 6
    return np.cbrt(3 / 4 * volume)


def distortion(cell):
    """Bond length distortion and off-centring (Å) of each polyhedron."""
    bonded = cell.bonded[cell.centres]
    counts = bonded.sum(axis=1)
    length = np.where(bonded, cell.distance[cell.centres], 0)
    mean = length.sum(axis=1) / counts
    spread = np.where(bonded, np.abs(length - mean[:, None]), 0).sum(axis=1) / counts
    vectors = np.where(bonded[..., None], cell.vector[cell.centres], 0)
    return spread / mean, np.linalg.norm(vectors.sum(axis=1) / counts[:, None], axis=1)


def voronoi_volumes(coords, matrix, pbc):
    """Volume of the Voronoi cell of each atom, in Å³; NaN without periodic images."""
    from scipy.spatial import ConvexHull, Voronoi

    if not all(pbc):
        return np.full(len(coords), np.nan)
    inverse = np.linalg.inv(matrix)
    coords = (coords @ inverse % 1) @ matrix
    volume = abs(np.linalg.det(matrix))
    reach = 3 * np.cbrt(volume / len(coords))
    while True:
        # The spacing of the lattice planes along each axis is one over the reciprocal vector.
        n = np.ceil(reach * np.linalg.norm(inverse, axis=0)).astype(int)
        images = np.stack(np.meshgrid(*(np.arange(-k, k + 1) for k in n), indexing="ij"), axis=-1)
        images = images.reshape(-1, 3)
        images = images[np.argsort(np.abs(images).sum(axis=1), kind="stable")]
        diagram = Voronoi((coords + (images @ matrix)[:, None]).reshape(-1, 3))
        regions = [diagram.regions[diagram.point_region[i]] for i in range(len(coords))]
        if all(region and -1 not in region for region in regions):
            volumes = np.array([ConvexHull(diagram.vertices[r]).volume for r in regions])
            if abs(volumes.sum() - volume) < 1e-6 * volume:
                return volumes
        reach *= 1.5
