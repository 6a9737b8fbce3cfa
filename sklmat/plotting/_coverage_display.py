"""`CoverageDisplay`: how many true values lie in prediction intervals, against how many should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import POSITIVE, checked_arguments
from sklmat.docstrings import insert_paragraphs
from sklmat.plotting._layout import NOTE_SIZE, new_axes
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, MARKERS, interval_handle, legend_above
from sklmat.targets import number_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.typing import ArrayLike

#: Levels at which intervals of normal distributions are drawn.
_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@insert_paragraphs(PANEL_PARAGRAPHS)
class CoverageDisplay:
    """Plot of the fraction of true values inside intervals against the level of the intervals.

    On the diagonal, the intervals are right: 90 % of the true values are in intervals of level
    90 %. Below it they are too narrow, above it too wide. Bars are 95 % confidence intervals of the
    fraction, for independent rows (Wilson).

    `from_predictions` creates the display from predictions and their standard deviations, and
    `from_intervals` from intervals. The constructor only stores its arguments.

    Parameters
    ----------
    table : DataFrame
        Columns ``name``, ``level`` (of the intervals) and ``covered`` (fraction of the true values
        inside), and ``low`` to ``high``, the confidence interval of this fraction.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The line of each name.
    {ax_}
    {figure_}

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sklmat.plotting import CoverageDisplay
    >>> errors = np.random.default_rng(0).normal(scale=2.0, size=500)
    >>> display = CoverageDisplay.from_predictions(  # the true spread is 2
    ...     errors, np.zeros(500), {"right": np.full(500, 2.0), "too small": np.ones(500)}
    ... )
    >>> display.table.query("level == 0.9")[["name", "covered"]]
             name  covered
    8       right    0.918
    18  too small    0.582
    """

    @checked_arguments()
    def __init__(self, *, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    @checked_arguments()
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        y_std: ArrayLike | Mapping[str, ArrayLike],
        *,
        levels: Sequence[float] = _LEVELS,
        ax: Axes | None = None,
        **errorbar_kwargs: Any,
    ) -> Self:
        """Draw intervals of normal distributions, from predictions and standard deviations.

        Parameters
        ----------
        y_true : array-like of shape (C,)
            True values.
        y_pred : array-like of shape (C,), or dict of str to such
            Predictions, preferably out-of-fold.
        y_std : array-like of shape (C,), or dict of str to such
            Standard deviations, as ``predict(X, return_std=True)`` gives them. With a dict, each
            has a line; `y_pred` has then the same keys, or is common to all.
        levels : sequence of float, default=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
            Levels of the intervals, between 0 and 1.
        {ax}
        **errorbar_kwargs
            Passed to ``Axes.errorbar``.

        Returns
        -------
        display : CoverageDisplay

        Raises
        ------
        ValueError
            When lengths differ, or values are missing or standard deviations negative.
        """
        from scipy.stats import norm

        if not len(levels):
            raise ValueError("levels is empty; pass numbers between 0 and 1")
        stds = y_std if isinstance(y_std, Mapping) else {"prediction": y_std}
        intervals = {}
        for name, std in stds.items():
            predicted = _values(y_pred[name] if isinstance(y_pred, Mapping) else y_pred, "y_pred")
            std = _values(std, f"y_std of {name!r}", len(predicted))
            if (std < 0).any():
                raise ValueError(f"y_std of {name!r} is negative in row {np.argmax(std < 0)}")
            intervals[name] = {
                level: predicted[:, None] + norm.ppf((1 + level) / 2) * std[:, None] * [-1, 1]
                for level in levels
            }
        return cls.from_intervals(y_true, intervals, ax=ax, **errorbar_kwargs)

    @classmethod
    @checked_arguments()
    def from_intervals(
        cls,
        y_true: ArrayLike,
        intervals: Mapping[float, ArrayLike] | Mapping[str, Mapping[float, ArrayLike]],
        *,
        ax: Axes | None = None,
        **errorbar_kwargs: Any,
    ) -> Self:
        """Draw given intervals.

        Parameters
        ----------
        y_true : array-like of shape (C,)
            True values.
        intervals : dict of float to array-like of shape (C, 2)
            Level -> lower and upper ends of the intervals, ``{0.5: ..., 0.9: ...}``; or a dict of
            such dicts by name, each of which has a line.
        {ax}
        **errorbar_kwargs
            Passed to ``Axes.errorbar``.

        Returns
        -------
        display : CoverageDisplay

        Raises
        ------
        ValueError
            When a level is not between 0 and 1, when shapes differ, or when values are missing.
        """
        true = _values(y_true, "y_true")
        if not intervals:
            raise ValueError("intervals is empty; pass those of a level, such as {0.9: ends}")
        named: Any = intervals
        if not all(isinstance(each, Mapping) for each in intervals.values()):
            named = {"prediction": intervals}
        rows = []
        for name, of_levels in named.items():
            if not of_levels:
                raise ValueError(f"intervals of {name!r} is empty; pass {{0.9: ends}}")
            for level in of_levels:
                if not POSITIVE.allows(level) or level >= 1:
                    raise ValueError(f"levels must be between 0 and 1, got {level!r}")
            for level, ends in sorted(of_levels.items()):
                ends = number_array(ends, f"intervals of {name!r} at level {level}")
                if ends.shape != (len(true), 2):
                    raise ValueError(
                        f"intervals of {name!r} at level {level} have shape {ends.shape}; "
                        f"they need lower and upper ends of {len(true)} rows: {(len(true), 2)}"
                    )
                if np.isnan(ends).any():
                    row = np.argmax(np.isnan(ends).any(axis=1))
                    raise ValueError(f"interval of {name!r} at level {level} is NaN in row {row}")
                inside = (ends[:, 0] <= true) & (true <= ends[:, 1])
                low, high = _wilson(int(inside.sum()), len(true))
                row_of = {"name": name, "level": level, "covered": inside.mean()}
                rows.append(row_of | {"low": low, "high": high})
        return cls(table=pd.DataFrame(rows)).plot(ax=ax, **errorbar_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | None = None, **errorbar_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}
        **errorbar_kwargs
            Passed to ``Axes.errorbar``.

        Returns
        -------
        display : CoverageDisplay
            The display itself.
        """
        ax = new_axes(3.5) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        ax.plot([0, 1], [0, 1], color="0.35", linewidth=0.9, linestyle="--", zorder=1)
        self.lines_ = {}
        for number, (name, rows) in enumerate(self.table.groupby("name", sort=False)):
            index = number % len(COLORS)
            style = {"color": COLORS[index], "marker": MARKERS[index], "label": name}
            style |= {"markersize": 4.5, "linewidth": 1.3, "elinewidth": 1.1, "zorder": 3}
            ends = [rows["covered"] - rows["low"], rows["high"] - rows["covered"]]
            widths = np.maximum(ends, 0)  # which rounding may make negative
            bars = ax.errorbar(
                rows["level"], rows["covered"], yerr=widths, **(style | errorbar_kwargs)
            )
            self.lines_[name] = bars.lines[0]
        ax.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1)
        ax.set_xlabel("level of the intervals")
        ax.set_ylabel("fraction of true values inside")
        note: dict[str, Any] = {"transform": ax.transAxes, "color": "0.35", "fontsize": NOTE_SIZE}
        ax.text(0.04, 0.96, "too wide", va="top", **note)
        ax.text(0.96, 0.04, "too narrow", ha="right", **note)
        is_named = list(self.lines_) != ["prediction"]
        handles = ax.get_legend_handles_labels()[0] if is_named else []
        legend_above(ax, [*handles, interval_handle("95 % interval")])
        return self


def _wilson(n_inside, n_rows):
    """Confidence interval of level 95 % of a fraction."""
    from scipy.stats import binomtest

    return binomtest(n_inside, n_rows).proportion_ci(0.95, method="wilson")


def _values(values, name, n_rows=None):
    """Return values as an array of one dimension, or raise a ValueError."""
    values = number_array(values, name)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} has shape {values.shape}; draw one target at a time")
    if n_rows is not None and len(values) != n_rows:
        raise ValueError(f"{name} has {len(values)} rows, and y_pred has {n_rows}")
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        what = "NaN" if np.isnan(values[row]) else "infinite"
        raise ValueError(f"{name} is {what} in row {row}")
    return values
