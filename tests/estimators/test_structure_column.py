"""The column of a DataFrame that holds the structures, in `fit` and afterwards."""

import copy

import joblib
import numpy as np
import pandas as pd
import pytest
from crystals import b2_cscl, random_alloys
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    ECNetFeaturizer,
    ECNetRegressor,
    GraphEmbedding,
    StructureToGraph,
)
from sklmat.inspection import site_attribution

MODEL = CGCNNRegressor(
    hidden_dim=4, n_conv=1, readout_dim=4, max_epochs=2, random_state=0, extra=["T"]
)
CELLS = random_alloys(6, n_cells=1)
Y = np.arange(6.0)
TABLE = pd.DataFrame({"relaxed": CELLS, "T": [300.0, 400, 500, 600, 700, 800]})
#: "structure" would be preferred if it were there in fit.
MORE = TABLE.assign(structure=[b2_cscl()] * 6)[["structure", "T", "relaxed"]]


@pytest.fixture(scope="module")
def model():
    return clone(MODEL).fit(TABLE, Y)


def test_other_columns_of_structures_are_not_read(model):
    assert model.structure_column_ == "relaxed"
    expected = model.predict(TABLE)
    np.testing.assert_array_equal(model.predict(MORE), expected)
    np.testing.assert_array_equal(model.embed(MORE), model.embed(TABLE))
    embedding = GraphEmbedding(MODEL).fit(TABLE, Y)
    np.testing.assert_array_equal(embedding.transform(MORE), embedding.transform(TABLE))
    moved = site_attribution(model, MORE)["attribution"]
    np.testing.assert_array_equal(moved, site_attribution(model, TABLE)["attribution"])


def test_a_transformer_is_given_this_column():
    model = clone(MODEL).set_params(extra=CompositionFeaturizer()).fit(TABLE, Y)
    np.testing.assert_array_equal(model.predict(MORE), model.predict(TABLE))
    np.testing.assert_array_equal(model.predict(CELLS), model.predict(TABLE))


def test_training_further_reads_this_column(model):
    ways = []
    for table in (TABLE, MORE):
        again = copy.deepcopy(model)
        again.partial_fit(table, Y).set_params(warm_start=True).fit(table, Y)
        ways.append(again.predict(TABLE))
    np.testing.assert_array_equal(*ways)
    assert clone(model).fit(MORE, Y).structure_column_ == "structure"


def test_files_remember_it(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = CGCNNRegressor.load(tmp_path / "model")
    assert loaded.structure_column_ == "relaxed"
    np.testing.assert_array_equal(loaded.predict(MORE), model.predict(TABLE))
    joblib.dump(model, tmp_path / "model")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "model").predict(MORE), loaded.predict(MORE)
    )


def test_names_of_two_levels(tmp_path):
    table = TABLE.set_axis(pd.MultiIndex.from_tuples([("cell", "relaxed"), ("T", "K")]), axis=1)
    model = clone(MODEL).set_params(extra=[("T", "K")]).fit(table, Y)
    assert model.structure_column_ == ("cell", "relaxed")
    model.save(tmp_path / "model")
    loaded = CGCNNRegressor.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(table), model.predict(table))
    with pytest.raises(ValueError, match="X has no column 'T', which extra names; its columns are"):
        clone(MODEL).fit(table, Y)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            MORE.drop(columns="relaxed"),
            "X has no column 'relaxed', which held the structures in fit; its columns are "
            "'structure', 'T'",
        ),
        (TABLE.assign(relaxed=1.0), r"structure 0 \(float\): not a structure"),
        (pd.concat([TABLE, TABLE[["relaxed"]]], axis=1), "several columns 'relaxed', which held"),
        (pd.concat([TABLE, TABLE[["T"]]], axis=1), "several columns 'T', which extra names"),
    ],
)
def test_tables_without_this_column(model, table, message):
    with pytest.raises(ValueError, match=message):
        model.predict(table)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["relaxed", "T"], "extra names 'relaxed', which holds structures; leave it out of extra"),
        ([["T"]], r"extra names the column \['T'\], which is no name of a column"),
    ],
)
def test_what_extra_cannot_name(extra, message):
    with pytest.raises(ValueError, match=message):
        clone(MODEL).set_params(extra=extra).fit(TABLE, Y)


def test_graphs_after_a_table(model):
    graphs = StructureToGraph().transform(CELLS).with_extra(TABLE[["T"]])
    np.testing.assert_array_equal(model.predict(graphs), model.predict(TABLE))
    assert clone(MODEL).fit(graphs, Y).structure_column_ is None


def test_vectors_need_no_columns(model):
    """`extra` is read by later layers only."""
    bare = MORE.drop(columns="T")
    np.testing.assert_array_equal(model.embed(bare), model.embed(TABLE))
    with pytest.raises(ValueError, match="X has no column 'T'"):
        model.predict(bare)


def test_elemental_vectors_of_a_network_that_reads_columns():
    network = ECNetRegressor(
        hidden_dim=4, n_filters=4, tower_dims=(4,), n_ensemble=1, max_epochs=2, random_state=0
    )
    network.set_params(extra=["T"])
    featurizer = ECNetFeaturizer(network, n_components=2)
    table = featurizer.fit_transform(TABLE, Y)
    np.testing.assert_allclose(featurizer.transform(MORE.drop(columns="T")), table, atol=1e-6)
    fitted = FrozenEstimator(clone(network).fit(TABLE, Y))
    again = ECNetFeaturizer(fitted, n_components=2).fit_transform(MORE)
    np.testing.assert_allclose(again, table, atol=1e-6)
    with pytest.raises(ValueError, match=r"extra=\['T'\] names columns of a table"):
        ECNetFeaturizer(network).fit(CELLS, Y)


def test_columns_for_a_transformer_of_columns():
    columns = ColumnTransformer([("T", "passthrough", ["T"])])
    model = clone(MODEL).set_params(extra=make_pipeline(columns, MinMaxScaler())).fit(TABLE, Y)
    np.testing.assert_array_equal(model.predict(MORE), model.predict(TABLE))
    message = "extra is a Pipeline that reads columns of a table, and X is a list without them"
    with pytest.raises(ValueError, match=message):
        model.predict(CELLS)


def test_a_table_without_extra():
    """Columns beside the structures would not be read; the message names the right column."""
    table = TABLE.assign(name="alloy")[["name", "T", "relaxed"]]
    plain = clone(MODEL).set_params(extra=None)
    message = r"pass its column of structures, such as table\['relaxed'\]"
    with pytest.raises(ValueError, match=message):
        plain.fit(table, Y)
    plain.fit(table["relaxed"], Y)
    with pytest.raises(ValueError, match=message):
        plain.predict(table)
    with pytest.raises(ValueError, match=message):
        GraphEmbedding(clone(plain)).fit(table, Y)
    with pytest.raises(ValueError, match=message.replace("relaxed", "structure")):
        plain.predict(pd.DataFrame(index=range(6)))
