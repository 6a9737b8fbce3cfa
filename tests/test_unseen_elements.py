"""Rows with elements that no training row had."""

import warnings

import numpy as np
import pytest

from sklmat.exceptions import ExtrapolationWarning
from sklmat.unseen_elements import (
    find_unseen_elements,
    gather_unseen_elements,
    unseen_element_errors,
    warn_unseen_elements,
)


def test_rows_and_symbols_are_found():
    rows = np.array([0, 0, 1, 2, 2, 2])
    numbers = np.array([11, 17, 55, 19, 9, 19])
    assert find_unseen_elements(rows, numbers, [11, 17]) == {1: ["Cs"], 2: ["F", "K"]}
    assert find_unseen_elements(rows[:2], numbers[:2], [11, 17]) == {}


def test_errors_name_row_formula_and_elements():
    [error] = unseen_element_errors({3: ["K"]}, lambda row: f"X{row}", ["Na", "Cl"], "or leave it")
    assert (error.index, error.formula) == (3, "X3")
    assert "element K, which no structure of fit had (seen: Na, Cl)" in error.reason
    assert error.reason.endswith("or leave it")


def test_one_warning_names_elements_and_rows():
    unseen = {row: ["K"] for row in range(12)} | {20: ["F", "K"]}
    with pytest.warns(ExtrapolationWarning) as caught:
        warn_unseen_elements(unseen, "they are extrapolated")
    [message] = [str(warning.message) for warning in caught]
    assert message.startswith("13 rows hold elements that no row of fit had: K (rows 0, 1, 2, ")
    assert "9 and 3 more), F (row 20); they are extrapolated" in message
    assert caught[0].filename == __file__


def test_gathered_elements_are_not_warned_of():
    with warnings.catch_warnings(), gather_unseen_elements() as gathered:
        warnings.simplefilter("error")
        warn_unseen_elements({3: ["K"]}, "first")
        warn_unseen_elements({3: ["Na", "K"], 1: ["F"]}, "second")
        warn_unseen_elements({3: ["K"]}, "first")
    assert gathered.symbols == {3: ["K", "Na"], 1: ["F"]}
    assert gathered.consequences == ["first", "second"]
    with pytest.warns(ExtrapolationWarning):
        warn_unseen_elements({3: ["K"]}, "first")


def test_nothing_unseen_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_unseen_elements({}, "nothing")


def test_warning_of_code_without_a_name():
    with pytest.warns(ExtrapolationWarning, match="K"):
        exec("warn({0: ['K']}, 'nothing')", {"warn": warn_unseen_elements})
