"""`ErrorTrendDisplay`: absolute errors against properties of the crystals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import is_element
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    TICK_SIZE,
    check_limits,
    given_panels,
    new_panels,
    plain_ticks,
    with_unit,
)
from sklmat.plotting._style import (
    COLORS,
    MARKERS,
    RASTERIZE_ABOVE,
    color_series,
    interval_handle,
    legend_above,
    wrap_name,
)
from sklmat.structures import check_structures
from sklmat.targets import number_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.model_selection import Comparison
    from sklmat.typing import ArrayLike, Structures

#: Names of `against` -> labels of the axes.
_NAMES = {
    "n_elements": "number of elements",
    "n_atoms": "atoms in the cell",
    "lattice": "lattice",
}
#: Largest number of different numbers that have groups of their own, and number of bins of others.
_MOST_GROUPS, _N_BINS = 8, 6


class ErrorTrendDisplay:
    """Plot of absolute errors against properties of the crystals, a panel for each property.

    Faint points are the rows. The larger markers are means over groups of rows: over those with the
    same value, or over six bins with equal numbers of rows if there are more than eight values.
    Bars are 95 % intervals of these means; a group with a single row has none. If the groups are
    those of a value, the number n of their rows is below the axis.

    `from_predictions` creates the display from labels and predictions, `from_comparison` from the
    result of `compare_estimators`. The constructor only stores its arguments.

    Parameters
    ----------
    errors : dict of str to ndarray of shape (C,)
        Absolute errors of each model.
    properties : dict of str to Series of length C
        Label of the axis -> numbers or groups of the rows.
    unit : str or None, default=None
        Unit of the errors.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the errors; None begins at zero and includes all errors.

    Attributes
    ----------
    table_ : DataFrame
        Columns ``property``, ``model``, ``group``, ``mean``, ``low``, ``high`` and ``n``.
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
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import ErrorTrendDisplay
    >>> pairs = ["FeFe", "NiNi", "FeNi", "NiFe"]
    >>> cells = [
    ...     Structure(Lattice.cubic(2.9), [pair[:2], pair[2:]], [[0, 0, 0], [0.5] * 3])
    ...     for pair in pairs
    ... ]
    >>> display = ErrorTrendDisplay.from_predictions(
    ...     cells, [0.0, 0.0, 1.0, 1.0], [0.1, 0.1, 1.5, 1.7], against="n_elements", unit="eV"
    ... )
    >>> display.table_[["group", "mean", "n"]]
       group  mean  n
    0      1   0.1  2
    1      2   0.6  2
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        errors: Mapping[str, np.ndarray],
        properties: Mapping[str, pd.Series],
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.errors = errors
        self.properties = properties
        self.unit = unit
        self.limits = limits

    @classmethod
    @checked_arguments()
    def from_predictions(
        cls,
        X: Structures,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        *,
        against: str | ArrayLike | Sequence[str | ArrayLike] = ("n_elements", "n_atoms", "lattice"),
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the errors of given predictions.

        Parameters
        ----------
        X : sequence of C structures
            The crystals.
        y_true : array-like of shape (C,)
            Labels.
        y_pred : array-like of shape (C,), or dict of str to such
            Predictions, preferably out-of-fold; of several models with a dict.
        against : str, Series, or sequence of these, default=("n_elements", "n_atoms", "lattice")
            "n_elements", "n_atoms" or "lattice" (see `infer_lattice`); the symbol of an element for
            its atomic fraction; or a Series of numbers or groups, whose name is the label of the
            axis, such as the distances to the training rows that `ApplicabilityDomain` gives.
        unit : str or None, default=None
            Unit of the target.
        limits : tuple of two floats or None, default=None
            Ends of the axis of the errors, see the class.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes per property; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter`` of the faint points.

        Returns
        -------
        display : ErrorTrendDisplay

        Raises
        ------
        ValueError
            When lengths differ, values are missing, or a name in `against` is unknown.
        """
        structures = check_structures(X)
        true = _values(y_true, "y_true", len(structures))
        if not isinstance(y_pred, Mapping):
            y_pred = {"prediction": y_pred}
        errors = {
            name: np.abs(_values(values, f"y_pred of {name!r}", len(true)) - true)
            for name, values in y_pred.items()
        }
        properties = {}
        for each in _list_of(against):
            series = _property(each, structures)
            properties[str(series.name or "given property")] = series
        display = cls(errors=errors, properties=properties, unit=unit, limits=check_limits(limits))
        return display.plot(ax=ax, **scatter_kwargs)

    @classmethod
    @checked_arguments()
    def from_comparison(
        cls,
        comparison: Comparison,
        X: Structures,
        *,
        against: str | ArrayLike | Sequence[str | ArrayLike] = ("n_elements", "n_atoms", "lattice"),
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the out-of-fold errors of several regressors.

        Parameters
        ----------
        comparison : Comparison
            From `compare_estimators`, for one target. Of a row that several folds test, the first
            prediction is drawn.
        X : sequence of C structures
            The crystals of all rows.
        against, unit, limits : as in `from_predictions`
            What is drawn.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes per property; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter`` of the faint points.

        Returns
        -------
        display : ErrorTrendDisplay
        """
        table = comparison.predictions.drop_duplicates("row").sort_values("row")
        structures = check_structures(X)
        if "target" in table:
            raise ValueError("the comparison has several targets; compare on one of them")
        rows = table["row"].to_numpy()
        if len(structures) <= rows.max():
            raise ValueError(f"X has {len(structures)} rows; the comparison has row {rows.max()}")
        return cls.from_predictions(
            structures[rows],
            table["y_true"],
            {name: table[name] for name in comparison.index},
            against=[
                each
                if isinstance(each, str)
                else color_series(each, rows.max() + 1, "rows of X", at_least=True).iloc[rows]
                for each in _list_of(against)
            ],
            unit=unit,
            limits=limits,
            ax=ax,
            **scatter_kwargs,
        )

    @checked_arguments()
    def plot(self, ax: Axes | Sequence[Axes] | None = None, **scatter_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes per property; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter`` of the faint points.

        Returns
        -------
        display : ErrorTrendDisplay
            The display itself.
        """
        n_panels = len(self.properties)
        self.axes_ = (
            _new_axes(n_panels) if ax is None else given_panels(ax, n_panels, f"{n_panels} panels")
        )
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        tables = []
        for panel, (name, values) in zip(self.axes_, self.properties.items()):
            groups, labels, at, centres = _groups(values)
            for number, (model, errors) in enumerate(self.errors.items()):
                # Models are drawn side by side.
                width = 0.16 if at is groups else 0.012 * np.ptp(at)
                shift = width * (number - (len(self.errors) - 1) / 2)
                table = _means(errors, groups)
                self._draw(panel, number, model, at + shift, centres + shift, table, scatter_kwargs)
                tables.append(table.assign(property=name, model=model, group=labels[table.index]))
            if at is groups:
                texts = [f"{each}\nn={n}" for each, n in zip(labels, np.bincount(groups))]
                panel.set_xticks(range(len(labels)), texts, fontsize=TICK_SIZE)
                panel.set_xlim(-0.6, len(labels) - 0.4)
            else:
                plain_ticks(panel.xaxis, 4)
            panel.set_xlabel(wrap_name(name, 30))
            plain_ticks(panel.yaxis, 4)
            largest = max(errors.max() for errors in self.errors.values())
            panel.set_ylim(self.limits or (0, 1.05 * largest or 1))
        columns = ["property", "model", "group", "mean", "low", "high", "n"]
        self.table_ = pd.concat(tables, ignore_index=True)[columns]
        self.ax_.set_ylabel(with_unit("absolute error", self.unit))
        handles = self.ax_.get_legend_handles_labels()[0]
        legend_above(self.ax_, [*handles, interval_handle("95 % interval")])
        return self

    def _draw(self, panel, number, model, at, centres, table, scatter_kwargs):
        """Draw the rows, and the means of the groups with their intervals."""
        color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
        errors = self.errors[model]
        style = {
            "s": 8,
            "alpha": 0.25,
            "linewidths": 0,
            "rasterized": len(errors) > RASTERIZE_ABOVE,
            "color": color,
            "zorder": 1,
        } | scatter_kwargs
        panel.scatter(at, errors, **style)
        widths = [table["mean"] - table["low"], table["high"] - table["mean"]]
        panel.errorbar(
            centres[table.index],
            table["mean"],
            yerr=np.nan_to_num(widths),
            fmt=marker,
            color=color,
            markersize=5.5,
            elinewidth=1.4,
            label="mean" if list(self.errors) == ["prediction"] else f"{model}, mean",
            zorder=3,
        )


def _list_of(against):
    """The properties to draw, of which a single one may be given."""
    if isinstance(against, str | pd.Series | np.ndarray):
        return [against]
    if not isinstance(against, Sequence) or isinstance(against, bytes):
        raise TypeError(
            f"against must be one or more of {', '.join(_NAMES)}, symbols of elements, or Series, "
            f"got {against!r}"
        )
    if not against:
        raise ValueError(f"against is empty; pass one or more of {', '.join(_NAMES)}")
    return list(against)


def _values(values, name, n_rows):
    values = number_array(values, name)
    if values.shape != (n_rows,):
        raise ValueError(f"{name} has shape {values.shape}; X has {n_rows} rows")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite in row {int(np.argmin(np.isfinite(values)))}")
    return values


def _property(against, structures):
    """A property of the crystals, with the label of its axis as the name."""
    if not isinstance(against, str):
        series = color_series(against, len(structures), "crystals")
        if series.isna().any():
            raise ValueError(f"the property is missing in row {int(series.isna().argmax())}")
        return series
    if against == "n_elements":
        values = [len(structure.composition.element_composition) for structure in structures]
    elif against == "n_atoms":
        values = [len(structure) for structure in structures]
    elif against == "lattice":
        from sklmat.features import infer_lattice

        values = infer_lattice(structures)
    elif is_element(against):
        values = [
            structure.composition.element_composition.get_atomic_fraction(against)
            for structure in structures
        ]
        return pd.Series(values, name=f"fraction of {against}")
    else:
        raise ValueError(
            f"against has {against!r}; it takes {', '.join(_NAMES)}, the symbol of an element, or "
            "a Series with one value for each crystal"
        )
    return pd.Series(values, name=_NAMES[against])


def _groups(values):
    """How the rows are grouped.

    Returns
    -------
    groups : ndarray of int, shape (C,)
        Number of the group of each row.
    labels : ndarray of str
        Names of the groups.
    at : ndarray of shape (C,)
        Place of each row on the axis: `groups`, or its value if there are many values.
    centres : ndarray
        Place of the mean of each group on the axis.
    """
    if not pd.api.types.is_numeric_dtype(values) or values.nunique() <= _MOST_GROUPS:
        groups, names = pd.factorize(values, sort=True)
        return groups, np.asarray(names, dtype=object), groups, np.arange(len(names), dtype=float)
    bins = pd.qcut(values, _N_BINS, duplicates="drop")
    groups = bins.cat.codes.to_numpy()
    names = [f"{each.left:.3g}–{each.right:.3g}" for each in bins.cat.categories]
    at = values.to_numpy(dtype=float)
    return groups, np.asarray(names, dtype=object), at, values.groupby(groups).mean().to_numpy()


def _means(errors, groups):
    """Mean of each group, with its 95 % interval by the t distribution."""
    from scipy.stats import t

    found = pd.Series(errors).groupby(groups).agg(["mean", "std", "size"])
    half = t.ppf(0.975, (found["size"] - 1).clip(lower=1)) * found["std"] / found["size"] ** 0.5
    return pd.DataFrame(
        {
            "mean": found["mean"],
            "low": (found["mean"] - half).clip(lower=0),
            "high": found["mean"] + half,
            "n": found["size"],
        }
    )


def _new_axes(n_panels):
    """Axes of a new figure with common ordinates: up to three panels side by side."""
    n_columns = min(n_panels, 3)
    width = COLUMN_WIDTH if n_panels == 1 else PAGE_WIDTH
    return new_panels(n_panels, n_columns, 2.9, width, sharey=True)
