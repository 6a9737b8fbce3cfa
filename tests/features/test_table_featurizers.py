"""What both featurizers share, and their tables in pipelines."""

import pickle

import numpy as np
import pandas as pd
import pytest
from crystals import bcc_fe, displaced_alloy, fcc_cu
from pymatgen.core import Composition
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils._param_validation import InvalidParameterError

from sklmat import CompositionFeaturizer, StructureFeaturizer, infer_lattice

# both, as scikit-learn estimators
BOTH = [CompositionFeaturizer(lattice=True), StructureFeaturizer()]


@pytest.mark.parametrize("featurizer", BOTH, ids=lambda f: type(f).__name__)
def test_output_containers(featurizer):
    structures = pd.Series([bcc_fe(), fcc_cu()], index=["iron", "copper"])
    table = clone(featurizer).fit_transform(structures)
    assert isinstance(table, pd.DataFrame)
    assert table.index.tolist() == ["iron", "copper"]
    plain = clone(featurizer).set_output(transform="default").fit_transform(structures)
    assert isinstance(plain, np.ndarray)
    np.testing.assert_array_equal(plain, table)
    asked = clone(featurizer).set_output(transform="pandas").fit_transform(structures)
    pd.testing.assert_frame_equal(asked, table)
    from_list = clone(featurizer).fit_transform(structures.tolist())
    assert from_list.index.tolist() == [0, 1]


@pytest.mark.parametrize("featurizer", BOTH, ids=lambda f: type(f).__name__)
def test_estimator_protocol(featurizer):
    featurizer = clone(featurizer)
    with pytest.raises(NotFittedError):
        featurizer.transform([bcc_fe()])
    assert set(featurizer._parameter_constraints) == set(featurizer.get_params())
    table = featurizer.fit_transform([bcc_fe(), fcc_cu()])
    restored = pickle.loads(pickle.dumps(featurizer))
    pd.testing.assert_frame_equal(restored.transform([bcc_fe(), fcc_cu()]), table)
    names = featurizer.get_feature_names_out()
    assert len(set(names)) == len(names)
    assert not [name for name in names if set(name) & set("[]<")]
    assert featurizer.transform([]).shape == (0, len(names))
    assert not featurizer.__sklearn_tags__().input_tags.two_d_array


def test_graphs_are_refused():
    class CrystalGraphs:
        pass

    for featurizer in BOTH:
        with pytest.raises(TypeError, match="pass the structures"):
            clone(featurizer).fit(CrystalGraphs())
    with pytest.raises(TypeError, match="pass the structures"):
        infer_lattice(CrystalGraphs())


def test_union_in_a_grid_search_with_xgboost():
    xgboost = pytest.importorskip("xgboost")
    structures = [displaced_alloy(seed, repeat=2) for seed in range(8)]
    y = np.array([s.composition.get_atomic_fraction("Ni") for s in structures])
    union = FeatureUnion(
        [
            ("composition", CompositionFeaturizer()),
            ("structure", StructureFeaturizer(groups=["volume"])),
        ]
    ).set_output(transform="pandas")
    model = Pipeline(
        [("features", union), ("model", xgboost.XGBRegressor(n_estimators=5, n_jobs=1))]
    )
    search = GridSearchCV(model, {"model__max_depth": [1, 2]}, cv=2, error_score="raise")
    search.fit(structures, y)
    names = search.best_estimator_["model"].get_booster().feature_names
    assert names[0] == "composition__x_Ni"
    assert "structure__volume per atom (Å³)" in names
    assert search.predict(structures).shape == y.shape


def test_fractions_explain_a_linear_target_in_a_pipeline():
    compositions = [Composition({"Fe": 10 - k, "Ni": k}) for k in range(1, 10)]
    y = [0.2 * k for k in range(1, 10)]
    model = Pipeline([("x", CompositionFeaturizer(properties=[])), ("ridge", Ridge(alpha=1e-9))])
    model.fit(compositions[::2], y[::2])
    np.testing.assert_allclose(model.predict(compositions[1::2]), y[1::2], atol=0.05)


def test_public_error_type_for_parameters():
    with pytest.raises(InvalidParameterError):
        StructureFeaturizer(symprec="tight").fit([bcc_fe()])
