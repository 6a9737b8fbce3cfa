"""Functions that need the model inside a search, a pipeline or another estimator: each with each.

A network that was fitted inside another estimator, on the same rows with the same seed, is the same
network, so that each function gives the same result as for the network alone.
"""

from functools import cache

import imblearn.pipeline
import numpy as np
import pandas as pd
import pytest
from attacked import TINY
from crystals import rattled_cells
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor, VotingClassifier, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from sklmat import (
    AugmentedClassifier,
    AugmentedRegressor,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    DeltaRegressor,
    EarlyStoppingRegressor,
    ECNetRegressor,
    EFTGANRegressor,
    NoiseAugmenter,
    StructureAttack,
    StructureFeaturizer,
    StructureToGraph,
    find_adversarial_examples,
    robustness_curve,
)
from sklmat.inspection import element_attribution, shap_table, site_attribution
from sklmat.model_inside import find_model, preferred_class
from sklmat.screening import composition_grid, screen

CELLS, A = rattled_cells(12)
LABELS = np.where(A > 2.9, "loose", "dense")
BUDGETS = {"budgets": (0, 0.2), "n_steps": 2, "n_draws": 1, "random_state": 0}


#: A single split makes a search fast.
ONE = ShuffleSplit(1, test_size=0.3, random_state=0)


def search(model):
    return GridSearchCV(model, {}, cv=ONE)


def same_class(model, threshold=0.5):
    return FixedThresholdClassifier(model, threshold=threshold, pos_label="loose")


#: What holds a model of any kind.
HOLDERS = {
    "bare": lambda model: model,
    "search": search,
    "kin of the search": lambda model: RandomizedSearchCV(model, {}, n_iter=1, cv=ONE),
    "pipeline": make_pipeline,
    "empty steps": lambda m: Pipeline([("a", "passthrough"), ("b", None), ("c", m)]),
    "nested pipelines": lambda model: make_pipeline(make_pipeline("passthrough", model)),
    "imblearn": lambda model: imblearn.pipeline.make_pipeline("passthrough", model),
}
#: What holds a network.
OF_NETWORKS = {name: HOLDERS[name] for name in ("bare", "search", "empty steps", "imblearn")} | {
    "graphs": lambda model: make_pipeline(StructureToGraph(), model),
    "graphs, searched": lambda model: search(make_pipeline(StructureToGraph(), model)),
    "graphs, nested": lambda m: make_pipeline(StructureToGraph(), search(make_pipeline(m))),
}
#: What holds a regressor.
OF_REGRESSORS = {
    "augmented": lambda model: AugmentedRegressor(model, None),
    "scaled target": lambda m: TransformedTargetRegressor(m, transformer=StandardScaler()),
    "searched scaled target": lambda m: search(
        TransformedTargetRegressor(m, transformer=StandardScaler())
    ),
    "linear target": lambda m: TransformedTargetRegressor(
        m, func=lambda y: 2 * y - 1, inverse_func=lambda z: (z + 1) / 2
    ),
}
#: What holds a classifier and predicts the more probable class.
OF_CLASSIFIERS = {
    "augmented": lambda model: AugmentedClassifier(model, None),
    "threshold 0.5": same_class,
    "searched threshold": lambda model: search(same_class(make_pipeline(model))),
}


@cache
def regressor(name):
    make = (OF_NETWORKS | OF_REGRESSORS)[name]
    return make(CGCNNRegressor(**TINY, lr=0.05, max_epochs=4)).fit(CELLS, A)


@cache
def classifier(name):
    make = (OF_NETWORKS | OF_CLASSIFIERS)[name]
    return make(CGCNNClassifier(**TINY, lr=0.03, max_epochs=12)).fit(CELLS, LABELS)


def same_table(table, other):
    for name in table:
        if name == "structure":
            same_crystals(table[name], other[name])
        elif name == "displacement (Å)":
            for each, of_other in zip(table[name], other[name], strict=True):
                assert_allclose(each, of_other, atol=1e-3)
        elif table[name].dtype.kind == "f":
            assert_allclose(table[name], other[name], atol=1e-3, rtol=1e-3)
        else:
            assert table[name].tolist() == other[name].tolist()
    assert list(table) == list(other)


def same_crystals(some, others):
    for each, other in zip(some, others, strict=True):
        assert_allclose(each.cart_coords, other.cart_coords, atol=1e-3)


ALL_REGRESSORS = [*OF_NETWORKS, *OF_REGRESSORS]
ALL_CLASSIFIERS = [*OF_NETWORKS, *OF_CLASSIFIERS]


# -- networks


@pytest.mark.parametrize("name", ALL_REGRESSORS[1:])
def test_contributions_to_the_prediction_of_a_regressor(name):
    model, bare = regressor(name), regressor("bare")
    assert_allclose(model.predict(CELLS), bare.predict(CELLS), atol=1e-5)
    table = site_attribution(model, CELLS[:4], background=CELLS)
    total = table.groupby("row")["attribution"].sum() + table.attrs["baseline"]
    assert_allclose(total, model.predict(CELLS[:4]), atol=1e-4)
    expected = site_attribution(bare, CELLS[:4], background=CELLS)
    assert_allclose(table["attribution"], expected["attribution"], atol=1e-5)
    assert_allclose(
        element_attribution(model, CELLS[:4], background=CELLS),
        element_attribution(bare, CELLS[:4], background=CELLS),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ALL_CLASSIFIERS[1:])
def test_contributions_to_the_log_odds_of_a_classifier(name):
    table = site_attribution(classifier(name), CELLS[:4], background=CELLS, target="dense")
    expected = site_attribution(classifier("bare"), CELLS[:4], background=CELLS, target="dense")
    assert_allclose(table["attribution"], expected["attribution"], atol=1e-5)
    assert_allclose(table.attrs["baseline"], expected.attrs["baseline"], atol=1e-5)


@pytest.mark.parametrize("name", ALL_REGRESSORS[1:])
def test_attacks_on_a_regressor(name):
    model, bare = regressor(name), regressor("bare")
    settings = {"budget": 0.1, "n_steps": 2}
    moved = StructureAttack(model, **settings).generate(CELLS, A)
    same_crystals(moved, StructureAttack(bare, **settings).generate(CELLS, A))
    settings["threshold"] = np.median(np.abs(bare.predict(CELLS) - A))
    found = find_adversarial_examples(model, CELLS, A, **settings)
    assert len(found)
    assert_allclose(model.predict(list(found["structure"])), found["perturbed prediction"], 1e-3)
    same_table(found, find_adversarial_examples(bare, CELLS, A, **settings))
    same_table(
        robustness_curve(model, CELLS, A, **BUDGETS), robustness_curve(bare, CELLS, A, **BUDGETS)
    )


@pytest.mark.parametrize("name", ALL_CLASSIFIERS[1:])
def test_attacks_on_a_classifier(name):
    model, bare = classifier(name), classifier("bare")
    settings = {"budget": 0.2, "n_steps": 2}
    moved = StructureAttack(model, **settings).generate(CELLS)
    same_crystals(moved, StructureAttack(bare, **settings).generate(CELLS))
    found = find_adversarial_examples(model, CELLS, LABELS, **settings)
    assert len(found)
    assert (model.predict(list(found["structure"])) == found["perturbed prediction"]).all()
    same_table(found, find_adversarial_examples(bare, CELLS, LABELS, **settings))
    same_table(
        robustness_curve(model, CELLS, LABELS, **BUDGETS),
        robustness_curve(bare, CELLS, LABELS, **BUDGETS),
    )


def test_attacks_respect_the_threshold_of_a_classifier():
    network = classifier("bare")
    p = network.predict_proba(CELLS)[:, 1]
    # With these thresholds, half of the rows of a class get the other one.
    loose, dense = p[p > 0.5], 1 - p[p < 0.5]
    for label, threshold in (("loose", np.median(loose)), ("dense", np.median(dense))):
        model = FixedThresholdClassifier(
            FrozenEstimator(network), threshold=threshold + 1e-4, pos_label=label
        ).fit(CELLS, LABELS)
        assert (model.predict(CELLS) != network.predict(CELLS)).any()
        found = find_adversarial_examples(model, CELLS, LABELS, budget=0.3)
        assert len(found)
        assert found.attrs["n_right"] == (model.predict(CELLS) == LABELS).sum()
        assert (found["prediction"] == model.predict(CELLS)[found["index"]]).all()
        assert (model.predict(list(found["structure"])) == found["perturbed prediction"]).all()
        curve = robustness_curve(model, CELLS, LABELS, **BUDGETS)
        assert_allclose(curve["score"][curve["budget"] == 0], model.score(CELLS, LABELS))


def test_a_threshold_that_leaves_one_class_is_refused():
    network = CGCNNClassifier(**TINY, max_epochs=2).fit(CELLS, LABELS)
    for threshold, label in ((0.0, "loose"), (1.0, "dense")):
        model = same_class(FrozenEstimator(network), threshold).fit(CELLS, LABELS)
        with pytest.raises(ValueError, match=f"predicts .*{label}.* every crystal.* between 0 and"):
            find_adversarial_examples(model, CELLS, LABELS)


def test_preferred_class_of_a_threshold():
    fit = LogisticRegression().fit(X, CLASSES)
    for label, other in (("low", "high"), ("high", "low")):
        for threshold, preferred in ((0.2, label), (0.5, label), (0.8, other)):
            model = FixedThresholdClassifier(fit, threshold=threshold, pos_label=label)
            model.fit(X, CLASSES)
            smallest = 0.5 if threshold == 0.5 else 0.2
            assert preferred_class(model) == (preferred, pytest.approx(smallest))
    scorer = make_scorer(f1_score, pos_label="high")
    tuned = TunedThresholdClassifierCV(fit, scoring=scorer, cv=2, response_method="predict_proba")
    label, smallest = preferred_class(tuned.fit(X, CLASSES))
    column = list(tuned.classes_).index(label)
    is_label = tuned.predict_proba(X)[:, column] >= smallest
    assert (is_label == (tuned.predict(X) == label)).all()


def test_threshold_found_by_a_search():
    tuned = TunedThresholdClassifierCV(CGCNNClassifier(**TINY, max_epochs=5), cv=2, thresholds=9)
    tuned = tuned.fit(CELLS, LABELS)
    curve = robustness_curve(tuned, CELLS, LABELS, **BUDGETS)
    assert_allclose(curve["score"][curve["budget"] == 0], tuned.score(CELLS, LABELS))


@pytest.mark.parametrize("ensemble", [True, False])
def test_calibrated_networks(ensemble):
    network = CGCNNClassifier(**TINY, max_epochs=5)
    model = CalibratedClassifierCV(network, cv=2, ensemble=ensemble).fit(CELLS, LABELS)
    copies = [each.estimator for each in model.calibrated_classifiers_]
    assert len(copies) == (2 if ensemble else 1)
    table = site_attribution(model, CELLS[:4], background=CELLS)
    total = table.groupby("row")["attribution"].sum() + table.attrs["baseline"]
    p = [copy.predict_proba(CELLS[:4]).astype(float) for copy in copies]
    assert_allclose(total, np.mean([np.log(q[:, 1] / q[:, 0]) for q in p], axis=0), atol=1e-4)
    with pytest.raises(TypeError, match=r"CalibratedClassifierCV changes.*calibrated_classifiers_"):
        StructureAttack(model).generate(CELLS)
    with pytest.raises(TypeError, match=r"calibrated_classifiers_.*methods=\('random',\)"):
        robustness_curve(model, CELLS, LABELS)
    curve = robustness_curve(model, CELLS, LABELS, methods=("random",), **BUDGETS)
    assert_allclose(curve["score"][0], model.score(CELLS, LABELS))


def test_logarithms_of_the_target_are_refused_where_they_cannot_be_undone():
    network = CGCNNRegressor(**TINY, max_epochs=2)
    model = TransformedTargetRegressor(network, func=np.log, inverse_func=np.exp).fit(CELLS, A)
    for function in (
        lambda: site_attribution(model, CELLS),
        lambda: element_attribution(model, CELLS),
        lambda: StructureAttack(model).generate(CELLS, A),
        lambda: find_adversarial_examples(model, CELLS, A),
        lambda: robustness_curve(model, CELLS, A),
    ):
        with pytest.raises(ValueError, match=r"more than scale and shift y.*regressor_"):
            function()
    curve = robustness_curve(model, CELLS, A, methods=("random",), **BUDGETS)
    assert_allclose(curve["score"][0], np.abs(model.predict(CELLS) - A).mean(), rtol=1e-5)


def test_targets_with_the_opposite_sign():
    negative = TransformedTargetRegressor(
        CGCNNRegressor(**TINY, max_epochs=5), func=np.negative, inverse_func=np.negative
    ).fit(CELLS, A)
    table = site_attribution(negative, CELLS)
    total = table.groupby("row")["attribution"].sum() + table.attrs["baseline"]
    assert_allclose(total, negative.predict(CELLS), atol=1e-4)
    curve = robustness_curve(negative, CELLS, A, methods=("pgd",), **BUDGETS)
    assert_allclose(curve["score"][0], np.abs(negative.predict(CELLS) - A).mean(), rtol=1e-5)
    assert curve["score"][1] > curve["score"][0]


def test_contributions_of_several_targets_and_of_ecnet():
    both = np.column_stack([A, 3 - 10 * A])
    network = ECNetRegressor(hidden_dim=8, n_conv=1, max_epochs=3, random_state=0)
    model = TransformedTargetRegressor(network, transformer=StandardScaler()).fit(CELLS, both)
    for target in (0, 1):
        total = element_attribution(model, CELLS, target=target).sum(axis=1)
        assert_allclose(total, model.predict(CELLS)[:, target], atol=1e-4)


def test_steps_that_change_the_crystals_are_refused():
    doubled = FunctionTransformer(lambda X: [s.make_supercell(2, in_place=False) for s in X])
    model = make_pipeline(doubled, CGCNNRegressor(**TINY, max_epochs=1)).fit(CELLS, A)
    with pytest.raises(TypeError, match=r"steps before the network change the crystals"):
        StructureAttack(model).generate(CELLS, A)


# -- robustness of any estimator


class Wrapped(BaseEstimator):
    """An estimator of which nothing is known but its predictions."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def predict(self, X):
        return self.estimator.predict(X)

    def __sklearn_tags__(self):
        return self.estimator.__sklearn_tags__()

    @property
    def classes_(self):
        return self.estimator.classes_


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_all_estimators_get_the_same_displaced_crystals(kind):
    model, y = (regressor("bare"), A) if kind == "regressor" else (classifier("bare"), LABELS)
    settings = {"methods": ("random",), "random_state": 3, "budgets": (0, 0.1, 0.3)}
    of_network = robustness_curve(model, CELLS, y, **settings)
    of_predictions = robustness_curve(Wrapped(model), CELLS, y, **settings)
    assert_allclose(of_predictions["score"], of_network["score"], rtol=1e-4)
    assert of_predictions.attrs == of_network.attrs
    graphs = StructureToGraph().transform(CELLS)
    of_graphs = robustness_curve(Wrapped(model), graphs, y, **settings)
    assert_allclose(of_graphs["score"], of_network["score"], rtol=1e-4)


def any_estimators():
    volume = StructureFeaturizer(groups=["volume", "distances"])
    return {
        "trees": (make_pipeline(volume, RandomForestRegressor(3, random_state=0)), A),
        "Gaussian process": (make_pipeline(volume, GaussianProcessRegressor(optimizer=None)), A),
        "searched trees": (search(make_pipeline(volume, DecisionTreeRegressor(random_state=0))), A),
        "two targets": (make_pipeline(volume, Ridge()), np.column_stack([A, -A])),
        "classes": (make_pipeline(volume, DecisionTreeClassifier(random_state=0)), LABELS),
        "votes": (
            VotingClassifier([("a", make_pipeline(volume, LogisticRegression()))]),
            LABELS,
        ),
        "threshold": (same_class(make_pipeline(volume, LogisticRegression()), 0.7), LABELS),
    }


@pytest.mark.parametrize("name", any_estimators())
def test_robustness_without_gradients(name):
    model, y = any_estimators()[name]
    model.fit(CELLS, y)
    settings = {"budgets": (0, 0.3), "n_draws": 3, "random_state": 0}
    curve = robustness_curve(model, CELLS, y, methods=("random",), **settings)
    assert curve["method"].tolist() == ["random", "random"]
    predictions = model.predict(CELLS)
    right = (predictions == y).mean() if y is LABELS else np.abs(predictions - y).mean()
    assert curve["score"][0] == pytest.approx(right)
    assert curve["score"][1] != curve["score"][0] or y is LABELS
    with pytest.raises(TypeError, match=r"need a fitted graph estimator.*methods=\('random',\)"):
        robustness_curve(model, CELLS, y)
    with pytest.raises(TypeError, match="need a fitted graph estimator"):
        StructureAttack(model).generate(CELLS)
    with pytest.raises(TypeError, match="need a fitted graph estimator"):
        find_adversarial_examples(model, CELLS, y)


def test_robustness_without_gradients_from_a_column_and_wrong_y():
    model = make_pipeline(StructureFeaturizer(groups=["volume"]), DecisionTreeClassifier())
    model.fit(CELLS, LABELS)
    settings = {"methods": ("random",), "budgets": (0, 0.1), "random_state": 0}
    curve = robustness_curve(model, CELLS, LABELS, **settings)

    class FromColumn(Wrapped):
        def predict(self, X):
            assert X["temperature"].tolist() == list(range(12))
            return self.estimator.predict(list(X["structure"]))

    table = pd.DataFrame({"structure": CELLS, "temperature": range(12)}, index=range(5, 17))
    same_table(robustness_curve(FromColumn(model), table, LABELS, **settings), curve)
    with pytest.raises(ValueError, match="row 1 has the class 'b'"):
        robustness_curve(model, CELLS[:2], ["loose", "b"], **settings)
    with pytest.raises(ValueError, match="2 structures and y has 1 rows"):
        robustness_curve(model, CELLS[:2], ["loose"], **settings)
    with pytest.raises(NotFittedError):
        robustness_curve(make_pipeline(StructureToGraph(), CGCNNRegressor()), CELLS, A)


# -- models of tables

rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(30, 4)), columns=list("abcd"))
Y = X["a"] + X["b"] * X["c"]
CLASSES = np.where(Y > 0, "high", "low")
noise = NoiseAugmenter(random_state=0)
TABLE_HOLDERS = HOLDERS | {
    "scaled": lambda model: make_pipeline(StandardScaler(), model),
    "scaled twice": lambda m: make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), m)),
    "sampled": lambda m: imblearn.pipeline.make_pipeline(StandardScaler(), noise, m),
}
TABLE_REGRESSORS = {
    **TABLE_HOLDERS,
    **OF_REGRESSORS,
    "noise": lambda model: AugmentedRegressor(model, noise),
}
TABLE_CLASSIFIERS = {
    **TABLE_HOLDERS,
    "augmented": lambda model: AugmentedClassifier(model, noise),
    "threshold": lambda m: FixedThresholdClassifier(m, threshold=0.3, pos_label="low"),
    "tuned threshold": lambda m: TunedThresholdClassifierCV(m, cv=2),
}
MODELS = {
    "tree": lambda: DecisionTreeRegressor(max_depth=3, random_state=0),
    "linear": Ridge,
    "Gaussian process": lambda: GaussianProcessRegressor(alpha=0.1),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("holder", TABLE_REGRESSORS)
def test_shap_values_add_up_to_the_prediction(holder, model):
    fitted = TABLE_REGRESSORS[holder](MODELS[model]()).fit(X, Y)
    settings = {"n_permutations": 2, "random_state": 0}
    explanation = shap_table(fitted, X[:6], X[6:20], **settings)
    assert list(explanation.feature_names) == list(X)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, fitted.predict(X[:6]), atol=1e-5)
    assert_allclose(explanation.base_values, fitted.predict(X[6:20]).mean(), atol=1e-5)
    again = shap_table(fitted, X[:6], X[6:20], **settings)
    assert_allclose(again.values, explanation.values, atol=1e-12)


@pytest.mark.parametrize("holder", TABLE_CLASSIFIERS)
def test_shap_values_of_classifiers(holder):
    linear = TABLE_CLASSIFIERS[holder](LogisticRegression()).fit(X, CLASSES)
    explanation = shap_table(linear, X[:6])
    total = explanation.values.sum(axis=1) + explanation.base_values
    p = linear.predict_proba(X[:6])
    assert_allclose(total, np.log(p[:, 1] / p[:, 0]), atol=1e-6)
    support = TABLE_CLASSIFIERS[holder](SVC(random_state=0)).fit(X, CLASSES)
    explanation = shap_table(support, X[:6], n_permutations=2)
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, support.decision_function(X[:6]), atol=1e-6)


def test_shap_values_of_a_linear_model_by_hand():
    table = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 8.0]])
    model = Ridge(alpha=1e-9).fit(table, table @ [2, -1] + 5)
    explanation = shap_table(model, table)
    # The mean row is (3, 4), where the model predicts 7.
    assert_allclose(explanation.values, [[-4, 2], [0, 2], [4, -4]], atol=1e-6)
    assert_allclose(explanation.base_values, 7, atol=1e-6)


def test_sampled_shap_values_of_a_product_by_hand():
    class Product(BaseEstimator):
        def fit(self, X, y):
            self.fitted_ = True
            return self

        def predict(self, X):
            return 10 + 6 * X[:, 0] * X[:, 1]

    explanation = shap_table(Product().fit(X, Y), np.ones((1, 3)), np.zeros((5, 3)))
    # Both orders of two players share the product equally.
    assert_allclose(explanation.values, [[3, 3, 0]], atol=1e-12)
    assert_allclose(explanation.base_values, 10)


def test_sampling_agrees_with_the_exact_values_of_a_linear_model():
    model = Ridge().fit(X, Y)
    exact, sampled = shap_table(model, X, X[:9]), shap_table(Wrapped(model), X, X[:9])
    assert_allclose(sampled.values, exact.values, atol=1e-9)
    assert_allclose(sampled.base_values, exact.base_values, atol=1e-9)


def test_shap_values_of_probabilities_and_of_several_outputs():
    votes = VotingClassifier([("a", LogisticRegression())], voting="soft")
    two = shap_table(votes.fit(X, CLASSES), X[:5], random_state=0)
    total = two.values.sum(axis=1) + two.base_values
    assert_allclose(total, votes.predict_proba(X[:5])[:, 1], atol=1e-9)
    many = np.digitize(Y, [-0.5, 0.5])
    three = shap_table(votes.fit(X, many), X[:5], random_state=0)
    assert three.shape == (5, 4, 3)
    total = three.values.sum(axis=1) + three.base_values
    assert_allclose(total, votes.predict_proba(X[:5]), atol=1e-9)
    linear = LogisticRegression().fit(X, many)
    exact = shap_table(linear, X[:5])
    total = exact.values.sum(axis=1) + exact.base_values
    assert_allclose(total, linear.decision_function(X[:5]), atol=1e-9)
    targets = make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.1))
    targets = TransformedTargetRegressor(targets, transformer=StandardScaler())
    targets.fit(X, np.column_stack([Y, 5 - Y]))
    both = shap_table(targets, X[:5], n_permutations=2)
    assert_allclose(both.values.sum(axis=1) + both.base_values, targets.predict(X[:5]), atol=1e-6)


@pytest.mark.parametrize("ensemble", [True, False])
def test_shap_values_of_calibrated_classifiers(ensemble):
    trees = make_pipeline(DecisionTreeClassifier(max_depth=2, random_state=0))
    model = CalibratedClassifierCV(trees, cv=2, ensemble=ensemble)
    piped = make_pipeline(StandardScaler(), model).fit(X, CLASSES)
    explanation = shap_table(piped, X[:6])
    table = piped[0].transform(X[:6])
    outputs = [each.estimator.predict_proba(table) for each in piped[-1].calibrated_classifiers_]
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, np.mean(outputs, axis=0), atol=1e-6)
    assert list(explanation.feature_names) == list(X)
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    own = CalibratedClassifierCV(scaled, cv=2, ensemble=ensemble).fit(X, CLASSES)
    if ensemble:
        with pytest.raises(ValueError, match="tables differ"):
            shap_table(own, X)
    else:
        assert shap_table(own, X).shape == X.shape


def test_what_shap_cannot_explain_is_named():
    with pytest.raises(TypeError, match=r"CGCNNRegressor does not predict from a table"):
        shap_table(regressor("graphs"), CELLS)
    with pytest.raises(TypeError, match="columns of numbers"):
        shap_table(Wrapped(Ridge().fit(X, Y)), X.assign(a="x"))
    with pytest.raises(ValueError, match="n_permutations"):
        shap_table(Ridge().fit(X, Y), X, n_permutations=0)
    with pytest.raises(TypeError, match=r"DecisionTreeRegressor; for models of tables use shap_t"):
        site_attribution(make_pipeline(DecisionTreeRegressor()).fit(X, Y), X)


# -- compositions

ALLOYS = ["Fe", "Ni", "FeNi", "Fe3Ni", "FeNi3"] * 2
ENERGY = np.arange(10) / 10
GRID = composition_grid(["Fe", "Ni"], 0.25)
FORMULAS = ["Ni", "FeNi3", "FeNi", "Fe3Ni", "Fe"]


class AtomicNumber(TransformerMixin, BaseEstimator):
    """A featurizer of a user, of which nothing is known."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        from pymatgen.core import Composition

        compositions = [Composition(x) for x in X]
        return np.array([[c.total_electrons / c.num_atoms] for c in compositions])

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize("featurizer", [CompositionFeaturizer, AtomicNumber])
@pytest.mark.parametrize("holder", [*HOLDERS, *OF_REGRESSORS])
def test_screening_by_models_of_compositions(holder, featurizer):
    model = (HOLDERS | OF_REGRESSORS)[holder](make_pipeline(featurizer(), Ridge()))
    model = FrozenEstimator(model.fit(ALLOYS, ENERGY))
    result = screen(model, GRID)
    assert result["x_Fe"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert_allclose(result["prediction"], model.predict(FORMULAS), atol=1e-12)


@pytest.mark.parametrize("holder", [*HOLDERS, *OF_REGRESSORS])
def test_screening_by_models_of_fractions(holder):
    table = CompositionFeaturizer(properties=[]).fit_transform(ALLOYS)
    model = (HOLDERS | OF_REGRESSORS)[holder](make_pipeline(StandardScaler(), Ridge()))
    model.fit(table, ENERGY)
    expected = model.predict(CompositionFeaturizer(properties=[]).fit_transform(FORMULAS))
    assert_allclose(screen(model, GRID)["prediction"], expected, atol=1e-12)


def test_screening_of_phases_by_a_pipeline():
    alloys = pd.DataFrame({"composition": ALLOYS, "phase": ["bcc", "fcc"] * 5})
    model = search(make_pipeline(CompositionFeaturizer(lattice=True), Ridge()))
    model.fit(alloys, ENERGY)
    result = screen(model, GRID)
    assert result["phase"].tolist() == ["bcc", "fcc"] * 5
    rows = pd.DataFrame({"composition": FORMULAS, "phase": "fcc"})
    assert_allclose(result["prediction"][1::2], model.predict(rows), atol=1e-12)
    assert_allclose(screen(model, GRID, "fcc")["prediction"], model.predict(rows), atol=1e-12)
    with pytest.raises(ValueError, match=r"phases=\['hcp'\] cannot be predicted"):
        screen(model, GRID, "hcp")
    with pytest.raises(ValueError, match="not fitted on Cr, but on Fe, Ni"):
        screen(model, composition_grid(["Fe", "Cr"], 0.5))


def test_models_of_structures_cannot_be_screened():
    with pytest.raises(TypeError, match=r"CGCNNRegressor .*does not predict compositions"):
        screen(regressor("bare"), GRID)


# -- the helper itself


def test_what_is_found():
    trees = DecisionTreeRegressor()
    inner = imblearn.pipeline.make_pipeline(StandardScaler(), noise, "passthrough", trees)
    target = TransformedTargetRegressor(inner, transformer=StandardScaler())
    model = FrozenEstimator(search(make_pipeline(StandardScaler(), target)).fit(X, Y))
    inside = find_model(model)
    assert type(inside.model) is DecisionTreeRegressor
    assert [type(step) for step in inside.steps] == [StandardScaler, StandardScaler]
    assert [type(each) for each in inside.targets] == [TransformedTargetRegressor]
    assert [type(each) for each in inside.readers] == [Pipeline]
    outputs = inside.model.predict(inside.transform(X))[:, None]
    slope, shift = inside.target_scaling(outputs)
    assert_allclose(outputs[:, 0] * slope + shift, model.predict(X))


def test_unfitted_holders_are_named():
    for model in (search(Ridge()), make_pipeline(StandardScaler(), Ridge()), same_class(SVC())):
        with pytest.raises(NotFittedError):
            find_model(model)
    with pytest.raises(NotFittedError, match="GridSearchCV has no best_estimator_"):
        find_model(GridSearchCV(Ridge(), {}, cv=2, refit=False).fit(X, Y))


# -- boosting that stops early


def test_model_that_stopped_early():
    volume = StructureFeaturizer(groups=["volume"])
    trees = XGBRegressor(n_estimators=5, max_depth=2)
    model = EarlyStoppingRegressor(make_pipeline(volume, trees), random_state=0)
    # All crystals have the same composition.
    model.fit(CELLS, A, groups=np.arange(12))
    explanation = shap_table(FrozenEstimator(model), CELLS)
    assert explanation.feature_names[0] == "volume per atom (Å³)"
    total = explanation.values.sum(axis=1) + explanation.base_values
    assert_allclose(total, model.predict(CELLS), atol=1e-5)
    with pytest.raises(TypeError, match=r"need a fitted graph estimator.*got XGBRegressor"):
        StructureAttack(model).generate(CELLS)


def test_shap_names_the_models_of_those_that_hold_several():
    volume = StructureFeaturizer(groups=["volume"])
    votes = VotingRegressor([("a", make_pipeline(volume, Ridge()))]).fit(CELLS, A)
    with pytest.raises(TypeError, match=r"VotingRegressor does not .* each of its estimators_"):
        shap_table(votes, CELLS)
    assert len(shap_table(votes.estimators_[0], CELLS)) == 12
    rest = DeltaRegressor(make_pipeline(volume, Ridge()), lambda X: np.zeros(len(X)))
    with pytest.raises(TypeError, match=r"DeltaRegressor does not .* explain its estimator_,"):
        shap_table(rest.fit(CELLS, A), CELLS)


def test_networks_inside_other_models_are_named():
    network = regressor("bare")
    votes = VotingRegressor([("a", network)]).fit(CELLS, A)
    rest = DeltaRegressor(network, lambda X: np.zeros(len(X)), references=None).fit(CELLS, A)
    for model, found in ((votes, "one of its networks, estimators_"), (rest, "its network, est")):
        name = type(model).__name__
        for function in (site_attribution, StructureAttack(model).generate):
            with pytest.raises(TypeError, match=f"got {name}; pass {found}"):
                function(*((model, CELLS) if function is site_attribution else (CELLS, A)))


@pytest.mark.parametrize(
    "fit",
    [
        lambda model, y: AugmentedRegressor(model).fit(CELLS, y),
        lambda model, y: EarlyStoppingRegressor(model).fit(CELLS, y),
        lambda model, y: DeltaRegressor(model, lambda X: np.zeros(len(X))).fit(CELLS, y),
        lambda model, y: EFTGANRegressor(regressor=model).fit(CELLS, y),
    ],
)
def test_estimators_of_the_wrong_kind_are_named_in_one_line(fit):
    model = make_pipeline(StructureFeaturizer(), XGBClassifier())
    with pytest.raises(TypeError, match=r"(classifier|regressor).* (XGBClassifier|Pipeline)$"):
        fit(model, A)
