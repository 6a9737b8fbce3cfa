"""Regression and classification on top of `GraphEstimator`: targets, scaling, classes."""

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from sklmat.estimators._base import GraphEstimator


class GraphRegressor(RegressorMixin, GraphEstimator):
    """Targets scaled to mean 0 and standard deviation 1 over the training rows."""

    _stratify = False

    @property
    def _loss(self):
        return self.loss

    def _check_targets(self, y):
        try:
            y = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must be numeric for a regressor: {error}") from error
        if y.ndim not in (1, 2):
            raise ValueError(f"y must have the shape (C,) or (C, n_targets), got {y.shape}")
        table = y.reshape(len(y), -1)
        usable = np.isfinite(table).all(axis=1)
        if table.shape[1] > 1:
            # Of several targets some may be missing.
            usable = ~np.isinf(table).any(axis=1) & np.isfinite(table).any(axis=1)
        bad = np.flatnonzero(~usable)
        if len(bad):
            what = "infinite, or NaN in all targets," if table.shape[1] > 1 else "NaN or infinite"
            raise ValueError(
                f"y is {what} in {len(bad)} rows: {bad[:10].tolist()}"
                f"{'...' if len(bad) > 10 else ''}; drop these rows of X and y"
            )
        return y

    def _weigh(self, y, weight):
        if y.ndim == 1:
            return weight * self._target_weights(1)[0]
        return weight[:, None] * np.isfinite(y) * self._target_weights(y.shape[1])

    def _target_weights(self, n_targets):
        return np.ones(n_targets)

    def _encode_targets(self, y, y_train, go_on, classes):
        table, train = y.reshape(len(y), -1), y_train.reshape(len(y_train), -1)
        if go_on:
            if table.shape[1] != self.n_outputs_ or y.ndim != self.target_ndim_:
                raise ValueError(f"y has the shape {y.shape}, other than in the first fit")
            mean, scale = self.y_mean_, self.y_scale_
        else:
            empty = np.flatnonzero(np.isnan(train).all(axis=0))
            if len(empty):
                raise ValueError(
                    f"no training row has target {empty.tolist()}; leave it out of y (rows without "
                    "weight, or set aside by early_stopping, do not count)"
                )
            mean, scale = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
            scale[scale <= 1e-12 * np.abs(mean)] = 1.0
        state = {
            "y_mean": mean,
            "y_scale": scale,
            "n_outputs": table.shape[1],
            "target_ndim": y.ndim,
        }
        # Missing values have no weight; zeros stand for them, since NaN times zero is NaN.
        return torch.tensor(np.nan_to_num((table - mean) / scale), dtype=torch.float32), state

    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch more at the constant rate `lr`.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
        y : array-like of shape (C,) or (C, n_targets)
            The first call decides how targets are scaled.
        sample_weight : array-like of shape (C,), default=None

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X, return_std=False):
        """Predict the targets.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
        return_std : bool, default=False
            Also return the standard deviation over the members of the ensemble.

        Returns
        -------
        y : ndarray of shape (C,) or (C, n_targets)
            In the shape and unit of the `y` given to `fit`.
        std : ndarray like `y`
            Only when asked for: how far the members disagree. It says nothing about noise in the
            labels.

        Raises
        ------
        ValueError
            When `return_std` is asked of a single network, graphs were built otherwise than
            those of `fit`, or a crystal has an element whose vector was to be learned and that no
            training row had (ECNet with ``atom_init="onehot"``).
        """
        outputs = self._outputs(X)
        if return_std and len(outputs) < 2:
            raise ValueError("return_std needs an ensemble: set n_ensemble to 2 or more, and refit")
        y = outputs.astype(np.float64) * self.y_scale_ + self.y_mean_
        if self.target_ndim_ == 1:
            y = y[..., 0]
        return (y.mean(axis=0), y.std(axis=0)) if return_std else y.mean(axis=0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class GraphClassifier(ClassifierMixin, GraphEstimator):
    """Classes of any type; cross-entropy; softmax probabilities averaged over the ensemble."""

    _stratify = True
    _loss = "cross_entropy"

    def _check_targets(self, y):
        y = np.asarray(y)
        if y.ndim != 1:
            raise ValueError(f"y must be one label per structure, got the shape {y.shape}")
        missing = np.flatnonzero(pd.isna(y))
        if len(missing):
            raise ValueError(f"y is missing in rows {missing[:10].tolist()}; drop these rows")
        check_classification_targets(y)
        return y

    def _encode_targets(self, y, y_train, go_on, classes):
        if go_on:
            if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
                raise ValueError(
                    f"classes={list(classes)} differ from those of the first call: "
                    f"{self.classes_.tolist()}"
                )
            classes = self.classes_
        else:
            classes = np.unique(y_train if classes is None else classes)
        if len(classes) < 2:
            raise ValueError(f"y has a single class, {str(classes[0])!r}; a classifier needs two")
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        if (classes[codes] != y).any():
            row = int(np.argmax(classes[codes] != y))
            raise ValueError(
                f"row {row} has the class {str(y[row])!r}, not one of {classes.tolist()}"
            )
        return torch.from_numpy(codes), {"classes": classes, "n_outputs": len(classes)}

    def _weigh(self, y, weight):
        return weight * compute_sample_weight(self.class_weight, y)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch more at the constant rate `lr`.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
        y : array-like of shape (C,)
        classes : array-like, default=None
            All classes that will ever come; needed only if the first call does not hold them all.
        sample_weight : array-like of shape (C,), default=None

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        ndarray of shape (C, n_classes)
            Columns in the order of ``classes_``.
        """
        logits = self._outputs(X).astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        odds = np.exp(logits)
        return (odds / odds.sum(axis=-1, keepdims=True)).mean(axis=0)

    def predict(self, X):
        """The most probable class.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs

        Returns
        -------
        ndarray of shape (C,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]
