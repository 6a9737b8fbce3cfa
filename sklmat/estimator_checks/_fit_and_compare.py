"""Helpers of the checks: `fitted` and `output` use an estimator, `assert_same` compares results."""

import inspect
import sys

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from sklmat.estimator_checks._toy_data import make_toy_crystals


def check_is_estimator(estimator: object) -> None:
    """Raise a TypeError unless an object is an instance of an estimator."""
    if isinstance(estimator, type):
        raise TypeError(f"pass an instance, {estimator.__name__}(...)")
    if not hasattr(estimator, "get_params"):
        raise TypeError(f"pass an estimator, got {estimator!r}")


def toy_data(estimator, **settings):
    """Toy crystals with the type of target that `estimator` needs."""
    # is_classifier is not enough, because a transformer can need classes too.
    has_classes = get_tags(estimator).classifier_tags is not None
    task = "classification" if has_classes else "regression"
    return make_toy_crystals(task=task, **settings)


def seeded_clone(estimator):
    """Clone `estimator`, with a fixed seed if it has a `random_state`."""
    new = clone(estimator)
    if "random_state" in new.get_params(deep=False):
        new.set_params(random_state=0)
    return new


def fitted(estimator, **settings):
    """Fit a seeded clone on toy crystals; return the clone and the crystals."""
    X, y = toy_data(estimator, **settings)
    return seeded_clone(estimator).fit(X, y), X, y


def output(estimator, X):
    """Return the probabilities, predictions or features that the estimator gives for `X`."""
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(X)
    raise AssertionError(f"{type(estimator).__name__} has neither predict nor transform")


def is_table(values):
    """Whether an output is a table or an array, rather than a container of graphs."""
    return isinstance(values, np.ndarray) or hasattr(values, "to_numpy")


def assert_same(actual, expected, description, *, exact=True):
    """Check that two outputs are equal or, with `exact=False`, equal within rounding errors.

    The tolerance is relative to the standard deviation of the output over the crystals.
    """
    if not is_table(expected):
        assert type(actual) is type(expected), f"{description}: {type(actual)} and {type(expected)}"
        for name, value in vars(expected).items():
            if isinstance(value, np.ndarray):
                assert_same(getattr(actual, name), value, f"{description}, {name}", exact=exact)
        return
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (
        f"{description}: shapes {actual.shape} and {expected.shape}"
    )
    if exact or expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(actual, expected, err_msg=description)
        return
    deviation = np.nan_to_num(np.nanstd(expected, axis=0)) if len(expected) else 0.0
    magnitude = np.nanmax(np.abs(expected)) if expected.size else 0.0
    excess = np.abs(actual - expected) - (1e-3 * deviation + 1e-5 * magnitude)
    same_nan = np.isnan(actual) == np.isnan(expected)
    assert (same_nan & ~(excess > 0)).all(), f"{description}:\n{actual}\nis not\n{expected}"


def signature_names(estimator):
    """Names of the constructor's parameters."""
    # The signature of the class is empty if it has no __init__; that of object's __init__ is not.
    return list(inspect.signature(type(estimator)).parameters)


def raised(function, *errors):
    """Return the exception of one of the types `errors` that `function` raises, or None."""
    try:
        function()
    except errors as error:
        return error
    return None


def parameter_constraints(estimator):
    """Return the parameter constraints, after a check that they name exactly the parameters.

    This and `validate_parameters` use ``_parameter_constraints`` and ``_validate_params`` of the
    estimator under test, which scikit-learn documents for developers of estimators: there is no
    public name for them.
    """
    names = signature_names(estimator)
    # Without parameters, there is nothing to constrain.
    constraints = estimator._parameter_constraints if names else {}
    difference = set(constraints) ^ set(names)
    assert not difference, f"_parameter_constraints and signature differ in {sorted(difference)}"
    return constraints


def validate_parameters(estimator):
    """Validate the current parameters against the constraints, as `fit` does."""
    if signature_names(estimator):
        estimator._validate_params()


def imported_torch():
    """Return torch if it has been imported, else None; the checks do not need it."""
    return sys.modules.get("torch")


def next_global_draws():
    """Return the next numbers of the global random generators of NumPy and torch."""
    state = np.random.get_state()  # noqa: NPY002
    numbers = np.random.random(4).tolist()  # noqa: NPY002
    np.random.set_state(state)  # noqa: NPY002
    torch = imported_torch()
    return numbers, None if torch is None else torch.random.get_rng_state().tolist()


def seed_global_generators(seed):
    """Seed the global random generators of NumPy and, if it is imported, torch."""
    np.random.seed(seed)  # noqa: NPY002
    torch = imported_torch()
    if torch is not None:
        torch.manual_seed(seed)
