"""`robustness_curve`: the score of an estimator against the size of the perturbations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

from sklmat.adversarial._attack import StructureAttack, check_attack
from sklmat.adversarial._attack_methods import METHODS
from sklmat.adversarial._attack_run import AttackRun, in_chunks
from sklmat.adversarial._attack_state import evaluate
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.adversarial._random_scores import RandomScores
from sklmat.argument_checks import PREDICTOR, checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.perturbations import IndependentDirections
from sklmat.random_state import make_generator

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures

#: Quantile of the normal distribution for a two-sided 95 % interval.
_Z = 1.959963984540054


@renamed_parameters(neighbors="neighbor_list")
@checked_arguments(estimator=PREDICTOR, min_distance=None)
def robustness_curve(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    y: ArrayLike,
    *,
    methods: Sequence[str] = ("random", "fgsm", "pgd"),
    budgets: Sequence[float] = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1),
    neighbor_list: Literal["rebuilt", "fixed"] = "rebuilt",
    n_steps: int = 10,
    n_draws: int = 5,
    min_distance: float | None = None,
    random_state: RandomState = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Compute the score of an estimator as a function of the allowed displacement of the atoms.

    Parameters
    ----------
    estimator : fitted classifier or regressor
        For "fgsm" and "pgd" a graph estimator (CGCNN, ECNet or a network of your own), also inside
        a search, a Pipeline and others: see `StructureAttack`. For "random" alone, any estimator
        that predicts from structures, such as a Pipeline of a featurizer and XGBoost.
    X : sequence of C structures, CrystalGraphs, or DataFrame with a column of structures
        What `estimator` predicts from.
    y : array-like of shape (C,) or (C, n_targets)
        In the encoding with which `estimator` was fitted.
    methods : sequence of {"random", "fgsm", "pgd"}, default=("random", "fgsm", "pgd")
        ``("random",)`` compares networks with other estimators: with the same `X`, `budgets`,
        `n_draws` and `random_state` (an integer), all estimators get the same displaced crystals.
    budgets : sequence of float, default=(0.0, 0.02, 0.04, 0.06, 0.08, 0.1)
        Largest displacements of an atom (Å).
    neighbor_list, n_steps : as in `StructureAttack`
        Options of the attack. They concern graph estimators only.
    n_draws : int, default=5
        Number of draws of "random". Their scores are averaged; `StructureAttack` instead takes the
        worst draw of each crystal.
    min_distance, random_state, verbose : as in `StructureAttack`
        Options of all perturbations.

    Returns
    -------
    pandas.DataFrame
        One row per method and budget, with the columns:

        - ``method`` and ``budget`` (Å);
        - ``score``: accuracy of a classifier; mean absolute error of a regressor (over all targets,
          in the unit of `y`). ``table.attrs["score"]`` is "accuracy" or "mean absolute error";
        - ``lower`` and ``upper``: 95 % interval over the rows, Wilson's interval of the accuracy,
          or 1.96 standard errors of the mean absolute error;
        - ``n``: number of rows.

    Raises
    ------
    TypeError
        When `methods` needs gradients, and the model inside `estimator` is not a graph estimator or
        is calibrated.
    ValueError
        When `y` does not suit the estimator, or a parameter is out of range.

    Notes
    -----
    "random" gives the mean score over `n_draws` random displacements, and "fgsm" the score after
    one gradient step. "pgd" gives the score at the worst of all perturbations that were tried,
    including no perturbation and the step of "fgsm". It starts from the perturbation found with the
    next smaller budget, which the larger budget also allows. Therefore, with "pgd", the accuracy of
    a classifier never increases with the budget, and the mean absolute error of a regressor with
    one target never decreases. With several targets the mean absolute error may decrease, because
    the attack increases the largest of their errors, not the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNClassifier, robustness_curve
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=30, batch_size=8, random_state=0)
    >>> curve = robustness_curve(model.fit(cells, y), cells, y, budgets=(0, 0.1, 0.25))
    >>> curve[curve["method"] == "pgd"]["score"].round(1).tolist()
    [1.0, 1.0, 0.7]
    """
    sizes = np.sort(np.asarray(budgets, dtype=float))
    if set(methods) - set(METHODS) or not len(methods) or not len(sizes) or (sizes < 0).any():
        known = ", ".join(map(repr, METHODS))
        raise ValueError(
            f"methods must be some of {known}, and budgets some numbers of 0 or more; got "
            f"{list(methods)} and {sizes.tolist()}"
        )
    attack = StructureAttack(
        estimator,
        budget=float(sizes[-1]),
        neighbor_list=neighbor_list,
        n_steps=n_steps,
        n_draws=n_draws,
        min_distance=min_distance,
        random_state=random_state,
        verbose=verbose,
    )
    check_attack(attack)
    directions = IndependentDirections(make_generator(random_state))
    if _has_gradients(estimator, methods):
        run = AttackRun(attack, estimator, X)
        scores = _scores_under_attack(run, run.reference(y), methods, sizes, directions)
        has_classes = run.network.is_classifier
    else:
        predictions = RandomScores(estimator, X, y, min_distance)
        chunks = in_chunks(np.arange(len(predictions)), verbose)
        parts = [predictions.scores(rows, sizes, n_draws, directions) for rows in chunks]
        scores, has_classes = {"random": np.concatenate(parts, axis=1)}, predictions.has_classes
    records = [
        {"method": method, "budget": budget, **_summary(values, has_classes), "n": len(values)}
        for method in methods
        for budget, values in zip(sizes, scores[method])
    ]
    table = pd.DataFrame(records)
    table.attrs["score"] = "accuracy" if has_classes else "mean absolute error"
    return table


def _has_gradients(estimator, methods):
    """Whether the estimator is a network that can be attacked; raise if it has to be one."""
    try:
        AttackedNetwork.fitted(estimator)
    except NotFittedError:
        raise
    except (TypeError, ValueError) as error:
        if set(methods) == {"random"}:
            return False
        raise type(error)(
            f"{error}; or use methods=('random',), which needs no gradients and takes any estimator"
        ) from error
    return True


def _scores_under_attack(run, reference, methods, budgets, directions):
    """Score of each crystal for each method and budget: arrays of shape (n_budgets, C)."""
    options = run.options(directions, until_wrong=reference.has_classes)
    scores: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for rows in run.chunks(np.arange(len(run))):
        state = evaluate(run.network, run.unperturbed(rows, reference))
        for method in methods:
            scores[method].append(_scores(run.network, state, METHODS[method], budgets, options))
    return {method: np.concatenate(parts, axis=1) for method, parts in scores.items()}


def _scores(network, state, method, budgets, options):
    """Score of each crystal at each budget, ndarray of shape (n_budgets, C)."""
    scores, n_searches = [], options.n_draws if method.averages_draws else 1
    for budget in budgets:
        found = [state]
        if budget > 0:
            bounded = state.within(state.bounds.with_budget(budget))
            found = [
                evaluate(network, method.search_larger(network, bounded, options))
                for _ in range(n_searches)
            ]
            state = found[-1]
        scores.append(np.mean([_score(each) for each in found], axis=0))
    return np.array(scores)


def _score(state):
    """1 (right) or 0 (wrong) for each crystal, or its mean absolute error: shape (C,)."""
    if state.reference.has_classes:
        return (state.error <= 0).astype(float)
    return np.abs(state.outputs - state.reference.values).mean(axis=1)


def _summary(values, is_fraction):
    """The mean with its 95 % interval: Wilson's for fractions, else 1.96 standard errors."""
    n, mean = len(values), values.mean()
    if not is_fraction:
        half_width = _Z * values.std(ddof=1) / n**0.5 if n > 1 else np.nan
        return {"score": mean, "lower": mean - half_width, "upper": mean + half_width}
    center = (mean + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half_width = _Z / (1 + _Z**2 / n) * np.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))
    lower, upper = max(center - half_width, 0.0), min(center + half_width, 1.0)
    return {"score": mean, "lower": lower, "upper": upper}
