"""`CalibratedStdRegressor`: standard deviations that agree with the errors on new rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import indexable
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.cross_validation import refuse_no_folds
from sklmat.fitted_state import unchanged_by_failure
from sklmat.inner_estimator import ColumnsOfInner, refuse_other_kind, with_tags_of_inner
from sklmat.model_selection._group_labels import row_labels
from sklmat.model_selection._out_of_fold import (
    fit_folds,
    make_folds,
    one_target,
    predictions_and_stds,
)
from sklmat.parallel import N_JOBS
from sklmat.random_state import draw_seed
from sklmat.reference_links import ReferenceLink
from sklmat.scores import RegressorScoreMixin
from sklmat.tables import explain_refused_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sklearn.model_selection import BaseCrossValidator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures, Table


class CalibratedStdRegressor(
    ReferenceLink, ColumnsOfInner, MetaEstimatorMixin, RegressorScoreMixin, BaseEstimator
):
    """Regressor whose standard deviations are calibrated with the errors on held-out rows.

    The spread of an ensemble tells which predictions are less certain, but not how large the errors
    are: the members agree where all of them are wrong, and labels have noise. `fit` compares the
    spread with the errors of rows that the models of the folds were not fitted on, and
    ``predict(X, return_std=True)`` returns :math:`a s`, or :math:`a s + b`, instead of the spread
    s [1]_: about 68 % of the labels of new rows are then within one of these standard deviations of
    the prediction, as far as the errors have a normal distribution.

    Parameters
    ----------
    estimator : regressor
        A regressor whose ``predict`` has the parameter `return_std`, such as a graph network with
        `n_ensemble` of 2 or more or a Gaussian process, or a Pipeline that ends in one. It is
        cloned.
    offset : bool, default=False
        False fits the factor a alone. True also fits b ≥ 0, for errors that the spread does not
        show at all, such as noise in the labels. Two numbers need more rows.
    cv : int, cross-validation generator or iterable, default=5
        An int means shuffled folds that do not divide a group of rows. Otherwise each row must be
        in exactly one test fold.
    n_jobs : int or None, default=None
        Processes for the folds, as in joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds. Seeds inside `estimator` are not changed.

    Attributes
    ----------
    estimator_ : regressor
        The regressor, fitted to all rows.
    scale_ : float
        The factor a.
    offset_ : float
        The offset b in the unit of the target; 0 unless `offset` is True.
    calibration_ : DataFrame
        All rows of `fit`: ``row``, ``fold``, ``group``, ``y``, and ``prediction`` and ``std`` (not
        calibrated) by the model that was not fitted on the row.
    n_features_in_ : int
        Number of columns of `X`, if `estimator` counts them.
    feature_names_in_ : ndarray
        Names of the columns of `X`, if `estimator` keeps them.

    See Also
    --------
    ConformalRegressor : Intervals with a given coverage, which need no normal distribution.
    CoverageDisplay : Shows how well standard deviations agree with errors.

    Notes
    -----
    a and b maximise the likelihood of the held-out errors, as those of normal distributions with
    these standard deviations. Without b the result is the root of the mean square of the errors in
    units of the spread, :math:`a^2 = \\langle (y - \\hat y)^2 / s^2 \\rangle`. It is a single
    number that uses all rows, and the variance is then right on average, which a factor from a
    quantile does not give; on the other hand, a few errors that are many times larger than their
    spread increase it.

    Groups are the labels that `fit` is given as `groups`, or else the compositions (see
    `composition_groups`), where `X` holds crystals, compositions, or columns ``x_Fe``, ...; in
    other tables each row is its own group. Rows of one group are in the same fold.

    The models of the folds have fewer training rows than `estimator_`, so the result is slightly
    too large rather than too small.

    References
    ----------
    .. [1] G. Palmer, S. Du, A. Politowicz, J. P. Emory, X. Yang, A. Gautam, G. Gupta, Z. Li,
       R. Jacobs, D. Morgan, npj Comput. Mater. 8, 115 (2022).
       :doi:`10.1038/s41524-022-00794-8`

    Examples
    --------
    >>> from sklearn.linear_model import BayesianRidge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import CalibratedStdRegressor, CompositionFeaturizer
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(60)
    >>> chain = make_pipeline(CompositionFeaturizer(), BayesianRidge())
    >>> model = CalibratedStdRegressor(chain, random_state=0).fit(alloys.data, alloys.target)
    >>> prediction, std = model.predict(alloys.data[:1], return_std=True)
    >>> std.round(3), round(model.scale_, 2)
    (array([0.015]), 1.0)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "offset": ["boolean"],
        "cv": ["cv_object"],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        offset: bool = False,
        cv: int | BaseCrossValidator | Iterable = 5,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.offset = offset
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit models of the folds to calibrate the standard deviation, and one to all rows.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Whatever `estimator` takes.
        y : array-like of shape (n,)
            Targets.
        groups : array-like of shape (n,), default=None
            Rows with the same label are in the same fold. None takes the compositions; see Notes.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used; the error names its row in `X`.
        TypeError
            When `estimator` is a classifier or its ``predict`` has no `return_std`.
        ValueError
            When `y` has several columns, or is missing or infinite in a row, or the spread of a row
            is zero and `offset` is False.
        """
        self._validate_params()
        refuse_no_folds(self.cv)
        name = type(self).__name__
        refuse_other_kind(self)
        values = one_target(y, name)
        X, _, groups = indexable(X, values, groups)
        labels = row_labels(X, groups)
        folds = make_folds(
            self.cv,
            X,
            values,
            groups,
            labels,
            seed=draw_seed(self.random_state),
            is_classifier=False,
            name=name,
        )
        found = fit_folds(self.estimator, X, values, folds, n_jobs=self.n_jobs, return_std=True)
        outputs = [
            np.column_stack(predictions_and_stds(output, len(test), fitted))
            for output, (_, test), fitted in zip(found.outputs, folds, found.estimators)
        ]
        prediction, std = found.joined(outputs).T
        self.scale_, self.offset_ = self._calibrate(values - prediction, std)
        self.calibration_ = pd.DataFrame(
            {
                "row": found.rows,
                "fold": found.fold,
                "group": labels,
                "y": values,
                "prediction": prediction,
                "std": std,
            }
        )
        with explain_refused_values(X):
            self.estimator_ = clone(self.estimator).fit(X, values)
        return self

    def _calibrate(self, errors, std):
        """Factor and offset that maximise the likelihood of the errors."""
        if self.offset:
            return _fit_scale_and_offset(errors, std)
        if not (std > 0).all():
            row = int(np.argmin(std > 0))
            raise ValueError(
                f"the standard deviation of row {row} is {std[row]:g}, which no factor calibrates; "
                "use offset=True"
            )
        return float(np.sqrt(np.mean((errors / std) ** 2))), 0.0

    @checked_arguments()
    def predict(
        self, X: Structures | CrystalGraphs | Table, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the target.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.
        return_std : bool, default=False
            Also return the calibrated standard deviation.

        Returns
        -------
        y : ndarray of shape (n,)
            Predicted targets, in their units.
        std : ndarray of shape (n,)
            Only with `return_std`: expected size of the error, labels with their noise included.
        """
        check_is_fitted(self)
        with explain_refused_values(X):
            if not return_std:
                return self.estimator_.predict(X)
            output = self.estimator_.predict(X, return_std=True)
        mean, std = predictions_and_stds(output, _num_samples(X), self.estimator_)
        return mean, self.scale_ * std + self.offset_

    def __sklearn_tags__(self):
        tags = with_tags_of_inner(super().__sklearn_tags__(), self.estimator)
        tags.target_tags.multi_output = False
        tags.target_tags.single_output = True
        return tags


def _fit_scale_and_offset(errors, std):
    """Factor and offset of largest likelihood, both at least zero."""
    unit = np.sqrt(np.mean(errors**2))
    if not unit > 0:
        return 0.0, 0.0
    errors, mean = errors / unit, std.mean()
    shape = std / mean if mean > 0 else np.zeros_like(std)

    def loss(terms):
        total = terms[0] * shape + terms[1]
        return np.mean(np.log(total) + 0.5 * (errors / total) ** 2)

    # From mostly the spread, and from mostly the offset: there may be two minima.
    starts = [(0.9, 0.1), (0.1, 0.9)]
    bounds = [(0.0, None), (1e-6, None)]
    best = min(
        (minimize(loss, start, bounds=bounds) for start in starts), key=lambda each: each.fun
    )
    scale, offset = best.x * unit
    return float(scale / mean) if mean > 0 else 0.0, float(offset)
