"""With scikit-learn's metadata routing: everything works as without it, and metadata arrive."""

import numpy as np
import pytest
import sklearn
from crystals import random_alloys
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tiny_eftgan import tiny

from sklmat import (
    AdversarialFeatureBuilder,
    AugmentedClassifier,
    AugmentedRegressor,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    DeltaRegressor,
    DisorderFeaturizer,
    EarlyStoppingRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    GraphEmbedding,
    MixupAugmenter,
    NoiseAugmenter,
    OrderingRegressor,
    PerturbationSampler,
    StructureAttack,
    StructureFeaturizer,
    StructureToGraph,
)
from sklmat.estimator_checks import check_sampler, check_structure_estimator

N = 12
CELLS = random_alloys(N, n_cells=1)
Y = np.arange(float(N))
CLASSES = np.resize(["low", "high"], N)
WEIGHT = np.where(np.isin(np.arange(N), [0, 3]), 0.0, 1.0)
SMALL = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
ELEMENTS = {**SMALL, "n_filters": 4, "tower_dims": (4,)}
FOLDS = KFold(2, shuffle=True, random_state=0)


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def no_baseline(structures):
    return np.zeros(len(structures))


def boosting():
    return HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=1, random_state=0)


def early():
    model = make_pipeline(CompositionFeaturizer(), boosting())
    return EarlyStoppingRegressor(model, validation_fraction=0.3, random_state=0)


QUICK = [StructureToGraph(cutoff=4.0), ECNetRegressor(**ELEMENTS)]


@pytest.mark.parametrize("estimator", QUICK, ids=lambda each: type(each).__name__)
def test_checks_of_estimators(estimator):
    assert len(check_structure_estimator(estimator)) > 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        CGCNNRegressor(**SMALL),
        CGCNNClassifier(**SMALL),
        CompositionFeaturizer(),
        ECNetFeaturizer(ECNetRegressor(**ELEMENTS)),
        GraphEmbedding(CGCNNRegressor(**SMALL)),
        StructureFeaturizer(),
        DisorderFeaturizer(),
        early(),
        tiny(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_checks_of_slower_estimators(estimator, few_trees):
    check_structure_estimator(estimator)


@pytest.mark.parametrize("sampler", [MixupAugmenter()])
def test_checks_of_samplers(sampler):
    check_sampler(sampler)


def augmented(**params):
    steps = CompositionFeaturizer(), Ridge().set_fit_request(sample_weight=True)
    model = AugmentedRegressor(make_pipeline(*steps), None, **params)
    return model.set_fit_request(sample_weight=True)


WITHOUT_METADATA = {
    "graphs": make_pipeline(StructureToGraph(cutoff=4.0), CGCNNRegressor(**SMALL)),
    "trees": make_pipeline(StructureFeaturizer(), boosting()),
    "scaled": make_pipeline(CompositionFeaturizer(), StandardScaler(), Ridge()),
    "elements": make_pipeline(ECNetFeaturizer(ECNetRegressor(**ELEMENTS)), Ridge()),
    "embedding": make_pipeline(GraphEmbedding(CGCNNRegressor(**SMALL)), Ridge()),
    "difference": DeltaRegressor(ECNetRegressor(**ELEMENTS), no_baseline),
    "augmented": AugmentedRegressor(CGCNNRegressor(**SMALL), PerturbationSampler()),
    "early stopping": early(),
    "EFTGAN": tiny(),
    "orderings": OrderingRegressor(),
}


@pytest.mark.parametrize("name", WITHOUT_METADATA)
def test_searches(name, few_trees):
    cells = random_alloys(N, n_cells=1) if name != "orderings" else ordered_cells()
    search = GridSearchCV(WITHOUT_METADATA[name], {}, cv=FOLDS, error_score="raise")
    search.fit(cells, Y)
    assert np.isfinite(search.predict(cells)).all()
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def ordered_cells():
    """Cells that differ only in which element is on which site."""
    cells = []
    for row in range(N):
        cell = CELLS[0].copy()
        for site in range(len(cell)):
            cell.replace(site, ["Ni", "Cu"][(row >> site) & 1])
        cells.append(cell)
    return cells


WITH_WEIGHTS = {
    "network": CGCNNRegressor(**SMALL),
    "difference": DeltaRegressor(ECNetRegressor(**ELEMENTS), no_baseline),
    "augmented": AugmentedRegressor(CGCNNRegressor(**SMALL), None),
    "early stopping": early(),
}


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_in_a_search(name):
    model = sklearn.base.clone(WITH_WEIGHTS[name])
    with pytest.raises(UnsetMetadataPassedError, match=r"\[sample_weight\] are passed but"):
        GridSearchCV(model, {}, cv=FOLDS).fit(CELLS, Y, sample_weight=WEIGHT)
    model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    search = GridSearchCV(model, {}, cv=FOLDS, error_score="raise")
    search.fit(CELLS, Y, sample_weight=WEIGHT)
    direct = sklearn.base.clone(model).fit(CELLS, Y, sample_weight=WEIGHT)
    assert np.array_equal(search.predict(CELLS), direct.predict(CELLS))
    equal = sklearn.base.clone(model).fit(CELLS, Y)
    assert not np.array_equal(search.predict(CELLS), equal.predict(CELLS))


def test_weights_of_steps_inside_an_augmented_pipeline():
    y = np.where(WEIGHT == 0, 1e6, Y)
    for model in (augmented(), augmented(sample_weight=0.5)):
        model.fit(CELLS, y, sample_weight=WEIGHT)
        assert np.abs(model.predict(CELLS)).max() < 100
    # Generated rows have half of the weight of real ones.
    logistic = LogisticRegression().set_fit_request(sample_weight=True)
    table = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), logistic)
    model = AugmentedClassifier(table, NoiseAugmenter(random_state=0), sample_weight=0.5)
    X = np.random.default_rng(0).normal(size=(N, 3))
    with sklearn.config_context(enable_metadata_routing=False):
        expected = sklearn.base.clone(model).fit(X, CLASSES).predict_proba(X)
    assert np.array_equal(model.fit(X, CLASSES).predict_proba(X), expected)


def test_groups_and_phases_of_steps():
    builder = AdversarialFeatureBuilder(
        CGCNNClassifier(**SMALL), attack=StructureAttack(n_steps=1), include=("margin",), cv=2
    ).set_fit_request(groups=True)
    model = make_pipeline(builder, LogisticRegression())
    model.fit(CELLS, CLASSES, groups=np.arange(N))
    assert model.predict(CELLS).shape == (N,)
    phases = np.resize(["fcc", "bcc"], N)
    request = {"phase": True}
    composition = CompositionFeaturizer(lattice=True)
    composition.set_fit_request(**request).set_transform_request(**request)
    eftgan = tiny(predict_from="composition")
    eftgan.set_fit_request(**request).set_predict_request(**request).set_score_request(**request)
    for each in (make_pipeline(composition, Ridge()), eftgan):
        found = cross_validate(
            each, CELLS, Y, cv=FOLDS, params={"phase": phases}, error_score="raise"
        )
        assert np.isfinite(found["test_score"]).all()
