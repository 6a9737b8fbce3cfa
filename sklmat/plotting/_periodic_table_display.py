"""`PeriodicTableDisplay`: values of elements on the periodic table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import is_element
from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.elements import element_symbols
from sklmat.plotting._layout import (
    LABEL_SIZE,
    PAGE_WIDTH,
    TICK_SIZE,
    check_limits,
    new_axes,
    plain_ticks,
    short_number,
    with_unit,
)
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import ends_with_arrows, text_color
from sklmat.targets import number_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Compositions, Structures

#: Elements beyond are drawn only if they have values.
_LAST_ELEMENT = 103
#: Number of elements up to the end of each period.
_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)
#: Height of a cell, and of the gap above the lanthanides, in widths of a cell.
_CELL_HEIGHT, _GAP = 1.2, 0.35
#: Sizes of symbols and numbers (points).
_SYMBOL_SIZE, _NUMBER_SIZE = 10, 6.5
#: Where the colour bar is, in groups and periods.
_BAR = (2.6, 1.45, 8.8, 0.4)

_PARAGRAPHS = PANEL_PARAGRAPHS | parameter_paragraphs("""
    label : str or None, default=None
        What the values are, for the colour bar.
    unit : str or None, default=None
        Unit of the values.
    limits : tuple of two floats or None, default=None
        Ends of the colour scale; None includes all values. Values outside have the colour of the
        nearer end.
    diverging : bool or "auto", default="auto"
        Whether zero is white, and positive and negative values have different colours. "auto" does
        this if there are values of both signs.
    log_scale : bool, default=False
        Whether colours are on a logarithmic scale, for positive values.
""")


@insert_paragraphs(_PARAGRAPHS)
class PeriodicTableDisplay:
    """Periodic table of values, such as the errors by element or the numbers of crystals.

    Lanthanides and actinides are below the other elements. Elements without a value have grey
    symbols. If a number of crystals is known for each value, it is written below the value.

    `from_values` draws given values, `from_structures` the number of crystals with each element,
    `from_errors` the mean absolute error of the predictions for crystals with each element, and
    `from_contributions` the mean contribution of each element. The constructor only stores its
    arguments.

    Parameters
    ----------
    values : Series
        Values; the index are symbols of elements.
    counts : Series or None, default=None
        Number of crystals of each element.
    {label}
    {unit}
    {limits}
    {diverging}
    {log_scale}

    Attributes
    ----------
    cells_ : dict of str to matplotlib Rectangle
        The cell of each element.
    limits_ : tuple of two floats
        Ends of the colour scale.
    colorbar_ : matplotlib Colorbar
        The colour bar.
    {ax_}
    {figure_}

    See Also
    --------
    element_attribution : Contributions of elements, for `from_contributions`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.plotting import PeriodicTableDisplay
    >>> display = PeriodicTableDisplay.from_errors(
    ...     ["NaCl", "KCl", "MgO"], [1.0, 2.0, 3.0], [1.5, 2.0, 2.0], unit="eV"
    ... )
    >>> display.values.to_dict()  # the error of Cl is the mean of 0.5 and 0 eV
    {'O': 1.0, 'Na': 0.5, 'Mg': 1.0, 'Cl': 0.25, 'K': 0.0}
    >>> display.colorbar_.ax.get_xlabel()
    'mean absolute error (eV)'
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        values: pd.Series,
        counts: pd.Series | None = None,
        label: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        diverging: bool | Literal["auto"] = "auto",
        log_scale: bool = False,
    ) -> None:
        self.values = values
        self.counts = counts
        self.label = label
        self.unit = unit
        self.limits = limits
        self.diverging = diverging
        self.log_scale = log_scale

    @classmethod
    @checked_arguments()
    def from_values(
        cls,
        values: Mapping[str, float] | pd.Series,
        *,
        counts: Mapping[str, int] | pd.Series | None = None,
        label: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        diverging: bool | Literal["auto"] = "auto",
        log_scale: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Draw given values.

        Parameters
        ----------
        values : Mapping or Series of str to float
            Symbol of an element -> value. Elements with NaN have no value.
        counts : Mapping or Series of str to int, or None, default=None
            Symbol -> number of crystals.
        {label}
        {unit}
        {limits}
        {diverging}
        {log_scale}
        {ax}

        Returns
        -------
        display : PeriodicTableDisplay

        Raises
        ------
        ValueError
            When a key is no symbol of an element, when no value is a finite number, or when a
            logarithmic scale is asked for with values that are not positive.
        """
        checked = _by_element(values, "values").dropna()
        if checked.empty:
            raise ValueError("values has no number for any element")
        if not np.isfinite(checked).all():
            raise ValueError(f"the value of {checked[~np.isfinite(checked)].index[0]} is infinite")
        if log_scale and checked.min() <= 0:
            raise ValueError(
                f"the value of {checked.idxmin()} is {checked.min():g}; log_scale needs positive "
                "values"
            )
        limits = check_limits(limits)
        if log_scale and limits is not None and limits[0] <= 0:
            raise ValueError(f"limits must be positive with log_scale, got {limits}")
        display = cls(
            values=checked,
            counts=None if counts is None else _by_element(counts, "counts"),
            label=label,
            unit=unit,
            limits=limits,
            diverging=diverging,
            log_scale=log_scale,
        )
        return display.plot(ax=ax)

    @classmethod
    @checked_arguments()
    def from_structures(
        cls,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        *,
        limits: tuple[float, float] | None = None,
        log_scale: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the number of crystals that contain each element.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            The crystals, their formulas, or a table with columns ``x_Fe``, ``x_Ni``, ...
        {limits}
        log_scale : bool, default=True
            Whether colours are on a logarithmic scale.
        {ax}

        Returns
        -------
        display : PeriodicTableDisplay
        """
        present = _presence(X)
        label = "number of crystals"
        return cls.from_values(
            present.sum(), label=label, limits=limits, log_scale=log_scale, ax=ax
        )

    @classmethod
    @checked_arguments()
    def from_errors(
        cls,
        X: Structures | Compositions | CrystalGraphs | pd.DataFrame,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        label: str | None = "mean absolute error",
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        log_scale: bool = False,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the mean absolute error of the crystals that contain each element.

        Parameters
        ----------
        X : sequence of C crystals or compositions, CrystalGraphs or DataFrame
            The crystals, their formulas, or a table with columns ``x_Fe``, ``x_Ni``, ...
        y_true, y_pred : array-like of shape (C,)
            True values and predictions, preferably for rows that the estimator was not fitted on.
        label : str or None, default="mean absolute error"
            Label of the colour bar.
        unit : str or None, default=None
            Unit of the target.
        {limits}
        {log_scale}
        {ax}

        Returns
        -------
        display : PeriodicTableDisplay

        Raises
        ------
        ValueError
            When lengths differ, or when a value is not finite.
        """
        present = _presence(X)
        errors = np.abs(
            _targets(y_pred, "y_pred", len(present)) - _targets(y_true, "y_true", len(present))
        )
        counts = present.sum()
        means = pd.Series(errors @ present.to_numpy(), present.columns) / counts
        return cls.from_values(
            means, counts=counts, label=label, unit=unit, limits=limits, log_scale=log_scale, ax=ax
        )

    @classmethod
    @checked_arguments()
    def from_contributions(
        cls,
        table: pd.DataFrame,
        *,
        label: str | None = "mean contribution",
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the mean contribution of each element to the predictions for crystals that have it.

        Parameters
        ----------
        table : DataFrame
            From `element_attribution`: one column per element, zero where a crystal does not
            contain the element.
        label : str or None, default="mean contribution"
            Label of the colour bar.
        unit : str or None, default=None
            Unit of the target; "log-odds" for a classifier.
        {limits}
        {ax}

        Returns
        -------
        display : PeriodicTableDisplay

        Raises
        ------
        ValueError
            When a column is no element, or when no value is different from zero.
        """
        present = table.where(table != 0)
        return cls.from_values(
            present.mean(),
            counts=present.count(),
            label=label,
            unit=unit,
            limits=limits,
            diverging=True,
            ax=ax,
        )

    @checked_arguments()
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}

        Returns
        -------
        display : PeriodicTableDisplay
            The display itself.
        """
        from matplotlib.cm import ScalarMappable

        n_heavy = max(_LAST_ELEMENT, *[_number(symbol) for symbol in self.values.index])
        height = 9 * _CELL_HEIGHT + _GAP
        ax = new_axes(PAGE_WIDTH * (height + 0.6) / 18.6, PAGE_WIDTH) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        scale = ScalarMappable(*self._scale())
        self.cells_: dict[str, Any] = {}
        for number, symbol in enumerate(element_symbols(range(1, n_heavy + 1)), start=1):
            if number <= _LAST_ELEMENT or symbol in self.values.index:
                self._draw_cell(number, symbol, scale)
        numbers: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "fontsize": _NUMBER_SIZE,
            "color": "0.4",
        }
        for period in range(1, 8):
            ax.text(0.3, (period - 0.5) * _CELL_HEIGHT, str(period), **numbers)
        for group in range(1, 19):
            first = {1: 1, 2: 2, 18: 1}.get(group, 4 if 3 <= group <= 12 else 2)
            ax.text(group, (first - 1) * _CELL_HEIGHT - 0.2, str(group), **numbers)
        for row, text in ((6, "57–71"), (7, "89–103")):
            ax.text(3, (row - 0.5) * _CELL_HEIGHT, text, **numbers)
        ax.set(xlim=(0.1, 18.55), ylim=(height + 0.05, -0.45), aspect="equal")
        ax.set_axis_off()
        self._draw_colorbar(scale)
        return self

    def _scale(self):
        """Norm and colour map; the former is stored as limits."""
        from matplotlib.colors import LogNorm, Normalize

        low, high = float(self.values.min()), float(self.values.max())
        is_diverging = low < 0 < high if self.diverging == "auto" else bool(self.diverging)
        if is_diverging:
            largest = max(abs(low), abs(high)) or 1.0
            self.limits_ = self.limits or (-largest, largest)
            # White is zero, also where the limits are not symmetric.
            end = max(map(abs, self.limits_))
            return Normalize(-end, end), "RdBu_r"
        if low == high:
            # A scale needs two ends.
            low, high = (low / 2, high * 2) if self.log_scale else (low - 0.5, high + 0.5)
        self.limits_ = self.limits or (low, high)
        return (LogNorm if self.log_scale else Normalize)(*self.limits_), "viridis"

    def _draw_cell(self, number, symbol, scale):
        """Draw the cell of an element, with its symbol and numbers."""
        from matplotlib.patches import Rectangle

        column, top = _position(number)
        style = {"facecolor": "none", "edgecolor": "0.75", "linewidth": 0.5}
        has_value = symbol in self.values.index
        color = "0.6"
        if has_value:
            value = float(self.values[symbol])
            face = scale.to_rgba(np.clip(value, *self.limits_))
            style |= {"facecolor": face, "edgecolor": "0.2"}
            color = text_color(face)
        cell = Rectangle((column - 0.48, top), 0.96, _CELL_HEIGHT - 0.04, **style)
        self.cells_[symbol] = self.ax_.add_patch(cell)
        lines = [(symbol, _SYMBOL_SIZE)]
        if has_value:
            lines.append((_number_text(value), _NUMBER_SIZE))
            if self.counts is not None and symbol in self.counts.index:
                lines.append((f"{self.counts[symbol]:.0f}", _NUMBER_SIZE))
        heights = {1: (0.5,), 2: (0.34, 0.74), 3: (0.26, 0.57, 0.82)}[len(lines)]
        for (text, size), at in zip(lines, heights):
            self.ax_.text(
                column,
                top + at * _CELL_HEIGHT,
                text,
                ha="center",
                va="center",
                fontsize=size,
                fontweight="bold" if text == symbol and has_value else "normal",
                color=color,
            )

    def _draw_colorbar(self, scale):
        """Draw the colour bar in the space above the transition metals."""
        x, y, width, height = _BAR
        low, high = self.limits_
        # The y axis points downwards, so the lower end of the bar is y + height.
        ends = self.ax_.transLimits.transform([[x, y + height], [x + width, y]])
        place = self.ax_.inset_axes([*ends[0], *(ends[1] - ends[0])])
        self.colorbar_ = self.figure_.colorbar(
            scale,
            cax=place,
            orientation="horizontal",
            extend=ends_with_arrows(self.values, self.limits_),
        )
        place.set_xlim(low, high)
        if self.log_scale:
            ticks = np.geomspace(low, high, 3)
            place.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
            place.minorticks_off()
        else:
            plain_ticks(place.xaxis, 5)
        place.tick_params(labelsize=TICK_SIZE)
        place.xaxis.set_label_position("top")
        self.colorbar_.set_label(with_unit(self.label or "value", self.unit), size=LABEL_SIZE)
        if self.counts is not None:
            self.ax_.text(
                x + width / 2,
                y + height + 0.95,
                "below each value: number of crystals",
                ha="center",
                va="center",
                fontsize=TICK_SIZE,
            )


def _number(symbol):
    """Atomic number of an element."""
    return element_symbols(range(1, 119)).index(symbol) + 1


def _position(number):
    """Group (middle) and upper end of the cell of an element."""
    period = int(np.searchsorted(_NOBLE_GASES, number))
    place = number - _NOBLE_GASES[period - 1]  # of the element in its period, from one
    length = _NOBLE_GASES[period] - _NOBLE_GASES[period - 1]
    if length == 32 and 3 <= place <= 17:
        return place, (period + 1) * _CELL_HEIGHT + _GAP  # lanthanides and actinides
    group = place if place <= (1 if length == 2 else 2) else 18 - length + place
    return group, (period - 1) * _CELL_HEIGHT


def _number_text(value):
    """A value with two digits, or all digits of a whole number or one above 100."""
    if 100 <= abs(value) < 1e5 or (value == int(value) and abs(value) < 1e5):
        return f"{value:.0f}".replace("-", "−")
    return short_number(value, 2)


def _by_element(values, name):
    """A Series of floats by symbol, in the order of the periodic table."""
    if not isinstance(values, Mapping | pd.Series):
        raise ValueError(f"{name} must be a dict or Series of symbol -> number, got {values!r}")
    series: Any = pd.Series(values)
    if series.index.has_duplicates:
        double = series.index[series.index.duplicated()][0]
        raise ValueError(f"{name} has the key {double!r} twice")
    for symbol in series.index:
        # pymatgen also knows isotopes of hydrogen.
        if not is_element(symbol) or symbol not in element_symbols(range(1, 119)):
            raise ValueError(f"{name} has the key {symbol!r}, which is no symbol of an element")
    series = pd.Series(number_array(series.to_numpy(), name), series.index)
    return series.sort_index(key=lambda symbols: [_number(symbol) for symbol in symbols])


def _presence(X):
    """Which elements each crystal contains: DataFrame of bool, a column for each element."""
    # Its module imports that of estimators, which drawing alone does not need.
    from sklmat.model_selection import amounts_of_elements

    present = amounts_of_elements(X) > 0
    numbers = np.flatnonzero(present.any(axis=0))
    return pd.DataFrame(present[:, numbers], columns=element_symbols(numbers))


def _targets(values, name, n_rows):
    """Values as numbers, or a ValueError."""
    values = number_array(values, name)
    if values.shape != (n_rows,):
        raise ValueError(f"{name} has the shape {values.shape} for {n_rows} crystals")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(f"{name} is {values[wrong[0]]} in row {wrong[0]}; it must be finite")
    return values
