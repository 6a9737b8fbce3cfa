"""Bad crystals, targets, weights, tables and parameters give a clear error, with their row."""

import decimal

import numpy as np
import pandas as pd
import pytest
from outcomes import outcome
from pymatgen.core import Composition, DummySpecies, Lattice, Molecule, Structure
from sklearn.base import clone
from sklearn.linear_model import Ridge
from test_failed_fits import data_of, estimators

import sklmat
from sklmat.estimator_checks import make_toy_crystals, make_toy_table
from sklmat.exceptions import InvalidStructureError

CUBE = Lattice.cubic(4.0)
ORIGIN = [[0.0, 0.0, 0.0]]
X, Y = make_toy_crystals()


def crystal(lattice=CUBE, species=("Fe",), coords=ORIGIN, **params):
    return Structure(lattice, list(species), coords, **params)


def dictionary(**changes):
    return {**crystal().as_dict(), **changes}


def with_key(path, value):
    """A dict of a crystal with another value at a place."""
    changed = crystal().as_dict()
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


OBJECTS = [None, 3, 3.5, True, 1j, object(), b"CsCl", {1}, [], {}, (), [1, 2], np.zeros((2, 3)),
           np.nan, "", " ", "\n", "NaCl", "missing.cif", "missing", "no\nstructure\nhere", range(3),
           Composition("NaCl"), CUBE, Lattice, Structure, decimal.Decimal(1), pd.Series([1.0]),
           Molecule(["O"], ORIGIN), crystal()[0]]  # fmt: skip
STRUCTURES = [
    crystal(species=[], coords=[]),
    *[crystal(coords=[[value, 0, 0]]) for value in (np.nan, np.inf, -np.inf, 1e7, 1e300)],
    *[crystal(Lattice.cubic(a)) for a in (0.0, 1e-9, 0.01, 0.5, 1e3, 1e6, 1e200)],
    *[crystal(Lattice(m)) for m in (np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan))],
    crystal(Lattice([[4, 0, 0], [0, 4, 0], [4, 4, 1e-9]])),
    crystal(Lattice([[4, 0, 0], [400, 4, 0], [0, 0, 0.1]])),
    crystal(species=["Fe", "Fe"], coords=ORIGIN * 2),
    crystal(species=["Fe", "O"], coords=[*ORIGIN, [0.05, 0, 0]]),
    crystal(species=["Fe", "O"], coords=[*ORIGIN, [0.999, 0, 0]]),
    crystal(species=["Fe", "O"], coords=[*ORIGIN, [5.0, 0, 0]]),
    *[crystal(species=[each]) for each in ({"Fe": 0.5}, {"Fe": 0.5, "Ni": 0.5}, {"Fe": 0.98})],
    *[crystal(species=[DummySpecies(name)]) for name in ("X", "Xa", "Qx")],
    crystal(species=[{"Fe": 0.5, DummySpecies("X"): 0.5}]),
    crystal(Lattice.cubic(4.0, pbc=(True, True, False)), ["Fe"] * 2, [*ORIGIN, [0, 0, 1e7]]),
]
DICTS = [
    dictionary(lattice=None),
    dictionary(sites=None),
    dictionary(sites=[{}]),
    dictionary(sites=[]),
    *[with_key(("lattice", "matrix"), value) for value in (None, [], "abc", [[1, 2], [3, 4]])],
    *[with_key(("sites", 0, "abc"), value) for value in (None, [], [1, 2], "xyz", [np.nan] * 3)],
    *[with_key(("sites", 0, "species"), value) for value in (None, [], "Fe", [{"element": "Qq"}])],
    {"@module": "os", "@class": "system"},
]
BAD = OBJECTS + STRUCTURES + DICTS


def test_there_are_many():
    assert len(BAD) >= 60
    assert len(TARGETS) + len(WEIGHTS) + len(TABLES) >= 60


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_crystals(number):
    result, error = outcome(lambda: sklmat.check_structures([*X[:2], BAD[number], *X[2:]]))
    assert result == "clear error", BAD[number]
    assert isinstance(error, InvalidStructureError)
    assert error.index == 2


def changed(row, value):
    y = Y.astype(object)
    y[row] = value
    return y


ODD = [None, np.nan, np.inf, -np.inf, pd.NA, pd.NaT, 1j, "x", "", [], {}, object(), b"1",
       np.datetime64("2020"), np.timedelta64(1, "s"), (1, 2), 1e400, 10**400]  # fmt: skip
TARGETS = [
    *[changed(2, value) for value in ODD],
    *[[], [1.0], {}, 1.0, "text", None, Y[:-1], [*Y, 1.0], Y[None], Y[:, None, None], Y * 1e300],
    *[np.zeros((8, 0)), [[1], [1, 2]] * 4, (value for value in Y), range(7), {"a": 1}, set(Y)],
    *[np.full(8, np.nan), Y + 1j, pd.DataFrame({"y": Y, "s": ["a"] * 8}), np.array(["a"] * 8)],
]
WEIGHTS = [-Y, np.zeros(8), Y[:-1], [*Y, 1.0], np.where(Y[2] == Y, np.nan, Y), np.full(8, np.inf),
           "x", ["a"] * 8, Y + 1j, Y[:, None], [], {}, object(), changed(2, "x"),
           changed(2, None)]  # fmt: skip
TABLE, LABELS = make_toy_table(8)
NUMBERS = TABLE.to_numpy()
TABLES = [NUMBERS[:0], NUMBERS[:, :0], NUMBERS[0], NUMBERS[None], NUMBERS + 1j, NUMBERS.astype(str),
          np.where(NUMBERS[2, 0] == NUMBERS, np.nan, NUMBERS), NUMBERS[:-1], None, "x", [], {}, 3.0,
          [[1], [1, 2]] * 4, X, [None] * 8]  # fmt: skip
NETWORK = sklmat.CGCNNRegressor(cutoff=4.0, hidden_dim=4, n_conv=1, max_epochs=1, random_state=0)
MIXUP, PROCESS = sklmat.MixupAugmenter(), sklmat.RobustGaussianProcessRegressor(max_iter=2)
FITS = (
    [lambda y=y: clone(NETWORK).fit(X, y) for y in TARGETS]
    + [lambda y=y: sklmat.PerturbationSampler().fit_resample(X, y) for y in TARGETS]
    + [lambda y=y: clone(MIXUP).fit_resample(TABLE, y) for y in TARGETS]
    + [lambda y=y: clone(PROCESS).fit(TABLE, y) for y in TARGETS]
    + [lambda w=w: clone(NETWORK).fit(X, Y, sample_weight=w) for w in WEIGHTS]
    + [lambda w=w: clone(PROCESS).fit(TABLE, LABELS, sample_weight=w) for w in WEIGHTS]
    + [lambda t=t: clone(MIXUP).fit_resample(t, LABELS) for t in TABLES]
    + [lambda t=t: clone(PROCESS).fit(t, LABELS) for t in TABLES]
)


@pytest.mark.parametrize("number", range(len(FITS)))
def test_bad_targets_weights_and_tables(number):
    result, _ = outcome(FITS[number])
    assert result in ("works", "clear error")


@pytest.mark.parametrize("weights", ["x", ["a"] * 8, changed(2, "x"), {}, object()])
def test_weights_that_are_no_numbers(weights):
    with pytest.raises((TypeError, ValueError), match="sample_weight must hold one number per row"):
        clone(NETWORK).fit(X, Y, sample_weight=weights)


VALUES = [object(), "nonsense", "", b"x", -1, -0.5, np.nan, np.inf, 1j, [], (), {}, [None],
          Structure, Ridge()]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("estimator", estimators(), ids=lambda e: type(e).__name__)
def test_bad_parameters(estimator):
    """Each parameter with each value, where it is used: in `fit`."""
    found, (rows, target) = {}, data_of(estimator)
    for name in estimator._parameter_constraints:
        for value in VALUES:
            new = clone(estimator)
            setattr(new, name, value)
            result, _ = outcome(lambda new=new: new.fit(rows, target))
            # The pairs of rows in a list of splits are unpacked by scikit-learn.
            if result not in ("works", "clear error") and name != "cv":
                found[name, repr(value)[:40]] = result
    assert not found
