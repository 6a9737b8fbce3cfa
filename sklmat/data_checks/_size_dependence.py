"""`size_dependence`: whether a target grows with the number of atoms in the cell."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

#: Exponents between these are taken for one, a target that is proportional to the number of atoms.
_EXPONENTS = (0.5, 1.5)
_RANK_CORRELATION = 0.7
_MIN_CRYSTALS = 10


def size_dependence(
    values: np.ndarray, n_atoms: np.ndarray, formulas: list[str]
) -> dict[str, Any] | None:
    """How a target grows with the number of atoms, or None if it does not.

    Parameters
    ----------
    values : ndarray of shape (C,)
        The target; classes do not grow.
    n_atoms : ndarray of shape (C,), int
    formulas : list of C str
        Reduced formulas.

    Returns
    -------
    growth : dict or None
        ``exponent``, the number of crystals it is from (``n_crystals``), and which they are
        (``compared``); see the notes of `check_dataset`.
    """
    from scipy.stats import spearmanr

    if values.dtype.kind not in "fiu":
        return None
    values = values.astype(float)
    usable = np.isfinite(values) & (values != 0)
    logs, sizes = np.log(np.abs(values[usable])), np.log(n_atoms[usable])
    by_formula = defaultdict(list)
    for k, row in enumerate(np.flatnonzero(usable)):
        by_formula[formulas[row]].append(k)
    exponents, compared = [], set()
    for members in by_formula.values():
        for place, k in enumerate(members):
            for other in members[place + 1 :]:
                if sizes[k] != sizes[other]:
                    exponents.append((logs[k] - logs[other]) / (sizes[k] - sizes[other]))
                    compared |= {k, other}
    if len(compared) >= _MIN_CRYSTALS:
        exponent = float(np.median(exponents))
        which = "crystals of equal formulas"
        n_crystals = len(compared)
    else:
        n_crystals = int(usable.sum())
        if n_crystals < _MIN_CRYSTALS or np.ptp(sizes) == 0 or np.ptp(logs) == 0:
            return None
        if spearmanr(logs, sizes).statistic <= _RANK_CORRELATION:
            return None
        exponent = float(np.polyfit(sizes, logs, 1)[0])
        which = "crystals"
    if not _EXPONENTS[0] < exponent < _EXPONENTS[1]:
        return None
    return {"exponent": round(exponent, 3), "n_crystals": n_crystals, "compared": which}
