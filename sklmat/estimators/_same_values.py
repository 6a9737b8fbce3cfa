"""`same_values`: whether two values of a parameter are the same, also arrays and functions."""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

#: Parameters of estimators that say how something is computed, and not what.
_WITHOUT_EFFECT = {"n_jobs", "verbose", "cache", "memory", "device"}
_NUMBER = int | float | np.number


def same_values(one: Any, other: Any) -> bool:
    """Whether two values of a parameter are the same.

    Estimators are compared by class and by the parameters that change results, and frozen ones by
    all they hold; functions by their code, since a copy in another process is another object.

    Parameters
    ----------
    one, other : any

    Returns
    -------
    bool
    """
    return _same(one, other, {})


def _same(one, other, begun):
    if one is other:
        return True
    if type(one) is not type(other):
        # A whole number may have become one of numpy.
        alike = any(isinstance(one, t) and isinstance(other, t) for t in (_NUMBER, str))
        return alike and bool(one == other)
    if isinstance(one, np.random.RandomState | np.random.Generator):
        return True  # Each use changes their state.
    # Objects may refer to each other in a circle. The objects are kept, so that no other ones get
    # their ids.
    pair = (id(one), id(other))
    if pair in begun:
        return True
    begun[pair] = (one, other)
    parts = _parts(one), _parts(other)
    if parts[0] is not None:
        return _same(*parts, begun)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k], begun) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(_same(*items, begun) for items in zip(one, other))
    if isinstance(one, pd.DataFrame | pd.Series | pd.Index):
        return one.equals(other)
    if sparse.issparse(one):
        return one.shape == other.shape and (one != other).nnz == 0
    if hasattr(one, "__array__"):
        one, other = np.asarray(one), np.asarray(other)
        if one.dtype == object:
            return one.shape == other.shape and _same(one.tolist(), other.tolist(), begun)
        is_float = one.dtype.kind in "fc" and other.dtype.kind in "fc"
        return np.array_equal(one, other, equal_nan=is_float)
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    return bool(one == other)


def _parts(value):
    """What two objects must have in common; None if they are compared as they are."""
    if isinstance(value, FrozenEstimator):
        return vars(value.estimator)
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        return {name: params[name] for name in params if name not in _WITHOUT_EFFECT}
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    # An object without a comparison of its own.
    has_own = type(value).__eq__ is not object.__eq__
    return None if has_own or not hasattr(value, "__dict__") else vars(value)
