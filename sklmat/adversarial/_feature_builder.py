"""`AdversarialFeatureBuilder`: descriptors in which adversarial and normal examples differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import ClassifierTags, RegressorTags, check_consistent_length
from sklearn.utils._param_validation import HasMethods, RealNotInt
from sklearn.utils.validation import check_is_fitted

from sklmat.adversarial._attack import StructureAttack, check_attack
from sklmat.adversarial._out_of_fold import Examination, examine_fold, joined, make_folds
from sklmat.adversarial._select_descriptors import select_descriptors
from sklmat.argument_checks import check_names
from sklmat.cross_validation import refuse_no_folds
from sklmat.estimators import (
    CGCNNClassifier,
    ClassTargets,
    RegressionTargets,
    is_graph_estimator,
    thawed,
    training_graphs,
)
from sklmat.features import DisorderFeaturizer, TableFeaturizer, output_table
from sklmat.fitted_state import unchanged_by_failure
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.processes import run_parallel
from sklmat.random_state import draw_seed
from sklmat.structures import check_structures, is_graphs
from sklmat.targets import refuse_missing_groups
from sklmat.unseen_elements import warn_unseen_elements

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.typing import ArrayLike, RandomState, Structures

#: Names of the columns computed from the predictions of the network, in their order.
_COLUMNS = {
    "margin": "margin (log-odds)",
    "flip_budget": "flip budget (Å)",
    "spread_under_noise": "spread under noise (log-odds)",
}
#: Names for a regressor as reference, whose predictions have no margin.
_REGRESSOR_COLUMNS = {
    "flip_budget": "flip budget (Å)",
    "spread_under_noise": "spread under noise (unit of y)",
}


class AdversarialFeatureBuilder(TableFeaturizer):
    """Select descriptors in which adversarial and normal examples differ, and add network columns.

    `fit` trains a reference network and attacks its predictions. Adversarial examples are the
    crystals that it predicts right as they are and wrong when perturbed; normal examples are
    predicted right in both cases. `fit` compares the descriptors of the two groups, computed for
    the unperturbed crystals, and selects those in which they differ most, similar to Wang et al.
    [1]_ (see Notes). Further columns are computed from the predictions of the network.

    Parameters
    ----------
    estimator : graph classifier or graph regressor, default=None
        The reference network: `CGCNNClassifier`, `ECNetClassifier`, a regressor with one target, or
        a network of your own. ``None`` takes ``CGCNNClassifier()``.
    attack : StructureAttack, default=None
        The attack on the reference network; the attack's own `estimator` must be None. ``None``
        takes ``StructureAttack()``.
    descriptors : transformer of structures to a table, default=None
        Computes the descriptors to select from, for example a ``FeatureUnion`` of featurizers.
        ``None`` takes ``DisorderFeaturizer()``.
    select : int or float, default=5
        An int is the number of descriptors to select, those with the largest effects. A float is
        the smallest effect of a selected descriptor (magnitude of Hedges' g; by convention, 0.8 is
        a large effect). A descriptor is not selected if the magnitude of its Spearman rank
        correlation with a selected descriptor of larger effect is above 0.8.
    threshold : float, default=None
        For a regressor as reference, which needs it: a prediction is wrong if its error is larger
        than this (in the unit of `y`), and changed if it differs from that of the unperturbed
        crystal by more than this.
    include : sequence of str, default=None
        Which columns to make, in this order; ``None`` makes all that the reference has:

        - "descriptors": the selected descriptors.
        - "margin", for classifiers: logarithm of the probability of the predicted class divided by
          that of the second most probable one, at least 0 (for two classes, the log-odds).
        - "flip_budget": smallest displacement found that changes the prediction (Å), an upper
          bound, as in `find_adversarial_examples`; if the attack finds none, the budget of the
          attack.
        - "spread_under_noise": standard deviation of the logarithm of "margin", or of the
          prediction of a regressor, over 32 random draws, in which each atom is displaced by the
          budget of the attack.
    cv : int, cross-validation generator or iterable, default=5
        Folds for the out-of-fold predictions of the training rows, such as
        `CompositionGroupKFold`, which gets the structures. An int means shuffled folds (stratified
        for classes); with `groups` in `fit`, no group is divided.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the noise. The estimator has its own `random_state`.
    n_jobs : int, default=None
        Number of folds computed in parallel.
    verbose : bool, default=False
        Show a progress bar over the folds.

    Attributes
    ----------
    estimator_ : graph estimator
        The reference network, fitted on all training rows; `transform` uses its predictions.
    descriptors_ : transformer
        Fitted on the training rows.
    selected_ : list of str
        Selected descriptors, the largest effect first.
    contrast_ : DataFrame
        All descriptors, compared between adversarial and normal examples: see `contrast`. If there
        are too few examples, the less stable half of the predictions is compared with the more
        stable half, and ``contrast_.attrs["compared"]`` says so.
    examples_ : DataFrame
        One row per training row, from out-of-fold predictions: ``prediction``, ``right``,
        ``adversarial`` (right as it is, wrong when perturbed), and the columns of the network that
        are in `include`.
    classes_ : ndarray
        The class labels, sorted; only with a classifier as reference.
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

    **Rows of one composition.** If a fold trains on the composition of one of its test rows, the
    columns of this row are better than those of crystals with new compositions. `fit` warns of
    this; `CompositionGroupKFold` as `cv`, or `groups`, avoids it.

    **Too few examples.** A contrast needs two adversarial and two normal examples. If there are
    fewer, as in a small fold or with a small budget, `fit` warns, says which budget would give
    them, and compares the right predictions of smaller with those of larger margin. For a
    regressor, the order is what the attack leaves of `threshold`.

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
        "estimator": [None, HasMethods(["fit", "predict"])],
        "attack": [None, HasMethods(["generate"])],
        "threshold": [None, Interval(Real, 0, None, closed="neither")],
        "descriptors": [None, HasMethods(["fit", "transform"])],
        "select": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="left"),
        ],
        "include": [None, "array-like"],
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
        threshold: float | None = None,
        include: Sequence[str] | None = None,
        cv: int | BaseCrossValidator | Iterable = 5,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.attack = attack
        self.descriptors = descriptors
        self.select = select
        self.threshold = threshold
        self.include = include
        self.cv = cv
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @unchanged_by_failure
    def fit(self, X: Structures, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train and attack the reference network, compare examples and select descriptors.

        Parameters
        ----------
        X : sequence of C structures
            Training crystals.
        y : array-like of shape (C,)
            Classes, or numbers for a regressor as reference.
        groups : array-like of shape (C,), default=None
            Group of each row, for `cv`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        TypeError
            When `estimator` is not a graph estimator, or `X` is a `CrystalGraphs` (descriptors
            need the structures).
        ValueError
            When a parameter is out of range, a regressor has no `threshold`, or the effect of
            every descriptor is below `select`.

        Warns
        -----
        UserWarning
            When there are fewer than two adversarial or two normal examples, or rows of one
            composition are in different folds without `groups`.
        """
        self._fit(X, y, groups)
        return self

    @unchanged_by_failure
    def fit_transform(
        self, X: Structures, y: ArrayLike, groups: ArrayLike | None = None
    ) -> pd.DataFrame:
        """Fit, and return the table of the training rows, with out-of-fold network columns.

        Parameters
        ----------
        X : sequence of C structures
            Training crystals.
        y : array-like of shape (C,)
            Targets.
        groups : array-like of shape (C,), default=None
            Group of each row, for `cv`.

        Returns
        -------
        DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.
        """
        return self._columns(X, self._fit(X, y, groups), self.examples_)

    def transform(self, X: Structures) -> pd.DataFrame:
        """Compute the selected descriptors and the columns of the network fitted on all rows.

        Parameters
        ----------
        X : sequence of C structures
            The crystals.

        Returns
        -------
        DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        """
        check_is_fitted(self, "estimator_")
        structures = self._structures(X)
        included = self._included()
        table = examples = None
        if "descriptors" in included:
            table = self._describe(structures, self.descriptors_.transform)
        examination = self._examination(included)
        if examination.columns:
            examples = examination.table(self.estimator_, structures)
        return self._columns(X, table, examples)

    def _fit(self, X, y, groups):
        self._validate_params()
        refuse_no_folds(self.cv)
        check_names(include=self.include)
        included = self._included()
        structures = self._structures(X)
        estimator = self._own_estimator()
        fold_seed, self.noise_seed_ = draw_seed(self.random_state, size=2)
        examination = self._examination(included)
        graphs = training_graphs(estimator, structures)
        y = self._check_target(y)
        if len(y) != len(graphs):
            raise ValueError(f"X has {len(graphs)} structures and y has {len(y)} rows")
        check_consistent_length(structures, groups)
        refuse_missing_groups(groups)
        folds = make_folds(
            self.cv, structures, y, groups, seed=fold_seed, stratified=self._has_classes()
        )
        examples = self._out_of_fold(estimator, examination, graphs, y, folds)
        self.examples_ = examples.drop(columns=["stability", "needed budget"])
        self.descriptors_, table = None, None
        self.contrast_, self.selected_ = None, []
        if "descriptors" in included:
            self.descriptors_ = clone(self._own_descriptors())
            table = self._describe(structures, lambda X: self.descriptors_.fit_transform(X, y))
            self.contrast_, self.selected_ = select_descriptors(
                table, examples, self.select, examination.attack.budget
            )
        self.estimator_ = clone(estimator).fit(graphs, y)
        if self._has_classes():
            self.classes_ = self.estimator_.classes_
        self.feature_names_ = [
            column
            for name in included
            for column in (
                self.selected_ if name == "descriptors" else [self._column_names()[name]]
            )
        ]
        return table

    def _has_classes(self):
        return self.estimator is None or is_classifier(self.estimator)

    def _column_names(self):
        return _COLUMNS if self._has_classes() else _REGRESSOR_COLUMNS

    def _included(self):
        """Names of the columns to make, in their order."""
        known = ("descriptors", *self._column_names())
        included = known if self.include is None else tuple(self.include)
        if not included or len(set(included) & set(known)) < len(included):
            raise ValueError(
                f"include must be different ones out of {list(known)}, at least one; got "
                f"{list(included)}"
            )
        return included

    def _examination(self, included):
        if self._has_classes():
            if self.threshold is not None:
                raise ValueError("threshold is for regressors; a class is right or wrong")
        elif self.threshold is None:
            raise ValueError(
                "a regressor as reference needs threshold: the error, in the unit of y, above "
                "which a prediction counts as wrong, such as twice the mean absolute error of the "
                "network"
            )
        names = self._column_names()
        columns = {name: names[name] for name in included if name in names}
        return Examination(self._own_attack(), self.noise_seed_, columns, self.threshold)

    def _check_target(self, y):
        if self._has_classes():
            return ClassTargets().check(y)
        y = RegressionTargets("mae").check(y)
        if y.ndim != 1:
            raise ValueError(f"y must be one number for each structure, got the shape {y.shape}")
        return y

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
        if not is_graph_estimator(estimator):
            raise TypeError(
                "estimator must be a graph classifier or regressor, such as CGCNNClassifier or "
                f"ECNetRegressor, got {type(self.estimator).__name__}"
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

    def _out_of_fold(self, estimator, examination, graphs, y, folds):
        """Examine each training row with a network not trained on it: one table row for each."""
        from tqdm.auto import tqdm

        common = estimator, graphs, y, examination, len(folds)
        items = [(number, *fold) for number, fold in enumerate(folds)]
        results = run_parallel(examine_fold, items, common=common, n_jobs=self.n_jobs)
        bar = tqdm(
            results, total=len(folds), unit="fold", desc="adversarial", disable=not self.verbose
        )
        tables, unseen = zip(*bar)
        together = joined(unseen)
        warn_unseen_elements(
            together.symbols, "; ".join(together.consequences), "no training row of their fold"
        )
        return pd.concat(tables).sort_index()

    def _columns(self, X, table, examples):
        """The included columns side by side."""
        blocks = [
            table[self.selected_].to_numpy(dtype=float)
            if name == "descriptors"
            else examples[[self._column_names()[name]]].to_numpy(dtype=float)
            for name in self._included()
        ]
        return output_table(self, np.hstack(blocks), X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # They say whether y holds classes or numbers.
        if self._has_classes():
            tags.classifier_tags = ClassifierTags()
        else:
            tags.regressor_tags = RegressorTags()
        tags.non_deterministic = self.random_state is None
        return tags
