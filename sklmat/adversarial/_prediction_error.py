"""`Reference` and `prediction_error`: how wrong a network is, the objective of every attack."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, eq=False)
class Reference:
    """What the outputs of a network are compared with.

    Parameters
    ----------
    values : ndarray of shape (C,), integers; or of shape (C, T)
        Index of the right class of each crystal; or the right numbers of its T targets.
    threshold : ndarray of shape (T,) or (C, T), default=None
        For numbers: a prediction is wrong where it is further off than this.
    """

    values: np.ndarray
    threshold: np.ndarray | None = None

    @property
    def has_classes(self) -> bool:
        """Whether the right answers are classes."""
        return self.threshold is None

    def select(self, crystals: np.ndarray) -> "Reference":
        """Those of some crystals, by mask or index array."""
        threshold = self.threshold
        if threshold is not None and threshold.ndim == 2:
            threshold = threshold[crystals]
        return Reference(self.values[crystals], threshold)


def prediction_error(outputs: torch.Tensor, reference: Reference) -> torch.Tensor:
    """How wrong the outputs of a network are; positive is wrong.

    Parameters
    ----------
    outputs : Tensor of shape (C, K) or (C, T), float64
        Log-probabilities of K classes, or predictions of T targets.
    reference : Reference of C crystals

    Returns
    -------
    Tensor of shape (C,)
        Log-odds of the likeliest other class against the right one; or the largest error in units
        of its threshold, minus one.
    """
    values = torch.as_tensor(reference.values)
    if reference.has_classes:
        right = outputs.gather(1, values[:, None])[:, 0]
        others = outputs.scatter(1, values[:, None], -torch.inf)
        return others.max(dim=1).values - right
    difference = outputs - values
    # Where a prediction is its own reference, the error is zero and has no gradient: any sign does.
    sign = torch.where(difference < 0, -1.0, 1.0).to(outputs.dtype).detach()
    return (sign * difference / torch.as_tensor(reference.threshold)).max(dim=1).values - 1
