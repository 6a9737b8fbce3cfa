"""Generated rows beside real ones."""

import numpy as np

from sklmat.plotting._style import COLORS, MARKERS, RASTERIZE_ABOVE

#: Colour and marker of real and of generated rows, in all panels.
_STYLES = {
    "real": {"color": "0.45", "marker": MARKERS[0]},
    "generated": {"color": COLORS[1], "marker": MARKERS[2]},
}
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class AugmentationReportDisplay:
    """Real and generated rows: a map of all features, and each feature on its own.

    On the left all rows on the two main directions of the real ones. On the right, for each
    feature, where 90 % (thin), half (thick) and the median (dot) of the values lie, and the
    distance of the two distributions, with their mean (dashed). The figures of the report stand
    above.

    Make it with `from_estimator` or `from_report`; the constructor only stores.

    Parameters
    ----------
    report : QualityReport
        From `InfoGANAugmenter.quality_report`.
    max_columns : int, default=40
        Draw this many features at most, those that differ most.

    Attributes
    ----------
    explained_variance_ratio_ : ndarray of shape (2,)
        Fraction of the variance of the real rows along each direction of the map.
    coordinates_ : dict of str to ndarray of shape (n, 2)
        Places of the ``real`` and the ``generated`` rows on the map.
    columns_ : list of str
        The features that are drawn, from top to bottom.
    axes_ : ndarray of 3 matplotlib Axes
        Map, distributions and distances.
    ax_ : matplotlib Axes
        The map.
    figure_ : matplotlib Figure
        The figure that holds them.

    Notes
    -----
    The map is a principal component analysis of the features, in units of their standard
    deviations, fitted on the real rows alone; a feature of an element that a row lacks counts as
    the mean. Generated rows that fall on real ones have the right correlations along these two
    directions only; the others show in `report.correlation_difference` and
    `report.classifier_auc`.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.augmentation import InfoGANAugmenter
    >>> from sklmat.estimator_checks import make_toy_table
    >>> from sklmat.plotting import AugmentationReportDisplay
    >>> X, y = make_toy_table(60)
    >>> augmenter = InfoGANAugmenter(max_epochs=50, n_ensemble=1, random_state=0).fit(X[:40])
    >>> display = AugmentationReportDisplay.from_estimator(augmenter, X[40:])
    >>> len(display.columns_)
    7
    """

    def __init__(self, *, report, max_columns=40):
        self.report = report
        self.max_columns = max_columns

    @classmethod
    def from_estimator(cls, augmenter, X, *, max_columns=40, ax=None, **scatter_kwargs):
        """Generate rows for the codes of real ones, and draw both.

        Parameters
        ----------
        augmenter : fitted InfoGANAugmenter
        X : DataFrame or array of shape (n, F)
            Real rows; best such that the augmenter was not fitted on.
        max_columns : int, default=40
            Draw this many features at most, those that differ most.
        ax : sequence of 3 matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AugmentationReportDisplay
        """
        report = augmenter.quality_report(X)
        return cls.from_report(report, max_columns=max_columns, ax=ax, **scatter_kwargs)

    @classmethod
    def from_report(cls, report, *, max_columns=40, ax=None, **scatter_kwargs):
        """Draw a report.

        Parameters
        ----------
        report : QualityReport
            From `InfoGANAugmenter.quality_report`.
        max_columns : int, default=40
            Draw this many features at most, those that differ most.
        ax : sequence of 3 matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AugmentationReportDisplay

        Raises
        ------
        ValueError
            When the report has fewer than two rows, `max_columns` is not positive, or there are
            not three axes.
        """
        if len(report.real) < 2:
            raise ValueError("a report of one row cannot be drawn; compare at least two")
        if max_columns < 1:
            raise ValueError(f"max_columns must be positive, got {max_columns}")
        return cls(report=report, max_columns=max_columns).plot(ax=ax, **scatter_kwargs)

    def plot(self, ax=None, **scatter_kwargs):
        """Draw, or draw again elsewhere.

        Parameters
        ----------
        ax : sequence of 3 matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : AugmentationReportDisplay
            Itself.
        """
        distances = self.report.column_distances
        worst = sorted(distances, key=distances.get, reverse=True)[: self.max_columns]
        self.columns_ = [name for name in distances if name in set(worst)]
        self.axes_ = _panels(ax, len(self.columns_))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self._project()
        self._draw_map(scatter_kwargs)
        self._draw_columns()
        self._draw_distances()
        return self

    def _project(self):
        """Find the main directions of the real rows and the places of all rows."""
        real, generated = (
            table.fillna(0).to_numpy() for table in (self.report.real, self.report.generated)
        )
        mean = real.mean(axis=0)
        _, scales, directions = np.linalg.svd(real - mean, full_matrices=False)
        # Of a direction and its opposite, the one whose largest part is positive.
        signs = np.sign(directions[range(len(directions)), np.abs(directions).argmax(axis=1)])
        directions = (directions * signs[:, None])[:2]
        variance = scales**2
        ratio = variance / variance.sum() if variance.sum() else variance
        # A single feature spans one direction only.
        missing = 2 - len(directions)
        directions = np.pad(directions, [(0, missing), (0, 0)])
        self.explained_variance_ratio_ = np.pad(ratio[:2], (0, missing))
        self.coordinates_ = {
            "real": (real - mean) @ directions.T,
            "generated": (generated - mean) @ directions.T,
        }

    def _draw_map(self, scatter_kwargs):
        report, panel = self.report, self.ax_
        for kind, places in self.coordinates_.items():
            style = {
                "s": 20,
                "alpha": 0.65,
                "linewidths": 0,
                "rasterized": len(places) > RASTERIZE_ABOVE,
                "label": kind,
            }
            panel.scatter(*places.T, **(style | _STYLES[kind] | scatter_kwargs))
        for axis, name, share in zip("xy", ("first", "second"), self.explained_variance_ratio_):
            panel.set(**{f"{axis}label": f"{name} direction ({share:.0%} of real variance)"})
        panel.legend(loc="best", fontsize=8.5, frameon=False)
        panel.set_title(
            f"told from real with AUC {report.classifier_auc:.2f}\n"
            f"code read back with R² {report.code_recovery:.2f}\n"
            f"nearest training row at {report.neighbor_distance_ratio:.2f} of the usual",
            fontsize=9.5,
            loc="left",
        )

    def _draw_columns(self):
        panel = self.axes_[1]
        tables = {"real": self.report.real, "generated": self.report.generated}
        for kind, shift in (("real", -0.18), ("generated", 0.18)):
            spread = tables[kind][self.columns_].quantile(_QUANTILES).to_numpy()
            rows = np.arange(len(self.columns_)) + shift
            color = _STYLES[kind]["color"]
            panel.hlines(rows, spread[0], spread[4], color=color, linewidth=0.8)
            panel.hlines(rows, spread[1], spread[3], color=color, linewidth=2.6)
            panel.scatter(spread[2], rows, s=9, color="white", edgecolors=color, zorder=3)
        panel.set_xlabel("value (standard deviations from the mean)")
        _name_rows(panel, self.columns_)
        n_all = len(self.report.column_distances)
        chosen = f"the worst {len(self.columns_)} of " if len(self.columns_) < n_all else ""
        panel.set_title(
            f"{chosen}{n_all} features\ndifference of correlations "
            f"{self.report.correlation_difference:.2f}",
            fontsize=9.5,
            loc="left",
        )

    def _draw_distances(self):
        panel = self.axes_[2]
        values = np.array([self.report.column_distances[name] for name in self.columns_])
        panel.barh(np.arange(len(values)), values, height=0.55, color=_STYLES["generated"]["color"])
        mean = np.mean(list(self.report.column_distances.values()))
        panel.axvline(mean, color="0.35", linewidth=0.9, linestyle="--")
        _name_rows(panel, self.columns_)
        panel.tick_params(labelleft=False)
        panel.set_xlabel("distance (sd)")
        panel.set_xlim(left=0)
        panel.set_title(f"mean {mean:.2f}", fontsize=9.5, loc="left")


def _name_rows(panel, names):
    """One row for each name, from top to bottom."""
    panel.set_yticks(range(len(names)), names, fontsize=7.5)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=5)


def _panels(ax, n_columns):
    """The given axes, checked, or those of a new figure."""
    if ax is not None:
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(axes) != 3:
            raise ValueError(
                f"the report needs 3 axes: map, distributions and distances, got {len(axes)}"
            )
        return axes
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(
        1,
        3,
        figsize=(11, max(4.2, 1.3 + 0.185 * n_columns)),
        width_ratios=[1.25, 1, 0.45],
        layout="constrained",
    )
    axes[0].set_box_aspect(1)
    axes[0].set_anchor("N")
    return axes
