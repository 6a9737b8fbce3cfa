"""Checks that only regressors, only classifiers or only transformers have to pass."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sklmat.estimator_checks._convention_checks import raised
from sklmat.estimator_checks._toy_data import (
    assert_same,
    fitted,
    is_table,
    make_toy_crystals,
    output,
    seeded_clone,
    toy_data,
)


def check_target_refused(estimator):
    """A y that is missing, of another length or not finite raises, and says so."""
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
        told = words is None or any(word in str(error).lower() for word in words.split("|"))
        assert told, f"the error about {name} does not say so: {error}"


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
    """A flat y, in any container, gives flat float predictions."""
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
    """Several targets give as many columns, or are refused by those that cannot."""
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
    """A target without any spread is no reason for NaN."""
    X, y = toy_data(estimator)
    predicted = seeded_clone(estimator).fit(X, np.full_like(y, 3.0)).predict(X)
    assert np.isfinite(predicted).all(), "a constant target gives NaN or infinity"


def check_target_units(estimator):
    """Another unit or zero of the target changes the predictions in the same way."""
    model, X, y = fitted(estimator)
    scaled = seeded_clone(estimator).fit(X, 1000 * y - 5e4).predict(X)
    assert_same((scaled + 5e4) / 1000, model.predict(X), "y in another unit", exact=False)


def check_classifier_labels(estimator):
    """Labels of any kind come back as they are, and probabilities belong to them."""
    X, names = make_toy_crystals(task="classification")
    bcc = names == "bcc"
    kinds = {
        "strings": names,
        "objects": names.astype(object),
        "bools": bcc,
        "integers": np.where(bcc, 7, -2),
        "list": names.tolist(),
    }
    for kind, y in kinds.items():
        _check_labels(seeded_clone(estimator).fit(X, y), X, np.asarray(y), kind)
    if get_tags(estimator).classifier_tags.multi_class:
        y = np.resize(["a", "b", "c"], len(X))
        _check_labels(seeded_clone(estimator).fit(X, y), X, y, "three classes")


def _check_labels(model, X, y, kind):
    np.testing.assert_array_equal(model.classes_, np.unique(y), err_msg=f"classes_ of {kind}")
    predicted = model.predict(X)
    assert predicted.shape == (len(X),), f"predictions of {kind} have shape {predicted.shape}"
    assert set(predicted.tolist()) <= set(y.tolist()), f"{kind}: predicts {set(predicted)}"
    if hasattr(model, "predict_proba"):
        odds = model.predict_proba(X)
        assert odds.shape == (len(X), len(model.classes_)), f"predict_proba has {odds.shape}"
        assert (odds >= 0).all(), f"negative probabilities for {kind}"
        np.testing.assert_allclose(odds.sum(axis=1), 1, rtol=1e-6, err_msg=kind)
        chosen = model.classes_[odds.argmax(axis=1)]
        np.testing.assert_array_equal(predicted, chosen, err_msg="predict and predict_proba")


def check_classifier_refuses(estimator):
    """One class, or a continuous target, is refused."""
    X, y = make_toy_crystals()
    for name, target in {"one class": np.full(len(X), "a"), "numbers with decimals": y}.items():
        new = seeded_clone(estimator)
        error = raised(lambda new=new, y=target: new.fit(X, y), ValueError)
        assert error is not None, f"a classifier accepts {name}"


def check_transformer(estimator):
    """fit_transform is fit and transform, with one row per crystal."""
    X, y = toy_data(estimator)
    model = seeded_clone(estimator)
    first = model.fit_transform(X, y)
    assert len(first) == len(X), f"{len(first)} rows for {len(X)} crystals"
    assert_same(model.transform(X), first, "transform after fit_transform")
    assert_same(seeded_clone(estimator).fit(X, y).transform(X), first, "fit, then transform")
    if is_table(first):
        values = np.asarray(first)
        assert values.ndim == 2, f"the table has shape {values.shape}"
        assert np.isfinite(values.astype(float)).all(), "valid crystals give NaN"


def check_column_names(estimator):
    """Columns have distinct names that XGBoost takes, in whatever container."""
    model, X, _ = fitted(estimator)
    if not is_table(output(model, X)):
        return
    names = list(model.get_feature_names_out())
    assert len(set(names)) == len(names), "two columns share a name"
    assert all(isinstance(name, str) and name for name in names), "names are not strings"
    wrong = [name for name in names if set(name) & set("[]<")]
    assert not wrong, f"XGBoost refuses the names {wrong}"
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame), f'set_output("pandas") gives {type(frame)}'
    assert list(frame.columns) == names, "columns differ from get_feature_names_out"
    plain = model.set_output(transform="default").transform(X)
    assert isinstance(plain, np.ndarray), f'set_output("default") gives {type(plain)}'
    assert_same(plain, frame.to_numpy(), "pandas and default output")
