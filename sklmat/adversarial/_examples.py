"""Adversarial examples with the smallest displacement that makes them, and robustness curves."""

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from sklmat.adversarial._attack import StructureAttack
from sklmat.adversarial._attack_run import Attacked
from sklmat.adversarial._perturb_structures import perturbed

#: Halvings of the bracket around the smallest budget: to 1/64 of the budget.
_BISECTIONS = 6


def find_adversarial_examples(
    estimator,
    X,
    y,
    *,
    method="pgd",
    scale=0.05,
    strain=0.0,
    threshold=None,
    neighbors="rebuilt",
    n_steps=10,
    n_draws=1,
    min_distance=None,
    random_state=None,
    verbose=False,
):
    """Crystals that are predicted right as they are, and wrong when perturbed.

    Parameters
    ----------
    estimator : fitted graph estimator
        CGCNN or ECNet, as a classifier or a regressor. Its examples say something of the data only
        where it has not been trained on these rows.
    X : sequence of C structures, or CrystalGraphs
    y : array-like of shape (C,) or (C, n_targets)
    method : {"pgd", "fgsm", "random"}, default="pgd"
        See `StructureAttack`. "random", at one level of noise, is the step of the paper [1]_.
    scale : float, default=0.05
        Largest displacement of an atom (Å).
    strain : float, default=0.0
        Largest Frobenius norm of the strain of the lattice.
    threshold : float or array-like of shape (n_targets,), default=None
        For regressors, in the unit of `y`: a prediction further off than this is wrong. ``None``
        takes twice the median absolute error on these rows as they are, target by target; it is
        kept in ``table.attrs["threshold"]``, a list.
    neighbors, n_steps, n_draws, min_distance, random_state, verbose
        See `StructureAttack`.

    Returns
    -------
    pandas.DataFrame
        One row per adversarial example, in the order of `X`:

        - ``index``: row of `X`.
        - ``target``, ``prediction``, ``perturbed prediction``.
        - ``smallest budget (Å)``: largest displacement of an atom in the weakest perturbation found
          that makes the prediction wrong, by bisection to 1/64 of `scale`; with `strain` also
          ``smallest strain``, which shrinks along with it.
        - ``displacement (Å)``: that perturbation, ndarray of shape (n_atoms, 3), before the strain.
        - ``structure``: the crystal perturbed by it, a pymatgen ``Structure``.

        ``table.attrs`` holds ``n_right``, the number of rows that are right as they are.

    Raises
    ------
    TypeError
        When `estimator` is no graph estimator.
    ValueError
        When `y` does not suit it, or a parameter is out of range.

    Notes
    -----
    "pgd" attacks anew at each budget, from the perturbation found before; "fgsm" takes one step of
    that length; "random" shrinks the draw that was found. The smallest budget is an upper bound:
    no attack proves that there is no smaller one.

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
    >>> model = CGCNNClassifier(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> table = find_adversarial_examples(model.fit(cells, y), cells, y, scale=0.2)
    >>> bool((table["prediction"] != table["perturbed prediction"]).all())
    True
    >>> bool((table["smallest budget (Å)"] <= 0.2).all())
    True
    """
    attack = StructureAttack(
        estimator,
        method=method,
        budget=scale,
        strain=strain,
        neighbors=neighbors,
        n_steps=n_steps,
        n_draws=n_draws,
        min_distance=min_distance,
        random_state=random_state,
        verbose=verbose,
    )
    attack._validate_params()
    attacked = Attacked(estimator, X, attack)
    reference = attacked.reference(y, _threshold(attacked, y, threshold))
    outputs = attacked.model.outputs(attacked.graphs)
    right = np.flatnonzero(attacked.model.error(outputs, reference) <= 0)
    noise = attack._noise()
    flips = find_flips(attacked, reference, right, lambda: noise)
    table = _table(attacked, y, outputs, flips)
    table.attrs["n_right"] = len(right)
    if reference.threshold is not None:
        # pandas compares attrs where tables are joined, for which arrays have no answer.
        table.attrs["threshold"] = reference.threshold.tolist()
    return table


def _threshold(attacked, y, threshold):
    """How far off is wrong, ndarray of shape (T,); None for classifiers."""
    if is_classifier(attacked.estimator):
        if threshold is not None:
            raise ValueError("threshold is for regressors; a class is right or wrong")
        return None
    if threshold is None:
        reference = attacked.reference(y)
        errors = np.abs(attacked.model.outputs(attacked.graphs) - reference.values)
        return 2 * np.median(errors, axis=0)
    threshold = np.asarray(threshold, dtype=float)
    if not (threshold > 0).all():
        raise ValueError(f"threshold must be above 0, got {threshold.tolist()}")
    n_targets = attacked.estimator.n_outputs_
    if threshold.shape not in ((), (1,), (n_targets,)):
        raise ValueError(
            f"threshold must be one number, or one for each of the {n_targets} targets, got "
            f"{threshold.tolist()}"
        )
    return threshold


def find_flips(attacked, reference, rows, make_noise, weakest=True):
    """Weakest moves found that make predictions wrong.

    Parameters
    ----------
    attacked : Attacked
    reference : Reference
    rows : ndarray of int
        Crystals to attack.
    make_noise : callable
        Gives the noise for a few of them, see `free_noise`.
    weakest : bool, default=True
        Look for weaker moves that do it too.

    Returns
    -------
    list of tuple (rows, fraction, Moves)
        Of crystals that could be flipped: their rows, the fraction of the budgets that was needed,
        and the moves.
    """
    attack = attacked.attack
    found = []
    for part in attacked.chunks(rows):
        search = attacked.search_in(part, reference, make_noise(), until_wrong=True)
        moves = attack._search(search)
        flipped = moves.error > 0
        if flipped.any():
            moves, fraction = moves[flipped], np.ones(flipped.sum())
            if weakest:
                fraction, moves = _weaken(search[flipped], moves, attack)
            found.append((part[flipped], fraction, moves))
    return found


def _weaken(search, moves, attack):
    """Bisect the fraction of the budgets that each crystal needs."""
    low, high = np.zeros(len(moves.error)), np.ones(len(moves.error))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        trial = search.scaled(moves, middle / high)
        if attack.method != "random":
            trial = search(
                attack.method,
                attack.budget * middle,
                attack.strain * middle,
                n_steps=max(1, attack.n_steps // 2),
                start=trial if attack.method == "pgd" else None,
                best=trial if attack.method == "pgd" else None,
            )
        wrong = trial.error > 0
        moves[wrong] = trial[wrong]
        high, low = np.where(wrong, middle, high), np.where(wrong, low, middle)
    return high, moves


def _table(attacked, y, outputs, flips):
    columns = {"index": [], "target": [], "prediction": [], "perturbed prediction": []}
    columns |= {"smallest budget (Å)": [], "smallest strain": []}
    columns |= {"displacement (Å)": [], "structure": []}
    attack = attacked.attack
    for rows, _, moves in flips:
        ends = moves.atom_ptr[1:-1]
        parts = np.split(moves.displacement, ends)
        columns["index"] += rows.tolist()
        columns["target"] += list(np.asarray(y)[rows])
        columns["prediction"] += list(attacked.decode(outputs[rows]))
        columns["perturbed prediction"] += list(attacked.decode(moves.outputs))
        columns["smallest budget (Å)"] += [np.linalg.norm(u, axis=1).max() for u in parts]
        columns["smallest strain"] += np.linalg.norm(moves.strain, axis=(1, 2)).tolist()
        columns["displacement (Å)"] += parts
        graphs = attacked.graphs[rows]
        originals = attacked.originals(rows)
        columns["structure"] += perturbed(originals, graphs, moves.displacement, moves.strain)
    if not attack.strain:
        del columns["smallest strain"]
    return pd.DataFrame(columns)
