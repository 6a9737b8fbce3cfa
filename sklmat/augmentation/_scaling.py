"""Between the columns of a table and what an `InfoGAN` reads and writes."""

import numpy as np


class TableCodec:
    """Scale features where they are present, and codes, learned from the real rows.

    Parameters
    ----------
    codes : Codes
        From `find_codes`.
    blocks : ndarray of int, shape (F,)
        From `find_blocks`.
    X : ndarray of shape (n, F)
        The real rows.
    """

    def __init__(self, codes, blocks, X):
        grouped = np.concatenate([*codes.groups, np.empty(0, dtype=int)])
        self.columns, self.fractions = codes.columns, codes.fractions
        self.continuous = np.array([k for k in codes.columns if k not in grouped], dtype=int)
        self.groups = [np.asarray(group) for group in codes.groups]
        self.features = np.setdiff1d(np.arange(X.shape[1]), codes.columns)
        self.owners = blocks[self.features]
        self.n_columns = X.shape[1]
        self.code_mean, scale = _moments(X[:, self.continuous])
        self.code_scale = np.where(scale > 0, scale, 1.0)
        present = self.present(X)
        values = np.where(present, X[:, self.features], np.nan)
        # An owner that no training row has leaves its columns without a mean: they stay zero.
        values[:, ~present.any(axis=0)] = 0.0
        self.mean, self.scale = _moments(values)

    def present(self, X):
        """Whether each feature belongs to an element that the row has, (n, features)."""
        present = np.ones((len(X), len(self.features)), dtype=bool)
        owned = self.owners >= 0
        present[:, owned] = X[:, self.owners[owned]] != 0
        return present

    def encode_codes(self, X):
        """Standardise the continuous codes; categories follow as they are."""
        parts = [(X[:, self.continuous] - self.code_mean) / self.code_scale]
        return np.hstack(parts + [X[:, group] for group in self.groups])

    def encode_features(self, X):
        """Standardise the features over the rows that have them; zero elsewhere."""
        scale = np.where(self.scale > 0, self.scale, 1.0)
        return (X[:, self.features] - self.mean) / scale * self.present(X)

    def decode(self, X, encoded):
        """Fill generated features into rows that hold codes."""
        X[:, self.features] = (encoded * self.scale + self.mean) * self.present(X)
        return X


def _moments(values):
    """Mean and standard deviation of each column, without NaN; rounding errors do not vary."""
    mean = np.nanmean(values, axis=0)
    deviation = np.nanstd(values, axis=0)
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 0.0)
