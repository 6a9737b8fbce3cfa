"""`structure_from_ase` converts ASE ``Atoms`` to a pymatgen ``Structure``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure


def structure_from_ase(atoms: Any) -> Structure:
    """Convert ASE ``Atoms``; raise a ValueError that says what no crystal can be made of.

    Parameters
    ----------
    atoms : ase.Atoms

    Returns
    -------
    Structure
        With the periodic directions of `atoms`.
    """
    from pymatgen.core import Lattice, Structure

    cell = np.array(atoms.get_cell(), dtype=float)
    if np.isfinite(cell).all() and abs(np.linalg.det(cell)) < 1e-8:
        raise ValueError(
            "zero volume: the Atoms object has no three independent cell vectors; set a cell "
            "(atoms.center(vacuum=...) for a molecule)"
        )
    if not _is_full(atoms.info.get("occupancy")):
        raise ValueError("partial occupancy in Atoms.info['occupancy']; choose one ordering")
    if not (np.isfinite(cell).all() and np.isfinite(atoms.get_positions()).all()):
        raise ValueError("non-finite coordinates or lattice")
    numbers = np.asarray(atoms.get_atomic_numbers())
    unknown = (numbers < 1) | (numbers > 118)
    if unknown.any():
        site = int(np.argmax(unknown))
        raise ValueError(f"site {site} is a dummy species (atomic number {numbers[site]})")
    x, y, z = (bool(periodic) for periodic in atoms.get_pbc())
    return Structure(
        Lattice(cell, pbc=(x, y, z)),
        atoms.get_chemical_symbols(),
        atoms.get_positions(),
        coords_are_cartesian=True,
    )


def _is_full(occupancy):
    """Whether all occupancies are one: numbers, or by species for each site.

    ASE's CIF reader stores the occupancies of ordered crystals as well, so their values count.
    """
    if isinstance(occupancy, Mapping):
        return all(
            len(site) == 1 and abs(sum(site.values()) - 1) <= 1e-3
            if isinstance(site, Mapping)
            else _is_full(site)
            for site in occupancy.values()
        )
    try:
        numbers = np.asarray([] if occupancy is None else occupancy, dtype=float)
    except (TypeError, ValueError):
        return False
    return bool((np.abs(numbers - 1) <= 1e-3).all())
