"""`shapley_values`: Shapley values of atoms, columns or groups of edges."""

from collections.abc import Callable

import numpy as np
from scipy.special import comb


def shapley_values(
    predict: Callable[[np.ndarray], np.ndarray],
    n_players: int,
    n_permutations: int,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Shapley values of N atoms, columns or groups of edges, averaged over random permutations.

    Their sum is the difference between the predictions with all and with none of them. If the
    predictions for all sets are not more than those for the permutations, the values are exact.

    Parameters
    ----------
    predict : callable
        Returns the predictions for S sets, ndarray of shape (S,) or (S, K), from an ndarray of
        bool, of shape (S, N), that says which atoms or columns are kept in each set.
    n_players : int
        Number N of atoms, columns or groups.
    n_permutations : int
        Every second permutation is the reverse of the one before.
    rng : RandomState

    Returns
    -------
    ndarray of shape (N,) or (N, K)
    """
    # As a Python int, which does not overflow.
    n_players = int(n_players)
    if 2**n_players <= n_permutations * (n_players + 1):
        return _exact_values(predict, n_players)
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


def _exact_values(predict, n_players):
    """Shapley values from the predictions for all sets; set s holds player i if its bit i is 1."""
    sets = np.arange(2**n_players)
    keep = (sets[:, None] >> np.arange(n_players) & 1).astype(bool)
    predictions = predict(keep)
    values = np.zeros((n_players, *predictions.shape[1:]))
    for player in range(n_players):
        without = sets[~keep[:, player]]
        # Each size of a set counts the same, and each set among those of its size.
        weights = 1 / (n_players * comb(n_players - 1, keep[without].sum(axis=1)))
        differences = predictions[without + 2**player] - predictions[without]
        values[player] = np.tensordot(weights, differences, axes=1)
    return values
