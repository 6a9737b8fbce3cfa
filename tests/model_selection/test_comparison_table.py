"""The table of a comparison."""

import pickle
import warnings

import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge

from sklmat.model_selection import compare_estimators


def linear_data(n=24):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    return X, X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=n)


MODELS = {"linear": LinearRegression(), "ridge": Ridge(5.0), "mean": DummyRegressor()}


def test_comparison_is_a_plain_table_that_carries_its_origin():
    X, y = linear_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = compare_estimators(MODELS, X, y, reference="mean")
        again = pickle.loads(pickle.dumps(table))
        assert type(table.round(2)) is pd.DataFrame
        assert type(table["MAE mean"]) is pd.Series
    pd.testing.assert_frame_equal(again, table)
    pd.testing.assert_frame_equal(again.predictions, table.predictions)
    pd.testing.assert_frame_equal(again.scores, table.scores)
    pd.testing.assert_frame_equal(table.copy(), pd.DataFrame(table))


def test_summary_reads_mean_and_sd():
    X, y = linear_data()
    table = compare_estimators(MODELS, X, y, reference="mean")
    table.loc["ridge", ["MAE mean", "MAE sd", "MAE p"]] = [0.012345, 0.00099, 0.00321]
    table.loc["ridge", ["fit seconds mean", "fit seconds sd"]] = [123.4, 5.6]
    row = table.summary().loc["ridge"]
    assert row["MAE"] == "0.0123 ± 0.0010"
    assert row["MAE p"] == "0.0032"
    assert row["fit seconds"] == "123 ± 6"
    assert table.summary(digits=5).loc["ridge", "MAE"] == "0.012345 ± 0.000990"
    assert table.summary().loc["mean", "MAE p"] == ""
    columns = ["MAE", "MAE p", "RMSE", "RMSE p", "R2", "R2 p", "fit seconds", "predict seconds"]
    assert list(table.summary().columns) == columns
