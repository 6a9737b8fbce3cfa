"""`shapley_values`: Shapley values from sampled permutations, of atoms or of columns."""

from collections.abc import Callable

import numpy as np


def shapley_values(
    predict: Callable[[np.ndarray], np.ndarray],
    n_players: int,
    n_permutations: int,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Shapley values of N atoms or columns, averaged over random permutations.

    Their sum is the difference between the predictions with all and with none of them.

    Parameters
    ----------
    predict : callable
        Returns the predictions for S sets, ndarray of shape (S,) or (S, K), from an ndarray of
        bool, of shape (S, N), that says which atoms or columns are kept in each set.
    n_players : int
        Number N of atoms or columns.
    n_permutations : int
        Every second permutation is the reverse of the one before.
    rng : RandomState

    Returns
    -------
    ndarray of shape (N,) or (N, K)
    """
    drawn = [rng.permutation(n_players) for _ in range(-(-n_permutations // 2))]
    orders = [order for permutation in drawn for order in (permutation, permutation[::-1])]
    # Position of each player in each permutation; step k keeps the players at positions below k.
    places = np.argsort(orders[:n_permutations], axis=1)
    keep = places[:, None, :] < np.arange(n_players + 1)[:, None]
    predictions = predict(keep.reshape(-1, n_players))
    outputs = predictions.shape[1:]
    differences = np.diff(predictions.reshape(len(places), n_players + 1, *outputs), axis=1)
    places = places.reshape(*places.shape, *[1] * len(outputs))
    return np.take_along_axis(differences, places, axis=1).mean(axis=0)
