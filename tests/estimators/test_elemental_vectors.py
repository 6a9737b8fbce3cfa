"""Contributions and vectors of single elements, from ECNet."""

import numpy as np
import pandas as pd
import pytest
import torch
from crystals import bcc_fe, fcc_cu, nickel_fraction
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from tiny_ecnet import TINY

from sklmat import ECNetClassifier, ECNetRegressor
from sklmat.batches import make_batch
from sklmat.elements import element_symbols
from sklmat.estimators import GraphModel


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_contributions_add_up_to_the_prediction(structures, y, pool):
    X = [*structures, fcc_cu()]
    model = ECNetRegressor(**TINY, pool=pool).fit(X, [*y, 90.0])
    shares = model.element_contributions(X)
    assert shares.columns.tolist() == ["Ni", "Cu", "Pd"]
    np.testing.assert_allclose(shares.sum(axis=1), model.predict(X), rtol=1e-6)
    for row, structure in enumerate(X):
        present = {e.symbol for e in structure.composition}
        assert set(shares.columns[shares.loc[row] != 0]) == present
    assert shares.loc[16, "Cu"] == pytest.approx(model.predict(X)[16])


def test_contributions_are_what_single_elements_add(graphs, y):
    model = ECNetRegressor(**TINY).fit(graphs, y)
    elements = GraphModel.of(model).inputs(graphs)
    with torch.no_grad():
        values = model.net_.module_.eval().contributions(make_batch(elements))[:, :, 0].mean(dim=1)
    shares = model.element_contributions(graphs)
    crystal = np.repeat(np.arange(16), elements.n_nodes)
    for node in range(len(crystal)):
        expected = float(values[node]) * model.y_scale_[0]
        expected += elements.fraction[node] * model.y_mean_[0]
        symbol = element_symbols(elements.atomic_numbers[node : node + 1])[0]
        assert shares.loc[crystal[node], symbol] == pytest.approx(expected, rel=1e-6)


def test_contributions_to_several_targets(graphs, both):
    model = ECNetRegressor(**TINY).fit(graphs, both)
    shares = model.element_contributions(graphs)
    assert shares.columns.tolist() == [(t, e) for t in (0, 1) for e in ("Ni", "Cu", "Pd")]
    predictions = model.predict(graphs)
    for t in (0, 1):
        np.testing.assert_allclose(shares[t].sum(axis=1), predictions[:, t], atol=1e-4)
    one = ECNetRegressor(**TINY).fit(graphs, both[:, :1]).element_contributions(graphs)
    assert one.columns.tolist() == [(0, e) for e in ("Ni", "Cu", "Pd")]


def test_contributions_to_classes_are_log_odds(graphs, labels):
    model = ECNetClassifier(**{**TINY, "n_ensemble": 1}).fit(graphs, labels)
    shares = model.element_contributions(graphs)
    assert shares.columns.get_level_values(0).unique().tolist() == ["poor", "rich"]
    odds = np.log(model.predict_proba(graphs))
    difference = shares["rich"].sum(axis=1) - shares["poor"].sum(axis=1)
    np.testing.assert_allclose(difference, odds[:, 1] - odds[:, 0], atol=1e-5)


@pytest.mark.filterwarnings("ignore:transform of ECNet:FutureWarning")
def test_table_of_elemental_vectors(structures, graphs, y):
    model = ECNetRegressor(**TINY).fit(graphs, y)
    table = model.transform(graphs).to_numpy()
    assert table.shape == (16, 3 + 3 * 16)
    vectors, crystal, numbers, fraction = model.elemental_vectors(graphs)
    symbols = ["Ni", "Cu", "Pd"]
    assert element_symbols(model.elements_) == symbols
    expected = np.zeros((16, 3 + 3 * 16))
    for vector, row, number, share in zip(vectors, crystal, numbers, fraction):
        k = model.elements_.tolist().index(number)
        expected[row, k] = share
        expected[row, 3 + 16 * k : 3 + 16 * (k + 1)] = vector
    np.testing.assert_array_equal(table, expected)
    for row, structure in enumerate(structures):
        fractions = [structure.composition.get_atomic_fraction(e) for e in symbols]
        np.testing.assert_allclose(table[row, :3], fractions, atol=1e-6)
        blocks = table[row, 3:].reshape(3, 16)
        assert blocks.any(axis=1).tolist() == [f > 0 for f in fractions]
        np.testing.assert_allclose(fractions @ blocks, model.embed(graphs)[row], atol=1e-5)
    assert (table[:, :3] == 0).any()
    names = model.get_feature_names_out().tolist()
    assert names[:3] == ["x_Ni", "x_Cu", "x_Pd"]
    assert names[3:] == [f"{e}_{k}" for e in symbols for k in range(16)]


@pytest.mark.filterwarnings("ignore:transform of ECNet:FutureWarning")
def test_tables_follow_rows_and_keep_their_columns(graphs, structures, y):
    model = ECNetRegressor(**TINY).fit(graphs, y)
    table = model.transform(graphs)
    np.testing.assert_allclose(model.transform(graphs[[7, 2]]), table.iloc[[7, 2]], atol=1e-5)
    copper = model.transform([fcc_cu()])
    assert copper.shape == (1, 51)
    assert copper.iloc[0, :3].tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"structure 1 .* element Fe, .* \(seen: Ni, Cu, Pd\)"):
        model.transform([fcc_cu(), bcc_fe()])
    with pytest.raises(NotFittedError):
        ECNetRegressor(**TINY).transform(graphs)
    with pytest.raises(NotFittedError):
        ECNetRegressor(**TINY).get_feature_names_out()


@pytest.mark.filterwarnings("ignore:transform of ECNet:FutureWarning")
def test_tables_in_pandas_and_pipelines(graphs, structures, y):
    model = ECNetRegressor(**TINY).set_output(transform="pandas")
    frame = model.fit(graphs, y).transform(graphs)
    assert frame.columns.tolist() == model.get_feature_names_out().tolist()
    assert frame["x_Ni"].to_numpy() == pytest.approx(nickel_fraction(structures), abs=1e-6)
    pd.testing.assert_frame_equal(clone(model).fit_transform(graphs, y), frame)
    pipeline = make_pipeline(ECNetRegressor(**TINY), Ridge())
    scores = cross_val_score(pipeline, structures, y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    assert pipeline.fit(graphs, y).score(graphs, y) > 0.5
