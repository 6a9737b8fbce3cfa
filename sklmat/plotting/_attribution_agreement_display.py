"""`AttributionAgreementDisplay`: attributions of sites by one method against those by another."""

from __future__ import annotations

from collections.abc import Sequence
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
    plain_ticks,
    with_unit,
)
from sklmat.plotting._style import COLORS, MARKERS, RASTERIZE_ABOVE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.inspection import AttributionAgreement
    from sklmat.typing import RandomState, Structures

#: Method -> its name in labels.
_NAMES = {
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
    "shapley": "Shapley values",
}


class AttributionAgreementDisplay:
    """Plot of the attributions of sites by two methods, a panel for each two methods.

    A point is a site, and its colour and marker are those of its element, if there are at most
    seven. On the dashed line both methods agree. The title is the rank correlation over all sites
    (Spearman), and the fraction of the crystals in which the site with the largest attribution is
    the same.

    `from_estimator` creates the display from a fitted network, `from_agreement` from the result of
    `attribution_agreement`. The constructor only stores its arguments.

    Parameters
    ----------
    agreement : AttributionAgreement
        From `attribution_agreement`.
    unit : str or None, default=None
        Unit of the target; "log-odds" for classes.
    limits : tuple of two floats or None, default=None
        Ends of all axes; None includes all sites.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The panels, in the rows of ``agreement.table``.
    ax_ : matplotlib Axes
        The first panel.
    figure_ : matplotlib Figure
        The figure that contains the panels.

    See Also
    --------
    attribution_agreement : What is compared, and how.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import AttributionAgreementDisplay, CGCNNRegressor
    >>> pairs = [("Ni", "Al"), ("Ni", "Ni"), ("Al", "Al"), ("Al", "Ni")]
    >>> cells = [Structure(Lattice.cubic(2.9), p, [[0, 0, 0], [0.5] * 3]) for p in pairs]
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=20, random_state=0)
    >>> model = model.fit(cells, [0.5, 1.0, 0.0, 0.5])
    >>> display = AttributionAgreementDisplay.from_estimator(
    ...     model, cells, methods=("integrated_gradients", "shapley"), unit="eV"
    ... )
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('integrated gradients (eV)', 'Shapley values (eV)')
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        agreement: AttributionAgreement,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.agreement = agreement
        self.unit = unit
        self.limits = limits

    @classmethod
    @checked_arguments()
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Structures | CrystalGraphs,
        *,
        methods: Sequence[str] = ("integrated_gradients", "occlusion", "shapley"),
        background: Structures | CrystalGraphs | None = None,
        target: object = None,
        random_state: RandomState = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Explain the predictions of a fitted network by several methods, and compare these.

        Parameters
        ----------
        estimator, X, methods, background, target, random_state : as in `attribution_agreement`
            What is explained. `attribution_agreement` has more options: draw its result with
            `from_agreement`.
        unit : str or None, default=None
            Unit of the target, see the class.
        limits : tuple of two floats or None, default=None
            Ends of all axes, see the class.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes for each two methods; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AttributionAgreementDisplay
        """
        # This module needs torch, which drawing alone does not.
        from sklmat.inspection import attribution_agreement

        agreement = attribution_agreement(
            estimator,
            X,
            methods=methods,
            background=background,
            target=target,
            random_state=random_state,
        )
        return cls.from_agreement(agreement, unit=unit, limits=limits, ax=ax, **scatter_kwargs)

    @classmethod
    @checked_arguments()
    def from_agreement(
        cls,
        agreement: AttributionAgreement,
        *,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the result of `attribution_agreement`.

        Parameters
        ----------
        agreement : AttributionAgreement
            From `attribution_agreement`.
        unit : str or None, default=None
            Unit of the target, see the class.
        limits : tuple of two floats or None, default=None
            Ends of all axes, see the class.
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes for each two methods; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AttributionAgreementDisplay

        Raises
        ------
        TypeError
            When `agreement` is something else.
        """
        if not hasattr(agreement, "sites") or not hasattr(agreement, "table"):
            raise TypeError(f"agreement must be from attribution_agreement, got {agreement!r}")
        display = cls(agreement=agreement, unit=unit, limits=check_limits(limits))
        return display.plot(ax=ax, **scatter_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | Sequence[Axes] | None = None, **scatter_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : matplotlib Axes, sequence of Axes or None, default=None
            One axes for each two methods; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AttributionAgreementDisplay
            The display itself.
        """
        table = self.agreement.table
        self.axes_ = (
            _new_axes(len(table))
            if ax is None
            else given_panels(ax, len(table), f"{len(table)} panels")
        )
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        limits = self.limits or self._limits()
        for panel, (_, row) in zip(self.axes_, table.iterrows()):
            self._draw(panel, row["method"], row["other method"], scatter_kwargs)
            panel.plot(limits, limits, color="0.35", linewidth=0.9, linestyle="--", zorder=1)
            panel.set(xlim=limits, ylim=limits, box_aspect=1)
            plain_ticks(panel.xaxis, 4)
            plain_ticks(panel.yaxis, 4)
            text = f"rank correlation {row['Spearman']:.2f}\n".replace("-", "−")
            text += f"same largest site: {100 * row['same largest site']:.0f} %"
            panel.set_title(text, loc="left", fontsize=NOTE_SIZE)
        if self.ax_.get_legend_handles_labels()[0]:
            self.axes_[-1].legend(loc="lower right", fontsize=NOTE_SIZE, frameon=False)
        return self

    def _draw(self, panel, method, other, scatter_kwargs):
        """Draw the sites, by element if there are few."""
        sites = self.agreement.sites
        style = {
            "s": 14,
            "alpha": 0.7,
            "linewidths": 0,
            "rasterized": len(sites) > RASTERIZE_ABOVE,
            "zorder": 2,
        }
        groups = list(sites.groupby("element", sort=False))
        if len(groups) > len(COLORS):
            groups = [(None, sites)]
        for (element, rows), color, marker in zip(groups, COLORS, MARKERS):
            own = {"color": color, "marker": marker, "label": element}
            panel.scatter(rows[method], rows[other], **(own | style | scatter_kwargs))
        panel.set_xlabel(with_unit(_NAMES.get(method, method), self.unit))
        panel.set_ylabel(with_unit(_NAMES.get(other, other), self.unit))

    def _limits(self):
        """Common ends of all axes."""
        methods = np.unique(self.agreement.table[["method", "other method"]])
        values = self.agreement.sites[list(methods)].to_numpy()
        margin = 0.05 * np.ptp(values) or 0.5
        return values.min() - margin, values.max() + margin


def _new_axes(n_panels):
    """Axes of a new figure: up to three panels side by side."""
    n_columns = min(n_panels, 3)
    width = COLUMN_WIDTH if n_panels == 1 else PAGE_WIDTH
    # The panels are square, with 0.6 inches of text at the left and 0.9 above and below.
    return new_panels(n_panels, n_columns, width / n_columns - 0.6 + 0.9, width)
