"""`ComparisonDisplay`: scores of several estimators with their intervals, a panel per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    NOTE_SIZE,
    PAGE_WIDTH,
    check_limits,
    given_panels,
    new_panels,
    with_unit,
)
from sklmat.plotting._style import COLORS, legend_above, wrap_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.model_selection import Comparison

#: Largest number of characters of a name in one line, and in figures below a width in inches.
_LINE_LENGTH, _SHORT_LINE, _NARROW = 26, 18, 4.2
#: Largest number of panels in one row.
_MOST_COLUMNS = 3


class ComparisonDisplay:
    """Plot of the scores of several estimators: a row per estimator and a panel per metric.

    A point is the mean over the folds. With a reference, the dashed line is its score, and the bar
    is the confidence interval of the difference from it: the difference is significant if the bar
    does not reach the line. Without a reference, the bar is the confidence interval of the mean.
    Both allow for the overlap of the training sets, see `corrected_resampled_ttest`.

    `from_comparison` creates the display from the result of `compare_estimators`. The constructor
    only stores its arguments.

    Parameters
    ----------
    comparison : Comparison
        From `compare_estimators`.
    metrics : sequence of str
        The metrics to draw.
    unit : str or None, default=None
        Unit of the target, shown at the metrics that have it.
    limits : dict of str to tuple of two floats, or None, default=None
        Ends of the axis of a metric, ``{"MAE": (0, 0.05)}``; the others include all bars.

    Attributes
    ----------
    intervals_ : dict of str to ndarray of shape (n_estimators, 3)
        For each metric: mean, and lower and upper end of the bar, in the rows of the comparison.
    axes_ : ndarray of matplotlib Axes
        The panels.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        The figure that contains the panels.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat import ComparisonDisplay, compare_estimators
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> models = {"linear": LinearRegression(), "mean": DummyRegressor()}
    >>> table = compare_estimators(models, X, X.sum(axis=1) ** 2, reference="mean")
    >>> display = ComparisonDisplay.from_comparison(table, metrics=["MAE", "R2"], unit="eV")
    >>> [panel.get_xlabel().splitlines()[0] for panel in display.axes_]
    ['MAE (eV)', 'R2']
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        comparison: Comparison,
        metrics: Sequence[str],
        unit: str | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.comparison = comparison
        self.metrics = metrics
        self.unit = unit
        self.limits = limits

    @classmethod
    @checked_arguments()
    def from_comparison(
        cls,
        comparison: Comparison,
        *,
        metrics: Sequence[str] | None = None,
        unit: str | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **errorbar_kwargs: Any,
    ) -> Self:
        """Draw the result of `compare_estimators`.

        Parameters
        ----------
        comparison : Comparison
            From `compare_estimators`; selected or sorted rows are drawn as they are.
        metrics : sequence of str or None, default=None
            The metrics to draw; None means all.
        unit : str or None, default=None
            Unit of the target, see the class.
        limits : dict of str to tuple of two floats, or None, default=None
            Ends of the axes, see the class.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes per metric; None creates a figure.
        **errorbar_kwargs
            Passed to ``Axes.errorbar``.

        Returns
        -------
        display : ComparisonDisplay

        Raises
        ------
        ValueError
            When there is no such metric, or too few axes.
        """
        metrics = list(comparison.metrics if metrics is None else metrics)
        if not metrics:
            raise ValueError(f"metrics is empty; there are {list(comparison.metrics)}")
        for metric in metrics:
            if metric not in comparison.metrics:
                raise ValueError(f"metric {metric!r} is not among {list(comparison.metrics)}")
        for metric, ends in (limits or {}).items():
            if metric not in metrics:
                raise ValueError(f"limits has {metric!r}, which is not among {metrics}")
            check_limits(ends)
        display = cls(comparison=comparison, metrics=metrics, unit=unit, limits=limits)
        return display.plot(ax=ax, **errorbar_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | Sequence[Axes] | None = None, **errorbar_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes per metric; None creates a figure.
        **errorbar_kwargs
            Passed to ``Axes.errorbar``.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.
        """
        n_metrics = len(self.metrics)
        if ax is None:
            width = COLUMN_WIDTH if n_metrics == 1 else PAGE_WIDTH
        else:
            given = given_panels(ax, n_metrics, f"{n_metrics} metrics")
            width = given[0].figure.get_figwidth()
        length = _SHORT_LINE if width < _NARROW else _LINE_LENGTH
        names = [wrap_name(name, length) for name in self.comparison.index]
        self.axes_ = self._new_axes(names, width) if ax is None else given
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.intervals_ = {metric: self._intervals(metric) for metric in self.metrics}
        for panel, metric in zip(self.axes_, self.metrics):
            rows = self._label(panel, metric, names)
            self._draw(panel, metric, rows, errorbar_kwargs)
            ends = (self.limits or {}).get(metric)
            if ends is not None:
                panel.set_xlim(ends)
        self._legend()
        return self

    def _intervals(self, metric):
        """Mean, and ends of the bar, of each estimator."""
        # This module needs scikit-learn, which the other displays do not.
        from sklmat.model_selection import corrected_resampled_ttest

        comparison = self.comparison
        means = comparison[f"{metric} mean"].to_numpy()
        if comparison.reference is not None:
            differences = comparison[[f"{metric} {name}" for name in ("difference", "low", "high")]]
            score = means - comparison[f"{metric} difference"].to_numpy()
            return np.column_stack([means, score[:, None] + differences.to_numpy()[:, 1:]])
        folds = dict(list(comparison.scores.groupby("estimator")))
        found = [
            corrected_resampled_ttest(
                folds[name][metric],
                folds[name]["n_train"],
                folds[name]["n_test"],
                confidence_level=comparison.confidence_level,
            )
            for name in comparison.index
        ]
        return np.array(found)[:, :3]

    def _draw(self, panel, metric, rows, errorbar_kwargs):
        """Draw the points, the bars and the score of the reference."""
        comparison = self.comparison
        mean, low, high = self.intervals_[metric].T
        if comparison.reference is not None:
            score = np.nanmean(mean - comparison[f"{metric} difference"].to_numpy())
            panel.axvline(score, color="0.35", linewidth=0.9, linestyle="--", zorder=1)
        style = {"fmt": "o", "markersize": 5.5, "color": COLORS[0], "elinewidth": 1.6, "zorder": 3}
        is_reference = np.array([name == comparison.reference for name in comparison.index])
        widths = np.nan_to_num([mean - low, high - mean])
        for kept, more in ((~is_reference, {}), (is_reference, {"mfc": "white", "color": "0.35"})):
            panel.errorbar(
                mean[kept],
                rows[kept],
                xerr=widths[:, kept],
                **(style | more | errorbar_kwargs),
            )

    def _label(self, panel, metric, names):
        """Write the names of the estimators and of the metric; return the ordinates of the rows."""
        # Names of several lines have more height.
        heights = np.array([1.7 + 1.2 * name.count("\n") for name in names])
        rows = np.cumsum(heights) - heights / 2
        grid = panel.get_subplotspec()
        panel.set_yticks(rows, names, fontsize=NOTE_SIZE)
        if grid is not None and not grid.is_first_col():
            panel.tick_params(axis="y", labelleft=False)
        panel.set_ylim(heights.sum(), 0)
        panel.tick_params(axis="y", length=0)
        panel.tick_params(axis="x", labelsize=NOTE_SIZE)
        panel.locator_params(axis="x", nbins=4)
        panel.margins(x=0.08)
        # A metric may be named with its unit, as in scoring={"MAE (eV/atom)": ...}.
        has_unit = metric in self.comparison.in_unit_of_y and metric[-1:] != ")"
        label = with_unit(metric, self.unit if has_unit else None)
        better = ""
        if metric in self.comparison.lower_is_better:
            better = "← lower is better"
        elif metric in self.comparison.higher_is_better:
            better = "higher is better →"
        panel.set_xlabel(f"{wrap_name(label, _LINE_LENGTH)}\n{better}", fontsize=9)
        return rows

    def _legend(self):
        """Say what the points, bars and the line are."""
        from matplotlib.lines import Line2D

        comparison = self.comparison
        level = f"{100 * comparison.confidence_level:g} % interval"
        of = "" if comparison.reference is None else " of the difference"
        handles = [Line2D([], [], marker="o", color=COLORS[0], label=f"mean, {level}{of}")]
        if comparison.reference is not None:
            name = wrap_name(f"reference: {comparison.reference}", 36)
            handles.append(Line2D([], [], linestyle="--", color="0.35", label=name))
        if len(self.figure_.axes) == len(self.axes_):
            style = {"loc": "outside lower center", "fontsize": NOTE_SIZE, "frameon": False}
            self.figure_.legend(handles=handles, **style)
        else:
            legend_above(self.ax_, handles)

    def _new_axes(self, names, width):
        """Axes of a new figure, whose height depends on the names."""
        n_columns = min(len(self.metrics), _MOST_COLUMNS)
        n_lines = sum(name.count("\n") + 1 for name in names)
        height = 0.9 + 0.16 * (n_lines + 0.5 * len(names))
        return new_panels(len(self.metrics), n_columns, height, width)
