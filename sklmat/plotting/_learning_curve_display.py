"""`LearningCurveDisplay`: scores of several estimators against the number of training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.docstrings import insert_paragraphs
from sklmat.plotting._layout import check_limits, new_axes, with_unit
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, MARKERS, interval_handle, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.model_selection import LearningCurves

#: Largest ratio of the ends of a logarithmic axis on which the ticks are evenly spaced numbers.
_SHORT_AXIS = 8
#: Largest number of sizes that have their own ticks.
_MOST_TICKS = 6


@insert_paragraphs(PANEL_PARAGRAPHS)
class LearningCurveDisplay:
    """Plot of a score against the number of training rows, with intervals, a line per estimator.

    `from_learning_curves` creates the display from the result of `learning_curves`. The constructor
    only stores its arguments.

    Parameters
    ----------
    curves : LearningCurves
        From `learning_curves`.
    metric : str
        The metric to draw.
    unit : str or None, default=None
        Unit of the metric.
    log_scale : bool, default=True
        Whether the number of training rows, and the score if it is an error, have logarithmic axes,
        on which an error that falls like a power of the number of rows is a straight line. Other
        scores always have a linear axis.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the score; None includes all scores and intervals.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The line of each estimator.
    {ax_}
    {figure_}

    See Also
    --------
    learning_curves : Definition of the intervals.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat import LearningCurveDisplay, learning_curves
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> y = X.sum(axis=1)
    >>> models = {"linear": LinearRegression(), "mean": DummyRegressor()}
    >>> curves = learning_curves(models, X, y, train_sizes=[8, 16, 32], random_state=0)
    >>> display = LearningCurveDisplay.from_learning_curves(curves, metric="MAE", unit="eV")
    >>> display.ax_.get_ylabel()
    'MAE (eV)'
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        curves: LearningCurves,
        metric: str,
        unit: str | None = None,
        log_scale: bool = True,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.curves = curves
        self.metric = metric
        self.unit = unit
        self.log_scale = log_scale
        self.limits = limits

    @classmethod
    @checked_arguments()
    def from_learning_curves(
        cls,
        curves: LearningCurves,
        *,
        metric: str | None = None,
        unit: str | None = None,
        log_scale: bool = True,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw the result of `learning_curves`.

        Parameters
        ----------
        curves : LearningCurves
            From `learning_curves`.
        metric : str or None, default=None
            The metric to draw; None means the first one.
        unit : str or None, default=None
            Unit of the metric.
        log_scale : bool, default=True
            Whether the axes are logarithmic, see the class.
        limits : tuple of two floats or None, default=None
            Ends of the axis of the score, see the class.
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        ValueError
            When there is no such metric.
        """
        metric = curves.metrics[0] if metric is None else metric
        if metric not in curves.metrics:
            raise ValueError(f"metric={metric!r} is not among {list(curves.metrics)}")
        display = cls(
            curves=curves,
            metric=metric,
            unit=unit,
            log_scale=log_scale,
            limits=check_limits(limits),
        )
        return display.plot(ax=ax, **line_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | None = None, **line_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : LearningCurveDisplay
            The display itself.
        """
        ax = new_axes(3.1) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {}
        table = self.curves.table
        names = table["estimator"].unique()
        for number, (name, rows) in enumerate(table.groupby("estimator", sort=False)):
            # Bars at the same number of rows are drawn side by side.
            shift = number - (len(names) - 1) / 2
            self.lines_[name] = self._draw(
                name, rows.sort_values("n_train"), number, shift, line_kwargs
            )
        is_error = self.metric in self.curves.lower_is_better
        if self.log_scale:
            sizes = table.loc[table["estimator"] == names[0], "n_train"].round().to_numpy()
            _set_log_scale(ax.xaxis, sizes.min(), sizes.max())
            if len(sizes) <= _MOST_TICKS and (sizes[1:] >= 1.4 * sizes[:-1]).all():
                ax.set_xticks(sizes)
            if is_error and (table[f"{self.metric} mean"] > 0).all():
                # Intervals that reach zero end at the edge.
                least = table[f"{self.metric} mean"].min() / 2
                low = table[f"{self.metric} low"].clip(lower=least).min()
                _set_log_scale(ax.yaxis, low, table[f"{self.metric} high"].max())
        ax.set_xlabel("training rows")
        # A metric may be named with its unit, as in scoring={"MAE (eV/atom)": ...}.
        ax.set_ylabel(with_unit(self.metric, None if self.metric[-1:] == ")" else self.unit))
        if self.limits:
            ax.set_ylim(self.limits)
        handles = ax.get_legend_handles_labels()[0]
        level = f"{100 * self.curves.confidence_level:g} % interval"
        legend_above(ax, [*handles, interval_handle(level)])
        return self

    def _draw(self, name, rows, number, shift, line_kwargs):
        """Draw one line with its intervals."""
        mean, low, high = (rows[f"{self.metric} {each}"] for each in ("mean", "low", "high"))
        n_train = rows["n_train"].to_numpy()
        width = (
            0.012 * np.log(n_train[-1] / n_train[0]) if self.log_scale else 0.012 * np.ptp(n_train)
        )
        at = n_train * np.exp(width * shift) if self.log_scale else n_train + width * shift
        index = number % len(COLORS)
        style = {"color": COLORS[index], "marker": MARKERS[index], "label": name}
        style |= {"markersize": 4.5, "linewidth": 1.6, "zorder": 3}
        (line,) = self.ax_.plot(at, mean, **(style | line_kwargs))
        color = line.get_color()
        self.ax_.vlines(at, low, high, color=color, linewidth=1.1, zorder=2)
        return line


def _set_log_scale(axis, low, high):
    """Make an axis logarithmic, with plain numbers at its ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    if not 0 < low < high:
        return  # There is one point, or there are no intervals.
    margin = (high / low) ** 0.05
    low, high = low / margin, high * margin
    is_short = high / low < _SHORT_AXIS
    axis.set_major_locator(
        MaxNLocator(5, steps=[1, 2, 5, 10]) if is_short else LogLocator(subs=(1, 2, 5))
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})
