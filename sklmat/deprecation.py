"""`renamed_parameters`: former names of parameters and attributes still work, with a warning."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

#: Version in which the former names are removed.
REMOVED_IN = "0.3"

T = TypeVar("T")


def renamed_parameters(**new_names: str) -> Callable[[T], T]:
    """Return a decorator with which a function or class also accepts former parameter names.

    A class also keeps the former names as attributes. An estimator accepts them in `set_params`
    too, also as the first part of nested names, so that parameter grids stay valid.

    Parameters
    ----------
    **new_names : str
        The new name of each former name.

    Returns
    -------
    decorator : callable
        The decorated function or class raises a ``TypeError`` when a parameter is given by both
        names.
    """

    def decorate(thing):
        if not inspect.isclass(thing):
            return _with_former_names(thing, new_names, thing.__qualname__)
        for method in {"__init__", "set_params"} & set(dir(thing)):
            wrapped = _with_former_names(getattr(thing, method), new_names, thing.__name__)
            setattr(thing, method, wrapped)
        for former, new in new_names.items():
            setattr(thing, former, renamed_attribute(former, new))
        return thing

    return decorate


def renamed_attribute(former: str, new: str) -> property:
    """Make a property that reads and writes an attribute under its former name.

    Parameters
    ----------
    former, new : str

    Returns
    -------
    property
    """

    def read(self: Any) -> Any:
        value = getattr(self, new)
        _warn(type(self).__name__, former, new)
        return value

    def write(self: Any, value: Any) -> None:
        _warn(type(self).__name__, former, new)
        setattr(self, new, value)

    return property(read, write, doc=f"Former name of `{new}`, until version {REMOVED_IN}.")


def _with_former_names(function, new_names, owner):
    order = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args, **kwargs):
        given = {name: value for name, value in kwargs.items() if _renamed(name, new_names) == name}
        for former in kwargs.keys() - given.keys():
            new = _renamed(former, new_names)
            if new in given or new in order[: len(args)]:
                raise TypeError(
                    f"{owner} got {new!r} and {former!r}, which is its former name: leave the "
                    "latter out"
                )
            _warn(owner, former, new)
            given[new] = kwargs[former]
        return function(*args, **given)

    return call


def _renamed(name, new_names):
    """Return the new name; in a nested name ``step__parameter``, the first part is replaced."""
    first, separator, rest = name.partition("__")
    return new_names.get(first, first) + separator + rest


def _warn(owner, former, new):
    warnings.warn(
        f"{former!r} of {owner} is now called {new!r}; the former name will be removed in sklmat "
        f"{REMOVED_IN}",
        FutureWarning,
        stacklevel=3,
    )
