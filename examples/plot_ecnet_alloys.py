"""
Element convolution on alloys
=============================

``ECNetRegressor`` (element-convolution network, ECNet) learns one vector for each *element* of an
alloy, from the average surroundings of the atoms of this element. This example compares it with
models on tables, and trains it on two quantities of which one is mostly missing. It then shows the
contribution of each element, a map of the vectors, and whether the standard deviation of an
ensemble indicates large errors.
"""

# %%
# The data
# --------
# ``make_alloys`` generates alloys of nickel, copper, palladium and platinum. Alloys of the same
# composition have different arrangements of the atoms, from segregated to ordered. The second
# quantity is the *relaxation energy*, the change of energy when the atoms leave their ideal sites.
# The network takes structures or graphs. Here the graphs are built once, with all neighbours up to
# 6 Å.

from sklmat import StructureToGraph
from sklmat.datasets import make_alloys

alloys = make_alloys(200, target=["formation_energy", "relaxation_energy"], verbose=True)
formation_energy, relaxation_energy = 1000 * alloys.target.T  # meV/atom
graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).fit_transform(alloys.data)

# %%
# Comparison with simpler models
# ------------------------------
# All models use the same folds and the same structures. The ensemble is smaller than the default,
# to save time.

from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from sklmat import CompositionFeaturizer, ECNetRegressor, StructureFeaturizer, compare_estimators


def gaussian_process(*groups):
    """On fractions and the given groups of structural features."""
    return make_pipeline(
        make_union(CompositionFeaturizer(properties=[]), StructureFeaturizer(groups=groups)),
        StandardScaler(),
        GaussianProcessRegressor(
            ConstantKernel() * Matern(nu=2.5) + WhiteKernel(), normalize_y=True
        ),
    )


ecnet = ECNetRegressor(n_ensemble=4, random_state=0)
models = {
    "ECNet": ecnet,
    "XGBoost on all features": make_pipeline(
        make_union(CompositionFeaturizer(), StructureFeaturizer()),
        XGBRegressor(n_estimators=500, learning_rate=0.05, max_depth=4, n_jobs=1),
    ),
    "GP, with volume": gaussian_process("volume"),
    "GP, with volume and pairs": gaussian_process("volume", "order"),
}
comparison = compare_estimators(
    models,
    alloys.data,
    formation_energy,
    cv=KFold(3, shuffle=True, random_state=0),
    reference="ECNet",
    verbose=True,
)
print("Unit of y: meV/atom")
print(comparison)

# %%
# The network is as accurate as a Gaussian process (GP) on fractions of neighbouring pairs of
# elements: the difference between the two is smaller than the differences between folds. The
# energies come from a potential that depends mostly on neighbours, so these fractions are the right
# columns for it. The network learned this from the structures. The GP on the volume without the
# pairs is less accurate, as far as three folds can show. XGBoost has all features and is the least
# accurate model, because it approximates a smooth function by steps.

from sklmat import ParityDisplay

ParityDisplay.from_comparison(
    comparison,
    quantity="formation energy",
    unit="meV/atom",
    true_name="computed",
    color_by=alloys.frame["short-range order"],
)

# %%
# Two quantities, one of them mostly missing
# ------------------------------------------
# Suppose that only every fifth alloy has a relaxation energy. For the other alloys it is missing
# (NaN): they contribute to the loss of the formation energy, but not to the loss of the relaxation
# energy. For comparison, another network learns only the relaxation energy, from the few alloys
# that have one.

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split

y = np.column_stack([formation_energy, relaxation_energy])
train, test = train_test_split(np.arange(len(y)), test_size=60, random_state=0)
few = train[::5]
y_known = y.copy()
y_known[np.setdiff1d(train, few), 1] = np.nan

both = clone(ecnet).fit(graphs[train], y_known[train])
alone = clone(ecnet).fit(graphs[few], relaxation_energy[few])

predicted, spread = both.predict(graphs[test], return_std=True)
errors = np.abs(predicted - y[test])
error_alone = np.abs(alone.predict(graphs[test]) - relaxation_energy[test]).mean()
print(f"relaxation energy of {len(few)} alloys known, mean absolute error of {len(test)} others:")
print(f"  learned alone              {error_alone:.2f} meV/atom")
print(f"  beside formation energies  {errors[:, 1].mean():.2f} meV/atom")
print(f"  spread of the labels       {relaxation_energy[test].std():.2f} meV/atom (sd)")

# %%
# What each element contributes
# -----------------------------
# The prediction is a sum over the elements of an alloy, so each element has a contribution. The
# figure shows some test alloys, the most stable one at the top. The contributions explain the
# prediction of the *network*. They are not energies that could be measured.

import matplotlib.pyplot as plt

shown = test[np.argsort(formation_energy[test])][::7]
contributions = both.element_contributions(graphs[shown])[0]
contributions.index = [alloys.data[row].formula for row in shown]

colors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
panel = contributions.plot.barh(stacked=True, figsize=(7, 4), width=0.7, color=colors)
positions = range(len(shown))
panel.plot(contributions.sum(axis=1), positions, "ko", label="sum: predicted energy")
panel.plot(formation_energy[shown], positions, "kx", markersize=8, label="computed")
panel.axvline(0, color="0.3", linewidth=0.8)
panel.set(xlabel="contribution to the formation energy (meV/atom)", ylabel="")
panel.use_sticky_edges = False
panel.margins(x=0.05)
panel.invert_yaxis()
panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
panel.figure.set_layout_engine("constrained")

# %%
# A map of the elements
# ---------------------
# Each point is the vector of one element in one test alloy, projected to two dimensions. The
# elements form separate clusters, and the points within a cluster differ by the surroundings of the
# element. The right panel shows nickel only. Its vectors vary mostly with the short-range order of
# the alloy, which was not an input of the network.

from sklmat import ElementMapDisplay

figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.3), layout="constrained")
ElementMapDisplay.from_estimator(both, graphs[test], ax=left)
ElementMapDisplay.from_estimator(
    both,
    graphs[test],
    elements=["Ni"],
    color_by=alloys.frame["short-range order"].iloc[test],
    ax=right,
)

# %%
# Does the spread indicate large errors?
# --------------------------------------
# The ensemble has several networks (members), which were trained on the same rows and differ only
# in their initial weights. The *spread* is the standard deviation of their predictions. Errors tend
# to be larger where the spread is larger. This relation is weak within one quantity, and clear
# between the quantity with many labels and the one with few. But the spread is not an error bar: if
# it were, 95 % of the errors would be smaller than two spreads. An error that all members make in
# the same way does not increase the spread.

from matplotlib.ticker import LogLocator
from scipy.stats import spearmanr

figure, panel = plt.subplots(figsize=(3.3, 3.1), layout="constrained")
for k, (name, marker) in enumerate({"formation energy": "o", "relaxation energy": "s"}.items()):
    correlation = spearmanr(spread[:, k], errors[:, k]).statistic
    inside = 100 * (errors[:, k] < 2 * spread[:, k]).mean()
    print(f"{name}: rank correlation {correlation:.2f}, {inside:.0f} % of errors below 2 spreads")
    style = {"color": colors[k], "alpha": 0.6, "markeredgewidth": 0, "markersize": 5}
    panel.loglog(spread[:, k], errors[:, k], marker, label=name, **style)
ends = np.array([spread.min(), spread.max()])
panel.loglog(ends, 2 * ends, "k--", linewidth=0.9, label="2 spreads")
for axis in (panel.xaxis, panel.yaxis):
    axis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")
panel.set(xlabel="spread of the ensemble (meV/atom)", ylabel="absolute error (meV/atom)")
panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False)
