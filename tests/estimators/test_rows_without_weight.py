"""Rows of weight zero: the network is fitted as if they were not there."""

import numpy as np
import pytest
from crystals import b2_cscl, random_alloys
from sklearn.base import clone

from sklmat import CGCNNClassifier, CGCNNRegressor, ECNetClassifier, ECNetRegressor

TINY = {"cutoff": 4.0, "hidden_dim": 4, "max_epochs": 2, "batch_size": 4, "random_state": 0}
ECNET = {**TINY, "n_filters": 4, "tower_dims": (4,), "n_ensemble": 2}
#: Row 0 has elements that no other row has.
CELLS = [b2_cscl(), *random_alloys(15, n_cells=1)]
Y = np.random.default_rng(0).normal(size=16)
LABELS = np.where(np.arange(16) % 3, "a", "b")
WEIGHT = np.where(np.isin(np.arange(16), [0, 4, 9]), 0.0, np.linspace(0.5, 2, 16))
KEPT = np.flatnonzero(WEIGHT)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (CGCNNRegressor(**TINY), Y),
        (CGCNNRegressor(**TINY), np.column_stack([Y, np.where(np.arange(16) == 5, np.nan, Y)])),
        (CGCNNRegressor(**TINY, early_stopping=True, n_ensemble=2), Y),
        (CGCNNClassifier(**TINY, class_weight="balanced"), LABELS),
        (CGCNNClassifier(**TINY, early_stopping=True, validation_fraction=0.3), LABELS),
        (ECNetRegressor(**ECNET), Y),
        (ECNetClassifier(**ECNET, class_weight="balanced"), LABELS),
    ],
)
def test_they_shape_nothing(model, y):
    few = [CELLS[row] for row in KEPT]
    expected = clone(model).fit(few, y[KEPT], WEIGHT[KEPT])
    given = clone(model).fit(CELLS, y, WEIGHT)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    for _ in range(2):
        np.testing.assert_array_equal(getattr(given, method)(few), getattr(expected, method)(few))
        given.partial_fit(CELLS, y, sample_weight=WEIGHT)
        expected.partial_fit(few, y[KEPT], sample_weight=WEIGHT[KEPT])
    assert given.elements_.tolist() == expected.elements_.tolist() == [28, 29, 46]


def test_their_classes_do_not_count():
    """An output for a class without training rows would change the probabilities of the others."""
    labels = LABELS.copy()
    labels[4] = "c"
    model = CGCNNClassifier(**TINY, class_weight="balanced").fit(CELLS, labels, WEIGHT)
    assert model.classes_.tolist() == ["a", "b"]
    assert model.predict_proba(CELLS[1:]).shape == (15, 2)


@pytest.mark.parametrize("cls", [CGCNNClassifier, CGCNNRegressor])
def test_all_rows(cls):
    with pytest.raises(ValueError, match="zero"):
        cls(**TINY).fit(CELLS, np.arange(16) % 2, np.zeros(16))
