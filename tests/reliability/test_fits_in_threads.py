"""Fits in several threads give the networks of a single thread, and leave the global generators."""

import joblib
import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import Ridge

import sklmat
from sklmat.estimator_checks import make_toy_crystals, make_toy_table

SMALL = {"cutoff": 4.0, "hidden_dim": 8, "n_conv": 1, "max_epochs": 4, "batch_size": 4}
ELEMENTS = {**SMALL, "n_filters": 4, "tower_dims": (4,), "random_state": 0, "n_ensemble": 2}
TINY_GAN = {"n_samples": 8, "max_epochs": 5, "n_ensemble": 2, "hidden_dim": 8, "labeler": Ridge()}
CRYSTALS, Y = make_toy_crystals()
MODELS = {
    "dropout": sklmat.CGCNNRegressor(**SMALL, dropout=0.5, random_state=0),
    "ensemble": sklmat.CGCNNRegressor(**SMALL, dropout=0.2, n_ensemble=3, random_state=0),
    "parallel ensemble": sklmat.CGCNNRegressor(**SMALL, n_ensemble=3, random_state=0, n_jobs=3),
    "adversarial": sklmat.CGCNNRegressor(
        **SMALL, adversarial=sklmat.StructureAttack(n_steps=1), random_state=0
    ),
    "classifier": sklmat.CGCNNClassifier(**SMALL, dropout=0.5, random_state=0),
    "ECNet": sklmat.ECNetRegressor(**ELEMENTS),
    "InfoGAN": sklmat.InfoGANAugmenter(**TINY_GAN, random_state=0),
}


def result(model):
    """Predictions, or generated rows, of a new fit."""
    model = clone(model)
    if isinstance(model, sklmat.InfoGANAugmenter):
        X, y = make_toy_table()
        return joblib.hash(model.fit_resample(X, y))
    if isinstance(model, sklmat.CGCNNClassifier):
        return joblib.hash(model.fit(CRYSTALS, ["a", "b"] * 4).predict_proba(CRYSTALS))
    return joblib.hash(model.fit(CRYSTALS, Y).predict(CRYSTALS))


@pytest.mark.parametrize("name", MODELS)
def test_same_networks_in_threads(name):
    model = MODELS[name]
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    expected = result(model)
    # Other models draw numbers at the same time.
    others = [MODELS["dropout"], sklmat.CGCNNRegressor(**SMALL, dropout=0.3, random_state=1)]
    found = Parallel(n_jobs=4, backend="threading")(
        delayed(result)(each) for each in [model, others[0], model, others[1], model, model]
    )
    assert [found[k] for k in (0, 2, 4, 5)] == [expected] * 4
    assert torch.equal(torch.get_rng_state(), before[0])

    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
