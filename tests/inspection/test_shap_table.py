"""SHAP values of models on tables."""

import imblearn.pipeline
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from sklmat import (
    AugmentedClassifier,
    AugmentedRegressor,
    CompositionFeaturizer,
    NoiseAugmenter,
    StructureFeaturizer,
)
from sklmat.estimator_checks import make_toy_table
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


def test_shap_of_a_linear_model_behind_featurizers(model, alloys):
    X, y = alloys
    linear = make_pipeline(CompositionFeaturizer(), Ridge()).fit(X, y)
    explanation = shap_table(linear, X)
    assert list(explanation.feature_names) == list(linear[:-1].get_feature_names_out())
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, linear.predict(X), atol=1e-9)
    # The background is X itself, whose contributions cancel.
    assert_allclose(explanation.values.mean(axis=0), 0, atol=1e-9)


def test_shap_refuses_what_reads_no_table(model, alloys):
    X, _ = alloys
    with pytest.raises(TypeError, match=r"CGCNNRegressor does not predict .*site_attribution"):
        shap_table(model, X)
    with pytest.raises(NotFittedError):
        shap_table(make_pipeline(CompositionFeaturizer(), XGBRegressor()), X)


# -- estimators that hold the tree model

XGB = {"n_estimators": 10, "max_depth": 2, "n_jobs": 1}


@pytest.fixture(scope="module")
def table(alloys):
    return StructureFeaturizer(groups=["volume"]).fit_transform(alloys[0])


def holders():
    """Estimators with a tree model inside, which predict from a table."""
    trees, scaled = XGBRegressor(**XGB), make_pipeline(StandardScaler(), XGBRegressor(**XGB))
    noise = NoiseAugmenter(random_state=0)
    linear = FunctionTransformer(lambda y: 2 * y + 1, lambda y: (y - 1) / 2)
    return {
        "search": GridSearchCV(trees, {"max_depth": [1, 2]}, cv=2),
        "search of a pipeline": GridSearchCV(scaled, {"xgbregressor__max_depth": [2]}, cv=2),
        "pipeline of a search": make_pipeline(
            StandardScaler(), GridSearchCV(trees, {"max_depth": [2]}, cv=2)
        ),
        "imblearn": imblearn.pipeline.make_pipeline(StandardScaler(), noise, trees),
        "imblearn without transformers": imblearn.pipeline.make_pipeline(noise, trees),
        "augmented": AugmentedRegressor(trees, noise),
        "augmented pipeline": AugmentedRegressor(scaled, noise),
        "scaled target": TransformedTargetRegressor(trees, transformer=StandardScaler()),
        "linear target": TransformedTargetRegressor(scaled, transformer=linear),
        "nested": make_pipeline(
            StandardScaler(),
            TransformedTargetRegressor(
                AugmentedRegressor(trees, noise), transformer=StandardScaler()
            ),
        ),
    }


@pytest.mark.parametrize("with_background", [False, True])
@pytest.mark.parametrize("kind", holders())
def test_shap_finds_the_tree_model(kind, with_background, table, alloys):
    model = holders()[kind].fit(table, alloys[1])
    explanation = shap_table(model, table[:8], table[8:] if with_background else None)
    assert list(explanation.feature_names) == list(table)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, model.predict(table[:8]), atol=1e-4)
    if with_background:
        mean = model.predict(table[8:]).mean()
        assert_allclose(explanation.base_values, mean, atol=1e-4)


def test_shap_of_structures_behind_a_search(alloys):
    X, y = alloys
    steps = make_pipeline(StructureFeaturizer(groups=["volume"]), XGBRegressor(**XGB))
    model = GridSearchCV(steps, {"xgbregressor__max_depth": [1, 2]}, cv=2).fit(X, y)
    explanation = shap_table(model, X)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, model.predict(X), atol=1e-4)


def test_shap_of_augmented_classes(table, alloys):
    label = np.where(alloys[1] > np.median(alloys[1]), 1, 0)
    model = AugmentedClassifier(XGBClassifier(**XGB), NoiseAugmenter(random_state=0))
    explanation = shap_table(model.fit(table, label), table)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, log_odds(model, table), atol=1e-4)


def test_shap_of_several_scaled_targets(table, alloys):
    both = np.column_stack([alloys[1], 3 - 100 * alloys[1]])
    trees = RandomForestRegressor(5, random_state=0)
    model = TransformedTargetRegressor(trees, transformer=StandardScaler()).fit(table, both)
    explanation = shap_table(model, table)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, model.predict(table), atol=1e-3)


@pytest.mark.parametrize("has_background", [True, False])
def test_thresholds_between_close_numbers(has_background):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 6, size=(30, 2)) + 1e-9 * rng.random((30, 2))
    y = rng.normal(size=30)
    background = X[:5] if has_background else None
    settings = {"max_iter": 5, "min_samples_leaf": 1}
    regressor = HistGradientBoostingRegressor(**settings).fit(X, y)
    classifier = HistGradientBoostingClassifier(**settings).fit(X, y > 0)
    outputs = {regressor: regressor.predict(X), classifier: classifier.decision_function(X)}
    for model, output in outputs.items():
        explanation = shap_table(model, X, background=background, n_permutations=2, random_state=0)
        total = explanation.values.sum(axis=1) + explanation.base_values
        assert_allclose(total, output, atol=1e-9)


def test_a_logarithm_of_the_target_is_not_shared_out(table, alloys):
    y = np.exp(alloys[1] / 10)
    model = TransformedTargetRegressor(XGBRegressor(**XGB), func=np.log, inverse_func=np.exp)
    model.fit(table, y)
    with pytest.raises(ValueError, match=r"^the Trans.*more than scale and shift y.*regressor_"):
        shap_table(model, table)
    assert shap_table(model.regressor_, table).shape == table.shape


def test_unfitted_holders_are_named(table, alloys):
    for model in holders().values():
        with pytest.raises(NotFittedError):
            shap_table(model, table)
    search = GridSearchCV(XGBRegressor(**XGB), {"max_depth": [2]}, cv=2, refit=False)
    with pytest.raises(NotFittedError, match="This GridSearchCV has no best_estimator_"):
        shap_table(search.fit(table, alloys[1]), table)


def test_columns_have_the_order_of_fit():
    table, y = make_toy_table(24)
    for model in (Ridge(), DecisionTreeRegressor(max_depth=2)):
        model.fit(table, y)
        expected = shap_table(model, table, table).values
        turned = table[table.columns[::-1]]
        found = shap_table(model, table, turned).values
        np.testing.assert_allclose(found, expected, atol=1e-9)
        with pytest.raises(ValueError, match="other columns than fit had, in another order"):
            shap_table(model, turned)
        with pytest.raises(ValueError, match="such as 'iron', which fit did not have"):
            shap_table(model, table.rename(columns={"x_Fe": "iron"}))
        with pytest.raises(ValueError, match="background has no column 'x_Fe'"):
            shap_table(model, table, table.drop(columns="x_Fe"))
