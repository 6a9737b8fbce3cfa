"""`make_prototypes`: crystals of mixed chemistry, other elements on the sites of known crystals."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.datasets._generated_cache import cache_path, fixed_seed, read_cache, write_cache
from sklmat.datasets._prototype_crystals import (
    RARE_ELEMENTS,
    REFUSED,
    draw_elements,
    exchange_prototype,
    usable_prototypes,
)
from sklmat.datasets._prototype_elements import COHESION, element_data
from sklmat.datasets._prototype_potential import relax
from sklmat.elements import element_table
from sklmat.memory import BYTES_PER_ATOM, refuse_beyond_memory
from sklmat.parallel import check_n_jobs
from sklmat.processes import run_parallel

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
#: Crystals are drawn again if their volume is outside this range, in units of the volumes of their
#: elements: atoms of molecules or layers may be further apart than in any crystal, and hydrogen
#: closer.
RELATIVE_VOLUME = (0.25, 2.0)
#: Crystals that are drawn before giving up.
MAX_DRAWS = 300

TARGETS = {
    "formation_energy": "formation energy (eV/atom)",
    "volume": "volume (Å³/atom)",
    "bulk_modulus": "bulk modulus (GPa)",
}

DESCR = """\
Crystals of mixed chemistry
---------------------------

{n_samples} crystals of up to {max_atoms} atoms per cell. Each is one of the prototypes of the AFLOW
library (measured crystals, as included in pymatgen) with other elements on its sites: an anion is
replaced by another anion, any other element by one that is less electronegative than all anions of
the crystal. Elements with similar Mendeleev number and valence are more likely. Of each three
crystals, the second and third have the same composition in two prototypes, if there are two.

The volume is that of lowest energy in the model of the labels. The shape of the cell and the
fractional coordinates are those of the prototype. Crystals are drawn again if their formation
energy is above {max_energy:g} eV/atom, if their volume is below {min_volume:g} or above
{max_volume:g} times that of their elements, or if two atoms are closer than {min_distance:g} times
the sum of their covalent radii. Two prototypes are left out because `check_structures` refuses
them: {refused[0]} (Cr8Fe8Ni8Pd2Rh4, with a Pd-Rh distance of 1.26 Å) and
{refused[1]} (Ni4Sb4S4, with a Ni-Sb distance of 1.03 Å).

Targets: formation_energy (eV/atom, relative to the elements in the same model), volume (Å³/atom)
and bulk_modulus (GPa). The volume is that of the structure, so it is a target only for models that
do not see the structure. The labels are computed with a simple model, not with quantum mechanics:
bonds in the second-moment approximation with parameters from cohesive energy, bond length and bulk
modulus of the elements, charges from equalised electronegativities, and their Coulomb energy. Four
constants were adjusted to measured volumes of half of the prototypes and to textbook values of 58
formation energies.

What is realistic: volumes (of 284 prototypes with their own elements, the median error is 8 %, the
rank correlation with experiment 0.92); which compounds are stable (mean absolute error of 28
formation energies 0.42 eV/atom, rank correlation 0.90); the order of bulk moduli.

What is not: energy differences between polymorphs; alloys of transition metals, whose d bands are
not described (Al3Ni2 and Al3Ti have formation energies near zero instead of -0.6 and -0.4 eV/atom);
magnetism; forces between molecules and between layers (each crystal scales as a whole, and its
bonds determine the scale); hydrides, whose formation energies are too high. Most of the crystals do
not exist.

References: Mehl et al., Comput. Mater. Sci. 136, S1 (2017), doi 10.1016/j.commatsci.2017.01.017;
Hicks et al., Comput. Mater. Sci. 161, S1 (2019), doi 10.1016/j.commatsci.2018.10.043.
"""


@checked_arguments(n_samples=None, max_atoms=None)
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
    """Generate crystals of mixed chemistry, with other elements on the sites of known crystals.

    Parameters
    ----------
    n_samples : int, default=400
        Number of crystals. Twice as many take twice as long.
    elements : sequence of str, default=None
        Elements that are drawn. ``None`` means 82 elements, H to Pu without the noble gases, Po,
        At, Fr, Ra, Ac and Pa. Any elements up to Pu except the noble gases can be given.
    max_atoms : int, default=20
        Largest number of atoms per primitive cell; 249 of the 286 prototypes have at most 20.
    target : str or list of str, default="formation_energy"
        "formation_energy" (eV/atom), "volume" (Å³/atom, of the structure itself) or "bulk_modulus"
        (GPa). A list gives one column for each target.
    random_state : int, RandomState instance or None, default=0
        The default is a fixed seed, because only results of integer seeds can be cached. Crystal i
        does not depend on `n_samples` and `n_jobs`.
    data_home : str or Path, default=None
        Folder of the cached file. ``None`` takes the user's cache folder
        (``pooch.os_cache("sklmat")``), even if ``SKLMAT_DATA`` is set, because that folder may be
        shared or read-only.
    cache : bool, default=True
        Whether to store the crystals on disk and load them at the next call.
    n_jobs : int, default=None
        Number of processes (joblib); ``None`` means one, unless in a `joblib.parallel_config`.
    verbose : bool, default=False
        Show a progress bar.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        data : list of `n_samples` Structure
            The crystals.
        target : ndarray of shape (n_samples,) or (n_samples, n_targets)
            One column for each name when `target` is a list.
        frame : DataFrame
            Formula, number of elements, prototype (AFLOW label), Strukturbericht, mineral (each an
            empty string if there is none), Pearson symbol and all labels.
        target_names : list of str
            Names of the targets.
        DESCR : str
            Description of the data.

    Raises
    ------
    ValueError
        When a parameter is outside the ranges above, or when no prototype can be made of
        `elements`.

    Warns
    -----
    UserWarning
        When the result cannot be stored on disk, or when a stored result cannot be read.

    Notes
    -----
    The prototypes [1]_ [2]_ are decorated with probabilities proportional to
    ``exp(-ΔM / 15 - Δv)``, with the differences of the Mendeleev numbers [3]_ and of the valences
    of the old and the new element. Prototypes of one element are drawn a third as often as others.

    The energy of a crystal is

    ``E = Σ_i (½ Σ_j φ_ij - √(Σ_j h_ij²)) + min_q [Σ_i (χ_i q_i + K v_i u_i⁴ / 4)
    + ½ Σ_ij q_i J_ij q_j]``

    - ``φ_ij = A exp(-α (r - d)) w`` is the repulsion of two atoms at distance r, and
      ``h_ij² = ξ² exp(-2 β (r - d)) w`` their attraction in the second-moment approximation [4]_
      [5]_. The parameters of an element follow from its cohesive energy, bond length and bulk
      modulus [6]_, and from the number of bonds that it prefers. For two elements A and ξ are
      geometric means, α and β arithmetic means, d the sum of the radii.
    - χ is 3 eV times Pauling's electronegativity, J the Coulomb interaction of Gaussian charges as
      wide as the covalent radius, as in charge equilibration [7]_. ``u = q / v`` is the charge
      relative to the valence; K = 5 eV holds it near or below one.
    - ``w = exp(-(u_i² + u_j²) / 2)``: electrons that moved to another atom form no bonds.

    The formation energy is relative to the elements in the same model: metals in fcc, C, Si, Ge and
    Sn in diamond, the other non-metals with 1 (H, N, O, halogens), 2 (S, Se, Te), 3 (P, As, Sb) or
    6 (B) bonds. The bulk modulus is the second derivative of the energy by the volume, at fixed
    fractional coordinates. ``DESCR`` states which of this is realistic.

    References
    ----------
    .. [1] Mehl et al., Comput. Mater. Sci. 136, S1 (2017), :doi:`10.1016/j.commatsci.2017.01.017`
    .. [2] Hicks et al., Comput. Mater. Sci. 161, S1 (2019), :doi:`10.1016/j.commatsci.2018.10.043`
    .. [3] Pettifor, J. Phys. C 19, 285 (1986), :doi:`10.1088/0022-3719/19/3/002`
    .. [4] Abell, Phys. Rev. B 31, 6184 (1985), :doi:`10.1103/PhysRevB.31.6184`
    .. [5] Cleri, Rosato, Phys. Rev. B 48, 22 (1993), :doi:`10.1103/PhysRevB.48.22`
    .. [6] Kittel, Introduction to Solid State Physics, 8th edition, Wiley (2005), chapter 3
    .. [7] Rappé, Goddard, J. Phys. Chem. 95, 3358 (1991), :doi:`10.1021/j100161a070`

    Examples
    --------
    >>> from sklmat.datasets import make_prototypes
    >>> crystals = make_prototypes(3, cache=False)
    >>> crystals.frame[["formula", "prototype"]]
       formula            prototype
    0     SbF3      AB3_hR8_148_c_f
    1  CaTiAs3  ABC3_hR10_167_a_b_e
    2  CaTiAs3  ABC3_hR10_161_a_a_b
    >>> crystals.target.round(2)
    array([-2.19, -1.28, -1.27])
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
        descr=DESCR.format(
            n_samples=n_samples,
            max_atoms=max_atoms,
            max_energy=MAX_FORMATION_ENERGY,
            min_volume=RELATIVE_VOLUME[0],
            max_volume=RELATIVE_VOLUME[1],
            min_distance=MIN_RELATIVE_DISTANCE,
            refused=REFUSED,
        ),
        return_X_y=return_X_y,
    )


def _check_parameters(n_samples, elements, max_atoms):
    """Validate the parameters; return them in a form that JSON can store."""
    for name, value in (("n_samples", n_samples), ("max_atoms", max_atoms)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}")
    # The least number of atoms of a prototype is one.
    refuse_beyond_memory(f"n_samples={n_samples}: crystals", n_samples * BYTES_PER_ATOM)
    if elements is None:
        elements = [symbol for symbol in COHESION if symbol not in RARE_ELEMENTS]
    elements = tuple(elements)
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
    from tqdm.auto import tqdm

    n_samples, allowed = parameters["n_samples"], _atomic_numbers(parameters["elements"])
    if not usable_prototypes(allowed, parameters["max_atoms"]):
        raise ValueError(
            f"no prototype of at most max_atoms={parameters['max_atoms']} atoms can be made of the "
            f"elements {', '.join(parameters['elements'])}"
        )
    seeds = np.random.SeedSequence(seed).spawn(-(-n_samples // BLOCK))
    items = ((seed, allowed, parameters["max_atoms"]) for seed in seeds)
    blocks = run_parallel(make_block, items, n_jobs=n_jobs)
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
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    library = usable_prototypes(allowed, max_atoms)
    # Several threads are no faster for these small matrices, and would round differently.
    with threadpool_limits(1):
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
    raise ValueError(
        f"no plausible crystal in {MAX_DRAWS} draws from these elements; allow more elements or "
        "a larger max_atoms"
    )


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
    if relaxed is None:
        return None
    low, high = RELATIVE_VOLUME
    if (
        relaxed.closest < MIN_RELATIVE_DISTANCE
        or relaxed.formation_energy > MAX_FORMATION_ENERGY
        or not low < relaxed.volume / element_data().volume[numbers].mean() < high
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
