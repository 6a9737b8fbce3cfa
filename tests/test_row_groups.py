"""Splits inside estimators keep rows of one group together."""

import warnings

import numpy as np
import pytest

from sklmat.row_groups import (
    hold_out_rows,
    label_compositions,
    label_equal_rows,
    warn_divided_groups,
)


def hold_out(groups, fraction=0.25, seed=0, rows=None, classes=None, divide=True):
    rows = np.arange(len(groups)) if rows is None else np.asarray(rows)
    return hold_out_rows(
        rows,
        fraction,
        groups=np.asarray(groups),
        seed=seed,
        classes=classes,
        divide=divide,
        purpose="validation",
    )


def test_labels_count_in_the_order_of_the_rows():
    parts = [np.array([[1, 1], [1, 3]]), np.array([[4, 4], [3, 1], [2, 6]])]
    assert label_compositions(parts).tolist() == [0, 1, 0, 2, 1]
    assert label_equal_rows([np.array([[0.0, 2], [1, 2]]), np.array([[-0.0, 2]])]).tolist() == [
        0,
        1,
        0,
    ]
    thirds = np.array([[1, 2], [1 / 3, 2 / 3], [0.333, 0.667]])
    assert label_compositions([thirds]).tolist() == [0, 0, 1]


@pytest.mark.parametrize("groups", [np.arange(20), np.zeros(20, dtype=int)])
def test_single_rows_without_twins_or_of_one_composition(groups):
    classes = np.repeat(["a", "b", "c", "d"], [12, 5, 2, 1])
    drawn = set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(20):
            train, valid = hold_out(groups, seed=seed)
            assert len(valid) == 5
            assert sorted([*train, *valid]) == list(range(20))
            drawn |= set(valid)
            # A quarter of each class, rounded up; a class of one row is for training.
            train, valid = hold_out(groups, seed=seed, classes=classes)
            assert [int((classes[valid] == k).sum()) for k in "abcd"] == [3, 2, 1, 0]
    assert drawn == set(range(20))


def test_given_groups_are_never_divided():
    # Larger than twice the fraction: the smallest one.
    groups = np.repeat(["c", "a", "b"], [10, 8, 12])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, valid = hold_out(groups, fraction=0.1, divide=False)
        assert set(groups[valid]) == {"a"}
        assert len(train) == 22
        # Groups without one of the classes are better than the smallest group.
        groups, classes = np.r_[np.zeros(6), 1 + np.arange(14)], np.repeat(["a", "b"], [3, 17])
        for seed in range(5):
            _, valid = hold_out(groups, 0.2, seed=seed, classes=classes, divide=False)
            assert len(valid) == 4
            assert (classes[valid] == "b").all()
    with pytest.raises(ValueError, match="20 rows in 1 groups"):
        hold_out(np.zeros(20), divide=False)


def test_too_few_rows():
    with pytest.raises(ValueError, match=r"validation: .*1 rows; at least two"):
        hold_out([0])
    with pytest.raises(ValueError, match="one class"):
        hold_out([0, 1], classes=np.array(["a", "b"]))


def test_groups_stay_together():
    groups = np.repeat(np.arange(10), 4)
    seen = set()
    for seed in range(20):
        train, valid = hold_out(groups, seed=seed)
        assert sorted([*train, *valid]) == list(range(40))
        # A quarter of 40 rows is 10, which two groups of four come next to.
        assert len(valid) == 8
        assert not set(groups[train]) & set(groups[valid])
        seen |= set(groups[valid])
    assert seen == set(range(10))


def test_classes_are_on_both_sides():
    groups = np.repeat(np.arange(20), 2)
    classes = np.where(groups < 5, "rare", "common")
    for seed in range(10):
        train, valid = hold_out(groups, seed=seed, classes=classes)
        # Ceiling of a quarter of 10 is 3, which holds one pair; a quarter of 30 is 8, four pairs.
        assert (classes[valid] == "rare").sum() == 2
        assert (classes[valid] == "common").sum() == 8
        assert not set(groups[train]) & set(groups[valid])


def test_rows_that_are_not_divided_change_nothing():
    groups = np.repeat(np.arange(8), 3)
    train, valid = hold_out(groups, seed=1)
    for first in (7, 9):  # another composition, or one of the others, in front
        more = np.r_[first, groups]
        found = hold_out(more, seed=1, rows=np.arange(1, 25))
        np.testing.assert_array_equal(found[0], train + 1)
        np.testing.assert_array_equal(found[1], valid + 1)


def test_groups_that_are_too_large_are_divided_with_a_warning():
    groups = np.repeat([0, 1], 20)
    match = r"validation: .* too large.*4 of 4 held-out rows have the same comp.*validation_frac"
    with pytest.warns(UserWarning, match=match) as caught:
        _, valid = hold_out(groups, fraction=0.1)
    assert len(valid) == 4
    assert caught[0].filename == __file__
    # A group of at most twice the wanted number is held out as a whole.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(hold_out(groups, fraction=0.25)[1]) == 20


def test_a_class_in_one_group_is_divided_with_a_warning():
    groups = np.r_[np.zeros(4, dtype=int), np.repeat(np.arange(1, 7), 2)]
    with pytest.warns(UserWarning, match="validation"):
        train, valid = hold_out(groups, classes=np.where(groups == 0, "a", "b"))
    assert {0} < set(groups[train])
    assert 0 in groups[valid]


def test_the_warning_names_rows_that_are_on_both_sides():
    folds = [(np.array([0, 1]), np.array([2, 3])), (np.array([2, 3]), np.array([0, 1]))]
    with pytest.warns(UserWarning, match=r"cv: 2 of 4 .*fold \(rows 1, 2\); do this"):
        warn_divided_groups(folds, np.array([0, 5, 5, 7]), "cv", "do this")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_divided_groups(folds, np.array([0, 0, 1, 1]), "cv", "do this")
        warn_divided_groups(folds, np.zeros(4), "cv", "do this")
