"""
Error bars of networks and Gaussian processes
=============================================

How wrong may a prediction be? An ensemble of networks and a Gaussian process both predict a
standard deviation. This example checks on alloys whether these standard deviations agree with the
errors, corrects them, computes intervals with a given coverage, and shows what happens to all of
these for alloys that are unlike the training rows. The intervals need the package MAPIE, which
``pip install -e ".[uq]"`` installs.
"""

# %%
# The data
# --------
# ``make_alloys`` generates alloys of nickel, copper, palladium and platinum. The training rows have
# at most 45 % of platinum. There are two sets of test rows: alloys of the same kind, and alloys
# with more platinum than any training row.

import numpy as np

from sklmat.datasets import make_alloys

alloys = make_alloys(200, verbose=True)
energy = 1000 * alloys.target  # meV/atom

is_rich = (alloys.frame["x_Pt"] > 0.45).to_numpy()
alike = np.random.default_rng(0).permutation(np.flatnonzero(~is_rich))
train = alike[:90]
test_sets = {"same kind": alike[90:], "rich in Pt": np.flatnonzero(is_rich)}
test = np.concatenate(list(test_sets.values()))
print(f"{len(train)} training rows")
for kind, rows in test_sets.items():
    print(f"{len(rows)} test rows: {kind}")


def cells(rows):
    """Structures of the given rows."""
    return [alloys.data[row] for row in rows]


# %%
# Two models with standard deviations
# -----------------------------------
# The ensemble has eight element-convolution networks (ECNet), which differ in their initial
# weights. Its standard deviation is the *spread* of their predictions. The Gaussian process (GP)
# uses fractions, volumes and pairs of neighbours.
#
# ``CalibratedStdRegressor`` fits a model to all training rows, and compares its standard deviations
# with its errors in a cross-validation inside the training rows. It then multiplies all standard
# deviations by one factor. ``estimator_`` is the model without this factor.

from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklmat import (
    CalibratedStdRegressor,
    CompositionFeaturizer,
    ECNetRegressor,
    StructureFeaturizer,
)

features = make_union(
    CompositionFeaturizer(properties=[]), StructureFeaturizer(groups=["volume", "order"])
)
models = {
    "ECNet": ECNetRegressor(n_ensemble=8, max_epochs=40, random_state=0),
    "GP": make_pipeline(
        features,
        StandardScaler(),
        GaussianProcessRegressor(
            ConstantKernel() * Matern(nu=2.5) + WhiteKernel(), normalize_y=True
        ),
    ),
}
predicted, std = {}, {}
for name, model in models.items():
    calibrated = CalibratedStdRegressor(model, random_state=0).fit(cells(train), energy[train])
    _, std[name, "as predicted"] = calibrated.estimator_.predict(cells(test), return_std=True)
    predicted[name], std[name, "calibrated"] = calibrated.predict(cells(test), return_std=True)
    print(f"{name}: standard deviations are multiplied by {calibrated.scale_:.2f}")

# %%
# Which standard deviations are right?
# ------------------------------------
# If errors have a normal distribution with the predicted standard deviations, 68 % of them are
# smaller than one standard deviation. The table shows the percentage. The figure shows the same for
# intervals of other levels, for test rows of the same kind as the training rows.

import pandas as pd

from sklmat import CoverageDisplay

kind = pd.Series(np.repeat(list(test_sets), [len(rows) for rows in test_sets.values()]))
is_alike = (kind == "same kind").to_numpy()
error = {name: np.abs(predicted[name] - energy[test]) for name in models}
within = {key: 100 * pd.Series(error[key[0]] < std[key]).groupby(kind).mean() for key in std}
print("Errors below one standard deviation (%)")
table = pd.DataFrame(within).T[list(test_sets)].sort_index()
print(table.round().astype(int).to_string())

shown = {
    "ECNet, as predicted": std["ECNet", "as predicted"],
    "ECNet, calibrated": std["ECNet", "calibrated"],
    "GP, as predicted": std["GP", "as predicted"],
}
CoverageDisplay.from_predictions(
    energy[test][is_alike],
    {label: predicted[label.split(",")[0]][is_alike] for label in shown},
    {label: values[is_alike] for label, values in shown.items()},
)

# %%
# The spread of the ensemble is much smaller than its errors, because the networks were trained on
# the same rows and make similar errors. One factor corrects this. The standard deviations of the GP
# need no correction for alloys of the same kind: the factor is close to one. But they are far too
# small for alloys rich in platinum. Calibration cannot find this out, because it uses only errors
# of alloys like the training rows.

# %%
# Intervals with a given coverage
# -------------------------------
# ``ConformalRegressor`` computes intervals from errors of a cross-validation, too, but assumes no
# normal distribution. With the score "absolute", all intervals are about equally wide. With
# "normalized", they are wider where the standard deviation is larger. The table shows intervals of
# 90 %.

from sklmat import ConformalRegressor

rows = []
for name, model in models.items():
    for score in ("absolute", "normalized"):
        conformal = ConformalRegressor(model, conformity_score=score, random_state=0)
        conformal.fit(cells(train), energy[train])
        low, high = conformal.predict_interval(cells(test), confidence_level=0.9).T
        is_inside = (low <= energy[test]) & (energy[test] <= high)
        for each in test_sets:
            chosen = (kind == each).to_numpy()
            numbers = 100 * is_inside[chosen].mean(), (high - low)[chosen].mean()
            rows.append((name, score, each, *numbers))
columns = ["model", "score", "test rows", "coverage (%)", "width (meV/atom)"]
intervals = pd.DataFrame(rows, columns=columns)
print(intervals.round({"coverage (%)": 0, "width (meV/atom)": 1}).to_string(index=False))

# %%
# For alloys of the same kind, all intervals contain at least the 90 % that were asked for. For
# alloys rich in platinum, nothing is guaranteed, and intervals of equal widths are far too narrow.
# Intervals that follow the standard deviation become about twice as wide there, and contain most of
# the energies. So if crystals may be unlike the training rows, use "normalized".

# %%
# Distance to the training rows
# -----------------------------
# ``ApplicabilityDomain`` computes a distance to the training rows without any label. Above 1, an
# alloy is farther from the training rows than 95 % of these are from each other: it is outside of
# their *domain*. The figure shows the errors of both models against this distance.

from sklmat import ApplicabilityDomain, ErrorTrendDisplay

domain = ApplicabilityDomain(StructureFeaturizer(groups=["volume"])).fit(cells(train))
distance = domain.transform(cells(test)).iloc[:, 0]
is_outside = (distance > 1).to_numpy()
for each in test_sets:
    outside = 100 * is_outside[kind == each].mean()
    print(f"{each}: {outside:.0f} % of the alloys are outside of the domain")
for name in models:
    inside, outside = error[name][~is_outside].mean(), error[name][is_outside].mean()
    print(f"{name}: mean absolute error {inside:.1f} inside, {outside:.1f} meV/atom outside")

display = ErrorTrendDisplay.from_predictions(
    cells(test),
    energy[test],
    {name: predicted[name] for name in models},
    against=distance.rename("distance to training rows, domain ends at 1"),
    unit="meV/atom",
)

# %%
# Errors are about three times larger outside. So trust calibrated standard deviations and intervals
# inside of the domain only. Before you rely on predictions outside of it, compute the energies of
# some of these crystals, and add them to the training rows.
