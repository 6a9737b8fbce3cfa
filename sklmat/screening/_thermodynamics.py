"""Thermodynamics: `configurational_entropy`, `free_energy`, `stable_phase`, `energy_above_hull`.

`lattice_parameter` computes the lattice parameter of the stable phase.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.constants import physical_constants

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import checked_fractions, mixing_entropy
from sklmat.deprecation import renamed_parameters
from sklmat.screening._prediction_columns import energy_column, phase_column
from sklmat.targets import number_array, plain_array

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike

#: Boltzmann constant (eV/K).
K_B = physical_constants["Boltzmann constant in eV/K"][0]

#: Ratio of a³ to the volume per atom; for hcp with the ideal c / a = √(8/3).
_CUBE_PER_ATOM = {"sc": 1.0, "bcc": 2.0, "fcc": 4.0, "diamond": 8.0, "hcp": np.sqrt(2)}


def configurational_entropy(x: ArrayLike) -> np.ndarray | float:
    """Compute the entropy of mixing of ideal solutions, -k_B Σ x ln x.

    Parameters
    ----------
    x : array-like of shape (n, n_elements) or (n_elements,), or DataFrame
        Atomic fractions. From a DataFrame the columns ``x_Fe``, ... are used.

    Returns
    -------
    entropy : ndarray of shape (n,), or float
        Entropy (eV/K per atom), never negative.

    Raises
    ------
    ValueError
        When fractions are negative, not finite or do not sum to one.

    Notes
    -----
    This is the entropy of a random distribution of atoms on a lattice. Short-range order lowers it.
    The entropies of vibrations and magnetism are not included.

    Examples
    --------
    >>> from sklmat.screening import configurational_entropy
    >>> f"{configurational_entropy([0.5, 0.5]):.3e}"
    '5.973e-05'
    >>> configurational_entropy([1, 0])
    0.0
    """
    entropy = K_B * mixing_entropy(checked_fractions(x))
    return float(entropy) if entropy.ndim == 0 else entropy


def free_energy(
    energy: float | ArrayLike, x: ArrayLike, temperature: float | ArrayLike
) -> np.ndarray | float:
    """Compute the free energy of ideal solutions, F = E - T S.

    Parameters
    ----------
    energy : array-like of shape (n,) or float
        Formation energies (eV/atom).
    x : array-like of shape (n, n_elements) or (n_elements,), or DataFrame
        Atomic fractions. From a DataFrame the columns ``x_Fe``, ... are used.
    temperature : float or array-like
        Temperature (K). For several temperatures pass an array of shape (n_temperatures, 1).

    Returns
    -------
    energy : ndarray or float
        Free energy (eV/atom), with the broadcast shape of the three inputs.

    Raises
    ------
    ValueError
        When an energy is not finite, a temperature is negative or not finite, or `x` does not hold
        fractions.

    See Also
    --------
    energy_above_hull : Compute whether a solution of this free energy decomposes.

    Examples
    --------
    >>> from sklmat.screening import free_energy
    >>> round(free_energy(0.02, [0.5, 0.5], 1000), 4)
    -0.0397
    """
    entropy = check_temperature(temperature) * configurational_entropy(x)
    energies = number_array(energy, "energy")
    if not np.isfinite(energies).all():
        raise ValueError("energy must hold finite numbers (eV/atom), and holds NaN or infinity")
    value = energies - entropy
    return float(value) if np.ndim(value) == 0 else value


@checked_arguments()
def stable_phase(table: pd.DataFrame, *, energy: str | None = None) -> pd.DataFrame:
    """Select the phase with the lowest formation energy at each composition.

    Parameters
    ----------
    table : DataFrame
        Result of `screen`: the columns ``x_Fe``, ..., ``phase`` and predictions, one row for each
        composition and phase.
    energy : str or None, default=None
        Column of formation energies (eV/atom). None takes the column
        ``formation energy (eV/atom)``.

    Returns
    -------
    table : DataFrame
        The row of the stable phase of each composition, in the order of `table`, with one more
        column: ``gap to next phase (eV/atom)``, the energy of the second most stable phase minus
        the energy of the stable phase (NaN if there is only one phase).

    Raises
    ------
    ValueError
        When columns are missing, when energies are not finite, when a composition has a phase
        twice, or when `energy` is a mixing energy.

    Notes
    -----
    The ideal entropy of mixing is the same for all phases of a composition, so the result does not
    depend on the temperature. Mixing energies are not allowed: they refer to the elements *in the
    phase of the alloy*, so the mixing energies of different phases have different references.

    The result is a phase in the labels of the model's training data. In `fetch_hea` these are the
    lattices *before* relaxation, and 120 of its 364 cells have another lattice after relaxation.
    For this data set, the result is the initial lattice whose relaxation ends at the lower energy.
    To predict the final lattice, train on the lattices that `infer_lattice` finds in the relaxed
    cells.

    If several phases have the same energy, the first of them in the table is selected.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmat.screening import stable_phase
    >>> table = pd.DataFrame({
    ...     "x_Fe": [1.0, 1.0, 0.5, 0.5], "x_Ni": [0.0, 0.0, 0.5, 0.5],
    ...     "phase": ["bcc", "fcc", "bcc", "fcc"],
    ...     "formation energy (eV/atom)": [0.0, 0.125, 0.0, -0.0625],
    ... })
    >>> stable_phase(table)[["x_Ni", "phase", "gap to next phase (eV/atom)"]]
       x_Ni phase  gap to next phase (eV/atom)
    0   0.0   bcc                       0.1250
    3   0.5   fcc                       0.0625
    """
    fractions, energies = _compositions_and_energies(table, energy)
    composition = number_compositions(fractions)
    phase = pd.factorize(table[phase_column(table)])[0]
    if len(np.unique(composition * (phase.max() + 1) + phase)) < len(table):
        raise ValueError("a composition has more than one row of a phase: remove the duplicates")
    order = np.lexsort((np.arange(len(table)), energies, composition))
    first = np.flatnonzero(np.diff(composition[order], prepend=-1))
    second = first + 1
    has_second = second < np.append(first[1:], len(order))
    gap = np.full(len(first), np.nan)
    lowest, next_lowest = order[first[has_second]], order[second[has_second]]
    gap[has_second] = energies[next_lowest] - energies[lowest]
    stable = table.iloc[order[first]].copy()
    stable["gap to next phase (eV/atom)"] = gap
    return stable


@checked_arguments()
def energy_above_hull(
    table: pd.DataFrame, temperature: float = 0.0, *, energy: str | None = None
) -> np.ndarray:
    """Compute the energy of each row above the convex hull of all rows.

    A solution above the hull lowers its free energy by decomposing into the solutions at the
    corners of the facet of the hull below it, which may have other phases.

    Parameters
    ----------
    table : DataFrame
        Result of `screen`: the columns ``x_Fe``, ... and predictions, one row for each composition
        and phase.
    temperature : float, default=0
        Temperature (K) at which the free energies of ideal solutions are computed; at 0 K they are
        the formation energies.
    energy : str or None, default=None
        Column of formation energies (eV/atom). None takes the column
        ``formation energy (eV/atom)``.

    Returns
    -------
    heights : ndarray of shape (n,)
        Energy above the hull (eV/atom), 0 for rows on the hull.

    Raises
    ------
    ValueError
        When columns are missing, when energies are not finite, when the temperature is negative, or
        when `energy` is a mixing energy.

    See Also
    --------
    free_energy : The free energies of which the hull is made.

    Notes
    -----
    The hull contains only the rows of `table`. Ordered compounds that are not in the table are not
    considered, and without rows of pure elements the hull ends at the outermost rows. On a coarse
    grid, stable solutions between two grid points are missing, and so are decompositions into them.

    The computing time grows steeply with the number of elements, because at high temperature all
    compositions are on the hull: see the user guide.

    Examples
    --------
    A solution at 0.02 eV/atom decomposes into its elements unless the entropy is larger:

    >>> import pandas as pd
    >>> from sklmat.screening import energy_above_hull
    >>> table = pd.DataFrame({
    ...     "x_Fe": [1, 0.5, 0], "x_Cr": [0, 0.5, 1], "formation energy (eV/atom)": [0, 0.02, 0],
    ... })
    >>> energy_above_hull(table).round(6).tolist()
    [0.0, 0.02, 0.0]
    >>> energy_above_hull(table, 500).tolist()
    [0.0, 0.0, 0.0]
    """
    fractions, energies = _compositions_and_energies(table, energy)
    energies = free_energy(energies, fractions, temperature)
    composition = number_compositions(fractions)
    lowest = np.full(composition.max() + 1, np.inf)
    np.minimum.at(lowest, composition, energies)
    row = np.empty(len(lowest), dtype=int)
    row[composition] = np.arange(len(composition))
    hull = _lower_hull(fractions[row], lowest)
    return energies - hull[composition]


@renamed_parameters(volume="volume_per_atom")
def lattice_parameter(
    volume_per_atom: float | ArrayLike, lattice: str | ArrayLike
) -> np.ndarray | float:
    """Compute the lattice parameter a from the volume per atom.

    Parameters
    ----------
    volume_per_atom : array-like or float
        Volume per atom (Å³).
    lattice : str or array-like of str
        "bcc", "fcc", "hcp", "sc" or "diamond": one for all volumes, or one for each.

    Returns
    -------
    a : ndarray or float
        Edge of the conventional cell (Å); for hcp the edge in the basal plane, with the ideal
        c / a = √(8/3).

    Raises
    ------
    ValueError
        When a volume is not positive, when a lattice is unknown, or when the numbers of volumes and
        lattices differ.

    Notes
    -----
    `lattice` is the lattice of the relaxed atoms, which may differ from the phase in which a cell
    was set up (see `stable_phase`). For a cell that was set up as bcc and has relaxed to fcc, *a*
    of bcc would be a fifth too small. `EFTGANRegressor.lattice_probability` predicts the lattice of
    a composition after relaxation.

    Examples
    --------
    >>> from sklmat.screening import lattice_parameter
    >>> round(lattice_parameter(11.81, "fcc"), 2)  # Cu
    3.61
    """
    volume = number_array(volume_per_atom, "volume_per_atom")
    if not (np.isfinite(volume) & (volume > 0)).all():
        raise ValueError("volumes must be positive numbers (Å³/atom)")
    names, code = np.unique(plain_array(lattice, "lattice").astype(str), return_inverse=True)
    unknown = [str(name) for name in names if name not in _CUBE_PER_ATOM]
    if unknown:
        raise ValueError(f"no cell is known for {unknown}; there are {list(_CUBE_PER_ATOM)}")
    ratio = np.array([_CUBE_PER_ATOM[name] for name in names])[code.reshape(np.shape(lattice))]
    try:
        a = np.cbrt(ratio * volume)
    except ValueError as error:
        raise ValueError(
            f"{ratio.size} lattices do not fit {volume.size} volumes: give one for all, or one each"
        ) from error
    return float(a) if a.ndim == 0 else a


def check_temperature(temperature):
    """Return temperatures (K) as an array; raise a ValueError if one is negative or not finite."""
    values = number_array(temperature, "temperature")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"temperature must be 0 K or more, got {temperature}")
    return values


def number_compositions(fractions):
    """Number the different compositions in the order of appearance; return the number of each row.

    Fractions are rounded, so that compositions that differ by rounding errors have the same number.
    """
    rounded = pd.DataFrame(np.round(fractions, 9) + 0.0)
    return rounded.groupby(list(rounded), sort=False).ngroup().to_numpy()


def _compositions_and_energies(table, energy):
    """Return the validated fractions and formation energies of a table."""
    column = energy_column(table.columns, energy)
    energies = number_array(table[column], repr(column))
    n_wrong = np.count_nonzero(~np.isfinite(energies))
    if n_wrong or not len(energies):
        raise ValueError(
            f"{column!r} has {n_wrong} of {len(energies)} energies that are not finite"
        )
    return checked_fractions(table), energies


def _lower_hull(fractions, energies):
    """Energy of the lower convex hull at each of the compositions, which must all be different."""
    from scipy.spatial import ConvexHull

    centred = fractions - fractions.mean(axis=0)
    _, singular_values, axes = np.linalg.svd(centred, full_matrices=False)
    rank = np.count_nonzero(singular_values > 1e-9)
    if rank == 0:
        return energies
    coordinates = centred @ axes[:rank].T
    scale = max(np.ptp(energies), 1e-6)
    heights = (energies - energies.min()) / scale
    # A point above all others gives the hull a volume even if all energies lie in a plane.
    points = np.vstack([np.column_stack([coordinates, heights]), [*np.zeros(rank), 2.0]])
    convex_hull = ConvexHull(points)
    is_lower = convex_hull.equations[:, rank] < -1e-9
    planes = np.unique(convex_hull.equations[is_lower].round(12), axis=0)
    gradients = -planes[:, :rank] / planes[:, rank, None]
    offsets = -planes[:, -1] / planes[:, rank]
    # At each composition the lower hull is the maximum over the planes of its facets.
    others = np.setdiff1d(np.arange(len(coordinates)), convex_hull.simplices[is_lower])
    hull = energies.copy()
    batch_size = max(1, 2**24 // len(planes))
    for start in range(0, len(others), batch_size):
        rows = others[start : start + batch_size]
        height = (coordinates[rows] @ gradients.T + offsets).max(axis=1)
        # Smaller differences are rounding errors of points on the hull.
        above = heights[rows] - height > 1e-9
        hull[rows[above]] = height[above] * scale + energies.min()
    return hull
