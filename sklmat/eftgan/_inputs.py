"""Checks of what `EFTGANRegressor` is given: targets, phases, and structures or compositions."""

import os

import numpy as np

from sklmat.compositions import is_element, refuse_empty


def check_targets(y):
    """Targets as floats, and their names."""
    if hasattr(y, "columns"):
        names = [str(name) for name in y.columns]
    else:
        names = None if getattr(y, "name", None) is None else [str(y.name)]
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numeric: {error}") from error
    if values.ndim not in (1, 2):
        raise ValueError(f"y must have the shape (C,) or (C, n_targets), got {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise ValueError(f"y is NaN or infinite in rows {bad[:10].tolist()}; drop them")
    if names is None:
        names = ["y"] if values.ndim == 1 else [f"y{k}" for k in range(values.shape[1])]
    return values, names


def check_phase(phase, n):
    """One label for each of n rows, as an array of str."""
    labels = np.asarray(phase)
    if labels.shape != (n,):
        raise ValueError(
            f"phase must be one label, or one for each of {n} rows; got the shape {labels.shape}"
        )
    if labels.dtype.kind == "U":
        return labels
    wrong = np.array([not isinstance(label, str) for label in labels], dtype=bool)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"row {row} has the phase {labels.tolist()[row]!r}; pass a string such as 'fcc'"
        )
    return labels.astype(str)


def count_compositions(X):
    """How many items of a sequence are `Composition` objects; one alone is refused."""
    from pymatgen.core import Composition

    if isinstance(X, Composition):
        raise TypeError("X is a single Composition; pass a list of them")
    if hasattr(X, "atom_ptr"):
        return 0
    refuse_empty(X)
    return sum(isinstance(item, Composition) for item in X)


def refuse_formulas(X):
    """Say where formulas and dicts of amounts belong, which `predict` would take for structures."""
    from pymatgen.core import Composition

    if hasattr(X, "atom_ptr") or isinstance(X, str | dict):
        return
    for row, item in enumerate(X):
        amounts = isinstance(item, dict) and item and all(map(is_element, item))
        if isinstance(item, str) and not os.path.exists(item):
            try:
                amounts = len(Composition(item)) > 0
            except ValueError:
                continue
        if amounts:
            raise TypeError(
                f"row {row} is {item!r}: pass formulas and dicts of amounts to "
                "predict_composition; predict reads a string as the path of a structure"
            )
