"""Sizes of figures, axes of new figures, and labels with units and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Widths of a figure over one column and over the whole page of a journal, in inches.
COLUMN_WIDTH, PAGE_WIDTH = 3.3, 7.0
#: Sizes of the text in new figures, in points: readable when printed at these widths.
LABEL_SIZE, TICK_SIZE, NOTE_SIZE = 9, 8, 8
TEXT_SIZES: Any = {
    "axes.labelsize": LABEL_SIZE,
    "axes.titlesize": LABEL_SIZE,
    "xtick.labelsize": TICK_SIZE,
    "ytick.labelsize": TICK_SIZE,
}


def new_panels(
    n_panels: int,
    n_columns: int,
    height: float,
    width: float = PAGE_WIDTH,
    **subplots_kwargs: Any,
) -> np.ndarray:
    """Axes of a new figure, row by row.

    Parameters
    ----------
    n_panels : int
    n_columns : int
    height : float
        Height of one row, in inches.
    width : float, default=7
        Width of the figure, in inches.
    **subplots_kwargs
        Passed to ``matplotlib.pyplot.subplots``.

    Returns
    -------
    ndarray of n_panels matplotlib Axes
    """
    import matplotlib.pyplot as plt

    n_rows = -(-n_panels // n_columns)
    with plt.rc_context(TEXT_SIZES):
        figure, axes = plt.subplots(
            n_rows,
            n_columns,
            figsize=(width, n_rows * height),
            layout="constrained",
            squeeze=False,
            **subplots_kwargs,
        )
    for unused in axes.flat[n_panels:]:
        figure.delaxes(unused)
    return axes.ravel()[:n_panels]


def new_axes(height: float, width: float = COLUMN_WIDTH) -> Axes:
    """The axes of a new figure with one panel; sizes in inches."""
    return new_panels(1, 1, height, width)[0]


def given_panels(ax: Any, n_panels: int, what: str) -> np.ndarray:
    """The axes that the user gives for several panels.

    Parameters
    ----------
    ax : matplotlib Axes or sequence of them
    n_panels : int
    what : str
        What needs the axes, for the message, such as "3 metrics".

    Returns
    -------
    ndarray of n_panels matplotlib Axes

    Raises
    ------
    ValueError
        When there are too few.
    """
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) < n_panels:
        raise ValueError(f"{what} do not fit on {len(axes)} axes")
    return axes[:n_panels]


def with_unit(name: str, unit: str | None) -> str:
    """Label of an axis: the name, with its unit in parentheses."""
    return name + (f" ({unit})" if unit else "")


def short_number(value: float, digits: int = 3) -> str:
    """A number with three digits, as a text for figures: powers of ten are written as such."""
    text = f"{value:#.{digits}g}".rstrip(".")
    mantissa, e, exponent = text.partition("e")
    if e:
        text = rf"{mantissa}$\times$10$^{{{int(exponent)}}}$"
    return text.replace("-", "−")


def plain_ticks(axis: Any, n_ticks: int = 5) -> None:
    """At most `n_ticks` intervals, and a common power of ten for large or small numbers."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    formatter = ScalarFormatter(useMathText=True, useOffset=False)
    formatter.set_powerlimits((-4, 5))
    axis.set_major_locator(MaxNLocator(n_ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(formatter)
    axis.get_offset_text().set_fontsize(TICK_SIZE)


def check_limits(limits: Any) -> tuple[float, float] | None:
    """The ends of an axis or of a colour scale, or None.

    Raises
    ------
    ValueError
        When `limits` is not a pair of finite, increasing numbers.
    """
    if limits is None:
        return None
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        low = high = np.nan
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"limits must be two increasing numbers (low, high), got {limits!r}")
    return low, high
