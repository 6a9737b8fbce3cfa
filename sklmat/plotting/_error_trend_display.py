"""`ErrorTrendDisplay`: absolute errors against properties of the crystals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import is_element
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    NOTE_SIZE,
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
from sklmat.structures import check_structures, is_graphs
from sklmat.targets import number_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.graphs import CrystalGraphs
    from sklmat.model_selection import Comparison
    from sklmat.typing import ArrayLike, Structures

#: Names of `against` -> labels of the axes.
_NAMES = {
    "n_elements": "number of elements",
    "n_atoms": "atoms in the cell",
    "lattice": "lattice",
    "distance": "distance to the training rows (above 1: outside)",
}
#: Largest number of different numbers that have groups of their own, and number of bins of others.
_MOST_GROUPS, _N_BINS = 8, 6
#: If there are more groups, or more letters in their names, these are written at an angle.
_FEW_GROUPS, _FEW_LETTERS = 5, 20
#: If an error is above this multiple of what nearly all are below, it is drawn at the edge.
_OUTLIER = 2.0


class ErrorTrendDisplay:
    """Plot of absolute errors against properties of the crystals, a panel for each property.

    Faint points are the rows. The larger markers are means over groups of rows: over those with the
    same value, or over six bins with equal numbers of rows if there are more than eight values.
    Bars are 95 % intervals of these means; a group with a single row has none. If the groups are
    those of a value, the number n of their rows is below the axis. Errors far above all others are
    drawn as open triangles at the edge of the panel and counted there; the means include them.

    `from_predictions` creates the display from labels and predictions, `from_comparison` from the
    result of `compare_estimators`. The constructor only stores its arguments.

    Parameters
    ----------
    errors : dict of str to ndarray of shape (C,)
        Absolute errors of each model.
    properties : dict of str to Series of length C
        Label of the axis -> numbers or groups of the rows.
    quantity : str or None, default=None
        Name of the predicted quantity for the label of the errors, such as "formation energy".
    unit : str or None, default=None
        Unit of the errors.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the errors; None begins at zero and includes all errors but outliers.

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

    See Also
    --------
    ApplicabilityDomain : Definition of the distance to the training rows.

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
        quantity: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.errors = errors
        self.properties = properties
        self.quantity = quantity
        self.unit = unit
        self.limits = limits

    @classmethod
    @checked_arguments()
    def from_predictions(
        cls,
        X: Structures | CrystalGraphs,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        *,
        against: str | ArrayLike | Sequence[str | ArrayLike] = ("n_elements", "n_atoms", "lattice"),
        X_train: Structures | CrystalGraphs | None = None,
        quantity: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the errors of given predictions.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            The crystals.
        y_true : array-like of shape (C,)
            Labels.
        y_pred : array-like of shape (C,), or dict of str to such
            Predictions, preferably out-of-fold; of several models with a dict.
        against : str, Series, or sequence of these, default=("n_elements", "n_atoms", "lattice")
            "n_elements", "n_atoms" or "lattice" (see `infer_lattice`); the symbol of an element for
            its atomic fraction; "distance" to the rows of `X_train`, which `ApplicabilityDomain`
            computes from the features of `StructureFeaturizer`, so that crystals above 1 are
            outside of the domain; or a Series of numbers or groups, whose name is the label of the
            axis.
        X_train : like `X`, or None, default=None
            The training rows, for "distance".
        quantity : str or None, default=None
            Name of the predicted quantity, see the class.
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
            When lengths differ, values are missing, a name in `against` is unknown, or "distance"
            is asked for without `X_train`.
        """
        structures = _crystals(X)
        true = _values(y_true, "y_true", len(structures))
        if not isinstance(y_pred, Mapping):
            y_pred = {"prediction": y_pred}
        errors = {
            name: np.abs(_values(values, f"y_pred of {name!r}", len(true)) - true)
            for name, values in y_pred.items()
        }
        wanted = _wanted(against)
        if X_train is not None and "distance" not in [w for w in wanted if isinstance(w, str)]:
            raise ValueError('X_train is for "distance", which is not in against')
        properties = {}
        for each in wanted:
            series = _property(each, structures, X_train)
            properties[str(series.name or "given property")] = series
        display = cls(
            errors=errors,
            properties=properties,
            quantity=quantity,
            unit=unit,
            limits=check_limits(limits),
        )
        return display.plot(ax=ax, **scatter_kwargs)

    @classmethod
    @checked_arguments()
    def from_comparison(
        cls,
        comparison: Comparison,
        X: Structures | CrystalGraphs,
        *,
        against: str | ArrayLike | Sequence[str | ArrayLike] = ("n_elements", "n_atoms", "lattice"),
        quantity: str | None = None,
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
        X : sequence of C structures, or CrystalGraphs
            The crystals of all rows.
        against, quantity, unit, limits : as in `from_predictions`
            What is drawn. There is no "distance", because each fold has its own training rows.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes per property; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter`` of the faint points.

        Returns
        -------
        display : ErrorTrendDisplay
        """
        table = comparison.predictions.drop_duplicates("row").sort_values("row")
        structures = _crystals(X)
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
                for each in _wanted(against)
            ],
            quantity=quantity,
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
                width = 0.2 if at is groups else 0.012 * np.ptp(at)
                shift = width * (number - (len(self.errors) - 1) / 2)
                table = _means(errors, groups)
                # Crystals of a group are moved apart, always in the same way.
                spread = 0.5 * width if len(self.errors) > 1 else width
                random = np.random.default_rng(0).uniform(-spread, spread, len(at))
                places = at + shift + (random if at is groups else 0)
                self._draw(panel, number, model, places, centres + shift, table, scatter_kwargs)
                tables.append(table.assign(property=name, model=model, group=labels[table.index]))
            if at is groups:
                _name_groups(panel, labels, np.bincount(groups))
                panel.set_xlim(-0.6, len(labels) - 0.4)
            else:
                plain_ticks(panel.xaxis, 4)
            if name == _NAMES["distance"]:
                panel.axvline(1, color="0.35", linewidth=0.9, linestyle="--", zorder=1)
            panel.set_xlabel(wrap_name(name, 30))
            plain_ticks(panel.yaxis, 4)
        columns = ["property", "model", "group", "mean", "low", "high", "n"]
        self.table_ = pd.concat(tables, ignore_index=True)[columns]
        limits = self.limits or (0, self._highest())
        for panel in self.axes_:
            panel.set_ylim(limits)
            _mark_outliers(panel, limits)
        label = f"absolute error of {self.quantity}" if self.quantity else "absolute error"
        for panel in self.axes_:
            grid = panel.get_subplotspec()
            if panel is self.ax_ or (grid is not None and ax is None and grid.is_first_col()):
                panel.set_ylabel(wrap_name(with_unit(label, self.unit), 32))
        handles = self.ax_.get_legend_handles_labels()[0]
        handles.append(_crystal_handle())
        legend_above(self.ax_, [*handles, interval_handle("95 % interval")])
        return self

    def _highest(self):
        """Upper end of the axis of the errors: the largest one that is no outlier."""
        errors = np.concatenate(list(self.errors.values()))
        highest = self.table_[["mean", "high"]].max(axis=None)
        usual = max(1.2 * highest, 2 * np.quantile(errors, 0.95))
        return (1.05 * errors.max() if errors.max() <= _OUTLIER * usual else usual) or 1.0

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
            "label": "_rows",
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


def _crystal_handle():
    """Entry of the legend that says what the faint points are."""
    from matplotlib.lines import Line2D

    style = {"linestyle": "", "marker": "o", "markersize": 3, "markeredgewidth": 0, "alpha": 0.6}
    return Line2D([], [], color="0.35", label="one crystal", **style)


def _mark_outliers(panel, limits):
    """Draw points above the axis as open triangles at its end, and say how many."""
    n_above = 0
    for points in [*panel.collections]:
        x, y = np.asarray(points.get_offsets()).reshape(-1, 2).T
        above = y > limits[1]
        if not above.any() or points.get_label() != "_rows":
            continue
        n_above += above.sum()
        edge = np.full(above.sum(), limits[1] - 0.02 * (limits[1] - limits[0]))
        style = {"marker": "^", "facecolors": "none", "edgecolors": points.get_facecolors()[:1]}
        panel.scatter(x[above], edge, s=20, linewidths=0.9, alpha=1, zorder=3, **style)
    if n_above:
        text = {"transform": panel.transAxes, "ha": "right", "va": "top", "fontsize": NOTE_SIZE}
        panel.text(0.98, 0.93, f"{n_above} above", **text)


def _name_groups(panel, labels, counts):
    """Write the names of groups and their numbers of rows below the axis."""
    is_long = len(labels) > _FEW_GROUPS or sum(len(str(each)) for each in labels) > _FEW_LETTERS
    texts = [f"{each} (n={n})" if is_long else f"{each}\nn={n}" for each, n in zip(labels, counts)]
    ticks = panel.set_xticks(range(len(labels)), texts, fontsize=TICK_SIZE)
    if is_long:
        for tick in ticks:
            tick.label1.set(rotation=35, ha="right", rotation_mode="anchor")


def _crystals(X):
    """The crystals as an array of structures."""
    if not is_graphs(X):
        return check_structures(X)
    structures = np.empty(len(X), dtype=object)
    structures[:] = X.to_structures()
    return structures


def _values(values, name, n_rows):
    values = number_array(values, name)
    if values.shape != (n_rows,):
        raise ValueError(f"{name} has shape {values.shape}; X has {n_rows} rows")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite in row {int(np.argmin(np.isfinite(values)))}")
    return values


def _wanted(against):
    """The properties as a list of names and of values of all rows, or a ValueError."""
    if isinstance(against, str | pd.Series | np.ndarray):
        return [against]
    if not isinstance(against, Collection) or isinstance(against, bytes | Mapping | type):
        raise ValueError(f"against must be a name, a Series or a list of these, got {against!r}")
    if not len(against):
        raise ValueError(f"against is empty; pass one or more of {list(_NAMES)}")
    # A list of numbers has one for each row.
    is_list_of_properties = any(isinstance(each, Collection) for each in against)
    return list(against) if is_list_of_properties else [list(against)]


def _property(against, structures, X_train):
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
    elif against == "distance":
        if X_train is None:
            raise ValueError('against="distance" needs the training rows: pass X_train')
        # These modules import those of estimators, which drawing alone does not need.
        from sklmat.features import StructureFeaturizer
        from sklmat.model_selection import ApplicabilityDomain

        domain = ApplicabilityDomain(StructureFeaturizer()).fit(_crystals(X_train))
        values = np.asarray(domain.transform(structures))[:, 0]
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
    """Axes of a new figure with common ordinates: up to three panels side by side, or 2 x 2."""
    n_columns = 2 if n_panels == 4 else min(n_panels, 3)
    width = COLUMN_WIDTH if n_panels == 1 else PAGE_WIDTH
    return new_panels(n_panels, n_columns, 2.9, width, sharey=True)
