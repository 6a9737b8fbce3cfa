"""Every estimator of ours has distributions of its parameters, also inside others."""

import inspect

import numpy as np
import pytest
from crystals import random_alloys
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

import sklmat
from sklmat import (
    AugmentedRegressor,
    CGCNNRegressor,
    CompositionFeaturizer,
    EarlyStoppingRegressor,
    ECNetRegressor,
    MixupAugmenter,
    StructureToGraph,
    baselines,
    search_space,
)

OURS = sorted(
    name
    for name in sklmat.__all__
    if inspect.isclass(getattr(sklmat, name)) and issubclass(getattr(sklmat, name), BaseEstimator)
)
#: Arguments of estimators that have no parameters of their own, or need some.
ARGUMENTS = {
    "ApplicabilityDomain": [ECNetRegressor()],
    "AugmentedClassifier": [XGBClassifier()],
    "AugmentedRegressor": [Ridge()],
    "CalibratedStdRegressor": [ECNetRegressor(n_ensemble=2)],
    "ConformalClassifier": [XGBClassifier()],
    "ConformalRegressor": [Ridge()],
    "DeltaRegressor": [Ridge(), len],
    "EarlyStoppingClassifier": [XGBClassifier()],
    "EarlyStoppingRegressor": [XGBRegressor()],
    "GraphEmbedding": [CGCNNRegressor()],
}


def draws(estimator, number=8):
    """The estimator with parameters that are drawn from its space."""
    space = search_space(estimator)
    if all(isinstance(values, list) for values in space.values()):
        number = min(number, np.prod([len(values) for values in space.values()]))
    assert space.keys() <= estimator.get_params().keys()
    for values in ParameterSampler(space, number, random_state=0):
        yield clone(estimator).set_params(**values)


@pytest.mark.parametrize("name", OURS)
def test_every_estimator_has_a_space_of_valid_values(name):
    estimator = getattr(sklmat, name)(*ARGUMENTS.get(name, []))
    drawn = list(draws(estimator))
    assert len({repr(each) for each in drawn}) > 1
    for each in drawn:
        each._validate_params()


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_baselines_have_spaces(task):
    models = baselines(task, random_alloys(6))
    for name, model in models.items():
        if name in ("mean", "most frequent"):
            continue
        for each in draws(model):
            for part in each.get_params().values():
                if hasattr(part, "_parameter_constraints"):
                    part._validate_params()


@pytest.mark.parametrize(
    "model", [Ridge(), LogisticRegression(), GaussianProcessRegressor(), XGBRegressor()]
)
def test_other_libraries(model):
    assert len(list(draws(model))) == 8


def test_parts_have_their_names_as_prefixes():
    model = make_pipeline(CompositionFeaturizer(), StandardScaler(), Ridge())
    keys = {"compositionfeaturizer__fractions", "compositionfeaturizer__statistics", "ridge__alpha"}
    assert search_space(model).keys() == keys
    nested = AugmentedRegressor(model, MixupAugmenter())
    assert search_space(nested).keys() == {
        *(f"estimator__{key}" for key in keys),
        "augmenter__alpha",
        "augmenter__n_samples",
    }
    network = make_pipeline(StructureToGraph(), CGCNNRegressor())
    assert {"structuretograph__cutoff", "cgcnnregressor__lr"} <= search_space(network).keys()


@pytest.mark.parametrize(
    ("boosting", "limit"),
    [(XGBRegressor(), "n_estimators"), (HistGradientBoostingRegressor(), "max_iter")],
)
def test_number_of_trees_is_not_searched_where_it_is_found_by_early_stopping(boosting, limit):
    assert limit in search_space(boosting)
    steps = make_sampling_pipeline(CompositionFeaturizer(), MixupAugmenter(), boosting)
    for inner in (boosting, steps):
        found = search_space(EarlyStoppingRegressor(inner))
        assert "n_iter_no_change" in found
        assert any(key.endswith("learning_rate") for key in found)
        assert not any(key.endswith(limit) for key in found)


def test_networks_of_your_own_have_the_parameters_of_training():
    class OwnRegressor(sklmat.estimators.GraphRegressor):
        pass

    assert search_space(OwnRegressor()).keys() == {"lr", "batch_size"}


@pytest.mark.parametrize(
    "estimator", [CGCNNRegressor(), ECNetRegressor(), MixupAugmenter(), StructureToGraph()]
)
def test_defaults_are_in_the_space(estimator):
    for key, values in search_space(estimator).items():
        default = getattr(estimator, key)
        if isinstance(values, list):
            assert default in values, key
        elif default != "auto":
            assert values.support()[0] <= default <= values.support()[1], key


def test_settings_of_xgboost_are_in_its_space():
    # Its own defaults, in the documentation of XGBoost.
    known = {"max_depth": 6, "min_child_weight": 1, "subsample": 1, "reg_lambda": 1}
    space = search_space(XGBRegressor())
    for key, default in known.items():
        assert space[key].support()[0] <= default <= space[key].support()[1], key


@pytest.mark.parametrize("name", OURS)
def test_lists_of_numbers_are_in_order(name):
    for values in search_space(getattr(sklmat, name)(*ARGUMENTS.get(name, []))).values():
        if isinstance(values, list) and all(type(value) in (int, float) for value in values):
            assert values == sorted(set(values))


def test_spaces_can_be_edited():
    search_space(CGCNNRegressor())["batch_size"].clear()
    assert search_space(CGCNNRegressor())["batch_size"] == [16, 32, 64]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (StandardScaler(), "StandardScaler has no parameters to search, nor has a part of it"),
        (make_pipeline(StandardScaler()), "for the estimators of sklmat and for .*XGBRegressor"),
        (CGCNNRegressor, "needs an instance of an estimator, got CGCNNRegressor"),
        ("cgcnn", "needs an instance of an estimator, got str"),
    ],
)
def test_what_has_no_space(wrong, message):
    with pytest.raises(TypeError, match=message):
        search_space(wrong)


def test_search_of_a_pipeline():
    X = [{"Ni": n, "Cu": 20 - n} for n in range(20)]
    y = np.arange(20.0)
    model = make_pipeline(CompositionFeaturizer(properties=[]), Ridge())
    space = {key: value for key, value in search_space(model).items() if key.startswith("ridge")}
    search = RandomizedSearchCV(
        model,
        space,
        n_iter=6,
        cv=KFold(4, shuffle=True, random_state=0),
        random_state=0,
    )
    # The label is a linear function of the fractions, without noise.
    best = search.fit(X, y).best_estimator_
    assert best["ridge"].alpha == min(search.cv_results_["param_ridge__alpha"])
