"""`AdversarialFeatureBuilder`: descriptors in which adversarial and normal examples differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import ClassifierTags
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt
from sklearn.utils.validation import check_is_fitted

from sklmat.adversarial._attack import StructureAttack, check_attack
from sklmat.adversarial._attack_run import CHUNK, AttackRun
from sklmat.adversarial._attack_state import draw, evaluate
from sklmat.adversarial._contrast import contrast
from sklmat.adversarial._examples import find_wrong_predictions
from sklmat.estimators import (
    CGCNNClassifier,
    ClassTargets,
    is_graph_estimator,
    thawed,
    training_graphs,
)
from sklmat.features import DisorderFeaturizer, TableFeaturizer, output_table
from sklmat.parallel import N_JOBS
from sklmat.perturbations import CrystalDirections
from sklmat.processes import run_parallel
from sklmat.random_state import draw_seed
from sklmat.structures import check_structures, is_graphs

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.typing import ArrayLike, RandomState, Structures

#: Names of the columns computed from the predictions of the network, in their order.
_COLUMNS = {
    "margin": "margin (log-odds)",
    "flip_budget": "flip budget (Å)",
    "spread_under_noise": "spread under noise (log-odds)",
}
#: Random draws over which the standard deviation is taken.
_N_DRAWS = 32
#: A descriptor with a higher rank correlation to one already selected is not selected.
_HIGHEST_CORRELATION = 0.8


class AdversarialFeatureBuilder(TableFeaturizer):
    """Select descriptors in which adversarial and normal examples differ, and add network columns.

    `fit` trains a reference classifier and attacks its predictions. Adversarial examples are the
    crystals that it predicts right as they are and wrong when perturbed; normal examples are
    predicted right in both cases. `fit` compares the two groups and selects the descriptors in
    which they differ most, similar to Wang et al. [1]_ (see Notes). Further columns are computed
    from the predictions of the classifier.

    Parameters
    ----------
    estimator : graph classifier, default=None
        The reference classifier: `CGCNNClassifier`, `ECNetClassifier` or a classifier with a
        network of your own. ``None`` takes ``CGCNNClassifier()``.
    attack : StructureAttack, default=None
        The attack on the reference classifier; the attack's own `estimator` must be None. ``None``
        takes ``StructureAttack()``.
    descriptors : transformer of structures to a table, default=None
        Computes the descriptors to select from, for example a ``FeatureUnion`` of featurizers.
        ``None`` takes ``DisorderFeaturizer()``.
    select : int or float, default=5
        An int is the number of descriptors to select, those with the largest effects. A float is
        the smallest effect of a selected descriptor (magnitude of Hedges' g; by convention, 0.8 is
        a large effect). A descriptor is not selected if the magnitude of its Spearman rank
        correlation with a selected descriptor of larger effect is above 0.8.
    include : sequence of str, default=("descriptors", "margin", "flip_budget", \
"spread_under_noise")
        Which columns to make, in this order:

        - "descriptors": the selected descriptors.
        - "margin": log-odds of the predicted class against the second most probable one, at
          least 0.
        - "flip_budget": smallest displacement found that changes the prediction (Å), an upper
          bound, as in `find_adversarial_examples`; if the attack finds none, the budget of the
          attack.
        - "spread_under_noise": standard deviation of the log-odds of "margin" over 32 random draws,
          in which each atom is displaced by the budget of the attack.
    cv : int, cross-validation generator or iterable, default=5
        Folds for the out-of-fold predictions of the training rows. An int means stratified,
        shuffled folds.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the noise. The estimator has its own `random_state`.
    n_jobs : int, default=None
        Number of folds computed in parallel.
    verbose : bool, default=False
        Show a progress bar over the folds.

    Attributes
    ----------
    estimator_ : graph classifier
        The reference classifier, fitted on all training rows; `transform` uses its predictions.
    descriptors_ : transformer
        Fitted on the training rows.
    selected_ : list of str
        Selected descriptors, the largest effect first.
    contrast_ : DataFrame
        All descriptors, compared between adversarial and normal examples: see `contrast`.
    examples_ : DataFrame
        One row per training row, from out-of-fold predictions: ``prediction``, ``right``,
        ``adversarial`` (right as it is, wrong when perturbed), and the columns of the network that
        are in `include`.
    classes_ : ndarray
        The class labels, sorted.
    feature_names_ : list of str
        Names of the columns.

    See Also
    --------
    contrast : Computes the table from which descriptors are selected.
    find_adversarial_examples : Returns adversarial examples with their structures.

    Notes
    -----
    **Which rows are used where.** `fit` uses training rows only. It attacks out-of-fold
    predictions, because a network predicts its own training rows with too high a confidence.
    `fit_transform`, which a ``Pipeline`` calls in training, computes the columns of the network
    out-of-fold too. `transform` computes them with the network fitted on all training rows.
    Therefore ``fit(X, y).transform(X)`` differs from ``fit_transform(X, y)``, as with
    scikit-learn's ``TargetEncoder``. `transform` uses no labels: it attacks the predicted class.

    Only examples that are predicted right without perturbation are compared. Descriptors whose
    effect is undefined (constant ones) are never selected. The noise depends on the crystal, not
    on its row, so the order and the selection of rows do not change the result. A translated or
    rotated copy of a crystal gets other noise. The standard deviation of 32 draws is an estimate
    with a relative error of about 12 %.

    In [1]_ the examples come from random displacements of one size, and the authors designed the
    descriptors themselves after they had compared the examples. The most similar settings here are
    ``attack=StructureAttack(method="random")`` and ``include=("descriptors",)``.

    References
    ----------
    .. [1] Wang, Lai, Wei, Guo, Jin, Sci. China Mater. 67, 1183 (2024)

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import (
    ...     AdversarialFeatureBuilder, CGCNNClassifier, StructureAttack, StructureFeaturizer
    ... )
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> y = np.where(a > 2.9, "loose", "dense")
    >>> builder = AdversarialFeatureBuilder(
    ...     CGCNNClassifier(hidden_dim=8, max_epochs=20, batch_size=8, random_state=0),
    ...     attack=StructureAttack(budget=0.2, n_steps=5),
    ...     descriptors=StructureFeaturizer(groups=["volume"]),
    ...     select=1,
    ...     cv=3,
    ...     random_state=0,
    ... )
    >>> table = builder.fit_transform(cells, y)
    >>> table.shape
    (24, 4)
    >>> list(table.columns[1:])
    ['margin (log-odds)', 'flip budget (Å)', 'spread under noise (log-odds)']
    """

    _parameter_constraints = {
        "estimator": [None, HasMethods(["fit", "predict_proba"])],
        "attack": [None, HasMethods(["generate"])],
        "descriptors": [None, HasMethods(["fit", "transform"])],
        "select": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="left"),
        ],
        "include": ["array-like"],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        attack: StructureAttack | None = None,
        descriptors: BaseEstimator | None = None,
        select: int | float = 5,
        include: Sequence[str] = ("descriptors", "margin", "flip_budget", "spread_under_noise"),
        cv: int | BaseCrossValidator | Iterable = 5,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.attack = attack
        self.descriptors = descriptors
        self.select = select
        self.include = include
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Structures, y: ArrayLike) -> Self:
        """Train and attack the reference classifier, compare examples and select descriptors.

        Parameters
        ----------
        X : sequence of C structures
        y : array-like of shape (C,)
            Classes.

        Returns
        -------
        self

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        TypeError
            When `estimator` is not a graph classifier, or `X` is a `CrystalGraphs` (descriptors
            need the structures).
        ValueError
            When a parameter is out of range, there are fewer than two adversarial or two normal
            examples, or the effect of every descriptor is below `select`.
        """
        self._fit(X, y)
        return self

    def fit_transform(self, X: Structures, y: ArrayLike) -> pd.DataFrame:
        """Fit, and return the table of the training rows, with out-of-fold network columns.

        Parameters
        ----------
        X : sequence of C structures
        y : array-like of shape (C,)

        Returns
        -------
        DataFrame or ndarray of shape (C, F)
        """
        return self._columns(X, self._fit(X, y), self.examples_)

    def transform(self, X: Structures) -> pd.DataFrame:
        """Compute the selected descriptors and the columns of the network fitted on all rows.

        Parameters
        ----------
        X : sequence of C structures

        Returns
        -------
        DataFrame or ndarray of shape (C, F)

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        """
        check_is_fitted(self, "estimator_")
        structures = self._structures(X)
        table = examples = None
        if "descriptors" in self.include:
            table = self._describe(structures, self.descriptors_.transform)
        if set(self.include) & set(_COLUMNS):
            attack = self._own_attack()
            examples = _examine(self.estimator_, structures, attack, self.noise_seed_, self.include)
        return self._columns(X, table, examples)

    def _fit(self, X, y):
        self._validate_params()
        self._check_include()
        structures = self._structures(X)
        estimator, attack = self._own_estimator(), self._own_attack()
        fold_seed, self.noise_seed_ = draw_seed(self.random_state, size=2)
        graphs = training_graphs(estimator, structures)
        y = ClassTargets().check(y)
        if len(y) != len(graphs):
            raise ValueError(f"X has {len(graphs)} structures and y has {len(y)} rows")
        self.examples_ = self._out_of_fold(estimator, attack, graphs, y, fold_seed)
        self.descriptors_, table = None, None
        self.contrast_, self.selected_ = None, []
        if "descriptors" in self.include:
            self.descriptors_ = clone(self._own_descriptors())
            table = self._describe(structures, lambda X: self.descriptors_.fit_transform(X, y))
            self._select(table)
        self.estimator_ = clone(estimator).fit(graphs, y)
        self.classes_ = self.estimator_.classes_
        self.feature_names_ = [
            column
            for name in self.include
            for column in (self.selected_ if name == "descriptors" else [_COLUMNS[name]])
        ]
        return table

    def _check_include(self):
        known = ("descriptors", *_COLUMNS)
        if not len(self.include) or len(set(self.include) & set(known)) < len(self.include):
            raise ValueError(
                f"include must be different ones out of {list(known)}, at least one; got "
                f"{list(self.include)}"
            )

    def _structures(self, X):
        if is_graphs(X):
            raise TypeError(
                "descriptors need the structures themselves, not CrystalGraphs: pass the "
                "structures that the graphs were built from"
            )
        return check_structures(X)

    def _own_estimator(self):
        if self.estimator is None:
            return CGCNNClassifier()
        estimator = thawed(self.estimator)
        if not is_classifier(estimator) or not is_graph_estimator(estimator):
            raise TypeError(
                "estimator must be a graph classifier, CGCNNClassifier or ECNetClassifier, got "
                f"{type(self.estimator).__name__}; divide a numeric target into classes first"
            )
        return self.estimator

    def _own_attack(self):
        attack = StructureAttack() if self.attack is None else self.attack
        check_attack(attack)
        if attack.estimator is not None:
            raise ValueError("attack must leave its estimator None: it attacks the reference here")
        return attack

    def _own_descriptors(self):
        return DisorderFeaturizer() if self.descriptors is None else self.descriptors

    def _describe(self, structures, describe):
        """All descriptors as a DataFrame with named columns."""
        table = describe(structures)
        if isinstance(table, pd.DataFrame):
            return table.reset_index(drop=True)
        return pd.DataFrame(np.asarray(table), columns=self.descriptors_.get_feature_names_out())

    def _out_of_fold(self, estimator, attack, graphs, y, seed):
        """Examine each training row with a network not trained on it: one table row for each."""
        from tqdm.auto import tqdm

        cv = check_cv(self.cv, y, classifier=True)
        if isinstance(self.cv, Integral):
            cv = StratifiedKFold(self.cv, shuffle=True, random_state=seed)
        folds = list(cv.split(np.empty((len(y), 1)), y))
        n_tests = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(y))
        if (n_tests != 1).any():
            row = int(np.argmax(n_tests != 1))
            raise ValueError(
                f"cv must put each row into one test fold; row {row} is in {n_tests[row]}"
            )
        common = estimator, graphs, y, attack, self.noise_seed_, tuple(self.include)
        tables = run_parallel(_examine_fold, folds, common=common, n_jobs=self.n_jobs)
        bar = tqdm(
            tables, total=len(folds), unit="fold", desc="adversarial", disable=not self.verbose
        )
        table = pd.concat(
            [table.set_axis(test) for table, (_, test) in zip(bar, folds)]
        ).sort_index()
        table.insert(1, "right", table["prediction"].to_numpy() == y)
        table.insert(2, "adversarial", table["right"] & table.pop("flipped"))
        return table

    def _select(self, table):
        """Compare adversarial with normal examples, and select descriptors that differ."""
        adversarial = self.examples_["adversarial"].to_numpy()
        normal = (self.examples_["right"] & ~self.examples_["adversarial"]).to_numpy()
        if min(adversarial.sum(), normal.sum()) < 2:
            raise ValueError(
                f"of {len(table)} training rows {adversarial.sum()} are adversarial and "
                f"{normal.sum()} normal examples; a contrast needs two of each: change the budget "
                "of the attack, or train a better reference"
            )
        self.contrast_ = contrast(table[adversarial], table[normal])
        effect = self.contrast_["effect size"].abs().dropna()
        if effect.empty:
            raise ValueError(
                f"none of the {table.shape[1]} descriptors differs between any of the examples, or "
                "they have too few values; use other descriptors"
            )
        if not isinstance(self.select, Integral):
            effect = effect[effect >= self.select]
        if effect.empty:
            raise ValueError(
                f"no descriptor has an effect of {self.select}; the largest is "
                f"{self.contrast_['effect size'].abs().max():.3g}; lower select"
            )
        n_most = self.select if isinstance(self.select, Integral) else len(effect)
        self.selected_ = _uncorrelated(table[effect.index], n_most)

    def _columns(self, X, table, examples):
        """The included columns side by side."""
        blocks = [
            table[self.selected_].to_numpy(dtype=float)
            if name == "descriptors"
            else examples[[_COLUMNS[name]]].to_numpy(dtype=float)
            for name in self.include
        ]
        return output_table(self, np.hstack(blocks), X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags()  # that is, y holds classes
        tags.non_deterministic = self.random_state is None
        return tags


def _examine_fold(estimator, graphs, y, attack, seed, include, train, test):
    """Train on some rows and examine the others."""
    fitted = clone(estimator).fit(graphs[train], y[train])
    return _examine(fitted, graphs[test], attack, seed, {*include, "flipped"})


def _examine(estimator, X, attack, seed, include):
    """Predictions of a fitted network and their stability, one table row per crystal."""
    run = AttackRun(attack, estimator, X)
    reference = run.reference()
    all_rows = np.arange(len(run))
    table = pd.DataFrame({"prediction": run.network.predictions(run.outputs)})
    if {"flipped", "flip_budget"} & set(include):
        flipped, fraction = np.zeros(len(run), dtype=bool), np.ones(len(run))
        # New directions for every chunk, so that they do not depend on the chunks before it.
        make_directions = partial(CrystalDirections, seed)
        smallest = "flip_budget" in include
        found = find_wrong_predictions(run, reference, all_rows, make_directions, smallest)
        for rows, needed, _ in found:
            flipped[rows], fraction[rows] = True, needed
        table["flipped"] = flipped
    if "margin" in include:
        table[_COLUMNS["margin"]] = -run.network.error(run.outputs, reference)
    if "flip_budget" in include:
        table[_COLUMNS["flip_budget"]] = attack.budget * fraction
    if "spread_under_noise" in include:
        chunks = np.array_split(all_rows, -(-len(run) // CHUNK))
        table[_COLUMNS["spread_under_noise"]] = np.concatenate(
            [
                _log_odds_spread(run.network, run.unperturbed(rows, reference), seed)
                for rows in chunks
            ]
        )
    return table


def _log_odds_spread(network, state, seed):
    """Standard deviation of the log-odds over random perturbations."""
    directions = CrystalDirections(seed)
    errors = [evaluate(network, draw(state, directions)).error for _ in range(_N_DRAWS)]
    return np.std(errors, axis=0)


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
