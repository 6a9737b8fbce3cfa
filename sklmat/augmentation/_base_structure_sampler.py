"""`BaseStructureSampler`: the base class of samplers that take crystals instead of tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length

from sklmat.augmentation._dataframes import append_target, encode_target
from sklmat.augmentation._structure_rows import join_rows, read_crystals
from sklmat.fitted_state import unchanged_by_failure
from sklmat.graphs import CrystalGraphs
from sklmat.memory import (
    BYTES_PER_ATOM,
    BYTES_PER_ATOM_OF_GRAPHS,
    BYTES_PER_NUMBER,
    refuse_beyond_memory,
)
from sklmat.parameter_constraints import Interval
from sklmat.perturbations import perturb_structures
from sklmat.random_state import make_generator
from sklmat.reference_links import ReferenceLink

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.typing import ArrayLike, Structures

#: Constraints of the parameters that say how far copies are perturbed.
PERTURBATION_CONSTRAINTS: dict = {
    "budget": [Interval(Real, 0, 4, closed="left")],
    "strain": [Interval(Real, 0, 0.5, closed="left")],
}


class BaseStructureSampler(ReferenceLink, BaseEstimator, ABC):
    """Base of samplers that take crystals, keep some of them and add copies of them.

    A concrete sampler implements two methods:

    ``_choose(crystals, target, rng)``
        Return the rows that are kept and the rows of which copies are added, two arrays of int.
        `target` is a float64 array (n,) or (n, T), or an int array (n,) of positions in
        ``self.classes_``, which is None for a numeric target.
    ``_copies(crystals, target, rows, rng)``
        Return the crystals of the copies, or None where the rows are repeated, and their targets.
    """

    # imbalanced-learn reads this attribute before it reads the tags.
    _estimator_type = "sampler"

    @abstractmethod
    def _choose(self, crystals, target, rng):
        """Return the rows to keep and the rows to copy."""

    @abstractmethod
    def _copies(self, crystals, target, rows, rng):
        """Return crystals and targets of the copies."""

    @unchanged_by_failure
    def fit(self, X: Structures | CrystalGraphs | pd.DataFrame, y: ArrayLike | None = None) -> Self:
        """Check the crystals and their targets, without adding or removing rows.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs, or DataFrame with a column of structures
            Training crystals.
        y : Series, DataFrame or array of shape (n,) or (n, T)
            Their targets.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._fit(X, y)
        return self

    @unchanged_by_failure
    def fit_resample(
        self, X: Structures | CrystalGraphs | pd.DataFrame, y: ArrayLike
    ) -> tuple[Any, Any]:
        """Return the crystals that are kept, with the added copies below them, and their targets.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs, or DataFrame with a column of structures
            The real crystals, in any form that `check_structures` accepts.
        y : Series, DataFrame or array of shape (n,) or (n, T)
            Their targets. Floats are a numeric target; strings, booleans and integers are classes.
            Of several numeric targets of a row, some may be missing (NaN), and are then missing
            in its copies.

        Returns
        -------
        X_resampled : list, ndarray, Series, DataFrame or CrystalGraphs
            The real rows that are kept, unchanged and in their order, then the copies. Arrays,
            objects of pandas and CrystalGraphs stay what they are, any other sequence becomes a
            list. Copies in objects of pandas get new labels in the index; further columns hold the
            values of the copied row.
        y_resampled : Series, DataFrame or ndarray
            Targets of these rows, with the type, name, dtype and dimensions of `y`.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used; the error names its row.
        ValueError
            When `y` cannot be used.
        """
        crystals, target = self._fit(X, y)
        rng = make_generator(self.random_state)
        kept, copied = self._choose(crystals, target, rng)
        new, y_new = self._copies(crystals, target, copied, rng)
        self.sample_indices_ = np.concatenate([kept, copied])
        self.sample_origin_ = np.repeat([0, 1], [len(kept), len(copied)])
        X_resampled = join_rows(X, kept, copied, new)
        return X_resampled, self._joined_target(X, y, X_resampled, kept, y_new)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.two_d_array = False
        return tags

    def _fit(self, X, y):
        """Validate the input; return the crystals and the encoded target."""
        self._validate_params()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        crystals = read_crystals(X)
        check_consistent_length(crystals, y)
        if not len(crystals):
            raise ValueError("X is empty (0 crystals); there is nothing to sample")
        target, self.classes_ = encode_target(y, may_be_missing=True)
        return crystals, target

    def _joined_target(self, X, y, X_resampled, kept, y_new):
        if len(kept) == len(y):
            return append_target(y, y_new, self.classes_, X=X, X_resampled=X_resampled)
        return _safe_indexing(y if hasattr(y, "shape") else np.asarray(y), kept)


def refuse_beyond_memory_of_copies(crystals, n, name, *, perturbed=True):
    """Raise a ValueError if there is not enough memory for n new crystals.

    Parameters
    ----------
    crystals : ndarray of Structure, or CrystalGraphs
        The crystals that are copied.
    n : int
    name : str
        The parameter that says how many.
    perturbed : bool, default=True
        Whether copies are new crystals; structures are repeated otherwise.
    """
    if isinstance(crystals, CrystalGraphs):
        n_bytes = crystals.n_atoms.mean() * BYTES_PER_ATOM_OF_GRAPHS
    elif perturbed:
        n_bytes = np.mean([len(crystal) for crystal in crystals]) * BYTES_PER_ATOM
    else:
        # In the list, in `sample_indices_` and in `sample_origin_`.
        n_bytes = 3 * BYTES_PER_NUMBER
    refuse_beyond_memory(f"{name}={n}: crystals", n * n_bytes)


def perturbed_copies(crystals, rows, budget, strain, rng):
    """Return displaced and strained copies of some crystals, as structures or CrystalGraphs."""
    return perturb_structures(
        crystals[rows],
        distribution="uniform",
        budget=budget,
        strain=strain,
        random_state=int(rng.integers(2**31)),
    )
