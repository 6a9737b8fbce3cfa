"""The section about the errors on rows that were not used for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklmat.reports._page import Section, shown

if TYPE_CHECKING:
    from sklmat.reports._study import Study

#: Labels that are farther from the quartiles than this multiple of their distance are far away.
_REACH = 6.0


def validation_section(study: Study) -> Section:
    """Scores with intervals against the other models, and predictions against labels."""
    from sklmat.plotting import ComparisonDisplay, ParityDisplay

    section = Section("Validation", "validation")
    comparison = study.comparison
    section.facts.update(
        split=study.how,
        n_folds=len(study.splits),
        metrics=list(comparison.metrics),
        reference=comparison.reference,
        confidence_level=comparison.confidence_level,
        scores=_scores(comparison),
        notes=list(comparison.notes),
    )
    sentences = [study.how, *_verdict(study)]
    section.facts["sentences"] = sentences
    for sentence in sentences:
        section.say(sentence)
    metrics = _shown_metrics(comparison)
    level = f"{100 * comparison.confidence_level:g} %"
    header = ["model"]
    for metric in metrics:
        unit = study.in_unit if metric in comparison.in_unit_of_y else ""
        header += [f"{metric}{unit}"]
        if study.others:
            header += [f"difference ({level} interval)"]
    section.table(header, _rows_of_table(study, metrics))
    if study.others:
        section.say(
            f"Means over the folds. Differences are those from {study.name}. The errors in the "
            "plots of predictions are those of all rows together, so they differ a little, and "
            "much if one row has a very large error."
        )
    section.bullets(comparison.notes)
    display = ComparisonDisplay.from_comparison(comparison, metrics=metrics, unit=study.unit)
    section.figure(
        display.figure_,
        "Means over the folds. "
        + (
            f"Bars are {level} intervals of the difference from {study.name} (dashed), which "
            "allow for the overlap of the training rows: a model differs significantly if its bar "
            "does not reach the dashed line."
            if comparison.reference
            else f"Bars are {level} intervals, which allow for the overlap of the training rows."
        ),
    )
    if not study.is_classifier:
        best = study.best_other()
        names = [study.name, *([best] if best else [])]
        parity = ParityDisplay.from_predictions(
            study.predictions["y_true"],
            {name: study.predictions[name] for name in names},
            quantity=study.quantity,
            unit=study.unit,
            true_name=study.true_name,
            limits=_usual_limits(study.predictions["y_true"]),
        )
        section.figure(
            parity.figure_,
            f"Out-of-fold predictions of {study.name}"
            + (f" and of the best other model, {best}." if best else "."),
        )
    return section


def _usual_limits(labels):
    """Ends of the axes without labels that are far from all others, if there are such."""
    first, third = labels.quantile([0.25, 0.75])
    reach = _REACH * (third - first)
    usual = labels[(labels >= first - reach) & (labels <= third + reach)]
    if len(usual) == len(labels) or usual.min() == usual.max():
        return None
    margin = 0.1 * (usual.max() - usual.min())
    return float(usual.min() - margin), float(usual.max() + margin)


def _shown_metrics(comparison):
    """The first three metrics."""
    return list(comparison.metrics[:3])


def _scores(comparison):
    """Scores as plain data: model -> metric -> mean, sd and, for others, difference."""
    keys = ("mean", "sd", "difference", "low", "high", "p")
    return {
        str(name): {
            metric: {
                key: _number(row[f"{metric} {key}"]) for key in keys if f"{metric} {key}" in row
            }
            for metric in comparison.metrics
        }
        for name, row in comparison.iterrows()
    }


def _number(value):
    return None if np.isnan(value) else float(value)


def _rows_of_table(study, metrics):
    """Rows of the table of scores, best model first."""
    comparison = study.comparison
    first = metrics[0]
    is_error = first in comparison.lower_is_better
    for name, row in comparison.sort_values(f"{first} mean", ascending=is_error).iterrows():
        cells = [name]
        for metric in metrics:
            cells.append(float(row[f"{metric} mean"]))
            if study.others:
                ends = [shown(float(row[f"{metric} {end}"])) for end in ("low", "high")]
                difference = shown(float(row[f"{metric} difference"]))
                cells.append("" if name == study.name else f"{difference} ({ends[0]} to {ends[1]})")
        yield cells


def _verdict(study):
    """Who is best, and whether that is significant."""
    comparison, metric = study.comparison, study.comparison.metrics[0]
    unit = f" {study.unit}" if study.unit and metric in comparison.in_unit_of_y else ""
    mean = comparison.loc[study.name, f"{metric} mean"]
    sentences = [f"{metric[:1].upper()}{metric[1:]} of {study.name}: {mean:.3g}{unit}."]
    best = study.best_other()
    if best is None:
        return [*sentences, "It is compared with no other model, so this number says little."]
    row = comparison.loc[best]
    other = row[f"{metric} mean"]
    low, high = row[f"{metric} low"], row[f"{metric} high"]
    lower_is_better = metric in comparison.lower_is_better
    is_best = mean < other if lower_is_better else mean > other
    is_clear = low > 0 or high < 0
    which = f", which is {'worse' if is_best else 'better'}" if is_clear else ""
    sentences.append(
        f"Best other model: {best}, {other:.3g}{unit}{which}; the difference is "
        + ("significant" if is_clear else "not significant")
        + f" ({100 * comparison.confidence_level:g} % interval {shown(float(low))} to "
        f"{shown(float(high))}{unit})."
    )
    return sentences
