"""Checks of scikit-learn's conventions: parameters, fit, clone, pickle, seeds, output."""

import inspect
import io
import pickle
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import joblib
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from sklmat.estimator_checks._fit_and_compare import (
    assert_same,
    fitted,
    imported_torch,
    next_global_draws,
    output,
    parameter_constraints,
    raised,
    seed_global_generators,
    seeded_clone,
    signature_names,
    toy_data,
    validate_parameters,
)


def check_init_stores_only(estimator):
    """The constructor stores its arguments unchanged and does nothing else."""
    cls, params = type(estimator), estimator.get_params(deep=False)
    parameters = inspect.signature(cls).parameters.values()
    variable = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    assert not any(parameter.kind in variable for parameter in parameters), (
        f"{cls.__name__}.__init__ takes *args or **kwargs; name every parameter"
    )
    for name in params:
        value = object()
        new = cls(**(params | {name: value}))
        assert getattr(new, name) is value, f"__init__ changes {name}"
        extra = set(vars(new)) - set(params)
        assert not extra, f"__init__ sets {sorted(extra)}; compute it in fit"


def check_parameter_constraints(estimator):
    """Constraints name exactly the parameters, the defaults satisfy them, and fit applies them."""
    constraints = parameter_constraints(estimator)
    validate_parameters(estimator)
    X, y = toy_data(estimator)
    for name in signature_names(estimator):
        if constraints[name] == "no_validation":
            continue
        broken = clone(estimator)
        setattr(broken, name, type("BadType", (), {})())
        error = raised(lambda broken=broken: broken.fit(X, y), ValueError, TypeError)
        assert error is not None, f"fit accepts any object as {name}"
        assert name in str(error), f"the error about {name} does not name it: {error}"


def check_get_set_params(estimator):
    """The result of get_params can be passed to set_params, and unknown names raise an error."""
    names = signature_names(estimator)
    params = estimator.get_params(deep=False)
    assert set(params) == set(names), "get_params and the signature differ"
    new = clone(estimator)
    for name in names:
        value = object()
        new.set_params(**{name: value})
        assert new.get_params(deep=False)[name] is value, f"set_params does not set {name}"
    error = raised(lambda: new.set_params(no_such_parameter=1), ValueError)
    assert error is not None, "set_params accepts unknown names"


def check_clone(estimator):
    """A clone has the same parameters and no fitted attributes."""
    model, _, _ = fitted(estimator)
    new = clone(model)
    fitted_names = {name for name in vars(new) if name.endswith("_") and not name.startswith("_")}
    assert not fitted_names, f"clone keeps {sorted(fitted_names)}"
    assert repr(new) == repr(clone(new)), "a clone of a clone has other parameters"


def check_fit_returns_self(estimator):
    """fit returns the estimator, changes no parameter and sets only names that end in "_"."""
    X, y = toy_data(estimator)
    model = seeded_clone(estimator)
    before = model.get_params(deep=False)
    assert model.fit(X, y) is model, "fit does not return self"
    after = model.get_params(deep=False)
    changed = [name for name in before if after[name] is not before[name]]
    assert not changed, f"fit changes the parameters {changed}"
    public = [name for name in vars(model) if not name.startswith("_") and name not in before]
    wrong = [name for name in public if not name.endswith("_")]
    assert not wrong, f"fit sets {wrong}: what is learned ends in an underscore"


def check_unfitted(estimator):
    """Before fit, methods that need a fit raise NotFittedError."""
    X, _ = toy_data(estimator)
    for method in ("predict", "predict_proba", "transform"):
        new = clone(estimator)
        if hasattr(new, method) and get_tags(new).requires_fit:
            error = raised(lambda new=new, method=method: getattr(new, method)(X), Exception)
            assert isinstance(error, NotFittedError), (
                f"{method} before fit gives {error!r} instead of NotFittedError"
            )


def check_pickle(estimator):
    """After pickle or joblib, an estimator gives the same output."""
    pickle.loads(pickle.dumps(estimator))
    model, X, _ = fitted(estimator)
    expected = output(model, X)
    assert_same(output(pickle.loads(pickle.dumps(model)), X), expected, "after pickle")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        assert_same(output(joblib.load(path), X), expected, "after joblib")


def check_refit(estimator):
    """Fitting twice on the same rows gives the same output."""
    model, X, y = fitted(estimator)
    first = output(model, X)
    assert_same(output(model.fit(X, y), X), first, "second fit")


def check_refit_forgets(estimator):
    """After a fit on other rows, nothing depends on the first fit."""
    model, X, y = fitted(estimator, random_state=1, n_samples=12)
    X, y = toy_data(estimator)
    model.fit(X, y)
    fresh = seeded_clone(estimator).fit(X, y)
    assert set(vars(model)) == set(vars(fresh)), "attributes of the first fit are left over"
    assert_same(output(model, X), output(fresh, X), "fit after another fit")


def check_seed(estimator):
    """Results depend on the seed only, and the global random generators are not changed."""
    X, y = toy_data(estimator)
    outputs = []
    for global_seed in (0, 1):
        seed_global_generators(global_seed)
        before = next_global_draws()
        model = seeded_clone(estimator).fit(X, y)
        outputs.append(output(model, X))
        assert next_global_draws() == before, "the global random numbers have moved on"
    assert_same(outputs[1], outputs[0], "same seed, another global seed")


def check_torch_settings(estimator):
    """fit and predict leave torch's threads, dtype and treatment of denormal numbers unchanged."""
    torch = imported_torch()
    if torch is None:
        return
    before = _torch_settings(torch)
    model, X, _ = fitted(estimator)
    output(model, X)
    assert _torch_settings(torch) == before, "fit or predict changes torch's global settings"


def _torch_settings(torch):
    keeps_denormals = bool(torch.full((8,), 1e-40).mul(1.0).all())
    return torch.get_num_threads(), torch.get_default_dtype(), keeps_denormals


def check_silent(estimator):
    """Nothing is printed unless `verbose` is set."""
    stream = io.StringIO()
    with redirect_stdout(stream), redirect_stderr(stream):
        model, X, _ = fitted(estimator)
        output(model, X)
    assert not stream.getvalue(), f"prints {stream.getvalue()!r}"
