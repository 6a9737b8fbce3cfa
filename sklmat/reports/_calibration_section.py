"""The section about error bars and probabilities: whether they hold."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.reports._page import Section

if TYPE_CHECKING:
    from sklmat.reports._study import Study

#: Number of groups of similar probability.
_N_BINS = 8


def calibration_section(study: Study) -> Section:
    """Coverage of the error bars of a regressor, or reliability of the probabilities of classes."""
    section = Section("Calibration", "calibration")
    if study.is_classifier:
        _probabilities(section, study)
    else:
        _error_bars(section, study)
    return section


def _error_bars(section, study):
    """Coverage of intervals from standard deviations."""
    study.std = std = _standard_deviations(study)
    if std is None:
        section.facts["available"] = False
        section.say(
            f"{study.name} gives no standard deviations. Wrap it in ConformalRegressor for "
            "intervals, or use an ensemble (n_ensemble of a network) or a Gaussian process."
        )
        return
    from sklmat.plotting import CoverageDisplay

    table = study.predictions
    display = CoverageDisplay.from_predictions(table["y_true"], table[study.name], std)
    at_90 = display.table.set_index("level").loc[0.9]
    section.facts.update(
        available=True,
        coverage_of_90_percent=float(at_90["covered"]),
        low=float(at_90["low"]),
        high=float(at_90["high"]),
    )
    if at_90["low"] > 0.9:
        verdict = "The error bars are too wide."
    elif at_90["high"] < 0.9:
        verdict = "The error bars are too narrow."
    else:
        verdict = "This agrees with 90 %."
    section.say(
        f"Intervals of 90 % hold {100 * at_90['covered']:.0f} % of the labels "
        f"(95 % interval {100 * at_90['low']:.0f} to {100 * at_90['high']:.0f} %). {verdict}"
    )
    section.figure(
        display.figure_,
        "Fraction of labels inside the intervals of the out-of-fold predictions, against the "
        "level of the intervals. On the dashed line, error bars are right.",
    )


def _standard_deviations(study):
    """Standard deviation of each tested row by the model of its fold, or None."""
    std = pd.Series(np.nan, index=study.predictions.index)
    for fitted, _, test in study.folds():
        if not len(test):
            continue
        try:
            has_std = "return_std" in inspect.signature(fitted.predict).parameters or hasattr(
                fitted, "steps"
            )
            found = fitted.predict(study.select(test), return_std=True) if has_std else None
        except (TypeError, ValueError):
            # A model without standard deviations, such as a network that is no ensemble.
            return None
        if not isinstance(found, tuple):
            return None
        std.loc[test] = np.asarray(found[1], dtype=float).ravel()
    return std if std.notna().all() else None


def _probabilities(section, study):
    """Reliability of the probabilities of the predicted class."""
    study.std = None
    found = _probability_of_prediction(study)
    if found is None:
        section.facts["available"] = False
        section.say(f"{study.name} gives no probabilities.")
        return
    is_right = 1.0 - study.errors
    bins = pd.qcut(found.rank(method="first"), min(_N_BINS, len(found)), labels=False)
    table = pd.DataFrame({"probability": found, "right": is_right, "bin": bins})
    groups = table.groupby("bin").agg(
        probability=("probability", "mean"), right=("right", "mean"), n=("right", "size")
    )
    expected, actual = float(found.mean()), float(is_right.mean())
    section.facts.update(available=True, mean_probability=expected, accuracy=actual)
    section.say(
        f"The mean probability of the predicted class is {100 * expected:.0f} %, and "
        f"{100 * actual:.0f} % of the predictions are right."
    )
    section.figure(
        _draw_reliability(groups),
        "Fraction of right predictions against the probability of the predicted class, in groups "
        "of equal numbers of rows. On the dashed line, probabilities are right.",
    )


def _probability_of_prediction(study):
    """Out-of-fold probability of the predicted class of each row."""
    values = pd.Series(np.nan, index=study.predictions.index)
    for fitted, _, test in study.folds():
        if not len(test):
            continue
        if not hasattr(fitted, "predict_proba"):
            return None
        values.loc[test] = np.asarray(fitted.predict_proba(study.select(test))).max(axis=1)
    return values


def _draw_reliability(groups):
    from sklmat.plotting import CoverageDisplay

    z = 1.96
    n, p = groups["n"], groups["right"]
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    table = pd.DataFrame(
        {
            "name": "prediction",
            "level": groups["probability"],
            "covered": p,
            "low": (middle - half).clip(lower=0),
            "high": (middle + half).clip(upper=1),
        }
    )
    display = CoverageDisplay(table=table).plot()
    for text in list(display.ax_.texts):
        text.remove()
    display.ax_.set_xlabel("probability of the predicted class")
    display.ax_.set_ylabel("fraction of right predictions")
    return display.figure_
