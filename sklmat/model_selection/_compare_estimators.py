"""`compare_estimators`: cross-validation of several estimators on the same folds."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.metadata_routing import get_routing_for_object

from sklmat.deprecation import renamed_parameters
from sklmat.exceptions import InvalidStructureError
from sklmat.known_labels import target_names
from sklmat.model_selection._comparison_scores import check_metrics, score_fold
from sklmat.model_selection._comparison_table import (
    PREDICTION_KEYS,
    FoldResult,
    make_comparison,
    without_disagreeing,
)
from sklmat.model_selection._label_noise import LabelNoise
from sklmat.model_selection._label_noise import label_noise as estimate_label_noise
from sklmat.parallel import check_n_jobs
from sklmat.processes import run_parallel
from sklmat.targets import as_numbers, refuse_missing_rows
from sklmat.unseen_elements import UnseenElements, gather_unseen_elements, warn_unseen_elements

if TYPE_CHECKING:
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.graphs import CrystalGraphs
    from sklmat.model_selection import Comparison
    from sklmat.typing import ArrayLike, Structures, Table

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}"
#: Rows of `Comparison.floor`.
_FLOOR_ROWS = ["label noise, least", "label noise, expected"]


@renamed_parameters(confidence="confidence_level")
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
        class against the rest if there are more than two).
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
    n_jobs : int or None, default=None
        Number of (estimator, fold) pairs that joblib runs in parallel. Parallel runs increase the
        measured times.
    verbose : bool, default=False
        Show a progress bar of (estimator, fold) pairs. After the first fold, it shows the
        expected time of the others.

    Returns
    -------
    table : Comparison
        A DataFrame with one row per estimator. Per metric, the columns ``<metric> mean`` and
        ``<metric> sd`` (over folds, n - 1 in the denominator); then ``fit seconds mean``,
        ``fit seconds sd`` and the same for ``predict seconds`` (one call of ``predict`` per fold).
        With `reference`, per metric also ``difference`` (estimator minus reference, mean over
        folds), its confidence interval ``low`` to ``high``, and the two-sided ``p`` of the
        corrected resampled t-test. The attributes ``predictions`` (out-of-fold) and ``scores`` (per
        fold) of the table are DataFrames; ``table.summary()`` formats it for reading.
        ``table.notes`` says which estimators contain a model that was pre-trained on other data.

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
    params = dict(params or {})
    X, y, groups, *_ = indexable(X, y, groups, *params.values())
    refuse_missing_rows(y)
    are_classifiers = _check_estimators(estimators, reference)
    _check_params(params, estimators)
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(f"error_score must be 'raise' or a number, got {error_score!r}")
    known = None if are_classifiers else _known_labels(y)
    scorers, signs, root_mean_squares = check_metrics(
        scoring, estimators, y, are_classifiers, known is not None, params
    )
    noise = _check_label_noise(label_noise, X, y, are_classifiers)
    agreeing = None
    if noise is not None:
        _check_names(estimators, signs)
        agreeing = np.ones(len(y), dtype=bool)
        agreeing[noise.disagreeing_rows] = False
    rows = np.arange(len(y))
    splits = [
        (rows[train], rows[test])
        for train, test in check_cv(cv, y, classifier=are_classifiers).split(X, y, groups)
    ]
    if known is not None:
        _check_folds(splits, known, target_names(y, known.shape[1]))
    common = estimators, X, y, params, splits, scorers, signs, error_score, agreeing
    tasks = [(name, fold) for fold in range(len(splits)) for name in estimators]
    fits = run_parallel(_fit_and_score, tasks, common=common, n_jobs=n_jobs)
    results = _with_progress(fits, len(tasks), len(estimators), verbose)
    for name in estimators:
        _warn_unseen([result for result in results if result.estimator == name])
    table = make_comparison(
        results, splits, y, list(estimators), list(signs), reference, confidence_level, agreeing
    )
    table.notes = _pretraining_notes(results)
    table.label_noise = noise
    if noise is not None:
        table.floor = _floor(noise, y, agreeing, root_mean_squares)
    return table


def _check_estimators(estimators, reference):
    """Check that the estimators can be compared; return whether they are classifiers."""
    if not isinstance(estimators, Mapping) or not estimators:
        raise TypeError("estimators must be a non-empty dict from name to estimator")
    if reference is not None and reference not in estimators:
        raise ValueError(f"reference={reference!r} is not among {list(estimators)}")
    for name, estimator in estimators.items():
        if not isinstance(name, str) or name in PREDICTION_KEYS:
            raise ValueError(
                f"{name!r} cannot name an estimator: use a string outside {PREDICTION_KEYS}"
            )
        if isinstance(estimator, type):
            raise TypeError(f"{name!r} is a class; pass an instance, {estimator.__name__}(...)")
        if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise TypeError(f"{name!r} has no fit and predict: {estimator!r}")
    classifiers = [name for name, estimator in estimators.items() if is_classifier(estimator)]
    if 0 < len(classifiers) < len(estimators):
        raise ValueError(f"{classifiers} are classifiers and the others are not; compare one kind")
    return bool(classifiers)


def _check_params(params, estimators):
    """Refuse metadata that no estimator asks for."""
    for name in params:
        pairs = product(estimators.values(), ("fit", "predict"))
        if not any(name in _taken(estimator, method, params) for estimator, method in pairs):
            raise TypeError(
                f"no estimator asks for params={{{name!r}: ...}}; leave it out, or call "
                f"set_fit_request({name}=True) of an estimator that takes it"
            )


def _taken(estimator, method, params):
    """Names of the metadata that a method of an estimator asks for."""
    return set(get_routing_for_object(estimator).consumes(method, params)) if params else set()


def _known_labels(y):
    """Mask of the known labels of several targets; None if none is missing."""
    if np.ndim(y) != 2:
        return None
    known = ~np.isnan(as_numbers(y))
    return None if known.all() else known


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


def _training_data(part, visited):
    """Yield what the pre-trained models in a fitted estimator were trained on."""
    if not isinstance(part, BaseEstimator | Mapping | list | tuple) or id(part) in visited:
        return
    visited.add(id(part))
    if isinstance(part, BaseEstimator):
        data = getattr(part, "training_data_", None)
        if isinstance(data, str):
            yield data
        part = vars(part)
    for inner in part.values() if isinstance(part, Mapping) else part:
        yield from _training_data(inner, visited)


def _with_progress(fits, n_fits, n_estimators, verbose):
    """List the results of all fits, with a progress bar."""
    from tqdm.auto import tqdm

    bar = tqdm(
        fits,
        total=n_fits,
        disable=not verbose,
        desc="compare",
        unit="fit",
        # The mean over all fits so far, as those of one estimator take longer than of another.
        smoothing=0,
        bar_format=_BAR + "]",
    )
    results = []
    for result in bar:
        results.append(result)
        if len(results) == n_estimators:
            # Only now is it known how long a fold takes.
            bar.bar_format = _BAR + "<{remaining}]"
    return results


def _warn_unseen(results):
    """Give one warning for all folds of an estimator."""
    unseen = UnseenElements()
    for result in results:
        unseen.add(result.unseen.symbols, result.unseen.consequences)
    warn_unseen_elements(
        dict(sorted(unseen.symbols.items())),
        f"{'; '.join(unseen.consequences)} (estimator {results[0].estimator!r})",
        "no training row of their fold",
    )


def _fit_and_score(
    estimators, X, y, params, splits, scorers, signs, error_score, agreeing, name, fold
):
    """Fit a clone on one fold; return its scores, seconds and predictions."""
    train, test = splits[fold]
    X_train, y_train = _safe_indexing(X, train), _safe_indexing(y, train)
    X_test, y_test = _safe_indexing(X, test), _safe_indexing(y, test)
    rows = train
    try:
        with config_context(**({"enable_metadata_routing": True} if params else {})):
            model = clone(estimators[name])
            start = time.perf_counter()
            model.fit(X_train, y_train, **_rows_of(params, model, "fit", train))
            end_of_fit = time.perf_counter()
            rows = test
            with gather_unseen_elements() as gathered:
                taken = _rows_of(params, model, "predict", test)
                predictions = np.asarray(model.predict(X_test, **taken))
                end_of_predict = time.perf_counter()
                if predictions.shape != np.shape(y_test):
                    raise ValueError(
                        f"predicted {predictions.shape} for y of shape {np.shape(y_test)}"
                    )
                scores = score_fold(model, scorers, X_test, y_test, predictions)
            of_agreeing = {}
            if agreeing is not None:
                kept = np.flatnonzero(agreeing[test])
                of_agreeing = dict.fromkeys(scorers, np.nan)
                if len(kept):
                    with gather_unseen_elements():  # They are known from all test rows.
                        parts = (_safe_indexing(each, kept) for each in (X_test, y_test))
                        of_agreeing = score_fold(model, scorers, *parts, predictions[kept])
    except Exception as error:
        context = f"estimator {name!r}, fold {fold} of 0-{len(splits) - 1}"
        if error_score == "raise":
            _raise_with_context(error, context, rows)
        message = f"{context} failed: {type(error).__name__}: {error}"
        warnings.warn(message, FitFailedWarning, stacklevel=2)
        # The error score is given in the natural sign.
        failed = [*scorers, *([] if agreeing is None else map(without_disagreeing, scorers))]
        return FoldResult(name, fold, dict.fromkeys(failed, error_score))
    natural = {metric: sign * scores[metric] for metric, sign in signs.items()}
    natural |= {without_disagreeing(m): signs[m] * value for m, value in of_agreeing.items()}
    times = end_of_fit - start, end_of_predict - end_of_fit
    # The estimator has counted the rows of this fold.
    by_row = {int(test[row]): symbols for row, symbols in gathered.symbols.items()}
    unseen = UnseenElements(by_row, gathered.consequences)
    training_data = tuple(_training_data(model, set()))
    return FoldResult(name, fold, natural, *times, predictions, unseen, training_data)


def _rows_of(params, estimator, method, rows):
    """Rows of the metadata that a method of an estimator asks for."""
    return {name: _safe_indexing(params[name], rows) for name in _taken(estimator, method, params)}


def _raise_with_context(error, context, rows):
    """Raise `error` again with the estimator, the fold and the number of the row in `X`."""
    if isinstance(error, InvalidStructureError):
        # Its index counts the rows of one side of the split.
        reason = f"{error.reason} (in {context})"
        raise InvalidStructureError(int(rows[error.index]), error.formula, reason) from error
    error.add_note(f"This happened in {context}.")
    raise error
