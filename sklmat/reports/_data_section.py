"""The section about the data: what there is, and what is doubtful in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sklmat.reports._page import Section, shown

if TYPE_CHECKING:
    from sklmat.reports._study import Study

#: Doubtful labels that are listed.
_MOST_LISTED = 10


def data_section(study: Study) -> Section:
    """Numbers of rows, elements and sizes; duplicates, twins and labels that contradict them."""
    section = Section("Data", "data")
    rows = study.rows
    facts = section.facts
    facts["n_rows"] = len(rows)
    facts["target"] = _describe_target(study)
    sentences = [f"{len(rows)} rows. {_target_sentence(study)}"]
    checked = study.checked
    facts["elements"] = None
    if checked is not None:
        facts["elements"], facts["sizes"] = checked.elements, checked.sizes
        facts["duplicates"] = [_names(study, group) for group in checked.duplicates]
        facts["contradictions"] = [
            each | {"ids": _names(study, each["ids"])} for each in checked.contradictions
        ]
        sentences.append(
            f"{len(checked.elements)} elements; {checked.sizes['min']:g} to "
            f"{checked.sizes['max']:g} atoms in a cell, median {checked.sizes['median']:g}."
        )
        facts["findings"] = [*checked.findings, *_contradictions(study, facts["contradictions"])]
    if study.twins is not None:
        facts["twins"] = _describe_twins(study)
    facts["sentences"] = sentences
    for sentence in sentences:
        section.say(sentence)
    if facts.get("findings"):
        section.heading("What to look at")
        section.bullets(f"{finding[:1].upper()}{finding[1:]}." for finding in facts["findings"])
    if facts.get("twins", {}).get("sentence"):
        section.heading("Labels of twins")
        section.say(facts["twins"]["sentence"])
        listed = facts["twins"]["disagreeing"][:_MOST_LISTED]
        if listed:
            unit = study.in_unit
            section.table(
                ["row", "crystal", f"label{unit}", f"label − mean of its twins{unit}"],
                [[each[k] for k in ("name", "formula", "label", "difference")] for each in listed],
            )
    _draw_elements(section, study)
    return section


def _names(study, ids):
    """Names of rows, which `check_dataset` knows by their numbers."""
    return [study.rows.named(int(row)) for row in ids]


def _contradictions(study, contradictions):
    """A sentence for each crystal with labels that differ."""
    return [
        f"labels of one crystal: {', '.join(shown(value) for value in each['values'])}"
        f"{study.in_unit} in {', '.join(each['ids'])}"
        for each in contradictions[:_MOST_LISTED]
    ]


def _describe_target(study):
    """Numbers about the labels."""
    if study.is_classifier:
        return {"classes": pd.Series(study.y).value_counts().rename(str).to_dict()}
    y = study.y
    return {
        "name": study.quantity,
        "unit": study.unit,
        "mean": float(y.mean()),
        "standard deviation": float(y.std()),
        "min": float(y.min()),
        "max": float(y.max()),
    }


def _target_sentence(study):
    """What the labels are."""
    target = study.quantity or "target"
    if study.is_classifier:
        counts = pd.Series(study.y).value_counts()
        return (
            f"Classes of the {target}: "
            + ", ".join(f"{name} ({count} rows)" for name, count in counts.items())
            + "."
        )
    y = study.y
    return (
        f"The {target} is between {study.with_unit(y.min())} and {study.with_unit(y.max())}, "
        f"with the mean {study.with_unit(y.mean())} and the standard deviation "
        f"{study.with_unit(y.std())}."
    )


def _describe_twins(study):
    """What rows of the same composition and lattice say about the noise of the labels."""
    noise = study.twins
    row = noise.table.iloc[0]
    if not row["twin rows"]:
        return {"n_rows": 0, "disagreeing": []}
    sentence = (
        f"{row['twin rows']:.0f} rows have twins, other rows of the same composition and lattice. "
        f"Their labels scatter with a standard deviation of {study.with_unit(row['noise'])}; a "
        "model that cannot tell twins apart has a root-mean-square error of at least "
        f"{study.with_unit(row['least RMSE'])} over all rows."
    )
    if row["disagreeing rows"]:
        sentence += (
            f" {row['disagreeing rows']:.0f} labels differ from those of their twins by "
            f"{study.with_unit(row['disagreement'])} or more."
        )
    disagreeing = [
        {
            "row": int(each["row"]),
            "name": study.rows.named(int(each["row"])),
            "formula": study.rows.formulas[int(each["row"])],
            "label": float(each["label"]),
            "difference": float(each["difference"]),
        }
        for _, each in noise.disagreeing.iterrows()
    ]
    return {
        "n_rows": int(row["twin rows"]),
        "noise": float(row["noise"]),
        "sentence": sentence,
        "disagreeing": disagreeing,
    }


def _draw_elements(section, study):
    if study.rows.structures is None:
        return
    from sklmat.plotting import PeriodicTableDisplay

    display = PeriodicTableDisplay.from_structures(study.rows.structures)
    section.figure(display.figure_, "Number of crystals that contain each element.")
