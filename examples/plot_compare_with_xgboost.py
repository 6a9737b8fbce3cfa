"""
CGCNN against XGBoost on alloys
===============================

Which model predicts the formation energy of an alloy more accurately: a crystal graph network
(CGCNN), or gradient boosting (XGBoost) on a table of features? This example compares both, and two
simpler models, on alloys that were not used for training. It prints a table of errors and draws the
predictions. To use your own data, replace the first cell by a list of pymatgen structures and an
array of numbers.
"""

# %%
# The data
# --------
# ``make_alloys`` generates relaxed cells and their energies on your computer. Alloys of the same
# composition have different arrangements of the atoms, from segregated to ordered. A model that
# uses only the composition can therefore not predict the energies exactly.

from pathlib import Path

from sklmat.datasets import make_alloys

alloys = make_alloys(200, verbose=True)
print(alloys.frame[["formula", "short-range order", "formation energy (eV/atom)"]].head())

# %%
# The models
# ----------
# Each model takes the structures themselves. ``baselines`` makes the simple models, with settings
# that were chosen on other data. They are pipelines of a featurizer and a regressor, so everything
# is learned from the training rows only.

from sklmat import CGCNNRegressor, baselines

simple = baselines("regression")
models = {
    "CGCNN": CGCNNRegressor(max_epochs=60, random_state=0),
    "XGBoost on composition": simple["XGBoost, composition"],
    "XGBoost on structure": simple["XGBoost, composition and structure"],
    "mean": simple["mean"],
}

# %%
# The comparison
# --------------
# All models use the same five folds. ``p`` is the p-value of the difference to the reference: the
# probability of a difference at least this large if both models were equally good. It takes into
# account that the training sets overlap.

from sklearn.model_selection import KFold

from sklmat import compare_estimators

comparison = compare_estimators(
    models,
    alloys.data,
    alloys.target,
    cv=KFold(5, shuffle=True, random_state=0),
    reference="XGBoost on structure",
    verbose=True,
)
print("Unit of y: eV/atom")
print(comparison)

# %%
# The figure
# ----------
# Each point is an alloy, predicted by a model that was not trained on it.

from sklmat import ParityDisplay

display = ParityDisplay.from_comparison(
    comparison,
    quantity="formation energy",
    unit="eV/atom",
    true_name="computed",
    color_by=alloys.frame["short-range order"],
)
path = Path("compare_with_xgboost.png")
display.figure_.savefig(path, dpi=100)
print(f"figure saved as {path}")
