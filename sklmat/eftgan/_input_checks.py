"""Validation of the input of `EFTGANRegressor`: targets, structures, compositions."""

import os

import numpy as np

from sklmat.compositions import is_element, parse_composition, refuse_empty
from sklmat.structures import is_graphs
from sklmat.targets import as_numbers, refuse_out_of_range


def check_targets(y):
    """Return the targets as floats, and their names; raise a ValueError if `y` is not usable."""
    if hasattr(y, "columns"):
        names = [str(name) for name in y.columns]
    else:
        names = None if getattr(y, "name", None) is None else [str(y.name)]
    try:
        values = as_numbers(y)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numeric: {error}") from error
    if values.ndim not in (1, 2):
        raise ValueError(f"y must have the shape (C,) or (C, n_targets), got {values.shape}")
    if not values.size:
        raise ValueError(f"y has the shape {values.shape}: there is nothing to fit")
    table = values.reshape(len(values), -1)
    # With several targets, some may be missing in a row, but not all.
    bad = np.flatnonzero(np.isinf(table).any(axis=1) | np.isnan(table).all(axis=1))
    if len(bad):
        what = "infinite, or NaN in all targets," if table.shape[1] > 1 else "NaN or infinite"
        raise ValueError(f"y is {what} in rows {bad[:10].tolist()}; drop them")
    empty = np.flatnonzero(np.isnan(table).all(axis=0))
    if len(empty):
        raise ValueError(f"no row has target {empty.tolist()}; leave it out of y")
    refuse_out_of_range(values)
    if names is None:
        names = ["y"] if values.ndim == 1 else [f"y{k}" for k in range(values.shape[1])]
    return values, names


def count_compositions(X):
    """Count the `Composition` objects of a sequence; raise a TypeError if `X` itself is one."""
    from pymatgen.core import Composition

    if isinstance(X, Composition):
        raise TypeError("X is a single Composition; pass a list of them")
    if is_graphs(X):
        return 0
    refuse_empty(X)
    return sum(isinstance(item, Composition) for item in X)


def refuse_formulas(X):
    """Raise a TypeError for formulas and dicts, which `predict` would read as structures."""
    if is_graphs(X) or isinstance(X, str | dict):
        return
    for row, item in enumerate(X):
        is_composition = isinstance(item, dict) and item and all(map(is_element, item))
        if isinstance(item, str) and not os.path.exists(os.path.expanduser(item)):
            try:
                is_composition = len(parse_composition(item)) > 0
            except ValueError:
                continue
        if is_composition:
            raise TypeError(
                f"row {row} is {item!r}: pass formulas and dicts of amounts to "
                "predict_composition; predict reads a string as the path of a structure"
            )
