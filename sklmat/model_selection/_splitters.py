"""Splitters by composition, chemical system, prototype, element and number of elements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import BaseCrossValidator, GroupKFold
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import validate_parameter_constraints

from sklmat.argument_checks import check_names
from sklmat.elements import element_symbols, element_table
from sklmat.model_selection._group_labels import (
    amounts_of_elements,
    chemical_systems,
    composition_groups,
)
from sklmat.model_selection._prototype_labels import prototype_labels
from sklmat.parameter_constraints import Interval
from sklmat.random_state import check_seed

if TYPE_CHECKING:
    import pandas as pd

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Compositions, RandomState, Structures


class _LabelGroupKFold(BaseCrossValidator):
    """K-fold cross-validation in which no label of `_labels` is on both sides of a split."""

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = True, random_state: RandomState = None
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    @abstractmethod
    def _labels(self, X):
        """Label of each row of `X`, shape (C,)."""

    def split(
        self,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: object = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of each split.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            As for `composition_groups`.
        y : array-like of shape (C,), default=None
            Not used.
        groups : None
            Must be None, because the splitter finds the groups in `X`.

        Yields
        ------
        train, test : ndarray of int
            Numbers of the training and of the test rows.
        """
        _refuse_groups(self, groups)
        check_seed(self.random_state)
        folds = GroupKFold(
            self.n_splits,
            shuffle=self.shuffle,
            random_state=self.random_state if self.shuffle else None,
        )
        labels = self._labels(X)
        _refuse_other_length(labels, y)
        yield from folds.split(labels, groups=labels)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Not used; scikit-learn passes them.

        Returns
        -------
        int
            The number of folds.
        """
        return self.n_splits


class CompositionGroupKFold(_LabelGroupKFold):
    """K-fold cross-validation in which no reduced composition is on both sides of a split.

    This is scikit-learn's `GroupKFold`, with the groups that `composition_groups` finds in `X`. It
    can be passed as ``cv`` everywhere in scikit-learn.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of distinct compositions.
    shuffle : bool, default=True
        Whether to distribute the compositions over the folds at random. False assigns them in the
        order of their frequency, the most frequent first. The folds are then as equal in size as
        possible, and no seed is needed.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle. With None every call to `split` draws new folds.

    Examples
    --------
    >>> from sklmat.model_selection import CompositionGroupKFold
    >>> X = ["NiCo", "Ni3Co", "Co2Ni2", "NiCo3"]
    >>> for train, test in CompositionGroupKFold(n_splits=3, shuffle=False).split(X):
    ...     print(train, test)
    [1 3] [0 2]
    [0 1 2] [3]
    [0 2 3] [1]
    """

    def _labels(self, X):
        return composition_groups(X)


class ChemicalSystemGroupKFold(_LabelGroupKFold):
    """K-fold cross-validation in which no chemical system is on both sides of a split.

    The score is then valid for combinations of elements that the training rows do not have; Fe2O3
    is not predicted from FeO.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of distinct systems.
    shuffle : bool, default=True
        Whether to distribute the systems over the folds at random. False assigns them in the
        order of their frequency, the most frequent first, which gives folds of nearly equal size.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle. With None every call to `split` draws new folds.

    Examples
    --------
    >>> from sklmat.model_selection import ChemicalSystemGroupKFold
    >>> X = ["Fe2O3", "NiO", "FeO", "FeNi"]
    >>> for train, test in ChemicalSystemGroupKFold(n_splits=3, shuffle=False).split(X):
    ...     print(train, test)
    [1 3] [0 2]
    [0 2 3] [1]
    [0 1 2] [3]
    """

    def _labels(self, X):
        return chemical_systems(X)


class PrototypeGroupKFold(_LabelGroupKFold):
    """K-fold cross-validation in which no prototype is on both sides of a split.

    The score is then valid for arrangements of atoms that the training rows do not have, see
    `prototype_labels`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2 and at most the number of distinct prototypes.
    shuffle : bool, default=True
        Whether to distribute the prototypes over the folds at random. False assigns them in the
        order of their frequency, the most frequent first, which gives folds of nearly equal size.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle. With None every call to `split` draws new folds.
    symprec : float, default=0.1
        Tolerance (Å) within which atoms are symmetry-equivalent.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat.model_selection import PrototypeGroupKFold
    >>> sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], sites)
    >>> oxide = salt.copy()
    >>> _ = oxide.replace_species({"Na": "Mg", "Cl": "O"}).scale_lattice(74.6)
    >>> other = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], sites)
    >>> cv = PrototypeGroupKFold(n_splits=2, shuffle=False)
    >>> for train, test in cv.split([salt, other, oxide]):
    ...     print(train, test)
    [1] [0 2]
    [0 2] [1]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = True,
        random_state: RandomState = None,
        symprec: float = 0.1,
    ) -> None:
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)
        self.symprec = symprec

    def _labels(self, X):
        return prototype_labels(X, symprec=self.symprec)


class LeaveOneElementOut(BaseCrossValidator):
    """Leave out one element after the other: test on all rows that hold it, train on the others.

    The score tells how well a model predicts an element that no training row has.

    Parameters
    ----------
    elements : sequence of str or None, default=None
        Symbols of the elements to leave out, in this order; None takes every element that is in at
        least `min_test` rows and not in all rows, by atomic number.
    min_test : int, default=1
        Used if `elements` is None: an element is left out if at least so many rows hold it.

    Examples
    --------
    >>> from sklmat.model_selection import LeaveOneElementOut
    >>> for train, test in LeaveOneElementOut().split(["NaCl", "KCl", "NaBr"]):
    ...     print(train, test)
    [1] [0 2]
    [2] [0 1]
    [0 2] [1]
    [0 1] [2]
    """

    def __init__(self, elements: Sequence[str] | None = None, *, min_test: int = 1) -> None:
        self.elements = elements
        self.min_test = min_test

    def split(
        self,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: object = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of each split.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            As for `composition_groups`.
        y : array-like of shape (C,), default=None
            Not used.
        groups : None
            Must be None, because the elements define the split.

        Yields
        ------
        train, test : ndarray of int
            Numbers of the training and of the test rows.

        Raises
        ------
        ValueError
            When an element of `elements` is in no row or in every row, when no element can be
            left out, or when `min_test` is no positive integer.
        """
        _refuse_groups(self, groups)
        holds = amounts_of_elements(X) > 0
        _refuse_other_length(holds, y)
        for number in self._numbers(holds):
            yield np.flatnonzero(~holds[:, number]), np.flatnonzero(holds[:, number])

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X : as for `split`
            Needed if `elements` is None.
        y, groups : object
            Not used.

        Returns
        -------
        int
            The number of splits.

        Raises
        ------
        ValueError
            When `elements` is None and `X` is not given.
        """
        if self.elements is not None:
            return len(list(self.elements))
        if X is None:
            raise ValueError("the number of splits depends on the elements of X; pass X")
        return len(self._numbers(amounts_of_elements(X) > 0))

    def _numbers(self, holds):
        """Atomic numbers of the elements to leave out."""
        constraints = {"min_test": [Interval(Integral, 1, None, closed="left")]}
        name = type(self).__name__
        validate_parameter_constraints(constraints, {"min_test": self.min_test}, name)
        check_names(elements=self.elements)
        if isinstance(self.elements, str):
            raise ValueError(f"elements must be a list of symbols, got {self.elements!r}")
        if self.elements is not None and not len(self.elements):
            raise ValueError("elements is empty; name elements, or pass None to take all")
        counts = holds.sum(axis=0)
        if self.elements is None:
            numbers = np.flatnonzero((counts >= self.min_test) & (counts < len(holds)))
            if not len(numbers):
                raise ValueError(
                    f"no element is in at least {self.min_test} of the {len(holds)} rows and not "
                    "in all of them"
                )
            return numbers.tolist()
        numbers = element_table(list(self.elements))["atomic number"].tolist()
        for number in numbers:
            if counts[number] in (0, len(holds)):
                which = "no row" if counts[number] == 0 else "every row"
                raise ValueError(
                    f"{which} holds {element_symbols([number])[0]}, so that there are no rows to "
                    f"{'test on' if counts[number] == 0 else 'train on'}"
                )
        return numbers


class ComponentSplit(BaseCrossValidator):
    """Train on alloys of few components, test on alloys with more components.

    Use it to test whether a model fitted on binaries and ternaries, which are cheap to calculate,
    is accurate for high-entropy alloys.

    Parameters
    ----------
    max_train : int or sequence of int, default=4
        Largest number of elements of a training crystal. A sequence gives one split for each
        number.
    max_test : int or None, default=None
        Largest number of elements of a test crystal; None for no limit. Crystals with more elements
        are neither training nor test rows.

    Examples
    --------
    >>> from sklmat.model_selection import ComponentSplit
    >>> X = ["Ni", "NiCo", "NiCoCr", "NiCoCrFe", "FeCo"]
    >>> for train, test in ComponentSplit(max_train=(1, 2)).split(X):
    ...     print(train, test)
    [0] [1 2 3 4]
    [0 1 4] [2 3]
    """

    def __init__(self, max_train: int | Sequence[int] = 4, *, max_test: int | None = None) -> None:
        self.max_train = max_train
        self.max_test = max_test

    def split(
        self,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y: ArrayLike | None = None,
        groups: object = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the row numbers of each split.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            As for `composition_groups`.
        y : array-like of shape (C,), default=None
            Not used.
        groups : None
            Must be None, because the numbers of components define the split.

        Yields
        ------
        train, test : ndarray of int
            Numbers of the training and of the test rows.

        Raises
        ------
        ValueError
            When there would be no training or no test rows (the message says how many crystals have
            each number of elements), or a number of components is no positive int.
        """
        _refuse_groups(self, groups)
        _check_numbers_of_components(self.max_train, self.max_test)
        n_components = np.count_nonzero(amounts_of_elements(X), axis=1)
        _refuse_other_length(n_components, y)
        max_test = np.inf if self.max_test is None else self.max_test
        splits = []
        for max_train in np.atleast_1d(self.max_train):
            train = np.flatnonzero(n_components <= max_train)
            test = np.flatnonzero((n_components > max_train) & (n_components <= max_test))
            if not (len(train) and len(test)):
                numbers = zip(*np.unique(n_components, return_counts=True))
                found = ", ".join(f"{count} with {number}" for number, count in numbers)
                raise ValueError(
                    f"max_train={max_train}, max_test={self.max_test} leaves no crystal to "
                    f"{'test on' if len(train) else 'train on'}; crystals by number of elements: "
                    f"{found}"
                )
            splits.append((train, test))
        yield from splits

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X, y, groups : object
            Not used; scikit-learn passes them.

        Returns
        -------
        int
            The number of splits.
        """
        return np.size(self.max_train)


def _check_numbers_of_components(max_train, max_test):
    """Refuse numbers of components that are no positive ints."""
    several = isinstance(max_train, Sequence | np.ndarray) and not isinstance(
        max_train, str | bytes
    )
    given = {"max_train": list(max_train) if several else [max_train]}
    if max_test is not None:
        given["max_test"] = [max_test]
    for name, numbers in given.items():
        if not numbers or not all(
            isinstance(number, Integral) and not isinstance(number, bool) and number > 0
            for number in numbers
        ):
            value = numbers if len(numbers) != 1 else numbers[0]
            raise ValueError(f"{name} must be a positive int, got {value!r}")


def _refuse_other_length(rows, y):
    """Raise a ValueError if `y` is given and has another number of rows than `X`."""
    if y is not None:
        check_consistent_length(rows, y)


def _refuse_groups(splitter, groups):
    """Raise a ValueError if groups are given to a splitter that computes its own."""
    if groups is not None:
        raise ValueError(
            f"{type(splitter).__name__} finds its groups in X; leave out "
            "groups, or use scikit-learn's GroupKFold"
        )
