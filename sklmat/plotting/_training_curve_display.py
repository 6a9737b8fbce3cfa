"""`TrainingCurveDisplay`: losses of a network as a function of the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.plotting._layout import check_limits, new_axes, plain_ticks, with_unit
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, MARKERS, legend_above, wrap_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

#: Names of losses in the legend; others keep their own.
_NAMES = {"train_loss": "training", "valid_loss": "validation"}
#: Columns of a history that are no losses.
_NO_LOSSES = ("member", "iteration", "epoch", "lr", "dur")
_LINE_STYLES = ("-", "--", "-.", ":")

_PARAGRAPHS = PANEL_PARAGRAPHS | parameter_paragraphs("""
    metric : str or None, default=None
        What the loss is, for the label of its axis, such as "mean absolute error"; None writes
        "loss".
    unit : str or None, default=None
        Unit of the loss.
    log_scale : bool or "auto", default="auto"
        Whether the axis of the loss is logarithmic. "auto" is so if all losses are positive.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the loss; None includes all losses.
""")


@insert_paragraphs(_PARAGRAPHS)
class TrainingCurveDisplay:
    """Plot of the losses of a network after each epoch of its training.

    Each member of an ensemble has its own thin line. If there was a validation loss, the epoch at
    which it was lowest is marked: early stopping keeps the weights of this epoch.

    `from_estimator` creates the display from a fitted estimator, `from_history` from a table. The
    constructor only stores its arguments.

    Parameters
    ----------
    history : DataFrame
        One row for each epoch, with the column ``epoch``, a column for each loss and, of an
        ensemble, ``member``.
    {metric}
    {unit}
    {log_scale}
    {limits}

    Attributes
    ----------
    lines_ : dict of str to list of matplotlib Line2D
        Lines of each loss, one per member.
    kept_ : list of tuple of (int, float)
        Epoch and validation loss that are marked, for each member.
    {ax_}
    {figure_}

    Notes
    -----
    The losses are those of the attribute ``history_``: regressors compute them for scaled targets,
    so that they are in units of the standard deviation of the training targets, and the loss of an
    `ECNetRegressor` is the sum over its members. Losses of an `InfoGANAugmenter` may be negative.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.plotting import TrainingCurveDisplay
    >>> history = [
    ...     {"epoch": 1, "train_loss": 0.9, "valid_loss": 1.0},
    ...     {"epoch": 2, "train_loss": 0.4, "valid_loss": 0.7},
    ...     {"epoch": 3, "train_loss": 0.2, "valid_loss": 0.8},
    ... ]
    >>> display = TrainingCurveDisplay.from_history(history)
    >>> display.kept_
    [(2, 0.7)]
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        history: pd.DataFrame,
        metric: str | None = None,
        unit: str | None = None,
        log_scale: bool | Literal["auto"] = "auto",
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.history = history
        self.metric = metric
        self.unit = unit
        self.log_scale = log_scale
        self.limits = limits

    @classmethod
    @checked_arguments()
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        metric: str | None = None,
        unit: str | None = None,
        log_scale: bool | Literal["auto"] = "auto",
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted network
            A graph network or an `InfoGANAugmenter`. A network may be inside a search, a Pipeline,
            a FrozenEstimator or a `TransformedTargetRegressor`.
        {metric}
        {unit}
        {log_scale}
        {limits}
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        TypeError
            When the estimator has no ``history_``.
        NotFittedError
            When the estimator is not fitted.
        ValueError
            When no epoch was recorded, as for networks that were read from a file of others.
        """
        from sklearn.utils.validation import check_is_fitted

        if isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise TypeError(f"estimator must be a fitted estimator, got {estimator!r}")
        model: Any = estimator
        if not hasattr(model, "history_"):
            # This module imports those of estimators, which drawing alone does not need.
            from sklmat.model_inside import find_model

            model = find_model(estimator).model
            check_is_fitted(model)
        if not hasattr(model, "history_"):
            raise TypeError(
                f"a {type(model).__name__} has no history_; pass a network such as CGCNNRegressor"
            )
        return cls.from_history(
            model.history_,
            metric=metric,
            unit=unit,
            log_scale=log_scale,
            limits=limits,
            ax=ax,
            **line_kwargs,
        )

    @classmethod
    @checked_arguments(history=None)
    def from_history(
        cls,
        history: Sequence[Mapping[str, float]] | pd.DataFrame,
        *,
        metric: str | None = None,
        unit: str | None = None,
        log_scale: bool | Literal["auto"] = "auto",
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw a history.

        Parameters
        ----------
        history : list of dict, or DataFrame
            The attribute ``history_`` of an estimator.
        {metric}
        {unit}
        {log_scale}
        {limits}
        {ax}
        **line_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : TrainingCurveDisplay

        Raises
        ------
        ValueError
            When there is no epoch or no loss, or when a logarithmic axis is asked for with losses
            that are not positive.
        """
        table = _table(history)
        losses = table[_losses(table)]
        limits = check_limits(limits)
        if log_scale is True:
            if losses.min(axis=None) <= 0:
                raise ValueError(
                    f"the smallest loss is {losses.min(axis=None):g}; log_scale needs positive ones"
                )
            if limits is not None and limits[0] <= 0:
                raise ValueError(f"limits must be positive with log_scale, got {limits}")
        display = cls(history=table, metric=metric, unit=unit, log_scale=log_scale, limits=limits)
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
        display : TrainingCurveDisplay
            The display itself.
        """
        from matplotlib.ticker import MaxNLocator

        ax = new_axes(2.9) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        runs = [rows for _, rows in self.history.groupby(_run_numbers(self.history))]
        what = "members" if "member" in self.history else "runs"
        several = f", {len(runs)} {what}" if len(runs) > 1 else ""
        names = _losses(self.history)
        self.lines_: dict[str, list[Any]] = {name: [] for name in names}
        for number, name in enumerate(names):
            style = {
                "color": COLORS[number % len(COLORS)],
                "linestyle": _LINE_STYLES[number % len(_LINE_STYLES)],
                "linewidth": 1.6 if len(runs) == 1 else 0.9,
                "alpha": 1 if len(runs) == 1 else 0.7,
                "label": _NAMES.get(name, name) + several,
            }
            for rows in runs:
                known = rows[rows[name].notna()]
                # A single epoch is a point, which a line does not show.
                style["marker"] = "." if len(known) == 1 else None
                (line,) = ax.plot(known["epoch"], known[name], **(style | line_kwargs))
                self.lines_[name].append(line)
                style["label"] = "_"
        self._mark_kept(runs)
        ax.set_xlabel("epoch")
        ax.set_ylabel(wrap_name(with_unit(self.metric or "loss", self.unit), 32))
        smallest = self.history[names].min(axis=None)
        is_log = smallest > 0 if self.log_scale == "auto" else bool(self.log_scale)
        if is_log and not (self.limits and self.limits[0] <= 0):
            ax.set_yscale("log")
        else:
            plain_ticks(ax.yaxis)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_ylim(self.limits)
        legend_above(ax)
        return self

    def _mark_kept(self, runs):
        """Mark the lowest validation loss of each member."""
        self.kept_ = []
        for rows in runs:
            if "valid_loss" in rows and rows["valid_loss"].notna().any():
                best = rows.loc[rows["valid_loss"].idxmin()]
                self.kept_.append((int(best["epoch"]), float(best["valid_loss"])))
        if self.kept_:
            style = {"color": COLORS[6], "marker": MARKERS[1], "s": 18, "zorder": 3}
            self.ax_.scatter(*zip(*self.kept_), **style, label="lowest validation loss (kept)")


def _table(history):
    """The history as a DataFrame with the column ``epoch`` and a loss, or a ValueError."""
    if not isinstance(history, pd.DataFrame):
        is_list = isinstance(history, Sequence) and not isinstance(history, str | bytes)
        if not is_list or not all(isinstance(row, Mapping) for row in history):
            raise ValueError(f"history must be a list of dicts or a DataFrame, got {history!r}")
        history = pd.DataFrame(list(history))
    if history.empty:
        raise ValueError("the history has no epochs: the network was not trained here")
    if "epoch" not in history or not _losses(history):
        raise ValueError(f"the history has no epoch or no loss, only {list(history)}")
    losses = history[_losses(history)]
    if np.isinf(losses.to_numpy(dtype=float)).any() or losses.isna().all(axis=None):
        raise ValueError("the history has losses that are infinite, or only missing ones")
    return history.reset_index(drop=True)


def _losses(history):
    """Names of the columns with losses."""
    return [
        name
        for name in history
        if name not in _NO_LOSSES and pd.api.types.is_numeric_dtype(history[name])
    ]


def _run_numbers(history):
    """Number of the training to which each epoch belongs: epochs of a training increase."""
    starts = history["epoch"].diff() <= 0
    for name in ("member", "iteration"):
        if name in history:
            starts |= history[name].diff().fillna(0) != 0
    return starts.cumsum()
