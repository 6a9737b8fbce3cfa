"""Iterations: labelled rows join the training, as long as errors fall."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from tables import QUICK

from sklmat.augmentation import InfoGANAugmenter
from sklmat.augmentation import _iterated_gan as iterated_gan_module
from sklmat.estimator_checks import make_toy_table


class Recorder(RegressorMixin, BaseEstimator):
    """Linear regression that remembers, for all its clones, the rows that it was fitted on."""

    rows = []

    def fit(self, X, y):
        self.rows.append(X.copy())
        self.model_ = LinearRegression().fit(X, y)
        return self

    def predict(self, X):
        return self.model_.predict(X)


@pytest.fixture
def recorded(monkeypatch):
    """Tensors that each GAN was trained on; rows of each labeler are in ``Recorder.rows``."""
    Recorder.rows, trained, train = [], [], iterated_gan_module.train_gan

    def spy(gan, *tables, **settings):
        trained.append([table.numpy().copy() for table in tables])
        return train(gan, *tables, **settings)

    monkeypatch.setattr(iterated_gan_module, "train_gan", spy)
    return trained


def canned_errors(monkeypatch, errors):
    errors = iter(errors)
    monkeypatch.setattr(InfoGANAugmenter, "_error", lambda *args: next(errors))


@pytest.mark.parametrize(
    ("errors", "kept", "tried"),
    [
        ([0.5, 0.4, 0.45], 2, 3),
        ([0.5, 0.6], 1, 2),
        ([0.5, 0.5], 1, 2),
        ([0.5, 0.4, 0.3, 0.2], 4, 4),
    ],
)
def test_iterations_end_when_the_error_stops_falling(monkeypatch, errors, kept, tried):
    X, y = make_toy_table(30)
    canned_errors(monkeypatch, errors)
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=4, n_samples=7)
    augmenter.fit_resample(X, y)
    assert augmenter.n_iterations_ == len(augmenter.gans_) == kept
    assert augmenter.validation_errors_ == errors[:tried]
    assert_array_equal(augmenter.sample_origin_, [0] * 30 + [kept] * 7)
    assert {row["iteration"] for row in augmenter.history_} == set(range(1, kept + 1))


def test_labelled_rows_join_and_the_target_becomes_code(monkeypatch, recorded):
    X, y = make_toy_table(30)
    two = pd.DataFrame({"energy": y, "moment": np.cos(9 * y)})
    canned_errors(monkeypatch, [0.5, 0.4])
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=2).fit(X, two)
    first, second = (gan.config for gan in augmenter.gans_)
    assert first["n_codes"] == 3
    assert second["n_codes"] == 3 + 2
    assert first["categories"] == second["categories"] == [2]
    # Two trainings without the rows held out, two with all; the second of each has twice the rows.
    assert [len(tables[0]) for tables in recorded] == [24, 48, 30, 60]
    (_, code, _), (features, wider, _) = recorded[2], recorded[3]
    assert_allclose(features[:30], recorded[2][0], atol=1e-6)
    assert_allclose(wider[:30, 2:], code, atol=1e-6)
    standard = (two - two.mean()) / two.std(ddof=0)
    assert_allclose(wider[:30, :2], standard, atol=1e-5)
    # The other half are other alloys, with labels on the scale of the real ones.
    assert not np.isclose(features[30:], features[:30]).all(axis=1).any()
    assert not np.isclose(wider[30:, 2:5], wider[:30, 2:5]).all(axis=1).any()
    assert np.abs(wider[30:, :2]).max() < 5
    assert not np.isclose(wider[30:, :2], standard).all()


def test_classes_become_a_category_of_the_code(monkeypatch):
    X, y = make_toy_table(40, task="classification")
    canned_errors(monkeypatch, [0.5, 0.4])
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=2, n_samples=8)
    _, y_all = augmenter.fit_resample(X, y)
    assert augmenter.gans_[1].config["categories"] == [2, 2]
    assert augmenter.gans_[1].config["n_codes"] == 3
    assert set(y_all) == {"bcc", "fcc"}


def held_out(X):
    """Rows that the first recorded labeler was not fitted on."""
    return ~X["x_Fe"].isin(Recorder.rows[0]["x_Fe"]).to_numpy()


def test_rows_held_out_teach_nothing(recorded):
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK, n_iterations=2, labeler=Recorder()).fit(X, y)
    held, tried = held_out(X), len(augmenter.validation_errors_)
    assert held.sum() == 6
    first = list(recorded)
    recorded.clear()
    Recorder.rows = []
    # Other features and targets in rows held out must not show before the number is chosen.
    X_planted, y_planted = X.copy(), y.copy()
    X_planted.loc[held, X.columns[5:]] *= 100
    y_planted[held] += 50
    again = clone(augmenter).fit(X_planted, y_planted)
    assert_array_equal(held_out(X), held)
    for before, after in zip(first[:tried], recorded[:tried]):
        for one, other in zip(before, after):
            assert_array_equal(one, other)
    assert not np.array_equal(first[tried][0], recorded[tried][0])
    assert again.validation_errors_[0] != augmenter.validation_errors_[0]


def test_validation_errors_are_those_of_the_labeler_on_generated_features():
    X, y = make_toy_table(30)
    X = X.assign(place=np.arange(30.0))
    Recorder.rows = []
    settings = {**QUICK, "labeler": Recorder()}
    found = InfoGANAugmenter(**settings, n_iterations=2).fit(X, y).validation_errors_[0]
    learn = Recorder.rows[0]["place"].to_numpy(dtype=int)
    held = np.setdiff1d(np.arange(30), learn)
    alone = InfoGANAugmenter(**settings).fit(X.iloc[learn], y.iloc[learn])
    told = alone.labeler_.predict(alone.sample(X.iloc[held], noise=False))
    expected = np.sqrt(np.mean((told - y.iloc[held]) ** 2)) / y.iloc[learn].std(ddof=0)
    assert_allclose(found, expected, rtol=1e-6)


def test_validation_rows_are_of_each_class_of_several_rows(monkeypatch):
    X, _ = make_toy_table(20)
    y = np.array(["alone", *["pair"] * 2, *["many"] * 17])
    held = []

    def error(augmenter, gan, features, classes):
        held.extend(augmenter.classes_[classes])
        return 0.5

    monkeypatch.setattr(InfoGANAugmenter, "_error", error)
    settings = {**QUICK, "n_iterations": 2, "validation_fraction": 0.2}
    augmenter = InfoGANAugmenter(**settings).fit(X, y)
    assert augmenter.validation_errors_ == [0.5, 0.5]
    # Of each class a fifth, rounded up, but not the only row; the same rows in each iteration.
    assert sorted(held) == ["many"] * 8 + ["pair"] * 2


def test_one_iteration_holds_nothing_out(recorded):
    X, y = make_toy_table(30)
    augmenter = InfoGANAugmenter(**QUICK).fit(X, y)
    assert [len(tables[0]) for tables in recorded] == [30]
    assert augmenter.n_iterations_ == 1
    assert augmenter.validation_errors_ == []
