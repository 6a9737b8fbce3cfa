"""`RegressionTargets` and `ClassTargets`: convert `y` to the targets of a network, and back.

They check `y`, compute the weights of rows and of missing values, scale numbers or encode classes
as integers, and convert the outputs of a network to predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from sklmat.targets import as_numbers, label_column, number_array, refuse_out_of_range

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.typing import ArrayLike


class RegressionTargets:
    """Targets of a regressor, scaled to mean 0 and standard deviation 1.

    Parameters
    ----------
    loss : {"mae", "mse", "huber"}
        Loss of the scaled targets.
    weights : array-like of shape (n_targets,), default=None
        Weight of each target in the loss; ones by default.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_targets,)
        Mean and standard deviation of the training targets. `fit` computes them unless they are set
        already.
    n_outputs : int or None
        Number of targets.
    n_dim : {1, 2}
        Dimensions of `y`.
    """

    stratified = False
    #: Own attributes -> fitted attributes of the estimator, without the underscore.
    fitted_names = {
        "mean": "y_mean",
        "scale": "y_scale",
        "n_outputs": "n_outputs",
        "n_dim": "target_ndim",
    }

    def __init__(self, loss: str, weights: ArrayLike | None = None) -> None:
        self.loss = loss
        self.weights = weights
        self.n_outputs: int | None = None

    @classmethod
    def of(cls, estimator: GraphEstimator) -> Self:
        """Make unfitted targets from the parameters of an estimator."""
        return cls(estimator.loss, getattr(estimator, "target_weights", None))

    def check(self, y: ArrayLike) -> np.ndarray:
        """Return `y` as numbers; raise an error that names invalid rows.

        Parameters
        ----------
        y : array-like of shape (C,) or (C, n_targets)

        Returns
        -------
        ndarray like `y`, float64
        """
        try:
            y = as_numbers(y)
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must be numeric for a regressor: {error}") from error
        if y.ndim not in (1, 2):
            raise ValueError(f"y must have the shape (C,) or (C, n_targets), got {y.shape}")
        if y.ndim == 2 and not y.shape[1]:
            raise ValueError("y has no targets: it has rows without columns")
        table = y.reshape(len(y), -1) if len(y) else y.reshape(0, 1)
        usable = np.isfinite(table).all(axis=1)
        if table.shape[1] > 1:
            # With several targets, some may be missing in a row, but not all.
            usable = ~np.isinf(table).any(axis=1) & np.isfinite(table).any(axis=1)
        bad = np.flatnonzero(~usable)
        if len(bad):
            what = "infinite, or NaN in all targets," if table.shape[1] > 1 else "NaN or infinite"
            raise ValueError(
                f"y is {what} in {len(bad)} rows: {bad[:10].tolist()}"
                f"{'...' if len(bad) > 10 else ''}; drop these rows of X and y"
            )
        refuse_out_of_range(y)
        return y

    def fit(
        self,
        y: np.ndarray,
        sample_weight: np.ndarray,
        train: np.ndarray,
        valid: np.ndarray,
        classes: None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute mean and standard deviation of the training rows, unless they are set already.

        Parameters
        ----------
        y : ndarray of shape (C,) or (C, n_targets)
            Result of `check`.
        sample_weight : ndarray of shape (C,)
            Rows with zero weight are left out of the scaling.
        train, valid : ndarray of int
            Training rows and validation rows.
        classes : None
            Ignored.

        Returns
        -------
        encoded : Tensor of shape (C, n_targets)
            Scaled targets.
        weight : ndarray of shape (C,) or (C, n_targets)
            Weight in the loss, with a mean of one over the training rows; zero where a target is
            missing.
        """
        if y.ndim == 1:
            weight = sample_weight * self._target_weights(1)[0]
        else:
            weight = sample_weight[:, None] * np.isfinite(y) * self._target_weights(y.shape[1])
        weight = _normalized(weight, train, valid)
        if self.n_outputs is None:
            self._fit_scaling(y, train[sample_weight[train] > 0])
        elif y.reshape(len(y), -1).shape[1] != self.n_outputs or y.ndim != self.n_dim:
            raise ValueError(f"y has the shape {y.shape}, other than in the first fit")
        return self.encode(y), weight

    def _target_weights(self, n_targets):
        if self.weights is None:
            return np.ones(n_targets)
        weights = number_array(self.weights, "target_weights")
        usable = np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
        if weights.shape != (n_targets,) or not usable:
            raise ValueError(
                f"target_weights must be {n_targets} numbers that are not negative, one per "
                f"column of y, got {self.weights!r}"
            )
        return weights

    def _fit_scaling(self, y, rows):
        table = y[rows].reshape(len(rows), -1)
        empty = np.flatnonzero(np.isnan(table).all(axis=0))
        if len(empty):
            raise ValueError(
                f"no training row has target {empty.tolist()}; leave it out of y (rows with zero "
                "weight and the validation rows of early_stopping are not training rows)"
            )
        mean, scale = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
        scale[scale <= 1e-12 * np.abs(mean)] = 1.0
        self.mean, self.scale = mean, scale
        self.n_outputs, self.n_dim = table.shape[1], y.ndim

    def rescale(self, y: np.ndarray, rows: np.ndarray, predictions: np.ndarray) -> list[int]:
        """Scale the targets anew that are on another scale than those of the first training.

        These are the targets from which the predictions differ by more than half of the standard
        deviation, of the first training or of the rows, whichever is larger.

        Parameters
        ----------
        y : ndarray of shape (C,) or (C, n_targets)
            Result of `check`.
        rows : ndarray of int
            Rows of the training.
        predictions : ndarray like `y`
            Predictions of the fitted networks.

        Returns
        -------
        list of int
            Numbers of the targets with a new scaling. Without two different values, only the mean
            is new.
        """
        table = y[rows].reshape(len(rows), -1)
        error = predictions[rows].reshape(len(rows), -1) - table
        means, scales, rescaled = self.mean.copy(), self.scale.copy(), []
        for target, old in enumerate(self.scale):
            seen = ~np.isnan(table[:, target])
            if not seen.any():
                continue
            mean, scale = table[seen, target].mean(), table[seen, target].std()
            is_far = np.sqrt(np.mean(error[seen, target] ** 2)) > 0.5 * max(old, scale)
            if is_far and (mean, scale) != (self.mean[target], old):
                means[target] = mean
                scales[target] = scale if scale > 1e-12 * abs(mean) else old
                rescaled.append(target)
        if rescaled:
            self.mean, self.scale = means, scales
        return rescaled

    def encode(self, y: np.ndarray) -> torch.Tensor:
        """Scaled targets, Tensor of shape (C, n_targets)."""
        scaled = (y.reshape(len(y), -1) - self.mean) / self.scale
        # Missing values have zero weight. They are replaced by zeros, since NaN times zero is NaN.
        return torch.tensor(np.nan_to_num(scaled), dtype=torch.float32)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions in the unit and shape of `y`.

        Parameters
        ----------
        outputs : ndarray of shape (..., n_targets)

        Returns
        -------
        ndarray of shape (...,) or (..., n_targets)
        """
        return self.in_shape_of_y(outputs.astype(np.float64) * self.scale + self.mean)

    def in_shape_of_y(self, values: np.ndarray) -> np.ndarray:
        """Remove the last axis if `y` had one dimension."""
        return values[..., 0] if self.n_dim == 1 else values

    def same_outputs_as(self, other: RegressionTargets) -> bool:
        """Whether `other` has the same number of targets; their scaling may differ."""
        return isinstance(other, RegressionTargets) and self.n_outputs == other.n_outputs


class ClassTargets:
    """Targets of a classifier: labels of any type, encoded as integers in sorted order.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        As in scikit-learn.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, sorted. `fit` finds them unless they are set already.
    n_outputs : int or None
        Number of classes.
    """

    stratified = True
    loss = "cross_entropy"
    #: Own attributes -> fitted attributes of the estimator, without the underscore.
    fitted_names = {"classes": "classes", "n_outputs": "n_outputs"}

    def __init__(self, class_weight: dict[Any, float] | Literal["balanced"] | None = None) -> None:
        self.class_weight = class_weight
        self.classes: np.ndarray
        self.n_outputs: int | None = None

    @classmethod
    def of(cls, estimator: GraphEstimator) -> Self:
        """Make unfitted targets from the parameters of an estimator."""
        return cls(estimator.class_weight)

    def check(self, y: ArrayLike) -> np.ndarray:
        """Return `y` as an array of shape (C,); raise an error that names invalid rows.

        A column, of shape (C, 1), is accepted with a DataConversionWarning.
        """
        y = label_column(y)
        if y.ndim != 1:
            raise ValueError(f"y must be one label per structure, got the shape {y.shape}")
        missing = np.flatnonzero(pd.isna(y))
        if len(missing):
            raise ValueError(f"y is missing in rows {missing[:10].tolist()}; drop these rows")
        check_classification_targets(y)
        return y

    def fit(
        self,
        y: np.ndarray,
        sample_weight: np.ndarray,
        train: np.ndarray,
        valid: np.ndarray,
        classes: ArrayLike | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Find the classes in the rows with weight, unless they are given or set already.

        Parameters
        ----------
        y : ndarray of shape (C,)
            Result of `check`.
        sample_weight : ndarray of shape (C,)
        train, valid : ndarray of int
            Training rows and validation rows.
        classes : array-like, default=None
            All classes, also those that this `y` lacks.

        Returns
        -------
        encoded : Tensor of shape (C,), int64
            Index of the class of each row.
        weight : ndarray of shape (C,)
            Weight in the loss, with a mean of one over the training rows.
        """
        if classes is not None:
            classes = label_column(classes)
        weight = sample_weight * self._class_weights(y, np.flatnonzero(sample_weight))
        weight = _normalized(weight, train, valid)
        if self.n_outputs is not None:
            known = self.classes
            if classes is not None and not np.array_equal(np.unique(classes), known):
                raise ValueError(
                    f"classes={list(classes)} differ from those of the first call: {known.tolist()}"
                )
        else:
            known = np.unique(y[sample_weight > 0] if classes is None else classes)
        if len(known) < 2:
            raise ValueError(f"y has a single class, {str(known[0])!r}; a classifier needs two")
        self.classes, self.n_outputs = known, len(known)
        # Rows without weight may have any other class.
        return self.encode(np.where(sample_weight > 0, y, known[0])), weight

    def _class_weights(self, y, rows):
        """Weight of the class of each row; "balanced" counts some rows."""
        balanced = self.class_weight == "balanced"
        return compute_sample_weight(self.class_weight, y, indices=rows if balanced else None)

    def encode(self, y: np.ndarray) -> torch.Tensor:
        """Indices of the classes, Tensor of shape (C,), int64; an unknown class is an error."""
        codes = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        unknown = np.flatnonzero(self.classes[codes] != y)
        if len(unknown):
            row, known = int(unknown[0]), self.classes.tolist()
            raise ValueError(f"row {row} has the class {str(y[row])!r}, not one of {known}")
        return torch.from_numpy(codes)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Most probable class of each row of outputs or probabilities, shape (C,)."""
        return self.classes[outputs.argmax(axis=-1)]

    def same_outputs_as(self, other: ClassTargets) -> bool:
        """Whether `other` has the same classes."""
        return isinstance(other, ClassTargets) and np.array_equal(self.classes, other.classes)


def _normalized(weight, train, valid):
    """Scale weights to a mean of one over the training rows, to keep the size of the gradients."""
    if not weight[train].any():
        raise ValueError("all training rows have the weight zero; there is nothing to fit")
    weight = weight / weight[train].mean()
    if len(valid) and not weight[valid].any():
        raise ValueError(
            "early_stopping has no validation loss: no validation row has a target with a weight "
            "above zero; increase validation_fraction, or use another random_state"
        )
    return weight


def fitted_targets(estimator: GraphEstimator) -> RegressionTargets | ClassTargets:
    """Make the targets of a fitted graph estimator from its fitted attributes.

    Parameters
    ----------
    estimator : fitted GraphEstimator

    Returns
    -------
    RegressionTargets or ClassTargets
    """
    targets = estimator.targets_class.of(estimator)
    for own, name in targets.fitted_names.items():
        setattr(targets, own, getattr(estimator, f"{name}_"))
    return targets


def fitted_attributes(targets):
    """Fitted attributes of an estimator from its targets: name without underscore -> value."""
    return {name: getattr(targets, own) for own, name in targets.fitted_names.items()}
