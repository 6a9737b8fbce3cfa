"""`compare_estimators`: cross-validation of several estimators on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from sklearn.utils import indexable

from sklmat.argument_checks import checked_arguments
from sklmat.cross_validation import list_folds
from sklmat.deprecation import renamed_parameters
from sklmat.known_labels import target_names
from sklmat.model_selection._comparison_scores import check_metrics
from sklmat.model_selection._comparison_table import PREDICTION_KEYS
from sklmat.model_selection._corrected_ttest import check_confidence_level
from sklmat.model_selection._fit_and_score import (
    FitOptions,
    check_error_score,
    check_estimators,
    check_params,
    collect_results,
    fit_and_score,
    known_labels,
    without_disagreeing,
)
from sklmat.model_selection._label_noise import LabelNoise
from sklmat.model_selection._label_noise import label_noise as estimate_label_noise
from sklmat.model_selection._make_comparison import make_comparison
from sklmat.parallel import check_n_jobs
from sklmat.processes import run_parallel
from sklmat.targets import as_numbers, refuse_missing_groups, refuse_missing_rows

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.graphs import CrystalGraphs
    from sklmat.model_selection import Comparison
    from sklmat.typing import ArrayLike, Structures, Table

#: Rows of `Comparison.floor`.
_FLOOR_ROWS = ["label noise, least", "label noise, expected"]


@renamed_parameters(confidence="confidence_level")
@checked_arguments(estimators=None, confidence_level=None, error_score=None)
def compare_estimators(
    estimators: Mapping[str, BaseEstimator],
    X: Structures | CrystalGraphs | Table,
    y: ArrayLike,
    *,
    cv: int | BaseCrossValidator | Iterable = 5,
    scoring: str | Callable | Sequence[str] | Mapping[str, str | Callable] | None = None,
    groups: ArrayLike | None = None,
    params: Mapping[str, ArrayLike] | None = None,
    reference: str | None = None,
    confidence_level: float = 0.95,
    error_score: Literal["raise"] | float = "raise",
    label_noise: bool | LabelNoise | None = None,
    return_estimator: bool = False,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Comparison:
    """Cross-validate several estimators on the same folds.

    Parameters
    ----------
    estimators : dict of str to estimator
        Either regressors or classifiers. They are cloned for each fold; the objects themselves are
        not fitted.
    X : sequence of C crystals, CrystalGraphs or table
        Input of the estimators.
    y : array-like of shape (C,) or (C, n_targets)
        The target. If there are several targets, labels may be missing (NaN) where the estimators
        allow it, as graph networks do. Scores are then those of the known labels of each target,
        averaged over the targets (see `masked_scorer`).
    cv : int, splitter or iterable of (train, test), default=5
        As in scikit-learn, an int means `KFold` (regression) or `StratifiedKFold`
        (classification), *without* shuffling. Tables of alloys are usually sorted, so prefer
        ``KFold(5, shuffle=True, random_state=0)``, or `CompositionGroupKFold` for a score that
        is valid for new compositions. The splits are drawn once and used for all estimators.
    scoring : str, callable, sequence of str, dict or None, default=None
        Scorers as in `cross_validate`. Scores whose name starts with ``neg_`` are shown without
        the negative sign, as errors in the unit of `y` (lower is better), and common scorers have
        short names (MAE, RMSE, R2, log loss, ROC AUC). The keys of a dict are the names of the
        columns: ``{"MAE (eV/atom)": "neg_mean_absolute_error"}``; scores of callables are shown as
        they are. None means MAE, RMSE and R2 for regressors. For classifiers it means accuracy and
        balanced accuracy, and if all of them have ``predict_proba`` also log loss and ROC AUC (one
        class against the rest if there are more than two). If all estimators have intervals or sets
        of classes, as `ConformalRegressor` does, it also means their coverage and mean width (see
        `sklmat.model_selection.coverage_scorer`).
    groups : array-like of shape (C,), default=None
        Groups of the rows, for splitters that use them.
    params : dict of str to array-like of shape (C,), default=None
        Metadata of the rows, such as ``{"phase": phase}``. The rows of a fold are passed to ``fit``
        and ``predict`` of those estimators, or steps of a Pipeline, that ask for them: the phase to
        `EFTGANRegressor` and `CompositionFeaturizer`; others as set by ``set_fit_request``.
    reference : str or None, default=None
        Name of the estimator with which all others are compared by the test.
    confidence_level : float, default=0.95
        Level of the confidence interval of the differences.
    error_score : "raise" or float, default="raise"
        What to do when a fit fails. "raise" stops with an error that names the estimator and the
        fold. With a number, there is a warning, the number is shown as the score of the fold, and
        the predictions and times of this fold are NaN.
    label_noise : bool, LabelNoise or None, default=None
        Whether to show what differences between twins (see `label_noise`) mean for the errors, for
        regressors: each metric is also computed without the test rows that disagree with their
        twins (columns ``<metric> without disagreeing twins mean`` and ``... sd``; the fits are the
        same; the mean is over folds that test other rows), and ``table.floor``, which
        ``table.summary()`` shows below the errors, has the RMSE that a model which cannot tell
        twins apart has at least, and is expected to have. It is that of all rows of `X` taken
        together, whether or not `cv` tests them all; the mean RMSE of folds is lower, the more so
        the smaller the folds are. True estimates the noise from `X`, which must hold crystals, and
        `y`; a result of `label_noise` for these rows uses other settings.
    return_estimator : bool, default=False
        Whether to keep the fitted estimators, as ``table.estimators[name][fold]``. All of them are
        in memory at the same time, are sent back from parallel processes, and are saved with the
        table. The weights of a network take a few megabytes for each fold; a featurizer or kernel
        may hold all training rows.
    n_jobs : int or None, default=None
        Number of (estimator, fold) pairs that joblib runs in parallel. Parallel runs increase the
        measured times.
    verbose : bool, default=False
        Show a progress bar of (estimator, fold) pairs. After the first fold, it shows the
        expected time of the others.

    Returns
    -------
    table : Comparison
        A DataFrame with one row per estimator and the columns:

        - ``<metric> mean`` and ``<metric> sd`` of each metric (over folds, n - 1 in the
          denominator);
        - ``fit seconds mean``, ``fit seconds sd`` and the same for ``predict seconds`` (one call of
          ``predict`` per fold);
        - with `reference`, per metric also ``difference`` (estimator minus reference, mean over
          folds), its confidence interval ``low`` to ``high``, and the two-sided ``p`` of the
          corrected resampled t-test.

        ``print(table)`` formats it for reading, in lines of at most 80 characters, and
        ``table.summary()`` as one table. Its attributes:

        - ``scores`` (per fold), ``predictions`` (out-of-fold) and, for classifiers,
          ``probabilities`` are DataFrames;
        - ``target_scores`` has the scores of each target, if there are several;
        - ``notes`` says which estimators contain a model that was pre-trained on other data.

    Raises
    ------
    ValueError
        When classifiers and regressors are mixed, the reference is unknown, the predictions of an
        estimator have another shape than `y`, or `label_noise` is asked for with classifiers or
        was estimated from other labels; when labels are missing and a fold has none of a target,
        or `scoring` names a scorer that needs all labels.
    TypeError
        When an estimator is a class, or cannot fit and predict, or ``label_noise=True`` and `X`
        does not hold crystals, or no estimator asks for an entry of `params`.

    Warns
    -----
    ExtrapolationWarning
        Once for each estimator, when it warns of elements that no training row of a fold had; the
        warning names rows of `X`.

    Notes
    -----
    Scores of overlapping training sets are correlated, so the ordinary paired t-test finds far too
    many significant differences. The test used here (see `corrected_resampled_ttest`) estimates a
    larger variance of the mean difference, to account for this [1]_. It is not corrected for the
    number of estimators: multiply p by their number (Bonferroni) if there are many. With five folds
    only large differences can be significant; repeat the folds (`RepeatedKFold`) to find smaller
    ones.

    An estimator, or a part of it, that was pre-trained on other data says so by an attribute
    ``training_data_`` after `fit`: a str such as "MPtrj (Materials Project, 2022)". The training
    set may hold crystals of `X`, for which the scores are then too good; no split of `X` repairs
    this, so the table has a note.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239 (2003). https://doi.org/10.1023/A:1024068626366

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat.model_selection import compare_estimators
    >>> X = np.arange(12.0).reshape(-1, 1)
    >>> y = 3 * X.ravel() + np.resize([0.1, -0.1], 12)
    >>> models = {"line": LinearRegression(), "mean": DummyRegressor()}
    >>> table = compare_estimators(models, X, y, cv=4, reference="mean")
    >>> table[["MAE mean", "MAE sd", "MAE difference"]].round(2)
          MAE mean  MAE sd  MAE difference
    line      0.11    0.00          -11.89
    mean     12.00    6.88            0.00
    >>> table.predictions[["row", "fold", "y_true", "line"]].round(1).head(2)
       row  fold  y_true  line
    0    0     0     0.1  -0.0
    1    1     0     2.9   3.0
    """
    check_n_jobs(n_jobs, "compare_estimators")
    check_confidence_level(confidence_level)
    params = dict(params or {})
    X, y, groups, *_ = indexable(X, y, groups, *params.values())
    refuse_missing_rows(y)
    refuse_missing_groups(groups)
    are_classifiers = check_estimators(estimators, reference, PREDICTION_KEYS)
    if not are_classifiers:
        as_numbers(y)  # An error names the row.
    check_params(params, estimators)
    check_error_score(error_score)
    known = None if are_classifiers else known_labels(y)
    metrics = check_metrics(scoring, estimators, y, are_classifiers, known is not None, params)
    noise = _check_label_noise(label_noise, X, y, are_classifiers)
    agreeing = floor = None
    if noise is not None:
        _check_names(estimators, metrics.scorers)
        agreeing = np.ones(len(y), dtype=bool)
        agreeing[noise.disagreeing_rows] = False
        floor = _floor(noise, y, agreeing, metrics.root_mean_squares)
    splits = list_folds(cv, X, y, groups, is_classifier=are_classifiers)
    if known is not None:
        _check_folds(splits, known, target_names(y, known.shape[1]))
    contexts = [f"fold {fold} of 0-{len(splits) - 1}" for fold in range(len(splits))]
    options = FitOptions(
        error_score, agreeing, are_classifiers and np.ndim(y) == 1, return_estimator
    )
    fixed = estimators, X, y, params, splits, contexts, metrics.scorers, metrics.signs, options
    tasks = [(name, fold) for fold in range(len(splits)) for name in estimators]
    fits = run_parallel(fit_and_score, tasks, common=fixed, n_jobs=n_jobs)
    results = collect_results(
        fits,
        n_fits=len(tasks),
        n_first=len(estimators),
        verbose=verbose,
        description="compare",
    )
    fitted = None
    if return_estimator:
        fitted = {name: [r.fitted for r in results if r.estimator == name] for name in estimators}
    return make_comparison(
        results,
        splits,
        y,
        list(estimators),
        metrics,
        reference=reference,
        confidence_level=confidence_level,
        agreeing=agreeing,
        estimators=fitted,
        label_noise=noise,
        floor=floor,
        notes=_pretraining_notes(results),
    )


def _check_folds(splits, known, names):
    """Refuse folds without a known label of a target."""
    for fold, sides in enumerate(splits):
        for rows, side in zip(sides, ("training", "test")):
            for name, n_known in zip(names, known[rows].sum(axis=0)):
                if not n_known:
                    raise ValueError(
                        f"fold {fold} of 0-{len(splits) - 1} has no known label of target {name} "
                        f"among its {len(rows)} {side} rows; use fewer or other folds, such as "
                        "KFold(shuffle=True), or leave this target out of y"
                    )


def _check_label_noise(asked, X, y, are_classifiers):
    """The noise of the labels, estimated or as given; None if it is not asked for."""
    if asked is None or asked is False:
        return None
    if are_classifiers:
        raise ValueError("label_noise compares numbers, and these are classifiers; leave it out")
    if asked is True:
        try:
            return estimate_label_noise(X, y)
        except TypeError as error:
            raise TypeError(
                "label_noise=True finds twins among crystals, and X does not hold crystals; pass "
                "label_noise=label_noise(structures, y) with the crystals of these rows"
            ) from error
    if not isinstance(asked, LabelNoise):
        raise TypeError(f"label_noise must be a bool or a LabelNoise, got {asked!r}")
    if len(asked.groups) != len(y):
        raise ValueError(f"label_noise was estimated for {len(asked.groups)} rows; y has {len(y)}")
    found = estimate_label_noise(None, y, groups=asked.groups).table["noise"]
    if len(found) != len(asked.table):
        raise ValueError(
            f"label_noise was estimated for {len(asked.table)} targets; y has {len(found)}"
        )
    given = asked.table["noise"].to_numpy(dtype=float)
    if not np.allclose(found, given, rtol=1e-3, atol=0, equal_nan=True):
        raise ValueError(
            f"label_noise was estimated from other labels: their noise is {given.tolist()}, that "
            f"of y {found.tolist()}; pass label_noise(X, y) of these rows and this y"
        )
    return asked


def _check_names(estimators, metrics):
    """Refuse names of estimators and metrics that `label_noise` gives to its rows and columns."""
    for name in _FLOOR_ROWS:
        if name in estimators:
            raise ValueError(f"with label_noise, {name!r} cannot name an estimator")
    for name in map(without_disagreeing, metrics):
        if name in metrics:
            raise ValueError(f"with label_noise, {name!r} cannot name a metric")


def _floor(noise, y, agreeing, metrics):
    """RMSE that follows from the noise, over all rows and over those that agree with their twins.

    With several targets it is their mean, as in the scores.
    """
    labels = np.array(y, dtype=float)
    labels[~agreeing] = np.nan
    remaining = estimate_label_noise(None, labels, groups=noise.groups)
    columns = {}
    for metric in metrics:
        for name, found in {metric: noise, without_disagreeing(metric): remaining}.items():
            columns[f"{name} mean"] = found.table[["least RMSE", "expected RMSE"]].mean()
    arrays = {name: values.to_numpy() for name, values in columns.items()}
    return pd.DataFrame(arrays, index=_FLOOR_ROWS)


def _pretraining_notes(results):
    """One sentence for each training set that models in the estimators were pre-trained on."""
    estimators = {}
    for result in results:
        for data in result.training_data:
            estimators.setdefault(data, {})[result.estimator] = None
    return tuple(
        f"Pre-trained on {data}: a model in {', '.join(map(repr, names))}. Its training set may "
        "hold these crystals, which no split repairs."
        for data, names in estimators.items()
    )
