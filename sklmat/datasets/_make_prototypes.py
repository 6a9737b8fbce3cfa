"""`make_prototypes`: crystals of mixed chemistry, other elements on the sites of known crystals."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.datasets._generated_cache import cache_path, fixed_seed, read_cache, write_cache
from sklmat.datasets._prototype_crystals import (
    DEFAULT_ELEMENTS,
    draw_elements,
    exchange_prototype,
    usable_prototypes,
)
from sklmat.datasets._prototype_elements import COHESION, element_data
from sklmat.datasets._prototype_potential import relax
from sklmat.elements import element_table
from sklmat.parallel import check_n_jobs

if TYPE_CHECKING:
    from sklmat.typing import Dataset, PathLike, RandomState

#: Part of the name of the cached file: increase it if the same parameters give other crystals.
VERSION = 1
#: Crystals are drawn in threes: one, and two of one composition in different prototypes.
BLOCK = 3
#: Crystals whose formation energy (eV/atom) is larger are drawn again.
MAX_FORMATION_ENERGY = 1.0
#: Crystals are drawn again if two atoms are closer than this fraction of their covalent radii.
MIN_RELATIVE_DISTANCE = 0.6
#: Probability of a prototype of one species, relative to that of another prototype.
ELEMENT_WEIGHT = 1 / 3
#: Crystals are drawn again if they are larger than their elements by more than this factor: atoms
#: of molecules or layers are then further apart than in any crystal.
MAX_RELATIVE_VOLUME = 2.0
#: Crystals that are drawn before giving up.
MAX_DRAWS = 1000

TARGETS = {
    "formation_energy": "formation energy (eV/atom)",
    "volume": "volume (Å³/atom)",
    "bulk_modulus": "bulk modulus (GPa)",
}

DESCR = """\
"""


def make_prototypes(
    n_samples: int = 400,
    *,
    elements: Sequence[str] | None = None,
    max_atoms: int = 20,
    target: str | list[str] = "formation_energy",
    random_state: RandomState = 0,
    data_home: PathLike | None = None,
    cache: bool = True,
    n_jobs: int | None = None,
    verbose: bool = False,
    return_X_y: bool = False,
) -> Dataset:
    """Generate crystals of mixed chemistry.
    """
    check_n_jobs(n_jobs, "make_prototypes")
    names = target_names(target, TARGETS)
    parameters = _check_parameters(n_samples, elements, max_atoms)
    seed, is_fixed = fixed_seed(random_state)
    key = {**parameters, "random_state": seed, "version": VERSION}
    path = cache_path("prototypes", key, data_home) if cache and is_fixed else None
    arrays = read_cache(path) if path else None
    if arrays is None:
        arrays = _generate(parameters, seed, n_jobs, verbose)
        if path:
            write_cache(arrays, path, "crystals")
    frame, structures = _tables(arrays)
    return make_bunch(
        structures,
        frame,
        {name: TARGETS[name] for name in names},
        multi=not isinstance(target, str),
        descr=DESCR,
        return_X_y=return_X_y,
    )


def _check_parameters(n_samples, elements, max_atoms):
    """Validate the parameters; return them in a form that JSON can store."""
    for name, value in (("n_samples", n_samples), ("max_atoms", max_atoms)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}")
    elements = DEFAULT_ELEMENTS if elements is None else tuple(elements)
    unknown = [str(symbol) for symbol in elements if symbol not in COHESION]
    if unknown:
        raise ValueError(
            f"elements must be symbols of the elements 1 to 94 without the noble gases, "
            f"got {', '.join(unknown)}"
        )
    if not elements or len(set(elements)) != len(elements):
        raise ValueError(f"elements must be one or more different symbols, got {elements}")
    return {
        "n_samples": int(n_samples),
        # In the order of atomic numbers, because the same set must give the same crystals.
        "elements": [symbol for symbol in COHESION if symbol in elements],
        "max_atoms": int(max_atoms),
    }


def _generate(parameters, seed, n_jobs, verbose):
    """Generate all crystals; return flat arrays of their atoms, and one array for each column."""
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    n_samples, allowed = parameters["n_samples"], _atomic_numbers(parameters["elements"])
    if not usable_prototypes(allowed, parameters["max_atoms"]):
        raise ValueError(
            f"no prototype of at most max_atoms={parameters['max_atoms']} atoms can be made of the "
            f"elements {', '.join(parameters['elements'])}"
        )
    seeds = np.random.SeedSequence(seed).spawn(-(-n_samples // BLOCK))
    blocks = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(make_block)(seed, allowed, parameters["max_atoms"]) for seed in seeds
    )
    crystals = []
    with tqdm(total=n_samples, desc="making crystals", unit="crystal", disable=not verbose) as bar:
        for block in blocks:
            new = block[: n_samples - len(crystals)]
            crystals += new
            bar.update(len(new))
    columns = {name: [crystal[name] for crystal in crystals] for name in crystals[0]}
    sizes = [len(numbers) for numbers in columns["numbers"]]
    flat = {name: np.concatenate(columns.pop(name)) for name in ("numbers", "frac_coords")}
    return {**flat, "size": np.array(sizes), **{k: np.array(v) for k, v in columns.items()}}


def _atomic_numbers(symbols):
    return element_table(symbols)["atomic number"].to_numpy()


def make_block(seed, allowed, max_atoms):
    """Generate three crystals, the last two of one composition in different prototypes.

    If no other prototype has the composition of the second crystal, the third has another one.

    Parameters
    ----------
    seed : numpy SeedSequence
    allowed : ndarray of int
        Atomic numbers that may be drawn.
    max_atoms : int

    Returns
    -------
    crystals : list of three dicts
    """
    rng = np.random.default_rng(seed)
    library = usable_prototypes(allowed, max_atoms)
    first, _, _ = _draw_crystal(rng, library, allowed)
    second, prototype, elements = _draw_crystal(rng, library, allowed)
    third = _other_prototype(rng, library, prototype, elements)
    return [first, second, third or _draw_crystal(rng, library, allowed)[0]]


def _draw_crystal(rng, library, allowed):
    """Draw prototypes and elements until the crystal is plausible."""
    weights = np.where([len(each.elements) == 1 for each in library], ELEMENT_WEIGHT, 1.0)
    weights /= weights.sum()
    for _ in range(MAX_DRAWS):
        prototype = library[rng.choice(len(library), p=weights)]
        elements = draw_elements(rng, prototype, allowed)
        crystal = None if elements is None else _make_crystal(prototype, elements)
        if crystal is not None:
            return crystal, prototype, elements
    raise ValueError(f"no plausible crystal in {MAX_DRAWS} draws; allow more elements")


def _other_prototype(rng, library, prototype, elements):
    """Make a crystal of the same composition in another prototype, or return None."""
    others = [
        other
        for other in library
        if other.label != prototype.label and other.stoichiometry == prototype.stoichiometry
    ]
    for index in rng.permutation(len(others)):
        other = others[index]
        crystal = _make_crystal(other, exchange_prototype(elements, prototype, other))
        if crystal is not None:
            return crystal
    return None


def _make_crystal(prototype, elements):
    """Relax the volume of a prototype with other elements; None if it is not plausible."""
    numbers = elements[prototype.species]
    relaxed = relax(numbers, prototype.frac_coords, prototype.lattice)
    if (
        relaxed is None
        or relaxed.closest < MIN_RELATIVE_DISTANCE
        or relaxed.volume > MAX_RELATIVE_VOLUME * element_data().volume[numbers].mean()
        or relaxed.formation_energy > MAX_FORMATION_ENERGY
    ):
        return None
    return {
        "numbers": numbers,
        "frac_coords": prototype.frac_coords,
        "lattice": prototype.lattice * relaxed.scale,
        "prototype": prototype.label,
        "strukturbericht": prototype.strukturbericht,
        "mineral": prototype.mineral,
        "pearson": prototype.pearson,
        **{name: getattr(relaxed, name) for name in TARGETS},
    }


def _tables(arrays):
    """Return the frame and the structures."""
    import pandas as pd
    from pymatgen.core import Element, Structure

    element = {number: Element.from_Z(number) for number in np.unique(arrays["numbers"]).tolist()}
    species = np.array([element[number] for number in arrays["numbers"].tolist()], dtype=object)
    ends = np.cumsum(arrays["size"])[:-1]
    structures = [
        Structure(lattice, symbols.tolist(), frac_coords)
        for lattice, symbols, frac_coords in zip(
            arrays["lattice"], np.split(species, ends), np.split(arrays["frac_coords"], ends)
        )
    ]
    frame = pd.DataFrame(
        {
            "formula": [structure.composition.reduced_formula for structure in structures],
            "n_elements": [len(structure.composition) for structure in structures],
            "prototype": arrays["prototype"],
            "Strukturbericht": arrays["strukturbericht"],
            "mineral": arrays["mineral"],
            "Pearson symbol": arrays["pearson"],
            **{column: arrays[name] for name, column in TARGETS.items()},
        }
    )
    return frame, structures
