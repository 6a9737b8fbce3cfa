"""
Tuning a graph network and a boosted table
==========================================

Graphs and features are steps of a pipeline, so ``GridSearchCV`` can tune a crystal graph network in
the same way as gradient boosting, including the settings of the graphs. With ``cache=``, graphs are
not built again for each candidate and fold.
"""

# %%
# Hold out what the search must not see
# -------------------------------------
# The search selects the candidate with the best score on its folds, so this score is too
# optimistic. Therefore some alloys are held out of the search, and the final score is computed on
# them.

from sklearn.model_selection import train_test_split

from sklmat.datasets import make_alloys

cells, energies = make_alloys(150, return_X_y=True, verbose=True)
cells_train, cells_test, energies_train, energies_test = train_test_split(
    cells, energies, test_size=30, random_state=0
)

# %%
# The graph network
# -----------------
# ``StructureToGraph`` keeps up to 1,000 graphs in memory. A graph is found again by the content of
# the structure and the settings of the graph, also by clones of the transformer. So the graph of
# each of the 120 structures is built once for each number of neighbours, for any number of
# candidates and folds. Graphs in a folder, as in ``cache="graphs"``, can also be used by several
# processes and in later sessions.

from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline

from sklmat import CGCNNRegressor, StructureToGraph

folds = KFold(3, shuffle=True, random_state=0)
network = Pipeline(
    [
        ("graphs", StructureToGraph(cache=1000)),
        ("cgcnn", CGCNNRegressor(max_epochs=30, random_state=0)),
    ]
)
network_search = GridSearchCV(
    network,
    {"graphs__max_neighbors": [12, 18], "cgcnn__lr": [0.003, 0.01]},
    scoring="neg_mean_absolute_error",
    cv=folds,
).fit(cells_train, energies_train)

# %%
# Gradient boosting
# -----------------
# The columns of both featurizers are combined. The table takes less than a second to compute, so it
# is not cached.

from sklearn.pipeline import FeatureUnion
from xgboost import XGBRegressor

from sklmat import CompositionFeaturizer, StructureFeaturizer

features = FeatureUnion(
    [("composition", CompositionFeaturizer()), ("structure", StructureFeaturizer())]
).set_output(transform="pandas")
boosting = Pipeline([("features", features), ("xgboost", XGBRegressor(n_jobs=1))])
boosting_search = GridSearchCV(
    boosting,
    {
        "features__structure__groups": [None, ["volume", "distances", "order"]],
        "xgboost__max_depth": [2, 4],
        "xgboost__n_estimators": [200, 600],
    },
    scoring="neg_mean_absolute_error",
    cv=folds,
).fit(cells_train, energies_train)

# %%
# The result
# ----------
# The candidate was selected by its score on the folds; its error is measured on the held-out
# alloys.

import pandas as pd

searches = {"CGCNN": network_search, "XGBoost": boosting_search}
for name, search in searches.items():
    print(f"{name}: {search.best_params_}")

table = pd.DataFrame(
    {
        "best candidate, folds": {name: -search.best_score_ for name, search in searches.items()},
        "same, held-out alloys": {
            name: -search.score(cells_test, energies_test) for name, search in searches.items()
        },
    }
)
print("Mean absolute error (meV/atom)")
print((1000 * table).round(1).to_string())

# %%
# The figure compares the predictions for the held-out alloys.

from sklmat import ParityDisplay

ParityDisplay.from_estimator(
    searches, cells_test, energies_test, quantity="formation energy", unit="eV/atom"
)
