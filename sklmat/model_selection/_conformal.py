"""`ConformalMixin`: what `ConformalRegressor` and `ConformalClassifier` have in common."""

from __future__ import annotations

from importlib.util import find_spec
from math import ceil
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import MetaEstimatorMixin, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import indexable
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _num_samples

from sklmat.cross_validation import refuse_no_folds
from sklmat.docstrings import parameter_paragraphs
from sklmat.inner_estimator import ColumnsOfInner, refuse_other_kind, with_tags_of_inner
from sklmat.model_selection._group_labels import row_labels
from sklmat.model_selection._out_of_fold import make_folds
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.random_state import draw_seed
from sklmat.reference_links import ReferenceLink
from sklmat.row_groups import hold_out_rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.typing import RandomState

PARAGRAPHS = {
    **parameter_paragraphs("""
    method : {"cv+", "split"}, default="cv+"
        "cv+" fits one model for each fold of `cv`, and calibrates with the rows that the model of
        their fold has not seen: all rows serve for both. "split" fits one model, without a fraction
        of the rows, and calibrates with these.
    confidence_level : float, default=0.9
        Fraction of new rows whose label shall be in their interval, or their set of classes.
    cv : int, cross-validation generator or iterable, default=5
        Folds of "cv+". An int means shuffled folds that do not divide a group of rows. Otherwise
        each row must be in exactly one test fold.
    calibration_fraction : float, default=0.25
        Fraction of the rows with which "split" calibrates, in whole groups.
    n_jobs : int or None, default=None
        Processes for the folds of "cv+", as in joblib.
    random_state : int, RandomState or None, default=None
        Seed of the folds or of the choice of calibration rows. Seeds inside `estimator` are not
        changed.
    estimators_ : list
        The fitted models: one for each fold, or a single one.
    n_features_in_ : int
        Number of columns of `X`, if `estimator` counts them.
    feature_names_in_ : ndarray
        Names of the columns of `X`, if `estimator` keeps them.
    """),
    "groups": """
    Groups are the labels that `fit` is given as `groups`, or else the compositions (see
    `composition_groups`), where `X` holds crystals, compositions, or columns ``x_Fe``, ...; in
    other tables each row is its own group. A model is calibrated only with groups of which it has
    seen no row, so that the result is valid for *new* compositions. Calibrated with single rows, it
    would be too narrow: a model knows the fcc cell of an alloy whose bcc cell it was trained on.
    """,
    "guarantee": """
    The coverage is that of new rows on average (marginal): it holds if the new groups and those of
    the training rows are drawn from the same distribution, in any order (are exchangeable), and
    says nothing about one row, one element, or compositions of another kind. Single rows need not
    be exchangeable, as rows of one group are alike [2]_ [3]_. What counts is therefore the number
    of groups: with m rows in each group, the quantile is that of rank
    :math:`\\lceil (1-\\alpha)(n + m) \\rceil` among the n calibration rows, instead of n + 1. With
    groups of equal size, "split" so covers at least :math:`1 - \\alpha` of the rows of new groups;
    with unequal ones, m is their mean size and the guarantee approximate. "cv+" covers at least
    :math:`1 - 2\\alpha` in the worst case, and usually somewhat more than :math:`1 - \\alpha`
    [1]_. A level of 90 % needs 9 groups, one of 95 % 19.
    """,
}


def require_mapie(name: str) -> None:
    """Raise an ImportError that names the extra, if MAPIE is not installed."""
    if find_spec("mapie") is None:
        raise ImportError(f'{name} needs the package mapie: pip install "sklmat[uq]"')


class ConformalMixin(ReferenceLink, ColumnsOfInner, MetaEstimatorMixin):
    """Estimator that calibrates the errors of another one on rows that it was not fitted on."""

    #: What is computed, for messages.
    _what: str

    _parameter_constraints: dict = {
        "method": [StrOptions({"cv+", "split"})],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        method: Literal["cv+", "split"] = "cv+",
        confidence_level: float = 0.9,
        cv: int | BaseCrossValidator | Iterable = 5,
        calibration_fraction: float = 0.25,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.confidence_level = confidence_level
        self.cv = cv
        self.calibration_fraction = calibration_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _check_parameters(self):
        """Refuse wrong parameters and a missing package, whatever the data."""
        self._validate_params()
        refuse_no_folds(self.cv)
        require_mapie(type(self).__name__)
        refuse_other_kind(self)
        if isinstance(self.estimator, FrozenEstimator) and self.method != "split":
            raise ValueError(
                'a FrozenEstimator is not fitted again, and method="cv+" needs a model of each '
                'fold; use method="split", which calibrates it with all rows given to fit'
            )

    def _calibration(self, X, y, groups):
        """`X` that can be indexed, folds whose test rows calibrate, and the group of each row."""
        X, y, groups = indexable(X, y, groups)
        n_rows = _num_samples(X)
        labels = row_labels(X, groups)
        if isinstance(self.estimator, FrozenEstimator):
            folds = [(np.arange(0), np.arange(n_rows))]
        elif self.method == "split":
            folds = [
                hold_out_rows(
                    np.arange(n_rows),
                    self.calibration_fraction,
                    groups=labels,
                    seed=draw_seed(self.random_state),
                    classes=y if is_classifier(self) else None,
                    divide=False,
                    purpose=f"calibration rows of {type(self).__name__}",
                )
            ]
        else:
            folds = make_folds(
                self.cv,
                X,
                y,
                groups,
                labels,
                seed=draw_seed(self.random_state),
                is_classifier=is_classifier(self),
                name=type(self).__name__,
            )
        rows = np.concatenate([test for _, test in folds])
        # Before the models are fitted, which may take long.
        self._rank(self.confidence_level, labels[rows])
        return X, folds, labels

    def _rank(self, level: float, labels: np.ndarray) -> int:
        """Rank of the conformity score that bounds new rows, among the calibration rows.

        Parameters
        ----------
        level : float
        labels : ndarray of shape (n,)
            Groups of the calibration rows.
        """
        n_rows, n_groups = len(labels), len(np.unique(labels))
        # Rounding errors must not raise a whole number.
        rank = ceil(level * (n_rows + n_rows / n_groups) - 1e-9)
        if rank > n_rows:
            needed = ceil(level / (1 - level) - 1e-9)
            raise ValueError(
                f"{self._what} of {100 * level:.4g} % need calibration rows of at least {needed} "
                f"groups (compositions, unless fit is given groups), and there are {n_groups} "
                f"({n_rows} rows); fit to more rows, "
                + ('use method="cv+", ' if self.method == "split" else "")
                + "or lower confidence_level"
            )
        return max(rank, 1)

    def _checked_level(self, confidence_level):
        """The level of a call, which may differ from that of the estimator."""
        if confidence_level is None:
            return self.confidence_level
        if not (isinstance(confidence_level, Real) and 0 < confidence_level < 1):
            raise ValueError(f"confidence_level must be between 0 and 1, got {confidence_level}")
        return float(confidence_level)

    def __sklearn_tags__(self):
        tags = with_tags_of_inner(super().__sklearn_tags__(), self.estimator)
        tags.target_tags.multi_output = False
        tags.target_tags.single_output = True
        return tags
