"""Folds that are given as `cv`."""

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sklmat import CalibratedStdRegressor, ConformalRegressor, compare_estimators, learning_curves
from sklmat.cross_validation import list_folds, refuse_shared_rows

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6.0)
HALVES = [([0, 1, 2], [3, 4, 5]), ([3, 4, 5], [0, 1, 2])]
BAD = [
    ([], "cv has no folds"),
    ({}, "cv must be an int, a splitter or pairs of row numbers"),
    (b"KFold", "cv must be an int, a splitter or pairs of row numbers"),
    ([None], "fold 0 of cv must be a pair"),
    ([3], "fold 0 of cv must be a pair"),
    ([*HALVES, "ab"], "fold 2 of cv must be a pair"),
    ([([0, 1], [2], [3])], "fold 0 of cv must be a pair"),
    ([([0, 1], [])], "the test rows of fold 0 of cv are empty"),
    ([([], [1])], "the training rows of fold 0 of cv are empty"),
    ([([0, 1], [6])], "must be row numbers from 0 to 5"),
    ([([0, 1], [-1])], "must be row numbers from 0 to 5"),
    ([([0, 1], [2.0])], "must be row numbers from 0 to 5"),
    ([([0, 1], ["a"])], "must be row numbers from 0 to 5"),
    ([([0, 1], 2)], "must be row numbers from 0 to 5"),
    ([([0, 1], [[2], [3, 4]])], "must be row numbers from 0 to 5"),
    ([(np.array([True] * 5), [2])], "or a mask of 6 rows"),
    ([(np.zeros(6, dtype=bool), [2])], "the training rows of fold 0 of cv are empty"),
    ("KFold", "cv must be an int, a splitter or pairs of row numbers, got 'KFold'"),
    (1, "n_splits=1"),
    (7, "n_splits=7"),
    (2.5, "Expected `cv` as an integer"),
]
USES = {
    "compare_estimators": lambda cv: compare_estimators({"m": DummyRegressor()}, X, Y, cv=cv),
    "learning_curves": lambda cv: learning_curves(
        {"m": DummyRegressor()}, X, Y, cv=cv, train_sizes=[1.0]
    ),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(("cv", "message"), BAD)
def test_folds_that_are_none(use, cv, message):
    with pytest.raises(ValueError, match=message):
        USES[use](cv)


@pytest.mark.parametrize("model", [ConformalRegressor(Ridge()), CalibratedStdRegressor(Ridge())])
def test_folds_of_estimators(model):
    for cv in ([None], [([0, 1], [9])]):
        with pytest.raises((ValueError, TypeError), match=r"of cv must be|return_std"):
            model.set_params(cv=cv).fit(X, Y)


def test_rows_on_both_sides():
    with pytest.raises(ValueError, match=r"cv must predict .* row 1 is among the .* of fold 1"):
        refuse_shared_rows([([0], [1]), ([0, 1], [1, 2])], "cv")
    both = [(np.arange(6), np.arange(6))]
    with pytest.raises(ValueError, match="row 0 is among the training and the test rows"):
        ConformalRegressor(Ridge(), cv=both).fit(X, Y)
    # It shows how well a model fits.
    table = compare_estimators({"mean": DummyRegressor()}, X, Y, cv=both)
    assert table.loc["mean", "MAE mean"] == 1.5


def test_folds_are_row_numbers():
    masks = [(np.arange(6) < 4, np.arange(6) >= 4)]
    ((train, test),) = list_folds(iter(masks), X, Y, is_classifier=False)
    assert train.tolist() == [0, 1, 2, 3]
    assert test.tolist() == [4, 5]
    for cv in (3, KFold(3), None):
        folds = list_folds(cv, X, Y, is_classifier=False)
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(6))
