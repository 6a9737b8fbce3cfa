"""`StepFitter`: fit the steps of a Pipeline to some rows, and stop its boosting with others."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from sklmat.exceptions import ERRORS_OF_ROWS, with_row_of_input
from sklmat.model_selection._boosting import XGBoost, boosting_of
from sklmat.targets import weight_column


class Rows:
    """Some rows of the data, with their targets, weights and numbers in the input of `fit`."""

    def __init__(self, X, y, weight, numbers):
        self.X, self.y = _safe_indexing(X, numbers), _safe_indexing(y, numbers)
        self.weight = None if weight is None else weight[numbers]
        self.numbers = numbers

    def replaced(self, X, y, weight):
        """Return what the steps of a Pipeline made of the rows."""
        if weight is not None and len(weight) != _num_samples(X):
            raise ValueError(
                f"a sampler made {_num_samples(X)} of {len(weight)} rows, whose weights are not "
                "known: leave out sample_weight, or the sampler"
            )
        new = object.__new__(Rows)
        new.X, new.y, new.weight, new.numbers = X, y, weight, self.numbers
        return new

    @contextmanager
    def named(self):
        """Number the rows in errors as in the input of `fit`."""
        try:
            yield
        except ERRORS_OF_ROWS as error:
            if not 0 <= error.index < len(self.numbers):
                raise
            raise with_row_of_input(error, self.numbers) from error


def rows_with_weight(n, sample_weight):
    """Return the numbers of the rows that have a weight, and the weights of all n, or None."""
    rows, weight = np.arange(n), None
    if sample_weight is not None:
        weight = weight_column(sample_weight, n)
        rows = np.flatnonzero(weight)
    if len(rows) < 2:
        raise ValueError(
            f"n_samples={len(rows)} (rows with weight): early stopping needs at least two, one of "
            "them for validation"
        )
    return rows, weight


class _Receiver(BaseEstimator):
    """Last step of a Pipeline that keeps the rows which the steps before it give."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.sample_weight_ = X, y, sample_weight
        return self


class StepFitter:
    """Fits a boosting model, or a Pipeline that ends in one, and hands over validation rows.

    Parameters
    ----------
    n_iter_no_change : int
    classes : ndarray or None
        The classes, for a classifier.
    """

    def __init__(self, n_iter_no_change, classes):
        self.n_iter_no_change = n_iter_no_change
        self.classes = classes

    def fit(self, estimator, train, validation=None, n_iterations=None):
        """Fit an estimator, or the steps of a Pipeline, in place.

        Parameters
        ----------
        estimator : boosting model or Pipeline
        train : Rows
        validation : Rows or None
            None trains for `n_iterations`.
        n_iterations : int or None

        Returns
        -------
        estimator : the same object
        last : boosting model
            Its last step, fitted.
        """
        if not isinstance(estimator, Pipeline):
            return estimator, self._fit_boosting(estimator, train, validation, n_iterations)
        name, last = estimator.steps[-1]
        receiver = _Receiver()
        estimator.steps[-1] = (name, receiver)
        weights = {}
        if train.weight is not None:
            routed = get_config()["enable_metadata_routing"]
            if routed:
                receiver.set_fit_request(sample_weight=True)
            key = "sample_weight" if routed else f"{name}__sample_weight"
            weights[key] = train.weight
        with train.named():
            estimator.fit(train.X, train.y, **weights)
        train = train.replaced(receiver.X_, receiver.y_, receiver.sample_weight_)
        if validation is not None:
            X = validation.X
            with validation.named():
                for _, step in estimator.steps[:-1]:
                    # Samplers and "passthrough" have no transform.
                    X = step.transform(X) if hasattr(step, "transform") else X
            validation = validation.replaced(X, validation.y, validation.weight)
        fitted, boosting_model = self.fit(last, train, validation, n_iterations)
        estimator.steps[-1] = (name, fitted)
        return estimator, boosting_model

    def _fit_boosting(self, model, train, validation, n_iterations):
        boosting = boosting_of(model)
        weights = {} if train.weight is None else {"sample_weight": train.weight}
        labels = self._labels_for(boosting, train.y)
        if validation is None:
            boosting.fix_iterations(model, n_iterations)
            return model.fit(train.X, labels, **weights)
        boosting.prepare(model, self.n_iter_no_change)
        labels_val = self._labels_for(boosting, validation.y)
        given = boosting.arguments(
            model, self.n_iter_no_change, validation.X, labels_val, validation.weight
        )
        return model.fit(train.X, labels, **weights, **given)

    def _labels_for(self, boosting, y):
        """Targets as the boosting takes them: XGBoost takes no classes but 0, 1, ..."""
        if self.classes is None or not isinstance(boosting, XGBoost):
            return y
        return np.searchsorted(self.classes, np.asarray(y))
