"""Mixed-halide perovskites generated offline: every Br/I arrangement, relaxed by a pair potential."""

from numbers import Integral, Real

import numpy as np

from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.datasets._mixed_halides_orbits import MAX_SITES, arrangements, supercell
from sklmat.datasets._mixed_halides_potential import PairPotential, vegard

#: Twenty atoms, then what is smaller and no part of them.
SUPERCELLS = ((2, 2, 1), (3, 1, 1), ((1, 1, 0), (1, 0, 1), (0, 1, 1)))
#: Mixing energy of random alloys, x (3 - x) (c0 + c1 (x - 1.5)) in eV per formula unit.
RANDOM_ALLOY = (0.0087, -0.0009)
#: The class is the rows above this quantile of the ordering energy.
QUANTILE = 0.7

#: Public target -> column of ``frame``.
TARGETS = {
    "ordering_class": "high ordering energy",
    "ordering_energy": "ordering energy (eV/f.u.)",
    "mixing_energy": "mixing energy (eV/f.u.)",
    "energy": "energy (eV/f.u.)",
}
CLASSES = ["other", "high ordering energy"]

DESCR = """\
CsSnBr(3-x)I(x), all arrangements
---------------------------------

{n_samples} arrangements.
"""


def make_mixed_halide_perovskites(
    supercells=SUPERCELLS,
    *,
    n_iodine=None,
    n_samples=None,
    fmax=1e-4,
    target="ordering_class",
    random_state=0,
    return_X_y=False,
):
    """Generate the inequivalent Br/I arrangements of CsSnBr(3-x)I(x), and relax them.

    Parameters
    ----------
    supercells : sequence
        Each three integers (edges in cubic cells) or three rows of three (lattice vectors).
    n_iodine : int, sequence of int or None, default=None
        Iodines per cell; None means all numbers.
    n_samples : int or None, default=None
        At most so many arrangements of each supercell and number of iodines; None means all.
    fmax : float, default=0.0001
        Positions are relaxed until no force exceeds it (eV/Å).
    target : str or list of str, default="ordering_class"
        "ordering_class" (1: upper 30 % of the ordering energy), "ordering_energy", "mixing_energy"
        or "energy" (eV per formula unit); a list gives a column each.
    random_state : int, RandomState instance or None, default=0
        Draws the arrangements when there are more than `n_samples`.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        data : list of relaxed pymatgen ``Structure``.
        target : ndarray of shape (n,), or (n, n_targets) for a list.
        ideal : list of ``Structure`` before relaxation, sites in the same order.
        frame : DataFrame with one row per arrangement.
        target_names : list of str. The names of the two classes for the class alone.
        DESCR : str
    """
    import pandas as pd
    from sklearn.utils import check_random_state

    names = target_names(target, TARGETS)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    parts = []
    for matrix in supercells:
        cell = supercell(_as_key(matrix))
        numbers = range(cell.n_sites + 1) if n_iodine is None else np.atleast_1d(n_iodine)
        found = [arrangements(cell, int(number), n_samples, rng) for number in numbers]
        masks, multiplicities = (np.concatenate(column) for column in zip(*found))
        parts.append(_relaxed(cell, masks, multiplicities, fmax))
    frame = pd.concat([part[0] for part in parts], ignore_index=True)
    ordering = frame[TARGETS["ordering_energy"]].round(6)
    frame[TARGETS["ordering_class"]] = (ordering > np.quantile(ordering, QUANTILE)).astype(int)
    ideal, relaxed = ([item for part in parts for item in part[k]] for k in (1, 2))
    classes = {"target_names": list(CLASSES)} if target == "ordering_class" else {}
    return make_bunch(
        relaxed,
        frame,
        {name: TARGETS[name] for name in names},
        multi=not isinstance(target, str),
        descr=DESCR.format(n_samples=len(frame)),
        return_X_y=return_X_y,
        ideal=ideal,
        **classes,
    )


def _as_key(matrix):
    return tuple(tuple(map(int, row)) if np.ndim(row) else int(row) for row in matrix)


def _relaxed(cell, masks, multiplicities, fmax):
    """Frame, ideal and relaxed structures of the arrangements in one supercell."""
    import pandas as pd

    iodine = (masks[:, None] >> np.arange(cell.n_sites) & 1).astype(bool)
    x = iodine.sum(axis=1) / cell.n_cells
    a = vegard(x)
    potential = PairPotential(cell)
    before, after, moves, forces = potential.relax(iodine, a, fmax)
    parents = np.array([[False] * cell.n_sites, [True] * cell.n_sites])
    _, ends, _, _ = potential.relax(parents, vegard(np.array([0.0, 3.0])), fmax)
    mixing = (after - (1 - x / 3) * ends[0] - x / 3 * ends[1]) / cell.n_cells
    distance = np.linalg.norm(moves, axis=2)
    frame = pd.DataFrame(
        {
            "supercell": _name(cell.matrix),
            "formula units": cell.n_cells,
            "arrangement": masks,
            "x": x,
            "multiplicity": multiplicities,
            "lattice parameter (Å)": a,
            "unrelaxed energy (eV/f.u.)": before / cell.n_cells,
            "energy (eV/f.u.)": after / cell.n_cells,
            "mixing energy (eV/f.u.)": mixing,
            "ordering energy (eV/f.u.)": mixing - random_alloy(x),
            "largest displacement (Å)": distance.max(axis=1),
            "rms displacement (Å)": np.sqrt((distance**2).mean(axis=1)),
            "largest force (eV/Å)": forces,
        }
    )
    ideal = np.broadcast_to(cell.sites, moves.shape)
    shifts = moves @ np.linalg.inv(cell.matrix) / a[:, None, None]
    both = [structures(cell, iodine, a, coords) for coords in (ideal, ideal + shifts)]
    return frame, *both


def random_alloy(x):
    """Mixing energy (eV per formula unit) of random alloys."""
    return x * (3 - x) * (RANDOM_ALLOY[0] + RANDOM_ALLOY[1] * (x - 1.5))


def _name(matrix):
    if (matrix == np.diag(np.diag(matrix))).all():
        return "x".join(map(str, np.diag(matrix)))
    return " ".join("".join(map(str, row)) for row in matrix.tolist())


def structures(cell, iodine, a, coords):
    """Structures of all rows; species as Cs, Sn, halides."""
    from pymatgen.core import Element, Structure

    cs, sn, br, i = (Element(symbol) for symbol in ("Cs", "Sn", "Br", "I"))
    head = [cs] * cell.n_cells + [sn] * cell.n_cells
    return [
        Structure(cell.matrix * edge, head + [i if here else br for here in row], places)
        for row, edge, places in zip(iodine.tolist(), a, coords)
    ]
