"""
Adversarial perovskites: descriptors from what deceives a network
=================================================================

If the atoms of a crystal move by a twentieth of an ångström in the least favourable direction, the
prediction of a network may change. Such a displaced crystal is an *adversarial example*. Which
crystals are affected, and which descriptors do they have in common? Boosted trees with these
descriptors as features can be as accurate as the network, and can be interpreted. This example
follows Wang et al. [1]_, for the same mixed halides, but with generated labels.
"""

# %%
# The data
# --------
# The crystals are all arrangements of bromine and iodine on the halide sites of CsSnX3 in cells of
# up to 20 atoms, each crystal once. Their atoms are relaxed with a pair potential. The *ordering
# energy* is the energy after relaxation minus the energy of a random alloy of the same composition.
# The class is 1 for the 30 % of the arrangements with the highest ordering energy. The inputs of
# the models are the cubic crystals before the relaxation, which show only which halide is on which
# site.

from sklearn.model_selection import train_test_split

from sklmat.datasets import make_mixed_halide_perovskites

halides = make_mixed_halide_perovskites()
columns = ["formula", "multiplicity", "ordering energy (eV/f.u.)"]
print(halides.frame[columns].sample(5, random_state=0).to_string())
X_train, X_test, y_train, y_test = train_test_split(
    halides.ideal, halides.target, test_size=0.35, stratify=halides.target, random_state=0
)
print(f"{len(X_train)} training crystals, {len(X_test)} test crystals")

# %%
# A network, and what deceives it
# -------------------------------
# The *budget* is the largest distance in Å by which an atom may move. The atoms move at random, by
# one step along the gradient of the network (FGSM, fast gradient sign method), or by ten steps
# (PGD, projected gradient descent). The curves are for crystals on which the network was not
# trained. The graphs have all neighbours within 5.5 Å. The default are twelve neighbours. In these
# ideal crystals, many neighbours are at the same distance, so the smallest displacement would
# change which of them are in the graph.

from sklmat import CGCNNClassifier, RobustnessDisplay

network = CGCNNClassifier(
    cutoff=5.5, max_neighbors=100, max_epochs=50, batch_size=16, lr=0.005, random_state=0
)
network.fit(X_train, y_train)
RobustnessDisplay.from_estimator(network, X_test, y_test, random_state=0)

# %%
# ``find_adversarial_examples`` returns a table of the adversarial examples, with the smallest
# displacement that changes the prediction, and the displaced crystal.

from sklmat import find_adversarial_examples

examples = find_adversarial_examples(network, X_test, y_test, budget=0.05, random_state=0)
print(f"{len(examples)} of {examples.attrs['n_right']} right predictions turn wrong within 0.05 Å")
columns = ["index", "target", "perturbed prediction", "smallest budget (Å)"]
print(examples[columns].head().round(4).to_string(index=False))

# %%
# Trees that read descriptors
# ---------------------------
# ``AdversarialFeatureBuilder`` selects descriptors with the help of adversarial examples. It
# attacks each training row with a network that was not trained on crystals of the same composition.
# Then it compares the adversarial examples with the other rows, and keeps the columns of
# ``DisorderFeaturizer`` that separate the two groups. Here the boosted trees use these columns and
# general columns.

from sklearn.base import clone
from sklearn.pipeline import make_pipeline, make_union
from xgboost import XGBClassifier

from sklmat import (
    AdversarialFeatureBuilder,
    CompositionFeaturizer,
    CompositionGroupKFold,
    StructureAttack,
    StructureFeaturizer,
)

builder = AdversarialFeatureBuilder(
    network,
    attack=StructureAttack(budget=0.05),
    include=("descriptors",),
    cv=CompositionGroupKFold(3, random_state=0),
    random_state=0,
)
general = [
    CompositionFeaturizer(),
    StructureFeaturizer(groups=["volume", "distances", "coordination"]),
]
boosting = XGBClassifier(
    n_estimators=300, max_depth=3, learning_rate=0.05, reg_lambda=10, n_jobs=1, random_state=0
)
features = make_union(*general, builder, verbose_feature_names_out=False)
informed = make_pipeline(features, clone(boosting)).fit(X_train, y_train)

# %%
# What the examples have in common
# --------------------------------
# The *contrast* compares the descriptors of the adversarial examples with those of the other
# crystals. The descriptors with the largest differences come first.

from sklmat import ContrastDisplay

builder = features.named_transformers["adversarialfeaturebuilder"]
ContrastDisplay.from_contrast(builder.contrast_, max_features=12)

# %%
# The largest differences are in descriptors of the halides around cesium and tin: dipoles, how much
# the numbers of neighbours vary, and whether equal halides are opposite each other at tin (180°).
# If two different halides are opposite each other, tin moves towards one of them and the energy
# falls. A contrast does not show causes, only which descriptors go together with adversarial
# examples. In this example, some of these descriptors are also close to the cause of the label. Of
# columns that are strongly correlated, only one is kept.

print("\n".join(builder.selected_))

# %%
# What did the network see in the distorted cells?
# ------------------------------------------------
# The contrast compares descriptors, which the network does not know. Attribution asks the network
# itself. The log-odds of a crystal are divided among pairs of elements, up to 3.5 Å and beyond,
# before and after the atoms have moved. The changes of all pairs add up to the change of the
# prediction. Positive numbers lead to the wrong class. Bars are standard deviations over the
# examples.

import matplotlib.pyplot as plt
import numpy as np

from sklmat import attribution_change

shown = examples.head(8)
change = attribution_change(
    network,
    [X_test[row] for row in shown["index"]],
    shown["structure"],
    shells=[3.5],
    random_state=0,
)
is_second = (shown["perturbed prediction"] == network.classes_[1]).to_numpy()
change["to the wrong class"] = change["change"] * np.where(is_second, 1, -1)[change["row"]]
by_pair = change.pivot_table(
    index=["pair", "shell"], columns="row", values="to the wrong class", fill_value=0.0
)
order = by_pair.mean(axis=1).sort_values().index
figure, panel = plt.subplots(figsize=(3.3, 0.6 + 0.2 * len(order)), layout="constrained")
panel.errorbar(
    by_pair.loc[order].mean(axis=1),
    [f"{pair}, {'up to' if shell == 0 else 'beyond'} 3.5 Å" for pair, shell in order],
    xerr=by_pair.loc[order].std(axis=1),
    fmt="o",
    color="#0072B2",
)
panel.axvline(0, color="0.35", linewidth=0.9, linestyle="--")
panel.tick_params(labelsize=8)
panel.set_xlabel("change of the log-odds\ntowards the wrong class", fontsize=9)

# %%
# Do the descriptors help?
# ------------------------
# The table compares four models: the network, the same network trained with perturbed positions,
# trees without the selected columns, and trees with them. One split of a small data set cannot show
# small differences. The pages *Benchmarks* have folds and confidence intervals, and data sets for
# which the method does not help. In this example the label comes from a pair potential, and simple
# counts of halide pairs are as good as any of these models.

import pandas as pd
from sklearn.metrics import accuracy_score, roc_auc_score

perturbed = clone(network).set_params(adversarial=StructureAttack(method="random", budget=0.05))
models = {
    "CGCNN": network,
    "CGCNN, perturbed positions": perturbed.fit(X_train, y_train),
    "XGBoost, general": make_pipeline(make_union(*general), boosting).fit(X_train, y_train),
    "XGBoost, general + adversarial": informed,
}
scores = {}
for name, model in models.items():
    probability = model.predict_proba(X_test)[:, 1]
    accuracy = accuracy_score(y_test, probability > 0.5)
    scores[name] = {"ROC AUC": roc_auc_score(y_test, probability), "accuracy": accuracy}
print(pd.DataFrame(scores).T.round(3).to_string())

# %%
# What the trees have learned
# ---------------------------
# Each point is a test crystal. Its position is the contribution (SHAP value) of the column to the
# log-odds of the class, and its colour is the value of the column.

from sklmat import ShapDisplay

ShapDisplay.from_estimator(informed, X_test, max_features=7)

# %%
# .. [1] Wang, Lai, Wei, Guo, Jin, Sci. China Mater. 67, 1183 (2024)
