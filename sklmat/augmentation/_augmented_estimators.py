"""`AugmentedRegressor` and `AugmentedClassifier`: fit an estimator on augmented rows."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
    is_regressor,
)
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from sklmat.augmentation._dataframes import is_pandas, is_polars, with_values
from sklmat.augmentation._pretrain_finetune import check_can_continue, fit_in_two_steps
from sklmat.augmentation._shared_docstrings import AUGMENTED_PARAGRAPHS
from sklmat.docstrings import insert_paragraphs
from sklmat.exceptions import rows_of_input
from sklmat.fitted_state import unchanged_by_failure
from sklmat.inner_estimator import (
    ColumnsOfInner,
    fitted_inner,
    inner_has,
    last_step,
    refuse_other_kind,
    weights_for_fit,
    with_tags_of_inner,
)
from sklmat.nested_parameters import NestedParameters
from sklmat.parameter_constraints import Interval
from sklmat.random_state import draw_seed
from sklmat.recorded_warnings import frames_inside
from sklmat.reference_links import ReferenceLink
from sklmat.scores import check_scored
from sklmat.tables import explain_refused_values
from sklmat.targets import (
    explain_missing_labels,
    label_column,
    number_array,
    plain_labels,
    refuse_missing_rows,
    refuse_not_real,
    unmasked,
    weight_column,
)

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, RandomState, Table


class AugmentedMixin(ReferenceLink, ColumnsOfInner, NestedParameters, MetaEstimatorMixin):
    """Fit a clone of an estimator on augmented rows, and delegate everything else to it."""

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "augmenter": [HasMethods(["fit_resample"]), None],
        "strategy": [StrOptions({"concat", "pretrain_finetune"})],
        "sample_weight": [Interval(Real, 0, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    # The signature of `fit` does not name sample_weight, because not every estimator takes weights.
    __metadata_request__fit = {"sample_weight": None}

    def __init__(
        self,
        estimator: BaseEstimator,
        augmenter: BaseEstimator | None = None,
        *,
        strategy: str = "concat",
        sample_weight: ArrayLike | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.augmenter = augmenter
        self.strategy = strategy
        self.sample_weight = sample_weight
        self.random_state = random_state

    @unchanged_by_failure
    def fit(self, X: Table, y: ArrayLike, **fit_params: Any) -> Self:
        """Augment the rows and fit the estimator on real and generated rows.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            The real rows; crystals or `CrystalGraphs` if `augmenter` takes crystals.
        y : Series, DataFrame (of pandas or polars) or array of shape (n,) or (n, T)
            Their targets.
        **fit_params : dict
            Only ``sample_weight``, an array of shape (n,): weights of the real rows. Generated rows
            get the mean weight of the real rows, times the parameter `sample_weight`. Rows with
            zero weight are removed before rows are generated.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            When `estimator` is of the wrong kind, cannot resume training with
            ``strategy="pretrain_finetune"``, or does not accept weights although `sample_weight` is
            given.
        ValueError
            When the rows or their weights cannot be used.

        Warns
        -----
        UserWarning
            When `estimator` has ``early_stopping=True``. Its validation rows are drawn from real
            and generated rows, so copies or mixtures of them are training rows, and the training
            stops too late.
        """
        self._validate_params()
        self._check_settings()
        weight = self._weights_of_real_rows(X, **fit_params)
        estimator, augmenter = self._seeded_clones()
        y = self._checked_target(y)
        used = None if weight is None or weight.all() else np.flatnonzero(weight)
        if y is not None:
            refuse_missing_rows(y, used)
        with explain_missing_labels(y, used):
            if used is None:
                return self._fit_rows(estimator, augmenter, X, y, weight)
            with rows_of_input(used):
                rows = self._rows_with_weight(X, y, weight)
                return self._fit_rows(estimator, augmenter, *rows)

    def _fit_rows(self, estimator, augmenter, X, y, weight):
        """Fit clones on rows with a weight."""
        if augmenter is None:
            self.augmenter_ = None
            labels = self._labels_for(estimator, y)
            with explain_refused_values(X):
                self.estimator_ = estimator.fit(X, labels, **weights_for_fit(estimator, weight))
            return self
        X_all, y_all = self._resample(augmenter, X, y)
        if self.strategy == "pretrain_finetune":
            origin = _origin(augmenter, X, X_all)
            self.estimator_ = self._fit_in_two_steps(estimator, X_all, y_all, origin)
        elif self.sample_weight is None and weight is None:
            self.estimator_ = estimator.fit(X_all, self._labels_for(estimator, y_all))
        else:
            origin = _origin(augmenter, X, X_all)
            if weight is not None and hasattr(augmenter, "sample_indices_"):
                # Under-sampling removes real rows.
                weight = weight[augmenter.sample_indices_[origin == 0]]
            weights = weights_for_fit(estimator, self._weights(weight, origin))
            self.estimator_ = estimator.fit(X_all, self._labels_for(estimator, y_all), **weights)
        self.augmenter_ = augmenter
        return self

    def predict(self, X: Table, **params: Any) -> np.ndarray:
        """Predict with the fitted estimator.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Rows; nothing is generated here.
        **params : dict
            Passed to `predict` of the estimator: ``return_std=True`` for a Gaussian process.

        Returns
        -------
        y : ndarray of shape (n,) or (n, T)
            Predicted targets, in their units.
        """
        check_is_fitted(self)
        with explain_refused_values(X):
            return self.estimator_.predict(X, **params)

    @available_if(inner_has("score"))
    def score(self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score of the fitted estimator on real rows.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Rows; nothing is generated here.
        y : array of shape (n,) or (n, T)
            Their targets.
        sample_weight : array of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Result of `score` of the estimator: R² of regressors, accuracy of classifiers.
        """
        check_is_fitted(self)
        check_scored(y, sample_weight, numeric=is_regressor(self))
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        with explain_refused_values(X):
            return self.estimator_.score(X, plain_labels(y), **weights)

    def _check_settings(self):
        """Refuse parameters that do not go together, whatever the data."""
        refuse_other_kind(self)
        if self.augmenter is not None:
            self._warn_of_early_stopping()
            if self.strategy == "pretrain_finetune":
                check_can_continue(self.estimator)
        if self.sample_weight is None:
            return
        if self.strategy == "pretrain_finetune":
            raise ValueError(
                "sample_weight weighs generated against real rows in one fit; with "
                "strategy='pretrain_finetune' they are never in one, so leave it out"
            )
        self._check_takes_weights(f"sample_weight={self.sample_weight}")

    def _check_takes_weights(self, given):
        last = last_step(self.estimator)
        if not has_fit_parameter(last, "sample_weight"):
            raise TypeError(
                f"{given} needs an estimator whose fit takes weights, and {type(last).__name__} "
                "does not"
            )

    def _weights_of_real_rows(self, X, sample_weight=None, **others):
        """Return the weights given to `fit` as an array (n,), or None."""
        if others:
            raise TypeError(f"{type(self).__name__}.fit takes no {sorted(others)}")
        if sample_weight is None:
            return None
        self._check_takes_weights("fit(..., sample_weight=...)")
        if self.augmenter is not None and self.strategy == "pretrain_finetune":
            raise ValueError(
                "fit(..., sample_weight=...) weighs the rows of one fit, and "
                "strategy='pretrain_finetune' fits twice; use strategy='concat'"
            )
        return weight_column(sample_weight, _num_samples(X))

    def _warn_of_early_stopping(self):
        """Warn that validation rows drawn from augmented rows depend on the training rows."""
        last = last_step(self.estimator)
        if getattr(last, "early_stopping", False) is True:
            warnings.warn(
                f"early_stopping=True of {type(last).__name__} holds out rows whose copies or "
                "mixtures it trains on, and stops too late: use a fixed number of steps with an "
                "augmenter",
                UserWarning,
                stacklevel=frames_inside(),
            )

    def _seeded_clones(self):
        """Return clones of estimator and augmenter, seeded if there is a seed for all."""
        clones = [
            None if original is None else clone(original)
            for original in (self.estimator, self.augmenter)
        ]
        if self.random_state is None:
            return clones
        rng = check_random_state(self.random_state)
        for estimator in clones:
            names = [] if estimator is None else sorted(estimator.get_params())
            for name in names:
                if name == "random_state" or name.endswith("__random_state"):
                    estimator.set_params(**{name: draw_seed(rng)})
        return clones

    def _rows_with_weight(self, X, y, weight):
        return [_safe_indexing(part, np.flatnonzero(weight)) for part in (X, y, weight)]

    def _weights(self, of_real, origin):
        """Return the weights of real and generated rows; `of_real` is None for equal weights."""
        of_real = np.ones(np.sum(origin == 0)) if of_real is None else of_real
        factor = 1.0 if self.sample_weight is None else float(self.sample_weight)
        weights = np.full(len(origin), factor * of_real.mean())
        weights[origin == 0] = of_real
        return weights

    def _labels_for(self, estimator, y):
        """Return the targets in the form that `estimator` takes."""
        return y

    def _fit_in_two_steps(self, estimator, X, y, origin):
        y = self._labels_for(estimator, y)
        generated, real = (
            [_safe_indexing(table, np.flatnonzero(rows)) for table in (X, y)]
            for rows in (origin > 0, origin == 0)
        )
        return fit_in_two_steps(estimator, generated, real)

    def __sklearn_tags__(self):
        tags = with_tags_of_inner(super().__sklearn_tags__(), self.estimator)
        if self.augmenter is not None:
            tags.input_tags.sparse = tags.input_tags.allow_nan = False
        return tags


@insert_paragraphs(AUGMENTED_PARAGRAPHS)
class AugmentedRegressor(AugmentedMixin, RegressorMixin, BaseEstimator):
    """Regressor that is fitted on its training rows and on rows generated from them.

    {what_fit_does}

    Parameters
    ----------
    estimator : regressor
        The regressor to fit, which may be a Pipeline; it is cloned.
    augmenter : sampler or None, default=None
        Any object with `fit_resample` for a numeric target, such as `NoiseAugmenter`,
        `MixupAugmenter`, `InfoGANAugmenter` or, for crystals, `PerturbationSampler`; it is cloned.
        ``None`` generates no rows, so that a hyper-parameter search can include this case.
    strategy : {"concat", "pretrain_finetune"}, default="concat"
        "concat" fits once on all rows. "pretrain_finetune" first fits on the generated rows and
        then continues the training on the real rows, so that real rows have the larger influence.
        It needs an estimator that can resume training: see Notes.
    {sample_weight}
    {random_state}

    Attributes
    ----------
    estimator_ : regressor
        The fitted regressor.
    {augmenter_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    AugmentedClassifier : The same for a classifier.

    Notes
    -----
    In an `imblearn.pipeline.Pipeline` the sampler can instead be a step directly before the
    regressor; the regressor is then fitted on the same rows.

    Integer targets are numeric here, and are passed to the sampler as floats.

    "pretrain_finetune" accepts XGBoost, `GradientBoostingRegressor` and
    `HistGradientBoostingRegressor` (in these three, the second fit adds as many trees as the first
    fit), `MLPRegressor`, `SGDRegressor` and others with `partial_fit`, estimators outside of
    scikit-learn with `warm_start`, and a Pipeline that ends in one of these. Transformers of such a
    Pipeline are fitted on the real rows. Forests and convex linear models raise an error, because
    their second fit would discard the first. To scale the targets, put this estimator into a
    `TransformedTargetRegressor`.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklmat import CompositionFeaturizer
    >>> from sklmat.augmentation import AugmentedRegressor, MixupAugmenter
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40)
    >>> X = CompositionFeaturizer().fit_transform(alloys.data)
    >>> model = AugmentedRegressor(Ridge(), MixupAugmenter(random_state=0))
    >>> len(model.fit(X, alloys.target).augmenter_.sample_origin_)
    80
    >>> search = GridSearchCV(model, {"augmenter": [None, MixupAugmenter(random_state=0)]})
    >>> search.fit(X, alloys.target).best_estimator_.predict(X[:3]).shape
    (3,)
    """

    def _checked_target(self, y):
        if y is not None:
            refuse_not_real(y)
        return unmasked(y)

    def _resample(self, augmenter, X, y):
        """Return real and generated rows with numeric targets."""
        if y is not None and np.asarray(y).dtype.kind != "f":
            # Samplers read integers as classes.
            if is_polars(y):
                y = y.cast(float)
            else:
                numbers = number_array(y, "y")
                y = y.astype(float) if is_pandas(y) else numbers
        return augmenter.fit_resample(X, y)


@insert_paragraphs(AUGMENTED_PARAGRAPHS)
class AugmentedClassifier(AugmentedMixin, ClassifierMixin, BaseEstimator):
    """Classifier that is fitted on its training rows and on rows generated from them.

    {what_fit_does}

    Parameters
    ----------
    estimator : classifier
        The classifier to fit, which may be a Pipeline; it is cloned.
    augmenter : sampler or None, default=None
        Any object with `fit_resample`, such as `NoiseAugmenter`, `MixupAugmenter`,
        `InfoGANAugmenter`, a sampler of imbalanced-learn or, for crystals, `StructureOverSampler`;
        it is cloned. ``None`` generates no rows, so that a hyper-parameter search can include this
        case.
    strategy : {"concat", "pretrain_finetune"}, default="concat"
        "concat" fits once on all rows. "pretrain_finetune" first fits on the generated rows and
        then continues the training on the real rows. It needs an estimator that can resume training
        (see `AugmentedRegressor`), and generated rows of every class.
    {sample_weight}
    {random_state}

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier. XGBoost is given the positions of the classes in `classes_`, since it
        takes no other labels.
    {augmenter_}
    classes_ : ndarray
        The classes.
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    AugmentedRegressor : The same for a regressor, with more notes.

    Notes
    -----
    Classes that are floats are passed to the sampler as integers, since a sampler reads floats as a
    numeric target.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklmat import CompositionFeaturizer
    >>> from sklmat.augmentation import AugmentedClassifier, MixupAugmenter
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40)
    >>> X = CompositionFeaturizer().fit_transform(alloys.data)
    >>> y = ["stable" if energy < 0 else "unstable" for energy in alloys.target]
    >>> model = AugmentedClassifier(
    ...     LogisticRegression(max_iter=1000), MixupAugmenter(random_state=0), sample_weight=0.5
    ... )
    >>> model.fit(X, y).classes_.tolist()
    ['stable', 'unstable']
    """

    @property
    def classes_(self) -> np.ndarray:
        """The classes."""
        estimator = fitted_inner(self, "classes_")
        return estimator.classes_ if self._encoded_classes is None else self._encoded_classes

    def predict(self, X: Table, **params: Any) -> np.ndarray:
        """Predict classes with the fitted classifier.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Rows; nothing is generated here.
        **params : dict
            Passed to `predict` of the classifier.

        Returns
        -------
        y : ndarray of shape (n,)
            Predicted classes.
        """
        predicted = super().predict(X, **params)
        return predicted if self._encoded_classes is None else self._encoded_classes[predicted]

    @available_if(inner_has("score"))
    def score(self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score of the fitted classifier on real rows.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Rows; nothing is generated here.
        y : array of shape (n,)
            Their classes.
        sample_weight : array of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Result of `score` of the classifier, which is the accuracy.
        """
        check_is_fitted(self)
        check_scored(y, sample_weight)
        if self._encoded_classes is None:
            return super().score(X, y, sample_weight)
        return accuracy_score(plain_labels(y), self.predict(X), sample_weight=sample_weight)

    @available_if(inner_has("predict_proba"))
    def predict_proba(self, X: Table) -> np.ndarray:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Rows; nothing is generated here.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        with explain_refused_values(X):
            return self.estimator_.predict_proba(X)

    @available_if(inner_has("decision_function"))
    def decision_function(self, X: Table) -> np.ndarray:
        """Decision function of the fitted classifier.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            Rows; nothing is generated here.

        Returns
        -------
        scores : ndarray of shape (n,) or (n, n_classes)
            Scores that `estimator` gives.
        """
        check_is_fitted(self)
        with explain_refused_values(X):
            return self.estimator_.decision_function(X)

    def _checked_target(self, y):
        if y is None:
            return None
        # Labels of shape (n,) stay in their container, because samplers return the same.
        return label_column(y) if np.asarray(y).shape[1:] == (1,) else plain_labels(y)

    def _rows_with_weight(self, X, y, weight):
        X, y, weight = super()._rows_with_weight(X, y, weight)
        if len(np.unique(y)) < 2:
            raise ValueError("sample_weight is zero in the rows of all classes but one")
        return X, y, weight

    def _resample(self, augmenter, X, y):
        """Return real and generated rows with their classes."""
        if y is None:
            return augmenter.fit_resample(X, y)
        check_classification_targets(y)
        if np.asarray(y).dtype.kind != "f":
            return augmenter.fit_resample(X, y)
        classes, positions = np.unique(np.asarray(y), return_inverse=True)
        X_all, positions = augmenter.fit_resample(X, with_values(y, positions))
        return X_all, with_values(positions, classes[np.asarray(positions)])

    def _labels_for(self, estimator, y):
        """Return the classes; for XGBoost, their positions in `classes_`."""
        labels = np.asarray(y)
        if labels.ndim != 1 or not _is_xgboost(last_step(estimator)):
            self._encoded_classes = None
            return y
        self._encoded_classes, positions = np.unique(plain_labels(labels), return_inverse=True)
        return positions

    def _fit_in_two_steps(self, estimator, X, y, origin):
        missing = set(np.unique(y)) - set(np.unique(np.asarray(y)[origin > 0]))
        if missing and (origin > 0).any():
            raise ValueError(
                f"no generated row is of class {sorted(missing)}: strategy='pretrain_finetune' "
                "needs each class in both fits, so generate more rows"
            )
        return super()._fit_in_two_steps(estimator, X, y, origin)


def _is_xgboost(estimator):
    return any(base.__name__ == "XGBModel" for base in type(estimator).__mro__)


def _origin(augmenter, X, X_all):
    """Return 0 for real and 1 or more for generated rows of what a sampler returned."""
    if hasattr(augmenter, "sample_origin_"):
        return augmenter.sample_origin_
    rows = np.asarray(X)
    if len(X_all) < len(rows) or not np.array_equal(np.asarray(X_all)[: len(rows)], rows):
        raise ValueError(
            f"{type(augmenter).__name__} has no sample_origin_ and does not return the real rows "
            "first, so real and generated rows cannot be told apart: use strategy='concat' "
            "without sample_weight"
        )
    return (np.arange(len(X_all)) >= len(rows)).astype(int)
