"""`robustness_curve`: the score of a network against the size of the perturbations."""

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from sklmat.adversarial._attack import StructureAttack
from sklmat.adversarial._attack_run import Attacked

#: Two-sided 95 % of the normal distribution.
_Z = 1.959963984540054


def robustness_curve(
    estimator,
    X,
    y,
    *,
    methods=("random", "fgsm", "pgd"),
    budgets=(0.0, 0.02, 0.04, 0.06, 0.08, 0.1),
    neighbors="rebuilt",
    n_steps=10,
    n_draws=5,
    min_distance=None,
    random_state=None,
    verbose=False,
):
    """Score of a network against the displacement that its atoms are allowed.

    Parameters
    ----------
    estimator : fitted graph estimator
        CGCNN or ECNet, as a classifier or a regressor.
    X : sequence of C structures, or CrystalGraphs
    y : array-like of shape (C,) or (C, n_targets)
    methods : sequence of {"random", "fgsm", "pgd"}, default=("random", "fgsm", "pgd")
    budgets : sequence of float, default=(0.0, 0.02, 0.04, 0.06, 0.08, 0.1)
        Largest displacements of an atom (Å).
    neighbors, n_steps
        See `StructureAttack`.
    n_draws : int, default=5
        Draws of "random", whose scores are averaged.
    min_distance, random_state, verbose
        See `StructureAttack`.

    Returns
    -------
    pandas.DataFrame
        Columns ``method``, ``budget`` (Å), ``score``, ``lower`` and ``upper`` (95 % interval over
        the rows) and ``n`` (rows). ``table.attrs["score"]`` is "accuracy" for classifiers, with
        Wilson's interval, and "mean absolute error" for regressors (over all targets, in the unit
        of `y`), with 1.96 standard errors.

    Raises
    ------
    TypeError
        When `estimator` is no graph estimator.
    ValueError
        When `y` does not suit it, or a parameter is out of range.

    Notes
    -----
    "random" is the score under noise, "fgsm" that after the step. "pgd" counts the worst point that
    it visited, the crystal as it is and the step of "fgsm" included, and goes on from what it found
    with the budget before, which lies within the larger one too: its curve can only fall (for the
    error of one target: rise; of several, the attack drives the one that is furthest off, not their
    mean).

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNClassifier, robustness_curve
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> curve = robustness_curve(model.fit(cells, y), cells, y, budgets=(0, 0.2), methods=("pgd",))
    >>> bool(curve["score"].is_monotonic_decreasing)
    True
    """
    budgets = np.sort(np.asarray(budgets, dtype=float))
    unknown = set(methods) - {"random", "fgsm", "pgd"}
    if unknown or not len(methods) or not len(budgets) or (budgets < 0).any():
        raise ValueError(
            "methods must be some of 'random', 'fgsm', 'pgd', and budgets some numbers of 0 or "
            f"more; got {list(methods)} and {budgets.tolist()}"
        )
    attack = StructureAttack(
        estimator,
        budget=float(budgets[-1]),
        neighbors=neighbors,
        n_steps=n_steps,
        n_draws=n_draws,
        min_distance=min_distance,
        random_state=random_state,
        verbose=verbose,
    )
    attack._validate_params()
    attacked = Attacked(estimator, X, attack)
    reference = attacked.reference(y)
    right = is_classifier(attacked.estimator)
    noise = attack._noise()
    scores = {method: [] for method in methods}
    for rows in attacked.chunks(np.arange(len(attacked))):
        search = attacked.search_in(rows, reference, noise, until_wrong=right)
        for method in methods:
            scores[method].append(_scores(search, method, budgets, attack))
    lines = [
        {"method": method, "budget": budget, **_summary(values, right), "n": len(values)}
        for method in methods
        for budget, values in zip(budgets, np.concatenate(scores[method], axis=1))
    ]
    table = pd.DataFrame(lines)
    table.attrs["score"] = "accuracy" if right else "mean absolute error"
    return table


def _scores(search, method, budgets, attack):
    """Score of each crystal at each budget, ndarray of shape (n_budgets, C)."""
    best, rows = search.still(), []
    none = np.zeros(len(best.error))
    for budget in budgets:
        each = np.full(len(none), budget)
        if budget == 0:
            rows.append(search.score(search.still()))
        elif method == "random":
            draws = [search.draw(each, none) for _ in range(attack.n_draws)]
            rows.append(np.mean([search.score(draw) for draw in draws], axis=0))
        elif method == "fgsm":
            rows.append(search.score(search("fgsm", each, none)))
        else:
            best = search("pgd", each, none, n_steps=attack.n_steps, start=best, best=best.copy())
            # It set out from elsewhere: the first step of an attack from the crystal itself.
            best.keep_worse(np.ones(len(none), dtype=bool), search("fgsm", each, none))
            rows.append(search.score(best))
    return np.array(rows)


def _summary(values, is_share):
    n, mean = len(values), values.mean()
    if not is_share:
        half = _Z * values.std(ddof=1) / n**0.5 if n > 1 else np.nan
        return {"score": mean, "lower": mean - half, "upper": mean + half}
    centre = (mean + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))
    return {"score": mean, "lower": max(centre - half, 0.0), "upper": min(centre + half, 1.0)}
