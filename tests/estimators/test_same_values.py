"""Values of parameters, and transformers, that are the same."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from joblib.externals.loky.backend.reduction import dumps
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder

from sklmat.estimators._extra_columns import describe_extras
from sklmat.estimators._same_values import same_values


def power(k):
    return lambda x: x**k


class Plain:
    def __init__(self, value):
        self.value = value


def circle(value):
    one = Plain(value)
    one.itself = one
    return one


def in_another_process(value):
    """A copy whose functions are other objects."""
    return pickle.loads(dumps(value))


LONG = np.arange(2000.0)
CHANGED = LONG.copy()
CHANGED[1000] = -1  # numpy does not show it
ROWS = np.random.default_rng(0).normal(size=(9, 3))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG, CHANGED),
        (FunctionTransformer(power(2)), FunctionTransformer(power(3))),
        (FunctionTransformer(kw_args={"a": LONG}), FunctionTransformer(kw_args={"a": CHANGED})),
        (functools.partial(np.add, 1), functools.partial(np.add, 2)),
        (OneHotEncoder(categories=[["a"]]), OneHotEncoder(categories=[["b"]])),
        (PCA(2), SelectKBest(k=2)),
        (make_pipeline(MinMaxScaler(), PCA(2)), make_pipeline(MinMaxScaler(), PCA(3))),
        (FrozenEstimator(PCA(2).fit(ROWS)), FrozenEstimator(PCA(2).fit(ROWS**3))),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
        (sparse.eye(3), sparse.eye(3) * 2),
        (circle(1), circle(2)),
        (torch.ones(2, requires_grad=True), torch.zeros(2)),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1, 2], [1, 2, 3]),
        ("a", 1),
        (None, 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_same_and_others(one, other):
    assert not same_values(one, other)
    assert not same_values(other, one)
    for value in (one, other):
        assert same_values(value, value)
        assert same_values(value, in_another_process(value))


def test_parameters_that_change_no_column():
    one = ColumnTransformer([("all", "passthrough", ["T"])], n_jobs=1, verbose=False)
    assert same_values(one, clone(one).set_params(n_jobs=2, verbose=True))
    assert not same_values(one, clone(one).set_params(remainder="passthrough"))


def test_what_is_nearly_the_same():
    assert same_values(np.nan, float("nan"))
    assert same_values([np.array([1.0, np.nan])], [np.array([1.0, np.nan])])
    assert same_values(np.int64(3), 3)
    assert same_values(np.str_("a"), "a")
    assert same_values(np.random.RandomState(0), np.random.RandomState(1))
    assert same_values(PCA(2), PCA(2).fit(ROWS))


def test_descriptions_are_short_and_say_what_differs():
    describe = describe_extras
    assert describe(PCA(2), PCA(3)) == ("PCA(n_components=2)", "PCA(n_components=3)")
    assert describe(PCA(2), SelectKBest()) == ("PCA()", "SelectKBest()")
    assert describe(["a"], None) == (["a"], None)
    one, other = describe(
        FunctionTransformer(kw_args={"a": LONG}), FunctionTransformer(kw_args={"a": CHANGED})
    )
    assert one.startswith("FunctionTransformer(kw_args={'a': array([")
    assert other == f"{one} with other values"
    assert len(one) < 100
    same = describe(PCA(2), PCA(2).fit(ROWS))
    assert same[0] is same[1]
