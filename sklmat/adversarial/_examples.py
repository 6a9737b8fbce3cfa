"""`find_adversarial_examples`: crystals predicted right as they are, and wrong when perturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from sklmat.adversarial._attack import StructureAttack, check_attack
from sklmat.adversarial._attack_methods import METHODS
from sklmat.adversarial._attack_run import AttackRun
from sklmat.adversarial._attack_state import AttackState, evaluate, scale
from sklmat.adversarial._prediction_error import Reference
from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.perturbations import IndependentDirections, RandomDirections
from sklmat.random_state import make_generator
from sklmat.targets import number_array

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures

#: Halvings of the bracket around the smallest budget: to 1/64 of the budget.
_N_BISECTIONS = 6


@renamed_parameters(scale="budget", neighbors="neighbor_list")
@checked_arguments(min_distance=None)
def find_adversarial_examples(
    estimator: BaseEstimator,
    X: Structures | CrystalGraphs,
    y: ArrayLike | None = None,
    *,
    method: Literal["pgd", "fgsm", "random"] = "pgd",
    budget: float = 0.05,
    strain: float = 0.0,
    threshold: float | ArrayLike | None = None,
    neighbor_list: Literal["rebuilt", "fixed"] = "rebuilt",
    n_steps: int = 10,
    n_draws: int = 1,
    min_distance: float | None = None,
    random_state: RandomState = None,
    verbose: bool = False,
) -> pd.DataFrame:
    """Find crystals that are predicted right as they are, and wrong when perturbed.

    Parameters
    ----------
    estimator : fitted graph estimator
        CGCNN, ECNet or a network of your own, as a classifier or a regressor, also inside a search,
        a Pipeline and others: see `StructureAttack`.
    X : sequence of C structures, or CrystalGraphs
        Crystals that were not used to train `estimator`; examples among the training rows say
        little about new crystals.
    y : array-like of shape (C,) or (C, n_targets), default=None
        True classes or values. None attacks the predictions for the unperturbed crystals, as if
        they were true; regressors then need a `threshold`.
    method : {"pgd", "fgsm", "random"}, default="pgd"
        See `StructureAttack`. In [1]_, all crystals are perturbed by random displacements of one
        size, as with "random".
    budget : float, default=0.05
        Largest displacement of an atom (Å).
    strain : float, default=0.0
        Largest Frobenius norm of the strain of the lattice.
    threshold : float or array-like of shape (n_targets,), default=None
        For regressors only: a prediction is wrong if the absolute error of a target is larger than
        its threshold (in the unit of `y`). With `y`, ``None`` takes, for each target, twice the
        median absolute error on the unperturbed rows. ``table.attrs["threshold"]`` lists the
        thresholds.
    neighbor_list, n_steps, n_draws, min_distance, random_state, verbose : as in `StructureAttack`
        Options of the attack.

    Returns
    -------
    pandas.DataFrame
        One row per adversarial example, in the order of `X`:

        - ``index``: row of `X`.
        - ``target`` (only with `y`), ``prediction``, ``perturbed prediction``.
        - ``smallest budget (Å)``: the largest displacement of an atom in the smallest perturbation
          with which the attack makes the prediction wrong. Bisection finds this perturbation to a
          precision of 1/64 of `budget`. The value may be slightly below the budget that the
          bisection allowed.
        - ``smallest strain``, only with `strain`: Frobenius norm of the strain in this
          perturbation. The bisection multiplies `budget` and `strain` by the same factor.
        - ``displacement (Å)``: displacements of the atoms in this perturbation, before the crystal
          is strained, ndarray of shape (n_atoms, 3).
        - ``structure``: the perturbed crystal, a pymatgen ``Structure``.

        ``table.attrs["n_right"]`` is the number of rows predicted right without perturbation.

    Raises
    ------
    TypeError
        When the model inside `estimator` is not a graph estimator, or is calibrated.
    ValueError
        When `y` does not suit the estimator, or a parameter is out of range.

    Notes
    -----
    The bisection starts from a perturbation within `budget` that makes the prediction wrong. It
    then tries smaller budgets. At each of them, "random" scales the last perturbation that made
    the prediction wrong down to this budget; "pgd" scales this perturbation in the same way and
    takes ``n_steps // 2`` gradient steps from there; "fgsm" takes one step from the unperturbed
    crystal, as long as this budget. The smallest budget is an upper bound: a smaller perturbation
    that the attack did not find may exist.

    References
    ----------
    .. [1] Wang, Lai, Wei, Guo, Jin, Sci. China Mater. 67, 1183 (2024)

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNClassifier, find_adversarial_examples
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=30, batch_size=8, random_state=0)
    >>> model = model.fit(cells[::2], y[::2])
    >>> table = find_adversarial_examples(model, cells[1::2], y[1::2], budget=0.25)
    >>> table[["index", "target", "perturbed prediction"]]
       index target perturbed prediction
    0      0  dense                loose
    1      1  dense                loose
    2      6  loose                dense
    3      7  loose                dense
    >>> float(table["smallest budget (Å)"].max().round(1))
    0.2
    """
    attack = StructureAttack(
        estimator,
        method=method,
        budget=budget,
        strain=strain,
        neighbor_list=neighbor_list,
        n_steps=n_steps,
        n_draws=n_draws,
        min_distance=min_distance,
        random_state=random_state,
        verbose=verbose,
    )
    check_attack(attack)
    run = AttackRun(attack, estimator, X)
    reference = run.reference(y, _threshold(run, y, threshold))
    right = np.flatnonzero(run.network.error(run.outputs, reference) <= 0)
    directions = IndependentDirections(make_generator(random_state))
    found, _ = find_wrong_predictions(run, reference, right, lambda: directions)
    table = _table(run, y, found)
    table.attrs["n_right"] = len(right)
    if not reference.has_classes:
        # A list, because pandas compares attrs when tables are joined, which fails for arrays.
        table.attrs["threshold"] = np.asarray(reference.threshold).tolist()
    return table


def _threshold(run, y, threshold):
    """Largest error of a right prediction, ndarray of shape () or (T,); None for classifiers."""
    if run.network.is_classifier:
        if threshold is not None:
            raise ValueError("threshold is for regressors; a class is right or wrong")
        return None
    if threshold is None and y is None:
        raise ValueError(
            "without y there are no errors from which a threshold follows; pass threshold, the "
            "change of a prediction that counts, in the unit of the target"
        )
    if threshold is None:
        errors = np.abs(run.outputs - run.reference(y).values)
        return 2 * np.median(errors, axis=0)
    threshold = number_array(threshold, "threshold")
    if not (threshold > 0).all():
        raise ValueError(f"threshold must be above 0, got {threshold.tolist()}")
    n_targets = run.network.model.targets.n_outputs
    if threshold.shape not in ((), (1,), (n_targets,)):
        raise ValueError(
            f"threshold must be one number, or one for each of the {n_targets} targets, got "
            f"{threshold.tolist()}"
        )
    return threshold


def find_wrong_predictions(
    run: AttackRun,
    reference: Reference,
    rows: np.ndarray,
    make_directions: Callable[[], RandomDirections],
    smallest: bool = True,
) -> tuple[list[tuple[np.ndarray, np.ndarray, AttackState]], np.ndarray]:
    """Perturbations that make predictions wrong.

    Parameters
    ----------
    run : AttackRun
    reference : Reference
    rows : ndarray of int
        Crystals to attack.
    make_directions : callable
        Returns the random directions for a chunk of crystals.
    smallest : bool, default=True
        Whether to search for the smallest perturbation that makes each prediction wrong.

    Returns
    -------
    found : list of tuple (rows, fraction, state)
        One tuple per chunk, about the crystals whose predictions were made wrong: their rows, the
        fraction of the budgets that was needed, and the evaluated state.
    error : ndarray of shape (C,)
        Error after the attack with the whole budgets; NaN for crystals that were not attacked.
    """
    found, error = [], np.full(len(run), np.nan)
    for chunk in run.chunks(rows):
        options = run.options(make_directions(), until_wrong=True)
        state = run.search(run.unperturbed(chunk, reference), options)
        state = evaluate(run.network, state)
        error[chunk] = state.error
        wrong = error[chunk] > 0
        if wrong.any():
            state, fraction = state.select(wrong), np.ones(wrong.sum())
            if smallest:
                fraction, state = _bisect_budget(run, state, options)
            found.append((chunk[wrong], fraction, state))
    return found, error


def _bisect_budget(run, state, options):
    """Bisect the fraction of the budgets that makes the prediction for each crystal wrong."""
    method = METHODS[run.attack.method]
    low, high = np.zeros(len(state)), np.ones(len(state))
    for _ in range(_N_BISECTIONS):
        middle = (low + high) / 2
        trial = scale(state, middle / high).within(state.bounds.scaled(middle))
        trial = evaluate(run.network, method.search_smaller(run.network, trial, options))
        wrong = trial.error > 0
        state = state.update(wrong, trial, wrong)
        high, low = np.where(wrong, middle, high), np.where(wrong, low, middle)
    return high, state


def _table(run, y, found):
    names = ("index", "target", "prediction", "perturbed prediction", "smallest budget (Å)")
    names += ("smallest strain", "displacement (Å)", "structure")
    columns = {name: [] for name in names}
    for rows, _, state in found:
        displacements = np.split(state.displacement, state.bounds.graphs.atom_ptr[1:-1])
        columns["index"] += rows.tolist()
        columns["target"] += list(rows if y is None else np.asarray(y)[rows])
        columns["prediction"] += list(run.network.predictions(run.outputs[rows]))
        columns["perturbed prediction"] += list(run.network.predictions(state.outputs))
        columns["smallest budget (Å)"] += [
            np.linalg.norm(displacement, axis=1).max() for displacement in displacements
        ]
        columns["smallest strain"] += np.linalg.norm(state.strain, axis=(1, 2)).tolist()
        columns["displacement (Å)"] += displacements
        columns["structure"] += run.apply_to_structures(rows, state)
    if y is None:
        del columns["target"]
    if not run.attack.strain:
        del columns["smallest strain"]
    return pd.DataFrame(columns)
