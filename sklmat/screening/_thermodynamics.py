"""Entropy, free energy, which phase is stable, and the size of its cell."""

import numpy as np
import pandas as pd
from scipy.constants import physical_constants

from sklmat.compositions import checked_fractions, mixing_entropy
from sklmat.screening._prediction_columns import energy_column, phase_column

#: Boltzmann constant (eV/K).
K_B = physical_constants["Boltzmann constant in eV/K"][0]

#: a³ per volume of an atom (both Å³). Of hcp with the ideal c / a = √(8/3).
_CUBES = {"sc": 1.0, "bcc": 2.0, "fcc": 4.0, "diamond": 8.0, "hcp": np.sqrt(2)}


def configurational_entropy(x):
    """Compute the entropy of mixing of ideal solutions, -k_B Σ x ln x.

    Parameters
    ----------
    x : array-like of shape (n, n_elements) or (n_elements,), or DataFrame
        Atomic fractions. Of a DataFrame the columns ``x_Fe``, ... are taken.

    Returns
    -------
    entropy : ndarray of shape (n,), or float
        Entropy (eV/K per atom), never negative.

    Raises
    ------
    ValueError
        When fractions are negative, not finite or do not add up to one.

    Notes
    -----
    That is the entropy of a lattice on which atoms sit at random. Short-range order lowers it;
    vibrations and magnetism, which are left out, add their own.

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


def free_energy(energy, x, temperature):
    """Compute the free energy of ideal solutions, F = E - T S.

    Parameters
    ----------
    energy : array-like of shape (n,) or float
        Formation energies (eV/atom).
    x : array-like of shape (n, n_elements) or (n_elements,), or DataFrame
        Atomic fractions. Of a DataFrame the columns ``x_Fe``, ... are taken.
    temperature : float or array-like
        Temperature (K). Several go with an axis in front: of shape (n_temperatures, 1).

    Returns
    -------
    energy : ndarray or float
        Free energy (eV/atom), of the shape of all three together.

    Raises
    ------
    ValueError
        When a temperature is negative or not finite, or `x` are no fractions.

    See Also
    --------
    energy_above_hull : Whether a solution of this free energy decomposes.

    Examples
    --------
    >>> from sklmat.screening import free_energy
    >>> round(free_energy(0.02, [0.5, 0.5], 1000), 4)
    -0.0397
    """
    temperature = check_temperature(temperature)
    value = np.asarray(energy, dtype=float) - temperature * configurational_entropy(x)
    return float(value) if np.ndim(value) == 0 else value


def stable_phase(table, *, energy=None):
    """Choose at each composition the phase with the lowest formation energy.

    Parameters
    ----------
    table : DataFrame
        What `screen` gives: the columns ``x_Fe``, ..., ``phase`` and predictions, one row for each
        composition and phase.
    energy : str or None, default=None
        Column of formation energies (eV/atom). None takes the one that is called so.

    Returns
    -------
    table : DataFrame
        One row per composition, that of the stable phase, in the order of `table`, with one more
        column: ``gap to next phase (eV/atom)``, how much more energy the second phase has (NaN
        where there is none).

    Raises
    ------
    ValueError
        When columns are missing, energies are not finite, a composition has a phase twice, or
        `energy` is a mixing energy.

    Notes
    -----
    The entropy of an ideal solution is the same for all phases at a composition, so temperature
    plays no part. Mixing energies would mislead: they are measured from the elements *in the
    lattice of the alloy*, so those of different phases do not start from the same zero.

    What the model was told are phases decides what the answer means. In `fetch_hea` they are the
    lattices that relaxations *began* with, which 120 of its 364 cells have left: there, the answer
    is the better starting lattice. Train on `infer_lattice` of the relaxed cells to ask for the
    lattice itself.

    Of phases with equal energies the first one in the table is chosen.

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
    group = group_compositions(fractions)
    phase = pd.factorize(table[phase_column(table)])[0]
    if len(np.unique(group * (phase.max() + 1) + phase)) < len(table):
        raise ValueError("a composition has more than one row of a phase: remove the duplicates")
    order = np.lexsort((np.arange(len(table)), energies, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    second = first + 1
    has_second = second < np.append(first[1:], len(order))
    gap = np.full(len(first), np.nan)
    low, high = order[first[has_second]], order[second[has_second]]
    gap[has_second] = energies[high] - energies[low]
    chosen = table.iloc[order[first]].copy()
    chosen["gap to next phase (eV/atom)"] = gap
    return chosen


def energy_above_hull(table, temperature=0.0, *, energy=None):
    """Compute how far each row is above the convex hull of all rows.

    A solution above the hull gains free energy by decomposing into those on the hull around it,
    which may be of any phase.

    Parameters
    ----------
    table : DataFrame
        What `screen` gives: the columns ``x_Fe``, ... and predictions, one row for each
        composition and phase.
    temperature : float, default=0
        Temperature (K) of the ideal entropy; at 0 K energies are compared.
    energy : str or None, default=None
        Column of formation energies (eV/atom). None takes the one that is called so.

    Returns
    -------
    heights : ndarray of shape (n,)
        Height above the hull (eV/atom), 0 on it.

    Raises
    ------
    ValueError
        When columns are missing, energies are not finite, the temperature is negative, or `energy`
        is a mixing energy.

    See Also
    --------
    free_energy : The energy that the hull is made of.

    Notes
    -----
    The hull is that of the rows in `table`, no more: ordered compounds that nobody predicted are
    not on it, and without rows of pure elements the hull ends where the rows do. On a coarse grid
    a solution between two points of it is missed, and with it some decomposition.

    The time grows steeply with the number of elements, since at high temperature all compositions
    are on the hull: see the user guide.

    Examples
    --------
    A solution at 0.02 eV/atom decomposes into its elements until entropy outweighs it:

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
    group = group_compositions(fractions)
    lowest = np.full(group.max() + 1, np.inf)
    np.minimum.at(lowest, group, energies)
    place = np.empty(len(lowest), dtype=int)
    place[group] = np.arange(len(group))
    hull = _lower_hull(fractions[place], lowest)
    return energies - hull[group]


def lattice_parameter(volume, lattice):
    """Compute the lattice parameter a from the volume of an atom.

    Parameters
    ----------
    volume : array-like or float
        Volume per atom (Å³).
    lattice : str or array-like of str
        "bcc", "fcc", "hcp", "sc" or "diamond", one for all or one each.

    Returns
    -------
    a : ndarray or float
        Edge of the conventional cell (Å); of hcp the edge in the basal plane, for the ideal
        c / a = √(8/3).

    Raises
    ------
    ValueError
        When a volume is not positive, a lattice is unknown, or their numbers do not fit.

    Notes
    -----
    `lattice` is the one on which the atoms sit, which is not always the phase that a cell was set
    up as (see `stable_phase`): of a cell that is called bcc and has become fcc, *a* would come out
    a fifth too small. `EFTGANRegressor.lattice_probability` tells where a composition comes to
    rest.

    Examples
    --------
    >>> from sklmat.screening import lattice_parameter
    >>> round(lattice_parameter(11.81, "fcc"), 2)  # Cu
    3.61
    """
    volume = np.asarray(volume, dtype=float)
    if not (np.isfinite(volume) & (volume > 0)).all():
        raise ValueError("volumes must be positive numbers (Å³/atom)")
    names, code = np.unique(np.asarray(lattice, dtype=str), return_inverse=True)
    other = [str(name) for name in names if name not in _CUBES]
    if other:
        raise ValueError(f"no cell is known for {other}; there are {list(_CUBES)}")
    cube = np.array([_CUBES[name] for name in names])[code.reshape(np.shape(lattice))]
    try:
        a = np.cbrt(cube * volume)
    except ValueError as error:
        raise ValueError(
            f"{cube.size} lattices do not fit {volume.size} volumes: give one for all, or one each"
        ) from error
    return float(a) if a.ndim == 0 else a


def check_temperature(temperature):
    """Temperatures (K) as an array, refused when they cannot be."""
    values = np.asarray(temperature, dtype=float)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"temperature must be 0 K or more, got {temperature}")
    return values


def group_compositions(fractions):
    """A number for each row, equal for rows of the same composition, in order of appearance.

    Rows of a grid carry the same bits wherever they come from; rounding makes those alike that
    were computed otherwise.
    """
    rounded = pd.DataFrame(np.round(fractions, 9) + 0.0)
    return rounded.groupby(list(rounded), sort=False).ngroup().to_numpy()


def _compositions_and_energies(table, energy):
    column = energy_column(table.columns, energy)
    energies = table[column].to_numpy(dtype=float)
    wrong = np.count_nonzero(~np.isfinite(energies))
    if wrong or not len(energies):
        raise ValueError(f"{column!r} has {wrong} of {len(energies)} energies that are not finite")
    return checked_fractions(table), energies


def _lower_hull(fractions, energies):
    """Energy of the lower convex hull at each of the compositions, which all differ."""
    from scipy.spatial import ConvexHull

    centred = fractions - fractions.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    rank = np.count_nonzero(sizes > 1e-9)
    if rank == 0:
        return energies
    places = centred @ axes[:rank].T
    scale = max(np.ptp(energies), 1e-6)
    heights = (energies - energies.min()) / scale
    # A point far above keeps the body solid when all energies lie in a plane.
    points = np.vstack([np.column_stack([places, heights]), [*np.zeros(rank), 2.0]])
    body = ConvexHull(points)
    faces_down = body.equations[:, rank] < -1e-9
    planes = np.unique(body.equations[faces_down].round(12), axis=0)
    slopes = -planes[:, :rank] / planes[:, rank, None]
    offsets = -planes[:, -1] / planes[:, rank]
    # The hull is the highest of the planes under it; it never is above a point.
    others = np.setdiff1d(np.arange(len(places)), body.simplices[faces_down])
    hull = energies.copy()
    size = max(1, 2**24 // len(planes))
    for start in range(0, len(others), size):
        rows = others[start : start + size]
        lowest = (places[rows] @ slopes.T + offsets).max(axis=1)
        # What is left by rounding is no height.
        above = heights[rows] - lowest > 1e-9
        hull[rows[above]] = lowest[above] * scale + energies.min()
    return hull
