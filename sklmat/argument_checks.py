"""`checked_arguments`: arguments of functions and methods are validated by their type hints."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Collection, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


class Kind(NamedTuple):
    """Values that an argument may have.

    Attributes
    ----------
    text : str
        For the message: "a str".
    allows : callable
        Whether a value is one of them.
    """

    text: str
    allows: Callable[[Any], bool]


def is_int(value: Any) -> bool:
    """Whether a value is an int, and not True or False."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def _is_number(value):
    """Whether a value is a number that is neither NaN nor infinite."""
    is_real = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    return is_real and -np.inf < value < np.inf


def is_seed(value: Any) -> bool:
    """Whether a value is a `random_state` of scikit-learn."""
    # scikit-learn takes the module for numpy's global generator.
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return True
    return bool(is_int(value) and 0 <= value < 2**32)


#: Ranges of numbers, for `checked_arguments`.
POSITIVE = Kind("a finite number above 0", lambda value: _is_number(value) and value > 0)
NOT_NEGATIVE = Kind("a finite number from 0", lambda value: _is_number(value) and value >= 0)
POSITIVE_INT = Kind("an int above 0", lambda value: is_int(value) and value > 0)


def _predicts(value):
    return hasattr(value, "predict") and not isinstance(value, type)


#: Fitted estimators, for `checked_arguments`.
PREDICTOR = Kind("a fitted estimator with predict", _predicts)
PREDICTORS = Kind(
    "a fitted estimator with predict, or a dict of them",
    lambda value: (
        all(map(_predicts, value.values()))
        if isinstance(value, Mapping) and value
        else _predicts(value)
    ),
)

#: Part of a type hint -> what it allows.
_KINDS = {
    "None": Kind("None", lambda value: value is None),
    "bool": Kind("True or False", lambda value: isinstance(value, bool | np.bool_)),
    "str": Kind("a str", lambda value: isinstance(value, str)),
    "int": Kind("an int", is_int),
    "float": Kind("a finite number", _is_number),
    "RandomState": Kind("an int from 0 to 4294967295, a RandomState or None", is_seed),
    "PathLike": Kind(
        "a path", lambda value: isinstance(value, str | os.PathLike) and str(value) != ""
    ),
}
#: Classes in type hints that are no strings, numbers or paths.
_CLASSES = {"Axes", "CrystalGraphs", "Comparison", "InfoGANAugmenter", "LearningCurves"}
_CLASSES |= {"QualityReport"}
_VERBOSE = Kind(
    "True, False or an int from 0",
    lambda value: isinstance(value, bool | np.bool_) or (is_int(value) and value >= 0),
)


def checked_arguments(**ranges: Kind | None) -> Callable[[F], F]:
    """Return a decorator that validates the arguments of a function or method.

    Arguments whose type hint consists of bool, int, float, str, None, ``Literal``, `RandomState`,
    `PathLike`, sequences of these, ``Mapping``, ``pd.DataFrame`` and some classes of sklmat are
    validated. The function itself validates others, such as crystals. A float must be finite.

    Parameters
    ----------
    **ranges : Kind or None
        Values of parameters with a smaller range than their type hint says, such as `POSITIVE`;
        None for those that the function validates.

    Returns
    -------
    decorator : callable
        The decorated function raises an ``InvalidParameterError``, which is a ValueError and a
        TypeError, for a wrong argument.

    Examples
    --------
    >>> from sklmat.argument_checks import checked_arguments
    >>> @checked_arguments()
    ... def repeat(text: str, n: int | None = None): ...
    >>> repeat("a", n=0.5)
    Traceback (most recent call last):
        ...
    sklearn.utils._param_validation.InvalidParameterError: n must be an int or None, got 0.5
    """

    def decorate(function):
        signature = inspect.signature(function)
        kinds = {
            name: [ranges[name]] if ranges.get(name) else _kinds(name, parameter)
            for name, parameter in signature.parameters.items()
        }
        own = {name for name, kind in ranges.items() if kind is None}
        kinds = {name: of_name for name, of_name in kinds.items() if of_name and name not in own}

        @functools.wraps(function)
        def call(*args, **kwargs):
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:
                # The message of Python names the function.
                return function(*args, **kwargs)
            for name in [name for name in kinds if name in given]:
                _check(name, given[name], kinds[name])
            return function(*args, **kwargs)

        return call

    return decorate


def _check(name, value, kinds):
    if any(kind.allows(value) for kind in kinds):
        return
    from sklearn.utils._param_validation import InvalidParameterError

    *others, last = [kind.text for kind in kinds]
    allowed = f"{', '.join(others)} or {last}" if others else last
    text = repr(value)
    raise InvalidParameterError(
        f"{name} must be {allowed}, got {text if len(text) < 100 else text[:97]}"
    )


def _is_frame(value):
    # pandas is not imported for it.
    return any(
        c.__name__ == "DataFrame" and c.__module__.startswith("pandas") for c in type(value).__mro__
    )


def _kinds(name, parameter):
    """What a type hint allows; None if a part of it is not simple."""
    # `check_n_jobs` also refuses zero.
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name == "n_jobs":
        return None
    if name == "verbose":
        return [_VERBOSE]
    kinds = [_kind(part) for part in _parts(str(parameter.annotation).strip("'\""))]
    return None if None in kinds else kinds


def _parts(hint):
    """Parts of a union, as text."""
    parts, depth = [""], 0
    for letter in hint:
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _kind(part):
    if part == "pd.DataFrame":
        return Kind("a DataFrame of pandas", _is_frame)
    if part in _CLASSES:
        return Kind(f"a {part}", lambda value: part in [c.__name__ for c in type(value).__mro__])
    name, _, inner = part.partition("[")
    if name == "Literal":
        values = re.findall(r"[\"']([^\"']+)[\"']", inner)
        text = " or ".join(map(repr, values))
        return Kind(text, lambda value: isinstance(value, str) and value in values)
    if name in ("Mapping", "dict"):
        return Kind("a dict", lambda value: isinstance(value, Mapping))
    if name in ("Sequence", "list"):
        of_item = _kind(inner[:-1])
        return of_item and Kind(f"a sequence of {inner[:-1]}", _all(of_item.allows))
    return _KINDS.get(part)


def _all(allows):
    def is_sequence(value):
        if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping | type):
            return False
        # Axes are often in an array of two dimensions.
        is_object = isinstance(value, np.ndarray) and value.dtype.kind == "O"
        items = value.ravel() if is_object else value
        return getattr(items, "ndim", 1) == 1 and all(allows(item) for item in items)

    return is_sequence


def check_names(**values: object) -> None:
    """Raise a ValueError unless each argument is None, a str or a sequence of str.

    Parameters
    ----------
    **values
        Arguments by name.

    Examples
    --------
    >>> from sklmat.argument_checks import check_names
    >>> check_names(groups=["volume"], elements=None)
    """
    for name, value in values.items():
        _check(name, value, [_KINDS["str"], _kind("Sequence[str]"), _KINDS["None"]])
