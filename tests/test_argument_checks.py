"""Arguments are validated by the type hints of functions and methods."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from sklmat.argument_checks import NOT_NEGATIVE, POSITIVE_INT, check_names, checked_arguments
from sklmat.typing import ArrayLike, PathLike, RandomState


@checked_arguments(n=POSITIVE_INT, tolerance=NOT_NEGATIVE, own=None)
def function(
    data: ArrayLike = (),
    *,
    flag: bool = False,
    step: float = 0.1,
    name: str | None = None,
    kind: Literal["a", "b"] | int = "a",
    names: str | Sequence[str] | None = None,
    levels: Sequence[float] = (0.5,),
    weights: Mapping[str, float] | float | None = None,
    table: pd.DataFrame | None = None,
    path: PathLike = "x",
    ax: Axes | Sequence[Axes] | None = None,
    random_state: RandomState = None,
    verbose: bool = False,
    n: int = 1,
    tolerance: float = 0.0,
    own: int = 0,
    **others: int,
) -> str:
    """Do nothing."""
    return "done"


class Method:
    @classmethod
    @checked_arguments()
    def of(cls, flag: bool) -> str:
        return "done"


GOOD = {
    "data": [object(), None],
    "flag": [True, np.bool_(False)],
    "step": [1, 0.5, np.float32(2), np.int64(3)],
    "name": ["a", None, np.str_("b")],
    "kind": ["a", "b", 7],
    "names": ["a", ["a", "b"], (), np.array(["a"]), pd.Index(["a"]), {"a"}, None],
    "levels": [[0.1, 1], np.array([0.5])],
    "weights": [{"a": 1.0}, {}, 0.5, None],
    "table": [pd.DataFrame(), None],
    "path": ["a", Path("b")],
    "ax": [None],
    "random_state": [0, None, np.random.RandomState(0), np.int64(5), 2**32 - 1],
    "verbose": [True, 0, 3],
    "n": [1, np.int32(4)],
    "tolerance": [0, 0.5],
    "own": ["anything", None],
    "others": ["anything"],
}
BAD = {
    "flag": ["yes", 1, None, 0.0, []],
    "step": [np.nan, np.inf, -np.inf, "1", None, True, 1j, [1.0]],
    "name": [1, b"a", ["a"]],
    "kind": ["c", "", 1.5, None, True],
    "names": [b"a", [1], {"a": 1}, [None], 3, np.array([["a"]]), str],
    "levels": [0.5, [np.nan], ["a"], "abc", None],
    "weights": [[1.0], "a", np.nan],
    "table": [[[1]], {"a": [1]}, np.eye(2), pd.Series([1])],
    "path": [3, None, b"a", "", ["a"]],
    "ax": ["a", 3, [None], object()],
    "random_state": [-1, 2**32, 0.5, "0", True, np.random.default_rng(0)],
    "verbose": ["loud", -1, None, 0.5],
    "n": [0, -1, 1.0, True, None],
    "tolerance": [-1e-9, np.nan, np.inf, None],
}


@pytest.mark.parametrize("name", GOOD)
def test_values_that_the_hint_allows(name):
    for value in GOOD[name]:
        assert function(**{name: value}) == "done"


@pytest.mark.parametrize("name", BAD)
def test_other_values(name):
    for value in BAD[name]:
        # The error is of both types.
        with pytest.raises(ValueError, match=f"^{name} must be .*, got "):
            function(**{name: value})
        with pytest.raises(TypeError):
            function(**{name: value})


def test_the_function_stays_what_it_was():
    assert function.__name__ == "function"
    assert list(inspect.signature(function).parameters)[:2] == ["data", "flag"]
    with pytest.raises(TypeError, match=r"function\(\) takes from 0 to 1 positional arguments"):
        function(1, 2)
    assert Method.of(True) == "done"
    with pytest.raises(ValueError, match="flag must be True or False, got 1"):
        Method.of(1)


def test_long_values_are_shortened():
    with pytest.raises(ValueError, match=r"^.{20,150}$"):
        function(flag="x" * 10_000)


def test_axes():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axes = plt.subplots(2, 2)
    for ax in (axes[0, 0], axes, list(axes.ravel())):
        assert function(ax=ax) == "done"
    plt.close(figure)


def test_names_of_an_estimator():
    check_names(groups=["a"], elements=None, properties="all")
    for value in ({}, [1], str, 3):
        with pytest.raises(ValueError, match="groups must be a str, a sequence of str or None"):
            check_names(groups=value)
