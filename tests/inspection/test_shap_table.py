"""SHAP values of models on tables."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from sklmat import CompositionFeaturizer, StructureFeaturizer
from sklmat.inspection import shap_table

matplotlib.use("Agg")


def log_odds(model, X, k=1):
    """Of class k against each other one, the mean over these."""
    p = np.log(model.predict_proba(X))
    return p[:, k] - np.delete(p, k, axis=1).mean(axis=1)


@pytest.fixture(scope="module")
def piped(alloys):
    trees = XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1)
    steps = make_union(
        CompositionFeaturizer(properties=None), StructureFeaturizer(groups=["volume"])
    )
    return make_pipeline(steps, trees).fit(*alloys)


@pytest.mark.parametrize("with_background", [False, True])
def test_shap_adds_up_behind_featurizers(piped, alloys, with_background):
    X = alloys[0]
    explanation = shap_table(piped, X[:10], X[10:] if with_background else None)
    assert explanation.shape == (10, len(explanation.feature_names))
    assert list(explanation.feature_names) == list(piped[:-1].get_feature_names_out())
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, piped.predict(X[:10]), atol=1e-4)
    if with_background:
        # Then the base value is the mean prediction of the background.
        assert_allclose(explanation.base_values, piped.predict(X[10:]).mean(), atol=1e-4)


def test_beeswarm_shows_the_names(piped, alloys):
    import shap

    shap.plots.beeswarm(shap_table(piped, alloys[0]), show=False, plot_size=None)
    labels = [label.get_text() for label in plt.gca().get_yticklabels()]
    assert any("volume per atom (Å³)" in label for label in labels)
    plt.close("all")


def test_shap_of_classifiers_tables_and_scaled_columns(alloys):
    X, y = alloys
    table = StructureFeaturizer(groups=["volume"]).fit_transform(X)
    trees = XGBClassifier(n_estimators=10, max_depth=2, n_jobs=1)
    label = (y > np.median(y)).astype(int)
    trees.fit(table, label)
    explanation = shap_table(FrozenEstimator(trees), table)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, log_odds(trees, table), atol=1e-4)
    assert list(explanation.feature_names) == list(table)
    assert_allclose(explanation.data, table)
    # Scaling changes no tree; the array that comes out of it gets its names back.
    scaled = make_pipeline(StandardScaler(), trees).fit(table, label)
    again = shap_table(scaled, table)
    assert list(again.feature_names) == list(table)
    assert_allclose(again.values, explanation.values, atol=1e-4)
    assert_allclose(np.mean(again.data, axis=0), 0, atol=1e-5)
    many = make_pipeline(trees).fit(table, np.digitize(y, np.quantile(y, [0.3, 0.6])))
    assert shap_table(many, table).shape == (*table.shape, 3)


def test_shap_refuses_what_is_no_tree_model(model, alloys):
    X, y = alloys
    with pytest.raises(TypeError, match=r"Ridge is no tree model.*site_attribution"):
        shap_table(make_pipeline(CompositionFeaturizer(), Ridge()).fit(X, y), X)
    with pytest.raises(TypeError, match="CGCNNRegressor is no tree model"):
        shap_table(model, X)
    with pytest.raises(NotFittedError):
        shap_table(make_pipeline(CompositionFeaturizer(), XGBRegressor()), X)
