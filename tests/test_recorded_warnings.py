"""Warnings of one thread are recorded or ignored while other threads run."""

import threading
import warnings

import pytest

from sklmat.recorded_warnings import ignore_warnings, record_warnings


def texts(caught):
    return [str(warning.message) for warning in caught]


def test_all_warnings_are_recorded_though_filters_ignore_them():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with record_warnings() as caught:
            for _ in range(2):
                warnings.warn("few rows", UserWarning, stacklevel=1)
    assert texts(caught) == ["few rows"] * 2
    assert caught[0].filename == __file__


def test_one_recording_within_another():
    with record_warnings() as outer:
        with record_warnings() as inner:
            warnings.warn("inner", stacklevel=1)
        warnings.warn("outer", stacklevel=1)
    assert (texts(inner), texts(outer)) == (["inner"], ["outer"])


def test_other_categories_are_issued_again():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with ignore_warnings(DeprecationWarning):
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            warnings.warn("few rows", UserWarning, stacklevel=1)
    assert texts(caught) == ["few rows"]
    assert caught[0].filename == __file__


def test_filters_are_restored_where_the_first_thread_to_enter_leaves_first():
    before, show = list(warnings.filters), warnings.showwarning
    second_is_inside, first_has_left = threading.Event(), threading.Event()
    of_second = []

    def second():
        with record_warnings() as caught:
            second_is_inside.set()
            first_has_left.wait(10)
            warnings.warn("second", stacklevel=1)
        of_second.extend(texts(caught))

    thread = threading.Thread(target=second)
    with record_warnings() as of_first:
        thread.start()
        second_is_inside.wait(10)
        warnings.warn("first", stacklevel=1)
    first_has_left.set()
    thread.join()
    assert (texts(of_first), of_second) == (["first"], ["second"])
    assert (list(warnings.filters), warnings.showwarning) == (before, show)


@pytest.mark.parametrize("action", ["error", "ignore", "default"])
def test_threads_that_record_nothing_keep_their_filters(action):
    raised = []

    def other():
        try:
            warnings.warn("other", UserWarning, stacklevel=1)
        except UserWarning as error:
            raised.append(error)

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter(action)
        with record_warnings() as caught:
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
    assert caught == []
    assert len(raised) == (action == "error")
    assert len(shown) == (action == "default")


def test_filters_by_module_hold_for_warnings_that_are_issued_again():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=__name__)
        with ignore_warnings(DeprecationWarning):
            warnings.warn("few rows", UserWarning, stacklevel=1)
    assert texts(caught) == []


@ignore_warnings(DeprecationWarning)
def warn_and_fail():
    warnings.warn("few rows", UserWarning, stacklevel=1)
    raise ValueError("no rows")


def test_an_error_does_not_lose_warnings():
    with warnings.catch_warnings(record=True) as caught, pytest.raises(ValueError, match="no rows"):
        warn_and_fail()
    assert texts(caught) == ["few rows"]
