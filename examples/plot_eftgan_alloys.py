"""
Alloys without structures
=========================

A graph network needs relaxed structures, which are expensive to compute. ``EFTGANRegressor`` is
trained on structures and predicts compositions without a structure. A network learns a vector for
each element in each training alloy, an InfoGAN learns to generate these vectors for any
composition, and a regressor predicts the targets from generated vectors. This example compares it
with a Gaussian process on the composition, and with its own network, which uses the structures.
"""

# %%
# The data
# --------
# The data are generated alloys of nickel, copper, palladium and platinum, on fcc or bcc lattices.
# Alloys of the same composition may have different arrangements of the elements, from segregated to
# ordered, so composition and lattice cannot explain the energies fully.

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
# ``phase`` is the lattice on which each cell was set up. Each stage that ``fit`` trains is an
# attribute of the fitted estimator. The first stages are the network and its table, which has one
# row for each alloy: its fractions, its lattice, and five numbers for each of its elements.

from sklmat import EFTGANRegressor

model = EFTGANRegressor(random_state=0).fit(structures, energy[train], phase=phase[train])
real = model.featurizer_.transform(structures)
print(real.iloc[:3, :10].round(2).to_string())

# %%
# The next stage is the augmenter, which generates the same columns for a code, that is, for
# fractions and a lattice. It can generate what follows from the composition, but not the effect of
# the arrangement of the atoms. The figure compares, for held-out alloys, the vectors that the
# network computes from their structures with the vectors that are generated for their compositions.

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
# ``report_`` compares real and generated columns of the training rows in numbers.

print(model.report_)

# %%
# The next stage predicts to which lattice a cell relaxes. All alloys of this example keep the
# lattice on which they were set up, so the probabilities are zero or one. Many real alloys do not,
# and a prediction is then a weighted mean over the lattices. The last stage is the regressor.

print(model.lattice_probability(["NiCu", "PdPt3"], phase=["bcc", "fcc"]))
print(type(model.regressor_).__name__)

# %%
# Predictions
# -----------
# For the held-out alloys, ``predict`` is called with a table of fractions and the phases, and then
# with the structures. The Gaussian process uses the same fractions and phases.

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
# Of the two models that use the composition, the Gaussian process is slightly more accurate; the
# difference is larger here than over five folds. It has the same information, fractions and
# lattice, and takes a second to fit, so try it first. The network with structures is far more
# accurate. The advantage of EFTGAN over a model of compositions is that it learns from structures
# that have left their lattice; in this example there are none.

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
# Because no structures are needed, whole lines of compositions can be predicted, here in both
# phases and with the standard deviation of the prediction.

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
# An element that no training alloy has raises an error. A composition that is farther from all
# training alloys than these are from each other is predicted with a warning.

import warnings

try:
    model.predict_composition(["NiAg"], phase="fcc")
except ValueError as error:
    print(error)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.predict_composition(["NiCuPdPt", "Ni"], phase="fcc")
print(caught[0].message)
