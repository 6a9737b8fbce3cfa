"""ECNet estimators: the contract of graph estimators, several targets, transfer, insight."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from crystals import bcc_fe, fcc_cu, isolated_ne, nickel_fraction, random_alloys
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklmat import CGCNNRegressor, ECNetClassifier, ECNetRegressor, StructureToGraph
from sklmat.batches import make_batch
from sklmat.elements import element_symbols
from sklmat.estimators import GraphModel

TINY = {
    "hidden_dim": 8,
    "n_filters": 8,
    "tower_dims": (8,),
    "n_conv": 1,
    "radial_step": 0.25,
    "max_epochs": 3,
    "n_ensemble": 2,
    "random_state": 0,
}
#: A training that leaves the weights where they start.
STILL = {**TINY, "max_epochs": 1, "lr": 1e-12, "weight_decay": 0.0}
CUTOFF = 5.0


@pytest.fixture(scope="module")
def structures():
    return random_alloys(16, n_cells=1)


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph(cutoff=CUTOFF, max_neighbors=None).fit_transform(structures)


@pytest.fixture(scope="module")
def y(structures):
    return 100 + 7 * nickel_fraction(structures) + np.linspace(0, 1, 16)


@pytest.fixture(scope="module")
def both(y):
    return np.column_stack([y, np.random.default_rng(0).normal(size=16)])


@pytest.fixture(scope="module")
def labels(y):
    return np.where(y > np.median(y), "rich", "poor")


@pytest.fixture(scope="module")
def source(graphs, both):
    """A network that another one may start from."""
    return ECNetRegressor(**{**TINY, "max_epochs": 10}).fit(graphs, both)


def state(estimator):
    return {n: v.clone() for n, v in estimator.net_.module_.state_dict().items()}


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def of_members(model, graphs):
    """Predictions of the members in the unit of y, ndarray of shape (C, M, T)."""
    elements = GraphModel.of(model).inputs(graphs)
    with torch.no_grad():
        outputs = model.net_.module_.eval()(make_batch(elements)).double().numpy()
    return outputs * model.y_scale_ + model.y_mean_


# -- graphs


def test_structures_become_graphs_of_all_neighbours_within_six_angstroms(structures, y):
    model = ECNetRegressor(**TINY).fit(structures, y)
    assert model.graph_settings_["cutoff"] == 6.0
    assert model.graph_settings_["max_neighbors"] is None
    assert model.net_.module_.config["cutoff"] == 6.0
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(structures)
    np.testing.assert_array_equal(model.predict(graphs), model.predict(structures))
    again = ECNetRegressor(**TINY).fit(graphs, y)
    np.testing.assert_array_equal(again.predict(pd.Series(structures)), model.predict(graphs))


def test_graphs_bring_their_own_settings(structures, graphs, y):
    cut = StructureToGraph(cutoff=4.0, max_neighbors=12).fit_transform(structures)
    model = ECNetRegressor(**TINY).fit(cut, y)
    assert model.graph_settings_ == cut.settings
    np.testing.assert_allclose(model.predict(structures), model.predict(cut), rtol=1e-6)
    with pytest.raises(ValueError, match=r"built with \{'cutoff': 5.0, 'max_neighbors': None\}"):
        model.predict(graphs)
    with pytest.raises(ValueError, match=r"larger than the 5\.0 Å"):
        ECNetRegressor(**TINY, cutoff=6.0).fit(graphs, y)
    smaller = ECNetRegressor(**TINY, cutoff=4.0, max_neighbors=12).fit(graphs, y)
    np.testing.assert_array_equal(smaller.predict(graphs), model.predict(cut))


def test_isolated_atoms_are_welcome(structures):
    X = [isolated_ne(), fcc_cu(), *structures[:4]]
    model = ECNetRegressor(**TINY).fit(X, np.arange(6.0))
    assert np.isfinite(model.predict([isolated_ne()])).all()


def test_elements_without_a_vector_are_named(structures, graphs, y):
    table = {"Ni": [1.0], "Cu": [2.0], "Pd": [3.0]}
    model = ECNetRegressor(**TINY, atom_init=table).fit(graphs, y)
    with pytest.raises(ValueError, match=r"structure 1 \(Fe2\)"):
        model.predict([structures[0], bcc_fe()])
    with pytest.raises(ValueError, match=r"structure 0 \(Fe2\)"):
        ECNetRegressor(**TINY, atom_init=table).fit([bcc_fe(), structures[0]], [1.0, 2.0])


def test_inputs_are_not_mutated(structures, graphs, both):
    X, target = copy.deepcopy(structures), both.copy()
    target[3, 1] = np.nan
    given, weight = target.copy(), np.ones(16)
    arrays = {n: v.copy() for n, v in vars(graphs).items() if isinstance(v, np.ndarray)}
    ECNetRegressor(**TINY).fit(structures, given, sample_weight=weight).predict(structures)
    model = ECNetRegressor(**TINY).fit(graphs, given)
    model.transform(graphs)
    model.element_contributions(graphs)
    assert structures == X
    np.testing.assert_array_equal(given, target)
    np.testing.assert_array_equal(weight, 1)
    for name, value in arrays.items():
        np.testing.assert_array_equal(getattr(graphs, name), value)


# -- one target and several


def test_targets_keep_their_shape_and_unit(graphs, y):
    flat = ECNetRegressor(**{**TINY, "max_epochs": 60}).fit(graphs, y)
    column = ECNetRegressor(**{**TINY, "max_epochs": 60}).fit(graphs, y[:, None])
    assert flat.predict(graphs).shape == (16,)
    np.testing.assert_array_equal(column.predict(graphs), flat.predict(graphs)[:, None])
    assert flat.score(graphs, y) > 0.5
    scaled = ECNetRegressor(**TINY).fit(graphs, 5 - 2 * y).predict(graphs)
    assert ((scaled > 3 - 2 * 108) & (scaled < 5 - 2 * 99)).all()
    two = ECNetRegressor(**TINY).fit(graphs, np.column_stack([y, -1000 * y]))
    assert (two.n_outputs_, two.predict(graphs).shape) == (2, (16, 2))
    np.testing.assert_allclose(two.y_mean_, [y.mean(), -1000 * y.mean()])
    np.testing.assert_allclose(two.y_scale_, [y.std(), 1000 * y.std()])


class Spoil(Callback):
    """Puts nonsense where nothing has a weight, and remembers the weights."""

    def __init__(self, value):
        self.value = value
        self.weights = []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        target, weight = batch[1]
        target[weight == 0] = self.value
        self.weights.append(weight.clone())


def test_missing_targets_have_no_say(graphs, both):
    holes = both.copy()
    holes[2:9, 1] = np.nan
    holes[12, 0] = np.nan
    predictions = []
    for value in (0.0, 1e6):
        spoil = Spoil(value)
        model = ECNetRegressor(**{**TINY, "max_epochs": 5}, callbacks=[spoil]).fit(graphs, holes)
        predictions.append(model.predict(graphs))
        weights = torch.cat(spoil.weights)
        assert (weights == 0).sum(dim=0).tolist() == [5 * 1, 5 * 7]
        np.testing.assert_allclose(weights[weights > 0], 32 / 24, rtol=1e-6)
    np.testing.assert_array_equal(*predictions)
    np.testing.assert_allclose(model.y_mean_, np.nanmean(holes, axis=0))
    np.testing.assert_allclose(model.y_scale_, np.nanstd(holes, axis=0))
    assert np.isfinite(predictions[0]).all()


def test_missing_targets_are_predicted(graphs, structures):
    """Rows without the second target learn it from the other rows."""
    nickel = nickel_fraction(structures)
    twice = np.column_stack([nickel, 5 + 2 * nickel])
    holes = twice.copy()
    holes[::4, 1] = np.nan
    model = ECNetRegressor(**{**TINY, "max_epochs": 100, "n_conv": 0}).fit(graphs, holes)
    missed = (model.predict(graphs) - twice)[::4, 1]
    assert np.abs(missed).mean() < 0.5 * twice[:, 1].std()


def test_what_cannot_be_learned_from_is_named(graphs, both, y):
    holes = both.copy()
    holes[[3, 7]] = np.nan
    with pytest.raises(ValueError, match=r"NaN in all targets, in 2 rows: \[3, 7\]"):
        ECNetRegressor(**TINY).fit(graphs, holes)
    with pytest.raises(ValueError, match=r"in 1 rows: \[5\]"):
        ECNetRegressor(**TINY).fit(graphs, np.where(np.arange(16) == 5, np.nan, y))
    with pytest.raises(ValueError, match=r"in 1 rows: \[5\]"):
        ECNetRegressor(**TINY).fit(graphs, np.where(np.arange(16)[:, None] == 5, np.inf, both))
    empty = both.copy()
    empty[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"no training row has target \[1\]"):
        ECNetRegressor(**TINY).fit(graphs, empty)
    stopping = ECNetRegressor(**TINY, early_stopping=True, validation_fraction=0.25)
    _, valid = stopping._split(y, stopping._training_seed())
    empty[valid, 1] = 1.0
    with pytest.raises(ValueError, match=r"no training row has target \[1\]"):
        stopping.fit(graphs, empty)


def test_a_target_without_weight_is_not_learned(graphs, both):
    nonsense = np.column_stack([both[:, 0], np.random.default_rng(5).normal(size=16) ** 3])
    for weights, alike in (((1, 0), True), (None, False)):
        params = {**TINY, "target_weights": weights}
        first, second = (
            ECNetRegressor(**params).fit(graphs, targets).predict(graphs)[:, 0]
            for targets in (both, nonsense)
        )
        assert np.array_equal(first, second) == alike


def test_target_weights_are_relative(graphs, both):
    spoil = Spoil(0.0)
    model = ECNetRegressor(**TINY, target_weights=(3, 1), callbacks=[spoil]).fit(graphs, both)
    np.testing.assert_allclose(torch.cat(spoil.weights), [[1.5, 0.5]] * 48)
    same = ECNetRegressor(**TINY, target_weights=np.array([0.75, 0.25])).fit(graphs, both)
    np.testing.assert_array_equal(model.predict(graphs), same.predict(graphs))
    even = ECNetRegressor(**TINY, target_weights=[7, 7]).fit(graphs, both)
    plain = ECNetRegressor(**TINY).fit(graphs, both)
    np.testing.assert_array_equal(even.predict(graphs), plain.predict(graphs))


@pytest.mark.parametrize(
    "weights", [(1,), (1, 1, 1), (-1, 1), (0, 0), (np.nan, 1), (np.inf, 1), [[1, 1]]]
)
def test_bad_target_weights(graphs, both, weights):
    with pytest.raises(ValueError, match="target_weights must be 2 numbers"):
        ECNetRegressor(**TINY, target_weights=weights).fit(graphs, both)


def test_target_weights_are_checked_for_a_single_target(graphs, y):
    with pytest.raises(ValueError, match="target_weights must be 1 numbers"):
        ECNetRegressor(**TINY, target_weights=(3, 1)).fit(graphs, y)


def test_spread_of_the_ensemble(graphs, both, y):
    model = ECNetRegressor(**{**TINY, "n_ensemble": 3}).fit(graphs, both)
    members = of_members(model, graphs)
    mean, std = model.predict(graphs, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(graphs))
    np.testing.assert_allclose(mean, members.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(std, members.std(axis=1), rtol=1e-3)
    assert std.min() > 0
    flat, spread = ECNetRegressor(**TINY).fit(graphs, y).predict(graphs, return_std=True)
    assert flat.shape == spread.shape == (16,)
    with pytest.raises(ValueError, match="needs an ensemble"):
        ECNetRegressor(**{**TINY, "n_ensemble": 1}).fit(graphs, y).predict(graphs, return_std=True)


def test_sample_weight_counts(graphs):
    y = np.r_[np.zeros(8), np.ones(8)]
    params = {**TINY, "max_epochs": 40}
    heavy = np.r_[np.full(8, 1e-6), np.ones(8)]
    model = ECNetRegressor(**params).fit(graphs, y, sample_weight=heavy)
    assert model.predict(graphs).mean() > 0.8
    two = ECNetRegressor(**params).fit(graphs, np.column_stack([y, 1 - y]), sample_weight=heavy)
    np.testing.assert_allclose(two.predict(graphs).mean(axis=0), [1, 0], atol=0.2)
    scaled = ECNetRegressor(**params).fit(graphs, y, sample_weight=2 * heavy)
    np.testing.assert_allclose(scaled.predict(graphs), model.predict(graphs), rtol=1e-3)
    with pytest.raises(ValueError, match="negative in row 0"):
        ECNetRegressor(**params).fit(graphs, y, sample_weight=-heavy)
    with pytest.raises(ValueError, match="zero"):
        ECNetRegressor(**params).fit(graphs, y, sample_weight=0 * heavy)


# -- training


def test_same_seed_same_result_and_no_trace_in_the_users_state(graphs, y):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a = ECNetRegressor(**TINY, dropout=0.3).fit(graphs, y)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    b = ECNetRegressor(**TINY, dropout=0.3).fit(graphs, y)
    np.testing.assert_array_equal(a.predict(graphs), b.predict(graphs))
    c = clone(a).set_params(random_state=1).fit(graphs, y)
    assert not np.array_equal(a.predict(graphs), c.predict(graphs))


@pytest.mark.parametrize("n_conv", [1, 2])
def test_every_weight_is_trained(graphs, both, n_conv):
    model = ECNetRegressor(**{**TINY, "max_epochs": 1, "n_conv": n_conv}, atom_init="physical")
    before = state(model.fit(graphs, both))
    unchanged = set(before) - changed(before, state(model.partial_fit(graphs, both)))
    assert unchanged == {"element_vectors", "known_elements"}


def test_classifier_learns(structures, graphs, labels):
    model = ECNetClassifier(**{**TINY, "max_epochs": 100, "batch_size": 8}, dropout=0)
    assert model.fit(graphs, labels).score(graphs, labels) > 0.9
    proba = model.predict_proba(graphs)
    assert model.classes_.tolist() == ["poor", "rich"]
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (model.classes_[proba.argmax(axis=1)] == model.predict(graphs)).all()
    heavy = {"poor": 1e-6, "rich": 1.0}
    one_sided = ECNetClassifier(**{**TINY, "max_epochs": 30}, class_weight=heavy)
    assert set(one_sided.fit(graphs, labels).predict(graphs)) == {"rich"}


def test_probabilities_are_averaged_over_the_members(graphs, labels):
    model = ECNetClassifier(**TINY).fit(graphs, labels)
    elements = GraphModel.of(model).inputs(graphs)
    with torch.no_grad():
        logits = model.net_.module_.eval()(make_batch(elements)).double().numpy()
    odds = np.exp(logits)
    expected = (odds / odds.sum(axis=2, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(model.predict_proba(graphs), expected, rtol=1e-5)


def test_warm_start_continues_and_keeps_the_scaling(graphs, y):
    model = ECNetRegressor(**TINY, warm_start=True).fit(graphs, y)
    mean, before = model.y_mean_, state(model)
    model.fit(graphs, y + 1)
    assert model.n_iter_ == len(model.history_) == 6
    assert model.y_mean_ is mean
    assert "output.weight" in changed(before, state(model))
    before, predictions = state(model), model.predict(graphs)
    for other in ({"hidden_dim": 16}, {"n_conv": 2}, {"tower_dims": (4,)}, {"radial_step": 0.5}):
        old = {name: getattr(model, name) for name in other}
        with pytest.raises(ValueError, match=f"{next(iter(other))} was"):
            model.set_params(**other).fit(graphs, y)
        model.set_params(**old)
    with pytest.raises(ValueError, match="n_ensemble was 2, is 3"):
        model.set_params(n_ensemble=3).fit(graphs, y)
    np.testing.assert_array_equal(model.set_params(n_ensemble=2).predict(graphs), predictions)
    assert not changed(before, state(model))


def test_going_on_heeds_what_may_change_and_refuses_what_may_not(structures, y):
    def went_on(**params):
        model = ECNetRegressor(**TINY, warm_start=True).fit(structures, y)
        return model.set_params(**params).fit(structures, y).predict(structures)

    same = went_on()
    for params in ({"loss": "mse"}, {"weight_decay": 5.0}):
        assert not np.array_equal(went_on(**params), same)
    for params in ({"cutoff": 4.0}, {"max_neighbors": 3}, {"radial_spread": False}):
        with pytest.raises(ValueError, match=f"{next(iter(params))} was .*start over"):
            went_on(**params)
    with pytest.raises(ValueError, match="cannot change its element vectors"):
        went_on(atom_init="physical")


def test_elements_are_those_that_were_learned_from(structures, y):
    """Gold, in one row: with weight, without, only watched, and before or after another fit."""
    gold = [cell.copy() for cell in structures]
    gold[0].replace_species({"Ni": "Au"})
    weight = np.r_[0.0, np.ones(len(y) - 1)]
    model = ECNetRegressor(**TINY, warm_start=True)
    assert 79 in model.fit(gold, y).elements_
    assert 79 in model.fit(structures, y).elements_
    source = FrozenEstimator(clone(model).fit(gold, y))
    tuned = ECNetRegressor(**TINY, warm_start_from=source).fit(structures, y)
    assert 79 in tuned.elements_
    assert 79 not in clone(model).fit(gold, y, sample_weight=weight).elements_
    stopping = clone(model).set_params(early_stopping=True)
    _, watched = stopping._split(y, stopping._training_seed())
    order = np.r_[watched[0], np.delete(np.arange(len(y)), watched[0])]
    stopping.fit([gold[k] for k in np.argsort(order)], y)
    with pytest.raises(ValueError, match="contains Au"):
        stopping.predict(gold[:1])


def test_early_stopping_needs_something_to_watch(graphs, both):
    model = ECNetRegressor(**TINY, early_stopping=True)
    _, watched = model._split(both, model._training_seed())
    weight = np.ones(len(both))
    weight[watched] = 0
    with pytest.raises(ValueError, match="nothing to watch"):
        model.fit(graphs, both, sample_weight=weight)


def test_classes_stay_those_of_the_first_call(graphs, labels):
    model = ECNetClassifier(**TINY).partial_fit(graphs, labels, classes=np.unique(labels))
    model.partial_fit(graphs, labels, classes=np.unique(labels)[::-1])
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(graphs, labels, classes=[*np.unique(labels), "another"])


def test_partial_fit(graphs, both, labels):
    model = ECNetRegressor(**TINY)
    for _ in range(3):
        model.partial_fit(graphs, both)
    assert model.n_iter_ == 3
    holes = both.copy()
    holes[:, 1] = np.nan
    model.partial_fit(graphs, holes)  # a later call may lack a target
    assert np.isfinite(model.predict(graphs)).all()
    with pytest.raises(ValueError, match="other than in the first fit"):
        model.partial_fit(graphs, both[:, 0])
    classifier = ECNetClassifier(**TINY)
    classifier.partial_fit(graphs[:2], ["poor", "poor"], classes=["poor", "rich"])
    classifier.partial_fit(graphs, labels)
    assert classifier.n_iter_ == 2


class Kill(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_begin(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch:
            raise MemoryError


@pytest.mark.parametrize("stopping", [False, True])
def test_checkpoint_survives_a_kill(graphs, both, tmp_path, stopping):
    path = tmp_path / "run.pt"
    params = {**TINY, "max_epochs": 6, "dropout": 0.2, "batch_size": 5, "early_stopping": stopping}
    whole = ECNetRegressor(**params).fit(graphs, both)
    with pytest.raises(MemoryError):
        ECNetRegressor(**params, callbacks=[Kill(4)]).fit(graphs, both, checkpoint=path)
    resumed = ECNetRegressor(**params).fit(graphs, both, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    assert [r["train_loss"] for r in resumed.history_] == [r["train_loss"] for r in whole.history_]
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    for other in ({"n_ensemble": 3}, {"target_weights": (1, 2)}, {"n_conv": 2}):
        with pytest.raises(ValueError, match="belongs to another training"):
            ECNetRegressor(**{**params, **other}).fit(graphs, both, checkpoint=path)
    holes = both.copy()
    holes[0, 0] = np.nan
    with pytest.raises(ValueError, match="belongs to another training"):
        ECNetRegressor(**params).fit(graphs, holes, checkpoint=path)


def test_early_stopping_goes_back_to_the_best(graphs, both):
    params = {**TINY, "max_epochs": 80, "lr": 0.05, "batch_size": 4, "early_stopping": True}
    model = ECNetRegressor(**params, validation_fraction=0.25, n_iter_no_change=3)
    losses = [row["valid_loss"] for row in model.fit(graphs, both).history_]
    assert len(losses) == model.n_iter_ < 80
    assert np.argmin(losses) == len(losses) - 4
    train, valid = model._split(both, model._training_seed())
    np.testing.assert_allclose(model.y_mean_, both[train].mean(axis=0))
    members = (of_members(model, graphs[valid]) - both[valid, None]) / model.y_scale_
    assert np.abs(members).mean(axis=(0, 2)).sum() == pytest.approx(min(losses), rel=1e-4)


def test_failed_fit_leaves_nothing(graphs, y):
    model = ECNetRegressor(**TINY, callbacks=[Kill(2)])
    with pytest.raises(MemoryError):
        model.fit(graphs, y)
    assert not hasattr(model, "nets_")
    assert not hasattr(model, "elements_")


@pytest.mark.parametrize(
    "params",
    [
        {"tower_dims": (0,)},
        {"tower_dims": ("a",)},
        {"tower_dims": (8.5,)},
        {"tower_dims": 8},
        {"dropout": 1.0},
        {"radial_step": 0.0},
        {"n_conv": -1},
        {"freeze": "towers"},
        {"warm_start_from": 3},
    ],
    ids=str,
)
def test_bad_parameters_are_named(graphs, y, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        ECNetRegressor(**{**TINY, **params}).fit(graphs, y)


# -- keeping


@pytest.mark.parametrize("kind", ["several targets", "classifier", "preset", "table"])
def test_pickle_joblib_and_safe_files(graphs, structures, both, y, labels, tmp_path, kind):
    model, targets = {
        "several targets": (ECNetRegressor(**TINY, target_weights=np.array([1.0, 2.0])), both),
        "classifier": (ECNetClassifier(**TINY, class_weight="balanced"), labels),
        "preset": (ECNetRegressor.from_preset("wang2022", max_epochs=1, random_state=0), y),
        "table": (ECNetRegressor(**TINY, atom_init={k: [k, 1.0] for k in (28, 29, 46)}), y),
    }[kind]
    model.fit(graphs, targets).save(tmp_path / "model.safetensors")
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        type(model).load(tmp_path / "model.safetensors"),
    ):
        np.testing.assert_array_equal(again.predict(structures), model.predict(structures))
        np.testing.assert_array_equal(again.transform(graphs), model.transform(graphs))
        pd.testing.assert_frame_equal(
            again.element_contributions(graphs), model.element_contributions(graphs)
        )
        assert again.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()
        assert again.graph_settings_ == model.graph_settings_
        assert again.history_ == model.history_
        assert repr(again.get_params()) == repr(model.get_params())
        assert again.partial_fit(graphs, targets).n_iter_ == model.n_iter_ + 1
    other = ECNetClassifier if isinstance(model, ECNetRegressor) else ECNetRegressor
    with pytest.raises(ValueError, match=f"holds a {type(model).__name__}"):
        other.load(tmp_path / "model.safetensors")


def test_presets():
    model = ECNetRegressor.from_preset("wang2022", max_epochs=7)
    published = (model.hidden_dim, model.n_filters, model.n_conv, tuple(model.tower_dims))
    assert published == (128, 64, 3, (128, 64))
    assert (model.lr, model.batch_size, model.max_epochs, model.n_ensemble) == (0.001, 128, 7, 1)
    assert (model.loss, model.radial_filter, model.normalize) == ("mse", "gaussian", False)
    assert ECNetClassifier.from_preset("wang2022").hidden_dim == 128
    with pytest.raises(ValueError, match="wang2022"):
        ECNetRegressor.from_preset("wang2023")


# -- transfer


def test_sources_survive_clone(graphs, both, source, tmp_path):
    source.save(tmp_path / "source.safetensors")
    expected = source.predict(graphs)
    for given in (
        tmp_path / "source.safetensors",
        str(tmp_path / "source.safetensors"),
        FrozenEstimator(source),
    ):
        model = clone(clone(ECNetRegressor(**STILL, warm_start_from=given)))
        vectors = model.fit(graphs, both).elemental_vectors(graphs)[0]
        np.testing.assert_allclose(vectors, source.elemental_vectors(graphs)[0], atol=1e-6)
        scores = cross_validate(model, graphs, both, cv=2, error_score="raise")["test_score"]
        assert np.isfinite(scores).all()
    search = GridSearchCV(model, {"freeze": ["none", "embedding", "convolutions"]}, cv=2)
    assert search.fit(graphs, both).best_estimator_.n_outputs_ == 2
    np.testing.assert_array_equal(source.predict(graphs), expected)


def test_a_bare_estimator_is_refused(graphs, both, source):
    for given in (source, ECNetRegressor(**TINY)):
        with pytest.raises(ValueError, match=r"bare estimator.*FrozenEstimator\(fitted\)"):
            ECNetRegressor(**TINY, warm_start_from=given).fit(graphs, both)
        with pytest.raises(ValueError, match="bare estimator"):
            clone(ECNetRegressor(**TINY, warm_start_from=given)).fit(graphs, both)
    unfitted = FrozenEstimator(ECNetRegressor(**TINY))
    with pytest.raises(NotFittedError):
        ECNetRegressor(**TINY, warm_start_from=unfitted).fit(graphs, both)


def test_sources_must_be_element_networks(graphs, y, tmp_path):
    cgcnn = CGCNNRegressor(hidden_dim=4, n_conv=1, max_epochs=1, random_state=0)
    cgcnn.fit(graphs, y).save(tmp_path / "cgcnn.safetensors")
    line = LinearRegression().fit(np.eye(3), [1, 2, 3])
    for given, name in (
        (FrozenEstimator(cgcnn), "CGCNNRegressor"),
        (tmp_path / "cgcnn.safetensors", "CGCNNRegressor"),
        (FrozenEstimator(line), "LinearRegression"),
    ):
        with pytest.raises(ValueError, match=f"holds a {name}, not an ECNet"):
            ECNetRegressor(**TINY, warm_start_from=given).fit(graphs, y)
    with pytest.raises(FileNotFoundError):
        ECNetRegressor(**TINY, warm_start_from=tmp_path / "none.safetensors").fit(graphs, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_dim": 16}, "hidden_dim is 8 there and 16 here"),
        ({"n_conv": 2}, "n_conv is 1 there and 2 here"),
        ({"n_ensemble": 3}, "n_ensemble is 2 there and 3 here"),
        ({"tower_dims": (4, 4)}, r"tower_dims is \[8\] there and \[4, 4\] here"),
        ({"cutoff": 4.0}, "cutoff is 5.0 there and 4.0 here"),
        ({"activation": "shifted_softplus"}, "activation is silu there"),
        ({"atom_init": "physical"}, "other element vectors"),
    ],
    ids=str,
)
def test_another_network_is_refused(graphs, both, source, params, message):
    model = ECNetRegressor(**{**TINY, **params}, warm_start_from=FrozenEstimator(source))
    with pytest.raises(ValueError, match=message):
        model.fit(graphs, both)


def test_graphs_of_another_kind_are_refused(structures, both, source):
    """Weights that learned from all neighbours know nothing of the four nearest."""
    few = StructureToGraph(cutoff=CUTOFF, max_neighbors=4).fit_transform(structures)
    with pytest.raises(ValueError, match="max_neighbors"):
        ECNetRegressor(**TINY, warm_start_from=FrozenEstimator(source)).fit(few, both)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_frozen_weights_stay_bit_by_bit(graphs, both, source, n_targets):
    before, params = state(source), {**TINY, "weight_decay": 0.5, "lr": 0.02}
    kept = {"element_vectors", "known_elements"}
    for freeze, prefixes in {
        "none": (),
        "embedding": ("embedding",),
        "convolutions": ("embedding", "convolutions", "norms"),
    }.items():
        model = ECNetRegressor(**params, warm_start_from=FrozenEstimator(source), freeze=freeze)
        moved = changed(before, state(model.fit(graphs, both[:, :n_targets])))
        assert moved == {n for n in before if n not in kept and not n.startswith(prefixes)}
        model.partial_fit(graphs, both[:, :n_targets])
        assert changed(before, state(model)) == moved
    assert not changed(before, state(source))


def test_freezing_needs_a_source(graphs, both):
    with pytest.raises(ValueError, match=r"freeze='embedding' needs warm_start_from"):
        ECNetRegressor(**TINY, freeze="embedding").fit(graphs, both)


def test_thawing_and_freezing_while_going_on(graphs, both, source):
    frozen = FrozenEstimator(source)
    model = ECNetRegressor(**TINY, warm_start=True, warm_start_from=frozen, freeze="convolutions")
    before = state(model.fit(graphs, both))
    assert "embedding.weight" in changed(
        before, state(model.set_params(freeze="none").fit(graphs, both))
    )
    before = state(model)
    moved = changed(before, state(model.set_params(freeze="embedding").fit(graphs, both)))
    assert "embedding.weight" not in moved
    assert "norms.0.weight" in moved


def test_files_remember_what_is_frozen(graphs, both, source, tmp_path):
    source.save(tmp_path / "source.safetensors")
    model = ECNetRegressor(
        **TINY, warm_start_from=tmp_path / "source.safetensors", freeze="convolutions"
    )
    model.fit(graphs, both).save(tmp_path / "model.safetensors")
    again = ECNetRegressor.load(tmp_path / "model.safetensors")
    before = state(again)
    moved = changed(before, state(again.partial_fit(graphs, both)))
    assert {name.split(".")[0] for name in moved} == {"towers", "output"}


def test_a_fine_tuned_network_can_be_saved(graphs, both, source, tmp_path):
    model = ECNetRegressor(**TINY, warm_start_from=FrozenEstimator(source)).fit(graphs, both)
    with pytest.raises(ValueError, match=r"set_params\(warm_start_from=\.\.\.\) to a plain value"):
        model.save(tmp_path / "model.safetensors")
    model.set_params(warm_start_from=None).save(tmp_path / "model.safetensors")
    again = ECNetRegressor.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(graphs), model.predict(graphs))


def test_same_targets_start_on_the_best_straight_line(graphs, both, source):
    """Each member of the source, scaled and shifted by weighted least squares."""
    rng = np.random.default_rng(3)
    targets = np.column_stack([-3 * both[:, 0] + rng.normal(size=16), 40 + both[:, 1] ** 2])
    targets[[2, 5], 1] = np.nan
    weight = rng.uniform(0.5, 2, size=16)
    members = of_members(source, graphs)
    expected = np.zeros((16, 2))
    for t in range(2):
        rows = np.isfinite(targets[:, t])
        for m in range(2):
            # polyfit squares its weights.
            line = np.polyfit(members[rows, m, t], targets[rows, t], 1, w=weight[rows] ** 0.5)
            expected[:, t] += np.polyval(line, members[:, m, t]) / 2
    model = ECNetRegressor(**STILL, warm_start_from=FrozenEstimator(source))
    predictions = model.fit(graphs, targets, sample_weight=weight).predict(graphs)
    np.testing.assert_allclose(predictions, expected, rtol=1e-4)


def test_a_target_without_weight_may_be_transferred_to(graphs, both, source):
    model = ECNetRegressor(**TINY, warm_start_from=FrozenEstimator(source), target_weights=(1, 0))
    assert np.isfinite(model.fit(graphs, both).predict(graphs)).all()


def test_another_number_of_targets_gets_new_towers(graphs, both, source):
    targets = np.column_stack([both, both[:, 0]])
    model = ECNetRegressor(**STILL, warm_start_from=FrozenEstimator(source)).fit(graphs, targets)
    assert model.predict(graphs).shape == (16, 3)
    np.testing.assert_allclose(
        model.elemental_vectors(graphs)[0], source.elemental_vectors(graphs)[0], atol=1e-6
    )
    fresh = ECNetRegressor(**STILL).fit(graphs, targets)
    assert torch.equal(state(model)["towers.0.weight"], state(fresh)["towers.0.weight"])


def test_classes_decide_whether_towers_stay(graphs, labels, y):
    first = ECNetClassifier(**{**TINY, "max_epochs": 20}).fit(graphs, labels)
    frozen = FrozenEstimator(first)
    same = ECNetClassifier(**STILL, warm_start_from=frozen).fit(graphs, labels[::-1])
    np.testing.assert_allclose(same.predict_proba(graphs), first.predict_proba(graphs), atol=1e-5)
    renamed = np.where(labels == "rich", "soft", "hard")
    other = ECNetClassifier(**STILL, warm_start_from=frozen).fit(graphs, renamed)
    assert not np.allclose(other.predict_proba(graphs), first.predict_proba(graphs), atol=1e-2)
    regressor = ECNetRegressor(**STILL, warm_start_from=frozen).fit(graphs, y)
    for model in (other, regressor):
        np.testing.assert_allclose(
            model.elemental_vectors(graphs)[0], first.elemental_vectors(graphs)[0], atol=1e-6
        )
    back = ECNetClassifier(**STILL, warm_start_from=FrozenEstimator(regressor))
    assert back.fit(graphs, labels).predict_proba(graphs).shape == (16, 2)


def test_pretraining_helps_where_rows_are_few(structures, graphs, y):
    params = {**TINY, "max_epochs": 40}
    teacher = ECNetRegressor(**{**params, "max_epochs": 120}).fit(graphs[:12], y[:12])
    few = [0, 5, 9]
    other = 3 - 0.5 * y
    tuned = ECNetRegressor(**params, warm_start_from=FrozenEstimator(teacher), lr=1e-3)
    fresh = ECNetRegressor(**params)
    scores = [m.fit(graphs[few], other[few]).score(graphs, other) for m in (tuned, fresh)]
    assert scores[0] > max(0.8, scores[1])


def test_checkpoints_belong_to_their_source(graphs, both, source, tmp_path):
    path = tmp_path / "run.pt"
    params = {**TINY, "max_epochs": 6, "dropout": 0.2, "freeze": "embedding"}
    given = {"warm_start_from": FrozenEstimator(source)}
    whole = ECNetRegressor(**params, **given).fit(graphs, both)
    with pytest.raises(MemoryError):
        ECNetRegressor(**params, **given, callbacks=[Kill(4)]).fit(graphs, both, checkpoint=path)
    other = FrozenEstimator(clone(source).fit(graphs, -both))
    for different in ({"warm_start_from": other}, {**given, "freeze": "none"}):
        with pytest.raises(ValueError, match="belongs to another training"):
            ECNetRegressor(**{**params, **different}).fit(graphs, both, checkpoint=path)
    source.save(tmp_path / "source.safetensors")
    saved = {"warm_start_from": tmp_path / "source.safetensors"}  # the same weights
    resumed = ECNetRegressor(**params, **saved).fit(graphs, both, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    assert not {n for n in changed(state(source), state(resumed)) if n.startswith("embedding")}


# -- insight


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_contributions_add_up_to_the_prediction(structures, y, pool):
    X = [*structures, fcc_cu()]
    model = ECNetRegressor(**TINY, pool=pool).fit(X, [*y, 90.0])
    shares = model.element_contributions(X)
    assert shares.columns.tolist() == ["Ni", "Cu", "Pd"]
    np.testing.assert_allclose(shares.sum(axis=1), model.predict(X), rtol=1e-6)
    for row, structure in enumerate(X):
        present = {e.symbol for e in structure.composition}
        assert set(shares.columns[shares.loc[row] != 0]) == present
    assert shares.loc[16, "Cu"] == pytest.approx(model.predict(X)[16])


def test_contributions_are_what_single_elements_add(graphs, y):
    model = ECNetRegressor(**TINY).fit(graphs, y)
    elements = GraphModel.of(model).inputs(graphs)
    with torch.no_grad():
        values = model.net_.module_.eval().contributions(make_batch(elements))[:, :, 0].mean(dim=1)
    shares = model.element_contributions(graphs)
    crystal = np.repeat(np.arange(16), elements.n_nodes)
    for node in range(len(crystal)):
        expected = float(values[node]) * model.y_scale_[0]
        expected += elements.fraction[node] * model.y_mean_[0]
        symbol = element_symbols(elements.atomic_numbers[node : node + 1])[0]
        assert shares.loc[crystal[node], symbol] == pytest.approx(expected, rel=1e-6)


def test_contributions_to_several_targets(graphs, both):
    model = ECNetRegressor(**TINY).fit(graphs, both)
    shares = model.element_contributions(graphs)
    assert shares.columns.tolist() == [(t, e) for t in (0, 1) for e in ("Ni", "Cu", "Pd")]
    predictions = model.predict(graphs)
    for t in (0, 1):
        np.testing.assert_allclose(shares[t].sum(axis=1), predictions[:, t], atol=1e-4)
    one = ECNetRegressor(**TINY).fit(graphs, both[:, :1]).element_contributions(graphs)
    assert one.columns.tolist() == [(0, e) for e in ("Ni", "Cu", "Pd")]


def test_contributions_to_classes_are_log_odds(graphs, labels):
    model = ECNetClassifier(**{**TINY, "n_ensemble": 1}).fit(graphs, labels)
    shares = model.element_contributions(graphs)
    assert shares.columns.get_level_values(0).unique().tolist() == ["poor", "rich"]
    odds = np.log(model.predict_proba(graphs))
    difference = shares["rich"].sum(axis=1) - shares["poor"].sum(axis=1)
    np.testing.assert_allclose(difference, odds[:, 1] - odds[:, 0], atol=1e-5)


def test_table_of_elemental_vectors(structures, graphs, y):
    model = ECNetRegressor(**TINY).fit(graphs, y)
    table = model.transform(graphs)
    assert table.shape == (16, 3 + 3 * 16)
    vectors, crystal, numbers, fraction = model.elemental_vectors(graphs)
    symbols = ["Ni", "Cu", "Pd"]
    assert element_symbols(model.elements_) == symbols
    expected = np.zeros((16, 3 + 3 * 16))
    for vector, row, number, share in zip(vectors, crystal, numbers, fraction):
        k = model.elements_.tolist().index(number)
        expected[row, k] = share
        expected[row, 3 + 16 * k : 3 + 16 * (k + 1)] = vector
    np.testing.assert_array_equal(table, expected)
    for row, structure in enumerate(structures):
        fractions = [structure.composition.get_atomic_fraction(e) for e in symbols]
        np.testing.assert_allclose(table[row, :3], fractions, atol=1e-6)
        blocks = table[row, 3:].reshape(3, 16)
        assert blocks.any(axis=1).tolist() == [f > 0 for f in fractions]
        np.testing.assert_allclose(fractions @ blocks, model.embed(graphs)[row], atol=1e-5)
    assert (table[:, :3] == 0).any()
    names = model.get_feature_names_out().tolist()
    assert names[:3] == ["x_Ni", "x_Cu", "x_Pd"]
    assert names[3:] == [f"{e}_{k}" for e in symbols for k in range(16)]


def test_tables_follow_rows_and_keep_their_columns(graphs, structures, y):
    model = ECNetRegressor(**TINY).fit(graphs, y)
    table = model.transform(graphs)
    np.testing.assert_allclose(model.transform(graphs[[7, 2]]), table[[7, 2]], atol=1e-5)
    copper = model.transform([fcc_cu()])
    assert copper.shape == (1, 51)
    assert copper[0, :3].tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"structure 1 contains Fe, .* had \(Ni, Cu, Pd\)"):
        model.transform([fcc_cu(), bcc_fe()])
    with pytest.raises(NotFittedError):
        ECNetRegressor(**TINY).transform(graphs)
    with pytest.raises(NotFittedError):
        ECNetRegressor(**TINY).get_feature_names_out()


def test_tables_in_pandas_and_pipelines(graphs, structures, y):
    model = ECNetRegressor(**TINY).set_output(transform="pandas")
    frame = model.fit(graphs, y).transform(graphs)
    assert frame.columns.tolist() == model.get_feature_names_out().tolist()
    assert frame["x_Ni"].to_numpy() == pytest.approx(nickel_fraction(structures), abs=1e-6)
    pd.testing.assert_frame_equal(clone(model).fit_transform(graphs, y), frame)
    pipeline = make_pipeline(ECNetRegressor(**TINY), Ridge())
    scores = cross_val_score(pipeline, structures, y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    assert pipeline.fit(graphs, y).score(graphs, y) > 0.5


# -- scikit-learn


def test_model_selection_on_graphs_and_structures(structures, graphs, both, labels):
    model = ECNetRegressor(**TINY, cutoff=CUTOFF)
    a = cross_val_score(model, graphs, both, cv=3)
    b = cross_val_score(model, structures, both, cv=3)
    np.testing.assert_allclose(a, b, rtol=1e-4)
    search = GridSearchCV(model, {"n_conv": [0, 1, 2], "lr": [1e-3, 1e-2]}, cv=2)
    search.fit(graphs, both)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 6
    assert search.predict(graphs).shape == (16, 2)
    scores = cross_validate(ECNetClassifier(**TINY), graphs, labels, cv=2, return_estimator=True)
    assert all(e.n_outputs_ == 2 for e in scores["estimator"])


def test_progress_bar_and_history(graphs, y, capsys):
    model = ECNetRegressor(**{**TINY, "max_epochs": 10, "batch_size": 2}, verbose=True)
    history = model.fit(graphs, y).history_
    assert "10/10" in capsys.readouterr().err
    assert [row["epoch"] for row in history] == list(range(1, 11))
    rates = [row["lr"] / model.lr for row in history]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[0] > 0.8 > 0.01 > rates[-1]
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_files_name_only_classes_of_sklmat(graphs, y, tmp_path):
    """A file that asks for another class is refused, whatever is importable under that name."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    ECNetRegressor(**TINY).fit(graphs, y).save(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    content = metadata["content"]
    for wrong, message in (
        (content.replace('"class": "ECNetRegressor"', '"class": "Path"'), "no estimator"),
        (content.replace('"class": "ECNet"', '"class": "nn"'), "unknown network"),
    ):
        assert wrong != content
        save_file(tensors, path, {**metadata, "content": wrong})
        with pytest.raises(ValueError, match=message):
            ECNetRegressor.load(path)


def test_transfer_of_a_sum_keeps_the_outputs(graphs, y):
    """A shift of each element would not be a shift of their sum."""
    source = ECNetRegressor(**TINY, pool="sum").fit(graphs, y)
    still = ECNetRegressor(**STILL, pool="sum", warm_start_from=FrozenEstimator(source))
    moved = still.fit(graphs, -5 * y).net_.module_.output.weight
    torch.testing.assert_close(moved, source.net_.module_.output.weight)
