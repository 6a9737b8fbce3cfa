"""Compositions in any form, as checked fractions."""

import os

import numpy as np

from sklmat.augmentation._fractions import SUM_TOLERANCE, check_fractions, refuse_rows


def looks_like_table(X):
    """Whether `X` is a table of fractions rather than a sequence of structures or compositions."""
    if hasattr(X, "columns"):
        return True
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiu"


def count_compositions(X):
    """How many items of a sequence are `Composition` objects; one alone is refused."""
    from pymatgen.core import Composition

    if isinstance(X, Composition):
        raise TypeError("X is a single Composition; pass a list of them")
    if hasattr(X, "atom_ptr"):
        return 0
    _refuse_nothing(X)
    return sum(isinstance(item, Composition) for item in X)


def refuse_formulas(X):
    """Say where formulas and dicts of amounts belong, which `predict` would take for structures."""
    from pymatgen.core import Composition

    if hasattr(X, "atom_ptr") or isinstance(X, str | dict):
        return
    for row, item in enumerate(X):
        amounts = isinstance(item, dict) and item and all(map(_is_element, item))
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


def fractions_of_table(X, elements):
    """Fractions from a table.

    Parameters
    ----------
    X : DataFrame with columns ``x_Fe`` or ``Fe``, or ndarray in the order of `elements`
    elements : list of str

    Returns
    -------
    ndarray of shape (n, len(elements))

    Raises
    ------
    ValueError
        When a column is no element, an element is new, or a row is no composition.
    """
    if hasattr(X, "columns"):
        symbols = [str(name).removeprefix("x_") for name in X.columns]
        values = _numbers(X.to_numpy())
    else:
        symbols, values = elements, _numbers(X)
        if values.ndim != 2 or values.shape[1] != len(elements):
            raise ValueError(
                f"an array of fractions needs {len(elements)} columns, one for each of {elements} "
                f"in this order; got shape {values.shape}"
            )
    if len(set(symbols)) < len(symbols):
        raise ValueError(f"the table names an element twice: {symbols}")
    return _in_order(values, symbols, elements)


def fractions_of_items(items, elements):
    """Fractions from compositions, formulas or dicts of amounts.

    Parameters
    ----------
    items : sequence of Composition, str or dict
    elements : list of str

    Returns
    -------
    ndarray of shape (n, len(elements))

    Raises
    ------
    ValueError
        When an item is no composition or holds an element that is new.
    """
    from pymatgen.core import Composition

    if isinstance(items, str | dict | Composition):
        raise TypeError(f"{items!r} is a single composition; pass a list of them")
    _refuse_nothing(items)
    rows = np.zeros((len(items), len(elements)))
    for k, item in enumerate(items):
        try:
            amounts = _amounts(item)
        except Exception as error:
            raise ValueError(f"row {k} ({item!r}) is no composition: {error}") from error
        new = sorted(set(amounts) - set(elements))
        if new or not amounts:
            raise ValueError(
                f"row {k} ({item}) holds {new or 'nothing'}; the model knows {elements} only"
            )
        rows[k, [elements.index(symbol) for symbol in amounts]] = list(amounts.values())
    return rows


def _amounts(item):
    """Fractions by symbol."""
    from pymatgen.core import Composition

    if isinstance(item, dict) and not np.isfinite([float(n) for n in item.values()]).all():
        # Composition drops NaN.
        raise ValueError("an amount is NaN or infinite")
    composition = item if isinstance(item, Composition) else Composition(item)
    numbers = list(composition.values())
    if numbers and max(numbers) < 1 and abs(sum(numbers) - 1) > SUM_TOLERANCE:
        # Amounts of a formula are at least one somewhere; these were meant as fractions.
        raise ValueError(f"its fractions sum to {sum(numbers):.4g} and not to one")
    return composition.fractional_composition.get_el_amt_dict()


def _numbers(values):
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"fractions must be numbers ({error}); a table holds nothing else, and the phase is "
            "passed as phase="
        ) from error


def _in_order(values, symbols, elements):
    """Put columns in the order of the model's elements, and check each row."""
    _refuse_nothing(values)
    refuse_rows(~np.isfinite(values).all(axis=1), "holds NaN or infinity", values)
    refuse_rows((values < 0).any(axis=1), "has a negative fraction", values)
    new = [symbol for symbol in symbols if symbol not in elements]
    for symbol in new:
        used = values[:, symbols.index(symbol)] > 0
        if used.any() or not _is_element(symbol):
            row = f"row {int(np.argmax(used))} of " if used.any() else ""
            raise ValueError(
                f"{row}the table has a column {symbol!r}; the model knows fractions of {elements} "
                "only"
            )
    check_fractions(values)
    ordered = np.zeros((len(values), len(elements)))
    known = [k for k, symbol in enumerate(symbols) if symbol in elements]
    ordered[:, [elements.index(symbols[k]) for k in known]] = values[:, known]
    return ordered


def _is_element(symbol):
    from pymatgen.core import Element

    return isinstance(symbol, str) and Element.is_valid_symbol(symbol)


def _refuse_nothing(X):
    if not len(X):
        raise ValueError("X is empty: there is nothing to predict")
