"""`run_parallel` calls a function in the processes or threads of joblib, on any of its backends."""

from __future__ import annotations

import os
import pickle
import platform
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import ExitStack
from itertools import chain, islice
from typing import Any
from uuid import uuid4

from sklmat.recorded_warnings import issue_again, record_warnings

#: Times that work is sent again after a worker process has died.
_MAX_LOSSES = 3
#: Tasks per process that are sent together where results come back together.
_TOGETHER = 8


def count_processes(n_jobs: int | None) -> int:
    """Number of processes or threads that joblib uses for `n_jobs` in its present configuration."""
    from joblib import effective_n_jobs

    # The backend of dask counts all its workers for any number.
    return 1 if n_jobs == 1 else effective_n_jobs(n_jobs)


def run_parallel(
    function: Callable[..., Any],
    items: Iterable[tuple],
    *,
    common: Sequence[Any] = (),
    n_jobs: int | None = None,
    n_waiting: int | None = None,
) -> Iterator[Any]:
    """Call a function for each item, on any backend of joblib, and yield the results in order.

    Work of worker processes that die is sent again. Warnings of worker processes are issued here,
    and errors are raised here when their result is due. With several processes, an error in making
    an item is raised before the results of the items that were sent together with it.

    Parameters
    ----------
    function : callable
        Called as ``function(*common, *item)``. Worker processes import it by its name.
    items : iterable of tuple
        May be a generator, which is then consumed by this thread while the first items are already
        being worked on.
    common : sequence, default=()
        First arguments of all calls, which are sent once where the backend can do so.
    n_jobs : int or None, default=None
        As in joblib. With one process, each call is made when its result is asked for.
    n_waiting : int or None, default=None
        Largest number of items that are being worked on or have results that wait to be used; None
        sends all items at once.

    Yields
    ------
    result : object
        Return value of one call.

    Examples
    --------
    >>> from sklmat.processes import run_parallel
    >>> list(run_parallel(divmod, [(7,), (8,)], common=(50,)))
    [(7, 1), (6, 2)]
    """
    n_processes = count_processes(n_jobs)
    if n_processes == 1:
        for item in items:
            yield function(*common, *item)
        return
    yield from _Run(function, common, n_jobs, n_processes, n_waiting).results(iter(items))


class _Run:
    """One call of `run_parallel` with several processes."""

    def __init__(self, function, common, n_jobs, n_processes, n_waiting):
        from joblib.parallel import get_active_backend

        self.call = _Call(function, common)
        self.n_jobs = n_jobs
        # The backend of ray does not give results one by one.
        backend = get_active_backend()[0]
        self.one_by_one = getattr(backend, "supports_return_generator", False)
        if n_waiting is None and not self.one_by_one:
            n_waiting = _TOGETHER * n_processes
        self.n_waiting = n_waiting
        self.n_losses = 0
        # Items that were sent and whose results are not known.
        self.sent: deque[tuple] = deque()
        self.issued: dict = {}
        self.error: Exception | None = None

    def results(self, items):
        from joblib import Parallel

        while True:
            try:
                with Parallel(
                    n_jobs=self.n_jobs,
                    return_as="generator" if self.one_by_one else "list",
                    # Items are sent by this thread, which may have to make them first.
                    pre_dispatch="all",
                    batch_size=1,
                ) as parallel:
                    for window in self._windows(items):
                        yield from self._finished(parallel(self._tasks(window)))
                        if self.error is not None:
                            # Joblib loses an error in making an item, and all results, if the
                            # calls for the items before are already done.
                            raise self.error
                return
            except Exception as error:
                if error is self.error or not _is_loss(error) or self.n_losses == _MAX_LOSSES:
                    raise
                self.n_losses += 1
                warnings.warn(
                    f"a worker process died ({type(error).__name__}); what it was working on is "
                    f"sent again ({self.n_losses} of {_MAX_LOSSES} times)",
                    RuntimeWarning,
                    stacklevel=4,
                )
                lost, self.sent = self.sent, deque()
                items = chain(lost, items)

    def _windows(self, items):
        for first in items:
            yield chain([first], islice(items, self.n_waiting and self.n_waiting - 1))

    def _tasks(self, items):
        from joblib import delayed

        try:
            for item in items:
                self.sent.append(item)
                yield delayed(_run_call)(self.call, item)
        except Exception as error:
            self.error = error
            raise

    def _finished(self, results):
        for result, error, trace, caught in results:
            self.sent.popleft()
            for warning in caught:
                issue_again(warning, self.issued)
            if error is not None:
                self.error = error
                # An error keeps its traceback within a process only.
                if trace is not None:
                    raise error from _InWorker(trace)
                raise error
            yield result


def _is_loss(error):
    """Whether an error says that a worker process is gone; errors of the function are returned."""
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    # An argument that cannot be unpickled by a worker of ray is a RayTaskError.
    names = [cls.__name__ for cls in type(error).__mro__]
    package = type(error).__module__.split(".")[0]
    return package in ("distributed", "ray") and "RayTaskError" not in names


class _InWorker(Exception):
    """Traceback in a worker process, shown as the cause of an error."""

    def __str__(self):
        return f"\n{self.args[0]}"


class _Call:
    """A function, its first arguments, and the settings of scikit-learn that it is called with."""

    def __init__(self, function, common):
        self.function = function
        self.common = [None if isinstance(value, list) else value for value in common]
        self.lists = _Pickled(
            {k: value for k, value in enumerate(common) if isinstance(value, list)}
        )
        # A process that has not imported scikit-learn, which takes seconds, does not need it.
        self.config = sys.modules["sklearn"].get_config() if "sklearn" in sys.modules else None
        self.process = _this_process()

    def arguments(self):
        lists = self.lists.get()
        return [lists.get(k, value) for k, value in enumerate(self.common)]

    def __sizeof__(self):
        # The backend of dask sends arguments of more than 1 kB once to each worker, not with each
        # item. It asks for the size of the object itself, which says nothing of what it holds.
        return 10_000


class _Pickled:
    """Lists that are pickled once, and unpickled once in each process, instead of for each item.

    They hold crystals, which take a thousand times longer than arrays.
    """

    def __init__(self, value):
        self.value = value
        self.data = None
        self.key = uuid4().hex

    def __getstate__(self):
        # Also for classes that are defined in a notebook.
        from joblib.externals.loky.backend.reduction import dumps

        if self.data is None:
            self.data = bytes(dumps(self.value))
        return {"data": self.data, "key": self.key}

    def get(self):
        if hasattr(self, "value"):
            return self.value
        found = _unpickled.get(self.key)
        if found is None:
            found = pickle.loads(self.data)
            _unpickled.clear()
            _unpickled[self.key] = found
        return found


#: What this process has unpickled last, with its key.
_unpickled: dict[str, Any] = {}


def _run_call(call, item):
    """Call the function; return its result, its error, the traceback, and the warnings.

    An error is returned, since joblib ends its processes when a task raises one.
    """
    is_elsewhere = _this_process() != call.process
    result = error = trace = None
    with ExitStack() as settings:
        if call.config and "sklearn" in sys.modules:
            settings.enter_context(sys.modules["sklearn"].config_context(**call.config))
        # Warnings of a thread reach the process of the caller by themselves.
        caught = settings.enter_context(record_warnings()) if is_elsewhere else []
        try:
            result = call.function(*call.arguments(), *item)
        except Exception as raised:
            error = _as_sent(raised) if is_elsewhere else raised
            trace = traceback.format_exc() if is_elsewhere else None
    return result, error, trace, _once(caught)


def _as_sent(error):
    """Return an error, or one with its text if it cannot be pickled and unpickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _this_process():
    # Processes of several computers may have the same number.
    return platform.node(), os.getpid()


def _once(caught):
    """Recorded warnings, each of them once."""
    found = {}
    for w in caught:
        found.setdefault((w.category, str(w.message), w.filename, w.lineno), w)
    return list(found.values())
