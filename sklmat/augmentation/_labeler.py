"""`GaussianProcessLabeler` and `label_rows`: targets of generated rows, with uncertainties."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from sklmat.augmentation._codes import find_blocks, find_codes
from sklmat.augmentation._gaussian_process_means import leave_one_out_residuals, process_mean
from sklmat.recorded_warnings import ignore_warnings

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, Table


class WeightedBlocks(BaseEstimator):
    """Multiply each column by the fraction of the element that it belongs to.

    A property of a crystal is a mean over its atoms, to which each element contributes in
    proportion to its fraction; the network that computed the columns uses the same weights.
    Fractions are replaced by their square roots, so that dilute alloys differ more from each other.

    Parameters
    ----------
    fractions : array-like of int
        Columns of fractions.
    blocks : array-like of int, shape (F,)
        Column of the fraction that each column belongs to, or -1.
    codes : array-like of int or None
        Keep these columns only.
    """

    def __init__(self, fractions, blocks, codes=None):
        self.fractions = fractions
        self.blocks = blocks
        self.codes = codes

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        """Weight the columns of `X`, of shape (n, F)."""
        X = np.asarray(X, dtype=np.float64)
        weighted, blocks = X.copy(), np.asarray(self.blocks)
        # On plain arrays a column may belong to a code that is no fraction: it is not weighted.
        of_element = np.isin(blocks, self.fractions)
        weighted[:, of_element] *= X[:, blocks[of_element]]
        weighted[:, self.fractions] = np.sqrt(X[:, self.fractions])
        return weighted if self.codes is None else weighted[:, self.codes]


class GaussianProcessLabeler(RegressorMixin, BaseEstimator):
    """Mean of two Gaussian processes: one on all columns, the other on the code columns alone.

    Parameters
    ----------
    fractions, blocks, codes : array-like of int
        See `WeightedBlocks`.

    Attributes
    ----------
    processes_ : list of pairs of Pipeline
        The two processes of each target.

    Notes
    -----
    The first process uses the features; the second is not affected by errors of generated features.
    The variance is the mean of the two variances plus the variance between the two means.
    """

    def __init__(self, fractions: ArrayLike, blocks: ArrayLike, codes: ArrayLike) -> None:
        self.fractions = fractions
        self.blocks = blocks
        self.codes = codes

    @classmethod
    def for_table(cls, names: Sequence[str], X: np.ndarray) -> Self:
        """Make a labeler for a table whose code columns are recognised by their names.

        Parameters
        ----------
        names : sequence of str
            Names of the columns.
        X : ndarray of shape (n, F)
            The training rows.
        """
        codes = find_codes(names, X)
        return cls(codes.fractions, find_blocks(names, X, codes), codes.columns)

    def fit(self, X: np.ndarray, y: ArrayLike) -> Self:
        """Fit both processes for each target."""
        X, targets = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self.n_dim_ = targets.ndim
        # With labels without noise, or with irrelevant columns, kernel parameters reach their
        # bounds. The optimizer then warns, and returns the best parameters found.
        with ignore_warnings(ConvergenceWarning):
            self.processes_ = [
                [self._make_process(codes).fit(X, target) for codes in (None, self.codes)]
                for target in targets.reshape(len(targets), -1).T
            ]
        return self

    def _make_process(self, codes):
        kernel = ConstantKernel(1.0) * RBF(5.0, (0.1, 1e3)) + WhiteKernel(0.01, (1e-5, 1.0))
        return make_pipeline(
            WeightedBlocks(self.fractions, self.blocks, codes),
            StandardScaler(),
            GaussianProcessRegressor(kernel, normalize_y=True, random_state=0),
        )

    def predict(self, X: np.ndarray, return_std: bool = False) -> Any:
        """Predict labels of rows; with `return_std` also their standard deviations."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if not return_std:
            by_process = [
                [process_mean(process[-1], process[:-1].transform(X)) for process in pair]
                for pair in self.processes_
            ]
            return self._like_target(np.mean(by_process, axis=1))
        predictions = np.array(
            [[process.predict(X, return_std=True) for process in pair] for pair in self.processes_]
        )  # (T, 2 processes, mean and standard deviation, n)
        means, deviations = predictions[:, :, 0], predictions[:, :, 1]
        variance = (deviations**2).mean(axis=1) + means.var(axis=1)
        return self._like_target(means.mean(axis=1)), self._like_target(np.sqrt(variance))

    def leave_one_out_error(self) -> np.ndarray:
        """Mean absolute error of the training rows, each predicted by a fit on all others.

        The parameters of the kernels stay those of the fit on all rows.

        Returns
        -------
        ndarray of shape (T,)
            For each target, in its unit.
        """
        check_is_fitted(self)
        residuals = [
            [leave_one_out_residuals(process[-1]) for process in pair] for pair in self.processes_
        ]
        return np.abs(np.mean(residuals, axis=1)).mean(axis=1)

    def _like_target(self, values):
        """Values (T, n) in the shape of the targets of `fit`."""
        return values[0] if self.n_dim_ == 1 else values.T


def default_labeler(classes, codes, blocks, seed):
    """Make the default labeler of `InfoGANAugmenter`.

    Parameters
    ----------
    classes : ndarray or None
        The classes of the target; None for a numeric target.
    codes : Codes
        From `find_codes`.
    blocks : ndarray of int
        From `find_blocks`.
    seed : int
    """
    if classes is None:
        return GaussianProcessLabeler(codes.fractions, blocks, codes.columns)
    weighted = WeightedBlocks(codes.fractions, blocks)
    return VotingClassifier(
        [
            ("trees", ExtraTreesClassifier(200, random_state=seed)),
            ("linear", make_pipeline(weighted, StandardScaler(), LogisticRegression(max_iter=500))),
        ],
        voting="soft",
    )


def label_rows(
    labeler: BaseEstimator, X: Table, want_uncertainty: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict labels of rows and, on demand, their uncertainties.

    Parameters
    ----------
    labeler : fitted regressor or classifier
    X : table of n rows
    want_uncertainty : bool

    Returns
    -------
    labels : ndarray of shape (n,) or (n, T)
    uncertainty : ndarray of the same shape, or None
        Standard deviation of a numeric label; one minus the probability of a class.

    Raises
    ------
    ValueError
        When the labeler gives no uncertainties.
    """
    if not want_uncertainty:
        return np.asarray(labeler.predict(X)), None
    if is_classifier(labeler):
        probability = labeler.predict_proba(X)
        return np.asarray(labeler.predict(X)), 1 - probability.max(axis=1)
    if _has_return_std(labeler):
        mean, deviation = labeler.predict(X, return_std=True)
        return np.asarray(mean), np.asarray(deviation)
    labels, by_member = np.asarray(labeler.predict(X)), _predictions_of_members(labeler, X)
    if (
        by_member is None
        or by_member.shape[1:] != labels.shape
        or not np.allclose(by_member.mean(axis=0), labels)
    ):
        raise ValueError(
            f"{type(labeler).__name__} gives no uncertainty of its labels: it is no classifier, "
            "its predict has no return_std, and its prediction is not the mean of its "
            "estimators_; leave out max_uncertainty or return_std, or pass a labeler that has one "
            "of the three"
        )
    return labels, by_member.std(axis=0)


def _has_return_std(labeler):
    """Whether `predict` of a regressor, or of the last step of a Pipeline, has `return_std`."""
    if isinstance(labeler, Pipeline):
        return _has_return_std(labeler[-1])
    return "return_std" in inspect.signature(labeler.predict).parameters


def _predictions_of_members(labeler, X):
    """Predictions of each member of an ensemble; None for an estimator that is no ensemble."""
    members = getattr(labeler, "estimators_", None)
    if members is None:
        return None
    X, members = np.asarray(X), np.ravel(members)
    columns = getattr(labeler, "estimators_features_", [slice(None)] * len(members))
    return np.array([member.predict(X[:, subset]) for member, subset in zip(members, columns)])


def check_labeler(labeler, classes):
    """Check that the user's labeler suits the target, and return a clone."""
    if (classes is not None) != is_classifier(labeler):
        target, wanted = ("numbers", "regressor") if classes is None else ("classes", "classifier")
        given = type(labeler[-1] if isinstance(labeler, Pipeline) else labeler).__name__
        raise ValueError(f"the target holds {target}: labeler must be a {wanted}, not {given}")
    return clone(labeler)
