"""Element references of `DeltaRegressor`: their fractions, their values, and their names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sklmat.compositions import check_fractions, fraction_columns
from sklmat.elements import N_ROWS, element_symbols
from sklmat.exceptions import InvalidStructureError
from sklmat.model_selection._group_labels import amounts_of_elements
from sklmat.unseen_elements import (
    find_unseen_elements,
    unseen_element_errors,
    warn_unseen_elements,
)


def read_fractions(X, *, complete):
    """Read the atomic fractions of crystals, graphs, compositions or a table with ``x_*`` columns.

    Parameters
    ----------
    X : sequence of n crystals or compositions, CrystalGraphs or DataFrame
    complete : bool
        Whether the fractions of each row of a table must sum to one. Tables of a featurizer that
        leaves out unknown elements do not.

    Returns
    -------
    fractions : ndarray of shape (n, 119)
        Column Z belongs to the element with atomic number Z.
    """
    is_table = hasattr(X, "columns")
    if is_table and not isinstance(X, pd.DataFrame):
        X = pd.DataFrame({name: X[name].to_numpy() for name in X.columns})
    try:
        amounts = amounts_of_elements(X)
    except InvalidStructureError:
        raise
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"the element references cannot read the compositions of X ({error}); or set "
            "references=None, which needs no compositions"
        ) from error
    if is_table and fraction_columns(X.columns):
        if complete:
            check_fractions(amounts, "the element references need atomic fractions: ")
        return amounts
    return amounts / amounts.sum(axis=1, keepdims=True)


def reference_values(fractions, references, handle_unknown):
    """Sum the references of the elements of each row, weighted by their fractions.

    Parameters
    ----------
    fractions : ndarray of shape (n, 119)
    references : ndarray of shape (119, T)
        Result of `sklmat.element_references.fit_references`.
    handle_unknown : {"error", "warn", "ignore"}
        What to do with rows that hold an element without a reference, which then counts as zero.

    Returns
    -------
    values : ndarray of shape (n, T)
    """
    known = ~np.isnan(references).any(axis=1)
    rows, numbers = np.nonzero(fractions > 0)
    unseen = find_unseen_elements(rows, numbers, np.flatnonzero(known))
    if unseen and handle_unknown == "error":
        raise unseen_element_errors(
            unseen,
            lambda row: _formula(fractions[row]),
            element_symbols(np.flatnonzero(known)),
            "set handle_unknown='warn' to count its reference as zero, or references=None",
            "for which there is no reference because no labelled training row had it",
        )[0]
    if handle_unknown == "warn":
        warn_unseen_elements(unseen, "their element references count as zero in DeltaRegressor")
    return fractions @ np.nan_to_num(references)


def named_references(references, names):
    """Name the references: dict of symbol to value, or a DataFrame for several targets.

    Parameters
    ----------
    references : ndarray of shape (119, T)
    names : list or None
        Names of the targets; None for a flat y.
    """
    elements = np.flatnonzero(~np.isnan(references).all(axis=1))
    symbols = element_symbols(elements)
    if names is None:
        return dict(zip(symbols, references[elements, 0].tolist()))
    return pd.DataFrame(references[elements], index=symbols, columns=names)


def numbered_references(named):
    """Invert `named_references`."""
    from pymatgen.core import Element

    table = pd.Series(named).to_frame() if isinstance(named, dict) else named
    references = np.full((N_ROWS, table.shape[1]), np.nan)
    references[[Element(symbol).Z for symbol in table.index]] = table.to_numpy(dtype=float)
    return references


def _formula(fractions):
    """Formula of a row of fractions, for messages."""
    numbers = np.flatnonzero(fractions)
    return "".join(
        symbol if value == 1 else f"{symbol}{value:.4g}"
        for symbol, value in zip(element_symbols(numbers), fractions[numbers])
    )
