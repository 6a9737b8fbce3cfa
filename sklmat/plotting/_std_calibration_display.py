"""`StdCalibrationDisplay`: whether standard deviations agree with the errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from sklmat.plotting._style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table


class StdCalibrationDisplay:
    """Plot of how many labels are within a multiple of the standard deviation, and should be.

    For every multiple k, a point has as abscissa the fraction of a normal distribution within ± k
    standard deviations, and as ordinate the fraction of the labels whose error is at most k times
    the predicted standard deviation. Below the diagonal the standard deviations are too small.

    `from_estimator` creates the display from fitted regressors, `from_predictions` from arrays. The
    constructor only stores its arguments.

    Parameters
    ----------
    y_true : ndarray of shape (C,)
        True values.
    y_pred : dict of str to ndarray of shape (C,)
        Predictions; the keys are the labels of the curves.
    std : dict of str to ndarray of shape (C,)
        Their standard deviations.

    Attributes
    ----------
    fractions_ : DataFrame
        A row for each curve and one for the normal distribution; columns "within 1 std", "within
        2 std", "within 3 std", and "area", the area between the curve and the diagonal: 0 is
        perfect, 0.5 the worst [1]_.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    References
    ----------
    .. [1] K. Tran, W. Neiswanger, J. Yoon, Q. Zhang, E. Xing, Z. W. Ulissi, Mach. Learn.: Sci.
       Technol. 1, 025006 (2020). :doi:`10.1088/2632-2153/ab7e1a`

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.plotting import StdCalibrationDisplay
    >>> display = StdCalibrationDisplay.from_predictions(
    ...     [0.0, 0.5, 1.5, 2.5], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]
    ... )
    >>> display.fractions_.round(3)
                         within 1 std  within 2 std  within 3 std   area
    prediction                  0.500         0.750         1.000  0.174
    normal distribution         0.683         0.954         0.997  0.000
    """

    def __init__(
        self,
        *,
        y_true: np.ndarray,
        y_pred: Mapping[str, np.ndarray],
        std: Mapping[str, np.ndarray],
    ) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.std = std

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator | Mapping[str, BaseEstimator],
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        *,
        ax: Axes | None = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Draw the calibration of fitted regressors.

        Parameters
        ----------
        estimator : fitted regressor or dict of str to fitted regressor
            Their ``predict`` must have the parameter `return_std`.
        X : sequence of C crystals, CrystalGraphs or table
            Rows on which they were not fitted.
        y : array-like of shape (C,)
            True values.
        ax : matplotlib Axes or None, default=None
            Axes to draw on; None creates a figure.
        **plot_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : StdCalibrationDisplay
        """
        if not isinstance(estimator, Mapping):
            estimator = {type(estimator).__name__: estimator}
        found = {name: model.predict(X, return_std=True) for name, model in estimator.items()}
        means, stds = ({name: pair[k] for name, pair in found.items()} for k in (0, 1))
        return cls.from_predictions(y, means, stds, ax=ax, **plot_kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        std: ArrayLike | Mapping[str, ArrayLike],
        *,
        ax: Axes | None = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Draw the calibration of given predictions.

        Parameters
        ----------
        y_true : array-like of shape (C,)
            True values.
        y_pred : array-like of shape (C,), or dict of str to such
            Predictions; a dict draws one curve for each entry.
        std : array-like of shape (C,), or dict of str to such
            Their standard deviations.
        ax : matplotlib Axes or None, default=None
            Axes to draw on; None creates a figure.
        **plot_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : StdCalibrationDisplay

        Raises
        ------
        ValueError
            When lengths or names differ, values are not finite, or a standard deviation is not
            positive.
        """
        if not isinstance(y_pred, Mapping):
            y_pred = {"prediction": y_pred}
            std = std if isinstance(std, Mapping) else {"prediction": std}
        if not isinstance(std, Mapping) or list(std) != list(y_pred):
            raise ValueError("y_pred and std must be dicts with the same keys, or both be arrays")
        true = _values(y_true, "y_true")
        means = {name: _values(part, f"y_pred of {name!r}", true) for name, part in y_pred.items()}
        stds = {name: _values(part, f"std of {name!r}", true) for name, part in std.items()}
        for name, values in stds.items():
            if not (values > 0).all():
                raise ValueError(f"std of {name!r} is not positive in row {np.argmin(values > 0)}")
        return cls(y_true=true, y_pred=means, std=stds).plot(ax=ax, **plot_kwargs)

    def plot(self, ax: Axes | None = None, **plot_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to draw on; None creates a figure.
        **plot_kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        display : StdCalibrationDisplay
            The display itself.
        """
        from scipy.special import erf

        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(3.6, 3.6), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        ax.plot([0, 1], [0, 1], color="0.35", linewidth=0.9, linestyle="--", zorder=1)
        multiples = np.array([1, 2, 3])
        rows = {}
        for k, name in enumerate(self.y_pred):
            sizes = np.sort(np.abs(self.y_true - self.y_pred[name]) / self.std[name])
            expected = np.concatenate([[0], erf(sizes / np.sqrt(2)), [1]])
            observed = np.concatenate([[0], np.arange(1, len(sizes) + 1) / len(sizes), [1]])
            style = {"color": COLORS[k % len(COLORS)], "label": name, "drawstyle": "steps-post"}
            ax.plot(expected, observed, **(style | plot_kwargs))
            within = [np.mean(sizes <= multiple) for multiple in multiples]
            rows[name] = [*within, _area(expected, observed)]
        rows["normal distribution"] = [*erf(multiples / np.sqrt(2)), 0.0]
        columns = [*(f"within {multiple} std" for multiple in multiples), "area"]
        self.fractions_ = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        ax.set(
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
            xlabel="fraction of a normal distribution",
            ylabel="fraction of the labels",
        )
        ax.legend(loc="upper left", fontsize=8, frameon=False)
        return self


def _area(expected, observed):
    """Area between the diagonal and the step from each point to the next one."""
    low, high, height = expected[:-1], expected[1:], observed[:-1]
    # Integral of |x - height|, whose sign changes at x = height.
    return float(np.sum(_signed(high, height) - _signed(low, height)))


def _signed(x, height):
    return 0.5 * (x - height) * np.abs(x - height)


def _values(values, name, like=None):
    """Return values as an array of one dimension, or raise a ValueError."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} must have the shape (C,), got {values.shape}")
    if like is not None and len(values) != len(like):
        raise ValueError(f"{name} has {len(values)} values for {len(like)} labels")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite in row {np.argmin(np.isfinite(values))}")
    return values
