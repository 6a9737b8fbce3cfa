"""The AFLOW prototypes of pymatgen, and other elements on their sites."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from sklmat.datasets._prototype_elements import NONMETALS, element_data
from sklmat.elements import element_table

#: Elements that are drawn only on request: short-lived, with estimated properties.
RARE_ELEMENTS = ("Po", "At", "Fr", "Ra", "Ac", "Pa")
#: Two atoms of these prototypes are closer than `check_structures` allows: Cr8Fe8Ni8Pd2Rh4 (Pd-Rh
#: 1.26 Å) and Ni4Sb4S4 (Ni-Sb 1.03 Å).
REFUSED = ("sigma_tP30_136_bf2ij", "ABC_cP12_198_a_a_a")
#: Anions are the non-metals whose electronegativity is within this of the largest in the crystal.
ANION_RANGE = 0.6
#: Decay of the probability of an element with its distance in Mendeleev numbers, and with the
#: difference of the valences.
MENDELEEV_RANGE = 15.0
VALENCE_RANGE = 1.0
#: Draws of elements for one prototype before another one is drawn.
MAX_DRAWS = 20


class Prototype(NamedTuple):
    """A crystal of the library; N atoms of S species."""

    label: str
    strukturbericht: str
    mineral: str
    pearson: str
    #: Atomic number of each species, shape (S,).
    elements: np.ndarray
    #: Species of each atom, shape (N,).
    species: np.ndarray
    lattice: np.ndarray
    frac_coords: np.ndarray

    @property
    def stoichiometry(self) -> tuple[int, ...]:
        """Smallest integers in the ratio of the species, in ascending order."""
        counts = np.bincount(self.species)
        return tuple(sorted((counts // np.gcd.reduce(counts)).tolist()))


@cache
def prototypes() -> tuple[Prototype, ...]:
    """Read the prototypes without importing what the file names."""
    folder = files("pymatgen.analysis")
    path = folder / "prototypes" / "aflow_prototypes.json.gz"
    # In older versions of pymatgen the file is neither compressed nor in a folder of its own.
    entries = json.loads(
        gzip.decompress(path.read_bytes())
        if path.is_file()
        else (folder / "aflow_prototypes.json").read_bytes()
    )
    numbers = element_table()["atomic number"]
    return tuple(_prototype(entry, numbers) for entry in entries)


def _prototype(entry, numbers):
    tags, crystal = entry["tags"], entry["snl"]
    symbols = [site["species"][0]["element"] for site in crystal["sites"]]
    elements, species = np.unique(numbers[symbols].to_numpy(), return_inverse=True)
    return Prototype(
        tags["aflow"],
        *(tags[name] if tags[name] != "None" else "" for name in ("strukturbericht", "mineral")),
        tags["pearson"],
        elements,
        species,
        np.array(crystal["lattice"]["matrix"], dtype=float),
        np.array([site["abc"] for site in crystal["sites"]]) % 1.0,
    )


def usable_prototypes(allowed: np.ndarray, max_atoms: int) -> list[Prototype]:
    """Prototypes of at most `max_atoms` atoms for whose species there are enough elements.

    Parameters
    ----------
    allowed : ndarray of int
        Atomic numbers that may be drawn.
    max_atoms : int
    """
    n_anions = np.isin(allowed, nonmetal_numbers()).sum()
    return [
        prototype
        for prototype in prototypes()
        if prototype.label not in REFUSED
        and len(prototype.species) <= max_atoms
        and len(prototype.elements) <= len(allowed)
        and anions(prototype).sum() <= n_anions
    ]


@cache
def nonmetal_numbers() -> np.ndarray:
    """Atomic numbers of the elements that can be anions."""
    return element_table(list(NONMETALS))["atomic number"].to_numpy()


def anions(prototype: Prototype) -> np.ndarray:
    """Whether each species of a prototype is an anion, shape (S,)."""
    electronegativity = element_data().electronegativity[prototype.elements]
    electronegativity = np.nan_to_num(electronegativity, nan=0.0)  # noble gases
    return np.isin(prototype.elements, nonmetal_numbers()) & (
        electronegativity >= electronegativity.max() - ANION_RANGE
    )


def draw_elements(
    rng: np.random.Generator, prototype: Prototype, allowed: np.ndarray
) -> np.ndarray | None:
    """Draw an element for each species of a prototype.

    An anion is replaced by an anion. Every other species is replaced by an element that is less
    electronegative than all anions of the new crystal.

    Parameters
    ----------
    rng : numpy Generator
    prototype : Prototype
    allowed : ndarray of int
        Atomic numbers that may be drawn.

    Returns
    -------
    elements : ndarray of shape (S,), atomic numbers, or None if no draw satisfies this
    """
    is_anion = anions(prototype)
    electronegativity = element_data().electronegativity
    probabilities = [_probabilities(*each, allowed) for each in zip(prototype.elements, is_anion)]
    for _ in range(MAX_DRAWS):
        drawn = np.array([rng.choice(allowed, p=p) for p in probabilities])
        lowest = electronegativity[drawn[is_anion]].min(initial=np.inf)
        highest = electronegativity[drawn[~is_anion]].max(initial=-np.inf)
        if len({*drawn.tolist()}) == len(drawn) and highest < lowest:
            return drawn
    return None


def _probabilities(number, is_anion, allowed):
    """Probability of each allowed element in place of the element `number`."""
    data = element_data()
    if np.isfinite(data.cohesion[number]):
        weights = np.exp(
            -np.abs(data.mendeleev[allowed] - data.mendeleev[number]) / MENDELEEV_RANGE
            - np.abs(data.valence[allowed] - data.valence[number]) / VALENCE_RANGE
        )
    else:  # a noble gas or californium: these prototypes are close-packed
        weights = np.ones(len(allowed))
    if is_anion:
        weights = weights * np.isin(allowed, nonmetal_numbers())
    return weights / weights.sum()


def exchange_prototype(elements: np.ndarray, old: Prototype, new: Prototype) -> np.ndarray:
    """Elements of `new` that give it the composition of `old` with `elements`.

    Among species of equal numbers of atoms, the order of electronegativities in the prototype is
    kept.

    Parameters
    ----------
    elements : ndarray of shape (S,)
        Atomic numbers of the species of `old`.
    old, new : Prototype
        Two prototypes of equal stoichiometry.
    """
    electronegativity = np.nan_to_num(element_data().electronegativity)
    order_old = np.lexsort([electronegativity[elements], np.bincount(old.species)])
    order_new = np.lexsort([electronegativity[new.elements], np.bincount(new.species)])
    exchanged = np.empty(len(elements), dtype=int)
    exchanged[order_new] = elements[order_old]
    return exchanged
