"""`PerturbationSampler`: displaced and strained copies of crystals."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils._param_validation import RealNotInt

from sklmat.augmentation._base_augmenter import draw_evenly, number_of_rows
from sklmat.augmentation._base_structure_sampler import (
    PERTURBATION_CONSTRAINTS,
    BaseStructureSampler,
    perturbed_copies,
    refuse_beyond_memory_of_copies,
)
from sklmat.augmentation._shared_docstrings import SAMPLER_PARAGRAPHS, STRUCTURE_PARAGRAPHS
from sklmat.docstrings import insert_paragraphs
from sklmat.parameter_constraints import Interval

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, RandomState


@insert_paragraphs({**SAMPLER_PARAGRAPHS, **STRUCTURE_PARAGRAPHS})
class PerturbationSampler(BaseStructureSampler):
    """Add copies of crystals with displaced atoms and strained lattices.

    A copy keeps the elements and the label of its crystal, unless `label_correction` computes the
    label of the perturbed crystal. The model learns from the copies that small displacements, such
    as those between two relaxations of one crystal, change the target little.

    Parameters
    ----------
    budget : float, default=0.05
        Largest displacement of an atom (Å). Displacements are drawn uniformly from a ball of this
        radius.
    strain : float, default=0.0
        Frobenius norm of the random symmetric strain of each copy, relative to the lattice: 0.01
        changes lengths by at most 1 %.
    label_correction : callable or None, default=None
        ``label_correction(structures, perturbed, labels)`` returns the labels of the perturbed
        crystals. It is called once, with three sequences of the same length that have one entry for
        each copy: the crystal that was copied, the perturbed crystal, and the label of the crystal
        that was copied. With `CrystalGraphs` as `X`, the first two are `CrystalGraphs`. ``None``
        keeps the labels.
    {n_samples}
    random_state : int, RandomState or None, default=None
        Seed of the choice of rows and of the perturbations.

    Attributes
    ----------
    {classes_}
    {sample_origin_}
    {sample_indices_}

    See Also
    --------
    StructureOverSampler : Copies of rare classes only.
    perturb_structures : Perturbs crystals without copying them.

    Notes
    -----
    The numbers of copies of any two crystals differ by at most one. Displacements are reduced where
    atoms would come closer than 0.7 times the sum of their covalent radii. A kept label is an
    approximation: at a displacement of 0.05 Å the energy of a crystal rises by some meV/atom, and
    with `strain` its volume changes. Choose both budgets by a hyper-parameter search, and include
    ``n_samples=0``.

    Examples
    --------
    >>> from sklmat import PerturbationSampler
    >>> from sklmat.estimator_checks import make_toy_crystals
    >>> structures, volumes = make_toy_crystals(4)
    >>> sampler = PerturbationSampler(budget=0.05, random_state=0)
    >>> X, y = sampler.fit_resample(structures, volumes)
    >>> len(X), sampler.sample_indices_.tolist()
    (8, [0, 1, 2, 3, 0, 2, 1, 3])
    >>> float(abs(X[4].cart_coords - structures[0].cart_coords).max().round(3))
    0.032

    The volume per atom is known for strained copies:

    >>> def volume(structures, perturbed, labels):
    ...     return [structure.volume / len(structure) for structure in perturbed]
    >>> sampler = PerturbationSampler(strain=0.02, label_correction=volume, random_state=0)
    >>> X, y = sampler.fit_resample(structures, volumes)
    >>> y[[0, 4]].round(1), round(X[4].volume / len(X[4]), 1)
    (array([12.9, 12.6]), 12.6)
    """

    _parameter_constraints: dict = {
        **PERTURBATION_CONSTRAINTS,
        "label_correction": [callable, None],
        "n_samples": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="left"),
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        budget: float = 0.05,
        strain: float = 0.0,
        label_correction: Callable[[Any, Any, np.ndarray], ArrayLike] | None = None,
        n_samples: int | float = 1.0,
        random_state: RandomState = None,
    ) -> None:
        self.budget = budget
        self.strain = strain
        self.label_correction = label_correction
        self.n_samples = n_samples
        self.random_state = random_state

    def _choose(self, crystals, target, rng):
        n_rows = len(target)
        n_copies = number_of_rows(self.n_samples, n_rows)
        refuse_beyond_memory_of_copies(crystals, n_copies, "n_samples")
        return np.arange(n_rows), draw_evenly(n_rows, n_copies, rng)

    def _copies(self, crystals, target, rows, rng):
        if not len(rows):
            return None, target[rows]
        perturbed = perturbed_copies(crystals, rows, self.budget, self.strain, rng)
        if self.label_correction is None:
            return perturbed, target[rows]
        return perturbed, self._corrected(crystals, perturbed, target, rows)

    def _corrected(self, crystals, perturbed, target, rows):
        """Return the labels that `label_correction` gives, encoded like `target`."""
        originals = crystals[rows]
        if isinstance(originals, np.ndarray):
            originals = list(originals)
        labels = target[rows]
        # A copy, because the function may change what it is given.
        given = labels.copy() if self.classes_ is None else self.classes_[labels]
        corrected = np.asarray(self.label_correction(originals, perturbed, given))
        if corrected.shape != labels.shape:
            raise ValueError(
                f"label_correction returned labels of shape {corrected.shape} for {len(rows)} "
                f"copies; return an array of shape {labels.shape}"
            )
        if self.classes_ is None:
            # A label that is missing may stay so.
            usable = np.isfinite(corrected) | np.isnan(labels)
            valid = usable.reshape(len(rows), -1).all(axis=1)
        else:
            valid = np.isin(corrected, self.classes_)
        if not valid.all():
            copy = np.argmin(valid)
            kind = "finite number" if self.classes_ is None else "class of y"
            raise ValueError(
                f"label_correction returned {corrected[copy]}, which is no {kind}, for a copy of "
                f"row {rows[copy]}"
            )
        if self.classes_ is None:
            return corrected.astype(np.float64)
        return np.searchsorted(self.classes_, corrected)
