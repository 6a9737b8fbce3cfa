"""The network that an embedding is made with: trained already, or to be trained."""

from pathlib import Path

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sklmat.estimators._serialization import load_estimator


def is_trained(estimator):
    """Whether the parameter stands for a network that is not trained again."""
    return isinstance(estimator, str | Path | FrozenEstimator)


def trained_network(estimator):
    """The fitted network that a path or a `FrozenEstimator` stands for."""
    if isinstance(estimator, FrozenEstimator):
        check_is_fitted(estimator.estimator)
        return estimator.estimator
    return load_estimator(estimator)


def untrained_network(estimator, y, owner):
    """A clone to train; refuses a fitted estimator, whose weights the clone would lose."""
    if y is None:
        raise ValueError(f"{owner} trains a network and needs y")
    if hasattr(estimator, "nets_"):
        raise ValueError(
            "estimator is fitted, and fit would train it anew; pass FrozenEstimator(estimator) or "
            "the path of a saved one to use it as it is, or clone(estimator) to train it"
        )
    return clone(estimator)
