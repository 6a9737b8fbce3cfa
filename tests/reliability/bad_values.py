"""Bad values for every argument, and whether a type hint allows a value."""

import re
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from pymatgen.core import Structure
from sklearn.linear_model import Ridge

VALUES = {
    "object": object(),
    "class": Structure,
    "text": "nonsense",
    "empty text": "",
    "bytes": b"x",
    "true": True,
    "zero": 0,
    "negative": -1,
    "fraction": 0.5,
    "negative fraction": -0.5,
    "large": 10**6 + 1,
    "huge": 1e300,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "negative infinity": -float("inf"),
    "complex": 1j,
    "none": None,
    "list": [],
    "tuple": (),
    "dict": {},
    "list of None": [None],
    "list of NaN": [float("nan")],
    "list of text": ["nonsense"],
    "numbers": [1.0, -1.0, 3.0],
    "nested": [[1], [1, 2]],
    "dict of text": {"nonsense": "nonsense"},
    "estimator": Ridge(),
}
#: Names in type hints that stand for others, or for scalars and collections.
_SCALARS = {
    "RandomState": {"int", "None"},
    "PathLike": {"str"},
    "ElementFeatures": {"str", "dict"},
    "_Column": {"str"},
    "_Pool": {"str"},
}
_MAPPINGS = ("Mapping", "dict", "Species")
_SEQUENCES = ("Sequence", "list", "tuple", "Iterable", "ArrayLike", "np.ndarray", "Structures")
_SEQUENCES += ("Compositions", "Table", "BaseCrossValidator", "Iterator")
_ESTIMATORS = ("BaseEstimator", "StructureAttack", "InfoGANAugmenter", "ECNetRegressor", "Callable")
#: Data, which are checked with rows of their own.
DATA = {"X", "y", "groups", "sample_weight", "expected", "parts", "structures_or_bunch"}


def parts_of(hint):
    """Parts of a union, as text."""
    text, depth, parts, part = str(hint).strip("'\""), 0, [], ""
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [each.strip().strip("'\"") for each in [*parts, part]]


def is_allowed(hint, value):
    """Whether a type hint allows a value; of numbers only NaN is never allowed."""
    names, literals = set(), set()
    for part in parts_of(hint):
        if part.startswith("Literal"):
            literals |= set(re.findall(r"['\"]?([\w.+\-*]+)['\"]?", part[8:-1]))
        else:
            names |= _SCALARS.get(part, {part})
    if names & {"object", "Any"}:
        return True
    if value is None:
        return "None" in names
    if isinstance(value, bool):
        # scikit-learn takes True as one.
        return bool(names & {"bool", "int", "float"})
    is_array = any(name.startswith(("ArrayLike",)) for name in names)
    if isinstance(value, Integral):
        return bool(names & {"int", "float"}) or is_array
    if isinstance(value, Real):
        return ("float" in names or is_array) and value == value
    if isinstance(value, str):
        return bool(names & {"str"}) or value in literals
    if isinstance(value, Path):
        return "str" in names
    if isinstance(value, dict):
        return any(name.startswith(_MAPPINGS) for name in names)
    if isinstance(value, list | tuple | np.ndarray):
        return any(name.startswith(_SEQUENCES) for name in names)
    if isinstance(value, Ridge):
        return any(name.startswith(_ESTIMATORS) for name in names)
    return False
