"""Estimators of structures for the checks themselves: sound ones, and two that are not."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sklmat.structures import check_structures

NAMES = ["volume per atom (Å³)", "mean atomic number", "fraction of Ni"]


def describe(structures):
    """Three numbers per crystal, shape (C, 3), by the plainest means."""
    return np.array(
        [
            [s.volume / len(s), np.mean(s.atomic_numbers), s.composition.get_atomic_fraction("Ni")]
            for s in structures
        ]
    )


class Crystals(BaseEstimator):
    """What the sound toys have in common."""

    _parameter_constraints = {"power": [Real], "random_state": ["random_state"]}

    def __init__(self, power=1.0, random_state=None):
        self.power = power
        self.random_state = random_state

    def _fit_table(self, X):
        self._validate_params()
        return self._table(X, reset=True)

    def _table(self, X, reset=False):
        if not reset:
            check_is_fitted(self)
        structures = check_structures(X)
        if reset and not len(structures):
            raise ValueError("X is empty")
        return describe(structures) ** self.power

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class Regressor(RegressorMixin, Crystals):
    """Prediction of the nearest training crystal."""

    def fit(self, X, y):
        table = self._fit_table(X)
        y = self._check_target(y, len(table))
        self.table_, self.y_ = table, y
        return self

    def _check_target(self, y, n_rows):
        y = column_or_1d(np.asarray(y, dtype=float))
        if len(y) != n_rows:
            raise ValueError(f"{n_rows} crystals and {len(y)} values of y")
        if not np.isfinite(y).all():
            raise ValueError("y holds NaN or infinity")
        return y

    def predict(self, X):
        nearest = self._nearest(X)
        return self.y_[nearest]

    def _nearest(self, X):
        table = self._table(X)
        return np.linalg.norm(table[:, None] - self.table_[None], axis=2).argmin(axis=1)


class Classifier(ClassifierMixin, Crystals):
    """Class of the nearest training crystal, almost surely."""

    def fit(self, X, y):
        table = self._fit_table(X)
        y = column_or_1d(y)
        if len(y) != len(table):
            raise ValueError(f"{len(table)} crystals and {len(y)} labels")
        if y.dtype.kind == "f":
            raise ValueError("labels are continuous")
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError("y has one class")
        self.classes_, self.codes_, self.table_ = classes, codes, table
        return self

    def predict_proba(self, X):
        table = self._table(X)
        near = np.linalg.norm(table[:, None] - self.table_[None], axis=2).argmin(axis=1)
        odds = np.full((len(table), len(self.classes_)), 0.1 / (len(self.classes_) - 1))
        odds[np.arange(len(table)), self.codes_[near]] = 0.9
        return odds

    def predict(self, X):
        chosen = self.predict_proba(X).argmax(axis=1)
        return self.classes_[chosen]


class Featurizer(TransformerMixin, Crystals):
    """The three numbers, centred."""

    names = tuple(NAMES)

    def fit(self, X, y=None):
        self.mean_ = self._fit_table(X).mean(axis=0)
        return self

    def transform(self, X):
        return self._table(X) - self.mean_

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.array(self.names, dtype=object)


SOUND = [Regressor(), Classifier(), Featurizer()]


class SortsRows(Regressor):
    def predict(self, X):
        return np.sort(super().predict(X))


class NoisyJobs(Regressor):
    _parameter_constraints = {**Regressor._parameter_constraints, "n_jobs": [None, int]}

    def __init__(self, power=1.0, random_state=None, n_jobs=None):
        super().__init__(power, random_state)
        self.n_jobs = n_jobs

    def predict(self, X):
        return super().predict(X) + 1e-9 * (self.n_jobs or 1)
