"""The phase of compositions as an argument of `CompositionFeaturizer`."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from sklmat import CompositionFeaturizer

FORMULAS = ["FeNi", "FeNi3", "Fe3Ni", "FeNi", "FeNi3", "Fe3Ni"]
PHASES = ["bcc", "bcc", "bcc", "fcc", "fcc", "fcc"]


def test_phase_is_that_of_a_table_with_this_column():
    table = pd.DataFrame({"composition": FORMULAS, "phase": PHASES})
    featurizer = CompositionFeaturizer(lattice=True)
    expected = featurizer.fit_transform(table)
    found = featurizer.fit_transform(FORMULAS, phase=PHASES)
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(featurizer.fit(FORMULAS, None, PHASES).transform(table), expected)
    one = featurizer.transform(FORMULAS[:2], phase="fcc")
    assert one["lattice_fcc"].tolist() == [1, 1]
    assert one["lattice_bcc"].tolist() == [0, 0]


def test_pipelines_pass_the_phase_on():
    model = make_pipeline(CompositionFeaturizer(lattice=True, properties=[]), LinearRegression())
    y = np.array([1.0, 2.0, 3.0, 11.0, 12.0, 13.0])  # Ten more on fcc.
    with config_context(enable_metadata_routing=True):
        model.fit(FORMULAS, y, phase=PHASES)
        difference = model.predict(["FeNi2"], phase="fcc") - model.predict(["FeNi2"], phase="bcc")
        scores = cross_validate(
            model, FORMULAS * 4, np.tile(y, 4), cv=2, params={"phase": PHASES * 4}
        )["test_score"]
    assert_allclose(difference, 10)
    assert_allclose(scores, 1)


def test_what_is_refused():
    featurizer = CompositionFeaturizer(lattice=True)
    table = pd.DataFrame({"composition": FORMULAS, "phase": PHASES})
    for args, message in [
        ((FORMULAS, None, PHASES[:2]), r"one for each of 6 rows; got the shape \(2,\)"),
        ((FORMULAS, None, [*PHASES[:5], None]), "row 5 has the phase None"),
        ((table, None, PHASES), "a column of X and an argument"),
    ]:
        with pytest.raises(ValueError, match=message):
            featurizer.fit(*args)
    with pytest.raises(TypeError, match="pass structures, phase="):
        featurizer.fit(FORMULAS)
    plain = CompositionFeaturizer()
    with pytest.raises(ValueError, match="phase is used only with lattice=True"):
        plain.fit(FORMULAS, phase=PHASES)
    assert plain.get_metadata_routing().consumes("transform", {"phase"}) == set()
    with config_context(enable_metadata_routing=True):
        declined = CompositionFeaturizer(lattice=True).set_transform_request(phase=False)
    assert declined.get_metadata_routing().consumes("transform", {"phase"}) == set()
    assert declined.get_metadata_routing().consumes("fit", {"phase"}) == {"phase"}
