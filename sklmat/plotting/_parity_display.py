"""`ParityDisplay`: predicted against true values of one or several models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import PREDICTORS, checked_arguments
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    LABEL_SIZE,
    NOTE_SIZE,
    PAGE_WIDTH,
    TICK_SIZE,
    check_limits,
    given_panels,
    new_panels,
    plain_ticks,
    short_number,
    with_unit,
)
from sklmat.plotting._style import (
    COLORS,
    MARKERS,
    RASTERIZE_ABOVE,
    color_series,
    is_grouping,
    wrap_name,
)
from sklmat.targets import number_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.model_selection import Comparison
    from sklmat.typing import ArrayLike, Structures, Table


#: A prediction this many times the range of the true values outside this range is an outlier.
_OUTLIER = 2.0
#: Largest number of panels side by side.
_MOST_COLUMNS = 3
#: Width of the text left of the panels and of a colour scale with its text, height of the text
#: below a panel, height of a line and mean width of a character, in inches.
_LEFT_TEXT, _BAR, _TEXT_BELOW, _LINE, _CHARACTER = 0.75, 0.9, 0.5, 0.16, 0.073
#: Number of characters of a title above given axes, divided by the number of axes side by side.
_GIVEN_TITLE = 44
#: Above this number, points are smaller.
_FEW_POINTS = 500


class ParityDisplay:
    """Plot of predicted against true values, one panel per model, with the errors in the corner.

    Predictions that are far outside the range of all true values are drawn as open triangles at the
    edge of the panel, and counted there, so that they do not squeeze the other points together. The
    errors in the corner include them.

    `from_estimator` creates the display from fitted regressors, `from_predictions` from arrays, and
    `from_comparison` from the result of `compare_estimators`. The constructor only stores its
    arguments.

    Parameters
    ----------
    y_true : ndarray of shape (C,)
        True values.
    y_pred : dict of str to ndarray of shape (C,)
        Predictions; the keys are the titles of the panels.
    quantity : str or None, default=None
        Name of the predicted quantity for the axis labels, such as "formation energy".
    unit : str or None, default=None
        Unit of the quantity, such as "eV/atom".
    true_name : str, default="true"
        Word before the quantity at the axis of the true values, such as "computed" or "DFT" for
        labels from calculations, and "measured" for labels from experiments.
    limits : tuple of two floats or None, default=None
        Ends of both axes, in `unit`; None includes all points but outliers.
    color_by : array-like of shape (C,) or None, default=None
        Values that colour the points. Strings, or up to seven different values, are drawn as groups
        with a legend; other numbers with a colour scale. The name of a Series is the title of the
        legend.

    Attributes
    ----------
    errors_ : dict of str to dict
        ``MAE`` and ``RMSE`` in `unit`, and ``R2``, over all points of each panel.
    limits_ : tuple of two floats
        Ends of all axes.
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
    >>> from sklmat.plotting import ParityDisplay
    >>> display = ParityDisplay.from_predictions(
    ...     [0.0, 1.0, 2.0], [0.0, 1.0, 1.7], quantity="band gap", unit="eV"
    ... )
    >>> round(display.errors_["prediction"]["MAE"], 3)
    0.1
    >>> display.ax_.get_xlabel()
    'true band gap (eV)'
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        y_true: np.ndarray,
        y_pred: Mapping[str, np.ndarray],
        quantity: str | None = None,
        unit: str | None = None,
        true_name: str = "true",
        limits: tuple[float, float] | None = None,
        color_by: ArrayLike | None = None,
    ) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.quantity = quantity
        self.unit = unit
        self.true_name = true_name
        self.limits = limits
        self.color_by = color_by

    @classmethod
    @checked_arguments(estimator=PREDICTORS)
    def from_estimator(
        cls,
        estimator: BaseEstimator | Mapping[str, BaseEstimator],
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        *,
        quantity: str | None = None,
        unit: str | None = None,
        true_name: str = "true",
        limits: tuple[float, float] | None = None,
        color_by: ArrayLike | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the predictions of a fitted regressor.

        Parameters
        ----------
        estimator : fitted regressor or dict of str to fitted regressor
            Each estimator has its own panel.
        X : sequence of C crystals, CrystalGraphs or table
            Input of the estimator, preferably rows on which it was not fitted.
        y : array-like of shape (C,)
            True values.
        quantity, unit : str or None, default=None
            Labels of the axes, see the class.
        true_name : str, default="true"
            Word before the quantity at the axis of the true values, see the class.
        limits : tuple of two floats or None, default=None
            Ends of both axes, see the class.
        color_by : array-like of shape (C,) or None, default=None
            Values that color the points, see the class.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Axes to draw on; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ParityDisplay
        """
        if not isinstance(estimator, Mapping):
            estimator = {type(estimator).__name__: estimator}
        y_pred = {name: model.predict(X) for name, model in estimator.items()}
        return cls.from_predictions(
            y,
            y_pred,
            quantity=quantity,
            unit=unit,
            true_name=true_name,
            limits=limits,
            color_by=color_by,
            ax=ax,
            **scatter_kwargs,
        )

    @classmethod
    @checked_arguments()
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        *,
        quantity: str | None = None,
        unit: str | None = None,
        true_name: str = "true",
        limits: tuple[float, float] | None = None,
        color_by: ArrayLike | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw given predictions.

        Parameters
        ----------
        y_true : array-like of shape (C,)
            True values.
        y_pred : array-like of shape (C,), or dict of str to such
            Predictions; a dict draws one panel per entry with common limits.
        quantity, unit : str or None, default=None
            Labels of the axes, see the class.
        true_name : str, default="true"
            Word before the quantity at the axis of the true values, see the class.
        limits : tuple of two floats or None, default=None
            Ends of both axes, see the class.
        color_by : array-like of shape (C,) or None, default=None
            Values that color the points, see the class.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Axes to draw on; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ParityDisplay

        Raises
        ------
        ValueError
            When lengths differ, when values are not finite, or when several targets are given at
            once.
        """
        if not isinstance(y_pred, Mapping):
            y_pred = {"prediction": y_pred}
        true = _values(y_true, "y_true")
        predicted = {name: _values(y, f"y_pred of {name!r}") for name, y in y_pred.items()}
        for name, values in predicted.items():
            if len(values) != len(true):
                raise ValueError(f"{name!r} has {len(values)} predictions for {len(true)} values")
        if color_by is not None:
            color_by = color_series(color_by, len(true), "points")
        display = cls(
            y_true=true,
            y_pred=predicted,
            quantity=quantity,
            unit=unit,
            true_name=true_name,
            limits=check_limits(limits),
            color_by=color_by,
        )
        return display.plot(ax=ax, **scatter_kwargs)

    @classmethod
    @checked_arguments()
    def from_comparison(
        cls,
        comparison: Comparison | pd.DataFrame,
        *,
        target: str | int | None = None,
        quantity: str | None = None,
        unit: str | None = None,
        true_name: str = "true",
        limits: tuple[float, float] | None = None,
        color_by: ArrayLike | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the out-of-fold predictions of `compare_estimators` side by side.

        Parameters
        ----------
        comparison : Comparison or DataFrame
            Result of `compare_estimators`, or its ``predictions``.
        target : str, int or None, default=None
            The target to draw, if there are several.
        quantity, unit : str or None, default=None
            Labels of the axes, see the class.
        true_name : str, default="true"
            Word before the quantity at the axis of the true values, see the class.
        limits : tuple of two floats or None, default=None
            Ends of both axes, see the class.
        color_by : array-like of shape (C,) or None, default=None
            One entry per row of the *whole* input `X`, such as a list of phases.
        ax : sequence of matplotlib Axes or None, default=None
            One axes per estimator; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ParityDisplay

        Notes
        -----
        The errors in the panels are computed over all points together. `compare_estimators`
        averages over folds, so its RMSE and R2 differ slightly from those in the panels, and its
        MAE too if the folds differ in size.
        """
        table = getattr(comparison, "predictions", comparison)
        if "target" in table:
            targets = list(table["target"].unique())
            if target not in targets:
                raise ValueError(f"several targets: choose target= one of {targets}")
            table = table[table["target"] == target]
            table = table[table["y_true"].notna()]  # Labels of several targets may be missing.
        keys = ("row", "fold", "repeat", "target", "y_true")
        names: list[Any] = [name for name in table if name not in keys]
        if color_by is not None:
            rows = table["row"].to_numpy()
            color_by = color_series(color_by, rows.max() + 1, "rows of X", at_least=True)[rows]
        return cls.from_predictions(
            table["y_true"],
            {name: table[name] for name in names},
            quantity=quantity,
            unit=unit,
            true_name=true_name,
            limits=limits,
            color_by=color_by,
            ax=ax,
            **scatter_kwargs,
        )

    @checked_arguments()
    def plot(self, ax: Axes | Sequence[Axes] | None = None, **scatter_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            Axes to draw on; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ParityDisplay
            The display itself.
        """
        n_panels = len(self.y_pred)
        if ax is None:
            has_bar = self.color_by is not None and not is_grouping(
                pd.Series(np.asarray(self.color_by)), "color_by"
            )
            self.axes_, length = _new_axes(list(self.y_pred), has_bar)
        else:
            self.axes_ = given_panels(ax, n_panels, f"{n_panels} panels")
            length = _GIVEN_TITLE // min(n_panels, _MOST_COLUMNS)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.errors_ = {name: _errors(self.y_true, pred) for name, pred in self.y_pred.items()}
        self.limits_ = self.limits or _limits(self.y_true, list(self.y_pred.values()))
        is_new = ax is None
        for panel, (name, values) in zip(self.axes_, self.y_pred.items()):
            points = self._scatter(panel, values, scatter_kwargs)
            self._mark_outliers(panel, values)
            self._label(panel, name, is_new, length)
        if isinstance(points, list):
            title = getattr(self.color_by, "name", None)
            self.axes_[-1].legend(
                handles=points, title=title, loc="lower right", fontsize=NOTE_SIZE, frameon=False
            )
        elif self.color_by is not None:
            where = (
                {"ax": list(self.axes_), "shrink": 0.9, "aspect": 30}
                if is_new
                else {"cax": self.axes_[-1].inset_axes([1.05, 0, 0.05, 1])}
            )
            bar = self.figure_.colorbar(points, **where)
            bar.set_label(getattr(self.color_by, "name", None) or "", fontsize=LABEL_SIZE)
            bar.ax.tick_params(labelsize=TICK_SIZE)
            bar.solids.set_alpha(1)
        return self

    def _scatter(self, ax, values, scatter_kwargs):
        """Draw the points; return one collection, or a list with one collection for each group."""
        style = {
            "s": 18 if len(values) <= _FEW_POINTS else 8,
            "alpha": 0.65,
            "linewidths": 0,
            "rasterized": len(values) > RASTERIZE_ABOVE,
            "zorder": 2,
        } | scatter_kwargs
        if self.color_by is None:
            return ax.scatter(self.y_true, values, **({"color": COLORS[0]} | style))
        keys = pd.Series(np.asarray(self.color_by))
        if not is_grouping(keys, "color_by"):
            return ax.scatter(self.y_true, values, c=keys, **({"cmap": "viridis"} | style))
        collections = []
        groups = keys.groupby(keys).indices.items()
        for (group, rows), color, marker in zip(groups, COLORS, MARKERS):
            group_style = {"color": color, "marker": marker, "label": str(group)} | style
            collections.append(ax.scatter(self.y_true[rows], values[rows], **group_style))
        return collections

    def _mark_outliers(self, ax, values):
        """Draw points outside the limits as open triangles at the edge, and say how many."""
        low, high = self.limits_
        outside = _is_outside(self.y_true, self.limits_) | _is_outside(values, self.limits_)
        if not outside.any():
            return
        inset = 0.02 * (high - low)
        x, y = np.clip([self.y_true, values], low + inset, high - inset)
        directions = {
            "^": values > high,
            "v": values < low,
            ">": (self.y_true > high) & ~_is_outside(values, self.limits_),
            "<": (self.y_true < low) & ~_is_outside(values, self.limits_),
        }
        for marker, rows in directions.items():
            if rows.any():
                style = {"marker": marker, "facecolors": "none", "edgecolors": COLORS[1]}
                ax.scatter(x[rows], y[rows], s=30, linewidths=1.2, zorder=3, **style)
        ax.text(
            0.96,
            0.04,
            f"{outside.sum()} outside",
            transform=ax.transAxes,
            ha="right",
            fontsize=NOTE_SIZE,
            color=COLORS[1],
        )

    def _label(self, ax, name, is_new, length):
        """Draw the diagonal; write the labels of the axes, the title and the errors.

        Titles, and labels in a new figure, have at most `length` characters in a line.
        """
        limits = self.limits_
        ax.plot(limits, limits, color="0.35", linewidth=0.9, linestyle="--", zorder=1)
        ax.set(xlim=limits, ylim=limits, aspect="equal", box_aspect=1)
        plain_ticks(ax.xaxis, 4)
        plain_ticks(ax.yaxis, 4)
        label = with_unit(self.quantity or "value", self.unit)
        # In a figure of several panels, only those at the left and at the bottom have labels.
        grid = ax.get_subplotspec()
        is_left = grid is None or grid.is_first_col()
        is_bottom = not is_new or ax in _bottom_panels(self.axes_)
        labels = f"{self.true_name} {label}", f"predicted {label}"
        if is_new:
            labels = [wrap_name(each, length) for each in labels]
        ax.set_xlabel(labels[0] if is_bottom else "")
        ax.set_ylabel(labels[1] if is_left else "")
        if is_new:
            ax.tick_params(labelleft=is_left, labelbottom=is_bottom)
        if len(self.y_pred) > 1 or name != "prediction":
            ax.set_title(wrap_name(name, length), fontsize=LABEL_SIZE)
        unit = f" {self.unit}" if self.unit else ""
        errors = self.errors_[name]
        text = (
            f"MAE {short_number(errors['MAE'])}{unit}\nRMSE {short_number(errors['RMSE'])}{unit}\n"
        )
        text += _r2_text(errors["R2"])
        ax.text(
            0.04, 0.96, text, transform=ax.transAxes, va="top", fontsize=NOTE_SIZE, linespacing=1.3
        )


def _values(values, name):
    """Return values as an array of one dimension, or raise a ValueError."""
    values = number_array(values, name)
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}; draw one target at a time")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"{name} has {len(wrong)} values that are not finite, in rows {wrong[:10].tolist()}"
        )
    if not len(values):
        raise ValueError(f"{name} is empty")
    return values


def _errors(y_true, y_pred):
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    return {
        "MAE": mean_absolute_error(y_true, y_pred),
        "RMSE": root_mean_squared_error(y_true, y_pred),
        "R2": r2_score(y_true, y_pred) if len(y_true) > 1 else np.nan,
    }


def _limits(y_true, predictions):
    """Common range of all axes: all points that are no outliers, with a margin of 5 %."""
    spread = np.ptp(y_true)
    # With equal true values there is no scale by which a prediction could be far away.
    reach = _OUTLIER * spread or np.inf
    inside = [
        values[~_is_outside(values, (y_true.min() - reach, y_true.max() + reach))]
        for values in predictions
    ]
    everything = np.concatenate([y_true, *inside])
    low, high = everything.min(), everything.max()
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _is_outside(values, limits):
    return (values < limits[0]) | (values > limits[1])


def _r2_text(r2):
    """The coefficient of determination; of very bad predictions with three digits only."""
    return f"R² {r2:.3f}".replace("-", "−") if not abs(r2) >= 100 else f"R² {short_number(r2)}"


def _bottom_panels(axes):
    """The panels of a figure below which there are no others."""
    specs = [panel.get_subplotspec() for panel in axes]
    last = {spec.colspan.start: spec.rowspan.stop for spec in specs}  # the last of each column
    return [
        panel for panel, spec in zip(axes, specs) if last[spec.colspan.start] == spec.rowspan.stop
    ]


def _new_axes(names, has_bar):
    """Axes of a new figure: up to three panels side by side, four as two rows of two.

    Also returns the number of characters that fit in a line above or below a panel. The panels are
    square, so the height of the figure follows from their widths and from the text.
    """
    n_panels = len(names)
    n_columns = {1: 1, 2: 2, 4: 2}.get(n_panels, _MOST_COLUMNS)
    width = COLUMN_WIDTH if n_panels == 1 else PAGE_WIDTH
    panel = (width - _LEFT_TEXT - has_bar * _BAR) / n_columns
    # Labels of a single panel may be a little wider than it; others would touch their neighbours.
    length = int((panel + (0.3 if n_panels == 1 else -0.1)) / _CHARACTER)
    n_lines = max(wrap_name(name, length).count("\n") + 1 for name in names)
    height = panel + _TEXT_BELOW + n_lines * _LINE
    return new_panels(n_panels, n_columns, height, width), length
