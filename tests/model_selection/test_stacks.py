"""Stacks over structures: neither a test row nor a twin of a predicted row is learned from."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_validate

from sklmat import CompositionGroupKFold, DeltaRegressor, composition_groups
from sklmat.estimator_checks import make_toy_crystals

#: (rows of fit, rows of predict) of every prediction.
SEEN = []


class Recorder(RegressorMixin, BaseEstimator):
    """Predicts the mean and records which rows it saw."""

    def fit(self, X, y):
        self.rows_, self.mean_ = [x.properties["row"] for x in X], np.mean(y)
        return self

    def predict(self, X):
        SEEN.append((self.rows_, [x.properties["row"] for x in X]))
        return np.full(len(X), self.mean_)


def no_baseline(structures):
    return np.zeros(len(structures))


def twins():
    """Ten compositions, each of them twice: rows k and k + 10."""
    cells, _ = make_toy_crystals(10, equal_size=True)
    X = []
    for row in range(20):
        cell = cells[row % 10].copy()
        # Repeated, with one atom replaced: a composition that no other pair has.
        cell.make_supercell([1 + row % 10, 1, 1])
        cell.replace(0, "Ag")
        cell.properties["row"] = row
        X.append(cell)
    return X, np.random.default_rng(0).normal(size=20)


def leaks(inner):
    """Numbers of predictions of a stack that learned from a row of the same composition."""
    X, y = twins()
    groups = composition_groups(X)
    assert np.unique(groups).size == 10
    assert groups[:10].tolist() == groups[10:].tolist()
    members = [("plain", Recorder()), ("difference", DeltaRegressor(Recorder(), no_baseline))]
    members.append(("mean", VotingRegressor([("plain", Recorder())])))
    stack = StackingRegressor(members, RidgeCV(), cv=inner)
    SEEN.clear()
    cross_validate(stack, X, y, cv=CompositionGroupKFold(2, random_state=1), error_score="raise")
    # For each of two folds and three members: five inner folds, and the held-out rows.
    assert len(SEEN) == 2 * 3 * (5 + 1)
    return sum(bool(set(groups[learned]) & set(groups[told])) for learned, told in SEEN)


def test_folds_of_compositions_inside_and_outside():
    assert leaks(CompositionGroupKFold(5, random_state=0)) == 0


@pytest.mark.parametrize("inner", [None, KFold(5, shuffle=True, random_state=0)])
def test_other_folds_part_twins(inner):
    """What the test above would find."""
    assert leaks(inner) > 0
