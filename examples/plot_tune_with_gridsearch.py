"""
Tuning a graph network and a boosted table
==========================================

``GridSearchCV`` tunes a crystal graph network in the same way as gradient boosting. Graphs and
features are steps of a pipeline, so the search can also choose the settings of the graphs. With
``cache=``, each graph is built only once, and not again for each candidate and fold.
"""

# %%
# Hold out test alloys
# --------------------
# The search selects the candidate with the best score on its folds. This score is too optimistic,
# because it was used for the selection. Some alloys are therefore held out of the search, and the
# final score is computed on them.

from sklearn.model_selection import train_test_split

from sklmat.datasets import make_alloys

cells, energies = make_alloys(150, return_X_y=True, verbose=True)
cells_train, cells_test, energies_train, energies_test = train_test_split(
    cells, energies, test_size=30, random_state=0
)

# %%
# The graph network
# -----------------
# The parameter ``cache`` lets ``StructureToGraph`` keep up to 1,000 graphs in memory. It recognizes
# a graph by the content of the structure and the settings of the graph, and clones of the
# transformer use the same cache. So the search builds the graph of each of the 120 structures once
# for each number of neighbours. With a folder, as in ``cache="graphs"``, several processes and
# later sessions can use the graphs, too.

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
# Boosting uses the columns of two featurizers. Computing them takes less than a second, so they are
# not cached.

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
# For each model, the table shows the error on the folds of the search, and the error on the
# held-out alloys. The second one is the error to expect for new alloys.

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
    searches,
    cells_test,
    energies_test,
    quantity="formation energy",
    unit="eV/atom",
    true_name="computed",
)
