"""Estimators that augment their own training rows, for scikit-learn's own Pipeline."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklmat.augmentation._meta import AugmentedMixin, estimator_has


class AugmentedRegressor(AugmentedMixin, RegressorMixin, BaseEstimator):
    """Regressor that augments its own training rows.

    `fit` passes the rows through `augmenter` and fits a clone of `estimator` on real and generated
    rows; predicting generates nothing. As the sampling happens inside `fit`, cross-validation and
    searches augment the training rows of each fold only, also in scikit-learn's own Pipeline, which
    takes no samplers.

    Parameters
    ----------
    estimator : regressor
        It is cloned. A Pipeline may stand here.
    augmenter : sampler or None, default=None
        Anything with `fit_resample` for a numeric target, such as `NoiseAugmenter`,
        `MixupAugmenter` or `InfoGANAugmenter`; it is cloned. ``None`` augments nothing, so that a
        search can find that this is best.
    strategy : {"concat", "pretrain_finetune"}, default="concat"
        "concat" fits once on all rows. "pretrain_finetune" fits on the generated rows and goes on
        with the real ones, so that generated rows have the first and real rows the last word. It
        needs an estimator that can go on: see Notes.
    sample_weight : float or None, default=None
        Weight of a generated row, where a real row has 1, with ``strategy="concat"``. ``None``
        passes no weights.
    random_state : int, RandomState or None, default=None
        One seed for every `random_state` inside `estimator` and `augmenter`. ``None`` leaves them
        their own.

    Attributes
    ----------
    estimator_ : regressor
        The fitted regressor.
    augmenter_ : sampler or None
        The fitted sampler; its `sample_origin_` tells how many rows it has added.
    n_features_in_ : int
        Number of columns, as `estimator_` has it.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a DataFrame.

    See Also
    --------
    AugmentedClassifier : The same for classes.

    Notes
    -----
    Under `imblearn.pipeline.Pipeline` the sampler can be a step right before the regressor instead,
    which then sees the same rows.

    `fit` takes no weights of real rows: generated rows would have none to inherit. Integer targets
    are numbers here, and reach the sampler as floats.

    "pretrain_finetune" takes XGBoost (the second fit boosts the first ``n_estimators`` trees by as
    many), `GradientBoostingRegressor` and `HistGradientBoostingRegressor` (likewise),
    `MLPRegressor`, `SGDRegressor` and others with `partial_fit`, estimators outside of scikit-learn
    with `warm_start`, and a Pipeline that ends in one of these. Transformers of such a Pipeline are
    fitted on the real rows. Forests and convex linear models are refused, as nothing of the first
    fit would be left. Targets are scaled by a `TransformedTargetRegressor` *around* this estimator.

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

    def _resample(self, augmenter, X, y):
        """Return real and generated rows with numeric targets."""
        kind = "f" if y is None else np.asarray(y).dtype.kind
        if kind == "c":
            raise ValueError("Complex data not supported: y holds complex numbers")
        if kind != "f":
            # Samplers take integers for classes.
            y = y.astype(float) if hasattr(y, "iloc") else np.asarray(y, dtype=float)
        return augmenter.fit_resample(X, y)


class AugmentedClassifier(AugmentedMixin, ClassifierMixin, BaseEstimator):
    """Classifier that augments its own training rows.

    `fit` passes the rows through `augmenter` and fits a clone of `estimator` on real and generated
    rows; predicting generates nothing. As the sampling happens inside `fit`, cross-validation and
    searches augment the training rows of each fold only, also in scikit-learn's own Pipeline, which
    takes no samplers.

    Parameters
    ----------
    estimator : classifier
        It is cloned. A Pipeline may stand here.
    augmenter : sampler or None, default=None
        Anything with `fit_resample`, such as `NoiseAugmenter`, `MixupAugmenter`,
        `InfoGANAugmenter` or a sampler of imbalanced-learn; it is cloned. ``None`` augments
        nothing, so that a search can find that this is best.
    strategy : {"concat", "pretrain_finetune"}, default="concat"
        "concat" fits once on all rows. "pretrain_finetune" fits on the generated rows and goes on
        with the real ones. It needs an estimator that can go on (see `AugmentedRegressor`), and
        generated rows of every class.
    sample_weight : float or None, default=None
        Weight of a generated row, where a real row has 1, with ``strategy="concat"``. ``None``
        passes no weights.
    random_state : int, RandomState or None, default=None
        One seed for every `random_state` inside `estimator` and `augmenter`. ``None`` leaves them
        their own.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    augmenter_ : sampler or None
        The fitted sampler.
    classes_ : ndarray
        The classes.
    n_features_in_ : int
        Number of columns, as `estimator_` has it.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a DataFrame.

    See Also
    --------
    AugmentedRegressor : The same for numbers, with more notes.

    Notes
    -----
    Classes that are floats reach the sampler as integers, since samplers take floats for a numeric
    target.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklmat import CompositionFeaturizer
    >>> from sklmat.augmentation import AugmentedClassifier, NoiseAugmenter
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40)
    >>> X = CompositionFeaturizer().fit_transform(alloys.data)
    >>> y = ["stable" if energy < 0 else "unstable" for energy in alloys.target]
    >>> model = AugmentedClassifier(
    ...     LogisticRegression(max_iter=1000), NoiseAugmenter(random_state=0), sample_weight=0.5
    ... )
    >>> model.fit(X, y).classes_.tolist()
    ['stable', 'unstable']
    """

    @property
    def classes_(self):
        """The classes."""
        return self._fitted("classes_").classes_

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : DataFrame or array of shape (n, F)
            Rows; nothing is generated here.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X):
        """Decision function of the fitted classifier.

        Parameters
        ----------
        X : DataFrame or array of shape (n, F)
            Rows; nothing is generated here.

        Returns
        -------
        scores : ndarray of shape (n,) or (n, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def _resample(self, augmenter, X, y):
        """Return real and generated rows with their classes."""
        if y is None:
            return augmenter.fit_resample(X, y)
        check_classification_targets(y)
        if np.asarray(y).shape[1:] == (1,):
            y = column_or_1d(y, warn=True)
        if np.asarray(y).dtype.kind != "f":
            return augmenter.fit_resample(X, y)
        classes, codes = np.unique(np.asarray(y), return_inverse=True)
        X_all, codes = augmenter.fit_resample(X, codes)
        return X_all, classes[codes]

    def _fit_in_two_steps(self, estimator, X, y, origin):
        lacking = set(np.unique(y)) - set(np.unique(y[origin > 0]))
        if lacking and (origin > 0).any():
            raise ValueError(
                f"no generated row is of class {sorted(lacking)}: strategy='pretrain_finetune' "
                "needs each class in both fits, so generate more rows"
            )
        return super()._fit_in_two_steps(estimator, X, y, origin)
