"""
What a network sees in alloys
=============================

Which atoms, which elements and which pairs of neighbours make a prediction high or low? This
example divides the predictions of a CGCNN (crystal graph convolutional neural network) among the
sites of a crystal, compares three methods that do this, and divides the predictions among pairs
of elements. At the end, it asks what the network sees in a cell whose atoms have been moved.
"""

# %%
# The data and the network
# ------------------------
# ``make_alloys`` generates alloys of nickel, copper, palladium and platinum with their formation
# energies. 120 alloys are for training; the predictions for the others are explained. The network
# is a small one, to save time.

from sklearn.metrics import r2_score

from sklmat import CGCNNRegressor
from sklmat.datasets import make_alloys

alloys = make_alloys(150, verbose=True)
energies = 1000 * alloys.target  # meV/atom
train, test = alloys.data[:120], alloys.data[120:]

network = CGCNNRegressor(hidden_dim=32, n_conv=2, max_epochs=60, random_state=0)
network.fit(train, energies[:120])
predicted = network.predict(test)
print(f"R² of {len(test)} alloys that are new: {r2_score(energies[120:], predicted):.3f}")

# %%
# The loss of the training rows after each epoch.

from sklmat import TrainingCurveDisplay

display = TrainingCurveDisplay.from_estimator(network)

# %%
# Sites of one crystal
# --------------------
# ``site_attribution`` gives a number for each atom: how the prediction changes when this atom
# takes the place of the average atom of the training rows. The picture shows the alloy with the
# largest predicted energy. Atoms in red raise its energy, and atoms in blue lower it.

import numpy as np

from sklmat import CrystalDisplay, site_attribution

sites = site_attribution(network, test, background=train)
highest = int(np.argmax(predicted))
display = CrystalDisplay.from_attribution(sites, test, row=highest, unit="meV/atom")

# %%
# The attributions and the baseline must add up to the prediction. The table says how well they do.

largest = np.abs(sites.attrs["residual"]).max()
print(f"largest deviation of a sum from its prediction: {largest:.1g} meV/atom")

# %%
# Do the methods agree?
# ---------------------
# Integrated gradients, occlusion and Shapley values divide joint effects of several atoms in
# different ways. Where they agree, the result does not depend on this choice.

from sklmat import AttributionAgreementDisplay

display = AttributionAgreementDisplay.from_estimator(
    network, test[:10], background=train, random_state=0, unit="meV/atom"
)
print(display.agreement)

# %%
# Elements
# --------
# The mean contribution of each element, over the alloys that contain it.

from sklmat import PeriodicTableDisplay, element_attribution

elements = element_attribution(network, test, background=train)
display = PeriodicTableDisplay.from_contributions(elements, unit="meV/atom")

# %%
# Pairs of elements
# -----------------
# ``pair_attribution`` divides the prediction among pairs of elements at a distance. The baseline
# is here the prediction for atoms without any neighbours. The distances are divided into two
# shells, and the table shows the mean of each pair over the alloys that have it.

from sklmat import pair_attribution

pairs = pair_attribution(network, test[:10], shells=2, random_state=0)
boundary = pairs.attrs["boundaries"][0]
print(f"boundary between the shells: {boundary:.2f} Å")
means = pairs.pivot_table(index="pair", columns="shell", values="attribution")
print(means.round(1).rename(columns="shell {}".format))

# %%
# What does the network see in distorted cells?
# ---------------------------------------------
# The paper on adversarial examples compares distorted cells that deceive a network with cells that
# do not, by descriptors. Attribution answers the question directly. The atoms of an alloy are
# moved by up to 0.1 Å in the direction that changes the prediction most. The baseline depends on
# the composition only, so that it is the same for both cells. The differences of the attributions
# then add up to the change of the prediction.

from sklmat import StructureAttack, attribution_change

cells = test[:10]
moved = StructureAttack(network, budget=0.1, random_state=0).generate(cells, energies[120:130])
change = attribution_change(network, cells, moved, shells=2, random_state=0)
before, after = (np.array(change.attrs[name]) for name in ("prediction", "perturbed prediction"))
print(f"mean absolute change of the predictions: {np.abs(after - before).mean():.0f} meV/atom")
total = change.groupby("row")["change"].sum().to_numpy()
print(f"sum of the parts minus the change: {np.abs(total - (after - before)).max():.1g} meV/atom")

# %%
# Most of the change comes from the pairs with the largest mean changes. Bars are standard
# deviations over the alloys.

import matplotlib.pyplot as plt

by_pair = change.groupby(["row", "pair", "shell"])["change"].sum().unstack("row").fillna(0.0)
order = by_pair.abs().mean(axis=1).sort_values().index[-12:]
figure, panel = plt.subplots(figsize=(3.3, 3.4), layout="constrained")
names = [f"{pair}, shell {shell}" for pair, shell in order]
panel.errorbar(
    by_pair.loc[order].mean(axis=1),
    names,
    xerr=by_pair.loc[order].std(axis=1),
    fmt="o",
    color="#0072B2",
)
panel.axvline(0, color="0.35", linewidth=0.9, linestyle="--")
panel.tick_params(labelsize=8)
panel.set_xlabel("change of the attribution (meV/atom):\nmean and standard deviation", fontsize=9)

# %%
# These are statements about the network, not about the alloys. Another seed may give other
# attributions; compare several networks before you believe a pattern.
