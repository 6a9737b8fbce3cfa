"""`EarlyStoppingRegressor` and `EarlyStoppingClassifier`: boosting in a Pipeline stops early."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    clone,
    is_classifier,
)
from sklearn.utils import indexable
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _num_samples,
    check_is_fitted,
)

from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.fitted_state import unchanged_by_failure
from sklmat.inner_estimator import (
    ColumnsOfInner,
    inner_has,
    last_step,
    refuse_other_kind,
    with_tags_of_inner,
)
from sklmat.model_selection._boosting import XGBoost, boosting_of
from sklmat.model_selection._fit_with_validation import (
    Rows,
    StepFitter,
    rows_with_weight,
)
from sklmat.model_selection._group_labels import row_labels
from sklmat.parameter_constraints import Interval
from sklmat.random_state import make_generator
from sklmat.reference_links import ReferenceLink
from sklmat.row_groups import hold_out_rows
from sklmat.scores import ClassifierScoreMixin, RegressorScoreMixin
from sklmat.tables import explain_refused_values
from sklmat.targets import (
    as_numbers,
    label_column,
    plain_labels,
    refuse_missing_labels,
    refuse_missing_rows,
    unmasked,
)

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures, Table

_PARAGRAPHS = {
    **parameter_paragraphs("""
    n_iter_no_change : int, default=10
        Iterations (trees) without a better validation score after which the training stops. It
        replaces `early_stopping_rounds` or `n_iter_no_change` of the boosting model.
    validation_fraction : float, default=0.1
        Fraction of the rows that are held out to decide when to stop. Whole groups are held out, so
        the fraction is met approximately.
    refit : bool, default=False
        False keeps the model as it was trained, without the validation rows. True fits all steps
        again on all rows, with `n_iter_` iterations, which takes about twice the time.
    random_state : int, RandomState or None, default=None
        Seed of the choice of validation rows. Seeds inside `estimator` are not changed.
    n_iter_ : int
        Number of iterations with the best validation score. XGBoost and LightGBM predict with
        these; HistGradientBoosting without `refit` also keeps the `n_iter_no_change` later ones.
    validation_rows_ : ndarray of int
        The rows of `X` that were held out.
    n_features_in_ : int
        Number of columns of `X`, if `estimator` counts them.
    feature_names_in_ : ndarray
        Names of the columns of `X`, if `estimator` keeps them.
    """),
    "what_fit_does": """
    A boosting model needs validation rows to find the number of its trees, and inside a Pipeline it
    cannot have proper ones: rows that are split off in the last step have shaped the transformers,
    and after a sampler they have copies among the training rows. `fit` therefore first sets
    validation rows aside. It fits the steps of the Pipeline to the other rows only, transforms the
    validation rows with the fitted steps, skipping samplers, and gives them to the boosting model.
    """,
    "notes": """
    Validation rows are groups of rows: those that `fit` is given as `groups`, or else rows of the
    same composition (see `composition_groups`), where `X` holds crystals, compositions, or columns
    ``x_Fe``, ...; in other tables each row is its own group. Rows of one group are on the same
    side. ``groups=np.arange(n)`` draws single rows. If no groups fit into twice the fraction, the
    smallest one is held out. Single rows are drawn if all are of one composition.

    Set the number of trees of the boosting model (`n_estimators`, `max_iter`) to a large number: it
    is the limit, and the defaults of 100 may end the training before it is best.

    With metadata routing, `sample_weight` and `groups` are requested by ``set_fit_request``.
    Weights go to the last step, and to those other steps that request them.
    """,
}


class EarlyStoppingMixin(ReferenceLink, ColumnsOfInner, MetaEstimatorMixin):
    """Split validation rows off before a Pipeline, and stop its boosting model with them."""

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.1,
        refit: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.random_state = random_state

    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Set validation rows aside, and fit the estimator to the others until it should stop.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Whatever `estimator` takes.
        y : array-like of shape (n,) or (n, T)
            Targets, or classes of shape (n,).
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for training and for the validation score. Rows without weight are
            left out.
        groups : array-like of shape (n,), default=None
            Rows with the same label are held out together. ``None`` takes the compositions; see
            Notes.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used; the error names its row in `X`.
        TypeError
            When `estimator` does not end in a boosting model that takes validation rows.
        ValueError
            When no validation rows can be held out, or weights are given and a sampler changes the
            rows.
        """
        self._validate_params()
        self._check_estimator()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        X, y, groups = indexable(X, y, groups)
        rows, weight = rows_with_weight(_num_samples(X), sample_weight)
        refuse_missing_rows(y, rows)
        refuse_missing_labels(y, rows)
        y = self._checked_target(y)
        classes = None
        if is_classifier(self):
            classes = np.unique(y[rows])
            if len(classes) < 2:
                raise ValueError(
                    f"y holds only one class, {classes.tolist()[0]!r}; a classifier needs two"
                )
        train_rows, validation_rows = self._split(X, y, groups, rows)
        train = Rows(X, y, weight, train_rows)
        validation = Rows(X, y, weight, validation_rows)
        fitter = StepFitter(self.n_iter_no_change, classes)
        with explain_refused_values(X, rows):
            estimator, last = fitter.fit(clone(self.estimator), train, validation)
        n_iterations = boosting_of(last).n_iterations(last)
        if self.refit:
            all_rows = Rows(X, y, weight, rows)
            estimator, _ = fitter.fit(clone(self.estimator), all_rows, n_iterations=n_iterations)
        if classes is not None:
            self.classes_ = classes
        self.n_iter_, self.validation_rows_ = n_iterations, validation.numbers
        self.estimator_ = estimator
        return self

    def predict(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Predict with the fitted estimator.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n,) or (n, T)
            Predicted targets, in their units.
        """
        check_is_fitted(self)
        with explain_refused_values(X):
            return self.estimator_.predict(X)

    def _check_estimator(self):
        """Refuse an estimator of the wrong kind, whatever the data."""
        refuse_other_kind(self)
        boosting_of(last_step(self.estimator))

    def _split(self, X, y, groups, rows):
        """Divide some rows into training and validation rows."""
        return hold_out_rows(
            rows,
            self.validation_fraction,
            groups=row_labels(X, groups, rows),
            seed=make_generator(self.random_state),
            classes=y if is_classifier(self) else None,
            divide=False,
            purpose="early stopping",
        )

    def __sklearn_tags__(self):
        return with_tags_of_inner(super().__sklearn_tags__(), self.estimator)


@insert_paragraphs(_PARAGRAPHS)
class EarlyStoppingRegressor(EarlyStoppingMixin, RegressorScoreMixin, BaseEstimator):
    """Regressor whose boosting stops early, on rows that no step of its Pipeline has seen.

    {what_fit_does}

    Parameters
    ----------
    estimator : regressor
        A model of XGBoost or LightGBM, a `HistGradientBoostingRegressor` (scikit-learn 1.7 or
        later), or a Pipeline of scikit-learn or imbalanced-learn that ends in one. It is cloned.
    {n_iter_no_change}
    {validation_fraction}
    {refit}
    {random_state}

    Attributes
    ----------
    estimator_ : regressor
        The fitted regressor or Pipeline.
    {n_iter_}
    {validation_rows_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    EarlyStoppingClassifier : The same for classifiers.
    AugmentedRegressor : Fits on generated rows; put samplers as steps of imbalanced-learn's
        Pipeline if the training is to stop early.

    Notes
    -----
    {notes}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import CompositionFeaturizer, EarlyStoppingRegressor
    >>> from sklmat.datasets import make_alloys
    >>> from xgboost import XGBRegressor
    >>> alloys = make_alloys(60)
    >>> boosting = XGBRegressor(n_estimators=2000, learning_rate=0.1, max_depth=3)
    >>> model = EarlyStoppingRegressor(
    ...     make_pipeline(CompositionFeaturizer(), boosting), random_state=0
    ... )
    >>> round(model.fit(alloys.data, alloys.target).n_iter_, -2)
    100
    >>> len(model.validation_rows_)
    6
    """

    def _checked_target(self, y):
        as_numbers(y)
        y = unmasked(y)
        return y if hasattr(y, "shape") else np.asarray(y)


@insert_paragraphs(_PARAGRAPHS)
class EarlyStoppingClassifier(EarlyStoppingMixin, ClassifierScoreMixin, BaseEstimator):
    """Classifier whose boosting stops early, on rows that no step of its Pipeline has seen.

    {what_fit_does}

    Parameters
    ----------
    estimator : classifier
        A model of XGBoost or LightGBM, a `HistGradientBoostingClassifier` (scikit-learn 1.7 or
        later), or a Pipeline of scikit-learn or imbalanced-learn that ends in one. It is cloned.
    {n_iter_no_change}
    {validation_fraction}
    {refit}
    {random_state}

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier or Pipeline. XGBoost is given the positions of the classes in
        `classes_`, since it takes no other labels.
    classes_ : ndarray
        The classes.
    {n_iter_}
    {validation_rows_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    EarlyStoppingRegressor : The same for regressors.

    Notes
    -----
    {notes}

    Validation rows are drawn from each class, as far as the groups allow, and at least one row of
    each class is left for the training.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import CompositionFeaturizer, EarlyStoppingClassifier
    >>> from sklmat.datasets import make_alloys
    >>> from xgboost import XGBClassifier
    >>> alloys = make_alloys(60)
    >>> y = ["stable" if energy < 0 else "unstable" for energy in alloys.target]
    >>> boosting = XGBClassifier(n_estimators=2000, max_depth=3)
    >>> model = EarlyStoppingClassifier(
    ...     make_pipeline(CompositionFeaturizer(), boosting), random_state=0
    ... )
    >>> model.fit(alloys.data, y).classes_.tolist()
    ['stable', 'unstable']
    """

    def predict(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Predict the class of each row.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n,)
            Predicted classes.
        """
        predicted = super().predict(X)
        if isinstance(boosting_of(last_step(self.estimator_)), XGBoost):
            return self.classes_[predicted]
        return predicted

    @available_if(inner_has("predict_proba"))
    def predict_proba(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        with explain_refused_values(X):
            return self.estimator_.predict_proba(X)

    def _checked_target(self, y):
        labels = label_column(plain_labels(y))
        check_classification_targets(labels)
        return labels
