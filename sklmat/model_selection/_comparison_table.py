"""`Comparison`: the table that `compare_estimators` returns, and how it is computed."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.model_selection._corrected_ttest import corrected_resampled_ttest
from sklmat.unseen_elements import UnseenElements

if TYPE_CHECKING:
    from sklmat.model_selection import LabelNoise
    from sklmat.typing import ArrayLike

FIT_TIME, PREDICT_TIME = "fit seconds", "predict seconds"
#: Columns of `Comparison.predictions` that do not belong to an estimator.
PREDICTION_KEYS = ("row", "fold", "repeat", "target", "y_true")


class Comparison(pd.DataFrame):
    """Result of `compare_estimators`: a DataFrame of scores, with the underlying predictions.

    It has one row per estimator and all methods of a DataFrame; tables derived from it are plain
    DataFrames.

    Attributes
    ----------
    scores : DataFrame
        One row per estimator and fold: ``estimator``, ``fold``, ``n_train``, ``n_test``, a column
        per metric, ``fit seconds`` and ``predict seconds``. With `label_noise`, ``n_test without
        disagreeing twins`` is the number of test rows for the metrics of this name.
    predictions : DataFrame
        Out-of-fold predictions, one row per tested row (and target): ``row`` (its number in `X`),
        ``fold``, ``repeat`` (0 when a row is tested for the first time), ``target`` (if `y` has
        several), ``y_true`` and a column per estimator.
    label_noise : LabelNoise or None
        Result of `label_noise`, if ``compare_estimators(..., label_noise=...)`` was asked for it.
    floor : DataFrame or None
        With `label_noise`, the RMSE that follows from twins that differ: rows "label noise, least"
        and "label noise, expected", columns like those of the table, for RMSE only. Without
        disagreeing rows, it follows from the twins that are left; as they were chosen because they
        agree, it is somewhat too low.
    notes : tuple of str
        What to know about the scores, such as that a model was pre-trained on other data.
    """

    scores: pd.DataFrame
    predictions: pd.DataFrame
    label_noise: LabelNoise | None = None
    floor: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    _metadata = ["predictions", "scores", "label_noise", "floor", "notes"]

    @property
    def _constructor(self):
        return pd.DataFrame

    def summary(self, digits: int = 3) -> pd.DataFrame:
        """Format the scores as strings "mean ± sd" for a terminal or a report.

        Parameters
        ----------
        digits : int, default=3
            Significant digits of a mean score; times have two. The standard deviation has the same
            decimals as the mean. More digits are shown if the standard deviation would otherwise be
            rounded to zero.

        Returns
        -------
        table : DataFrame of str
            One column per metric, followed by the p-value of the difference to the reference (if
            there is a reference), and the times. With `label_noise`, the last two rows hold the
            RMSE that follows from the noise of the labels. The notes, if there are any, are below
            the table when it is printed.
        """
        table = pd.DataFrame(index=self.index)
        for column in self.columns:
            name, _, statistic = column.rpartition(" ")
            if statistic != "mean":
                continue
            n_digits = 2 if name.endswith(" seconds") else digits
            pairs = zip(self[column], self[f"{name} sd"])
            table[name] = [_plus_minus(mean, deviation, n_digits) for mean, deviation in pairs]
            if f"{name} p" in self:
                p_values = self[f"{name} p"]
                table[f"{name} p"] = ["" if np.isnan(p) else f"{p:.2g}" for p in p_values]
        if self.floor is not None:
            floor = self.floor.reindex(columns=[f"{each} mean" for each in table])
            for row in floor.index:
                cells = [_plus_minus(value, np.nan, digits) for value in floor.loc[row]]
                table.loc[row] = ["" if cell == "nan" else cell for cell in cells]
        if self.notes or self.floor is not None:
            table = _WholeTable(table)
            table.notes = self.notes
        return table


class _WholeTable(pd.DataFrame):
    """A DataFrame that prints all its columns, in several blocks if they are wide, and notes."""

    notes: tuple[str, ...] = ()
    _metadata = ["notes"]

    @property
    def _constructor(self):
        return _WholeTable

    def __repr__(self):
        with pd.option_context("display.max_columns", None):
            return super().__repr__()

    def to_string(self, buf=None, *args, **kwargs):
        """Text of the table and its notes."""
        text = "\n".join([super().to_string(None, *args, **kwargs), *self.notes])
        if buf is None:
            return text
        if hasattr(buf, "write"):
            buf.write(text)
        else:
            Path(buf).write_text(text, encoding="utf-8")
        return None

    def _repr_html_(self):
        with pd.option_context("display.max_columns", None):
            text = super()._repr_html_()
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return None if text is None else text + notes  # None if pandas is set to show text.


@dataclass
class FoldResult:
    """Result of one estimator on one fold.

    Parameters
    ----------
    estimator : str
        Name of the estimator.
    fold : int
    scores : dict of str to float
        Metric -> score in its natural sign.
    fit_time, predict_time : float
        Seconds; NaN when the fit failed.
    predictions : ndarray or None
        Predictions for the test rows; None when the fit failed.
    unseen : UnseenElements
        By row of `X`.
    training_data : tuple of str
        What the pre-trained models in the estimator were trained on.
    """

    estimator: str
    fold: int
    scores: dict[str, float]
    fit_time: float = np.nan
    predict_time: float = np.nan
    predictions: np.ndarray | None = None
    unseen: UnseenElements = field(default_factory=UnseenElements)
    training_data: tuple[str, ...] = ()


def make_comparison(
    results: list[FoldResult],
    splits: list[tuple[np.ndarray, np.ndarray]],
    y: ArrayLike,
    names: list[str],
    metrics: list[str],
    reference: str | None,
    confidence: float,
    agreeing: np.ndarray | None,
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
    metrics : list of str
        Metrics in the order of the columns.
    reference, confidence
        As in `compare_estimators`.
    agreeing : ndarray of bool, shape (C,), or None
        Rows that agree with their twins, if each metric has a second column for these.

    Returns
    -------
    Comparison
    """
    counts = dict.fromkeys(metrics, "n_test")
    if agreeing is not None:
        counts |= {without_disagreeing(m): without_disagreeing("n_test") for m in metrics}
    scores = _score_table(results, splits, list(counts), agreeing)
    table = Comparison(_aggregate(scores, names, counts, reference, confidence))
    table.scores = scores
    table.predictions = _prediction_table(results, splits, y, names)
    return table


def without_disagreeing(name):
    """Name of what is left of a metric, or count, without rows that disagree with their twins."""
    return f"{name} without disagreeing twins"


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


def _plus_minus(mean, deviation, digits):
    """Format a mean and its standard deviation with the same number of decimals."""
    decimals = max(_decimals(mean, digits), _decimals(deviation, 1))
    text = f"{mean:.{decimals}f}"
    return text if np.isnan(deviation) else f"{text} ± {deviation:.{decimals}f}"


def _decimals(value, digits):
    """Number of decimals that gives `value` the number of significant `digits`."""
    if not np.isfinite(value) or value == 0:
        return 0
    return max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
