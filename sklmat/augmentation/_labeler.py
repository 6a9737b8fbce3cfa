"""Regressors and classifiers that label generated rows, and say how sure they are."""

import inspect
import warnings

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

from sklmat.augmentation._gaussian_process import process_mean


class WeightedBlocks(BaseEstimator):
    """Multiply each column by the fraction of the element that it belongs to.

    A property of a crystal is a mean over its atoms, so what an element's columns say counts as
    often as the element occurs; the network that made them weighs them so too. Fractions become
    their square roots, which spreads out dilute alloys.

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
        """Weigh the columns of `X`, of shape (n, F)."""
        X = np.asarray(X, dtype=np.float64)
        weighted, owners = X.copy(), np.asarray(self.blocks)
        # On plain arrays a column may depend on a code that is no fraction and weighs nothing.
        owned = np.isin(owners, self.fractions)
        weighted[:, owned] *= X[:, owners[owned]]
        weighted[:, self.fractions] = np.sqrt(X[:, self.fractions])
        return weighted if self.codes is None else weighted[:, self.codes]


class GaussianProcessLabeler(RegressorMixin, BaseEstimator):
    """Mean of two Gaussian processes: one reads all columns, one the codes alone.

    Parameters
    ----------
    fractions, blocks, codes : array-like of int
        See `WeightedBlocks`.

    Notes
    -----
    The first knows the features, the second is not led astray where they are generated wrongly.
    The standard deviation joins what each is unsure of with how far they differ.
    """

    def __init__(self, fractions, blocks, codes):
        self.fractions = fractions
        self.blocks = blocks
        self.codes = codes

    def fit(self, X, y):
        """Fit both processes for each target."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self.n_dim_ = y.ndim
        with warnings.catch_warnings():
            # Labels without noise, or columns without use, drive a kernel to its bounds, where the
            # search for its parameters ends with a warning and the best ones so far.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.members_ = [
                [self._member(codes).fit(X, column) for codes in (None, self.codes)]
                for column in y.reshape(len(y), -1).T
            ]
        return self

    def _member(self, codes):
        kernel = ConstantKernel(1.0) * RBF(5.0, (0.1, 1e3)) + WhiteKernel(0.01, (1e-5, 1.0))
        return make_pipeline(
            WeightedBlocks(self.fractions, self.blocks, codes),
            StandardScaler(),
            GaussianProcessRegressor(kernel, normalize_y=True, random_state=0),
        )

    def predict(self, X, return_std=False):
        """Label rows; with `return_std` also their standard deviations."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if not return_std:
            means = np.array(
                [[process_mean(m[-1], m[:-1].transform(X)) for m in pair] for pair in self.members_]
            )
            return self._as_fitted(means.mean(axis=1))
        told = np.array(
            [[m.predict(X, return_std=True) for m in pair] for pair in self.members_]
        )  # (T, 2 members, mean and std, n)
        means, stds = told[:, :, 0], told[:, :, 1]
        variance = (stds**2).mean(axis=1) + means.var(axis=1)
        return self._as_fitted(means.mean(axis=1)), self._as_fitted(np.sqrt(variance))

    def _as_fitted(self, values):
        return values[0] if self.n_dim_ == 1 else values.T


def default_labeler(classes, fractions, blocks, codes, seed):
    """Regressor or classifier for generated rows where the user named none."""
    if classes is None:
        return GaussianProcessLabeler(fractions, blocks, codes)
    weighted = WeightedBlocks(fractions, blocks)
    return VotingClassifier(
        [
            ("trees", ExtraTreesClassifier(200, random_state=seed)),
            ("linear", make_pipeline(weighted, StandardScaler(), LogisticRegression(max_iter=500))),
        ],
        voting="soft",
    )


def label_rows(labeler, X, want_uncertainty):
    """Label rows, and say how doubtful each label is.

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
        When the labeler cannot say how sure it is.
    """
    if not want_uncertainty:
        return np.asarray(labeler.predict(X)), None
    if is_classifier(labeler):
        probability = labeler.predict_proba(X)
        return np.asarray(labeler.predict(X)), 1 - probability.max(axis=1)
    if _tells_std(labeler):
        return tuple(np.asarray(part) for part in labeler.predict(X, return_std=True))
    labels, told = np.asarray(labeler.predict(X)), _told_by_members(labeler, X)
    if told is None or told.shape[1:] != labels.shape or not np.allclose(told.mean(0), labels):
        raise ValueError(
            f"an uncertainty needs a regressor that knows how sure it is, and {labeler!r} is no "
            "classifier, has no return_std in its predict, and is no mean of its estimators_; "
            "leave out max_uncertainty or return_std, or pass another"
        )
    return labels, told.std(axis=0)


def _tells_std(labeler):
    if isinstance(labeler, Pipeline):
        return _tells_std(labeler[-1])
    return "return_std" in inspect.signature(labeler.predict).parameters


def _told_by_members(labeler, X):
    """What each member of an ensemble predicts, or None where there are none."""
    members = getattr(labeler, "estimators_", None)
    if members is None:
        return None
    X, members = np.asarray(X), np.ravel(members)
    columns = getattr(labeler, "estimators_features_", [slice(None)] * len(members))
    return np.array([member.predict(X[:, part]) for member, part in zip(members, columns)])


def check_labeler(labeler, classes):
    """See that a labeler suits the target, and return a clone."""
    if (classes is not None) != is_classifier(labeler):
        kinds = ("numbers", "regressor") if classes is None else ("classes", "classifier")
        raise ValueError(
            f"the target holds {kinds[0]}: labeler must be a {kinds[1]}, not {labeler!r}"
        )
    return clone(labeler)
