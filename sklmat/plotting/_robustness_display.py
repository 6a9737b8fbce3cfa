"""`RobustnessDisplay`: score of an estimator as a function of the budget of attacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from sklmat.argument_checks import PREDICTOR, checked_arguments
from sklmat.docstrings import insert_paragraphs
from sklmat.plotting._layout import check_limits, new_axes, with_unit
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, MARKERS, interval_handle, legend_above

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures

#: Method of attack -> its name in the legend.
_METHOD_NAMES = {"random": "random", "fgsm": "FGSM", "pgd": "PGD"}
#: Required columns of the table.
_COLUMNS = ("method", "budget", "score", "lower", "upper")


@insert_paragraphs(PANEL_PARAGRAPHS)
class RobustnessDisplay:
    """Plot of an estimator's score against the displacement of atoms, one line per attack method.

    Bands are the 95 % intervals over the rows, see `robustness_curve`.

    `from_estimator` creates the display from a fitted estimator, `from_curve` from a table that
    `robustness_curve` made. The constructor only stores its arguments.

    Parameters
    ----------
    table : DataFrame
        From `robustness_curve`.
    name : str or None, default=None
        Name of the estimator in the legend, if several are drawn on the same axes.
    unit : str or None, default=None
        Unit of the target of a regressor.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the score; None begins at zero and includes all scores.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The line of each method.
    {ax_}
    {figure_}

    See Also
    --------
    robustness_curve : Definitions of the score and its interval.

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

    @checked_arguments()
    def __init__(
        self,
        *,
        table: pd.DataFrame,
        name: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.table = table
        self.name = name
        self.unit = unit
        self.limits = limits

    @classmethod
    @checked_arguments(estimator=PREDICTOR)
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Structures | CrystalGraphs,
        y: ArrayLike,
        *,
        methods: Sequence[str] = ("random", "fgsm", "pgd"),
        budgets: Sequence[float] = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1),
        random_state: RandomState = None,
        name: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Perturb the crystals that a fitted estimator predicts, and draw its scores.

        Parameters
        ----------
        estimator : fitted classifier or regressor
            A graph estimator, also inside a search or a Pipeline, or with ``methods=("random",)``
            any estimator that predicts from structures.
        X : sequence of C structures, CrystalGraphs, or DataFrame with a column of structures
            Preferably rows on which the estimator was not fitted.
        y : array-like of shape (C,)
            Classes or targets.
        methods, budgets, random_state : as in `robustness_curve`
            What is computed. `robustness_curve` has more options: draw its table with `from_curve`.
        name, unit : str or None, default=None
            Labels, see the class.
        limits : tuple of two floats or None, default=None
            Ends of the axis of the score, see the class.
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : RobustnessDisplay
        """
        # This module needs torch, which drawing alone does not.
        from sklmat.adversarial import robustness_curve

        table = robustness_curve(
            estimator, X, y, methods=methods, budgets=budgets, random_state=random_state
        )
        return cls.from_curve(table, name=name, unit=unit, limits=limits, ax=ax, **line_kwargs)

    @classmethod
    @checked_arguments()
    def from_curve(
        cls,
        table: pd.DataFrame,
        *,
        name: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw a table of scores.

        Parameters
        ----------
        table : DataFrame
            From `robustness_curve`.
        name, unit : str or None, default=None
            Labels, see the class.
        limits : tuple of two floats or None, default=None
            Ends of the axis of the score, see the class.
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : RobustnessDisplay

        Raises
        ------
        ValueError
            When the table is empty, when it lacks a column, or when a score is missing.
        """
        missing = [column for column in _COLUMNS if column not in table]
        if missing:
            raise ValueError(
                f"the table has no column {missing[0]!r}; pass what robustness_curve returned"
            )
        if table.empty or table[["budget", "score"]].isna().any(axis=None):
            raise ValueError("the table is empty, or lacks budgets or scores")
        display = cls(table=table, name=name, unit=unit, limits=check_limits(limits))
        return display.plot(ax=ax, **line_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | None = None, **line_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : RobustnessDisplay
            The display itself.
        """
        ax = new_axes(2.9) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {}
        for number, (method, rows) in enumerate(self.table.groupby("method", sort=False)):
            rows = rows.sort_values("budget")
            self.lines_[method] = self._draw(method, rows, number, line_kwargs)
        score = self.table.attrs.get("score", "score")
        ax.set_xlabel("largest displacement of an atom (Å)")
        ax.set_ylabel(with_unit(score, self.unit))
        ax.set_xlim(left=0)
        ax.locator_params(axis="x", nbins=6)
        # The axis begins at zero, so that heights can be compared.
        low, high = self.limits or (0, 1.02 if score == "accuracy" else None)
        ax.set_ylim(low, high)
        handles = ax.get_legend_handles_labels()[0]
        legend_above(ax, [*handles, interval_handle("95 % interval", is_band=True)])
        return self

    def _draw(self, method, rows, number, line_kwargs):
        """Draw one line with its interval; each method always has the same colour."""
        known = list(_METHOD_NAMES)
        index = known.index(method) if method in known else len(known) + number
        index %= len(COLORS)
        label = " ".join(filter(None, [self.name, _METHOD_NAMES.get(method, str(method))]))
        style = {"color": COLORS[index], "marker": MARKERS[index]}
        style |= {"markersize": 4.5, "linewidth": 1.6}
        budget = rows["budget"]
        style |= {"label": label, "clip_on": False, "zorder": 3}
        (line,) = self.ax_.plot(budget, rows["score"], **(style | line_kwargs))
        self.ax_.fill_between(
            budget, rows["lower"], rows["upper"], color=line.get_color(), alpha=0.15, linewidth=0
        )
        return line
