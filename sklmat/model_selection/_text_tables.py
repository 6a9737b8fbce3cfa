"""`format_text`, `format_html`: tables of strings for a terminal and for a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

#: Longest line.
WIDTH = 80
#: Width of the names of rows and columns that is not reduced, however long a line is.
_LEAST_NAMES, _LEAST_HEADER = 16, 24
_GAP = "  "
#: From this number of decimals or digits before the point on, numbers have an exponent.
_MOST_DECIMALS, _MOST_DIGITS = 6, 9


def format_text(tables: Iterable[pd.DataFrame], notes: Sequence[str]) -> str:
    """Write tables of strings, and the notes below them, in lines of at most 80 characters.

    Parameters
    ----------
    tables : iterable of DataFrame of str
        The name of the columns stands above the names of the rows.
    notes : sequence of str

    Returns
    -------
    text : str
        A table that is too wide is divided into several, with the same rows.
    """
    blocks = [_Block(table) for table in tables]
    longest = max(len(name) for block in blocks for name in block.names)
    remaining = min(WIDTH - sum(map(_width, block.columns)) for block in blocks)
    # A table that is divided in any case leaves more width for the names.
    width = min(longest, remaining if remaining >= _LEAST_NAMES else _LEAST_HEADER)
    parts = [part for block in blocks for part in block.parts(width)]
    paragraphs = [textwrap.fill(note, WIDTH, break_on_hyphens=False) for note in notes]
    return "\n\n".join([*parts, "\n".join(paragraphs)]).rstrip()


def is_narrow(table: pd.DataFrame) -> bool:
    """Whether a table of strings fits into 80 characters without any change."""
    block = _Block(table)
    return max(map(len, block.names)) + sum(map(_width, block.columns)) <= WIDTH


def format_html(tables: Iterable[pd.DataFrame], notes: Sequence[str]) -> str:
    """Write tables of strings, and the notes below them, as HTML; everything is escaped."""
    paragraphs = [f"<p>{html.escape(note)}</p>" for note in notes]
    with pd.option_context("display.max_colwidth", None):
        return "\n".join([*(table.to_html(border=0) for table in tables), *paragraphs])


def mean_and_deviation(mean: float, deviation: float, digits: int) -> str:
    """Format a mean and its standard deviation with the same number of decimals."""
    decimals = max(_decimals(mean, digits), _decimals(deviation, 1))
    text = _number(mean, decimals, digits)
    return text if np.isnan(deviation) else f"{text} ± {_number(deviation, decimals, 1)}"


def difference_and_interval(difference: float, low: float, high: float) -> tuple[str, str]:
    """Format a difference and its interval; half its width has two significant digits."""
    if np.isnan(low):
        return _number(difference, _decimals(difference, 3), 3, "+"), ""
    decimals = _decimals((high - low) / 2 or difference, 2)
    texts = [_number(value, decimals, 3, "+") for value in (difference, low, high)]
    return texts[0], f"{texts[1]} to {texts[2]}"


def mean_and_interval(mean: float, low: float, high: float) -> str:
    """Format a mean and its interval; the mean and half the width have two digits or more."""
    if np.isnan(low):
        return _number(mean, _decimals(mean, 3), 3)
    decimals = max(_decimals(mean, 2), _decimals((high - low) / 2, 2))
    texts = [_number(value, decimals, 3) for value in (mean, low, high)]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def seconds(time: float) -> str:
    """Format a time with two significant digits."""
    return "<0.01" if time < 0.01 else _number(time, _decimals(time, 2), 2)


def p_value(p: float) -> str:
    """Format a p-value."""
    return "" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.2g}"


def _number(value, decimals, digits, sign=""):
    if np.isnan(value):
        return "nan"
    is_long = decimals > _MOST_DECIMALS or abs(value) >= 10**_MOST_DIGITS
    return f"{value:{sign}.{digits - 1}e}" if is_long else f"{value:{sign}.{decimals}f}"


def _decimals(value, digits):
    """Number of decimals that gives `value` the number of significant `digits`."""
    if not np.isfinite(value) or value == 0:
        return 0
    return max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))


class _Block:
    """A table with its names and cells as strings; `columns` hold lines of equal length."""

    def __init__(self, table):
        self.names = [str(table.columns.name or ""), *map(str, table.index)]
        self.columns = [_column(name, table[name]) for name in table]

    def parts(self, names_width):
        """Yield the table as text, in several parts if it is too wide."""
        part = []
        for column in self.columns:
            if part and names_width + sum(map(_width, [*part, column])) > WIDTH:
                yield self._join(part, names_width)
                part = []
            part.append(column)
        yield self._join(part, names_width)

    def _join(self, columns, names_width):
        widths = [names_width, *(_width(column) - len(_GAP) for column in columns)]
        lines = []
        for row, name in enumerate(self.names):
            cells = [_wrapped(name, names_width), *(column[row] for column in columns)]
            height = max(map(len, cells))
            # The lines of the headers end above the first row.
            filled = [_filled(cell, height, at_the_end=row > 0) for cell in cells]
            for texts in zip(*filled):
                lines.append(_GAP.join(map(str.ljust, texts, widths)).rstrip())
        return "\n".join(lines)


def _column(name, cells):
    """Lines of the header and of each cell, aligned to the right."""
    header = _wrapped(str(name), max(_LEAST_HEADER, *map(len, cells)))
    width = max(map(len, [*header, *cells]))
    return [[line.rjust(width) for line in lines] for lines in [header, *([c] for c in cells)]]


def _filled(lines, height, at_the_end):
    """Lines of a cell, and as many empty ones as are missing, below or above."""
    empty = [""] * (height - len(lines))
    return [*lines, *empty] if at_the_end else [*empty, *lines]


def _width(column):
    """Width of a column and of the gap to its left."""
    return len(_GAP) + len(column[0][-1])


def _wrapped(text, width):
    return textwrap.wrap(text, width) or [""]
