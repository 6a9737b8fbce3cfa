"""
From few components to many: what transfer is worth
===================================================

Binary and ternary alloys are cheap to compute, but a screening looks for quaternary and quinary
alloys. ``ECNetRegressor(warm_start_from=...)`` starts from a network that was trained on binary and
ternary alloys, and continues the training with a few quaternary and quinary alloys. This is called
fine-tuning. Is it better than a new network, or than training on all alloys together? This example
compares the three on generated alloys.
"""

# %%
# The alloys
# ----------
# The alloys have two to five of five metals, in cells of 16 atoms. The graphs hold all neighbours
# up to 6 Å, and are built once.

from sklmat import StructureToGraph
from sklmat.datasets import make_alloys

alloys = make_alloys(
    260,
    ("Ni", "Cu", "Pd", "Pt", "Au"),
    n_atoms=16,
    target=["formation_energy", "relaxation_energy"],
    verbose=True,
)
graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).fit_transform(alloys.data)
formation_energy, relaxation_energy = 1000 * alloys.target.T  # meV/atom
print(alloys.frame["n_components"].value_counts().sort_index())

# %%
# Pre-train
# ---------
# The first network is trained on all alloys of two and three metals. ``ComponentSplit`` gives the
# rows of these alloys, and the rows of the alloys of four and five metals. The latter are called
# the candidates, and all test rows below are candidates. The networks are small, to save time.
# Networks that are trained on few alloys get more epochs, because each epoch has fewer steps.

from sklearn.frozen import FrozenEstimator

from sklmat import ComponentSplit, ECNetRegressor

small = {"hidden_dim": 32, "n_filters": 32, "n_ensemble": 2, "random_state": 0}
on_many, on_few = {**small, "max_epochs": 60}, {**small, "max_epochs": 100}
((known, candidates),) = ComponentSplit(max_train=3).split(graphs)
pretrained = ECNetRegressor(**on_many).fit(graphs[known], formation_energy[known])

# %%
# Fine-tune
# ---------
# ``compare_estimators`` clones each estimator, and ``clone`` removes the trained weights.
# ``FrozenEstimator`` keeps them. The frozen network is the starting point of the fine-tuning, and
# is also compared without fine-tuning. The learning rate of the fine-tuning is a fifth of the
# default, so that the weights change only a little. Results with the default learning rate are also
# shown.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklmat import CompositionFeaturizer, StructureFeaturizer

# Without noise in the labels, the fitted noise of the Gaussian process is at its lower bound, and
# scikit-learn warns.
warnings.simplefilter("ignore", ConvergenceWarning)

source = FrozenEstimator(pretrained)
tuned = {**on_few, "warm_start_from": source, "lr": 0.001}
with_the_few = {
    "pre-trained, untouched": source,
    "new, on the few": ECNetRegressor(**on_few),
    "fine-tuned": ECNetRegressor(**tuned),
    "fine-tuned, default lr": ECNetRegressor(**on_few, warm_start_from=source),
    "fine-tuned, embedding frozen": ECNetRegressor(**tuned, freeze="embedding"),
    "fine-tuned, convolutions frozen": ECNetRegressor(**tuned, freeze="convolutions"),
}
process = make_pipeline(
    make_union(CompositionFeaturizer(properties=[]), StructureFeaturizer(groups=["volume"])),
    StandardScaler(),
    GaussianProcessRegressor(ConstantKernel() * Matern(nu=2.5) + WhiteKernel(), normalize_y=True),
)
with_everything = {"new, on everything": ECNetRegressor(**on_many)}

# %%
# Three random sets of candidates get labels, for each of three sizes. 60 other candidates are the
# test rows. A new network and a Gaussian process are trained on the same candidates together with
# all alloys of two and three metals.

import numpy as np
import pandas as pd

from sklmat import compare_estimators

n_test = 60
draws = [np.random.default_rng(seed).permutation(candidates) for seed in range(3)]
tables = {}
for n in (5, 20, 60):
    few = [(draw[n_test : n_test + n], draw[:n_test]) for draw in draws]
    everything = [(np.concatenate([known, train]), test) for train, test in few]
    parts = [
        (with_the_few, graphs, few),
        (with_everything, graphs, everything),
        ({"Gaussian process": process}, alloys.data, everything),
    ]
    tables[n] = pd.concat(
        compare_estimators(models, X, formation_energy, cv=cv, scoring="neg_mean_absolute_error")
        for models, X, cv in parts
    )
error = pd.DataFrame({n: table["MAE mean"] for n, table in tables.items()})
deviation = pd.DataFrame({n: table["MAE sd"] for n, table in tables.items()})
print("Mean absolute error (meV/atom) by number of labelled candidates, mean over three draws")
print(error.round(2).to_string())

# %%
# The figure
# ----------
# Bars are standard deviations over the draws. The results are:
#
# - A fine-tuned network is much more accurate than a new network trained on the few candidates.
# - Fine-tuning with five labels makes the pre-trained network worse, and with the default learning
#   rate much worse, because it loses what it has learned from the other alloys. With 20 labels,
#   fine-tuning begins to improve it.
# - Frozen convolutions reduce this loss a little with the fewest labels, and limit the accuracy
#   with more. Freezing only the embedding makes no difference.
# - A new network on all alloys is never far from the best model. So fine-tune only if the training
#   rows of the first network are not available, or are too many to train on them again.

import matplotlib.pyplot as plt

styles = {
    "pre-trained, untouched": {"color": "0.2", "linestyle": ":"},
    "new, on the few": {"color": "0.5", "marker": "o"},
    "fine-tuned": {"color": "#0072B2", "marker": "s"},
    "fine-tuned, default lr": {"color": "#0072B2", "marker": "s", "linestyle": ":"},
    "fine-tuned, convolutions frozen": {"color": "#009E73", "marker": "D"},
    "new, on everything": {"color": "#D55E00", "marker": "^"},
    "Gaussian process": {"color": "#CC79A7", "marker": "v"},
}
figure, panel = plt.subplots(figsize=(7, 3.8), layout="constrained")
for k, (name, style) in enumerate(styles.items()):
    places = error.columns * 1.03 ** (k - 3)  # side by side, so that no bar hides another
    bars = None if name.startswith("pre-trained") else deviation.loc[name]
    panel.errorbar(places, error.loc[name], bars, capsize=2, label=name, **style)
panel.set(xscale="log", yscale="log", ylim=(1.5, 25))
panel.set_xticks(error.columns, [str(n) for n in error.columns])
panel.set_yticks([2, 5, 10, 20], ["2", "5", "10", "20"])
panel.minorticks_off()
panel.set(xlabel="labelled candidates", ylabel="mean absolute error (meV/atom)")
panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

# %%
# From one target to another
# --------------------------
# The energy of an ideal lattice needs one calculation, and the energy of the relaxed cell about a
# hundred. So suppose that the energy of the ideal lattice is known for many alloys, and the energy
# of the relaxed cell for 20. All models get the ideal cells as input, because the relaxed cells of
# candidates are not known. Fine-tuning is compared with a new network on the 20 alloys, with a
# network that learns both energies at once (missing ones are NaN), and with a Gaussian process.
#
# In a second pair, the targets are less similar: the relaxed energy is known for many alloys, and
# the relaxation energy for 20. The test rows are 60 alloys that are in no training.

ideal = StructureToGraph(cutoff=6.0, max_neighbors=None).fit_transform(alloys.ideal)
shuffled = np.random.default_rng(0).permutation(len(ideal))
test, pool = shuffled[:n_test], shuffled[n_test:]
draws = [np.random.default_rng(seed).permutation(pool)[:20] for seed in range(3)]


def predict_from_few(few, plenty, wanted, source):
    """Predictions of `wanted` for the test rows, by model."""
    start = {**on_few, "warm_start_from": source}
    networks = {
        "new, on the few": ECNetRegressor(**on_few),
        "fine-tuned": ECNetRegressor(**start, lr=0.001),
        "fine-tuned, default lr": ECNetRegressor(**start),
        "fine-tuned, convolutions frozen": ECNetRegressor(**start, freeze="convolutions"),
    }
    predicted = {
        name: network.fit(ideal[few], wanted[few]).predict(ideal[test])
        for name, network in networks.items()
    }
    y = np.column_stack([plenty, wanted])
    y[np.setdiff1d(pool, few), 1] = np.nan
    both = ECNetRegressor(**on_many).fit(ideal[pool], y[pool])
    predicted["both targets at once"] = both.predict(ideal[test])[:, 1]
    process.fit([alloys.ideal[row] for row in few], wanted[few])
    predicted["Gaussian process"] = process.predict([alloys.ideal[row] for row in test])
    return pd.DataFrame(predicted)


pairs = {
    "unrelaxed to relaxed energy": (formation_energy - relaxation_energy, formation_energy),
    "relaxed to relaxation energy": (formation_energy, relaxation_energy),
}
errors = {}
for pair, (plenty, wanted) in pairs.items():
    source = FrozenEstimator(ECNetRegressor(**on_many).fit(ideal[pool], plenty[pool]))
    predicted = [predict_from_few(few, plenty, wanted, source) for few in draws]
    errors[pair] = pd.concat(table.sub(wanted[test], axis=0).abs() for table in predicted).mean()
print("Mean absolute error (meV/atom) with 20 labels, over three draws")
print(pd.DataFrame(errors).round(2).to_string())

# %%
# For similar targets, transfer helps: it halves the error of a new network and is as good as
# learning both targets at once, and a small learning rate is best. For less similar targets it
# helps little: the weights have to change a lot, which a small learning rate or frozen convolutions
# prevent. If in doubt, use a grid search over the parameters ``lr`` and ``freeze``.
