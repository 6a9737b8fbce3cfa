"""Targets: one and several, missing ones, weights, units and spread."""

import numpy as np
import pytest
import torch
from crystals import nickel_fraction
from skorch.callbacks import Callback
from tiny_ecnet import TINY, of_members

from sklmat import ECNetRegressor
from sklmat.random_state import draw_seed


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
    _, valid = stopping._split(y, draw_seed(stopping.random_state), graphs)
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
