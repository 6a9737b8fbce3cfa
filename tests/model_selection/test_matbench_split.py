"""The folds of matbench: equal to the published ones, everywhere where scikit-learn takes folds."""

import hashlib
import re

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import KFold, StratifiedKFold, cross_validate

from sklmat.graphs import StructureToGraph
from sklmat.model_selection import MatbenchSplit, compare_estimators

SEED = 18012019


def assert_same(found, expected):
    found, expected = list(found), list(expected)
    assert len(found) == len(expected) == 5
    for fold, other in zip(found, expected):
        np.testing.assert_array_equal(fold[0], other[0])
        np.testing.assert_array_equal(fold[1], other[1])


#: Number of rows, and sha256 of the ids of all test rows of the folds 0 to 4, joined by spaces, in
#: the file matbench_v0.1_validation.json of the package matbench 0.6.
PUBLISHED = {
    "dielectric": (4764, "bf4b7d2a09fefedc3205f41771e3b088d5441a9794ce6cf2d718bc9feabf6970"),
    "expt-gap": (4604, "4a679b33fda66ac05116ed354317d383367f2f9dd1dc0221579796017346bcfe"),
    "jdft2d": (636, "a929c9a0bfbce7e82aa061874fe41c6b6492c079f3d8863c65923472e16584ca"),
    "log-gvrh": (10987, "6034f5d199df8841403b4c306925db13c3927a2d5711ba5fe3298cadc5da28cc"),
    "log-kvrh": (10987, "d7311d22047bce282ae56a70c0910e647989fc5a29b512415f08c2542108b059"),
    "mp-e-form": (132752, "2ca5270d0bfcba6353bcfc3bc1d52b38fb44f41382b33d905154cd4cb0460de6"),
    "mp-gap": (106113, "e0e065cdd24f6dd20d7d5ef6c025677cd6411acb252581ee8c6fb4595b70ae29"),
    "perovskites": (18928, "f9f5d13b18cf4313633b389082c41904fd4df81a3c630ca4acf20e2931517aa3"),
    "phonons": (1265, "5a7c6b36c06d3da9a87e3d9711ca76cb2ea565b75470f35014cde18a47d98319"),
    "steels": (312, "2ecb0f63a1f158ccc8d235a07c896862f596a5206284580edd85582c27c0b9ed"),
}


@pytest.mark.parametrize("task", PUBLISHED)
def test_folds_of_regression_are_the_published_ones(task):
    n_rows, published = PUBLISHED[task]
    width = len(str(n_rows))
    ids = [
        f"mb-{task}-{row + 1:0{width}}"
        for _, test in MatbenchSplit("regression").split(range(n_rows))
        for row in test
    ]
    assert hashlib.sha256(" ".join(ids).encode()).hexdigest() == published


def test_folds_by_class():
    y = np.random.default_rng(0).random(103) < 0.3
    expected = list(StratifiedKFold(5, shuffle=True, random_state=SEED).split(y, y))
    assert_same(MatbenchSplit("classification").split(y, y), expected)
    for labels in (y, y.astype(int), y.astype(float), np.where(y, "metal", "not a metal")):
        assert_same(MatbenchSplit().split(labels, labels), expected)
    # Every fold holds its share of the 26 metals.
    assert y.sum() == 26
    assert sorted(y[test].sum() for _, test in expected) == [5, 5, 5, 5, 6]


@pytest.mark.parametrize(
    "y",
    [
        np.linspace(0, 1, 50),
        np.arange(50.0),
        np.tile([0.0, 1.0, 2.0], 17)[:50],
        np.full((50, 2), 0.5),
        np.full((50, 2), [1.0, np.nan]),
        pd.Series(np.linspace(0, 1, 50), index=range(50, 100)),
    ],
)
def test_quantities_get_folds_at_random(y):
    assert_same(
        MatbenchSplit().split(range(50), y), KFold(5, shuffle=True, random_state=SEED).split(y)
    )


def test_what_y_is_decides_unless_told():
    y = np.tile([0, 1, 2], 17)
    by_class = list(StratifiedKFold(5, shuffle=True, random_state=SEED).split(y, y))
    at_random = list(KFold(5, shuffle=True, random_state=SEED).split(y))
    assert_same(MatbenchSplit().split(y, y), by_class)
    assert_same(MatbenchSplit("regression").split(y, y), at_random)
    assert_same(MatbenchSplit("regression").split(y), at_random)


@pytest.mark.parametrize(
    ("splitter", "arguments", "message"),
    [
        (MatbenchSplit(), {}, "pass y, or MatbenchSplit('regression')"),
        (MatbenchSplit("classification"), {}, "pass y, or MatbenchSplit('regression')"),
        (MatbenchSplit(), {"y": np.arange(20)}, "integers, of which 0 occurs 1 times"),
        (MatbenchSplit(), {"y": np.ones((20, 2), int)}, "'multilabel-indicator'; say what it is"),
        (MatbenchSplit("gap"), {"y": np.ones(20)}, "or None, got 'gap'"),
        (MatbenchSplit("regression"), {"groups": np.ones(20)}, "leave out groups"),
        (MatbenchSplit("regression"), {"y": np.ones(19)}, "inconsistent numbers of samples"),
    ],
)
def test_what_does_not_fit_is_refused(splitter, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        next(splitter.split(range(20), **arguments))


def chains():
    """12 cubic crystals of iron of different size."""
    return [Structure(Lattice.cubic(2.5 + k / 10), ["Fe"], [[0, 0, 0]]) for k in range(12)]


@pytest.mark.parametrize("kind", ["list", "graphs", "objects", "table", "numbers"])
def test_every_kind_of_input_inside_scikit_learn(kind):
    objects = np.empty(12, dtype=object)
    objects[:] = chains()
    X = {
        "list": chains(),
        "graphs": StructureToGraph(cutoff=3.0).fit_transform(chains()),
        "objects": objects,
        "table": pd.DataFrame({"a": range(12)}, index=range(12, 24)),
        "numbers": np.zeros((12, 3)),
    }[kind]
    y = np.linspace(0, 1, 12)
    expected = list(KFold(5, shuffle=True, random_state=SEED).split(y))
    assert_same(MatbenchSplit().split(X, y), expected)
    out = cross_validate(DummyRegressor(), X, y, cv=MatbenchSplit(), return_indices=True)
    assert_same(zip(out["indices"]["train"], out["indices"]["test"]), expected)


def test_compare_estimators_takes_the_folds():
    y = np.linspace(0, 1, 12)
    table = compare_estimators({"mean": DummyRegressor()}, chains(), y, cv=MatbenchSplit())
    tested = [rows["row"].tolist() for _, rows in table.predictions.groupby("fold")]
    expected = KFold(5, shuffle=True, random_state=SEED).split(y)
    assert tested == [test.tolist() for _, test in expected]
    labels = np.array(["metal", "not a metal"] * 6)
    models = {"most frequent": DummyClassifier()}
    table = compare_estimators(models, chains(), labels, cv=MatbenchSplit())
    expected = StratifiedKFold(5, shuffle=True, random_state=SEED).split(labels, labels)
    tested = [rows["row"].tolist() for _, rows in table.predictions.groupby("fold")]
    assert tested == [test.tolist() for _, test in expected]


def test_number_of_folds_and_settings():
    assert MatbenchSplit().get_n_splits() == 5
    assert repr(MatbenchSplit("regression")) == "MatbenchSplit(task='regression')"
