"""Callbacks of skorch in graph estimators: which work, and what is said about the others."""

import numpy as np
import pytest
from crystals import random_alloys
from skorch.callbacks import (
    BatchScoring,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    TrainEndCheckpoint,
)

from sklmat import CGCNNRegressor, ECNetClassifier, StructureToGraph

GRAPHS = StructureToGraph(cutoff=4.0).fit_transform(random_alloys(12, seed=0))
Y = np.linspace(0, 1, 12)
TINY = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 4, "random_state": 0}
VALIDATED = {**TINY, "early_stopping": True, "validation_fraction": 0.3}


SCORES = [
    EpochScoring("r2", lower_is_better=False),
    EpochScoring("r2", on_train=True),
    BatchScoring("r2"),
]


@pytest.mark.parametrize("params", [TINY, VALIDATED])
@pytest.mark.parametrize("callback", SCORES)
def test_scores_of_the_net_are_refused(params, callback):
    name = type(callback).__name__
    with pytest.raises(ValueError, match=f"holds {name}, which cannot score .* call partial_fit"):
        CGCNNRegressor(**params, callbacks=[callback]).fit(GRAPHS, Y)
    with pytest.raises(ValueError, match=f"holds {name}"):
        CGCNNRegressor(**params, callbacks=[("score", callback)]).partial_fit(GRAPHS, Y)


@pytest.mark.parametrize("callback", [Checkpoint(), TrainEndCheckpoint()])
def test_checkpoints_of_skorch_are_refused(callback):
    name = type(callback).__name__
    with pytest.raises(ValueError, match=rf"holds {name}, .* use fit\(\.\.\., checkpoint=path\)"):
        CGCNNRegressor(**VALIDATED, callbacks=[callback]).fit(GRAPHS, Y)


def test_a_validation_loss_needs_validation_rows():
    message = r"EarlyStopping\(monitor='valid_loss'\).* early_stopping=True.* 'train_loss'"
    for estimator in (CGCNNRegressor, ECNetClassifier):
        with pytest.raises(ValueError, match=message):
            estimator(callbacks=[EarlyStopping()]).fit(GRAPHS, [0, 1] * 6)


@pytest.mark.parametrize("callback", [EarlyStopping, "EarlyStopping", None])
def test_other_things_are_refused(callback):
    with pytest.raises(TypeError, match="which is not a callback of skorch"):
        CGCNNRegressor(**TINY, callbacks=[callback]).fit(GRAPHS, Y)


@pytest.mark.parametrize(("params", "monitor"), [(TINY, "train_loss"), (VALIDATED, "valid_loss")])
def test_early_stopping_of_skorch_works(params, monitor):
    # No epoch improves the loss of the first one by 10, so that two more are trained.
    stop = EarlyStopping(monitor=monitor, patience=2, threshold=10, threshold_mode="abs", sink=str)
    model = CGCNNRegressor(**params, callbacks=[stop]).fit(GRAPHS, Y)
    assert model.n_iter_ == 3
