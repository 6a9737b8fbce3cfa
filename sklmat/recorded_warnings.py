"""Warnings: recorded and ignored in one thread, whatever others do; the line that they point to."""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import warnings
from collections.abc import Iterator

#: Packages whose lines are not those of the user.
_INSIDE = ("sklmat", "sklearn", "imblearn", "joblib")


class _Recording:
    """Changes how warnings are shown while at least one thread records its own.

    Two threads must not be in ``warnings.catch_warnings`` at once: where the first to enter is the
    first to leave, the filters of the other stay in the process. Here the first thread to enter
    saves the filters, and the last to leave restores them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_open = 0
        self.lists = threading.local()

    def open(self) -> list[warnings.WarningMessage]:
        caught: list[warnings.WarningMessage] = []
        self.lists.open = [*self._open_here(), caught]
        with self.lock:
            self.n_open += 1
            if self.n_open == 1:
                self.before = warnings.catch_warnings()
                self.before.__enter__()
                self.filters = list(warnings.filters)
                self.show = warnings.showwarning
                warnings.simplefilter("always")
                warnings.showwarning = self._keep_or_show
        return caught

    def close(self) -> None:
        self.lists.open = self._open_here()[:-1]
        with self.lock:
            self.n_open -= 1
            if self.n_open == 0:
                self.before.__exit__(None, None, None)

    def _open_here(self):
        return getattr(self.lists, "open", [])

    def _keep_or_show(self, message, category, filename, lineno, file=None, line=None):
        """Keep a warning of a thread that records; treat that of another by the filters before."""
        here = self._open_here()
        if here:
            here[-1].append(warnings.WarningMessage(message, category, filename, lineno))
            return
        action = self._action(message, category)
        if action == "error":
            raise message
        if action != "ignore":
            self.show(message, category, filename, lineno, file, line)

    def _action(self, message, category):
        # Filters by module or line are left out, since the module is not known here.
        for action, text, of_category, module, line in self.filters:
            if (
                (module is None and line == 0)
                and issubclass(category, of_category)
                and (text is None or text.match(str(message)))
            ):
                return action
        return "default"


_recording = _Recording()


@contextlib.contextmanager
def record_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Record all warnings of this thread within a ``with`` block, instead of showing them.

    Yields
    ------
    caught : list of WarningMessage
        Grows with each warning.

    Examples
    --------
    >>> import warnings
    >>> from sklmat.recorded_warnings import record_warnings
    >>> with record_warnings() as caught:
    ...     warnings.warn("too few rows")
    >>> [str(warning.message) for warning in caught]
    ['too few rows']
    """
    caught = _recording.open()
    try:
        yield caught
    finally:
        _recording.close()


@contextlib.contextmanager
def ignore_warnings(category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore warnings of one category in this thread within a ``with`` block.

    Those of other categories are issued at the end of the block.

    Parameters
    ----------
    category : subclass of Warning, default=Warning
    """
    caught: list[warnings.WarningMessage] = []
    try:
        with record_warnings() as caught:
            yield
    finally:
        for warning in caught:
            if not issubclass(warning.category, category):
                issue_again(warning)


def issue_again(warning: warnings.WarningMessage, registry: dict | None = None) -> None:
    """Issue a recorded warning, with the line and the module of code that it points to.

    Parameters
    ----------
    warning : WarningMessage
    registry : dict, default=None
        Warnings issued before, which the usual filters do not show again; None takes those of the
        module.
    """
    path = warning.filename
    # Filters can name modules.
    modules = (m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == path)
    module = next(modules, None)
    if module is not None and registry is None:
        registry = vars(module).setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        warning.message,
        warning.category,
        path,
        warning.lineno,
        module=None if module is None else module.__name__,
        registry=registry,
    )


def frames_inside() -> int:
    """Level of the first frame outside of sklmat and scikit-learn, seen from the caller.

    As ``stacklevel``, it lets a warning point to the line of the user.
    """
    frame, count = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, count = frame.f_back, count + 1
    return count
