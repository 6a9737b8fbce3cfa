"""Statistics of element properties over the elements of compositions."""

from __future__ import annotations

import numpy as np

#: Statistics of a property, in the order of the columns.
STATISTICS = ("mean", "deviation", "average deviation", "min", "max", "range", "mode")
#: Orders of the norms of the fractions; the norm of order 0 is the number of elements.
NORMS = (0, 2, 3, 5, 7, 10)
# Numbers in the largest array at a time: 32 MB.
_CHUNK_NUMBERS = 2**22
# Fractions this close to the largest one are equal to it.
_EQUAL_FRACTION = 1e-9


def property_statistics(
    fractions: np.ndarray, values: np.ndarray, statistics: list[str]
) -> np.ndarray:
    """Compute statistics of properties over the elements of each composition.

    Shapes: C compositions, Z atomic numbers, P properties, S statistics.

    Parameters
    ----------
    fractions : ndarray of shape (C, Z)
        Atomic fractions; each row sums to one.
    values : ndarray of shape (Z, P)
        Properties of the elements.
    statistics : list of str
        Some of `STATISTICS`.

    Returns
    -------
    ndarray of shape (C, P * S)
        All statistics of the first property, then those of the second.
    """
    n_rows, n_properties = len(fractions), values.shape[1]
    result = np.empty((n_rows, n_properties, len(statistics)))
    weights, numbers = present_elements(fractions)
    step = max(1, _CHUNK_NUMBERS // max(1, numbers.shape[1] * n_properties))
    for start in range(0, n_rows, step):
        rows = slice(start, start + step)
        columns = _statistics(weights[rows], values[numbers[rows]], statistics)
        for place, column in enumerate(columns):
            result[rows, :, place] = column
    return result.reshape(n_rows, -1)


def present_elements(fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the elements of each composition.

    Returns
    -------
    weights : ndarray of shape (C, K)
        Fractions of the elements; zero beyond the last one of a row.
    numbers : ndarray of int, shape (C, K)
        Columns of the elements in `fractions`; beyond the last one, the first is repeated.
    """
    present = fractions > 0
    counts = present.sum(axis=1)
    rows, columns = np.nonzero(present)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers = np.repeat(np.argmax(present, axis=1)[:, None], max(counts.max(initial=1), 1), axis=1)
    weights = np.zeros(numbers.shape)
    numbers[rows, rank] = columns
    weights[rows, rank] = fractions[rows, columns]
    return weights, numbers


def _statistics(weights, values, names):
    """One array of shape (C, P) for each name, from weights (C, K) and values (C, K, P)."""
    weight = weights[:, :, None]
    found = {}
    mean = (weight * values).sum(axis=1)
    if {"deviation", "average deviation"} & set(names):
        difference = np.abs(values - mean[:, None])
        found["average deviation"] = (weight * difference).sum(axis=1)
        found["deviation"] = np.sqrt((weight * difference**2).sum(axis=1))
    smallest, largest = values.min(axis=1), values.max(axis=1)
    found |= {"mean": mean, "min": smallest, "max": largest, "range": largest - smallest}
    if "mode" in names:
        most = weights >= weights.max(axis=1, keepdims=True) - _EQUAL_FRACTION
        found["mode"] = np.where(most[:, :, None], values, np.inf).min(axis=1)
    return [found[name] for name in names]


def fraction_norms(fractions: np.ndarray) -> np.ndarray:
    """Norms (Σ x^p)^(1/p) of the fractions for the orders p in `NORMS`, shape (C, 6)."""
    weights, _ = present_elements(fractions)
    columns = [
        (weights > 0).sum(axis=1) if order == 0 else (weights**order).sum(axis=1) ** (1 / order)
        for order in NORMS
    ]
    return np.column_stack(columns)
