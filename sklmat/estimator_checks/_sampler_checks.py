"""`sampler_checks`: checks of samplers, that is, of the results and errors of `fit_resample`."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import get_tags

from sklmat.estimator_checks._convention_checks import check_get_set_params, check_init_stores_only
from sklmat.estimator_checks._fit_and_compare import (
    check_is_estimator,
    next_global_draws,
    parameter_constraints,
    raised,
    seed_global_generators,
    seeded_clone,
    signature_names,
)
from sklmat.estimator_checks._structure_sampler_checks import STRUCTURE_SAMPLER_CHECKS
from sklmat.estimator_checks._toy_data import make_toy_table

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def sampler_checks(sampler: BaseEstimator) -> Iterator[tuple[BaseEstimator, Callable]]:
    """Yield the checks that a sampler should pass.

    Parameters
    ----------
    sampler : sampler
        An instance whose parameters allow a fast fit of two dozen rows. It is cloned; the object
        itself is not fitted. The checks pass tables to it, or crystals if
        ``input_tags.two_d_array`` of its tags is False.

    Yields
    ------
    sampler : sampler
        The sampler that was passed.
    check : callable
        ``check(sampler)`` raises an ``AssertionError`` that describes the failure.

    Examples
    --------
    >>> from sklmat.augmentation import NoiseAugmenter
    >>> from sklmat.estimator_checks import sampler_checks
    >>> checks = [check for _, check in sampler_checks(NoiseAugmenter())]
    >>> checks[0].__name__
    'check_init_stores_only'
    """
    check_is_estimator(sampler)
    takes_tables = get_tags(sampler).input_tags.two_d_array
    for check in _CHECKS if takes_tables else STRUCTURE_SAMPLER_CHECKS:
        yield sampler, check


def resampled(sampler, X, y, **params):
    """Return rows and targets from a seeded clone, and the clone."""
    new = seeded_clone(sampler).set_params(**params)
    X_all, y_all = new.fit_resample(X, y)
    return X_all, y_all, new


def check_sampler_parameters(sampler):
    """n_samples, y_range and random_state exist; constraints fit the signature and are applied."""
    names = signature_names(sampler)
    for name in ("n_samples", "y_range", "random_state"):
        assert name in names, f"the sampler has no parameter {name}"
    constraints = parameter_constraints(sampler)
    X, y = make_toy_table()
    for name in names:
        if constraints[name] == "no_validation":
            continue
        broken = clone(sampler)
        setattr(broken, name, type("BadType", (), {})())
        for method in (broken.fit, broken.fit_resample):
            error = raised(lambda method=method: method(X, y), ValueError, TypeError)
            assert error is not None, f"{method.__name__} accepts any object as {name}"
            assert name in str(error), f"the error about {name} does not name it: {error}"


def check_sampler_protocol(sampler):
    """The sampler has fit and fit_resample, fit returns it, and it has no transform."""
    assert hasattr(sampler, "fit_resample"), "there is no fit_resample"
    for method in ("transform", "fit_transform", "predict"):
        assert not hasattr(sampler, method), f"a sampler in a Pipeline must have no {method}"
    X, y = make_toy_table()
    model = seeded_clone(sampler)
    before = model.get_params(deep=False)
    assert model.fit(X, y) is model, "fit does not return self"
    after = model.get_params(deep=False)
    changed = [name for name in before if after[name] is not before[name]]
    assert not changed, f"fit changes the parameters {changed}"
    public = [name for name in vars(model) if not name.startswith("_") and name not in before]
    wrong = [name for name in public if not name.endswith("_")]
    assert not wrong, f"fit sets {wrong}: what is learned ends in an underscore"
    assert model.n_features_in_ == X.shape[1]
    assert list(model.feature_names_in_) == list(X.columns)


def check_real_rows_first(sampler):
    """The real rows come first, in their order, with unchanged values, types and targets."""
    X, y = make_toy_table()
    for rows, target in ((X, y), (X.to_numpy(), y.to_numpy()), (X.astype(np.float32), y)):
        X_all, y_all, _ = resampled(sampler, rows, target)
        real, labels = np.asarray(X_all)[: len(X)], np.asarray(y_all)[: len(X)]
        np.testing.assert_array_equal(real, np.asarray(rows), err_msg="real rows")
        np.testing.assert_array_equal(labels, np.asarray(target), err_msg="real targets")
        assert np.asarray(X_all).dtype == np.asarray(rows).dtype, "the dtype of X has changed"
        assert np.asarray(y_all).dtype == np.asarray(target).dtype, "the dtype of y has changed"
        assert np.isfinite(np.asarray(X_all)).all(), "a generated row is not finite"


def check_sample_origin(sampler):
    """sample_origin_ is an integer for each row: 0 for real rows, 1 or more for generated rows."""
    X, y = make_toy_table()
    X_all, _, model = resampled(sampler, X, y)
    origin = model.sample_origin_
    assert isinstance(origin, np.ndarray), "sample_origin_ is no array"
    assert origin.dtype.kind == "i", f"sample_origin_ has dtype {origin.dtype}"
    assert origin.shape == (len(X_all),), f"sample_origin_ has shape {origin.shape}"
    assert (origin[: len(X)] == 0).all(), "sample_origin_ of a real row is not 0"
    assert (origin[len(X) :] >= 1).all(), "sample_origin_ of a generated row is not 1 or more"


def check_n_samples(sampler):
    """An int is a number of rows, a float a multiple of the real rows, and 0 adds no rows."""
    X, y = make_toy_table()
    for n_samples, expected in ((0, 0), (0.0, 0), (5, 5), (1, 1), (1.0, 24), (0.5, 12), (1.5, 36)):
        X_all, y_all, _ = resampled(sampler, X, y, n_samples=n_samples)
        found = len(X_all) - len(X)
        assert found == len(y_all) - len(y), "rows and targets differ in length"
        assert found == expected, f"n_samples={n_samples!r} adds {found} rows to 24"
    for wrong in (-1, -0.5, "all"):
        error = raised(lambda wrong=wrong: resampled(sampler, X, y, n_samples=wrong), ValueError)
        assert error is not None, f"n_samples={wrong!r} is accepted"


def check_table_types(sampler):
    """DataFrames stay DataFrames with their columns, names and index; arrays stay arrays."""
    X, y = make_toy_table()
    X_all, y_all, _ = resampled(sampler, X, y)
    assert isinstance(X_all, pd.DataFrame), f"a DataFrame became {type(X_all).__name__}"
    assert list(X_all.columns) == list(X.columns), "columns have changed"
    assert (X_all.dtypes == X.dtypes).all(), "types of columns have changed"
    assert list(X_all.index[: len(X)]) == list(X.index), "real rows have lost their index"
    assert X_all.index.is_unique, "generated rows repeat labels of the index"
    assert isinstance(y_all, pd.Series), f"a Series became {type(y_all).__name__}"
    assert y_all.name == y.name, "the Series has lost its name"
    assert y_all.index.equals(X_all.index), "rows and targets differ in their index"
    for shuffled in (X.iloc[:, ::-1], X.iloc[:, [6, 11, 0, 3, 9, 1, 5, 4, 10, 2, 8, 7]]):
        other, _, _ = resampled(sampler, shuffled, y)
        assert list(other.columns) == list(shuffled.columns), "columns are put in another order"
    array, labels, model = resampled(sampler, X.to_numpy(), y.to_numpy())
    assert isinstance(array, np.ndarray), f"an array became {type(array).__name__}"
    assert isinstance(labels, np.ndarray), f"a target array became {type(labels).__name__}"
    assert not hasattr(model, "feature_names_in_"), "names are left over from another fit"


def check_numeric_targets(sampler):
    """Targets of shape (n,), (n, 1) and (n, 2) keep their dimensions and names."""
    X, y = make_toy_table()
    two = pd.DataFrame({"energy": y, "moment": 2 - y})
    for target in (y.to_numpy(), y.to_numpy()[:, None], two.to_numpy(), two):
        _, y_all, _ = resampled(sampler, X, target, n_samples=1.0)
        expected = (2 * len(X), *target.shape[1:])
        assert y_all.shape == expected, f"targets {target.shape} became {y_all.shape}"
        assert np.isfinite(np.asarray(y_all)).all(), "a generated target is not finite"
    assert isinstance(y_all, pd.DataFrame), f"a DataFrame of targets became {type(y_all).__name__}"
    assert list(y_all.columns) == ["energy", "moment"], "targets have lost their names"


def check_class_targets(sampler):
    """Strings, booleans and integers are classes, and no new classes are generated."""
    X, y = make_toy_table(task="classification")
    targets = {
        "strings": y,
        "an array of strings": y.to_numpy(),
        "booleans": y == "fcc",
        "integers": np.where(y == "fcc", 7, -2),
        "a list": y.tolist(),
        "categories": y.astype("category"),
    }
    for name, target in targets.items():
        _, y_all, model = resampled(sampler, X, target)
        real = np.asarray(target)
        assert set(np.asarray(y_all)) <= set(real), f"new classes among {name}"
        assert np.asarray(y_all).dtype.kind == real.dtype.kind, f"{name} have changed type"
        assert list(model.classes_) == sorted(set(real)), f"classes_ of {name}"


def check_sampler_seed(sampler):
    """Results depend on the seed only, and the global random generators are not changed."""
    X, y = make_toy_table()
    tables = []
    for global_seed in (0, 1):
        seed_global_generators(global_seed)
        before = next_global_draws()
        tables.append(np.column_stack(resampled(sampler, X, y)[:2]))
        assert next_global_draws() == before, "the global random numbers moved on"
    np.testing.assert_array_equal(tables[0], tables[1], err_msg="same seed, another global seed")
    other = np.column_stack(resampled(sampler, X, y, random_state=1)[:2])
    assert not np.array_equal(other[len(X) :], tables[0][len(X) :]), "the seed changes nothing"


def check_sampler_clone(sampler):
    """A clone has the same parameters and no fitted attributes."""
    X, y = make_toy_table()
    _, _, model = resampled(sampler, X, y)
    new = clone(model)
    fitted_names = {name for name in vars(new) if name.endswith("_") and not name.startswith("_")}
    assert not fitted_names, f"clone keeps {sorted(fitted_names)}"
    assert repr(new) == repr(clone(new)), "a clone of a clone has other parameters"


def check_sampler_pickle(sampler):
    """A sampler pickled before or after its fit gives the same rows."""
    X, y = make_toy_table()
    X_all, _, model = resampled(sampler, X, y)
    for pickled in (seeded_clone(sampler), model):
        again = pickle.loads(pickle.dumps(pickled))
        np.testing.assert_array_equal(again.fit_resample(X, y)[0], X_all, err_msg="after pickle")
    restored = pickle.loads(pickle.dumps(model)).sample_origin_
    np.testing.assert_array_equal(restored, model.sample_origin_)


def check_sampler_refit(sampler):
    """After a second fit nothing depends on the first, even if the type of the target differs."""
    X, y = make_toy_table()
    model = seeded_clone(sampler)
    model.fit_resample(*make_toy_table(30, task="classification", random_state=1))
    X_all, y_all = model.fit_resample(X, y)
    fresh_X, fresh_y, fresh = resampled(sampler, X, y)
    assert set(vars(model)) == set(vars(fresh)), "attributes of the first fit are left over"
    np.testing.assert_array_equal(X_all, fresh_X, err_msg="rows of a second fit")
    np.testing.assert_array_equal(y_all, fresh_y, err_msg="targets of a second fit")


def check_y_range(sampler):
    """Generated labels are inside y_range without being clipped; real rows are not changed."""
    X, y = make_toy_table()
    low, high = np.quantile(y, [0.2, 0.8])
    X_all, y_all, _ = resampled(sampler, X, y, n_samples=1.0, y_range=(low, high))
    assert len(X_all) == 2 * len(X), "rejected rows were not drawn again"
    new = y_all.to_numpy()[len(y) :]
    assert ((new >= low) & (new <= high)).all(), "a generated label is outside y_range"
    clipped = np.isin(new, [low, high])
    assert not clipped.any(), "labels are clipped to y_range"
    np.testing.assert_array_equal(y_all.to_numpy()[: len(y)], y, err_msg="real labels")
    wrong = {"nothing inside": (1e6, 2e6), "reversed": (high, low), "three numbers": (0, 1, 2)}
    for name, limits in wrong.items():
        error = raised(lambda limits=limits: resampled(sampler, X, y, y_range=limits), ValueError)
        assert error is not None, f"y_range with {name} is accepted"
        assert "y_range" in str(error), f"the error about y_range does not name it: {error}"
    classes = make_toy_table(task="classification")
    error = raised(lambda: resampled(sampler, *classes, y_range=(0, 1)), ValueError)
    assert error is not None, "y_range is accepted for classes"


def check_sampler_inputs_not_mutated(sampler):
    """X and y are not changed, and the result shares no memory with them."""
    X, y = make_toy_table()
    rows, target = X.to_numpy().copy(), y.to_numpy().copy()
    X_all, y_all, _ = resampled(sampler, rows, target)
    X_all[:], y_all[:] = -1.0, -1.0
    np.testing.assert_array_equal(rows, X.to_numpy(), err_msg="X was changed")
    np.testing.assert_array_equal(target, y.to_numpy(), err_msg="y was changed")
    frame, series = X.copy(), y.copy()
    resampled(sampler, frame, series)
    pd.testing.assert_frame_equal(frame, X)
    pd.testing.assert_series_equal(series, y)


def check_sampler_bad_input(sampler):
    """Unusable input raises a ValueError, which names the row if a single row is wrong."""
    X, y = make_toy_table()
    rows, target = X.to_numpy(), y.to_numpy()
    nan_row, nan_label = rows.copy(), target.copy()
    nan_row[7, 6], nan_label[5] = np.nan, np.nan
    wrong = {
        "a row with NaN": (nan_row, target, "row 7"),
        "a label that is NaN": (rows, nan_label, "row 5"),
        "an infinite label": (rows, np.where(np.arange(len(y)) == 3, np.inf, y), "row 3"),
        "labels of another length": (rows, target[:-1], ""),
        "no labels": (rows, None, "y"),
        "no rows": (rows[:0], target[:0], ""),
        "one row": (rows[:1], target[:1], ""),
        "a single column without dimension": (rows[:, 0], target, ""),
        "two columns of classes": (rows, np.array([["a", "b"]] * len(y)), "class"),
    }
    for name, (X_bad, y_bad, word) in wrong.items():
        new = seeded_clone(sampler)
        error = raised(lambda new=new, X=X_bad, y=y_bad: new.fit_resample(X, y), ValueError)
        assert error is not None, f"{name}: accepted"
        assert word in str(error), f"{name}: the error does not name {word!r}: {error}"


def check_rows_are_possible(sampler):
    """Generated fractions sum to one; each row has one lattice, and zeros for absent elements."""
    X, y = make_toy_table()
    X_all, _, _ = resampled(sampler, X, y, n_samples=60)
    new = X_all.iloc[len(X) :]
    fractions = new[["x_Fe", "x_Ni", "x_Pd"]].to_numpy()
    assert (fractions >= 0).all(), "a generated fraction is negative"
    np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-9, err_msg="sum of fractions")
    lattice = new[["lattice_bcc", "lattice_fcc"]].to_numpy()
    assert np.isin(lattice, [0, 1]).all(), "a generated row is partly bcc"
    assert (lattice.sum(axis=1) == 1).all(), "a generated row has no lattice, or two"
    for element in ("Fe", "Ni", "Pd"):
        absent = new[new[f"x_{element}"] == 0]
        block = absent[[f"{element}_0", f"{element}_1"]].to_numpy()
        assert not block.any(), f"a generated row without {element} has a vector of it"


def check_sampler_in_pipelines(sampler):
    """The sampler works in imbalanced-learn's Pipeline, and in a search over n_samples."""
    from imblearn.pipeline import Pipeline

    X, y = make_toy_table()
    pipeline = Pipeline([("sampler", seeded_clone(sampler)), ("ridge", Ridge())])
    scores = cross_val_score(pipeline, X, y, cv=3, error_score="raise")
    assert np.isfinite(scores).all(), f"scores in a Pipeline are {scores}"
    search = GridSearchCV(pipeline, {"sampler__n_samples": [0, 0.5]}, cv=3, error_score="raise")
    predicted = search.fit(X, y).predict(X)
    assert predicted.shape == (len(X),), "predicting resamples"


_CHECKS = [
    check_init_stores_only,
    check_get_set_params,
    check_sampler_parameters,
    check_sampler_protocol,
    check_real_rows_first,
    check_sample_origin,
    check_n_samples,
    check_table_types,
    check_numeric_targets,
    check_class_targets,
    check_sampler_seed,
    check_sampler_clone,
    check_sampler_pickle,
    check_sampler_refit,
    check_y_range,
    check_sampler_inputs_not_mutated,
    check_sampler_bad_input,
    check_rows_are_possible,
    check_sampler_in_pipelines,
]
