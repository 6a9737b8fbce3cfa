"""The section about what the predictions consist of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.estimators import GraphModel, is_graph_estimator
from sklmat.inspection import element_attribution, site_attribution
from sklmat.model_inside import find_model
from sklmat.reports._page import Section

if TYPE_CHECKING:
    from sklmat.reports._study import Study

#: Rows that are explained, and rows of the training set with which they are compared.
_MOST_ROWS, _MOST_BACKGROUND = 100, 50
#: The same for SHAP values, which may take a prediction for each pair of both and each column.
_MOST_SHAP_ROWS, _MOST_SHAP_BACKGROUND = 40, 25


def attribution_section(study: Study) -> Section:
    """Contributions of the elements for graph networks, SHAP values for models of tables."""
    section = Section("What the predictions consist of", "attribution")
    kind = kind_of_attribution(study)
    section.facts["method"] = kind
    if kind == "elements":
        _elements(section, study)
    elif kind == "shap":
        _columns(section, study)
    if not section.parts:
        section.say(f"{study.name} cannot be divided into contributions by sklmat.")
    return section


def kind_of_attribution(study: Study) -> str | None:
    """Whether contributions are those of elements or of columns, or there are none."""
    try:
        inside = find_model(study.folds()[0][0])
    except (TypeError, ValueError):
        return None
    return "elements" if is_graph_estimator(inside.model) else "shap"


def attribution_of_sites(study: Study, row: int) -> pd.DataFrame | None:
    """Contributions of the sites of a crystal by the model of its fold, see `site_attribution`."""
    if kind_of_attribution(study) != "elements":
        return None
    fold = int(study.predictions["fold"].loc[row])
    fitted, train, _ = study.folds()[fold]
    try:
        options = _background(study, train) | _class(study)
        return site_attribution(fitted, study.select(np.array([row])), **options)
    except (TypeError, ValueError):
        # Networks that read no atoms, and targets on a curved scale.
        return None


def _class(study):
    """The class that is explained; of two classes it is the second by default."""
    if not study.is_classifier:
        return {}
    classes = np.unique(study.y)
    return {} if len(classes) == 2 else {"target": classes[-1]}


def is_additive(study: Study) -> bool:
    """Whether the predictions of a graph network are sums over elements, as those of ECNet."""
    return GraphModel.of(find_model(study.folds()[0][0]).model).additive_elements


def _background(study, train):
    """Training rows for methods that compare with an average atom."""
    if is_additive(study):
        return {}
    return {"background": study.select(train[:_MOST_BACKGROUND])}


def _elements(section, study):
    """Mean contribution of each element, of rows that the models had not seen."""
    from sklmat.plotting import PeriodicTableDisplay

    tables, residuals = [], []
    n_rows = max(1, _MOST_ROWS // len(study.splits))
    try:
        for fitted, train, test in study.folds():
            if len(test):
                options = _background(study, train) | _class(study)
                table = element_attribution(fitted, study.select(test[:n_rows]), **options)
                tables.append(table)
                residuals += list(table.attrs["residual"])
    except (TypeError, ValueError) as error:
        section.say(f"Contributions could not be computed: {error}")
        return
    table = pd.concat(tables, ignore_index=True).fillna(0.0)
    means = table.where(table != 0).mean()
    section.facts["mean_contribution"] = {name: float(value) for name, value in means.items()}
    section.facts["largest_residual"] = largest = float(np.abs(residuals).max())
    unit = "log-odds" if study.is_classifier else study.unit
    section.say(
        f"The predictions of {len(table)} rows, the first of each fold, are divided among their "
        "elements, by the model that had not seen them. The sum of the contributions and the "
        f"baseline is the prediction; the largest deviation from it is {largest:.1g}"
        f"{f' {unit}' if unit else ''}."
    )
    display = PeriodicTableDisplay.from_values(
        means, label="mean contribution to the prediction", unit=unit
    )
    section.figure(
        display.figure_,
        "Mean over these crystals of the sum of the contributions of each element. Elements "
        "without a number are not among them. The numbers explain the model, right or wrong.",
    )


def _columns(section, study):
    """SHAP values of the columns, of rows that the model of the first fold had not seen."""
    from sklmat.plotting import ShapDisplay

    fitted, train, test = study.folds()[0]
    n_classes = len(np.unique(study.y)) if study.is_classifier else 0
    try:
        display = ShapDisplay.from_estimator(
            fitted,
            study.select(test[:_MOST_SHAP_ROWS]),
            study.select(train[:_MOST_SHAP_BACKGROUND]),
            target=n_classes - 1 if n_classes > 2 else None,
            unit=study.unit,
            random_state=0,
        )
    except (TypeError, ValueError) as error:
        section.say(f"SHAP values could not be computed: {error}")
        return
    importance = {str(name): float(value) for name, value in display.importance_.items()}
    section.facts["mean_absolute_shap"] = importance
    of_class = f" of the class {np.unique(study.y)[-1]}" if n_classes else ""
    section.say(
        f"SHAP (Shapley additive explanations) values{of_class} of "
        f"{len(test[:_MOST_SHAP_ROWS])} rows that the model of the first fold had not seen: how "
        "far each column moves the prediction from its mean over training rows."
    )
    section.figure(
        display.figure_, "One point for each row; columns with the largest mean at the top."
    )
