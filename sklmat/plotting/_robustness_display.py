"""Score against the displacement that atoms are allowed."""

from sklmat.plotting._style import COLORS, MARKERS

_NAMES = {"random": "random", "fgsm": "FGSM", "pgd": "PGD"}
_NEEDED = ("method", "budget", "score", "lower", "upper")


class RobustnessDisplay:
    """How a network fails as its atoms are moved: one line for each attack, with its interval.

    Make it with `from_estimator` or `from_curve`; the constructor only stores.

    Parameters
    ----------
    table : DataFrame
        From `robustness_curve`.
    name : str or None, default=None
        Name of the estimator, for the legend, where several are drawn on the same axes.
    unit : str or None, default=None
        Unit of the target of a regressor.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        Method -> its line.
    ax_ : matplotlib Axes
        The panel.
    figure_ : matplotlib Figure
        The figure that holds it.

    See Also
    --------
    robustness_curve : Says what the score and its interval are.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import pandas as pd
    >>> from sklmat.plotting import RobustnessDisplay
    >>> table = pd.DataFrame(
    ...     {
    ...         "method": ["pgd", "pgd"],
    ...         "budget": [0.0, 0.05],
    ...         "score": [0.95, 0.50],
    ...         "lower": [0.90, 0.41],
    ...         "upper": [0.98, 0.59],
    ...     }
    ... )
    >>> display = RobustnessDisplay.from_curve(table)
    >>> display.ax_.get_xlabel()
    'largest displacement of an atom (Å)'
    """

    def __init__(self, *, table, name=None, unit=None):
        self.table = table
        self.name = name
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        methods=("random", "fgsm", "pgd"),
        budgets=(0.0, 0.02, 0.04, 0.06, 0.08, 0.1),
        random_state=None,
        name=None,
        unit=None,
        ax=None,
        **line_kwargs,
    ):
        """Attack a fitted network, and draw its scores.

        Parameters
        ----------
        estimator : fitted graph estimator
            CGCNN or ECNet, as a classifier or a regressor.
        X : sequence of C structures, or CrystalGraphs
            Best rows that it was not fitted on.
        y : array-like of shape (C,)
            Classes or targets.
        methods, budgets, random_state
            As in `robustness_curve`, which has more options: draw its table with `from_curve`.
        name, unit
            As for the class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : RobustnessDisplay
        """
        # It needs torch, which drawing does not.
        from sklmat.adversarial import robustness_curve

        table = robustness_curve(
            estimator, X, y, methods=methods, budgets=budgets, random_state=random_state
        )
        return cls.from_curve(table, name=name, unit=unit, ax=ax, **line_kwargs)

    @classmethod
    def from_curve(cls, table, *, name=None, unit=None, ax=None, **line_kwargs):
        """Draw a table of scores.

        Parameters
        ----------
        table : DataFrame
            From `robustness_curve`.
        name, unit
            As for the class.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : RobustnessDisplay

        Raises
        ------
        ValueError
            When the table is empty, lacks a column, or a score is missing.
        """
        missing = [column for column in _NEEDED if column not in table]
        if missing:
            raise ValueError(
                f"the table has no column {missing[0]!r}; pass what robustness_curve returned"
            )
        if table.empty or table[["budget", "score"]].isna().any(axis=None):
            raise ValueError("the table is empty, or lacks budgets or scores")
        return cls(table=table, name=name, unit=unit).plot(ax=ax, **line_kwargs)

    def plot(self, ax=None, **line_kwargs):
        """Draw, or draw again elsewhere.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : RobustnessDisplay
            Itself.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(figsize=(4.8, 3.7), layout="constrained")[1]
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {}
        for k, (method, rows) in enumerate(self.table.groupby("method", sort=False)):
            self.lines_[method] = self._draw(method, rows.sort_values("budget"), k, line_kwargs)
        score = self.table.attrs.get("score", "score")
        ax.set_xlabel("largest displacement of an atom (Å)")
        ax.set_ylabel(score + (f" ({self.unit})" if self.unit else ""))
        ax.set_xlim(left=0)
        ax.locator_params(axis="x", nbins=6)
        # From zero, so that heights compare.
        ax.set_ylim(0, 1.02 if score == "accuracy" else None)
        ax.legend(loc="best", fontsize=8.5, frameon=False)
        return self

    def _draw(self, method, rows, k, line_kwargs):
        """One line with its band; the methods keep their colours on axes drawn upon before."""
        known = list(_NAMES)
        k = (known.index(method) if method in known else len(known) + k) % len(COLORS)
        label = " ".join(filter(None, [self.name, _NAMES.get(method, str(method))]))
        style = {"color": COLORS[k], "marker": MARKERS[k], "markersize": 4.5, "linewidth": 1.6}
        budget = rows["budget"]
        style |= {"label": label, "clip_on": False, "zorder": 3}
        (line,) = self.ax_.plot(budget, rows["score"], **(style | line_kwargs))
        self.ax_.fill_between(
            budget, rows["lower"], rows["upper"], color=line.get_color(), alpha=0.15, linewidth=0
        )
        return line
