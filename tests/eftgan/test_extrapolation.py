"""Compositions far from the training rows are warned of."""

import warnings

import numpy as np
import pytest
from pymatgen.core import Composition
from tiny_eftgan import ELEMENTS

from sklmat import ExtrapolationWarning
from sklmat.eftgan._extrapolation import ExtrapolationDetector

FINE = [0.2, 0.3, 0.5]


def test_far_compositions_are_warned_of(model, alloys):
    x = alloys[1]
    kinds = np.unique(x, axis=0)
    distance = np.linalg.norm(kinds[:, None] - kinds[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    reach = distance.min(axis=1).max()

    def gap(rows):
        return np.linalg.norm(np.asarray(rows)[:, None] - kinds[None], axis=2).min(axis=1)

    corner = np.array([[0.0, 1.0, 0.0], [0.05, 0.9, 0.05], FINE])
    assert gap(corner)[0] > reach > gap(corner)[2]
    outside = ((corner > x.max(axis=0)) | (corner < x.min(axis=0))).any(axis=1)
    far = (gap(corner) > reach) | outside
    n_far = far.sum()
    X = np.vstack([x, corner[::-1], x])
    first = len(x) + np.flatnonzero(far[::-1])[0]
    message = rf"^{n_far} of {len(X)} compositions are .* the first is row {first}\."
    for call in (model.predict, model.predict_composition):
        with pytest.warns(ExtrapolationWarning, match=message) as caught:
            call(X, phase="fcc")
        assert caught[0].filename == __file__
    objects = [Composition(dict(zip(ELEMENTS, row))) for row in X]
    with pytest.warns(ExtrapolationWarning, match=message) as caught:
        model.predict(objects, phase="fcc")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(x, phase="fcc")
        # What was trained on a grid reaches from point to point, but not further.
        on_grid = np.array([[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
        edge = ExtrapolationDetector(on_grid).max_distance
        assert edge == pytest.approx(0.125**0.5, abs=2e-6)


def test_pure_elements_are_beyond_binaries():
    # As far from Fe3Ni as that is from FeNi, but no training row has so much of one element.
    detector = ExtrapolationDetector(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]))
    message = r"^2 of 3 .*more or less of an element.* row 1\."
    with pytest.warns(ExtrapolationWarning, match=message):
        detector.warn(np.array([[0.6, 0.4], [1.0, 0.0], [0.0, 1.0]]))


def test_one_training_composition_reaches_a_little():
    assert ExtrapolationDetector(np.array([FINE] * 5)).max_distance == 0.1
