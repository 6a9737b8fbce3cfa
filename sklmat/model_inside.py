"""`find_model`: the fitted model inside searches, pipelines and other meta-estimators."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation import AugmentedClassifier, AugmentedRegressor
from sklmat.model_selection import EarlyStoppingClassifier, EarlyStoppingRegressor

_HOLDERS = (
    AugmentedRegressor,
    AugmentedClassifier,
    EarlyStoppingRegressor,
    EarlyStoppingClassifier,
)
_NO_BEST = (
    "This %(name)s has no best_estimator_: call fit with refit=True, or pass one of the estimators"
)


@dataclass(frozen=True)
class ModelInside:
    """A fitted model, and what the estimators around it do before and after its prediction.

    Parameters
    ----------
    model : estimator
        The innermost model. It is a `CalibratedClassifierCV` if there is one, because this may hold
        several models: see `calibrated_models`.
    steps : tuple of transformers
        Steps of pipelines, in the order in which they transform the input of the model.
    targets : tuple of TransformedTargetRegressor
        Outermost first. Their transformers are inverted after the prediction of the model.
    threshold : FixedThresholdClassifier, TunedThresholdClassifierCV or None
        The outermost classifier of this kind. Only its threshold affects the predicted class.
    readers : tuple of estimators
        The estimators that take the input before any step, outermost first, without searches and
        FrozenEstimators, which only pass the input on. ``readers[0].predict`` gives the predictions
        of the whole estimator.
    """

    model: Any
    steps: tuple
    targets: tuple
    threshold: Any
    readers: tuple

    def transform(self, X: Any) -> Any:
        """Transform rows by all steps before the model."""
        return self.transform_with_names(X)[0]

    def transform_with_names(self, X: Any, names: list | None = None) -> tuple[Any, list | None]:
        """Transform rows by all steps before the model, and follow the names of the columns.

        Parameters
        ----------
        X : what the estimator predicts from
        names : list or None, default=None
            Names of its columns; None takes those of a DataFrame.

        Returns
        -------
        X
            What the model predicts from.
        names : list or None
            Names of its columns; None if it is no table, or no step has named them.
        """
        if names is None and isinstance(X, pd.DataFrame):
            names = list(X.columns)
        for step in self.steps:
            X = step.transform(X)
            names = _column_names(step, X, names)
        return X, names

    def target_scaling(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slope and shift that convert outputs of the model to predictions of the estimator.

        Parameters
        ----------
        outputs : ndarray of shape (n, T)
            Outputs, or numbers like them, for which the conversion must be linear.

        Returns
        -------
        slope, shift : ndarray of shape (T,)
            Predictions are outputs * slope + shift.

        Raises
        ------
        ValueError
            When a `TransformedTargetRegressor` does more than scale and shift each target.
        """
        slope, shift = np.ones(outputs.shape[1]), np.zeros(outputs.shape[1])
        for target in reversed(self.targets):
            inverse, inner = target.transformer_.inverse_transform, outputs * slope + shift
            with np.errstate(all="ignore"):
                at_zero = inverse(np.zeros_like(inner[:1]))[0]
                gain = inverse(np.ones_like(inner[:1]))[0] - at_zero
                is_linear = np.allclose(inverse(inner), inner * gain + at_zero, rtol=1e-4)
            if not is_linear:
                raise ValueError(
                    "the TransformedTargetRegressor does more than scale and shift y, so that no "
                    "contributions add up to its predictions and no error has their unit; pass its "
                    "regressor_, which predicts the transformed target"
                )
            slope, shift = slope * gain, shift * gain + at_zero
        return slope, shift

    def rescaled(self, scale: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift that convert scaled outputs of a network to predictions of the estimator.

        Parameters
        ----------
        scale, shift : ndarray of shape (T,)
            The network predicts outputs * scale + shift, with outputs of about one standard
            deviation.

        Raises
        ------
        ValueError
            As in `target_scaling`.
        """
        outputs = np.random.default_rng(0).normal(size=(16, len(scale)))
        slope, offset = self.target_scaling(outputs * scale + shift)
        return scale * slope, shift * slope + offset


def find_model(estimator: Any) -> ModelInside:
    """Find the fitted model inside a search, a pipeline or another meta-estimator.

    Parameters
    ----------
    estimator : fitted estimator
        The model may be inside a FrozenEstimator, at the end of a Pipeline of scikit-learn or
        imbalanced-learn, the best one of a search (any estimator with ``best_estimator_``), or the
        one of an `AugmentedRegressor`, an `AugmentedClassifier`, an `EarlyStoppingRegressor`, an
        `EarlyStoppingClassifier`, a `TransformedTargetRegressor`, a `FixedThresholdClassifier` or a
        `TunedThresholdClassifierCV`, also one inside the other.

    Returns
    -------
    ModelInside

    Raises
    ------
    NotFittedError
        When one of these estimators is not fitted, or a search has no best estimator.
    """
    steps: list[Any] = []
    targets: list[Any] = []
    readers: list[Any] = []
    threshold = None
    while True:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
            continue
        if isinstance(estimator, BaseSearchCV) or hasattr(estimator, "best_estimator_"):
            if not hasattr(estimator, "best_estimator_"):
                check_is_fitted(estimator, "best_estimator_", msg=_NO_BEST)  # raises
            estimator = estimator.best_estimator_
            continue
        if not steps:
            readers.append(estimator)
        if isinstance(estimator, Pipeline):
            check_is_fitted(estimator)
            # Samplers of a Pipeline of imbalanced-learn are for the rows of fit only.
            steps += [
                step
                for _, step in estimator.steps[:-1]
                if step not in (None, "passthrough") and not hasattr(step, "fit_resample")
            ]
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, _HOLDERS):
            check_is_fitted(estimator)
            estimator = estimator.estimator_
        elif isinstance(estimator, TransformedTargetRegressor):
            check_is_fitted(estimator)
            targets.append(estimator)
            estimator = estimator.regressor_
        elif isinstance(estimator, FixedThresholdClassifier | TunedThresholdClassifierCV):
            threshold = estimator if threshold is None else threshold
            # Without a fit of its own, it predicts with the classifier that it was given.
            estimator = getattr(estimator, "estimator_", estimator.estimator)
            check_is_fitted(estimator)
        else:
            return ModelInside(estimator, tuple(steps), tuple(targets), threshold, tuple(readers))


def calibrated_models(model: Any) -> list[Any] | None:
    """Return the fitted classifiers inside a `CalibratedClassifierCV`, or None for other models.

    There is one for each fold of its cross-validation, or only one with ``ensemble=False`` and for
    a FrozenEstimator. Their predictions are those before the calibration.
    """
    if not isinstance(model, CalibratedClassifierCV):
        return None
    check_is_fitted(model)
    return [each.estimator for each in model.calibrated_classifiers_]


def preferred_class(threshold: Any) -> tuple[Any, float]:
    """Class that a threshold classifier prefers, and the smallest probability that it then needs.

    Parameters
    ----------
    threshold : fitted FixedThresholdClassifier or TunedThresholdClassifierCV
        Of a classifier with `predict_proba` and without `decision_function`.

    Returns
    -------
    label
        Class that is predicted where both classes have the same probability.
    smallest : float
        The class is predicted where its probability is at least this.
    """
    if isinstance(threshold, TunedThresholdClassifierCV):
        smallest = threshold.best_threshold_
    else:
        smallest = 0.5 if threshold.threshold == "auto" else threshold.threshold
    # Which class the threshold is for may follow from a scorer, so a prediction shows it.
    with_even = copy(threshold)
    with_even.estimator_ = _EvenClassifier().fit(None, threshold.classes_)
    return with_even.predict(np.zeros((1, 1)))[0], float(min(smallest, 1 - smallest))


class _EvenClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that gives two classes the same probability."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def _column_names(step, X, names):
    """Names of the columns that a step made; None if it made no table."""
    if isinstance(X, pd.DataFrame):
        return list(X.columns)
    if not (isinstance(X, np.ndarray) or sparse.issparse(X)) or X.ndim != 2:
        return None
    try:
        return list(step.get_feature_names_out(names))
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return [f"{type(step).__name__} {number}" for number in range(X.shape[1])]
