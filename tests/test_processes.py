"""`run_parallel`: order, progress, errors, warnings and lost processes."""

import os
import signal
import threading
import time
import warnings

import joblib
import pytest
import sklearn

from sklmat.processes import run_parallel


def squares(numbers, **params):
    return run_parallel(pow, ((n, 2) for n in numbers), **params)


def use(backend, n_jobs=2):
    return joblib.parallel_config(backend=backend, n_jobs=n_jobs)


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
@pytest.mark.parametrize("n_waiting", [None, 1, 3])
def test_results_are_in_order(backend, n_waiting):
    with use(backend):
        assert list(squares(range(7), n_waiting=n_waiting)) == [0, 1, 4, 9, 16, 25, 36]
        assert list(squares([], n_waiting=n_waiting)) == []


def test_a_result_comes_before_the_next_item_is_done():
    """A progress bar counts finished work."""
    first_was_used = threading.Event()

    def work(number):
        return number == 0 or first_was_used.wait(10)

    with use("threading"):
        for done in run_parallel(work, [(0,), (1,)]):
            assert done
            first_was_used.set()


def test_one_process_makes_an_item_when_its_result_is_due():
    made = []
    results = run_parallel(abs, ((made.append(n) or -n,) for n in range(3)), n_jobs=1)
    assert next(results) == 0
    assert made == [0]


def read_config(_):
    return sklearn.get_config()["transform_output"]


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_settings_of_scikit_learn_travel(backend):
    with use(backend), sklearn.config_context(transform_output="pandas"):
        assert list(run_parallel(read_config, [(0,), (1,)])) == ["pandas"] * 2


class Counted(list):
    """A list that counts how often it is pickled, and unpickled in its process."""

    n_pickled = n_unpickled = 0

    def __reduce__(self):
        Counted.n_pickled += 1
        return unpickle, (list(self),)


def unpickle(values):
    Counted.n_unpickled += 1
    return Counted(values)


def look_up(values, number):
    return values[number], os.getpid(), Counted.n_unpickled


def test_a_list_is_pickled_once_and_unpickled_once_in_each_process():
    values = Counted("abcdef")
    Counted.n_pickled = 0
    with use("loky"):
        found = list(run_parallel(look_up, [(n,) for n in range(6)], common=(values,)))
    assert [letter for letter, _, _ in found] == list("abcdef")
    assert Counted.n_pickled == 1
    assert {n_unpickled for _, process, n_unpickled in found} == {1}
    assert os.getpid() not in [process for _, process, _ in found]


def fail(number):
    if number == 2:
        raise KeyError("no such element")
    return number


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_an_error_comes_when_its_result_is_due(backend):
    with use(backend):
        results = run_parallel(fail, [(n,) for n in range(4)])
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(KeyError, match="no such element") as caught:
            next(results)
    if backend == "loky":
        assert 'raise KeyError("no such element")' in str(caught.value.__cause__)


def warn(number):
    warnings.warn("few rows", UserWarning, stacklevel=1)
    warnings.warn("old", DeprecationWarning, stacklevel=1)
    return number


@pytest.mark.parametrize(
    ("n_waiting", "first"), [(None, []), (2, [0, 1, 2, 3]), (5, [0, 1, 2, 3, 4])]
)
@pytest.mark.parametrize("pause", [0, 0.1])
def test_an_error_in_making_an_item_is_raised_if_the_others_are_done(n_waiting, first, pause):
    def items():
        yield from ((number,) for number in range(5))
        time.sleep(pause)
        raise ValueError("row 5 cannot be read")

    found = []
    with joblib.parallel_config(backend="threading"), pytest.raises(ValueError, match="row 5"):
        found.extend(run_parallel(abs, items(), n_jobs=2, n_waiting=n_waiting))
    assert found == first


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_warnings_of_processes_are_issued_by_the_caller(backend):
    with use(backend), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        assert list(run_parallel(warn, [(0,), (1,)])) == [0, 1]
    assert {str(warning.message) for warning in caught} == {"few rows"}
    assert {os.path.basename(warning.filename) for warning in caught} == {"test_processes.py"}


def die_once(folder, number):
    if number == 3:
        try:
            (folder / "died").touch(exist_ok=False)
        except FileExistsError:
            return number
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_what_a_dead_process_was_working_on_is_sent_again(tmp_path):
    items = ((n,) for n in range(8))
    message = r"a worker process died \(.*\); what it was .* again \(1 of 3 times\)"
    with use("loky"), pytest.warns(RuntimeWarning, match=message):
        assert list(run_parallel(die_once, items, common=(tmp_path,))) == list(range(8))


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_work_that_kills_every_process_is_given_up():
    with (
        use("loky"),
        pytest.warns(RuntimeWarning, match="3 of 3 times"),
        pytest.raises(Exception, match=r"(?i)terminated|killed"),
    ):
        list(run_parallel(die, [(n,) for n in range(4)]))


class NeedsTwo(Exception):
    """Cannot be unpickled, as some errors of other packages."""

    def __init__(self, first, second):
        super().__init__(first)


def raise_needs_two(number):
    raise NeedsTwo(f"row {number}", 2)


def test_errors_that_cannot_be_sent_keep_their_text():
    with use("loky"), pytest.raises(RuntimeError, match="NeedsTwo: row 7"):
        list(run_parallel(raise_needs_two, [(7,)]))
