"""A fair comparison: every estimator on the same folds, with an honest significance test."""

import time
import warnings
from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.parallel import Parallel, delayed

from sklmat.exceptions import InvalidStructureError
from sklmat.model_selection._comparison_table import Comparison

_SHORT_NAMES = {
    "neg_mean_absolute_error": "MAE",
    "neg_root_mean_squared_error": "RMSE",
    "neg_mean_squared_error": "MSE",
    "r2": "R2",
    "roc_auc": "ROC AUC",
    "roc_auc_ovr": "ROC AUC OvR",
    "neg_log_loss": "log loss",
}
_FIT, _PREDICT = "fit seconds", "predict seconds"
_KEYS = ("row", "fold", "repeat", "target", "y_true")


def compare_estimators(
    estimators,
    X,
    y,
    *,
    cv=5,
    scoring=None,
    groups=None,
    reference=None,
    confidence=0.95,
    error_score="raise",
    n_jobs=None,
    verbose=False,
):
    """Cross-validate several estimators on the same folds.

    Parameters
    ----------
    estimators : dict of str to estimator
        Regressors only or classifiers only. They are cloned for each fold, never fitted themselves.
    X : sequence of C crystals, CrystalGraphs or table
        Whatever the estimators take; rows are picked as scikit-learn picks them.
    y : array-like of shape (C,) or (C, n_targets)
        The target.
    cv : int, splitter or iterable of (train, test), default=5
        As everywhere in scikit-learn: an int means `KFold` (regression) or `StratifiedKFold`
        (classification), *without* shuffling. Tables of alloys are usually sorted, so prefer
        ``KFold(5, shuffle=True, random_state=0)``, and `CompositionGroupKFold` for a score that
        holds for new compositions. The splits are drawn once and shared by all estimators.
    scoring : str, callable, sequence of str, dict or None, default=None
        Scorers as in `cross_validate`. Those whose name starts with ``neg_`` are turned back to
        their natural sign (an error in the unit of `y`, lower is better), and common ones get short
        names (MAE, RMSE, R2, log loss, ROC AUC). A dict names the columns:
        ``{"MAE (eV/atom)": "neg_mean_absolute_error"}``; its callables are shown as they score.
        None means MAE, RMSE and R2 for regressors. For classifiers it means accuracy and balanced
        accuracy, and ROC AUC (one against the rest where there are more than two classes) and log
        loss when all of them have ``predict_proba``.
    groups : array-like of shape (C,), default=None
        Passed to the splitter.
    reference : str or None, default=None
        Name of the estimator that all others are tested against.
    confidence : float, default=0.95
        Level of the confidence interval of the differences.
    error_score : "raise" or float, default="raise"
        What to do when a fit fails: stop with an error that names the estimator and the fold, or
        warn, use this number (in the natural sign) as the fold's scores, and NaN for its
        predictions and seconds.
    n_jobs : int or None, default=None
        Number of (estimator, fold) pairs run at a time through joblib. Seconds measured while
        others run are longer.
    verbose : bool, default=False
        Show a progress bar of (estimator, fold) pairs.

    Returns
    -------
    table : Comparison
        A DataFrame with one row per estimator. Per metric, the columns ``<metric> mean`` and
        ``<metric> sd`` (over folds, n - 1 in the denominator); then ``fit seconds mean``,
        ``fit seconds sd`` and the same for ``predict seconds`` (one call of ``predict`` per fold).
        With `reference`, per metric also ``difference`` (estimator minus reference, mean over
        folds), its confidence interval ``low`` to ``high``, and the two-sided ``p`` of the
        corrected resampled t-test. Its attributes ``predictions`` (out-of-fold) and ``scores`` (per
        fold) are DataFrames; ``table.summary()`` formats it for reading.

    Raises
    ------
    ValueError
        When classifiers and regressors are mixed, the reference is unknown, or an estimator
        predicts another shape than that of `y`.
    TypeError
        When an estimator is a class, or cannot fit and predict.

    Notes
    -----
    Scores of overlapping training sets are correlated, so the ordinary paired t-test finds far too
    many differences. The test used here (see `corrected_resampled_ttest`) inflates the variance
    [1]_. It is not corrected for the number of estimators compared: multiply p by their number
    (Bonferroni) when there are many. With five folds only large differences can be significant;
    repeat the folds (`RepeatedKFold`) for a sharper test.

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
    X, y, groups = indexable(X, y, groups)
    classify = _check_estimators(estimators, reference)
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(f"error_score must be 'raise' or a number, got {error_score!r}")
    scorers, signs = _check_metrics(scoring, estimators, y, classify)
    rows = np.arange(len(y))
    splits = [
        (rows[train], rows[test])
        for train, test in check_cv(cv, y, classifier=classify).split(X, y, groups)
    ]
    tasks = [(name, fold) for fold in range(len(splits)) for name in estimators]
    results = _run(tasks, estimators, X, y, splits, scorers, error_score, n_jobs, verbose)
    scores = _score_table(tasks, results, splits, signs)
    table = Comparison(_aggregate(scores, list(estimators), list(signs), reference, confidence))
    table.scores = scores
    table.predictions = _prediction_table(tasks, results, splits, y, list(estimators))
    return table


def _check_estimators(estimators, reference):
    """Refuse what cannot be compared; return whether they are classifiers."""
    if not isinstance(estimators, Mapping) or not estimators:
        raise TypeError("estimators must be a non-empty dict from name to estimator")
    if reference is not None and reference not in estimators:
        raise ValueError(f"reference={reference!r} is not among {list(estimators)}")
    for name, estimator in estimators.items():
        if not isinstance(name, str) or name in _KEYS:
            raise ValueError(f"{name!r} cannot name an estimator: use a string outside {_KEYS}")
        if isinstance(estimator, type):
            raise TypeError(f"{name!r} is a class; pass an instance, {estimator.__name__}(...)")
        if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise TypeError(f"{name!r} has no fit and predict: {estimator!r}")
    kinds = {name: is_classifier(estimator) for name, estimator in estimators.items()}
    if len(set(kinds.values())) > 1:
        classifiers = [name for name, kind in kinds.items() if kind]
        raise ValueError(f"{classifiers} are classifiers and the others are not; compare one kind")
    return next(iter(kinds.values()))


def _check_metrics(scoring, estimators, y, classify):
    """Scorers by column name, and the sign that gives each its natural value."""
    if scoring is None:
        scoring = _default_scoring(estimators, y, classify)
    if isinstance(scoring, str):
        scoring = [scoring]
    elif callable(scoring):
        scoring = {"score": scoring}
    if not isinstance(scoring, Mapping):
        scoring = {
            _SHORT_NAMES.get(name, name.removeprefix("neg_").replace("_", " ")): name
            for name in scoring
        }
    signs = {
        column: -1.0 if isinstance(scorer, str) and scorer.startswith("neg_") else 1.0
        for column, scorer in scoring.items()
    }
    return {column: get_scorer(scorer) for column, scorer in scoring.items()}, signs


def _default_scoring(estimators, y, classify):
    if not classify:
        return ["neg_mean_absolute_error", "neg_root_mean_squared_error", "r2"]
    scoring = ["accuracy", "balanced_accuracy"]
    if all(hasattr(estimator, "predict_proba") for estimator in estimators.values()):
        scoring.append("roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr")
        scoring.append("neg_log_loss")
    return scoring


def _run(tasks, estimators, X, y, splits, scorers, error_score, n_jobs, verbose):
    jobs = (
        delayed(_fit_and_score)(
            name, estimators[name], X, y, fold, splits[fold], len(splits), scorers, error_score
        )
        for name, fold in tasks
    )
    if not verbose:
        return Parallel(n_jobs=n_jobs)(jobs)
    from tqdm import tqdm

    results = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    return list(tqdm(results, total=len(tasks), desc="compare", unit="fit"))


def _fit_and_score(name, estimator, X, y, fold, split, n_folds, scorers, error_score):
    """Fit a clone on one fold; return scores, seconds and predictions."""
    train, test = split
    X_train, y_train = _safe_indexing(X, train), _safe_indexing(y, train)
    X_test, y_test = _safe_indexing(X, test), _safe_indexing(y, test)
    side = train
    try:
        start = time.perf_counter()
        fitted = clone(estimator).fit(X_train, y_train)
        fitted_at = time.perf_counter()
        side = test
        predictions = np.asarray(fitted.predict(X_test))
        seconds = {_FIT: fitted_at - start, _PREDICT: time.perf_counter() - fitted_at}
        if predictions.shape != np.shape(y_test):
            raise ValueError(f"predicted {predictions.shape} for y of shape {np.shape(y_test)}")
        scores = check_scoring(fitted, scorers)(fitted, X_test, y_test)
    except Exception as error:
        place = f"estimator {name!r}, fold {fold} of 0-{n_folds - 1}"
        if error_score == "raise":
            _raise_with_place(error, place, side)
        message = f"{place} failed: {type(error).__name__}: {error}"
        warnings.warn(message, FitFailedWarning, stacklevel=2)
        return dict.fromkeys(scorers, error_score), {_FIT: np.nan, _PREDICT: np.nan}, None
    return scores, seconds, predictions


def _raise_with_place(error, place, side):
    """Raise `error` again, with the estimator, the fold and the row of the whole input."""
    if isinstance(error, InvalidStructureError):
        # It counts the rows of one side of the split, which nobody outside can see.
        reason = f"{error.reason} (in {place})"
        raise InvalidStructureError(int(side[error.index]), error.formula, reason) from error
    error.add_note(f"This happened in {place}.")
    raise error


def _score_table(tasks, results, splits, signs):
    rows = []
    for (name, fold), (scores, seconds, predictions) in zip(tasks, results):
        train, test = splits[fold]
        row = {"estimator": name, "fold": fold, "n_train": len(train), "n_test": len(test)}
        for metric, sign in signs.items():
            # The error score of a failed fold was given in the natural sign.
            row[metric] = scores[metric] if predictions is None else sign * scores[metric]
        rows.append(row | seconds)
    return pd.DataFrame(rows)


def _aggregate(scores, names, metrics, reference, confidence):
    by_estimator = scores.groupby("estimator", sort=False)
    columns = {}
    for quantity in [*metrics, _FIT, _PREDICT]:
        # A failed fold must show, so its NaN is not skipped.
        columns[f"{quantity} mean"] = by_estimator[quantity].agg(lambda s: s.mean(skipna=False))
        columns[f"{quantity} sd"] = by_estimator[quantity].agg(lambda s: s.std(skipna=False))
    table = pd.DataFrame(columns).loc[names].rename_axis(None)
    if reference is not None:
        for metric in metrics:
            table = table.join(_test_against(scores, metric, reference, confidence))
    return table


def _test_against(scores, metric, reference, confidence):
    """Columns difference, low, high and p of one metric."""
    folds = scores.pivot(index="fold", columns="estimator", values=metric)
    sizes = scores[scores["estimator"] == reference].set_index("fold")
    tests = {
        name: corrected_resampled_ttest(
            folds[name] - folds[reference],
            sizes["n_train"],
            sizes["n_test"],
            confidence=confidence,
        )
        for name in folds
        if name != reference
    }
    columns = ["difference", "low", "high", "p"]
    table = pd.DataFrame.from_dict(tests, orient="index", columns=columns)
    table.loc[reference] = [0.0, np.nan, np.nan, np.nan]
    return table.add_prefix(f"{metric} ")


def corrected_resampled_ttest(differences, n_train, n_test, *, confidence=0.95):
    """Test whether the mean difference of two estimators over resampled splits is zero.

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Score of one estimator minus that of the other, split by split.
    n_train, n_test : int or array-like of shape (n_splits,)
        Sizes of the two sides of the splits; their mean ratio enters.
    confidence : float, default=0.95
        Level of the confidence interval.

    Returns
    -------
    difference, low, high, p : float
        Mean difference, its confidence interval, and the two-sided p-value with n_splits - 1
        degrees of freedom. With one split only the difference is known; the others are NaN.

    Notes
    -----
    The variance of the mean of J differences with sample variance s² is taken as
    (1/J + n_test/n_train) s² [1]_; the usual s²/J ignores that the training sets overlap.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239 (2003). https://doi.org/10.1023/A:1024068626366

    Examples
    --------
    Five folds: t = 3 / sqrt((1/5 + 1/4) 2.5) = 2.83 with 4 degrees of freedom.

    >>> from sklmat.model_selection import corrected_resampled_ttest
    >>> test = corrected_resampled_ttest([1, 2, 3, 4, 5], n_train=80, n_test=20)
    >>> [round(float(value), 3) for value in test]
    [3.0, 0.055, 5.945, 0.047]
    """
    differences = np.asarray(differences, dtype=float)
    n_splits = len(differences)
    mean = differences.mean()
    if n_splits < 2 or np.isnan(mean):
        return mean, np.nan, np.nan, np.nan
    ratio = np.mean(np.asarray(n_test) / np.asarray(n_train))
    error = np.sqrt((1 / n_splits + ratio) * differences.var(ddof=1))
    half = error * stats.t.ppf((1 + confidence) / 2, n_splits - 1)
    if error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = 2 * stats.t.sf(abs(mean) / error, n_splits - 1)
    return mean, mean - half, mean + half, p


def _prediction_table(tasks, results, splits, y, names):
    """Out-of-fold predictions, one line per tested row and target."""
    predictions = {task: result[2] for task, result in zip(tasks, results)}
    values = np.asarray(y)
    rows = np.concatenate([test for _, test in splits])
    fold = np.repeat(np.arange(len(splits)), [len(test) for _, test in splits])
    columns = {"row": rows, "fold": fold}
    if values.ndim == 2:
        n_targets = values.shape[1]
        columns = {key: np.repeat(column, n_targets) for key, column in columns.items()}
        columns["target"] = np.tile(np.asarray(getattr(y, "columns", range(n_targets))), len(rows))
    columns["y_true"] = values[rows].reshape(-1)
    for name in names:
        columns[name] = _stack([predictions[name, f] for f in range(len(splits))], splits, values)
    table = pd.DataFrame(columns)
    keys = ["row"] if values.ndim == 1 else ["row", "target"]
    table.insert(2, "repeat", table.groupby(keys).cumcount())
    return table


def _stack(parts, splits, values):
    """One flat column from the predictions of all folds; a failed fold gives NaN."""
    if all(part is not None for part in parts):
        return np.concatenate(parts).reshape(-1)
    filled = [
        np.full((len(test), *values.shape[1:]), np.nan, dtype=object) if part is None else part
        for part, (_, test) in zip(parts, splits)
    ]
    column = np.concatenate([np.asarray(part, dtype=object) for part in filled]).reshape(-1)
    return pd.Series(column).infer_objects()
