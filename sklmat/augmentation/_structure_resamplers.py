"""`StructureOverSampler` and `StructureUnderSampler`: balance the classes of crystals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import ClassifierTags
from sklearn.utils._param_validation import StrOptions

from sklmat.augmentation._base_augmenter import draw_evenly
from sklmat.augmentation._base_structure_sampler import (
    PERTURBATION_CONSTRAINTS,
    BaseStructureSampler,
    perturbed_copies,
    refuse_beyond_memory_of_copies,
)
from sklmat.augmentation._sampling_strategy import OVER_SAMPLING, rows_per_class
from sklmat.augmentation._shared_docstrings import SAMPLER_PARAGRAPHS, STRUCTURE_PARAGRAPHS
from sklmat.docstrings import insert_paragraphs
from sklmat.parameter_constraints import Interval

if TYPE_CHECKING:
    from sklmat.typing import RandomState


class ClassBalancer(BaseStructureSampler):
    """Base of samplers that change how many crystals there are of each class."""

    def _fit(self, X, y):
        crystals, target = super()._fit(X, y)
        if self.classes_ is None:
            raise ValueError(
                f"{type(self).__name__} balances classes, and y holds floats, which are a numeric "
                "target: pass the classes as strings, integers or booleans"
            )
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds only the class {self.classes_.tolist()[0]!r}; there is nothing to balance"
            )
        return crystals, target

    def _numbers(self, target, kind):
        """Return a dict: class -> number of its rows to add or to keep."""
        labels = self.classes_[target]
        self.sampling_strategy_ = rows_per_class(self.sampling_strategy, labels, kind)
        return self.sampling_strategy_

    def _rows_of(self, label, target):
        return np.flatnonzero(self.classes_[target] == label)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags = ClassifierTags()
        tags.target_tags.multi_output = False
        return tags


@insert_paragraphs({**SAMPLER_PARAGRAPHS, **STRUCTURE_PARAGRAPHS})
class StructureOverSampler(ClassBalancer):
    """Add copies of the crystals of rare classes, optionally displaced and strained.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes get copies, as in imbalanced-learn. A float is the number of crystals of the
        rare class over that of the other, for two classes. "minority" fills up the rarest class,
        "not minority", "not majority" and "all" fill up the classes that they name to the size of
        the most frequent one; "auto" is "not majority". A dict holds the wanted number of crystals
        of each class, real ones included. A callable takes `y` and returns such a dict.
    budget : float, default=0.0
        Largest displacement of an atom in a copy (Å). With 0.0 (and no `strain`) crystals are
        repeated as they are. Displaced copies keep a network from learning single crystals by
        heart.
    strain : float, default=0.0
        Frobenius norm of the random symmetric strain of each copy, relative to the lattice.
    random_state : int, RandomState or None, default=None
        Seed of the choice of crystals and of the perturbations.

    Attributes
    ----------
    sampling_strategy_ : dict
        Class -> number of added copies.
    classes_ : ndarray
        The classes.
    {sample_origin_}
    {sample_indices_}

    See Also
    --------
    StructureUnderSampler : Removes crystals of frequent classes.
    PerturbationSampler : Perturbed copies of all crystals.

    Notes
    -----
    The numbers of copies of any two crystals of a class differ by at most one, whereas
    ``RandomOverSampler`` of imbalanced-learn, which takes tables, draws with replacement.

    Over-sampling changes the frequencies of the classes, so that predicted probabilities are those
    for the new frequencies.

    Examples
    --------
    >>> from sklmat import StructureOverSampler
    >>> from sklmat.estimator_checks import make_toy_crystals
    >>> structures, _ = make_toy_crystals(6)
    >>> y = ["stable", "unstable", "unstable", "unstable", "stable", "unstable"]
    >>> sampler = StructureOverSampler(budget=0.02, random_state=0)
    >>> X, y_all = sampler.fit_resample(structures, y)
    >>> y_all.tolist()[6:], sorted(sampler.sample_indices_[6:].tolist())
    (['stable', 'stable'], [0, 4])
    """

    _parameter_constraints: dict = {
        "sampling_strategy": OVER_SAMPLING,
        **PERTURBATION_CONSTRAINTS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: float | str | Mapping[Any, int] | Callable[..., Any] = "auto",
        budget: float = 0.0,
        strain: float = 0.0,
        random_state: RandomState = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.budget = budget
        self.strain = strain
        self.random_state = random_state

    def _choose(self, crystals, target, rng):
        copied, numbers = [np.empty(0, dtype=int)], self._numbers(target, "over-sampling")
        refuse_beyond_memory_of_copies(
            crystals,
            sum(numbers.values()),
            "copies of sampling_strategy",
            perturbed=bool(self.budget or self.strain),
        )
        for label, number in numbers.items():
            rows = self._rows_of(label, target)
            copied.append(rows[draw_evenly(len(rows), number, rng)])
        return np.arange(len(target)), np.concatenate(copied)

    def _copies(self, crystals, target, rows, rng):
        if not len(rows) or not (self.budget or self.strain):
            return None, target[rows]
        return perturbed_copies(crystals, rows, self.budget, self.strain, rng), target[rows]


@insert_paragraphs({**SAMPLER_PARAGRAPHS, **STRUCTURE_PARAGRAPHS})
class StructureUnderSampler(ClassBalancer):
    """Remove crystals of frequent classes at random.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        From which classes crystals are removed, as in imbalanced-learn. A float is the number of
        crystals of the rare class over that of the other after sampling, for two classes.
        "majority" reduces the most frequent class, "not minority", "not majority" and "all" reduce
        the classes that they name to the size of the rarest one; "auto" is "not minority". A dict
        holds the number of crystals of each class to keep. A callable takes `y` and returns such a
        dict.
    random_state : int, RandomState or None, default=None
        Seed of the choice of crystals.

    Attributes
    ----------
    sampling_strategy_ : dict
        Class -> number of its crystals that are kept; other classes are kept as they are.
    classes_ : ndarray
        The classes.
    sample_origin_ : ndarray of int
        Zeros: no row is generated.
    {sample_indices_}

    See Also
    --------
    StructureOverSampler : Adds copies of rare classes.

    Examples
    --------
    >>> from sklmat import StructureUnderSampler
    >>> from sklmat.estimator_checks import make_toy_crystals
    >>> structures, _ = make_toy_crystals(6)
    >>> y = ["stable", "unstable", "unstable", "unstable", "stable", "unstable"]
    >>> sampler = StructureUnderSampler(random_state=0)
    >>> X, y_kept = sampler.fit_resample(structures, y)
    >>> sorted(y_kept.tolist()), len(X)
    (['stable', 'stable', 'unstable', 'unstable'], 4)
    """

    _parameter_constraints: dict = {
        "sampling_strategy": [
            Interval(Real, 0, 1, closed="right"),
            StrOptions({"auto", "majority", "not minority", "not majority", "all"}),
            Mapping,
            callable,
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: float | str | Mapping[Any, int] | Callable[..., Any] = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state

    def _choose(self, crystals, target, rng):
        keep = np.ones(len(target), dtype=bool)
        for label, number in self._numbers(target, "under-sampling").items():
            rows = self._rows_of(label, target)
            keep[rng.permutation(rows)[number:]] = False
        return np.flatnonzero(keep), np.empty(0, dtype=int)

    def _copies(self, crystals, target, rows, rng):
        return None, target[rows]
