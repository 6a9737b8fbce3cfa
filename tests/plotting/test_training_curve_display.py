"""Losses of networks after each epoch."""

import numpy as np
import pandas as pd
import pytest
from crystals import rattled_cells
from numpy.testing import assert_allclose
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from sklmat import CGCNNRegressor, InfoGANAugmenter
from sklmat.estimator_checks import make_toy_table
from sklmat.plotting import TrainingCurveDisplay


def rows(losses, member=0):
    return [
        {"member": member, "epoch": k, "train_loss": train, "valid_loss": valid, "lr": 0.1}
        for k, (train, valid) in enumerate(losses, start=1)
    ]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_lines_and_the_epoch_that_is_kept():
    history = rows([(0.9, 1.0), (0.5, 0.6), (0.3, 0.8)])
    display = TrainingCurveDisplay.from_history(history, metric="MAE", unit="eV", color="k")
    assert list(display.lines_) == ["train_loss", "valid_loss"]
    (train,), (valid,) = display.lines_.values()
    assert_allclose(train.get_xydata(), [[1, 0.9], [2, 0.5], [3, 0.3]])
    assert_allclose(valid.get_ydata(), [1.0, 0.6, 0.8])
    assert train.get_color() == "k"
    assert display.kept_ == [(2, 0.6)]
    assert_allclose(display.ax_.collections[0].get_offsets(), [[2, 0.6]])
    assert legend(display) == ["training", "validation", "lowest validation loss (kept)"]
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_ylabel() == "MAE (eV)"
    assert display.ax_.get_yscale() == "log"


def test_members_of_an_ensemble_have_thin_lines():
    history = rows([(0.9, 1.0), (0.5, 0.6)]) + rows([(0.8, 0.5), (0.7, 0.9)], member=1)
    display = TrainingCurveDisplay.from_history(pd.DataFrame(history, index=[3, 3, 3, 3]))
    assert [len(lines) for lines in display.lines_.values()] == [2, 2]
    assert_allclose(display.lines_["train_loss"][1].get_ydata(), [0.8, 0.7])
    assert display.lines_["train_loss"][0].get_linewidth() < 1
    assert display.kept_ == [(2, 0.6), (1, 0.5)]
    assert legend(display)[0] == "training, 2 members"


def test_losses_that_are_negative_are_on_a_linear_axis():
    history = [{"epoch": k, "generator": -0.5 * k, "dur": 0.1} for k in (1, 2)]
    display = TrainingCurveDisplay.from_history(history, limits=(-3, 1))
    assert list(display.lines_) == ["generator"]
    assert display.ax_.get_yscale() == "linear"
    assert display.ax_.get_ylim() == (-3, 1)
    assert display.kept_ == []
    with pytest.raises(ValueError, match="the smallest loss is -1"):
        TrainingCurveDisplay.from_history(history, log_scale=True)


def test_networks_also_inside_other_estimators():
    cells, y = rattled_cells(12)
    net = CGCNNRegressor(
        cutoff=4.0, hidden_dim=4, n_conv=1, max_epochs=3, n_ensemble=2, early_stopping=True,
        random_state=0,
    )  # fmt: skip
    model = TransformedTargetRegressor(net).fit(cells, y)
    display = TrainingCurveDisplay.from_estimator(model)
    history = pd.DataFrame(model.regressor_.history_)
    for member, line in enumerate(display.lines_["valid_loss"]):
        expected = history.loc[history["member"] == member, "valid_loss"]
        assert_allclose(line.get_ydata(), expected)
    assert len(display.kept_) == 2
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(net)
    with pytest.raises(TypeError, match="a Ridge has no history_"):
        TrainingCurveDisplay.from_estimator(Ridge().fit([[0.0], [1.0]], [0, 1]))


def test_losses_of_an_augmenter():
    X, y = make_toy_table(8)
    augmenter = InfoGANAugmenter(max_epochs=2, n_samples=2, labeler=None, random_state=0).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(augmenter)
    expected = {"discriminator", "generator", "information", "reconstruction"}
    assert expected <= set(display.lines_) <= expected | {"moments"}
    losses = [row["generator"] for row in augmenter.history_]
    assert_allclose(display.lines_["generator"][0].get_ydata(), losses)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "no epochs"),
        ([{"epoch": 1, "lr": 0.1}], "no epoch or no loss"),
        ([{"train_loss": 0.1}], "no epoch or no loss"),
        ([{"epoch": 1, "train_loss": np.inf}], "infinite"),
        ("history", "list of dicts or a DataFrame"),
    ],
)
def test_histories_that_cannot_be_drawn(history, message):
    with pytest.raises(ValueError, match=message):
        TrainingCurveDisplay.from_history(history)
