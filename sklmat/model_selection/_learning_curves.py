"""`learning_curves`: scores of several estimators as a function of the number of training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from sklearn.utils import indexable

from sklmat.argument_checks import checked_arguments
from sklmat.cross_validation import list_folds
from sklmat.model_selection._comparison_report import FIT_TIME, PREDICT_TIME
from sklmat.model_selection._comparison_scores import check_metrics
from sklmat.model_selection._corrected_ttest import check_confidence_level
from sklmat.model_selection._fit_and_score import (
    FitOptions,
    check_error_score,
    check_estimators,
    check_params,
    collect_results,
    fit_and_score,
    known_labels,
)
from sklmat.model_selection._learning_curve_table import LearningCurves, table_of_sizes
from sklmat.parallel import check_n_jobs
from sklmat.processes import run_parallel
from sklmat.random_state import make_generator
from sklmat.targets import as_numbers, refuse_missing_groups, refuse_missing_rows

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures, Table


@checked_arguments(estimators=None, confidence_level=None, error_score=None, train_sizes=None)
def learning_curves(
    estimators: Mapping[str, BaseEstimator],
    X: Structures | CrystalGraphs | Table,
    y: ArrayLike,
    *,
    cv: int | BaseCrossValidator | Iterable = 5,
    train_sizes: Sequence[float] = (0.125, 0.25, 0.5, 1.0),
    n_repeats: int = 3,
    groups: ArrayLike | None = None,
    subset_groups: ArrayLike | None = None,
    scoring: str | Callable | Sequence[str] | Mapping[str, str | Callable] | None = None,
    params: Mapping[str, ArrayLike] | None = None,
    confidence_level: float = 0.95,
    error_score: Literal["raise"] | float = "raise",
    random_state: RandomState = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> LearningCurves:
    """Score several estimators for increasing numbers of training rows, on the same rows.

    In each fold of `cv`, training subsets of all sizes are drawn `n_repeats` times from the
    training rows of the fold. In one draw, a smaller subset is part of each larger one. All
    estimators are fitted to the same subsets and scored on all test rows of the fold.

    Parameters
    ----------
    estimators : dict of str to estimator
        Either regressors or classifiers. They are cloned for each fit.
    X : sequence of C crystals, CrystalGraphs or table
        Input of the estimators.
    y : array-like of shape (C,) or (C, n_targets)
        The target.
    cv : int, splitter or iterable of (train, test), default=5
        As in `compare_estimators`.
    train_sizes : sequence of int or float, default=(0.125, 0.25, 0.5, 1.0)
        Sizes of the training subsets: an int is a number of rows, a float a fraction of the
        training rows of each fold.
    n_repeats : int, default=3
        Number of draws in each fold. A subset of all training rows of the fold is drawn once.
    groups : array-like of shape (C,), default=None
        Groups of the rows, for splitters that use them.
    subset_groups : array-like of shape (C,), default=None
        Groups of the rows that are drawn together, such as ``composition_groups(X)``: a subset
        consists of the fewest groups, in the order in which they were drawn, that have the wanted
        number of rows or more. None means `groups` if they are given, and otherwise single rows.
    scoring : str, callable, sequence of str, dict or None, default=None
        As in `compare_estimators`.
    params : dict of str to array-like of shape (C,), default=None
        Metadata of the rows, as in `compare_estimators`.
    confidence_level : float, default=0.95
        Level of the confidence intervals.
    error_score : "raise" or float, default="raise"
        What to do when a fit fails. "raise" stops with an error that names the estimator, the size,
        the fold and the draw. With a number, there is a warning, and the number is the score.
    random_state : int, RandomState or None, default=None
        Determines which rows are drawn.
    n_jobs : int or None, default=None
        Number of fits that joblib runs in parallel.
    verbose : bool, default=False
        Show a progress bar. After the first fold, it shows the expected time of the others.

    Returns
    -------
    curves : LearningCurves
        ``curves.scores`` has one row per fit, ``curves.table`` means and intervals for each
        estimator and size. ``print(curves)`` shows the means and intervals.

    Raises
    ------
    ValueError
        When a size is more than the training rows of a fold, or no row, or when two sizes are
        equal; otherwise as in `compare_estimators`.

    See Also
    --------
    sklearn.model_selection.learning_curve : Of one estimator, without draws and intervals.
    LearningCurveDisplay : Draws the curves.

    Notes
    -----
    The interval is that of the mean score of a model which is fitted to a random subset of this
    size and tested on new rows. The scores of the draws of one fold share their test rows, so they
    are averaged first. The J means of the folds have the sample variance s², and the variance of
    their mean is estimated as (1/J + n_test/n_train) s², with the *whole* training set of a fold in
    n_train, and J - 1 degrees of freedom, as in `corrected_resampled_ttest`: folds are correlated
    because of the rows they share, however small the subsets are. In a simulation with ridge
    regression (100 rows, five folds, four draws, 8 to 80 rows of training), intervals of level
    95 % held the true mean in 94 to 98 % of the cases. One fold gives no interval.

    A larger `n_repeats` reduces the part of the variance that is due to the draws, and more folds
    that of the test rows.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat import CompositionFeaturizer, learning_curves
    >>> from sklmat.datasets import make_alloys
    >>> from sklearn.pipeline import make_pipeline
    >>> alloys = make_alloys(60)
    >>> models = {
    ...     "linear": make_pipeline(CompositionFeaturizer(properties=[]), LinearRegression()),
    ...     "mean": DummyRegressor(),
    ... }
    >>> curves = learning_curves(
    ...     models, alloys.data, alloys.target, cv=3, train_sizes=[10, 20, 40], random_state=0
    ... )
    >>> curves.table["n_train"].tolist()
    [10.0, 20.0, 40.0, 10.0, 20.0, 40.0]
    >>> len(curves.scores)  # 2 estimators, 3 folds, 3 draws of 10 and of 20 rows, 1 of 40
    42
    """
    check_n_jobs(n_jobs, "learning_curves")
    check_confidence_level(confidence_level)
    params = dict(params or {})
    X, y, groups, subset_groups, *_ = indexable(X, y, groups, subset_groups, *params.values())
    refuse_missing_rows(y)
    refuse_missing_groups(groups)
    refuse_missing_groups(subset_groups)
    are_classifiers = check_estimators(estimators)
    if not are_classifiers:
        as_numbers(y)  # An error names the row.
    check_params(params, estimators)
    check_error_score(error_score)
    _check_sizes(train_sizes)
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive int, got {n_repeats!r}")
    known = None if are_classifiers else known_labels(y)
    metrics = check_metrics(scoring, estimators, y, are_classifiers, known is not None, params)
    rows = np.arange(len(y))
    folds = list_folds(cv, X, y, groups, is_classifier=are_classifiers)
    drawn_together = groups if subset_groups is None else subset_groups
    labels = rows if drawn_together is None else pd.factorize(np.asarray(drawn_together))[0]
    subsets = _draw_subsets(folds, labels, train_sizes, n_repeats, make_generator(random_state))
    contexts = [
        f"train_size {size}, fold {fold} of 0-{len(folds) - 1}, draw {draw} of 0-{n_repeats - 1}"
        for size, fold, draw, _ in subsets
    ]
    splits = [(train, folds[fold][1]) for _, fold, _, train in subsets]
    options = FitOptions(error_score)
    fixed = estimators, X, y, params, splits, contexts, metrics.scorers, metrics.signs, options
    tasks = [(name, number) for number in range(len(splits)) for name in estimators]
    results = collect_results(
        run_parallel(fit_and_score, tasks, common=fixed, n_jobs=n_jobs),
        n_fits=len(tasks),
        n_first=len(estimators) * sum(fold == 0 for _, fold, _, _ in subsets),
        verbose=verbose,
        description="learning curves",
        those_that_know="no row of a training subset",
    )
    scores = []
    for result in results:
        size, fold, draw, train = subsets[result.fold]
        whole, test = folds[fold]
        row = {"estimator": result.estimator, "train_size": size, "fold": fold, "draw": draw}
        row |= {"n_train": len(train), "n_available": len(whole), "n_test": len(test)}
        row |= result.scores
        scores.append(row | {FIT_TIME: result.fit_time, PREDICT_TIME: result.predict_time})
    return LearningCurves(
        table_of_sizes(scores),
        metrics=tuple(metrics.scorers),
        lower_is_better=metrics.lower_is_better,
        higher_is_better=metrics.higher_is_better,
        in_unit_of_y=metrics.in_unit_of_y,
        confidence_level=confidence_level,
    )


def _check_sizes(train_sizes):
    """Refuse sizes that are no numbers of rows and no fractions."""
    if not np.iterable(train_sizes) or isinstance(train_sizes, str) or not len(train_sizes):
        raise ValueError(f"train_sizes must be a sequence of sizes, got {train_sizes!r}")
    for size in train_sizes:
        is_size = isinstance(size, Real) and not isinstance(size, bool | np.bool_)
        if not is_size or not 0 < size <= (np.inf if isinstance(size, Integral) else 1):
            raise ValueError(
                f"train_sizes has {size!r}; use an int (number of rows) or a float above 0 and "
                "up to 1 (fraction of the training rows)"
            )


def _draw_subsets(folds, labels, train_sizes, n_repeats, generator):
    """List (size, fold, draw, rows) of all training subsets, sizes in ascending order."""
    subsets = []
    for fold, (train, _) in enumerate(folds):
        n_rows = {size: _number_of_rows(size, len(train), fold) for size in train_sizes}
        if len(set(n_rows.values())) < len(train_sizes):
            raise ValueError(
                f"train_sizes are {list(n_rows.values())} rows in fold {fold}; each may occur once"
            )
        group = np.unique(labels[train], return_inverse=True)[1]
        for draw in range(n_repeats):
            # The place of each row in the order in which groups are drawn.
            place = generator.permutation(group.max() + 1)[group]
            cumulated = np.cumsum(np.bincount(place))
            for size, number in sorted(n_rows.items(), key=lambda item: item[1]):
                n_groups = np.searchsorted(cumulated, number) + 1
                subset = train[place < n_groups]
                # All training rows are the same in each draw.
                if draw == 0 or len(subset) < len(train):
                    subsets.append((size, fold, draw, subset))
    return subsets


def _number_of_rows(size, n_train, fold):
    """Number of rows of a subset before groups are completed."""
    number = size if isinstance(size, Integral) else round(size * n_train)
    if not 1 <= number <= n_train:
        raise ValueError(
            f"train_sizes has {size}, which are {number} of the {n_train} training rows of fold "
            f"{fold}; use sizes from 1 to {n_train} rows, or fewer folds"
        )
    return int(number)
