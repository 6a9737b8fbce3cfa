"""`composition_grid` and `CompositionGrid`: all compositions on a regular grid, in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, overload

import numpy as np
import pandas as pd

from sklmat.argument_checks import POSITIVE_INT, checked_arguments
from sklmat.compositions import fraction_column
from sklmat.elements import element_table
from sklmat.targets import plain_array

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike

#: Largest number of steps from 0 to 1: the memory grows with its square.
_MAX_DIVISIONS = 2_000
#: Relative tolerance of a step, which must be one over a whole number: 0.333333 is taken as 1/3.
_TOLERANCE = 1e-4


class CompositionGrid(Sequence[pd.DataFrame]):
    """A regular grid of compositions: a sequence of tables, each computed on access.

    Use `composition_grid` to make a grid from a step and limits in fractions.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols, in the order of the columns.
    divisions : int
        The fractions are whole multiples of ``1 / divisions``.
    lower, upper : sequence of int
        Smallest and largest multiple for each element.
    chunk_size : int, default=20_000
        Number of compositions in each table.

    Attributes
    ----------
    n_points : int
        Number of compositions. It is computed without listing them.
    columns : list of str
        Names of the columns: ``x_Fe``, ...

    Notes
    -----
    ``len(grid)`` is the number of *tables*, and ``grid[i]`` computes table i. Several loops may run
    over the grid at the same time. Compositions are in lexicographic order of their multiples: the
    fraction of the first element changes most slowly.

    The position of a composition in the order follows from the numbers of ways to distribute the
    remaining multiples over the remaining elements. With these numbers, the compositions at given
    positions are found by one search per element, for all positions of a table at once. Any table
    can therefore be computed without the tables before it.

    Examples
    --------
    >>> from sklmat.screening import CompositionGrid
    >>> grid = CompositionGrid(["Fe", "Ni"], 4, [0, 0], [4, 4], chunk_size=3)
    >>> grid.n_points, len(grid)
    (5, 2)
    >>> grid[1]
       x_Fe  x_Ni
    0  0.75  0.25
    1  1.00  0.00
    """

    @checked_arguments(divisions=POSITIVE_INT, chunk_size=POSITIVE_INT)
    def __init__(
        self,
        elements: Sequence[str],
        divisions: int,
        lower: Sequence[int],
        upper: Sequence[int],
        chunk_size: int = 20_000,
    ) -> None:
        if not len(elements) == len(lower) == len(upper):
            raise ValueError(
                f"there are {len(elements)} elements, {len(lower)} lower and {len(upper)} upper "
                "limits; give one of each for every element"
            )
        if not all(0 <= low <= high <= divisions for low, high in zip(lower, upper)):
            raise ValueError(
                f"limits must be from 0 to {divisions}, lower ones not above upper ones"
            )
        self.elements = _checked_elements(elements)
        self.divisions = divisions
        self.lower = list(lower)
        self.upper = list(upper)
        self.chunk_size = chunk_size
        self.columns = [fraction_column(symbol) for symbol in self.elements]
        totals = _count(divisions, self.lower, self.upper)
        self.n_points = int(totals[0][divisions])
        if not self.n_points:
            raise ValueError("no composition is inside the limits")
        self._searches = [
            _search_table(divisions, low, high, following)
            for low, high, following in zip(self.lower[:-1], self.upper, totals[1:])
        ]

    def __len__(self) -> int:
        return -(-self.n_points // self.chunk_size)

    @overload
    def __getitem__(self, index: int) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, index: slice) -> list[pd.DataFrame]: ...
    def __getitem__(self, index: int | slice) -> pd.DataFrame | list[pd.DataFrame]:
        if isinstance(index, slice):
            return [self[chunk] for chunk in range(*index.indices(len(self)))]
        chunk = index + len(self) if index < 0 else index
        if not 0 <= chunk < len(self):
            raise IndexError(f"table {index} of {len(self)}")
        places = self.places(chunk)
        return self.points(places.start, places.stop)

    def __repr__(self):
        return (
            f"<{self.n_points:,} compositions of {'-'.join(self.elements)} in steps of "
            f"{1 / self.divisions:g}, {len(self)} chunks of up to {self.chunk_size:,}>"
        )

    @checked_arguments()
    def places(self, chunk: int) -> range:
        """Return the positions of the compositions of a table in the order of the grid.

        Parameters
        ----------
        chunk : int
            Number of the table, from 0 to ``len(grid) - 1``.

        Returns
        -------
        places : range
            Positions from 0 to ``n_points - 1``.

        Raises
        ------
        IndexError
            When there is no such table.
        """
        if not 0 <= chunk < len(self):
            raise IndexError(f"table {chunk} of {len(self)}")
        start = chunk * self.chunk_size
        return range(start, min(start + self.chunk_size, self.n_points))

    @checked_arguments()
    def points(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """Compute the compositions between two positions in the order of the grid.

        Parameters
        ----------
        start : int, default=0
            First position, starting from zero.
        stop : int or None, default=None
            Position after the last one; None means the end, which needs much memory for a large
            grid.

        Returns
        -------
        table : DataFrame of shape (stop - start, n_elements)
            Atomic fractions, which sum to one in each row within rounding errors.

        Raises
        ------
        IndexError
            When a position is outside the grid.
        """
        stop = self.n_points if stop is None else stop
        if not 0 <= start <= stop <= self.n_points:
            raise IndexError(
                f"start and stop must be from 0 to {self.n_points}, start not above stop, got "
                f"{start} and {stop}"
            )
        return pd.DataFrame(
            self.counts(np.arange(start, stop)) / self.divisions, columns=self.columns
        )

    def counts(self, places: ArrayLike) -> np.ndarray:
        """Return the multiples of the step at given positions in the order of the grid.

        Parameters
        ----------
        places : array-like of int, shape (n,)
            Positions from 0 to ``n_points - 1``.

        Returns
        -------
        counts : ndarray of int, shape (n, n_elements)
            Atomic fractions times ``divisions``; each row sums to ``divisions``.

        Raises
        ------
        IndexError
            When a position is outside the grid.
        ValueError
            When a position is no int.
        """
        rank = plain_array(places, "places")
        if rank.ndim != 1 or (rank.size and rank.dtype.kind not in "iu"):
            raise ValueError(f"places must be a sequence of ints, got {places!r}")
        rank = rank.astype(np.int64)
        if len(rank) and not 0 <= rank.min() <= rank.max() < self.n_points:
            raise IndexError(f"places must be from 0 to {self.n_points - 1}")
        remaining = np.full(len(rank), self.divisions)
        counts = np.empty((len(rank), len(self.elements)), dtype=np.int64)
        for element, (low, width, starts, ends) in enumerate(self._searches):
            row = remaining * width
            found = np.searchsorted(ends, rank + starts[row], side="right")
            rank += starts[row] - starts[found]
            counts[:, element] = found - row + low
            remaining -= counts[:, element]
        counts[:, -1] = remaining
        return counts


@checked_arguments(elements=None, step=None)
def composition_grid(
    elements: Sequence[str],
    step: float,
    min_fraction: float | Mapping[str, float] = 0.0,
    max_fraction: float | Mapping[str, float] = 1.0,
    *,
    chunk_size: int = 20_000,
) -> CompositionGrid:
    """Make a regular grid of compositions, divided into tables that are computed on access.

    Parameters
    ----------
    elements : sequence of str
        Two or more chemical symbols.
    step : float
        Distance of neighbouring fractions: one over a whole number, such as 0.01 or 0.05.
    min_fraction, max_fraction : float or dict of str to float, default=0 and 1
        Smallest and largest atomic fraction of every element (inclusive). A dict gives the limits
        of some elements; the other elements vary between 0 and 1. Equal limits fix the fraction of
        an element. Fractions are always multiples of `step`, even if the limits are not.
    chunk_size : int, default=20_000
        Number of compositions in each table. The memory that a model needs for a prediction grows
        with this number: a Gaussian process needs a multiple of 8 bytes for each pair of a
        composition and a training row. Larger tables are faster only for the cheapest models.

    Returns
    -------
    grid : CompositionGrid
        A sequence of DataFrames with the columns ``x_Fe``, ...: ``for table in grid``, ``grid[i]``,
        ``len(grid)`` tables, ``grid.n_points`` compositions.

    Raises
    ------
    ValueError
        When `step` does not divide one, when an element is unknown or named twice, when limits are
        outside [0, 1], or when no composition satisfies them.

    Examples
    --------
    >>> from sklmat.screening import composition_grid
    >>> composition_grid(["Fe", "Ni", "Co", "Cr", "Mn", "Pd"], 0.01).n_points
    96560646
    >>> grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, min_fraction={"Cr": 0.7})
    >>> grid.n_points
    10
    >>> grid[0].head(3)
       x_Fe  x_Ni  x_Cr
    0   0.0   0.0   1.0
    1   0.0   0.1   0.9
    2   0.0   0.2   0.8
    """
    elements = _checked_elements(elements)
    divisions = _divisions(step)
    if not isinstance(chunk_size, Integral) or chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive integer, got {chunk_size!r}")
    lowest = _limits(min_fraction, elements, 0.0, "min_fraction")
    highest = _limits(max_fraction, elements, 1.0, "max_fraction")
    # In floating-point arithmetic 0.3 / 0.1 is slightly less than 3.
    lower = [int(np.ceil(limit * divisions - 1e-6)) for limit in lowest]
    upper = [int(np.floor(limit * divisions + 1e-6)) for limit in highest]
    for symbol, low, high in zip(elements, lower, upper):
        if low > high:
            raise ValueError(f"no multiple of {step} is inside the limits of {symbol}")
    if sum(lower) > divisions or sum(upper) < divisions:
        raise ValueError(
            f"no composition is inside the limits: they let the fractions add up to between "
            f"{sum(lower) / divisions:g} and {sum(upper) / divisions:g}"
        )
    return CompositionGrid(elements, divisions, lower, upper, int(chunk_size))


def _checked_elements(elements):
    """Return the elements as a list of two or more different symbols."""
    if isinstance(elements, str):
        raise ValueError(f"elements must be a list of symbols, not the string {elements!r}")
    if elements is None:
        raise ValueError("elements must be a list of two or more symbols, got None")
    elements = list(element_table(elements).index)
    if len(elements) < 2 or len(set(elements)) < len(elements):
        raise ValueError(f"elements must be two or more different ones, got {elements}")
    return elements


def _divisions(step):
    """The number of steps from 0 to 1."""
    if not isinstance(step, Real) or not 0 < step <= 1:
        raise ValueError(f"step must be a number between 0 and 1, got {step!r}")
    if step < (1 - _TOLERANCE) / _MAX_DIVISIONS:
        raise ValueError(f"step must be at least {1 / _MAX_DIVISIONS}, got {step}")
    divisions = round(1 / step)
    if abs(1 / step - divisions) > _TOLERANCE * divisions:
        raise ValueError(
            f"steps of {step} do not end at 1: take {1 / divisions:g} or {1 / (divisions + 1):g}"
        )
    return divisions


def _limits(limit, elements, default, name):
    """Return the limit of the fraction of each element."""
    if isinstance(limit, Mapping):
        unknown = [symbol for symbol in limit if symbol not in elements]
        if unknown:
            raise ValueError(f"{name} names {', '.join(map(str, unknown))}, not in {elements}")
        limits = [limit.get(symbol, default) for symbol in elements]
    else:
        limits = [limit] * len(elements)
    if not all(isinstance(value, Real) and 0 <= value <= 1 for value in limits):
        raise ValueError(f"{name} must be between 0 and 1, got {limit!r}")
    return limits


def _count(divisions, lower, upper):
    """Count the ways to distribute r multiples over the elements from the j-th on.

    Returns
    -------
    totals : list of list of int
        ``totals[j][r]`` is this number.
    """
    following = [1] + [0] * divisions
    totals = [following]
    for low, high in zip(reversed(lower), reversed(upper)):
        # Python integers do not overflow.
        cumulative = np.concatenate([[0], np.cumsum(np.array(following, dtype=object))])
        following = [
            cumulative[max(parts - low + 1, 0)] - cumulative[max(parts - high, 0)]
            for parts in range(divisions + 1)
        ]
        totals.insert(0, following)
    return totals


def _search_table(divisions, low, high, following):
    """Make the table in which the multiple of one element is searched.

    Rows are numbers of multiples that remain to be distributed, columns are multiples of this
    element. An entry is the number of ways to distribute the rest over the following elements,
    `following`. The rows are joined to one cumulative sum, which is sorted, so that one search
    finds compositions with different numbers of remaining multiples.

    Returns
    -------
    low : int
        Multiple of the element in the first column.
    width : int
        Number of columns.
    starts, ends : ndarray of int, shape ((divisions + 1) * width,)
        Cumulative sums without and with the entry itself.
    """
    cumulative = np.concatenate([[0], np.cumsum(following, dtype=object)])
    if sum(cumulative) >= 2**62:
        raise ValueError("too many compositions; take a larger step")
    width = high - low + 1
    remaining = np.arange(divisions + 1)[:, None] - np.arange(low, high + 1)
    counts = np.array(following, dtype=np.int64)[np.maximum(remaining, 0)]
    counts = np.where(remaining >= 0, counts, 0).ravel()
    ends = np.cumsum(counts)
    return low, width, ends - counts, ends
