"""The ideal lattice below a disordered crystal: its sublattices, ideal sites and symmetry."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

import numpy as np

from sklmat.elements import element_table
from sklmat.features._infer_lattice import lattice_name
from sklmat.features._neighbors import Neighbors
from sklmat.features._symmetry import quiet_spglib, symmetry_dataset

#: Elements that count as anions wherever a crystal also holds others.
ANIONS = ("N", "O", "F", "P", "S", "Cl", "Se", "Br", "Te", "I")
ANION_NUMBERS = element_table(ANIONS)["atomic number"].to_numpy()

# Bravais lattices that are fitted by least squares: the nearest atoms that make the star of lattice
# vectors, how many of them generate the lattice, and the unit in which their cosines come.
_BRAVAIS = {"fcc": (12, 12, 1 / 2), "bcc": (14, 8, 1 / 3), "sc": (6, 6, 1.0)}
# Å; symmetry of positions that are ideal to rounding.
TIGHT = 1e-3
# The first coordination holds at most this many atoms; the largest known is 16 (Frank-Kasper).
_MAX_COORDINATION = 16


@dataclass
class Parent:
    """A crystal and the ideal one that it deviates from.

    Attributes
    ----------
    matrix : ndarray of shape (3, 3)
        Ideal lattice vectors in Å, of the same volume as the crystal's; rotated at will.
    frac : ndarray of shape (N, 3)
        Ideal sites in units of the lattice vectors.
    shift : ndarray of shape (N, 3)
        What leads from there to the crystal's atoms, in the same units; its mean is zero.
    symmetry : spglib dataset or None
        Of the ideal crystal with one kind per sublattice, in some cell; None where there is none.
    """

    matrix: np.ndarray
    frac: np.ndarray
    shift: np.ndarray
    symmetry: object


def is_anion(numbers):
    """Mask the anions, none in a crystal that has no cations; shape (N,)."""
    anion = np.isin(numbers, ANION_NUMBERS)
    return anion & ~anion.all()


def first_coordination(distance, ligand):
    """Mask the neighbours that bind, of shape (N, M), for neighbours sorted by distance.

    Of the `ligand` neighbours (a mask) those before the widest relative step from one distance to
    the next bind. Beyond the end of the list the next distance is taken to be that of its end.
    """
    ranked = np.sort(np.where(ligand, distance, np.inf), axis=1)[:, : _MAX_COORDINATION + 1]
    known = np.isfinite(ranked)
    end = distance[np.isfinite(distance)].max(initial=1.0)
    ranked = np.where(known, ranked, np.maximum(end, 1.0))
    following = np.column_stack([ranked[:, 1:], np.full(len(ranked), end)])
    step = np.where(known, following / ranked, 0)[:, :_MAX_COORDINATION]
    # Steps that agree to rounding: the first one, whatever the order of the atoms.
    last = np.argmax(np.round(step, 6), axis=1)
    bond = ranked[np.arange(len(ranked)), last] * (1 + 1e-9)
    return ligand & np.isfinite(distance) & (distance <= bond[:, None])


def learn_sublattices(crystals):
    """Group the species of compact crystals into sublattices; lists of atomic numbers."""
    coordination = {}
    for numbers, coords, matrix, pbc in crystals:
        anion = is_anion(numbers)
        if not anion.any():
            continue
        neighbors = Neighbors(numbers, coords, matrix, pbc)
        counts = first_coordination(neighbors.distance, anion[neighbors.index]).sum(axis=1)
        for number in np.unique(numbers[~anion]):
            coordination.setdefault(number, []).append(counts[numbers == number])
    groups = {}
    species = np.unique(np.concatenate([numbers for numbers, *_ in crystals]))
    for number in species:
        if number in coordination:
            typical = np.median(np.concatenate(coordination[number]))
            key = int(np.searchsorted([4.5, 6.5], typical))
        else:
            key = "anion" if coordination and number in ANION_NUMBERS else "other"
        groups.setdefault(key, []).append(int(number))
    return list(groups.values())


def find_parent(coords, matrix, pbc, kinds, tolerance):
    """Find the ideal crystal; the crystal itself where there is none within `tolerance` (Å)."""
    frac = coords @ np.linalg.inv(matrix)
    found = None
    if tolerance is not None and all(pbc):
        found = _from_bravais(coords, matrix, kinds, tolerance)
        if found is None:
            found = _from_spglib(frac, matrix, kinds, tolerance)
    ideal, sites, symmetry = (matrix, frac, None) if found is None else found
    shift = frac - sites
    return Parent(ideal, sites, shift - shift.mean(axis=0), symmetry)


def _from_spglib(frac, matrix, kinds, tolerance):
    """Ideal lattice and sites as spglib standardises them, at the largest tolerance that works."""
    for share in (1, 1 / 2, 1 / 4):
        with quiet_spglib():
            dataset = symmetry_dataset(matrix, frac, kinds, share * tolerance)
        found = None if dataset is None else _standard_sites(dataset, frac, kinds)
        if found is not None:
            return found
    return None


def _standard_sites(dataset, frac, kinds):
    change, origin = dataset.transformation_matrix, dataset.origin_shift
    standard = frac @ change.T + origin
    offset = standard[:, None] - dataset.std_positions
    image = np.round(offset)
    distance = np.linalg.norm((offset - image) @ dataset.std_lattice, axis=2)
    distance[kinds[:, None] != np.asarray(dataset.std_types)] = np.inf
    site = distance.argmin(axis=1)
    atom = np.arange(len(frac))
    sites = (dataset.std_positions[site] + image[atom, site] - origin) @ np.linalg.inv(change).T
    if not _all_distinct(sites):
        return None
    return change.T @ dataset.std_lattice, sites, dataset


def _all_distinct(frac):
    return len(np.unique(np.round(frac % 1 * 1e4) % 1e4, axis=0)) == len(frac)


def _from_bravais(coords, matrix, kinds, tolerance):
    """Ideal lattice and sites if one sublattice is simple, body- or face-centred cubic.

    Its translations are those of the parent. The other sublattices are averaged over them, and
    the average over the symmetry of what results.
    """
    best = None
    for kind in np.unique(kinds):
        own = coords[kinds == kind]
        neighbors = Neighbors(kinds[kinds == kind], own, matrix, (True,) * 3)
        lattice = lattice_name(neighbors)
        if lattice in _BRAVAIS and (best is None or len(own) < len(best[1])):
            best = kind, own, lattice, neighbors
    if best is None:
        return None
    _, own, lattice, neighbors = best
    primitive = _primitive_vectors(neighbors, matrix, lattice, len(own))
    if primitive is None:
        return None
    basis, ideal, repeats = primitive
    cell = coords @ np.linalg.inv(basis)
    sites = _average_sites(cell, ideal, kinds, len(own))
    if sites is None:
        return None
    label, centre = sites
    steps = np.round(cell - centre[label])
    symbols = np.array([kinds[label == i][0] for i in range(len(centre))])
    symmetric, dataset = _symmetric_sites(ideal, centre, symbols, tolerance)
    if dataset is None:
        return None
    frac = (symmetric[label] + steps) @ np.linalg.inv(repeats)
    return (repeats @ ideal, frac, dataset) if _all_distinct(frac) else None


def _primitive_vectors(neighbors, matrix, lattice, n_atoms):
    """Lattice vectors of a cubic Bravais lattice: as they are, ideal, and how often they repeat."""
    n_star, n_first, unit = _BRAVAIS[lattice]
    vectors = neighbors.vector[:, :n_star].reshape(-1, 3)
    star = vectors[:n_star]
    for _ in range(5):
        nearest = np.linalg.norm(vectors[:, None] - star, axis=2).argmin(axis=1)
        count = np.bincount(nearest, minlength=n_star)
        if not count.all():
            return None
        star = np.array([np.bincount(nearest, vectors[:, x], n_star) for x in range(3)]).T
        star /= count[:, None]
    star = star[np.argsort(np.linalg.norm(star, axis=1))[:n_first]]
    triples = star[list(combinations(range(n_first), 3))]
    volume = abs(np.linalg.det(matrix)) / n_atoms
    basis = triples[np.abs(np.linalg.det(triples) - volume).argmin()]
    repeats = np.round(matrix @ np.linalg.inv(basis))
    if abs(round(np.linalg.det(repeats))) != n_atoms:
        return None
    basis = np.linalg.inv(repeats) @ matrix
    gram = basis @ basis.T
    gram = np.round(gram / gram.trace() * 3 / unit) * unit
    if np.linalg.eigvalsh(gram).min() < 0.01:
        return None
    ideal = np.linalg.cholesky(gram)
    return basis, ideal * np.cbrt(volume / np.linalg.det(ideal)), repeats


def _average_sites(cell, ideal, kinds, n_cells):
    """Gather the atoms of all `n_cells` primitive cells into sites: label of each, and centres."""
    label, centres = np.zeros(len(cell), dtype=np.intp), []
    for kind in np.unique(kinds):
        own = cell[kinds == kind]
        n_sites, rest = divmod(len(own), n_cells)
        if rest:
            return None
        centre = own[:1]
        while len(centre) < n_sites:
            farthest = _offsets(own, centre, ideal)[1].min(axis=1).argmax()
            centre = np.vstack([centre, own[farthest]])
        for _ in range(4):
            offset, distance = _offsets(own, centre, ideal)
            nearest = distance.argmin(axis=1)
            if (np.bincount(nearest, minlength=n_sites) != n_cells).any():
                return None
            moved = [offset[nearest == i, i].mean(axis=0) for i in range(n_sites)]
            centre = centre + np.array(moved)
        label[kinds == kind] = nearest + len(centres)
        centres += list(centre)
    return label, np.array(centres)


def _offsets(points, centres, lattice):
    offset = points[:, None] - centres
    offset -= np.round(offset)
    return offset, np.linalg.norm(offset @ lattice, axis=2)


def _symmetric_sites(lattice, sites, kinds, tolerance):
    """Average sites over the symmetry that they have within `tolerance`; that symmetry, too.

    Most parents have all the symmetry of their lattice; only the others are left to spglib.
    """
    gram = np.round(lattice @ lattice.T / (lattice[0] @ lattice[0]), 6)
    rotations = _lattice_rotations(tuple(gram.ravel()))
    # The sublattice that made the lattice has one site, on which all operations can be centred.
    origin = sites[np.bincount(kinds)[kinds] == 1][0]
    symmetric, worst = _symmetrise(lattice, sites, kinds, rotations, origin - rotations @ origin)
    if worst > tolerance:
        dataset = symmetry_dataset(lattice, sites, kinds, tolerance)
        if dataset is not None:
            operations = dataset.rotations, dataset.translations
            symmetric, _ = _symmetrise(lattice, sites, kinds, *operations)
        return symmetric, dataset
    places = np.round((symmetric - origin) % 1, 6) % 1
    return symmetric, _ideal_symmetry(*(tuple(x.ravel()) for x in (gram, places, kinds)))


@lru_cache(maxsize=100)
def _ideal_symmetry(gram, places, kinds):
    """Ask spglib once for all crystals of one parent; its size, here 4 Å, does not matter."""
    lattice = 4 * np.linalg.cholesky(np.reshape(gram, (3, 3)))
    return symmetry_dataset(lattice, np.reshape(places, (-1, 3)), list(kinds), TIGHT)


@lru_cache(maxsize=100)
def _lattice_rotations(gram):
    """Integer matrices, acting on columns, that keep the inner products of three short vectors."""
    gram = np.reshape(gram, (3, 3))
    vectors = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    length = np.einsum("vi,ij,vj->v", vectors, gram, vectors)
    images = [vectors[np.abs(length - gram[i, i]) < 1e-4] for i in range(3)]
    triples = np.array(list(product(*images)))
    inner = triples @ gram @ triples.transpose(0, 2, 1)
    return triples[(np.abs(inner - gram) < 1e-4).all(axis=(1, 2))].transpose(0, 2, 1)


def _symmetrise(lattice, sites, kinds, rotations, translations):
    """Average sites over operations; and how far (Å) an operation misses a site at most."""
    images = np.einsum("oxy,iy->oix", rotations, sites) + translations[:, None]
    offset, distance = _offsets(images.reshape(-1, 3), sites, lattice)
    distance[np.tile(kinds, len(images))[:, None] != kinds] = np.inf
    nearest = distance.argmin(axis=1)
    moved = np.zeros_like(sites)
    np.add.at(moved, nearest, offset[np.arange(len(nearest)), nearest])
    moved /= np.maximum(np.bincount(nearest, minlength=len(sites)), 1)[:, None]
    return sites + moved, distance.min(axis=1).max()
