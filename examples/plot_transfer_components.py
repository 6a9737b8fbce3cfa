"""
From few components to many: what transfer is worth
===================================================

Binary and ternary alloys are cheap to compute, quaternary and quinary ones are what a screening is
after. ``ECNetRegressor(warm_start_from=...)`` starts from a network that was trained on the former
and goes on with a few of the latter. Is that better than to start anew, or than to train on all of
them together? Here the question is answered on generated alloys, and the answer depends on what is
at hand.
"""

# %%
# The alloys
# ----------
# Two to five of five metals, in cells of 16 atoms. The network sees its neighbours up to 6 Å; the
# graphs are built once.

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
# On all alloys of two and three metals. `ComponentSplit` gives the rows on both sides; whatever
# happens below, the tests are alloys of four or five metals. The networks are small, to be quick.
# What is trained on few alloys passes over them more often, since each pass has fewer steps.

from sklearn.frozen import FrozenEstimator

from sklmat import ComponentSplit, ECNetRegressor

small = {"hidden_dim": 32, "n_filters": 32, "n_ensemble": 2, "random_state": 0}
on_many, on_few = {**small, "max_epochs": 60}, {**small, "max_epochs": 100}
((known, candidates),) = ComponentSplit(max_train=3).split(graphs)
pretrained = ECNetRegressor(**on_many).fit(graphs[known], formation_energy[known])

# %%
# Fine-tune
# ---------
# ``clone`` strips an estimator of what it has learned, and a comparison clones. A
# ``FrozenEstimator`` keeps it: it is the starting point, and by itself the network that nobody
# touched. The learning rate is a fifth of the default, because this network is to be corrected, not
# to be trained over; what the default does is shown beside it.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklmat import CompositionFeaturizer, StructureFeaturizer

# Labels without noise drive the noise of a Gaussian process to its lower bound.
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
# Each number of labelled candidates is drawn three times, with 60 other candidates to test on. Two
# models train on the known alloys as well; their splits have the same tests.

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
# Bars are standard deviations over the draws. What it says:
#
# - Against a new network on the few, starting from the pre-trained one wins by far.
# - Against the *untouched* network, fine-tuning on a handful does harm, and with the default
#   learning rate it does much of it: what was known is undone. With 20 labels it begins to pay.
# - Frozen convolutions protect a little when labels are fewest, and hold back when there are more.
#   The embedding alone may be frozen or not.
# - Whoever still has the known alloys can train anew on everything, and is never far from the
#   best. Fine-tuning is for networks whose training rows are not at hand, or are too many to go
#   through again.

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
figure, panel = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
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
# The energy of an ideal lattice takes one calculation, that of the relaxed cell a hundred. So let
# the former be known for many alloys and the latter for 20, and let all models see the ideal cells,
# which is all there is of a candidate. The rivals are a new network on the 20 alone, one that
# learns both energies at once (the missing ones are NaN), and a Gaussian process.
#
# In a second pair the targets have less in common: the relaxed energy is known of many, what
# relaxation gains of 20. Tests are 60 alloys that take no part in any training.

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
# Between targets that are alike, transfer pays: it halves the error of a new network, is as good as
# learning both at once, and a small learning rate does best. Between targets that are not, it gains
# little: much has to be forgotten first, which a small rate or frozen convolutions prevent. If in
# doubt, let a grid search decide: ``lr`` and ``freeze`` are parameters as any other.
