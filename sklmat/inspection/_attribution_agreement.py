"""`attribution_agreement`: how far the methods of site attribution agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.utils import check_random_state

from sklmat.argument_checks import POSITIVE_INT, checked_arguments
from sklmat.inspection._site_attribution import has_contributions, site_attribution
from sklmat.model_inside import find_model

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import RandomState, Structures

_METHODS = ("integrated_gradients", "occlusion", "shapley")
#: Values that differ by less are equal, as a fraction of the largest value of all crystals: single
#: precision gives sites that are equivalent by symmetry slightly different values. Those of
#: occlusion, differences of predictions, are the least precise.
_EQUAL = 1e-5


@dataclass(frozen=True, eq=False, repr=False)
class AttributionAgreement:
    """Result of `attribution_agreement`; ``print`` shows the table.

    Attributes
    ----------
    table : DataFrame
        One row for each two methods:

        - ``method``, ``other method``.
        - ``Pearson``, ``Spearman``: correlation over all sites of all crystals. NaN if all values
          of a method are equal.
        - ``Spearman within crystals``: median over the crystals of the correlation over the sites
          of one crystal. Crystals in which all values of a method are equal have none.
        - ``mean absolute difference``: over all sites, in the unit of the target.
        - ``same largest site``: fraction of the crystals in which the site with the largest
          absolute value is the same. Values that differ by less than 1e-5 of the largest value of
          all crystals, as those of equivalent sites do, count as one; Shapley values from sampled
          permutations differ by more.
    sites : DataFrame
        One row per site: ``row``, ``site`` and ``element`` as in `site_attribution`, and a column
        for each method.
    """

    table: pd.DataFrame
    sites: pd.DataFrame

    def __repr__(self) -> str:
        return self.table.to_string(index=False, float_format="{:.3g}".format)


@checked_arguments(n_steps=POSITIVE_INT, n_permutations=POSITIVE_INT)
def attribution_agreement(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    *,
    methods: Sequence[str] = ("integrated_gradients", "occlusion", "shapley"),
    background: Structures | CrystalGraphs | None = None,
    target: object = None,
    n_steps: int = 16,
    n_permutations: int = 16,
    random_state: RandomState = None,
) -> AttributionAgreement:
    """Compare the methods of `site_attribution` on the same crystals.

    Parameters
    ----------
    estimator : fitted graph estimator
        A network that has a vector for each atom, such as CGCNN, also inside other estimators, as
        in `site_attribution`. ECNet has one method only.
    X : sequence of C structures, or CrystalGraphs
        Crystals whose predictions are explained.
    methods : sequence of str, default=("integrated_gradients", "occlusion", "shapley")
        At least two methods of `site_attribution`.
    background, target, n_steps, n_permutations, random_state : as in `site_attribution`
        What is explained, and how.

    Returns
    -------
    agreement : AttributionAgreement
        ``agreement.table`` has a row for each two methods, ``agreement.sites`` the values.

    Raises
    ------
    TypeError
        When `estimator` is not a graph estimator.
    ValueError
        When the network has one method only, there are fewer than two different methods, `target`
        is unknown or must be chosen, or a parameter is out of range.
    NotFittedError
        When the estimator is not fitted.

    See Also
    --------
    site_attribution : The methods.

    Notes
    -----
    Methods that disagree show that the effect of an atom depends on the other atoms: they divide
    joint effects differently. Then only statements on which they agree should be reported.
    Agreement does not show that an attribution is right: all methods explain the same network with
    the same average atom.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor
    >>> from sklmat.inspection import attribution_agreement
    >>> pairs = [("Ni", "Al"), ("Ni", "Ni"), ("Al", "Al"), ("Al", "Ni")]
    >>> cells = [Structure(Lattice.cubic(2.9), p, [[0, 0, 0], [0.5] * 3]) for p in pairs]
    >>> y = [0.5, 1.0, 0.0, 0.5]  # the fraction of nickel
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=100, random_state=0).fit(cells, y)
    >>> agreement = attribution_agreement(model, cells)
    >>> agreement.table[["method", "other method"]]
                     method other method
    0  integrated_gradients    occlusion
    1  integrated_gradients      shapley
    2             occlusion      shapley
    >>> bool((agreement.table["Pearson"] > 0.9).all())
    True
    """
    methods = _checked_methods(methods)
    if has_contributions(estimator):
        name = type(find_model(estimator).model).__name__
        raise ValueError(
            f"{name} has the method 'contributions' only, so there are no methods to compare; "
            "compare networks that were fitted with other seeds, or use a CGCNN"
        )
    # An int, so that each method alone gives the same numbers with the same seed.
    seed = check_random_state(random_state).randint(2**31)
    sites = pd.DataFrame()
    for method in methods:
        table = site_attribution(
            estimator,
            X,
            method=method,
            background=background,
            target=target,
            n_steps=n_steps,
            n_permutations=n_permutations,
            random_state=seed,
        )
        if sites.empty:
            sites = table.drop(columns="attribution")
            sites.attrs = {}
        sites[method] = table["attribution"]
    lines = [_compare(sites, *both) for both in combinations(methods, 2)]
    return AttributionAgreement(pd.DataFrame(lines), sites)


def _checked_methods(methods):
    methods = list(methods)
    unknown = [method for method in methods if method not in _METHODS]
    if unknown:
        raise ValueError(f"methods must be of {', '.join(_METHODS)}, got {unknown[0]!r}")
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise ValueError(f"methods must be at least two different methods, got {methods}")
    return methods


def _compare(sites, method, other):
    """Line of the table for two methods."""
    a, b = sites[method].to_numpy(), sites[other].to_numpy()
    ends = np.flatnonzero(np.diff(sites["row"])) + 1
    crystals = list(zip(np.split(a, ends), np.split(b, ends)))
    scales = np.abs(a).max(), np.abs(b).max()
    within = [_correlation(_ranks(one, scales[0]), _ranks(two, scales[1])) for one, two in crystals]
    known = [value for value in within if not np.isnan(value)]
    same = [(_largest(one, scales[0]) & _largest(two, scales[1])).any() for one, two in crystals]
    return {
        "method": method,
        "other method": other,
        "Pearson": _correlation(a, b),
        "Spearman": _correlation(rankdata(a), rankdata(b)),
        "Spearman within crystals": float(np.median(known)) if known else np.nan,
        "mean absolute difference": float(np.abs(a - b).mean()),
        "same largest site": float(np.mean(same)),
    }


def _ranks(values, scale):
    """Ranks of the sites of one crystal, the same for values that differ by rounding only."""
    order = np.argsort(values)
    is_larger = np.diff(values[order], prepend=values[order[:1]]) > _EQUAL * scale
    distinct = np.empty(len(values), dtype=int)
    distinct[order] = np.cumsum(is_larger)
    return rankdata(distinct)


def _correlation(a, b):
    """Pearson correlation; NaN if the values of one are equal."""
    a, b = a - a.mean(), b - b.mean()
    sizes = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / sizes) if sizes > 0 else np.nan


def _largest(values, scale):
    """Which sites have the largest absolute value of a crystal."""
    size = np.abs(values)
    return size >= size.max() - _EQUAL * scale
