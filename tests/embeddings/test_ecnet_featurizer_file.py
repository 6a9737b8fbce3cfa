"""Files of `ECNetFeaturizer`."""

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys
from sklearn.frozen import FrozenEstimator

from sklmat import ECNetFeaturizer, ECNetRegressor


@pytest.fixture(scope="module")
def structures():
    return random_alloys(10, n_cells=1)


def network():
    return ECNetRegressor(
        cutoff=4.0, hidden_dim=3, n_filters=4, tower_dims=(4,), max_epochs=1, n_ensemble=2
    )


def test_save_and_load(structures, tmp_path):
    y = np.linspace(0, 1, 10)
    featurizer = ECNetFeaturizer(network(), n_components=2, random_state=0).fit(structures, y)
    path = tmp_path / "table.safetensors"
    featurizer.save(path)
    loaded = ECNetFeaturizer.load(path)
    expected = featurizer.transform(structures)
    pd.testing.assert_frame_equal(loaded.transform(structures), expected)
    assert loaded.get_params(deep=False).keys() == featurizer.get_params(deep=False).keys()
    # It can be fitted again, with the same result.
    again = loaded.fit(structures, y).transform(structures)
    pd.testing.assert_frame_equal(again, expected)
    frozen = ECNetFeaturizer(FrozenEstimator(featurizer.estimator_)).fit(structures)
    frozen.save(path)
    loaded = ECNetFeaturizer.load(path)
    assert isinstance(loaded.estimator, FrozenEstimator)
    pd.testing.assert_frame_equal(loaded.transform(structures), frozen.transform(structures))
    with pytest.raises(ValueError, match=r"a transformer, which ECNetFeaturizer.load reads"):
        ECNetRegressor.load(path)
    featurizer.estimator_.save(path)
    with pytest.raises(ValueError, match="does not hold a fitted ECNetFeaturizer: it is an est"):
        ECNetFeaturizer.load(path)
