"""`load_mixed_halide_perovskites`: crystals with GFN1-xTB labels, from a file in the package."""

from __future__ import annotations

from importlib.resources import files
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.datasets._make_mixed_halides import (
    class_names,
    describe_arrangements,
    make_structures,
    upper_class,
)
from sklmat.datasets._mixed_halide_arrangements import supercell

if TYPE_CHECKING:
    from sklmat.typing import Dataset

FILE = "mixed_halides_xtb.npz"

#: Public target -> column of ``frame``.
TARGETS = {
    "efficiency_class": "high efficiency",
    "ordering_class": "high ordering energy",
    "efficiency": "efficiency (%)",
    "gap": "gap (eV)",
    "ordering_energy": "ordering energy (eV/f.u.)",
    "mixing_energy": "mixing energy (eV/f.u.)",
}
CLASSES = {
    "efficiency_class": ["other", "high efficiency"],
    "ordering_class": ["other", "high ordering energy"],
}

DESCR = """\
CsSnBr(3-x)I(x) with labels of GFN1-xTB
---------------------------------------

{n_samples} arrangements of bromine and iodine on the 24 halide sites of one 2 x 2 x 2 supercell (40
atoms) of the cubic perovskite, x = 0, 1/8, ..., 3. No two of them are equivalent by the space group
of the supercell. For 0 to 3 and 21 to 24 iodines all arrangements are included. For each other
number of iodines, 25 arrangements were drawn in proportion to their multiplicity, as they occur in
a random alloy.

`ideal` are the crystals with every atom on its ideal site and the lattice parameter of Vegard's law
between 5.8 and 6.2 Å. In `data` the positions are relaxed with a pair potential of sizes and
charges (see make_mixed_halide_perovskites). The labels were computed at the positions of `data`.

Labels: {method}; closed shell, electrons at 300 K, Gamma point only. All rows converged. In a test
of twelve rows with accuracy 0.01, labels changed by at most 2e-6 eV (energy of the cell), 3e-5 eV
(gap) and 3e-5 eV/Å (force). The file was made by examples/benchmarks/label_mixed_halides.py.

Targets:

* efficiency_class (1: the upper 30 % of the efficiency, {efficient} rows), efficiency: the limit of
  Shockley and Queisser (%) for the gap, AM1.5G, 25 °C (see shockley_queisser).
* gap (eV): between the highest occupied and the lowest unoccupied level.
* ordering_class (1: the upper 30 % of the ordering energy, {costly} rows), ordering_energy: mixing
  energy minus the mixing energy of a random alloy, x (3 - x) times a polynomial of third degree in
  x that is fitted to all rows. With a polynomial of lower degree, the ordering energy would depend
  on the composition by more than the scatter.
* mixing_energy: energy minus the energy of x/3 CsSnI3 and 1 - x/3 CsSnBr3. All energies are in eV
  per formula unit.

Properties of the labels:

* The gap decreases from 1.68 eV (x = 0) to 0.79 (x = 3). The mean of each composition explains 97 %
  of its variance; arrangements of one composition differ by 0.03 to 0.05 eV (standard deviation)
  for x between 0.5 and 1.9. The efficiency is not a monotone function of the gap: it is high for
  gaps of 1.11 to 1.21 eV and of 1.31 to 1.41 eV. Both classes occur at 11 of the 25 compositions, x
  from 0.5 to 1.75. If rows are ranked by the fraction of the other rows of their composition that
  are in the class, the ROC-AUC is 0.90. For the ordering energy, composition explains 4 % of the
  variance (ROC-AUC 0.58).
* Gamma-point gaps depend on the supercell: do not compare them with gaps of other cells or with
  experiment (1.75 eV for CsSnBr3, 1.3 eV for CsSnI3).
* The positions are not relaxed in xTB: the largest force is 0.78 eV/Å on average and up to 1.37,
  the rms force 0.27 on average. Relaxation with the pair potential does not reduce it: in twelve
  cells, the rms force was 0.27, and 0.26 on the ideal sites. The cubic phase is not stable in
  GFN1-xTB: in a relaxation of three cells, atoms had moved by about 1 Å after 25 steps, the energy
  was lower by 0.2 to 0.3 eV per formula unit, and the gaps were above 2 eV. The labels are
  therefore results of the method *at* these positions.
* Energy, gap and forces are results of an electronic-structure method; they are not functions of
  bond lengths, angles or symmetry alone.
"""


@checked_arguments()
def load_mixed_halide_perovskites(
    target: str | list[str] = "efficiency_class", *, return_X_y: bool = False
) -> Dataset:
    """Load 481 arrangements of CsSnBr(3-x)I(x) with energies and gaps from GFN1-xTB.

    Parameters
    ----------
    target : str or list of str, default="efficiency_class"
        "efficiency_class" (1: the upper 30 % of the efficiency limit), "ordering_class" (1: the
        upper 30 % of the ordering energy), "efficiency" (%), "gap" (eV), "ordering_energy" or
        "mixing_energy" (eV per formula unit). A list gives one column for each target.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        data : list of 481 Structure
            Crystals of 40 atoms, for which the labels were computed.
        target : ndarray of shape (481,) or (481, n_targets)
            One column for each name when `target` is a list. Integers if it is a class.
        ideal : list of 481 Structure
            The same crystals with all atoms on their ideal sites, in the same order.
        frame : DataFrame
            One row per arrangement: formula, arrangement (a bit mask, see
            `make_mixed_halide_perovskites`), x, multiplicity, lattice parameter, displacements,
            energies, gap, efficiency limit, J_sc, V_oc, fill factor, power density, forces,
            classes.
        target_names : list of str
            If `target` is a class, the names of its two values.
        DESCR : str
            Description of the data.

    Raises
    ------
    ValueError
        When `target` is unknown.

    See Also
    --------
    make_mixed_halide_perovskites : Such crystals in any supercell, with a pair potential.
    sklmat.screening.shockley_queisser : Computes the efficiency limit.

    Notes
    -----
    The file is part of the package; nothing is downloaded. `DESCR` describes the limits of the
    labels: they are single-point calculations with an approximate method, at positions that are not
    relaxed in this method.

    References
    ----------
    .. [1] Grimme, Bannwarth, Shushkov, J. Chem. Theory Comput. 13, 1989 (2017),
       :doi:`10.1021/acs.jctc.7b00118`
    .. [2] Shockley, Queisser, J. Appl. Phys. 32, 510 (1961), :doi:`10.1063/1.1736034`

    Examples
    --------
    >>> from sklmat.datasets import load_mixed_halide_perovskites
    >>> perovskites = load_mixed_halide_perovskites()
    >>> len(perovskites.data), perovskites.target_names
    (481, ['other', 'high efficiency'])
    >>> perovskites.frame["gap (eV)"].agg(["min", "max"]).round(2).tolist()
    [0.79, 1.68]
    """
    import pandas as pd

    from sklmat.screening import shockley_queisser

    names = target_names(target, TARGETS)
    path = files("sklmat.datasets").joinpath("data", FILE)
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        arrays = dict(file)
    cell = supercell(tuple(arrays["supercell"].tolist()))
    masks = arrays["arrangement"].astype(np.int64)
    multiplicities = arrays["multiplicity"].astype(np.int64)
    displacements = arrays["displacements"] * arrays["resolution"]
    columns = describe_arrangements(cell, masks, multiplicities, displacements)
    mixing = mixing_energy(columns["x"], arrays["energy"] / cell.n_cells)
    reference = random_alloy(columns["x"], mixing, _weights(cell, masks, multiplicities))
    columns |= {
        "energy (eV/f.u.)": arrays["energy"] / cell.n_cells,
        TARGETS["mixing_energy"]: mixing,
        TARGETS["ordering_energy"]: mixing - reference,
        TARGETS["gap"]: arrays["gap"],
    }
    frame = pd.DataFrame(columns).join(shockley_queisser(arrays["gap"]))
    frame["largest force (eV/Å)"] = arrays["force_max"]
    frame["rms force (eV/Å)"] = arrays["force_rms"]
    frame[TARGETS["efficiency_class"]] = upper_class(frame[TARGETS["efficiency"]])
    frame[TARGETS["ordering_class"]] = upper_class(frame[TARGETS["ordering_energy"]])
    return make_bunch(
        make_structures(cell, masks, displacements),
        frame,
        {name: TARGETS[name] for name in names},
        multi=not isinstance(target, str),
        descr=_describe(frame, arrays["method"].item()),
        return_X_y=return_X_y,
        ideal=make_structures(cell, masks, np.zeros_like(displacements)),
        **class_names(target, CLASSES),
    )


def mixing_energy(x, energies):
    """Energy minus that of the parents (eV per formula unit), both of which must be rows."""
    bromide, iodide = energies[x == 0].item(), energies[x == 3].item()
    return energies - (1 - x / 3) * bromide - x / 3 * iodide


def random_alloy(x, mixing, weights):
    """Mixing energy of random alloys: a weighted fit of x (3 - x) (c0 + c1 x + c2 x² + c3 x³)."""
    terms = (x * (3 - x))[:, None] * x[:, None] ** np.arange(4)
    scale = np.sqrt(weights)
    coefficients = np.linalg.lstsq(terms * scale[:, None], mixing * scale, rcond=None)[0]
    return terms @ coefficients


def _describe(frame, method):
    efficient, costly = (frame[TARGETS[name]].sum() for name in CLASSES)
    return DESCR.format(n_samples=len(frame), method=method, efficient=efficient, costly=costly)


def _weights(cell, masks, multiplicities):
    """Weight of each row, such that the weights of each number of iodines sum to one.

    If all arrangements are present, weights are proportional to the multiplicities. Drawn samples
    have equal weights, because they were drawn with probabilities proportional to the
    multiplicities.
    """
    n_iodine = np.bitwise_count(masks).astype(int)
    weights = np.empty(len(masks))
    for number in np.unique(n_iodine):
        rows = n_iodine == number
        complete = multiplicities[rows].sum() == comb(cell.n_sites, int(number))
        weight = multiplicities[rows] if complete else np.ones(rows.sum())
        weights[rows] = weight / weight.sum()
    return weights
