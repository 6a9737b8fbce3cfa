"""`check_energies`, `check_volumes` and others: consistency of the labels of a data set.

Each function compares two columns that are related by physics, or a column and the structures. It
returns a table with one row per crystal, in the order of the input: the difference, and whether it
exceeds the tolerance. Nothing is corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sklmat.argument_checks import NOT_NEGATIVE, POSITIVE, checked_arguments
from sklmat.compositions import parse_composition
from sklmat.deprecation import renamed_parameters
from sklmat.targets import number_array, plain_array, refuse_missing_groups

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.typing import ArrayLike, Compositions, Structures

#: emu/g of one Bohr magneton per atomic mass unit: μB (9.2740100657e-21 emu) over the mass unit
#: (1.66053906892e-24 g), CODATA 2022.
EMU_PER_GRAM = 9.2740100657e-21 / 1.66053906892e-24


@checked_arguments(tol=NOT_NEGATIVE)
def check_energies(
    X: Structures | Compositions,
    total_energy: ArrayLike,
    formation_energy: ArrayLike,
    *,
    references: Mapping[str, float] | None = None,
    groups: ArrayLike | None = None,
    tol: float = 1e-3,
) -> pd.DataFrame:
    """Compare total energies with formation (or mixing) energies.

    Their difference must be linear in composition: ``E_total - E_form = Σ_e c_e μ_e``, with one
    reference energy μ per element. Rows that deviate from it by more than `tol` are flagged.

    Parameters
    ----------
    X : sequence of C Structure, Composition or formulas
        The alloys; only their atom fractions matter. Strings are formulas here, such as "Fe3Ni".
    total_energy : array-like of shape (C,)
        Total energies (eV/atom).
    formation_energy : array-like of shape (C,)
        Formation or mixing energies (eV/atom).
    references : dict, default=None
        Symbol -> energy (eV/atom) of the element; with `groups`, group -> such a dict. ``None``
        fits the energies to the rows, so that no reference calculation is needed.
    groups : array-like of shape (C,), default=None
        Group of each row, such as the phase for mixing energies. Each group has its own references.
        ``None`` puts all rows into one group.
    tol : float, default=1e-3
        Largest residual (eV/atom) that rounding and convergence explain; the default is meant for
        labels with four or more decimals.

    Returns
    -------
    report : DataFrame of C rows
        Columns "residual (eV/atom)"; "flagged"; "checkable", which is False if one of the fitted
        references depends on this row only, so that its residual is zero for any label.
        ``report.attrs["references"]`` holds the references.

    Raises
    ------
    ValueError
        When lengths differ, values are not finite, or `references` lacks an element or group.

    Notes
    -----
    The fit minimises absolute residuals, so that a minority of wrong rows does not change the
    references. It is then refined by least squares on the rows that agree with the first fit.

    Examples
    --------
    >>> from sklmat.datasets import check_energies
    >>> alloys = ["Ni", "Fe", "Fe3Ni", "FeNi", "FeNi3", "FeNi2"]
    >>> e_form = [0.0, 0.0, 0.01, -0.02, -0.03, -0.02]
    >>> e_total = [-5.5, -8.2, -7.515, -6.87, -6.205, -6.12]  # the last should be -6.42
    >>> check_energies(alloys, e_total, e_form).query("flagged").round(3)
       residual (eV/atom)  flagged  checkable
    5                 0.3     True       True
    """
    compositions = _fractions(X)
    difference = _column("total_energy", total_energy, len(compositions)) - _column(
        "formation_energy", formation_energy, len(compositions)
    )
    refuse_missing_groups(groups)
    labels = np.zeros(len(compositions), int) if groups is None else plain_array(groups, "groups")
    if labels.shape != difference.shape:
        raise ValueError(f"groups has shape {labels.shape}, expected {difference.shape}")
    residual, checkable = np.empty(len(difference)), np.ones(len(difference), bool)
    used = {}
    for group in dict.fromkeys(labels.tolist()):
        rows = labels == group
        elements, table = _fraction_table([compositions[row] for row in np.flatnonzero(rows)])
        if references is None:
            energies, checkable[rows] = _fit_references(table, difference[rows], tol)
        else:
            given = references if groups is None else _lookup(references, group, "group")
            energies = np.array([_lookup(given, element, "element") for element in elements])
        residual[rows] = difference[rows] - table @ energies
        used[group] = dict(zip(elements, energies.tolist()))
    report = _report("residual (eV/atom)", residual, np.abs(residual) > tol)
    report["checkable"] = checkable
    report.attrs["references"] = used[0] if groups is None else used
    return report


@checked_arguments(tol=NOT_NEGATIVE)
def check_moments(
    moment_per_atom: ArrayLike, moment_per_cell: ArrayLike, n_atoms: ArrayLike, *, tol: float = 0.01
) -> pd.DataFrame:
    """Compare magnetic moments per atom with the moments of the cells.

    Parameters
    ----------
    moment_per_atom : array-like of shape (C,)
        Magnetic moments (μB/atom).
    moment_per_cell : array-like of shape (C,)
        Magnetic moments (μB/cell).
    n_atoms : array-like of shape (C,)
        Number of atoms in each cell.
    tol : float, default=0.01
        Largest difference (μB/atom) that rounding explains; the default is meant for two decimals.

    Returns
    -------
    report : DataFrame of C rows
        Columns "residual (μB/atom)", the moment per atom minus the moment of the cell divided by
        its number of atoms; and "flagged".

    Examples
    --------
    >>> from sklmat.datasets import check_moments
    >>> check_moments([2.2, 1.9], [35.2, 45.65], [16, 36])["flagged"].tolist()
    [False, True]
    """
    per_atom = _column("moment_per_atom", moment_per_atom)
    per_cell = _column("moment_per_cell", moment_per_cell, len(per_atom))
    sizes = _column("n_atoms", n_atoms, len(per_atom))
    if (sizes < 1).any():
        row = int(np.argmax(sizes < 1))
        raise ValueError(
            f"n_atoms is {sizes[row]:g} in row {row}, and a cell has at least one atom"
        )
    residual = per_atom - per_cell / sizes
    return _report("residual (μB/atom)", residual, np.abs(residual) > tol)


@checked_arguments(rtol=NOT_NEGATIVE, floor=POSITIVE)
def check_magnetizations(
    X: Structures | Compositions,
    magnetization: ArrayLike,
    moment_per_atom: ArrayLike,
    *,
    rtol: float = 0.02,
    floor: float = 0.1,
) -> pd.DataFrame:
    """Compare magnetizations in emu/g with moments per atom and the masses of the alloys.

    Parameters
    ----------
    X : sequence of C Structure, Composition or formulas
        The crystals or their compositions.
    magnetization : array-like of shape (C,)
        Magnetizations (emu/g).
    moment_per_atom : array-like of shape (C,)
        Magnetic moments (μB/atom).
    rtol : float, default=0.02
        Largest relative difference. The default is smaller than the change of an alloy's mass if an
        element is replaced by its neighbour in the periodic table.
    floor : float, default=0.1
        A row is not flagged if both its given magnetization and the one computed from its moment
        are below this value (emu/g), because their relative difference is then mostly rounding
        error.

    Returns
    -------
    report : DataFrame of C rows
        Columns "relative residual" and "flagged".

    Examples
    --------
    >>> from sklmat.datasets import check_magnetizations
    >>> check_magnetizations(["Fe", "Ni"], [222.0, 86.3], [2.22, 0.605])["flagged"].tolist()
    [False, True]
    """
    masses = np.array([composition.weight for composition in _fractions(X)])
    label = _column("magnetization", magnetization, len(masses))
    expected = _column("moment_per_atom", moment_per_atom, len(masses)) / masses * EMU_PER_GRAM
    magnitude = np.maximum(np.abs(label), np.abs(expected))
    residual = (label - expected) / np.maximum(np.abs(expected), floor)
    return _report("relative residual", residual, (np.abs(residual) > rtol) & (magnitude > floor))


@renamed_parameters(structures="X")
@checked_arguments(rtol=NOT_NEGATIVE)
def check_volumes(X: Structures, volume_per_atom: ArrayLike, *, rtol: float = 3e-3) -> pd.DataFrame:
    """Compare volume labels with the volumes of the cells.

    Parameters
    ----------
    X : sequence of C crystals
        Crystals that `check_structures` accepts.
    volume_per_atom : array-like of shape (C,)
        Volumes (Å³/atom).
    rtol : float, default=3e-3
        Largest relative difference; the default is far above the rounding error of three decimals.

    Returns
    -------
    report : DataFrame of C rows
        Columns "relative residual", (volume of the cell / label) - 1; and "flagged".

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat.datasets import check_volumes
    >>> iron = Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> check_volumes([iron, iron], [11.82, 11.35])["flagged"].tolist()
    [False, True]
    """
    from sklmat.structures import check_structures

    cells = check_structures(X)
    label = _column("volume_per_atom", volume_per_atom, len(cells))
    residual = np.array([cell.volume / len(cell) for cell in cells]) / label - 1
    return _report("relative residual", residual, np.abs(residual) > rtol)


@renamed_parameters(structures="X")
@checked_arguments(tol=NOT_NEGATIVE)
def check_compositions(
    X: Structures | Compositions, expected: Structures | Compositions, *, tol: float = 1e-3
) -> pd.DataFrame:
    """Compare the compositions of cells with the compositions in a table.

    Parameters
    ----------
    X : sequence of C Structure, Composition or formulas
        The crystals or their compositions.
    expected : sequence of C Structure, Composition or formulas
        Composition of each row according to the table.
    tol : float, default=1e-3
        Largest difference between two atom fractions of an element.

    Returns
    -------
    report : DataFrame of C rows
        Columns "largest difference in atom fraction" and "flagged".

    Examples
    --------
    >>> from sklmat.datasets import check_compositions
    >>> check_compositions(["Fe8Ni8", "Mn24Fe12"], ["NiFe", "FeCrMn"])["flagged"].tolist()
    [False, True]
    """
    found, given = _fractions(X), _fractions(expected)
    if len(found) != len(given):
        raise ValueError(f"{len(found)} structures, but {len(given)} expected compositions")
    difference = np.array(
        [
            max(abs(one[element] - other[element]) for element in {*one, *other})
            for one, other in zip(found, given)
        ],
        dtype=float,
    )
    return _report("largest difference in atom fraction", difference, difference > tol)


def _report(name, residual, flagged):
    """Create the table that a check returns."""
    import pandas as pd

    return pd.DataFrame({name: residual, "flagged": flagged})


def _fractions(X):
    """Compute the atom fractions of structures, compositions or formulas."""
    from pymatgen.core import Composition

    if isinstance(X, str | Composition) or hasattr(X, "lattice"):
        raise TypeError("X must be a sequence of alloys, not a single one: put it into a list")
    fractions = []
    for row, item in enumerate(X):
        try:
            composition = parse_composition(getattr(item, "composition", item))
        except (TypeError, ValueError) as error:
            raise ValueError(f"row {row}: {item!r} has no composition ({error})") from error
        if not composition.num_atoms:
            raise ValueError(f"row {row}: {item!r} has no atoms")
        fractions.append(composition.element_composition.fractional_composition)
    return fractions


def _column(name, values, length=None):
    """Return finite numbers, `length` of them if it is given, or raise a ValueError."""
    values = number_array(values, name)
    if values.ndim != 1 or length not in (None, len(values)):
        expected = "(C,)" if length is None else f"({length},)"
        raise ValueError(f"{name} has shape {values.shape}, expected {expected}")
    if not np.isfinite(values).all():
        rows = np.flatnonzero(~np.isfinite(values))[:10].tolist()
        raise ValueError(f"{name} is not finite in rows {rows}: fill or drop them first")
    return values


def _lookup(references, key, what):
    """Return the entry of `references` for an element or a group."""
    if key not in references:
        raise ValueError(f"references has no {what} {key!r}, only {sorted(references)}")
    return references[key]


def _fraction_table(compositions):
    """Return the elements that occur, and atom fractions of shape (n_rows, n_elements)."""
    elements = sorted({str(element) for composition in compositions for element in composition})
    fractions = [[composition[element] for element in elements] for composition in compositions]
    return elements, np.array(fractions)


def _fit_references(table, difference, tol):
    """Fit the reference energies with which most rows agree.

    Returns
    -------
    energies : ndarray of shape (n_elements,)
    checkable : bool ndarray of shape (n_rows,)
        False for rows that alone determine one of the energies.
    """
    from sklearn.linear_model import QuantileRegressor

    # Relative to the median, because the solver has absolute tolerances.
    median = np.median(difference)
    regressor = QuantileRegressor(quantile=0.5, alpha=0, fit_intercept=False, solver="highs")
    residual = difference - median - table @ regressor.fit(table, difference - median).coef_
    # Three standard deviations, estimated by the median of the absolute residuals.
    limit = 3 * 1.4826 * np.median(np.abs(residual))
    agree = np.abs(residual) <= max(tol, limit)
    energies = median + np.linalg.lstsq(table[agree], difference[agree] - median, rcond=None)[0]
    inverse = np.linalg.pinv(table[agree].T @ table[agree])
    leverage = np.einsum("re,ef,rf->r", table, inverse, table)
    return energies, ~(agree & (leverage > 1 - 1e-6))
