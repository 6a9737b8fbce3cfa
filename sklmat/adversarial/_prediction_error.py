"""`Reference`, what predictions are compared with, and how wrong they are."""

import torch


class Reference:
    """What predictions are measured against: classes, or numbers and how far off is wrong.

    Parameters
    ----------
    values : ndarray of shape (C,), integers
        Index of the right class; or of shape (C, T), the numbers.
    threshold : ndarray of shape (T,) or (C, T), default=None
        For numbers: an error above it is wrong.
    """

    def __init__(self, values, threshold=None):
        self.values = values
        self.threshold = threshold

    def __getitem__(self, rows):
        threshold = self.threshold
        if threshold is not None and threshold.ndim == 2:
            threshold = threshold[rows]
        return Reference(self.values[rows], threshold)


def error_of(outputs, reference):
    """Positive where wrong: log-odds against the right class, or excess over the threshold."""
    values = torch.as_tensor(reference.values)
    if reference.threshold is None:
        right = outputs.gather(1, values[:, None])[:, 0]
        others = outputs.scatter(1, values[:, None], -torch.inf)
        return others.max(dim=1).values - right
    difference = outputs - values
    # At zero, where a prediction is its own reference, up is as good as down.
    sign = torch.where(difference < 0, -1.0, 1.0).to(outputs.dtype).detach()
    return (sign * difference / torch.as_tensor(reference.threshold)).max(dim=1).values - 1
