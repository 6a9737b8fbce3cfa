"""`make_mixed_halide_perovskites`: arrangements of Br and I, relaxed by a pair potential."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.datasets._mixed_halide_arrangements import MAX_SITES, arrangements, supercell
from sklmat.datasets._mixed_halide_potential import RANGE, PairPotential, vegard
from sklmat.random_state import make_generator

if TYPE_CHECKING:
    from sklmat.typing import Dataset, RandomState

#: From one to four formula units; each crystal occurs only in the first (smallest) of its cells.
SUPERCELLS = (
    (1, 1, 1),
    (2, 1, 1),
    ((1, 1, 0), (1, -1, 0), (0, 0, 1)),
    ((1, 1, 0), (1, 0, 1), (0, 1, 1)),
    (3, 1, 1),
    (2, 2, 1),
)
#: c0 and c1 of the mixing energy of random alloys, x (3 - x) (c0 + c1 (x - 1.5)), in eV per formula
#: unit: fitted to 80 random arrangements for each number of iodines in 2 x 2 x 2.
RANDOM_ALLOY = (0.0086, -0.0011)
#: Rows above this quantile are the positive class: the upper 30 %.
QUANTILE = 0.7

#: Public target -> column of ``frame``.
TARGETS = {
    "ordering_class": "high ordering energy",
    "ordering_energy": "ordering energy (eV/f.u.)",
    "mixing_energy": "mixing energy (eV/f.u.)",
    "relaxation_energy": "relaxation energy (eV/f.u.)",
}
#: Names of the two classes of a target.
CLASSES = {"ordering_class": ["other", "high ordering energy"]}

DESCR = """\
Arrangements of bromine and iodine in CsSnBr(3-x)I(x)
-----------------------------------------------------

{n_samples} arrangements in these supercells of the cubic perovskite:
{supercells}.
Within a supercell no two of them are equivalent by its space group. Arrangements that have the
periodicity of a supercell listed before are left out.

`ideal` are the cubic crystals with the lattice parameter of Vegard's law between {br} Å (CsSnBr3)
and {i} Å (CsSnI3); only these are known before a calculation. In `data` the positions are relaxed
until no force exceeds {fmax:g} eV/Å; size and shape of the cell are kept.

The energies are those of a pair potential: Born-Mayer repulsion and damped Coulomb attraction. Its
charges (0.6 of the formal charges) and range ({range} Å) were chosen; its strength and the radius
of iodine were fitted to the two lattice parameters. Nothing was fitted to quantum-mechanical
energies. The potential contains only sizes and charges: it describes how much an arrangement
strains the lattice, but not which bonds it forms.

Targets: ordering_class (1: the upper 30 % of the ordering energy, {positive} rows),
ordering_energy, mixing_energy, relaxation_energy (eV per formula unit).

* mixing energy: energy of the relaxed crystal minus the energy of x/3 CsSnI3 and 1 - x/3 CsSnBr3,
  each at its own lattice parameter.
* ordering energy: mixing energy minus the mixing energy of a random alloy of the same x, which is
  x (3 - x) ({c0} {c1:+} (x - 1.5)), a fit to 1840 random arrangements in 2 x 2 x 2. It does not
  depend on other rows, and can be compared between supercells.
* relaxation energy: relaxed minus ideal energy; never positive, except for rounding errors.

A label is a function of the relaxed positions. A model that gets `data` can compute the label from
them; a model that gets `ideal` has to predict it.
"""


@checked_arguments()
def make_mixed_halide_perovskites(
    supercells: Sequence = SUPERCELLS,
    *,
    n_iodine: int | Sequence[int] | None = None,
    n_samples: int | None = None,
    fmax: float = 1e-4,
    target: str | list[str] = "ordering_class",
    random_state: RandomState = 0,
    return_X_y: bool = False,
) -> Dataset:
    """Generate the inequivalent Br/I arrangements of CsSnBr(3-x)I(x), and relax them.

    Parameters
    ----------
    supercells : sequence of supercells
        Each supercell is three integers, its edges in cubic cells, or three rows of three integers,
        its lattice vectors. The default is six cells of 5 to 20 atoms: 1x1x1, 2x1x1, √2x√2x1, the
        rhombohedral cell of two formula units (the primitive cell if two kinds of formula units
        alternate like the ions in rock salt), 3x1x1 and 2x2x1. At most 21 formula units.
    n_iodine : int, sequence of int or None, default=None
        Number of iodines per supercell; None means all numbers, from zero to the number of halide
        sites.
    n_samples : int or None, default=None
        Largest number of arrangements for each supercell and number of iodines. They are drawn
        without replacement with probabilities proportional to their multiplicity, as in a random
        alloy. None means all, which is refused for more than 262,144 arrangements before symmetry.
    fmax : float, default=0.0001
        Positions are relaxed until no force exceeds this value (eV/Å). With the default they are
        accurate to 0.001 Å, so that symmetry can be found in relaxed cells.
    target : str or list of str, default="ordering_class"
        "ordering_class" (1: the upper 30 % of the ordering energy), "ordering_energy",
        "mixing_energy" or "relaxation_energy" (eV per formula unit). A list gives one column for
        each target.
    random_state : int, RandomState instance or None, default=0
        Seed for the choice of samples. Without `n_samples` nothing is random.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        data : list of n Structure
            The relaxed crystals.
        target : ndarray of shape (n,) or (n, n_targets)
            One column for each name when `target` is a list. Integers if it is the class.
        ideal : list of n Structure
            The crystals before relaxation, with sites in the same order.
        frame : DataFrame
            One row per arrangement: formula, supercell, formula units, arrangement (a bit mask: bit
            i is set if halide site i is iodine; in a structure of Z formula units, this is site
            2 Z + i), x, multiplicity (number of equivalent arrangements that the row represents),
            lattice parameter, energies, displacements, largest force left.
        target_names : list of str
            If `target` is the class, the names of its two values.
        DESCR : str
            Description of the data.

    Raises
    ------
    ValueError
        When a parameter is outside the ranges above.
    RuntimeError
        When forces do not fall below `fmax` in 200 steps.

    See Also
    --------
    load_mixed_halide_perovskites : Some of these crystals with quantum-mechanical labels.

    Notes
    -----
    Arrangements are bit masks, and the operations of the supercell's space group permute the bits.
    The masks that the operations make of one mask are equivalent (an orbit), and the smallest of
    them represents all. The size of the orbit is the number of operations divided by the number of
    operations that do not change the mask. For the 24 sites of 2x2x2, the 384 operations give 1, 7,
    19 and 80 orbits of 1 to 4 iodines.

    A crystal with a smaller period can occur in a supercell in several orientations (CsSnBr2I in
    3x1x1: the Sn-I-Sn chains along the long edge or across it). No operation of the supercell
    connects these, so a single supercell may contain the same crystal several times. To avoid this,
    list smaller cells first, as in the default: arrangements with the periodicity of a cell earlier
    in the list are left out.

    The potential of atoms i and j at distance r is ``B exp((R_i + R_j - r) / ρ)`` [1]_ plus the
    Coulomb energy damped by ``erfc(α r)`` and shifted so that its value and its force vanish at
    10 Å [2]_. Charges are 0.6 (Cs), 1.2 (Sn), -0.6 (halogens), α = 0.2 / Å, ρ = 0.33 Å, the radii
    of Cs and Br 1.88 and 1.96 Å [3]_, the radius of Sn 1.15 Å. B = 0.0449 eV and the radius of
    iodine, 2.108 Å, give equilibrium lattice parameters of 5.80 (CsSnBr3) and 6.20 Å (CsSnI3),
    close to the experimental cubic phases [4]_ [5]_. In this potential both cubic phases are
    stable, unlike the real ones at low temperature.

    Relaxation begins with displacements of 0.02 Å, the same for all crystals of a supercell,
    because the force on an atom at a symmetric site is zero even at an energy maximum. With other
    initial displacements, 5 of the 270 arrangements in 2x2x1 reach another minimum, whose energy
    differs by at most 0.5 meV per formula unit.

    The 335 default crystals take about two seconds on one core.

    References
    ----------
    .. [1] Huggins, Mayer, J. Chem. Phys. 1, 643 (1933), :doi:`10.1063/1.1749344`
    .. [2] Fennell, Gezelter, J. Chem. Phys. 124, 234104 (2006), :doi:`10.1063/1.2206581`
    .. [3] Shannon, Acta Cryst. A 32, 751 (1976), :doi:`10.1107/S0567739476001551`
    .. [4] Sabba et al., J. Phys. Chem. C 119, 1763 (2015), :doi:`10.1021/jp5126624`
    .. [5] Chung et al., J. Am. Chem. Soc. 134, 8579 (2012), :doi:`10.1021/ja301539s`

    Examples
    --------
    >>> from sklmat.datasets import make_mixed_halide_perovskites
    >>> perovskites = make_mixed_halide_perovskites([(2, 2, 2)], n_iodine=[1, 2])
    >>> perovskites.frame["multiplicity"].tolist()
    [24, 96, 12, 24, 96, 24, 12, 12]
    >>> perovskites.data[0].composition.reduced_formula
    'Cs8Sn8IBr23'
    """
    import pandas as pd

    names = target_names(target, TARGETS)
    cells = _check_supercells(supercells)
    _check_numbers(cells, n_iodine, n_samples, fmax)
    rng = _generator(random_state)
    frames, ideal, relaxed = [], [], []
    for position, cell in enumerate(cells):
        numbers = range(cell.n_sites + 1) if n_iodine is None else np.atleast_1d(n_iodine)
        found = [arrangements(cell, int(number), n_samples, rng) for number in numbers]
        masks, multiplicities = (np.concatenate(column) for column in zip(*found))
        repeated = [cell.repeat(masks, smaller.matrix) for smaller in cells[:position]]
        new = ~np.any(repeated, axis=0) if repeated else slice(None)
        frame, *structures = _relax(cell, masks[new], multiplicities[new], fmax)
        frames.append(frame)
        ideal += structures[0]
        relaxed += structures[1]
    frame = pd.concat(frames, ignore_index=True)
    frame[TARGETS["ordering_class"]] = upper_class(frame[TARGETS["ordering_energy"]])
    return make_bunch(
        relaxed,
        frame,
        {name: TARGETS[name] for name in names},
        multi=not isinstance(target, str),
        descr=_describe(frame, fmax),
        return_X_y=return_X_y,
        ideal=ideal,
        **class_names(target, CLASSES),
    )


def class_names(target, classes):
    """Return the names of the classes for the Bunch, if the only target is a class."""
    is_class = isinstance(target, str) and target in classes
    return {"target_names": list(classes[target])} if is_class else {}


def upper_class(values):
    """1 for values above the quantile, else 0."""
    # Energies of the same crystal in different cells agree to 1e-6.
    values = values.round(6)
    return (values > np.quantile(values, QUANTILE)).astype(int)


def random_alloy(x):
    """Mixing energy (eV per formula unit) of random alloys, in the pair potential."""
    return x * (3 - x) * (RANDOM_ALLOY[0] + RANDOM_ALLOY[1] * (x - 1.5))


def is_iodine(cell, masks):
    """Whether each halide site holds iodine, shape (n, 3 Z)."""
    return (masks[:, None] >> np.arange(cell.n_sites) & 1).astype(bool)


def describe_arrangements(cell, masks, multiplicities, displacements):
    """Return the columns of ``frame`` that need no energy."""
    n_iodine = is_iodine(cell, masks).sum(axis=1)
    x = n_iodine / cell.n_cells
    distance = np.linalg.norm(displacements, axis=2)
    return {
        "formula": [_formula(cell, number) for number in n_iodine.tolist()],
        "supercell": cell.name,
        "formula units": cell.n_cells,
        "arrangement": masks,
        "x": x,
        "multiplicity": multiplicities,
        "lattice parameter (Å)": vegard(x),
        "largest displacement (Å)": distance.max(axis=1),
        "rms displacement (Å)": np.sqrt((distance**2).mean(axis=1)),
    }


def make_structures(cell, masks, displacements):
    """Create structures of arrangements, displaced from the ideal sites (Å)."""
    from pymatgen.core import Element, Structure

    cs, sn, br, i = (Element(symbol) for symbol in ("Cs", "Sn", "Br", "I"))
    cations = [cs] * cell.n_cells + [sn] * cell.n_cells
    iodine = is_iodine(cell, masks)
    a = vegard(iodine.sum(axis=1) / cell.n_cells)
    coords = cell.sites + displacements @ np.linalg.inv(cell.matrix) / a[:, None, None]
    return [
        Structure(
            cell.matrix * edge, cations + [i if filled else br for filled in sites], positions
        )
        for edge, sites, positions in zip(a, iodine.tolist(), coords)
    ]


def _relax(cell, masks, multiplicities, fmax):
    """Return frame, ideal and relaxed structures of arrangements in one supercell."""
    import pandas as pd

    n_cells, iodine = cell.n_cells, is_iodine(cell, masks)
    x = iodine.sum(axis=1) / n_cells
    potential = PairPotential(cell)
    unrelaxed, relaxed, displacements, forces = potential.relax(iodine, vegard(x), fmax)
    parents = np.repeat([[False], [True]], cell.n_sites, axis=1)
    bromide, iodide = potential.relax(parents, vegard(np.array([0.0, 3.0])), fmax)[1]
    mixing = (relaxed - (1 - x / 3) * bromide - x / 3 * iodide) / n_cells
    columns = describe_arrangements(cell, masks, multiplicities, displacements)
    columns |= {
        "unrelaxed energy (eV/f.u.)": unrelaxed / n_cells,
        "energy (eV/f.u.)": relaxed / n_cells,
        "relaxation energy (eV/f.u.)": (relaxed - unrelaxed) / n_cells,
        "mixing energy (eV/f.u.)": mixing,
        "ordering energy (eV/f.u.)": mixing - random_alloy(x),
        "largest force (eV/Å)": forces,
    }
    ideal_structures = make_structures(cell, masks, np.zeros_like(displacements))
    return pd.DataFrame(columns), ideal_structures, make_structures(cell, masks, displacements)


def _formula(cell, n_iodine):
    from pymatgen.core import Composition

    n_cells = cell.n_cells
    amounts = {"Cs": n_cells, "Sn": n_cells, "Br": 3 * n_cells - n_iodine, "I": n_iodine}
    return Composition(amounts).reduced_formula


def _check_supercells(supercells):
    """Return the `Supercell` of each matrix."""
    expected = "supercells must be a list of supercells, each three integers or three rows of three"
    try:
        keys = [_as_key(matrix) for matrix in supercells]
    except TypeError as error:
        raise ValueError(f"{expected}, such as [(2, 2, 1)], got {supercells!r}") from error
    for key in keys:
        matrix = np.diag(key) if np.shape(key) == (3,) else np.array(key)
        if matrix.shape != (3, 3):
            raise ValueError(f"{expected}, got {key}")
        size = abs(round(np.linalg.det(matrix)))
        if not 1 <= 3 * size <= MAX_SITES:
            raise ValueError(
                f"supercell {key} has {size} formula units; 1 to {MAX_SITES // 3} are possible"
            )
    if not keys:
        raise ValueError("supercells is empty: give at least one")
    return [supercell(key) for key in keys]


def _as_key(matrix):
    """Return a matrix as tuples of integers, which are hashable."""

    def integer(value):
        if not isinstance(value, Integral):
            raise TypeError(f"{value!r} is no integer")
        return int(value)

    rows = list(matrix)
    if all(np.ndim(row) == 0 for row in rows):
        return tuple(map(integer, rows))
    return tuple(tuple(map(integer, row)) for row in rows)


def _check_numbers(cells, n_iodine, n_samples, fmax):
    if n_samples is not None and (not isinstance(n_samples, Integral) or n_samples < 1):
        raise ValueError(f"n_samples must be None or a positive integer, got {n_samples!r}")
    if not isinstance(fmax, Real) or not 0 < fmax < np.inf:
        raise ValueError(f"fmax must be a positive number of eV/Å, got {fmax!r}")
    n_sites = min(cell.n_sites for cell in cells)
    numbers = () if n_iodine is None else np.atleast_1d(n_iodine).tolist()
    if n_iodine is not None and (
        not numbers
        or len(set(numbers)) < len(numbers)
        or not all(isinstance(number, Integral) and 0 <= number <= n_sites for number in numbers)
    ):
        raise ValueError(
            f"n_iodine must be None or different integers from 0 to {n_sites}, the halide sites of "
            f"the smallest supercell, got {n_iodine!r}"
        )


def _generator(random_state):
    if isinstance(random_state, Integral):
        return np.random.default_rng(random_state)
    return make_generator(random_state)


def _describe(frame, fmax):
    return DESCR.format(
        n_samples=len(frame),
        supercells=", ".join(frame["supercell"].unique()),
        br=vegard(0),
        i=vegard(3),
        fmax=fmax,
        range=RANGE,
        positive=frame[TARGETS["ordering_class"]].sum(),
        c0=RANDOM_ALLOY[0],
        c1=RANDOM_ALLOY[1],
    )
