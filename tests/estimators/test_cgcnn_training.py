"""Training of CGCNN: held-out rows, early stopping, and resuming."""

import pickle

import numpy as np
import pytest
import torch
from crystals import nickel_fraction, random_alloys
from joblib import parallel_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from skorch.callbacks import Callback

from sklmat import CGCNNClassifier, CGCNNRegressor, StructureAttack, StructureToGraph
from sklmat.random_state import draw_seed

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


# -- leakage


class Watcher(Callback):
    """Notes which crystals and targets pass through the loss."""

    seen = None

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        graphs, (y, _) = batch
        Watcher.seen.append((training, len(graphs), y.numpy().ravel()))


def test_held_out_rows_are_never_seen(graphs, y):
    Watcher.seen = []
    y = y.copy()
    y[12:] = 1e6  # a planted leak: were these scaled or trained on, every target would shrink
    model = CGCNNRegressor(**TINY, callbacks=[Watcher()])
    cross_validate(model, graphs, y, cv=[(np.arange(12), np.arange(12, 16))])
    assert all(n <= 12 for _, n, _ in Watcher.seen)
    values = np.concatenate([v for _, _, v in Watcher.seen])
    assert np.abs(values).max() < 5


def test_early_stopping_validates_on_its_own_rows(graphs, y):
    Watcher.seen = []
    model = CGCNNRegressor(
        **{**TINY, "max_epochs": 40},
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=2,
        callbacks=[Watcher()],
    ).fit(graphs, y)
    train = {round(float(v), 5) for kind, _, vs in Watcher.seen if kind for v in vs}
    valid = {round(float(v), 5) for kind, _, vs in Watcher.seen if not kind for v in vs}
    counts = {kind: n for kind, n, _ in Watcher.seen}
    assert counts == {True: 12, False: 4}
    scaled = np.sort(((y - model.y_mean_) / model.y_scale_).round(5))
    assert (
        train | valid == {round(float(np.float32(v)), 5) for v in scaled}
        or len(train | valid) >= len(set(scaled)) - 1
    )


@pytest.mark.parametrize("backend", ["multiprocessing", "threading"])
def test_members_are_the_same_in_every_backend(graphs, y, backend):
    """Threads have one random state of torch among them; other processes need what can be sent."""
    params = {**TINY, "max_epochs": 1, "n_ensemble": 2, "dropout": 0.2}
    attacked = {**params, "adversarial": StructureAttack(budget=0.05, method="random")}
    for given in (params, attacked):
        expected = CGCNNRegressor(**given).fit(graphs, y).predict(graphs)
        with parallel_config(backend):
            model = CGCNNRegressor(**given, n_jobs=2).fit(graphs, y)
        np.testing.assert_array_equal(model.predict(graphs), expected)


def test_early_stopping_stops_and_goes_back_to_the_best(graphs, y):
    model = CGCNNRegressor(
        **{**TINY, "max_epochs": 60, "lr": 0.05, "batch_size": 4},
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=3,
    ).fit(graphs, y)
    losses = [row["valid_loss"] for row in model.history_]
    assert len(losses) == model.n_iter_ < 60
    assert np.argmin(losses) == len(losses) - 4
    train, valid = model._split(y, draw_seed(model.random_state), graphs)
    assert not set(train) & set(valid)
    scaled = (model.predict(graphs)[valid] - y[valid]) / model.y_scale_[0]
    assert np.abs(scaled).mean() == pytest.approx(min(losses), rel=1e-4)


def test_classifiers_validate_on_classes_in_proportion(graphs):
    y = np.array([0] * 12 + [1] * 4)
    model = CGCNNClassifier(**TINY, early_stopping=True, validation_fraction=0.25)
    _, valid = model._split(y, 0, graphs)
    assert y[valid].tolist().count(1) == 1


def test_scaling_uses_training_rows_only(graphs, y):
    model = CGCNNRegressor(**TINY, early_stopping=True, validation_fraction=0.25).fit(graphs, y)
    train, _ = model._split(y, draw_seed(model.random_state), graphs)
    assert len(train) == 12
    assert model.y_mean_[0] == pytest.approx(y[train].mean())


# -- continuing


def test_warm_start_continues(graphs, y):
    model = CGCNNRegressor(**TINY, warm_start=True).fit(graphs, y)
    before = state(model)
    model.fit(graphs, y + 1)
    assert model.n_iter_ == 6
    assert not torch.equal(state(model)["output.weight"], before["output.weight"])
    cold = CGCNNRegressor(**TINY).fit(graphs, y)
    np.testing.assert_array_equal(
        cold.fit(graphs, y).predict(graphs), CGCNNRegressor(**TINY).fit(graphs, y).predict(graphs)
    )


def test_going_on_never_spoils_what_there_is(graphs, y):
    model = CGCNNRegressor(**TINY, warm_start=True, optimizer="sgd").fit(graphs, y)
    before = model.predict(graphs)
    with pytest.raises(FloatingPointError):
        model.set_params(lr=1e30).fit(graphs, y)
    np.testing.assert_array_equal(model.predict(graphs), before)
    assert model.n_iter_ == len(model.net_.history) == 3
    with pytest.raises(ValueError, match="hidden_dim was 8, is 16"):
        model.set_params(lr=0.01, hidden_dim=16).fit(graphs, y)


def test_each_partial_fit_draws_its_own_batches(graphs, y):
    Watcher.seen = []
    model = CGCNNRegressor(**TINY, batch_size=4, callbacks=[("watch", Watcher())])
    model.partial_fit(graphs, y).partial_fit(graphs, y)
    first, second = np.concatenate([v for _, _, v in Watcher.seen]).reshape(2, -1)
    assert sorted(first) == sorted(second)
    assert not np.array_equal(first, second)


def test_each_warm_start_draws_its_own_batches(graphs, y):
    Watcher.seen = []
    model = CGCNNRegressor(
        **{**TINY, "max_epochs": 1}, batch_size=4, warm_start=True, callbacks=[("watch", Watcher())]
    )
    model.fit(graphs, y).fit(graphs, y)
    first, second = np.concatenate([v for _, _, v in Watcher.seen]).reshape(2, -1)
    # The order of the rows, not their values: both fits scale the same rows.
    assert sorted(first) == sorted(second)
    assert not np.array_equal(first, second)


def test_warm_started_checkpoint_resumes(graphs, y, tmp_path):
    start = CGCNNRegressor(**TINY, warm_start=True).fit(graphs, y).set_params(max_epochs=6)
    whole, killed, resumed = (pickle.loads(pickle.dumps(start)) for _ in range(3))
    whole.fit(graphs, y)
    killed.set_params(callbacks=[Kill(6, MemoryError())])
    with pytest.raises(MemoryError):
        killed.fit(graphs, y, checkpoint=tmp_path / "warm.pt")
    resumed.fit(graphs, y, checkpoint=tmp_path / "warm.pt")
    assert [row["epoch"] for row in resumed.history_] == list(range(1, 10))
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    with pytest.raises(ValueError, match="belongs to another training"):
        resumed.fit(graphs, y, checkpoint=tmp_path / "warm.pt")
    with pytest.raises(ValueError, match="does not exist"):
        resumed.fit(graphs, y, checkpoint=tmp_path / "no" / "folder.pt")


def test_partial_fit(graphs, y, labels):
    model = CGCNNRegressor(**TINY)
    for _ in range(3):
        model.partial_fit(graphs, y)
    assert model.n_iter_ == 3
    classifier = CGCNNClassifier(**TINY)
    classifier.partial_fit(graphs[:2], ["poor", "poor"], classes=["poor", "rich"])
    classifier.partial_fit(graphs, labels)
    assert classifier.n_iter_ == 2
    with pytest.raises(ValueError, match="row 1 has the class 'none', not one of"):
        classifier.partial_fit(graphs[:2], ["poor", "none"])


class Kill(Callback):
    def __init__(self, epoch, error):
        self.epoch, self.error = epoch, error

    def on_batch_begin(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


def test_checkpoint_survives_a_kill(graphs, y, tmp_path):
    path = tmp_path / "run.pt"
    params = {**TINY, "max_epochs": 6, "dropout": 0.2, "batch_size": 5}
    whole = CGCNNRegressor(**params).fit(graphs, y)
    with pytest.raises(MemoryError):
        CGCNNRegressor(**params, callbacks=[Kill(4, MemoryError())]).fit(graphs, y, checkpoint=path)
    resumed = CGCNNRegressor(**params)
    resumed.fit(graphs, y, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    assert [r["train_loss"] for r in resumed.history_] == [r["train_loss"] for r in whole.history_]
    with pytest.raises(ValueError, match="belongs to another training"):
        CGCNNRegressor(**params).fit(graphs, y + 1, checkpoint=path)
    with pytest.raises(ValueError, match="integer random_state"):
        CGCNNRegressor(**{**params, "random_state": None}).fit(graphs, y, checkpoint=path)


def test_failed_fit_leaves_nothing(graphs, y):
    model = CGCNNRegressor(**TINY, callbacks=[Kill(2, MemoryError())])
    with pytest.raises(MemoryError):
        model.fit(graphs, y)
    assert not hasattr(model, "nets_")
    assert not hasattr(model, "net_")


class Interrupt(Callback):
    """Press Ctrl-C inside a training step."""

    def on_train_begin(self, net, **kwargs):
        original, calls = net.train_step, []

        def step(batch, **params):
            calls.append(1)
            if len(calls) > 3:
                raise KeyboardInterrupt
            return original(batch, **params)

        net.train_step = step


def test_interrupted_fit_is_usable_and_says_so(graphs, y):
    model = CGCNNRegressor(**{**TINY, "max_epochs": 50}, callbacks=[Interrupt()])
    with pytest.warns(ConvergenceWarning, match="interrupted after"):
        model.fit(graphs, y)
    assert np.isfinite(model.predict(graphs)).all()
    assert model.n_iter_ < 50


def test_divergence_is_an_error(graphs, y):
    with pytest.raises(FloatingPointError, match="smaller lr"):
        CGCNNRegressor(**{**TINY, "max_epochs": 30}, optimizer="sgd", lr=1e30).fit(graphs, y)


def test_going_on_uses_the_present_momentum(graphs, y):
    params = {**TINY, "optimizer": "sgd", "warm_start": True, "batch_size": 4}
    model = CGCNNRegressor(**params, momentum=0.9).fit(graphs, y)
    other = CGCNNRegressor(**params, momentum=0.9).fit(graphs, y)
    model.fit(graphs, y)
    other.set_params(momentum=0.0).fit(graphs, y)
    assert other.net_.optimizer_.param_groups[0]["momentum"] == 0
    assert not np.array_equal(model.predict(graphs), other.predict(graphs))


def test_rare_classes_are_validated_as_far_as_possible(graphs):
    model = CGCNNClassifier(**TINY, early_stopping=True, validation_fraction=0.1)
    # A single row of a class is for training.
    assert model.fit(graphs, ["a"] * 15 + ["b"]).classes_.tolist() == ["a", "b"]
    assert model.fit(graphs, ["a", "b", "c", "d"] * 4).n_iter_ == TINY["max_epochs"]
    match = "early_stopping: no validation rows can be held out of 16 rows; at least two are needed"
    with pytest.raises(ValueError, match=match):
        model.fit(graphs, [f"class {i}" for i in range(16)])
