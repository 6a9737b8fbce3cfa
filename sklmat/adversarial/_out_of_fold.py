"""Out-of-fold examination of training rows: their predictions, and how stable these are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from sklmat.adversarial._attack_run import CHUNK, AttackRun
from sklmat.adversarial._attack_state import draw, evaluate
from sklmat.adversarial._examples import find_wrong_predictions
from sklmat.compositions import element_amounts
from sklmat.cross_validation import list_folds, refuse_shared_rows
from sklmat.exceptions import rows_of_input
from sklmat.perturbations import CrystalDirections
from sklmat.row_groups import label_compositions, warn_divided_groups
from sklmat.unseen_elements import UnseenElements, gather_unseen_elements

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.adversarial._attack import StructureAttack
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike

#: Random draws over which the standard deviation is taken.
_N_DRAWS = 32
#: Smallest relative change of an error from which a budget is extrapolated.
_SMALLEST_EFFECT = 1e-3


class Attacked(NamedTuple):
    """Result of an attack on C crystals: arrays of shape (C,).

    Attributes
    ----------
    is_wrong : ndarray of bool
        Whether the attack makes the prediction wrong.
    fraction : ndarray
        The fraction of the budget that it needs for this; 1 if it does not succeed.
    error : ndarray
        Error after the attack with the whole budget; NaN for rows that were not attacked.
    """

    is_wrong: np.ndarray
    fraction: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Examination:
    """What to examine about the predictions of a network.

    Parameters
    ----------
    attack : StructureAttack
    seed : int
        Seed of the random directions.
    columns : dict of str to str
        Column -> its name in the table: "margin", "flip_budget", "spread_under_noise".
    threshold : float or None
        For regressors: a larger change of the prediction, or a larger error, counts.
    """

    attack: StructureAttack
    seed: int
    columns: dict[str, str]
    threshold: float | None = None

    def table(self, estimator: BaseEstimator, X: Any) -> pd.DataFrame:
        """Predictions of a fitted network and their columns, one table row per crystal."""
        run = AttackRun(self.attack, estimator, X)
        reference = run.reference(None, self.threshold)
        attacked = None
        if "flip_budget" in self.columns:
            attacked = self._search(run, reference, np.arange(len(run)), smallest=True)
        return self._table(run, reference, attacked)

    def training_table(self, estimator: BaseEstimator, X: Any, y: np.ndarray) -> pd.DataFrame:
        """`table`, and how the predictions compare with the true labels.

        Further columns: "right"; "adversarial": right, and wrong when perturbed; "stability": the
        margin of classifiers or, for regressors, what the attack leaves of the threshold (in units
        of the threshold), with a minus sign for wrong predictions; "needed budget": the budget that
        makes the prediction wrong, extrapolated linearly from the attack (inf if it has no effect).
        """
        run = AttackRun(self.attack, estimator, X)
        reference = run.reference(None, self.threshold)
        has_budget, is_classifier = "flip_budget" in self.columns, run.network.is_classifier
        attacked: Any = None
        if is_classifier or has_budget:
            attacked = self._search(run, reference, np.arange(len(run)), smallest=has_budget)
        table = self._table(run, reference, attacked)
        if is_classifier:
            # The attacked class is the true one wherever the prediction is right. The network may
            # not know the true class of other rows.
            right = table["prediction"].to_numpy() == y
        else:
            reference = run.reference(y, self.threshold)
            right = run.network.error(run.outputs, reference) <= 0
            attacked = self._search(run, reference, np.flatnonzero(right), smallest=False)
        before, after = run.network.error(run.outputs, reference), attacked.error
        table.insert(1, "right", right)
        table.insert(2, "adversarial", right & attacked.is_wrong)
        remaining = -before if is_classifier else -after
        table["stability"] = np.where(right, remaining, -np.abs(before))
        needed = np.full(len(run), np.inf)
        # A change by rounding errors says nothing about larger budgets.
        has_effect = right & (after - before > _SMALLEST_EFFECT * np.abs(before))
        before, change = before[has_effect], (after - before)[has_effect]
        needed[has_effect] = self.attack.budget * -before / change
        table["needed budget"] = needed
        return table

    def _table(self, run, reference, attacked):
        table = pd.DataFrame({"prediction": run.network.predictions(run.outputs)})
        if "margin" in self.columns:
            table[self.columns["margin"]] = -run.network.error(run.outputs, reference)
        if "flip_budget" in self.columns:
            table[self.columns["flip_budget"]] = self.attack.budget * attacked.fraction
        if "spread_under_noise" in self.columns:
            table[self.columns["spread_under_noise"]] = self._spread(run, reference)
        return table

    def _search(self, run, reference, rows, smallest):
        """Attack some rows, with new directions for every chunk, so that chunks are independent."""
        is_wrong, fraction = np.zeros(len(run), dtype=bool), np.ones(len(run))
        found, error = find_wrong_predictions(
            run, reference, rows, partial(CrystalDirections, self.seed), smallest
        )
        for found_rows, needed, _ in found:
            is_wrong[found_rows], fraction[found_rows] = True, needed
        return Attacked(is_wrong, fraction, error)

    def _spread(self, run, reference):
        """Standard deviation over random perturbations: of log-odds, or of the prediction."""
        chunks = np.array_split(np.arange(len(run)), -(-len(run) // CHUNK))
        return np.concatenate([self._spread_of(run, reference, rows) for rows in chunks])

    def _spread_of(self, run, reference, rows):
        state, directions = run.unperturbed(rows, reference), CrystalDirections(self.seed)
        drawn = (evaluate(run.network, draw(state, directions)) for _ in range(_N_DRAWS))
        if run.network.is_classifier:
            return np.std([each.error for each in drawn], axis=0)
        return np.std([each.outputs[:, 0] for each in drawn], axis=0)


def make_folds(
    cv: int | BaseCrossValidator | Iterable,
    structures: np.ndarray,
    y: np.ndarray,
    groups: ArrayLike | None,
    *,
    seed: int,
    stratified: bool,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide the rows into folds such that each row is in one test fold.

    Parameters
    ----------
    cv : int, cross-validation generator or iterable
        An int means shuffled folds; with `groups`, folds that do not divide a group.
    structures : ndarray of C structures
    y : ndarray of shape (C,)
    groups : array-like of shape (C,) or None
    seed : int
        Seed of the shuffle, if `cv` is an int.
    stratified : bool
        Whether `y` holds classes, which shall have the same proportions in all folds.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    ValueError
        When a row is in no test fold, in several, or among the training rows of its fold, or a
        fold trains on a single class.

    Warns
    -----
    UserWarning
        When, without `groups`, a fold trains on the composition of one of its test rows.
    """
    if isinstance(cv, Integral):
        if groups is None:
            cls = StratifiedKFold if stratified else KFold
        else:
            cls = StratifiedGroupKFold if stratified else GroupKFold
        splitter = cls(cv, shuffle=True, random_state=seed)
    else:
        splitter = cv
    folds = list_folds(splitter, structures, y, groups, is_classifier=stratified)
    refuse_shared_rows(folds, "cv")
    n_tests = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(y))
    if (n_tests != 1).any():
        row = int(np.argmax(n_tests != 1))
        raise ValueError(f"cv must put each row into one test fold; row {row} is in {n_tests[row]}")
    if stratified and (y != y[0]).any():
        for fold, (train, _) in enumerate(folds):
            if (y[train] == y[train[0]]).all():
                raise ValueError(
                    f"the {len(train)} training rows of fold {fold} of 0-{len(folds) - 1} of cv "
                    "have a single class, and a reference classifier needs two; use fewer or other "
                    "folds"
                )
    if groups is None:
        warn_divided_groups(
            folds,
            label_compositions([element_amounts(structures.tolist())]),
            "cv of AdversarialFeatureBuilder",
            "their columns come from networks that know their composition, those of new "
            "compositions do not; pass cv=CompositionGroupKFold(5), or groups to fit (a different "
            "group for each row if rows of one composition may be apart)",
        )
    return folds


def examine_fold(
    estimator: BaseEstimator,
    graphs: CrystalGraphs,
    y: np.ndarray,
    examination: Examination,
    n_folds: int,
    fold: int,
    train: np.ndarray,
    test: np.ndarray,
) -> tuple[pd.DataFrame, UnseenElements]:
    """Train on some rows and examine the others; rows are numbered as in `graphs`."""
    context = f"in fold {fold} of 0-{n_folds - 1} of cv"
    with rows_of_input(train, context):
        fitted = clone(estimator).fit(graphs[train], y[train])
    with rows_of_input(test, context), gather_unseen_elements() as gathered:
        table = examination.training_table(fitted, graphs[test], y[test])
    symbols = {int(test[row]): of_row for row, of_row in gathered.symbols.items()}
    return table.set_axis(test), UnseenElements(symbols, gathered.consequences)


def joined(unseen: Sequence[UnseenElements]) -> UnseenElements:
    """The unseen elements of all folds together, in the order of the rows."""
    together = UnseenElements()
    for each in unseen:
        together.add(each.symbols, each.consequences)
    return UnseenElements(dict(sorted(together.symbols.items())), together.consequences)
