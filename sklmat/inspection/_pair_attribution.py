"""`pair_attribution`, `attribution_change`: contributions of pairs of elements by distance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sklmat.argument_checks import POSITIVE_INT, checked_arguments
from sklmat.batches import EvenBatches
from sklmat.inspection._distance_shells import check_shells, edge_groups
from sklmat.inspection._explained_network import OF_BATCH, add_residual, mean_over_networks
from sklmat.inspection._shapley_values import shapley_values

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import RandomState, Structures

#: Edges of the sets that are made at a time: about 50 MB.
_CHUNK_EDGES = 2**20


@checked_arguments(n_permutations=POSITIVE_INT)
def pair_attribution(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    *,
    shells: int | Sequence[float] = 3,
    target: object = None,
    n_permutations: int = 16,
    random_state: RandomState = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Contribution of each pair of elements, at each distance, to the prediction for a crystal.

    Parameters
    ----------
    estimator : fitted graph estimator
        CGCNN, ECNet or a network of your own, also inside other estimators, as in
        `site_attribution`.
    X : sequence of C structures, or CrystalGraphs
        Crystals whose predictions are explained.
    shells : int or sequence of float, default=3
        The edges of the graphs are divided into shells by their distance. A number is the largest
        number of shells: their boundaries are found by k-means over the distances in all crystals
        of `X`. A sequence gives the inner boundaries (Å) in ascending order, so that
        ``[2.7, 3.2]`` means up to 2.7 Å, 2.7 to 3.2 Å, and from 3.2 Å to the cutoff of the graphs.
        To compare tables, give all of them the same boundaries, such as
        ``table.attrs["boundaries"]`` of the first.
    target : int or class label, default=None
        For a regressor with several targets, the index of the target to explain. For a classifier,
        the class to explain; None takes the second of two classes.
    n_permutations : int, default=16
        Random orders in which the groups of edges are added; every second one is the reverse of
        the one before. The values are exact if all sets of groups are not more than those of the
        orders: up to 7 groups with 16 orders.
    random_state : int, RandomState or None, default=None
        Seed of the orders, which are the same for crystals with the same number of groups.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    table : DataFrame
        One row for each crystal, pair and shell that occur together:

        - ``row``: row of `X`.
        - ``pair``: two elements, in the order of their atomic numbers, such as ``Al-Ni``.
        - ``shell``: number of the shell, from 0.
        - ``from (Å)``, ``to (Å)``: boundaries of the shell.
        - ``n_edges``: edges of this group. Two atoms that are neighbours of each other have two.
        - ``attribution``: in the unit of the target; log-odds for classifiers, as in
          `site_attribution`.

        ``table.attrs`` has the list ``"boundaries"`` of the inner boundaries, and three lists of C
        numbers: ``"baseline"``, the prediction for the crystal when no atom has neighbours,
        ``"prediction"``, and ``"residual"``, the prediction minus the baseline and the sum of the
        attributions, which is zero except for rounding.

    Raises
    ------
    TypeError
        When `estimator` is not a graph estimator.
    ValueError
        When `target` is unknown or must be chosen, or a parameter is out of range.
    NotFittedError
        When the estimator is not fitted.

    Warns
    -----
    UserWarning
        When the residual of a row is larger than 1 % of the largest difference between a prediction
        and its baseline, because the network gives a crystal another output in another batch.

    See Also
    --------
    attribution_change : The same for a crystal and its distorted copy.
    site_attribution : Contributions of sites.

    Notes
    -----
    All edges between two elements in one shell are a group. The attribution of a group is the mean
    change of the prediction when its edges are added to the graph, over all orders in which the
    groups can be added (Shapley value [1]_). The atoms stay; without any edges, the prediction
    depends on the composition only. This is the baseline.

    An attribution contains what the edges say by their existence and their number, not only by
    their distances. Graphs in which atoms have few or no neighbours are unlike all training rows,
    so attributions depend on how the network extrapolates; networks with equal predictions may have
    different ones. The prediction is not a sum over pairs: CGCNN multiplies messages by gates that
    depend on both atoms and normalises their sum, and its second convolution reads what the first
    one has collected from other pairs. Such joint effects are divided among the groups, so a group
    whose distances did not change may have another attribution in a distorted crystal. Read
    differences between crystals (`attribution_change`) rather than single values.

    Each crystal costs ``min(2**G, n_permutations * (G + 1))`` predictions for G groups. Five
    elements and three shells have up to 45 groups, which are 736 predictions.

    Where a graph has at most `max_neighbors` neighbours of each atom, i may be a neighbour of j but
    j none of i. Networks that replace missing neighbours, as the original CGCNN does, see these
    replacements in the baseline; it then depends on the first atom of the crystal, too.

    References
    ----------
    .. [1] E. Štrumbelj, I. Kononenko, Knowl. Inf. Syst. 41, 647 (2014).
       :doi:`10.1007/s10115-013-0679-x`

    Examples
    --------
    The target is the distance between nickel and aluminium.

    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor
    >>> from sklmat.inspection import pair_attribution
    >>> a = np.linspace(2.7, 3.1, 20)
    >>> cells = [Structure(Lattice.cubic(x), ["Ni", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.sqrt(3) / 2 * a
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=60, random_state=0).fit(cells, y)
    >>> table = pair_attribution(model, cells[:1], shells=[2.6])
    >>> table[["pair", "shell", "from (Å)", "to (Å)", "n_edges"]]
        pair  shell  from (Å)  to (Å)  n_edges
    0  Al-Al      1       2.6     8.0        6
    1  Al-Ni      0       0.0     2.6       16
    2  Ni-Ni      1       2.6     8.0        6
    >>> total = table["attribution"].sum() + table.attrs["baseline"][0]
    >>> np.allclose(total, model.predict(cells[:1]), atol=1e-4)
    True
    """
    check_shells(shells)
    explain = partial(
        _explain_pairs,
        shells=shells,
        n_permutations=n_permutations,
        seed=_seed(random_state),
        verbose=verbose,
    )
    table = mean_over_networks(estimator, [X], target, explain)
    add_residual(table, "", OF_BATCH, is_complete=True)
    del table.attrs["rounding"]
    return table


@checked_arguments(n_permutations=POSITIVE_INT)
def attribution_change(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    X_perturbed: Structures | CrystalGraphs,
    *,
    shells: int | Sequence[float] = 3,
    target: object = None,
    n_permutations: int = 16,
    random_state: RandomState = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Contribution of pairs and distances to the change of a prediction for distorted crystals.

    Parameters
    ----------
    estimator : fitted graph estimator
        As in `pair_attribution`.
    X : sequence of C structures, or CrystalGraphs
        Crystals as they are.
    X_perturbed : sequence of C structures, or CrystalGraphs
        The same crystals with displaced atoms or a strained lattice, in the order of `X`; for
        example those that `find_adversarial_examples` or `perturb_structures` returns.
    shells : int or sequence of float, default=3
        As in `pair_attribution`; a number refers to the distances in `X` and `X_perturbed`.
    target, n_permutations, random_state, verbose : as in `pair_attribution`
        What is explained, and how.

    Returns
    -------
    table : DataFrame
        One row for each crystal, pair and shell that occur together in the crystal or its distorted
        copy. ``row``, ``pair``, ``shell``, ``from (Å)`` and ``to (Å)`` are as in
        `pair_attribution`, and then come

        - ``n_edges``, ``perturbed n_edges``: edges of this group before and after the distortion.
        - ``attribution``, ``perturbed attribution``: the contributions, zero without edges.
        - ``change``: the second minus the first.

        ``table.attrs`` has the list ``"boundaries"`` and lists of C numbers: ``"baseline"``,
        ``"prediction"``, ``"residual"``, ``"perturbed prediction"`` and ``"perturbed residual"``.

    Raises
    ------
    TypeError
        When `estimator` is not a graph estimator.
    ValueError
        When a crystal and its distorted copy have other atoms, `target` is unknown or must be
        chosen, or a parameter is out of range.
    NotFittedError
        When the estimator is not fitted.

    See Also
    --------
    pair_attribution : Its Notes say what the numbers mean.
    contrast : Compares descriptors of adversarial and other crystals.

    Notes
    -----
    The baseline depends on the composition only, so it is the same for a crystal and its distorted
    copy, and the changes of a row sum to the change of the prediction. Both use the same orders of
    the same groups, so that random differences between orders cancel in the change.

    An atom that crosses a boundary of shells changes the numbers of edges of two groups. Their
    changes are then large and have opposite signs; boundaries in a gap between distances avoid
    this. With `max_neighbors`, a distortion may also replace neighbours by others.

    Examples
    --------
    Small displacements change the predicted class. Which distances did the network look at?

    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNClassifier, find_adversarial_examples
    >>> from sklmat.inspection import attribution_change
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=30, batch_size=8, random_state=0)
    >>> model = model.fit(cells, y)
    >>> found = find_adversarial_examples(model, cells, y, budget=0.25)
    >>> originals = [cells[row] for row in found["index"]]
    >>> table = attribution_change(model, originals, found["structure"], shells=1)
    >>> change = np.subtract(table.attrs["perturbed prediction"], table.attrs["prediction"])
    >>> np.allclose(table.groupby("row")["change"].sum(), change, atol=1e-4)
    True
    """
    check_shells(shells)
    explain = partial(
        _explain_change,
        shells=shells,
        n_permutations=n_permutations,
        seed=_seed(random_state),
        verbose=verbose,
    )
    columns = ("attribution", "perturbed attribution", "change")
    table = mean_over_networks(estimator, [X, X_perturbed], target, explain, columns)
    for beginning in ("", "perturbed "):
        add_residual(table, beginning, OF_BATCH, is_complete=True)
    del table.attrs["rounding"]
    return table


def _seed(random_state):
    """One seed for all crystals, so that the orders do not depend on the other rows."""
    return check_random_state(random_state).randint(2**31)


def _explain_pairs(network, X, *, shells, n_permutations, seed, verbose):
    """The table of `pair_attribution` for one network."""
    graphs = network.model.read_graphs(X).in_memory()
    groups = edge_groups(shells, [graphs])
    table, values, n_edges = _table(network, groups, [graphs], n_permutations, seed, verbose)
    return table.assign(n_edges=n_edges[0], attribution=values[0])


def _explain_change(network, X, X_perturbed, *, shells, n_permutations, seed, verbose):
    """The table of `attribution_change` for one network."""
    parts = [network.model.read_graphs(each).in_memory() for each in (X, X_perturbed)]
    _check_same_atoms(*parts)
    groups = edge_groups(shells, parts)
    table, values, n_edges = _table(network, groups, parts, n_permutations, seed, verbose)
    columns = {
        "n_edges": n_edges[0],
        "perturbed n_edges": n_edges[1],
        "attribution": values[0],
        "perturbed attribution": values[1],
        "change": values[1] - values[0],
    }
    prediction = network(parts[1])
    table.attrs["perturbed prediction"] = prediction.tolist()
    table.attrs["rounding"] = max(table.attrs["rounding"], network.rounding(prediction))
    return table.assign(**columns)


def _check_same_atoms(graphs, perturbed):
    if len(graphs) != len(perturbed):
        raise ValueError(
            f"X has {len(graphs)} crystals and X_perturbed {len(perturbed)}; give each crystal and "
            "its distorted copy in the same row"
        )
    for row in range(len(graphs)):
        atoms = [np.sort(part[row].atomic_numbers) for part in (graphs, perturbed)]
        if not np.array_equal(*atoms):
            raise ValueError(
                f"row {row} is {graphs.formula(row)} in X and {perturbed.formula(row)} in "
                "X_perturbed; give each crystal and its distorted copy in the same row"
            )


def _table(network, groups, parts, n_permutations, seed, verbose):
    """Groups of all crystals, with their attributions in each of the parts.

    Parameters
    ----------
    network : ExplainedNetwork
    groups : EdgeGroups
    parts : list of P CrystalGraphs
        Of the same C crystals.

    Returns
    -------
    table : DataFrame of R rows
        What the groups are.
    values : ndarray of shape (P, R)
    n_edges : ndarray of int, shape (P, R)
    """
    from tqdm.auto import tqdm

    of_edges = [np.split(groups.of_edges(graphs), graphs.edge_ptr[1:-1]) for graphs in parts]
    present, values, n_edges = [], [], []
    rows = range(len(parts[0]))
    for row in tqdm(rows, unit="crystal", desc="pairs", disable=not verbose):
        present.append(np.unique(np.concatenate([each[row] for each in of_edges])))
        for graphs, each in zip(parts, of_edges):
            group = np.searchsorted(present[-1], each[row])
            counts = np.bincount(group, minlength=len(present[-1]))
            predict = partial(_predict_sets, network, graphs[row], group)
            rng = np.random.RandomState(seed)
            of_groups = shapley_values(predict, len(counts), n_permutations, rng)
            # Rounding is all that a group without edges could add.
            values.append(np.where(counts > 0, of_groups, 0.0))
            n_edges.append(counts)
    table = pd.DataFrame(
        {
            "row": np.repeat(rows, [len(each) for each in present]),
            **groups.columns(np.concatenate(present)),
        }
    )
    graphs = parts[0]
    prediction = network(graphs)
    without = graphs.select_edges(np.zeros(len(graphs.edge_source), dtype=bool))
    table.attrs["baseline"] = network(without).tolist()
    table.attrs["prediction"] = prediction.tolist()
    table.attrs["boundaries"] = groups.boundaries
    table.attrs["rounding"] = network.rounding(prediction)

    def of_part(arrays, part):
        return np.concatenate(arrays[part :: len(parts)])

    return table, *(
        np.array([of_part(arrays, part) for part in range(len(parts))])
        for arrays in (values, n_edges)
    )


def _predict_sets(network, graph, group, keep):
    """Explained numbers of a crystal for S sets of groups of edges, ndarray of shape (S,).

    Parameters
    ----------
    network : ExplainedNetwork
    graph : CrystalGraphs of one crystal, E edges
    group : ndarray of int, shape (E,)
    keep : ndarray of bool, shape (S, G)
        Which of G groups of edges each set has.
    """
    numbers = []
    for rows in EvenBatches(len(keep), max(1, _CHUNK_EDGES // max(1, len(group)))):
        sets = graph[np.zeros(len(rows), dtype=int)].select_edges(keep[rows][:, group].ravel())
        numbers.append(network(sets))
    return np.concatenate(numbers)
