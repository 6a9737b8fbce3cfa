"""`CompositionMapDisplay`: ternary, quaternary and quinary maps of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import POSITIVE, Kind, checked_arguments
from sklmat.compositions import element_of_column, fraction_column, fraction_columns
from sklmat.deprecation import renamed_parameters
from sklmat.plotting._layout import (
    LABEL_SIZE,
    NOTE_SIZE,
    PAGE_WIDTH,
    TEXT_SIZES,
    TICK_SIZE,
    new_axes,
)
from sklmat.plotting._ternary_axes import (
    TRIANGLE,
    connected_regions,
    draw_frame,
    draw_scales,
    innermost_point,
    polygon,
    project,
    triangulate,
)
from sklmat.plotting._ternary_cuts import (
    TOLERANCE,
    TernaryCut,
    cut_points,
    held_title,
    list_cuts,
    write_phase,
)
from sklmat.screening import PHASE, composition_grid, energy_column, screen, stable_phase

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

_MAJORITY_LINE = {"colors": "k", "linewidths": 1.4, "linestyles": "dashed", "zorder": 3}
_EQUIMOLAR_MARKER = {
    "linestyle": "",
    "marker": "o",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgecolor": "k",
    "zorder": 4,
}
#: Contour levels and ticks are multiples of these.
_STEPS = [1, 2, 2.5, 5, 10]
_STEP = Kind("a number above 0, up to 1", lambda value: POSITIVE.allows(value) and value <= 1)
#: Hexagonal bins of the pentagon.
_HEXAGONS = {"gridsize": 25, "extent": (-1, 1, -1, 1)}


class CompositionMapDisplay:
    """Map of a property over compositions, with the boundaries between the phases.

    With three elements the map is a ternary triangle; further elements can be held at fixed
    fractions (a cut). With four or five elements it is an overview with one triangle for each set
    of three elements. In a triangle of an overview, each element that it does not show has by
    default the fraction 1 / n, with n the number of elements, so that every triangle contains the
    equimolar alloy; `held` sets another fraction. For five elements the overview also has a
    pentagon, in which a composition is at the mean of the corners, weighted by its fractions.

    At each composition the map shows the property of the phase with the lowest formation energy. On
    the black lines two phases have the same energy.

    `from_estimator` creates the display from a fitted model, `from_predictions` from a table of
    predictions, such as `screen` makes. The constructor only stores its arguments.

    Parameters
    ----------
    table : DataFrame
        The columns ``x_Fe``, ..., `column` and, if there are phases, ``phase`` and the formation
        energies; one row for each composition and phase.
    column : str
        The property to draw. Its name labels the colour bar and should contain the unit.
    elements : list of str
        Three to five elements that vary, in the order of the corners.
    held : dict of str to float, float or None, default=None
        For a ternary cut, the fractions of the other elements. For an overview, the fraction of
        each element that a triangle does not show; None is one over the number of elements.
    energy : str or None, default=None
        Column of formation energies; None if there are no phases.
    overview : DataFrame or None, default=None
        Predictions for the pentagon, a table like `table`; None omits the pentagon.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The triangles, followed by the pentagon.
    ax_ : matplotlib Axes
        The first triangle.
    colorbar_ : matplotlib Colorbar
        The colour bar, which is common to all panels.
    figure_ : matplotlib Figure
        The figure that contains the panels.

    See Also
    --------
    screen : Computes the tables of predictions.
    stable_phase : Selection of the phase, and its meaning.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.plotting import CompositionMapDisplay
    >>> from sklmat.screening import composition_grid
    >>> table = composition_grid(["Fe", "Ni", "Cr"], 0.05).points()
    >>> table["volume (Å³/atom)"] = 11.4 * table["x_Fe"] + 10.9 * table["x_Ni"]
    >>> display = CompositionMapDisplay.from_predictions(table, "volume (Å³/atom)")
    >>> display.elements
    ['Fe', 'Ni', 'Cr']
    >>> display.colorbar_.ax.get_ylabel()
    'volume (Å³/atom)'
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        column: str,
        elements: list[str],
        held: dict[str, float] | float | None = None,
        energy: str | None = None,
        overview: pd.DataFrame | None = None,
    ) -> None:
        self.table = table
        self.column = column
        self.elements = elements
        self.held = held
        self.energy = energy
        self.overview = overview

    @classmethod
    @renamed_parameters(model="estimator")
    @checked_arguments(step=_STEP)
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        elements: Sequence[str],
        column: str | None = None,
        *,
        held: dict[str, float] | float | None = None,
        phases: str | Sequence[str] | None = None,
        targets: str | Sequence[str] | None = None,
        energy: str | None = None,
        step: float = 0.02,
        overview_step: float | None = 0.05,
        ax: Axes | None = None,
        **contour_kwargs: Any,
    ) -> Self:
        """Predict with an estimator, and draw the predictions.

        Parameters
        ----------
        estimator : fitted regressor
            An estimator that `screen` accepts.
        elements : sequence of str
            Three to five elements that vary, in the order of the corners: left, right and top of a
            triangle; clockwise from the top of the pentagon.
        column : str or None, default=None
            Prediction to draw. None takes the only prediction, or the formation energy.
        held : dict of str to float, float or None, default=None
            See the class.
        phases, targets : as in `screen`
            What is predicted.
        energy : str or None, default=None
            Prediction that determines the stable phase. None takes the formation energy, or the
            only prediction.
        step : float, default=0.02
            Distance between neighbouring compositions in the triangles.
        overview_step : float or None, default=0.05
            Distance between neighbouring compositions in the pentagon, which has many more
            compositions; None omits the pentagon.
        ax : matplotlib Axes or None, default=None
            Axes for a ternary map; None creates a figure. An overview always creates its own
            figure.
        **contour_kwargs
            Passed to ``Axes.tricontourf``, such as ``cmap`` and ``levels``.

        Returns
        -------
        display : CompositionMapDisplay

        Raises
        ------
        ValueError
            As for `screen`, and when there are not three to five elements or the held fractions are
            too large.
        """
        elements = list(elements)
        predict = partial(screen, estimator, phases=phases, targets=targets)
        cuts = [cut_points(corners, fixed, step) for corners, fixed in list_cuts(elements, held)]
        # Triangles share compositions, which are predicted only once.
        points = pd.concat(cuts, ignore_index=True).fillna(0.0)
        points = points[~points.round(9).duplicated()]
        table = predict(points)
        names = _prediction_names(table)
        energy = energy or (names[0] if len(names) == 1 else None)
        overview = None
        if len(elements) == 5 and overview_step is not None:
            overview = predict(composition_grid(elements, overview_step))
        return cls._of_tables(table, column, elements, held, energy, overview, ax, contour_kwargs)

    @classmethod
    @checked_arguments()
    def from_predictions(
        cls,
        table: pd.DataFrame,
        column: str | None = None,
        *,
        elements: Sequence[str] | None = None,
        held: dict[str, float] | float | None = None,
        energy: str | None = None,
        ax: Axes | None = None,
        **contour_kwargs: Any,
    ) -> Self:
        """Draw given predictions.

        Parameters
        ----------
        table : DataFrame
            Result of `screen`: the columns ``x_Fe``, ..., predictions and, if there are phases,
            ``phase``; one row for each composition and phase. The rows outside the triangles are
            used for the pentagon.
        column : str or None, default=None
            Prediction to draw. None takes the only prediction, or the formation energy.
        elements : sequence of str or None, default=None
            Elements that vary, in the order of the corners. None takes all elements that are not
            held and whose fraction is not zero in all rows.
        held : dict of str to float, float or None, default=None
            See the class.
        energy : str or None, default=None
            Column that determines the stable phase. None takes the formation energy, or the only
            prediction.
        ax : matplotlib Axes or None, default=None
            Axes for a ternary map; None creates a figure. An overview always creates its own
            figure.
        **contour_kwargs
            Passed to ``Axes.tricontourf``, such as ``cmap`` and ``levels``.

        Returns
        -------
        display : CompositionMapDisplay

        Raises
        ------
        ValueError
            When columns or compositions are missing, when values are not finite, or when there are
            not three to five elements.
        """
        if elements is None:
            columns = fraction_columns(table.columns)
            present = [name for name in columns if table[name].abs().max() > TOLERANCE]
            symbols = [element_of_column(name) or name.removeprefix("x_") for name in present]
            constant = held if isinstance(held, dict) else {}
            elements = [symbol for symbol in symbols if symbol not in constant]
        elements = list(elements)
        overview = table if len(elements) == 5 else None
        return cls._of_tables(table, column, elements, held, energy, overview, ax, contour_kwargs)

    @classmethod
    def _of_tables(cls, table, column, elements, held, energy, overview, ax, contour_kwargs):
        """Choose the columns, and draw."""
        names = _prediction_names(table)
        if column is None:
            column = names[0] if len(names) == 1 else energy_column(names)
        if column not in names:
            raise ValueError(f"there is no column {column!r} among {names}")
        if PHASE in table and table[PHASE].nunique() > 1:
            energy = energy_column(names, energy or (names[0] if len(names) == 1 else None))
        else:
            energy = None
        display = cls(
            table=table,
            column=column,
            elements=elements,
            held=held,
            energy=energy,
            overview=overview,
        )
        return display.plot(ax=ax, **contour_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | None = None, **contour_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes for a ternary map; None creates a figure. An overview always creates its own
            figure.
        **contour_kwargs
            Passed to ``Axes.tricontourf``, such as ``cmap`` and ``levels``.

        Returns
        -------
        display : CompositionMapDisplay
            The display itself.
        """
        cuts = [
            (corners, held, TernaryCut(self, corners, held))
            for corners, held in list_cuts(self.elements, self.held)
        ]
        overview = self._stable_overview()
        values = [cut.stable_values for *_, cut in cuts]
        if overview is not None:
            values.append(self._hexagon_means(overview))
        style = self._style(np.concatenate(values), contour_kwargs)
        if len(cuts) == 1:
            self._plot_ternary(*cuts[0], ax, style)
        else:
            if ax is not None:
                raise ValueError("an overview of several maps makes its own figure: leave out ax")
            self._plot_overview(cuts, overview, style)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _stable_overview(self):
        """The rows that the pentagon shows, one for each composition."""
        if self.overview is None:
            return None
        difference = self.overview[self._fraction_columns()].sum(axis=1) - 1
        table = self.overview[np.abs(difference) < TOLERANCE]
        return table if self.energy is None else stable_phase(table, energy=self.energy)

    def _fraction_columns(self):
        """Columns of the elements that vary."""
        return [fraction_column(symbol) for symbol in self.elements]

    def _hexagon_means(self, overview):
        """Mean values in the hexagons of the pentagon, for the choice of the contour levels."""
        from matplotlib.figure import Figure

        points = project(overview[self._fraction_columns()].to_numpy(), polygon(5))
        values = overview[self.column].to_numpy(dtype=float)
        return Figure().add_subplot().hexbin(*points.T, C=values, **_HEXAGONS).get_array()

    def _style(self, values, contour_kwargs):
        """Contour levels and colours of all maps, for the given values."""
        import matplotlib.pyplot as plt
        from matplotlib.colors import BoundaryNorm
        from matplotlib.ticker import MaxNLocator

        style = {"cmap": "viridis", "levels": 20} | contour_kwargs
        low, high = values.min(), values.max()
        if np.ndim(style["levels"]) == 0:
            if high - low <= 1e-9 * max(abs(low), abs(high)):
                low, high = low - 0.5, high + 0.5
            ticks = MaxNLocator(style["levels"], steps=_STEPS).tick_values(low, high)
            inside = (ticks > low) & (ticks < high)
            # Keep the levels inside the range and one more on either side.
            style["levels"] = ticks[np.convolve(inside, [1, 1, 1], "same") > 0]
        levels = style["levels"] = np.asarray(style["levels"], dtype=float)
        style.setdefault("norm", BoundaryNorm(levels, plt.get_cmap(style["cmap"]).N))
        extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
        self._extend = extend.get((bool(low < levels[0]), bool(high > levels[-1])), "neither")
        # Contours extend beyond a phase boundary, where values may be outside the range.
        return style | {"extend": "both"}

    def _add_colorbar(self, ax, style, **settings):
        from matplotlib.cm import ScalarMappable

        mappable = ScalarMappable(style["norm"], style["cmap"])
        self.colorbar_ = ax.figure.colorbar(mappable, cax=ax, extend=self._extend, **settings)
        self.colorbar_.ax.tick_params(labelsize=TICK_SIZE)
        self.colorbar_.set_label(self.column, fontsize=LABEL_SIZE)

    def _plot_ternary(self, corners, held, cut, ax, style):
        """Draw one triangle with scales."""
        ax = new_axes(2.8) if ax is None else ax
        cut.draw(ax, style, fontsize=9)
        draw_frame(ax, TRIANGLE, corners, fontsize=10)
        draw_scales(ax, corners, 1 - sum(held.values()))
        if any(held.values()):
            ax.set_title(held_title(held), fontsize=LABEL_SIZE, pad=20)
        self._add_colorbar(ax.inset_axes([1.02, 0.12, 0.035, 0.72]), style)
        self.axes_ = np.array([ax])

    def _plot_overview(self, cuts, overview, style):
        """Draw a triangle for each set of three elements, and the pentagon of five elements."""
        n_elements = len(self.elements)
        is_equimolar = self.held is None or np.isclose(self.held, 1 / n_elements)
        figure, grid, cells = _overview_grid(n_elements)
        axes = [figure.add_subplot(grid[cell]) for cell in cells]
        self._plot_triangles(axes, cuts, is_equimolar, style)
        if n_elements == 4:
            self._add_colorbar(figure.add_subplot(grid[:, -1]), style)
        else:
            self._plot_legend(figure.add_subplot(grid[2, 3]), is_equimolar, overview, style)
            if overview is not None:
                axes.append(figure.add_subplot(grid[:2, 2:]))
                self._plot_polygon(axes[-1], overview, style)
        self.axes_ = np.array(axes)

    def _plot_triangles(self, axes, cuts, is_equimolar, style):
        """Draw the triangles of an overview."""
        centre = TRIANGLE.mean(axis=0)
        for ax, (corners, held, cut) in zip(axes, cuts):
            cut.draw(ax, style, fontsize=7.5, avoid=centre if is_equimolar else None)
            draw_frame(ax, TRIANGLE, corners, fontsize=8.5)
            ax.set_title(held_title(held), fontsize=NOTE_SIZE, pad=16, color="0.25")
            if is_equimolar:
                ax.plot(*centre, **_EQUIMOLAR_MARKER)

    def _plot_legend(self, ax, is_equimolar, overview, style):
        """Draw the colour bar and the legend of an overview of five elements."""
        from matplotlib.ticker import MaxNLocator

        ax.axis("off")
        bar = ax.inset_axes([0.0, 0.75, 1.0, 0.1])
        ticks = MaxNLocator(3, steps=_STEPS)
        self._add_colorbar(bar, style, orientation="horizontal", ticks=ticks)
        _write_legend(ax, is_equimolar, self.energy is not None, overview is not None)

    def _plot_polygon(self, ax, table, style):
        """Draw all compositions, each at the weighted mean of the corners."""
        corners = polygon(len(self.elements))
        points = project(table[self._fraction_columns()].to_numpy(), corners)
        (frame,) = ax.fill(*corners.T, facecolor="none")
        values = table[self.column].to_numpy()
        colors = {"cmap": style["cmap"], "norm": style["norm"]}
        hexagons = ax.hexbin(*points.T, C=values, linewidths=0.2, zorder=1, **colors, **_HEXAGONS)
        hexagons.set_clip_path(frame)
        if self.energy is not None:
            phases = table[PHASE].unique()
            for phase in phases:
                is_phase = (table[PHASE] == phase).to_numpy(dtype=float)
                fractions = ax.hexbin(*points.T, C=is_phase, visible=False, **_HEXAGONS)
                # With two phases both have the same line, and dashes drawn twice would look solid.
                has_line = len(phases) > 2 or phase == phases[0]
                _draw_majority(ax, phase, fractions, corners, frame if has_line else None)
                fractions.remove()
        draw_frame(ax, corners, self.elements, fontsize=10)
        ax.set_title("all alloys, averaged where they coincide", fontsize=LABEL_SIZE, pad=22)


def _prediction_names(table):
    """Names of all columns except fractions and phase."""
    return [name for name in table if name not in (PHASE, *fraction_columns(table.columns))]


def _overview_grid(n_elements):
    """Create a figure and its grid; return them with the grid cells of the triangles."""
    import matplotlib.pyplot as plt

    n_rows = {4: 2, 5: 4}[n_elements]
    has_bar = n_elements == 4
    with plt.rc_context(TEXT_SIZES):
        height = PAGE_WIDTH - has_bar
        figure = plt.figure(figsize=(PAGE_WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.04)
    widths = [1] * n_rows + [0.12] * has_bar
    grid = figure.add_gridspec(n_rows, len(widths), width_ratios=widths)
    cells = [
        (row, column)
        for row in range(n_rows)
        for column in range(n_rows if n_elements == 4 else row + 1)
    ]
    return figure, grid, cells


def _draw_majority(ax, phase, fractions, corners, frame):
    """Draw the regions in which more than half of the alloys in a hexagon have a given phase."""
    centres, fraction = fractions.get_offsets(), fractions.get_array()
    triangles = triangulate(centres)
    if frame is not None and fraction.min() < 0.5 < fraction.max():
        line = ax.tricontour(triangles, fraction, levels=[0.5], **_MAJORITY_LINE)
        line.set_clip_path(frame)
    for inside in connected_regions(triangles, fraction > 0.5):
        write_phase(ax, innermost_point(centres, inside, corners), phase, fontsize=9)


def _write_legend(ax, is_equimolar, has_phases, has_overview):
    """Write the legend of the lines and the marker of an overview."""
    from matplotlib.lines import Line2D

    handles = []
    if has_phases:
        handles.append(Line2D([], [], color="k", linewidth=1.6, label="phase boundary"))
    if has_phases and has_overview:
        dashed = {"color": "k", "linewidth": 1.4, "linestyle": "--"}
        handles.append(Line2D([], [], label="half of those that coincide", **dashed))
    if is_equimolar:
        handles.append(Line2D([], [], label="equimolar alloy", **_EQUIMOLAR_MARKER))
    if handles:
        ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.36),
            fontsize=NOTE_SIZE,
            frameon=False,
        )
