"""`Comparison`: the table that `compare_estimators` returns."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.model_selection._comparison_report import report_html, report_text, summary_table

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.model_selection import LabelNoise

#: Columns of `Comparison.predictions` that do not belong to an estimator.
PREDICTION_KEYS = ("row", "fold", "repeat", "target", "y_true")


@dataclass(frozen=True)
class ComparisonParts:
    """What belongs to a table of all estimators; see the attributes of `Comparison`.

    Parameters
    ----------
    columns : list of str
        Columns of the table.
    metrics, lower_is_better, higher_is_better, in_unit_of_y : tuple of str
        All metrics, those of which this is known, and those that have the unit of y.
    """

    columns: list[str]
    scores: pd.DataFrame
    predictions: pd.DataFrame
    metrics: tuple[str, ...]
    lower_is_better: tuple[str, ...]
    higher_is_better: tuple[str, ...]
    in_unit_of_y: tuple[str, ...]
    reference: str | None = None
    confidence_level: float = 0.95
    probabilities: pd.DataFrame | None = None
    target_scores: pd.DataFrame | None = None
    estimators: dict[str, list[BaseEstimator | None]] | None = None
    label_noise: LabelNoise | None = None
    floor: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


class Comparison(pd.DataFrame):
    """Result of `compare_estimators`: a DataFrame of scores, with the underlying predictions.

    It has one row per estimator and all methods of a DataFrame. ``print`` shows the scores as
    "mean ± sd", and with a reference the differences, in lines of at most 80 characters;
    ``table.columns`` has the names of the columns, and ``table.to_string()`` shows all of them.
    Selecting, sorting or copying rows gives a Comparison of these rows, whose attributes hold what
    belongs to them. Selecting columns or computing with the table gives an ordinary DataFrame, and
    a table with added columns or renamed rows is printed like one.

    Attributes
    ----------
    scores : DataFrame
        One row per estimator and fold: ``estimator``, ``fold``, ``n_train``, ``n_test``, a column
        per metric, ``fit seconds`` and ``predict seconds``. With `label_noise`, ``n_test without
        disagreeing twins`` is the number of test rows for the metrics of this name.
    target_scores : DataFrame or None
        If `y` has several targets: one row per ``estimator`` and ``target`` with the mean and sd
        over the folds of each metric for this target alone. It has only metrics of `scoring` that
        `masked_scorer` knows by name, which are all defaults.
    predictions : DataFrame
        Out-of-fold predictions, one row per tested row (and target): ``row`` (its number in `X`),
        ``fold``, ``repeat`` (0 when a row is tested for the first time), ``target`` (if `y` has
        several), ``y_true`` and a column per estimator.
    probabilities : DataFrame or None
        For classifiers with ``predict_proba``: probabilities of the classes, in the rows of
        ``predictions``. ``probabilities[name]`` has a column per class; a class that no training
        row of the fold has gets 0.
    estimators : dict of str to list of estimators, or None
        With ``return_estimator=True``, the fitted estimators: ``estimators[name][fold]``. None
        stands for a fit that failed.
    reference : str or None
        The estimator with which the others are compared.
    confidence_level : float
        Level of the intervals.
    metrics : tuple of str
        Names of the metrics.
    lower_is_better, higher_is_better : tuple of str
        Metrics that are errors, and other metrics of scikit-learn. Functions of your own are in
        neither, as this is not known of them.
    in_unit_of_y : tuple of str
        Metrics that are known to have the unit of y.
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

    _parts: ComparisonParts | None = None
    # pandas copies and pickles this attribute with the table.
    _metadata = ["_parts"]

    @classmethod
    def from_parts(cls, table: pd.DataFrame, parts: ComparisonParts) -> Comparison:
        """Make the table of all estimators.

        Parameters
        ----------
        table : DataFrame
            One row per estimator.
        parts : ComparisonParts
            Predictions, scores of the folds and settings.

        Returns
        -------
        Comparison
        """
        comparison = cls(table)
        comparison._parts = parts
        return comparison

    @property
    def _constructor(self):
        # pandas makes the result of each operation with this function.
        return self._of_rows

    def _of_rows(self, *args, **kwargs):
        """Make a DataFrame, or a Comparison if it consists of rows of this table."""
        result, whole = pd.DataFrame(*args, **kwargs), pd.DataFrame(self)
        if (
            self._parts is None
            or not result.columns.equals(whole.columns)
            or not result.index.is_unique
            or not result.index.isin(whole.index).all()
            or not result.equals(whole.loc[result.index])
        ):
            return result
        return Comparison.from_parts(result, self._parts)

    @property
    def scores(self) -> pd.DataFrame:
        scores = self._all.scores
        if self._has_all_rows:
            return scores
        return scores[scores["estimator"].isin(self.index)].reset_index(drop=True)

    @property
    def target_scores(self) -> pd.DataFrame | None:
        scores = self._all.target_scores
        return scores if scores is None or self._has_all_rows else scores.loc[list(self.index)]

    @property
    def predictions(self) -> pd.DataFrame:
        predictions = self._all.predictions
        if self._has_all_rows:
            return predictions
        keys = [name for name in predictions if name in PREDICTION_KEYS]
        return predictions[[*keys, *self.index]]

    @property
    def probabilities(self) -> pd.DataFrame | None:
        found = self._all.probabilities
        if found is None or self._has_all_rows:
            return found
        names = found.columns.get_level_values(0)
        return found[[name for name in self.index if name in names]]

    @property
    def estimators(self) -> dict[str, list[BaseEstimator | None]] | None:
        found = self._all.estimators
        return None if found is None else {name: found[name] for name in self.index}

    @property
    def reference(self) -> str | None:
        return self._all.reference

    @property
    def confidence_level(self) -> float:
        return self._all.confidence_level

    @property
    def metrics(self) -> tuple[str, ...]:
        return self._all.metrics

    @property
    def lower_is_better(self) -> tuple[str, ...]:
        return self._all.lower_is_better

    @property
    def higher_is_better(self) -> tuple[str, ...]:
        return self._all.higher_is_better

    @property
    def in_unit_of_y(self) -> tuple[str, ...]:
        return self._all.in_unit_of_y

    @property
    def label_noise(self) -> LabelNoise | None:
        return self._all.label_noise

    @property
    def floor(self) -> pd.DataFrame | None:
        return self._all.floor

    @property
    def notes(self) -> tuple[str, ...]:
        return self._all.notes

    @property
    def _all(self):
        if self._parts is None:
            raise AttributeError("this Comparison was not made by compare_estimators")
        if not self._has_known_rows:
            raise ValueError(
                f"the rows {list(self.index)} are no longer estimators of the comparison, so that "
                "their scores are not known; ask for them before you rename rows"
            )
        return self._parts

    @property
    def _has_known_rows(self):
        return self.index.is_unique and self.index.isin(self._parts.scores["estimator"]).all()

    @property
    def _has_all_rows(self):
        return list(self.index) == list(self._all.scores["estimator"].unique())

    @checked_arguments()
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
        table = summary_table(self, digits)
        if self.notes or self.floor is not None:
            table = _WholeTable(table)
            table.notes = self.notes
        return table

    def __repr__(self):
        return report_text(self) if self._is_whole() else super().__repr__()

    def _repr_html_(self):
        if self._is_whole() and pd.get_option("display.notebook_repr_html"):
            return report_html(self)
        return super()._repr_html_()

    def _is_whole(self):
        """Whether there are rows of the comparison, and its columns and no others."""
        return (
            self._parts is not None
            and len(self) > 0
            and list(self) == self._parts.columns
            and self._has_known_rows
        )


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
