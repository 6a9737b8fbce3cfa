"""`pool_atoms`: mean and standard deviation over groups of atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Statistics over atoms.
POOLS = ("mean", "sd")


def pool_atoms(
    values: np.ndarray, groups: np.ndarray, n_groups: int, pool: Sequence[str]
) -> list[np.ndarray]:
    """Compute statistics of the atoms of each group.

    Parameters
    ----------
    values : ndarray of shape (N, F)
        Values of the atoms.
    groups : ndarray of int, shape (N,)
        Group of each atom.
    n_groups : int
    pool : sequence of {"mean", "sd"}
        "sd" divides by the number of atoms.

    Returns
    -------
    list of ndarray of shape (n_groups, F)
        For each statistic. Groups without atoms have zeros.
    """
    order = np.argsort(groups, kind="stable")
    values = values[order].astype(np.float64)
    present, start, counts = np.unique(groups[order], return_index=True, return_counts=True)
    pooled = [np.zeros((n_groups, values.shape[1])) for _ in pool]
    if len(present) == 0:
        return pooled
    mean = np.add.reduceat(values, start) / counts[:, None]
    for statistic, result in zip(pool, pooled):
        if statistic == "mean":
            result[present] = mean
        else:
            squares = (values - np.repeat(mean, counts, axis=0)) ** 2
            result[present] = np.sqrt(np.add.reduceat(squares, start) / counts[:, None])
    return pooled
