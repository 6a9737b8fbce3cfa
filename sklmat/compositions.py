"""Compositions: formulas, tables of atomic fractions, their columns ``x_Fe``, mixing entropy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from sklmat.elements import N_ROWS
from sklmat.targets import number_array

if TYPE_CHECKING:
    import pandas as pd
    from pymatgen.core import Composition
    from pymatgen.core.structure import IStructure

    from sklmat.typing import ArrayLike, Compositions, Table

#: Largest deviation of the sum of fractions from one: published fractions are rounded.
SUM_TOLERANCE = 1e-3
#: Name of the column with the `mixing_entropy` in a table of features.
MIXING_ENTROPY = "mixing entropy (kB per atom)"

#: Two underscores end the prefix that FeatureUnion and ColumnTransformer give to a column.
_FRACTION_COLUMN = re.compile(r"(?:.*__)?x_([A-Z][a-z]?)")
_FORMULA = re.compile(r"(?:[A-Z][a-z]?|[0-9.]+|[()\[\]])+")


# -- columns of fractions


def fraction_column(symbol: str) -> str:
    """Name the column that holds the atomic fraction of an element.

    Examples
    --------
    >>> from sklmat.compositions import fraction_column
    >>> fraction_column("Fe")
    'x_Fe'
    """
    return f"x_{symbol}"


def element_of_column(name: object) -> str | None:
    """Find the element whose fraction a column holds.

    Parameters
    ----------
    name : str or object
        Name of a column, with or without the prefix that a FeatureUnion or ColumnTransformer gives.

    Returns
    -------
    symbol : str or None
        The text after ``x_``; `is_element` tells whether it is an element. None if the name does
        not consist of ``x_`` and one or two letters like a symbol.

    Examples
    --------
    >>> from sklmat.compositions import element_of_column
    >>> element_of_column("x_Fe"), element_of_column("composition__x_Fe")
    ('Fe', 'Fe')
    >>> print(element_of_column("x_position"))
    None
    """
    match = _FRACTION_COLUMN.fullmatch(name) if isinstance(name, str) else None
    return match[1] if match else None


def fraction_columns(columns: Iterable[str]) -> list[str]:
    """Find the columns of atomic fractions by their names.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns of a table.

    Returns
    -------
    names : list of str
        Names that begin with ``x_``. If there are none: names that end with ``__x_`` and a symbol,
        as FeatureUnion and ColumnTransformer write them. The order of `columns` is kept.

    Examples
    --------
    >>> from sklmat.compositions import fraction_columns
    >>> fraction_columns(["x_Fe", "lattice_fcc", "x_Ni"])
    ['x_Fe', 'x_Ni']
    >>> fraction_columns(["composition__x_Fe", "structure__volume"])
    ['composition__x_Fe']
    """
    names = [name for name in columns if is_fraction_column(name)]
    return [name for name in names if name.startswith("x_")] or names


def is_fraction_column(name: object) -> bool:
    """Whether the name of a column is that of an atomic fraction; see `fraction_columns`."""
    return isinstance(name, str) and (name.startswith("x_") or element_of_column(name) is not None)


# -- fractions as numbers


def sum_to_one(fractions: np.ndarray) -> np.ndarray:
    """Whether each row is a composition: no negative fraction, and a sum of one.

    Shapes: n rows, E elements.

    Parameters
    ----------
    fractions : ndarray of shape (n, E)

    Returns
    -------
    ndarray of bool, shape (n,)
        Rows with NaN or infinity are False.
    """
    with np.errstate(invalid="ignore"):
        off = np.abs(fractions.sum(axis=1) - 1)
        return (fractions >= 0).all(axis=1) & (off <= SUM_TOLERANCE)


def check_fractions(fractions: np.ndarray, what: str = "") -> None:
    """Raise an error if a row is not a composition.

    Parameters
    ----------
    fractions : ndarray of shape (n, E)
    what : str, default=""
        Beginning of the message.

    Raises
    ------
    ValueError
        When a fraction is negative, NaN or infinite, or a row does not sum to one. The message
        names the first such row.
    """
    refuse_rows(~np.isfinite(fractions).all(axis=1), "holds NaN or infinity", fractions, what)
    refuse_rows(np.any(fractions < 0, axis=1), "has a negative fraction", fractions, what)
    wrong = ~sum_to_one(fractions)
    refuse_rows(wrong, "has fractions that do not sum to one", fractions, what)


def refuse_rows(wrong: np.ndarray, reason: str, values: np.ndarray, what: str = "") -> None:
    """Raise a ValueError for the first row for which `wrong` is true, with its values."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{what}row {row} {reason}: {values[row].tolist()}; correct or drop it")


def checked_fractions(x: ArrayLike) -> np.ndarray:
    """Return the atomic fractions of a table or array, after checking them.

    Parameters
    ----------
    x : DataFrame, or array-like of shape (n, E) or (E,)
        In a DataFrame, only the columns that `fraction_columns` finds are used.

    Returns
    -------
    fractions : ndarray of float, shape (n, E) or (E,)

    Raises
    ------
    ValueError
        When there are no such columns, or a row is not a composition.

    Examples
    --------
    >>> from sklmat.compositions import checked_fractions
    >>> checked_fractions([1, 0])
    array([1., 0.])
    """
    table: Any = x
    if hasattr(table, "columns"):
        columns = fraction_columns(table.columns)
        if not columns:
            raise ValueError("the table has no columns of fractions: call them x_Fe, x_Ni, ...")
        table = table[columns]
    fractions = number_array(table, "the table of fractions")
    if fractions.ndim not in (1, 2) or not fractions.shape[-1]:
        raise ValueError(f"fractions must be a row or a table, got shape {fractions.shape}")
    check_fractions(np.atleast_2d(fractions))
    return fractions


def mixing_entropy(fractions: np.ndarray) -> np.ndarray:
    """Compute the ideal configurational entropy of random solutions, -Σ x ln x.

    Parameters
    ----------
    fractions : ndarray of shape (..., E)

    Returns
    -------
    entropy : ndarray of shape (...)
        Entropy per atom, in units of the Boltzmann constant; not negative.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.compositions import mixing_entropy
    >>> mixing_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(4)
    array([0.6931, 0.    ])
    """
    logarithms = np.log(np.where(fractions > 0, fractions, 1))
    # Adding zero turns the -0 of a pure element into 0.
    return -(fractions * logarithms).sum(axis=-1) + 0.0


# -- formulas and compositions


def is_element(symbol: object) -> bool:
    """Whether `symbol` is the symbol of a chemical element."""
    from pymatgen.core import Element

    return isinstance(symbol, str) and Element.is_valid_symbol(symbol)


def is_formula(text: object) -> bool:
    """Whether `text` is a string made of symbols, numbers and brackets only, as formulas are."""
    return isinstance(text, str) and _FORMULA.fullmatch(text) is not None


def holds_compositions(X: object) -> bool:
    """Whether `X` is a sequence of compositions, formulas or dicts of amounts; see its first item.

    Examples
    --------
    >>> from sklmat.compositions import holds_compositions
    >>> holds_compositions(["Fe2O3", "NaCl"]), holds_compositions(["crystals/1.cif"])
    (True, False)
    """
    from pymatgen.core import Composition

    items: Any = X.iloc[:, 0] if hasattr(X, "iloc") and hasattr(X, "columns") else X
    first = next(iter(items), None) if isinstance(items, Iterable) else None
    if isinstance(first, str):
        # As pymatgen writes formulas: "Fe2 O3".
        first = first.replace(" ", "")
    of_amounts = isinstance(first, Mapping) and bool(first) and all(map(is_element, first))
    return of_amounts or isinstance(first, Composition) or is_formula(first)


def parse_composition(item: str | Mapping[str, float] | Composition) -> Composition:
    """Read one composition.

    Parameters
    ----------
    item : str, dict or Composition
        A formula, or a mapping from symbols to amounts.

    Returns
    -------
    Composition
        It may be empty, and may hold species that are not elements.

    Raises
    ------
    ValueError or TypeError
        When `item` is not a composition; the message says why.

    Examples
    --------
    >>> from sklmat.compositions import parse_composition
    >>> parse_composition({"Ni": 3, "Fe": 1}).reduced_formula
    'FeNi3'
    """
    from pymatgen.core import Composition

    if isinstance(item, Composition):
        return item
    if isinstance(item, Mapping) and not np.isfinite([float(n) for n in item.values()]).all():
        # Composition drops NaN.
        raise ValueError("an amount is NaN or infinite")
    return Composition(item)


def element_amounts(items: Sequence[Composition | IStructure | None]) -> np.ndarray:
    """Add up the amount of each element.

    Parameters
    ----------
    items : sequence of n Composition, Structure or None
        None stands for a row without a composition.

    Returns
    -------
    amounts : ndarray of shape (n, 119)
        Column Z is the amount of the element with atomic number Z. The row of None is NaN.

    Examples
    --------
    >>> from sklmat.compositions import element_amounts, parse_composition
    >>> element_amounts([parse_composition("FeNi3")])[0, [26, 28]]
    array([1., 3.])
    """
    from pymatgen.core import Composition

    amounts = np.zeros((len(items), N_ROWS))
    for row, item in enumerate(items):
        if item is None:
            amounts[row] = np.nan
            continue
        if isinstance(item, Composition):
            for species, amount in item.items():
                amounts[row, species.Z] += amount
        else:
            amounts[row] = np.bincount(item.atomic_numbers, minlength=N_ROWS)
    return amounts


def element_fractions(item: str | Mapping[str, float] | Composition) -> dict[str, float]:
    """Read one composition as atomic fractions by symbol.

    Parameters
    ----------
    item : str, dict or Composition

    Returns
    -------
    fractions : dict of str to float
        The fractions sum to one; the dict of an empty composition is empty. Oxidation states are
        ignored.

    Raises
    ------
    ValueError or TypeError
        When `item` is not a composition, or when all its amounts are below one, so that they must
        be fractions, and do not sum to one.

    Examples
    --------
    >>> from sklmat.compositions import element_fractions
    >>> element_fractions("FeNi3")
    {'Fe': 0.25, 'Ni': 0.75}
    """
    composition = parse_composition(item)
    amounts = list(composition.values())
    if amounts and max(amounts) < 1 and abs(sum(amounts) - 1) > SUM_TOLERANCE:
        # A formula has at least one amount of one or more, so these amounts are fractions.
        raise ValueError(f"its fractions sum to {sum(amounts):.4g} and not to one")
    return composition.fractional_composition.get_el_amt_dict()


# -- tables in the order of some elements


def is_fraction_table(X: object) -> TypeGuard[pd.DataFrame | np.ndarray]:
    """Whether `X` is a table of numbers, rather than a sequence of structures or compositions."""
    if hasattr(X, "columns"):
        return True
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "fiu"


def fraction_table(X: Compositions | Table, elements: list[str]) -> np.ndarray:
    """Read compositions in any form as fractions of given elements.

    Parameters
    ----------
    X : DataFrame, ndarray, or sequence of str, dict or Composition
        A DataFrame with columns named like ``x_Fe`` or ``Fe``, an array with a column for each of
        `elements`, or a sequence of n compositions.
    elements : list of str
        Symbols, in the order of the columns to return.

    Returns
    -------
    fractions : ndarray of shape (n, len(elements))

    Raises
    ------
    TypeError
        When `X` is a single composition.
    ValueError
        When `X` is empty, a row is not a composition, a column is not named after an element, or an
        element of a row is not among `elements`.

    Examples
    --------
    >>> from sklmat.compositions import fraction_table
    >>> fraction_table(["FeNi3", "Ni"], ["Ni", "Fe"])
    array([[0.75, 0.25],
           [1.  , 0.  ]])
    """
    read = _fractions_of_table if is_fraction_table(X) else _fractions_of_items
    return read(X, elements)


def _fractions_of_items(items, elements):
    from pymatgen.core import Composition

    if isinstance(items, str | dict | Composition):
        raise TypeError(f"{items!r} is a single composition; pass a list of them")
    refuse_empty(items)
    table = np.zeros((len(items), len(elements)))
    for row, item in enumerate(items):
        try:
            fractions = element_fractions(item)
        except Exception as error:
            raise ValueError(f"row {row} ({item!r}) is no composition: {error}") from error
        unknown = sorted(set(fractions) - set(elements))
        if unknown or not fractions:
            raise ValueError(
                f"row {row} ({item}) holds {unknown or 'nothing'}; the model knows {elements} "
                "only, so leave the row out, or fit on rows that have its elements"
            )
        table[row, [elements.index(symbol) for symbol in fractions]] = list(fractions.values())
    return table


def _fractions_of_table(X, elements):
    if hasattr(X, "columns"):
        symbols = [element_of_column(name) or str(name).removeprefix("x_") for name in X.columns]
        values = _as_numbers(X.to_numpy())
    else:
        symbols, values = elements, _as_numbers(X)
        if values.ndim != 2 or values.shape[1] != len(elements):
            raise ValueError(
                f"an array of fractions needs {len(elements)} columns, one for each of {elements} "
                f"in this order; got shape {values.shape}"
            )
    if len(set(symbols)) < len(symbols):
        raise ValueError(f"the table names an element twice: {symbols}")
    return _order_columns(values, symbols, elements)


def _order_columns(values, symbols, elements):
    """Put the columns of `symbols` in the order of `elements`, and check each row."""
    refuse_empty(values)
    for symbol in [symbol for symbol in symbols if symbol not in elements]:
        used = values[:, symbols.index(symbol)] > 0
        if used.any() or not is_element(symbol):
            row = f"row {int(np.argmax(used))} of " if used.any() else ""
            raise ValueError(
                f"{row}the table has a column {symbol!r}; the model knows fractions of {elements} "
                "only, so leave it out, or fit on rows that have the element"
            )
    check_fractions(values)
    ordered = np.zeros((len(values), len(elements)))
    known = [column for column, symbol in enumerate(symbols) if symbol in elements]
    ordered[:, [elements.index(symbols[column]) for column in known]] = values[:, known]
    return ordered


def _as_numbers(values):
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"fractions must be numbers ({error}); a table holds nothing else, and the phase is "
            "passed as phase="
        ) from error


def refuse_empty(X: Sized) -> None:
    """Raise a ValueError if `X` has no rows, and a TypeError if it is no sequence or table."""
    if not hasattr(X, "__len__"):
        raise TypeError(f"X must be a sequence or a table, got {X!r}")
    if not len(X):
        raise ValueError("X is empty: there is nothing to predict")
