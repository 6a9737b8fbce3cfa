"""`find_duplicates`: crystals that occur more than once, in whichever cell they are described."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklmat.processes import run_parallel
from sklmat.recorded_warnings import ignore_warnings
from sklmat.structures import find_pairs

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure

#: Two descriptions of one crystal agree in volume per atom within this fraction.
_SAME_VOLUME = 0.01
#: Their numbers of neighbours differ by at most this fraction of the largest. Comparing these is a
#: thousand times faster than matching the atoms.
_SAME_SURROUNDINGS = 0.01
_CENTERS, _WIDTH = np.arange(0.5, 2.3, 0.1), 0.1
#: Largest root mean square distance of their atoms, as fraction of the cube root of the volume per
#: atom; about 0.02 Å.
_SAME_PLACES = 0.01
#: Tolerance (Å) for the translations that make a cell larger than the primitive one.
_SYMPREC = 0.05


def find_duplicates(
    structures: Sequence[IStructure], *, n_jobs: int | None = None
) -> list[list[int]]:
    """Find crystals that occur more than once, in whichever cell they are described.

    Parameters
    ----------
    structures : sequence of C valid structures
    n_jobs : int or None, default=None

    Returns
    -------
    groups : list of list of int
        Rows of the same crystal, in ascending order; see the notes of `check_dataset`.
    """
    by_formula = defaultdict(list)
    for row, structure in enumerate(structures):
        composition = structure.composition.element_composition
        by_formula[composition.reduced_formula].append(row)
    candidates = []
    for rows in by_formula.values():
        volumes = np.array([structures[row].volume / len(structures[row]) for row in rows])
        order = np.argsort(volumes, kind="stable")
        gaps = np.diff(volumes[order]) > _SAME_VOLUME * volumes[order][:-1]
        for part in np.split(order, np.flatnonzero(gaps) + 1):
            if len(part) > 1:
                candidates.append(sorted(rows[k] for k in part))
    # Arrays are sent faster than structures.
    items = ((rows, [_arrays(structures[row]) for row in rows]) for rows in candidates)
    found = run_parallel(_same_crystals, items, n_jobs=n_jobs)
    return sorted(group for groups in found for group in groups)


def _arrays(structure):
    lattice = structure.lattice
    return lattice.matrix, lattice.pbc, np.array(structure.atomic_numbers), structure.frac_coords


def _same_crystals(rows, crystals):
    """Groups of the same crystal among crystals of one formula and similar volume."""
    from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher

    matcher = StructureMatcher(
        ltol=_SAME_PLACES,
        stol=_SAME_PLACES,
        angle_tol=1.0,
        primitive_cell=False,
        scale=False,
        comparator=ElementComparator(),
    )
    cells = [_primitive(*crystal) for crystal in crystals]
    surroundings = np.array([_surroundings(cell) for cell in cells])
    limit = _SAME_SURROUNDINGS * surroundings.max()
    groups = []
    for k, cell in enumerate(cells):
        firsts = [group[0] for group in groups]
        differences = np.abs(surroundings[firsts] - surroundings[k]).max(axis=1)
        for place in np.flatnonzero(differences <= limit):
            first = cells[firsts[place]]
            same_size = len(first) == len(cell)
            same_volume = abs(first.volume / cell.volume - 1) <= _SAME_VOLUME
            if same_size and same_volume and matcher.fit(first, cell):
                groups[place].append(k)
                break
        else:
            groups.append([k])
    return [[rows[k] for k in group] for group in groups if len(group) > 1]


def _primitive(matrix, pbc, numbers, frac_coords):
    """The primitive cell of neutral elements, or the whole cell if spglib finds none.

    Slabs, wires and molecules are returned in their cell, with its vacuum, as a periodic crystal:
    pymatgen cannot reduce other cells.
    """
    import spglib
    from pymatgen.core import Lattice, Structure

    whole = matrix, frac_coords, numbers
    # Depending on its version, spglib returns None or raises if it finds no symmetry.
    with ignore_warnings(DeprecationWarning):
        try:
            found = spglib.find_primitive(whole, symprec=_SYMPREC) if all(pbc) else None
        except getattr(spglib, "SpglibError", RuntimeError):
            found = None
    matrix, frac_coords, numbers = whole if found is None else found
    return Structure(Lattice(matrix), numbers, frac_coords)


def _surroundings(structure):
    """Smooth numbers of neighbours by distance: mean and spread over the atoms of each element.

    Distances are in units of the cube root of the volume per atom. The cell does not matter.
    """
    numbers = np.array(structure.atomic_numbers)
    unit = (structure.volume / len(structure)) ** (1 / 3)
    target, source, _, distance = find_pairs(
        structure.cart_coords,
        structure.lattice.matrix,
        np.array(structure.lattice.pbc),
        _CENTERS[-1] * unit,
    )
    elements, kind = np.unique(numbers, return_inverse=True)
    peaks = np.exp(-(((distance[:, None] / unit - _CENTERS) / _WIDTH) ** 2) / 2)
    around = np.zeros((len(numbers), len(elements), len(_CENTERS)))
    np.add.at(around, (target, kind[source]), peaks)
    parts = [around[kind == k] for k in range(len(elements))]
    return np.stack([[part.mean(axis=0), part.std(axis=0)] for part in parts]).ravel()
