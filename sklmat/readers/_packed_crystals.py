"""`PackedCrystals`: many crystals as a few flat arrays, fast to store and to send to processes."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.structure import IStructure


class PackedCrystals(NamedTuple):
    """Flat arrays of C crystals with N sites together.

    Parameters
    ----------
    n_sites : ndarray of shape (C,), int64
    lattices : ndarray of shape (C, 3, 3), float64
        Lattice vectors as rows (Å).
    pbc : ndarray of shape (C, 3), bool
        Periodic directions.
    kinds : list of str
        The species that occur: "Fe", or with oxidation state and spin "Fe 2 5.0".
    species : ndarray of shape (N,), int64
        Species of each site, as number in `kinds`.
    frac_coords : ndarray of shape (N, 3), float64
    names : list of str
        The labels that occur.
    labels : ndarray of shape (N,), int64
        Label of each site, as number in `names`; -1 for the default.
    charges : ndarray of shape (C,), float64
        Charge given to the crystal (e); NaN if none was given.
    """

    n_sites: np.ndarray
    lattices: np.ndarray
    pbc: np.ndarray
    kinds: list[str]
    species: np.ndarray
    frac_coords: np.ndarray
    names: list[str]
    labels: np.ndarray
    charges: np.ndarray


def has_properties(structure: IStructure) -> bool:
    """Whether a structure or its sites have properties, which the arrays do not hold."""
    return bool(structure.properties) or any(site.properties for site in structure)


def pack(structures: Sequence[IStructure]) -> PackedCrystals:
    """Collect the arrays of ordered structures; properties are left out."""
    kinds: dict[Any, int] = {}
    names: dict[str, int] = {}
    species, labels, coords = [], [], []
    for structure in structures:
        for site in structure:
            specie = site.specie
            species.append(kinds.setdefault(specie, len(kinds)))
            label = site.label
            is_default = label == site.species_string
            labels.append(-1 if is_default else names.setdefault(label, len(names)))
            coords.append(site.frac_coords)
    return PackedCrystals(
        np.array([len(structure) for structure in structures], dtype=np.int64),
        np.array([s.lattice.matrix for s in structures], dtype=float).reshape(-1, 3, 3),
        np.array([s.lattice.pbc for s in structures], dtype=bool).reshape(-1, 3),
        [_name_of_kind(specie) for specie in kinds],
        np.array(species, dtype=np.int64),
        np.array(coords, dtype=float).reshape(-1, 3),
        list(names),
        np.array(labels, dtype=np.int64),
        np.array([np.nan if s._charge is None else s._charge for s in structures], dtype=float),
    )


def unpack(packed: PackedCrystals) -> list[Structure]:
    """Make the structures."""
    kinds = [_kind_of_name(name) for name in packed.kinds]
    species = [kinds[number] for number in packed.species.tolist()]
    labels: list[str | None] = [*packed.names, None]
    site_labels = [labels[number] for number in packed.labels.tolist()]
    ends = np.cumsum(packed.n_sites).tolist()
    make = _make_fast if _layout_is_known() else _make
    return [
        make(
            matrix,
            tuple(pbc),
            species[start:end],
            packed.frac_coords[start:end].copy(),
            site_labels[start:end],
            None if charge != charge else charge,
        )
        for matrix, pbc, charge, start, end in zip(
            packed.lattices, packed.pbc.tolist(), packed.charges.tolist(), [0, *ends], ends
        )
    ]


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Make many objects within a ``with`` block without searching them for unused ones.

    While so many objects are made, Python would search all of them again and again, which takes
    longer than making them.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _name_of_kind(specie):
    """Text of a species without rounding; ``str`` gives two digits of an oxidation state."""
    from pymatgen.core import Species

    if not isinstance(specie, Species):
        # Of deuterium the symbol is that of hydrogen.
        return specie.name
    parts = [specie.element.name, json.dumps(specie.oxi_state)]
    return " ".join(parts if specie.spin is None else [*parts, json.dumps(specie.spin)])


def _kind_of_name(name):
    from pymatgen.core import Composition, Element, Species

    symbol, *numbers = name.split(" ")
    if not numbers:
        return Composition({Element(symbol): 1})
    charge, spin = (*map(json.loads, numbers), None)[:2]
    return Composition({Species(symbol, charge, spin=spin): 1})


def _make(matrix, pbc, species, frac_coords, labels, charge):
    from pymatgen.core import Lattice, Structure

    return Structure(Lattice(matrix, pbc=pbc), species, frac_coords, charge, labels=labels)


def _make_fast(matrix, pbc, species, frac_coords, labels, charge):
    """Like `_make`, three times faster: what the constructors of pymatgen check is known here."""
    from pymatgen.core import Lattice, PeriodicSite, Structure

    lattice = Lattice(matrix, pbc=pbc)
    sites = []
    for composition, coords, label in zip(species, frac_coords, labels):
        site = PeriodicSite.__new__(PeriodicSite)
        site.__dict__.update(
            _lattice=lattice,
            _frac_coords=coords,
            _species=composition,
            _coords=None,
            properties={},
            _label=label,
        )
        sites.append(site)
    structure = Structure.__new__(Structure)
    structure.__dict__.update(_lattice=lattice, _sites=sites, _charge=charge, _properties={})
    return structure


@cache
def _layout_is_known():
    """Whether this version of pymatgen keeps in its objects what `_make_fast` puts there."""
    from pymatgen.core import Composition

    args = np.eye(3), (True, True, True), [Composition("H")], np.zeros((1, 3)), [None], None
    slow, fast = _make(*args), _make_fast(*args)
    return _contents(slow) == _contents(fast) and _contents(slow[0]) == _contents(fast[0])


def _contents(thing):
    return {name: type(value) for name, value in vars(thing).items()}
