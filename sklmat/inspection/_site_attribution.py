"""`site_attribution`, `element_attribution`: contributions of sites and elements."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.elements import element_symbols
from sklmat.estimators import element_contributions
from sklmat.graphs import rank_within_group
from sklmat.inspection._attribution_methods import (
    AtomModel,
    integrated_gradients,
    occlusion,
)
from sklmat.inspection._explained_network import (
    OF_BATCH,
    add_residual,
    graph_model,
    mean_over_networks,
)
from sklmat.inspection._shapley_values import shapley_values
from sklmat.model_inside import calibrated_models, find_model
from sklmat.training import suitable_threads

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import RandomState, Structures

_METHODS = ("auto", "integrated_gradients", "occlusion", "shapley", "contributions")


@renamed_parameters(n_samples="n_permutations")
@checked_arguments(n_steps=None, n_permutations=None)
def site_attribution(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    *,
    method: str = "auto",
    background: Structures | CrystalGraphs | None = None,
    target: object = None,
    n_steps: int = 16,
    n_permutations: int = 16,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Contribution of each site to the prediction for its crystal.

    Parameters
    ----------
    estimator : fitted graph estimator
        CGCNN, ECNet or a network of your own. It may be the last step of a Pipeline, and inside a
        FrozenEstimator, a search such as `GridSearchCV` (the best estimator is used), a
        `FixedThresholdClassifier` or `TunedThresholdClassifierCV`, a `TransformedTargetRegressor`
        that only scales and shifts `y`, or a `CalibratedClassifierCV`, of which the mean over its
        networks before the calibration is explained.
    X : sequence of C structures, or CrystalGraphs
        Crystals whose predictions are explained.
    method : str, default="auto"
        A method is complete if its attributions and the baseline (see Notes) sum to the prediction.
        The first three methods are for CGCNN and other networks that have a vector for each atom.

        - "integrated_gradients" [1]_, the default for these networks: the gradient with respect to
          the vector of each atom, integrated from the average atom of the `background` to the atom
          itself. Complete; costs `n_steps` gradients for cells of any size.
        - "occlusion": the decrease of the prediction when this one atom is replaced by the average
          atom. Easy to understand, but not complete.
        - "shapley": the decrease when this atom is replaced, averaged over sets of other atoms that
          are replaced before it (Shapley values from sampled permutations [2]_; exact for cells in
          which all sets of atoms are not more than those of the permutations, up to 7 atoms with 16
          permutations). Complete.
        - "contributions", the default and only method of ECNet: the terms that the network itself
          adds up, without approximation. ECNet does not distinguish the sites of one element, so
          the contribution of the element is divided equally among them.
    background : sequence of structures, or CrystalGraphs, default=None
        Crystals, such as the training rows, that define the average atom: the mean of the element
        vectors of all their atoms. None takes `X`; the attributions of a row then depend on the
        other rows of `X`. Not for ECNet, whose baseline is zero.
    target : int or class label, default=None
        For a regressor with several targets, the index of the target to explain. For a classifier,
        the class to explain; None takes the second of two classes.
    n_steps : int, default=16
        Points of the Gauss-Legendre quadrature of "integrated_gradients". For trained networks, 8
        points were enough for a sum that agrees with the prediction within 2e-4 of its unit.
    n_permutations : int, default=16
        Permutations of "shapley"; every second one is the reverse of the one before.
    random_state : int, RandomState or None, default=None
        Seed of the permutations.

    Returns
    -------
    table : DataFrame
        One row per site, with the columns ``row`` (of `X`), ``site``, ``element`` and
        ``attribution``, in the unit of the target. For a classifier the unit is log-odds of the
        class against the other class (with several other classes, the mean over them).
        ``table.attrs`` has three lists of C numbers: ``"baseline"`` and ``"prediction"``, the
        predictions for the baseline and for the crystal, and ``"residual"``, the prediction minus
        the baseline and the sum of the attributions.

    Raises
    ------
    TypeError
        When `estimator` is not a graph estimator.
    ValueError
        When `method` does not suit the estimator, `target` is unknown or must be chosen, or a
        parameter is out of range.
    NotFittedError
        When the estimator is not fitted.

    Warns
    -----
    UserWarning
        When the method is complete, and the residual of a row is larger than 1 % of the largest
        difference between a prediction and its baseline. More `n_steps` make the residual smaller.

    See Also
    --------
    element_attribution : Attributions summed over the sites of each element.
    pair_attribution : Attributions of pairs of elements at different distances.
    attribution_agreement : How far the methods agree.
    shap_table : SHAP values for tree models.

    Notes
    -----
    CGCNN represents an atom by the vector of its element. The methods replace these vectors and
    keep the positions. The baseline of a crystal is therefore the prediction with the average atom
    on each of its sites (a virtual crystal). An attribution is the effect of the *species* on a
    site in its surroundings. Effects of the distances alone are part of the baseline.

    The prediction of a property per atom does not change when a cell is doubled. Its attributions
    are then divided among twice as many atoms, so each is half as large. When a site is replaced,
    its periodic images are replaced too. Attributions explain the network, whether its prediction
    is right or wrong. They are not energies of sites, and a network trained with another seed may
    give other attributions.

    Columns of the parameter `extra` are held at the values of each row. What they do to the
    prediction is part of the baseline of CGCNN; for ECNet it is divided among the elements.

    For an ensemble, the attributions refer to the mean output of the members. For classifiers this
    is the mean of the log-odds, which differs from the log-odds of the mean probability.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML (2017).
       https://arxiv.org/abs/1703.01365
    .. [2] E. Štrumbelj, I. Kononenko, Knowl. Inf. Syst. 41, 647 (2014).
       :doi:`10.1007/s10115-013-0679-x`

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor
    >>> from sklmat.inspection import site_attribution
    >>> pairs = [("Ni", "Al"), ("Ni", "Ni"), ("Al", "Al"), ("Al", "Ni")]
    >>> cells = [Structure(Lattice.cubic(2.9), p, [[0, 0, 0], [0.5] * 3]) for p in pairs]
    >>> y = [0.5, 1.0, 0.0, 0.5]  # the fraction of nickel
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=100, random_state=0).fit(cells, y)
    >>> table = site_attribution(model, cells[:1], background=cells)
    >>> table[["element", "attribution"]].round(2)
      element  attribution
    0      Ni         0.07
    1      Al        -0.09
    >>> total = table["attribution"].sum() + table.attrs["baseline"][0]
    >>> float(total.round(1)), model.predict(cells[:1]).round(1)
    (0.5, array([0.5]))
    >>> abs(table.attrs["residual"][0]) < 1e-4
    True
    """
    _check_counts(n_steps=n_steps, n_permutations=n_permutations)
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
    explain = partial(
        _explain_sites,
        method=method,
        n_steps=n_steps,
        n_permutations=n_permutations,
        rng=check_random_state(random_state),
    )
    table = mean_over_networks(estimator, [X, background], target, explain)
    # Only the sum of an approximate integral gets better with more points.
    is_integral = method in ("auto", "integrated_gradients")
    remedy = f"raise n_steps, which is {n_steps}" if is_integral else OF_BATCH
    add_residual(table, "", remedy, is_complete=method != "occlusion")
    del table.attrs["rounding"]
    return table


def _explain_sites(network, X, background, *, method, n_steps, n_permutations, rng):
    """The table of one network."""
    model = network.model
    by_elements = model.additive_elements
    if method not in (("auto", "contributions") if by_elements else _METHODS[:4]):
        other = "'contributions'" if by_elements else "one of those that replace atoms"
        name = type(model.estimator).__name__
        raise ValueError(f"method={method!r} does not suit {name}; use {other}, or 'auto'")
    graphs = model.pad(model.read_graphs(X))
    if by_elements:
        if background is not None:
            raise ValueError("background has no part in the contributions of ECNet; leave it out")
        values, baseline = _contributions_of_sites(network, graphs), np.zeros(len(graphs))
        return _table(network, graphs, values, baseline)
    atoms = AtomModel(model, graphs, background, network.weights, network.shift)
    with suitable_threads(model.modules[0], graphs.n_edges.mean() * model.batch_size):
        if method == "occlusion":
            values = [occlusion(atoms, graphs[[row]]) for row in range(len(graphs))]
        elif method == "shapley":
            values = [
                shapley_values(partial(atoms.coalitions, graphs[[row]]), n, n_permutations, rng)
                for row, n in enumerate(graphs.n_atoms)
            ]
        else:
            values = [integrated_gradients(atoms, part, n_steps) for part in atoms.parts(graphs)]
        baseline = [atoms.baseline(part) for part in atoms.parts(graphs)]
    return _table(network, graphs, np.concatenate(values), np.concatenate(baseline))


@renamed_parameters(n_samples="n_permutations")
@checked_arguments(n_steps=None, n_permutations=None)
def element_attribution(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    *,
    method: str = "auto",
    background: Structures | CrystalGraphs | None = None,
    target: object = None,
    n_steps: int = 16,
    n_permutations: int = 16,
    random_state: RandomState = None,
) -> pd.DataFrame:
    """Contribution of each element to the predictions: site attributions summed over its sites.

    Parameters
    ----------
    estimator, X, method, background, target : as in `site_attribution`
        What is explained, and how.
    n_steps, n_permutations, random_state : as in `site_attribution`
        Options of the methods.

    Returns
    -------
    table : DataFrame of C rows
        One column per element in `X`, in the order of the periodic table; zero where a crystal does
        not contain the element. ``table.attrs`` is as in `site_attribution`.

    See Also
    --------
    ECNetRegressor : Its ``element_contributions`` gives these numbers for all targets at once.

    Notes
    -----
    With "occlusion", the result is the sum of the effects of replacing one atom at a time, not the
    effect of replacing all atoms of the element together.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor
    >>> from sklmat.inspection import element_attribution
    >>> pairs = [("Ni", "Al"), ("Ni", "Ni"), ("Al", "Al"), ("Al", "Ni")]
    >>> cells = [Structure(Lattice.cubic(2.9), p, [[0, 0, 0], [0.5] * 3]) for p in pairs]
    >>> y = [0.5, 1.0, 0.0, 0.5]  # the fraction of nickel
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=100, random_state=0).fit(cells, y)
    >>> element_attribution(model, cells) > 0
          Al     Ni
    0  False   True
    1  False   True
    2  False  False
    3  False   True
    """
    sites = site_attribution(
        estimator,
        X,
        method=method,
        background=background,
        target=target,
        n_steps=n_steps,
        n_permutations=n_permutations,
        random_state=random_state,
    )
    table = sites.pivot_table(
        index="row", columns="element", values="attribution", aggfunc="sum", fill_value=0.0
    )
    table = table.rename_axis(index=None, columns=None)
    known = element_symbols(np.arange(1, 119))
    table = table[[symbol for symbol in known if symbol in table]]
    table.attrs.update(sites.attrs)
    return table


def has_contributions(estimator: BaseEstimator) -> bool:
    """Whether the network inside an estimator adds up contributions of elements itself."""
    model = find_model(estimator).model
    models = calibrated_models(model)
    if models is not None:
        return has_contributions(models[0])
    return graph_model(model).additive_elements


def _check_counts(**counts: object) -> None:
    """Raise a ValueError unless all numbers are whole and above 0."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a whole number above 0, got {value!r}")


def _contributions_of_sites(network, graphs):
    """Contributions of the elements, divided evenly among their sites: ndarray of shape (N,)."""
    inputs, outputs = element_contributions(network.model, graphs)
    values = outputs @ network.weights + network.shift * inputs.fraction
    # Nodes and atoms are sorted by crystal; the nodes of a crystal also by atomic number.
    nodes = 256 * inputs.crystal_of_node + inputs.atomic_numbers
    atoms = 256 * graphs.crystal_of_atom + graphs.atomic_numbers
    node = np.searchsorted(nodes, atoms)
    return (values / np.bincount(node, minlength=len(nodes)))[node]


def _table(network, graphs, values, baseline):
    table = pd.DataFrame(
        {
            "row": graphs.crystal_of_atom,
            "site": rank_within_group(graphs.n_atoms),
            "element": element_symbols(graphs.atomic_numbers),
            "attribution": values,
        }
    )
    prediction = network(graphs)
    table.attrs["baseline"] = baseline.tolist()
    table.attrs["prediction"] = prediction.tolist()
    table.attrs["rounding"] = network.rounding(prediction)
    return table
