"""Every public function, class and method, with bad values of every argument and bad rows."""

import inspect
from functools import cache

import joblib
import numpy as np
import pytest
from bad_rows import bad_data, names_row
from bad_values import VALUES, is_allowed
from outcomes import outcome
from valid_calls import discovered, valid_calls

#: Arguments with rows, which have bad rows of their own.
DATA = {"X", "y", "groups", "sample_weight", "expected", "structures_or_bunch", "y_true", "y_pred"}
DATA |= {"y_std", "background", "adversarial", "normal", "total_energy", "formation_energy"}
DATA |= {"magnetization", "moment_per_atom", "moment_per_cell", "n_atoms", "volume_per_atom"}
#: Values that have a meaning although the type hint does not say so: (argument, value) -> why.
MEANT = {
    ("verbose", "zero"): "scikit-learn's",
    ("verbose", "large"): "scikit-learn's",
    ("cv", "none"): "five folds, as in scikit-learn",
    ("compare_with", "none"): "all baselines, which take seconds",
    ("error_score", "NaN"): "scikit-learn's value for a fit that failed",
}
#: A large number of rows, steps or files takes long, and is allowed to.
LONG = {"large", "huge"}
N_QUICK = 60


def arguments(name):
    """The call of a name, its arguments, and the parameters that bad values are tried for."""
    call, given = valid_calls()[name]()
    parameters = inspect.signature(call).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return call, given, [p for p in named if p.name != "self"]


def wrong_of_value(call, given, parameter, key):
    """What is wrong with the behaviour at a bad value, or None."""
    value = VALUES[key]
    result, _ = outcome(lambda: call(**{**given, parameter.name: value}))
    if result == "works" and not is_allowed(parameter.annotation, value):
        return None if (parameter.name, key) in MEANT else "accepted"
    if result == "hangs" and (key in LONG or (parameter.name, key) in MEANT):
        return None
    if key == "class" and "Callable" in str(parameter.annotation):
        return None  # A class can be called. What it raises is the user's.
    return None if result in ("works", "clear error") else result


def wrong_of_row(call, given, parameter, value, row):
    result, error = outcome(lambda: call(**{**given, parameter.name: value}))
    if result == "clear error" and row is not None and not names_row(error, row):
        return f"row {row} is not named: {error}"
    return None if result in ("works", "clear error") else result


def test_every_public_name_has_a_valid_call():
    assert set(discovered()) == set(valid_calls())
    assert len(discovered()) > 250


@cache
def quick_names():
    """Names without the training of a network."""
    slow = ("CGCNN", "ECNet", "EFTGAN", "GAN", "Adversarial", "adversarial", "robustness", "Attack")
    slow += ("Conformal", "Calibrated", "Delta", "EarlyStopping", "Embedding", "Potential")
    slow += ("Display", "attribution", "shap", "scorer", "Disorder", "make_alloys", "make_mixed")
    slow += ("make_prototypes", "load_mixed", "report")
    return [name for name in valid_calls() if not any(word in name for word in slow)]


def test_some_bad_arguments(tmp_path, monkeypatch):
    """A seeded draw from all of them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    found = {}
    names = rng.choice(quick_names(), N_QUICK)
    for name in names:
        call, given, parameters = arguments(name)
        parameters = [p for p in parameters if p.name not in DATA]
        if parameters:
            parameter = parameters[rng.integers(len(parameters))]
            key = list(VALUES)[rng.integers(len(VALUES))]
            wrong = None if key in LONG else wrong_of_value(call, given, parameter, key)
            if wrong is not None:
                found[name, parameter.name, key] = wrong
    assert found == {}


def is_work(name, parameter):
    """Whether a large number is allowed and would be days of work, such as a million epochs."""
    return name not in quick_names() or parameter.startswith(("n_", "max_", "batch_"))


@pytest.mark.slow
@pytest.mark.parametrize("name", discovered())
def test_bad_arguments(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {}
    with joblib.parallel_config(backend="threading"):
        call, given, parameters = arguments(name)
        assert outcome(lambda: call(**given))[0] == "works"
        for parameter in parameters:
            for key in VALUES if parameter.name not in DATA else ():
                if key == "large" and is_work(name, parameter.name):
                    continue
                wrong = wrong_of_value(call, given, parameter, key)
                if wrong is not None:
                    found[parameter.name, key] = wrong
    assert found == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", discovered())
def test_bad_rows(name):
    """The error names the row in what the user passed."""
    found = {}
    with joblib.parallel_config(backend="threading"):
        call, given, parameters = arguments(name)
        assert outcome(lambda: call(**given))[0] == "works"
        for parameter in parameters:
            if parameter.name in DATA and given.get(parameter.name) is not None:
                data = bad_data(parameter.name, given[parameter.name])
                for key, (value, row) in data.items():
                    wrong = wrong_of_row(call, given, parameter, value, row)
                    if wrong is not None:
                        found[parameter.name, key] = wrong
    assert found == {}
