"""The section about error bars and probabilities: whether they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from scipy.stats import binomtest

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
    std, intervals = study.std, study.intervals
    if std is None and intervals is None:
        section.facts["available"] = False
        section.say(
            f"{study.name} gives no standard deviations. Wrap it in ConformalRegressor for "
            "intervals, or use an ensemble (n_ensemble of a network) or a Gaussian process."
        )
        return
    from sklmat.plotting import CoverageDisplay

    table = study.predictions
    if intervals is not None:
        level, ends = intervals
        display = CoverageDisplay.from_intervals(table["y_true"], {level: ends})
    else:
        level = 0.9
        display = CoverageDisplay.from_predictions(table["y_true"], table[study.name], std)
    found = display.table.set_index("level").loc[level]
    section.facts.update(
        available=True,
        level=level,
        coverage=float(found["covered"]),
        low=float(found["low"]),
        high=float(found["high"]),
    )
    if found["low"] > level:
        verdict = "The error bars are too wide."
    elif found["high"] < level:
        verdict = (
            "The error bars are too narrow; CalibratedStdRegressor rescales them, and "
            "ConformalRegressor makes intervals that hold."
        )
    else:
        verdict = "This agrees with the level."
    section.facts["verdict"] = verdict
    section.say(
        f"Intervals of the level {100 * level:g} % hold {100 * found['covered']:.0f} % of the "
        f"labels (95 % interval {100 * found['low']:.0f} to {100 * found['high']:.0f} %). {verdict}"
    )
    section.figure(
        display.figure_,
        "Fraction of labels inside the intervals of the out-of-fold predictions, against the "
        "level of the intervals. On the dashed line, error bars are right.",
    )


def _probabilities(section, study):
    """Reliability of the probabilities of the predicted class."""
    found = study.probability
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


def _draw_reliability(groups):
    from sklmat.plotting import CoverageDisplay

    n_right = (groups["right"] * groups["n"]).round().astype(int)
    intervals = [
        binomtest(k, n).proportion_ci(0.95, method="wilson") for k, n in zip(n_right, groups["n"])
    ]
    table = pd.DataFrame(
        {
            "name": "prediction",
            "level": groups["probability"],
            "covered": groups["right"],
            "low": [each.low for each in intervals],
            "high": [each.high for each in intervals],
        }
    )
    display = CoverageDisplay(table=table).plot()
    for text in list(display.ax_.texts):
        text.remove()
    display.ax_.set_xlabel("probability of the predicted class")
    display.ax_.set_ylabel("fraction of right predictions")
    return display.figure_
