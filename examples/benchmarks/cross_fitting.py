"""Cross-fitted tables of `ECNetFeaturizer`, for `ecnet_descriptors.py`.

Each training row gets the vectors of a network that was not trained on it. Separately trained
networks have unrelated axes. The vectors of each fold are therefore mapped, element by element,
onto the vectors of the full network by a ridge regression over the training rows of the fold.
Principal components are computed last.
"""

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

from sklmat.elements import element_symbols, element_table

#: Penalties from which leave-one-out chooses for each mapping, for vectors of unit variance.
_ALPHAS = np.logspace(-3, 3, 13)


def cross_fit(featurizer, graphs, y, n_folds=5):
    """Table of the training rows of a fitted featurizer, and the R2 of the mapping."""
    network = featurizer.estimator_
    splits = list(KFold(n_folds, shuffle=True, random_state=network.random_state).split(y))
    vectors = [fold_vectors(network, graphs, y, train) for train, _ in splits]
    full, crystal, numbers, _ = network.elemental_vectors(graphs)
    aligned = align(vectors, full, splits, crystal, numbers)
    table = featurizer.transform(graphs)
    for symbol, pca in featurizer.pca_.items():
        nodes = numbers == element_table([symbol])["atomic number"].iloc[0]
        columns = [f"{symbol}_{k}" for k in range(pca.n_components_)]
        table.loc[crystal[nodes], columns] = pca.transform(aligned[nodes])
    return table, alignment_r2(aligned, full, numbers)


def fold_vectors(network, graphs, y, train):
    """Elemental vectors of all rows, shape (P, W), from a network trained on some of them."""
    return clone(network).fit(graphs[train], y[train]).elemental_vectors(graphs)[0]


def align(vectors, full, splits, crystal, numbers):
    """Held-out vectors of each fold, mapped element by element to those of the full one.

    Parameters
    ----------
    vectors : list of ndarray of shape (P, W)
        One array per fold, from `fold_vectors`.
    full : ndarray of shape (P, W)
        Vectors of the same rows from the network trained on all of them.
    splits : list of (train, test)
    crystal, numbers : ndarray of shape (P,)
        Row and element of each vector.

    Returns
    -------
    ndarray of shape (P, W)
    """
    aligned = np.empty_like(full)
    for own, (train, test) in zip(vectors, splits):
        known, new = np.isin(crystal, train), np.isin(crystal, test)
        for z in np.unique(numbers[new]):
            fit, use = known & (numbers == z), new & (numbers == z)
            aligned[use] = _mapped(own[fit], full[fit], own[use])
    return aligned


def _mapped(source, target, new):
    """Fit a ridge regression from `source` to `target`, and apply it to `new`."""
    if len(source) < 3:
        # Leave-one-out needs at least three rows; with fewer, only the mean can be predicted.
        return np.broadcast_to(target.mean(axis=0), (len(new), target.shape[1]))
    scale = source.std() or 1.0
    return RidgeCV(_ALPHAS).fit(source / scale, target).predict(new / scale)


def alignment_r2(aligned, full, numbers):
    """Fraction of the full network's variance that the mapped vectors reproduce.

    Returns
    -------
    dict of str to float
        One entry per element in alphabetical order, NaN if a single row has the element, and "all"
        for all elements together.
    """
    residual, total = {}, {}
    of_symbol = {element_symbols([z])[0]: z for z in np.unique(numbers)}
    for symbol in sorted(of_symbol):
        rows = numbers == of_symbol[symbol]
        residual[symbol] = float(((full[rows] - aligned[rows]) ** 2).sum())
        total[symbol] = float(((full[rows] - full[rows].mean(axis=0)) ** 2).sum())
    residual["all"], total["all"] = sum(residual.values()), sum(total.values())
    return {k: 1 - residual[k] / total[k] if total[k] > 0 else np.nan for k in residual}
