"""
Alloys without structures
=========================

A graph network reads relaxed structures, and those are the expensive part. ``EFTGANRegressor``
learns from structures and predicts compositions that have none: a network learns what each element
is like in each training alloy, an InfoGAN learns to generate that for any composition, and a
regressor reads what is generated. Here it meets a Gaussian process that reads the composition
directly, and its own network, which is shown the structures.
"""

# %%
# The data
# --------
# Generated alloys of nickel, copper, palladium and platinum, on fcc or bcc lattices. In alloys of
# the same composition the elements may be arranged in different ways, from segregated to ordered,
# so composition and lattice cannot explain the energies fully.

import numpy as np
from sklearn.model_selection import train_test_split

from sklmat.datasets import make_alloys

alloys = make_alloys(160, lattice=["bcc", "fcc"], n_atoms=16, verbose=True)
energy = 1000 * alloys.target  # meV/atom
phase = alloys.frame["lattice"].to_numpy()
train, test = train_test_split(np.arange(len(energy)), test_size=40, stratify=phase, random_state=0)
structures = [alloys.data[row] for row in train]

# %%
# One estimator, four stages
# --------------------------
# ``phase`` says what each cell was set up as. Each stage that ``fit`` trains can be had afterwards.
# First the network's table: one row for each alloy, with its fractions, its lattice, and five
# numbers for each element in it.

from sklmat import EFTGANRegressor

model = EFTGANRegressor(random_state=0).fit(structures, energy[train], phase=phase[train])
real = model.featurizer_.transform(structures)
print(real.iloc[:3, :10].round(2).to_string())

# %%
# Then the augmenter, which generates the same columns for a code, that is for fractions and a
# lattice. What follows from the composition it can know; what comes from the arrangement of the
# atoms it cannot. Here are alloys that were held out: what the network sees in their structures,
# and what is generated for their compositions.

import matplotlib.pyplot as plt

seen = model.featurizer_.transform([alloys.data[row] for row in test])
generated = model.augmenter_.sample(seen, noise=False)
figure, panels = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for panel, element in zip(panels, ["Ni", "Pt"]):
    has = seen[f"x_{element}"] > 0
    name = f"{element}_0"
    points = panel.scatter(
        seen.loc[has, name], generated.loc[has, name], c=seen.loc[has, f"x_{element}"], s=18
    )
    panel.axline((0, 0), slope=1, color="0.3", linewidth=0.9, linestyle="--")
    panel.set(xlabel=f"{name}, from the structure", ylabel=f"{name}, generated", aspect="equal")
    figure.colorbar(points, ax=panel, label=f"fraction of {element}", shrink=0.7)

# %%
# ``report_`` says more, of the training rows.

print(model.report_)

# %%
# The next stage knows on which lattice a cell comes to rest. All of these stay on the lattice that
# they start from, so the lattice is certain; of real alloys many do not, and then a prediction is a
# mean over the lattices. The regressor comes last.

print(model.lattice_probability(["NiCu", "PdPt3"], phase=["bcc", "fcc"]))
print(type(model.regressor_).__name__)

# %%
# Predictions
# -----------
# Of the alloys held out, ``predict`` is given structures, or else a table of fractions with phases.
# The Gaussian process reads the same fractions and phases.

from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.metrics import root_mean_squared_error

from sklmat import ParityDisplay

fractions = alloys.frame[[f"x_{element}" for element in model.elements_]]
inputs = fractions.assign(bcc=phase == "bcc").to_numpy(float)
process = GaussianProcessRegressor(
    ConstantKernel() * Matern(nu=2.5) + WhiteKernel(), normalize_y=True, random_state=0
).fit(inputs[train], energy[train])

predictions = {
    "EFTGAN, composition": model.predict(fractions.iloc[test], phase=phase[test]),
    "Gaussian process, composition": process.predict(inputs[test]),
    "EFTGAN, structures": model.predict([alloys.data[row] for row in test]),
}
for name, values in predictions.items():
    print(f"{name:30} RMSE {root_mean_squared_error(energy[test], values):5.1f} meV/atom")
print(f"{'mean of the training rows':30} RMSE {np.std(energy[test] - energy[train].mean()):5.1f}")

# %%
# Of the two that read the composition the process is a little ahead, by more here than over five
# folds. There is no more to know than fractions and lattice, and it takes a second: try it first.
# The network, shown the structures, is another matter. What the chain can do and a table of
# compositions cannot is to learn from structures that have left their lattice; here none has.

ParityDisplay.from_predictions(
    energy[test],
    predictions,
    quantity="formation energy",
    unit="meV/atom",
    color_by=alloys.frame["short-range order"].iloc[test],
)

# %%
# From nickel-rich to platinum-rich
# ---------------------------------
# What no structure is needed for: whole lines of compositions, in both phases, with what the
# regressor is unsure of.

import pandas as pd

x = np.linspace(0, 0.8, 41)
line = pd.DataFrame({"Ni": 0.8 - x, "Pt": x, "Cu": 0.1, "Pd": 0.1})
figure, panel = plt.subplots(figsize=(6, 4), layout="constrained")
for name, color in {"bcc": "#D55E00", "fcc": "#0072B2"}.items():
    mean, std = model.predict(line, phase=name, return_std=True)
    panel.plot(x, mean, color=color, label=name)
    panel.fill_between(x, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)
panel.set(
    xlabel="x in Ni$_{0.8-x}$Pt$_x$Cu$_{0.1}$Pd$_{0.1}$", ylabel="formation energy (meV/atom)"
)
panel.legend(frameon=False)

# %%
# Where it says that it does not know
# -----------------------------------
# An element that no training alloy has is refused. A composition that is farther from all training
# alloys than these are from each other is predicted with a warning.

import warnings

try:
    model.predict_composition(["NiAg"], phase="fcc")
except ValueError as error:
    print(error)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.predict_composition(["NiCuPdPt", "Ni"], phase="fcc")
print(caught[0].message)
