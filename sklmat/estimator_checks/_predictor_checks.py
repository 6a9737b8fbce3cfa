"""Checks of predictions: for regressors, for classifiers, and for all estimators with a target."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sklmat.estimator_checks._fit_and_compare import (
    assert_same,
    fitted,
    output,
    raised,
    seeded_clone,
    toy_data,
)
from sklmat.estimator_checks._toy_data import make_toy_crystals


def check_target_refused(estimator):
    """A y that is missing, of another length or not finite raises an error that describes it."""
    X, y = toy_data(estimator)
    wrong = {"a shorter y": (y[:-1], None), "no y": (None, None)}
    if y.dtype.kind == "f":
        for value in (np.nan, np.inf):
            broken = y.copy()
            broken[3] = value
            wrong[f"{value} in y"] = (broken, "nan|inf|finite|missing")
    for name, (target, words) in wrong.items():
        new = seeded_clone(estimator)
        error = raised(lambda new=new, y=target: new.fit(X, y), ValueError, TypeError)
        assert error is not None, f"fit accepts {name}"
        is_named = words is None or any(word in str(error).lower() for word in words.split("|"))
        assert is_named, f"the error about {name} does not say so: {error}"


def check_in_scikit_learn(estimator):
    """The estimator works in Pipeline, cross_val_score and GridSearchCV."""
    X, y = toy_data(estimator)
    direct = output(seeded_clone(estimator).fit(X, y), X)
    pipeline = Pipeline([("estimator", seeded_clone(estimator))]).fit(X, y)
    assert_same(output(pipeline, X), direct, "in a Pipeline")
    if hasattr(estimator, "predict"):
        scores = cross_val_score(seeded_clone(estimator), X, y, cv=2, error_score="raise")
        assert np.isfinite(scores).all(), f"cross_val_score gives {scores}"
        search = GridSearchCV(seeded_clone(estimator), {}, cv=2, error_score="raise").fit(X, y)
        assert_same(output(search, X), direct, "refitted by GridSearchCV")


def check_regressor_shapes(estimator):
    """A 1-D y, in any container, gives 1-D float predictions."""
    model, X, y = fitted(estimator)
    expected = model.predict(X)
    assert isinstance(expected, np.ndarray), f"predict returns {type(expected)}"
    assert expected.shape == (len(X),), f"a flat y gives predictions of shape {expected.shape}"
    assert expected.dtype.kind == "f", f"predictions are {expected.dtype}"
    assert np.isfinite(expected).all(), "predictions are not finite"
    for target in (list(y), pd.Series(y, index=range(9, 9 + len(y)))):
        actual = seeded_clone(estimator).fit(X, target).predict(X)
        assert_same(actual, expected, f"y as {type(target).__name__}")


def check_regressor_targets(estimator):
    """Several targets give as many columns, or raise an error if the tags do not allow them."""
    X, y = toy_data(estimator)
    targets = np.column_stack([y, 100 - 2 * y])
    model = seeded_clone(estimator)
    if not get_tags(estimator).target_tags.multi_output:
        error = raised(lambda: model.fit(X, targets), ValueError)
        assert error is not None, "two targets are accepted against the tags"
        return
    predicted = model.fit(X, targets).predict(X)
    assert predicted.shape == targets.shape, f"two targets give the shape {predicted.shape}"


def check_constant_target(estimator):
    """A constant target gives finite predictions."""
    X, y = toy_data(estimator)
    predicted = seeded_clone(estimator).fit(X, np.full_like(y, 3.0)).predict(X)
    assert np.isfinite(predicted).all(), "a constant target gives NaN or infinity"


def check_target_units(estimator):
    """Scaling and shifting the target scales and shifts the predictions."""
    model, X, y = fitted(estimator)
    scaled = seeded_clone(estimator).fit(X, 1000 * y - 5e4).predict(X)
    assert_same((scaled + 5e4) / 1000, model.predict(X), "y in another unit", exact=False)


def check_classifier_labels(estimator):
    """Predictions are labels of the given type; probabilities are in the order of `classes_`."""
    X, names = make_toy_crystals(task="classification")
    bcc = names == "bcc"
    targets = {
        "strings": names,
        "objects": names.astype(object),
        "bools": bcc,
        "integers": np.where(bcc, 7, -2),
        "list": names.tolist(),
    }
    for name, y in targets.items():
        _check_labels(seeded_clone(estimator).fit(X, y), X, np.asarray(y), name)
    if get_tags(estimator).classifier_tags.multi_class:
        y = np.resize(["a", "b", "c"], len(X))
        _check_labels(seeded_clone(estimator).fit(X, y), X, y, "three classes")


def _check_labels(model, X, y, name):
    """Check classes, predictions and probabilities of a fitted classifier."""
    np.testing.assert_array_equal(model.classes_, np.unique(y), err_msg=f"classes_ of {name}")
    predicted = model.predict(X)
    assert predicted.shape == (len(X),), f"predictions of {name} have shape {predicted.shape}"
    assert set(predicted.tolist()) <= set(y.tolist()), f"{name}: predicts {set(predicted)}"
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(X)
        shape = probabilities.shape
        assert shape == (len(X), len(model.classes_)), f"predict_proba has {shape}"
        assert (probabilities >= 0).all(), f"negative probabilities for {name}"
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6, err_msg=name)
        most_probable = model.classes_[probabilities.argmax(axis=1)]
        np.testing.assert_array_equal(predicted, most_probable, err_msg="predict and predict_proba")


def check_classifier_refuses(estimator):
    """A single class, or a continuous target, raises an error."""
    X, y = make_toy_crystals()
    for name, target in {"one class": np.full(len(X), "a"), "numbers with decimals": y}.items():
        new = seeded_clone(estimator)
        error = raised(lambda new=new, y=target: new.fit(X, y), ValueError)
        assert error is not None, f"a classifier accepts {name}"
