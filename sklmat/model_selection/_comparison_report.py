"""`report_text`, `report_html`, `summary_table`: a comparison as text for people."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.model_selection._fit_and_score import without_disagreeing
from sklmat.model_selection._text_tables import (
    difference_and_interval,
    format_html,
    format_text,
    is_narrow,
    mean_and_deviation,
    p_value,
    seconds,
)

if TYPE_CHECKING:
    from sklmat.model_selection import Comparison, LearningCurves

FIT_TIME, PREDICT_TIME = "fit seconds", "predict seconds"


def report_text(comparison: Comparison) -> str:
    """Write a comparison as text, in lines of at most 80 characters."""
    return f"{_head(comparison)}\n\n{format_text(_tables(comparison), _legend(comparison))}"


def report_html(comparison: Comparison) -> str:
    """Write a comparison as HTML."""
    head = html.escape(_head(comparison))
    return f"<p>{head}</p>\n{format_html(_tables(comparison), _legend(comparison))}"


def summary_table(comparison: Comparison, digits: int) -> pd.DataFrame:
    """Return the table that ``comparison.summary(digits)`` describes, without the notes."""
    table = pd.DataFrame(index=comparison.index)
    for name in _quantities(comparison):
        table[name] = _means(comparison, name, digits)
        if f"{name} p" in comparison:
            p_values = comparison[f"{name} p"]
            table[f"{name} p"] = ["" if np.isnan(p) else f"{p:.2g}" for p in p_values]
    return _with_floor(comparison, table, digits)


def _quantities(table):
    """Metrics and times."""
    return [name.removesuffix(" mean") for name in table if name.endswith(" mean")]


def _means(table, name, digits=3):
    """Mean ± standard deviation of a metric or time."""
    n_digits = 2 if name in (FIT_TIME, PREDICT_TIME) else digits
    pairs = zip(table[f"{name} mean"], table[f"{name} sd"])
    return [mean_and_deviation(mean, deviation, n_digits) for mean, deviation in pairs]


def _with_floor(comparison, table, digits=3):
    """Add the rows of the floor to a table of strings."""
    if comparison.floor is None:
        return table
    floor = comparison.floor.reindex(columns=[f"{each} mean" for each in table])
    for row in floor.index:
        cells = [mean_and_deviation(value, np.nan, digits) for value in floor.loc[row]]
        table.loc[row] = ["" if cell == "nan" else cell for cell in cells]
    return table


def _head(comparison):
    """What was compared on how many rows."""
    scores = comparison.scores
    sizes = [scores[name] for name in ("n_train", "n_test")]
    about = "" if all(size.nunique() == 1 for size in sizes) else "about "
    n_train, n_test = (f"{size.mean():.0f}" for size in sizes)
    return (
        f"{_count(len(comparison), 'estimator')}, {_count(scores['fold'].nunique(), 'fold')} of "
        f"{about}{n_train} training rows and {n_test} test rows"
    )


def _count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tables(comparison):
    """Yield tables of strings; the name of the columns says what a table shows."""
    metrics = [name for name in _quantities(comparison) if name not in (FIT_TIME, PREDICT_TIME)]
    if not _has_disagreeing_twins(comparison):  # These scores would be the same.
        metrics = [name for name in metrics if name not in map(without_disagreeing, metrics)]
    names = {"fit (s)": FIT_TIME, "predict (s)": PREDICT_TIME}
    index = comparison.index
    times = {
        key: [seconds(mean) for mean in comparison[f"{name} mean"]] for key, name in names.items()
    }
    times = pd.DataFrame(times, index)
    if comparison.reference is None:
        means = pd.DataFrame({name: _means(comparison, name) for name in metrics}, index)
        means = _with_floor(comparison, means)
        together = means.join(times).fillna("")
        yield from [together] if is_narrow(together) else [means, times.rename_axis(columns="time")]
    else:
        for metric in metrics:
            yield _table_of_differences(comparison, metric)
        yield times.rename_axis(columns="time")
    if comparison.target_scores is not None:
        for target, scores in comparison.target_scores.groupby("target", sort=False):
            table = pd.DataFrame({name: _means(scores, name) for name in _quantities(scores)})
            table.index = scores.index.get_level_values("estimator").rename(None)
            yield table.rename_axis(columns=f"target {target}")


def _table_of_differences(comparison, metric):
    """The mean of a metric, and the difference from the reference."""
    names = [f"{metric} {name}" for name in ("difference", "low", "high", "p")]
    rows = {
        name: [*difference_and_interval(*interval), p_value(p)]
        for name, (*interval, p) in zip(comparison.index, comparison[names].to_numpy())
    }
    if comparison.reference in rows:
        rows[comparison.reference] = ["reference", "", ""]
    columns = ["difference", f"{100 * comparison.confidence_level:g} % interval", "p"]
    differences = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    if comparison.scores["fold"].nunique() == 1:
        differences = differences[["difference"]]
    means = pd.DataFrame({metric: _means(comparison, metric)}, comparison.index)
    table = _with_floor(comparison, means).rename(columns={metric: "mean ± sd"})
    table = table[table["mean ± sd"] != ""]
    return table.join(differences).fillna("").rename_axis(columns=metric)


def _has_disagreeing_twins(comparison):
    noise = comparison.label_noise
    return noise is not None and len(noise.disagreeing_rows) > 0


def _legend(comparison):
    """Sentences that say what the numbers are."""
    sentences = [meaning_of_metrics(comparison)]
    has_intervals = comparison.scores["fold"].nunique() > 1
    if has_intervals:
        sentences.append(
            "Scores are mean ± standard deviation (sd) over the folds, times are means for a fold."
        )
    legend = [" ".join(filter(None, sentences))]
    if comparison.reference is not None:
        explanation = (
            ", with its confidence interval and two-sided p-value; both allow for the overlap of "
            "the training sets, but not for the number of estimators."
            if has_intervals
            else "; one fold gives no interval."
        )
        what = f"difference: score minus that of the reference, {comparison.reference!r}"
        legend.append(what + explanation)
    if comparison.target_scores is not None:
        legend.append("Scores without the name of a target are means over the targets.")
    if comparison[[f"{name} mean" for name in comparison.metrics]].isna().any(axis=None):
        legend.append("nan: a fit failed.")
    if comparison.floor is not None:
        legend.append(
            "label noise: a model that cannot tell apart rows of the same composition and lattice, "
            "whose labels differ, has at least the least and probably the expected RMSE."
        )
    if _has_disagreeing_twins(comparison):
        legend.append(
            "without disagreeing twins: without the test rows whose label is contradicted by that "
            "of another row of the same composition and lattice."
        )
    return [*filter(None, legend), *comparison.notes]


def meaning_of_metrics(result: Comparison | LearningCurves) -> str:
    """Say for each metric which values are better, and whether it has the unit of y."""
    kinds: dict[str, list[str]] = {}
    for name in result.metrics:
        facts = {
            "lower is better": result.lower_is_better,
            "higher is better": result.higher_is_better,
            "in the unit of y": result.in_unit_of_y,
        }
        kind = ", ".join(fact for fact, names in facts.items() if name in names)
        if kind:
            kinds.setdefault(kind, []).append(name)
    return " ".join(f"{', '.join(names)}: {kind}." for kind, names in kinds.items())
