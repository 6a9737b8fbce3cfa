"""`TableCodec` and `TargetCodec`: scaling of the features, codes and targets of an `InfoGAN`."""

import numpy as np


class TableCodec:
    """Scale features and codes by means and standard deviations of the training rows.

    Features of absent elements are zero before and after scaling, and are left out of the means
    and standard deviations.

    Parameters
    ----------
    codes : Codes
        From `find_codes`.
    blocks : ndarray of int, shape (F,)
        From `find_blocks`.
    X : ndarray of shape (n, F)
        The training rows.
    derived : DerivedColumns

    Attributes
    ----------
    columns, features : ndarray of int
        Positions of the code columns, and of all other columns, without the derived ones where
        there are others.
    continuous, fractions : ndarray of int
        Positions of the numeric code columns, and of those among them that sum to one.
    groups : list of ndarray of int
        Positions of the one-hot code columns, one array for each category.
    unseen : ndarray of int
        Positions of fractions and one-hot columns that are zero in every training row.
    """

    def __init__(self, codes, blocks, X, derived):
        categories = np.concatenate([*codes.groups, np.empty(0, dtype=int)])
        self.columns, self.fractions = codes.columns, codes.fractions
        self.continuous = np.array([k for k in codes.columns if k not in categories], dtype=int)
        self.groups = [np.asarray(group) for group in codes.groups]
        self.derived = derived
        self.features = np.setdiff1d(np.arange(X.shape[1]), codes.columns)
        # If all follow from the fractions, the network learns them, and they are computed again.
        if len(self.features) > len(derived.columns):
            self.features = np.setdiff1d(self.features, derived.columns)
        self.blocks = blocks[self.features]
        self.n_columns = X.shape[1]
        countable = np.concatenate([self.fractions, categories]).astype(int)
        self.unseen = countable[~X[:, countable].any(axis=0)]
        self.code_mean, scale = _moments(X[:, self.continuous])
        self.code_scale = np.where(scale > 0, scale, 1.0)
        present = self.present(X)
        values = np.where(present, X[:, self.features], np.nan)
        # The columns of an element that is in no training row have no mean: they stay zero.
        values[:, ~present.any(axis=0)] = 0.0
        self.mean, self.scale = _moments(values)

    def present(self, X):
        """Whether the element of each feature is in each row, (n, features)."""
        present = np.ones((len(X), len(self.features)), dtype=bool)
        of_element = self.blocks >= 0
        present[:, of_element] = X[:, self.blocks[of_element]] != 0
        return present

    def encode_codes(self, X):
        """Standardise the continuous codes; append the categories unchanged."""
        continuous = (X[:, self.continuous] - self.code_mean) / self.code_scale
        return np.hstack([continuous, *(X[:, group] for group in self.groups)])

    def encode_features(self, X):
        """Standardise the features over the rows that have them; zero elsewhere."""
        scale = np.where(self.scale > 0, self.scale, 1.0)
        return np.where(self.present(X), (X[:, self.features] - self.mean) / scale, 0.0)

    def decode(self, X, encoded):
        """Return a copy of rows that hold codes, with generated features and derived columns."""
        rows = np.zeros_like(X)
        rows[:, self.columns] = X[:, self.columns]
        rows[:, self.features] = np.where(self.present(X), encoded * self.scale + self.mean, 0.0)
        return self.derived.fill(rows)


class TargetCodec:
    """Targets as codes: standardised numbers, or one-hot classes.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, T)
        Targets of the real rows.
    classes : ndarray or None
        The classes, where `y` holds positions in this array.

    Attributes
    ----------
    shape : tuple of int
        Shape of the target of one row.
    groups : list of int
        The number of classes where the target is a class; empty for a numeric target.
    """

    def __init__(self, y, classes):
        self.shape = y.shape[1:]
        self.groups = [] if classes is None else [len(classes)]
        if classes is None:
            self.mean, scale = _moments(y.reshape(len(y), -1))
            self.scale = np.where(scale > 0, scale, 1.0)

    @classmethod
    def restore(cls, shape, groups, mean=None, scale=None):
        """Make the fitted codec with given attributes."""
        codec = cls.__new__(cls)
        codec.shape, codec.groups = shape, groups
        if mean is not None:
            codec.mean, codec.scale = mean, scale
        return codec

    def encode(self, y):
        """Return codes of shape (n, T) or (n, n_classes)."""
        if self.groups:
            return np.eye(self.groups[0])[y]
        return (y.reshape(len(y), -1) - self.mean) / self.scale


def _moments(values):
    """Mean and standard deviation of each column, without NaN.

    A standard deviation that is only rounding error is set to zero.
    """
    mean = np.nanmean(values, axis=0)
    deviation = np.nanstd(values, axis=0)
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 0.0)
