"""`ContrastDisplay`: effect sizes of descriptors in adversarial and normal examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.docstrings import insert_paragraphs
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    NOTE_SIZE,
    PAGE_WIDTH,
    check_limits,
    new_axes,
)
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, interval_handle, legend_above, wrap_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from sklmat.typing import Table

#: Largest number of characters of a name in one line.
_LINE_LENGTH = 44
#: Names up to this length leave enough space in a figure over one column.
_SHORT_NAME = 22
#: Required columns of the table.
_COLUMNS = ("effect size", "low", "high", "p corrected")


@insert_paragraphs(PANEL_PARAGRAPHS)
@renamed_parameters(alpha="significance_level")
class ContrastDisplay:
    """Plot of effect sizes of descriptors, adversarial against normal examples, with intervals.

    The largest effect is at the top. A positive effect means larger values in the adversarial
    examples. Dots are filled if the corrected p is below `significance_level`. A triangle at the
    edge marks an infinite effect: the descriptor is constant in each of the two tables, with
    different values. The label of the axis gives the number of descriptors that are not drawn. One
    that is constant over both tables, or has fewer than two values in one, has no effect size.

    `from_contrast` creates the display from a table that `contrast` made, `from_data` from two
    tables of descriptors. The constructor only stores its arguments.

    Parameters
    ----------
    table : DataFrame
        From `contrast`.
    significance_level : float, default=0.05
        Descriptors with a smaller corrected p are marked as significant.
    max_features : int, default=20
        Largest number of descriptors to draw, those with the largest effects.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the effect sizes; None includes all intervals.

    Attributes
    ----------
    features_ : list
        The descriptors that are drawn, from top to bottom.
    {ax_}
    {figure_}

    See Also
    --------
    contrast : Definition and meaning of the effect sizes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import pandas as pd
    >>> from sklmat.plotting import ContrastDisplay
    >>> distorted = pd.DataFrame({"volume (Å³)": [50.0, 52.0, 51.0], "tilt (°)": [8.0, 9.0, 10.0]})
    >>> others = pd.DataFrame({"volume (Å³)": [51.0, 50.0, 52.0], "tilt (°)": [2.0, 3.0, 4.0]})
    >>> ContrastDisplay.from_data(distorted, others).features_
    ['tilt (°)', 'volume (Å³)']
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        significance_level: float = 0.05,
        max_features: int = 20,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.table = table
        self.significance_level = significance_level
        self.max_features = max_features
        self.limits = limits

    @classmethod
    @renamed_parameters(alpha="significance_level")
    @checked_arguments(confidence_level=None)
    def from_data(
        cls,
        adversarial: Table,
        normal: Table,
        features: Sequence[str] | None = None,
        *,
        confidence_level: float = 0.95,
        significance_level: float = 0.05,
        max_features: int = 20,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Compare two tables, and draw the result.

        Parameters
        ----------
        adversarial, normal, features, confidence_level : as in `contrast`
            What is compared.
        significance_level : float, default=0.05
            Descriptors with a smaller corrected p are marked as significant.
        max_features : int, default=20
            Largest number of descriptors to draw.
        limits : tuple of two floats or None, default=None
            Ends of the axis of the effect sizes, see the class.
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ContrastDisplay
        """
        # Imported here because this module needs torch, which drawing alone does not.
        from sklmat.adversarial import contrast

        table = contrast(adversarial, normal, features, confidence_level=confidence_level)
        return cls.from_contrast(
            table,
            significance_level=significance_level,
            max_features=max_features,
            limits=limits,
            ax=ax,
            **scatter_kwargs,
        )

    @classmethod
    @renamed_parameters(alpha="significance_level")
    @checked_arguments()
    def from_contrast(
        cls,
        table: pd.DataFrame,
        *,
        significance_level: float = 0.05,
        max_features: int = 20,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw a table of effects.

        Parameters
        ----------
        table : DataFrame
            From `contrast`.
        significance_level : float, default=0.05
            Descriptors with a smaller corrected p are marked as significant.
        max_features : int, default=20
            Largest number of descriptors to draw.
        limits : tuple of two floats or None, default=None
            Ends of the axis of the effect sizes, see the class.
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ContrastDisplay

        Raises
        ------
        ValueError
            When the table lacks a column, when no descriptor has an effect, or when
            `significance_level` or `max_features` is out of range.
        """
        missing = [name for name in _COLUMNS if name not in table]
        if missing:
            raise ValueError(f"the table has no column {missing[0]!r}; pass what contrast returned")
        if not 0 < significance_level < 1:
            raise ValueError(
                f"significance_level must lie between 0 and 1, got {significance_level}"
            )
        if max_features < 1:
            raise ValueError(f"max_features must be positive, got {max_features}")
        if table["effect size"].isna().all():
            raise ValueError("no descriptor of the table has an effect size; there is no picture")
        display = cls(
            table=table,
            significance_level=significance_level,
            max_features=max_features,
            limits=check_limits(limits),
        )
        return display.plot(ax=ax, **scatter_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | None = None, **scatter_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ContrastDisplay
            The display itself.
        """
        finite = self.table[self.table["effect size"].notna()]
        drawn = finite.sort_values("effect size", key=abs, ascending=False, kind="stable")
        drawn = drawn[: self.max_features]
        self.features_ = list(drawn.index)
        names = [wrap_name(str(name), _LINE_LENGTH) for name in self.features_]
        self.ax_ = _new_axes(names) if ax is None else ax
        self.figure_ = self.ax_.figure
        self.ax_.axvline(0, color="0.35", linewidth=0.9, linestyle="--", zorder=1)
        self._draw(drawn, scatter_kwargs)
        self._label(names, len(finite))
        if self.limits:
            self.ax_.set_xlim(self.limits)
        return self

    def _draw(self, drawn, scatter_kwargs):
        """Draw the intervals and the markers of the effects."""
        effect, low, high = drawn[["effect size", "low", "high"]].to_numpy(float).T
        is_significant = (drawn["p corrected"] < self.significance_level).to_numpy()
        colors = np.where(is_significant, COLORS[1], "0.45")
        finite = np.isfinite(effect)
        y = np.arange(len(drawn))
        style = {"color": colors[finite], "linewidth": 1.6, "zorder": 2}
        self.ax_.hlines(y[finite], low[finite], high[finite], **style)
        # Infinite effects are drawn slightly outside all finite ones.
        edge = 1.08 * np.abs([effect, low, high])[:, finite].max(initial=1.0)
        markers = {"o": finite, "<": np.isneginf(effect), ">": np.isposinf(effect)}
        effect = np.clip(effect, -edge, edge)
        for marker, rows in markers.items():
            style = {
                "s": 30,
                "marker": marker,
                "color": np.where(is_significant, COLORS[1], "white")[rows],
                "edgecolors": colors[rows],
                "zorder": 3,
            }
            if rows.any():
                self.ax_.scatter(effect[rows], y[rows], **(style | scatter_kwargs))
        for row in np.flatnonzero(~finite):
            sign = np.sign(effect[row])
            self.ax_.annotate(
                "∞" if sign > 0 else "−∞",
                (effect[row], row),
                xytext=(-8 * sign, -0.5),
                textcoords="offset points",
                ha="right" if sign > 0 else "left",
                va="center",
                fontsize=11,
                color=colors[row],
            )

    def _label(self, names, n_effects):
        """Write the labels of the axes, the legend and the title."""
        from matplotlib.lines import Line2D

        ax, n_drawn = self.ax_, len(names)
        ax.set_yticks(range(n_drawn), names, fontsize=NOTE_SIZE)
        ax.set_ylim(n_drawn - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        marker = {"linestyle": "", "marker": "o", "markersize": 5.5}
        empty = {"markerfacecolor": "white", **marker}
        significant = f"corrected p < {self.significance_level:g}"
        handles = [
            Line2D([], [], color=COLORS[1], label=significant, **marker),
            Line2D([], [], color="0.45", label="not significant", **empty),
        ]
        level = self.table.attrs.get("confidence_level")
        if level is not None:
            handles.append(interval_handle(f"{100 * level:g} % interval", is_horizontal=True))
        legend_above(ax, handles)
        notes = []
        if n_drawn < n_effects:
            notes.append(f"the {n_drawn} largest of {n_effects} effects")
        if n_effects < len(self.table):
            n_without = len(self.table) - n_effects
            notes.append(f"{n_without} more {'has' if n_without == 1 else 'have'} no effect size")
        label = "effect size (Hedges' g,\nadversarial − normal)"
        ax.set_xlabel("\n".join([label, *notes]))


def _new_axes(names):
    """Axes of a new figure, whose size depends on the names."""
    lines = [line for name in names for line in name.split("\n")]
    is_short = max(len(line) for line in lines) <= _SHORT_NAME
    height = 1.3 + 0.15 * len(lines) + 0.08 * len(names)
    return new_axes(height, COLUMN_WIDTH if is_short else PAGE_WIDTH)
