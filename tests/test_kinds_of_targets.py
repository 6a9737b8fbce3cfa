"""Kinds of `y`: numbers for regressors, labels of any type for classifiers."""

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression, Ridge

import sklmat
from sklmat import AugmentedClassifier, AugmentedRegressor, NoiseAugmenter
from sklmat.targets import as_numbers, label_column

GRAPHS = sklmat.StructureToGraph(cutoff=4.0).fit_transform(random_alloys(10, seed=0))
TABLE = np.random.default_rng(0).random((10, 3))
NETWORK = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
ELEMENTS = {**NETWORK, "n_filters": 4, "tower_dims": (4,), "n_ensemble": 1}

CLASSIFIERS = {
    "CGCNN": (sklmat.CGCNNClassifier(**NETWORK, class_weight={"metal": 2, "gap": 1}), GRAPHS),
    "ECNet": (sklmat.ECNetClassifier(**ELEMENTS), GRAPHS),
    "AugmentedClassifier": (
        AugmentedClassifier(LogisticRegression(), NoiseAugmenter(random_state=0)),
        TABLE,
    ),
    "AugmentedClassifier without sampler": (AugmentedClassifier(LogisticRegression()), TABLE),
}
REGRESSORS = {
    "CGCNN": (sklmat.CGCNNRegressor(**NETWORK), GRAPHS),
    "ECNet": (sklmat.ECNetRegressor(**ELEMENTS), GRAPHS),
    "EFTGAN": (sklmat.EFTGANRegressor(), GRAPHS),
    "AugmentedRegressor": (AugmentedRegressor(Ridge(), NoiseAugmenter(random_state=0)), TABLE),
    "AugmentedRegressor without sampler": (AugmentedRegressor(Ridge()), TABLE),
}

PLAIN = np.array(["metal", "gap"] * 5)
LABELS = {
    "StringDType": PLAIN.astype(np.dtypes.StringDType()),
    "StringDType with missing": PLAIN.astype(np.dtypes.StringDType(na_object=np.nan)),
    "string of pandas": pd.Series(PLAIN, dtype="string"),
    "str of pandas": pd.Series(PLAIN, index=range(7, 17)),
    "category": pd.Series(PLAIN, dtype="category"),
    "Categorical": pd.Categorical(PLAIN),
    "object": PLAIN.astype(object),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_of_any_kind_of_string(name, kind, tmp_path):
    model, X = CLASSIFIERS[name]
    expected = model.fit(X, PLAIN).predict_proba(X)
    model.fit(X, LABELS[kind])
    assert model.classes_.tolist() == ["gap", "metal"]
    assert np.array_equal(model.predict_proba(X), expected)
    predicted = model.predict(X)
    assert set(predicted) <= {"gap", "metal"}
    assert model.score(X, LABELS[kind]) == np.mean(predicted == PLAIN)
    if hasattr(model, "save"):
        model.save(tmp_path / "model.safetensors")
        loaded = type(model).load(tmp_path / "model.safetensors")
        assert loaded.classes_.tolist() == ["gap", "metal"]
        assert loaded.predict(X).tolist() == predicted.tolist()


@pytest.mark.parametrize("kind", [*LABELS, "numbers", "table"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_column_of_labels_is_ravelled_with_a_warning(name, kind):
    model, X = CLASSIFIERS[name]
    if kind == "numbers":
        model = clone(model)
        if "class_weight" in model.get_params():
            model.set_params(class_weight=None)
        y = (PLAIN == "gap").astype(int)
    else:
        y = PLAIN if kind == "table" else LABELS[kind]
    expected = model.fit(X, y).predict_proba(X)
    column = pd.DataFrame({"class": y}) if kind == "table" else np.asarray(y)[:, None]
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        model.fit(X, column)
    assert np.array_equal(model.predict_proba(X), expected)


def test_two_columns_of_labels_are_refused():
    with pytest.raises(ValueError, match=r"one label per structure, got the shape \(10, 2\)"):
        sklmat.CGCNNClassifier(**NETWORK).fit(GRAPHS, np.stack([PLAIN, PLAIN], axis=1))


def test_missing_labels_are_named():
    y = PLAIN.astype(np.dtypes.StringDType(na_object=np.nan))
    y[3] = np.nan
    with pytest.raises(ValueError, match=r"y is missing in rows \[3\]"):
        sklmat.CGCNNClassifier(**NETWORK).fit(GRAPHS, y)


def test_classes_of_partial_fit():
    strings = LABELS["StringDType"]
    model = sklmat.CGCNNClassifier(**NETWORK)
    model.partial_fit(GRAPHS[::2], strings[::2], classes=strings)
    model.partial_fit(GRAPHS, PLAIN, classes=["gap", "metal"])
    assert model.classes_.tolist() == ["gap", "metal"]


DATES = np.arange("2020-01", "2020-11", dtype="datetime64[M]")
NOT_REAL = {
    "complex": (np.ones(10) + 1j, "y holds complex numbers, first in row 0; pass their real part"),
    "complex objects": ((np.ones(10) + 1j).astype(object), "y holds complex numbers"),
    "complex among numbers": ([1.0] * 9 + [np.complex128(1j)], "y holds complex numbers"),
    "dates": (DATES, "y holds dates, first in row 0; pass numbers, such as days since a date"),
    "dates of pandas": (pd.Series(DATES.astype("datetime64[s]")), "y holds dates"),
    "dates as objects": (np.array([*DATES, None], dtype=object)[:10], "y holds dates"),
    "durations": (
        DATES - DATES[0],
        r"y holds durations, first in row 0; pass numbers of a unit, such as y / np",
    ),
    "a column of durations": ((DATES - DATES[0])[:, None], "y holds durations"),
    "durations of pandas": (pd.Series(pd.to_timedelta(np.arange(10), "s")), "y holds durations"),
}


@pytest.mark.parametrize("kind", NOT_REAL)
@pytest.mark.parametrize("name", REGRESSORS)
def test_targets_that_are_not_real_numbers_are_refused(name, kind):
    model, X = REGRESSORS[name]
    y, message = NOT_REAL[kind]
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


@pytest.mark.parametrize("name", ["CGCNN", "ECNet"])
def test_a_column_of_numbers_stays_a_column(name):
    model, X = REGRESSORS[name]
    y = np.linspace(0, 1, 10)
    flat = model.fit(X, y).predict(X)
    assert np.array_equal(model.fit(X, y[:, None]).predict(X), flat[:, None])


def test_functions():
    assert as_numbers(np.array([True, False])).tolist() == [1.0, 0.0]
    assert label_column([[1, 2], [3, 4]]).shape == (2, 2)
    with pytest.warns(DataConversionWarning):
        assert label_column([["a"], ["b"]]).tolist() == ["a", "b"]
