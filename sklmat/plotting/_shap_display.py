"""`ShapDisplay`: SHAP values of all rows, one line for each feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import POSITIVE_INT, PREDICTOR, checked_arguments
from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    LABEL_SIZE,
    PAGE_WIDTH,
    TICK_SIZE,
    check_limits,
    new_axes,
    plain_ticks,
    with_unit,
)
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import RASTERIZE_ABOVE, wrap_name
from sklmat.targets import number_array

if TYPE_CHECKING:
    import shap
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

    from sklmat.typing import RandomState, Structures, Table

#: Columns in which points of one line are stacked, and the largest height of a stack.
_BINS, _HALF_HEIGHT = 70, 0.4
#: Names of features are divided into lines of this length; figures with longer names are wide.
_NAME_LENGTH, _SHORT_NAME = 30, 20
#: Colours of low and high values are between these percentiles of the values of a feature.
_PERCENTILES = (5, 95)
#: The part of viridis that is not too pale on white.
_DARK_PART = 0.88
_GREY = "0.55"

_PARAGRAPHS = PANEL_PARAGRAPHS | parameter_paragraphs("""
    unit : str or None, default=None
        Unit of the SHAP values: that of the target, or "log-odds".
    max_features : int, default=12
        Number of features with a line of their own. The SHAP values of all others are added up.
    limits : tuple of two floats or None, default=None
        Ends of the axis of the SHAP values; None includes all of them.
    target : int or None, default=None
        Which target or class is drawn, by its number, if the explanation has several; the second
        of two classes by default.
""")


@insert_paragraphs(_PARAGRAPHS)
class ShapDisplay:
    """Plot of the SHAP values of all rows: one line of points for each feature ("beeswarm").

    A point is a row. Its position is the SHAP value of the feature, which is how much the value of
    the feature raises or lowers the prediction. Its colour says whether the value of the feature is
    low or high. Features are sorted by the mean of the absolute SHAP values.

    `from_estimator` explains a fitted estimator, `from_explanation` draws what `shap_table`
    returned. The constructor only stores its arguments.

    Parameters
    ----------
    shap_values : DataFrame of shape (C, F)
        SHAP values; the columns are named like the features.
    features : DataFrame of shape (C, F)
        Values of the features.
    {unit}
    {max_features}
    {limits}

    Attributes
    ----------
    importance_ : Series
        Mean of the absolute SHAP values of each feature, the largest first.
    points_ : dict of str to matplotlib PathCollection
        The points of each line.
    colorbar_ : matplotlib Colorbar
        The colour bar.
    {ax_}
    {figure_}

    See Also
    --------
    shap_table : Computes the SHAP values.

    Notes
    -----
    Colours are from the 5th to the 95th percentile of the values of each feature. Points of missing
    and constant values, and of the sum of features, are grey. Points at similar SHAP values are
    moved up and down so that their number is visible; this has no other meaning.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import pandas as pd
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat.plotting import ShapDisplay
    >>> X = pd.DataFrame({"x_Ni": [0.0, 0.5, 1.0], "volume (Å³)": [10.0, 30.0, 20.0]})
    >>> model = LinearRegression().fit(X, 3 * X["x_Ni"] + 0.01 * X["volume (Å³)"])
    >>> display = ShapDisplay.from_estimator(model, X, unit="eV")
    >>> display.importance_.round(3).to_dict()
    {'x_Ni': 1.0, 'volume (Å³)': 0.067}
    >>> display.ax_.get_xlabel()
    'SHAP value (eV)'
    """

    @checked_arguments(max_features=POSITIVE_INT)
    def __init__(
        self,
        *,
        shap_values: pd.DataFrame,
        features: pd.DataFrame,
        unit: str | None = None,
        max_features: int = 12,
        limits: tuple[float, float] | None = None,
    ) -> None:
        self.shap_values = shap_values
        self.features = features
        self.unit = unit
        self.max_features = max_features
        self.limits = limits

    @classmethod
    @checked_arguments(estimator=PREDICTOR, max_features=POSITIVE_INT)
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Structures | Table,
        background: Structures | Table | None = None,
        *,
        random_state: RandomState = None,
        target: int | None = None,
        unit: str | None = None,
        max_features: int = 12,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Explain a fitted estimator, and draw the SHAP values.

        Parameters
        ----------
        estimator, X, background : as in `shap_table`
            What is explained. `shap_table` has more options: draw its result with
            `from_explanation`.
        random_state : int, RandomState or None, default=None
            Seed of the sampling, as in `shap_table`.
        {target}
        unit : str or None, default=None
            Unit of the target of a regressor. For a classifier, None writes "log-odds" or
            "probability", whichever the SHAP values explain.
        {max_features}
        {limits}
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ShapDisplay
        """
        # These modules need torch, which drawing alone does not.
        from sklearn.base import is_classifier

        from sklmat.inspection import shap_table

        explanation = shap_table(estimator, X, background, random_state=random_state)
        if is_classifier(estimator):
            if np.ndim(explanation.values) == 3 and explanation.shape[2] == 2 and target is None:
                target = 1
            unit = _unit_of_classes(estimator, X, explanation) if unit is None else unit
        return cls.from_explanation(
            explanation,
            target=target,
            unit=unit,
            max_features=max_features,
            limits=limits,
            ax=ax,
            **scatter_kwargs,
        )

    @classmethod
    @checked_arguments(max_features=POSITIVE_INT)
    def from_explanation(
        cls,
        explanation: shap.Explanation,
        *,
        target: int | None = None,
        unit: str | None = None,
        max_features: int = 12,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw SHAP values.

        Parameters
        ----------
        explanation : shap.Explanation of shape (C, F) or (C, F, T)
            From `shap_table`, or another one with values, data and names of features.
        {target}
        {unit}
        {max_features}
        {limits}
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ShapDisplay

        Raises
        ------
        TypeError
            When `explanation` has no SHAP values of a table.
        ValueError
            When `target` is not one of those explained, or when values are not finite.
        """
        if any(not hasattr(explanation, name) for name in ("values", "data", "feature_names")) or (
            isinstance(explanation, type | pd.DataFrame | pd.Series)
        ):
            raise TypeError(f"explanation must be from shap_table, got {explanation!r}")
        values = number_array(explanation.values, "explanation.values")
        data = number_array(explanation.data, "explanation.data")
        if values.ndim not in (2, 3) or not values.size or data.shape != values.shape[:2]:
            raise TypeError(
                f"explanation must have values and data of a table, got the shapes {values.shape} "
                f"and {data.shape}"
            )
        n_targets = 1 if values.ndim == 2 else values.shape[2]
        chosen = 0 if target is None and n_targets == 1 else target
        if chosen is None or not 0 <= chosen < n_targets:
            raise ValueError(f"target must be a number from 0 to {n_targets - 1}, got {target}")
        values = values.reshape(*values.shape[:2], n_targets)[:, :, chosen]
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            raise ValueError(f"explanation has SHAP values that are not finite in row {wrong[0]}")
        names = explanation.feature_names
        names = [f"feature {k}" for k in range(values.shape[1])] if names is None else list(names)
        display = cls(
            shap_values=pd.DataFrame(values, columns=names),
            features=pd.DataFrame(data, columns=names),
            unit=unit,
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
        display : ShapDisplay
            The display itself.
        """
        mean = self.shap_values.abs().mean()
        order = np.argsort(-mean.to_numpy(), kind="stable")
        self.importance_ = mean.iloc[order]
        first, others = order[: self.max_features], order[self.max_features :]
        names = [str(self.shap_values.columns[k]) for k in first]
        lines = [self.shap_values.iloc[:, k].to_numpy() for k in first]
        heights = [_relative(self.features.iloc[:, k].to_numpy(dtype=float)) for k in first]
        if len(others) == 1:
            names.append(str(self.shap_values.columns[others[0]]))
            lines.append(self.shap_values.iloc[:, others[0]].to_numpy())
            heights.append(_relative(self.features.iloc[:, others[0]].to_numpy(dtype=float)))
        elif len(others):
            names.append(f"sum of the other {len(others)}")
            lines.append(self.shap_values.iloc[:, others].sum(axis=1).to_numpy())
            heights.append(np.full(len(self.features), np.nan))
        labels = [wrap_name(name, _NAME_LENGTH) for name in names]
        if ax is None:
            n_text_lines = sum(max(1, label.count("\n") + 1) for label in labels)
            is_wide = max(map(len, names)) > _SHORT_NAME
            height = 0.8 + 0.14 * len(labels) + 0.14 * n_text_lines
            ax = new_axes(height, PAGE_WIDTH if is_wide else COLUMN_WIDTH)
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_lines(names, lines, heights, scatter_kwargs)
        ax.axvline(0, color="0.35", linewidth=0.9, zorder=1)
        ax.set_yticks(range(len(labels)), labels, fontsize=TICK_SIZE)
        ax.set_ylim(len(labels) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.set_xlim(self.limits)
        plain_ticks(ax.xaxis, 4)
        ax.set_xlabel(with_unit("SHAP value", self.unit))
        return self

    def _draw_lines(self, names, lines, heights, scatter_kwargs):
        """Draw the points of each feature, and the colour bar."""
        import matplotlib.pyplot as plt
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize

        colors = ListedColormap(plt.get_cmap("viridis")(np.linspace(0, _DARK_PART, 256)))
        colors = colors.with_extremes(bad=_GREY)
        low = min(map(np.min, lines))
        width = (max(map(np.max, lines)) - low) / _BINS or 1.0
        stacks = [_layers(values, low, width) for values in lines]
        highest = max(np.abs(stack).max() for stack in stacks)
        step = min(_HALF_HEIGHT / max(highest, 1), 0.12)
        n_points = len(lines) * len(lines[0])
        style = {
            "s": 10 if len(lines[0]) <= 500 else 5,
            "linewidths": 0,
            "cmap": colors,
            "norm": Normalize(0, 1),
            "plotnonfinite": True,
            "rasterized": n_points > RASTERIZE_ABOVE,
            "zorder": 2,
        } | scatter_kwargs
        self.points_ = {}
        for row, (name, values, stack, height) in enumerate(zip(names, lines, stacks, heights)):
            colored = style if "color" in style or "c" in style else {"c": height} | style
            self.points_[name] = self.ax_.scatter(values, row + step * stack, **colored)
            self.ax_.axhline(row, color="0.9", linewidth=0.6, zorder=0)
        self.colorbar_ = self.figure_.colorbar(
            ScalarMappable(style["norm"], style["cmap"]),
            cax=self.ax_.inset_axes([1.02, 0.1, 0.025, 0.8]),
            ticks=[0, 1],
        )
        self.colorbar_.ax.set_yticklabels(["low", "high"], fontsize=TICK_SIZE)
        self.colorbar_.ax.tick_params(length=0)
        self.colorbar_.set_label("value of the feature", size=LABEL_SIZE, labelpad=1)


def _relative(values):
    """Values of a feature from 0 to 1; NaN if they are missing or all equal."""
    known = values[np.isfinite(values)]
    if not len(known) or np.ptp(known) == 0:
        return np.full(len(values), np.nan)
    low, high = np.percentile(known, _PERCENTILES)
    if low == high:
        low, high = known.min(), known.max()
    return np.clip((values - low) / (high - low), 0, 1)


def _layers(values, low, width):
    """Layer of each point in the stack of its bin: 0, 1, -1, 2, -2, ..."""
    bins = np.floor((values - low) / width).astype(int)
    place = pd.Series(bins).groupby(bins).cumcount().to_numpy()
    return (place + 1) // 2 * np.where(place % 2, 1, -1)


def _unit_of_classes(estimator, X, explanation):
    """What the SHAP values of a classifier explain: its probabilities or log-odds."""
    from sklmat.model_inside import calibrated_models, find_model

    inside = find_model(estimator)
    models = calibrated_models(inside.model)
    outputs = np.asarray(explanation.values.sum(axis=1) + explanation.base_values)
    if models is not None or not hasattr(inside.model, "predict_proba"):
        return None
    probabilities = inside.model.predict_proba(inside.transform(X))
    if outputs.ndim == 1:
        probabilities = probabilities[:, 1]
    if probabilities.shape == outputs.shape and np.allclose(outputs, probabilities, atol=1e-3):
        return "probability"
    if outputs.ndim == 1:
        expected = 1 / (1 + np.exp(-outputs))
        return "log-odds" if np.allclose(expected, probabilities, atol=1e-3) else None
    return None
