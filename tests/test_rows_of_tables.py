"""Values of tables and labels that a model refuses are named with their row in the whole input."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import BayesianRidge, LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import _safe_indexing
from tiny_eftgan import tiny
from xgboost import XGBRegressor

from sklmat import (
    AugmentedClassifier,
    AugmentedRegressor,
    CalibratedStdRegressor,
    ConformalClassifier,
    ConformalRegressor,
    DeltaRegressor,
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    InvalidValueError,
    MatbenchSplit,
    NoiseAugmenter,
    OrderingClassifier,
    RobustGaussianProcessRegressor,
    compare_estimators,
    contrast,
    datasets,
    shap_table,
)
from sklmat.compositions import refuse_empty
from sklmat.estimator_checks import make_toy_crystals
from sklmat.exceptions import rows_of_input
from sklmat.known_labels import score_known_labels
from sklmat.tables import explain_refused_values
from sklmat.targets import number_array

N = 12
X = pd.DataFrame({"volume": np.arange(N) / 4, "count": np.arange(N) % 5})
Y = np.arange(float(N)) ** 2
CLASSES = np.resize(["low", "high"], N)
#: Row 7 of the input is row 5 of those with weight.
WEIGHT = np.where(np.isin(np.arange(N), [0, 3]), 0.0, 1.0)
FEW = {"max_iter": 3, "min_samples_leaf": 1}
#: The scaler takes NaN and refuses infinity.
BOOSTING = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(**FEW))


def with_value(value, row=7, column="volume"):
    table = X.astype(object)
    table.loc[row, column] = value
    return table if isinstance(value, str | complex) else table.astype(float)


def zero(rows):
    return np.zeros(len(rows))


REGRESSORS = {
    "augmented": AugmentedRegressor(Ridge(), NoiseAugmenter(random_state=0)),
    "not augmented": AugmentedRegressor(Ridge()),
    "calibrated": CalibratedStdRegressor(BayesianRidge(), cv=3, random_state=0),
    "conformal": ConformalRegressor(Ridge(), confidence_level=0.5, cv=3, random_state=0),
    "difference": DeltaRegressor(Ridge(), zero, references=None),
    "early stopping": EarlyStoppingRegressor(BOOSTING, validation_fraction=0.4, random_state=0),
    "process": RobustGaussianProcessRegressor(max_iter=1),
}
CLASSIFIERS = {
    "augmented": AugmentedClassifier(LogisticRegression(), NoiseAugmenter(random_state=0)),
    "conformal": ConformalClassifier(
        LogisticRegression(), confidence_level=0.5, cv=3, random_state=0
    ),
    "early stopping": EarlyStoppingClassifier(
        make_pipeline(StandardScaler(), HistGradientBoostingClassifier(**FEW)),
        validation_fraction=0.4,
        random_state=0,
    ),
}
MODELS = [*((model, Y) for model in REGRESSORS.values())]
MODELS += [(model, CLASSES) for model in CLASSIFIERS.values()]
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:standardize"
)


def assert_named(error, row, text):
    assert error.value.index == row
    assert text in str(error.value)
    assert f"first in row {row}, column 'volume'" in str(error.value)


@pytest.mark.parametrize(("model", "y"), MODELS)
def test_fit_and_predict(model, y):
    for call in (lambda X: model.fit(X, y), lambda X: model.predict(X)):
        with pytest.raises(InvalidValueError, match="infinity") as error:
            call(with_value(np.inf))
        assert_named(error, 7, "infinity")
        with pytest.raises(ValueError, match=r"\bin row 7\b") as error:
            call(with_value("x"))
        assert "'x'" in str(error.value)
        model.fit(X, y)
    for method in ("predict_proba", "decision_function"):
        if hasattr(model, method):
            with pytest.raises(InvalidValueError, match="infinity") as error:
                getattr(model, method)(with_value(np.inf))
            assert_named(error, 7, "infinity")


@pytest.mark.parametrize("name", ["augmented", "not augmented", "difference", "early stopping"])
def test_rows_with_weight(name):
    model = REGRESSORS[name]
    with pytest.raises(InvalidValueError) as error:
        model.fit(with_value(np.inf), Y, sample_weight=WEIGHT)
    assert_named(error, 7, "infinity")
    # A row without weight is not used.
    model.fit(with_value(np.inf, row=3), Y, sample_weight=WEIGHT)


def test_comparisons():
    folds = KFold(2, shuffle=True, random_state=1)
    for model in (Ridge(), AugmentedRegressor(Ridge(), NoiseAugmenter(random_state=0))):
        with pytest.raises(InvalidValueError, match="in estimator 'a', fold") as error:
            compare_estimators({"a": model}, with_value(np.inf), Y, cv=folds)
        assert_named(error, 7, "infinity")


def test_what_a_model_takes_is_no_error():
    table = with_value(np.nan)
    table.loc[3, "count"] = np.nan
    model = AugmentedRegressor(BOOSTING).fit(table, Y)
    assert np.isfinite(model.predict(table)).all()
    # Only what the model refuses is named.
    table.loc[9, "count"] = np.inf
    with pytest.raises(InvalidValueError, match="infinity, first in row 9, column 'count'"):
        model.predict(table)
    # So is the number that is no number, not the text that is encoded.
    frame = X.astype(object).assign(phase=np.resize(["fcc", "bcc"], N))
    encoded = make_column_transformer((OneHotEncoder(), ["phase"]), remainder="passthrough")
    model = AugmentedRegressor(make_pipeline(encoded, DecisionTreeRegressor())).fit(frame, Y)
    frame.loc[5, "volume"] = "x"
    with pytest.raises(InvalidValueError, match="'x', first in row 5, column 'volume'"):
        model.predict(frame)


def test_kinds_of_tables():
    pl = pytest.importorskip("polars")
    values = with_value(np.nan).to_numpy()
    tables = {"'volume'": pl.DataFrame(values, schema=["volume", "count"]), "0": values}
    for column, table in tables.items():
        model = Ridge().fit(_safe_indexing(table, [0, 1, 2, 3, 4]), Y[:5])
        with (
            pytest.raises(InvalidValueError, match=f"NaN, first in row 7, column {column}:"),
            explain_refused_values(table),
        ):
            model.predict(table)
    large = X.to_numpy()
    large[4, 1] = 1e300
    with (
        np.errstate(over="ignore"),
        pytest.raises(InvalidValueError, match="1e\\+300, first in row 4, column 1:"),
        explain_refused_values(large),
    ):
        DecisionTreeRegressor().fit(large, Y)


@pytest.mark.parametrize(
    "message", ["y holds NaN in rows [4]", "Input y contains NaN.", "no convergence"]
)
def test_other_errors_stay_as_they_are(message):
    with pytest.raises(RuntimeError) as error, explain_refused_values(with_value(np.nan)):
        raise RuntimeError(message)
    assert str(error.value) == message
    with pytest.raises(ValueError, match="'X' is no crystal"), explain_refused_values([None]):
        raise ValueError("NaN: 'X' is no crystal")


def test_error_of_infinity_in_xgboost():
    table = with_value(np.nan)
    table.loc[9, "volume"] = np.inf
    with pytest.raises(InvalidValueError, match="infinity, first in row 9, column 'volume'"):
        AugmentedRegressor(XGBRegressor(n_estimators=2)).fit(table, Y)


def test_columns_of_one_name():
    model = AugmentedRegressor(Ridge()).fit(X, Y)
    with pytest.raises(ValueError, match=r"column 'volume' twice|feature names should match"):
        model.predict(X.set_axis(["volume"] * 2, axis=1))


def test_the_error_has_the_row_of_the_whole_input_and_can_be_pickled():
    with pytest.raises(InvalidValueError) as error, rows_of_input([5, 7], "in fold 1"):
        raise InvalidValueError(1, "'volume'", "NaN", "not allowed")
    copy = pickle.loads(pickle.dumps(error.value))
    assert (copy.index, copy.column, copy.value) == (7, "'volume'", "NaN")
    assert str(copy) == (
        "Input X contains NaN, first in row 7, column 'volume': not allowed (in fold 1)"
    )


# -- labels


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("value", [None, np.nan, np.inf, "x", 1j])
def test_scores_of_regressors(name, value):
    model = REGRESSORS[name].fit(X, Y)
    expected = 1 - np.sum((Y - model.predict(X)) ** 2) / np.sum((Y - Y.mean()) ** 2)
    assert model.score(X, Y) == pytest.approx(expected)
    y = list(Y)
    y[7] = value
    if name == "difference" and (value is None or value is np.nan):
        # Missing labels are left out.
        assert np.isfinite(model.score(X, y))
        return
    with pytest.raises(ValueError, match=r"in row 7\b|rows: \[7\]"):
        model.score(X, y)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("value", [None, np.nan])
def test_scores_of_classifiers(name, value):
    model = CLASSIFIERS[name].fit(X, CLASSES)
    assert model.score(X, CLASSES) == np.mean(model.predict(X) == CLASSES)
    y = list(CLASSES)
    y[7] = value
    with pytest.raises(ValueError, match=r"rows: \[7\]"):
        model.score(X, y)


def test_a_single_number_is_no_column():
    for score in (score_known_labels, lambda *args: REGRESSORS["difference"].fit(X, Y).score(X, 1)):
        with pytest.raises(ValueError, match="must have the shape"):
            score(None, 1.0, [1.0])


def test_text_beside_numbers():
    y = [*Y[:7], "x", *Y[8:]]
    with pytest.raises(ValueError, match=r"with 0.0 in row 0 and 'x' in row 7: pass one kind"):
        NoiseAugmenter().fit(X, y)
    with pytest.raises(ValueError, match="y holds 'x' in row 7, which is no number"):
        EarlyStoppingRegressor(BOOSTING).fit(X, y)


def test_a_complex_number_beside_others():
    with pytest.raises(ValueError, match="gap holds 2j in row 1, which is no number"):
        number_array([1.0, 2j, 3.0], "gap")
    moments = [1.0, 2.0, 1j]
    with pytest.raises(ValueError, match="row 2"):
        datasets.check_moments(
            moment_per_atom=moments, moment_per_cell=[1.0, 2.0, 3.0], n_atoms=[1, 1, 1]
        )


def test_labels_of_folds_of_matbench():
    y = [*Y[:7], None, *Y[8:]]
    missing = np.where(np.arange(N) == 7, np.nan, Y)
    for found, expected in zip(MatbenchSplit().split(X, y), MatbenchSplit().split(X, missing)):
        np.testing.assert_array_equal(found[1], expected[1])
    for task, labels in ((None, ["a", None, "b"]), ("classification", [1.0, np.nan, 0.0])):
        with pytest.raises(ValueError, match=r"NaN or infinity in 1 rows: \[1\]"):
            next(MatbenchSplit(task).split(range(3), labels))
    with pytest.raises(ValueError, match="y holds 'x' in row 7"):
        next(MatbenchSplit().split(X, [*Y[:7], "x", *Y[8:]]))
    with pytest.raises(ValueError, match="with 1 in row 0 and 'x' in row 1"):
        next(MatbenchSplit().split(range(3), [1, "x", 2]))
    with pytest.raises(ValueError, match="complex numbers, first in row 1"):
        next(MatbenchSplit().split(range(3), [1.0, 1j, 2.0]))


def test_missing_classes_of_orderings():
    crystals = make_toy_crystals()[0]
    labels = ["a", "b", None, *["a"] * (len(crystals) - 3)]
    with pytest.raises(ValueError, match=r"rows: \[2\]"):
        OrderingClassifier().fit(crystals, labels)


# -- explanations of models


def test_rows_of_shap_values():
    model = Ridge().fit(X, Y)
    with pytest.raises(InvalidValueError) as error:
        shap_table(model, with_value(np.nan))
    assert_named(error, 7, "NaN")
    # The values of all rows would be NaN.
    with pytest.raises(ValueError, match="background contains NaN or infinity in row 7"):
        shap_table(model, X, with_value(np.nan))
    with pytest.raises(TypeError, match="background holds 1j in row 7, which is no number"):
        shap_table(model, X, with_value(1j))


def test_rows_of_a_contrast():
    with pytest.raises(ValueError, match="'volume' of normal holds 'x' in row 7"):
        contrast(X, with_value("x"))
    with pytest.raises(ValueError, match="'volume' of normal holds no numbers"):
        contrast(X, X.assign(volume="x"))


def test_nothing_to_transform():
    crystals, y = make_toy_crystals()
    network = ECNetRegressor(cutoff=4.0, hidden_dim=4, n_conv=1, max_epochs=1, random_state=0)
    featurizer = ECNetFeaturizer(network, n_components=1).fit(crystals, y)
    with pytest.raises(ValueError, match="X is empty"):
        featurizer.transform([])
    with pytest.raises(ValueError, match=r"y has the shape \(0,\): there is nothing to fit"):
        tiny().fit(crystals, [])
    with pytest.raises(TypeError, match="X must be a sequence or a table, got None"):
        refuse_empty(None)
