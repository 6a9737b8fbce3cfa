"""Threads: those of torch are few and put back, those of Python do not disturb each other."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import torch
from crystals import nickel_fraction, random_alloys
from skorch.callbacks import Callback

from sklmat import CGCNNRegressor, ECNetRegressor
from sklmat.training import _ensemble
from sklmat.training._threads import one_thread


def test_threads_are_few_and_put_back():
    seen = []

    class Count(Callback):
        def on_batch_begin(self, net, **kwargs):
            seen.append(torch.get_num_threads())

    structures = random_alloys(4, n_cells=1)
    model = CGCNNRegressor(hidden_dim=8, n_conv=1, max_epochs=3, callbacks=[Count()])
    torch.set_num_threads(2)
    try:
        model.fit(structures, nickel_fraction(structures)).predict(structures)
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.fixture
def two_torch_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_threads_that_overlap_put_the_number_back(two_torch_threads):
    first_is_inside, first_may_leave = threading.Event(), threading.Event()

    def first():
        with one_thread():
            first_is_inside.set()
            first_may_leave.wait(10)

    def second():
        with one_thread():
            first_may_leave.set()
            seen.append(torch.get_num_threads())
            threads[0].join()
        seen.append(torch.get_num_threads())

    seen: list[int] = []
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    first_is_inside.wait(10)
    threads[1].start()
    threads[1].join()
    assert seen == [1, 2]
    with ThreadPoolExecutor(1) as new:
        assert new.submit(torch.get_num_threads).result() == 2


@contextmanager
def drawing():
    """Another thread draws from the generator of torch all the time."""
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            torch.rand(3)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


SMALL = {"hidden_dim": 8, "n_conv": 1, "max_epochs": 4, "batch_size": 4, "random_state": 0}


def networks():
    return [
        CGCNNRegressor(**SMALL, dropout=0.3, n_ensemble=2),
        ECNetRegressor(**SMALL, n_filters=8, tower_dims=(8,), dropout=0.3),
    ]


def fit_predict(model, X, y):
    return model.fit(X, y).predict(X)


def test_networks_are_trained_in_threads_as_they_are_alone(tmp_path):
    """Dropout, initial weights and batches are drawn by one thread while others draw and load."""
    X = random_alloys(8, n_cells=1)
    y = nickel_fraction(X)
    alone = [fit_predict(model, X, y) for model in networks()]
    saved = tmp_path / "model.sklmat"
    networks()[0].fit(X, y).save(saved)
    with ThreadPoolExecutor(4) as pool:
        fits = [pool.submit(fit_predict, model, X, y) for model in 2 * networks()]
        while not all(fit.done() for fit in fits):
            CGCNNRegressor.load(saved)
        found = [fit.result() for fit in fits]
    for actual, expected in zip(found, 2 * alone):
        np.testing.assert_array_equal(actual, expected)


def test_each_member_has_its_own_training_set(monkeypatch):
    """A training sets the generator of its training set, while others may be running."""
    sets = []

    def train_net(net, train_set, *args, **settings):
        sets.append(train_set)
        return real_train_net(net, train_set, *args, **settings)

    real_train_net = _ensemble.train_net
    monkeypatch.setattr(_ensemble, "train_net", train_net)
    X = random_alloys(8, n_cells=1)
    with joblib.parallel_config(backend="threading", n_jobs=3):
        CGCNNRegressor(**SMALL, n_ensemble=3).fit(X, nickel_fraction(X))
    assert len(set(map(id, sets))) == 3


def test_a_training_leaves_the_generator_of_torch_alone():
    X = random_alloys(8, n_cells=1)
    y = nickel_fraction(X)
    expected = [fit_predict(model, X, y) for model in networks()]
    before = torch.get_rng_state()
    for model in networks():
        model.fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    with drawing():
        actual = [fit_predict(model, X, y) for model in networks()]
    np.testing.assert_array_equal(actual, expected)


def test_loading_leaves_the_generator_of_torch_alone(tmp_path):
    X = random_alloys(8, n_cells=1)
    networks()[0].fit(X, nickel_fraction(X)).save(tmp_path / "model")
    before = torch.get_rng_state()
    CGCNNRegressor.load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)
