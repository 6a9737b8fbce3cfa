"""`make_comparison`: the table of `compare_estimators` from the results of all fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklmat.model_selection._comparison_report import FIT_TIME, PREDICT_TIME
from sklmat.model_selection._comparison_scores import Metrics
from sklmat.model_selection._comparison_table import Comparison, ComparisonParts
from sklmat.model_selection._corrected_ttest import corrected_resampled_ttest
from sklmat.model_selection._fit_and_score import FoldResult, without_disagreeing

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike


def make_comparison(
    results: list[FoldResult],
    splits: list[tuple[np.ndarray, np.ndarray]],
    y: ArrayLike,
    names: list[str],
    metrics: Metrics,
    *,
    reference: str | None = None,
    confidence_level: float = 0.95,
    agreeing: np.ndarray | None = None,
    **parts: Any,
) -> Comparison:
    """Make the table of a comparison.

    Parameters
    ----------
    results : list of FoldResult
        One for each estimator and fold.
    splits : list of (train, test)
        Row numbers of each fold.
    y : array-like of shape (C,) or (C, n_targets)
        True values of all rows.
    names : list of str
        Estimators in the order of the rows.
    metrics : Metrics
    reference, confidence_level
        As in `compare_estimators`.
    agreeing : ndarray of bool, shape (C,), or None
        Rows that agree with their twins, if each metric has a second column for these.
    **parts
        Further fields of `ComparisonParts`.

    Returns
    -------
    Comparison
    """
    counts = dict.fromkeys(metrics.scorers, "n_test")
    if agreeing is not None:
        counts |= {without_disagreeing(m): without_disagreeing("n_test") for m in metrics.scorers}
    scores = _score_table(results, splits, list(counts), agreeing)
    table = _aggregate(scores, names, counts, reference, confidence_level)
    return Comparison.from_parts(
        table,
        ComparisonParts(
            columns=list(table),
            scores=scores,
            target_scores=_target_scores(results, splits, y, names, metrics),
            predictions=_prediction_table(results, splits, y, names),
            probabilities=_probability_table(results, splits, names),
            metrics=tuple(metrics.scorers),
            lower_is_better=metrics.lower_is_better,
            higher_is_better=metrics.higher_is_better,
            in_unit_of_y=metrics.in_unit_of_y,
            reference=reference,
            confidence_level=confidence_level,
            **parts,
        ),
    )


def _score_table(results, splits, metrics, agreeing):
    """Scores and seconds, one row for each estimator and fold."""
    rows = []
    for result in results:
        train, test = splits[result.fold]
        row = {"estimator": result.estimator, "fold": result.fold}
        row |= {"n_train": len(train), "n_test": len(test)}
        if agreeing is not None:
            row[without_disagreeing("n_test")] = np.count_nonzero(agreeing[test])
        row |= {metric: result.scores[metric] for metric in metrics}
        rows.append(row | {FIT_TIME: result.fit_time, PREDICT_TIME: result.predict_time})
    return pd.DataFrame(rows)


def _aggregate(scores, names, counts, reference, confidence):
    """Means and standard deviations over the folds, and the tests against the reference.

    `counts` maps each metric to the column with the number of its test rows.
    """
    columns = {}
    for quantity, count in {**counts, FIT_TIME: "n_test", PREDICT_TIME: "n_test"}.items():
        # With skipna=False the mean over folds is NaN if the fit of one fold failed.
        values = scores[scores[count] > 0].groupby("estimator", sort=False)[quantity]
        columns[f"{quantity} mean"] = values.agg(lambda fold: fold.mean(skipna=False))
        columns[f"{quantity} sd"] = values.agg(lambda fold: fold.std(skipna=False))
    table = pd.DataFrame(columns).loc[names].rename_axis(None)
    if reference is not None:
        for metric, count in counts.items():
            tested = scores[scores[count] > 0]
            table = table.join(_test_against(tested, metric, count, reference, confidence))
    return table


def _test_against(scores, metric, count, reference, confidence):
    """Columns difference, low, high and p of one metric."""
    folds = scores.pivot(index="fold", columns="estimator", values=metric)
    sizes = scores[scores["estimator"] == reference].set_index("fold")
    tests = {
        name: corrected_resampled_ttest(
            folds[name] - folds[reference],
            sizes["n_train"],
            sizes[count],
            confidence_level=confidence,
        )
        for name in folds
        if name != reference
    }
    columns = ["difference", "low", "high", "p"]
    table = pd.DataFrame.from_dict(tests, orient="index", columns=columns)
    table.loc[reference] = [0.0, np.nan, np.nan, np.nan]
    return table.add_prefix(f"{metric} ")


def _target_scores(results, splits, y, names, metrics):
    """Mean and standard deviation over the folds for each target; None if there is only one."""
    labels, functions = np.asarray(y), metrics.of_one_target
    if labels.ndim != 2 or not functions:
        return None
    targets = list(getattr(y, "columns", range(labels.shape[1])))
    rows = []
    for result in results:
        _, test = splits[result.fold]
        for number, target in enumerate(targets):
            scores = dict.fromkeys(functions, np.nan)
            if result.predictions is not None:
                values = labels[test, number], result.predictions[:, number]
                scores = {metric: function(*values) for metric, function in functions.items()}
            rows.append({"estimator": result.estimator, "target": target} | scores)
    groups = pd.DataFrame(rows).groupby(["estimator", "target"], sort=False)
    columns = {}
    for metric in functions:
        columns[f"{metric} mean"] = groups[metric].agg(lambda fold: fold.mean(skipna=False))
        columns[f"{metric} sd"] = groups[metric].agg(lambda fold: fold.std(skipna=False))
    return pd.DataFrame(columns).loc[names]


def _prediction_table(results, splits, y, names):
    """Out-of-fold predictions, one row per tested row and target."""
    predictions = {(result.estimator, result.fold): result.predictions for result in results}
    y_true = np.asarray(y)
    rows = np.concatenate([test for _, test in splits])
    folds = np.repeat(np.arange(len(splits)), [len(test) for _, test in splits])
    columns = {"row": rows, "fold": folds}
    if y_true.ndim == 2:
        n_targets = y_true.shape[1]
        columns = {key: np.repeat(column, n_targets) for key, column in columns.items()}
        target_names = np.asarray(getattr(y, "columns", range(n_targets)))
        columns["target"] = np.tile(target_names, len(rows))
    columns["y_true"] = y_true[rows].reshape(-1)
    for name in names:
        by_fold = [predictions[name, fold] for fold in range(len(splits))]
        columns[name] = _join_folds(by_fold, splits, y_true.shape[1:])
    table = pd.DataFrame(columns)
    keys = ["row"] if y_true.ndim == 1 else ["row", "target"]
    table.insert(2, "repeat", table.groupby(keys).cumcount())
    return table


def _join_folds(by_fold, splits, target_shape):
    """Join the predictions of all folds to one flat column; NaN for a fold whose fit failed."""
    if all(predictions is not None for predictions in by_fold):
        return np.concatenate(by_fold).reshape(-1)
    filled = [
        np.full((len(test), *target_shape), np.nan, dtype=object)
        if predictions is None
        else np.asarray(predictions, dtype=object)
        for predictions, (_, test) in zip(by_fold, splits)
    ]
    return pd.Series(np.concatenate(filled).reshape(-1)).infer_objects()


def _probability_table(results, splits, names):
    """Out-of-fold probabilities, in the rows of the predictions; None if there are none."""
    by_fold = {(result.estimator, result.fold): result for result in results}
    classes = {
        name: np.unique(np.concatenate(found))
        for name in names
        if (found := [r.classes for r in results if r.estimator == name and r.classes is not None])
    }
    if not classes:
        return None
    columns = {}
    for name, of_name in classes.items():
        parts = []
        for fold, (_, test) in enumerate(splits):
            result = by_fold[name, fold]
            part = np.full((len(test), len(of_name)), np.nan)
            if result.probabilities is not None:
                part[:] = 0.0
                part[:, np.searchsorted(of_name, result.classes)] = result.probabilities
            parts.append(part)
        columns |= zip([(name, each) for each in of_name.tolist()], np.concatenate(parts).T)
    return pd.DataFrame(columns).rename_axis(columns=["estimator", "class"])
