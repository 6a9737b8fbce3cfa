"""`ConformalRegressor`: prediction intervals of any regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.docstrings import insert_paragraphs
from sklmat.fitted_state import unchanged_by_failure
from sklmat.model_selection._conformal import PARAGRAPHS, ConformalMixin, require_mapie
from sklmat.model_selection._out_of_fold import (
    fit_folds,
    one_target,
    predict_with_all,
    predicted_column,
    predictions_and_stds,
)
from sklmat.scores import RegressorScoreMixin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sklearn.model_selection import BaseCrossValidator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures, Table


@insert_paragraphs(PARAGRAPHS)
class ConformalRegressor(ConformalMixin, RegressorScoreMixin, BaseEstimator):
    """Regressor with prediction intervals that hold a given fraction of the labels of new rows.

    The width of an interval is not what a model believes about itself, but follows from its errors
    on rows that it was not fitted on (conformal prediction). It is valid for any regressor: a graph
    network, a Pipeline of features and boosting, a Gaussian process. MAPIE computes the intervals.

    Parameters
    ----------
    estimator : regressor
        A regressor or Pipeline; it is cloned. With "split" also
        ``sklearn.frozen.FrozenEstimator(fitted)``: all rows given to `fit` then calibrate this
        model, which must have been fitted on other rows.
    {method}
    {confidence_level}
    conformity_score : {"absolute", "normalized"}, default="absolute"
        "absolute" takes residuals: all intervals are about equally wide. "normalized" divides them
        by the standard deviation that ``predict(X, return_std=True)`` of `estimator` gives
        (networks with `n_ensemble` of 2 or more, Gaussian processes): the intervals are wider where
        the model is less certain.
    {cv}
    {calibration_fraction}
    {n_jobs}
    {random_state}

    Attributes
    ----------
    {estimators_}
    calibration_ : DataFrame
        The calibration rows: ``row`` (its number in `X`), ``fold`` (the model that was not fitted
        on it), ``group``, ``y``, ``prediction`` and, with "normalized", ``std``.
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    CalibratedStdRegressor : Standard deviations that agree with the errors.
    ApplicabilityDomain : Tells rows that are unlike the training rows, where no coverage is
        guaranteed.
    sklmat.model_selection.coverage_scorer : Fraction of labels inside their intervals.

    Notes
    -----
    It needs the package MAPIE: ``pip install "sklmat[uq]"``.

    {groups}

    {guarantee}

    With "cv+", `predict` gives the mean of the models of the folds.

    References
    ----------
    .. [1] R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, Ann. Statist. 49, 486 (2021).
       :doi:`10.1214/20-AOS1965`
    .. [2] R. Dunn, L. Wasserman, A. Ramdas, J. Am. Stat. Assoc. 118, 2491 (2023).
       :doi:`10.1080/01621459.2022.2060112`
    .. [3] Y. Lee, R. F. Barber, R. Willett, arXiv:2306.06342 (2023).
       :doi:`10.48550/arXiv.2306.06342`
    .. [4] V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, Springer
       (2005). :doi:`10.1007/b106715`

    Examples
    --------
    >>> from sklearn.linear_model import RidgeCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import CompositionFeaturizer, ConformalRegressor
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(60)
    >>> X, y = alloys.data, alloys.target
    >>> model = ConformalRegressor(
    ...     make_pipeline(CompositionFeaturizer(), RidgeCV()), confidence_level=0.8, random_state=0
    ... )
    >>> intervals = model.fit(X[:40], y[:40]).predict_interval(X[40:])
    >>> intervals.shape
    (20, 2)
    >>> inside = (intervals[:, 0] <= y[40:]) & (y[40:] <= intervals[:, 1])
    >>> float(inside.mean())
    0.9
    """

    _what = "intervals"

    _parameter_constraints: dict = {
        **ConformalMixin._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"])],
        "conformity_score": [StrOptions({"absolute", "normalized"})],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        method: Literal["cv+", "split"] = "cv+",
        confidence_level: float = 0.9,
        conformity_score: Literal["absolute", "normalized"] = "absolute",
        cv: int | BaseCrossValidator | Iterable = 5,
        calibration_fraction: float = 0.25,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(
            estimator,
            method=method,
            confidence_level=confidence_level,
            cv=cv,
            calibration_fraction=calibration_fraction,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.conformity_score = conformity_score

    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the models, and compute their residuals on the calibration rows.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Whatever `estimator` takes.
        y : array-like of shape (n,)
            Targets.
        groups : array-like of shape (n,), default=None
            Rows with the same label are on the same side: all fitted or all calibrated with. None
            takes the compositions; see Notes.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ImportError
            When MAPIE is not installed.
        InvalidStructureError
            When a crystal cannot be used; the error names its row in `X`.
        TypeError
            When `estimator` is a classifier, or gives no standard deviation and
            `conformity_score` is "normalized".
        ValueError
            When `y` has several columns, is missing or infinite in a row, or the calibration rows
            are too few for `confidence_level`.
        """
        self._check_parameters()
        values = one_target(y, type(self).__name__)
        X, folds, labels = self._calibration(X, values, groups)
        params: dict = {"return_std": True} if self.conformity_score == "normalized" else {}
        found = fit_folds(self.estimator, X, values, folds, n_jobs=self.n_jobs, **params)
        outputs = [
            _columns(output, len(test), fitted, bool(params))
            for output, (_, test), fitted in zip(found.outputs, folds, found.estimators)
        ]
        columns = {
            "row": found.rows,
            "fold": found.fold,
            "group": labels[found.rows],
            "y": values[found.rows],
        }
        joined = found.joined([np.column_stack(output) for output in outputs])
        columns |= dict(zip(["prediction", "std"], joined.T))
        table = pd.DataFrame(columns)
        if "std" in table and not (table["std"] > 0).all():
            row = table.loc[~(table["std"] > 0), "row"].iloc[0]
            raise ValueError(
                f"the standard deviation of row {row} is not positive, and residuals cannot be "
                'divided by it; use conformity_score="absolute"'
            )
        self.calibration_ = table
        self.estimators_ = found.estimators
        return self

    def predict(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Predict the target: the mean of the models.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n,)
            Predicted targets, in their units.
        """
        check_is_fitted(self)
        n_rows = _num_samples(X)
        outputs = predict_with_all(self.estimators_, X)
        parts = [
            predicted_column(output, n_rows, each)
            for output, each in zip(outputs, self.estimators_)
        ]
        return np.mean(parts, axis=0)

    @checked_arguments(confidence_level=None)
    def predict_interval(
        self, X: Structures | CrystalGraphs | Table, confidence_level: float | None = None
    ) -> np.ndarray:
        """Compute prediction intervals.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.
        confidence_level : float, default=None
            Fraction of the labels that the intervals shall hold; None means that of the estimator.

        Returns
        -------
        intervals : ndarray of shape (n, 2)
            Lower and upper end, in the unit of the target.

        Raises
        ------
        ValueError
            When the calibration rows are too few for `confidence_level`.
        """
        check_is_fitted(self)
        require_mapie(type(self).__name__)
        from sklmat.model_selection._conformal_statistics import compute_intervals, fold_table

        table, n_models = self.calibration_, len(self.estimators_)
        fold = table["fold"].to_numpy()
        rank = self._rank(self._checked_level(confidence_level), table["group"].to_numpy())
        names = [name for name in ("prediction", "std") if name in table]
        calibration = [fold_table(table[name].to_numpy(), fold, n_models) for name in names]
        params: dict = {"return_std": True} if "std" in names else {}
        outputs = [
            _columns(output, _num_samples(X), each, bool(params))
            for output, each in zip(
                predict_with_all(self.estimators_, X, **params), self.estimators_
            )
        ]
        return compute_intervals(
            table["y"].to_numpy(),
            fold,
            np.column_stack(calibration),
            np.column_stack([column for part in zip(*outputs) for column in part]),
            rank,
            n_models=n_models,
        )


def _columns(output, n_rows, estimator, with_std):
    """Predictions and, if asked for, standard deviations: arrays of shape (n,)."""
    if with_std:
        return predictions_and_stds(output, n_rows, estimator)
    return (predicted_column(output, n_rows, estimator),)
