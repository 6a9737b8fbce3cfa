"""Fitted networks that are trained further on targets of another scale."""

import copy
import functools

import numpy as np
import pytest
from crystals import nickel_fraction, random_alloys
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sklmat import CGCNNRegressor, ECNetRegressor, StructureToGraph

CRYSTALS = random_alloys(24, n_cells=1)
GRAPHS = StructureToGraph(cutoff=5.0, max_neighbors=None).fit_transform(CRYSTALS)
#: Mean 0.014, standard deviation 0.05.
FRACTION = nickel_fraction(CRYSTALS)
Y = 0.014 + 0.05 * (FRACTION - FRACTION.mean()) / FRACTION.std()
TRAINED = {"max_epochs": 40, "batch_size": 8, "warm_start": True, "random_state": 0}
MODELS = {
    "CGCNN": CGCNNRegressor(hidden_dim=8, **TRAINED),
    "ECNet": ECNetRegressor(hidden_dim=8, n_filters=8, tower_dims=(8,), n_ensemble=2, **TRAINED),
}
STILL = {"max_epochs": 1, "lr": 1e-12, "weight_decay": 0.0}


@functools.cache
def fitted(name):
    return clone(MODELS[name]).fit(GRAPHS, Y)


@pytest.fixture(params=MODELS)
def model(request):
    return copy.deepcopy(fitted(request.param))


def error(model, y):
    """Root mean square error in units of the standard deviation of y."""
    return np.sqrt(np.mean((model.predict(GRAPHS) - y) ** 2)) / y.std()


@pytest.mark.parametrize(("gain", "shift"), [(100, 0), (0.01, 0), (-1, 500), (1, 1)])
def test_another_scale_is_learned(model, gain, shift):
    y = gain * Y + shift
    model.set_params(max_epochs=14).fit(GRAPHS, y)
    assert model.y_mean_[0] == pytest.approx(gain * 0.014 + shift)
    assert model.y_scale_[0] == pytest.approx(abs(gain) * 0.05)
    assert error(model, y) < 0.3


@pytest.mark.parametrize(("gain", "shift"), [(100, 0), (-0.01, 500)])
def test_another_scale_starts_where_the_first_ended(model, gain, shift):
    """Of y and the predictions of y, the best straight line onto another unit is the same."""
    before = error(model, Y)
    model.set_params(**STILL).fit(GRAPHS, gain * Y + shift)
    assert error(model, gain * Y + shift) < 1.3 * before + 0.02


def test_new_rows_in_the_same_unit_keep_the_scaling(model):
    """Three similar rows too: their own deviation of 1e-4 would make the outputs huge."""
    mean, scale = model.y_mean_, model.y_scale_
    weight = model.net_.module_.output.weight.clone()
    similar = np.argsort(Y)[:3]
    model.set_params(**{**STILL, "lr": 1e-30})
    for rows, shift in ((np.flatnonzero(Y > -0.01), 0.005), (similar, 1e-4 * np.arange(3))):
        model.fit(GRAPHS[rows], model.predict(GRAPHS[rows]) + shift)
        assert model.y_mean_ is mean
        assert model.y_scale_ is scale
        assert (model.net_.module_.output.weight == weight).all()


def test_the_same_rows_keep_every_bit(model):
    """A `fit` and `partial_fit` on the same rows see the same scaled targets."""
    mean, scale = model.y_mean_, model.y_scale_
    weight = model.net_.module_.output.weight.clone()
    model.set_params(**{**STILL, "lr": 1e-30}).fit(GRAPHS, Y)
    assert (model.y_mean_ == mean).all()
    assert (model.y_scale_ == scale).all()
    assert (model.net_.module_.output.weight == weight).all()


def test_partial_fit_keeps_the_first_scaling(model):
    mean, scale = model.y_mean_, model.y_scale_
    model.partial_fit(GRAPHS, 100 * Y)
    assert model.y_mean_ is mean
    assert model.y_scale_ is scale


def test_each_target_is_scaled_by_itself():
    """The first is as before, the second has one value, the third none, the fourth another unit."""
    targets = np.column_stack([Y, Y, 3 * Y, Y])
    model = clone(MODELS["ECNet"]).fit(GRAPHS, targets)
    targets = np.column_stack([Y, np.full(24, 7.0), np.full(24, np.nan), 20 * Y])
    model.set_params(max_epochs=1).fit(GRAPHS, targets)
    np.testing.assert_allclose(model.y_mean_, [0.014, 7, 0.042, 0.28])
    np.testing.assert_allclose(model.y_scale_, [0.05, 0.05, 0.15, 1])
    np.testing.assert_allclose(model.predict(GRAPHS)[:, 1].mean(), 7, atol=0.05)


def test_a_row_without_weight_does_not_count(model):
    y, weight = Y.copy(), np.ones(24)
    y[3], weight[3] = 1e6, 0
    mean = model.y_mean_
    model.set_params(max_epochs=1)
    assert model.fit(GRAPHS, y, sample_weight=weight).y_mean_ is mean


def test_sums_over_elements_keep_their_outputs():
    """They cannot be shifted: the old predictions, in units of the new deviation."""
    model = clone(MODELS["ECNet"]).set_params(pool="sum").fit(GRAPHS, Y)
    expected = 100 * model.predict(GRAPHS) + 3
    model.set_params(**STILL).fit(GRAPHS, 100 * Y + 3)
    np.testing.assert_allclose(model.predict(GRAPHS), expected, atol=1e-4)


class Interrupt(Callback):
    """Press Ctrl-C inside the fourth training step."""

    def on_train_begin(self, net, **kwargs):
        original, steps = net.train_step, iter(range(3))

        def step(batch, **params):
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return original(batch, **params)

        net.train_step = step


def test_an_interrupted_ensemble_keeps_the_scaling_of_its_networks():
    model = CGCNNRegressor(hidden_dim=4, max_epochs=3, n_ensemble=2, warm_start=True)
    expected = model.fit(GRAPHS, Y).predict(GRAPHS)
    model.set_params(max_epochs=9, callbacks=[Interrupt()])
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(GRAPHS, 100 * Y)
    assert (model.predict(GRAPHS) == expected).all()
