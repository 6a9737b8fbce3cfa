"""`STRUCTURE_SAMPLER_CHECKS`: checks of samplers whose rows are crystals."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.utils import get_tags

from sklmat.estimator_checks._convention_checks import check_get_set_params, check_init_stores_only
from sklmat.estimator_checks._fit_and_compare import (
    next_global_draws,
    parameter_constraints,
    raised,
    seed_global_generators,
    seeded_clone,
    signature_names,
)
from sklmat.estimator_checks._toy_data import make_toy_crystals
from sklmat.exceptions import InvalidStructureError
from sklmat.features import CompositionFeaturizer
from sklmat.graphs import StructureToGraph
from sklmat.structures import check_structures

#: Eight crystals of one class, four of the other, so that there is something to balance.
_CLASSES = np.array(["fcc", "bcc", "fcc"] * 4)


def toy_rows(sampler):
    """Return a dozen crystals and their targets, classes if the sampler needs classes."""
    structures, volumes = make_toy_crystals(12)
    return structures, _CLASSES.copy() if _needs_classes(sampler) else volumes


def _needs_classes(sampler):
    return get_tags(sampler).classifier_tags is not None


def resampled(sampler, X, y, **params):
    """Return crystals and targets from a seeded clone, and the clone."""
    new = seeded_clone(sampler).set_params(**params)
    X_all, y_all = new.fit_resample(X, y)
    return X_all, y_all, new


def check_structure_sampler_parameters(sampler):
    """random_state exists, constraints fit the signature, and wrong values raise an error."""
    names = signature_names(sampler)
    assert "random_state" in names, "the sampler has no parameter random_state"
    constraints = parameter_constraints(sampler)
    X, y = toy_rows(sampler)
    for name in names:
        if constraints[name] == "no_validation":
            continue
        broken = clone(sampler)
        setattr(broken, name, type("BadType", (), {})())
        for method in (broken.fit, broken.fit_resample):
            error = raised(lambda method=method: method(X, y), ValueError, TypeError)
            assert error is not None, f"{method.__name__} accepts any object as {name}"
            assert name in str(error), f"the error about {name} does not name it: {error}"


def check_structure_sampler_protocol(sampler):
    """The sampler has fit and fit_resample, fit returns it, and it has no transform."""
    assert hasattr(sampler, "fit_resample"), "there is no fit_resample"
    for method in ("transform", "fit_transform", "predict"):
        assert not hasattr(sampler, method), f"a sampler in a Pipeline must have no {method}"
    X, y = toy_rows(sampler)
    model = seeded_clone(sampler)
    before = model.get_params(deep=False)
    assert model.fit(X, y) is model, "fit does not return self"
    after = model.get_params(deep=False)
    changed = [name for name in before if after[name] is not before[name]]
    assert not changed, f"fit changes the parameters {changed}"
    public = [name for name in vars(model) if not name.startswith("_") and name not in before]
    wrong = [name for name in public if not name.endswith("_")]
    assert not wrong, f"fit sets {wrong}: what is learned ends in an underscore"


def check_real_crystals_first(sampler):
    """Real crystals come first, in their order; sample_origin_ and sample_indices_ describe all."""
    X, y = toy_rows(sampler)
    X_all, y_all, model = resampled(sampler, X, y)
    origin, rows = model.sample_origin_, model.sample_indices_
    for name, values in (("sample_origin_", origin), ("sample_indices_", rows)):
        assert isinstance(values, np.ndarray), f"{name} is no array"
        assert values.dtype.kind == "i", f"{name} has dtype {values.dtype}"
        assert values.shape == (len(X_all),), f"{name} has shape {values.shape}"
    assert len(y_all) == len(X_all), "crystals and targets differ in length"
    n_real = np.sum(origin == 0)
    assert (origin[n_real:] >= 1).all(), "a real row comes after a generated one"
    assert (np.diff(rows[:n_real]) > 0).all(), "real rows are in another order"
    for crystal, label, row in zip(X_all[:n_real], y_all, rows):
        assert crystal is X[row], "a real crystal is not the one that was passed"
        assert label == y[row], "a real target has changed"
    assert np.asarray(y_all).dtype == y.dtype, "the dtype of y has changed"


def check_possible_crystals(sampler):
    """Copies are valid crystals with the elements of the crystal that they copy."""
    X, y = toy_rows(sampler)
    X_all, _, model = resampled(sampler, X, y)
    for crystal, row in zip(check_structures(X_all), model.sample_indices_):
        assert crystal.species == X[row].species, "a copy has other elements"


def check_crystal_containers(sampler):
    """Lists, arrays, Series, DataFrames and graphs keep their type, and give the same rows."""
    X, y = toy_rows(sampler)
    X_all, y_all, model = resampled(sampler, X, y)
    array = np.empty(len(X), dtype=object)
    array[:] = X
    index = range(100, 100 - 2 * len(X), -2)
    table = pd.DataFrame({"structure": array, "temperature (K)": np.arange(len(X))}, index=index)
    containers = {
        "list": (X, list),
        "tuple": (tuple(X), list),
        "array": (array, np.ndarray),
        "Series": (table["structure"], pd.Series),
        "DataFrame": (table, pd.DataFrame),
        "graphs": (StructureToGraph(cutoff=4.0).transform(X), None),
    }
    for name, (given, expected) in containers.items():
        rows, target, other = resampled(sampler, given, y)
        assert isinstance(rows, expected or type(given)), f"{name} became {type(rows).__name__}"
        np.testing.assert_array_equal(other.sample_indices_, model.sample_indices_, err_msg=name)
        np.testing.assert_array_equal(target, y_all, err_msg=name)
        crystals = rows["structure"] if name == "DataFrame" else rows
        if name != "graphs":
            assert list(crystals) == list(X_all), f"{name} gives other crystals than a list"
        if expected in (pd.Series, pd.DataFrame):
            n_real = np.sum(other.sample_origin_ == 0)
            assert rows.index.is_unique, "copies repeat labels of the index"
            expected_index = table.index[other.sample_indices_[:n_real]]
            assert list(rows.index[:n_real]) == list(expected_index), "the index has changed"
        if name == "DataFrame":
            np.testing.assert_array_equal(
                rows["temperature (K)"], other.sample_indices_, err_msg="further columns"
            )


def check_crystal_targets(sampler):
    """Classes of every type are kept; numeric targets are too, or are refused with an error."""
    X, _ = toy_rows(sampler)
    classes = {
        "strings": _CLASSES,
        "a list": _CLASSES.tolist(),
        "a Series": pd.Series(_CLASSES, name="phase"),
        "categories": pd.Series(_CLASSES, dtype="category"),
        "booleans": _CLASSES == "fcc",
        "integers": np.where(_CLASSES == "fcc", 7, -2),
    }
    for name, y in classes.items():
        _, y_all, model = resampled(sampler, X, y)
        real = np.asarray(y)
        np.testing.assert_array_equal(np.asarray(y_all), real[model.sample_indices_], err_msg=name)
        assert np.asarray(y_all).dtype.kind == real.dtype.kind, f"{name} have changed type"
        assert list(model.classes_) == sorted(set(real)), f"classes_ of {name}"
        if hasattr(y, "name"):
            assert isinstance(y_all, pd.Series), f"a Series became {type(y_all).__name__}"
            assert y_all.name == y.name, "the Series has lost its name"
    numbers = np.linspace(0.0, 1.0, len(X))
    if _needs_classes(sampler):
        error = raised(lambda: resampled(sampler, X, numbers), ValueError)
        assert error is not None, "a sampler of classes accepts a numeric target"
        return
    for y in (numbers, numbers[:, None], np.column_stack([numbers, 2 - numbers])):
        _, y_all, model = resampled(sampler, X, y)
        assert y_all.shape == (len(model.sample_indices_), *y.shape[1:]), "shape of y"


def check_structure_sampler_seed(sampler):
    """Results depend on the seed only, and the global random generators are not changed."""
    X, y = toy_rows(sampler)
    results = []
    for global_seed in (0, 1):
        seed_global_generators(global_seed)
        before = next_global_draws()
        results.append(resampled(sampler, X, y))
        assert next_global_draws() == before, "the global random numbers moved on"
    first, second = results
    assert first[0] == second[0], "the same seed gives other crystals with another global seed"
    np.testing.assert_array_equal(first[1], second[1])


def check_structure_sampler_copies(sampler):
    """Clones are unfitted; pickled samplers and second fits give the same rows."""
    X, y = toy_rows(sampler)
    X_all, _, model = resampled(sampler, X, y)
    new = clone(model)
    fitted_names = {name for name in vars(new) if name.endswith("_") and not name.startswith("_")}
    assert not fitted_names, f"clone keeps {sorted(fitted_names)}"
    for again in (pickle.loads(pickle.dumps(new)), pickle.loads(pickle.dumps(model)), model):
        other = again.fit_resample(X[::-1], y[::-1])[0]
        assert len(other) == len(X_all), "another order of rows gives another number of rows"
        assert again.fit_resample(X, y)[0] == X_all, "a pickled or fitted sampler gives other rows"


def check_crystals_not_mutated(sampler):
    """Crystals and targets are not changed."""
    X, y = toy_rows(sampler)
    before, labels = [crystal.copy() for crystal in X], y.copy()
    given = list(X)
    _, y_all, _ = resampled(sampler, given, y)
    y_all[:] = y_all[0]
    assert len(given) == len(X), "X was changed"
    assert all(a is b for a, b in zip(given, X)), "X was changed"
    assert before == X, "a crystal was changed"
    np.testing.assert_array_equal(y, labels, err_msg="y was changed")


def check_structure_sampler_bad_input(sampler):
    """Unusable input raises a ValueError, which names the row if a single row is wrong."""
    X, y = toy_rows(sampler)
    broken = [*X[:7], "no such file.cif", *X[8:]]
    error = raised(lambda: resampled(sampler, broken, y), InvalidStructureError)
    assert error is not None, "a file that does not exist is accepted"
    assert error.index == 7, f"the error names row {error.index} instead of row 7"
    missing = y.astype(object)
    missing[5] = None
    wrong = {
        "a label that is missing": (X, missing, "row 5"),
        "labels of another length": (X, y[:-1], ""),
        "no labels": (X, None, "y"),
        "no rows": ([], y[:0], ""),
    }
    for name, (crystals, labels, word) in wrong.items():
        error = raised(lambda X=crystals, y=labels: resampled(sampler, X, y), ValueError)
        assert error is not None, f"{name}: accepted"
        assert word in str(error), f"{name}: the error does not name {word!r}: {error}"


def check_structure_sampler_in_pipelines(sampler):
    """The sampler works in imbalanced-learn's Pipeline, before a featurizer."""
    from imblearn.pipeline import Pipeline

    X, y = toy_rows(sampler)
    last = LogisticRegression() if _needs_classes(sampler) else Ridge()
    steps = [("sampler", seeded_clone(sampler)), ("features", CompositionFeaturizer())]
    pipeline = Pipeline([*steps, ("model", last)])
    scores = cross_val_score(pipeline, X, y, cv=3, error_score="raise")
    assert np.isfinite(scores).all(), f"scores in a Pipeline are {scores}"
    predicted = pipeline.fit(X, y).predict(X)
    assert predicted.shape == (len(X),), "predicting resamples"


STRUCTURE_SAMPLER_CHECKS = [
    check_init_stores_only,
    check_get_set_params,
    check_structure_sampler_parameters,
    check_structure_sampler_protocol,
    check_real_crystals_first,
    check_possible_crystals,
    check_crystal_containers,
    check_crystal_targets,
    check_structure_sampler_seed,
    check_structure_sampler_copies,
    check_crystals_not_mutated,
    check_structure_sampler_bad_input,
    check_structure_sampler_in_pipelines,
]
