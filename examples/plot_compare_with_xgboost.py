"""
CGCNN against XGBoost on alloys
===============================

Which model should predict the formation energy of an alloy: a crystal graph network, or gradient
boosting on a table of features? This example lets both, and two simpler models, predict alloys that
they were not fitted on, prints a table and draws the predictions. To use your own data, replace the
first cell with a list of pymatgen structures and an array of numbers.
"""

# %%
# The data
# --------
# ``make_alloys`` generates relaxed cells and their energies here, without a download. Atoms of the
# same composition are arranged in different ways, from segregated to ordered, so that a model which
# knows only the composition must fail to some extent.

from pathlib import Path

from sklmat.datasets import make_alloys

alloys = make_alloys(200, verbose=True)
print(alloys.frame[["formula", "short-range order", "formation energy (eV/atom)"]].head())

# %%
# The models
# ----------
# Each takes the structures themselves: a featurizer and a regressor are one estimator when they are
# in a pipeline, so that everything that is learned is learned from the training rows only.

from sklearn.dummy import DummyRegressor
from sklearn.pipeline import make_pipeline, make_union
from xgboost import XGBRegressor

from sklmat import CGCNNRegressor, CompositionFeaturizer, StructureFeaturizer

boosting = XGBRegressor(n_estimators=500, learning_rate=0.05, max_depth=4, n_jobs=1)
models = {
    "CGCNN": CGCNNRegressor(max_epochs=60, random_state=0),
    "XGBoost on composition": make_pipeline(CompositionFeaturizer(), boosting),
    "XGBoost on structure": make_pipeline(
        make_union(CompositionFeaturizer(), StructureFeaturizer()), boosting
    ),
    "mean": DummyRegressor(),
}

# %%
# The comparison
# --------------
# Five folds, the same for all models. ``p`` is the probability of a difference at least this large
# if the model were as good as the reference; it allows for the overlap of the training sets.

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
print("MAE and RMSE in eV/atom, mean ± standard deviation over the folds")
print(comparison.summary().T.to_string())

# %%
# The figure
# ----------
# Every point is an alloy, predicted by a model that was fitted without it.

from sklmat import ParityDisplay

display = ParityDisplay.from_comparison(
    comparison,
    quantity="formation energy",
    unit="eV/atom",
    color_by=alloys.frame["short-range order"],
)
path = Path("compare_with_xgboost.png")
display.figure_.savefig(path, dpi=100)
print(f"figure saved as {path}")
