"""CGCNN as an estimator: learning, saving, searches, and errors for wrong input."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from crystals import bcc_fe, fcc_cu, isolated_ne, nickel_fraction, random_alloys
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor, VotingRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from sklmat import CGCNNClassifier, CGCNNRegressor, StructureToGraph
from sklmat.estimators import GraphModel
from sklmat.graphs import _neighbor_search

TINY = {"hidden_dim": 8, "n_conv": 1, "readout_dim": 8, "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def structures():
    return random_alloys(16)


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph().fit_transform(structures)


@pytest.fixture(scope="module")
def y(structures):
    return 100 + 7 * nickel_fraction(structures)


@pytest.fixture(scope="module")
def labels(y):
    return np.where(y > np.median(y), "rich", "poor")


def state(estimator, k=0):
    return {n: v.clone() for n, v in estimator.nets_[k].module_.state_dict().items()}


def test_overfits_ten_crystals(graphs):
    y = np.random.default_rng(0).normal(size=10)
    model = CGCNNRegressor(hidden_dim=16, max_epochs=150, lr=0.01, batch_size=10, random_state=0)
    model.fit(graphs[:10], y)
    assert model.history_[-1]["train_loss"] < 0.1 * model.history_[0]["train_loss"]
    assert np.abs(model.predict(graphs[:10]) - y).mean() < 0.15


def test_learns_what_a_mean_cannot(structures):
    crystals = random_alloys(60, seed=5)
    y = nickel_fraction(crystals)
    model = CGCNNRegressor(hidden_dim=16, max_epochs=40, random_state=0).fit(crystals[:45], y[:45])
    assert model.score(crystals[45:], y[45:]) > 0.8


def test_classifier_learns(structures, labels):
    model = CGCNNClassifier(hidden_dim=16, max_epochs=30, batch_size=8, random_state=0)
    assert model.fit(structures, labels).score(structures, labels) > 0.9
    proba = model.predict_proba(structures)
    assert model.classes_.tolist() == ["poor", "rich"]
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (model.classes_[proba.argmax(axis=1)] == model.predict(structures)).all()


def test_spread_of_probabilities(graphs, labels):
    model = CGCNNClassifier(**TINY, n_ensemble=3).fit(graphs, labels)
    members = []
    for net in model.nets_:
        alone = CGCNNClassifier(**TINY).fit(graphs, labels)
        alone.nets_ = [net]
        members.append(alone.predict_proba(graphs))
    mean, std = model.predict_proba(graphs, return_std=True)
    np.testing.assert_allclose(mean, np.mean(members, axis=0), rtol=1e-5)
    np.testing.assert_allclose(std, np.std(members, axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(mean, model.predict_proba(graphs))
    with pytest.raises(ValueError, match="set n_ensemble to 2 or more"):
        alone.predict_proba(graphs, return_std=True)


def test_three_classes_and_class_weight(graphs):
    y = np.array([0] * 10 + [5] * 4 + [9] * 2)
    plain = CGCNNClassifier(**TINY).fit(graphs, y)
    assert plain.predict_proba(graphs).shape == (16, 3)
    heavy = CGCNNClassifier(**{**TINY, "max_epochs": 30}, class_weight={0: 1e-6, 5: 1e-6, 9: 1.0})
    assert set(heavy.fit(graphs, y).predict(graphs)) == {9}


def test_every_parameter_is_trained(graphs, y):
    model = CGCNNRegressor(**{**TINY, "max_epochs": 1})
    model.fit(graphs, y)
    before = state(model)
    model.partial_fit(graphs, y)
    unchanged = [n for n, v in state(model).items() if torch.equal(v, before[n])]
    # A shift before a batch norm has no gradient but rounding; the rest must move.
    assert set(unchanged) <= {
        "element_vectors",
        "known_elements",
        "convolutions.0.target_map.bias",
    }


def test_structures_and_graphs_give_the_same(structures, graphs, y):
    a = CGCNNRegressor(**TINY).fit(structures, y)
    b = CGCNNRegressor(**TINY).fit(graphs, y)
    np.testing.assert_array_equal(a.predict(structures), b.predict(graphs))
    np.testing.assert_array_equal(a.predict(graphs), b.predict(pd.Series(structures)))


def test_same_seed_same_result_and_no_trace_in_the_users_state(graphs, y):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a = CGCNNRegressor(**TINY, dropout=0.3, n_ensemble=2).fit(graphs, y)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    b = CGCNNRegressor(**TINY, dropout=0.3, n_ensemble=2).fit(graphs, y)
    np.testing.assert_array_equal(a.predict(graphs), b.predict(graphs))
    c = clone(a).set_params(random_state=1).fit(graphs, y)
    assert not np.array_equal(a.predict(graphs), c.predict(graphs))


def test_targets_keep_their_shape_and_unit(graphs, y):
    assert CGCNNRegressor(**TINY).fit(graphs, y).predict(graphs).shape == (16,)
    assert CGCNNRegressor(**TINY).fit(graphs, y[:, None]).predict(graphs).shape == (16, 1)
    both = np.column_stack([y, -1000 * y])
    out = CGCNNRegressor(**TINY).fit(graphs, both).predict(graphs)
    assert out.shape == (16, 2)
    assert np.allclose(out.mean(axis=0), both.mean(axis=0), rtol=0.05)


def test_constant_target_is_predicted(graphs):
    model = CGCNNRegressor(**TINY).fit(graphs, np.full(16, 3.5))
    assert np.allclose(model.predict(graphs), 3.5, atol=2.0)


def test_ensemble_spread(graphs, y):
    model = CGCNNRegressor(**TINY, n_ensemble=3).fit(graphs, y)
    mean, std = model.predict(graphs, return_std=True)
    single = np.stack(
        [
            run[:, 0] * model.y_scale_[0] + model.y_mean_[0]
            for run in GraphModel.of(model).predict_outputs(graphs)
        ]
    )
    np.testing.assert_allclose(mean, single.mean(axis=0))
    np.testing.assert_allclose(std, single.std(axis=0))
    assert std.min() > 0
    parallel = clone(model).set_params(n_jobs=2).fit(graphs, y)
    np.testing.assert_allclose(parallel.predict(graphs), mean, rtol=1e-6)
    with pytest.raises(ValueError, match="n_ensemble"):
        CGCNNRegressor(**TINY).fit(graphs, y).predict(graphs, return_std=True)


# -- keeping


def test_pickle_joblib_and_safe_files(graphs, structures, y, labels, tmp_path):
    regressor = CGCNNRegressor(**TINY, n_ensemble=2).fit(graphs, y)
    classifier = CGCNNClassifier(**TINY, atom_init={k: [k, 1.0] for k in (28, 29, 46)})
    classifier.fit(graphs, labels)
    for model in (regressor, classifier):
        path = tmp_path / "model.safetensors"
        model.save(path)
        joblib.dump(model, tmp_path / "model.joblib")
        for again in (
            pickle.loads(pickle.dumps(model)),
            joblib.load(tmp_path / "model.joblib"),
            type(model).load(path),
        ):
            np.testing.assert_array_equal(again.predict(structures), model.predict(structures))
            assert again.graph_settings_ == model.graph_settings_
            assert again.history_ == model.history_
            assert repr(again.get_params()) == repr(model.get_params())
    with pytest.raises(ValueError, match="holds a CGCNNClassifier"):
        CGCNNRegressor.load(path)
    graphs.save(tmp_path / "graphs.safetensors")
    with pytest.raises(ValueError, match="does not hold an estimator"):
        CGCNNRegressor.load(tmp_path / "graphs.safetensors")


# -- scikit-learn


def test_grid_search_builds_each_graph_once(structures, y, monkeypatch):
    built = []
    original = _neighbor_search.build_edges
    monkeypatch.setattr(
        _neighbor_search, "build_edges", lambda *a, **k: built.append(1) or original(*a, **k)
    )
    pipeline = Pipeline(
        [("graphs", StructureToGraph(cache=211)), ("cgcnn", CGCNNRegressor(**TINY))]
    )
    grid = {"cgcnn__hidden_dim": [4, 8], "graphs__cutoff": [4.0, 6.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(structures, y)
    assert len(built) == 2 * len(structures)
    assert search.predict(structures[:2]).shape == (2,)


def test_a_prediction_checks_no_parameters_and_sets_no_mode_again(structures, y, monkeypatch):
    model = CGCNNRegressor(**TINY).fit(structures, y)
    before = model.predict(structures[:1])

    def refuse(*args, **kwargs):
        raise AssertionError("this takes longer than the graph of a small crystal")

    monkeypatch.setattr(StructureToGraph, "_validate_params", refuse)
    monkeypatch.setattr(torch.nn.Module, "train", refuse)
    np.testing.assert_array_equal(model.predict(structures[:1]), before)
    monkeypatch.undo()
    model.net_.module_.convolutions[0].train()
    np.testing.assert_array_equal(model.predict(structures[:1]), before)


def test_model_selection_on_graphs_and_structures(graphs, structures, y):
    model = CGCNNRegressor(**TINY)
    a = cross_val_score(model, graphs, y, cv=3)
    b = cross_val_score(model, structures, y, cv=3, n_jobs=2)
    np.testing.assert_allclose(a, b, rtol=1e-4)
    search = GridSearchCV(model, {"lr": [1e-3, 1e-2]}, cv=2).fit(graphs, y)
    assert search.best_estimator_.predict(graphs).shape == (16,)


def test_meta_estimators(structures, graphs, y):
    model = CGCNNRegressor(**TINY)
    scaled = TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp).fit(structures, y)
    assert (scaled.predict(structures) > 0).all()
    members = [("a", model), ("b", clone(model).set_params(random_state=1))]
    for meta in (VotingRegressor(members), StackingRegressor(members, cv=2)):
        assert meta.fit(graphs, y).predict(graphs).shape == (16,)


def test_presets(graphs):
    model = CGCNNRegressor.from_preset("xie2018", max_epochs=2, random_state=0)
    assert (model.n_conv, model.readout_dim, model.optimizer, model.lr) == (4, 32, "sgd", 0.02)
    assert model.fit(graphs, np.arange(16.0)).history_[-1]["lr"] == pytest.approx(0.02)
    assert CGCNNClassifier.from_preset("xie2018").dropout == 0.5
    with pytest.raises(ValueError, match="xie2018"):
        CGCNNRegressor.from_preset("xie2019")


# -- what is refused


def test_graphs_must_suit(structures, graphs, y):
    model = CGCNNRegressor(**TINY).fit(graphs, y)
    other = StructureToGraph(cutoff=5.0).fit_transform(structures)
    with pytest.raises(ValueError, match=r"built with \{'cutoff': 5.0\}"):
        model.predict(other)
    with pytest.raises(ValueError, match=r"larger than the 5\.0 Å"):
        CGCNNRegressor(**TINY, cutoff=8.0).fit(other, y)
    small = CGCNNRegressor(**TINY, cutoff=4.0, max_neighbors=6).fit(graphs, y)
    assert small.graph_settings_["cutoff"] == 4.0
    np.testing.assert_allclose(small.predict(graphs), small.predict(structures), rtol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda y: y[:-1], "16 structures and y has 15"),
        (lambda y: np.where(np.arange(16) == 3, np.nan, y), r"in 1 rows: \[3\]"),
        (lambda y: np.where(np.arange(16) == 5, np.inf, y), r"in 1 rows: \[5\]"),
        (lambda y: y.astype(str) + "x", "numeric"),
        (lambda y: y.reshape(2, 2, 4), "shape"),
    ],
)
def test_bad_targets(graphs, y, spoil, message):
    with pytest.raises(ValueError, match=message):
        CGCNNRegressor(**TINY).fit(graphs, spoil(y))


def test_bad_classes_and_elements(graphs, structures, labels, y):
    with pytest.raises(ValueError, match="single class"):
        CGCNNClassifier(**TINY).fit(graphs, ["a"] * 16)
    with pytest.raises(ValueError, match="continuous"):
        CGCNNClassifier(**TINY).fit(graphs, y + 0.123)
    table = {"Ni": [1.0], "Cu": [2.0], "Pd": [3.0]}
    model = CGCNNRegressor(**TINY, atom_init=table).fit(graphs, y)
    with pytest.raises(ValueError, match=r"structure 1 \(Fe2\)"):
        model.predict([structures[0], bcc_fe()])
    with pytest.raises(ValueError, match="empty"):
        CGCNNRegressor(**TINY).fit([], [])
    with pytest.raises(ValueError, match="lr"):
        CGCNNRegressor(**{**TINY, "lr": -1}).fit(graphs, y)


def test_isolated_atoms_are_welcome(structures):
    X = [isolated_ne(), fcc_cu(), *structures[:4]]
    model = CGCNNRegressor(**TINY).fit(X, np.arange(6.0))
    assert np.isfinite(model.predict([isolated_ne()])).all()


def test_inputs_are_not_mutated(structures, graphs, y):
    X, target = copy.deepcopy(structures), y.copy()
    arrays = {n: v.copy() for n, v in vars(graphs).items() if isinstance(v, np.ndarray)}
    CGCNNRegressor(**TINY).fit(structures, y).predict(structures)
    CGCNNRegressor(**TINY).fit(graphs, y)
    assert structures == X
    np.testing.assert_array_equal(y, target)
    for name, value in arrays.items():
        np.testing.assert_array_equal(getattr(graphs, name), value)


def test_sample_weight_counts(graphs):
    y = np.r_[np.zeros(8), np.ones(8)]
    params = {**TINY, "max_epochs": 40, "loss": "mse"}
    heavy = np.r_[np.full(8, 1e-6), np.ones(8)]
    model = CGCNNRegressor(**params).fit(graphs, y, sample_weight=heavy)
    assert model.predict(graphs).mean() > 0.8


def test_a_class_of_rows_without_weight_only_is_unknown(graphs):
    y, weight = np.resize(["high", "low"], len(graphs)), np.ones(len(graphs))
    y[3], weight[3] = "another", 0
    params = {"hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
    model = CGCNNClassifier(**params).fit(graphs, y, sample_weight=weight)
    assert model.classes_.tolist() == ["high", "low"]
    y[3] = "low"
    same = CGCNNClassifier(**params).fit(graphs, y, sample_weight=weight)
    np.testing.assert_array_equal(model.predict_proba(graphs), same.predict_proba(graphs))


def test_weights_do_not_depend_on_batches(graphs):
    y = np.r_[np.zeros(8), np.ones(8)]
    heavy = np.r_[np.full(8, 1e-6), np.ones(8)]
    params = {**TINY, "max_epochs": 15, "batch_size": 1}
    plain = CGCNNRegressor(**params).fit(graphs, y).predict(graphs).mean()
    weighted = CGCNNRegressor(**params).fit(graphs, y, sample_weight=heavy).predict(graphs).mean()
    assert weighted > plain + 0.2
    for spoiled, message in ((-heavy, "negative in row 0"), (0 * heavy, "zero")):
        with pytest.raises(ValueError, match=message):
            CGCNNRegressor(**params).fit(graphs, y, sample_weight=spoiled)


def test_step_schedule_divides_by_ten(graphs, y):
    model = CGCNNRegressor(**{**TINY, "max_epochs": 10}, lr_schedule="step", lr=0.01)
    rates = [row["lr"] for row in model.fit(graphs, y).history_]
    np.testing.assert_allclose(rates, [0.01] * 8 + [0.001] * 2)


def test_numpy_parameters_and_absent_gpus_in_files(graphs, y, tmp_path):
    model = CGCNNRegressor(**{**TINY, "hidden_dim": np.int64(8)}).fit(graphs, y)
    model.save(tmp_path / "m.safetensors")
    again = CGCNNRegressor.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(graphs), model.predict(graphs))
    if not torch.cuda.is_available():
        model.set_params(device="cuda").save(tmp_path / "gpu.safetensors")
        with pytest.warns(UserWarning, match="put on the CPU"):
            CGCNNRegressor.load(tmp_path / "gpu.safetensors")


def test_progress_bar_on_verbose(graphs, y, capsys):
    CGCNNRegressor(**TINY, verbose=True).fit(graphs, y)
    assert "3/3" in capsys.readouterr().err


def test_history_holds_plain_numbers(graphs, y):
    model = CGCNNRegressor(**TINY, n_ensemble=2).fit(graphs, y)
    frame = pd.DataFrame(model.history_)
    assert frame.columns.tolist() == ["member", "epoch", "train_loss", "lr", "dur"]
    assert frame["member"].tolist() == [0, 0, 0, 1, 1, 1]


def test_pickles_of_a_version_with_fewer_parameters():
    X = random_alloys(6)
    model = CGCNNRegressor(hidden_dim=4, n_conv=1, max_epochs=1).fit(X, np.arange(6.0))
    expected = model.predict(X)
    del model.precision
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.get_params()["precision"] == "float32"
    np.testing.assert_array_equal(clone(loaded).set_params(**loaded.get_params()).hidden_dim, 4)
    np.testing.assert_array_equal(loaded.predict(X), expected)
