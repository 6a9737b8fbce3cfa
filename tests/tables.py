"""Feature tables, and a sampler whose rows are known, for all tests of augmentation."""

import numpy as np
import pandas as pd

from sklmat.augmentation._base_augmenter import BaseAugmenter


def leading_five(table):
    """Code columns of the toy table, by their places."""
    return range(5)


class Fixed(BaseAugmenter):
    """Returns the first real rows again, with labels moved by `shift`."""

    _parameter_constraints = {"shift": "no_validation", **BaseAugmenter._parameter_constraints}

    def __init__(self, *, shift=0, n_samples=1.0, y_range=None, random_state=None):
        super().__init__(n_samples=n_samples, y_range=y_range, random_state=random_state)
        self.shift = shift

    def _learn(self, X, y):
        self._rows, self._labels = X, y

    def _generate(self, n, rng):
        rows = np.arange(n) % len(self._rows)
        return self._rows[rows], self._labels[rows] + self.shift


def random_table(n=60, n_columns=3, seed=0):
    """Normal columns and a target that is linear in them."""
    X = np.random.default_rng(seed).normal(size=(n, n_columns))
    return X, X @ np.arange(1.0, n_columns + 1)


def generated(sampler, X, y):
    """Only the rows that the sampler adds."""
    X_all, y_all = sampler.fit_resample(X, y)
    return X_all[len(X) :], y_all[len(X) :]


ELEMENTS = ("Fe", "Ni", "Pd")
CODE = [f"x_{element}" for element in ELEMENTS]
FEATURES = [f"{element}_{k}" for element in ELEMENTS for k in range(3)]
#: One small network that learns the tables below in less than a second.
SMALL = {"n_ensemble": 1, "hidden_dim": 32, "batch_size": 60, "max_epochs": 150, "lr": 0.01}
#: Networks that learn nothing, where what is learned does not matter.
QUICK = {"n_ensemble": 2, "hidden_dim": 8, "max_epochs": 3, "random_state": 0}


def inner_alloys(n=120, seed=0):
    """All three elements in every row, features smooth in the fractions, and some noise."""
    laws, rng = np.random.default_rng(0), np.random.default_rng(seed)
    x = rng.dirichlet([4, 4, 4], size=n)
    X = pd.DataFrame(x, columns=CODE)
    for k, name in enumerate(FEATURES):
        X[name] = np.sin(x @ laws.normal(scale=2, size=3) + k) + 0.03 * rng.normal(size=n)
    return X, pd.Series(x @ [1, -1, 0.5] + x[:, 0] * x[:, 1], name="energy (eV/atom)")
