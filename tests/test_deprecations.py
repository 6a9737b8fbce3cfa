"""Former names of parameters and attributes: they work, with a warning that tells the new one."""

import inspect
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV

import sklmat
from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetRegressor,
    EFTGANRegressor,
    StructureAttack,
)
from sklmat.augmentation import QualityReport
from sklmat.deprecation import renamed_parameters
from sklmat.plotting import (
    AugmentationReportDisplay,
    CompositionMapDisplay,
    ContrastDisplay,
    ElementMapDisplay,
)

SIZES = np.linspace(2.6, 3.2, 12)


def cells():
    return [Structure(Lattice.cubic(a), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for a in SIZES]


def told(former, new):
    return pytest.warns(FutureWarning, match=rf"'{former}' of .* is now called '{new}'.* 0\.3")


@renamed_parameters(old="new")
def identity(first, new=1, **others):
    return first, new, others


# -- the helper


def test_a_former_name_is_passed_on_as_the_new_one():
    with told("old", "new"):
        assert identity(0, old=5, other=2) == (0, 5, {"other": 2})
    assert identity(0, 5) == identity(0, new=5) == (0, 5, {})


def test_warnings_point_at_the_line_of_the_user():
    with told("old", "new") as warned:
        identity(0, old=5)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("call", [lambda: identity(0, 1, old=2), lambda: identity(0, new=1, old=2)])
def test_both_names_at_once_raise(call):
    with pytest.raises(TypeError, match="'new' and 'old'"):
        call()


def test_only_the_new_name_is_in_the_signature():
    assert list(inspect.signature(identity).parameters) == ["first", "new", "others"]
    assert "ecnet" not in inspect.signature(EFTGANRegressor).parameters


# -- functions


@pytest.fixture(scope="module")
def classifier():
    labels = np.where(SIZES > 2.9, "loose", "dense")
    return CGCNNClassifier(hidden_dim=4, max_epochs=2, random_state=0).fit(cells(), labels), labels


def trees():
    X = pd.DataFrame({"a": SIZES, "b": SIZES**2})
    return RandomForestRegressor(2, random_state=0).fit(X, SIZES), X


def alloys():
    X = pd.DataFrame({"x_Fe": [1.0, 0.0, 0.5, 0.2], "x_Ni": [0.0, 1.0, 0.5, 0.8]})
    return LinearRegression().fit(X, [0.0, 1.0, 0.5, 0.8])


FUNCTIONS = {
    "element_vectors": ("element_features", "atom_init", "onehot", (), {}),
    "infer_lattice": ("structures", "X", [cells()[0]], (), {}),
    "datasets.check_volumes": (
        "structures",
        "X",
        [cells()[0]],
        (),
        {"volume_per_atom": [cells()[0].volume / 2]},
    ),
    "datasets.check_compositions": ("structures", "X", ["NiAl"], (), {"expected": ["NiAl"]}),
    "screening.lattice_parameter": ("volume", "volume_per_atom", 11.81, (), {"lattice": "fcc"}),
    "corrected_resampled_ttest": ("confidence", "confidence_level", 0.9, ([1, 2], 8, 2), {}),
}


@pytest.mark.parametrize("path", FUNCTIONS)
def test_functions_take_former_names(path):
    former, new, value, args, others = FUNCTIONS[path]
    function = sklmat
    for name in path.split("."):
        function = getattr(function, name)
    expected = function(*args, **{new: value}, **others)
    with told(former, new):
        found = function(*args, **{former: value}, **others)
    assert joblib.hash(found) == joblib.hash(expected)


def test_compare_estimators_takes_its_former_name():
    X, y = np.random.default_rng(0).random((20, 2)), np.arange(20.0)
    models = {"a": Ridge(), "b": Ridge(10)}
    settings = {"cv": 2, "reference": "a", "scoring": "r2"}
    expected = sklmat.compare_estimators(models, X, y, confidence_level=0.5, **settings)
    with told("confidence", "confidence_level"):
        found = sklmat.compare_estimators(models, X, y, confidence=0.5, **settings)
    pd.testing.assert_frame_equal(found.filter(regex="low|high"), expected.filter(regex="low|high"))


def test_screen_and_its_map_take_their_former_names():
    grid = sklmat.composition_grid(["Fe", "Ni"], 0.5)
    expected = sklmat.screen(alloys(), grid)
    with told("model", "estimator"):
        pd.testing.assert_frame_equal(sklmat.screen(model=alloys(), grid=grid), expected)
    X = pd.DataFrame(np.eye(3), columns=["x_Fe", "x_Ni", "x_Cu"])
    model = LinearRegression().fit(X, [0.0, 1.0, 2.0])
    with told("model", "estimator"):
        CompositionMapDisplay.from_estimator(model=model, elements=["Fe", "Ni", "Cu"], step=0.25)


def test_shap_table_takes_its_former_name():
    forest, X = trees()
    expected = sklmat.shap_table(forest, X)
    with told("model", "estimator"):
        found = sklmat.shap_table(model=forest, X=X)
    np.testing.assert_array_equal(found.values, expected.values)


def test_attributions_take_their_former_name(classifier):
    settings = {"method": "shapley", "background": cells(), "random_state": 0}
    expected = sklmat.site_attribution(classifier[0], cells()[:1], n_permutations=3, **settings)
    with told("n_samples", "n_permutations"):
        found = sklmat.site_attribution(classifier[0], cells()[:1], n_samples=3, **settings)
    pd.testing.assert_frame_equal(found, expected)
    with told("n_samples", "n_permutations"):
        sklmat.element_attribution(classifier[0], cells()[:1], n_samples=3, **settings)


def test_attacks_take_their_former_names(classifier):
    model, labels = classifier
    settings = {"method": "fgsm", "random_state": 0}
    expected = sklmat.find_adversarial_examples(
        model, cells(), labels, budget=0.3, neighbor_list="fixed", **settings
    )
    with told("neighbors", "neighbor_list"), told("scale", "budget"):
        found = sklmat.find_adversarial_examples(
            model, cells(), labels, scale=0.3, neighbors="fixed", **settings
        )
    assert found["index"].tolist() == expected["index"].tolist()
    curves = {"methods": ["fgsm"], "budgets": [0.1], "random_state": 0}
    expected = sklmat.robustness_curve(model, cells(), labels, neighbor_list="fixed", **curves)
    with told("neighbors", "neighbor_list"):
        found = sklmat.robustness_curve(model, cells(), labels, neighbors="fixed", **curves)
    pd.testing.assert_frame_equal(found, expected)


def coordinates(structures):
    return [structure.cart_coords for structure in structures]


def test_a_uniform_displacement_has_a_budget():
    def perturb(*args, **params):
        moved = sklmat.perturb_structures(cells()[:2], *args, random_state=0, **params)
        return coordinates(moved)

    expected = perturb(distribution="uniform", budget=0.2)
    for args, params in (((0.2,), {}), ((), {"scale": 0.2})):
        with pytest.warns(FutureWarning, match=r"now called 'budget'.* 0\.3"):
            found = perturb(*args, distribution="uniform", **params)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        perturb(distribution="uniform"), perturb(distribution="uniform", budget=0.05)
    )
    np.testing.assert_array_equal(perturb(), perturb(0.05))
    with pytest.raises(ValueError, match="leave scale out"):
        perturb(0.2, distribution="uniform", budget=0.1)
    with pytest.raises(ValueError, match="budget is a largest displacement"):
        perturb(budget=0.1)
    with pytest.raises(ValueError, match="budget must be at least 0"):
        perturb(distribution="uniform", budget=-0.1)


def test_displays_take_their_former_names():
    vectors, numbers = np.random.default_rng(0).random((6, 3)), [28, 28, 28, 29, 29, 29]
    values = np.arange(6.0) + 10
    with told("color", "color_by"):
        display = ElementMapDisplay.from_vectors(vectors, numbers, color=values)
    np.testing.assert_array_equal(display.color_by, values)
    with told("color", "color_by"):
        np.testing.assert_array_equal(display.color, values)
    table = pd.DataFrame(np.random.default_rng(0).random((8, 3)), columns=list("abc"))
    with told("alpha", "significance_level"):
        display = ContrastDisplay.from_contrast(sklmat.contrast(table, table + 0.1), alpha=0.01)
    assert display.significance_level == 0.01
    report = QualityReport(
        column_distances=dict.fromkeys(table, 0.1),
        correlation_difference=0.1,
        neighbor_distance_ratio=1.0,
        classifier_auc=0.5,
        code_recovery=1.0,
        real=table,
        generated=table + 0.1,
    )
    with told("max_columns", "max_features"):
        display = AugmentationReportDisplay.from_report(report, max_columns=2)
    assert display.max_features == len(display.columns_) == 2


# -- estimators


def test_estimators_keep_former_names_as_parameters_and_attributes():
    with told("neighbors", "neighbor_list"):
        attack = StructureAttack(neighbors="fixed")
    assert attack.get_params()["neighbor_list"] == clone(attack).neighbor_list == "fixed"
    assert pickle.loads(pickle.dumps(attack)).neighbor_list == "fixed"
    with told("neighbors", "neighbor_list"):
        attack.set_params(neighbors="rebuilt", n_steps=3)
    assert (attack.neighbor_list, attack.n_steps) == ("rebuilt", 3)
    with told("neighbors", "neighbor_list"):
        assert attack.neighbors == "rebuilt"
    with told("neighbors", "neighbor_list"):
        attack.neighbors = "fixed"
    assert attack.neighbor_list == "fixed"
    with pytest.raises(TypeError, match="StructureAttack got 'neighbor_list' and 'neighbors'"):
        attack.set_params(neighbors="fixed", neighbor_list="rebuilt")
    with pytest.raises(TypeError, match="EFTGANRegressor got 'estimator' and 'ecnet'"):
        EFTGANRegressor(ECNetRegressor(), ecnet=ECNetRegressor())


def test_an_attack_inside_an_estimator_keeps_its_former_names():
    model = CGCNNRegressor(adversarial=StructureAttack())
    with told("neighbors", "neighbor_list"):
        model.set_params(adversarial__neighbors="fixed")
    assert model.adversarial.neighbor_list == "fixed"


@renamed_parameters(model="estimator")
class Outer(RegressorMixin, BaseEstimator):
    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        return self

    def predict(self, X):
        return self.estimator_.predict(X)


def test_a_search_takes_former_names_in_its_grid():
    X, y = np.random.default_rng(0).random((20, 2)), np.arange(20.0)
    with told("model__alpha", "estimator__alpha"):
        search = GridSearchCV(Outer(Ridge()), {"model__alpha": [1.0, 2.0]}, cv=2).fit(X, y)
    assert search.best_estimator_.estimator.alpha == search.best_params_["model__alpha"]
    with told("model", "estimator"):
        search = GridSearchCV(Outer(), {"model": [Ridge(1.0), Ridge(2.0)]}, cv=2).fit(X, y)
    assert search.best_estimator_.estimator.alpha == search.best_params_["model"].alpha


def test_the_network_of_eftgan_keeps_its_former_names():
    network = ECNetRegressor()
    with told("ecnet", "estimator"):
        model = EFTGANRegressor(ecnet=network)
    assert model.estimator is network
    with told("ecnet__max_epochs", "estimator__max_epochs"):
        model.set_params(ecnet__max_epochs=7)
    assert clone(model).estimator.max_epochs == 7
    model.estimator_ = network
    with told("ecnet_", "estimator_"):
        assert model.ecnet_ is network
    assert not hasattr(EFTGANRegressor(), "ecnet_")
