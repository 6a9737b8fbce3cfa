"""`Reference` and `prediction_error`, the objective that every attack maximises."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Reference:
    """True classes or values, with which the outputs of a network are compared.

    Parameters
    ----------
    values : ndarray of shape (C,), integers; or of shape (C, T)
        Index of the true class of each crystal; or the true values of its T targets.
    threshold : ndarray of shape (T,) or (C, T), default=None
        For targets: a prediction with a larger absolute error is wrong. None for classes.
    """

    values: np.ndarray
    threshold: np.ndarray | None = None

    @property
    def has_classes(self) -> bool:
        """Whether the values are classes."""
        return self.threshold is None

    def select(self, crystals: np.ndarray) -> "Reference":
        """The reference of some crystals, by mask or index array."""
        threshold = self.threshold
        if threshold is not None and threshold.ndim == 2:
            threshold = threshold[crystals]
        return Reference(self.values[crystals], threshold)


def prediction_error(outputs: torch.Tensor, reference: Reference) -> torch.Tensor:
    """Error of the outputs of a network; a positive error means a wrong prediction.

    Parameters
    ----------
    outputs : Tensor of shape (C, K) or (C, T), float64
        Log-probabilities of K classes, or predictions of T targets.
    reference : Reference of C crystals

    Returns
    -------
    Tensor of shape (C,)
        Logarithm of the probability of the most probable wrong class divided by that of the true
        class; or the largest absolute error in units of its threshold, minus one.
    """
    values = torch.as_tensor(reference.values)
    if reference.has_classes:
        right = outputs.gather(1, values[:, None])[:, 0]
        others = outputs.scatter(1, values[:, None], -torch.inf)
        return others.max(dim=1).values - right
    difference = outputs - values
    # If the prediction itself is the reference, the difference is zero and abs has no gradient. A
    # sign of 1 gives one; -1 would do as well.
    sign = torch.where(difference < 0, -1.0, 1.0).to(outputs.dtype).detach()
    return (sign * difference / torch.as_tensor(reference.threshold)).max(dim=1).values - 1
