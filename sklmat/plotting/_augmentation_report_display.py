"""`AugmentationReportDisplay`: generated rows compared with real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.plotting._layout import NOTE_SIZE, new_panels
from sklmat.plotting._style import COLORS, MARKERS, RASTERIZE_ABOVE, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.augmentation import InfoGANAugmenter, QualityReport
    from sklmat.typing import Table

#: Colour and marker of real and of generated rows, in all panels.
_STYLES = {
    "real": {"color": "0.45", "marker": MARKERS[0]},
    "generated": {"color": COLORS[1], "marker": MARKERS[2]},
}
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@renamed_parameters(max_columns="max_features")
class AugmentationReportDisplay:
    """Plot real against generated rows: a map of all rows, and the values of each feature.

    The left panel (map) shows all rows along the first two principal directions of the real rows.
    The middle panel shows, for each feature, the ranges of 90 % (thin) and 50 % (thick) of the real
    and of the generated values, and their medians (dots). The right panel shows, for each feature,
    the Wasserstein distance between these two distributions, and the mean over all features
    (dashed). The titles of the panels show the other values of the report: `classifier_auc`,
    `code_recovery` and `neighbor_distance_ratio` on the left, `correlation_difference` in the
    middle, and the mean distance on the right (see `QualityReport`).

    `from_estimator` creates the display from a fitted augmenter and real rows, `from_report` from a
    `QualityReport`. The constructor only stores its arguments.

    Parameters
    ----------
    report : QualityReport
        From `InfoGANAugmenter.quality_report`.
    max_features : int, default=40
        Largest number of features to draw, those with the largest distances.

    Attributes
    ----------
    explained_variance_ratio_ : ndarray of shape (2,)
        Fraction of the variance of the real rows along each direction of the map.
    coordinates_ : dict of str to ndarray of shape (n, 2)
        Coordinates of the ``real`` and the ``generated`` rows on the map.
    columns_ : list of str
        The features that are drawn, from top to bottom.
    axes_ : ndarray of 3 matplotlib Axes
        Map, distributions and distances.
    ax_ : matplotlib Axes
        The map.
    figure_ : matplotlib Figure
        The figure that contains the panels.

    Notes
    -----
    The map is a principal component analysis of the standardised features, fitted on the real rows
    only. Some columns describe one element, such as ``Fe_0``, ``Fe_1``, ... in tables of
    `ECNetFeaturizer`; they are zero in rows without this element. For the map, each of these zeros
    is replaced by the mean of its column over the training rows that contain the element. The map
    shows only those differences that lie along its two directions. The values in the titles are
    computed from all features.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.augmentation import InfoGANAugmenter
    >>> from sklmat.estimator_checks import make_toy_table
    >>> from sklmat.plotting import AugmentationReportDisplay
    >>> X, y = make_toy_table(60)
    >>> augmenter = InfoGANAugmenter(max_epochs=10, n_ensemble=1, random_state=0).fit(X[:40])
    >>> display = AugmentationReportDisplay.from_estimator(augmenter, X[40:])
    >>> len(display.columns_)
    7
    """

    @checked_arguments()
    def __init__(self, *, report: QualityReport, max_features: int = 40) -> None:
        self.report = report
        self.max_features = max_features

    @classmethod
    @renamed_parameters(max_columns="max_features")
    @checked_arguments()
    def from_estimator(
        cls,
        augmenter: InfoGANAugmenter,
        X: Table,
        *,
        max_features: int = 40,
        ax: Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Generate rows for the codes of real rows, and draw both.

        Parameters
        ----------
        augmenter : fitted InfoGANAugmenter
            Its ``sample`` generates the rows.
        X : DataFrame or array of shape (n, F)
            Real rows, preferably rows on which the augmenter was not fitted.
        max_features : int, default=40
            Largest number of features to draw, those with the largest distances.
        ax : sequence of 3 matplotlib Axes or None, default=None
            Axes to draw on; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AugmentationReportDisplay
        """
        report = augmenter.quality_report(X)
        return cls.from_report(report, max_features=max_features, ax=ax, **scatter_kwargs)

    @classmethod
    @renamed_parameters(max_columns="max_features")
    @checked_arguments()
    def from_report(
        cls,
        report: QualityReport,
        *,
        max_features: int = 40,
        ax: Sequence[Axes] | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw a report.

        Parameters
        ----------
        report : QualityReport
            From `InfoGANAugmenter.quality_report`.
        max_features : int, default=40
            Largest number of features to draw, those with the largest distances.
        ax : sequence of 3 matplotlib Axes or None, default=None
            Axes to draw on; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AugmentationReportDisplay

        Raises
        ------
        ValueError
            When the report has fewer than two rows, when `max_features` is not positive, or when
            the number of axes is not three.
        """
        if len(report.real) < 2:
            raise ValueError("a report of one row cannot be drawn; compare at least two")
        if max_features < 1:
            raise ValueError(f"max_features must be positive, got {max_features}")
        return cls(report=report, max_features=max_features).plot(ax=ax, **scatter_kwargs)

    @checked_arguments()
    def plot(self, ax: Sequence[Axes] | None = None, **scatter_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : sequence of 3 matplotlib Axes or None, default=None
            Axes to draw on; None creates a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AugmentationReportDisplay
            The display itself.
        """
        distances = self.report.column_distances
        worst = sorted(distances, key=distances.__getitem__, reverse=True)[: self.max_features]
        self.columns_ = [name for name in distances if name in set(worst)]
        self.axes_ = _panels(ax, len(self.columns_))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self._project()
        self._draw_map(scatter_kwargs)
        self._draw_columns()
        self._draw_distances()
        return self

    def _project(self):
        """Compute the principal directions of the real rows and the coordinates of all rows."""
        real, generated = (
            table.fillna(0).to_numpy() for table in (self.report.real, self.report.generated)
        )
        mean = real.mean(axis=0)
        _, singular_values, directions = np.linalg.svd(real - mean, full_matrices=False)
        # The sign of a direction is arbitrary: its largest component is made positive.
        signs = np.sign(directions[range(len(directions)), np.abs(directions).argmax(axis=1)])
        directions = (directions * signs[:, None])[:2]
        variance = singular_values**2
        ratio = variance / variance.sum() if variance.sum() else variance
        # With a single feature there is only one direction.
        missing = 2 - len(directions)
        directions = np.pad(directions, [(0, missing), (0, 0)])
        self.explained_variance_ratio_ = np.pad(ratio[:2], (0, missing))
        self.coordinates_ = {
            "real": (real - mean) @ directions.T,
            "generated": (generated - mean) @ directions.T,
        }

    def _draw_map(self, scatter_kwargs):
        """Draw the map of all rows."""
        report, ax = self.report, self.ax_
        for origin, points in self.coordinates_.items():
            style = {
                "s": 20,
                "alpha": 0.65,
                "linewidths": 0,
                "rasterized": len(points) > RASTERIZE_ABOVE,
                "label": origin,
            }
            ax.scatter(*points.T, **(style | _STYLES[origin] | scatter_kwargs))
        for axis, name, ratio in zip("xy", ("first", "second"), self.explained_variance_ratio_):
            ax.set(**{f"{axis}label": f"{name} direction ({ratio:.0%} of variance)"})
        legend_below(ax)
        ax.set_title(
            f"AUC of real or generated: {report.classifier_auc:.2f}\n"
            f"R² of the recovered code: {report.code_recovery:.2f}\n"
            f"nearest training row: {report.neighbor_distance_ratio:.2f} of the usual",
            fontsize=NOTE_SIZE,
            loc="left",
        )

    def _draw_columns(self):
        """Draw quantiles of each feature."""
        ax = self.axes_[1]
        tables = {"real": self.report.real, "generated": self.report.generated}
        for origin, offset in (("real", -0.18), ("generated", 0.18)):
            quantiles = tables[origin][self.columns_].quantile(_QUANTILES).to_numpy()
            y = np.arange(len(self.columns_)) + offset
            color = _STYLES[origin]["color"]
            ax.hlines(y, quantiles[0], quantiles[4], color=color, linewidth=0.8)
            ax.hlines(y, quantiles[1], quantiles[3], color=color, linewidth=2.6)
            ax.scatter(quantiles[2], y, s=9, color="white", edgecolors=color, zorder=3)
        ax.set_xlabel("value (sd from the mean)")
        _label_rows(ax, self.columns_)
        legend_below(ax, _quantile_handles())
        n_features = len(self.report.column_distances)
        is_part = len(self.columns_) < n_features
        selection = f"the worst {len(self.columns_)} of " if is_part else ""
        ax.set_title(
            f"{selection}{n_features} features\ndifference of correlations "
            f"{self.report.correlation_difference:.2f}",
            fontsize=NOTE_SIZE,
            loc="left",
        )

    def _draw_distances(self):
        """Draw the distance of the two distributions of each feature."""
        ax = self.axes_[2]
        values = np.array([self.report.column_distances[name] for name in self.columns_])
        ax.barh(np.arange(len(values)), values, height=0.55, color=_STYLES["generated"]["color"])
        mean = np.mean(list(self.report.column_distances.values()))
        ax.axvline(mean, color="0.35", linewidth=0.9, linestyle="--")
        _label_rows(ax, self.columns_)
        ax.tick_params(labelleft=False)
        ax.set_xlabel("distance (sd)")
        ax.set_xlim(left=0)
        ax.set_title(f"mean {mean:.2f}", fontsize=NOTE_SIZE, loc="left")


def _label_rows(ax, names):
    """Label the rows of a panel, from top to bottom."""
    ax.set_yticks(range(len(names)), names, fontsize=NOTE_SIZE - 0.5)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=5)


def _panels(ax, n_columns):
    """Return the given axes after validation, or the axes of a new figure."""
    if ax is not None:
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(axes) != 3:
            raise ValueError(
                f"the report needs 3 axes: map, distributions and distances, got {len(axes)}"
            )
        return axes
    height = max(3.6, 1.3 + 0.17 * n_columns)
    axes = new_panels(3, 3, height, width_ratios=[1.25, 1, 0.45])
    axes[0].set_box_aspect(1)
    axes[0].set_anchor("N")
    return axes


def _quantile_handles():
    """Entries of a legend for the lines and dots of each feature."""
    from matplotlib.lines import Line2D

    style = {"color": _STYLES["real"]["color"]}
    dot = {"linestyle": "", "marker": "o", "markersize": 3.5, "markerfacecolor": "white"}
    return [
        Line2D([], [], linewidth=0.8, label="90 %", **style),
        Line2D([], [], linewidth=2.6, label="50 %", **style),
        Line2D([], [], label="median", **style, **dot),
    ]
