"""`ConformalClassifier`: sets of classes of any classifier that gives probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.docstrings import insert_paragraphs
from sklmat.fitted_state import unchanged_by_failure
from sklmat.model_selection._conformal import PARAGRAPHS, ConformalMixin, require_mapie
from sklmat.model_selection._out_of_fold import fit_folds, predict_with_all
from sklmat.scores import ClassifierScoreMixin
from sklmat.targets import label_column, plain_labels, refuse_missing_rows

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table


@insert_paragraphs(PARAGRAPHS)
class ConformalClassifier(ConformalMixin, ClassifierScoreMixin, BaseEstimator):
    """Classifier that predicts sets of classes, which hold the true one for most new rows.

    A set has one class where the classifier is certain and several where it is not. How many it
    needs follows from the probabilities that the classifier gave to the true classes of rows that
    it was not fitted on (conformal prediction). MAPIE computes the sets.

    Parameters
    ----------
    estimator : classifier
        A classifier or Pipeline with ``predict_proba``; it is cloned. With "split" also
        ``sklearn.frozen.FrozenEstimator(fitted)``: all rows given to `fit` then calibrate this
        model, which must have been fitted on other rows.
    {method}
    {confidence_level}
    {cv}
    {calibration_fraction}
    {n_jobs}
    {random_state}

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    {estimators_}
    calibration_ : DataFrame
        The calibration rows: ``row`` (its number in `X`), ``fold`` (the model that was not fitted
        on it), ``group``, ``y``, and the probability of each class.
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    ConformalRegressor : Intervals of regressors.

    Notes
    -----
    It needs the package MAPIE: ``pip install "sklmat[uq]"``.

    A set holds all classes above a threshold of the probability (least ambiguous sets, "LAC"):
    these sets are the smallest of a given coverage [3]_. A set may be empty where no class is
    probable.

    {groups}

    {guarantee}

    With "cv+", `predict_proba` gives the mean of the models of the folds. Folds have about the same
    proportions of the classes, as far as the groups allow. A class that a fold lacks has the
    probability 0 in its model.

    References
    ----------
    .. [1] R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, Ann. Statist. 49, 486 (2021).
       :doi:`10.1214/20-AOS1965`
    .. [2] R. Dunn, L. Wasserman, A. Ramdas, J. Am. Stat. Assoc. 118, 2491 (2023).
       :doi:`10.1080/01621459.2022.2060112`
    .. [3] M. Sadinle, J. Lei, L. Wasserman, J. Am. Stat. Assoc. 114, 223 (2019).
       :doi:`10.1080/01621459.2017.1395341`

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklmat import CompositionFeaturizer, ConformalClassifier
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(60)
    >>> y = ["stable" if energy < 0 else "unstable" for energy in alloys.target]
    >>> chain = make_pipeline(CompositionFeaturizer(), StandardScaler(), LogisticRegression())
    >>> model = ConformalClassifier(chain, random_state=0).fit(alloys.data[:40], y[:40])
    >>> model.classes_.tolist()
    ['stable', 'unstable']
    >>> sets = model.predict_set(alloys.data[40:])
    >>> sets.shape, sets.dtype
    ((20, 2), dtype('bool'))
    """

    _what = "sets"

    _parameter_constraints: dict = {
        **ConformalMixin._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict_proba"])],
    }

    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the models, and compute their probabilities for the calibration rows.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Whatever `estimator` takes.
        y : array-like of shape (n,)
            Classes.
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
            When `estimator` is a regressor.
        ValueError
            When `y` has several columns, is missing in a row, or has one class only, or when the
            calibration rows are too few for `confidence_level`.
        """
        self._check_parameters()
        if y is None:
            name = type(self).__name__
            raise ValueError(f"{name} requires y to be passed, but the target y is None")
        labels = label_column(plain_labels(y))
        refuse_missing_rows(labels)
        check_classification_targets(labels)
        if labels.ndim != 1:
            raise ValueError(f"y must have the shape (n,), got {labels.shape}")
        if not len(labels):
            raise ValueError("X is empty (0 rows); there is nothing to fit")
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(
                f"y holds only one class, {classes.tolist()[0]!r}; a classifier needs two"
            )
        X, folds, group_of = self._calibration(X, labels, groups)
        found = fit_folds(self.estimator, X, labels, folds, "predict_proba", n_jobs=self.n_jobs)
        probabilities = found.joined(
            [
                _of_classes(output, fitted, classes)
                for output, fitted in zip(found.outputs, found.estimators)
            ]
        )
        self.calibration_ = pd.DataFrame(
            {
                "row": found.rows,
                "fold": found.fold,
                "group": group_of[found.rows],
                "y": labels[found.rows],
                **{
                    f"probability of {label}": column
                    for label, column in zip(classes, probabilities.T)
                },
            }
        )
        self.classes_, self.estimators_ = classes, found.estimators
        return self

    def predict_proba(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Predict the probabilities of the classes: the mean of the models.

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
        return np.mean(self._probabilities(X), axis=0)

    def predict(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Predict the most probable class.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.

        Returns
        -------
        y : ndarray of shape (n,)
            Predicted classes.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    @checked_arguments(confidence_level=None)
    def predict_set(
        self, X: Structures | CrystalGraphs | Table, confidence_level: float | None = None
    ) -> np.ndarray:
        """Compute sets of classes.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Rows to predict.
        confidence_level : float, default=None
            Fraction of the rows whose class shall be in their set; None means that of the
            estimator.

        Returns
        -------
        sets : ndarray of bool, shape (n, n_classes)
            Whether each class of `classes_` is in the set of a row.

        Raises
        ------
        ValueError
            When the calibration rows are too few for `confidence_level`.
        """
        check_is_fitted(self)
        require_mapie(type(self).__name__)
        from sklmat.model_selection._conformal_statistics import compute_sets, fold_table

        table, n_models = self.calibration_, len(self.estimators_)
        fold = table["fold"].to_numpy()
        return compute_sets(
            np.searchsorted(self.classes_, table["y"].to_numpy()),
            fold,
            fold_table(table.iloc[:, 4:].to_numpy(), fold, n_models),
            np.column_stack(self._probabilities(X)),
            self._rank(self._checked_level(confidence_level), table["group"].to_numpy()),
            n_models=n_models,
            n_classes=len(self.classes_),
        )

    def _probabilities(self, X):
        """Probabilities of each model, with all classes."""
        outputs = predict_with_all(self.estimators_, X, "predict_proba")
        return [
            _of_classes(output, each, self.classes_)
            for output, each in zip(outputs, self.estimators_)
        ]


def _of_classes(probabilities, estimator, classes):
    """Probabilities in the order of `classes`, 0 for those that the estimator has not seen."""
    probabilities = np.asarray(probabilities, dtype=float)
    own = np.asarray(estimator.classes_)
    unknown = np.setdiff1d(own, classes)
    if len(unknown):  # A FrozenEstimator knows them, and no row given to fit has them.
        raise ValueError(
            f"estimator predicts the classes {unknown.tolist()}, which no row given to fit has"
        )
    table = np.zeros((len(probabilities), len(classes)))
    table[:, np.searchsorted(classes, own)] = probabilities
    return table
