"""`LearningCurves`: what `learning_curves` returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.model_selection._comparison_report import FIT_TIME, PREDICT_TIME, meaning_of_metrics
from sklmat.model_selection._corrected_ttest import corrected_resampled_ttest
from sklmat.model_selection._text_tables import format_html, format_text, mean_and_interval


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurves:
    """Result of `learning_curves`; ``print`` shows means and intervals.

    Attributes
    ----------
    scores : DataFrame
        One row per fit: ``estimator``, ``train_size`` (as it was asked for), ``fold``, ``draw``,
        ``n_train`` (rows of the subset), ``n_available`` (training rows of the fold), ``n_test``, a
        column per metric, ``fit seconds`` and ``predict seconds``.
    metrics : tuple of str
        Names of the metrics.
    lower_is_better, higher_is_better : tuple of str
        Metrics that are errors, and other metrics of scikit-learn. Functions of your own are in
        neither, as this is not known of them.
    in_unit_of_y : tuple of str
        Metrics that are known to have the unit of y.
    confidence_level : float
        Level of the intervals.
    table : DataFrame
        One row per ``estimator`` and ``train_size``: ``n_train`` (mean), and for each metric
        ``<metric> mean``, ``<metric> sd`` (over all fits), and the confidence interval of the mean,
        ``<metric> low`` to ``<metric> high`` (see `learning_curves`); then the mean ``fit seconds``
        and ``predict seconds``.
    """

    scores: pd.DataFrame
    metrics: tuple[str, ...]
    lower_is_better: tuple[str, ...]
    higher_is_better: tuple[str, ...]
    in_unit_of_y: tuple[str, ...]
    confidence_level: float = 0.95

    @cached_property
    def table(self) -> pd.DataFrame:
        """Means and intervals."""
        rows = []
        for estimator, size, scores in _points(self.scores):
            row = {"estimator": estimator, "train_size": size, "n_train": scores["n_train"].mean()}
            for metric in self.metrics:
                mean, low, high, _ = self._test(scores, scores[metric])
                row[f"{metric} mean"] = mean
                row[f"{metric} sd"] = scores[metric].std(skipna=False)
                row |= {f"{metric} low": low, f"{metric} high": high}
            rows.append(row | scores[[FIT_TIME, PREDICT_TIME]].mean(skipna=False).to_dict())
        return table_of_sizes(rows)

    @checked_arguments()
    def differences(self, reference: str) -> pd.DataFrame:
        """Compare all estimators with one of them, on the same subsets and test rows.

        Parameters
        ----------
        reference : str
            Name of an estimator.

        Returns
        -------
        table : DataFrame
            One row per other estimator and ``train_size``, with ``n_train`` and for each metric
            ``difference`` (minus the reference), its interval ``low`` to ``high`` and the two-sided
            ``p``, computed like the intervals of the scores. None is corrected for the number of
            sizes and estimators.

        Raises
        ------
        ValueError
            When there is no estimator of this name.
        """
        names = self.scores["estimator"].unique().tolist()
        if reference not in names:
            raise ValueError(f"reference={reference!r} is not among {names}")
        keys = ["train_size", "fold", "draw"]
        minus = self.scores[self.scores["estimator"] == reference].set_index(keys)
        others = self.scores[self.scores["estimator"] != reference]
        rows = []
        for estimator, size, scores in _points(others):
            row = {"estimator": estimator, "train_size": size, "n_train": scores["n_train"].mean()}
            same = minus.loc[pd.MultiIndex.from_frame(scores[keys])]
            for metric in self.metrics:
                found = self._test(scores, scores[metric] - same[metric].to_numpy())
                names = [f"{metric} {name}" for name in ("difference", "low", "high", "p")]
                row |= dict(zip(names, found))
            rows.append(row)
        return table_of_sizes(rows)

    def _test(self, scores, values):
        """Mean over the folds of the means over their draws, its interval, and p."""
        of_folds = (
            scores.assign(value=values)
            .groupby("fold")
            .agg(
                value=("value", lambda draws: draws.mean(skipna=False)),
                n_available=("n_available", "first"),
                n_test=("n_test", "first"),
            )
        )
        return corrected_resampled_ttest(
            of_folds["value"],
            of_folds["n_available"],
            of_folds["n_test"],
            confidence_level=self.confidence_level,
        )

    def __repr__(self) -> str:
        return format_text(self._tables(), self._legend())

    def _repr_html_(self) -> str:
        return format_html(self._tables(), self._legend())

    def _tables(self):
        """Yield a table of strings for each metric, with the sizes in the rows."""
        for metric in self.metrics:
            columns = {}
            for name, rows in self.table.groupby("estimator", sort=False):
                sizes = [f"{number:.0f} training rows" for number in rows["n_train"]]
                numbers = rows[[f"{metric} {each}" for each in ("mean", "low", "high")]].to_numpy()
                columns[name] = pd.Series([mean_and_interval(*each) for each in numbers], sizes)
            yield pd.DataFrame(columns).rename_axis(columns=metric)

    def _legend(self):
        """Sentences that say what the numbers are."""
        n_folds, n_draws = self.scores["fold"].nunique(), self.scores["draw"].nunique()
        legend = list(filter(None, [meaning_of_metrics(self)]))
        if n_folds == 1:
            legend.append(f"Means of {n_draws} draws; one fold gives no interval.")
        else:
            legend.append(
                f"Means over {n_folds} folds and up to {n_draws} draws of training rows, and "
                f"{100 * self.confidence_level:g} % confidence intervals of the means, which "
                "allow for the rows that folds share."
            )
        if np.isnan(self.table[f"{self.metrics[0]} mean"]).any():
            legend.append("nan: a fit failed.")
        return legend


def table_of_sizes(rows: list[dict]) -> pd.DataFrame:
    """Make a DataFrame in which a `train_size` that is an int stays one beside fractions."""
    sizes = pd.Series([row["train_size"] for row in rows], dtype=object)
    return pd.DataFrame(rows).assign(train_size=sizes)


def _points(scores):
    """Yield (estimator, size, scores) of each point of the curves, sizes in ascending order."""
    for estimator, rows in scores.groupby("estimator", sort=False):
        for size, of_size in rows.groupby("train_size", sort=False):
            yield estimator, size, of_size
