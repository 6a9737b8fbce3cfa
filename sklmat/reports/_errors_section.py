"""The section about the largest errors: which crystals they are, and what may cause them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.reports._attribution_section import attribution_of_sites, is_additive
from sklmat.reports._page import Section, shown

if TYPE_CHECKING:
    from sklmat.reports._study import Study

#: An element is rare if at most this number of other rows have it.
_RARE = 2
#: A label is unusual if it is farther from the mean than this number of standard deviations.
_UNUSUAL = 3.0
#: A value per atom explains an error if it differs from the prediction by less than this fraction.
_CLOSE = 0.15
#: The axis of errors ends at this multiple of the error that 90 % of the rows do not exceed.
_MOST_OF_AXIS = 3.0


def errors_section(study: Study) -> Section:
    """The largest errors one by one, and the errors by element and by kind of crystal."""
    section = Section("Largest errors", "errors")
    size = study.errors.abs()
    largest = size.sort_values(ascending=False, kind="stable").index[: study.n_largest].tolist()
    if study.is_classifier:
        wrong = size.index[size > 0]
        confidence = pd.Series(0.0, index=wrong) if study.probability is None else study.probability
        surest = confidence.loc[wrong].sort_values(ascending=False, kind="stable")
        largest = surest.index[: study.n_largest].tolist()
    section.facts["largest"] = [_describe(study, row) for row in largest]
    section.facts["suspects"] = [
        study.rows.named(row) for row in largest if _value_per_cell(study, row)
    ]
    section.say(_introduction(study, size, largest))
    for row, facts in zip(largest, section.facts["largest"]):
        section.heading(facts["title"])
        section.bullets(facts["sentences"])
        _draw(section, study, row)
    _draw_trends(section, study)
    return section


def _introduction(study, size, largest):
    if study.is_classifier:
        n_wrong = int(size.sum())
        if not n_wrong:
            return f"All {len(size)} rows are predicted rightly."
        return (
            f"{n_wrong} of {len(size)} rows are predicted wrongly; these {len(largest)} with the "
            "highest probability of the wrong class."
        )
    share = size.loc[largest].sum() / max(size.sum(), np.finfo(float).tiny)
    return (
        f"Median absolute error {study.with_unit(size.median())}, mean "
        f"{study.with_unit(size.mean())}. The {len(largest)} largest errors are "
        f"{100 * share:.0f} % of the sum of all {len(size)}."
    )


def _describe(study, row):
    """Facts and sentences about the error of a row."""
    rows, table = study.rows, study.predictions.loc[row]
    truth, predicted = table["y_true"], table[study.name]
    name = rows.named(row)
    title = name if rows.formulas is None else f"{rows.formulas[row]}, {name}"
    facts = {"row": int(row), "name": name, "title": title}
    facts["label"], facts["prediction"] = _value(truth), _value(predicted)
    if study.is_classifier:
        sentences = [f"Label {truth}, predicted {predicted}."]
    else:
        error = float(study.errors.loc[row])
        facts["error"] = error
        ratio = abs(error) / max(study.errors.abs().median(), np.finfo(float).tiny)
        sentences = [
            f"Label {study.with_unit(truth)}, predicted "
            f"{study.with_unit(predicted)}: error {study.with_unit(error)}, {ratio:.3g} times the "
            "median error."
        ]
    causes = [
        *_same_crystal(study, row),
        *_twins(study, row),
        *_value_per_cell(study, row),
        *_other_models(study, row),
        *_unusual_label(study, row),
        *_rare_elements(study, row),
        *_unusual_size(study, row),
        *_far_away(study, row),
        *_error_bar(study, row),
    ]
    if not causes:
        causes = [
            "Nothing unusual was found: the label agrees with its twins or has none, other rows "
            "have its elements and size, and training rows are near."
        ]
    facts["sentences"] = sentences + causes
    return facts


def _value(value):
    return float(value) if isinstance(value, float | int | np.number) else str(value)


def _same_crystal(study, row):
    """Whether the same crystal has another label in another row."""
    sentences = []
    for entry in study.checked.contradictions if study.checked else []:
        if str(row) in entry["ids"]:
            others = [
                f"{study.rows.named(int(other))}, whose label is {_label(study, value)}"
                for other, value in zip(entry["ids"], entry["values"])
                if other != str(row)
            ]
            sentences.append(
                f"It is the same crystal as {'; '.join(others)}: one of these labels is wrong, or "
                "they differ in what the structure does not hold."
            )
    return sentences


def _label(study, value):
    return str(value) if study.is_classifier else study.with_unit(value)


def _value_per_cell(study, row):
    """Whether the label divided by the number of atoms would be as predicted."""
    if study.is_classifier or study.rows.structures is None:
        return []
    n_atoms, label = len(study.rows.structures[row]), float(study.y[row])
    predicted = float(study.predictions[study.name].loc[row])
    is_close = abs(label / n_atoms - predicted) < _CLOSE * abs(predicted)
    others = np.delete(study.y, row)
    is_unusual = abs(label - others.mean()) > _UNUSUAL * others.std()
    if n_atoms == 1 or not (is_close and is_unusual):
        return []
    return [
        f"Divided by its {n_atoms} atoms, the label is {study.with_unit(label / n_atoms)}, as "
        "predicted: it may be a value of the cell, and not one per atom."
    ]


def _twins(study, row):
    """Whether the label differs from that of the same composition and lattice."""
    if study.twins is None:
        return []
    found = study.twins.disagreeing
    found = found[found["row"] == row]
    if found.empty:
        return []
    each = found.iloc[0]
    twins = ", ".join(study.rows.named(int(twin)) for twin in each["twins"][:3])
    return [
        f"Its label differs by {study.with_unit(each['difference'])} from the mean label of rows "
        f"of the same composition and lattice ({twins}): one of these labels may be wrong, or "
        "the order of the atoms matters."
    ]


def _other_models(study, row):
    """Whether the best other model errs alike, if it is about as accurate."""
    best = study.best_other()
    if best is None or not study.is_comparable(best):
        return []
    table = study.predictions.loc[row]
    if study.is_classifier:
        if table[best] == table[study.name]:
            return [
                f"{best} predicts the same wrong class: the label may be wrong, or the crystal is "
                "unusual."
            ]
        return [f"{best} predicts the right class, so the label is no surprise to it."]
    error, other = float(study.errors.loc[row]), float(table[best] - table["y_true"])
    text = f"{best} has an error of {study.with_unit(other)}"
    if other * error > 0 and abs(other) > 0.5 * abs(error):
        return [
            f"{text}, in the same direction, so the cause is not particular to {study.name}: it "
            "may be the label, an unusual crystal, or something that no model is told."
        ]
    if abs(other) < 0.2 * abs(error):
        return [f"{text}: the cause is probably in {study.name}, not in the label."]
    return [f"{text}."]


def _unusual_label(study, row):
    if study.is_classifier:
        return []
    others = np.delete(study.y, row)
    value, spread = study.y[row], others.std()
    sentences = []
    if value > others.max() or value < others.min():
        side = "largest" if value > others.max() else "smallest"
        sentences.append(f"It is the {side} label of all rows.")
    if spread and abs(value - others.mean()) > _UNUSUAL * spread:
        number = abs(value - others.mean()) / spread
        sentences.append(
            f"The label is {number:.2g} standard deviations from the mean of the others."
        )
    return sentences


def _rare_elements(study, row):
    counts = study.rows.element_counts
    if counts is None:
        return []
    train = study.folds()[int(study.predictions["fold"].loc[row])][1]
    known = {symbol for other in train for symbol in study.rows.elements(other)}
    sentences = []
    for symbol in study.rows.elements(row):
        n_others = counts[symbol] - 1
        where = f"{n_others} other row{'s' * (n_others > 1)}" if n_others else "no other row"
        if symbol not in known:
            sentences.append(f"The model had seen no {symbol}, which occurs in {where}.")
        elif n_others <= _RARE:
            sentences.append(f"{symbol} occurs in {where} only.")
    return sentences


def _unusual_size(study, row):
    if study.rows.structures is None:
        return []
    sizes = np.array([len(structure) for structure in study.rows.structures])
    others = np.delete(sizes, row)
    if sizes[row] > others.max() or sizes[row] < others.min():
        side = "most" if sizes[row] > others.max() else "fewest"
        return [f"Its cell has the {side} atoms of all rows ({sizes[row]})."]
    return []


def _far_away(study, row):
    if study.distances is None or not study.distances.loc[row] > 1:
        return []
    return [
        "In composition and volume, it is farther from the training rows than 95 % of these are "
        f"from each other ({study.distances.loc[row]:.2g} times this distance): the model "
        "extrapolates."
    ]


def _error_bar(study, row):
    if study.std is None:
        return []
    std, error = study.std.loc[row], abs(study.errors.loc[row])
    if not std > 0:
        return []
    return [
        f"The error is {error / std:.3g} times the predicted standard deviation "
        f"({study.with_unit(std)}): the model "
        + ("warned of it." if error < 2 * std else "did not warn.")
    ]


def _draw(section, study, row):
    """The crystal, with the contributions of its sites if the model has them."""
    if study.rows.structures is None:
        return
    from sklmat.plotting import CrystalDisplay

    structure = study.rows.structure(row)
    table = attribution_of_sites(study, row)
    if table is None:
        display = CrystalDisplay.from_structure(structure)
        section.figure(display.figure_, "The crystal.")
        return
    unit = "log-odds" if study.is_classifier else study.unit
    values = table["attribution"].to_numpy()
    display = CrystalDisplay.from_structure(structure, values, label="contribution", unit=unit)
    sums = table.groupby("element", sort=False)["attribution"].sum()
    parts = [f"{symbol} {shown(float(value))}" for symbol, value in sums.items()]
    section.say(
        f"What the prediction consists of: baseline {shown(table.attrs['baseline'][0])}, "
        f"{', '.join(parts)}; together {shown(table.attrs['prediction'][0])}"
        f"{f' {unit}' if unit else ''}."
    )
    section.figure(
        display.figure_,
        "The crystal. Colours are the contributions of the sites to the prediction: "
        + (
            "the terms that the network adds up, divided evenly among the sites of an element."
            if is_additive(study)
            else "the effect of the element on a site, compared with the average atom of the "
            "training rows."
        ),
    )


def _draw_trends(section, study):
    """Errors by element, and against what may govern them."""
    if study.rows.structures is None or study.is_classifier:
        return
    from sklmat.plotting import ErrorTrendDisplay, PeriodicTableDisplay

    rows = study.predictions.index.to_numpy()
    structures = study.rows.structures[rows]
    truth, predicted = study.predictions["y_true"], study.predictions[study.name]
    section.heading("Errors by element")
    display = PeriodicTableDisplay.from_errors(
        structures, truth, predicted, unit=study.unit, log_scale=bool((truth != predicted).all())
    )
    section.figure(
        display.figure_,
        "Mean absolute error of the crystals that contain each element, and their number. One "
        "crystal with a very large error makes all its elements look bad.",
    )
    section.heading("Errors by kind of crystal")
    against = ["n_elements", "n_atoms", "lattice"]
    # Very large errors are marked at the edge.
    errors = study.errors.abs()
    usual = _MOST_OF_AXIS * float(errors.quantile(0.9))
    limits = (0.0, usual) if errors.max() > usual > 0 else None
    display = ErrorTrendDisplay.from_predictions(
        structures, truth, predicted, against=against, unit=study.unit, limits=limits
    )
    section.figure(
        display.figure_,
        "Absolute errors of the out-of-fold predictions. A mean over few crystals depends on each "
        "of them.",
    )
