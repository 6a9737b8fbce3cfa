"""Small networks to be attacked, how far atoms went, and how wrong the answers became."""

import numpy as np

TINY = {"hidden_dim": 8, "n_conv": 2, "batch_size": 8, "random_state": 0}
ECNET = {"hidden_dim": 8, "n_conv": 1, "batch_size": 8, "random_state": 0, "n_ensemble": 2}


def displacements(moved, cells):
    """Atom by atom (Å); where atoms are free to leave the cell, they are not wrapped."""
    return [m.cart_coords - c.cart_coords for m, c in zip(moved, cells)]


def lengths(moved, cells):
    return np.concatenate([np.linalg.norm(u, axis=1) for u in displacements(moved, cells)])


def wrongness(estimator, X, y):
    """By the estimator's own predictions: log-odds against the right class, or absolute error."""
    if hasattr(estimator, "classes_"):
        p = estimator.predict_proba(X).astype(float)
        right = p[np.arange(len(p)), np.searchsorted(estimator.classes_, y)]
        return np.log((1 - right) / right)
    return np.abs(estimator.predict(X) - y)
