"""Parameters of CGCNN that are "auto": width, optimizer and learning rate follow the rows."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklmat import CGCNNClassifier, CGCNNRegressor, ECNetRegressor, StructureToGraph
from sklmat.datasets import make_alloys
from sklmat.estimators import _cgcnn_estimators

SHORT = {"max_epochs": 2, "batch_size": 5, "random_state": 0}
SMALL = {"hidden_dim": 32, "optimizer": "adam", "max_epochs": 100, "lr": 0.01}
LARGE = {"hidden_dim": 64, "optimizer": "muon", "max_epochs": 200, "lr": 0.004}


@pytest.fixture(scope="module")
def data():
    cells, y = make_alloys(14, n_atoms=4, return_X_y=True)
    return StructureToGraph(cutoff=4.0).fit_transform(cells), y


@pytest.fixture
def ten_are_many(monkeypatch):
    monkeypatch.setattr(_cgcnn_estimators, "_MANY_ROWS", 10)
    monkeypatch.setattr(_cgcnn_estimators, "_MANY_PER_ELEMENT", 1)


@pytest.mark.parametrize("cls", [CGCNNRegressor, CGCNNClassifier])
@pytest.mark.parametrize(
    ("params", "n_rows", "expected"),
    [
        ({}, 1, SMALL),
        ({}, 1000, SMALL),
        # 1001 rows are 32 batches: 14000 steps would be 438 epochs.
        ({}, 1001, LARGE),
        # 100 batches: 140 epochs; 141 batches: 99.3 epochs.
        ({}, 3200, {**LARGE, "max_epochs": 140}),
        ({}, 4512, {**LARGE, "max_epochs": 100}),
        ({}, 1_000_000, {**LARGE, "max_epochs": 100}),
        ({"batch_size": 100}, 10_000, {**LARGE, "max_epochs": 140}),
        # A given rate or optimizer means the training that it was chosen for.
        ({"lr": 0.02}, 1001, SMALL),
        ({"optimizer": "adam"}, 1001, SMALL),
        ({"optimizer": "sgd"}, 1001, {**SMALL, "optimizer": "sgd"}),
        ({"optimizer": "muon"}, 5, {**SMALL, "optimizer": "muon", "lr": 0.004}),
        ({"optimizer": "muon", "lr": 0.02}, 1001, LARGE),
    ],
)
def test_rule(cls, params, n_rows, expected):
    estimator = cls(**params)
    assert estimator.architecture.auto_values(estimator, n_rows, 4) == expected


def test_many_elements_need_more_rows():
    estimator = CGCNNRegressor()
    rule = estimator.architecture.auto_values
    assert [rule(estimator, n_rows, 82) for n_rows in (8200, 8201)] == [
        SMALL,
        {**LARGE, "max_epochs": 100},
    ]


def test_few_rows_are_trained_as_before(data):
    graphs, y = data
    auto, given = (
        CGCNNRegressor(random_state=0, **params).fit(graphs[:4], y[:4]) for params in ({}, SMALL)
    )
    assert (auto.auto_params_, given.auto_params_) == (SMALL, {})
    assert auto.n_iter_ == 100
    assert np.array_equal(auto.predict(graphs), given.predict(graphs))


def chosen(values):
    return {name: value for name, value in values.items() if name != "max_epochs"}


@pytest.mark.parametrize("kept", ["hidden_dim", "optimizer", "lr"])
def test_only_parameters_that_are_auto_are_chosen(data, ten_are_many, kept):
    graphs, y = data
    value = {"hidden_dim": 7, "optimizer": "sgd", "lr": 0.02}[kept]
    model = CGCNNRegressor(**SHORT, **{kept: value}).fit(graphs, y)
    assert set(model.auto_params_) == {"hidden_dim", "optimizer", "lr"} - {kept}
    assert model.net_.module_.config["hidden_dim"] == (7 if kept == "hidden_dim" else 32)
    optimizer = {"hidden_dim": "muon", "optimizer": "sgd", "lr": "adam"}[kept]
    assert model.net_.optimizer_name == optimizer
    assert model.net_.lr == {"hidden_dim": 0.004, "optimizer": 0.01, "lr": 0.02}[kept]


def test_many_rows(data, ten_are_many):
    graphs, y = data
    large = chosen(LARGE)
    auto, given = (CGCNNRegressor(**SHORT, **params).fit(graphs, y) for params in ({}, large))
    assert auto.auto_params_ == large
    assert np.array_equal(auto.predict(graphs), given.predict(graphs))
    assert auto.get_params()["lr"] == clone(auto).lr == "auto"
    assert not hasattr(clone(auto), "auto_params_")
    # Rows for validation do not count.
    few = CGCNNRegressor(**SHORT, early_stopping=True, validation_fraction=0.5).fit(graphs, y)
    assert few.auto_params_ == chosen(SMALL)
    # Nor do rows without a weight.
    few.set_params(early_stopping=False).fit(graphs, y, sample_weight=[1] * 10 + [0] * 4)
    assert few.auto_params_ == chosen(SMALL)


def test_values_of_the_last_fit_are_shown(data):
    graphs, y = data
    model = CGCNNRegressor(**SHORT).fit(graphs, y)
    model.set_params(hidden_dim=8, lr=0.02).fit(graphs, y)
    assert model.auto_params_ == {"optimizer": "adam"}
    assert not hasattr(ECNetRegressor(max_epochs=1, n_ensemble=1).fit(graphs, y), "auto_params_")


@pytest.mark.parametrize("further", ["warm_start", "partial_fit"])
def test_training_further_keeps_network_and_optimizer(data, ten_are_many, further):
    graphs, y = data
    small = chosen(SMALL)
    models = [CGCNNRegressor(**SHORT, **params, warm_start=True) for params in ({}, small)]
    for model in models:
        model.fit(graphs[:8], y[:8])
        (model.fit if further == "warm_start" else model.partial_fit)(graphs, y)
    assert models[0].auto_params_ == small
    assert np.array_equal(*(model.predict(graphs) for model in models))


def test_training_further_with_another_optimizer_is_an_error(data):
    graphs, y = data
    model = CGCNNRegressor(**SHORT, hidden_dim=4, warm_start=True).fit(graphs, y)
    model.set_params(optimizer="adam").fit(graphs, y)
    with pytest.raises(ValueError, match="cannot change its optimizer: optimizer was adam, is muo"):
        model.set_params(optimizer="muon").fit(graphs, y)
    with pytest.raises(ValueError, match="set warm_start=False, or clone, to start over"):
        model.set_params(optimizer="sgd").partial_fit(graphs, y)


def test_new_network_has_the_width_of_its_source(data, ten_are_many):
    graphs, y = data
    source = CGCNNRegressor(**SHORT, hidden_dim=6).fit(graphs, y)
    model = CGCNNRegressor(**SHORT, warm_start_from=FrozenEstimator(source)).fit(graphs, y)
    assert model.auto_params_ == {**chosen(LARGE), "hidden_dim": 6}


def test_partial_fit_alone(data):
    graphs, y = data
    model = CGCNNClassifier(batch_size=5, random_state=0)
    model.partial_fit(graphs, y > np.median(y)).partial_fit(graphs, y > np.median(y))
    assert model.n_iter_ == 2
    assert model.auto_params_ == chosen(SMALL)
    assert [row["lr"] for row in model.history_] == [0.01, 0.01]


def test_files(data, ten_are_many, tmp_path):
    graphs, y = data
    model = CGCNNRegressor(**SHORT, warm_start=True).fit(graphs, y)
    model.save(tmp_path / "model")
    loaded = CGCNNRegressor.load(tmp_path / "model")
    assert loaded.auto_params_ == chosen(LARGE)
    assert loaded.hidden_dim == "auto"
    assert loaded.net_.optimizer_name == "muon"
    assert np.array_equal(loaded.predict(graphs), model.predict(graphs))
    loaded.fit(graphs[:6], y[:6])
    assert loaded.auto_params_ == {**chosen(LARGE), "hidden_dim": 64}


def test_files_of_earlier_versions(data, ten_are_many, tmp_path):
    graphs, y = data
    model = CGCNNRegressor(**SHORT, **chosen(SMALL), warm_start=True).fit(graphs, y)
    del model.auto_params_
    model.save(tmp_path / "model")
    for loaded in (CGCNNRegressor.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(loaded.predict(graphs), model.predict(graphs))
        loaded.set_params(lr="auto", optimizer="auto").fit(graphs, y)
        assert loaded.auto_params_ == {"optimizer": "adam", "lr": 0.01}


def test_checkpoints_do_not_depend_on_who_chose(data, tmp_path):
    graphs, y = data
    path = tmp_path / "checkpoint"
    given = CGCNNRegressor(**SHORT, **chosen(SMALL)).fit(graphs, y, checkpoint=path)
    auto = CGCNNRegressor(**SHORT).fit(graphs, y, checkpoint=path)
    assert np.array_equal(auto.predict(graphs), given.predict(graphs))
