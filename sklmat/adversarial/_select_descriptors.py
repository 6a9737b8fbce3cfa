"""`select_descriptors`: those in which adversarial and normal examples differ most."""

from __future__ import annotations

import warnings
from numbers import Integral

import numpy as np
import pandas as pd

from sklmat.adversarial._contrast import contrast
from sklmat.recorded_warnings import frames_inside

#: A descriptor with a higher rank correlation to one already selected is not selected.
_HIGHEST_CORRELATION = 0.8
#: Examples of each kind that a contrast needs.
_MIN_EXAMPLES = 2


def select_descriptors(
    table: pd.DataFrame, examples: pd.DataFrame, select: float, budget: float
) -> tuple[pd.DataFrame, list[str]]:
    """Compare adversarial with normal examples, and select descriptors that differ.

    Parameters
    ----------
    table : DataFrame of shape (C, F)
        All descriptors of the training rows.
    examples : DataFrame of C rows
        From `Examination.training_table`.
    select : int or float
        Number of descriptors, or their smallest effect.
    budget : float
        Budget of the attack (Å).

    Returns
    -------
    contrast : DataFrame
        See `contrast`. ``contrast.attrs["compared"]`` says what was compared.
    selected : list of str

    Raises
    ------
    ValueError
        When no descriptor differs, or there are too few rows.

    Warns
    -----
    UserWarning
        When there are fewer than two examples of a kind. Then the less stable half of the right
        predictions is compared with the more stable half.
    """
    adversarial = examples["adversarial"].to_numpy()
    normal = (examples["right"] & ~examples["adversarial"]).to_numpy()
    has_both = min(adversarial.sum(), normal.sum()) >= _MIN_EXAMPLES
    compared = "adversarial with normal examples"
    if not has_both:
        compared = "less stable with more stable predictions"
        _warn_few_examples(examples, adversarial.sum(), normal.sum(), budget)
        adversarial, normal = _halves_by_stability(examples)
    effects = contrast(table[adversarial], table[normal])
    effects.attrs["compared"] = compared
    effect = effects["effect size"].abs().dropna()
    if effect.empty:
        raise ValueError(
            f"none of the {table.shape[1]} descriptors differs between any of the examples, or "
            "they have too few values; use other descriptors"
        )
    if isinstance(select, Integral):
        return effects, _uncorrelated(table[effect.index], select)
    large = effect[effect >= select]
    if large.empty and has_both:
        raise ValueError(
            f"no descriptor has an effect of {select}; the largest is {effect.max():.3g}; lower "
            "select"
        )
    # The effect of another comparison than the one that was asked for must not end a search.
    large = effect[:1] if large.empty else large
    return effects, _uncorrelated(table[large.index], len(large))


def _warn_few_examples(examples, n_adversarial, n_normal, budget):
    """Warn that there is no contrast, and say which budget would give one."""
    right = examples["right"].to_numpy()
    needed = np.sort(examples["needed budget"].to_numpy()[right])
    few = "adversarial" if n_adversarial < _MIN_EXAMPLES else "normal"
    if len(needed) < 2 * _MIN_EXAMPLES:
        advice = f"only {right.sum()} rows are predicted right, so train a better reference"
    elif few == "adversarial" and np.isfinite(needed[_MIN_EXAMPLES - 1]):
        advice = (
            f"{_MIN_EXAMPLES} adversarial ones would need a budget of about "
            f"{needed[_MIN_EXAMPLES - 1]:.2g} Å, extrapolated from that of {budget:.2g} Å"
        )
    elif few == "normal":
        advice = (
            f"{_MIN_EXAMPLES} normal ones would need a budget below about "
            f"{needed[-_MIN_EXAMPLES]:.2g} Å instead of {budget:.2g} Å"
        )
    else:
        advice = (
            f"the attack hardly changes the predictions with its budget of {budget:.2g} Å; "
            "increase it"
        )
    warnings.warn(
        f"of {len(examples)} training rows {n_adversarial} are adversarial and {n_normal} normal "
        f"examples; a contrast needs {_MIN_EXAMPLES} of each. Descriptors are selected by "
        f"comparing the less stable half of the predictions with the more stable half; {advice}",
        UserWarning,
        stacklevel=frames_inside(),
    )


def _halves_by_stability(examples):
    """Masks of the less stable and the more stable half of the right predictions, or of all."""
    rows = np.flatnonzero(examples["right"])
    if len(rows) < 2 * _MIN_EXAMPLES:
        rows = np.arange(len(examples))
    if len(rows) < 2 * _MIN_EXAMPLES:
        raise ValueError(f"X has {len(rows)} structures; the comparison needs four or more")
    order = rows[np.argsort(examples["stability"].to_numpy()[rows], kind="stable")]
    halves = np.zeros((2, len(examples)), dtype=bool)
    for half, members in zip(halves, np.array_split(order, 2)):
        half[members] = True
    return halves


def _uncorrelated(table, n_most):
    """Names of the first columns that have no high rank correlation with a kept column."""
    ranks = table.rank().to_numpy()
    # Missing values have no rank. The mean rank adds nothing to the correlation.
    ranks = np.where(np.isnan(ranks), np.nanmean(ranks, axis=0), ranks)
    ranks = ranks - ranks.mean(axis=0)
    ranks /= np.linalg.norm(ranks, axis=0).clip(min=1e-300)
    kept = []
    for k in range(ranks.shape[1]):
        if all(abs(ranks[:, k] @ ranks[:, other]) <= _HIGHEST_CORRELATION for other in kept):
            kept.append(k)
        if len(kept) == n_most:
            break
    return [table.columns[k] for k in kept]
