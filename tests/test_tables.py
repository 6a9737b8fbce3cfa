"""Kinds of tables: DataFrames from structures, and samplers that keep the kind they are given."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import SGDRegressor
from sklearn.utils.validation import validate_data

from sklmat import (
    ApplicabilityDomain,
    AugmentedClassifier,
    AugmentedRegressor,
    CGCNNRegressor,
    CompositionFeaturizer,
    DisorderFeaturizer,
    ECNetClassifier,
    ECNetFeaturizer,
    ECNetRegressor,
    GraphEmbedding,
    InfoGANAugmenter,
    MixupAugmenter,
    NoiseAugmenter,
    PotentialFeaturizer,
    StructureFeaturizer,
)
from sklmat.estimator_checks import all_structure_estimators

pytestmark = pytest.mark.usefixtures("few_trees")

SIZES = np.linspace(2.6, 3.2, 12)
TINY = {"hidden_dim": 4, "max_epochs": 2, "random_state": 0}
ECNET = {**TINY, "n_ensemble": 2}
LABELS = np.where(SIZES > 2.9, "loose", "dense")


def cells():
    return [Structure(Lattice.cubic(a), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for a in SIZES]


# -- from structures


def volume_per_atom(structure):
    return {"energy": structure.volume / len(structure)}


TRANSFORMERS = {
    "ApplicabilityDomain": ApplicabilityDomain(StructureFeaturizer(groups=["volume"])),
    "CompositionFeaturizer": CompositionFeaturizer(),
    "DisorderFeaturizer": DisorderFeaturizer(groups=["volume", "symmetry"]),
    "ECNetFeaturizer": ECNetFeaturizer(ECNetRegressor(**ECNET), n_components=1),
    "GraphEmbedding": GraphEmbedding(CGCNNRegressor(**TINY)),
    "PotentialFeaturizer": PotentialFeaturizer(volume_per_atom, columns="energy"),
    "StructureFeaturizer": StructureFeaturizer(groups=["volume"]),
}


def test_no_transformer_of_structures_is_left_out():
    found = {
        name
        for name, cls in all_structure_estimators()
        if hasattr(cls, "transform") and not hasattr(cls, "predict")
    }
    # The builder, which trains networks, has a test file of its own.
    assert found - {"StructureToGraph", "AdversarialFeatureBuilder"} == set(TRANSFORMERS)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_structures_become_dataframes(name):
    transformer = clone(TRANSFORMERS[name])
    index = [f"cell {k}" for k in range(len(SIZES))]
    transformer.fit(cells(), SIZES)
    table = transformer.transform(pd.Series(cells(), index=index))
    assert isinstance(table, pd.DataFrame)
    assert table.index.tolist() == index
    assert table.columns.tolist() == transformer.get_feature_names_out().tolist()
    array = (
        clone(transformer).set_output(transform="default").fit(cells(), SIZES).transform(cells())
    )
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, table)


def test_embeddings_go_into_polars():
    polars = pytest.importorskip("polars")
    embedding = GraphEmbedding(CGCNNRegressor(**TINY)).set_output(transform="polars")
    table = embedding.fit_transform(cells(), SIZES)
    assert isinstance(table, polars.DataFrame)
    assert table.columns == ["CGCNN_0", "CGCNN_1", "CGCNN_2", "CGCNN_3"]


@pytest.mark.parametrize(
    ("model", "y"), [(ECNetRegressor(**ECNET), SIZES), (ECNetClassifier(**ECNET), LABELS)]
)
def test_transform_of_ecnet_estimators_is_deprecated(model, y):
    model.fit(cells(), y)
    message = rf"transform of {type(model).__name__} is removed in sklmat 0\.3: use ECNetFeaturizer"
    with pytest.warns(FutureWarning, match=message) as warned:
        table = model.transform(cells())
    assert warned[0].filename == __file__
    assert isinstance(table, pd.DataFrame)
    assert table.columns[:2].tolist() == ["x_Al", "x_Fe"]
    with pytest.warns(FutureWarning, match=message):
        array = model.set_output(transform="default").transform(cells())
    np.testing.assert_array_equal(array, table)


# -- through samplers

SAMPLERS = {
    "NoiseAugmenter": NoiseAugmenter(n_samples=5, random_state=0),
    "MixupAugmenter": MixupAugmenter(n_samples=5, random_state=0),
    "InfoGANAugmenter": InfoGANAugmenter(n_samples=5, max_epochs=3, n_ensemble=1, random_state=0),
}
KINDS = ["numpy", "pandas", "polars"]


def table_of(kind, n=30, classes=False):
    """Fractions, a float and an integer column; targets called "energy"."""
    rng = np.random.default_rng(0)
    x = rng.random(n).round(3)
    columns = {
        "x_Fe": x,
        "x_Ni": 1 - x,
        "size": (x + rng.random(n)).astype(np.float32),
        "count": rng.integers(0, 9, n),
    }
    y = np.where(x > 0.5, "rich", "poor") if classes else x**2
    if kind == "numpy":
        return np.column_stack(list(columns.values())), y
    library = pytest.importorskip(kind)
    return library.DataFrame(columns), library.Series(name="energy", **_series(kind, y))


def _series(kind, values):
    return {"values" if kind == "polars" else "data": values}


def kind_of(table):
    return type(table).__module__.split(".")[0]


@pytest.mark.parametrize("classes", [False, True], ids=["numbers", "classes"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_keep_the_kind_of_table(name, kind, classes):
    X, y = table_of(kind, classes=classes)
    X_all, y_all = clone(SAMPLERS[name]).fit_resample(X, y)
    assert kind_of(X_all) == kind_of(y_all) == kind
    assert len(X_all) == len(y_all) == 35
    np.testing.assert_array_equal(np.asarray(X_all)[:30], np.asarray(X))
    np.testing.assert_array_equal(np.asarray(y_all)[:30], np.asarray(y))
    expected = clone(SAMPLERS[name]).fit_resample(*table_of("pandas", classes=classes))
    if kind != "numpy":
        assert list(X_all.columns) == list(X.columns)
        assert y_all.name == "energy"
        assert y_all.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(X_all), np.asarray(expected[0]))
        np.testing.assert_array_equal(np.asarray(y_all), np.asarray(expected[1]))


def test_columns_of_polars_keep_their_types_where_they_can():
    polars = pytest.importorskip("polars")
    X, y = table_of("polars")
    X = X.with_columns(flag=X["x_Fe"] > 2, count=X["count"].cast(polars.Int16))
    X_all, _ = NoiseAugmenter(scale=0.01, n_samples=5, random_state=0).fit_resample(X, y)
    assert X_all.schema == {**X.schema, "count": polars.Float64}
    unchanged, _ = NoiseAugmenter(n_samples=0).fit_resample(X, y)
    assert unchanged.equals(X)


def test_several_targets_of_polars_stay_a_table():
    polars = pytest.importorskip("polars")
    X, y = table_of("polars")
    y = polars.DataFrame({"energy": y, "moment": 2 * y})
    _, y_all = MixupAugmenter(n_samples=5, random_state=0).fit_resample(X, y)
    assert y_all.schema == y.schema
    np.testing.assert_allclose(y_all["moment"], 2 * y_all["energy"])


@pytest.mark.parametrize("kind", KINDS)
def test_generated_rows_are_of_the_kind_of_the_codes(kind):
    X, y = table_of(kind)
    augmenter = clone(SAMPLERS["InfoGANAugmenter"]).fit(X, y)
    assert kind_of(augmenter.sample(3)) == kind
    codes = X[:3, :2] if kind == "numpy" else X[["x_Fe", "x_Ni"]][:3]
    rows = augmenter.sample(codes)
    assert kind_of(rows) == kind
    np.testing.assert_allclose(np.asarray(rows)[:, :2], np.asarray(codes))


class Spy(BaseEstimator):
    """Remembers the tables of its fits."""

    def fit(self, X, y):
        validate_data(self, X)
        self.seen_ = [*getattr(self, "seen_", []), (X, y)]
        return self

    partial_fit = fit

    def predict(self, X):
        return np.zeros(len(X))


class SpyRegressor(RegressorMixin, Spy):
    pass


class SpyClassifier(ClassifierMixin, Spy):
    def partial_fit(self, X, y, classes=None):
        return self.fit(X, y)


@pytest.mark.parametrize("strategy", ["concat", "pretrain_finetune"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("integers", [False, True])
def test_augmented_estimators_pass_the_kind_on(kind, strategy, integers):
    X, y = table_of(kind)
    names = None if kind == "numpy" else ["x_Fe", "x_Ni", "size", "count"]
    for model, spy in ((AugmentedRegressor, SpyRegressor), (AugmentedClassifier, SpyClassifier)):
        target = y
        if model is AugmentedClassifier or integers:
            # Classes that are floats reach the sampler as integers, and come back as floats.
            dtype, target = int if integers else float, y > 0.3
            target = target.cast(dtype) if kind == "polars" else target.astype(dtype)
        model = model(spy(), MixupAugmenter(n_samples=9, random_state=0), strategy=strategy)
        fitted = model.fit(X, target).estimator_
        for seen, labels in fitted.seen_:
            assert kind_of(seen) == kind_of(labels) == kind
            assert names is None or labels.name == "energy"
        assert getattr(fitted, "feature_names_in_", np.array(None)).tolist() == names
        assert sum(len(seen) for seen, _ in fitted.seen_) == 39
        if spy is SpyClassifier:
            assert set(np.asarray(fitted.seen_[-1][1])) == {0, 1}


def test_estimators_of_scikit_learn_fit_polars():
    X, y = table_of("polars")
    model = AugmentedRegressor(
        SGDRegressor(random_state=0), NoiseAugmenter(random_state=0), strategy="pretrain_finetune"
    )
    same = clone(model).fit(*table_of("pandas"))
    np.testing.assert_allclose(model.fit(X, y).predict(X), same.predict(table_of("pandas")[0]))
    assert model.feature_names_in_.tolist() == X.columns
