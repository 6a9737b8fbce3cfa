"""`fit_references`: one number for each element, a linear model of the atomic fractions."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV

from sklmat.elements import N_ROWS

#: Strengths of the ridge, of which leave-one-out on the training rows chooses one.
_ALPHAS = np.logspace(-6, 2, 9)


def fit_references(
    fractions: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Fit references by ridge regression without intercept, for each target by itself.

    Parameters
    ----------
    fractions : ndarray of shape (n, 119)
    y : ndarray of shape (n, T)
        NaN where a target is missing.
    weight : ndarray of shape (n,) or None

    Returns
    -------
    references : ndarray of shape (119, T)
        NaN for elements that no row has in which the target is known and the weight is not zero.
    """
    used = np.ones(len(y), dtype=bool) if weight is None else weight > 0
    references = np.full((N_ROWS, y.shape[1]), np.nan)
    for target, values in enumerate(y.T):
        rows = used & ~np.isnan(values)
        elements = np.flatnonzero((fractions[rows] > 0).any(axis=0))
        if len(elements):
            ridge = RidgeCV(_ALPHAS, fit_intercept=False)
            # The strength of the ridge is meant for weights of about one.
            row_weight = None if weight is None else weight[rows] / weight[rows].mean()
            ridge.fit(fractions[rows][:, elements], values[rows], sample_weight=row_weight)
            references[elements, target] = ridge.coef_
    return references
