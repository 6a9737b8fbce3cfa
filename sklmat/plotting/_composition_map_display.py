"""Maps of what a model predicts over compositions."""

import numpy as np
import pandas as pd

from sklmat.plotting._ternary_axes import (
    TRIANGLE,
    draw_frame,
    draw_scales,
    innermost,
    pieces,
    polygon,
    project,
    triangulate,
)
from sklmat.plotting._ternary_cuts import TOLERANCE, Cut, cut_points, cuts_of, title_of, write_name
from sklmat.screening import composition_grid, screen, stable_phase
from sklmat.screening._prediction_columns import PHASE, energy_column, fraction_columns

_HALF = {"colors": "k", "linewidths": 1.4, "linestyles": "dashed", "zorder": 3}
_DOT = {
    "linestyle": "",
    "marker": "o",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgecolor": "k",
    "zorder": 4,
}
#: Levels and ticks are multiples of these.
_STEPS = [1, 2, 2.5, 5, 10]
#: Hexagons of the pentagon.
_CELLS = {"gridsize": 25, "extent": (-1, 1, -1, 1)}


class CompositionMapDisplay:
    """A property over compositions, with the boundary between the phases.

    With three elements the map is the ternary triangle; others can be held at fixed fractions
    (a cut). With four or five it is an overview: a triangle for each three elements, through the
    equimolar alloy unless told otherwise, and of five a pentagon besides, in which every
    composition lies at the mean of the corners, weighted by its fractions.

    At each composition the property is that of the phase with the lowest formation energy, and
    black lines are where two phases have the same.

    Make it with `from_estimator` or `from_predictions`; the constructor only stores.

    Parameters
    ----------
    table : DataFrame
        The columns ``x_Fe``, ..., ``phase`` when there are phases, `column`, and formation
        energies; one row for each composition and phase.
    column : str
        What is drawn; best with its unit, for the colour bar.
    elements : list of str
        Three to five elements that vary, in the order of the corners.
    held : dict of str to float, float or None, default=None
        Of a ternary cut the fractions of other elements. Of an overview the fraction of each
        element that a triangle does not show; None is one over the number of elements.
    energy : str or None, default=None
        The column of formation energies; None when there are no phases.
    overview : DataFrame or None, default=None
        Like `table`, what the pentagon is made of; None leaves it out.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The triangles, and the pentagon last.
    ax_ : matplotlib Axes
        The first triangle.
    colorbar_ : matplotlib Colorbar
        The scale of colours, common to all.
    figure_ : matplotlib Figure
        The figure that holds them.

    See Also
    --------
    screen : Its tables are what is drawn.
    stable_phase : How the phase is chosen, and what it means.

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

    def __init__(self, *, table, column, elements, held=None, energy=None, overview=None):
        self.table = table
        self.column = column
        self.elements = elements
        self.held = held
        self.energy = energy
        self.overview = overview

    @classmethod
    def from_estimator(
        cls,
        model,
        elements,
        column=None,
        *,
        held=None,
        phases=None,
        targets=None,
        energy=None,
        step=0.02,
        overview_step=0.05,
        ax=None,
        **contour_kwargs,
    ):
        """Predict and draw.

        Parameters
        ----------
        model : fitted regressor
            As `screen` takes it.
        elements : sequence of str
            Three to five elements that vary, in the order of the corners: left, right, top of a
            triangle; clockwise from the top of the pentagon.
        column : str or None, default=None
            The prediction to draw. None takes the only one, or the formation energy.
        held : dict of str to float, float or None, default=None
            As for the class.
        phases, targets
            As for `screen`.
        energy : str or None, default=None
            The prediction that decides on the phase. None takes the formation energy, or the only
            one.
        step : float, default=0.02
            Distance of neighbouring compositions in the triangles.
        overview_step : float or None, default=0.05
            The same in the pentagon, whose compositions are many more; None leaves it out.
        ax : matplotlib Axes or None, default=None
            Where to draw a ternary map; None makes a figure. An overview makes its own.
        **contour_kwargs
            Passed to ``Axes.tricontourf``, like ``cmap`` and ``levels``.

        Returns
        -------
        display : CompositionMapDisplay

        Raises
        ------
        ValueError
            As `screen`, and when there are not three to five elements, or too much is held.
        """
        elements = list(elements)
        cuts = cuts_of(elements, held)
        settings = {"phases": phases, "targets": targets}
        points = [cut_points(corners, others, step) for corners, others in cuts]
        # Triangles meet: what they share, but for rounding, is predicted once.
        points = pd.concat(points, ignore_index=True).fillna(0.0)
        points = points[~points.round(9).duplicated()]
        table = screen(model, points, **settings)
        names = [n for n in table if n not in (PHASE, *fraction_columns(table))]
        energy = energy or (names[0] if len(names) == 1 else None)
        overview = None
        if len(elements) == 5 and overview_step is not None:
            overview = screen(model, composition_grid(elements, overview_step), **settings)
        return cls._of_tables(table, column, elements, held, energy, overview, ax, contour_kwargs)

    @classmethod
    def from_predictions(
        cls, table, column=None, *, elements=None, held=None, energy=None, ax=None, **contour_kwargs
    ):
        """Draw given predictions.

        Parameters
        ----------
        table : DataFrame
            What `screen` gives: the columns ``x_Fe``, ..., ``phase`` when there are phases, and
            predictions; one row for each composition and phase. Rows outside the triangles are
            used for the pentagon.
        column : str or None, default=None
            What to draw. None takes the only prediction, or the formation energy.
        elements : sequence of str or None, default=None
            The elements that vary, in the order of the corners. None takes those that are not
            zero everywhere and are not held.
        held : dict of str to float, float or None, default=None
            As for the class.
        energy : str or None, default=None
            Column that decides on the phase. None takes the formation energy, or the only
            prediction.
        ax : matplotlib Axes or None, default=None
            Where to draw a ternary map; None makes a figure. An overview makes its own.
        **contour_kwargs
            Passed to ``Axes.tricontourf``, like ``cmap`` and ``levels``.

        Returns
        -------
        display : CompositionMapDisplay

        Raises
        ------
        ValueError
            When columns or compositions are missing, values are not finite, or there are not three
            to five elements.
        """
        if elements is None:
            symbols = [name.removeprefix("x_") for name in fraction_columns(table)]
            there = [s for s in symbols if table[f"x_{s}"].abs().max() > TOLERANCE]
            elements = [s for s in there if not (isinstance(held, dict) and s in held)]
        elements = list(elements)
        overview = table if len(elements) == 5 else None
        return cls._of_tables(table, column, elements, held, energy, overview, ax, contour_kwargs)

    @classmethod
    def _of_tables(cls, table, column, elements, held, energy, overview, ax, contour_kwargs):
        names = [n for n in table if n not in (PHASE, *fraction_columns(table))]
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

    def plot(self, ax=None, **contour_kwargs):
        """Draw, or draw again elsewhere.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw a ternary map; None makes a figure. An overview makes its own.
        **contour_kwargs
            Passed to ``Axes.tricontourf``, like ``cmap`` and ``levels``.

        Returns
        -------
        display : CompositionMapDisplay
            Itself.
        """
        cuts = [
            (corners, others, Cut(self, corners, others))
            for corners, others in cuts_of(self.elements, self.held)
        ]
        overview = self._stable_overview()
        shown = [cut.shown for *_, cut in cuts]
        if overview is not None:
            shown.append(self._means(overview))
        style = self._style(np.concatenate(shown), contour_kwargs)
        if len(cuts) == 1:
            self._plot_ternary(*cuts[0], ax, style)
        else:
            if ax is not None:
                raise ValueError("an overview of several maps makes its own figure: leave out ax")
            self._plot_overview(cuts, overview, style)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _stable_overview(self):
        """The rows that the pentagon is made of, one for each composition."""
        if self.overview is None:
            return None
        rows = self.overview[[f"x_{s}" for s in self.elements]].sum(axis=1) - 1
        table = self.overview[np.abs(rows) < TOLERANCE]
        return table if self.energy is None else stable_phase(table, energy=self.energy)

    def _means(self, overview):
        """What the cells of the pentagon will show, which the levels have to cover."""
        from matplotlib.figure import Figure

        places = project(overview[[f"x_{s}" for s in self.elements]].to_numpy(), polygon(5))
        values = overview[self.column].to_numpy(dtype=float)
        return Figure().add_subplot().hexbin(*places.T, C=values, **_CELLS).get_array()

    def _style(self, shown, contour_kwargs):
        """Levels and colours for all maps."""
        import matplotlib.pyplot as plt
        from matplotlib.colors import BoundaryNorm
        from matplotlib.ticker import MaxNLocator

        style = {"cmap": "viridis", "levels": 20} | contour_kwargs
        low, high = shown.min(), shown.max()
        if np.ndim(style["levels"]) == 0:
            if high - low <= 1e-9 * max(abs(low), abs(high)):
                low, high = low - 0.5, high + 0.5
            ticks = MaxNLocator(style["levels"], steps=_STEPS).tick_values(low, high)
            inside = (ticks > low) & (ticks < high)
            # One on either side of what is inside, and no empty colours beyond.
            style["levels"] = ticks[np.convolve(inside, [1, 1, 1], "same") > 0]
        levels = style["levels"] = np.asarray(style["levels"], dtype=float)
        style.setdefault("norm", BoundaryNorm(levels, plt.get_cmap(style["cmap"]).N))
        beyond = {(True, True): "both", (True, False): "min", (False, True): "max"}
        self._extend = beyond.get((bool(low < levels[0]), bool(high > levels[-1])), "neither")
        # Next to a boundary the unstable side of a phase may be out of range; that leaves no gap.
        return style | {"extend": "both"}

    def _add_colorbar(self, ax, style, **settings):
        from matplotlib.cm import ScalarMappable

        scale = ScalarMappable(style["norm"], style["cmap"])
        bar = ax.figure.colorbar(scale, cax=ax, extend=self._extend, **settings)
        bar.set_label(self.column)
        self.colorbar_ = bar

    def _plot_ternary(self, corners, others, cut, ax, style):
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.2, 5.0), layout="constrained")
        cut.draw(ax, style, fontsize=11)
        draw_frame(ax, TRIANGLE, corners, fontsize=13)
        draw_scales(ax, corners, 1 - sum(others.values()))
        if any(others.values()):
            ax.set_title(title_of(others), fontsize=11, pad=22)
        self._add_colorbar(ax.inset_axes([1.02, 0.12, 0.035, 0.72]), style)
        self.axes_ = np.array([ax])

    def _plot_overview(self, cuts, overview, style):
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        n = len(self.elements)
        rows = {4: 2, 5: 4}[n]
        figure = plt.figure(figsize=(2.75 * rows + (n == 4), 2.6 * rows), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.04)
        grid = figure.add_gridspec(
            rows, rows + (n == 4), width_ratios=[1] * rows + [0.12] * (n == 4)
        )
        places = [(r, c) for r in range(rows) for c in range(rows if n == 4 else r + 1)]
        axes = [figure.add_subplot(grid[place]) for place in places]
        equimolar = self.held is None or np.isclose(self.held, 1 / n)
        avoid = TRIANGLE.mean(axis=0) if equimolar else None
        for ax, (corners, others, cut) in zip(axes, cuts):
            cut.draw(ax, style, fontsize=8.5, avoid=avoid)
            draw_frame(ax, TRIANGLE, corners, fontsize=9.5)
            ax.set_title(title_of(others), fontsize=9, pad=18, color="0.25")
            if equimolar:
                ax.plot(*TRIANGLE.mean(axis=0), **_DOT)
        if n == 4:
            self._add_colorbar(figure.add_subplot(grid[:, -1]), style)
        else:
            beside = figure.add_subplot(grid[2, 3])
            beside.axis("off")
            bar = beside.inset_axes([0.0, 0.55, 1.0, 0.1])
            ticks = MaxNLocator(5, steps=_STEPS)
            self._add_colorbar(bar, style, orientation="horizontal", ticks=ticks)
            if overview is not None:
                axes.append(figure.add_subplot(grid[:2, 2:]))
                self._plot_polygon(axes[-1], overview, style)
            _write_key(beside, equimolar, self.energy is not None, overview is not None)
        self.axes_ = np.array(axes)

    def _plot_polygon(self, ax, table, style):
        """All compositions, each at the mean of the corners."""
        corners = polygon(len(self.elements))
        places = project(table[[f"x_{s}" for s in self.elements]].to_numpy(), corners)
        (frame,) = ax.fill(*corners.T, facecolor="none")
        values = table[self.column].to_numpy()
        colors = {"cmap": style["cmap"], "norm": style["norm"]}
        filled = ax.hexbin(*places.T, C=values, linewidths=0.2, zorder=1, **colors, **_CELLS)
        filled.set_clip_path(frame)
        if self.energy is not None:
            phases = table[PHASE].unique()
            for phase in phases:
                share = (table[PHASE] == phase).to_numpy(dtype=float)
                counts = ax.hexbin(*places.T, C=share, visible=False, **_CELLS)
                # Of two phases both have the same line: dashes drawn twice are no dashes.
                has_line = len(phases) > 2 or phase == phases[0]
                self._draw_majority(ax, phase, counts, corners, frame if has_line else None)
                counts.remove()
        draw_frame(ax, corners, self.elements, fontsize=12)
        ax.set_title("all alloys, averaged where they coincide", fontsize=10, pad=26)

    def _draw_majority(self, ax, phase, counts, corners, frame):
        """Where more than half of the alloys that coincide are of a phase."""
        centres, share = counts.get_offsets(), counts.get_array()
        triangles = triangulate(centres)
        if frame is not None and share.min() < 0.5 < share.max():
            line = ax.tricontour(triangles, share, levels=[0.5], **_HALF)
            line.set_clip_path(frame)
        for inside in pieces(triangles, share > 0.5):
            write_name(ax, innermost(centres, inside, corners), phase, fontsize=10)


def _write_key(ax, equimolar, has_phases, has_overview):
    """Say what the lines and the dot of an overview are."""
    from matplotlib.lines import Line2D

    handles = []
    if has_phases:
        handles.append(Line2D([], [], color="k", linewidth=1.6, label="phase boundary"))
    if has_phases and has_overview:
        half = {"color": "k", "linewidth": 1.4, "linestyle": "--"}
        handles.append(Line2D([], [], label="half of those that coincide", **half))
    if equimolar:
        handles.append(Line2D([], [], label="equimolar alloy", **_DOT))
    if handles:
        ax.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.32),
            fontsize=8.5,
            frameon=False,
        )
