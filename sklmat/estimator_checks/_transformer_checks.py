"""Checks of transformers: `fit_transform`, names of columns, `set_output`."""

import numpy as np
import pandas as pd

from sklmat.estimator_checks._fit_and_compare import (
    assert_same,
    fitted,
    is_table,
    output,
    seeded_clone,
    toy_data,
)


def check_transformer(estimator):
    """fit_transform equals fit and transform, with one row per crystal."""
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
    """Column names are unique and accepted by XGBoost, also as pandas columns."""
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
