"""`make_toy_crystals`, `make_toy_table`: small data for the checks of estimators and samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sklmat.argument_checks import POSITIVE_INT, checked_arguments
from sklmat.compositions import fraction_column

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sklmat.typing import RandomState

#: Fractional coordinates of four sites.
_FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
_BCC = np.array([[0, 0, 0], [0.25, 0.5, 0.5], [0.5, 0, 0], [0.75, 0.5, 0.5]])


@checked_arguments(n_samples=POSITIVE_INT)
def make_toy_crystals(
    n_samples: int = 8,
    *,
    task: Literal["regression", "classification"] = "regression",
    equal_size: bool = False,
    random_state: RandomState = 0,
) -> tuple[list[Structure], np.ndarray]:
    """Make small strained Ni-Cu-Pd crystals, alternately bcc and fcc.

    Parameters
    ----------
    n_samples : int, default=8
        Number of crystals C. Each contains all three elements, so that no fold lacks an element.
    task : {"regression", "classification"}, default="regression"
        Type of the target: the volume per atom (Å³), or the name of the lattice.
    equal_size : bool, default=False
        Whether all crystals have four atoms; otherwise half of them have eight.
    random_state : int or RandomState, default=0
        Seed of the strains and displacements.

    Returns
    -------
    structures : list of C pymatgen Structure
        The crystals.
    y : ndarray of shape (C,)
        Targets.

    Examples
    --------
    >>> from sklmat.estimator_checks import make_toy_crystals
    >>> structures, y = make_toy_crystals(4, task="classification")
    >>> [len(structure) for structure in structures], y.tolist()
    ([4, 4, 8, 8], ['bcc', 'fcc', 'bcc', 'fcc'])
    """
    rng = check_random_state(random_state)
    structures = [_toy_crystal(index, equal_size, rng) for index in range(n_samples)]
    if task == "classification":
        return structures, np.resize(np.array(["bcc", "fcc"]), n_samples)
    return structures, np.array([structure.volume / len(structure) for structure in structures])


def _toy_crystal(index, equal_size, rng):
    """Create a strained crystal: fcc for odd numbers, two of every four with eight atoms."""
    from pymatgen.core import Lattice, Structure

    fcc = index % 2
    a = (3.7 if fcc else 2.95) * rng.uniform(0.97, 1.03)
    sites = _FCC if fcc else _BCC
    species = ["Ni", "Cu", "Pd", ("Ni", "Cu", "Pd")[rng.randint(3)]]
    lengths = np.array([a if fcc else 2 * a, a, a])
    positions = sites * lengths
    if not equal_size and index % 4 >= 2:
        # Two cells along b.
        positions = (positions[:, np.newaxis] + [[0, 0, 0], [0, a, 0]]).reshape(-1, 3)
        species, lengths = [symbol for symbol in species for _ in range(2)], lengths * [1, 2, 1]
    # Far below the tolerances of symmetry finders (0.01-0.1 Å): for displacements close to a
    # tolerance, the symmetry found depends on the order of the atoms.
    positions = positions + rng.normal(scale=0.002, size=positions.shape)
    return Structure(Lattice.orthorhombic(*lengths), species, positions, coords_are_cartesian=True)


@checked_arguments(n_samples=POSITIVE_INT)
def make_toy_table(
    n_samples: int = 24,
    *,
    task: Literal["regression", "classification"] = "regression",
    random_state: RandomState = 0,
) -> tuple[pd.DataFrame, pd.Series]:
    """Make a table of Fe-Ni-Pd alloys with columns like those of sklmat's featurizers.

    Parameters
    ----------
    n_samples : int, default=24
        Number of rows.
    task : {"regression", "classification"}, default="regression"
        Type of the target: a number that depends on composition, phase and descriptors, or the name
        of the lattice.
    random_state : int or RandomState, default=0
        Seed of the compositions and descriptors.

    Returns
    -------
    X : DataFrame of shape (n_samples, 12)
        Fractions ``x_*`` of three elements, one of which is absent in a third of the rows; one-hot
        ``lattice_*``; columns ``Fe_0``, ``Fe_1``, ... that are zero for absent elements; and a
        volume. The index decreases from 100 in steps of two.
    y : Series of length n_samples
        Targets.

    Examples
    --------
    >>> from sklmat.estimator_checks import make_toy_table
    >>> X, y = make_toy_table()
    >>> X.columns.tolist()
    ['x_Fe', 'x_Ni', 'x_Pd', 'lattice_bcc', 'lattice_fcc',
     'Fe_0', 'Fe_1', 'Ni_0', 'Ni_1', 'Pd_0', 'Pd_1', 'volume per atom (Å³)']
    """
    rng = check_random_state(random_state)
    fractions = rng.dirichlet(np.ones(3), size=n_samples)
    rows = np.arange(0, n_samples, 3)
    fractions[rows, rows // 3 % 3] = 0.0
    fractions /= fractions.sum(axis=1, keepdims=True)
    fcc = (np.arange(n_samples) % 2).astype(float)
    elements = ("Fe", "Ni", "Pd")
    table = {fraction_column(element): values for element, values in zip(elements, fractions.T)}
    table |= {"lattice_bcc": 1 - fcc, "lattice_fcc": fcc}
    latent = fractions @ np.array([1.0, -0.5, 2.0]) + 0.3 * fcc
    for number, element in enumerate(elements):
        for column in range(2):
            values = latent + number - column + 0.1 * rng.normal(size=n_samples)
            table[f"{element}_{column}"] = np.where(fractions[:, number] > 0, values, 0.0)
    table["volume per atom (Å³)"] = fractions @ [11.8, 10.9, 15.3] + 0.05 * rng.normal(
        size=n_samples
    )
    index = pd.RangeIndex(100, 100 - 2 * n_samples, -2)
    X = pd.DataFrame(table, index=index)
    if task == "classification":
        return X, pd.Series(np.where(fcc, "fcc", "bcc"), index=index, name="phase")
    y = 0.2 * latent + 0.02 * rng.normal(size=n_samples)
    return X, pd.Series(y, index=index, name="energy (eV/atom)")
